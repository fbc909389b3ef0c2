"""The functions of the query language. Each works on what time and space aggregation have left.

Functions, https://docs.datadoghq.com/dashboards/functions/. What is not here is an error, not a pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .frames import GAP_THAT_IS_FILLED, Frame, Grid, Group, Values, combined, interpolated, reduced
from .store import WITHOUT_TAG

__all__ = ['CALENDAR_SHIFTS', 'EARLIER', 'FUNCTIONS', 'QUERY', 'Expected', 'Function', 'Numeric', 'Parameter']

Parameter = float | str
Apply = Callable[[Sequence[Frame], Sequence[Parameter], Grid], Frame]

# What an argument may be: an expression, a number that passes a test, or one of some words.
QUERY = 'a query'

# Timeshift, https://docs.datadoghq.com/dashboards/functions/timeshift/: a month is 28 days.
EARLIER = {'hour_before': 3600, 'day_before': 86400, 'week_before': 7 * 86400, 'month_before': 28 * 86400}

# Calendar shift, on the same page: by days or weeks of a time zone, where a day may have 23 or 25 hours. In UTC, the
# only zone here, each has 24. Of months the model knows nothing.
CALENDAR_SHIFTS = {'-1d': 86400, '-1w': 7 * 86400}

ROLLUPS = frozenset({'avg', 'sum', 'min', 'max', 'count'})


@dataclass(frozen=True)
class Numeric:
    """A number that is one of some, or any if none are given."""

    among: frozenset[float] = frozenset()


Expected = str | Numeric | frozenset[str]


@dataclass(frozen=True)
class Function:
    """A function: what arguments it takes, and what it makes of them.

    `over_time` functions need more than one interval. `seconds_before` tells how much of the time before the window
    such a function looks at.
    """

    signature: tuple[Expected, ...]
    apply: Apply
    over_time: bool = False
    seconds_before: Callable[[Sequence[Parameter]], float] = lambda _: 0.0


def _of_each_value(change: Callable[[float, float], float | None]) -> Apply:
    """Apply a function of a value and a number to all values, one by one."""

    def apply(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
        parameter = parameters[0] if parameters else 0.0
        assert isinstance(parameter, float)
        frame = frames[0].mapped(lambda value: change(value, parameter))
        # What stood for a missing count was a zero: it goes on doing so only if a zero comes out as one.
        return replace(frame, aligned_as_zero=frame.aligned_as_zero and change(0.0, parameter) == 0.0)

    return apply


def _of_two(operation: Callable[[float, float], float]) -> Apply:
    """Minimum or Maximum between two queries, https://docs.datadoghq.com/dashboards/querying/."""

    def apply(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
        return combined(frames[0], frames[1], operation)

    return apply


def _default_zero(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
    """Fill empty intervals with 0, gauges up to five minutes after a sample with its value.

    Interpolation, https://docs.datadoghq.com/dashboards/functions/interpolation/. A query without any series becomes
    one line of zeros without groups.
    """
    frame = frames[0]
    if not frame.rows:
        return Frame((), {(): [0.0] * grid.length}, aligned_as_zero=True)
    rows: dict[Group, Values] = {}
    for group, values in frame.rows.items():
        filled = interpolated(values, grid.seconds, 'linear', GAP_THAT_IS_FILLED) if frame.fills_gaps else values
        rows[group] = [0.0 if value is None else value for value in filled]
    return replace(frame, rows=rows, aligned_as_zero=True)


def _top(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
    """Keep the groups that come first by some aggregation of their values.

    Rank, https://docs.datadoghq.com/dashboards/functions/rank/.
    """
    limit, by, direction = parameters
    assert isinstance(limit, float)
    ranks = {group: reduced(values, str(by)) for group, values in frames[0].rows.items()}
    ranked = [(rank, group) for group, rank in ranks.items() if rank is not None]
    ranked.sort(key=lambda pair: pair[0], reverse=direction == 'desc')
    kept = [group for _, group in ranked[: int(limit)]]
    return replace(frames[0], rows={group: frames[0].rows[group] for group in kept})


def _exclude_null(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
    """Leave out groups with an `N/A` tag.

    Exclusion, https://docs.datadoghq.com/dashboards/functions/exclusion/.
    """
    return replace(frames[0], rows={group: row for group, row in frames[0].rows.items() if WITHOUT_TAG not in group})


def _count(counts: Callable[[float], bool]) -> Apply:
    """Count the groups whose value is not zero, or there at all.

    Count, https://docs.datadoghq.com/dashboards/functions/count/.
    """

    def apply(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
        rows = frames[0].rows.values()
        if not rows:
            return Frame((), {})
        columns = zip(*rows, strict=True)
        counted = [float(sum(value is not None and counts(value) for value in column)) for column in columns]
        return Frame((), {(): [*counted]})

    return apply


def _cumsum(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
    """Add up the values over the window.

    Arithmetic, https://docs.datadoghq.com/dashboards/functions/arithmetic/.
    """
    rows: dict[Group, Values] = {}
    for group, values in frames[0].rows.items():
        total = 0.0
        rows[group] = []
        for value in values:
            total += value or 0.0
            rows[group].append(None if value is None else total)
    return replace(frames[0], rows=rows)


def _moving_rollup(frames: Sequence[Frame], parameters: Sequence[Parameter], grid: Grid) -> Frame:
    """Combine the points of the last seconds, the time before the window included.

    Moving rollup, https://docs.datadoghq.com/dashboards/functions/rollup/#moving-rollup.
    """
    seconds, aggregation = parameters
    assert isinstance(seconds, float)
    width = max(1, int(seconds // grid.seconds))
    rows: dict[Group, Values] = {}
    for group, values in frames[0].rows.items():
        extra = len(values) - grid.length
        rows[group] = [
            reduced(values[max(0, index - width + 1) : index + 1], str(aggregation))
            for index in range(extra, len(values))
        ]
    return replace(frames[0], rows=rows)


def _remapping(holds: Callable[[float, float], bool]) -> Function:
    """1 where a comparison with a number holds, 0 where it does not.

    Boolean threshold remapping functions, as in Add a Minimum Request Threshold for Error Rate Alerts,
    https://docs.datadoghq.com/monitors/guide/add-a-minimum-request-threshold-for-error-rate-alerts/.
    """
    return Function((QUERY, Numeric()), _of_each_value(lambda value, bound: float(holds(value, bound))))


_SIZES = Numeric(frozenset({5.0, 10.0, 25.0, 50.0, 100.0}))
_RANKS = frozenset({'max', 'mean', 'min', 'sum', 'last', 'area'})

FUNCTIONS: dict[str, Function] = {
    # Arithmetic, https://docs.datadoghq.com/dashboards/functions/arithmetic/
    'abs': Function((QUERY,), _of_each_value(lambda value, _: abs(value))),
    # Exclusion, https://docs.datadoghq.com/dashboards/functions/exclusion/. A value equal to the threshold stays.
    'clamp_max': Function((QUERY, Numeric()), _of_each_value(min)),
    'clamp_min': Function((QUERY, Numeric()), _of_each_value(max)),
    'count_nonzero': Function((QUERY,), _count(lambda value: value != 0)),
    'count_not_null': Function((QUERY,), _count(math.isfinite)),
    'cumsum': Function((QUERY,), _cumsum, over_time=True),
    'cutoff_max': Function((QUERY, Numeric()), _of_each_value(lambda value, bound: None if value > bound else value)),
    'cutoff_min': Function((QUERY, Numeric()), _of_each_value(lambda value, bound: None if value < bound else value)),
    'default_zero': Function((QUERY,), _default_zero),
    'exclude_null': Function((QUERY,), _exclude_null),
    'is_greater': _remapping(lambda value, bound: value > bound),
    'is_greater_equal': _remapping(lambda value, bound: value >= bound),
    'is_less': _remapping(lambda value, bound: value < bound),
    'is_less_equal': _remapping(lambda value, bound: value <= bound),
    'max': Function((QUERY, QUERY), _of_two(max)),
    'min': Function((QUERY, QUERY), _of_two(min)),
    'moving_rollup': Function(
        (QUERY, Numeric(), ROLLUPS),
        _moving_rollup,
        over_time=True,
        seconds_before=lambda parameters: float(parameters[0]),
    ),
    'top': Function((QUERY, _SIZES, _RANKS, frozenset({'asc', 'desc'})), _top),
}
