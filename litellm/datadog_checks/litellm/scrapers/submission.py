"""Submit to the Agent what happened: increments of counts, and the present values of gauges.

Counts go out with the Agent's type `count`: the sum of what is submitted between two flushes, nothing if that is
nothing. The Agent keeps no state for them that could meet another page, another check object or another day.

A count that did not move has a zero to say so, which costs a submission, and a point in Datadog, for each of maybe
100,000 contexts. `IdleCounts` are the ways to go about it. With `sparse`, a zero goes out with every run for
`STAYS_WARM` seconds after a count moved, so that a graph comes down and a ratio has both of its sides, and then once in
`ROTATION` seconds: a turn of all contexts, of which each run takes as many as its share of the time. What a context
counts on the first page that has it is no move yet: one zero follows, so that a graph comes down, and from then on it
takes turns. Where callers come and go most contexts never move after that, and would all send zeros with every run.

With the first page nothing goes out: no time has passed in which anything could have happened. Only the trial run of
config discovery has all zeros with it, as it wants to see what there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import reduce
from itertools import compress, count
from math import inf, isfinite, isinf
from typing import Any

from datadog_checks.base.agent import aggregator
from datadog_checks.base.utils.time import get_timestamp

from ..base_package import bucket_submitter, is_trial, lower_bound_of_lowest, submitter
from ..metrics import MAXIMA_OF_BUDGETS, NO_LIMIT
from ..page.passing import PassingSample
from ..page.recognition import Reading
from ..page.slots import CAME, NEW, UNWANTED, Flags, GaugeContext, Series, Slot, Slots, TagSet

__all__ = ['ROTATION', 'IdleCounts', 'Submission']

GAUGE, COUNT = aggregator.GAUGE, aggregator.COUNT


# For how many seconds a count that moved is followed by a zero with every run, and in how many the others take turns.
STAYS_WARM = 600.0
ROTATION = 300.0

# Warmth is counted in steps of so many seconds, for it to fit into a byte.
STEP = 5.0
WARM = int(STAYS_WARM / STEP)
# What is no warmth, like `CAME`: a context in the run after the one that it came with, with its one zero.
CLOSES = 253


class IdleCounts(StrEnum):
    """The choice of when a count that did not move is submitted as zero."""

    SPARSE = 'sparse'
    ALWAYS = 'always'
    NEVER = 'never'


class Submission:
    """Submit what the samples of one proxy amount to."""

    def __init__(self, check: Any, slots: Slots, idle_counts: IdleCounts) -> None:
        self._check = check
        self._slots = slots
        self._idle_counts = idle_counts
        # When the last page was submitted.
        self._at: float | None = None
        # How far the turn of idle counts has come, as a share of all.
        self._turn = 0.0

    def submit_counts(
        self, increments: Mapping[Slot, float], reading: Reading, now: float, with_history: bool = False
    ) -> None:
        """Submit by how much counts rose, and the zeros that are due. `now` is monotonic.

        With history, something may have happened before the first page.
        """
        increments = self._of_buckets_alone(increments, reading)
        self._submit_increments(increments, reading)
        before, self._at = self._at, now
        if self._idle_counts == IdleCounts.SPARSE:
            self._warm(increments, now if before is None else before, now)
        slots, absent = self._slots, reading.absent
        if is_trial(self._check):
            due: Iterable[Slot] = range(len(slots))
        elif self._idle_counts == IdleCounts.NEVER or (before is None and not with_history):
            return
        elif self._idle_counts == IdleCounts.ALWAYS:
            due = range(len(slots))
        else:
            due = self._due(now if before is None else before, now)
        moved = set(slots.firsts(increments))
        idle = {slot: 0.0 for slot in due if slot not in moved and slots.is_idle(slot, absent)}
        self._submit_increments(idle, reading)

    def _warm(self, increments: Iterable[Slot], before: float, now: float) -> None:
        """Let all contexts cool down by the time that has passed, and warm up those that have moved."""
        slots = self._slots
        cooling = int(now / STEP) - int(before / STEP)
        after = bytearray(max(0, warm - cooling) for warm in range(256))
        after[CLOSES], after[CAME], after[NEW] = 0, CLOSES, NEW
        warmth = slots.warmth.translate(after)
        for slot, first in zip(increments, slots.firsts(increments), strict=True):
            warmth[slot] = CAME if warmth[first] in (NEW, CAME) else WARM
        slots.warmth = warmth.replace(bytes([NEW]), bytes(1))

    def _due(self, before: float, now: float) -> Iterator[Slot]:
        """Yield the slots of counts that have moved lately, and of those whose turn it is."""
        slots, warmth = self._slots, self._slots.warmth
        yield from slots.firsts(compress(count(), warmth))
        # What counts is the whole of the turn, whatever the number of slots was at its start.
        first, self._turn = self._turn, self._turn + (now - before) / ROTATION
        if self._turn - first >= 1.0:
            turns = range(len(slots))
        else:
            turns = range(int(first * len(slots)), int(self._turn * len(slots)))
        self._turn %= 1.0
        for slot in turns:
            slot %= len(slots)
            if not warmth[slot]:
                yield slot

    def _submit_increments(self, increments: Mapping[Slot, float], reading: Reading) -> None:
        """Submit by how much counts rose. The Agent adds up those that share a context."""
        slots, submit = self._slots, submitter(self._check)
        kinds, all_series, held = slots.kinds, slots.series, slots.held
        alone: dict[Series, None] = {}
        for slot, increment in increments.items():
            kind, series = kinds[slot], all_series[slot]
            if kind.metric is None or series is None or series.tags is UNWANTED:
                continue
            if kind.is_alone:
                alone[series] = None
                continue
            if held[slot]:
                continue
            tags = series.tags
            own = tags.tags if kind.bound_tag is None else [*tags.tags, kind.bound_tag]
            submit(COUNT, kind.metric.name, increment, own, tags.hostname, False)
        for series in alone:
            self._submit_buckets(series, increments, reading)

    def _of_buckets_alone(self, increments: Mapping[Slot, float], reading: Reading) -> Mapping[Slot, float]:
        """Return the increments, those of buckets that are submitted alone without what the next lower one counted."""
        slots = self._slots
        alone = {series: None for slot in increments if slots.kinds[slot].is_alone and (series := slots.series[slot])}
        if not alone:
            return increments
        own = {slot: increment for slot, increment in increments.items() if not slots.kinds[slot].is_alone}
        for series in alone:
            own.update(self._of_buckets(series, increments, reading))
        return own

    def _of_buckets(
        self, series: Series, increments: Mapping[Slot, float], reading: Reading
    ) -> Iterator[tuple[Slot, float]]:
        """Yield by how much each bucket of a series rose without the next lower one, for those that did.

        No bucket counts more than the next higher one, and none more than the series: a lower one may be ahead on a
        page that was made while counting went on, or catch up with what the higher ones said while it was unreadable.
        """
        slots, absent = self._slots, reading.absent
        most = inf
        for slot in series.slots:
            kind = slots.kinds[slot]
            if kind.bound is None and kind.is_count and not kind.is_sum and not absent[slot]:
                most = min(most, increments.get(slot, 0.0))
            elif kind.is_alone and kind.bound == inf and absent[slot]:
                most = 0.0
        rises = []
        for _, slot in reversed(self._buckets_alone(series, reading)):
            most = min(most, increments.get(slot, 0.0))
            rises.append((slot, most))
        below = 0.0
        for slot, rise in reversed(rises):
            if rise > below:
                yield slot, rise - below
            below = rise

    def _buckets_alone(self, series: Series, reading: Reading) -> list[tuple[float, Slot]]:
        """Return the bound and the slot of each bucket on the page that is submitted alone, lowest first."""
        kinds = self._slots.kinds
        return sorted(
            (bound, slot)
            for slot in series.slots
            if kinds[slot].is_alone and not reading.absent[slot] and (bound := kinds[slot].bound) is not None
        )

    def _submit_buckets(self, series: Series, increments: Mapping[Slot, float], reading: Reading) -> None:
        """Submit increments of buckets alone, with both of their bounds, as the base package does."""
        lower: float | None = None
        for upper, slot in self._buckets_alone(series, reading):
            if lower is None:
                lower = lower_bound_of_lowest(upper)
            if slot in increments and not self._slots.held[slot]:
                self._submit_bucket(series, slot, increments[slot], lower, upper)
            lower = upper

    def _submit_bucket(self, series: Series, slot: Slot, increment: float, lower: float, upper: float) -> None:
        kind, tags = self._slots.kinds[slot], series.tags
        if kind.metric is None or (lower == upper and isinf(lower)):
            return
        own = list(tags.tags)
        if kind.metric.has_bound_tags:
            own.append(f'lower_bound:{lower or 0}')
            if kind.bound_tag is not None:
                own.append(kind.bound_tag)
        if not kind.metric.is_distribution:
            submitter(self._check)(COUNT, kind.metric.name, increment, own, tags.hostname, False)
        else:
            bucket_submitter(self._check)(kind.metric.name, int(increment), lower or 0, upper or 0, own, tags.hostname)

    def submit_passing(self, samples: Iterable[PassingSample], *, count_in_full: bool) -> None:
        """Submit the values of samples that pass, those of counts only if all of them happened since the page before.

        No zero follows in the next run, unless the samples are on its page: where one shares its context with others,
        the graph comes down when it is their turn.
        """
        submit, always = submitter(self._check), self._idle_counts == IdleCounts.ALWAYS
        for kind, _, _, value, tags, hostname, _ in samples:
            metric = kind.metric
            if metric is None:
                continue
            if metric.is_gauge:
                now = get_timestamp() - value if metric.is_elapsed else value
                submit(GAUGE, metric.name, now, tags, hostname, False)
            elif (increment := value if count_in_full else 0.0) or always:
                submit(COUNT, metric.name, increment, tags, hostname, False)

    def submit_gauges(self, gauges: Mapping[tuple[str, TagSet], GaugeContext], reading: Reading) -> Counter[str]:
        """Submit one value for each gauge: that of its samples, reduced by what the gauge means.

        Returns of how many budgets LiteLLM says that nothing limits what remains of them, though they have a maximum,
        by metric.
        """
        submit = submitter(self._check)
        values, absent = reading.values, reading.absent
        unlimited: Counter[str] = Counter()
        for context in gauges.values():
            if context.is_held:
                continue
            metric = context.metric
            present = self._limits(context, reading)
            if not present:
                maximum = gauges.get((MAXIMA_OF_BUDGETS.get(metric.name, ''), context.tags))
                if maximum is not None and self._limits(maximum, reading):
                    unlimited[metric.name] += any(values[slot] == inf for slot in self._holding(context, absent))
                continue
            # A family that is not mapped has no reduction: the last value wins, as it does in the Agent.
            value = reduce(metric.reduction, present) if metric.reduction is not None else present[-1]
            if isinf(value):
                # The sum of two workers' values overflowed.
                continue
            tags = context.tags
            submit(
                GAUGE,
                metric.name,
                get_timestamp() - value if metric.is_elapsed else value,
                tags.tags,
                tags.hostname,
                False,
            )
        return +unlimited

    def _limits(self, context: GaugeContext, reading: Reading) -> list[float]:
        """Return the values of a gauge that hold and are numbers, without those that say that there is no limit."""
        own = (reading.values[slot] for slot in self._holding(context, reading.absent))
        return [value for value in own if isfinite(value) and value not in NO_LIMIT]

    def _holding(self, context: GaugeContext, absent: Flags) -> list[Slot]:
        """Return the samples on the page whose values hold: of workers, those that changed the value last, if any."""
        present = [slot for slot in context.slots if not absent[slot]]
        if not context.latest:
            return present
        on_page = set(present)
        latest = {workers: on_page.intersection(slots) for workers, slots in context.latest.items()}
        holding = []
        for slot in present:
            series = self._slots.series[slot]
            of_workers = None if series is None or series.workers is None else latest.get(series.workers)
            if not of_workers or slot in of_workers:
                holding.append(slot)
        return holding
