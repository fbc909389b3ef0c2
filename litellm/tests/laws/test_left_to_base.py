"""A family with a type that only the base package knows is left to it alone: all others are counted exactly.

`test_same_as_stock.py` has what each of these types submits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.scrapers.exact import ExactScraper
from tests.support.agent_model import AgentModel, Context, Flush
from tests.support.simulated_proxy import PageServer, SimulatedProxy
from tests.support.watch import REQUESTS, Watch

USED = 'litellm_used_seconds'
REQUESTS_COUNT = 'litellm.proxy.total_requests.metric.count'

RATE = {USED: {'name': 'used', 'type': 'rate'}}


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as one:
        yield one


class Pages:
    """A check of a page that shows whatever a test lets it show."""

    def __init__(self, server: PageServer, *extra_metrics: Any, **options: Any) -> None:
        self._server = server
        self.agent = AgentModel()
        instance = {'openmetrics_endpoint': server.url, 'tag_by_endpoint': False, 'collect_readiness': False, **options}
        self.check = LitellmCheck('litellm', {}, [{**instance, 'extra_metrics': list(extra_metrics)}])

    def see(self, page: str) -> Flush:
        self._server.page = page
        return self.agent.run(self.check)


def gauge(**values: float) -> str:
    lines = [f'{USED}{{model="a",user="{user}"}} {value}\n' for user, value in values.items()]
    return f'# TYPE {USED} gauge\n{"".join(lines)}'


def requests(value: float, **labels: str) -> str:
    text = ','.join(f'{name}="{label}"' for name, label in labels.items())
    return f'# TYPE {REQUESTS}_total counter\n{REQUESTS}_total{{{text}}} {value}\n'


def test_other_families_are_counted_exactly_and_nothing_warns(server: PageServer) -> None:
    pages = Pages(server, RATE, exclude_labels=['user'])
    two = f'{REQUESTS}_total{{user="ben"}} 1000\n'
    pages.see(gauge(ann=1) + requests(40, user='ann') + two)
    flush = pages.see(gauge(ann=4) + requests(41, user='ann'))

    assert flush.counts == {Context(REQUESTS_COUNT, frozenset()): 1}
    assert flush.gauges[Context('litellm.used', frozenset({'model:a'}))] == 3
    assert not pages.check.get_warnings()
    assert isinstance(next(iter(pages.check.scrapers.values())), ExactScraper)


def test_series_that_become_identical_are_merged(server: PageServer) -> None:
    counter = f'# TYPE {USED}_total counter\n{USED}_total{{user="ann"}} %s\n{USED}_total{{user="ben"}} %s\n'
    pages = Pages(server, RATE, exclude_personal_labels=True)
    pages.see(requests(1) + counter % (1, 10))
    flush = pages.see(requests(1) + counter % (2, 15))

    assert flush.gauges[Context('litellm.used', frozenset())] == 6


def test_no_limit_is_no_value(server: PageServer) -> None:
    flush = Pages(server, {USED: {'name': 'used', 'type': 'counter_gauge'}}).see(
        requests(1) + gauge(ann=2.0**63, ben=2)
    )

    assert {context.tags for context in flush.gauges if context.name == 'litellm.used.total'} == {
        frozenset({'model:a', 'user:ben'})
    }


def test_a_pattern_gives_a_type_to_families_whether_they_are_declared_or_not(server: PageServer) -> None:
    pages = Pages(server, {'^litellm_used_': {'type': 'rate'}})
    page = requests(1) + '# TYPE litellm_used_a gauge\nlitellm_used_a %s\nlitellm_used_b %s\n'
    pages.see(page % (1, 10))
    flush = pages.see(page % (3, 14))

    rates = {context.name: value for context, value in flush.gauges.items() if '_used_' in context.name}
    assert rates == {'litellm.litellm_used_a': 2, 'litellm.litellm_used_b': 4}


@pytest.mark.parametrize(
    'family', [f'{USED}_total %s\n# TYPE {USED}_total counter\n', f'{USED}_count %s\n# TYPE {USED} histogram\n']
)
def test_lines_that_came_before_their_type_are_submitted_from_the_next_page_on(server: PageServer, family: str) -> None:
    pages = Pages(server, RATE)
    for value in (1, 3, 6):
        flush = pages.see(requests(1) + family % value)

    assert flush.gauges[Context('litellm.used', frozenset())] == 3


@pytest.mark.parametrize('telemetry', [False, True])
def test_all_buckets_of_a_histogram_are_submitted(server: PageServer, telemetry: bool) -> None:
    pages = Pages(server, RATE, telemetry=telemetry)
    line = f'{USED}_bucket{{model="%s",le="%s"}} %s\n'
    for factor in (1, 3):
        buckets = ''.join(line % (model, bound, factor * bound) for model in 'ab' for bound in (1.0, 2.0))
        flush = pages.see(f'{requests(1)}# TYPE {USED} histogram\n{buckets}')

    assert {context.tags: value for context, value in flush.gauges.items() if context.name == 'litellm.used'} == {
        frozenset({f'model:{model}', f'upper_bound:{bound}'}): 2 * bound for model in 'ab' for bound in (1.0, 2.0)
    }


def test_samples_that_are_left_out_and_forgotten_are_not_submitted(server: PageServer) -> None:
    pages = Pages(server, RATE)
    for number in range(12):
        flush = pages.see(requests(1) + gauge(**({'ann': number} if number < 2 else {}), ben=2 * number))

    assert {
        tuple(sorted(context.tags)): value for context, value in flush.gauges.items() if context.name == 'litellm.used'
    } == {('model:a', 'user:ben'): 2}


def test_an_error_of_the_base_package_costs_no_other_family(server: PageServer) -> None:
    """The label that it looks for is not there, in two of three families."""
    versions = {f'litellm_{name}': {'name': name, 'type': 'metadata', 'label': 'version'} for name in ('a', 'b')}
    pages = Pages(server, versions, RATE)
    builds = ''.join(f'# TYPE {family} gauge\n{family}{{other="1"}} 1\n' for family in versions)
    pages.see(requests(40) + builds + gauge(ann=1))
    flush = pages.see(requests(42) + builds + gauge(ann=4))

    assert not flush.error
    assert flush.counts == {Context(REQUESTS_COUNT, frozenset()): 2}
    assert flush.gauges[Context('litellm.used', frozenset({'model:a', 'user:ann'}))] == 3
    assert [warning for warning in pages.check.get_warnings() if '2 families' in warning and '(KeyError)' in warning]


def test_shared_labels_are_those_of_the_other_families_too(server: PageServer) -> None:
    pages = Pages(server, RATE, share_labels={'litellm_build': True})
    build = '# TYPE litellm_build gauge\nlitellm_build{version="1"} 1\n'
    pages.see(requests(1) + gauge(ann=1) + build)
    flush = pages.see(requests(1) + gauge(ann=3) + build)

    assert flush.gauges[Context('litellm.used', frozenset({'model:a', 'user:ann', 'version:1'}))] == 2


def test_what_is_left_to_the_base_package_is_asked_for_by_name() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck, exclude_metric_groups=['tokens'], extra_metrics=[RATE])
        for value in (1, 2, 4):
            proxy.set(USED, value)
            flush = watch.scrape()

        assert f'name%5B%5D={USED}' in proxy.paths[-1]
        assert flush.gauges[Context('litellm.used', frozenset())] == 2
