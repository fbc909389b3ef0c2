"""Sum the points of each metric up, in one row per metric."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ..metrics import COUNTERS, HISTOGRAM_PARTS, HISTOGRAMS, Group
from .aggregation import Context, Point
from .contexts import contexts_per_metric
from .measure import Measurement

__all__ = ['Row', 'at_most', 'count_of', 'is_in_seconds', 'is_quiet', 'number', 'rows']

# The histograms that measure time do so in seconds. Units are in metadata.csv, which no wheel holds.
SECONDS = re.compile(r'latency|seconds|time_to_first_token')

# What moves without requests: jobs, and the scrapes themselves.
BACKGROUND = frozenset(
    f'litellm.{family.name}.{part}'
    for family in (*COUNTERS.values(), *HISTOGRAMS.values())
    if family.group == Group.SERVICES
    for part in HISTOGRAM_PARTS
)

# What tells the buckets of a histogram apart, and what the base package adds where they are not cumulative.
UPPER_BOUND = 'upper_bound:'
LOWER_BOUND = 'lower_bound:'


class Row(NamedTuple):
    """A metric, or the `.bucket`, `.count` and `.sum` of one histogram together."""

    name: str
    kind: str
    contexts: int
    value: str
    sample: Context | None
    """One of the contexts, with a value that is not zero if there is one. None if nothing would be sent yet."""


def rows(measurement: Measurement) -> list[Row]:
    """Return a row for each metric, those with most contexts first."""
    contexts = contexts_per_metric(measurement.contexts)
    parts: defaultdict[str, set[str]] = defaultdict(set)
    for name in contexts:
        parts[_row_name(name, contexts.keys())].add(name)
    points: defaultdict[str, list[Point]] = defaultdict(list)
    for point in measurement.points:
        points[point.context.name].append(point)
    found = [
        _row(name, names != {name}, sum(contexts[part] for part in names), {part: points[part] for part in names})
        for name, names in parts.items()
    ]
    if is_quiet(measurement):
        found = [_with_total(row, measurement.totals) for row in found]
    return sorted(found, key=lambda row: (-row.contexts, row.name))


def is_quiet(measurement: Measurement) -> bool:
    """Tell whether the proxy counts requests, and counted none between the two scrapes."""
    counts = [point for point in measurement.points if point.type != 'gauge' and point.context.name not in BACKGROUND]
    return bool(counts) and not any(point.value for point in counts)


def is_in_seconds(histogram: str) -> bool:
    """Tell whether a histogram measures time."""
    return SECONDS.search(histogram) is not None


def at_most(share: float, buckets: Iterable[Point], observations: float) -> float | None:
    """Return the lowest bound that at least this share of a histogram's observations does not exceed.

    `buckets` are cumulative. None means that it is none of their bounds, or that they are not cumulative.
    """
    below: defaultdict[float, float] = defaultdict(float)
    for bucket in buckets:
        bound = _tag_value(bucket.context, UPPER_BOUND)
        if bound is None or _tag_value(bucket.context, LOWER_BOUND) is not None:
            return None
        below[float(bound)] += bucket.value
    return next((bound for bound in sorted(below) if below[bound] >= share * observations), None)


def number(value: float) -> str:
    """Return a number with separators, and no more digits than a reader compares at a glance."""
    return f'{value:,.0f}' if value == int(value) else f'{value:,.4g}'


def count_of(count: int, thing: str) -> str:
    """Return how many there are of a thing, in words: `1 family`, `2 families`."""
    if count != 1:
        thing = f'{thing[:-1]}ies' if thing.endswith('y') else f'{thing}s'
    return f'{count:,} {thing}'


def _row_name(metric: str, metrics: Collection[str]) -> str:
    """Return the histogram that a metric is a part of, or the metric's own name."""
    base, _, part = metric.rpartition('.')
    if part not in HISTOGRAM_PARTS:
        return metric
    is_histogram = f'{base}.bucket' in metrics or (f'{base}.count' in metrics and f'{base}.sum' in metrics)
    return base if is_histogram else metric


def _row(name: str, is_histogram: bool, contexts: int, points: dict[str, list[Point]]) -> Row:
    own = [point for part in points.values() for point in part]
    # A count without points was seen for the first time; every other type has a value at once.
    kind = 'histogram' if is_histogram else own[0].type if own else 'count'
    sample = max(own, key=lambda point: point.value != 0).context if own else None
    if kind == 'histogram':
        value = _histogram_value(name, points)
    elif kind == 'gauge':
        value = _gauge_value([point.value for point in own])
    else:
        value = f'+{number(sum(point.value for point in own))}' if own else 'seen for the first time'
    return Row(name, kind, contexts, value, sample)


def _with_total(row: Row, totals: Mapping[str, float]) -> Row:
    """Return a row of an increase with what it is an increase of."""
    total = totals.get(f'{row.name}.count' if row.kind == 'histogram' else row.name)
    return row if total is None else row._replace(value=f'{row.value} (total {number(total)})')


def _gauge_value(values: Collection[float]) -> str:
    low, high = min(values), max(values)
    return number(low) if low == high else f'{number(low)} to {number(high)}'


def _histogram_value(name: str, points: dict[str, list[Point]]) -> str:
    observations = sum(point.value for point in points.get(f'{name}.count', ()))
    text = f'+{number(observations)}'
    if observations:
        total = sum(point.value for point in points.get(f'{name}.sum', ()))
        unit = 's' if is_in_seconds(name) else ''
        text += f', mean {number(total / observations)}{unit}'
        buckets = points.get(f'{name}.bucket', [])
        for share in (0.5, 0.95):
            bound = at_most(share, buckets, observations)
            if bound is not None:
                text += f', p{share * 100:.0f} <= {number(bound)}{unit}'
    return text


def _tag_value(context: Context, prefix: str) -> str | None:
    return next((tag.removeprefix(prefix) for tag in context.tags if tag.startswith(prefix)), None)
