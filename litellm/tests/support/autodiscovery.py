"""The Agent's Autodiscovery by annotations, restated: templates, their variables, and secrets.

- `ad.datadoghq.com/IDENTIFIER.checks` is an object of checks (v2); `.check_names`, `.init_configs` and `.instances` are
  three lists side by side (v1). The identifier is the name of a container, or `endpoints` on a Service.
- `%%port%%` is the highest port, `%%port_NAME%%` the one of that name, `%%port_N%%` the Nth from below.
- `%%env_NAME%%` is a variable of the Agent's own process, not of the container.
- A string is a secret's handle when it is `ENC[...]` as a whole. Within a longer string it is left as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ['Port', 'Template', 'UnresolvedError', 'resolve', 'secret_handles', 'short_image', 'templates', 'variables']

_PREFIX = 'ad.datadoghq.com'
_VARIABLE = re.compile(r'%%(?P<name>[a-z]+)(?:_(?P<key>\w+))?%%')
_HANDLE = re.compile(r'ENC\[(?P<handle>.*)\]')


class UnresolvedError(LookupError):
    """A variable or a secret is not known; the Agent would not run the check."""


class Port(NamedTuple):
    """A port that a container or a Service declares."""

    name: str
    number: int


class Template(NamedTuple):
    """A configuration as an annotation has it."""

    check: str
    init_config: Mapping[str, Any]
    instance: Mapping[str, Any]


def templates(annotations: Mapping[str, str], identifier: str) -> list[Template]:
    """Return the templates of all instances that annotations ask for."""
    prefix = f'{_PREFIX}/{identifier}'
    if checks := annotations.get(f'{prefix}.checks'):
        return [
            Template(check, config['init_config'], instance)
            for check, config in json.loads(checks).items()
            for instance in config['instances']
        ]
    lists = [
        json.loads(annotations.get(f'{prefix}.{part}', '[]')) for part in ('check_names', 'init_configs', 'instances')
    ]
    return [Template(*parts) for parts in zip(*lists, strict=True)]


def resolve(
    template: Template,
    host: str,
    ports: Sequence[Port],
    agent_variables: Mapping[str, str],
    secrets: Mapping[str, str],
) -> dict[str, Any]:
    """Return the instance of a template with variables and secrets filled in; raises UnresolvedError."""

    def value_of(found: re.Match[str]) -> str:
        match found['name'], found['key']:
            case 'host', None:
                return host
            case 'port', key:
                return str(_port(ports, key).number)
            case 'env', key if key in agent_variables:
                return agent_variables[key]
        raise UnresolvedError(found[0])

    def fill(text: str) -> str:
        text = _VARIABLE.sub(value_of, text)
        if handle := _HANDLE.fullmatch(text.strip(' \t')):
            if handle['handle'] not in secrets:
                raise UnresolvedError(handle[0])
            return secrets[handle['handle']]
        return text

    return dict(_mapped(template.instance, fill))


def variables(template: Template, name: str) -> set[str]:
    """Return the keys with which a template uses a variable: `NAME` of `%%env_NAME%%`."""
    texts = _strings(template.instance)
    return {found['key'] for text in texts for found in _VARIABLE.finditer(text) if found['name'] == name}


def secret_handles(value: Any) -> set[str]:
    """Return the handles of the secrets in a configuration."""
    return {found['handle'] for text in _strings(value) if (found := _HANDLE.fullmatch(text))}


def short_image(image: str) -> str:
    """Return the identifier that a container has from its image."""
    return image.partition('@')[0].rpartition('/')[2].partition(':')[0]


def _port(ports: Sequence[Port], key: str | None) -> Port:
    in_order = sorted(ports, key=lambda port: port.number)
    if key is None:
        return in_order[-1]
    if key.isdigit():
        return in_order[int(key)]
    for port in ports:
        if port.name == key:
            return port
    raise UnresolvedError(f'%%port_{key}%%')


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value
