"""Labels that families share with others become tags of the present, and what is counted stays exact when they change.

By hand on pages that a test writes, and by the histories of `support/histories.py` on proxies whose every page shares
another label than the one before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import AgentModel, Context, Flush
from tests.support.endpoint import OPENMETRICS, PROMETHEUS
from tests.support.histories import HISTORIES, History, case
from tests.support.simulated_proxy import PageServer, SimulatedProxy
from tests.support.watch import LATENCY, REQUESTS, WORKERS, Watch, every_label, play_step, steps, true_counts

BUILD = 'litellm_build'
STATE = 'litellm_deployment_state'
REQUESTS_COUNT = 'litellm.proxy.total_requests.metric.count'

FROM_EACH_PAGE = {'share_labels': {BUILD: True}, 'cache_shared_labels': False}

Counts = dict[tuple[str, ...], float]


class Pages:
    """A check of a page that shows whatever a test lets it show."""

    def __init__(self, server: PageServer, **options: Any) -> None:
        self._server = server
        self.agent = AgentModel()
        instance = {
            'openmetrics_endpoint': server.url,
            'tag_by_endpoint': False,
            'collect_readiness': False,
            'idle_counts': 'never',
            **options,
        }
        self.check = LitellmCheck('litellm', {}, [instance])

    def see(self, *families: str) -> Flush:
        """Return what the Agent flushes of a page with these families."""
        self._server.page = ''.join(families)
        return self.agent.run(self.check)

    def count(self, *families: str) -> Counts:
        """Return what it flushes of the requests, by their tags."""
        flush = self.see(*families)
        assert not flush.error
        return {
            tuple(sorted(context.tags)): value
            for context, value in flush.counts.items()
            if context.name == REQUESTS_COUNT
        }


def build(**labels: str) -> str:
    return gauge(BUILD, 1, **labels)


def gauge(family: str, value: float = 1, /, **labels: str) -> str:
    return f'# TYPE {family} gauge\n{family}{_text(labels)} {value}\n'


def requests(*values: float, **labels: str) -> str:
    """Return a family with a series for each value, which differ in `key`."""
    lines = [f'{REQUESTS}_total{_text({**labels, "key": str(key)})} {value}\n' for key, value in enumerate(values)]
    return f'# TYPE {REQUESTS}_total counter\n{"".join(lines)}'


def _text(labels: dict[str, str]) -> str:
    parts = ','.join(f'{name}="{value}"' for name, value in labels.items())
    return f'{{{parts}}}'


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as one:
        yield one


def test_what_happened_goes_to_the_context_with_the_label_of_its_page(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE)

    assert pages.count(requests(40), build(version='1')) == {}
    assert pages.count(requests(43), build(version='1')) == {('key:0', 'version:1'): 3}
    assert pages.count(requests(47), build(version='2')) == {('key:0', 'version:2'): 4}
    assert pages.count(requests(48), build(version='1')) == {('key:0', 'version:1'): 1}
    assert pages.count(requests(50)) == {('key:0',): 2}


@pytest.mark.parametrize('is_first', [True, False])
def test_the_first_page_shares_its_labels_wherever_they_are_on_it(server: PageServer, is_first: bool) -> None:
    families = [gauge(STATE, model='a'), build(version='1')]

    flush = Pages(server, share_labels={BUILD: True}).see(*reversed(families) if is_first else families)

    assert flush.gauges[Context('litellm.deployment.state', frozenset({'model:a', 'version:1'}))] == 1


def test_labels_are_those_of_the_first_page_by_default(server: PageServer) -> None:
    pages = Pages(server, share_labels={BUILD: True})
    pages.count(requests(40), build(version='1'))

    assert pages.count(requests(41, 5), build(version='2')) == {
        ('key:0', 'version:1'): 1,
        ('key:1', 'version:1'): 5,
    }


def test_a_page_of_something_else_is_not_the_first_one(server: PageServer) -> None:
    pages = Pages(server, share_labels={BUILD: True})
    assert pages.see('# TYPE other gauge\nother 1\n', build(version='0').replace('litellm', 'other')).error
    assert pages.see('<html>').error
    pages.count(requests(40), build(version='1'))

    assert pages.count(requests(41)) == {('key:0', 'version:1'): 1}


def test_only_series_that_match_share_a_label(server: PageServer) -> None:
    share = {BUILD: {'match': ['model'], 'labels': ['version'], 'values': [1]}}
    pages = Pages(server, share_labels=share, cache_shared_labels=False)
    builds = f'{build(model="a", version="1", zone="x")}{BUILD}{{model="b",version="2"}} 0\n'
    pages.count(builds, requests(40, model='a'), requests(7, model='b'))

    assert pages.count(builds, requests(41, model='a'), requests(9, model='b')) == {
        ('key:0', 'model:a', 'version:1'): 1,
        ('key:0', 'model:b'): 2,
    }


@pytest.mark.parametrize(
    ('options', 'keys'),
    [
        ({'exclude_personal_labels': True}, ('a' * 64, 'b' * 64)),
        ({'drop_empty_labels': True}, ('None', 'None')),
        ({'exclude_labels': ['hashed_api_key']}, ('in-clear', 'in-clear-too')),
    ],
)
@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
def test_a_label_to_match_that_does_not_leave_matches_nothing(
    server: PageServer, options: dict[str, Any], keys: tuple[str, str], stock: bool
) -> None:
    share = {BUILD: {'match': ['hashed_api_key'], 'labels': ['version']}}
    # With the scraper of the base package, `exclude_labels` is its own, and comes behind what is shared.
    pages = Pages(server, share_labels=share, use_stock_scraper=stock, **options)
    builds = build(hashed_api_key=keys[0], version='1') + build(hashed_api_key=keys[1], version='2')
    pages.count(builds, requests(40, model='a', hashed_api_key=keys[0]))

    ((tags, count),) = pages.count(builds, requests(41, model='a', hashed_api_key=keys[0])).items()
    assert count == 1
    assert not any(tag.startswith('version:') for tag in tags)


def test_a_label_that_takes_the_place_of_others_sums_their_series(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE)
    pages.count(requests(40, 50), build(version='1'))

    assert pages.count(requests(41, 52), build(key='all')) == {('key:all',): 3}
    assert pages.count(requests(45, 52), build(key='all')) == {('key:all',): 4}
    assert pages.count(requests(46, 54), build(version='1')) == {('key:0', 'version:1'): 1, ('key:1', 'version:1'): 2}


def test_what_happens_while_a_shared_label_excludes_a_series_is_not_sent_later(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE, exclude_metrics_by_labels={'version': ['^2$']})
    pages.count(requests(40), gauge(STATE), build(version='2'))
    assert pages.count(requests(42), gauge(STATE), build(version='2')) == {}
    assert 'litellm.deployment.state' not in {context.name for context in pages.agent.gauges}
    assert pages.count(requests(43), build(version='1')) == {('key:0', 'version:1'): 1}
    assert pages.count(requests(45), build(version='2')) == {}
    assert pages.count(requests(49), build(version='2')) == {}
    for _ in range(12):
        assert pages.count(requests(49, 3), build(version='2')) == {}
    assert pages.count(requests(52, 4), build(version='1')) == {('key:0', 'version:1'): 3, ('key:1', 'version:1'): 1}


def test_the_zeros_of_idle_counts_have_the_labels_of_today(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE, idle_counts='always')
    pages.count(requests(40, 5), build(version='1'))

    assert pages.count(requests(40), build(version='2')) == {('key:0', 'version:2'): 0}


def test_contexts_with_other_tags_are_new_to_the_limit(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE, max_contexts=2, idle_counts='always')
    pages.count(requests(1, 1, 1), build(key='all'))
    assert pages.count(requests(2, 2, 2), build(key='all')) == {('key:all',): 3}

    assert pages.count(requests(3, 3, 3), build(version='1')) == {('key:0', 'version:1'): 1, ('key:1', 'version:1'): 1}
    assert pages.count(requests(4, 4, 4), build(key='all')) == {('key:all',): 3}


def test_series_that_a_shared_label_excludes_take_no_room(server: PageServer) -> None:
    share = {BUILD: {'match': ['model'], 'labels': ['version']}}
    pages = Pages(
        server, share_labels=share, exclude_metrics_by_labels={'version': True}, max_contexts=1, idle_counts='always'
    )
    excluding = build(model='a', version='1')
    pages.count(excluding, requests(1, 1, 1, model='a'), f'{REQUESTS}_total{{model="b"}} 1\n')

    assert pages.count(excluding, requests(1, 1, 2, model='a'), f'{REQUESTS}_total{{model="b"}} 3\n') == {
        ('model:b',): 2
    }
    assert pages.agent.gauge('litellm.check.contexts_dropped') == 0


def test_the_worker_that_changed_a_state_last_stays_the_one_that_holds(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE)

    def state(first: float, second: float) -> str:
        return f'# TYPE {STATE} gauge\n{STATE}{{pid="1"}} {first}\n{STATE}{{pid="2"}} {second}\n'

    pages.see(state(1, 1), build(version='1'))
    pages.see(state(1, 0), build(version='1'))
    flush = pages.see(state(1, 0), build(version='2'))

    assert flush.gauges[Context('litellm.deployment.state', frozenset({'version:2'}))] == 0


def test_the_bound_of_a_bucket_is_not_shared(server: PageServer) -> None:
    share = {'litellm_redis_latency': True}
    pages = Pages(server, share_labels=share, cache_shared_labels=False)

    def histograms(count: int) -> str:
        return ''.join(
            f'# TYPE {family} histogram\n{family}_bucket{{zone="x",le="0.5"}} {count}\n'
            f'{family}_bucket{{zone="x",le="+Inf"}} {count}\n'
            for family in ('litellm_redis_latency', LATENCY)
        )

    pages.see(histograms(1))
    flush = pages.see(histograms(3))

    bounded = frozenset({'zone:x', 'upper_bound:0.5'})
    assert flush.counts == {
        Context('litellm.redis.latency.bucket', bounded): 2,
        Context('litellm.request.total_latency.metric.bucket', bounded): 2,
    }


def test_a_shared_label_may_be_the_hostname(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE, hostname_label='node')

    flush = pages.see(gauge(STATE), build(node='n1'))

    assert flush.gauges[Context('litellm.deployment.state', frozenset({'node:n1'}), 'n1')] == 1


def test_labels_are_forgotten_with_their_series(server: PageServer) -> None:
    pages = Pages(server, **FROM_EACH_PAGE)
    for page in range(60):
        pages.count(requests(*[1] * 50, page=str(page)), build(version=str(page)))

    (scraper,) = pages.check.scrapers.values()
    assert len(scraper._table._labels) < 20 * 50


TARGETS = {
    'text': (PROMETHEUS, '# TYPE target_info gauge\ntarget_info{%s} 1\n', ''),
    'OpenMetrics': (OPENMETRICS, '# TYPE target info\ntarget_info{%s} 1\n', '# EOF\n'),
}


@pytest.mark.parametrize('form', TARGETS)
def test_a_target_shares_the_labels_that_it_had_last(form: str) -> None:
    content_type, target, end = TARGETS[form]
    with PageServer('', content_type) as server:
        pages = Pages(server, target_info=True)

        def count(value: float, *families: str) -> Counts:
            family = f'# TYPE {REQUESTS} counter\n{REQUESTS}_total {value}\n'
            if content_type == PROMETHEUS:
                family = family.replace(' counter', '_total counter')
            return pages.count(family, *families, end)

        assert count(40, target % 'zone="a"') == {}
        assert count(41, target % 'zone="a"') == {('zone:a',): 1}
        assert count(43, target % 'zone="b",rack="7"') == {('rack:7', 'zone:b'): 2}
        assert count(46) == {('rack:7', 'zone:b'): 3}
        assert count(50, target % '') == {(): 4}


def test_a_target_that_changes_lets_what_else_is_shared_stay_as_on_the_first_page(server: PageServer) -> None:
    pages = Pages(server, target_info=True, share_labels={BUILD: True})
    target = TARGETS['text'][1]
    pages.count(requests(40), build(version='1'), target % 'zone="a"')

    assert pages.count(requests(41), build(version='2'), target % 'zone="b"') == {('key:0', 'version:1', 'zone:b'): 1}


def test_a_target_is_the_first_of_several(server: PageServer) -> None:
    pages = Pages(server, target_info=True)
    targets = TARGETS['text'][1] % 'zone="a"' + 'target_info{zone="b",rack="7"} 1\n'
    pages.count(requests(40), targets)

    assert pages.count(requests(41), targets) == {('key:0', 'zone:a'): 1}


def test_shared_labels_come_with_pages_that_are_asked_for_by_name() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck, exclude_metric_groups=['tokens'], **FROM_EACH_PAGE)
        for version in '123':
            if proxy.has(BUILD, version=str(int(version) - 1)):
                proxy.forget(BUILD, version=str(int(version) - 1))
            proxy.set(BUILD, 1, version=version)
            proxy.count(REQUESTS, model='a')
            flush = watch.scrape()

        assert 'name%5B%5D' in proxy.paths[-1]
        assert flush.counts[Context(REQUESTS_COUNT, frozenset({'model:a', 'version:3'}))] == 1


# The histories.


class Rebuilt(SimulatedProxy):
    """Proxies whose every answer has another label to share."""

    version = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.has(BUILD, self.answering, version=f'{self.version}'):
            self.forget(BUILD, self.answering, version=f'{self.version}')
        self.version += 1
        self.set(BUILD, 1, self.answering, version=f'{self.version}')
        super().answer(request)


def counts_of_all_versions(watch: Watch) -> dict[Context, float]:
    totals: defaultdict[Context, float] = defaultdict(float)
    for context, value in watch.counts().items():
        tags = frozenset(tag for tag in context.tags if not tag.startswith('version:'))
        totals[context._replace(tags=tags)] += value
    return dict(totals)


@pytest.mark.parametrize('one', HISTORIES, ids=case)
def test_every_event_reaches_datadog_exactly_once_with_a_label_of_its_page(one: History) -> None:
    with Rebuilt(**one.proxy) as proxy:
        watch = Watch(proxy, LitellmCheck, **one.options, **FROM_EACH_PAGE)
        requests = one.play(proxy, watch)

        assert counts_of_all_versions(watch) == true_counts(proxy, one.tags_of)
        assert watch.requests() == requests


@given(st.lists(steps, max_size=30), st.booleans(), st.sampled_from([[], ['key']]))
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_event_of_a_random_history_reaches_datadog_exactly_once(
    after: list[Any], openmetrics: bool, dropped: list[str]
) -> None:
    with Rebuilt(WORKERS) as proxy:
        watch = Watch(proxy, LitellmCheck, exclude_labels=dropped, use_latest_spec=openmetrics, **FROM_EACH_PAGE)
        watch.scrape()
        for step in after:
            play_step(proxy, watch, step)
        for worker in range(WORKERS):
            watch.scrape(worker)

        kept = every_label if not dropped else lambda labels: every_label(labels[1:])
        assert counts_of_all_versions(watch) == true_counts(proxy, kept)
