"""Turn the raw values of successive pages into totals that grow by exactly what happened at the proxy.

A raw counter starts over when its process restarts or its series expires, and the next scrape may be answered by
another process with other values. The Agent knows nothing of that: it takes the difference between two values. So what
is submitted for a sample is `raw + carried`, and `carried` changes whenever raw jumps for any reason but an event.

The `_created` time of a series tells which process made it, as two processes never agree to the microsecond. A series
as created by one process at one time is called an incarnation here, and each incarnation is followed on its own:

- the incarnation seen on the last page: the difference counts, and after a decrease the new value counts in full;
- an incarnation seen before that (several processes answer in turn): the difference from its own last value counts;
- an incarnation never seen: its value counts in full if it was created while we were watching, otherwise counting
  starts from it.

Without `_created` (several workers in multiprocess mode) a page always covers all processes: only a decrease is a
restart, and from the second page on a new series counts in full.

Creation times are on the clock of the answering process, which may be minutes off ours. The `Date` header of its page
gives the current time on that clock, so we know how long before the page an incarnation was created, and therefore when
on our clock. `Date` has whole seconds and a busy server updates it late: what a second process counted in the few
seconds before our first scrape may be taken for new. A reverse proxy that sets `Date` itself must have the same time
as LiteLLM.

A sample is forgotten once the proxy has left it out for `FORGET_AFTER` pages, or for more where several processes
answer, as each of them leaves out what only the others have. A forgotten incarnation that returns must not count twice,
so from then on only incarnations younger than the forgotten ones count in full.

Not exact, because a page does not tell: several pods in multiprocess mode behind one URL, which look like one proxy
that keeps restarting; what a process counts before its own first page, if it is older than our first page; incarnations
that stay away for longer than they are remembered. Nor are sums of negative observations, as totals only grow.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from itertools import compress, count, repeat
from operator import add, lt
from typing import NamedTuple, TypeAlias

__all__ = ['ABSENT', 'CLOCKS_DIFFER', 'Ledger', 'Series', 'Slot']

# The value of a sample that is not on the page. NaN on a page itself is treated the same.
ABSENT = math.nan

# Pages, not seconds: scrape intervals differ. Even 80 pages at 15 minutes are less than the Agent remembers a count
# for. If it forgot first, it would take the next total for new events.
FORGET_AFTER = 5
FORGET_AFTER_WITH_SEVERAL_PROCESSES = 80

# How far in seconds `Date` may lag behind: it has whole seconds, and a server updates it once a second.
DATE_IS_BEHIND = 3.0

# Beyond this a double cannot count single events: such a value is broken, and would spoil the total for good.
LARGEST_COUNT = 2.0**53

# How far in seconds a proxy's clock may be ahead of its own `Date` or differ from ours before it is ignored.
CLOCKS_DIFFER = 24 * 3600.0

# What precedes a sample's first value.
NEVER = -math.inf

# A sample's index in every list that has one entry per sample.
Slot: TypeAlias = int


class Parked(NamedTuple):
    """An incarnation that the last page did not show because another process answered."""

    raws: list[float]
    """In the order of the series' slots."""
    born: float
    absent_since: int
    """The number of the first page that left it out."""


class Series:
    """The samples that share one label set, and the incarnation that the last page showed of them."""

    __slots__ = ('born', 'created', 'created_slot', 'parked', 'slots')

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        # The slot of `_created`, and its last value: seconds on the proxy's clock.
        self.created_slot: Slot | None = None
        self.created: float | None = None
        # The same time on our clock, at most `DATE_IS_BEHIND` late.
        self.born = -math.inf
        # The incarnations that other processes hold, by their creation time.
        self.parked: dict[float, Parked] | None = None

    def renumber(self, moved: Mapping[Slot, Slot]) -> None:
        """Adopt new slots, and forget the samples that have none."""
        kept = [position for position, slot in enumerate(self.slots) if slot in moved]
        if self.parked and len(kept) < len(self.slots):
            self.parked = {
                created: incarnation._replace(raws=[incarnation.raws[n] for n in kept if n < len(incarnation.raws)])
                for created, incarnation in self.parked.items()
            }
        self.slots = [moved[self.slots[position]] for position in kept]
        if self.created_slot is not None:
            self.created_slot = moved.get(self.created_slot)


class Ledger:
    """Keep the last raw value of each sample and what to add to it, by slot.

    For each page: `add` new samples, `recognize` who made them, `start_at_zero` those that are new but not young, take
    the totals from `settle`, then `close_page`. From time to time `forget` what was `left_out`, and `keep` the rest.
    """

    def __init__(self) -> None:
        self.last = array('d')
        self.carried: list[float] = []
        # The series of each count. None for other samples, which have slots only because slots follow the page's order.
        self.owners: list[Series | None] = []
        # Slots from this one on are new on the current page.
        self.settled: Slot = 0
        self.pages = 0
        self.several_processes = False
        # Whether samples that are new on this page may be older than they look, because they could not be read before.
        self.reveals = False
        # The smallest number of unreadable lines on any page so far.
        self._fewest_unread = 0
        # On our clock. Incarnations created later have counted only what happened while we were watching.
        self.watching_since = math.inf
        # When the last page was answered, and the last one with all families, on our clock.
        self.page_answered_at = 0.0
        self._whole_page_answered_at = 0.0
        # The first page that left out a sample, for those that the last page left out.
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
        """Find out which incarnation of each series a page shows, and carry totals over where it changed.

        `date` is the time of the page on the proxy's clock, `now` on ours. On the first page `since` sets, on our
        clock, when watching began: what was created later counts in full. A page that is not whole has only families
        that were on the last whole page.
        """
        self._drop_impossible_counts(values)
        changed: list[tuple[Series, float | None, float]] = []
        newest = -math.inf
        for series in all_series:
            if series.created_slot is None:
                continue
            created = values[series.created_slot]
            if not 0.0 < created < date + CLOCKS_DIFFER:
                # Absent, or not a plausible creation time.
                continue
            newest = max(newest, created)
            if created != series.created:
                changed.append((series, series.created, created))
                series.created = created

        # A single process would have shown there already whatever is older than that page.
        page_before = self._whole_page_answered_at if is_whole else self.page_answered_at
        self.page_answered_at = now
        if is_whole:
            self._whole_page_answered_at = now
        if not self.pages:
            self.watching_since = since
        # A page cannot be older than anything on it.
        made_at = max(date, newest)
        for series, before, created in changed:
            before_born, series.born = series.born, now - (made_at - created)
            if before is not None:
                self._change_incarnation(series, before, before_born, created, values)
            if series.born < page_before - DATE_IS_BEHIND and self._is_new(series, before):
                # No evidence if there was no earlier page, or if it had unreadable lines.
                self.several_processes |= self.settled > 0 and not self.reveals

    def is_young(self, series: Series) -> bool:
        """Tell whether this incarnation of a series has counted only what happened while we were watching."""
        if series.created is None:
            return self.pages > 0 and not self.reveals
        return series.born > self.watching_since

    def is_new(self, slot: Slot) -> bool:
        """Tell whether a sample with its first number has counted only what happened while we were watching."""
        owner = self.owners[slot]
        since_the_first_page = self._absent.get(slot) == 0
        return owner is not None and self.is_young(owner) and not (owner.created is None and since_the_first_page)

    def note_unread(self, lines: int) -> None:
        """Record how many lines of a page could not be read, before `recognize`.

        When there are fewer than ever before, a new sample may have been on one of them since before we were watching.
        """
        if not self.pages:
            self._fewest_unread = lines
        elif lines < self._fewest_unread:
            self._fewest_unread = lines
            self.reveals = True

    def unseen(self) -> list[Slot]:
        """Return the slots of counts that have only been NaN or infinite so far."""
        return [slot for slot in self._absent if self.last[slot] == NEVER and self.owners[slot] is not None]

    def start_at_zero(self, slot: Slot, raw: float) -> None:
        """Let the total of a new sample start at 0 from its current value."""
        self.carried[slot] = -raw

    def restart_at_zero(self, slot: Slot) -> None:
        """Let the total of a sample start at 0 from the value on the last page, if it had one."""
        if self.last[slot] != NEVER:
            self.carried[slot] = -self.last[slot]

    def settle(self, values: array[float]) -> Iterator[float]:
        """Return each sample's total. That of a new sample is its raw value, unless it has to `start_at_zero`."""
        for slot in compress(count(), map(lt, values, self.last)):
            owner = self.owners[slot]
            if owner is not None:
                raw = values[slot]
                if raw < 0.0:
                    # A sum of negative observations, which the Agent could not add up. No count is negative.
                    values[slot] = ABSENT
                    continue
                same_incarnation = owner.created_slot is not None and not math.isnan(values[owner.created_slot])
                # Within one incarnation a sum falls when something negative is observed, which is no restart.
                self._carry(slot, raw, increase=0.0 if same_incarnation else raw)
        return map(add, values, self.carried)

    def last_total(self, slot: Slot) -> float:
        """Return a sample's total on the last page that showed it, 0 if none did."""
        return 0.0 if self.last[slot] == NEVER else self.last[slot] + self.carried[slot]

    def close_page(self, values: array[float]) -> None:
        """Make this page the last one."""
        absent = {slot: self._absent.get(slot, self.pages) for slot in compress(count(), map(math.isnan, values))}
        self._absent = absent
        for slot in absent:
            values[slot] = self.last[slot]
        self.last = values
        self.settled = len(values)
        self.pages += 1
        self.reveals = False

    def left_out(self) -> set[Slot]:
        """Return the slots of samples that were left out for long enough to be forgotten."""
        return {slot for slot, page in self._absent.items() if page <= self._horizon}

    def forget(self, slots: Set[Slot], all_series: Iterable[Series]) -> None:
        """Stop counting in full the incarnations of these samples, and those that other processes no longer show."""
        newest = -math.inf
        for series in all_series:
            is_gone = not slots.isdisjoint(series.slots)
            if is_gone:
                newest = max(newest, series.born)
            if series.parked:
                kept = {}
                for created, incarnation in series.parked.items():
                    if incarnation.absent_since > self._horizon:
                        kept[created] = incarnation
                    if is_gone or created not in kept:
                        newest = max(newest, incarnation.born)
                series.parked = kept or None
        self.watching_since = max(self.watching_since, newest + DATE_IS_BEHIND)

    def keep(self, slots: Collection[Slot]) -> None:
        """Drop all other samples. The new slot of each is its position in `slots`."""
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

    def _change_incarnation(
        self, series: Series, before: float, before_born: float, created: float, values: array[float]
    ) -> None:
        slots = [slot for slot in series.slots if slot < self.settled]
        parked = series.parked = series.parked or {}
        parked[before] = Parked([self.last[slot] for slot in slots], before_born, self.pages)
        known = parked.pop(created, None)
        if known is not None or created < before:
            # A restarted process has a later creation time, not an earlier one.
            self.several_processes = True
        starts = [] if known is None else known.raws

        young = self.is_young(series)
        for position, slot in enumerate(slots):
            if math.isnan(values[slot]):
                continue
            # A negative sum is not submitted: count from zero once it rises above it.
            raw = max(values[slot], 0.0)
            start = starts[position] if position < len(starts) else NEVER
            if start > NEVER:
                increase = raw - start
            else:
                increase = raw if young else 0.0
            self._carry(slot, raw, increase)
            # So that `settle` does not see a decrease.
            self.last[slot] = raw

    def _carry(self, slot: Slot, raw: float, increase: float) -> None:
        """Continue a total from its last value plus an increase, whatever raw did. It never falls."""
        total = self.last_total(slot)
        carried = total + max(increase, 0.0) - raw
        # Rounding must not make a total fall, which the Agent would take for a restart.
        while raw + carried < total:
            carried = math.nextafter(carried, math.inf)
        self.carried[slot] = carried
