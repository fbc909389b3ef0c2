"""A limit on the contexts that an instance submits: which are kept, and which are held back.

A context that is kept stays as long as the proxy has it, as a count that comes and goes would be wrong. If not all
contexts fit, those of the largest metrics are held back, and a series of a histogram keeps all of its buckets or none.
Contexts that are held back are followed as well, and take the place of those that are gone. What happened before is not
sent. Samples that pass get the room that is left, in the order of the page.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from itertools import compress, count, islice

from ..metrics import NO_LIMIT
from .passing import PassingSample
from .recognition import Reading
from .samples import SampleTable
from .slots import GaugeContext, Slot

__all__ = ['ContextLimit']


class _Unit:
    """Contexts of one metric that are kept or held back together: the buckets of a series, or else a single context."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.slots: list[Slot] = []
        self.gauges: list[GaugeContext] = []

    @property
    def size(self) -> int:
        return len(self.slots) + len(self.gauges)


class ContextLimit:
    """Choose the contexts of a table that are submitted."""

    def __init__(self, table: SampleTable, most: int) -> None:
        self._table = table
        self._most = most
        # The room left by the last decision: no unit that was held back then fits into it.
        self._left = 0
        self.passing: list[PassingSample] = []
        """The samples that pass and are kept."""

    def apply(self, reading: Reading, *, anew: bool = False) -> None:
        """Decide on contexts that are new on a page, and again on those held back if there is room.

        Anew, when all have other tags than before, all are new.
        """
        table, slots = self._table, self._table.slots
        is_new = b'\1' * len(slots) if anew else slots.is_new
        for slot in compress(count(), is_new):
            self._follow_first(slot)
        counts = list(self._counts(reading))
        gauges = [one for one in table.gauges.values() if one.is_held is not None or _has_value(one, reading)]
        new_counts = [slot for slot in counts if is_new[slot]]
        new = self._units(new_counts, (one for one in gauges if one.is_held is None))
        kept = sum(not slots.held[slot] for slot in counts if not is_new[slot])
        kept += sum(one.is_held is False for one in gauges)
        room = self._most - kept
        waiting = []
        if room > self._left:
            held = (slot for slot in counts if slots.held[slot] and not is_new[slot])
            waiting = self._units(held, (one for one in gauges if one.is_held))
        if new or waiting:
            chosen = _choose([*waiting, *new], room)
            room = self._left = room - sum(unit.size for unit in chosen)
            for unit in [*waiting, *new]:
                is_held = unit not in chosen
                for context in unit.gauges:
                    context.is_held = is_held
                for slot in unit.slots:
                    slots.held[slot] = is_held
            for slot in range(len(slots)):
                self._follow_first(slot)
        self.passing = list(islice(table.passing.samples.values(), max(room, 0)))

    def dropped(self) -> Counter[str]:
        """Return the number of contexts held back, by metric."""
        slots = self._table.slots
        dropped = Counter(one.metric.name for one in self._table.gauges.values() if one.is_held)
        for slot, is_held in enumerate(slots.held):
            metric = slots.kinds[slot].metric
            if is_held and metric is not None and slots.is_first(slot):
                dropped[metric.name] += 1
        passing = islice(self._table.passing.samples.values(), len(self.passing), None)
        dropped.update(sample.kind.metric.name for sample in passing if sample.kind.metric is not None)
        return dropped

    def _follow_first(self, slot: Slot) -> None:
        """Hold back a sample if its context is held back."""
        slots = self._table.slots
        first = slots.first_of(slot)
        if first != slot:
            slots.held[slot] = slots.held[first]

    def _counts(self, reading: Reading) -> Iterable[Slot]:
        """Return a slot for each context of counts: the first of those that share it."""
        slots = self._table.slots
        return (
            slot
            for slot, kind in enumerate(slots.kinds)
            if kind.is_count and slots.is_first(slot) and reading.values[slot] == reading.values[slot]
        )

    def _units(self, counts: Iterable[Slot], gauges: Iterable[GaugeContext]) -> list[_Unit]:
        slots = self._table.slots
        units: dict[tuple[str, Hashable], _Unit] = {}
        for slot in counts:
            metric = slots.kinds[slot].metric
            assert metric is not None
            units.setdefault((metric.name, slots.series[slot]), _Unit(metric.name)).slots.append(slot)
        for context in gauges:
            units.setdefault((context.metric.name, context), _Unit(context.metric.name)).gauges.append(context)
        return list(units.values())


def _has_value(context: GaugeContext, reading: Reading) -> bool:
    """Tell whether a gauge has a value to submit: a budget without a limit takes no room."""
    values = (reading.values[slot] for slot in context.slots)
    return any(math.isfinite(value) and value not in NO_LIMIT for value in values)


def _choose(units: list[_Unit], room: int) -> set[_Unit]:
    """Return the units to keep: those of small metrics first, then as many others as fit, in order."""
    sizes: Counter[str] = Counter()
    for unit in units:
        sizes[unit.metric] += unit.size
    left = room
    share = 0
    for rest, size in zip(range(len(sizes), 0, -1), sorted(sizes.values()), strict=True):
        share = left // rest
        left -= min(size, share)

    chosen: set[_Unit] = set()
    taken: defaultdict[str, int] = defaultdict(int)
    for most in (share, math.inf):
        for unit in units:
            if unit not in chosen and unit.size <= room and taken[unit.metric] + unit.size <= most:
                chosen.add(unit)
                taken[unit.metric] += unit.size
                room -= unit.size
    return chosen
