"""Read dashboards, and evaluate their widgets over a store.

Widgets ask with formulas and functions: named queries, and formulas over their names
(Querying, https://docs.datadoghq.com/dashboards/querying/). A widget that shows one value per group reduces each query
by its aggregator before the formula applies (Query scalar data across multiple products,
https://docs.datadoghq.com/api/latest/metrics/#query-scalar-data-across-multiple-products). A change widget compares
that value with the one of the same span an hour, a day or a week earlier (Change Widget,
https://docs.datadoghq.com/dashboards/widgets/change/).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from .errors import AssetError
from .frames import Frame, Grid, Group, Values, Window, reduced
from .functions import EARLIER
from .store import Store
from .syntax import MetricQuery, Name, Node, TextOf, metric_queries, parse
from .timeseries import Evaluator, Timeseries, default_interval, interval_of, timeseries

__all__ = [
    'CheckStatuses',
    'Dashboard',
    'Formula',
    'Layout',
    'Query',
    'Request',
    'Result',
    'Scalar',
    'TemplateVariable',
    'Widget',
    'evaluate_check_status',
    'evaluate_over_time',
    'evaluate_widget',
]

# Widgets that show lines over time, and those that show one value per group.
OVER_TIME = frozenset({'heatmap', 'timeseries'})
SCALAR = frozenset({'change', 'query_table', 'query_value', 'sunburst', 'toplist', 'treemap'})
WITHOUT_QUERIES = frozenset({'check_status', 'group', 'list_stream', 'manage_status', 'note', 'slo_list'})


class Layout(NamedTuple):
    """The place of a widget on the grid of 12 columns of its dashboard or group."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class TemplateVariable:
    """A variable, the tag it stands for and the values it has at first; none means all.

    Without a tag it is a free scope: its values are whole tags.
    """

    name: str
    prefix: str | None
    defaults: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A named query; `aggregator` is how a scalar widget makes one value of its points."""

    name: str
    text: str
    node: Node
    aggregator: str


@dataclass(frozen=True)
class Formula:
    """A formula to show: an expression over the names of queries, with how its values are to be written."""

    text: str
    node: Node
    definition: Mapping[str, Any]

    @property
    def label(self) -> str:
        return str(self.definition.get('alias') or self.text)


@dataclass(frozen=True)
class Request:
    """The queries and formulas of one layer of a widget."""

    queries: Mapping[str, Query]
    formulas: tuple[Formula, ...]
    definition: Mapping[str, Any]

    @property
    def display_type(self) -> str:
        return str(self.definition.get('display_type', 'line'))

    def metric_queries_of(self, formula: Formula) -> Iterator[MetricQuery]:
        """Yield the metric queries that a formula rests on."""
        for query in self.queries.values():
            if query.name in _names(formula.node):
                yield from metric_queries(query.node)


@dataclass(frozen=True)
class Widget:
    """One widget; a group holds others."""

    type: str
    title: str
    layout: Layout
    requests: tuple[Request, ...]
    widgets: tuple[Widget, ...]
    definition: Mapping[str, Any]

    def metric_queries(self) -> Iterator[MetricQuery]:
        """Yield all metric queries of the widget."""
        for request in self.requests:
            for query in request.queries.values():
                yield from metric_queries(query.node)


@dataclass(frozen=True)
class Dashboard:
    """A dashboard, read from its JSON."""

    title: str
    description: str
    variables: tuple[TemplateVariable, ...]
    widgets: tuple[Widget, ...]

    @classmethod
    def from_json(cls, definition: Mapping[str, Any]) -> Dashboard:
        """Read a dashboard. Raises AssetError for what the model does not know."""
        if definition.get('layout_type') != 'ordered' or definition.get('reflow_type') != 'fixed':
            raise AssetError('the model knows dashboards of layout type ordered and reflow type fixed only')
        return cls(
            definition['title'],
            definition.get('description') or '',
            tuple(_variable(one) for one in definition.get('template_variables') or ()),
            tuple(_widget(one) for one in definition['widgets']),
        )

    def all_widgets(self) -> Iterator[Widget]:
        """Yield all widgets, those in groups after their group."""
        for widget in self.widgets:
            yield widget
            yield from widget.widgets

    def choices(self, chosen: Mapping[str, str | Sequence[str]] | None = None) -> dict[str, list[str]]:
        """Return the tags that the template variables stand for, with some of them chosen and others as at first."""
        chosen = chosen or {}
        unknown = set(chosen) - {variable.name for variable in self.variables}
        if unknown:
            raise AssetError(f'there is no template variable {", ".join(sorted(unknown))}')
        result: dict[str, list[str]] = {}
        for variable in self.variables:
            values = chosen.get(variable.name, variable.defaults)
            values = [values] if isinstance(values, str) else values
            before = f'{variable.prefix}:' if variable.prefix else ''
            result[variable.name] = [] if '*' in values else [f'{before}{value}' for value in values]
        return result


class Scalar(NamedTuple):
    """One value of a group; None is no data."""

    group: tuple[str, ...]
    value: float | None


@dataclass(frozen=True)
class Result:
    """The outcome of a formula: lines over time, or one value per group, and what a change widget compares with."""

    label: str
    formula: Formula
    request: Request
    interval: float
    series: list[Timeseries] = field(default_factory=list)
    scalars: list[Scalar] = field(default_factory=list)
    earlier: list[Scalar] = field(default_factory=list)

    @property
    def has_data(self) -> bool:
        """Tell whether there is a finite value anywhere; for a comparison, a group that has two."""
        present = {scalar.group for scalar in self.scalars if _is_finite(scalar.value)}
        if 'compare_to' in self.request.definition:
            return any(scalar.group in present for scalar in self.earlier if _is_finite(scalar.value))
        return bool(present) or any(line.has_data for line in self.series)


# Statuses of a service check from the best to the worst: OK, UNKNOWN, WARNING, CRITICAL.
_GRAVITY = (0, 3, 1, 2)


class CheckStatuses(NamedTuple):
    """The number of groups of a service check that have each status."""

    ok: int
    warning: int
    critical: int
    unknown: int

    @property
    def worst(self) -> str:
        """The name of the gravest status that any has. Without any it is OK."""
        return self._fields[max((status for status in _GRAVITY if self[status]), key=_GRAVITY.index, default=0)]


def evaluate_widget(
    widget: Widget, store: Store, window: Window, variables: Mapping[str, Sequence[str]] | None = None
) -> list[Result]:
    """Evaluate each formula of each request of a widget. `variables` are what `Dashboard.choices` returns."""
    evaluate = _lines if widget.type in OVER_TIME else _scalars
    return list(_each_formula(evaluate, widget, store, window, variables))


def evaluate_over_time(
    widget: Widget, store: Store, window: Window, variables: Mapping[str, Sequence[str]] | None = None
) -> list[Result]:
    """Evaluate a widget of single values as lines, for the graph behind them."""
    return list(_each_formula(_lines, widget, store, window, variables))


def _each_formula(
    evaluate: Callable[[Request, Formula, Store, Grid, Mapping[str, Sequence[str]]], Result],
    widget: Widget,
    store: Store,
    window: Window,
    variables: Mapping[str, Sequence[str]] | None,
) -> Iterator[Result]:
    for request in widget.requests:
        for formula in request.formulas:
            grid = Grid.aligned(window, _interval(widget, request, formula, window))
            yield evaluate(request, formula, store, grid, variables or {})


def evaluate_check_status(
    widget: Widget, store: Store, window: Window, variables: Mapping[str, Sequence[str]] | None = None
) -> CheckStatuses:
    """Count the statuses of the last run of each combination of tags, or of each group.

    A group has the worst status of its members. Template variables may stand among the tags. Check Status Widget,
    https://docs.datadoghq.com/dashboards/widgets/check_status/.
    """
    definition = widget.definition
    keys = definition.get('group_by') or []
    chosen = variables or {}
    # Of several values of a variable a run has one.
    wanted = [
        {*chosen.get(tag[1:], ())} if tag.startswith('$') else {tag}
        for tag in definition.get('tags') or []
        if tag != '*'
    ]
    last = {
        run.tags: run.status
        for run in store.service_checks(definition['check'])
        if window.start <= run.time < window.end and all(tags & run.tags for tags in wanted if tags)
    }
    worst: dict[frozenset[str], int] = {}
    for run_tags, status in last.items():
        group = frozenset(tag for tag in run_tags if not keys or tag.partition(':')[0] in keys)
        worst[group] = max(status, worst.get(group, 0), key=_GRAVITY.index)
    statuses = list(worst.values())
    return CheckStatuses(*(statuses.count(status) for status in range(4)))


def _lines(
    request: Request, formula: Formula, store: Store, grid: Grid, variables: Mapping[str, Sequence[str]]
) -> Result:
    queries = Evaluator(store, variables)
    names = {query.name: partial(queries.frame, query.node) for query in request.queries.values()}
    frame = Evaluator(store, variables, names).frame(formula.node, grid)
    lines = timeseries(frame, grid)
    limit = formula.definition.get('limit')
    if limit:
        lines.sort(key=lambda line: _order(reduced([value for _, value in line.points], 'avg'), limit))
        lines = lines[: limit.get('count', len(lines))]
    return Result(formula.label, formula, request, grid.seconds, series=lines)


def _scalars(
    request: Request, formula: Formula, store: Store, grid: Grid, variables: Mapping[str, Sequence[str]]
) -> Result:
    queries = Evaluator(store, variables)
    span = grid.seconds * grid.length

    def reduced_query(query: Query, whole: Grid) -> Frame:
        shift = whole.window.start - grid.window.start
        frame = queries.frame(query.node, grid.shifted(shift) if shift else grid)
        rows: dict[Group, Values] = {group: [reduced(values, query.aggregator)] for group, values in frame.rows.items()}
        return Frame(frame.keys, rows, frame.aligned_as_zero)

    def values(window: Window) -> list[Scalar]:
        frame = Evaluator(store, variables, names).frame(formula.node, Grid.whole(window))
        return [
            Scalar(tuple(f'{key}:{value}' for key, value in zip(frame.keys, group, strict=True)), row[0])
            for group, row in frame.rows.items()
            if row[0] is not None
        ]

    names = {query.name: partial(reduced_query, query) for query in request.queries.values()}
    scalars = values(grid.window)
    limit = formula.definition.get('limit') or {'order': 'desc'}
    scalars.sort(key=lambda scalar: _order(scalar.value, limit))
    scalars = scalars[: limit.get('count', len(scalars))]
    before = request.definition.get('compare_to')
    earlier = [] if before is None else values(grid.shifted(-EARLIER[before]).window)
    return Result(formula.label, formula, request, span, scalars=scalars, earlier=earlier)


def _order(value: float | None, limit: Mapping[str, Any]) -> float:
    if value is None:
        return math.inf
    return value if limit.get('order', 'desc') == 'asc' else -value


def _interval(widget: Widget, request: Request, formula: Formula, window: Window) -> float:
    default = default_interval(window, bars=request.display_type == 'bars')
    nodes = [query.node for query in request.queries.values() if query.name in _names(formula.node)]
    intervals = {interval_of(node, window, default) for node in nodes} or {default}
    if len(intervals) > 1:
        raise AssetError(f'{widget.title}: the queries of a formula have rollups of several intervals')
    return intervals.pop()


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _names(node: Any) -> set[str]:
    """Return the names of queries that a formula refers to."""
    if isinstance(node, Name):
        return {node.name}
    children = [getattr(node, name, None) for name in ('left', 'right')]
    return {name for child in (*children, *getattr(node, 'arguments', ())) for name in _names(child)} if node else set()


def _variable(definition: Mapping[str, Any]) -> TemplateVariable:
    defaults = definition.get('defaults') or [definition.get('default') or '*']
    return TemplateVariable(definition['name'], definition.get('prefix'), tuple(defaults))


def _widget(item: Mapping[str, Any]) -> Widget:
    definition = item['definition']
    kind = definition['type']
    title = str(definition.get('title') or '')
    if kind not in OVER_TIME | SCALAR | WITHOUT_QUERIES:
        raise AssetError(f'{title}: the model does not know widgets of type {kind}')
    place = item.get('layout')
    if place is None:
        raise AssetError(f'{title}: a widget has no place on the grid')
    requests = () if kind in WITHOUT_QUERIES else tuple(_request(one, kind, title) for one in definition['requests'])
    if kind not in WITHOUT_QUERIES and not requests:
        raise AssetError(f'{title}: a widget asks for nothing')
    return Widget(
        kind,
        title,
        Layout(place['x'], place['y'], place['width'], place['height']),
        requests,
        tuple(_widget(one) for one in definition.get('widgets') or ()),
        definition,
    )


def _request(definition: Mapping[str, Any], kind: str, title: str) -> Request:
    expected = 'timeseries' if kind in OVER_TIME else 'scalar'
    if definition.get('response_format') != expected:
        raise AssetError(f'{title}: the response format of a {kind} is {expected}')
    queries: dict[str, Query] = {}
    for query in definition['queries']:
        if query.get('data_source') != 'metrics':
            raise AssetError(f'{title}: the model knows queries of metrics only')
        aggregator = query.get('aggregator')
        if expected == 'scalar' and not aggregator:
            raise AssetError(f'{title}: {query["name"]} does not say how its points become one value')
        queries[query['name']] = Query(query['name'], query['query'], parse(query['query']), aggregator or 'avg')
    if not definition.get('formulas'):
        raise AssetError(f'{title}: a request has no formulas')
    if (kind == 'change') != ('compare_to' in definition) or definition.get('compare_to', 'day_before') not in EARLIER:
        raise AssetError(f'{title}: a change widget, and no other, says what it compares with')
    formulas = tuple(Formula(one['formula'], parse(one['formula']), one) for one in definition['formulas'])
    for formula in formulas:
        unknown = _names(formula.node) - set(queries)
        if unknown:
            at = TextOf(formula.text, formula.text.find(min(unknown)))
            raise at.error(f'{title}: no query is named {", ".join(sorted(unknown))}')
    used = {name for formula in formulas for name in _names(formula.node)}
    if used != set(queries):
        raise AssetError(f'{title}: no formula uses {", ".join(sorted(set(queries) - used))}')
    return Request(queries, formulas, definition)
