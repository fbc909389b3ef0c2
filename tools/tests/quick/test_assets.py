"""The dashboards and monitors: valid for Datadog's API, and asking only for metrics, tags and forms that there are."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from datadog_api_client.v1.model.dashboard import Dashboard as ApiDashboard
from datadog_api_client.v1.model.monitor import Monitor as ApiMonitor

from datadog_checks.litellm import metrics as names
from tools.datadog_model import Dashboard, MetricQuery, Monitor, Widget, metric_queries
from tools.datadog_model.syntax import Either, Every, Filter, Not, ServiceCheckQuery, TagIs, Variable
from tools.import_assets.validity import problems
from tools.metadata import metadata_rows

ASSETS = Path(__file__).parents[3] / 'litellm' / 'assets'
DASHBOARDS = sorted((ASSETS / 'dashboards').glob('*.json'))
MONITORS = sorted((ASSETS / 'monitors').glob('*.json'))
UNCHARTED_CSV = Path(__file__).parent / 'uncharted.csv'

# What the Agent adds to every metric of an instance, and what unified service tagging adds.
TAGS_OF_EVERY_METRIC = frozenset({'endpoint', 'env', 'host', 'kube_cluster_name', 'service', 'version'})

# `{{team.name}}`, `{{#is_match "team.name" "x"}}`; conditions and values of the monitor itself have no `.name`.
MESSAGE_VARIABLE = re.compile(r'\{\{[^}]*?([a-z_]+)\.name\b')


def content(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return read


@cache
def dashboard(path: Path) -> Dashboard:
    return Dashboard.from_json(content(path))


def widgets() -> Iterator[tuple[Path, Widget]]:
    for path in DASHBOARDS:
        for widget in dashboard(path).all_widgets():
            yield path, widget


def queries() -> Iterator[tuple[str, MetricQuery]]:
    """Yield every metric query of the assets with a name of the place where it stands."""
    for path, widget in widgets():
        for query in widget.metric_queries():
            yield f'{path.stem}: {widget.title}', query
    for path in MONITORS:
        monitor = Monitor.from_json(content(path))
        if not isinstance(monitor.query, ServiceCheckQuery):
            for query in metric_queries(monitor.query.expression):
                yield path.stem, query


def conditions(scope: Filter) -> Iterator[TagIs | Variable]:
    match scope:
        case TagIs() | Variable():
            yield scope
        case Not():
            yield from conditions(scope.condition)
        case Every() | Either():
            for condition in scope.conditions:
                yield from conditions(condition)


def tags_of(metric: str) -> set[str]:
    """Return the tags that a metric can have."""
    row = metadata_rows()[metric]
    return {*row['sample_tags'].split(','), *TAGS_OF_EVERY_METRIC}


# What the API accepts


@pytest.mark.parametrize('path', DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_valid_for_the_api(path: Path) -> None:
    assert problems(content(path), ApiDashboard) == []


@pytest.mark.parametrize('path', MONITORS, ids=lambda path: path.stem)
def test_a_monitor_is_valid_for_the_api(path: Path) -> None:
    assert problems(content(path)['definition'], ApiMonitor) == []


WIDGET = {
    'definition': {
        'type': 'timeseries',
        'requests': [
            {
                'response_format': 'timeseries',
                'queries': [{'data_source': 'metrics', 'name': 'query1', 'query': 'sum:m{*}'}],
                'formulas': [{'formula': 'query1'}],
            }
        ],
    }
}


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        ({}, None),
        ({'titel': 'x'}, 'Dashboard.titel'),
        ({'layout_type': 'orderly'}, 'Dashboard.layout_type'),
        ({'widgets': [{'definition': {**WIDGET['definition'], 'legend': True}}]}, 'Dashboard.widgets[0].definition'),
        ({'widgets': [{'definition': {'type': 'timeserie', 'requests': []}}]}, 'Dashboard.widgets[0].definition'),
    ],
)
def test_the_validation_finds_what_the_api_does_not_know(change: dict[str, Any], problem: str | None) -> None:
    definition = {'title': 'x', 'layout_type': 'ordered', 'widgets': [WIDGET], **change}

    found = problems(definition, ApiDashboard)

    assert (found == []) if problem is None else any(one.startswith(problem) for one in found)


# What the queries ask for


@pytest.mark.parametrize('path', DASHBOARDS, ids=lambda path: path.stem)
def test_the_model_knows_all_of_a_dashboard(path: Path) -> None:
    assert dashboard(path).widgets


@pytest.mark.parametrize('path', MONITORS, ids=lambda path: path.stem)
def test_the_model_knows_all_of_a_monitor(path: Path) -> None:
    assert Monitor.from_json(content(path)).name


def test_every_query_names_a_metric_that_the_check_submits() -> None:
    submitted = {name for name, _ in names.submitted_names()}

    assert [(place, query.metric) for place, query in queries() if query.metric not in submitted] == []


def test_every_query_uses_tags_that_its_metric_has() -> None:
    unknown = []
    for place, query in queries():
        keys = {one.key for one in conditions(query.scope.filter) if isinstance(one, TagIs)}
        missing = {*keys, *query.scope.by} - tags_of(query.metric)
        if missing:
            unknown.append((place, query.metric, sorted(missing)))

    assert unknown == []


def test_every_template_variable_of_a_query_stands_for_a_tag_of_its_metric() -> None:
    unfit = []
    for path, widget in widgets():
        prefixes = {variable.name: variable.prefix for variable in dashboard(path).variables}
        for query in widget.metric_queries():
            used = {one.name for one in conditions(query.scope.filter) if isinstance(one, Variable)}
            # A free scope stands for any tag.
            unfit += [
                (widget.title, query.metric, name)
                for name in sorted(used)
                if prefixes[name] not in {None, *tags_of(query.metric)}
            ]

    assert unfit == []


def test_every_query_follows_all_variables_that_it_can() -> None:
    # A ratio follows those that all of its queries can follow: others would restrict one side of it.
    unfit = []
    for path, widget in widgets():
        prefixes = {variable.name: variable.prefix for variable in dashboard(path).variables}
        for request in widget.requests:
            for formula in request.formulas:
                asked = list(request.metric_queries_of(formula))
                can = [
                    {name for name, tag in prefixes.items() if tag in {None, *tags_of(query.metric)}} for query in asked
                ]
                shared = set.intersection(*can)
                for query, possible in zip(asked, can, strict=True):
                    follows = {one.name for one in conditions(query.scope.filter) if isinstance(one, Variable)}
                    if follows != (shared if '/' in formula.text else possible):
                        unfit.append((widget.title, formula.text, query.metric, sorted(follows)))

    assert unfit == []


def test_every_service_check_follows_all_variables_of_a_proxy() -> None:
    shown = [widget.definition for _, widget in widgets() if widget.type == 'check_status']

    assert shown
    everything = ['$env', '$service', '$cluster', '$endpoint', '$scope']
    assert [one['title'] for one in shown if one['tags'] != everything] == []


def test_every_template_variable_is_used() -> None:
    for path in DASHBOARDS:
        used = {
            one.name
            for widget in dashboard(path).all_widgets()
            for query in widget.metric_queries()
            for one in conditions(query.scope.filter)
            if isinstance(one, Variable)
        }
        assert {variable.name for variable in dashboard(path).variables} == used, path.stem


def test_every_count_is_asked_for_as_a_count_or_a_rate() -> None:
    # Without either, Datadog averages a count over time.
    counts = {name for name, kind in names.submitted_names() if kind == 'count'}

    assert [(place, query.metric) for place, query in queries() if query.metric in counts and not query.form] == []


def test_no_gauge_is_asked_for_as_a_count_or_a_rate() -> None:
    gauges = {name for name, kind in names.submitted_names() if kind == 'gauge'}

    assert [(place, query.metric) for place, query in queries() if query.metric in gauges and query.form] == []


def test_counts_are_added_up() -> None:
    counts = {name for name, kind in names.submitted_names() if kind == 'count'}

    assert [
        (place, query.metric, query.aggregator)
        for place, query in queries()
        if query.metric in counts and query.aggregator != 'sum'
    ] == []


def test_buckets_are_asked_for_with_their_bound() -> None:
    # The buckets are cumulative: added up over their bounds they mean nothing.
    unbounded = []
    for place, query in queries():
        keys = {one.key for one in conditions(query.scope.filter) if isinstance(one, TagIs)} | {*query.scope.by}
        if query.metric.endswith('.bucket') and 'upper_bound' not in keys:
            unbounded.append((place, query.metric))

    assert unbounded == []


def test_service_checks_are_those_that_the_check_submits() -> None:
    submitted = {one['check'] for one in json.loads((ASSETS / 'service_checks.json').read_text())}
    asked = {widget.definition['check'] for _, widget in widgets() if widget.type == 'check_status'}
    for path in MONITORS:
        query = Monitor.from_json(content(path)).query
        if isinstance(query, ServiceCheckQuery):
            asked.add(query.name)

    assert asked <= submitted


@pytest.mark.parametrize('path', MONITORS, ids=lambda path: path.stem)
def test_a_message_names_the_groups_that_its_monitor_has(path: Path) -> None:
    monitor, definition = Monitor.from_json(content(path)), content(path)['definition']

    used = set(MESSAGE_VARIABLE.findall(definition['name'] + definition['message']))

    # With `notify_by`, one notification is about all groups that have these tags in common.
    assert used <= {*definition['options'].get('notify_by', monitor.groups)} <= {*monitor.groups}


# A link of a message: its text, its path, and what is asked of it.
LINK = re.compile(r'\[([^\]]*)\]\((/[^?)]*)\?([^)]*)\)')


@pytest.mark.parametrize('path', MONITORS, ids=lambda path: path.stem)
def test_a_message_links_to_the_dashboard_and_the_logs_of_what_failed(path: Path) -> None:
    monitor, definition = Monitor.from_json(content(path)), content(path)['definition']
    notified = definition['options'].get('notify_by', monitor.groups)
    boards = {content(board)['title']: content(board)['template_variables'] for board in DASHBOARDS}

    links = {place: (text, parse_qs(asked)) for text, place, asked in LINK.findall(definition['message'])}

    assert links.keys() == {'/dashboard/lists', '/logs'}
    text, asked = links['/dashboard/lists']
    (title,) = asked.pop('q')
    assert text.startswith(title)
    names = {variable['prefix']: variable['name'] for variable in boards[title]}
    assert asked == {f'tpl_var_{names[tag]}': [f'{{{{{tag}.name}}}}'] for tag in notified if tag in names}
    (logs,) = links['/logs'][1]['query']
    # Logs have the tags of unified service tagging; whatever else a group has stands in their text.
    keys = {tag: f'{tag}:' if tag in ('env', 'service') else '' for tag in notified}
    expected = ['source:litellm', *(f'{keys[tag]}{{{{{tag}.name}}}}' for tag in notified)]
    assert sorted(logs.split()) == sorted(expected) or not notified


# Layout


@pytest.mark.parametrize('path', DASHBOARDS, ids=lambda path: path.stem)
def test_widgets_lie_within_twelve_columns_and_do_not_overlap(path: Path) -> None:
    groups = [widget.widgets for widget in dashboard(path).widgets if widget.widgets]
    for members in [dashboard(path).widgets, *groups]:
        cells: dict[tuple[int, int], str] = {}
        for widget in members:
            x, y, width, height = widget.layout
            assert x + width <= 12, widget.title
            for cell in ((column, row) for column in range(x, x + width) for row in range(y, y + height)):
                assert cells.setdefault(cell, widget.title) == widget.title
        if members and members is not dashboard(path).widgets:
            assert len({widget.title for widget in members}) == len(members), 'two widgets of one title'


# Coverage


def families() -> set[str]:
    """Return the name of everything that the check submits, without what tells the parts of a family apart."""
    return {name.rpartition('.')[0] if kind == 'count' else name for name, kind in names.submitted_names()}


def charted() -> set[str]:
    """Return the families that a dashboard shows."""
    metrics = {query.metric for _, widget in widgets() for query in widget.metric_queries()}
    suffixed = {metric.rpartition('.')[0] for metric in metrics if metric.endswith(('.bucket', '.count', '.sum'))}
    return (metrics | suffixed) & families()


def uncharted() -> dict[str, str]:
    """Return the families that no dashboard needs to show, with the reason."""
    with UNCHARTED_CSV.open(newline='', encoding='utf-8') as file:
        return {row['family']: row['reason'] for row in csv.DictReader(file)}


@pytest.mark.skipif(not DASHBOARDS, reason='there are no dashboards yet')
def test_every_family_is_charted_unless_a_reason_is_stated() -> None:
    assert families() - charted() - uncharted().keys() == set()


def test_what_is_stated_not_to_be_charted_is_not() -> None:
    assert uncharted().keys() & charted() == set(), 'charted, so needs no reason'
    assert uncharted().keys() - families() == set(), 'no family'
    assert all(uncharted().values())
