"""Totals from raw values, one rule at a time. `test_conservation.py` plays whole histories."""

from __future__ import annotations

from array import array
from math import isnan

import pytest

from datadog_checks.litellm.page.ledger import ABSENT, Ledger, Series

NOW = 1_000.0
DATE = 1_795_300_000.0


class Watch:
    """A ledger that follows one counter, whose time of creation is in the slot after it."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.series = Series()
        self.series.slots, self.series.created_slot = [0], 1
        self.ledger.add(self.series)
        self.ledger.add(None)

    def read(self, raw: float, created: float = ABSENT, after: float = 15.0, ahead: float = 0.0) -> float:
        """Return the counter's total on the next page, which a process with a clock `ahead` of the others sends."""
        pages, ledger = self.ledger.pages, self.ledger
        values = array('d', [raw, created])
        now = NOW + after * pages
        ledger.recognize([self.series], values, DATE + after * pages + ahead, now, since=now)
        total = next(ledger.settle(values))
        ledger.close_page(values)
        return total


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_total_is_the_raw_value_while_nothing_happens_to_the_counter(watch: Watch) -> None:
    assert [watch.read(raw, DATE - 60) for raw in (3, 5, 5, 8)] == [3, 5, 5, 8]


def test_a_decrease_without_times_of_creation_is_a_new_start(watch: Watch) -> None:
    assert [watch.read(raw) for raw in (3, 5, 2, 4)] == [3, 5, 7, 9]


def test_a_sum_that_falls_within_one_incarnation_is_no_new_start(watch: Watch) -> None:
    assert [watch.read(raw, DATE - 60) for raw in (3, 5, 4, 6)] == [3, 5, 5, 7]


def test_a_process_that_started_over_counts_from_zero_even_to_a_higher_value(watch: Watch) -> None:
    watch.read(3, DATE - 60)

    assert watch.read(5, DATE + 10) == 8
    assert not watch.ledger.several_processes


def test_an_older_process_is_where_counting_starts_and_shows_that_there_are_several(watch: Watch) -> None:
    watch.read(3, DATE - 60)

    assert watch.read(500, DATE - 120) == 3
    assert watch.read(504, DATE - 120) == 7
    assert watch.ledger.several_processes


def test_a_process_that_returns_goes_on_from_its_own_value(watch: Watch) -> None:
    watch.read(3, DATE - 60)
    watch.read(500, DATE - 120)

    assert watch.read(4, DATE - 60) == 4
    assert watch.read(501, DATE - 120) == 5


@pytest.mark.parametrize('created', [ABSENT, DATE + 10])
def test_a_sum_that_is_negative_after_a_new_start_is_no_value_until_it_rises_above_zero(
    created: float, watch: Watch
) -> None:
    watch.read(100)
    watch.read(101, DATE - 60)

    assert all(map(isnan, (watch.read(raw, created) for raw in (-5, -4, -6))))
    assert watch.read(3, created) == 104


def test_a_sum_that_fell_while_another_process_answered_adds_nothing(watch: Watch) -> None:
    watch.read(30, DATE - 60)
    watch.read(500, DATE - 120)

    assert watch.read(29, DATE - 60) == 30


@pytest.mark.parametrize('raws', [(51.1, 9.3, 0.0079), (31.27, 7.5252, 8.9104), (0.0, 3.9, 0.9715), (0.3, 1e17, 0.7)])
def test_rounding_never_makes_a_total_fall(raws: tuple[float, ...], watch: Watch) -> None:
    """The Agent would take it for a new start and count the whole total again."""
    totals = [watch.read(raw, DATE - 60) for raw in raws]

    assert totals == sorted(totals)


def test_a_number_that_is_none_is_no_value(watch: Watch) -> None:
    watch.read(3)
    watch.read(float('inf'))

    assert watch.read(5) == 5


def test_what_is_left_out_for_long_may_be_forgotten(watch: Watch) -> None:
    watch.read(3, DATE - 60)
    for _ in range(5):
        assert watch.ledger.left_out() == set()
        watch.read(ABSENT)

    assert watch.ledger.left_out() == {0, 1}


def test_an_incarnation_born_just_before_the_first_page_is_not_young(watch: Watch) -> None:
    """`Date` has whole seconds, so it may be before what its page shows."""
    watch.read(3, DATE + 0.9)

    assert not watch.ledger.is_young(watch.series)


def test_an_incarnation_that_was_forgotten_is_not_young_when_it_returns(watch: Watch) -> None:
    watch.read(3, DATE - 60)
    watch.read(5, DATE + 10)
    assert watch.ledger.is_young(watch.series)
    for _ in range(6):
        watch.read(ABSENT)

    watch.ledger.forget(watch.ledger.left_out(), [watch.series])

    assert not watch.ledger.is_young(watch.series)


def test_what_other_processes_hold_is_forgotten_by_the_clock_that_it_came_to_be_on(watch: Watch) -> None:
    behind = -420.0
    watch.read(3, DATE - 60)
    assert watch.read(5, DATE + behind + 10, ahead=behind) == 8
    for _ in range(101):
        assert watch.read(3, DATE - 60) == 8

    watch.ledger.forget(set(), [watch.series])

    assert watch.read(5, DATE + behind + 10, ahead=behind) == 8


@pytest.mark.parametrize('ahead', [-420.0, 420.0])
def test_forgetting_what_one_clock_stamped_keeps_what_another_stamps_later(watch: Watch, ahead: float) -> None:
    watch.read(3, DATE - 60 + ahead, ahead=ahead)
    for _ in range(6):
        watch.read(ABSENT)

    watch.ledger.forget(watch.ledger.left_out(), [watch.series])

    assert watch.read(5, DATE + 100) == 8
