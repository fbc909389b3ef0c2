"""A limit on the contexts that an instance submits: which are kept, and which are held back.

A context that is kept stays as long as the proxy has it, as a count that comes and goes would be wrong. If not all
contexts fit, those of the largest metrics are held back, and a series of a histogram keeps all of its buckets or none.
Contexts that are held back are followed as well, and take the place of those that are gone. They count from then on, as
everything that happened before would be a spike.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from ..metrics import NO_LIMIT
from .ledger import Slot
from .samples import Context, Metric, SampleTable

__all__ = ['ContextLimit']


class _Unit:
    """Contexts of one metric that are kept or held back together: the buckets of a series, or else a single context."""

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.slots: list[Slot] = []
        self.contexts: list[Context] = []

    @property
    def size(self) -> int:
        return len(self.slots) + len(self.contexts)


class ContextLimit:
    """Limit how many contexts a table submits."""

    def __init__(self, table: SampleTable, most: int) -> None:
        self._table = table
        self._most = most
        # The room left by the last decision: no unit that was held back then fits into it.
        self._left = 0

    def apply(self, values: array[float]) -> list[tuple[Metric, list[str], str]]:
        """Decide on contexts that are new on a page, and again on those held back if there is room.

        Returns metric, tags and hostname of the counts that are no longer held back: they start from 0.
        """
        table, settled = self._table, self._table.ledger.settled
        new_slots = [slot for slot in range(settled, len(table.metrics)) if table.metrics[slot] is not None]
        new = self._units(
            new_slots, (one for one in table.contexts.values() if one.is_held is None and _has_value(one, values))
        )
        kept = len(table.metrics) - table.metrics.count(None) - len(new_slots)
        kept += sum(context.is_held is False for context in table.contexts.values())
        room = self._most - kept
        waiting = []
        if room > self._left:
            waiting = self._units(table.held, (one for one in table.contexts.values() if one.is_held))
        if not new and not waiting:
            return []

        chosen = _choose([*waiting, *new], room)
        self._left = room - sum(unit.size for unit in chosen)
        for unit in new:
            self._enter(unit, is_held=unit not in chosen)
        return [count for unit in waiting if unit in chosen for count in self._release(unit)]

    def dropped(self) -> Counter[str]:
        """Return the number of contexts held back, by metric."""
        contexts = (context.metric.name for context in self._table.contexts.values() if context.is_held)
        return Counter(metric.name for metric in self._table.held.values()) + Counter(contexts)

    def _units(self, slots: Iterable[Slot], contexts: Iterable[Context]) -> list[_Unit]:
        table = self._table
        units: dict[tuple[str, int], _Unit] = {}
        for slot in slots:
            metric = table.metrics[slot] or table.held[slot]
            units.setdefault((metric.name, id(table.series[slot])), _Unit(metric.name)).slots.append(slot)
        for context in contexts:
            name, series = context.metric.name, table.series[context.slots[0]]
            whole = context if context.metric.is_gauge else series.sharers
            units.setdefault((name, id(whole)), _Unit(name)).contexts.append(context)
        return list(units.values())

    def _enter(self, unit: _Unit, is_held: bool) -> None:
        table = self._table
        for context in unit.contexts:
            context.is_held = is_held
        for slot in unit.slots if is_held else ():
            metric = table.metrics[slot]
            if metric is not None:
                table.held[slot] = metric
                table.metrics[slot] = None

    def _release(self, unit: _Unit) -> Iterator[tuple[Metric, list[str], str]]:
        table = self._table
        for slot in unit.slots:
            metric = table.metrics[slot] = table.held.pop(slot)
            table.ledger.restart_at_zero(slot)
            yield metric, table.tags(slot), table.series[slot].hostname
        for context in unit.contexts:
            context.is_held = False
            if not context.metric.is_gauge:
                for slot in context.slots:
                    table.ledger.restart_at_zero(slot)
                context.closed = context.total = 0.0
                yield context.metric, context.tags, context.hostname


def _has_value(context: Context, values: array[float]) -> bool:
    """Tell whether a context has a value to submit: a budget without a limit takes no room."""
    if context.metric.is_gauge:
        return any(math.isfinite(values[slot]) and values[slot] not in NO_LIMIT for slot in context.slots)
    return not all(math.isnan(values[slot]) for slot in context.slots)


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
