"""The model of Datadog's dashboards: what widgets show of a store, each rule with an example worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tools.datadog_model import (
    AssetError,
    Dashboard,
    Result,
    Store,
    Window,
    evaluate_check_status,
    evaluate_widget,
)

HOUR = Window(0, 3600)
PLACE = {'x': 0, 'y': 0, 'width': 4, 'height': 2}


def stored() -> Store:
    """Store requests and errors of two models: 6 and 2 of the one, 2 and no errors of the other; and two queues."""
    store = Store()
    for time, name, model, value in (
        (0, 'requests', 'a', 4),
        (0, 'requests', 'b', 2),
        (0, 'errors', 'a', 2),
        (0, 'errors', 'b', 0),
        (600, 'requests', 'a', 2),
    ):
        store.add(name, 'count', [f'model:{model}', f'team:{model}{model}'], time, value)
    for time, value in ((600, 4), (1200, 6)):
        store.add('queue', 'gauge', ['host:1'], time, value)
    return store


def request(formula: str, kind: str = 'scalar', aggregator: str = 'sum', **queries: str) -> dict[str, Any]:
    asked = [{'data_source': 'metrics', 'name': name, 'query': query} for name, query in queries.items()]
    if kind == 'scalar':
        asked = [{**query, 'aggregator': aggregator} for query in asked]
    return {'response_format': kind, 'queries': asked, 'formulas': [{'formula': formula}]}


def dashboard(*definitions: dict[str, Any], **fields: Any) -> Dashboard:
    widgets = [{'definition': definition, 'layout': PLACE} for definition in definitions]
    return Dashboard.from_json(
        {'title': 'x', 'layout_type': 'ordered', 'reflow_type': 'fixed', 'widgets': widgets, **fields}
    )


def results(kind: str, *requests: dict[str, Any], **fields: Any) -> list[Result]:
    (widget,) = dashboard({'type': kind, 'title': 'x', 'requests': [*requests], **fields}).widgets
    return evaluate_widget(widget, stored(), HOUR)


REQUESTS = 'sum:requests{*} by {model}.as_count()'
ERRORS = 'sum:errors{*} by {model}.as_count()'


def test_a_time_series_has_a_line_for_each_group() -> None:
    (result,) = results('timeseries', request('q * 2', 'timeseries', q=REQUESTS))

    # An hour of lines has intervals of 20 seconds.
    assert result.interval == 20
    assert {line.group: [point for point in line.points if point[1]] for line in result.series} == {
        ('model:a',): [(0, 8), (600, 4)],
        ('model:b',): [(0, 4)],
    }


def test_bars_have_longer_intervals() -> None:
    (result,) = results('timeseries', {**request('q', 'timeseries', q=REQUESTS), 'display_type': 'bars'})

    assert result.interval == 60


def test_a_rollup_sets_the_interval() -> None:
    (result,) = results('timeseries', request('q', 'timeseries', q='avg:queue{*}.rollup(max, 1200)'))

    assert result.series[0].points == [(0, 4), (1200, 6), (2400, None)]


def test_a_scalar_reduces_each_query_before_the_formula() -> None:
    (result,) = results('toplist', request('errors / requests', errors=ERRORS, requests=REQUESTS))

    # 2 / (4 + 2), where the mean of 2/4 and 0/2 would be 1/4.
    assert [(one.group, one.value) for one in result.scalars] == [
        (('model:a',), pytest.approx(1 / 3)),
        (('model:b',), 0),
    ]


@pytest.mark.parametrize(('aggregator', 'expected'), [('avg', 5), ('sum', 10), ('min', 4), ('max', 6), ('last', 6)])
def test_the_aggregator_makes_one_value_of_the_points(aggregator: str, expected: float) -> None:
    (result,) = results('query_value', request('q', aggregator=aggregator, q='avg:queue{*}'))

    assert [one.value for one in result.scalars] == [expected]


def test_scalars_start_with_the_highest_and_end_at_the_limit() -> None:
    asked = request('q', q=REQUESTS)
    asked['formulas'][0]['limit'] = {'count': 1, 'order': 'asc'}
    ascending, descending = (results('toplist', one)[0] for one in (asked, request('q', q=REQUESTS)))

    assert [one.group for one in ascending.scalars] == [('model:b',)]
    assert [one.group for one in descending.scalars] == [('model:a',), ('model:b',)]


def test_lines_end_at_the_limit() -> None:
    asked = request('q', 'timeseries', q=REQUESTS)
    asked['formulas'][0]['limit'] = {'count': 1, 'order': 'desc'}

    (result,) = results('timeseries', asked)

    # On average 3 and 2.
    assert [line.group for line in result.series] == [('model:a',)]


def test_an_earlier_scalar_is_of_the_window_before() -> None:
    store = stored()
    store.add('requests', 'count', ['model:a'], 4000, 1)
    (widget,) = dashboard(
        {
            'type': 'query_value',
            'title': 'x',
            'requests': [request('q - hour_before(q)', q='sum:requests{*}.as_count()')],
        }
    ).widgets

    (result,) = evaluate_widget(widget, store, Window(3600, 7200))

    assert [one.value for one in result.scalars] == [1 - 8]


def test_a_change_has_the_values_of_the_span_before_and_no_data_unless_a_group_has_both() -> None:
    asked = {**request('q', q=REQUESTS), 'compare_to': 'hour_before'}
    (widget,) = dashboard({'type': 'change', 'title': 'x', 'requests': [asked]}).widgets
    store = stored()
    store.add('requests', 'count', ['model:b'], 4000, 1)

    (both,) = evaluate_widget(widget, store, Window(3600, 7200))
    (first,) = evaluate_widget(widget, store, HOUR)

    assert both.scalars == [(('model:b',), 1)]
    assert sorted(both.earlier) == [(('model:a',), 6), (('model:b',), 2)]
    assert (both.has_data, first.has_data) == (True, False)


def test_a_widget_without_data_has_none() -> None:
    full, empty = (results('query_value', request('q', q=query))[0] for query in ('avg:queue{*}', 'avg:queue{host:2}'))

    assert (full.has_data, empty.has_data) == (True, False)


def test_a_table_has_a_result_for_each_formula() -> None:
    asked = request('q', q=REQUESTS)
    asked['formulas'].append({'formula': 'q * 2', 'alias': 'double'})

    assert [result.label for result in results('query_table', asked)] == ['q', 'double']


VARIABLES = [
    {'name': 'model', 'prefix': 'model', 'defaults': ['*']},
    {'name': 'team', 'prefix': 'team', 'default': 'aa'},
]


@pytest.mark.parametrize(
    ('chosen', 'expected'),
    [
        ({}, {'model': [], 'team': ['team:aa']}),
        ({'model': 'a'}, {'model': ['model:a'], 'team': ['team:aa']}),
        ({'model': ['a', 'b'], 'team': '*'}, {'model': ['model:a', 'model:b'], 'team': []}),
    ],
)
def test_template_variables_have_defaults_and_choices(chosen: dict[str, Any], expected: dict[str, Any]) -> None:
    assert dashboard(template_variables=VARIABLES).choices(chosen) == expected


def test_a_variable_without_a_tag_is_a_free_scope_whose_values_are_whole_tags() -> None:
    board = dashboard(template_variables=[{'name': 'scope', 'prefix': None, 'defaults': ['*']}])

    assert board.choices() == {'scope': []}
    assert board.choices({'scope': 'team:a'}) == {'scope': ['team:a']}


def test_template_variables_restrict_the_queries_that_use_them() -> None:
    board = dashboard(
        {'type': 'query_value', 'title': 'x', 'requests': [request('q', q='sum:requests{$model}.as_count()')]},
        template_variables=VARIABLES,
    )

    values = [
        evaluate_widget(board.widgets[0], stored(), HOUR, board.choices({'model': model}))[0].scalars[0].value
        for model in ('*', 'b')
    ]

    assert values == [8, 2]


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [
        ({}, (2, 0, 2, 0)),
        ({'group_by': ['host']}, (0, 0, 2, 0)),
        ({'tags': ['host:b']}, (1, 0, 1, 0)),
        ({'tags': ['$endpoint']}, (1, 0, 1, 0)),
        ({'tags': ['$host']}, (2, 0, 2, 0)),
    ],
)
def test_a_check_status_counts_the_last_runs(fields: dict[str, Any], expected: tuple[int, ...]) -> None:
    store = Store()
    for time, host, endpoint, status in (
        (0, 'a', '1', 2),
        (60, 'a', '1', 0),
        (60, 'a', '2', 2),
        (60, 'b', '3', 2),
        (60, 'b', '4', 0),
        (9999, 'b', '3', 0),
    ):
        store.add_service_check('toy.health', status, [f'host:{host}', f'endpoint:{endpoint}'], time)
    (widget,) = dashboard(
        {'type': 'check_status', 'title': 'x', 'check': 'toy.health', 'grouping': 'cluster', **fields}
    ).widgets

    chosen = {'endpoint': ['endpoint:1', 'endpoint:2'], 'host': []}
    assert evaluate_check_status(widget, store, HOUR, chosen) == expected


@pytest.mark.parametrize(('statuses', 'worst'), [((0, 3), 3), ((3, 1), 1), ((3, 2, 1), 2)])
def test_a_group_of_a_check_status_has_the_worst_status_of_its_members(statuses: tuple[int, ...], worst: int) -> None:
    store = Store()
    for endpoint, status in enumerate(statuses):
        store.add_service_check('toy.health', status, ['host:a', f'endpoint:{endpoint}'], 60)
    (widget,) = dashboard(
        {'type': 'check_status', 'title': 'x', 'check': 'toy.health', 'grouping': 'cluster', 'group_by': ['host']}
    ).widgets

    assert evaluate_check_status(widget, store, HOUR)[worst] == 1


def test_groups_hold_widgets() -> None:
    note = {'type': 'note', 'content': 'x'}
    group = {
        'type': 'group',
        'title': 'all',
        'layout_type': 'ordered',
        'widgets': [{'definition': note, 'layout': PLACE}],
    }

    assert [widget.type for widget in dashboard(group, note).all_widgets()] == ['group', 'note', 'note']


@pytest.mark.parametrize(
    ('definition', 'problem'),
    [
        ({'type': 'geomap', 'title': 'x', 'requests': []}, 'widgets of type geomap'),
        ({'type': 'timeseries', 'title': 'x', 'requests': []}, 'asks for nothing'),
        ({'type': 'timeseries', 'title': 'x', 'requests': [request('q', q=REQUESTS)]}, 'is timeseries'),
        ({'type': 'toplist', 'title': 'x', 'requests': [request('q', aggregator='', q=REQUESTS)]}, 'does not say how'),
        ({'type': 'toplist', 'title': 'x', 'requests': [request('q + r', q=REQUESTS)]}, 'no query is named r'),
        ({'type': 'toplist', 'title': 'x', 'requests': [request('q', q=REQUESTS, r=ERRORS)]}, 'no formula uses r'),
        ({'type': 'toplist', 'title': 'x', 'requests': [request('q +', q=REQUESTS)]}, 'ends too early'),
        ({'type': 'toplist', 'title': 'x', 'requests': [{**request('q', q=REQUESTS), 'formulas': []}]}, 'no formulas'),
        ({'type': 'change', 'title': 'x', 'requests': [request('q', q=REQUESTS)]}, 'what it compares with'),
    ],
)
def test_a_widget_that_the_model_does_not_know_is_an_error(definition: dict[str, Any], problem: str) -> None:
    with pytest.raises(AssetError, match=problem):
        dashboard(definition)


def test_queries_of_other_sources_are_an_error() -> None:
    asked = request('q', q=REQUESTS)
    asked['queries'][0]['data_source'] = 'logs'

    with pytest.raises(AssetError, match='queries of metrics only'):
        results('toplist', asked)


def test_only_ordered_dashboards_with_fixed_places_are_known() -> None:
    with pytest.raises(AssetError, match='ordered'):
        dashboard(layout_type='free')


def test_a_choice_for_a_variable_that_there_is_not_is_an_error() -> None:
    with pytest.raises(AssetError, match='no template variable team'):
        dashboard().choices({'team': 'a'})
