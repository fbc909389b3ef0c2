"""Evaluate monitors over a store, minute by minute, with the state that they keep.

Configure Monitors, https://docs.datadoghq.com/monitors/configuration/; Metric Monitor,
https://docs.datadoghq.com/monitors/types/metric/; Service Check Monitor,
https://docs.datadoghq.com/monitors/types/service_check/. Whom a change of status is told to is for `notifications.py`.

What lacks a tag that a monitor groups by is not evaluated: "if your metric is only reporting by host with no device
tag, it would not be detected by a monitor group by both host and device" (Configure Monitors, Alert grouping). The same
is taken for service checks.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from .errors import AssetError
from .frames import Frame, Grid, Group, Values, Window, combined, reduced
from .store import WITHOUT_TAG, Store, normalized
from .syntax import (
    Call,
    ChangeQuery,
    MetricQuery,
    Node,
    Operation,
    ServiceCheckQuery,
    String,
    ThresholdQuery,
    metric_queries,
    parse_monitor,
    parse_service_check_monitor,
)
from .timeseries import Evaluator, default_interval

__all__ = ['Evaluation', 'Monitor', 'Status', 'run_monitor']

Status = Literal['OK', 'Warn', 'Alert', 'No Data']

_HOUR, _DAY = 3600, 86400
# A group is forgotten this long after its last data, and is new when it comes back.
GROUP_RETENTION = _DAY
# Seconds for which a group that was not seen for 24 hours is not evaluated, unless new_group_delay says otherwise.
NEW_GROUP_DELAY = 60
SERVICE_CHECK_STATUSES = ('ok', 'warning', 'critical', 'unknown')

# Options that tell how people are notified, and change no status.
_OPTIONS_WITHOUT_EFFECT = frozenset({'include_tags', 'notify_audit', 'notify_by', 'renotify_interval'})
_OPTIONS = frozenset(
    {
        'evaluation_delay',
        'new_group_delay',
        'notify_no_data',
        'on_missing_data',
        'require_full_window',
        'thresholds',
        'timeout_h',
    }
)
# Monitor API Options, https://docs.datadoghq.com/monitors/guide/monitor_api_options/: hours, from 0 to 24.
_LONGEST_TIMEOUT_HOURS = 24
_MISSING_DATA = frozenset({'default', 'resolve', 'show_and_notify_no_data'})

_CROSSED: dict[str, Callable[[float, float], bool]] = {
    '>': operator.gt,
    '>=': operator.ge,
    '<': operator.lt,
    '<=': operator.le,
}
# Recovery thresholds, https://docs.datadoghq.com/monitors/guide/recovery-thresholds/.
_RECOVERED: dict[str, Callable[[float, float], bool]] = {
    '>': operator.le,
    '>=': operator.lt,
    '<': operator.ge,
    '<=': operator.gt,
}


class Evaluation(NamedTuple):
    """The status of one group of a monitor at one time; `value` is None without data."""

    time: float
    group: Group
    status: Status
    value: float | None = None


@dataclass
class _State:
    status: Status | None
    first_seen: float
    last_seen: float


@dataclass(frozen=True)
class Monitor:
    """A metric or service check monitor, read from its JSON."""

    name: str
    query: ThresholdQuery | ChangeQuery | ServiceCheckQuery
    options: Mapping[str, Any]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_json(cls, monitor: Mapping[str, Any]) -> Monitor:
        """Read a monitor, or the `definition` in its file. Raises AssetError for what the model does not know."""
        definition = monitor.get('definition', monitor)
        options = definition.get('options') or {}
        unknown = set(options) - _OPTIONS - _OPTIONS_WITHOUT_EFFECT
        if unknown:
            raise AssetError(f'the model does not know the options {", ".join(sorted(unknown))}')
        if options.get('on_missing_data', 'default') not in _MISSING_DATA:
            raise AssetError(f'on_missing_data is none of {", ".join(sorted(_MISSING_DATA))}')
        if options.get('renotify_interval'):
            raise AssetError('the model tells of a status once: it does not know renotify_interval')
        if options.get('notify_no_data'):
            raise AssetError('on_missing_data takes the place of notify_no_data, which the model does not know')
        if not 0 <= (options.get('timeout_h') or 0) <= _LONGEST_TIMEOUT_HOURS:
            raise AssetError(f'timeout_h is a number of hours up to {_LONGEST_TIMEOUT_HOURS}')
        thresholds = options.get('thresholds') or {}
        match definition['type']:
            case 'metric alert' | 'query alert':
                metric_query = parse_monitor(definition['query'])
                _check_metric_monitor(metric_query, options, thresholds)
                return cls(definition['name'], metric_query, options, thresholds)
            case 'service check':
                check_query = parse_service_check_monitor(definition['query'])
                _check_service_check_monitor(check_query, thresholds)
                return cls(definition['name'], check_query, options, thresholds)
            case other:
                raise AssetError(f'the model does not know monitors of type {other}')

    @property
    def groups(self) -> tuple[str, ...]:
        """The tags that the monitor makes a group of, in alphabetical order."""
        if isinstance(self.query, ServiceCheckQuery):
            return tuple(sorted(self.query.by))
        return tuple(sorted(set(_groups(self.query.expression))))

    @property
    def notifies_of_missing_data(self) -> bool:
        """Tell whether people are told when a group has no data."""
        return self.options.get('on_missing_data') == 'show_and_notify_no_data'

    def times_out(self, seconds_without_data: float) -> bool:
        """Tell whether what is triggered resolves after this long without data (option `timeout_h`; 0 is never)."""
        hours = self.options.get('timeout_h') or 0
        return bool(hours) and seconds_without_data >= hours * _HOUR

    def run(self, store: Store, times: Iterable[float]) -> list[Evaluation]:
        """Evaluate the monitor at each of these times, in their order."""
        if isinstance(self.query, ServiceCheckQuery):
            return _run_service_check(self, self.query, store, times)
        return _MetricRun(self, self.query, store).at(times)


def run_monitor(monitor: Mapping[str, Any], store: Store, times: Iterable[float]) -> list[Evaluation]:
    """Evaluate a monitor's JSON at each of these times, in their order."""
    return Monitor.from_json(monitor).run(store, times)


def _check_metric_monitor(
    query: ThresholdQuery | ChangeQuery, options: Mapping[str, Any], thresholds: Mapping[str, float]
) -> None:
    if thresholds.get('critical') != query.limit:
        raise AssetError(f'the query compares with {query.limit:g}, the critical threshold is another')
    unknown = set(thresholds) - {'critical', 'critical_recovery', 'warning', 'warning_recovery'}
    if unknown:
        raise AssetError(f'the model does not know the thresholds {", ".join(sorted(unknown))}')
    # From the mildest to the gravest: each one must lie on the far side of the one before.
    order = ('warning_recovery', 'warning', 'critical_recovery', 'critical')
    beyond = operator.gt if query.comparator in ('>', '>=') else operator.lt
    for milder, graver in (('warning', 'critical'), (order[0], order[1]), (order[2], order[3])):
        if milder in thresholds and graver in thresholds and not beyond(thresholds[graver], thresholds[milder]):
            raise AssetError(f'{graver} must lie beyond {milder}')
    forms = {one.form for one in metric_queries(query.expression)}
    if 'as_count' in forms and query.aggregation != 'sum':
        # as_count() in Monitor Evaluations: "Aggregation methods other than sum cannot be used with as_count()".
        raise AssetError('as_count() goes with sum(last_…) only')
    if 'as_count' in forms and len(forms) > 1:
        # The documentation does not say what the sum before the arithmetic makes of the others.
        raise AssetError('the model does not mix as_count() with other queries in one monitor')
    if options.get('on_missing_data', 'default') != 'default' and _calls(query.expression, 'default_zero'):
        # Datadog answers 400 Bad Request, https://github.com/DataDog/terraform-provider-datadog/issues/2815.
        raise AssetError('with default_zero(), on_missing_data can only be default')


def _check_service_check_monitor(query: ServiceCheckQuery, thresholds: Mapping[str, float]) -> None:
    unknown = set(thresholds) - set(SERVICE_CHECK_STATUSES)
    if unknown:
        raise AssetError(f'the model does not know the thresholds {", ".join(sorted(unknown))}')
    if not max(thresholds.values(), default=1) <= query.runs <= 100:
        # Create a monitor, https://docs.datadoghq.com/api/latest/monitors/: last() is at least the highest threshold,
        # and at most 100.
        raise AssetError('last() must be at least the highest threshold, and at most 100')


def _groups(node: Node | String) -> Iterator[str]:
    """Yield the tags that an expression is grouped by: counting groups leaves none."""
    match node:
        case MetricQuery():
            yield from node.scope.by
        case Operation():
            yield from _groups(node.left)
            yield from _groups(node.right)
        case Call() if node.function not in ('count_nonzero', 'count_not_null'):
            for argument in node.arguments:
                yield from _groups(argument)


def _calls(node: Node | String, function: str) -> bool:
    match node:
        case Call():
            return node.function == function or any(_calls(argument, function) for argument in node.arguments)
        case Operation():
            return _calls(node.left, function) or _calls(node.right, function)
        case _:
            return False


class _MetricRun:
    """One pass of a metric monitor over a store."""

    def __init__(self, monitor: Monitor, query: ThresholdQuery | ChangeQuery, store: Store) -> None:
        self._monitor = monitor
        self._query = query
        self._evaluator = Evaluator(store, {})
        self._states: dict[Group, _State] = {}
        # as_count() in Monitor Evaluations,
        # https://docs.datadoghq.com/monitors/guide/as-count-in-monitor-evaluations/: with arithmetic and at least one
        # as_count(), the aggregation comes before the arithmetic. Without arithmetic the order makes no difference.
        self._aggregates_first = any(one.form == 'as_count' for one in metric_queries(query.expression))

    def at(self, times: Iterable[float]) -> list[Evaluation]:
        return [evaluation for time in times for evaluation in self._evaluate(time)]

    def _evaluate(self, time: float) -> list[Evaluation]:
        options = self._monitor.options
        end = time - (options.get('evaluation_delay') or 0)
        window = Window(end - self._query.seconds, end)
        values, full = self._values(window)
        for group in [group for group, state in self._states.items() if time - state.last_seen > GROUP_RETENTION]:
            del self._states[group]
        for group in values:
            state = self._states.setdefault(group, _State(None, time, time))
            state.last_seen = time
        if not self._monitor.groups:
            self._states.setdefault((), _State(None, time, time))
        evaluations: list[Evaluation] = []
        for group, state in self._states.items():
            if self._monitor.groups and time < state.first_seen + self._new_group_delay():
                continue
            value = values.get(group)
            if value is None:
                state.status = self._without_data(state, time)
            elif full is None or group in full:
                state.status = self._with_value(value, state.status)
            evaluations.append(Evaluation(time, group, state.status or 'No Data', value))
        return evaluations

    def _new_group_delay(self) -> float:
        delay = self._monitor.options.get('new_group_delay')
        return NEW_GROUP_DELAY if delay is None else float(delay)

    def _values(self, window: Window) -> tuple[dict[Group, float], set[Group] | None]:
        """Return the value of each group, and the groups whose window is full, or None if it need not be."""
        query = self._query
        if self._aggregates_first:
            grid = Grid.whole(window)
        else:
            grid = Grid.aligned(window, default_interval(window))
        frame = self._evaluator.frame(query.expression, grid)
        if isinstance(query, ChangeQuery):
            frame = combined(
                frame, self._evaluator.frame(query.expression, grid.shifted(-query.shift_seconds)), operator.sub
            )
        values = {group: reduced(row, query.aggregation) for group, row in frame.rows.items()}
        present = {
            self._tags(frame, group): value
            for group, value in values.items()
            if value is not None and WITHOUT_TAG not in group
        }
        if not self._monitor.options.get('require_full_window'):
            return present, None
        return present, self._full(window)

    def _full(self, window: Window) -> set[Group]:
        """Return the groups with data in the first bucket of the window and at most three buckets without.

        Metric Monitor, Data window, https://docs.datadoghq.com/monitors/types/metric/#data-window.
        """
        length = window.end - window.start
        seconds = 60 if length < _HOUR else 600 if length < _DAY else _HOUR
        buckets = round(length / seconds)
        grid = Grid(window, seconds, window.start, buckets)
        frame = self._evaluator.frame(self._query.expression, grid)

        def is_full(row: Values) -> bool:
            return row[0] is not None and sum(value is None for value in row) <= 3

        return {self._tags(frame, group) for group, row in frame.rows.items() if is_full(row)}

    def _tags(self, frame: Frame, group: Group) -> Group:
        return tuple(sorted(f'{key}:{value}' for key, value in zip(frame.keys, group, strict=True)))

    def _with_value(self, value: float, before: Status | None) -> Status:
        """Compare with the thresholds. What is triggered stays so until it passes its recovery threshold."""
        crossed = _CROSSED[self._query.comparator]
        recovered = _RECOVERED[self._query.comparator]
        thresholds = self._monitor.thresholds

        def holds(name: str, was: bool) -> bool:
            threshold, recovery = thresholds.get(name), thresholds.get(f'{name}_recovery')
            if threshold is None:
                return False
            return crossed(value, threshold) or (was and recovery is not None and not recovered(value, recovery))

        if holds('critical', before == 'Alert'):
            return 'Alert'
        return 'Warn' if holds('warning', before in ('Alert', 'Warn')) else 'OK'

    def _without_data(self, state: _State, time: float) -> Status | None:
        """Return the status of a group without data.

        Migrating to On Missing Data Configuration, https://docs.datadoghq.com/monitors/guide/on_missing_data/: the
        default is to evaluate a sum as zero, and to keep the status of anything else.
        """
        options = self._monitor.options
        if self._monitor.times_out(time - state.last_seen):
            return 'OK'
        match options.get('on_missing_data'):
            case 'resolve':
                return 'OK'
            case 'show_and_notify_no_data':
                return 'No Data'
            case 'default' if self._query.aggregation == 'sum':
                return self._with_value(0.0, state.status)
        return state.status


def _run_service_check(
    monitor: Monitor, query: ServiceCheckQuery, store: Store, times: Iterable[float]
) -> list[Evaluation]:
    """Count consecutive statuses of each group and compare them with the thresholds.

    A check alert triggers after as many CRITICAL (or WARN) runs in a row as its threshold says and resolves after as
    many OK ones; between, it stays what it was.
    """
    include = {normalized(tag) for tag in query.over if tag != '*'}
    runs: dict[Group, list[tuple[float, int]]] = {}
    for run in store.service_checks(query.name):
        if include <= run.tags:
            group = tuple(sorted(tag for tag in run.tags if tag.partition(':')[0] in query.by))
            if len(group) < len(query.by):
                continue
            runs.setdefault(group, []).append((run.time, run.status))
    delay = monitor.options.get('new_group_delay')
    delay = NEW_GROUP_DELAY if delay is None else delay
    evaluations: list[Evaluation] = []
    statuses: dict[Group, Status] = {}
    for time in times:
        for group, submitted in runs.items():
            seen = [(at, status) for at, status in submitted if at <= time]
            if not seen or time < seen[0][0] + delay:
                continue
            if monitor.times_out(time - seen[-1][0]):
                statuses[group] = 'OK'
            else:
                statuses[group] = _service_check_status(monitor, query, seen, statuses.get(group))
            evaluations.append(Evaluation(time, group, statuses[group]))
    return evaluations


def _service_check_status(
    monitor: Monitor, query: ServiceCheckQuery, seen: list[tuple[float, int]], before: Status | None
) -> Status:
    last = [SERVICE_CHECK_STATUSES[status] for _, status in seen[-query.runs :]]
    in_a_row = 0
    for status in reversed(last):
        if status != last[-1]:
            break
        in_a_row += 1
    reached = in_a_row >= monitor.thresholds.get(last[-1], 1)
    match last[-1]:
        case 'critical' if reached:
            return 'Alert'
        case 'warning' if reached:
            return 'Warn'
        case 'ok' if reached or before in (None, 'No Data'):
            return 'OK'
        case _:
            return 'OK' if before in (None, 'No Data') else before
