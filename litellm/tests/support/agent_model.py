"""A model of what the Datadog Agent makes of one check's submissions.

Conservation tests need to know which numbers reach Datadog, not which calls a check makes. The Agent keeps a small
state per context (metric name, set of tags, host name), adds every submission of a check run to it and flushes it when
the run ends, whether the run succeeded or not. This module restates that behaviour, with its quirks:

- A monotonic count flushes the sum of the rises between consecutive samples, across runs as well as within one. A first
  sample is only a starting point unless it carries `flush_first_value`, which flushes it as a rise from zero.
- A falling sample is skipped, unless it carries `flush_first_value`: then it *replaces* what the run has gathered.
- A monotonic count which cannot flush yet (one sample, no `flush_first_value`) keeps its sample for the next run.
- A monotonic histogram bucket of zero is not even looked at: it neither starts nor refreshes anything.
- A context that two runs in a row leave out is expired. Gauges, counts and the last values of histogram buckets go with
  it; a monotonic count is remembered for 25 hours more.
- A check that is scheduled again under the same id within a flush interval meets the state of the object before it.
- Samples that are not finite are dropped.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

from datadog_checks.base import AgentCheck
from datadog_checks.base.stubs import aggregator
from datadog_checks.base.utils.functions import no_op

__all__ = [
    'AgentModel',
    'Bucket',
    'Context',
    'Flush',
    'Sample',
    'ServiceCheck',
    'Submissions',
    'discarded',
    'recorded',
    'submitting_to',
]

RUNS_UNTIL_A_CONTEXT_EXPIRES = 2
SECONDS_UNTIL_A_MONOTONIC_COUNT_IS_FORGOTTEN = 25 * 3600.0


class Sample(NamedTuple):
    """One submission of a gauge, count or monotonic count."""

    type: str
    name: str
    value: float
    tags: tuple[str, ...]
    hostname: str
    flush_first_value: bool


class Bucket(NamedTuple):
    """One submission of a histogram bucket."""

    name: str
    value: int
    lower_bound: float
    upper_bound: float
    monotonic: bool
    tags: tuple[str, ...]
    hostname: str
    flush_first_value: bool
    multiple_buckets: bool


class ServiceCheck(NamedTuple):
    """One submission of a service check."""

    name: str
    status: int
    tags: tuple[str, ...]
    hostname: str
    message: str


@dataclass
class Submissions:
    """All that checks submitted, in order, tags sorted."""

    samples: list[Sample] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)
    service_checks: list[ServiceCheck] = field(default_factory=list)

    def submit_metric(
        self,
        check: Any,
        check_id: str,
        mtype: int,
        name: str,
        value: float,
        tags: list[str],
        hostname: str,
        flush_first_value: bool,
    ) -> None:
        type_name = aggregator.METRIC_ENUM_MAP_REV[mtype]
        self.samples.append(Sample(type_name, name, value, tuple(sorted(tags)), hostname, flush_first_value))

    def submit_histogram_bucket(self, *arguments: Any) -> None:
        self._add_bucket(False, *arguments)

    def submit_histogram_bucket_multi(self, *arguments: Any) -> None:
        self._add_bucket(True, *arguments)

    def _add_bucket(
        self,
        multiple_buckets: bool,
        check: Any,
        check_id: str,
        name: str,
        value: int,
        lower_bound: float,
        upper_bound: float,
        monotonic: bool,
        hostname: str,
        tags: list[str],
        flush_first_value: bool = False,
    ) -> None:
        self.buckets.append(
            Bucket(
                name,
                value,
                lower_bound,
                upper_bound,
                monotonic,
                tuple(sorted(tags)),
                hostname,
                flush_first_value,
                multiple_buckets,
            )
        )

    def submit_service_check(
        self, check: Any, check_id: str, name: str, status: int, tags: list[str], hostname: str, message: str
    ) -> None:
        self.service_checks.append(ServiceCheck(name, int(status), tuple(sorted(tags)), hostname, message))


@contextmanager
def recorded() -> Iterator[Submissions]:
    """Record what checks submit inside the block, in place of the base package's own stub."""
    submissions = Submissions()
    with submitting_to(submissions):
        yield submissions


@contextmanager
def discarded() -> Iterator[None]:
    """Let submissions of checks cost and keep nothing inside the block."""
    with submitting_to(_Nobody):
        yield


class _Nobody:
    submit_metric = submit_histogram_bucket = submit_histogram_bucket_multi = submit_service_check = staticmethod(no_op)


@contextmanager
def submitting_to(receiver: object) -> Iterator[None]:
    """Let checks submit to the methods of this object inside the block, in place of the base package's own stub."""
    methods = ('submit_metric', 'submit_histogram_bucket', 'submit_histogram_bucket_multi', 'submit_service_check')
    with ExitStack() as patches:
        for method in methods:
            # Bases before 38.5 do not have every method.
            patches.enter_context(patch.object(aggregator, method, getattr(receiver, method), create=True))
        yield


class Context(NamedTuple):
    """The key by which the Agent tells metrics apart; the order and repetition of tags do not matter."""

    name: str
    tags: frozenset[str]
    hostname: str = ''


class _Gauge:
    outlives_its_context = False

    def __init__(self) -> None:
        self._value: float | None = None

    def add(self, value: float, flush_first_value: bool) -> None:
        self._value = value

    def flush(self) -> float | None:
        value, self._value = self._value, None
        return value


class _Count(_Gauge):
    def add(self, value: float, flush_first_value: bool) -> None:
        self._value = (self._value or 0.0) + value


class _MonotonicCount:
    outlives_its_context = True

    def __init__(self) -> None:
        self._previous: float | None = None
        self._latest: float | None = None
        self._rise = 0.0
        self._flush_first_value = False

    def add(self, value: float, flush_first_value: bool) -> None:
        if self._latest is not None:
            self._previous = self._latest
        self._latest = value
        self._flush_first_value = flush_first_value
        start = 0.0 if self._previous is None else self._previous
        if value < start:
            if flush_first_value:
                self._rise = value
        elif self._previous is not None or flush_first_value:
            self._rise += value - start

    def flush(self) -> float | None:
        if self._latest is None or (self._previous is None and not self._flush_first_value):
            return None
        rise = self._rise
        self._previous, self._latest = self._latest, None
        self._rise = 0.0
        self._flush_first_value = False
        return rise


class _Rate:
    """The difference of the last two samples, by the number of runs between them: the model's only unit of time."""

    outlives_its_context = False

    def __init__(self) -> None:
        self._previous: float | None = None
        self._latest: float | None = None

    def add(self, value: float, flush_first_value: bool) -> None:
        self._previous, self._latest = self._latest, value

    def flush(self) -> float | None:
        if self._previous is None or self._latest is None or self._latest < self._previous:
            return None
        rate, self._previous = self._latest - self._previous, None
        return rate


_METRIC_TYPES: dict[str, type[_Gauge | _MonotonicCount | _Rate]] = {
    'gauge': _Gauge,
    'count': _Count,
    'monotonic_count': _MonotonicCount,
    'rate': _Rate,
}

_Bounds = tuple[float, float]


class Flush(NamedTuple):
    """Everything that the Agent sends on after one run of the check."""

    counts: dict[Context, float]
    gauges: dict[Context, float]
    buckets: dict[tuple[Context, _Bounds], int]
    error: str


class AgentModel:
    """The Agent around one check: runs it and remembers all that was flushed.

    State belongs to the id of a check, which all check objects that are run here are taken to have: one that is run
    after another meets what the other has left.

    `now` tells the Agent's time in seconds; only the 25 hours of a forgotten monotonic count are measured with it.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._run = 0
        self._metrics: dict[Context, _Gauge | _MonotonicCount | _Rate] = {}
        self._last_sampled: dict[Context, int] = {}
        self._forget_at: dict[Context, float] = {}
        self._last_bucket_values: dict[Context, dict[_Bounds | None, int]] = {}
        self.count_totals: defaultdict[Context, float] = defaultdict(float)
        self.bucket_totals: Counter[tuple[Context, _Bounds]] = Counter()
        self.gauges: dict[Context, float] = {}

    def run(self, check: AgentCheck) -> Flush:
        """Run the check once and flush; the error is the one `agent check` would show, empty when there is none."""
        with recorded() as submissions:
            error = check.run()
        return self.commit(submissions, error)

    def commit(self, submissions: Submissions, error: str = '') -> Flush:
        """Take in the submissions of one run and flush."""
        for sample in submissions.samples:
            self._add_sample(sample)
        buckets: Counter[tuple[Context, _Bounds]] = Counter()
        for bucket in submissions.buckets:
            context = Context(bucket.name, frozenset(bucket.tags), bucket.hostname)
            if observations := self._observations(context, bucket):
                buckets[context, (bucket.lower_bound, bucket.upper_bound)] += observations
        counts: dict[Context, float] = {}
        gauges: dict[Context, float] = {}
        for context, metric in self._metrics.items():
            value = metric.flush()
            if value is not None:
                (gauges if type(metric) in (_Gauge, _Rate) else counts)[context] = value
        self._expire()
        for context, value in counts.items():
            self.count_totals[context] += value
        self.bucket_totals.update(buckets)
        self.gauges = gauges
        return Flush(counts, gauges, dict(buckets), error)

    def total(self, name: str, *tags: str, hostname: str = '') -> float:
        """Return the sum of all flushes of the count with exactly these tags, 0 for one that never flushed."""
        return self.count_totals.get(Context(name, frozenset(tags), hostname), 0.0)

    def gauge(self, name: str, *tags: str, hostname: str = '') -> float | None:
        """Return the gauge's value in the last flush, None if it had none."""
        return self.gauges.get(Context(name, frozenset(tags), hostname))

    def _add_sample(self, sample: Sample) -> None:
        if not math.isfinite(sample.value):
            return
        context = Context(sample.name, frozenset(sample.tags), sample.hostname)
        self._track(context)
        # A context keeps the type of its first sample.
        metric = self._metrics.get(context) or self._metrics.setdefault(context, _METRIC_TYPES[sample.type]())
        metric.add(sample.value, sample.flush_first_value)

    def _observations(self, context: Context, bucket: Bucket) -> int:
        if bucket.value <= 0 or bucket.upper_bound < bucket.lower_bound:
            return 0
        self._track(context)
        if not bucket.monotonic:
            return bucket.value
        last_values = self._last_bucket_values.setdefault(context, {})
        key = (bucket.lower_bound, bucket.upper_bound) if bucket.multiple_buckets else None
        last = last_values.get(key)
        last_values[key] = bucket.value
        if last is None:
            return bucket.value if bucket.flush_first_value else 0
        if bucket.value < last:
            return bucket.value if bucket.flush_first_value else 0
        return bucket.value - last

    def _track(self, context: Context) -> None:
        self._last_sampled[context] = self._run
        self._forget_at.pop(context, None)

    def _expire(self) -> None:
        for context in [context for context, at in self._forget_at.items() if at < self._now()]:
            del self._metrics[context], self._forget_at[context]
        expired = [
            context for context, run in self._last_sampled.items() if run <= self._run - RUNS_UNTIL_A_CONTEXT_EXPIRES
        ]
        for context in expired:
            del self._last_sampled[context]
            self._last_bucket_values.pop(context, None)
            if context in self._metrics:
                if self._metrics[context].outlives_its_context:
                    self._forget_at[context] = self._now() + SECONDS_UNTIL_A_MONOTONIC_COUNT_IS_FORGOTTEN
                else:
                    del self._metrics[context]
        self._run += 1
