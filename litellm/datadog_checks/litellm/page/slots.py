"""Keep what is known of each sample of a proxy, by slot.

A sample is what a line of the page gives a value to. It has a slot, its index in every column of `Slots`. What samples
have in common is kept once: the name, type and bound in a `SampleKind`, labels and the time of creation in a `Series`,
and equal tags, of any family, in a `TagSet`.

A slot stays that of its sample until the sample is forgotten; then it goes to one that is new. So the columns are as
long as the most samples that were known at once, but for those that were forgotten at the end.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import compress, count, repeat
from typing import NamedTuple, TypeAlias

from prometheus_client.samples import Sample

from ..metrics import Reduction

__all__ = [
    'ABSENT',
    'CAME',
    'FEW_SAMPLES',
    'LARGEST_COUNT',
    'LEFT_OUT',
    'NEW',
    'NO_VALUE',
    'UNLEARNED',
    'UNWANTED',
    'Family',
    'Flags',
    'GaugeContext',
    'Metric',
    'Parked',
    'SampleKind',
    'Series',
    'Slot',
    'Slots',
    'TagSet',
    'places',
]

Slot: TypeAlias = int

# A byte for each slot.
Flags: TypeAlias = bytes | bytearray

# The value of a sample that has had none yet.
ABSENT = math.nan

# Beyond this a double cannot count single events: such a value is broken.
LARGEST_COUNT = 2.0**53

# Why a sample has no value on a page: it has no line there, or one that says no number, or none that a count can be.
LEFT_OUT, NO_VALUE = 1, 2

# A series with more samples is indexed before one of them is looked for.
FEW_SAMPLES = 64

# The warmth of a sample that was on no page before, and of one that counted, or passed, on its first page.
NEW, CAME = 255, 254

# The hash of a text that is no longer known: hash() never returns -1.
UNLEARNED = -1


class Metric(NamedTuple):
    """The metric of samples of one name: its full name, and how gauges with the same tags become one."""

    name: str
    is_gauge: bool = False
    is_elapsed: bool = False
    is_distribution: bool = False
    has_bound_tags: bool = True
    reduction: Reduction | None = None


class Family:
    """A family as its TYPE line declares it."""

    __slots__ = (
        'created',
        'datadog_name',
        'has_counts',
        'is_dated',
        'is_left_to_base',
        'is_submitted',
        'name',
        'series',
        'type',
        'unsubmitted',
        'whole',
    )

    def __init__(self, name: str, type_: str, datadog_name: str | None) -> None:
        self.name = name
        # Whether its series tell when they were created. None until one is known.
        self.is_dated: bool | None = None
        self.type = type_
        self.datadog_name = datadog_name
        self.is_submitted = False
        self.has_counts = False
        # By the hash of their labels. None for a series that the instance does not want.
        self.series: dict[int, Series | None] = {}
        # Its samples that are not submitted.
        self.unsubmitted: array[int] = array('i')
        # The kind of its times of creation, if it can have any.
        self.created: SampleKind | None = None
        # Whether only the base package can submit it.
        self.is_left_to_base = False
        # Of a family that is needed whole: the samples by slot, with the labels that may leave. None for all others.
        self.whole: dict[Slot, Sample] | None = None

    @property
    def is_mapped(self) -> bool:
        """True if the mapping of the check, or an option, has it collected."""
        return self.datadog_name is not None or self.is_left_to_base


class SampleKind:
    """The part of samples of one name and, for buckets, one bound in their family. Without a metric: not submitted."""

    __slots__ = ('bound', 'bound_tag', 'family', 'is_alone', 'is_count', 'is_created', 'is_sum', 'key', 'metric')

    def __init__(
        self,
        family: Family,
        metric: Metric | None,
        key: int,
        *,
        bound: float | None = None,
        bound_tag: str | None = None,
        is_alone: bool = False,
        is_created: bool = False,
        is_sum: bool = False,
    ) -> None:
        self.family = family
        self.metric = metric
        # The same whenever it is learned.
        self.key = key
        self.bound = bound
        self.bound_tag = bound_tag
        self.is_count = metric is not None and not metric.is_gauge
        # Whether a bucket is submitted without what the next lower one has counted.
        self.is_alone = is_alone
        self.is_created = is_created
        # Of all cumulative samples only sums may fall, by an observation below zero.
        self.is_sum = is_sum


class TagSet:
    """The tags and hostname of all series that are submitted with them."""

    __slots__ = ('hostname', 'tags')

    def __init__(self, tags: list[str], hostname: str) -> None:
        self.tags = tags
        self.hostname = hostname


# The tags of series that are followed and not submitted: a shared label that changes may have them wanted.
UNWANTED = TagSet([], '')


class Parked:
    """The incarnations of a series that other processes hold, each as it was when its process answered last.

    Each of many series may have many, so they are the rows of an array: the time of creation, when it was first seen,
    the number of the first page that left it out, and the values in the order of the series' slots.
    """

    __slots__ = ('_rows', '_width', 'names')

    # What a row has before the values.
    HEAD = 3

    def __init__(self) -> None:
        self._rows = array('d')
        self._width = self.HEAD
        # The keys of the kinds that the values are of, while the series has no slots.
        self.names: list[int] | None = None

    def __len__(self) -> int:
        return len(self._rows) // self._width

    def __contains__(self, created: float) -> bool:
        return created in self._rows[:: self._width]

    def put(self, created: float, seen: float, absent_since: int, values: Sequence[float]) -> None:
        """Keep an incarnation in place of what was kept of it."""
        self.take(created)
        if self.HEAD + len(values) > self._width:
            self.keep(range(len(values)))
        self._rows.extend((created, seen, absent_since, *values))
        self._rows.extend(repeat(ABSENT, -len(self._rows) % self._width))

    def take(self, created: float) -> Sequence[float]:
        """Return the values of an incarnation, which is no longer kept; none if it was not."""
        if created not in self:
            return ()
        start = self._rows[:: self._width].index(created) * self._width
        values = self._rows[start + self.HEAD : start + self._width]
        del self._rows[start : start + self._width]
        return values

    def forget(self, until: int) -> float:
        """Forget those that this page left out, or one before it. Returns when the last of them was first seen."""
        newest = -math.inf
        for start in reversed(range(0, len(self._rows), self._width)):
            _, seen, absent_since = self._rows[start : start + self.HEAD]
            if absent_since <= until:
                newest = max(newest, seen)
                del self._rows[start : start + self._width]
        return newest

    def keep(self, positions: Sequence[int]) -> None:
        """Let the rows have the values in these positions, in order, and no others; `ABSENT` where they have none."""
        rows, width = self._rows, self._width
        self._rows, self._width = array('d'), self.HEAD + len(positions)
        for start in range(0, len(rows), width):
            values = rows[start + self.HEAD : start + width]
            self._rows.extend(rows[start : start + self.HEAD])
            self._rows.extend(values[position] if position < len(values) else ABSENT for position in positions)


class Series:
    """The samples of a family that share one label set, and the incarnation that the last page showed of them."""

    __slots__ = (
        'created',
        'created_slot',
        'first',
        'is_shared',
        'is_young',
        'key',
        'parked',
        'seen',
        'slots',
        'tags',
        'workers',
    )

    def __init__(self, tags: TagSet, key: int, workers: int | None = None) -> None:
        self.tags = tags
        # Of its labels, in any spelling.
        self.key = key
        # The same for all workers' series of one label set in multiprocess mode, None outside of it.
        self.workers = workers
        # The first series of the same metrics with the same tags, if it is not this one: they share their contexts.
        self.first: Series | None = None
        # Whether it is the first of several.
        self.is_shared = False
        # All but that of `_created`.
        self.slots: array[int] = array('i')
        # The slot of `_created`, and its last value: seconds on the proxy's clock.
        self.created_slot: Slot | None = None
        self.created = ABSENT
        # When a page first showed this incarnation, on our monotonic clock.
        self.seen = -math.inf
        # Whether this incarnation has counted only what happened while we were watching.
        self.is_young = False
        self.parked: Parked | None = None

    def forget(self, gone: Flags) -> None:
        """Forget the samples of which this has a 1."""
        kept = [position for position, slot in enumerate(self.slots) if not gone[slot]]
        if self.parked is not None and self.parked.names is None and len(kept) < len(self.slots):
            self.parked.keep(kept)
        if len(kept) < len(self.slots):
            self.slots = array('i', [self.slots[position] for position in kept])
        if self.created_slot is not None and gone[self.created_slot]:
            self.created_slot = None


class GaugeContext:
    """A gauge with its tags, and the samples that become its value."""

    __slots__ = ('is_held', 'latest', 'metric', 'slots', 'tags')

    def __init__(self, metric: Metric, tags: TagSet) -> None:
        self.metric = metric
        self.tags = tags
        self.slots: list[Slot] = []
        # Whether a `ContextLimit` holds it back. None until it has decided.
        self.is_held: bool | None = None
        # By the workers of a label set: the slots of those that have changed its value last.
        self.latest: dict[int, list[Slot]] = {}

    def forget(self, gone: Flags) -> None:
        """Forget the samples of which this has a 1."""
        self.slots = [slot for slot in self.slots if not gone[slot]]
        kept = {workers: [slot for slot in slots if not gone[slot]] for workers, slots in self.latest.items()}
        self.latest = {workers: slots for workers, slots in kept.items() if slots}


def places(flags: Flags, flag: int) -> Iterator[Slot]:
    """Yield the slots that have this flag."""
    slot = flags.find(flag)
    while slot >= 0:
        yield slot
        slot = flags.find(flag, slot + 1)


# What is in a slot without a sample.
FREE = SampleKind(Family('', '', None), None, 0)


class Slots:
    """One column per property of a sample."""

    def __init__(self) -> None:
        # The hash of the text before the value: name and labels.
        self.keys = array('q')
        self.kinds: list[SampleKind] = []
        # None for samples that are not submitted.
        self.series: list[Series | None] = []
        # The value when the sample was on a page last. Of a count, the highest of its incarnation.
        self.last = array('d')
        # How long the zeros of a count are still sent with every run: see `submission`.
        self.warmth = bytearray()
        # Whether a `ContextLimit` holds back the sample's count.
        self.held = bytearray()
        # Whether the sample is new on the current page, and those of the new ones that passed on the page before.
        self.is_new = bytearray()
        self.passed: Set[Slot] = frozenset()
        # Why it had no value on the last page, 0 if it had one, and how many pages in a row have left it out.
        self.absent = bytearray()
        self.pages_left_out = bytearray()
        # Whether series of several label sets share a context.
        self.share_contexts = False
        # Slots without a sample, highest first.
        self._free: array[int] = array('i')
        # Until samples come or go: the slots of series with many, by name and tag of the metric.
        self._contexts: dict[Series, dict[tuple[str, str | None], Slot]] = {}

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def samples(self) -> int:
        """The number of samples that are known."""
        return len(self.keys) - len(self._free)

    def add(self, key: int, kind: SampleKind, series: Series | None) -> Slot:
        """Take a slot for one more sample."""
        slot = self._free.pop() if self._free else len(self.keys)
        if kind.metric is None or series is None:
            kind.family.unsubmitted.append(slot)
        if self._contexts:
            self._contexts = {}
        if slot < len(self.keys):
            self.keys[slot], self.kinds[slot], self.series[slot] = key, kind, series
            self.warmth[slot], self.is_new[slot] = NEW, 1
            return slot
        self.keys.append(key)
        self.kinds.append(kind)
        self.series.append(series)
        self.last.append(ABSENT)
        self.warmth.append(NEW)
        self.is_new.append(1)
        for column in (self.held, self.absent, self.pages_left_out):
            column.append(0)
        return slot

    def in_use(self) -> bytearray:
        """Return for each slot whether it has a sample: 1 if so."""
        is_used = bytearray(b'\1') * len(self)
        for slot in self._free:
            is_used[slot] = 0
        return is_used

    def new(self) -> Iterator[Slot]:
        """Return the slots of samples that are new on the current page."""
        return compress(count(), self.is_new)

    def settle(self) -> None:
        """Call no sample new any more."""
        self.is_new = bytearray(len(self))
        self.passed = frozenset()

    def forget(self, gone: Flags) -> None:
        """Free the slots of which this has a 1 for other samples."""
        for family in {self.kinds[slot].family for slot in places(gone, 1)}:
            family.unsubmitted = array('i', [slot for slot in family.unsubmitted if not gone[slot]])
        for slot in places(gone, 1):
            self.keys[slot], self.kinds[slot], self.series[slot], self.last[slot] = UNLEARNED, FREE, None, ABSENT
            self.warmth[slot] = self.held[slot] = self.is_new[slot] = self.absent[slot] = self.pages_left_out[slot] = 0
        end = len(self)
        while end and self.kinds[end - 1] is FREE:
            end -= 1
        for column in (self.keys, self.kinds, self.series, self.last):
            del column[end:]
        for flags in (self.warmth, self.held, self.is_new, self.absent, self.pages_left_out):
            del flags[end:]
        self._free = array('i', (slot for slot in reversed(range(end)) if self.kinds[slot] is FREE))
        self._contexts = {}

    def was_on_page_before(self, slot: Slot) -> bool:
        """Tell whether a sample was on the page before the current one."""
        return slot in self.passed or not (self.is_new[slot] or self.absent[slot])

    def is_first(self, slot: Slot) -> bool:
        """Tell whether a count is the first of those that share its context."""
        series = self.series[slot]
        if series is None or series.tags is UNWANTED:
            return False
        return series.first is None or self.first_of(slot) == slot

    def first_of(self, slot: Slot) -> Slot:
        """Return the first of the counts that share the context of this one."""
        series, kind = self.series[slot], self.kinds[slot]
        if series is None or series.first is None or kind.metric is None:
            return slot
        if len(series.first.slots) > FEW_SAMPLES:
            return self._contexts_of(series.first).get((kind.metric.name, kind.bound_tag), slot)
        for first in series.first.slots:
            other = self.kinds[first]
            if other.metric is not None and other.metric.name == kind.metric.name and other.bound_tag == kind.bound_tag:
                return first
        return slot

    def _contexts_of(self, series: Series) -> dict[tuple[str, str | None], Slot]:
        """Return the first slot of each context of a series."""
        if series not in self._contexts:
            kinds = ((slot, self.kinds[slot]) for slot in reversed(series.slots))
            self._contexts[series] = {
                (kind.metric.name, kind.bound_tag): slot for slot, kind in kinds if kind.metric is not None
            }
        return self._contexts[series]

    def firsts(self, slots: Iterable[Slot]) -> Iterable[Slot]:
        """Return for each of these counts the first of those that share its context."""
        return map(self.first_of, slots) if self.share_contexts else slots

    def is_idle(self, slot: Slot, absent: Flags) -> bool:
        """Tell whether a sample that did not move has a zero to submit: once for each context that the proxy has."""
        metric = self.kinds[slot].metric
        if metric is None or metric.is_gauge or metric.is_distribution:
            return False
        if self.held[slot] or self.last[slot] != self.last[slot]:
            return False
        series = self.series[slot]
        return series is not None and (not absent[slot] or series.is_shared) and self.is_first(slot)
