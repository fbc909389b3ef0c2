"""Read the files to import, for one environment and service, and with the handles to notify.

Monitors and SLOs group by `env` and `service`. With a scope, theirs are those of the scope alone, so that two teams can
import them side by side, each with its own handles. What is about no service, such as a monitor of hosts, stays as it
is; so do dashboards, which have variables, and the pipeline, which is one for all logs of LiteLLM.

Each asset has a mark, by which it is found again in the account: `litellm_import:scrape_down`, and with a scope
`litellm_import:scrape_down/env:production/service:chat`. It is a tag or, as dashboards have none of free choice, the
last line of the description; the pipeline, whose name nobody else gives, is found by that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.datadog_model import Monitor

__all__ = ['ASSETS', 'MARK', 'Asset', 'AssetError', 'Handles', 'assets', 'scope_of']

ASSETS = Path(__file__).parents[2] / 'litellm' / 'assets'
MARK = re.compile(r'litellm_import:\S+')
# The tags by which an import may be restricted, in this order.
_KEYS = ('env', 'service')
_SCOPE = re.compile(r'(?<!by )\{([^}]*)\}')
_OPERATORS = re.compile(r'\b(AND|OR|NOT|IN)\b')
# Priorities that wake somebody up, as the page of the monitors has it.
_PAGED = 2


class AssetError(Exception):
    """An asset cannot be imported: the message says why."""


@dataclass(frozen=True)
class Handles:
    """Handles for alerts: `page` for those of priority 1 and 2, `notify` for the others, and for all without `page`."""

    notify: Sequence[str]
    page: Sequence[str] = ()

    def of(self, priority: int) -> str:
        """Return the handles for a monitor of a priority, as a message names them."""
        return ' '.join(self.page if self.page and priority <= _PAGED else self.notify)


@dataclass(frozen=True)
class Asset:
    """An asset that an account is to have: the body of the request that makes it, and the mark by which it is found."""

    kind: str
    name: str
    mark: str
    definition: dict[str, Any]


def scope_of(env: str | None, service: str | None) -> tuple[str, ...]:
    """Return the tags of a scope. Raises AssetError for a value that no such tag has."""
    scope = tuple(f'{key}:{value.lower()}' for key, value in zip(_KEYS, (env, service), strict=True) if value)
    for tag in scope:
        if not re.fullmatch(r'[a-z]+:[\w./-]+', tag):
            raise AssetError(f'{tag} is no tag that a query can name: letters, digits and _ . / - are allowed')
    return scope


def assets(scope: Sequence[str], handles: Handles, folder: Path = ASSETS) -> Iterator[Asset]:
    """Yield everything to import, in an order in which each finds what it refers to."""
    for path in sorted((folder / 'logs').glob('*.yaml')):
        if not path.stem.endswith('_tests'):
            pipeline = _pipeline(yaml.safe_load(path.read_text(encoding='utf-8'))['pipeline'])
            yield Asset('pipelines', path.stem, pipeline['name'], pipeline)
    for kind, marked in (('dashboards', _dashboard), ('monitors', _monitor), ('slos', _slo)):
        for path in sorted((folder / kind).glob('*.json')):
            content = json.loads(path.read_text(encoding='utf-8'))
            yield marked(path.stem, content, scope, handles)


def _dashboard(name: str, content: dict[str, Any], _: Sequence[str], __: Handles) -> Asset:
    mark = _mark(name, ())
    return Asset('dashboards', name, mark, {**content, 'description': f'{content["description"]}\n\n{mark}'})


def _monitor(name: str, content: dict[str, Any], scope: Sequence[str], handles: Handles) -> Asset:
    definition = content['definition']
    if not {*_KEYS} <= {*Monitor.from_json(content).groups}:
        scope = ()
    return Asset(
        'monitors',
        name,
        _mark(name, scope),
        {
            **definition,
            'query': _scoped(definition['query'], scope),
            'message': f'{definition["message"]}\n\n{handles.of(definition["priority"])}',
            'tags': [*definition['tags'], *scope, _mark(name, scope)],
        },
    )


def _slo(name: str, content: dict[str, Any], scope: Sequence[str], _: Handles) -> Asset:
    counted = content['sli_specification']['count']
    queries = [{**query, 'query': _scoped(query['query'], scope)} for query in counted['queries']]
    specification = {'count': {**counted, 'queries': queries}}
    tags = [*content['tags'], *scope, _mark(name, scope)]
    title = ' '.join([content['name'], *(f'({tag})' for tag in scope)])
    definition = {**content, 'name': title, 'sli_specification': specification, 'tags': tags}
    return Asset('slos', name, _mark(name, scope), definition)


def _mark(name: str, scope: Sequence[str]) -> str:
    return '/'.join([f'litellm_import:{name}', *scope])


def _scoped(query: str, scope: Sequence[str]) -> str:
    """Restrict all that a query asks for to a scope."""
    if not scope:
        return query

    def restricted(found: re.Match[str]) -> str:
        asked = [] if found[1] == '*' else [found[1]]
        # Datadog knows two ways to write conditions, and does not mix them in one scope.
        if _OPERATORS.search(found[1]):
            return f'{{{" AND ".join([*scope, f"({found[1]})"])}}}'
        return f'{{{",".join([*scope, *asked])}}}'

    over = ','.join(f'"{tag}"' for tag in scope)
    return _SCOPE.sub(restricted, query).replace('.over("*")', f'.over({over})')


def _pipeline(content: Any) -> Any:
    """Return a pipeline as the API has it, from the format of Datadog's integrations, which writes `matchRules`."""
    if isinstance(content, list):
        return [_pipeline(item) for item in content]
    if not isinstance(content, dict):
        return content
    renamed = {key: 'is_enabled' if key == 'enabled' else _snake(key) for key in content}
    return {renamed[key]: _pipeline(value) for key, value in content.items()}


def _snake(key: str) -> str:
    return re.sub(r'(?<=[a-z])([A-Z])', r'_\1', key).lower()
