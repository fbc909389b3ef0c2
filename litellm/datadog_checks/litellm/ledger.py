"""How much took place: raw values of successive pages become totals that grow by exactly that.

A counter at the proxy starts over when its process restarts or its series expires, and another process may answer the
next scrape with another value. The Agent knows nothing of that: it takes the difference of two values. So what is
submitted for a sample is `raw + carried`, and `carried` moves whenever raw jumps for another reason than an event.

Who made a series tells its `_created` time, which differs between processes to the microsecond. A series as made by
one process at one time is called an instance here; each instance is followed on its own:

- the instance seen last time: the difference counts, and after a decrease the new value counts in full;
- an instance seen before (several processes answer in turn): the difference to its own last value counts;
- an instance never seen: its value counts in full if it came to be while we were watching, else it is where we start.

Without `_created` (several workers in multiprocess mode) a page always speaks for all processes: only a decrease is a
new start, and a new series counts in full from the second page on.

Times of creation are on the clock of the process that answers, which may be minutes off ours. Its page says what time
it is there, so a time is compared by how long before its page it was. A page says so in whole seconds: what a second
process counted within the second or two before our first scrape may be taken for new.

What is remembered of a sample is forgotten once the proxy has left it out for `FORGET_AFTER` pages, longer where
several processes answer, as each leaves out what only the others have. A forgotten instance that returns must not count
twice, so from then on only instances younger than the forgotten ones count in full.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Iterator
from itertools import compress, count
from operator import add, lt
from typing import TypeAlias

__all__ = ['ABSENT', 'Ledger', 'Series', 'Slot']

# The value of a sample that the page does not have. A page may say it as well, and means as little by it.
ABSENT = math.nan

# Pages, not seconds: scrape intervals differ.
FORGET_AFTER = 5
FORGET_AFTER_WITH_SEVERAL_PROCESSES = 100

# Seconds that differences of large floats may be off.
CLOCK_PRECISION = 0.001

# A sample's place in every list that has one entry per sample.
Slot: TypeAlias = int


class Series:
    """The samples that share one label set, and the instance that the last page showed of them."""

    __slots__ = ('created', 'created_slot', 'parked', 'slots')

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        # Where a page says when the instance came to be, and what it said: seconds on the proxy's clock.
        self.created_slot: Slot | None = None
        self.created: float | None = None
        # By time of creation, the raw values of instances that other processes hold and the page that showed them.
        self.parked: dict[float, tuple[list[float], int]] | None = None


class Ledger:
    """Keep for each sample, by its slot, the raw value seen last and what to add to it."""

    def __init__(self) -> None:
        self.last = array('d')
        self.carried: list[float] = []
        # Whether a sample is a count. The others have a slot only so that slots follow the page.
        self.counts: list[bool] = []
        # Slots from here on are new on the page that is being read.
        self.settled: Slot = 0
        self.pages = 0
        self.several_processes = False
        # On our clock. Instances made later have counted nothing but what took place under our eyes.
        self.watching_since = math.inf
        # When the last page was read on our clock, and when it was made on the proxy's.
        self.page_read_at = 0.0
        self._page_made_at = 0.0
        # By how much the clocks of all processes seen so far are ahead of ours at least.
        self._least_ahead = math.inf
        self._absent: dict[Slot, int] = {}

    def add(self, counts: bool) -> None:
        """Make a slot for one more sample."""
        self.last.append(-math.inf)
        self.carried.append(0.0)
        self.counts.append(counts)

    def recognize(
        self, all_series: Iterable[Series], values: array[float], date: float, now: float, since: float
    ) -> None:
        """Find out which instance of each series a page shows, and what it takes to follow on.

        `date` is the time of the page on the proxy's clock, `now` on ours. With the first page watching begins at
        `since`, on our clock: what came to be later is counted in full.
        """
        for slot in compress(count(), map(math.isinf, values)):
            if self.counts[slot]:
                values[slot] = ABSENT
        changed: list[tuple[Series, float, float]] = []
        newest = -math.inf
        for series in all_series:
            if series.created_slot is None:
                continue
            created = values[series.created_slot]
            if math.isnan(created):
                continue
            newest = max(newest, created)
            if created != series.created:
                before, series.created = series.created, created
                if before is not None:
                    changed.append((series, before, created))

        # A date is in whole seconds and renewed once a second. No page is older than what it shows.
        self._page_made_at = max(date, newest)
        self.page_read_at = now
        self._least_ahead = min(self._least_ahead, self._page_made_at - now)
        if not self.pages:
            self.watching_since = since
        for series, before, created in changed:
            self._change_instance(series, before, created, values)

    def is_young(self, series: Series) -> bool:
        """Tell whether all that this instance of a series has counted took place while we were watching."""
        if series.created is None:
            return self.pages > 0
        return series.created - self._page_made_at > self.watching_since - self.page_read_at

    def totals(self, values: array[float]) -> Iterator[float]:
        """Return each sample's total. That of a new sample is its raw value, unless it was told to `start_at_zero`."""
        for slot in compress(count(), map(lt, values, self.last)):
            if self.counts[slot]:
                self._carry(slot, values[slot], increase=values[slot])
        return map(add, values, self.carried)

    def last_total(self, slot: Slot) -> float:
        """Return the total that a sample had on the last page that showed it."""
        return self.last[slot] + self.carried[slot]

    def start_at_zero(self, slot: Slot, raw: float) -> None:
        """Count a new sample from the present value on."""
        self.carried[slot] = -raw

    @property
    def absent(self) -> int:
        """How many samples the last page did not have."""
        return len(self._absent)

    def close_page(self, values: array[float]) -> None:
        """Remember a page as the last one."""
        absences = {slot: self._absent.get(slot, self.pages) for slot in compress(count(), map(math.isnan, values))}
        self._absent = absences
        for slot in absences:
            values[slot] = self.last[slot]
        self.last = values
        self.settled = len(values)
        self.pages += 1

    def forgettable(self, all_series: Iterable[Series]) -> set[Slot]:
        """Forget instances that other processes no longer show, and return the slots that may be forgotten."""
        limit = FORGET_AFTER_WITH_SEVERAL_PROCESSES if self.several_processes else FORGET_AFTER
        horizon = self.pages - limit
        slots = {slot for slot, page in self._absent.items() if page <= horizon}
        newest = -math.inf
        for series in all_series:
            if series.created is not None and not slots.isdisjoint(series.slots):
                newest = max(newest, series.created)
            if series.parked:
                kept = {created: entry for created, entry in series.parked.items() if entry[1] > horizon}
                newest = max(newest, *(series.parked.keys() - kept.keys()), -math.inf)
                series.parked = kept or None
        self.watching_since = max(self.watching_since, newest - self._least_ahead + CLOCK_PRECISION)
        return slots

    def keep(self, slots: Collection[Slot]) -> None:
        """Forget all samples but these. Each gets its position among them as its new slot."""
        self.last = array('d', [self.last[slot] for slot in slots])
        self.carried = [self.carried[slot] for slot in slots]
        self.counts = [self.counts[slot] for slot in slots]
        self._absent = {new: self._absent[slot] for new, slot in enumerate(slots) if slot in self._absent}
        self.settled = len(slots)

    def _change_instance(self, series: Series, before: float, created: float, values: array[float]) -> None:
        slots = [slot for slot in series.slots if slot < self.settled]
        parked = series.parked or {}
        series.parked = parked
        parked[before] = ([self.last[slot] for slot in slots], self.pages)
        starts, _ = parked.pop(created, ([], 0))
        if starts or created < before:
            # A process that starts over does not go back in time.
            self.several_processes = True

        young = self.is_young(series)
        for position, slot in enumerate(slots):
            raw = values[slot]
            if math.isnan(raw):
                continue
            if position < len(starts) and starts[position] <= raw:
                increase = raw - starts[position]
            else:
                increase = raw if young or starts else 0.0
            self._carry(slot, raw, increase)
            # The jump is dealt with.
            self.last[slot] = raw

    def _carry(self, slot: Slot, raw: float, increase: float) -> None:
        """Let a total go on from its last value by an increase, whatever raw did."""
        total = self.last[slot] + self.carried[slot]
        carried = total + increase - raw
        # Rounding must not make a total fall, which the Agent would take for a counter that started over.
        while raw + carried < total:
            carried = math.nextafter(carried, math.inf)
        self.carried[slot] = carried
