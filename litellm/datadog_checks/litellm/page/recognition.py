"""Recognize the lines of a page by those of the page before.

From one page to the next most lines stay as they are, to the last digit: their series did nothing. So of each page the
64-bit hashes of its lines are kept, in order. A batch of lines is hashed and compared with them without a Python
instruction per line; only lines that differ are taken apart. If the hash of the part before the value is that of the
sample that was here before, it has a new value. Otherwise lines have come, gone or moved: the sample is looked up, and
the comparison goes on behind its place on the page before.

Only hashes are kept, not the text, which is by far the largest part of a page. The probability that any two of 500,000
lines share one is 7e-9, and as Python seeds its hashes per process, nobody can provoke it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import compress, count, repeat
from operator import ne
from typing import NamedTuple

from ..transport.errors import NOT_AN_EXPOSITION, NotMetricsError
from .exposition import BadLineError, parse_value, split_sample
from .slots import ABSENT, LARGEST_COUNT, LEFT_OUT, NO_VALUE, UNLEARNED, Slot, Slots

__all__ = ['Reading', 'Recognition']

# How many lines are compared at a time: few after a line that moved, then twice as many each time.
MOST_AT_A_TIME = 1024

# A line that has moved is learned again, and looked for among the next lines of the page before. Once one in so many
# has, an index of all samples pays.
FEW_MOVED = 128
NEAR = 4096

# Beyond so many unreadable lines, a page with more of them than samples is not a metrics page.
FEW_BAD_LINES = 10_000


class Reading(NamedTuple):
    """Everything that a page says of all samples."""

    values: array[float]
    """By slot: the value on this page, or else the last one before."""
    moved: array[int]
    """The slots whose line is not that of the page before, in the order of the page. The value may be the same."""
    absent: bytearray
    """By slot: why there is no value on this page, `LEFT_OUT` or `NO_VALUE`, and 0 where there is one."""
    repeated: frozenset[Slot]
    """The slots that more than one line gives a value to. The last line holds."""
    hashes: array[int]
    order: array[int]
    kept: set[Slot]
    """The slots whose value is no longer what their line says: of an incarnation the highest one is kept."""


class Recognition:
    """Read pages into one value per slot, and have lines that are not known learned."""

    def __init__(
        self,
        slots: Slots,
        learn: Callable[[bytes, float], Slot | None],
        learn_next_bucket: Callable[[bytes], Slot | None],
        learn_passed: Callable[[], Iterable[tuple[Slot, float]]],
        read_comment: Callable[[bytes], None],
    ) -> None:
        self._slots = slots
        self._learn = learn
        self._learn_next_bucket = learn_next_bucket
        self._learn_passed = learn_passed
        self._read_comment = read_comment
        # Of the page before, in its order: the hash of each sample line, and its slot.
        self._hashes = array('q')
        self._order = array('i')
        self._repeated: frozenset[Slot] = frozenset()
        # Of the page that is being read.
        self._values = array('d')
        self._moved = array('i')
        self._absent = bytearray()
        # How many more lines may move, and once more have: slots by key, and places on the page before by slot.
        self._patience = 0
        self._slots_by_key: dict[int, Slot] | None = None
        self._places: array[int] | None = None
        self._has_unlearned = False
        # How many lines of the page have passed.
        self._passed = 0
        # Whether any line of the page that is being read has nothing but blanks.
        self._has_blanks = False

    def read(self, batches: Iterable[list[bytes]], bad_lines: Counter[str]) -> Reading:
        """Read a page, and count its bad lines.

        A line that cannot be read costs that line only: one odd label must not lose the counts of thousands of other
        samples. Its sample is absent, as if the proxy had left it out. Raises `NotMetricsError` if that is most lines.
        """
        slots = self._slots
        # What is not read is as it was on the page before.
        self._values, self._moved, self._absent = slots.last[:], array('i'), slots.absent[:]
        self._has_unlearned = self._has_blanks = False
        self._passed = 0
        self._patience = len(self._order) // FEW_MOVED - 1
        hashes, order = array('q'), array('i')
        place = 0
        width = MOST_AT_A_TIME
        try:
            for lines in batches:
                if self._has_blanks or not all(lines):
                    lines = list(filter(bytes.strip if self._has_blanks else None, lines))
                new = array('q', map(hash, lines))
                start, end = 0, len(lines)
                while start < end:
                    stop = min(start + width, end)
                    at, place_after = self._compare(lines, new, start, stop, place, bad_lines, order)
                    # The line at `at` is the first that was not in its place, and has been dealt with.
                    hashes.extend(new[start:at])
                    if at < stop:
                        if len(order) > len(hashes):
                            hashes.append(new[at])
                        start, place = self._read_apart(lines, new, at + 1, place_after, bad_lines, order, hashes)
                        width = 1
                        _check(bad_lines, len(order) + self._passed)
                    else:
                        start, place = stop, place_after
                        width = min(2 * width, MOST_AT_A_TIME)
            for slot, value in self._learn_passed():
                order.append(self._read_value(slot, value))
                hashes.append(0)
        finally:
            self._slots_by_key = self._places = None
        repeated = self._repeated
        if order != self._order:
            repeated = self._compare_orders(hashes, order)
        self._forget_hashes(hashes, order, repeated)
        return Reading(self._values, self._moved, self._absent, repeated, hashes, order, set())

    def accept(self, reading: Reading) -> None:
        """Compare the next page with this one."""
        if reading.kept:
            # The same line may come from another process, of which it says something.
            for place, slot in enumerate(reading.order):
                if slot in reading.kept:
                    reading.hashes[place] = 0
        self._hashes, self._order = reading.hashes, reading.order
        self._repeated = reading.repeated
        self._values, self._moved, self._absent = array('d'), array('i'), bytearray()

    def unlearn(self, unlearned: Iterable[Slot]) -> None:
        """Have the lines of these samples learned again."""
        self._has_unlearned = True
        for slot in unlearned:
            self._slots.keys[slot] = UNLEARNED
            # Of several lines of a sample none has a hash.
            if (place := self._place_of(slot)) >= 0:
                self._hashes[place] = 0

    def _compare(
        self,
        lines: list[bytes],
        new: array[int],
        start: int,
        stop: int,
        place: int,
        bad_lines: Counter[str],
        order: array[int],
    ) -> tuple[int, int]:
        """Read lines from `start` up to the first that is not in its place, or to `stop`.

        Returns where that is, and the place on the page before of the line after it.
        """
        keys, values, moved, absent = self._slots.keys, self._values, self._moved, self._absent
        known = self._order[place : place + stop - start]
        before = self._hashes[place : place + stop - start]
        here = new[start:stop]
        if here == before:
            order.extend(known)
            return stop, place + stop - start
        if len(before) < len(here):
            before.extend(repeat(0, len(here) - len(before)))
        for offset in compress(count(), map(ne, here, before)):
            line = lines[start + offset]
            key, _, text = line.rpartition(b' ')
            slot = known[offset] if offset < len(known) else None
            if slot is not None and keys[slot] == hash(key) and b'_' not in text:
                try:
                    value = float(text)
                except ValueError:
                    value = ABSENT
                if 0.0 <= value <= LARGEST_COUNT:
                    values[slot], absent[slot] = value, 0
                    moved.append(slot)
                    continue
            read = self._try_to_read(line, slot, bad_lines)
            if read is None or read != slot:
                order.extend(known[:offset])
                if read is None:
                    # Not a sample: the place on the page before is still to come.
                    return start + offset, place + offset
                order.append(read)
                return start + offset, self._place_after(read, place + offset)
        order.extend(known)
        return stop, place + stop - start

    def _read_apart(
        self,
        lines: list[bytes],
        new: array[int],
        start: int,
        place: int,
        bad_lines: Counter[str],
        order: array[int],
        hashes: array[int],
    ) -> tuple[int, int]:
        """Read lines one by one from `start`, which follows one that was not in its place, until one is again.

        Returns where to go on comparing, and the place of that line on the page before.
        """
        hashes_before, order_before = self._hashes, self._order
        for at in range(start, len(lines)):
            expected = None
            if place < len(order_before):
                if new[at] == hashes_before[place]:
                    return at, place
                expected = order_before[place]
            read = self._try_to_read(lines[at], expected, bad_lines)
            if read is None:
                _check(bad_lines, len(order) + self._passed)
                continue
            order.append(read)
            hashes.append(new[at])
            if read == expected:
                return at + 1, place + 1
            place = self._place_after(read, place)
        return len(lines), place

    def _try_to_read(self, line: bytes, expected: Slot | None, bad_lines: Counter[str]) -> Slot | None:
        """Read a line, and count it if it is bad. Returns its slot if it is a sample."""
        try:
            return self._read(line, expected)
        except BadLineError as error:
            bad_lines[str(error)] += 1
            return None

    def _read(self, line: bytes, expected: Slot | None) -> Slot | None:
        """Read a line that has moved, is not in its plain form, or is new. Returns its slot if it is a sample to learn.

        Raises `BadLineError` when it cannot be read.
        """
        sample, _, text = line.rpartition(b' ')
        if text.replace(b'.', b'', 1).isdigit() and (bucket := self._learn_next_bucket(sample)) is not None:
            self._patience -= not self._slots.is_new[bucket]
            return self._read_value(bucket, float(text))
        line = line.strip()
        if not line:
            self._has_blanks = True
            return None
        if line.startswith(b'#'):
            self._read_comment(line)
            return None
        sample, text = split_sample(line)
        value = parse_value(text)
        slots = self._slots
        key = hash(sample)
        if expected is not None and slots.keys[expected] == key:
            slot = expected
        elif self._patience < 0 and (found := self.find(key)) is not None:
            slot = found
        else:
            # Raises all errors of a line before anything of it is remembered.
            learned = self._learn(sample, value)
            if learned is None:
                self._passed += 1
                return None
            slot = learned
            self._patience -= not slots.is_new[slot]
        return self._read_value(slot, value)

    def _read_value(self, slot: Slot, value: float) -> Slot:
        """Read the value of a sample, if it can be one."""
        slots = self._slots
        if slot == len(self._values):
            self._values.append(slots.last[slot])
            self._absent.append(0)
        if value != value or (slots.kinds[slot].is_count and not 0.0 <= value <= LARGEST_COUNT):
            # Nor that of an earlier line of the sample: the last one holds.
            self._values[slot], self._absent[slot] = slots.last[slot], NO_VALUE
            return slot
        self._values[slot], self._absent[slot] = value, 0
        self._moved.append(slot)
        return slot

    def find(self, key: int) -> Slot | None:
        """Return the slot of the sample whose text has this hash, if it is known."""
        slots = self._slots
        if self._slots_by_key is None:
            self._slots_by_key = dict(zip(slots.keys, count(), strict=False))
        found = self._slots_by_key.get(key)
        return found if found is not None and slots.keys[found] == key else None

    def note(self, key: int, slot: Slot) -> None:
        """Let a new sample be found by the hash of its text, which `find` did not know."""
        if self._slots_by_key is not None:
            self._slots_by_key[key] = slot

    def _place_after(self, slot: Slot, place: int) -> int:
        """Return the place after this sample's on the page before, or `place` if it is not known to have one."""
        if self._slots.is_new[slot]:
            return place
        order = self._order
        if self._patience >= 0:
            try:
                return order.index(slot, place, place + NEAR) + 1
            except ValueError:
                return place
        was_at = self._place_of(slot)
        return place if was_at < 0 else was_at + 1

    def _place_of(self, slot: Slot) -> int:
        """Return the last place of a sample on the page before, below zero if it has none."""
        if self._places is None:
            self._places = array('i', repeat(-1, len(self._slots)))
            for at, known in enumerate(self._order):
                self._places[known] = at
        return self._places[slot] if slot < len(self._places) else -1

    def _forget_hashes(self, hashes: array[int], order: array[int], repeated: frozenset[Slot]) -> None:
        """Let no line be taken for a known one that is not the only one, or that a later one unlearned.

        Which of several lines holds depends on those that come after it, so that each of them is read on each page.
        """
        keys = self._slots.keys
        if self._has_unlearned or repeated:
            for place, slot in enumerate(order):
                if slot in repeated or keys[slot] == UNLEARNED:
                    hashes[place] = 0

    def _compare_orders(self, hashes: array[int], order: array[int]) -> frozenset[Slot]:
        """Find the samples that the page leaves out, and return those that are on it more than once."""
        absent, self._absent = self._absent, self._slots.in_use()
        for slot in order:
            self._absent[slot] = absent[slot]
        if len(order) <= self._slots.samples - self._absent.count(LEFT_OUT):
            return frozenset()
        repeated = frozenset(slot for slot, lines in Counter(order).items() if lines > 1)
        self._let_last_lines_hold(repeated - self._repeated, hashes, order)
        return repeated

    def _let_last_lines_hold(self, repeated: frozenset[Slot], hashes: array[int], order: array[int]) -> None:
        """Give samples that had one line on the page before the value of it, if it is the last of those they have now.

        It was recognized and not read, unlike the lines before it.
        """
        known = {slot: line for line, slot in zip(self._hashes, self._order, strict=True) if slot in repeated}
        last = {slot: line for line, slot in zip(hashes, order, strict=True) if slot in repeated}
        for slot, line in last.items():
            if line and line == known.get(slot):
                self._values[slot], self._absent[slot] = self._slots.last[slot], self._slots.absent[slot]


def _check(bad_lines: Counter[str], samples: int) -> None:
    if bad_lines and bad_lines.total() > FEW_BAD_LINES + samples:
        raise NotMetricsError(NOT_AN_EXPOSITION)
