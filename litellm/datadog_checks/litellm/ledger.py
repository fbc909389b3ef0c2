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

Times of creation are on the clock of the process that answers, which may be minutes off ours. The `Date` of its page
says what time it is there, so how long before its page an instance was born, and with that when on our clock. It says
so in whole seconds, which a busy server renews late: what a second process counted within the seconds before our first
scrape may be taken for new. A reverse proxy that sets a `Date` of its own must have the time of LiteLLM.

What is remembered of a sample is forgotten once the proxy has left it out for `FORGET_AFTER` pages, longer where
several processes answer, as each leaves out what only the others have. A forgotten instance that returns must not count
twice, so from then on only instances younger than the forgotten ones count in full.

Not exact, because a page does not tell: several pods in multiprocess mode behind one URL, which look like one proxy
that keeps restarting; what a process counts before the first of its pages, if it is older than ours; instances that
stay away for longer than is remembered. Nor are sums of which something negative was observed, as totals only grow.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from itertools import compress, count, repeat
from operator import add, lt
from typing import NamedTuple, TypeAlias

__all__ = ['ABSENT', 'CLOCKS_DIFFER', 'Ledger', 'Series', 'Slot']

# The value of a sample that the page does not have. A page may say it as well, and means as little by it.
ABSENT = math.nan

# Pages, not seconds: scrape intervals differ. At 15 minutes this is still less than the Agent remembers a count for,
# which would take a total that it does not know for what took place.
FORGET_AFTER = 5
FORGET_AFTER_WITH_SEVERAL_PROCESSES = 80

# Seconds that the time of a page may be behind: `Date` has whole seconds, and a server renews it once a second.
DATE_IS_BEHIND = 3.0

# Beyond it a double does not tell one event from none: whatever says so is broken, and would spoil the total for good.
LARGEST_COUNT = 2.0**53

# Seconds by which a proxy's clock may be ahead of its own answers and of ours, before it is no clock.
CLOCKS_DIFFER = 24 * 3600.0

# The value before a sample's first.
NEVER = -math.inf

# A sample's place in every list that has one entry per sample.
Slot: TypeAlias = int


class Parked(NamedTuple):
    """An instance that the last page did not show, as another process answered."""

    raws: list[float]
    """In the order of the series' slots."""
    born: float
    absent_since: int
    """The page from which on it was left out."""


class Series:
    """The samples that share one label set, and the instance that the last page showed of them."""

    __slots__ = ('born', 'created', 'created_slot', 'parked', 'slots')

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        # Where a page says when the instance came to be, and what it said: seconds on the proxy's clock.
        self.created_slot: Slot | None = None
        self.created: float | None = None
        # The same on our clock, at most `DATE_IS_BEHIND` late.
        self.born = -math.inf
        # By time of creation, the instances that other processes hold.
        self.parked: dict[float, Parked] | None = None

    def renumber(self, moved: Mapping[Slot, Slot]) -> None:
        """Take over new slots, and forget the samples that have none."""
        kept = [position for position, slot in enumerate(self.slots) if slot in moved]
        if self.parked and len(kept) < len(self.slots):
            self.parked = {
                created: instance._replace(raws=[instance.raws[n] for n in kept if n < len(instance.raws)])
                for created, instance in self.parked.items()
            }
        self.slots = [moved[self.slots[position]] for position in kept]
        if self.created_slot is not None:
            self.created_slot = moved.get(self.created_slot)


class Ledger:
    """Keep for each sample, by its slot, the raw value seen last and what to add to it.

    For each page: `add` what is new, `recognize` who made it, `start_at_zero` what is new and not young, take the
    `settle`d totals, `close_page`. From time to time `forget` what was `left_out`, and `keep` the rest.
    """

    def __init__(self) -> None:
        self.last = array('d')
        self.carried: list[float] = []
        # Whose sample it is. None if it is no count: such samples have a slot only so that slots follow the page.
        self.owners: list[Series | None] = []
        # Slots from here on are new on the page that is being read.
        self.settled: Slot = 0
        self.pages = 0
        self.several_processes = False
        # Whether samples that are new on this page may be older than they look: they could not be read before.
        self.reveals = False
        # The fewest lines that could not be read, of all pages.
        self._fewest_unread = 0
        # On our clock. Instances made later have counted nothing but what took place under our eyes.
        self.watching_since = math.inf
        # When the last page was answered, and the last one that had all families, on our clock.
        self.page_answered_at = 0.0
        self._whole_page_answered_at = 0.0
        # The page from which on a sample was left out.
        self._absent: dict[Slot, int] = {}

    def add(self, owner: Series | None) -> None:
        """Make a slot for one more sample."""
        self.last.append(NEVER)
        self.carried.append(0.0)
        self.owners.append(owner)

    def recognize(
        self,
        all_series: Iterable[Series],
        values: array[float],
        date: float,
        now: float,
        since: float,
        is_whole: bool = True,
    ) -> None:
        """Find out which instance of each series a page shows, and what it takes to follow on.

        `date` is the time of the page on the proxy's clock, `now` on ours. With the first page watching begins at
        `since`, on our clock: what came to be later is counted in full. A page that is not whole has only families
        that the last whole page had.
        """
        self._drop_impossible_counts(values)
        changed: list[tuple[Series, float | None, float]] = []
        newest = -math.inf
        for series in all_series:
            if series.created_slot is None:
                continue
            created = values[series.created_slot]
            if not 0.0 < created < date + CLOCKS_DIFFER:
                # Absent, or no time that anything came to be.
                continue
            newest = max(newest, created)
            if created != series.created:
                changed.append((series, series.created, created))
                series.created = created

        # What is on this page and older than the page before, a single process would have shown on that one already.
        page_before = self._whole_page_answered_at if is_whole else self.page_answered_at
        self.page_answered_at = now
        if is_whole:
            self._whole_page_answered_at = now
        if not self.pages:
            self.watching_since = since
        # No page is older than what it shows.
        made_at = max(date, newest)
        for series, before, created in changed:
            before_born, series.born = series.born, now - (made_at - created)
            if before is not None:
                self._change_instance(series, before, before_born, created, values)
            if series.born < page_before - DATE_IS_BEHIND and self._is_new(series, before):
                # Unless there was no page before, or it could not be read.
                self.several_processes |= self.settled > 0 and not self.reveals

    def is_young(self, series: Series) -> bool:
        """Tell whether all that this instance of a series has counted took place while we were watching."""
        if series.created is None:
            return self.pages > 0 and not self.reveals
        return series.born > self.watching_since

    def is_new(self, slot: Slot) -> bool:
        """Tell whether all that a sample has counted which has its first number took place while we were watching."""
        owner = self.owners[slot]
        since_the_first_page = self._absent.get(slot) == 0
        return owner is not None and self.is_young(owner) and not (owner.created is None and since_the_first_page)

    def note_unread(self, lines: int) -> None:
        """Take note of how many lines of a page could not be read, before the page is recognized.

        Where there are fewer than ever, what is new may have been behind one of them since before we watched.
        """
        if not self.pages:
            self._fewest_unread = lines
        elif lines < self._fewest_unread:
            self._fewest_unread = lines
            self.reveals = True

    def unseen(self) -> list[Slot]:
        """Return the slots of counts that had no number on the pages before, as LiteLLM said NaN or infinity."""
        return [slot for slot in self._absent if self.last[slot] == NEVER and self.owners[slot] is not None]

    def start_at_zero(self, slot: Slot, raw: float) -> None:
        """Count a new sample from the present value on."""
        self.carried[slot] = -raw

    def restart_at_zero(self, slot: Slot) -> None:
        """Count a sample from the value on that the last page showed, if it showed one."""
        if self.last[slot] != NEVER:
            self.carried[slot] = -self.last[slot]

    def settle(self, values: array[float]) -> Iterator[float]:
        """Return each sample's total. That of a new sample is its raw value, unless it was told to `start_at_zero`."""
        for slot in compress(count(), map(lt, values, self.last)):
            owner = self.owners[slot]
            if owner is not None:
                raw = values[slot]
                if raw < 0.0:
                    # No count is. A sum of negative observations may be, but is none that the Agent could add up.
                    values[slot] = ABSENT
                    continue
                same_instance = owner.created_slot is not None and not math.isnan(values[owner.created_slot])
                # A sum falls without a new start when something negative is observed.
                self._carry(slot, raw, increase=0.0 if same_instance else raw)
        return map(add, values, self.carried)

    def last_total(self, slot: Slot) -> float:
        """Return the total that a sample had on the last page that showed it, 0 if none did."""
        return 0.0 if self.last[slot] == NEVER else self.last[slot] + self.carried[slot]

    def close_page(self, values: array[float]) -> None:
        """Remember a page as the last one."""
        absent = {slot: self._absent.get(slot, self.pages) for slot in compress(count(), map(math.isnan, values))}
        self._absent = absent
        for slot in absent:
            values[slot] = self.last[slot]
        self.last = values
        self.settled = len(values)
        self.pages += 1
        self.reveals = False

    def left_out(self) -> set[Slot]:
        """Return the slots of samples that were left out for so long that they may be forgotten."""
        return {slot for slot, page in self._absent.items() if page <= self._horizon}

    def forget(self, slots: Set[Slot], all_series: Iterable[Series]) -> None:
        """Count the instances of these samples no more in full, nor those that other processes stopped showing."""
        newest = -math.inf
        for series in all_series:
            is_gone = not slots.isdisjoint(series.slots)
            if is_gone:
                newest = max(newest, series.born)
            if series.parked:
                kept = {}
                for created, instance in series.parked.items():
                    if instance.absent_since > self._horizon:
                        kept[created] = instance
                    if is_gone or created not in kept:
                        newest = max(newest, instance.born)
                series.parked = kept or None
        self.watching_since = max(self.watching_since, newest + DATE_IS_BEHIND)

    def keep(self, slots: Collection[Slot]) -> None:
        """Drop all samples but these. Each gets its position among them as its new slot."""
        self.last = array('d', [self.last[slot] for slot in slots])
        self.carried = [self.carried[slot] for slot in slots]
        self.owners = [self.owners[slot] for slot in slots]
        self._absent = {new: self._absent[slot] for new, slot in enumerate(slots) if slot in self._absent}
        self.settled = min(self.settled, len(slots))

    @property
    def _horizon(self) -> int:
        return self.pages - (FORGET_AFTER_WITH_SEVERAL_PROCESSES if self.several_processes else FORGET_AFTER)

    def _is_new(self, series: Series, before: float | None) -> bool:
        return before is not None or all(slot >= self.settled for slot in series.slots)

    def _drop_impossible_counts(self, values: array[float]) -> None:
        for slot in compress(count(), map(lt, repeat(LARGEST_COUNT), values)):
            if self.owners[slot] is not None:
                values[slot] = ABSENT
        for slot in [*self._absent, *range(self.settled, len(values))]:
            if values[slot] < 0.0 and self.owners[slot] is not None:
                values[slot] = ABSENT

    def _change_instance(
        self, series: Series, before: float, before_born: float, created: float, values: array[float]
    ) -> None:
        slots = [slot for slot in series.slots if slot < self.settled]
        parked = series.parked = series.parked or {}
        parked[before] = Parked([self.last[slot] for slot in slots], before_born, self.pages)
        known = parked.pop(created, None)
        if known is not None or created < before:
            # A process that starts over does not go back in time.
            self.several_processes = True
        starts = [] if known is None else known.raws

        young = self.is_young(series)
        for position, slot in enumerate(slots):
            if math.isnan(values[slot]):
                continue
            # What is negative is not submitted, and rises from zero.
            raw = max(values[slot], 0.0)
            start = starts[position] if position < len(starts) else NEVER
            if start > NEVER:
                increase = raw - start
            else:
                increase = raw if young else 0.0
            self._carry(slot, raw, increase)
            # The jump is dealt with.
            self.last[slot] = raw

    def _carry(self, slot: Slot, raw: float, increase: float) -> None:
        """Let a total go on from its last value by an increase, whatever raw did. It does not go down with a sum."""
        total = self.last_total(slot)
        carried = total + max(increase, 0.0) - raw
        # Rounding must not make a total fall, which the Agent would take for a counter that started over.
        while raw + carried < total:
            carried = math.nextafter(carried, math.inf)
        self.carried[slot] = carried
