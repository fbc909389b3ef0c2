"""Tell a restart of all processes from several proxies that answer by turns, on pages without times of creation.

A counter that falls means that the processes behind the page have started over, and that all their values count in
full. What such a page leaves out has no events yet, and counts in full when it is back, unless all of that page may go
on from before the fall.

Unless the page comes from another proxy: several pods in multiprocess mode behind one URL show 100, 50, 110, 60. One
fall cannot be told from a restart. But if counters fall again, and the page goes on from before the first fall, or from
the last page before one that did, the levels alternate: then each is followed on its own, and what was counted as a
restart, and as a rise from one level to the other, is set off against what the same counters do next. Mostly, that is
at most twice the values of a page of each level: a rise is noticed only with the fall that follows, and of three pods
the next fall may be to yet another level.

Pods that have no counter in common make none fall, and are not noticed: what each further one had counted before its
own first page counts, once, and again when it returns after the `archive` has given it up. Neither are pods noticed
that each answer for more than half of `LEVELS_LAST` pages, as behind a service with sticky sessions: whenever another
answers and a counter falls, its page counts in full, and what rises to its level counts as well. So it is where three
pods or more answer one after the other, each with all counters higher than the one before.

That is as good as it gets: a proxy that restarts between two scrapes, again and again, and each time counts more than
it did the time before is taken for two.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import compress, count

from .recognition import Reading
from .slots import ABSENT, Flags, Slot, Slots, places

__all__ = ['Levels']

# For how many pages falls and levels that no longer alternate are remembered.
LEVELS_LAST = 80
# How many falls are remembered: a proxy may crash again and again.
MOST_FALLS = 10
# How many levels are followed: pods behind one URL.
MOST_LEVELS = 32


class Fall:
    """The values before and after all processes seemed to have started over.

    As soon as a page goes on from before, `latest` are those of the page before that one.
    """

    __slots__ = ('after', 'before', 'latest', 'page')

    def __init__(self, page: int, before: array[float], after: array[float]) -> None:
        self.page = page
        self.before = before
        self.after = after
        self.latest: array[float] | None = None

    def counted(self, slot: Slot) -> float:
        """Return what was taken for the news of a restart, and of the rise to what was before."""
        counted = _value(self.after, slot)
        if self.latest is not None and (latest := _value(self.latest, slot)):
            # What rises from zero goes on from before.
            counted += _value(self.before, slot) - latest
        return counted

    def values(self) -> Iterator[array[float]]:
        """Yield the values of each page that is kept."""
        yield from (self.before, self.after)
        if self.latest is not None:
            yield self.latest


class Levels:
    """Count what restarts and alternating levels of a page without times of creation amount to."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        # Those that are remembered, oldest first: of three pods by turns each page falls below the one before.
        self._falls: list[Fall] = []
        # The values of each level when it was on a page last, that of the last page at the end.
        self._levels: list[array[float]] = []
        self._alternated_at = 0
        # What was counted too much, by slot.
        self._debts: dict[Slot, float] = {}

    @property
    def alternate(self) -> bool:
        """True if several levels are followed."""
        return bool(self._levels)

    def settle(self, reading: Reading, increments: dict[Slot, float], has_fallen: bool, page: int) -> None:
        """Amend the increments of a page on which counters fell, or that is one of several levels."""
        if self._levels:
            self._follow(reading, increments, page)
        else:
            self._falls = [fall for fall in self._falls if page - fall.page <= LEVELS_LAST][-MOST_FALLS:]
            if has_fallen:
                self._fall_to(reading, increments, page)
            elif self._falls and increments:
                self._note_returns(reading, increments)
                self._return_from_before(reading, increments)
        if self._debts:
            self._pay(increments)

    def _fall_to(self, reading: Reading, increments: dict[Slot, float], page: int) -> None:
        counts = self._on_page(reading)
        last, values = self._slots.last, reading.values
        for at, fall in enumerate(self._falls):
            # Either the level from before the fall is back, or that from after it, if the former was back each time.
            falls = self._falls[at:]
            latest = [one.latest for one in falls if one.latest is not None]
            if all(_reaches(values[slot], fall.before, slot) for slot in counts):
                levels = [one.before for one in falls]
            elif len(latest) == len(falls) and all(_reaches(values[slot], latest[0], slot) for slot in counts):
                levels = latest
            else:
                continue
            counted = {slot: sum(one.counted(slot) for one in falls) for slot in counts}
            self._levels = [*levels, last[:]]
            # What was taken for the news of restarts, and of rises.
            self._debts = {slot: debt for slot, debt in counted.items() if debt > 0.0}
            self._falls = []
            self._alternated_at = page
            self._follow(reading, increments, page)
            return
        self._falls.append(Fall(page, last[:], values[:]))
        for slot in counts:
            if values[slot] > 0.0:
                increments[slot] = values[slot]
        for slot in self._dateless(compress(count(), reading.absent)):
            if _has(last, slot):
                values[slot] = 0.0

    def _note_returns(self, reading: Reading, increments: dict[Slot, float]) -> None:
        """Keep the level after a fall when the page goes on from before it: it may be a level of its own."""
        values = reading.values
        for fall in self._falls:
            # Of what has moved, anything tells of most pages that they do not.
            if (
                fall.latest is None
                and all(_reaches(values[slot], fall.before, slot) for slot in increments)
                and all(_reaches(values[slot], fall.before, slot) for slot in self._on_page(reading))
            ):
                fall.latest = self._slots.last[:]

    def _return_from_before(self, reading: Reading, increments: dict[Slot, float]) -> None:
        """Let what returns go on from before a fall that left it out, if all of the page may do so."""
        values, last = reading.values, self._slots.last
        for fall in self._falls:
            gone = (slot for slot in increments if last[slot] == 0.0 and _has(fall.before, slot) and fall.before[slot])
            # What tells of its creation by now needs no level.
            back = self._dateless(gone)
            if back and all(_reaches(values[slot], fall.before, slot) for slot in self._on_page(reading)):
                for slot in back:
                    increments[slot] = min(increments[slot], values[slot] - fall.before[slot])
                    if not increments[slot]:
                        del increments[slot]

    def _follow(self, reading: Reading, increments: dict[Slot, float], page: int) -> None:
        """Count from the level that the page continues, or from now on if it is none of those that are known."""
        counts = self._on_page(reading)
        values, last, is_new = reading.values, self._slots.last, self._slots.is_new
        reached = [level for level in self._levels if all(_reaches(values[slot], level, slot) for slot in counts)]
        level = max(reached, key=lambda one: sum(one[slot] for slot in counts if _has(one, slot)), default=None)
        for slot in counts:
            if level is None:
                rise = 0.0
            elif _has(level, slot):
                rise = values[slot] - level[slot]
            elif is_new[slot] and _has(last, slot):
                # It was forgotten and has returned.
                rise = values[slot] - last[slot]
            else:
                rise = values[slot]
            if rise > 0.0:
                increments[slot] = rise
            else:
                increments.pop(slot, None)
        if level is not self._levels[-1]:
            self._alternated_at = page
        self._levels = [one for one in self._levels if one is not level][-MOST_LEVELS + 1 :]
        self._levels.append(values[:])
        if page - self._alternated_at > LEVELS_LAST:
            self._levels = []

    def _pay(self, increments: dict[Slot, float]) -> None:
        for slot in self._debts.keys() & increments.keys():
            paid = min(self._debts[slot], increments[slot])
            self._debts[slot] -= paid
            increments[slot] -= paid
            if not self._debts[slot]:
                del self._debts[slot]
            if not increments[slot]:
                del increments[slot]

    def _on_page(self, reading: Reading) -> list[Slot]:
        """Return the counts on the page that have no time of creation."""
        counts = compress(count(), (kind.is_count for kind in self._slots.kinds))
        return self._dateless(slot for slot in counts if not reading.absent[slot])

    def _dateless(self, some: Iterable[Slot]) -> list[Slot]:
        """Return those of some slots that have a count without a time of creation."""
        kinds, all_series = self._slots.kinds, self._slots.series
        return [
            slot
            for slot in some
            if kinds[slot].is_count and (series := all_series[slot]) is not None and series.created != series.created
        ]

    def forget(self, gone: Flags) -> None:
        """Forget the samples of which this has a 1."""
        self._debts = {slot: debt for slot, debt in self._debts.items() if not gone[slot]}
        for level in (*self._levels, *(level for fall in self._falls for level in fall.values())):
            for slot in places(gone, 1):
                if slot < len(level):
                    level[slot] = ABSENT


def _has(level: array[float], slot: Slot) -> bool:
    return slot < len(level) and level[slot] == level[slot]


def _value(level: array[float], slot: Slot) -> float:
    return level[slot] if _has(level, slot) else 0.0


def _reaches(value: float, level: array[float], slot: Slot) -> bool:
    """Tell whether a value may follow that of a level."""
    return not (_has(level, slot) and value < level[slot])
