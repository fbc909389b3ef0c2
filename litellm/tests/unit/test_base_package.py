"""Find what the check takes from private parts of the base package in the one that is installed."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from packaging.version import Version
from urllib3 import HTTPConnectionPool

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.checks.openmetrics.v2 import labels, transform, utils
from datadog_checks.base.checks.openmetrics.v2.scraper import OpenMetricsScraper
from datadog_checks.base.stubs import aggregator, datadog_agent
from datadog_checks.base.utils.http import AuthTokenHandler, AuthTokenOAuthReader
from datadog_checks.base.utils.replay.constants import EnvVars
from datadog_checks.litellm import base_package

INSTALLED = Version(version('datadog-checks-base'))


class Entry(NamedTuple):
    """A line of the docstring: a name, and the versions of the base package from and to which it is there."""

    name: str
    first: str
    last: str

    def is_due(self) -> bool:
        """Tell whether the installed base package has to have it."""
        begun = self.first == 'oldest' or Version(self.first) <= INSTALLED
        return begun and (self.last == 'newest' or Version(self.last) >= INSTALLED)


ENTRIES = [
    Entry(*line)
    for line in re.findall(
        r'^([A-Za-z]+\.\w+) +(oldest|[\d.]+) +(newest|[\d.]+) +\S', base_package.__doc__ or '', re.MULTILINE
    )
]


@pytest.fixture(scope='module')
def owners() -> Mapping[str, Any]:
    """Return the base package's own objects, as none of ours may hide that one has lost something."""
    instance = {'openmetrics_endpoint': 'http://127.0.0.1:4000/metrics/'}
    check = OpenMetricsBaseCheckV2('openmetrics', {}, [instance])
    scraper = OpenMetricsScraper(check, instance)
    return {
        'AgentCheck': check,
        'AggregatorStub': aggregator,
        'AuthTokenHandler': AuthTokenHandler,
        'AuthTokenOAuthReader': AuthTokenOAuthReader(
            {'url': 'http://127.0.0.1/', 'client_id': 'a', 'client_secret': 'b'}
        ),
        'DatadogAgentStub': datadog_agent,
        'EnvVars': EnvVars,
        'HTTPConnectionPool': HTTPConnectionPool('127.0.0.1'),
        'LabelAggregator': labels.LabelAggregator(check, {'target_info': True}),
        'MetricTransformer': scraper.metric_transformer,
        'OpenMetricsScraper': scraper,
        'RequestsWrapper': scraper.http,
        'transform': transform,
        'utils': utils,
    }


@pytest.mark.parametrize('entry', ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_a_private_part_of_the_base_package_is_there_exactly_as_long_as_we_say(
    entry: Entry, owners: Mapping[str, Any]
) -> None:
    owner, _, name = entry.name.partition('.')

    # Not `hasattr`: the scraper has all attributes of its check.
    is_there = any(name in vars(holder) for holder in _holders(owners[owner]))

    assert is_there == entry.is_due()


def test_each_line_of_the_table_is_an_entry() -> None:
    _, table = (base_package.__doc__ or '').split('\nEntry ')

    assert len(ENTRIES) == len(table.strip().splitlines()) - 1


def test_no_other_module_uses_a_private_part_of_the_base_package() -> None:
    private = {entry.name.partition('.')[2] for entry in ENTRIES}
    package = Path(base_package.__file__).parent
    modules = [path for path in package.rglob('*.py') if path != Path(base_package.__file__)]

    used = {
        (path.name, node.attr)
        for path in modules
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr.startswith('_') and not node.attr.startswith('__')
        # What is private to the class at hand is its own, unless the base package has it.
        if not (isinstance(node.value, ast.Name) and node.value.id == 'self' and node.attr not in private)
        # The methods of named tuples are public in spite of their names.
        if not hasattr(NamedTuple('NamedTuple', []), node.attr)
    }

    assert used == set()


def _holders(owner: Any) -> list[Any]:
    classes = owner.__mro__ if isinstance(owner, type) else (owner, *type(owner).__mro__)
    return [holder for holder in classes if hasattr(holder, '__dict__')]
