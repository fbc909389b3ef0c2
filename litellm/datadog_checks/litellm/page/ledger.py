"""Work out from the values of successive pages what happened at the proxy in between.

A counter starts over when its process restarts or its series expires, and the next page may come from another process
with other values. So a value alone tells nothing, and neither does its difference from the last one.

The `_created` time of a series tells which process made it, as two processes never agree to the microsecond. A series
as created by one process at one time is called an incarnation here, and each incarnation is followed on its own:

- the incarnation on the page before: what it has beyond its highest value so far counts. A lower value is no restart:
  the page is older than another, out of a cache, or a sum has observed something negative;
- an incarnation seen before that (several processes answer in turn): the same;
- an incarnation never seen: its value counts in full if it came to be while we were watching, and otherwise counting
  starts from it.

When did it come to be? If any incarnation on the page is one that an earlier page showed, the process is known, and
what is new on its page happened since. No clock is needed for that, so constant skew, steps of the clock and slow
answers do not matter. Only for a process that was never seen, a restarted one or another worker, the age counts: the
`Date` of its page minus the time of creation, both on its own clock. It came to be while we were watching if that is
less than the time between the requests for the first page and for this one: what a process counts before its own first
page is lost if it came to be after the first request by less than that page takes to arrive. `Date` has whole seconds,
and a busy server updates it late: what another worker counted in the few seconds before the first page may be taken for
new. Without `Date` the process is taken to have our time.

That `Date` is on another clock, of a gateway or ours, or that the clock was set back, shows when a page has something
that is newer than its `Date`. Then no age is known, for `BEHIND_LASTS` pages or until a known process shows something
new, which tells by how much `Date` is behind. Until then, what a process counts before its own first page is lost. A
`Date` that is ahead loses it as well, for as long after the first page as it is ahead. One that is behind without
showing it counts in full what came to be before the first page, by up to as much as it is behind.

A series that has told when it was created counts nothing on a page that does not tell, or tells what is no time: the
page may be of another process, or of a new one. What it counts there counts on the next page that tells, or after
`FORGET_AFTER` pages without any, `PARKED_PAGES` where several processes answer. One that tells for the first time has
started over if it is lower than before. One that is new counts in full.

Without `_created` (several workers in multiprocess mode) a page covers all processes, and nothing but a restart of them
all makes a counter lower. So one that fell from one page to the next proves that all have started over, and the values
of all count in full. What is new from the second page on counts in full, and on the first page what a proxy has counted
that refused the connection one run before. See `levels` for several such pods.

What is forgotten and returns goes on from where it was, within the limits of the `archive`. What other processes hold
is remembered for `PARKED_PAGES`. Beyond that, only incarnations count in full that are younger than all that was seen,
by the clock of a known process, or came to be after what is forgotten was seen. A clock that is set back then costs
what a page disproves the `Date` of.

Not exact, because a page does not tell: what a process counts before its own first page, if it is older than our first
page; incarnations that stay away for longer than they are remembered, and return on an old page out of a cache;
observations below zero; restarts in multiprocess mode that no counter shows by falling, of which each counter loses
what it had before at most; several workers that were there when the connection was refused, as by a Service without
ready endpoints or a firewall: what they had counted by their first page counts once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from .levels import Levels
from .recognition import Reading
from .slots import ABSENT, LEFT_OUT, NO_VALUE, Flags, Parked, Series, Slot, Slots, places

__all__ = ['Ledger', 'Times']

# Pages, not seconds: scrape intervals differ.
FORGET_AFTER = 5
PARKED_PAGES = 80
# As far as a byte counts them.
MOST_PAGES = 255

# So many samples that were left out are kept for that long, whatever the size of the page, and as many more as all that
# are known are not this many times those on a page.
MANY = 10_000
MOST_KNOWN = 1.5

# For how many pages evidence of several processes lasts: of one that returned after another had answered, and of one
# that is older than a page it was not on, which a clock may feign.
RETURN_LASTS = PARKED_PAGES
AGE_LASTS = 10

# For how many pages it is remembered that `Date` is on another clock.
BEHIND_LASTS = 80

# What is no time of creation but a broken number, on all clocks that are not decades ahead: a day in 2049.
LATEST_CREATED = 2.5e9

# How far in seconds `Date` may lag behind: it has whole seconds, and a server updates it once a second.
DATE_IS_BEHIND = 3.0


class Times(NamedTuple):
    """The times of a page: asked for and answered on our monotonic clock, and answered on the clock of the proxy."""

    asked: float
    answered: float
    date: float


class Ledger:
    """Tell for each page what happened since the one before."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.pages = 0
        self._levels = Levels(slots)
        # On our clock. Incarnations of unknown processes that are younger count in full.
        self._watching_since = math.inf
        # The same, for incarnations of any process: those that are older may have been seen and forgotten.
        self._forgotten_until = -math.inf
        # By how much more than usual `Date` is behind the clock that times of creation are on, infinite if not known,
        # and for which pages that holds.
        self._date_is_behind = 0.0
        self._date_is_behind_until = 0
        # The newest time of creation that was ever seen.
        self._newest = 0.0
        # When the last page was asked for, and the last one with all families.
        self._page_asked = 0.0
        self._whole_page_asked = 0.0
        self._started: float | None = None
        # Counts that had no number on the first page, nor since.
        self._never_read: set[Slot] = set()
        # How many series have no sample, and are known for what other processes hold.
        self._parked_alone = 0
        # By series that no longer tells when it was created, though it did: since which page.
        self._untold: dict[Series, int] = {}
        # The smallest number of unreadable lines on any page so far.
        self._fewest_unread = 0
        self._several_until = 0
        self.new_counts_in_full = False
        """Whether what is new on the last page, without a time of creation, happened since the page before."""
        # How many samples each of the last pages had.
        self._present: deque[int] = deque(maxlen=FORGET_AFTER)

    @property
    def several_processes(self) -> bool:
        """True if several processes have taken turns lately."""
        return self.pages < self._several_until

    @property
    def _remembers(self) -> int:
        """The number of pages for which it is remembered what other processes may hold."""
        return PARKED_PAGES if self.several_processes else FORGET_AFTER

    @property
    def levels_alternate(self) -> bool:
        """True if pages without times of creation have come from several proxies by turns lately."""
        return self._levels.alternate

    @property
    def processes_take_turns(self) -> bool:
        """True if what a page leaves out may be what other processes or proxies hold, and return with them."""
        return self.several_processes or self.levels_alternate

    def settle(
        self,
        reading: Reading,
        times: Times,
        *,
        unread: int,
        started: float | None = None,
        failed_at: float | None = None,
        is_whole: bool = True,
        with_history: bool = False,
        is_new_proxy: bool = False,
        reveals: bool = False,
    ) -> dict[Slot, float]:
        """Return by how much each count rose since the page before, for those that did.

        Of the page, `unread` lines could not be read, and `reveals` tells whether it has samples that were not told
        from others before. `failed_at` is when a page was asked for in vain before the first; if nothing listened then,
        it is the page of a new proxy, on which what has no time of creation counts in full. With history, all does. A
        page that is not whole has only families that were on the last whole page.
        """
        if not self.pages:
            self._fewest_unread = unread
            self._watching_since = times.asked if failed_at is None else failed_at
        elif unread < self._fewest_unread:
            # A new sample may have been on one of these lines since before we were watching.
            self._fewest_unread = unread
            reveals = True
        increments, stamped, odd = self._compare(reading)
        changed = self._changed(stamped, reading)
        odd = self._wait(odd, reading, increments)
        self._date(changed, reading, times, is_whole, reveals)
        settled = set()
        for series, before in changed:
            if self._change(series, before, reading, increments):
                settled.add(series)
        is_new_proxy = is_new_proxy and not self.pages
        self.new_counts_in_full = with_history or is_new_proxy or (self.pages > 0 and not reveals)
        told = {series for series, before in changed if before != before}
        fallen = self._settle_odd(odd, settled, told, reading, increments, with_history)
        together = self._fell_together(fallen, reading, changed, started)
        self._settle_fallen(fallen, reading, increments, together)
        self._levels.settle(reading, increments, together, self.pages)
        self._close(reading, times, started, is_whole)
        return increments

    def _compare(self, reading: Reading) -> tuple[dict[Slot, float], list[Slot], list[Slot]]:
        """Return what rose, and the slots of times of creation and of counts that did anything else."""
        last, values, kinds = self._slots.last, reading.values, self._slots.kinds
        increments: dict[Slot, float] = {}
        stamped, odd = [], []
        for slot in reading.moved:
            kind = kinds[slot]
            if kind.is_count:
                rise = values[slot] - last[slot]
                if rise > 0.0:
                    increments[slot] = rise
                elif rise != 0.0:
                    odd.append(slot)
            elif kind.is_created:
                stamped.append(slot)
        if reading.repeated:
            # Only the last of several lines is the sample's.
            odd = list(dict.fromkeys(odd))
        return increments, stamped, odd

    def _changed(self, stamped: Iterable[Slot], reading: Reading) -> list[tuple[Series, float]]:
        """Return the series of which the page shows another incarnation, with the time of the former one."""
        changed = []
        for slot in stamped:
            series, created = self._slots.series[slot], reading.values[slot]
            if series is None or reading.absent[slot]:
                continue
            if not 0.0 < created < LATEST_CREATED:
                self._untold.setdefault(series, self.pages)
                continue
            if not series.slots and (series.parked is not None or series.created == series.created):
                # What its incarnations had counted comes back with the first sample, and it is told again with that.
                reading.kept.add(slot)
                continue
            self._untold.pop(series, None)
            if created != series.created:
                changed.append((series, series.created))
                series.created = created
        return changed

    def _wait(self, odd: list[Slot], reading: Reading, increments: dict[Slot, float]) -> list[Slot]:
        """Let counts wait whose series told when it was created and does not on this page; return the other odd ones.

        The page may be of another process, or of a new one. If it no longer tells for long, counting goes on without.
        """
        last, values, absent, all_series = self._slots.last, reading.values, reading.absent, self._slots.series
        for slot in self._slots.new() if 1 in self._slots.is_new else ():
            series = all_series[slot]
            if series is not None and series.created_slot is None and series.created == series.created:
                # It was forgotten and has returned without.
                self._untold.setdefault(series, self.pages)
        if not self._untold and LEFT_OUT not in absent and NO_VALUE not in absent:
            return odd
        waiting = set[Slot]()
        for slot in (*increments, *odd):
            series = all_series[slot]
            if series is not None and series.created == series.created and last[slot] == last[slot]:
                told = series.created_slot
                if told is None or absent[told] or values[told] != series.created:
                    waiting.add(slot)
        if not waiting:
            return odd
        released = set[Series]()
        for slot in waiting:
            series = all_series[slot]
            assert series is not None
            rise = increments.pop(slot, 0.0)
            if self.pages - self._untold.setdefault(series, self.pages) < self._remembers:
                _keep(slot, last[slot], reading)
                continue
            released.add(series)
            # One that fell has started over.
            if rise or values[slot] > 0.0:
                increments[slot] = rise or values[slot]
        for series in released:
            series.created = ABSENT
            del self._untold[series]
        return [slot for slot in odd if slot not in waiting]

    def _date(
        self,
        changed: list[tuple[Series, float]],
        reading: Reading,
        times: Times,
        is_whole: bool,
        reveals: bool,
    ) -> None:
        """Tell whether each incarnation came to be while we were watching, and whether several processes answer."""
        if not changed:
            return
        back = {series for series, _ in changed if series.parked is not None and series.created in series.parked}
        returns = bool(back)
        follows = self._has_others(changed, reading)
        is_same = follows or self._has_others(changed, reading, out_of_archive=True)
        is_known = (is_same or returns) and not reveals
        page_before = self._whole_page_asked if is_whole else self._page_asked
        newest_before, newest = self._newest, max(series.created for series, _ in changed)
        self._judge_date(newest, times, page_before if follows and not reveals else None)
        # Of a known process it is enough that this page does not disprove its own `Date`.
        is_dated = is_known and newest <= times.date + DATE_IS_BEHIND
        made_at = times.date + (0.0 if is_dated else self._date_is_behind)
        older = 0
        for series, before in changed:
            age = max(made_at - series.created, 0.0)
            # The page was made at some time between these.
            earliest, latest = times.asked - age, times.answered - age
            # By the clock of a known process, what is newer than all that was ever seen was never seen.
            series.is_young = series not in back and (
                (is_known and series.created > newest_before)
                or (earliest >= self._forgotten_until and (is_known or earliest > self._watching_since))
            )
            if before == before:
                self._park(series, before)
            # What is on the first page is older than the watch, if its process is to be believed.
            series.seen = times.answered if self.pages else latest
            # A single process would have shown there already whatever is older than that page.
            is_older = latest < page_before - DATE_IS_BEHIND
            if is_older and not is_known and not reveals and (before == before or self._is_new(series)):
                older += 1
        if older and self._had_dates():
            self._several_until = max(self._several_until, self.pages + AGE_LASTS)
        if returns and not is_same:
            self._several_until = self.pages + RETURN_LASTS

    def _judge_date(self, newest: float, times: Times, page_before: float | None) -> None:
        """Find out whether `Date` is on the clock of the times of creation, of which the newest that is new is given.

        If the page before was of the same process, it was asked for at the time given.
        """
        behind = newest - times.date
        if self.pages >= self._date_is_behind_until:
            self._date_is_behind = 0.0
        if behind > self._date_is_behind + DATE_IS_BEHIND:
            self._date_is_behind = math.inf
            self._date_is_behind_until = self.pages + BEHIND_LASTS
        if page_before is not None and newest > self._newest:
            # It came to be since the page before: what returns is not newer than all that was ever seen.
            self._date_is_behind = behind + times.answered - page_before if behind > DATE_IS_BEHIND else 0.0
        self._newest = max(self._newest, newest)

    def _has_others(
        self, changed: list[tuple[Series, float]], reading: Reading, *, out_of_archive: bool = False
    ) -> bool:
        """Tell whether the page has an incarnation that was on the page before, or on one before it was forgotten."""
        slots, absent = self._slots, reading.absent
        new = {id(series) for series, _ in changed}
        for slot, kind in enumerate(slots.kinds):
            if kind.is_created and slots.is_new[slot] == out_of_archive and not absent[slot] and not slots.absent[slot]:
                series = slots.series[slot]
                if series is not None and id(series) not in new and series.created == series.created:
                    return True
        return False

    def _had_dates(self) -> bool:
        """Tell whether the page before had any time of creation."""
        return any(
            kind.is_created and self._slots.was_on_page_before(slot) for slot, kind in enumerate(self._slots.kinds)
        )

    def _is_new(self, series: Series) -> bool:
        return all(map(self._slots.is_new.__getitem__, series.slots))

    def _park(self, series: Series, before: float) -> None:
        """Keep what the incarnation before had counted, should its process answer again."""
        values = [self._slots.last[slot] for slot in series.slots]
        if series.parked is None:
            series.parked = Parked()
        series.parked.put(before, series.seen, self.pages, values)

    def _change(self, series: Series, before: float, reading: Reading, increments: dict[Slot, float]) -> bool:
        """Count what another incarnation has beyond what it had; tell whether it is another one at all."""
        slots, values = self._slots, reading.values
        known = () if series.parked is None else series.parked.take(series.created)
        if before != before and not known:
            return False
        for position, slot in enumerate(series.slots):
            if not slots.kinds[slot].is_count:
                continue
            start = known[position] if position < len(known) else math.nan
            if reading.absent[slot]:
                # It goes on from there on the next page that has it.
                values[slot] = start if start == start else 0.0 if series.is_young else ABSENT
                continue
            if start == start:
                rise = values[slot] - start
                if rise < 0.0:
                    _keep(slot, start, reading)
            else:
                rise = values[slot] if series.is_young else 0.0
            if rise > 0.0:
                increments[slot] = rise
            else:
                increments.pop(slot, None)
        return True

    def _settle_odd(
        self,
        odd: list[Slot],
        settled: set[Series],
        told: set[Series],
        reading: Reading,
        increments: dict[Slot, float],
        with_history: bool,
    ) -> list[Slot]:
        """Count what has its first value, and return what fell without a time of creation.

        Those of `told` have one for the first time.
        """
        slots, values = self._slots, reading.values
        fallen = []
        for slot in odd:
            series = slots.series[slot]
            if series is None or series in settled:
                continue
            before = slots.last[slot]
            if before != before:
                if not _is_dateless(series):
                    is_young = series.is_young
                else:
                    is_young = self.new_counts_in_full and slot not in self._never_read
                if (is_young or with_history) and values[slot] > 0.0:
                    increments[slot] = values[slot]
            elif series in told:
                # It has started over.
                if series.is_young and values[slot] > 0.0:
                    increments[slot] = values[slot]
            elif not _is_dateless(series):
                _keep(slot, before, reading)
            else:
                fallen.append(slot)
        return fallen

    def _fell_together(
        self, fallen: list[Slot], reading: Reading, changed: list[tuple[Series, float]], started: float | None
    ) -> bool:
        """Tell whether what fell proves that all processes have started over, as far as one page can tell."""
        slots = self._slots
        return (
            any(
                not slots.kinds[slot].is_sum and slots.was_on_page_before(slot) and _is_dateless(slots.series[slot])
                for slot in fallen
            )
            and (started is None or started != self._started)
            and not self._has_others(changed, reading)
            and not self._has_others(changed, reading, out_of_archive=True)
        )

    def _settle_fallen(
        self, fallen: list[Slot], reading: Reading, increments: dict[Slot, float], together: bool
    ) -> None:
        """Count in full the series that have started over for themselves."""
        slots, values = self._slots, reading.values
        expired = {
            slots.series[slot] for slot in fallen if not slots.kinds[slot].is_sum or not slots.was_on_page_before(slot)
        }
        for slot in fallen:
            series = slots.series[slot]
            if _is_dateless(series) and (together or self.levels_alternate):
                continue
            if series in expired:
                if values[slot] > 0.0:
                    increments[slot] = values[slot]
            else:
                # A sum that fell alone has observed something negative.
                _keep(slot, slots.last[slot], reading)

    def _close(self, reading: Reading, times: Times, started: float | None, is_whole: bool) -> None:
        """Make this page the last one."""
        slots, absent = self._slots, reading.absent
        before, slots.pages_left_out = slots.pages_left_out, bytearray(len(slots))
        for slot in places(absent, LEFT_OUT):
            slots.pages_left_out[slot] = min(before[slot] + 1, MOST_PAGES)
        if not self.pages:
            self._never_read = {slot for slot in places(absent, NO_VALUE) if slots.kinds[slot].is_count}
        elif self._never_read:
            self._never_read = {slot for slot in self._never_read if absent[slot]}
        self._present.append(slots.samples - absent.count(LEFT_OUT))
        self._page_asked = times.asked
        if is_whole:
            self._whole_page_asked = times.asked
        self._started = started
        self.pages += 1

    def left_out(self) -> Flags:
        """Return for each slot whether its sample was left out for long enough to be forgotten: 1 if so.

        Where each page has other samples than the one before, they would soon be a multiple of those on any page. So
        of more than `MANY`, the oldest are forgotten early, until all samples are half as many again as on a page. On a
        page that only lacks samples none are.
        """
        pages, present = self._slots.pages_left_out, self._present
        most = max(MANY, int(MOST_KNOWN * max(present)) - present[-1])
        after, left = FORGET_AFTER, self._slots.samples - present[-1]
        for number in sorted(set(pages), reverse=True):
            if left <= most:
                break
            after, left = min(after, number), left - pages.count(number)
        return pages.translate(bytes(number >= after for number in range(MOST_PAGES + 1)))

    def forget_parked(self, all_series: Iterable[Series], gone: Flags) -> None:
        """Forget the incarnations that other processes hold and have not shown for long.

        Series that lose their time of creation no longer tell it. What others hold of a series that is forgotten early
        is not remembered, nor for long where more than `MANY` have no sample left.
        """
        horizon = self.pages - (self._remembers if self._parked_alone <= MANY else FORGET_AFTER)
        pages_left_out, newest = self._slots.pages_left_out, -math.inf
        self._parked_alone = 0
        for series in all_series:
            if series.created_slot is not None and gone[series.created_slot]:
                self._untold.setdefault(series, self.pages)
            if series.parked is None:
                continue
            is_early = bool(series.slots) and all(
                gone[slot] and pages_left_out[slot] < FORGET_AFTER for slot in series.slots
            )
            newest = max(newest, series.parked.forget(self.pages if is_early else horizon))
            if not series.parked:
                series.parked = None
            elif not series.slots:
                self._parked_alone += 1
        self._forgotten_until = max(self._forgotten_until, newest + DATE_IS_BEHIND)

    def forget(self, gone: Flags, until: float) -> None:
        """Forget the samples of which this has a 1.

        Of some that were seen until then, nothing at all is known any more.
        """
        self._forgotten_until = max(self._forgotten_until, until + DATE_IS_BEHIND)
        self._never_read = {slot for slot in self._never_read if not gone[slot]}
        self._untold = {series: since for series, since in self._untold.items() if series.slots}
        self._levels.forget(gone)


def _keep(slot: Slot, value: float, reading: Reading) -> None:
    """Go on from a value that is higher than that of the page."""
    reading.values[slot] = value
    reading.kept.add(slot)


def _is_dateless(series: Series | None) -> bool:
    return series is not None and series.created != series.created
