"""The model of Datadog: each rule of its documentation that our assets rely on, with an example worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from datadog_checks.base import AgentCheck
from tools.datadog_model import (
    AssetError,
    Monitor,
    QueryError,
    Recorder,
    Store,
    Window,
    default_interval,
    evaluate,
    metric_queries,
    parse,
    run_monitor,
)

MINUTE = 60
Points = list[float | None]


def stored(kind: Any, *series: tuple[str, Mapping[float, float]]) -> Store:
    """Store the metric `m`: for each series its tags, separated by commas, and its values by time."""
    store = Store()
    points = [(time, tags, value) for tags, values in series for time, value in values.items()]
    for time, tags, value in sorted(points):
        store.add('m', kind, tags.split(','), time, value)
    return store


def lines(query: str, store: Store, end: float = 4 * MINUTE, **options: Any) -> dict[str, Points]:
    """Evaluate a query from second 0, minute by minute, and return the values of each group."""
    options.setdefault('interval', MINUTE)
    result = evaluate(query, store, Window(0, end), **options)
    return {','.join(line.group): [value for _, value in line.points] for line in result}


def line(query: str, store: Store, end: float = 4 * MINUTE, **options: Any) -> Points:
    """Evaluate a query that has no groups."""
    result = lines(query, store, end, **options)
    return result[''] if result else []


# What is stored


def test_tags_are_stored_in_lower_case_and_without_odd_characters() -> None:
    store = stored('gauge', ('Team:Platform Eng,user_email:A@b.c', {0: 1}))

    assert store.series('m')[0].tags == {'team:platform_eng', 'user_email:a_b.c'}


def test_a_series_is_one_set_of_tags_in_any_order() -> None:
    store = stored('gauge', ('a:1,b:2', {0: 1}), ('b:2,a:1', {60: 2}))

    assert [(one.times, one.values) for one in store.series('m')] == [([0, 60], [1, 2])]


def test_time_does_not_go_back() -> None:
    store = stored('gauge', ('a:1', {60: 1}))

    with pytest.raises(ValueError, match='time goes back'):
        store.add('m', 'gauge', ['a:1'], 59, 1)


def test_a_metric_has_one_kind() -> None:
    store = stored('gauge', ('a:1', {0: 1}))

    with pytest.raises(ValueError, match='is a gauge, not a count'):
        store.add('m', 'count', ['a:1'], 60, 1)


class CountingCheck(AgentCheck):
    """Submits a counter that rises by ten each run, a gauge and its service check."""

    __NAMESPACE__ = 'toy'

    def check(self, _: Any) -> None:
        self.runs = getattr(self, 'runs', 0) + 1
        self.monotonic_count('requests', 10 * self.runs, tags=['a:1'])
        self.gauge('depth', self.runs)
        self.service_check('health', self.OK if self.runs == 1 else self.CRITICAL)


def test_a_recorder_stores_what_the_agent_flushes_with_the_host() -> None:
    recorder, check = Recorder(host='web-1'), CountingCheck('toy', {}, [{}])

    for time in (0, 15, 30):
        recorder.run(check, time)

    points: dict[str, Any] = {one.name: (one.kind, {*one.tags}, one.times, one.values) for one in recorder.store}
    # The first sample of a counter is where counting starts.
    assert points == {
        'toy.requests': ('count', {'a:1', 'host:web-1'}, [15, 30], [10, 10]),
        'toy.depth': ('gauge', {'host:web-1'}, [0, 15, 30], [1, 2, 3]),
    }
    runs = recorder.store.service_checks('toy.health')
    assert [(run.time, run.status, {*run.tags}) for run in runs] == [
        (0, 0, {'host:web-1'}),
        (15, 2, {'host:web-1'}),
        (30, 2, {'host:web-1'}),
    ]


def test_a_recorder_may_rewrite_tags() -> None:
    recorder = Recorder(host='web-1', rewritten=lambda tag: tag.replace('1', 'one'))
    check = CountingCheck('toy', {}, [{}])

    for time in (0, 15):
        recorder.run(check, time)

    assert recorder.store.series('toy.requests')[0].tags == {'a:one', 'host:web-1'}


# Filters and groups

FOUR = stored(
    'gauge',
    ('team:search,model:gpt-4o,env:prod', {0: 1}),
    ('team:search,model:gpt-4o-mini,env:dev', {0: 2}),
    ('team:support,model:claude,env:prod', {0: 4}),
    ('model:claude,env:dev', {0: 8}),
)


@pytest.mark.parametrize(
    ('scope', 'total'),
    [
        ('*', 15),
        ('team:search', 3),
        ('team:search,env:prod', 1),
        ('!team:search', 12),
        ('!env:dev,!model:claude', 1),
        ('model:gpt-4o*', 3),
        ('model:*-mini', 2),
        ('!model:gpt*', 12),
        ('team:*', 7),
        ('NOT team:*', 8),
        ('team:search AND env:dev', 2),
        ('team:support or model:gpt-4o', 5),
        ('env:prod AND (team:support OR model:gpt-4o)', 5),
        ('env:prod AND NOT (team:support OR model:claude)', 1),
        ('model IN (claude,gpt-4o)', 13),
        ('model NOT IN (claude, gpt-4o)', 2),
        ('model in (gpt-4o*) AND env not in (dev)', 1),
        ('team:nobody', None),
    ],
)
def test_a_filter_chooses_series(scope: str, total: float | None) -> None:
    assert line(f'sum:m{{{scope}}}', FOUR, MINUTE) == ([] if total is None else [total])


@pytest.mark.parametrize(
    ('chosen', 'total'),
    [
        ([], 15),
        (['team:search'], 3),
        (['team:search', 'team:support'], 7),
        (['model:gpt-4o*'], 3),
        (['Team:Search'], 3),
    ],
)
def test_a_template_variable_stands_for_the_tags_chosen(chosen: list[str], total: float) -> None:
    assert line('sum:m{$pick}', FOUR, MINUTE, variables={'pick': chosen}) == [total]


def test_template_variables_stand_in_every_kind_of_filter() -> None:
    variables = {'team': ['team:search'], 'env': ['env:prod']}

    assert line('sum:m{$team,$env}', FOUR, MINUTE, variables=variables) == [1]
    assert line('sum:m{!$team}', FOUR, MINUTE, variables=variables) == [12]
    assert line('sum:m{$team OR $env}', FOUR, MINUTE, variables=variables) == [7]


def test_groups_are_the_values_of_tags_and_a_missing_tag_is_not_available() -> None:
    assert lines('sum:m{*} by {team}', FOUR, MINUTE) == {'team:search': [3], 'team:support': [4], 'team:N/A': [8]}


def test_groups_by_several_tags_keep_their_order() -> None:
    assert lines('sum:m{team:search} by {env,team}', FOUR, MINUTE) == {
        'env:prod,team:search': [1],
        'env:dev,team:search': [2],
    }


# Aggregation over time and space


def test_a_gauge_is_averaged_over_time_before_series_are_added_up() -> None:
    # Minute 0: (1 + 3) / 2 for a, 10 for b.
    store = stored('gauge', ('x:a', {0: 1, 30: 3}), ('x:b', {15: 10}))

    assert line('sum:m{*}', store, MINUTE) == [12]
    assert line('avg:m{*}', store, MINUTE) == [6]
    assert line('min:m{*}', store, MINUTE) == [2]
    assert line('max:m{*}', store, MINUTE) == [10]


def test_a_rollup_chooses_how_points_become_one() -> None:
    store = stored('gauge', ('x:a', {0: 1, 20: 6, 40: 2}))

    results = {name: line(f'avg:m{{*}}.rollup({name},60)', store, MINUTE) for name in ('avg', 'sum', 'min', 'max')}

    assert results == {'avg': [3], 'sum': [9], 'min': [1], 'max': [6]}
    assert line('avg:m{*}.rollup(count, 60)', store, MINUTE) == [3]


def test_a_count_is_a_sum_over_time_only_as_count() -> None:
    store = stored('count', ('x:a', {0: 1, 15: 2, 30: 3, 45: 0}))

    assert line('sum:m{*}.as_count()', store, MINUTE) == [6]
    assert line('sum:m{*}', store, MINUTE) == [1.5], 'what every count query must avoid'
    assert line('sum:m{*}.rollup(sum, 60)', store, MINUTE) == [6]


def test_a_rate_is_the_sum_divided_by_the_seconds_of_the_interval() -> None:
    # The documented example: four points of 1, 20 seconds each.
    store = stored('count', ('x:a', {0: 1, 20: 1, 40: 1, 60: 1}))

    assert line('sum:m{*}.as_rate()', store, 80, interval=20) == [0.05, 0.05, 0.05, 0.05]
    assert line('sum:m{*}.as_rate()', store, 120) == [0.05, pytest.approx(1 / 60)]


def test_as_count_and_as_rate_leave_gauges_alone() -> None:
    store = stored('gauge', ('x:a', {0: 1, 30: 3}))

    assert line('sum:m{*}.as_count()', store, MINUTE) == line('sum:m{*}.as_rate()', store, MINUTE) == [2]


def test_intervals_are_aligned_to_unix_time_and_not_to_the_window() -> None:
    # The documented example: 1 at 11:00:00, 2 at 11:01:00, 1 at 11:01:30, and one after the window.
    store = stored('gauge', ('x:a', {0: 1, 60: 2, 90: 1, 150: 1}))

    result = evaluate('sum:m{*}.rollup(sum,60)', store, Window(30, 140))

    assert result[0].points == [(0, None), (60, 3), (120, None)]


def test_a_window_ends_before_its_end() -> None:
    store = stored('gauge', ('x:a', {0: 1, 60: 2}))

    assert line('sum:m{*}', store, MINUTE) == [1]


@pytest.mark.parametrize(
    ('hours', 'line_seconds', 'bar_seconds'), [(1, 20, 60), (4, 60, 120), (24, 300, 1200), (48, 600, 1800)]
)
def test_the_interval_follows_from_the_window(hours: int, line_seconds: int, bar_seconds: int) -> None:
    window = Window(0, hours * 3600)

    assert (default_interval(window), default_interval(window, bars=True)) == (line_seconds, bar_seconds)


# Missing data


def test_gauges_of_several_series_are_interpolated_up_to_five_minutes_after_a_sample() -> None:
    # a: 10 at minute 0 and 24 at minute 7, so 2 more each minute until minute 5, then nothing until minute 7.
    store = stored('gauge', ('x:a', {0: 10, 420: 24}), ('x:b', {60 * minute: 100 for minute in range(8)}))

    assert line('sum:m{*}', store, 480) == [110, 112, 114, 116, 118, 120, 100, 124]


def test_a_single_series_is_not_interpolated() -> None:
    store = stored('gauge', ('x:a', {0: 10, 120: 24}))

    assert line('sum:m{*}', store, 180) == [10, None, 24]


def test_counts_are_not_interpolated() -> None:
    store = stored('count', ('x:a', {0: 10, 120: 20}), ('x:b', {0: 1, 60: 1, 120: 1}))

    assert line('sum:m{*}.as_count()', store, 180) == [11, 1, 21]


def test_default_zero_holds_a_gauge_for_five_minutes_and_then_is_zero() -> None:
    # The documented example: one point of 1.
    store = stored('gauge', ('x:a', {120: 1}))

    assert line('default_zero(avg:m{*})', store, 600) == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]


def test_default_zero_of_a_count_is_zero_at_once() -> None:
    store = stored('count', ('x:a', {60: 1}))

    assert line('default_zero(sum:m{*}.as_count())', store, 180) == [0, 1, 0]


def test_default_zero_of_nothing_is_one_line_of_zeros() -> None:
    assert lines('default_zero(sum:other{*} by {x})', FOUR, 120) == {'': [0, 0]}


def test_without_data_there_is_no_line() -> None:
    assert lines('sum:other{*}', FOUR) == {}


# Arithmetic


def two_metrics(kind: Any) -> Store:
    """Store `a`: 10, 10, 10, and `b`: 0, 1, nothing. The documented example of sparse metrics."""
    store = Store()
    for time, values in ((0, {'a': 10, 'b': 0}), (60, {'a': 10, 'b': 1}), (120, {'a': 10})):
        for name, value in values.items():
            store.add(name, kind, ['x:1'], time, value)
    return store


@pytest.mark.parametrize(
    ('expression', 'expected'),
    [
        ('avg:a{*} + avg:b{*}', [10, 11, None]),
        ('avg:a{*} - avg:b{*} * 2', [10, 8, None]),
        ('(avg:a{*} - avg:b{*}) * 2', [20, 18, None]),
        ('avg:a{*} / avg:b{*}', [None, 10, None]),
        ('100 - avg:a{*}', [90, 90, 90]),
        ('-avg:a{*} + 1.5', [-8.5, -8.5, -8.5]),
        ('avg:a{*} - 1 - 1', [8, 8, 8]),
        ('avg:a{*} + default_zero(avg:c{*})', [10, 10, 10]),
    ],
)
def test_arithmetic_of_gauges_needs_data_on_both_sides(expression: str, expected: Points) -> None:
    assert line(expression, two_metrics('gauge'), 180) == expected


def test_a_count_is_zero_where_the_other_side_has_a_value() -> None:
    store = two_metrics('count')

    assert line('sum:a{*}.as_count() + sum:b{*}.as_count()', store, 240) == [10, 11, 10, None]
    assert line('sum:b{*}.as_count() / sum:a{*}.as_count()', store, 180) == [0, 0.1, 0]
    assert line('sum:a{*}.as_count() / sum:b{*}.as_count()', store, 180) == [None, 10, None]


def test_a_count_of_whose_zero_a_function_makes_something_else_is_not_zero_where_it_is_missing() -> None:
    assert line('sum:a{*}.as_count() + is_less(sum:b{*}.as_count(), 1)', two_metrics('count'), 180) == [11, 10, None]


GROUPED = Store()
for _name, _tags, _value in (
    ('errors', ['m:x', 'k:1'], 1),
    ('errors', ['m:z', 'k:1'], 5),
    ('requests', ['m:x', 'k:1'], 4),
    ('requests', ['m:y', 'k:1'], 8),
):
    GROUPED.add(_name, 'count', _tags, 0, _value)


def test_groups_of_both_sides_are_joined_and_others_left_out() -> None:
    query = 'sum:errors{*} by {m}.as_count() / sum:requests{*} by {m}.as_count()'

    assert lines(query, GROUPED, MINUTE) == {'m:x': [0.25]}


def test_groups_are_joined_whatever_the_order_of_their_tags() -> None:
    query = 'sum:errors{*} by {m,k}.as_count() / sum:requests{*} by {k,m}.as_count()'

    assert lines(query, GROUPED, MINUTE) == {'m:x,k:1': [0.25]}


def test_a_line_without_groups_goes_with_every_group() -> None:
    assert lines('sum:requests{*} by {m}.as_count() / sum:requests{*}.as_count()', GROUPED, MINUTE) == {
        'm:x': [pytest.approx(1 / 3)],
        'm:y': [pytest.approx(2 / 3)],
    }


def test_different_groups_do_not_go_together() -> None:
    with pytest.raises(QueryError, match='groups by m and by k do not go together'):
        lines('sum:requests{*} by {m}.as_count() / sum:requests{*} by {k}.as_count()', GROUPED, MINUTE)


def test_a_renamed_metric_goes_on_with_default_zero() -> None:
    query = 'default_zero(sum:requests{*} by {m}.as_count()) + default_zero(sum:requests_old{*} by {m}.as_count())'

    assert lines(query, GROUPED, MINUTE) == {'m:x': [4], 'm:y': [8]}


# Functions

WAVE = stored('gauge', ('x:a', {0: -4, 60: 0, 180: 6}))


@pytest.mark.parametrize(
    ('call', 'expected'),
    [
        ('abs(avg:m{*})', [4, 0, None, 6]),
        ('cutoff_min(avg:m{*}, 0)', [None, 0, None, 6]),
        ('is_greater(avg:m{*}, 0)', [0, 0, None, 1]),
        ('is_greater_equal(avg:m{*}, 0)', [0, 1, None, 1]),
        ('is_less(avg:m{*}, 0)', [1, 0, None, 0]),
        ('is_less_equal(avg:m{*}, 0)', [1, 1, None, 0]),
        ('max(avg:m{*}, 2)', [2, 2, None, 6]),
        ('min(avg:m{*}, 2)', [-4, 0, None, 2]),
        ('count_nonzero(avg:m{*})', [1, 0, 0, 1]),
        ('count_not_null(avg:m{*})', [1, 1, 0, 1]),
    ],
)
def test_a_function_changes_values(call: str, expected: Points) -> None:
    assert line(call, WAVE) == expected


@pytest.mark.parametrize(
    ('function', 'seconds'), [('hour_before', 3600), ('day_before', 86400), ('week_before', 604800)]
)
def test_earlier_values_are_shown_at_the_present_time(function: str, seconds: int) -> None:
    store = stored('gauge', ('x:a', {0: 7}))

    result = evaluate(f'{function}(avg:m{{*}})', store, Window(seconds, seconds + 60), interval=60)

    assert result[0].points == [(seconds, 7)]


def test_counts_of_groups() -> None:
    store = stored('gauge', ('x:a', {0: 0, 60: 1}), ('x:b', {0: 3, 60: 4}))

    assert line('count_nonzero(avg:m{*} by {x})', store, 120) == [1, 2]
    assert line('count_not_null(avg:m{*} by {x})', store, 120) == [2, 2]


# What is refused


@pytest.mark.parametrize(
    ('query', 'problem', 'position'),
    [
        ('sum:m{*', 'ends too early', 7),
        ('sum:m', 'ends too early', 5),
        ('m{*}', 'not understood', 1),
        ('sum:m{}', 'not understood', 6),
        ('sum:m{*} by {a}}', 'not understood', 15),
        ('sum:m{*} sum:m{*}', 'not understood', 9),
        ('sum:m{*}, sum:m{*}', 'not understood', 8),
        ('sum:m{*} > 3', 'not understood', 9),
        ('median:m{*}', 'not understood', 6),
        ('sum:m{!a:b AND c:d}', 'cannot stand beside', 5),
        ('sum:m{a:b,c IN (d)}', 'cannot stand beside', 5),
        ('sum:m{team:Search}', 'Datadog stores it as team:search', 6),
        ('sum:m{user:a@b}', 'Datadog stores it as user:a_b', 6),
        ('sum:m{team:Se*}', 'lower case', 6),
        ('sum:m{team:$team}', 'stands alone', 6),
        ('sum:m{*}.as_cuont()', 'unknown modifier', 9),
        ('sum:m{*}.as_count().as_count()', 'unknown modifier', 20),
        ('sum:m{*}.rollup(median, 60)', 'unknown modifier', 9),
        ('sum:m{*}.fill(zero)', 'unknown modifier', 9),
        ('forecast(sum:m{*}, "linear", 1)', 'does not know the function forecast', 0),
        ('1 + cutoff_min(sum:m{*})', 'takes 2 arguments, not 1', 4),
        ('cutoff_min(sum:m{*}, sum:m{*})', 'takes a number', 0),
        ('abs("m")', 'a query is expected', 4),
        ("calendar_shift(sum:m{*}.as_count(), '-1mo', 'UTC')", 'calendar_shift takes', 0),
        ("calendar_shift(sum:m{*}.as_count(), '-1d', 'Europe/Berlin')", 'calendar_shift takes', 0),
        ("calendar_shift(sum:m{*}.as_count(), '1d', 'UTC')", 'calendar_shift takes', 0),
        ('hour_before(sum:m{*}, 2)', 'not with these arguments', 0),
        ('sum:m{$nobody}', 'no template variable nobody', 0),
        ('query1 + 1', 'no query is named query1', 0),
        ('sum:m{*}.rollup(sum, 60) + sum:m{*}.rollup(sum, 120)', 'rollups of several intervals', 0),
    ],
)
def test_what_the_model_does_not_know_is_an_error_with_its_position(query: str, problem: str, position: int) -> None:
    with pytest.raises(QueryError, match=problem) as caught:
        evaluate(query, FOUR, Window(0, 3600))

    assert caught.value.position == position
    assert str(caught.value).splitlines()[-1] == f'    {" " * position}^'


def test_a_count_has_no_other_form_than_a_sum() -> None:
    store = stored('count', ('x:a', {0: 1}))

    with pytest.raises(QueryError, match='as_count is a sum over time, not max'):
        line('sum:m{*}.as_count().rollup(max, 60)', store)


def test_the_metric_queries_of_an_expression_are_found() -> None:
    tree = parse('cutoff_min(default_zero(sum:a{*} by {x}), 5) / (1 + avg:b.c{x:y})')

    assert [query.metric for query in metric_queries(tree)] == ['a', 'b.c']


# Monitors


def monitor(query: str, kind: str = 'query alert', critical: float | None = None, **options: Any) -> dict[str, Any]:
    thresholds = options.pop('thresholds', {})
    if critical is not None:
        thresholds = {'critical': critical, **thresholds}
    return {'name': 'a monitor', 'type': kind, 'query': query, 'options': {'thresholds': thresholds, **options}}


def minutes(count: int, first: int = 1) -> Iterable[float]:
    return [minute * 60.0 for minute in range(first, first + count)]


def statuses(definition: dict[str, Any], store: Store, times: Iterable[float]) -> list[str]:
    return [evaluation.status for evaluation in run_monitor(definition, store, times)]


def every_minute(kind: Any, values: Iterable[float | None], tags: str = 'x:a') -> Store:
    """Store `m` with a value in each minute, 30 seconds into it."""
    points = {60.0 * minute + 30: value for minute, value in enumerate(values) if value is not None}
    return stored(kind, (tags, points))


def test_a_monitor_compares_the_aggregate_of_its_window() -> None:
    store = every_minute('gauge', [1, 1, 7, 1])

    # Windows of two minutes hold 1; 1, 1; 1, 7; 7, 1.
    expected = {
        'avg': ['OK', 'OK', 'Alert', 'Alert'],
        'max': ['OK', 'OK', 'Alert', 'Alert'],
        'min': ['OK', 'OK', 'OK', 'OK'],
        'sum': ['OK', 'OK', 'Alert', 'Alert'],
    }
    assert {
        name: statuses(monitor(f'{name}(last_2m):avg:m{{*}} > 3.5', critical=3.5), store, minutes(4))
        for name in expected
    } == expected


@pytest.mark.parametrize(('comparison', 'alerts'), [('> 2', [3]), ('>= 2', [2, 3]), ('< 2', [1]), ('<= 2', [1, 2])])
def test_a_monitor_compares_as_its_sign_says(comparison: str, alerts: list[int]) -> None:
    store = every_minute('gauge', [1, 2, 3])

    result = statuses(monitor(f'avg(last_1m):avg:m{{*}} {comparison}', critical=2), store, minutes(3))

    assert [number for number, status in enumerate(result, 1) if status == 'Alert'] == alerts


def test_a_monitor_recovers_when_it_passes_its_recovery_thresholds() -> None:
    store = every_minute('gauge', [0, 6, 9, 11, 9, 8, 6, 5, 4])
    thresholds = {'critical_recovery': 8, 'warning': 5, 'warning_recovery': 4}

    result = statuses(monitor('avg(last_1m):avg:m{*} > 10', critical=10, thresholds=thresholds), store, minutes(9))

    # 9 is not yet recovered from the alert, 8 is; 5 is not yet recovered from the warning, 4 is.
    assert result == ['OK', 'Warn', 'Warn', 'Alert', 'Alert', 'Warn', 'Warn', 'Warn', 'OK']


def test_an_alert_becomes_a_warning_until_that_recovers_too() -> None:
    store = every_minute('gauge', [11, 4.5, 4])
    thresholds = {'critical_recovery': 8, 'warning': 5, 'warning_recovery': 4}

    result = statuses(monitor('avg(last_1m):avg:m{*} > 10', critical=10, thresholds=thresholds), store, minutes(3))

    assert result == ['Alert', 'Warn', 'OK']


def test_recovery_works_downward_as_well() -> None:
    store = every_minute('gauge', [9, 3, 5, 6, 7])

    query = 'avg(last_1m):avg:m{*} < 4'
    result = statuses(monitor(query, critical=4, thresholds={'critical_recovery': 6}), store, minutes(5))

    assert result == ['OK', 'Alert', 'Alert', 'OK', 'OK']


ERRORS = Store()
for _minute in range(5):
    ERRORS.add('requests.error', 'count', ['x:a'], 60 * _minute + 30, _minute + 1)
    ERRORS.add('requests.total', 'count', ['x:a'], 60 * _minute + 30, 10)


def value(query: str, store: Store, time: float) -> float | None:
    """Return the value that a monitor on this query compares with its threshold."""
    return run_monitor(monitor(f'{query} > 1000', critical=1000), store, [time])[0].value


def test_with_as_count_the_window_is_added_up_before_the_division() -> None:
    # The documented example: (1 + 2 + 3 + 4 + 5) / (10 + 10 + 10 + 10 + 10), and 1/10 + 2/10 + 3/10 + 4/10 + 5/10.
    counted = 'sum(last_5m):sum:requests.error{*}.as_count() / sum:requests.total{*}.as_count()'
    rated = 'sum(last_5m):sum:requests.error{*}.as_rate() / sum:requests.total{*}.as_rate()'

    assert value(counted, ERRORS, 300) == pytest.approx(0.3)
    assert value(rated, ERRORS, 300) == pytest.approx(1.5)


def test_a_division_by_nothing_is_skipped_in_a_sum() -> None:
    # The documented example: 10/0 + 10/1 + 10/NaN = 10.
    assert value('sum(last_3m):sum:a{*} / sum:b{*}', two_metrics('gauge'), 180) == 10


def test_a_ratio_counts_only_above_a_minimum_of_traffic() -> None:
    ratio = 'sum:requests.error{*}.as_count() / sum:requests.total{*}.as_count()'
    guard = 'is_greater(sum:requests.total{*}.as_count(), 15)'

    assert value(f'sum(last_1m):({ratio}) * {guard}', ERRORS, 60) == 0
    assert value(f'sum(last_2m):({ratio}) * {guard}', ERRORS, 120) == pytest.approx(0.15)


def test_an_evaluation_delay_moves_the_window_back() -> None:
    store = every_minute('gauge', [1, 9, 1, 1])

    definition = monitor('avg(last_1m):avg:m{*} > 5', critical=5, evaluation_delay=60)

    assert statuses(definition, store, minutes(4)) == ['No Data', 'OK', 'Alert', 'OK']


def test_each_group_has_a_status_of_its_own() -> None:
    store = stored('gauge', ('x:a', {30: 9, 90: 9}), ('x:b', {30: 1, 90: 1}))

    result = run_monitor(monitor('avg(last_1m):avg:m{*} by {x} > 5', critical=5, new_group_delay=0), store, [60, 120])

    assert [(one.time, one.group, one.status) for one in result] == [
        (60, ('x:a',), 'Alert'),
        (60, ('x:b',), 'OK'),
        (120, ('x:a',), 'Alert'),
        (120, ('x:b',), 'OK'),
    ]


@pytest.mark.parametrize(('options', 'first'), [({}, 120), ({'new_group_delay': 180}, 240)])
def test_a_new_group_is_not_evaluated_at_once(options: dict[str, Any], first: float) -> None:
    store = every_minute('gauge', [9] * 6)

    result = run_monitor(monitor('avg(last_1m):avg:m{*} by {x} > 5', critical=5, **options), store, minutes(6))

    assert result[0].time == first


def test_a_group_without_data_for_a_day_is_forgotten_and_new_when_it_returns() -> None:
    day = 86400.0
    store = stored('gauge', ('x:a', {30: 9, day + 330: 9, day + 390: 9}))

    times = [60, 120, day, day + 180, day + 360, day + 420]
    result = run_monitor(monitor('avg(last_1m):avg:m{*} by {x} > 5', critical=5), store, times)

    assert [(one.time, one.status, one.value) for one in result] == [
        (120, 'No Data', None),
        (day, 'No Data', None),
        (day + 420, 'Alert', 9),
    ]


@pytest.mark.parametrize(
    ('query', 'options', 'expected'),
    [
        ('sum(last_1m):sum:m{*}.as_count() > 5', {'on_missing_data': 'default'}, 'OK'),
        ('sum(last_1m):sum:m{*}.as_count() > 5', {'on_missing_data': 'resolve'}, 'OK'),
        ('sum(last_1m):sum:m{*}.as_count() > 5', {'on_missing_data': 'show_and_notify_no_data'}, 'No Data'),
        ('avg(last_1m):sum:m{*}.as_rate() > 0.05', {'on_missing_data': 'default'}, 'Alert'),
        ('sum(last_1m):sum:m{*}.as_count() > 5', {}, 'Alert'),
        ('sum(last_1m):default_zero(sum:m{*}.as_count()) > 5', {}, 'OK'),
    ],
)
def test_missing_data_is_what_the_monitor_says(query: str, options: dict[str, Any], expected: str) -> None:
    store = every_minute('count', [9])

    assert statuses(monitor(query, critical=float(query.split()[-1]), **options), store, minutes(2)) == [
        'Alert',
        expected,
    ]


@pytest.mark.parametrize(
    ('present', 'full'),
    [
        ('111111111111', True),
        ('x11111111111', False),
        ('11xxx1111111', True),
        ('1xxxx1111111', False),
        ('1xxx1111xx11', False),
    ],
)
def test_a_full_window_has_its_first_bucket_and_lacks_three_at_most(present: str, full: bool) -> None:
    # The documented example: two hours are twelve buckets of ten minutes.
    store = stored('gauge', ('x:a', {600.0 * number: 9 for number, sign in enumerate(present) if sign == '1'}))

    definition = monitor('avg(last_2h):avg:m{*} > 5', critical=5, require_full_window=True)

    assert statuses(definition, store, [7200]) == ['Alert' if full else 'No Data']


def test_a_change_alert_compares_with_an_earlier_time() -> None:
    # 2 in the first minute, 5 five minutes later.
    store = every_minute('gauge', [2, 2, 2, 2, 2, 5])

    assert value('change(avg(last_1m),last_5m):avg:m{*}', store, 360) == 3


@pytest.mark.parametrize(
    ('definition', 'problem'),
    [
        (monitor('avg(last_5m):avg:m{*} > 5', critical=4), 'compares with 5'),
        (monitor('avg(last_5m):avg:m{*} > 5'), 'compares with 5'),
        (
            monitor('avg(last_5m):avg:m{*} > 5', critical=5, thresholds={'warning': 6}),
            'critical must lie beyond warning',
        ),
        (
            monitor('avg(last_5m):avg:m{*} < 5', critical=5, thresholds={'critical_recovery': 4}),
            'critical must lie beyond critical_recovery',
        ),
        (monitor('avg(last_5m):avg:m{*} > 5', critical=5, thresholds={'ok': 1}), 'thresholds ok'),
        (monitor('avg(last_5m):sum:m{*}.as_count() > 5', critical=5), 'goes with sum'),
        (monitor('sum(last_5m):sum:m{*}.as_count() / avg:n{*} > 5', critical=5), 'does not mix as_count'),
        (monitor('last(last_5m):avg:m{*} > 5', critical=5), 'not understood'),
        (monitor('avg(last_5m):avg:m{*}', critical=5), 'ends too early'),
        (monitor('avg(last_5m):avg:m{*} > 5', critical=5, recover_soon=True), 'options recover_soon'),
        (monitor('avg(last_5m):avg:m{*} > 5', critical=5, on_missing_data='ok'), 'on_missing_data is none of'),
        (monitor('avg(last_5m):avg:m{*} > 5', critical=5, notify_no_data=True), 'takes the place of notify_no_data'),
        (monitor('avg(last_5m):avg:m{*} > 5', critical=5, renotify_interval=60), 'does not know renotify_interval'),
        (
            monitor('sum(last_5m):default_zero(sum:m{*}) > 5', critical=5, on_missing_data='resolve'),
            'with default_zero',
        ),
        (monitor('avg(last_5m):avg:m{*} > 5', 'composite', critical=5), 'monitors of type composite'),
    ],
)
def test_a_monitor_that_the_model_does_not_know_or_datadog_refuses_is_an_error(
    definition: dict[str, Any], problem: str
) -> None:
    with pytest.raises(AssetError, match=problem):
        Monitor.from_json(definition)


def test_a_monitor_is_read_from_the_file_of_an_asset() -> None:
    definition = monitor('avg(last_5m):avg:m{*} by {b,a} > 5', critical=5)

    assert Monitor.from_json({'version': 2, 'definition': definition}).groups == ('a', 'b')


# Service check monitors


def health(*runs: int, tags: str = 'host:web-1,endpoint:e') -> Store:
    """Store the runs of a service check, one a minute from minute 1 on."""
    store = Store()
    for minute, status in enumerate(runs, 1):
        store.add_service_check('toy.health', status, tags.split(','), 60 * minute)
    return store


def check_monitor(by: str = '"host"', runs: int = 4, over: str = '"*"', **options: Any) -> dict[str, Any]:
    options.setdefault('thresholds', {'critical': 2, 'warning': 2, 'ok': 3})
    query = f'"toy.health".over({over}).by({by}).last({runs}).count_by_status()'
    return monitor(query, 'service check', new_group_delay=0, **options)


def test_a_check_alert_needs_as_many_statuses_in_a_row_as_its_threshold_says() -> None:
    store = health(0, 2, 0, 2, 2, 0, 0, 2, 0, 0, 0)

    result = statuses(check_monitor(), store, minutes(11))

    assert result == ['OK', 'OK', 'OK', 'OK', 'Alert', 'Alert', 'Alert', 'Alert', 'Alert', 'Alert', 'OK']


def test_a_check_alert_warns() -> None:
    assert statuses(check_monitor(), health(0, 1, 1, 0, 0, 0), minutes(6)) == ['OK', 'OK', 'Warn', 'Warn', 'Warn', 'OK']


def test_the_order_of_by_and_last_does_not_matter() -> None:
    definition = check_monitor()
    definition['query'] = '"toy.health".over("*").last(4).by("host").count_by_status()'

    assert statuses(definition, health(2, 2), minutes(2)) == ['OK', 'Alert']


def test_a_check_alert_has_a_status_for_each_group() -> None:
    store = Store()
    for minute in (1, 2):
        store.add_service_check('toy.health', 0, ['host:a', 'endpoint:1'], 60 * minute)
        store.add_service_check('toy.health', 2, ['host:a', 'endpoint:2'], 60 * minute)

    result = run_monitor(check_monitor(by='"host","endpoint"'), store, [120])

    assert [(one.group, one.status) for one in result] == [
        (('endpoint:1', 'host:a'), 'OK'),
        (('endpoint:2', 'host:a'), 'Alert'),
    ]


@pytest.mark.parametrize(('over', 'groups'), [('"*"', 1), ('"host:web-1","endpoint:e"', 1), ('"host:web-2"', 0)])
def test_a_check_alert_looks_at_the_checks_in_its_scope(over: str, groups: int) -> None:
    assert len(run_monitor(check_monitor(over=over), health(0), [60])) == groups


@pytest.mark.parametrize(('runs', 'thresholds'), [(1, {'critical': 2}), (101, {'critical': 2}), (2, {'ok': 3})])
def test_last_holds_the_highest_threshold_and_a_hundred_at_most(runs: int, thresholds: dict[str, float]) -> None:
    with pytest.raises(AssetError, match='at least the highest threshold'):
        Monitor.from_json(check_monitor(runs=runs, thresholds=thresholds))


# What a monitor does not see, and what it forgets


def test_a_monitor_does_not_see_what_lacks_a_tag_that_it_groups_by() -> None:
    store = stored('gauge', ('env:prod,host:a', {0: 9}), ('host:b', {0: 9}))

    result = run_monitor(monitor('avg(last_1m):avg:m{*} by {env,host} > 5', critical=5, new_group_delay=0), store, [60])

    assert [one.group for one in result] == [('env:prod', 'host:a')]


def test_a_check_alert_does_not_see_what_lacks_a_tag_that_it_groups_by() -> None:
    assert run_monitor(check_monitor(by='"env","host"'), health(2, 2), [120]) == []


def test_an_alert_resolves_after_the_hours_of_its_timeout_without_data() -> None:
    definition = monitor('avg(last_1m):avg:m{*} > 5', critical=5, timeout_h=1)

    # The last point is that of minute 1; one hour later nothing has come.
    assert statuses(definition, every_minute('gauge', [9]), [60, 120, 60 + 3599, 60 + 3600]) == [
        'Alert',
        'Alert',
        'Alert',
        'OK',
    ]


def test_a_check_alert_resolves_after_the_hours_of_its_timeout_without_runs() -> None:
    result = statuses(check_monitor(timeout_h=1), health(2, 2), [120, 120 + 3599, 120 + 3600])

    assert result == ['Alert', 'Alert', 'OK']


@pytest.mark.parametrize('hours', [-1, 25])
def test_a_timeout_is_a_day_at_most(hours: int) -> None:
    with pytest.raises(AssetError, match='timeout_h'):
        Monitor.from_json(monitor('avg(last_1m):avg:m{*} > 5', critical=5, timeout_h=hours))


def test_a_calendar_shift_looks_at_the_day_before() -> None:
    store = stored('count', ('x:a', {30: 3, 24 * 3600 + 30: 5}))
    day = 24 * 3600

    query = "calendar_shift(sum:m{*}.as_count(), '-1d', 'UTC')"

    assert [line.points for line in evaluate(query, store, Window(day, day + 60), interval=60)] == [[(day, 3)]]


def test_groups_that_are_counted_are_none_of_the_monitor() -> None:
    query = 'avg(last_1m):avg:m{*} by {env} * is_greater(count_nonzero(avg:m{*} by {host}), 1) > 5'
    store = stored('gauge', ('env:prod,host:a', {0: 9}), ('env:prod,host:b', {0: 9}))
    definition = monitor(query, critical=5, new_group_delay=0)

    assert Monitor.from_json(definition).groups == ('env',)
    assert [(one.group, one.status) for one in run_monitor(definition, store, [60])] == [(('env:prod',), 'Alert')]


# Stores of several recordings


def test_a_store_takes_a_series_once() -> None:
    series = next(iter(stored('gauge', ('host:a', {0: 1}))))
    store = Store()

    store.take(series)

    assert store.series('m') == [series]
    with pytest.raises(ValueError, match='two series m'):
        store.take(series)


def test_a_store_takes_runs_of_a_service_check_in_the_order_of_time() -> None:
    store = health(0, 2)
    others = health(2, 2, tags='host:web-2').service_checks('toy.health')

    store.take_service_checks('toy.health', others)

    assert [(run.time, run.status) for run in store.service_checks('toy.health')] == [
        (60, 0),
        (60, 2),
        (120, 2),
        (120, 2),
    ]


def test_an_agent_adds_its_own_tags_to_all_that_a_check_submits() -> None:
    recorder = Recorder(tags=['env:prod'])

    class Check(AgentCheck):
        def check(self, instance: Any) -> None:
            self.gauge('m', 1)
            self.service_check('toy.health', 0)

    recorder.run(Check('toy', {}, [{}]), 60)

    assert [one.tags for one in recorder.store.series('m')] == [{'env:prod', 'host:litellm-1'}]
    assert [one.tags for one in recorder.store.service_checks('toy.health')] == [{'env:prod', 'host:litellm-1'}]
