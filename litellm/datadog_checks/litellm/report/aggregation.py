"""Turn the values that a check submits into what the Agent would send.

Follows the documented behaviour of the Agent's check sampler. The base package's stub aggregator only records
submissions, so the difference between two runs has to be computed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..base_package import buckets_of

__all__ = ['Aggregation', 'Context', 'MonotonicCount', 'Point']


class Context(NamedTuple):
    """A metric with one set of tags on one host: what Datadog stores as one time series."""

    name: str
    host: str
    tags: frozenset[str]


class Point(NamedTuple):
    """One value of one context as the Agent would send it.

    `type` is that of the Agent's payload, `gauge` or `count`, or else `distribution`, where `value` is the number of
    observations.
    """

    type: str
    value: float
    context: Context


class MonotonicCount:
    """Turn the ever-growing values of one context into what was added since the last flush."""

    def __init__(self) -> None:
        self._previous: float | None = None
        self._added: float | None = None

    def add(self, value: float, flush_first_value: bool) -> None:
        """Add the next raw value.

        `flush_first_value` says that the check saw the whole life of the counter: a first value counts in full, and so
        does a value lower than the one before, which comes from a restarted counter. Without it both are ignored.
        """
        previous = 0.0 if self._previous is None and flush_first_value else self._previous
        self._previous = value
        if previous is None:
            return
        if value >= previous:
            self._added = (self._added or 0.0) + value - previous
        elif flush_first_value:
            self._added = value
        else:
            self._added = self._added or 0.0

    def flush(self) -> float | None:
        """Return the increase since the last flush, or None if there were no two values to compare."""
        added, self._added = self._added, None
        return added


class Aggregation:
    """Follow every context over the runs of one check, as the Agent does between flushes."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Context, object], MonotonicCount] = {}
        self._rates: dict[Context, tuple[float, float]] = {}

    def flush(self, submitted: Any, time: float) -> list[Point]:
        """Return what the Agent would send of one run's submissions to the stub aggregator.

        `time` is that of the run in seconds. Contexts without a value to send, such as counts seen for the first time,
        are left out.
        """
        last: dict[Context, Point] = {}
        counts: dict[Context, float] = {}
        monotonic: dict[Context, MonotonicCount] = {}
        for stub in _metrics(submitted):
            context = Context(stub.name, stub.hostname or '', frozenset(stub.tags or ()))
            if stub.type == submitted.GAUGE:
                last[context] = Point('gauge', stub.value, context)
            elif stub.type == submitted.RATE:
                rate = self._rate(context, stub.value, time)
                if rate is not None:
                    last[context] = Point('gauge', rate, context)
            elif stub.type == submitted.COUNT:
                counts[context] = counts.get(context, 0.0) + stub.value
            elif stub.type == submitted.MONOTONIC_COUNT:
                count = monotonic[context] = self._counts.setdefault((context, None), MonotonicCount())
                count.add(stub.value, stub.flush_first_value)

        points = list(last.values())
        points.extend(Point('count', value, context) for context, value in counts.items())
        for context, count in monotonic.items():
            added = count.flush()
            if added is not None:
                points.append(Point('count', added, context))
        points.extend(self._distributions(submitted))
        return points

    def _rate(self, context: Context, value: float, time: float) -> float | None:
        earlier = self._rates.get(context)
        self._rates[context] = (time, value)
        if earlier is None or time <= earlier[0] or value < earlier[1]:
            return None
        return (value - earlier[1]) / (time - earlier[0])

    def _distributions(self, submitted: Any) -> Iterator[Point]:
        observations: dict[Context, float] = {}
        for stub in buckets_of(submitted):
            context = Context(stub.name, stub.hostname or '', frozenset(stub.tags or ()))
            added: float | None = stub.value
            if stub.monotonic:
                bounds = (stub.lower_bound, stub.upper_bound)
                count = self._counts.setdefault((context, bounds), MonotonicCount())
                count.add(stub.value, stub.flush_first_value)
                added = count.flush()
            if added is not None:
                observations[context] = observations.get(context, 0.0) + added
        for context, value in observations.items():
            yield Point('distribution', value, context)


def _metrics(submitted: Any) -> Iterator[Any]:
    for name in submitted.metric_names:
        yield from submitted.metrics(name)
