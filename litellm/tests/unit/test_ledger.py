"""Work out what happened from raw values, one rule at a time. `test_conservation.py` plays whole histories."""

from __future__ import annotations

import math
from array import array

import pytest

from datadog_checks.litellm.page.ledger import FORGET_AFTER, PARKED_PAGES, Ledger, Times
from datadog_checks.litellm.page.recognition import Reading
from datadog_checks.litellm.page.slots import (
    ABSENT,
    LEFT_OUT,
    NO_VALUE,
    Family,
    Metric,
    SampleKind,
    Series,
    Slots,
    TagSet,
)

NOW = 1_000.0
DATE = 1_795_300_000.0


class Watch:
    """A ledger that follows one counter, the time of its creation, and a counter that always stays as it was."""

    def __init__(self) -> None:
        self.slots = Slots()
        self.ledger = Ledger(self.slots)
        family = Family('requests', 'counter', 'requests')
        count = SampleKind(family, Metric('requests.count'), 0)
        created = SampleKind(family, None, 0, is_created=True)
        self.series = Series(TagSet([], ''), 0)
        self.slots.add(1, count, self.series)
        self.series.slots.append(0)
        self.series.created_slot = self.slots.add(2, created, self.series)
        self.time = 0.0

    def read(
        self,
        raw: float,
        created: float = ABSENT,
        after: float = 15.0,
        ahead: float = 0.0,
        date: float | None = None,
        took: float = 0.0,
    ) -> float:
        """Return what the counter has counted on the next page, which a process with a clock `ahead` sends."""
        values = array('d', self.slots.last)
        moved, absent = array('i'), bytearray(len(self.slots))
        for slot, value in enumerate((raw, created)):
            if math.isnan(value) or math.isinf(value):
                absent[slot] = LEFT_OUT if math.isnan(value) else NO_VALUE
            elif value != values[slot]:
                values[slot] = value
                moved.append(slot)
        reading = Reading(values, moved, absent, frozenset(), array('q'), array('i'), set())
        asked = NOW + self.time
        date = DATE + self.time + ahead if date is None else date
        increments = self.ledger.settle(reading, Times(asked, asked + took, date), unread=0)
        self.slots.last, self.slots.absent = values, absent
        self.slots.settle()
        self.time += after
        return increments.get(0, 0.0)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_what_happened_is_what_a_value_has_beyond_the_last(watch: Watch) -> None:
    assert [watch.read(raw, DATE - 60) for raw in (3, 5, 5, 8)] == [0, 2, 0, 3]


def test_a_decrease_without_times_of_creation_is_a_new_start(watch: Watch) -> None:
    assert [watch.read(raw) for raw in (3, 5, 2, 4)] == [0, 2, 2, 2]


def test_what_tells_of_its_creation_only_after_a_new_start_counts_from_there(watch: Watch) -> None:
    assert [watch.read(100), watch.read(0), watch.read(1, DATE - 60), watch.read(3, DATE - 60)] == [0, 0, 1, 2]


def test_what_falls_within_one_incarnation_counts_again_only_beyond_where_it_was(watch: Watch) -> None:
    """Two caches serve pages of different age by turns, or a sum has observed something negative."""
    assert [watch.read(raw, DATE - 60) for raw in (3, 5, 4, 6, 5, 7)] == [0, 2, 0, 1, 0, 1]


def test_a_process_that_started_over_counts_from_zero_even_to_a_higher_value(watch: Watch) -> None:
    watch.read(3, DATE - 60)

    assert watch.read(5, DATE + 10) == 5
    assert not watch.ledger.several_processes


def test_an_older_process_is_where_counting_starts_and_shows_that_there_are_several(watch: Watch) -> None:
    watch.read(3, DATE - 60)

    assert watch.read(500, DATE - 120) == 0
    assert watch.read(504, DATE - 120) == 4
    assert watch.ledger.several_processes


def test_a_process_that_returns_goes_on_from_its_own_value(watch: Watch) -> None:
    watch.read(3, DATE - 60)
    watch.read(500, DATE - 120)

    assert watch.read(4, DATE - 60) == 1
    assert watch.read(501, DATE - 120) == 1


def test_what_fell_while_another_process_answered_adds_nothing(watch: Watch) -> None:
    watch.read(30, DATE - 60)
    watch.read(500, DATE - 120)

    assert watch.read(29, DATE - 60) == 0
    assert watch.read(31, DATE - 60) == 1


def test_nothing_is_rounded_away_in_the_long_run(watch: Watch) -> None:
    total, raw = 0.0, 0.1
    watch.read(raw, DATE - 60)
    for number in range(10_000):
        raw += 0.1 + number * 1e-4
        total += watch.read(raw, DATE - 60)

    assert total == pytest.approx(raw - 0.1, rel=1e-9)


def test_no_number_is_no_value(watch: Watch) -> None:
    watch.read(3)

    assert watch.read(float('inf')) == 0
    assert watch.read(5) == 2


def test_what_is_left_out_for_long_may_be_forgotten(watch: Watch) -> None:
    watch.read(3, DATE - 60)
    for _ in range(FORGET_AFTER):
        assert watch.ledger.left_out() == bytes(2)
        watch.read(ABSENT)

    assert watch.ledger.left_out() == b'\1\1'


def test_what_is_on_the_page_without_a_number_is_not_forgotten(watch: Watch) -> None:
    """It would be learned anew with the next page."""
    watch.read(3, DATE - 60)
    for _ in range(2 * FORGET_AFTER):
        watch.read(math.inf)

    assert watch.ledger.left_out() == b'\0\1'


def test_an_incarnation_from_just_before_the_first_page_does_not_count(watch: Watch) -> None:
    """`Date` has whole seconds, so it may be before what its page shows."""
    assert watch.read(3, DATE + 0.9) == 0


def test_an_incarnation_that_may_be_older_than_the_request_for_the_first_page_does_not_count(watch: Watch) -> None:
    """An answer that takes 20 seconds may have been made, and dated, at the start of them or at their end."""
    assert watch.read(3, DATE - 5, took=20.0, date=DATE) == 0


def test_a_process_that_is_no_longer_remembered_does_not_count_again(watch: Watch) -> None:
    behind = -420.0
    watch.read(3, DATE - 60)
    assert watch.read(5, DATE + behind + 10, ahead=behind) == 5
    for _ in range(PARKED_PAGES + 1):
        assert watch.read(3, DATE - 60) == 0

    watch.ledger.forget_parked([watch.series], bytes(2))

    assert watch.series.parked is None
    assert watch.read(5, DATE + behind + 10, ahead=behind) == 0


@pytest.mark.parametrize('step', [-3600.0, 3600.0, 100 * 86400.0])
def test_a_series_that_comes_back_in_a_known_process_counts_whatever_its_clock_does(step: float, watch: Watch) -> None:
    """Another series of the process is still on the page, so no clock is needed."""
    family = Family('tokens', 'counter', 'tokens')
    other = Series(TagSet([], ''), 0)
    other.created_slot = watch.slots.add(3, SampleKind(family, None, 0, is_created=True), other)
    other.created = watch.slots.last[other.created_slot] = DATE - 60
    watch.read(3, DATE - 60)

    assert watch.read(5, DATE + step + 10, ahead=step) == 5
    assert not watch.ledger.several_processes


def test_one_page_of_a_seemingly_older_process_is_no_lasting_evidence(watch: Watch) -> None:
    watch.read(3, DATE - 60)
    watch.read(5, DATE - 120)
    assert watch.ledger.several_processes
    for _ in range(PARKED_PAGES):
        watch.read(5, DATE - 120)

    assert not watch.ledger.several_processes


def test_processes_that_take_turns_are_evidence_as_long_as_they_do(watch: Watch) -> None:
    for number in range(200):
        watch.read(3, DATE - 60 - number % 2)
        assert number < 2 or watch.ledger.several_processes
    for _ in range(PARKED_PAGES + 1):
        watch.read(3, DATE - 60)

    assert not watch.ledger.several_processes


def test_levels_that_alternate_are_not_added_up(watch: Watch) -> None:
    """Pods in multiprocess mode behind one URL: nothing but their values tells them apart."""
    counted = sum(watch.read(raw) for raw in (100, 50, 110, 60, 120, 70, 130, 80))
    assert watch.ledger.levels_alternate

    # Before the second turn they look like a proxy that restarts: that is set off against what happens next.
    for number in range(1, 40):
        counted += watch.read(130 + 10 * number)
        counted += watch.read(80 + 10 * number)
    assert counted == (520 - 100) + (470 - 50)


def test_two_restarts_are_not_taken_for_levels_that_alternate(watch: Watch) -> None:
    assert [watch.read(raw) for raw in (100, 50, 120, 20, 60)] == [0, 50, 70, 20, 40]
    assert not watch.ledger.levels_alternate
