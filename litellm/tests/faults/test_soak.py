"""The beginning of `make soak`, which is too short to tell flat memory from memory that grows slowly."""

from __future__ import annotations

from tests.support.soak import soak


def test_counts_stay_exact_and_nothing_stays_open_while_users_come_and_go() -> None:
    result = soak(60)

    assert result.wrong == {}
    assert result.events > 10_000
    assert result.failed == 2
    assert (result.end.descriptors, result.end.threads) == (result.settled.descriptors, result.settled.threads)
