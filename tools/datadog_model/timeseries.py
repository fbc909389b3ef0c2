"""Evaluate queries over a store.

Order (Anatomy of a metric query, https://docs.datadoghq.com/metrics/#anatomy-of-a-metric-query): the filter chooses
series; the points of each series become one per interval (time aggregation); series are aligned and become one per
group (space aggregation); functions and arithmetic apply to what is left
(Functions, https://docs.datadoghq.com/dashboards/functions/).
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .frames import Frame, Grid, Group, Values, Window, combined, interpolated, reduced
from .functions import CALENDAR_SHIFTS, EARLIER, FUNCTIONS, NUMBER
from .store import Series, Store, normalized
from .syntax import (
    Call,
    Either,
    Every,
    Filter,
    MetricQuery,
    Name,
    Node,
    Not,
    Number,
    Operation,
    String,
    TagIs,
    Variable,
    metric_queries,
    parse,
)

__all__ = ['Evaluator', 'Timeseries', 'Variables', 'default_interval', 'evaluate', 'interval_of', 'timeseries']

# The values chosen for template variables: tags, or patterns of tags. `*` is no choice.
Variables = Mapping[str, Sequence[str]]

# https://docs.datadoghq.com/dashboards/functions/rollup/#rollup-interval-enforced-vs-custom: seconds of an interval by
# seconds of the window, for lines and for bars.
_HOUR, _DAY = 3600, 86400
_INTERVALS = (
    (_HOUR, 20, 60),
    (4 * _HOUR, 60, 120),
    (_DAY, 300, 1200),
    (2 * _DAY, 600, 1800),
    (7 * _DAY, 3600, 7200),
    (31 * _DAY, 4 * _HOUR, 12 * _HOUR),
)
MOST_POINTS = 1500

_OPERATIONS: dict[str, Callable[[float, float], float | None]] = {
    '+': lambda left, right: left + right,
    '-': lambda left, right: left - right,
    '*': lambda left, right: left * right,
    # A division by zero is no value (Monitor Arithmetic and Sparse Metrics,
    # https://docs.datadoghq.com/monitors/guide/monitor-arithmetic-and-sparse-metrics/).
    '/': lambda left, right: left / right if right else None,
}


@dataclass(frozen=True)
class Timeseries:
    """One line of a graph: its tags in the order of `by {}`, and the start and value of each interval."""

    group: Group
    points: list[tuple[float, float | None]]

    @property
    def has_data(self) -> bool:
        return any(value is not None and math.isfinite(value) for _, value in self.points)


def default_interval(window: Window, bars: bool = False) -> int:
    """Return the seconds of the intervals that Datadog chooses for a window."""
    length = window.end - window.start
    for longest, line, bar in _INTERVALS:
        if length <= longest:
            return bar if bars else line
    return _DAY


def evaluate(
    query: str | Node,
    store: Store,
    window: Window,
    variables: Variables | None = None,
    interval: float | None = None,
) -> list[Timeseries]:
    """Evaluate a query as a graph of lines would show it. Raises QueryError for what the model does not know."""
    node = parse(query) if isinstance(query, str) else query
    grid = Grid.aligned(window, interval or interval_of(node, window, default_interval(window)))
    return timeseries(Evaluator(store, variables or {}).frame(node, grid), grid)


def timeseries(frame: Frame, grid: Grid) -> list[Timeseries]:
    """Return the groups of a frame that have data, as lines."""
    starts = list(grid.starts())
    lines = [
        Timeseries(
            tuple(f'{key}:{value}' for key, value in zip(frame.keys, group, strict=True)),
            list(zip(starts, values, strict=True)),
        )
        for group, values in frame.rows.items()
    ]
    return [line for line in lines if line.has_data]


def interval_of(node: Node, window: Window, default: float) -> float:
    """Return the interval that the rollups of an expression ask for, or the default one.

    A rollup may be coarser than the default, but no finer than what keeps a line below 1500 points.
    """
    asked = {query.rollup.seconds: query for query in metric_queries(node) if query.rollup and query.rollup.seconds}
    if not asked:
        return default
    if len(asked) > 1:
        raise next(iter(asked.values())).at.error('the model does not mix rollups of several intervals')
    seconds = next(iter(asked))
    assert seconds is not None
    return max(seconds, math.ceil((window.end - window.start) / MOST_POINTS))


class Evaluator:
    """Evaluates expressions over a store with the same choices of template variables.

    `names` gives the frames of the queries that a formula refers to.
    """

    def __init__(
        self, store: Store, variables: Variables, names: Mapping[str, Callable[[Grid], Frame]] | None = None
    ) -> None:
        self._store = store
        self._variables = variables
        self._names = names or {}
        self._selections: dict[tuple[Any, ...], list[tuple[Group, list[Series]]]] = {}

    def frame(self, node: Node, grid: Grid) -> Frame:
        """Evaluate an expression on a grid."""
        match node:
            case Number():
                return Frame((), {(): [node.value] * grid.length}, constant=True)
            case Name():
                if node.name not in self._names:
                    raise node.at.error(f'no query is named {node.name}')
                return self._names[node.name](grid)
            case MetricQuery():
                return self._metric(node, grid)
            case Operation():
                left, right = self.frame(node.left, grid), self.frame(node.right, grid)
                try:
                    return combined(left, right, _OPERATIONS[node.operator])
                except ValueError as error:
                    raise node.at.error(str(error)) from error
            case Call():
                return self._call(node, grid)

    def _call(self, call: Call, grid: Grid) -> Frame:
        if call.function == 'calendar_shift':
            match call.arguments:
                case (query, String(value=shift), String(value='UTC')) if shift in CALENDAR_SHIFTS:
                    return self._earlier(call, query, grid, CALENDAR_SHIFTS[shift])
            raise call.at.error(f"calendar_shift takes a query, one of {', '.join(CALENDAR_SHIFTS)}, and 'UTC'")
        if call.function in EARLIER and len(call.arguments) == 1:
            return self._earlier(call, call.arguments[0], grid, EARLIER[call.function])
        function = FUNCTIONS.get(call.function)
        if function is None:
            raise call.at.error(f'the model does not know the function {call.function}, or not with these arguments')
        if len(call.arguments) != len(function.signature):
            raise call.at.error(f'{call.function} takes {len(function.signature)} arguments, not {len(call.arguments)}')
        frames, number = [], 0.0
        for argument, expected in zip(call.arguments, function.signature, strict=True):
            if expected == NUMBER:
                number = _number(call, argument)
            else:
                frames.append(self._frame_of(argument, grid))
        try:
            return function.apply(frames, number, grid)
        except ValueError as error:
            raise call.at.error(str(error)) from error

    def _frame_of(self, argument: Node | String, grid: Grid) -> Frame:
        if isinstance(argument, String):
            raise argument.at.error('a query is expected here')
        return self.frame(argument, grid)

    def _earlier(self, call: Call, query: Node | String, grid: Grid, seconds: float) -> Frame:
        """Evaluate as of some time before."""
        if grid.length > 1 and seconds % grid.seconds:
            raise call.at.error(f'the model shifts by whole intervals of {grid.seconds:g} seconds only')
        return self._frame_of(query, grid.shifted(-seconds))

    def _metric(self, query: MetricQuery, grid: Grid) -> Frame:
        groups = self._selected(query)
        kinds = {series.kind for _, members in groups for series in members}
        kind = next(iter(kinds), None)
        # as_count() and as_rate() have no effect on gauges (Metric Type Modifiers,
        # https://docs.datadoghq.com/metrics/custom_metrics/type_modifiers/); on counts they make the time aggregation a
        # sum and switch interpolation off.
        counted = bool(query.form) and kind != 'gauge'
        time_aggregation = 'sum' if counted else 'avg'
        if query.rollup:
            if counted and query.rollup.aggregation != 'sum':
                raise query.at.error(f'{query.form} is a sum over time, not {query.rollup.aggregation}')
            time_aggregation = query.rollup.aggregation
        # "Interpolation occurs when more than one source corresponds to your graph query", linear, up to five minutes
        # after real samples (Interpolation and the Fill Modifier).
        has_gaps_filled = kind == 'gauge' and sum(len(members) for _, members in groups) > 1
        rows: dict[Group, Values] = {}
        # Pods that are copies of each other share their points: they are looked at once.
        seen: dict[int, Values | None] = {}
        for group, members in groups:
            lines = []
            for series in members:
                if id(series.values) not in seen:
                    seen[id(series.values)] = _over_time(series, grid, time_aggregation)
                line = seen[id(series.values)]
                if line is not None:
                    lines.append(interpolated(line, grid.seconds) if has_gaps_filled else line)
            if lines:
                rows[group] = _over_space(lines, query.aggregator)
        frame = Frame(query.scope.by, rows, aligned_as_zero=counted, fills_gaps=kind == 'gauge')
        # as_rate() "divides the result post-aggregation by the sampling interval".
        return frame.mapped(lambda value: value / grid.seconds) if counted and query.form == 'as_rate' else frame

    def _selected(self, query: MetricQuery) -> list[tuple[Group, list[Series]]]:
        key = (query.metric, query.scope, self._store.number_of_series(query.metric))
        selection = self._selections.get(key)
        if selection is None:
            chosen = self._resolved(query.scope.filter, query)
            by_group: dict[Group, list[Series]] = {}
            for series in self._store.series(query.metric):
                if _holds(chosen, series.tags):
                    for group in itertools.product(*(series.values_of(tag) for tag in query.scope.by)):
                        by_group.setdefault(group, []).append(series)
            selection = self._selections[key] = list(by_group.items())
        return selection

    def _resolved(self, condition: Filter, query: MetricQuery) -> Filter:
        """Put the chosen tags in the place of template variables; several are joined with OR.

        Template Variables, https://docs.datadoghq.com/dashboards/template_variables/.
        """
        match condition:
            case Variable():
                if condition.name not in self._variables:
                    raise query.at.error(f'there is no template variable {condition.name}')
                tags = self._variables[condition.name]
                if not tags:
                    return Every(())
                return Either(tuple(TagIs(*normalized_pattern(tag).split(':', 1)) for tag in tags))
            case Not():
                return Not(self._resolved(condition.condition, query))
            case Every() | Either():
                return replace(condition, conditions=tuple(self._resolved(one, query) for one in condition.conditions))
            case _:
                return condition


def normalized_pattern(tag: str) -> str:
    """Return the tag as Datadog stores it, its `*` left alone."""
    return '*'.join(normalized(part) for part in tag.split('*'))


def _holds(condition: Filter, tags: frozenset[str]) -> bool:
    match condition:
        case TagIs():
            return condition.holds(tags)
        case Not():
            return not _holds(condition.condition, tags)
        case Every():
            return all(_holds(one, tags) for one in condition.conditions)
        case Either():
            return any(_holds(one, tags) for one in condition.conditions)
        case Variable():
            raise NotImplementedError(condition.name)


def _over_time(series: Series, grid: Grid, aggregation: str) -> Values | None:
    """Make one value per interval of the points of a series; None if the window has no point."""
    first, last = bisect_left(series.times, grid.window.start), bisect_left(series.times, grid.window.end)
    if first == last:
        return None
    if grid.length == 1:
        return [reduced(series.values[first:last], aggregation)]
    result: Values = [None] * grid.length
    for index, points in itertools.groupby(range(first, last), lambda point: grid.index(series.times[point])):
        values = [series.values[point] for point in points]
        result[index] = values[0] if len(values) == 1 and aggregation != 'count' else reduced(values, aggregation)
    return result


def _over_space(lines: list[Values], aggregation: str) -> Values:
    if len(lines) == 1:
        return lines[0]
    return [reduced(values, aggregation) for values in zip(*lines, strict=True)]


def _number(call: Call, argument: Node | String) -> float:
    match argument:
        case Number():
            return argument.value
        case Operation(left=Number(value=0.0), operator='-', right=Number(value=value)):
            return -value
        case _:
            raise call.at.error(f'{call.function} takes a number')
