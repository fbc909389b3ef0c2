"""Points of several groups on one grid of time: what every step of an evaluation takes and gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

__all__ = ['Frame', 'Grid', 'Group', 'Values', 'Window', 'combined', 'interpolated', 'reduced']

# Seconds for which a missing value of a gauge is filled in after a sample.
GAP_THAT_IS_FILLED = 300

Group = tuple[str, ...]
Values = list[float | None]


class Window(NamedTuple):
    """From `start` until before `end`, in seconds since 1970."""

    start: float
    end: float


@dataclass(frozen=True)
class Grid:
    """Intervals of equal length that cover a window.

    The intervals of rollups are aligned to Unix time, not to the window, so the first and the last one may lie in the
    window only in part (Rollup, https://docs.datadoghq.com/dashboards/functions/rollup/).
    """

    window: Window
    seconds: float
    first: float
    length: int

    @classmethod
    def aligned(cls, window: Window, seconds: float) -> Grid:
        """Cover the window with intervals that start at multiples of their length."""
        first = math.floor(window.start / seconds) * seconds
        return cls(window, seconds, first, max(1, math.ceil((window.end - first) / seconds)))

    @classmethod
    def whole(cls, window: Window) -> Grid:
        """Cover the window with one interval."""
        return cls(window, window.end - window.start, window.start, 1)

    def shifted(self, seconds: float) -> Grid:
        """Return the grid later by some seconds, earlier if they are negative."""
        window = Window(self.window.start + seconds, self.window.end + seconds)
        return replace(self, window=window, first=self.first + seconds)

    def index(self, time: float) -> int:
        """Return the number of the interval that a time is in."""
        return int((time - self.first) // self.seconds)

    def starts(self) -> Iterator[float]:
        for number in range(self.length):
            yield self.first + number * self.seconds


@dataclass
class Frame:
    """The values of each group in each interval; None is no data.

    Groups are the values of `keys`. A frame of a count is aligned as zero: where another one has a value, it has 0.
    """

    keys: tuple[str, ...]
    rows: dict[Group, Values]
    aligned_as_zero: bool = False
    fills_gaps: bool = False
    constant: bool = False

    def mapped(self, change: Callable[[float], float | None]) -> Frame:
        """Apply a function to every value."""
        rows = {
            group: [None if value is None else change(value) for value in values] for group, values in self.rows.items()
        }
        return replace(self, rows=rows)


def combined(left: Frame, right: Frame, operation: Callable[[float, float], float | None]) -> Frame:
    """Combine two frames group by group and interval by interval. Raises ValueError if their groups do not fit.

    Where one side has no data there is none, unless that side is a count: "queried as_count() or as_rate()" it is
    always aligned as 0 (Interpolation, https://docs.datadoghq.com/dashboards/functions/interpolation/). Of groups that
    only one side has, the documentation does not speak; such a group is left out, which no asset should depend on. A
    frame without groups goes with every group of the other one.
    """
    aligned_as_zero = (left.aligned_as_zero or left.constant) and (right.aligned_as_zero or right.constant)
    constant = left.constant and right.constant

    def pair(one: Values, other: Values) -> Values:
        result: Values = []
        for first, second in zip(one, other, strict=True):
            if first is None and second is not None and left.aligned_as_zero:
                first = 0.0
            if second is None and first is not None and right.aligned_as_zero:
                second = 0.0
            result.append(None if first is None or second is None else operation(first, second))
        return result

    if left.keys and right.keys:
        if sorted(left.keys) != sorted(right.keys):
            raise ValueError(f'groups by {", ".join(left.keys)} and by {", ".join(right.keys)} do not go together')
        others = {tuple(group[right.keys.index(key)] for key in left.keys): row for group, row in right.rows.items()}
        rows = {group: pair(row, others[group]) for group, row in left.rows.items() if group in others}
    elif right.keys:
        single = left.rows.get(())
        rows = {} if single is None else {group: pair(single, row) for group, row in right.rows.items()}
    else:
        single = right.rows.get(())
        rows = {} if single is None else {group: pair(row, single) for group, row in left.rows.items()}
    return Frame(left.keys or right.keys, rows, aligned_as_zero, left.fills_gaps or right.fills_gaps, constant)


def interpolated(values: Sequence[float | None], seconds: float) -> Values:
    """Fill what is missing up to five minutes after a sample.

    A line leads to the next sample; if there is none, the value is held (Interpolation and the Fill Modifier,
    https://docs.datadoghq.com/metrics/guide/interpolation-the-fill-modifier-explained/).
    """
    result = list(values)
    samples = [(index, value) for index, value in enumerate(values) if value is not None]
    for position, (index, start) in enumerate(samples):
        following, end = samples[position + 1] if position + 1 < len(samples) else (len(values), start)
        reach = min(index + int(GAP_THAT_IS_FILLED // seconds) + 1, following)
        for missing in range(index + 1, reach):
            result[missing] = start + (end - start) * (missing - index) / (following - index)
    return result


def reduced(values: Sequence[float | None], aggregation: str) -> float | None:
    """Make one value of those that are there: avg, sum, min, max, count or last; None if there is none."""
    present = [value for value in values if value is not None]
    if not present:
        return None
    match aggregation:
        case 'avg' | 'mean':
            return math.fsum(present) / len(present)
        case 'sum' | 'area':
            return math.fsum(present)
        case 'min':
            return min(present)
        case 'max':
            return max(present)
        case 'count':
            return float(len(present))
        case 'last':
            return present[-1]
        case _:
            raise ValueError(f'the model does not know the aggregation {aggregation}')
