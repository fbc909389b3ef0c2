"""The functions of the query language. Each works on what time and space aggregation have left.

Functions, https://docs.datadoghq.com/dashboards/functions/. What is not here is an error, not a pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .frames import Frame, Grid, Group, Values, combined, interpolated

__all__ = ['CALENDAR_SHIFTS', 'EARLIER', 'FUNCTIONS', 'NUMBER', 'QUERY', 'Function']

Apply = Callable[[Sequence[Frame], float, Grid], Frame]

# What an argument may be.
QUERY, NUMBER = 'a query', 'a number'

# Timeshift, https://docs.datadoghq.com/dashboards/functions/timeshift/, and what a change widget compares with.
EARLIER = {'hour_before': 3600, 'day_before': 86400, 'week_before': 7 * 86400}

# Calendar shift, on the same page: by days or weeks of a time zone, where a day may have 23 or 25 hours. In UTC, the
# only zone here, each has 24. Of months the model knows nothing.
CALENDAR_SHIFTS = {'-1d': 86400, '-1w': 7 * 86400}


@dataclass(frozen=True)
class Function:
    """A function: what arguments it takes, and what it makes of them."""

    signature: tuple[str, ...]
    apply: Apply


def _of_each_value(change: Callable[[float, float], float | None]) -> Apply:
    """Apply a function of a value and a number to all values, one by one."""

    def apply(frames: Sequence[Frame], number: float, grid: Grid) -> Frame:
        frame = frames[0].mapped(lambda value: change(value, number))
        # What stood for a missing count was a zero: it goes on doing so only if a zero comes out as one.
        return replace(frame, aligned_as_zero=frame.aligned_as_zero and change(0.0, number) == 0.0)

    return apply


def _of_two(operation: Callable[[float, float], float]) -> Apply:
    """Minimum or Maximum between two queries, https://docs.datadoghq.com/dashboards/querying/."""

    def apply(frames: Sequence[Frame], number: float, grid: Grid) -> Frame:
        return combined(frames[0], frames[1], operation)

    return apply


def _default_zero(frames: Sequence[Frame], number: float, grid: Grid) -> Frame:
    """Fill empty intervals with 0, gauges up to five minutes after a sample with its value.

    Interpolation, https://docs.datadoghq.com/dashboards/functions/interpolation/. A query without any series becomes
    one line of zeros without groups.
    """
    frame = frames[0]
    if not frame.rows:
        return Frame((), {(): [0.0] * grid.length}, aligned_as_zero=True)
    rows: dict[Group, Values] = {}
    for group, values in frame.rows.items():
        filled = interpolated(values, grid.seconds) if frame.fills_gaps else values
        rows[group] = [0.0 if value is None else value for value in filled]
    return replace(frame, rows=rows, aligned_as_zero=True)


def _count(counts: Callable[[float], bool]) -> Apply:
    """Count the groups whose value is not zero, or there at all.

    Count, https://docs.datadoghq.com/dashboards/functions/count/.
    """

    def apply(frames: Sequence[Frame], number: float, grid: Grid) -> Frame:
        rows = frames[0].rows.values()
        if not rows:
            return Frame((), {})
        columns = zip(*rows, strict=True)
        counted = [float(sum(value is not None and counts(value) for value in column)) for column in columns]
        return Frame((), {(): [*counted]})

    return apply


def _remapping(holds: Callable[[float, float], bool]) -> Function:
    """1 where a comparison with a number holds, 0 where it does not.

    Boolean threshold remapping functions, as in Add a Minimum Request Threshold for Error Rate Alerts,
    https://docs.datadoghq.com/monitors/guide/add-a-minimum-request-threshold-for-error-rate-alerts/.
    """
    return Function((QUERY, NUMBER), _of_each_value(lambda value, bound: float(holds(value, bound))))


FUNCTIONS: dict[str, Function] = {
    # Arithmetic, https://docs.datadoghq.com/dashboards/functions/arithmetic/
    'abs': Function((QUERY,), _of_each_value(lambda value, _: abs(value))),
    'count_nonzero': Function((QUERY,), _count(lambda value: value != 0)),
    'count_not_null': Function((QUERY,), _count(math.isfinite)),
    # Exclusion, https://docs.datadoghq.com/dashboards/functions/exclusion/. A value equal to the threshold stays.
    'cutoff_min': Function((QUERY, NUMBER), _of_each_value(lambda value, bound: None if value < bound else value)),
    'default_zero': Function((QUERY,), _default_zero),
    'is_greater': _remapping(lambda value, bound: value > bound),
    'is_greater_equal': _remapping(lambda value, bound: value >= bound),
    'is_less': _remapping(lambda value, bound: value < bound),
    'is_less_equal': _remapping(lambda value, bound: value <= bound),
    'max': Function((QUERY, QUERY), _of_two(max)),
    'min': Function((QUERY, QUERY), _of_two(min)),
}
