"""`conf.yaml.example` as data: its options, each as a user has it who takes the comment signs off that one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

__all__ = ['Option', 'options']

_OPTION = re.compile(r'^ *## @param (?P<name>\w+) - (?P<type>.+?) - (?:optional|required)', re.MULTILINE)
_SECTION = re.compile('^(?P<name>init_config|instances):', re.MULTILINE)
# The example follows the description, from which a line with nothing but a comment sign parts it.
_EXAMPLE = re.compile(r'^ *#\n(?P<lines>(?:.+\n?)+)', re.MULTILINE)
# `- ` starts the list of instances at the only option that is not commented out.
_SIGNS = re.compile('^(?P<indent> *)(?:# |- (?=openmetrics_endpoint))', re.MULTILINE)
# What there is to fill in, and with what; the example makes sense with anything in place of the rest.
_PLACEHOLDERS = {
    '<CONNECT_TIMEOUT>': '10',
    '<HOSTNAME_1>': '127.0.0.1',
    '<METRIC_TYPE_3>': 'gauge',
    '<PORT>': '3128',
    '<PROXY_SERVER_FOR_HTTP>': 'proxy.example.com',
    '<PROXY_SERVER_FOR_HTTPS>': 'proxy.example.com',
    '<READ_TIMEOUT>': '10',
}


class Option(NamedTuple):
    """An option of the example file."""

    section: str
    """`init_config` or `instances`."""
    name: str
    type: str
    """Its type in words, as the file gives it."""
    example: Any

    def configuration(self, value: Any, endpoint: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the `init_config` and the instance of a user who sets this option, and else only the endpoint."""
        init_config: dict[str, Any] = {}
        instance: dict[str, Any] = {'openmetrics_endpoint': endpoint}
        (init_config if self.section == 'init_config' else instance)[self.name] = value
        return init_config, instance

    @property
    def wrong_value(self) -> Any:
        """A value of a type that the option does not take."""
        return 3.5 if 'mapping' in self.type else {'a': 'mapping'}


def options(example_file: Path, placeholders: Mapping[str, str] | None = None) -> list[Option]:
    """Return the options of a `conf.yaml.example`, in its order, with `placeholders` filled in."""
    text = example_file.read_text()
    for placeholder, value in {**_PLACEHOLDERS, **(placeholders or {})}.items():
        text = text.replace(placeholder, value)
    return list(_options(text))


def _options(text: str) -> Iterator[Option]:
    section = ''
    for block in text.split('\n\n'):
        option, example = _OPTION.search(block), _EXAMPLE.search(block)
        if option and example:
            lines = yaml.safe_load(_SIGNS.sub(_without_signs, example['lines']))
            yield Option(section, option['name'], option['type'], lines[option['name']])
        elif starts := _SECTION.search(block):
            section = starts['name']


def _without_signs(found: re.Match[str]) -> str:
    return found['indent'] if found[0].endswith('# ') else f'{found["indent"]}  '
