"""The fenced blocks of the pages, by what they are."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from tests.support.documents import Block, pages

__all__ = ['PROXY_SECTIONS', 'Command', 'blocks', 'commands', 'documents_of', 'instances_of', 'proxy_settings']

PROXY_SECTIONS = frozenset({'general_settings', 'litellm_settings', 'model_list', 'router_settings'})

# Settings that pages name outside of blocks.
_SETTINGS_ONLY_NAMED = (
    'custom_prometheus_metadata_labels',
    'json_logs',
    'prometheus_metrics_config',
    'prometheus_metrics_max_series_per_metric',
    'prometheus_metrics_ttl_seconds',
)
_ANNOTATION = re.compile(r'ad\.datadoghq\.com/.+\.checks')


class Command(NamedTuple):
    """A command of a shell block, without `sudo` and its `-u USER` before it."""

    block: Block
    words: list[str]

    def __str__(self) -> str:
        return f'{self.block} {shlex.join(self.words)}'


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in one of these languages."""
    return [block for page in pages() for block in page.blocks() if block.language in languages]


def commands() -> Iterator[Command]:
    """Yield the commands of all shell blocks."""
    for block in blocks('shell', 'bash', 'sh'):
        for line in textwrap.dedent(block.text).replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ['sudo']:
                words = words[3:] if words[1] == '-u' else words[1:]
            if words:
                yield Command(block, words)


def documents_of(block: Block) -> list[Any]:
    """Return what a YAML block holds."""
    return list(yaml.safe_load_all(textwrap.dedent(block.text)))


def instances_of(document: Any, options: frozenset[str]) -> list[dict[str, Any]]:
    """Return the instances in a part of the Agent's configuration: a file, annotations, or options alone."""
    if not isinstance(document, Mapping):
        return []
    if 'instances' in document:
        return list(document['instances'])
    if document and document.keys() <= options:
        return [dict(document)]
    annotations = document.get('metadata', {}).get('annotations', {}) if 'kind' in document else document
    found = [json.loads(value) for name, value in annotations.items() if _ANNOTATION.fullmatch(name)]
    return [instance for checks in found for check in checks.values() for instance in check['instances']]


def proxy_settings() -> list[str]:
    """Return the settings of LiteLLM that the pages name."""
    documents = [document for block in blocks('yaml') for document in documents_of(block)]
    proxies = [one for one in documents if isinstance(one, Mapping) and one and one.keys() <= PROXY_SECTIONS]
    shown = {setting for one in proxies for section in one.values() for setting in _keys(section)}
    return sorted({*shown, *_SETTINGS_ONLY_NAMED})


def _keys(section: Any) -> Iterator[str]:
    if isinstance(section, Mapping):
        for name, value in section.items():
            yield name
            yield from _keys(value)
