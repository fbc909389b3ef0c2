"""Run a log pipeline over lines, as far as the pipeline of LiteLLM needs it.

A line that is a JSON object becomes attributes before any pipeline. Each processor then reads and writes attributes
(Processors, https://docs.datadoghq.com/logs/log_configuration/processors/). A grok parser takes the first of its rules
that matches the whole text (Parsing, https://docs.datadoghq.com/logs/log_configuration/parsing/). Not modelled: filters
and support rules of grok, and queries other than ranges of one attribute. What is not known is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .errors import AssetError

__all__ = ['processed']

_MATCHERS = {
    'data': r'[\s\S]*?',
    'integer': r'-?\d+',
    'ip': r'\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]+',
    'notSpace': r'\S+',
    'uuid': r'[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}',
    'word': r'\b\w+\b',
}
# By the first letter of what says it.
_STATUSES = {'c': 'critical', 'd': 'debug', 'e': 'error', 'i': 'info', 'w': 'warn'}
_CALL = re.compile(r'%\{(?P<matcher>\w+)(?:\("(?P<regex>[^"]*)"\))?(?::(?P<path>[\w.]+))?\}')
_RANGE = re.compile(r'@(?P<path>[\w.]+):\[(?P<low>\d+) TO (?P<high>\d+)\]')


def processed(pipeline: Mapping[str, Any], line: str) -> dict[str, Any]:
    """Return the attributes of a line; `status` is that of the log. Raises AssetError for what the model lacks."""
    log: dict[str, Any] = {'message': line}
    if line.startswith('{'):
        log = json.loads(line)
    for processor in pipeline['processors']:
        if processor['enabled']:
            _run(processor, log)
    return log


def _run(processor: Mapping[str, Any], log: dict[str, Any]) -> None:
    match processor['type']:
        case 'grok-parser':
            for path, value in _grok(processor['grok']['matchRules'], str(_get(log, processor['source']))).items():
                _set(log, path, value)
        case 'attribute-remapper':
            for source in processor['sources']:
                value = _get(log, source)
                if value is not None and _get(log, processor['target']) is None:
                    log.pop(source)
                    _set(log, processor['target'], value)
        case 'url-parser':
            for url in filter(None, (_get(log, source) for source in processor['sources'])):
                parts = urlsplit(url)
                details: dict[str, Any] = {'path': parts.path}
                if parts.query:
                    details['queryString'] = dict(parse_qsl(parts.query))
                _set(log, processor['target'], details)
        case 'category-processor':
            names = [one['name'] for one in processor['categories'] if _holds(one['filter']['query'], log)]
            if names:
                _set(log, processor['target'], names[0])
        case 'status-remapper':
            found = [str(value) for source in processor['sources'] if (value := _get(log, source)) is not None]
            log['status'] = _STATUSES[found[0][0].lower()] if found else 'info'
        case 'date-remapper' | 'trace-id-remapper':
            # They set the date and the trace of the log, and leave its attributes.
            pass
        case other:
            raise AssetError(f'the model does not know the processor {other}')


def _grok(rules: str, text: str) -> dict[str, Any]:
    for rule in rules.strip().splitlines():
        paths: list[tuple[str, str]] = []
        pattern, end = '', 0
        expression = rule.partition(' ')[2]
        for call in _CALL.finditer(expression):
            if call['matcher'] not in {*_MATCHERS, 'regex'}:
                raise AssetError(f'the model does not know the matcher {call["matcher"]}')
            pattern += expression[end : call.start()]
            pattern += f'({call["regex"] if call["matcher"] == "regex" else _MATCHERS[call["matcher"]]})'
            paths.append((call['path'], call['matcher']))
            end = call.end()
        found = re.fullmatch(pattern + expression[end:], text)
        if found:
            return {
                path: int(value) if matcher == 'integer' else value
                for (path, matcher), value in zip(paths, found.groups(), strict=True)
                if path
            }
    return {}


def _holds(query: str, log: Mapping[str, Any]) -> bool:
    found = _RANGE.fullmatch(query)
    if not found:
        raise AssetError(f'the model does not know the query {query}')
    value = _get(log, found['path'])
    return value is not None and int(found['low']) <= int(value) <= int(found['high'])


def _get(log: Mapping[str, Any], path: str) -> Any:
    value: Any = log
    for key in path.split('.'):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _set(log: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split('.')
    for key in parents:
        log = log.setdefault(key, {})
    log[last] = value
