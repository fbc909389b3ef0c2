"""`python -m datadog_checks.litellm` shows what the Agent would send, and keeps secrets to itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datadog_checks.base.stubs import datadog_agent
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.dev._env import replay_check_run
from datadog_checks.dev.utils import get_metadata_metrics
from datadog_checks.litellm.mapping.labels import is_key_in_clear
from datadog_checks.litellm.report.agent_json import to_json
from datadog_checks.litellm.report.aggregation import Aggregation, Context, MonotonicCount, Point
from datadog_checks.litellm.report.cli import main
from datadog_checks.litellm.report.contexts import ContextTable, LabelCost, PersonalLabel, personal_labels
from datadog_checks.litellm.report.measure import create_check, measure
from datadog_checks.litellm.report.summary import at_most, is_in_seconds
from datadog_checks.litellm.report.text import TOP_METRICS
from tests.fixture_proxy import start
from tests.fixture_proxy.traffic import drive
from tests.support.agent_model import AgentModel, Sample, Submissions
from tests.support.agent_model import Context as ModelContext
from tests.support.endpoint import (
    OPENMETRICS,
    PROMETHEUS,
    Answer,
    Stall,
    answering,
    answering_json,
    serving,
    serving_page,
    serving_paths,
)

KEY = 'sk-the-key-of-this-test'
HASH = 'a5' * 32

REQUESTS = 'litellm.proxy.total_requests.metric.count'

PAGE = """\
# TYPE litellm_proxy_total_requests_metric_total counter
litellm_proxy_total_requests_metric_total{{hashed_api_key="{key}",model="gpt-4o"}} {requests}
# TYPE litellm_in_flight_requests gauge
litellm_in_flight_requests 2.0
"""


def page(requests: int = 1, key: str = HASH) -> str:
    return PAGE.format(requests=requests, key=key)


def pages(*bodies: str, content_type: str = PROMETHEUS) -> Answer:
    """Answer with one page after the other, and with the last one from then on."""
    scrapes = count()

    def answer(request: BaseHTTPRequestHandler) -> None:
        body = bodies[min(next(scrapes), len(bodies) - 1)]
        answering(200, body, {'Content-Type': content_type})(request)

    return answer


def locked(body: str) -> Answer:
    """Answer with a page to requests that carry the key, and with 401 to others."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.headers.get('Authorization') == f'Bearer {KEY}':
            answering(200, body, {'Content-Type': PROMETHEUS})(request)
        else:
            answering(401, '{}')(request)

    return answer


class Printed:
    """The exit code and the output of a run of the command line."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def error(self) -> str:
        """The one line of an error."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith('error: ')
        return lines[0]

    def row(self, name: str) -> list[str]:
        """Return the columns of a table's row, which stand two spaces apart."""
        line = next(line for line in self.out.splitlines() if line.startswith(f'  {name} '))
        return re.split(r'\s{2,}', line.strip())

    def section(self, title: str) -> str:
        return next(section for section in self.out.split('\n\n') if section.startswith(title))


Report = Callable[..., Printed]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('LITELLM_METRICS_KEY', raising=False)
    # The command sets it for its own process: here it has to go with the test.
    monkeypatch.setenv('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')
    monkeypatch.setenv('COLUMNS', '100')


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Report:
    """Run the command line in this process, without a pause between the scrapes, and with a file for `config`."""

    def run(*arguments: str, config: str | None = None) -> Printed:
        if config is not None:
            (tmp_path / 'conf.yaml').write_text(config)
            arguments = (*arguments, '--config', str(tmp_path / 'conf.yaml'))
        code = main([*arguments, '--interval', '0'])
        out, err = capsys.readouterr()
        return Printed(code, out, err)

    return run


def command(*arguments: str, **environment: str) -> Printed:
    """Run the command line as users do."""
    done = subprocess.run(
        [sys.executable, '-m', 'datadog_checks.litellm', *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, 'NO_PROXY': '127.0.0.1', **environment},
    )
    return Printed(done.returncode, done.stdout, done.stderr)


# What the Agent makes of two runs


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=4), max_size=6),
)
def test_a_monotonic_count_flushes_what_the_agent_would(runs: list[list[tuple[int, bool]]]) -> None:
    ours, agent = MonotonicCount(), AgentModel(now=lambda: 0.0)

    for run in runs:
        for value, flush_first_value in run:
            ours.add(value, flush_first_value)
        samples = [Sample('monotonic_count', 'requests', value, (), '', first) for value, first in run]
        flushed = agent.commit(Submissions(samples)).counts.get(ModelContext('requests', frozenset()))

        assert ours.flush() == flushed


def test_the_report_begins_with_the_version_and_how_the_proxy_is(report: Report) -> None:
    readiness = answering_json({'status': 'healthy', 'db': 'Not connected', 'litellm_version': '1.80.11'})
    with serving_paths({'/metrics/': pages(page()), '/health/readiness': readiness}) as url:
        lines = report(f'{url}/metrics/').out.splitlines()

    assert lines[0] == f'LiteLLM 1.80.11 at {url}/metrics/'
    assert '  Service check litellm.proxy.ready: OK' in lines
    database = next(line for line in lines if line.startswith('  Service check litellm.proxy.database: '))
    assert database.startswith('  Service check litellm.proxy.database: UNKNOWN the proxy runs without a database.')


def test_a_gauge_is_its_last_value_and_a_count_the_sum_of_a_run() -> None:
    submitted = AggregatorStub()
    for value in (3.0, 5.0):
        submitted.submit_metric(None, '', submitted.GAUGE, 'queue', value, ['b:1', 'a:1'], '', False)
        submitted.submit_metric(None, '', submitted.COUNT, 'errors', value, ['a:1'], '', False)

    points = Aggregation().flush(submitted, time=0.0)

    assert set(points) == {
        Point('gauge', 5.0, Context('queue', '', frozenset({'a:1', 'b:1'}))),
        Point('count', 8.0, Context('errors', '', frozenset({'a:1'}))),
    }


def test_a_rate_needs_two_runs_and_their_distance() -> None:
    aggregation = Aggregation()
    values = []
    for time, value in ((100.0, 10.0), (104.0, 30.0)):
        submitted = AggregatorStub()
        submitted.submit_metric(None, '', submitted.RATE, 'cpu', value, [], '', False)
        values.append([series.value for series in aggregation.flush(submitted, time)])

    assert values == [[], [5.0]]


def test_a_distribution_is_counted_by_its_new_observations() -> None:
    aggregation = Aggregation()
    values = []
    for low, high in ((2, 1), (5, 1)):
        submitted = AggregatorStub()
        for value, bounds in ((low, (0.0, 1.0)), (high, (1.0, 2.0))):
            submitted.submit_histogram_bucket(None, '', 'latency', value, *bounds, True, '', ['a:1'], True)
        values.append([series.value for series in aggregation.flush(submitted, 0.0)])

    assert values == [[3.0], [3.0]]


# Contexts and labels


def contexts(*tags: str) -> list[Context]:
    """One context of the same metric for each string of space-separated tags."""
    return [Context('requests', '', frozenset(one.split())) for one in tags]


def test_a_label_costs_the_contexts_that_would_merge_without_it() -> None:
    table = ContextTable(contexts('model:a user:1', 'model:a user:2', 'model:b user:1', 'model:b'), {})

    assert table.without(['user']) == LabelCost(('user',), values=2, contexts_left=2)
    assert table.without(['model']) == LabelCost(('model',), values=2, contexts_left=3)
    assert table.without(['model', 'user']) == LabelCost(('model', 'user'), values=4, contexts_left=1)


def test_a_label_that_merges_nothing_is_not_listed() -> None:
    table = ContextTable(contexts('model:a provider:x', 'model:b provider:x'), {})

    assert [cost.labels for cost in table.costs()] == [('model',)]


def test_labels_of_the_same_thing_are_listed_together_when_none_of_them_saves_alone() -> None:
    table = ContextTable(contexts('team:1 team_alias:x', 'team:2 team_alias:y'), {})

    assert table.costs() == [LabelCost(('team', 'team_alias'), values=2, contexts_left=1)]


def test_placeholders_are_no_values_but_make_contexts() -> None:
    table = ContextTable(contexts('user:1 team:1', 'user:None team:', 'user: team:1', 'model:a'), {})

    assert table.without(['user']) == LabelCost(('user',), values=1, contexts_left=3)
    assert table.without(['team', 'user']) == LabelCost(('team', 'user'), values=2, contexts_left=2)


def test_metrics_and_hosts_keep_contexts_apart() -> None:
    tags = frozenset({'user:1'})
    table = ContextTable([Context('a', '', tags), Context('b', '', tags), Context('b', 'h', tags)], {})

    assert table.without(['user']).contexts_left == 3


def test_a_label_with_several_values_in_a_context_counts_as_one_combination() -> None:
    table = ContextTable(contexts('owner:a owner:b', 'owner:b owner:a', 'owner:a'), {})

    assert table.without(['owner']) == LabelCost(('owner',), values=2, contexts_left=1)


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.frozensets(st.sampled_from(['a:1', 'a:2', 'b:1', 'b:2', 'b:3', 'c:1']), max_size=4), unique=True),
    st.sets(st.sampled_from('abc')),
)
def test_what_is_left_is_what_a_set_of_the_remaining_tags_holds(tags: list[frozenset[str]], dropped: set[str]) -> None:
    table = ContextTable([Context('m', '', one) for one in [*tags, frozenset({'a:9', 'b:9', 'c:9'})]], {})

    remaining = {frozenset(tag for tag in one if tag[0] not in dropped) for one in tags}
    remaining.add(frozenset(f'{label}:9' for label in {'a', 'b', 'c'} - dropped))
    assert table.without(dropped).contexts_left == len(remaining)


def test_personal_labels_are_counted_without_placeholders() -> None:
    found = personal_labels(contexts('user:ann', 'user:ben', 'user:None', 'end_user: model:a', 'metadata_x:1'), {})

    assert found == [PersonalLabel('user', 2, 2), PersonalLabel('metadata_x', 1, 1)]


def test_a_renamed_label_is_still_personal() -> None:
    assert personal_labels(contexts('person:ann'), {'person': 'user_email'}) == [PersonalLabel('user_email', 1, 1)]


@pytest.mark.parametrize('value', [HASH, f'hashed-jwt-{HASH}', 'None', '', 'other', 'litellm-internal-health-check'])
def test_a_hash_or_a_name_of_litellm_is_no_key_in_clear(value: str) -> None:
    assert not is_key_in_clear(value)


@pytest.mark.parametrize('value', [KEY, 'team-secret', HASH.upper(), HASH[:-1], f'{HASH}0', f'{HASH}\n'])
def test_any_other_value_may_be_a_key_in_clear(value: str) -> None:
    assert is_key_in_clear(value)


def buckets(**values: float) -> list[Point]:
    return [
        Point('count', value, Context('latency.bucket', '', frozenset({f'upper_bound:{bound.removeprefix("le")}'})))
        for bound, value in values.items()
    ]


def test_a_quantile_is_the_lowest_bound_with_enough_observations_below() -> None:
    cumulative = buckets(le1=4.0, le2=9.0, le5=10.0)

    assert at_most(0.4, cumulative, 10.0) == 1.0
    assert at_most(0.5, cumulative, 10.0) == 2.0
    assert at_most(0.95, cumulative, 10.0) == 5.0


def test_there_is_no_quantile_beyond_the_highest_bound() -> None:
    assert at_most(0.95, buckets(le1=4.0), 10.0) is None


# The report


def test_a_count_is_what_was_added_between_the_scrapes(report: Report) -> None:
    with serving(pages(page(requests=1_000), page(requests=1_031))) as url:
        printed = report(url)

    assert printed.code == 0
    assert printed.row(REQUESTS) == [REQUESTS, 'count', '1', '+31']
    assert printed.row('litellm.in_flight_requests')[1:] == ['gauge', '1', '2']


def test_a_histogram_is_one_row(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '120')
    body = """\
# TYPE litellm_request_total_latency_metric histogram
litellm_request_total_latency_metric_bucket{{model="a",le="0.5"}} {fast}
litellm_request_total_latency_metric_bucket{{model="a",le="2.0"}} {all}
litellm_request_total_latency_metric_bucket{{model="a",le="+Inf"}} {all}
litellm_request_total_latency_metric_count{{model="a"}} {all}
litellm_request_total_latency_metric_sum{{model="a"}} {sum}
"""
    with serving(pages(body.format(fast=1, all=1, sum=0.25), body.format(fast=4, all=5, sum=3.25))) as url:
        printed = report(url)

    name = 'litellm.request.total_latency.metric'
    assert printed.row(name) == [name, 'histogram', '4', '+4, mean 0.75s, p50 <= 0.5s, p95 <= 2s']
    assert '3 metrics in 4 contexts; below, the three metrics of a histogram are one row. A' in ' '.join(
        printed.out.split()
    )


def test_the_histograms_of_the_check_are_in_seconds_where_the_report_says_so() -> None:
    units = {name: row['unit_name'] for name, row in get_metadata_metrics().items() if name.endswith('.sum')}

    assert {name for name in units if is_in_seconds(name)} == {name for name, unit in units.items() if unit == 'second'}
    assert not is_in_seconds('litellm.new.prompt_length')


def test_a_proxy_without_requests_is_told_from_a_broken_report(report: Report) -> None:
    quiet = pages(page(requests=1_234))
    busy = pages(page(requests=1_234), page(requests=1_235))
    with serving(quiet) as first, serving(busy) as second:
        nothing, something = report(first), report(second)

    assert nothing.row(REQUESTS)[1:] == ['count', '1', '+0 (total 1,234)']
    assert 'No request reached the proxy between the two scrapes: try `--interval 30`' in nothing.section('Metrics')
    assert something.row(REQUESTS)[1:] == ['count', '1', '+1']
    assert 'No request reached' not in something.out


IDLE = """\
# TYPE litellm_proxy_total_requests_metric_total counter
litellm_proxy_total_requests_metric_total{{model="moves"}} {}
""" + ''.join(f'litellm_proxy_total_requests_metric_total{{{{model="{model}"}}}} 1\n' for model in range(40))


@pytest.mark.parametrize(
    ('every', 'sparse'),
    [(15, ['3', '720']), (60, ['9', '540']), (600, ['41', '246'])],
)
def test_the_report_tells_what_each_setting_of_idle_counts_would_send(
    every: int, sparse: list[str], report: Report
) -> None:
    with serving(pages(IDLE.format(1), IDLE.format(2))) as url:
        printed = report(config=f'openmetrics_endpoint: {url}\nmin_collection_interval: {every}\nidle_counts: never\n')

    assert '1 of 41 counts moved' in printed.section('Points of counts')
    assert printed.row('sparse')[1:] == sparse
    assert printed.row('always')[1:] == ['41', f'{41 * 3600 // every:,}']
    assert printed.row('never')[1:] == ['1', f'{3600 // every:,}']


def test_the_json_has_what_each_setting_of_idle_counts_would_send(report: Report) -> None:
    with serving(pages(IDLE.format(1), IDLE.format(2))) as url:
        (instance,) = json.loads(report(url, '--json').out)

    assert instance['idle_counts'] == {
        'contexts': 41,
        'moved': 1,
        'interval': 15.0,
        'points': {
            'sparse': {'per_run': 3, 'per_hour': 720},
            'always': {'per_run': 41, 'per_hour': 9840},
            'never': {'per_run': 1, 'per_hour': 240},
        },
    }


def test_the_report_of_the_base_packages_scraper_says_nothing_of_idle_counts(report: Report) -> None:
    with serving(pages(IDLE.format(1), IDLE.format(2))) as url:
        config = f'openmetrics_endpoint: {url}\nuse_stock_scraper: true\n'
        printed, in_json = report(config=config), report('--json', config=config)

    assert 'Points of counts' not in printed.out
    assert json.loads(in_json.out)[0]['idle_counts'] is None


def test_what_runs_in_the_background_is_no_request(report: Report) -> None:
    job = '# TYPE litellm_auth_total_requests counter\nlitellm_auth_total_requests_total {}.0\n'
    with serving(pages(page() + job.format(1), page() + job.format(2))) as url:
        printed = report(url)

    assert printed.row('litellm.auth.total_requests.count')[1:] == ['count', '1', '+1 (total 2)']
    assert 'No request reached' in printed.out


def test_a_page_without_counts_tells_nothing_of_requests(report: Report) -> None:
    with serving_page('# TYPE litellm_in_flight_requests gauge\nlitellm_in_flight_requests 2.0\n') as url:
        assert 'No request reached' not in report(url).out


def test_openmetrics_is_read_as_well(report: Report) -> None:
    body = '# TYPE litellm_cache_hits_metric counter\nlitellm_cache_hits_metric_total 4.0\n# EOF\n'
    with serving(pages(body, content_type=OPENMETRICS)) as url:
        printed = report(url)

    assert printed.row('litellm.cache.hits.metric.count')[1:] == ['count', '1', '+0 (total 4)']
    assert 'None of the 1 LiteLLM family' in printed.section('Families')


@pytest.mark.parametrize('headers', [{}, {'Content-Type': PROMETHEUS}], ids=['no content type', 'text'])
def test_lines_end_where_the_check_ends_them_whatever_the_content_type(headers: dict[str, str], report: Report) -> None:
    body = f'{page()}litellm_spend_metric{{end_user="\u2028# TYPE litellm_x gauge\u2028"}} 1\n'
    with serving(answering(200, body, headers)) as url:
        printed = report(url)

    assert 'None of the 2 LiteLLM families' in printed.section('Families')


def test_families_that_the_check_does_not_know_are_named(report: Report) -> None:
    body = page() + (
        '# TYPE litellm_brand_new_total counter\nlitellm_brand_new_total 1.0\n'
        '# TYPE litellm_brand_new_created gauge\nlitellm_brand_new_created 1.7e9\n'
        '# TYPE python_info gauge\npython_info 1.0\n'
        '# TYPE process_open_fds gauge\nprocess_open_fds 7.0\n'
    )
    with serving_page(body) as url:
        section = report(url).section('Families')

    assert 'litellm_brand_new\n' in section
    assert 'litellm_brand_new_created' not in section
    assert '3 LiteLLM families' in section
    assert '2 families about the process' in section


def test_a_family_of_extra_metrics_is_known(report: Report) -> None:
    with serving_page(page() + '# TYPE litellm_brand_new gauge\nlitellm_brand_new 1.0\n') as url:
        printed = report(config=f'openmetrics_endpoint: {url}\nextra_metrics: [litellm_brand_new]\n')

    assert 'None of the 3 LiteLLM families' in printed.section('Families')
    assert printed.row('litellm.litellm_brand_new')[1:] == ['gauge', '1', '1']


def test_personal_labels_and_what_they_cost_are_shown(report: Report) -> None:
    body = '# TYPE litellm_requests_metric_total counter\n' + ''.join(
        f'litellm_requests_metric_total{{user_email="u{n}@example.com",model="a"}} 1.0\n' for n in range(7)
    )
    with serving_page(body) as url:
        printed = report(url)

    section = printed.section('Personal labels')
    assert printed.row('user_email') == ['user_email', '7', '1', '-85.7%']
    assert 'user_email        7         7' in section
    assert '`exclude_personal_labels: true` the Agent would send 1 context.' in section


def test_warnings_of_the_check_are_in_the_report(report: Report) -> None:
    with serving_page('# TYPE litellm_not_a_premium_user_metric_total counter\n') as url:
        section = report(url).section('Warnings')

    assert section.count('enterprise license') == 1


def test_tags_that_the_stub_of_the_base_package_refuses_are_shown(report: Report) -> None:
    with serving_page(page()) as url:
        printed = report(config=f'openmetrics_endpoint: {url}\ntags: ["env:prod"]\n')

    assert re.search(r'Tags on all contexts: .*env:prod', printed.out)


def many_metrics(families: int) -> str:
    return ''.join(f'# TYPE litellm_new_{n} gauge\nlitellm_new_{n}{{model="a"}} 1.0\n' for n in range(families))


def test_a_long_report_is_cut_and_says_so(report: Report) -> None:
    with serving_page(page() + many_metrics(40)) as url:
        config = f'openmetrics_endpoint: {url}\nextra_metrics: ["litellm_new_.*"]\n'
        short, full = report(config=config), report('--all', config=config)

    assert short.out.count('  gauge  ') + short.out.count('  count  ') == TOP_METRICS
    assert f'... and {42 - TOP_METRICS} more with {42 - TOP_METRICS} contexts' in short.out
    assert full.out.count('  gauge  ') + full.out.count('  count  ') == 42
    assert '... and' not in full.out


@pytest.mark.parametrize('columns', [80, 120])
def test_no_line_is_wider_than_the_terminal(report: Report, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv('COLUMNS', str(columns))
    labels = ','.join(f'label_{n}="value {n}"' for n in range(40))
    name = 'litellm_redis_daily_team_spend_update_queue_latency'
    body = f"""\
# TYPE {name} histogram
{name}_bucket{{{{{labels},le="0.25"}}}} {{half}}
{name}_bucket{{{{{labels},le="0.75"}}}} {{all}}
{name}_bucket{{{{{labels},le="+Inf"}}}} {{all}}
{name}_count{{{{{labels}}}}} {{all}}
{name}_sum{{{{{labels}}}}} {{all}}.123
"""
    histograms = body.format_map({'half': 1, 'all': 2}), body.format_map({'half': 5_000_000, 'all': 9_000_000})
    with serving(pages(*histograms)) as url:
        printed = report(url)

    assert 'p50 <= 0.25s, p95 <= 0.75s' in printed.out

    assert max(map(len, printed.out.splitlines())) <= columns


def test_control_characters_of_a_label_do_not_reach_the_terminal(report: Report) -> None:
    with serving_page('# TYPE litellm_teams_count gauge\nlitellm_teams_count{tag="\x1b[2J\x07red"} 1.0\n') as url:
        printed = report(url)

    assert '\x1b' not in printed.out
    assert r'\x1b[2J\x07red' in printed.out


# Agent JSON


def replayed(text: str) -> AggregatorStub:
    stub = AggregatorStub()
    replay_check_run(json.loads(text), stub, datadog_agent)
    return stub


def test_the_json_replays_into_what_the_agent_would_send(report: Report) -> None:
    with serving(pages(page(requests=10), page(requests=14))) as url:
        printed = report(url, '--json')

    stub = replayed(printed.out)
    endpoint = f'endpoint:{url}'
    tags = [endpoint, f'hashed_api_key:{HASH}', 'model:gpt-4o']
    stub.assert_metric(REQUESTS, 4, tags=tags, metric_type=stub.COUNT, count=1)
    stub.assert_metric('litellm.in_flight_requests', 2, tags=[endpoint], metric_type=stub.GAUGE, count=1)
    stub.assert_service_check('litellm.openmetrics.health', 0, tags=[endpoint], count=1)
    stub.assert_all_metrics_covered()
    assert printed.err == ''


def test_the_json_of_a_failed_scrape_holds_the_error_and_the_service_check(report: Report) -> None:
    with serving(answering(404)) as url:
        printed = report(url, '--json')

    [instance] = json.loads(printed.out)
    assert printed.code == 1
    assert '404' in printed.error
    assert '404' in json.loads(instance['runner']['LastError'])[0]['message']
    assert [check['status'] for check in instance['aggregator']['service_checks']] == [2]
    with pytest.raises(Exception, match='404'):
        replayed(printed.out)


# Errors: one line, and an exit code that says whose fault it is


def test_a_refused_connection_is_one_line(report: Report) -> None:
    printed = report('http://127.0.0.1:9/metrics/')

    assert (printed.code, printed.out) == (1, '')
    assert 'http://127.0.0.1:9/metrics/: ' in printed.error
    assert 'refused' in printed.error


@pytest.mark.parametrize(
    ('answer', 'arguments', 'says'),
    [
        (locked(page()), [], '--key-file'),
        (locked(page()), ['--key', 'sk-another-key'], '401'),
        (Stall(), ['--timeout', '0.2'], 'timeout'),
        (answering(200, '<html>Sign in</html>', {'Content-Type': 'text/html'}), [], 'text/html'),
    ],
    ids=['missing key', 'wrong key', 'silence', 'no metrics'],
)
def test_a_failure_is_one_line_without_the_key(report: Report, answer: Answer, arguments: list[str], says: str) -> None:
    with serving(answer) as url:
        printed = report(url, *arguments)

    assert (printed.code, printed.out) == (1, '')
    assert says in printed.error
    assert 'sk-another-key' not in printed.error


def test_a_second_scrape_that_fails_is_reported(report: Report) -> None:
    scrapes = count()

    def answer(request: BaseHTTPRequestHandler) -> None:
        answering(503 if next(scrapes) else 200, page(), {'Content-Type': PROMETHEUS})(request)

    with serving(answer) as url:
        printed = report(url)

    assert (printed.code, printed.out) == (1, '')
    assert '503' in printed.error


@pytest.mark.parametrize(
    'url',
    [
        'ftp://127.0.0.1/metrics/',
        '127.0.0.1:4000',
        'http://',
        'http://127.0.0.1:port/',
        'http://127.0.0.1:0/',
        'http://ann:secret-word',
        'http://[::1/metrics/',
        'http://127.0.0.1/met rics/',
        '',
    ],
)
def test_a_bad_url_is_refused_and_not_repeated(report: Report, url: str) -> None:
    printed = report(url)

    assert (printed.code, printed.out) == (2, '')
    assert 'invalid URL' in printed.error
    assert 'secret-word' not in printed.error


def test_the_page_of_a_bare_address_is_metrics_with_a_slash(report: Report) -> None:
    asked = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        answering(200, page(), {'Content-Type': PROMETHEUS})(request)

    with serving(answer) as url:
        printed = report(url.removesuffix('/metrics/'))

    assert printed.code == 0
    assert set(asked) == {'/metrics/'}


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        ([], 'no URL: pass'),
        (['http://127.0.0.1:1/', '--timeout', 'soon'], 'must be a number of seconds'),
        (['http://127.0.0.1:1/', '--timeout', 'nan'], 'must be a number of seconds'),
        (['http://127.0.0.1:1/', '--timeout', '-1'], 'must be a number of seconds'),
        (['http://127.0.0.1:1/', '--timeout', '0'], 'must be more than 0 seconds'),
        (['127.0.0.1:4000'], 'has to start with http:// or https://'),
        (['localhost:4000/metrics/'], 'has to start with http:// or https://'),
        (['http://127.0.0.1:1/', '--key', 'ENC[litellm]'], 'only the Agent decrypts'),
        (['http://127.0.0.1:1/', '--key', KEY, '--key-file', 'x'], 'not allowed with'),
        (['http://127.0.0.1:1/', '--key', ''], '--key contains no key'),
        (['http://127.0.0.1:1/', '--key', f'{KEY}\n{KEY}'], 'must contain only the key'),
        (['http://ann:secret-word@127.0.0.1:1/', '--key', KEY], 'cannot be combined'),
        (['http://127.0.0.1:1/', KEY], 'more than one URL'),
        (['http://127.0.0.1:1/', f'--kee={KEY}'], 'unknown options: --kee'),
        (['http://127.0.0.1:1/', '--config', 'no-such-file'], 'cannot read the file of --config'),
        (['http://127.0.0.1:1/', '--key-file', 'no-such-file'], 'cannot read the file of --key-file'),
    ],
)
def test_bad_usage_is_one_line_without_secrets(report: Report, arguments: list[str], says: str) -> None:
    printed = report(*arguments)

    assert (printed.code, printed.out) == (2, '')
    assert says in printed.error
    assert KEY not in printed.error
    assert 'secret-word' not in printed.error


# Options from a file


def test_the_instance_of_a_conf_yaml_is_used(report: Report) -> None:
    with serving_page(page()) as url:
        config = (
            'init_config:\n'
            'instances:\n'
            f'  - openmetrics_endpoint: {url}\n'
            '    exclude_metrics: [litellm_in_flight_requests]\n'
        )
        printed = report(config=config)

    assert REQUESTS in printed.out
    assert 'litellm.in_flight_requests' not in printed.out


def test_the_url_chooses_among_several_instances(report: Report) -> None:
    with serving_page(page()) as url:
        config = (
            'instances:\n'
            '  - openmetrics_endpoint: http://127.0.0.1:1/metrics/\n    tags: [proxy:one]\n'
            f'  - openmetrics_endpoint: {url}\n    tags: [proxy:two]\n'
        )
        chosen, undecided = report(url, config=config), report(config=config)

    assert 'proxy:two' in chosen.out
    assert undecided.code == 2
    assert 'several instances' in undecided.error


@pytest.mark.parametrize('content', ['[1, 2', 'a: b: c', '', '- 1', 'instances: 3', 'instances: [1]', '\x00'])
def test_a_file_that_is_no_configuration_is_refused_without_quoting_it(report: Report, content: str) -> None:
    printed = report('http://127.0.0.1:1/', config=f'{content}\n# {KEY}\n')

    assert printed.code == 2
    assert 'conf.yaml' in printed.error
    assert KEY not in printed.error


@pytest.mark.parametrize('option', ['tags: 5', 'metric_patterns: 5', 'hostname_format: x\nhostname_label: y'])
def test_a_wrong_option_of_the_check_is_bad_usage(report: Report, option: str) -> None:
    printed = report('http://127.0.0.1:1/', config=option)

    assert (printed.code, printed.out) == (2, '')
    assert option.partition(':')[0] in printed.error


@pytest.mark.parametrize(
    'content',
    ['extra_headers: abc', 'headers: {1: 2}\ntags: 5', 'init_config: [1]\ninstances: [{}]', 'auth_token: {writer: []}'],
)
def test_a_key_does_not_hide_that_the_file_is_wrong(report: Report, content: str) -> None:
    printed = report('http://127.0.0.1:1/', '--key', KEY, config=content)

    assert (printed.code, printed.out) == (2, '')
    assert KEY not in printed.error


def test_an_endpoint_that_is_no_text_is_refused(report: Report) -> None:

    assert 'no URL' in report('--key', KEY, config='openmetrics_endpoint: 4000\n').error


def test_a_key_takes_the_place_of_the_file_s_own(report: Report) -> None:
    config = 'headers: {authorization: Bearer sk-an-old-key}\n'
    with serving(locked(page())) as url:
        assert report(url, config=config).code == 1
        assert report(url, '--key', KEY, config=config).code == 0


def test_several_wrong_options_are_a_line_each_in_the_types_of_yaml(report: Report) -> None:
    printed = report(
        'http://127.0.0.1:1/', config='tags: 5\nextra_headers: abc\nexclude_metric_groups: [requests, foo]\n'
    )

    assert (printed.code, printed.out) == (2, '')
    first, *others = printed.err.splitlines()
    assert first.startswith("error: `exclude_metric_groups -> 2`: Input should be 'by_tag', ")
    assert others == [
        'error: `extra_headers`: Input should be a mapping',
        'error: `tags`: Input should be a list',
    ]


def requested(paths: list[str]) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        paths.append(request.path)
        answering(200, page(), {'Content-Type': PROMETHEUS})(request)

    return answer


TOKEN_IN_A_HEADER = """\
auth_token:
  reader: {type: file, path: no-such-file}
  writer: {type: header, name: Authorization, value: 'Bearer <TOKEN> ENC[litellm]'}
"""


@pytest.mark.parametrize(
    ('options', 'where'),
    [
        ('extra_headers: {Authorization: "Bearer ENC[litellm]"}', 'extra_headers.Authorization'),
        ('headers: {x-litellm-api-key: "ENC[k8s_secret@a/b/c]"}', 'headers.x-litellm-api-key'),
        (TOKEN_IN_A_HEADER, 'auth_token.writer.value'),
    ],
)
def test_a_key_that_only_the_agent_decrypts_is_not_sent(report: Report, options: str, where: str) -> None:
    paths: list[str] = []
    with serving(requested(paths)) as url:
        refused = report(url, config=options)
        assert paths == []
        assert report(url, '--key', KEY, config=options).code == 0

    assert (refused.code, refused.out) == (2, '')
    assert re.search(f'`{where}` of .*conf.yaml', refused.error)
    assert '--key-file or LITELLM_METRICS_KEY' in refused.error


@pytest.mark.parametrize(
    ('content', 'where'),
    [
        ('username: ann\npassword: ENC[password]', 'password'),
        ('proxy: {no_proxy: ["ENC[host]"]}', 'proxy.no_proxy'),
        ('init_config: {proxy: {http: "http://ENC[user]@127.0.0.1:1"}}\ninstances: [{}]', 'init_config.proxy.http'),
    ],
)
def test_a_key_takes_the_place_of_no_other_secret(report: Report, content: str, where: str) -> None:
    printed = report('http://127.0.0.1:1/', '--key', KEY, config=content)

    assert printed.code == 2
    assert f'`{where}` of' in printed.error


@pytest.mark.parametrize('place', ['init_config', 'instance'])
def test_a_report_is_made_in_its_own_process(place: str, report: Report, tmp_path: Path) -> None:
    config = tmp_path / 'conf.yaml'
    isolated = 'process_isolation: true'
    with serving_page(page()) as url:
        shared, own = (f'{{{isolated}}}', '') if place == 'init_config' else ('', f'    {isolated}\n')
        config.write_text(f'init_config: {shared}\ninstances:\n  - openmetrics_endpoint: {url}\n{own}')
        printed = report('--config', str(config))

    assert (printed.code, printed.err) == (0, '')
    assert 'litellm.' in printed.out


def test_an_option_that_the_check_does_not_have_is_warned_of(report: Report) -> None:
    with serving_page(page()) as url:
        config = (
            'init_config: {timeot: 5, service: a}\ninstances:\n'
            f'  - openmetrics_endpoint: {url}\n    extra_header: {{a: b}}\n    frobnicate: 1\n    name: mine\n'
        )
        printed = report(config=config)

    assert printed.code == 0
    assert printed.err.splitlines() == [
        'warning: `timeot` is not an option of this check; did you mean `timeout`?',
        'warning: `extra_header` is not an option of this check; did you mean `extra_headers`?',
        'warning: `frobnicate` is not an option of this check',
    ]
    assert 'extra_header' not in printed.out


@pytest.mark.parametrize(('form', 'status', 'stream'), [((), 200, 'out'), (('--json',), 200, 'err'), ((), 500, 'err')])
def test_calls_of_models_are_told(report: Report, form: tuple[str, ...], status: int, stream: str) -> None:
    health = answering_json({'healthy_endpoints': [], 'unhealthy_endpoints': []})
    scrape = answering(status, page(), {'Content-Type': PROMETHEUS})
    with serving_paths({'/metrics/': scrape, '/health': health}) as url:
        without = report(f'{url}/metrics/', *form)
        printed = report(f'{url}/metrics/', *form, config=f'litellm_health_endpoint: {url}/health\n')

    told = ' '.join(getattr(printed, stream).split())
    assert '/health was requested: unless the proxy checks its models in the background' in told
    assert '/health was requested' not in without.out + without.err


# The key, and where it must not be


def test_the_key_comes_from_an_option_a_file_or_the_environment(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / 'key'
    file.write_text(f'{KEY}\n')
    with serving(locked(page())) as url:
        assert report(url, '--key', KEY).code == 0
        assert report(url, '--key-file', str(file)).code == 0
        monkeypatch.setenv('LITELLM_METRICS_KEY', KEY)
        assert report(url).code == 0


@pytest.mark.parametrize('form', [(), ('--json',), ('--all',)])
def test_secrets_are_nowhere_in_the_output(tmp_path: Path, form: tuple[str, ...]) -> None:
    clear = 'key-in-clear-of-someone'
    body = page(key=clear) + (
        '# TYPE litellm_deployment_state gauge\n'
        f'litellm_deployment_state{{api_base="https://bot:hunter2@models.example/v1",model_id="{KEY}"}} 0.0\n'
    )
    with serving(locked(body)) as url:
        printed = command(url, '--interval', '0', *form, LITELLM_METRICS_KEY=KEY)

    assert printed.code == 0
    for secret in (KEY, clear, 'hunter2'):
        assert secret not in printed.out
        assert secret not in printed.err
    assert 'hashed_api_key:redacted' in printed.out


@pytest.mark.parametrize('form', [(), ('--json',)])
@pytest.mark.parametrize('fails', [False, True])
def test_a_password_of_the_url_is_nowhere_in_the_output(form: tuple[str, ...], fails: bool) -> None:
    body = page(requests=2).replace('gpt-4o', 'p@ssword')
    with serving(answering(500) if fails else answering(200, body, {'Content-Type': PROMETHEUS})) as url:
        printed = command(url.replace('://', '://ann:p%40ssword@'), '--interval', '0', *form)

    assert printed.code == int(fails)
    for secret in ('p%40ssword', 'p@ssword', 'ann:'):
        assert secret not in printed.out
        assert secret not in printed.err


def test_a_password_in_a_tag_of_the_instance_is_hidden(report: Report) -> None:
    with serving_page(page()) as url:
        printed = report(url, config="tags: ['upstream:https://bot:hunter2@models.example/v1']\n")

    assert 'hunter2' not in printed.out
    assert 'upstream:https://********@models.example/v1' in printed.out


def test_keys_in_clear_are_warned_of(report: Report) -> None:
    with serving_page(page(key='key-in-clear')) as url:
        printed = report(url)

    assert 'keys that do not start with `sk-`' in printed.section('Warnings')


def test_a_renamed_key_label_is_hidden_too(report: Report) -> None:
    with serving_page(page(key='key-in-clear')) as url:
        printed = report(url, config='rename_labels: {hashed_api_key: proxy_key}\n')

    assert 'key-in-clear' not in printed.out
    assert 'proxy_key:redacted' in printed.out


# As shipped


def test_a_python_without_what_the_base_package_needs_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / 'sitecustomize.py').write_text('import sys\nsys.modules["requests"] = None\n')
    printed = command('--help', PYTHONPATH=str(tmp_path))

    assert (printed.code, printed.out) == (2, '')
    assert "pip install 'datadog-checks-base[deps]'" in printed.error


def test_it_needs_the_base_package_only() -> None:
    program = """\
import sys
from datadog_checks.litellm.report.cli import main
code = main([sys.argv[1], '--interval', '0'])
foreign = {'hypothesis', 'mock', 'pytest', 'rich', 'click', 'starlette', 'uvicorn', 'tests'}
print(sorted(name for name in sys.modules if name in foreign or name.startswith('datadog_checks.dev')), file=sys.stderr)
sys.exit(code)
"""
    with serving_page(page()) as url:
        done = subprocess.run([sys.executable, '-c', program, url], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, '[]\n')


def test_nothing_but_the_report_is_printed_without_a_terminal() -> None:
    with serving_page('# TYPE litellm_teams_count gauge\nlitellm_teams_count{team="équipe"} 1.0\n') as url:
        printed = command(url, '--interval', '0', PYTHONIOENCODING='ascii')

    assert (printed.code, printed.err) == (0, '')
    assert r'team:\xe9quipe' in printed.out
    assert '\x1b' not in printed.out


def test_a_reader_that_is_gone_is_no_error() -> None:
    with serving_page(page()) as url:
        arguments = [sys.executable, '-m', 'datadog_checks.litellm', url, '--interval', '0']
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            errors = process.stderr.read()

    assert (process.returncode, errors) == (0, '')


def test_what_a_proxy_served_between_the_scrapes_is_what_the_report_says() -> None:
    with start() as proxy:
        drive(proxy.url, proxy.key, requests=20)
        instance: dict[str, Any] = {'openmetrics_endpoint': proxy.metrics_url, 'extra_headers': proxy.headers}
        sent = []
        measurement = measure(
            create_check({}, instance), lambda: sent.append(drive(proxy.url, proxy.key, requests=40, seed=1))
        )

    stub = replayed(to_json(measurement))
    assert measurement.failure is None
    assert sum(metric.value for metric in stub.metrics('litellm.total.tokens.count')) == sent[0].total_tokens
    assert {(m.name, m.value, frozenset(m.tags)) for name in stub.metric_names for m in stub.metrics(name)} == {
        (point.context.name, point.value, point.context.tags) for point in measurement.points
    }


@pytest.mark.parametrize(
    ('text', 'problem'),
    [
        ('extra_headers: &a {Authorization: *a}', 'contains an alias'),
        ('tags: &a [*a]', 'contains an alias'),
        ('a: &a {b: &b [*a, *b]}', 'contains an alias'),
        ('a: ' + '[' * 5000, 'nested too deep'),
        ('extra_headers: {1: x}', 'extra_headers'),
        ('max_page_bytes: -5', 'max_page_bytes'),
        ('max_page_seconds: .nan', 'max_page_seconds'),
        ('timeout: .inf', 'timeout'),
        ('raw_line_filters: [(]', 'raw_line_filters'),
        ('metric_patterns: {include: ["*"]}', 'metric_patterns'),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(report: Report, text: str, problem: str) -> None:
    printed = report('http://127.0.0.1:9/', config=text)

    assert printed.code == 2
    assert problem in printed.err
    assert 'Traceback' not in printed.err
