"""Have the Agent flush what it does with the base package's own scraper, to the last digit, if no fault is in play.

Both checks scrape the same pages: one that a long-lived proxy would send and one of a little later, with counts gone
up, gauges moved and new series. What is compared is all that the Agent would flush after both scrapes, with type, name,
value, tags and hostname, and the service checks; see `agent_model`.

"No fault in play" means, for these pages: no two series get the same tags, nothing starts over or disappears, an
OpenMetrics page has no `_created` samples (the stock scraper submits them as counts), no gauge says "no limit", no
gauge has a `pid` label, and families that share their labels come first and share the same ones on both pages.
"""

from __future__ import annotations

import gzip
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.base.stubs import aggregator, datadog_agent
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.mapping.labels import stored_tag
from datadog_checks.litellm.metrics import NO_LIMIT
from tests.support.agent_model import AgentModel, Flush, ServiceCheck, Submissions, recorded
from tests.support.passing import passing_at_once
from tests.support.simulated_proxy import PageServer
from tests.support.stock_check import StockCheck

TEXT = 'text/plain; version=0.0.4; charset=utf-8'

REQUESTS = 'litellm_proxy_total_requests_metric'
SPEND = 'litellm_spend_metric'
REMAINING = 'litellm_remaining_requests_metric'
STATE = 'litellm_deployment_state'
LATENCY = 'litellm_request_total_latency_metric'


# Pages.


class Series(NamedTuple):
    """A series on two pages; without a first value it is new on the second page."""

    labels: dict[str, str]
    first: float | None
    second: float


class Family(NamedTuple):
    name: str
    type: str
    series: list[Series]


BOUNDS = (0.005, 0.5, 10.0, 600.0, float('inf'))


class Pages(NamedTuple):
    first: str
    second: str
    content_type: str


def render(families: list[Family], openmetrics: bool, created: bool) -> Pages:
    """Render both pages with prometheus_client, `created` with the `_created` families of the text exposition."""
    now = time.time() if created and not openmetrics else None
    first, second = (_render([_metric(family, page, now) for family in families], openmetrics) for page in (0, 1))
    return Pages(first, second, OPENMETRICS if openmetrics else TEXT)


def _render(metrics: list[Metric], openmetrics: bool) -> str:
    class Collector:
        def collect(self) -> Iterator[Metric]:
            yield from metrics

    registry = CollectorRegistry()
    registry.register(Collector())
    return (generate_openmetrics if openmetrics else generate_text)(registry).decode()


def _metric(family: Family, page: int, now: float | None) -> Metric:
    metric = Metric(family.name, 'What it "says": \\ and\na second line.', family.type)
    name = family.name
    for number, series in enumerate(family.series):
        value = series.second if page else series.first
        if value is None:
            continue
        if family.type == 'counter':
            metric.add_sample(f'{name}_total', series.labels, value)
        elif family.type == 'histogram':
            # The value is the number of observations, half of which are in the second bucket.
            count = int(value)
            for bound, up_to in zip(BOUNDS, (0, count // 2, count // 2, count, count), strict=True):
                metric.add_sample(f'{name}_bucket', {**series.labels, 'le': floatToGoString(bound)}, up_to)
            metric.add_sample(f'{name}_count', series.labels, count)
            metric.add_sample(f'{name}_sum', series.labels, count * 0.37)
        elif family.type == 'summary':
            metric.add_sample(f'{name}_count', series.labels, value)
            metric.add_sample(f'{name}_sum', series.labels, value / 3)
        else:
            metric.add_sample(name, series.labels, value)
        if now is not None and family.type in ('counter', 'histogram', 'summary'):
            # A day ago, or between the two scrapes.
            created = now + (-86400 if series.first is not None else 60) + number / 7
            metric.add_sample(f'{name}_created', series.labels, created)
    return metric


class Run(NamedTuple):
    """The outcome of one scrape: what the Agent flushes, and the service checks."""

    flush: Flush
    service_checks: list[ServiceCheck]


def runs(check_class: type[OpenMetricsBaseCheckV2], pages: Pages, options: dict[str, Any]) -> list[Run]:
    """Return what comes of a check's scrapes of two pages, two minutes apart; raise what goes wrong."""
    clock = time.monotonic
    agent = AgentModel()
    with PageServer('', pages.content_type) as server:
        # The other endpoints of a proxy are asked by ours only, and only ours can leave out what did not move.
        instance = {'openmetrics_endpoint': server.url, 'collect_readiness': False, 'idle_counts': 'always', **options}
        check = check_class('litellm', {}, [instance])
        found = []
        for page, later in ((pages.first, 0), (pages.second, 120)):
            server.page, server.ahead = page, later
            with recorded() as run, patch('time.monotonic', lambda later=later: clock() + later):
                if error := check.run():
                    raise ValueError(error)
            hide_endpoint(run, server.url)
            found.append(Run(agent.commit(run), run.service_checks))
        return found


def hide_endpoint(run: Submissions, url: str) -> None:
    """Let submissions to two servers be compared."""

    def hidden(tags: tuple[str, ...]) -> tuple[str, ...]:
        return tuple('endpoint:URL' if tag == f'endpoint:{url}' else tag for tag in tags)

    run.samples[:] = [sample._replace(tags=hidden(sample.tags)) for sample in run.samples]
    run.buckets[:] = [bucket._replace(tags=hidden(bucket.tags)) for bucket in run.buckets]
    run.service_checks[:] = [check._replace(tags=hidden(check.tags), message='') for check in run.service_checks]


def assert_same(ours: list[Run], stock: list[Run]) -> None:
    differences = []
    for number, (our_run, stock_run) in enumerate(zip(ours, stock, strict=True), 1):
        for kind in ('counts', 'gauges', 'buckets'):
            of_ours, of_stock = (Counter(getattr(run.flush, kind).items()) for run in (our_run, stock_run))
            differences += [f'only ours, scrape {number}, {kind}: {each}' for each in (of_ours - of_stock).elements()]
            differences += [f'only stock, scrape {number}, {kind}: {each}' for each in (of_stock - of_ours).elements()]
        if Counter(our_run.service_checks) != Counter(stock_run.service_checks):
            differences.append(f'scrape {number}: {our_run.service_checks} is not {stock_run.service_checks}')
    assert not differences, '\n'.join(differences)


# The options.

ORDINARY = [
    Family(
        'litellm_build',
        'gauge',
        [Series({'version': '1.106.2', 'model': 'gpt-5'}, 1, 1), Series({'version': '0', 'model': 'o9'}, 0, 0)],
    ),
    Family(
        REQUESTS,
        'counter',
        [
            Series({'id': '1', 'model': 'gpt-5', 'team': 'red', 'user': 'None', 'host': 'a'}, 40, 47),
            Series({'id': '2', 'model': 'gpt-5', 'team': 'blue', 'user': 'x@y.z', 'host': 'b'}, 3, 3),
            Series({'id': '3', 'model': 'o9', 'team': '', 'user': 'None', 'host': 'a'}, None, 2),
        ],
    ),
    Family(SPEND, 'counter', [Series({'id': '4', 'model': 'gpt-5', 'team': 'red'}, 0.125, 1e-05 + 0.125)]),
    Family(
        REMAINING,
        'gauge',
        [
            Series({'id': '5', 'model': 'gpt-5', 'host': 'a'}, 9000, 10),
            Series({'id': '6', 'model': 'o9', 'host': 'b'}, float('nan'), 0),
            Series({'id': '7', 'model': 'o9', 'host': 'b'}, 3.5, float('-inf')),
        ],
    ),
    Family(STATE, 'gauge', [Series({'id': '8', 'model': 'gpt-5', 'team': 'red'}, 0, 2)]),
    Family('litellm_in_flight_requests', 'gauge', [Series({}, 4, 5)]),
    Family(
        LATENCY,
        'histogram',
        [
            Series({'id': '9', 'model': 'gpt-5', 'team': 'red', 'host': 'a'}, 10, 14),
            Series({'id': '10', 'model': 'o9', 'team': 'blue', 'host': 'b'}, None, 3),
        ],
    ),
    Family('litellm_nobody_knows_this_metric', 'counter', [Series({'id': '11'}, 1, 2)]),
    Family('litellm_custom_gauge', 'gauge', [Series({'id': '12', 'model': 'gpt-5'}, 1, 2)]),
    Family('litellm_custom_summary', 'summary', [Series({'id': '13', 'model': 'gpt-5'}, 8, 9)]),
    Family('litellm_untyped', 'unknown', [Series({'id': '14'}, 1, 2)]),
    Family('process_start_time_seconds', 'gauge', [Series({}, 1.7e9, 1.7e9)]),
]

OPTIONS: dict[str, dict[str, Any]] = {
    'none': {},
    'exclude_labels': {'exclude_labels': ['user', 'team', 'absent']},
    'include_labels': {'include_labels': ['id', 'model', 'upper_bound']},
    'include_labels without the bound': {'include_labels': ['id'], 'collect_histogram_buckets': False},
    'exclude_labels and include_labels': {'include_labels': ['id', 'upper_bound', 'user'], 'exclude_labels': ['user']},
    'rename_labels': {'rename_labels': {'model': 'llm', 'upper_bound': 'le', 'absent': 'x'}},
    'exclude_metrics': {'exclude_metrics': [SPEND, LATENCY]},
    'exclude_metrics by pattern': {'exclude_metrics': ['^litellm_(spend|request_total)_', 'state$']},
    'exclude_metrics_by_labels': {'exclude_metrics_by_labels': {'team': ['^blue$', 'gr.en'], 'version': True}},
    'exclude_metrics_by_labels of all': {'exclude_metrics_by_labels': {'model': True}},
    'extra_metrics': {
        'extra_metrics': [
            'litellm_custom_gauge',
            {'litellm_custom_summary': 'custom.summary', 'litellm_nobody_knows_this_metric': {'name': 'nobody.knows'}},
        ]
    },
    # The patterns do not match `_created` families of text pages, which only the stock scraper would submit.
    'extra_metrics by pattern': {'extra_metrics': ['^litellm_custom_.+e$', {'_this_metric$': {'type': 'counter'}}]},
    'extra_metrics by pattern, not cached': {
        'extra_metrics': ['^litellm_custom_.+e$'],
        'cache_metric_wildcards': False,
    },
    'extra_metrics over a mapped one': {'extra_metrics': [{SPEND: 'money', STATE: {'name': 'state', 'type': 'gauge'}}]},
    **{
        f'extra_metrics with {family} as {type_}': {
            'extra_metrics': [{family: {'name': 'x', 'type': type_, **modifiers}}]
        }
        for type_, family, modifiers in (
            ('counter', 'litellm_nobody_knows_this_metric', {}),
            ('counter', 'litellm_untyped', {}),
            ('counter_gauge', 'litellm_custom_summary', {}),
            ('gauge', 'litellm_untyped', {}),
            ('gauge', 'litellm_custom_gauge', {}),
            ('gauge', REQUESTS, {}),
            ('histogram', LATENCY, {}),
            ('histogram', 'litellm_custom_gauge', {}),
            ('histogram', REQUESTS, {}),
            ('metadata', 'litellm_build', {'label': 'version'}),
            ('native_dynamic', 'litellm_custom_gauge', {}),
            ('rate', 'litellm_custom_gauge', {}),
            ('service_check', 'litellm_custom_gauge', {'status_map': {'1': 'OK', '2': 'CRITICAL'}}),
            ('summary', 'litellm_custom_summary', {}),
            ('summary', 'litellm_untyped', {}),
            ('summary', LATENCY, {}),
            ('temporal_percent', 'litellm_custom_gauge', {'scale': 'second'}),
            ('time_elapsed', 'litellm_custom_gauge', {}),
        )
    },
    'metrics': {'metrics': [{REQUESTS: 'my.requests', LATENCY: 'my.latency'}]},
    'hostname_label': {'hostname_label': 'host'},
    'hostname_format': {'hostname_label': 'host', 'hostname_format': 'proxy-<HOSTNAME>.example'},
    'hostname_label that is excluded': {'hostname_label': 'host', 'exclude_labels': ['host']},
    'tags': {'tags': ['env:test', 'team:all', 'bare']},
    'tag_by_endpoint': {'tag_by_endpoint': False},
    'ignore_tags': {'tags': ['env:test', 'pod:1'], 'ignore_tags': ['^pod:', '^endpoint:']},
    'raw_metric_prefix': {'raw_metric_prefix': 'litellm_', 'metrics': [{'spend_metric': 'money', STATE: 'state'}]},
    'raw_metric_prefix and exclude_metrics': {
        'raw_metric_prefix': 'litellm_',
        'metrics': ['^.+_metric$'],
        'exclude_metrics': ['spend_metric'],
    },
    'raw_line_filters': {'raw_line_filters': ['id="[24]"', '^litellm_deployment_state']},
    'raw_line_filters on TYPE': {'raw_line_filters': [f'^# TYPE {SPEND}', f'^# TYPE {STATE}']},
    'telemetry': {'telemetry': True, 'exclude_metrics': [SPEND], 'raw_line_filters': ['id="2"']},
    'share_labels': {'share_labels': {'litellm_build': {'labels': ['version'], 'match': ['model'], 'values': [1]}}},
    'share_labels of all': {'share_labels': {'litellm_build': True}, 'exclude_metrics': ['litellm_build']},
    'share_labels, not cached': {
        'share_labels': {'litellm_build': {'labels': ['version'], 'match': ['model']}},
        'cache_shared_labels': False,
    },
    'target_info': {'target_info': True},
    'collect_histogram_buckets': {'collect_histogram_buckets': False},
    'histogram_buckets_as_distributions': {'histogram_buckets_as_distributions': True},
    'non_cumulative_histogram_buckets': {'non_cumulative_histogram_buckets': True},
    'collect_counters_with_distributions': {'collect_counters_with_distributions': True},
    'use_process_start_time': {'use_process_start_time': True},
    'ignore_connection_errors': {'ignore_connection_errors': True},
    'enable_health_service_check': {'enable_health_service_check': False},
    'metric_patterns': {'metric_patterns': {'include': ['total'], 'exclude': ['sum$']}},
    'max_returned_metrics': {'max_returned_metrics': 100},
    'min_collection_interval': {'min_collection_interval': 60},
    'headers': {'headers': {'Authorization': 'Bearer x'}},
    'several at once': {
        'exclude_labels': ['user'],
        'rename_labels': {'team': 'squad'},
        'hostname_label': 'host',
        'tags': ['env:test'],
        'exclude_metrics_by_labels': {'squad': ['x'], 'team': ['blue']},
        'extra_metrics': ['litellm_custom_gauge'],
    },
}


@pytest.mark.parametrize('form', ['text', 'text with _created', 'OpenMetrics'])
@pytest.mark.parametrize('name', OPTIONS)
def test_an_option_means_the_same(name: str, form: str) -> None:
    pages = render(ORDINARY, form == 'OpenMetrics', form == 'text with _created')
    options = OPTIONS[name]
    now = time.time()
    with patch('datadog_checks.base.utils.time.epoch_offset', lambda: now), patch('time.time', lambda: now):
        assert_same(runs(LitellmCheck, pages, options), runs(StockCheck, pages, options))


@pytest.mark.skipif(not hasattr(aggregator, 'submit_histogram_bucket_multi'), reason='this base ignores the option')
@pytest.mark.parametrize('extra', [{}, {'rename_labels': {'upper_bound': 'le'}}, {'exclude_labels': ['upper_bound']}])
def test_distributions_without_bounds_mean_the_same(extra: dict[str, Any]) -> None:
    pages = render(ORDINARY, False, False)
    options = {'collect_histograms_as_distributions': True, 'exclude_metrics': ['process_start_time_seconds'], **extra}
    assert_same(runs(LitellmCheck, pages, options), runs(StockCheck, pages, options))


@pytest.mark.parametrize('options', [{}, {'use_latest_spec': True}], ids=str)
def test_openmetrics_means_the_same_whether_asked_for_or_not(options: dict[str, Any]) -> None:
    pages = render(ORDINARY, True, False)
    assert_same(
        runs(LitellmCheck, pages, {**options, 'exclude_metrics': ['process_start_time_seconds']}),
        runs(StockCheck, pages, {**options, 'exclude_metrics': ['process_start_time_seconds']}),
    )


@pytest.mark.parametrize('agent_start', [1.6e9, 1.8e9], ids=['before the proxy', 'after the proxy'])
@pytest.mark.parametrize('form', ['text', 'OpenMetrics'])
def test_use_process_start_time_means_the_same_when_the_agent_started(form: str, agent_start: float) -> None:
    pages = render(ORDINARY, form == 'OpenMetrics', False)
    options = {'use_process_start_time': True, 'exclude_labels': ['user']}
    now = time.time()
    with (
        patch.object(datadog_agent, '_process_start_time', agent_start),
        patch('datadog_checks.base.utils.time.epoch_offset', lambda: now),
    ):
        assert_same(runs(LitellmCheck, pages, options), runs(StockCheck, pages, options))


def test_target_info_means_the_same() -> None:
    families = [
        Family('target', 'info', [Series({'service': 'proxy', 'zone': 'a'}, 1, 1)]),
        *(family for family in ORDINARY if family.name in (REQUESTS, LATENCY, STATE)),
    ]
    first, second = (
        _render([_metric(family, page, None) for family in families], False).replace('target{', 'target_info{')
        for page in (0, 1)
    )
    options = {'target_info': True}
    pages = Pages(first, second, TEXT)
    assert_same(runs(LitellmCheck, pages, options), runs(StockCheck, pages, options))


def refused(check_class: type[OpenMetricsBaseCheckV2], **options: Any) -> tuple[Run, bool]:
    """Scrape where nobody listens; return what was submitted and whether the check run was an error."""
    with PageServer() as server:
        server.stop_listening()
        # The other endpoints of a proxy are asked by ours only.
        instance = {'openmetrics_endpoint': server.url, 'collect_readiness': False, **options}
        check = check_class('litellm', {}, [instance])
        with recorded() as run:
            error = check.run()
        hide_endpoint(run, server.url)
        return Run(AgentModel().commit(run), run.service_checks), bool(error)


@pytest.mark.parametrize('ignore', [False, True])
def test_a_refused_connection_means_the_same(ignore: bool) -> None:
    ours, we_fail = refused(LitellmCheck, ignore_connection_errors=ignore)
    stock, stock_fails = refused(StockCheck, ignore_connection_errors=ignore)
    assert we_fail == stock_fails
    assert_same([ours], [stock])


# Hostile pages.

# What both can read: the stock scraper takes other line separators than a line feed for the end of a line.
characters = st.characters(exclude_categories=['Cs', 'Cc', 'Zl', 'Zp']) | st.sampled_from('\n"\\{}=,# \t')
hostile_texts = st.text(characters, max_size=12) | st.sampled_from(
    [
        '',
        'None',
        '"',
        '\\',
        '\\"',
        '\\n',
        '\\\\n',
        'a\nb',
        '{a="b"}',
        '}',
        ' # ',
        '# TYPE x counter',
        ',',
        '=',
        ' 1 ',
        'é漢😀',
    ]
)
# Of addresses, only the part without secrets leaves: `test_outgoing.py` has that.
label_names = st.sampled_from(['model', 'team', 'model_id', 'route', 'status_code', 'metadata_x', 'le_', 'quantile'])
label_sets = st.dictionaries(label_names, hostile_texts, max_size=4)
amounts = st.integers(0, 10**6) | st.floats(0, 1e12, allow_subnormal=False)
settings_of_gauges = st.floats().filter(lambda value: value not in NO_LIMIT)
NAMES = {
    'counter': [REQUESTS, SPEND, 'litellm_input_tokens_metric', 'llm_deployment_failure_responses', 'unmapped'],
    'gauge': [REMAINING, STATE, 'litellm_in_flight_requests', 'llm_remaining_tokens_metric', 'unmapped_gauge'],
    'histogram': [LATENCY, 'litellm_redis_latency', 'unmapped_histogram'],
}


@st.composite
def series_of(draw: st.DrawFn, type_: str, number: int) -> Series:
    labels = {**draw(label_sets), 'id': str(number)}
    if type_ == 'gauge':
        return Series(labels, draw(st.none() | settings_of_gauges), draw(settings_of_gauges))
    first, rise = draw(st.none() | amounts), draw(amounts)
    return Series(labels, first, (first or 0) + rise)


@st.composite
def pages_of_families(draw: st.DrawFn) -> list[Family]:
    families = []
    for type_, names in NAMES.items():
        for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=3)):
            count = draw(st.integers(1, 4))
            families.append(Family(name, type_, [draw(series_of(type_, number)) for number in range(count)]))
    return draw(st.permutations(families))


random_options = st.fixed_dictionaries(
    {},
    optional={
        'exclude_labels': st.lists(label_names, max_size=3),
        'rename_labels': st.dictionaries(label_names, st.sampled_from(['x', 'y', 'z']), max_size=3),
        'exclude_metrics_by_labels': st.dictionaries(label_names, st.just(True) | st.just(['a', '"$']), max_size=2),
        'hostname_label': label_names,
        'tags': st.lists(st.sampled_from(['env:test', 'team:x', 'bare']), max_size=2),
        'collect_histogram_buckets': st.booleans(),
    },
)


@given(
    pages_of_families(),
    random_options,
    st.sampled_from(['text', 'text with _created', 'OpenMetrics']),
    st.booleans(),
)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_hostile_page_means_the_same(
    families: list[Family], options: dict[str, Any], form: str, pass_at_once: bool
) -> None:
    # A page without any family of LiteLLM is an error here and not in the stock scraper.
    assume(any(family.name.startswith(('litellm_', 'llm_')) for family in families))
    # Of tags that Datadog stores alike, one stands for all.
    labels = {f'{name}:{value}' for family in families for one in family.series for name, value in one.labels.items()}
    assume(len(set(map(stored_tag, labels))) == len(labels))
    pages = render(families, form == 'OpenMetrics', form == 'text with _created')
    try:
        stock = runs(StockCheck, pages, options)
    except ValueError:
        assume(False)
    with passing_at_once(pass_at_once):
        assert_same(runs(LitellmCheck, pages, options), stock)


def test_what_comes_to_be_between_two_pages_means_the_same() -> None:
    # The only evidence is the `Date` of the second page.
    series = Series(labels={'id': '0'}, first=None, second=1.0)
    pages = render([Family(REQUESTS, 'counter', [series])], False, True)
    assert_same(runs(LitellmCheck, pages, {}), runs(StockCheck, pages, {}))


HAND_WRITTEN = {
    'timestamps': f'# TYPE {STATE} gauge\n{STATE}{{model="a"}} 1 1395066363000\n{STATE}{{model="b"}} 2 -3\n',
    'tabs in a TYPE line': f'#\tTYPE\t{STATE}\tgauge\n{STATE} 1\n',
    'no space after the number sign': f'#TYPE {STATE} gauge\n{STATE} 1\n',
    'spaces around labels': f'# TYPE {STATE} gauge\n{STATE} {{ model = "a" , team="b" }} 1\n',
    'a tab before the value': f'# TYPE {STATE} gauge\n{STATE}\t1\n{STATE}{{model="a"}}\t2\n',
    'several spaces before the value': f'# TYPE {STATE} gauge\n{STATE}   1\n{STATE}{{model="a"}}   2\n',
    'spaces at the ends of a line': f'# TYPE {STATE} gauge\n  {STATE} 1  \n \n {STATE}{{model="a"}} 2 \n',
    'no space before the value': f'# TYPE {STATE} gauge\n{STATE}{{model="a"}}2\n',
    'a comma after the last label': f'# TYPE {STATE} gauge\n{STATE}{{model="a",}} 1\n',
    'no labels in braces': f'# TYPE {STATE} gauge\n{STATE}{{}} 1\n',
    'comments and empty lines': f'\n# hello\n#\n\n# TYPE {STATE} gauge\n\n{STATE} 1\n# EOF\n',
    'HELP after TYPE': f'# TYPE {STATE} gauge\n# HELP {STATE} State.\n{STATE} 1\n',
    'no TYPE': f'{STATE} 1\n{REQUESTS}_total 4\n',
    'untyped': f'# TYPE {STATE} untyped\n{STATE} 1\n',
    'a family in two parts': f'# TYPE {STATE} gauge\n{STATE}{{a="1"}} 1\n# TYPE {REMAINING} gauge\n{REMAINING} 2\n'
    f'# TYPE {STATE} gauge\n{STATE}{{a="2"}} 1\n',
    'numbers of all kinds': f'# TYPE {STATE} gauge\n'
    + ''.join(
        f'{STATE}{{n="{number}"}} {value}\n'
        for number, value in enumerate(['1', '-1', '+1', '.5', '1e3', '1E-3', 'NaN', '-Inf', '-0'])
    ),
    'a counter without _total': f'# TYPE {REQUESTS} counter\n{REQUESTS}{{a="1"}} 4\n',
    'a gauge named _total': '# TYPE litellm_remaining_requests_metric_total gauge\n'
    'litellm_remaining_requests_metric_total 4\n',
    'a histogram without buckets': f'# TYPE {LATENCY} histogram\n{LATENCY}_count 4\n{LATENCY}_sum 2\n',
    'bounds of all kinds': f'# TYPE {LATENCY} histogram\n'
    + ''.join(
        f'{LATENCY}_bucket{{le="{bound}"}} 1\n'
        for bound in ('0', '1', '2.50', '1e1', '1E+2', '1000.0', '+Inf', 'Inf', '-inf')
    ),
    'le between other labels': f'# TYPE {LATENCY} histogram\n{LATENCY}_bucket{{a="1",le="0.5",z="\\"le=\\""}} 1\n'
    f'{LATENCY}_count{{a="1",z="\\"le=\\""}} 1\n{LATENCY}_sum{{z="\\"le=\\"",a="1"}} 1\n',
    'unknown escapes': f'# TYPE {STATE} gauge\n{STATE}{{a="x\\y",b="\\\\\\"",c="C:\\temp\\new"}} 1\n',
    'values with braces and commas': f'# TYPE {STATE} gauge\n{STATE}{{a="}}",b="{{,}}",c="a=\\"b\\","}} 1\n',
    'a carriage return before the line feed': f'# TYPE {STATE} gauge\r\n{STATE}{{a="1"}} 1\r\n',
}


@pytest.mark.parametrize('form', HAND_WRITTEN)
def test_a_hand_written_page_means_the_same(form: str) -> None:
    page = HAND_WRITTEN[form]
    pages = Pages(page, page, TEXT)
    assert_same(runs(LitellmCheck, pages, {}), runs(StockCheck, pages, {}))


HAND_WRITTEN_OPENMETRICS = {
    'exemplars': f'# TYPE {LATENCY} histogram\n'
    f'{LATENCY}_bucket{{model="a",le="1.0"}} 3 # {{trace_id="x y"}} 0.5 1520879607.789\n'
    f'{LATENCY}_bucket{{model="a",le="+Inf"}} 4 # {{trace_id="# {{}} 1"}} 2\n'
    f'{LATENCY}_count{{model="a"}} 4\n{LATENCY}_sum{{model="a"}} 2.5\n# EOF\n',
    'an exemplar without labels': f'# TYPE {REQUESTS} counter\n{REQUESTS}_total 3 # {{}} 0.5\n# EOF\n',
    'timestamps': f'# TYPE {STATE} gauge\n{STATE}{{model="a"}} 3 1520879607.789\n# EOF\n',
    'units': f'# TYPE {LATENCY}_seconds histogram\n# UNIT {LATENCY}_seconds seconds\n'
    f'# TYPE {STATE} gauge\n{STATE} 1\n# EOF\n',
    'info and stateset': f'# TYPE litellm_x info\nlitellm_x_info{{a="b"}} 1\n# TYPE {STATE} stateset\n'
    f'{STATE}{{{STATE}="a"}} 1\n# TYPE {REMAINING} gauge\n{REMAINING} 1\n# EOF\n',
    'labels with exemplar marks': f'# TYPE {STATE} gauge\n{STATE}{{a=" # {{b=\\"c\\"}} 1"}} 3\n# EOF\n',
}


@pytest.mark.parametrize('form', HAND_WRITTEN_OPENMETRICS)
def test_a_hand_written_openmetrics_page_means_the_same(form: str) -> None:
    page = HAND_WRITTEN_OPENMETRICS[form]
    pages = Pages(page, page, OPENMETRICS)
    assert_same(runs(LitellmCheck, pages, {}), runs(StockCheck, pages, {}))


# Pages of real proxies.

# Recorded by `python -m tools.matrix --write`.
CAPTURES = sorted((Path(__file__).parents[1] / 'pages').glob('*.txt.gz'))


def later(page: str) -> str:
    """Return a page of a little later, on which each count of the capture is 3 higher."""
    lines = []
    counts = False
    for line in page.splitlines():
        if line.startswith('# TYPE'):
            counts = line.rpartition(' ')[2] in ('counter', 'histogram')
        elif counts and not line.startswith('#') and not line.partition('{')[0].endswith('_created'):
            sample, _, value = line.rpartition(' ')
            line = f'{sample} {float(value) + 3}'
        lines.append(line)
    return '\n'.join(lines) + '\n'


def without_limits(page: str) -> str:
    """Leave out of a capture the gauges that say "no limit", which the stock scraper takes for numbers."""
    no_limits = tuple(f' {floatToGoString(value)}' for value in NO_LIMIT)
    return ''.join(
        f'{line}\n'
        for line in page.splitlines()
        if not (line.startswith(('litellm_', 'llm_')) and line.endswith(no_limits) and '_bucket' not in line)
    )


def test_there_are_captures_of_at_least_six_releases() -> None:
    assert len(CAPTURES) >= 6


@pytest.mark.parametrize('capture', CAPTURES, ids=lambda path: path.name)
def test_a_real_page_means_the_same(capture: Path) -> None:
    page = without_limits(gzip.decompress(capture.read_bytes()).decode())
    # Uptime depends on the moment of the scrape.
    options = {'exclude_metrics': ['process_start_time_seconds']}
    pages = Pages(page, later(page), TEXT)
    assert_same(runs(LitellmCheck, pages, options), runs(StockCheck, pages, options))
