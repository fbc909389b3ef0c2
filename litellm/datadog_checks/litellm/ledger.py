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

What is remembered of a sample is forgotten once the proxy has left it out for `FORGET_AFTER` pages, longer where
several processes answer, as each leaves out what only the others have. A forgotten instance that returns must not count
twice, so watching then begins at the time of the last page that may have shown it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable
from itertools import compress, count
from operator import add, lt
from typing import TypeAlias

__all__ = ['ABSENT', 'Ledger', 'Series', 'Slot']

# The value of a sample that the page does not have. Told apart by identity: a page may say NaN as well.
ABSENT = float('nan')

# Pages, not seconds: scrape intervals differ.
FORGET_AFTER = 5
FORGET_AFTER_WITH_SEVERAL_PROCESSES = 100

# `Date` has whole seconds, and uvicorn renews it once a second.
DATE_RESOLUTION = 2.0

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
        self.last: list[float] = []
        self.carried: list[float] = []
        # Whether a sample is a count. The others have a slot only so that slots follow the page.
        self.counts: list[bool] = []
        # Slots from here on are new on the page that is being read.
        self.settled: Slot = 0
        self.pages = 0
        self.several_processes = False
        # On the proxy's clock. Instances made later have counted nothing but what took place under our eyes.
        self.watching_since = math.inf
        self._page_times: deque[float] = deque(maxlen=FORGET_AFTER_WITH_SEVERAL_PROCESSES)
        self._absent: dict[Slot, int] = {}

    def add(self, counts: bool) -> None:
        """Make a slot for one more sample."""
        self.last.append(-math.inf)
        self.carried.append(0.0)
        self.counts.append(counts)

    def recognize(
        self, all_series: Iterable[Series], values: list[float], date: float | None, waited: float | None
    ) -> None:
        """Find out which instance of each series a page shows, and what it takes to follow on.

        `date` is the time of the page on the proxy's clock. For a first page, `waited` is how many seconds ago it was
        asked for in vain: what came to be since then is counted in full.
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
            if created is ABSENT:
                continue
            newest = max(newest, created)
            if created != series.created:
                before, series.created = series.created, created
                if before is not None:
                    changed.append((series, before, created))

        if not self.pages:
            self.watching_since = newest if date is None else max(date, newest) if waited is None else date - waited
        self._page_times.append(newest if date is None else max(date + DATE_RESOLUTION, newest))
        for series, before, created in changed:
            self._change_instance(series, before, created, values)

    def is_young(self, series: Series) -> bool:
        """Tell whether all that this instance of a series has counted took place while we were watching."""
        if series.created is None:
            return self.pages > 0
        return series.created > self.watching_since

    def totals(self, values: list[float]) -> list[float]:
        """Return each sample's total. A new sample has its raw value, unless it was told to `start_at_zero`."""
        for slot in compress(count(), map(lt, values, self.last)):
            if self.counts[slot]:
                self._carry(slot, values[slot], increase=values[slot])
        return list(map(add, values, self.carried))

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

    def close_page(self, values: list[float]) -> None:
        """Remember a page as the last one."""
        self._absent = (
            {slot: self._absent.get(slot, self.pages) for slot, value in enumerate(values) if value is ABSENT}
            if ABSENT in values
            else {}
        )
        for absent in self._absent:
            values[absent] = self.last[absent]
        self.last = values
        self.settled = len(values)
        self.pages += 1

    def forgettable(self, all_series: Iterable[Series]) -> set[Slot]:
        """Forget instances that other processes no longer show, and return the slots that may be forgotten."""
        limit = FORGET_AFTER_WITH_SEVERAL_PROCESSES if self.several_processes else FORGET_AFTER
        horizon = self.pages - limit
        slots = {slot for slot, page in self._absent.items() if page <= horizon}
        parked = 0
        for series in all_series:
            if series.parked:
                kept = {created: entry for created, entry in series.parked.items() if entry[1] > horizon}
                parked += len(series.parked) - len(kept)
                series.parked = kept or None
        if slots or parked:
            self.watching_since = max(self.watching_since, self._page_times[-limit])
        return slots

    def keep(self, slots: Collection[Slot]) -> None:
        """Forget all samples but these. Each gets its position among them as its new slot."""
        self.last = [self.last[slot] for slot in slots]
        self.carried = [self.carried[slot] for slot in slots]
        self.counts = [self.counts[slot] for slot in slots]
        self._absent = {new: self._absent[slot] for new, slot in enumerate(slots) if slot in self._absent}
        self.settled = len(slots)

    def _change_instance(self, series: Series, before: float, created: float, values: list[float]) -> None:
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
            if raw is ABSENT:
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
