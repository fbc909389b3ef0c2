"""Read pages as they come: both expositions, odd values and labels, and proxies that filter for themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck
from tests.support.endpoint import OPENMETRICS, PROMETHEUS, answering, serving, serving_page

RunCheck = Callable[..., object]

pytestmark = pytest.mark.usefixtures('first_page_counts')

REQUESTS = 'litellm.proxy.total_requests.metric.count'
BUDGET = 'litellm.remaining.team_budget.metric'


@pytest.fixture(params=[False, True], ids=['exact', 'stock'])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Run a test with either scraper."""
    return {'use_stock_scraper': request.param, 'tag_by_endpoint': False}


def scrape(run_check: RunCheck, page: str, content_type: str = PROMETHEUS, **options: Any) -> LitellmCheck:
    with serving_page(page, content_type) as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **options}])
        run_check(check)
    return check


def submitted(aggregator: AggregatorStub) -> list[tuple[str, float, list[str]]]:
    return sorted(
        (sample.name, sample.value, sorted(sample.tags))
        for name in aggregator.metric_names
        for sample in aggregator.metrics(name)
    )


TEXT_PAGE = """\
# HELP litellm_requests_metric_total deprecated
# TYPE litellm_requests_metric_total counter
litellm_requests_metric_total{model="gpt-4o"} 3.0
# HELP litellm_requests_metric_created deprecated
# TYPE litellm_requests_metric_created gauge
litellm_requests_metric_created{model="gpt-4o"} 1.7953e+09
# HELP litellm_managed_batch_created_total Batches
# TYPE litellm_managed_batch_created_total counter
litellm_managed_batch_created_total{model="gpt-4o"} 2.0
# HELP litellm_managed_batch_created_created Batches
# TYPE litellm_managed_batch_created_created gauge
litellm_managed_batch_created_created{model="gpt-4o"} 1.7953e+09
# HELP litellm_auth_latency Latency
# TYPE litellm_auth_latency histogram
litellm_auth_latency_bucket{auth="auth",le="0.5"} 1.0
litellm_auth_latency_bucket{auth="auth",le="+Inf"} 2.0
litellm_auth_latency_count{auth="auth"} 2.0
litellm_auth_latency_sum{auth="auth"} 1.25
# HELP litellm_auth_latency_created Latency
# TYPE litellm_auth_latency_created gauge
litellm_auth_latency_created{auth="auth"} 1.7953e+09
"""
OPENMETRICS_PAGE = """\
# HELP litellm_requests_metric deprecated
# TYPE litellm_requests_metric counter
litellm_requests_metric_total{model="gpt-4o"} 3.0
litellm_requests_metric_created{model="gpt-4o"} 1.7953e+09
# HELP litellm_managed_batch_created Batches
# TYPE litellm_managed_batch_created counter
litellm_managed_batch_created_total{model="gpt-4o"} 2.0
litellm_managed_batch_created_created{model="gpt-4o"} 1.7953e+09
# HELP litellm_auth_latency Latency
# TYPE litellm_auth_latency histogram
litellm_auth_latency_bucket{auth="auth",le="0.5"} 1.0
litellm_auth_latency_bucket{auth="auth",le="+Inf"} 2.0
litellm_auth_latency_count{auth="auth"} 2.0
litellm_auth_latency_sum{auth="auth"} 1.25
litellm_auth_latency_created{auth="auth"} 1.7953e+09
# EOF
"""


@pytest.mark.parametrize(
    ('page', 'content_type'),
    [(TEXT_PAGE, PROMETHEUS), (OPENMETRICS_PAGE, OPENMETRICS)],
    ids=['Prometheus', 'OpenMetrics'],
)
def test_both_expositions_make_the_same_metrics_and_no_time_of_creation(
    page: str, content_type: str, options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    scrape(dd_run_check, page, content_type, extra_metrics=['litellm_.+'], **options)

    assert submitted(aggregator) == [
        ('litellm.auth.latency.bucket', 1.0, ['auth:auth', 'upper_bound:0.5']),
        ('litellm.auth.latency.count', 2.0, ['auth:auth']),
        ('litellm.auth.latency.sum', 1.25, ['auth:auth']),
        ('litellm.managed_batch.created.count', 2.0, ['model:gpt-4o']),
        ('litellm.requests.metric.count', 3.0, ['model:gpt-4o']),
    ]


@pytest.mark.parametrize('headers', [None, {'Authorization': 'Bearer sk-key'}], ids=['no headers', 'headers'])
def test_openmetrics_is_asked_for_and_parsed_whatever_headers_are_set(
    headers: dict[str, str] | None, options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    def negotiate(request: BaseHTTPRequestHandler) -> None:
        wants_openmetrics = 'application/openmetrics-text' in request.headers.get('Accept', '')
        page, content_type = (OPENMETRICS_PAGE, OPENMETRICS) if wants_openmetrics else (TEXT_PAGE, PROMETHEUS)
        accepts.append(wants_openmetrics)
        answering(200, page, {'Content-Type': content_type})(request)

    accepts: list[bool] = []
    instance = {**options, 'use_latest_spec': True, **({'headers': headers} if headers else {})}
    with serving(negotiate) as url:
        dd_run_check(LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **instance}]))

    assert accepts == [True]
    aggregator.assert_metric('litellm.requests.metric.count', 3)


def test_the_text_exposition_is_parsed_as_such_where_openmetrics_was_asked_for_in_vain(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    scrape(dd_run_check, TEXT_PAGE, use_latest_spec=True, **options)

    aggregator.assert_metric('litellm.requests.metric.count', 3)


@pytest.mark.parametrize('value', ['+Inf', '-Inf', 'NaN', '9.223372036854776e+18'])
def test_a_gauge_that_says_no_limit_is_not_a_number_to_plot(
    value: str, options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = f"""\
# TYPE litellm_remaining_team_budget_metric gauge
litellm_remaining_team_budget_metric{{team="limited"}} 7.5
litellm_remaining_team_budget_metric{{team="unlimited"}} {value}
"""
    scrape(dd_run_check, page, **options)

    assert submitted(aggregator) == [(BUDGET, 7.5, ['team:limited'])]


@pytest.mark.parametrize('value', ['+Inf', 'NaN'])
def test_a_count_that_is_no_number_is_left_out(
    value: str, options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = f"""\
# TYPE litellm_spend_metric_total counter
litellm_spend_metric_total{{model="a"}} {value}
litellm_spend_metric_total{{model="b"}} 0.25
"""
    scrape(dd_run_check, page, **options)

    assert submitted(aggregator) == [('litellm.spend.metric.count', 0.25, ['model:b'])]


def test_the_start_of_the_process_becomes_its_uptime(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = f"""\
# TYPE process_start_time_seconds gauge
process_start_time_seconds {time.time() - 60}
# TYPE litellm_in_flight_requests gauge
litellm_in_flight_requests 1.0
"""
    scrape(dd_run_check, page, **options)

    (uptime,) = aggregator.metrics('litellm.process.uptime.seconds')
    assert uptime.value == pytest.approx(60, abs=10)


def test_workers_gauges_that_an_option_makes_a_counter_are_summed(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = """\
# TYPE litellm_custom gauge
litellm_custom{pid="11"} 2.0
litellm_custom{pid="12"} 3.0
"""
    extra_metrics = [{'litellm_custom': {'name': 'custom', 'type': 'counter'}}]
    scrape(dd_run_check, page, tag_by_endpoint=False, extra_metrics=extra_metrics)

    # The Agent adds them up.
    assert submitted(aggregator) == [('litellm.custom.count', 2.0, []), ('litellm.custom.count', 3.0, [])]


def test_a_proxy_with_more_contexts_than_the_base_allows_is_collected_whole(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    samples = ''.join(f'litellm_spend_metric_total{{user="{user}"}} 1.0\n' for user in range(2500))
    scrape(dd_run_check, f'# TYPE litellm_spend_metric_total counter\n{samples}')

    aggregator.assert_metric('litellm.spend.metric.count', count=2500)


def test_the_limit_of_contexts_that_a_user_sets_holds(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    samples = ''.join(f'litellm_spend_metric_total{{user="{user}"}} 1.0\n' for user in range(20))
    scrape(dd_run_check, f'# TYPE litellm_spend_metric_total counter\n{samples}', max_returned_metrics=5)

    aggregator.assert_metric('litellm.spend.metric.count', count=5)


NEW_FAMILIES = """\
# TYPE litellm_spend_metric_total counter
litellm_spend_metric_total{model="a"} 1.0
# TYPE litellm_new_metric_total counter
litellm_new_metric_total{model="a"} 3.0
# TYPE litellm_new_metric_created gauge
litellm_new_metric_created{model="a"} 1.7953e+09
# TYPE litellm_new_gauge gauge
litellm_new_gauge 4.0
"""
NEW_FAMILIES_AS_OPENMETRICS = """\
# TYPE litellm_spend_metric counter
litellm_spend_metric_total{model="a"} 1.0
# TYPE litellm_new_metric counter
litellm_new_metric_total{model="a"} 3.0
litellm_new_metric_created{model="a"} 1.7953e+09
# TYPE litellm_new_gauge gauge
litellm_new_gauge 4.0
# EOF
"""
with_new_families = pytest.mark.parametrize(
    ('page', 'content_type'),
    [
        (NEW_FAMILIES, PROMETHEUS),
        (NEW_FAMILIES_AS_OPENMETRICS, OPENMETRICS),
    ],
    ids=['Prometheus', 'OpenMetrics'],
)


@with_new_families
def test_families_newer_than_the_check_are_named_and_not_collected(
    page: str, content_type: str, options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    check = scrape(dd_run_check, page, content_type, **options)

    (warning,) = check.warnings
    assert warning.startswith('Families at http://')
    assert 'are not collected (2): litellm_new_gauge, litellm_new_metric. Upgrade' in warning
    assert aggregator.metric_names == ['litellm.spend.metric.count']


@with_new_families
def test_families_newer_than_the_check_are_collected_on_demand_and_still_named(
    page: str, content_type: str, options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    check = scrape(dd_run_check, page, content_type, collect_unknown_metrics=True, **options)

    (warning,) = check.warnings
    assert warning.startswith('Families at http://')
    assert 'are collected under names that may change (2): litellm_new_gauge, litellm_new_metric. Upgrade' in warning
    assert submitted(aggregator) == [
        ('litellm.new_gauge', 4.0, []),
        ('litellm.new_metric.count', 3.0, ['model:a']),
        ('litellm.spend.metric.count', 1.0, ['model:a']),
    ]


def test_families_newer_than_the_check_are_named_once_in_each_run(
    options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    with serving_page(NEW_FAMILIES) as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **options}])
        runs = []
        for _ in range(3):
            dd_run_check(check)
            runs.append(len(check.get_warnings()))

    assert runs == [1, 1, 1]


def test_families_newer_than_the_check_are_found_behind_a_prefix_of_the_users_own(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = NEW_FAMILIES.replace('litellm_', 'gateway_litellm_')
    check = scrape(dd_run_check, page, raw_metric_prefix='gateway_', collect_unknown_metrics=True, **options)

    (warning,) = check.warnings
    assert '(2): litellm_new_gauge, litellm_new_metric. Upgrade' in warning
    assert {name for name, *_ in submitted(aggregator)} == {
        'litellm.new_gauge',
        'litellm.new_metric.count',
        'litellm.spend.metric.count',
    }


def test_families_that_a_users_own_list_of_metrics_leaves_out_are_not_taken_for_new(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    metrics = [{'litellm_new_gauge': 'mine'}]
    check = scrape(dd_run_check, NEW_FAMILIES, metrics=metrics, collect_unknown_metrics=True, **options)

    (warning,) = check.warnings
    assert '(1): litellm_new_metric. Upgrade' in warning
    assert {name for name, *_ in submitted(aggregator)} == {'litellm.mine', 'litellm.new_metric.count'}


@pytest.mark.parametrize('option', ['exclude_metrics', 'extra_metrics'])
def test_families_that_an_option_names_are_not_unknown(
    option: str, options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    options[option] = ['litellm_new_gauge', 'litellm_new_metric']
    check = scrape(dd_run_check, NEW_FAMILIES, **options)

    assert check.warnings == []


def test_a_warning_of_unknown_families_stays_short(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    check = scrape(dd_run_check, ''.join(f'# TYPE litellm_new_{number:03} gauge\n' for number in range(500)))

    (warning,) = check.warnings
    assert '(500): litellm_new_000, ' in warning
    assert 'litellm_new_009, ….' in warning
    assert len(warning) < 500


def test_a_page_whose_types_were_removed_is_told_from_an_empty_one(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = 'litellm_spend_metric_total{model="m"} 3\nlitellm_in_flight_requests 2\n'
    check = scrape(dd_run_check, page, **options)

    (warning,) = check.warnings
    assert 'has samples, but no `# TYPE` lines' in warning
    assert submitted(aggregator) == []


@pytest.mark.parametrize('stock', [False, True])
def test_a_prefix_without_which_no_name_is_known_is_told(stock: bool, dd_run_check: RunCheck) -> None:
    page = '# TYPE process_open_fds gauge\nprocess_open_fds 5\n# TYPE litellm_y gauge\nlitellm_y 1\n'

    wrong = scrape(dd_run_check, page, raw_metric_prefix='litellm_', use_stock_scraper=stock)
    mapped = scrape(dd_run_check, page, raw_metric_prefix='litellm_', use_stock_scraper=stock, metrics=['y'])
    absent = scrape(dd_run_check, page, raw_metric_prefix='gateway_', use_stock_scraper=stock)

    (warning,) = wrong.warnings
    assert 'without `raw_metric_prefix`, no name is one of its own' in warning
    assert not mapped.warnings
    assert not any('raw_metric_prefix' in one for one in absent.warnings)


def test_a_gauge_that_has_the_name_of_a_counter_is_a_metric_of_its_own(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = (
        '# TYPE litellm_x_total counter\nlitellm_x_total{a="1"} 100\n'
        '# TYPE litellm_x gauge\nlitellm_x{a="1"} 7\n# TYPE litellm_y gauge\nlitellm_y 1\n'
    )
    scrape(dd_run_check, page, tag_by_endpoint=False, extra_metrics=['litellm_x'], collect_unknown_metrics=True)

    aggregator.assert_metric('litellm.litellm_x', 7, tags=['a:1'], count=1)


def test_a_gauge_that_comes_twice_in_other_spellings_has_its_last_value(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = '# TYPE litellm_in_flight_requests gauge\n' + ''.join(
        f'litellm_in_flight_requests{{{labels}}} {value}\n'
        for value, labels in enumerate(('a="1",b="2"', 'b="2",a="1"', ' a = "1" , b = "2" , '), 2)
    )
    check = scrape(dd_run_check, page, tag_by_endpoint=False)

    aggregator.assert_metric('litellm.in_flight_requests', 4, tags=['a:1', 'b:2'], count=1)
    assert ['more than once' in warning for warning in check.warnings] == [True]


def test_openmetrics_is_read_whatever_its_order(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    """Prometheus' client refuses each of these pages."""
    page = (
        '# TYPE litellm_spend_metric counter\n# UNIT litellm_spend_metric dollars\n'
        'litellm_spend_metric_total{a="1"} 3\nlitellm_spend_metric_total{a="2"} -3\n'
        '# TYPE litellm_auth_latency histogram\nlitellm_auth_latency_bucket{le="1"} 2\n'
        'litellm_spend_metric_total{a="4"} 5\n'
        'litellm_auth_latency_bucket{le="0.5"} 1\nlitellm_auth_latency_bucket{le="+Inf"} 2\n# EOF\n'
    )
    scrape(dd_run_check, page, OPENMETRICS, tag_by_endpoint=False)

    assert submitted(aggregator) == [
        ('litellm.auth.latency.bucket', 1.0, ['upper_bound:0.5']),
        ('litellm.auth.latency.bucket', 2.0, ['upper_bound:1.0']),
        ('litellm.spend.metric.count', 3.0, ['a:1']),
        ('litellm.spend.metric.count', 5.0, ['a:4']),
    ]


def of_team(remaining: str, maximum: str, team: str = 'red') -> str:
    return (
        f'# TYPE litellm_remaining_team_budget_metric gauge\n{remaining}\n'
        f'# TYPE litellm_team_max_budget_metric gauge\nlitellm_team_max_budget_metric{{team="{team}"}} {maximum}\n'
    )


REMAINING = 'litellm_remaining_team_budget_metric'


@pytest.mark.parametrize('workers', [1, 2])
def test_a_budget_that_has_a_maximum_and_no_limit_is_told_of_once(
    aggregator: AggregatorStub, dd_run_check: RunCheck, workers: int
) -> None:
    lines = [f'{REMAINING}{{team="red",pid="{pid}"}} +Inf' for pid in range(workers)]
    check = scrape(dd_run_check, of_team('\n'.join(lines), '100'), tag_by_endpoint=False)

    aggregator.assert_metric('litellm.team.max_budget.metric', 100, count=1)
    (warning,) = [warning for warning in check.warnings if '(+Inf)' in warning]
    assert 'litellm.remaining.team_budget.metric (1)' in warning
    assert 'red' not in warning


@pytest.mark.parametrize(
    'page',
    [
        of_team(f'{REMAINING}{{team="red"}} +Inf', '+Inf'),
        of_team(f'{REMAINING}{{team="red"}} 7', '100'),
        of_team(f'{REMAINING}{{team="blue"}} +Inf', '100'),
        of_team(f'{REMAINING}{{team="red",pid="1"}} +Inf\n{REMAINING}{{team="red",pid="2"}} 7', '100'),
        of_team(f'{REMAINING}{{team="red"}} NaN', '100'),
    ],
    ids=['no budget', 'a budget', 'of another team', 'one worker knows', 'not known'],
)
def test_budgets_that_do_not_contradict_their_maximum_are_not_told_of(dd_run_check: RunCheck, page: str) -> None:
    check = scrape(dd_run_check, page, tag_by_endpoint=False)

    assert [warning for warning in check.warnings if '(+Inf)' in warning] == []


def test_the_stock_scraper_submits_both_values_of_a_series_that_is_twice_on_a_page(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    """A limit of the base package that the documentation states."""
    name = 'litellm_requests_metric_total'
    page = f'# TYPE {name} counter\n{name} 100\n{name} 3\n'
    check = scrape(dd_run_check, page, use_stock_scraper=True, tag_by_endpoint=False)

    assert [value for _, value, _ in submitted(aggregator)] == [3.0, 100.0]
    assert ['1 samples are on the page' in warning and 'counts are wrong' in warning for warning in check.warnings] == [
        True
    ]


def test_the_stock_scraper_warns_of_no_sample_that_is_there_once(dd_run_check: RunCheck) -> None:
    name = 'litellm_requests_metric_total'
    page = f'# TYPE {name} counter\n{name}{{a="1"}} 1\n{name}{{b="1"}} 1\n{name}{{a="1",b="1"}} 1\n'

    assert scrape(dd_run_check, page, use_stock_scraper=True).warnings == []


def test_the_stock_scraper_warns_of_a_page_that_comes_twice(dd_run_check: RunCheck) -> None:
    name = 'litellm_requests_metric_total'
    page = f'# TYPE {name} counter\n{name}{{a="1",b="1"}} 1\n' + f'# TYPE {name} counter\n{name}{{b="1",a="1"}} 1\n'

    (warning,) = scrape(dd_run_check, page, use_stock_scraper=True).warnings
    assert 'more than once' in warning


def test_the_stock_scraper_does_not_collect_a_gauge_behind_a_counter_of_its_name(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    """A limit of the base package that the documentation states."""
    page = '# TYPE litellm_x_total counter\nlitellm_x_total 100\n# TYPE litellm_x gauge\nlitellm_x 7\n'
    options: dict[str, Any] = {'extra_metrics': ['litellm_x'], 'use_stock_scraper': True, 'tag_by_endpoint': False}
    scrape(dd_run_check, page, **options)

    assert [name for name, _, _ in submitted(aggregator)] == ['litellm.litellm_x.count']


@pytest.mark.parametrize('forced', ['counter', 'gauge'])
def test_a_bare_sample_of_a_histogram_that_is_forced_to_another_type_is_as_with_the_stock_scraper(
    forced: str, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = '# TYPE litellm_bux histogram\nlitellm_bux 4\n'
    outcomes = []
    for is_stock in (True, False):
        aggregator.reset()
        options: dict[str, Any] = {
            'extra_metrics': [{'litellm_bux': {'name': 'bux', 'type': forced}}],
            'tag_by_endpoint': False,
        }
        scrape(dd_run_check, page, use_stock_scraper=is_stock, **options)
        outcomes.append(submitted(aggregator))

    assert outcomes[0] == outcomes[1]
