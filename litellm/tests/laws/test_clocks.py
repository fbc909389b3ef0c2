"""Count once what happened, whatever clocks say, and in full where a page tells which process it is of.

The clocks of processes, of the Agent's host and of a gateway are wrong by any amount and are set while they go; `Date`
is missing, odd or of a gateway; answers are late, or come out of a cache with their `Age`. Histories are random.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.page import archive, ledger
from tests.support.clocks import ANY_CLOCK, CACHES, HONEST_CLOCKS, counts_between, play, skews, steps_of
from tests.support.simulated_proxy import SimulatedProxy
from tests.support.watch import REQUESTS, TOKENS, Watch

WORKERS = 3
EVER = math.inf
HOUR = 3600.0

# An answer takes no longer than that on its way in any of these histories: twenty seconds twice.
SLOWEST = 40.0
# By how much a `Date` may be behind, see `ledger`.
DATE_IS_BEHIND = 5.0

a_few = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def _watch_at(proxy: SimulatedProxy) -> Watch:
    return Watch(proxy, LitellmCheck, collect_readiness=False)


@given(skew=skews, steps=steps_of(1, *ANY_CLOCK, *CACHES))
@a_few
def test_no_clock_makes_a_difference_to_one_process(skew: float, steps: list[Any]) -> None:
    with SimulatedProxy(skew=skew, date_lag=0.9) as proxy:
        watch = _watch_at(proxy)
        proxy.count(TOKENS, 1, model='always')
        watch.scrape()
        play(proxy, watch, steps)
        watch.scrape()

        assert counts_between(proxy, watch, earlier=0, later=0) == {}
        assert watch.warnings == []


@pytest.mark.parametrize('ahead', [-HOUR, HOUR])
def test_the_clock_of_a_gateway_makes_no_difference_to_series_that_come_and_go_for_long(ahead: float) -> None:
    with SimulatedProxy() as proxy:
        proxy.gateway_ahead = ahead
        watch = _watch_at(proxy)
        proxy.count(TOKENS, 1, model='always')
        watch.scrape()
        for _ in range(15):
            watch.scrape_after(7)
            proxy.forget(REQUESTS, model='a')
            watch.scrape()

        assert watch.requests() == 15 * 7


@given(skew=st.lists(skews, min_size=WORKERS, max_size=WORKERS), steps=steps_of(WORKERS, 'restart', *HONEST_CLOCKS))
@a_few
def test_workers_that_restart_count_in_full_on_clocks_that_differ_by_any_amount(
    skew: list[float], steps: list[Any]
) -> None:
    """Allow what came to be in the time of the first answers to be lost, or the few seconds of a `Date` too much."""
    with SimulatedProxy(WORKERS, skews=skew, date_lag=0.9) as proxy:
        watch = _watch_at(proxy)
        play(proxy, watch, [('scrape all', range(WORKERS)), *steps, ('scrape all', range(WORKERS))])

        assert counts_between(proxy, watch, earlier=DATE_IS_BEHIND, later=SLOWEST) == {}


LITTLE_MEMORY = ((ledger, 'MANY', 3), (ledger, 'FORGET_AFTER', 2), (ledger, 'PARKED_PAGES', 8), (archive, 'FEW', 4))


@pytest.mark.parametrize('memory', [LITTLE_MEMORY, ()], ids=['little', 'usual'])
@given(
    skew=st.lists(skews, min_size=WORKERS, max_size=WORKERS),
    steps=steps_of(WORKERS, 'restart', 'scrape', 'scrape', *ANY_CLOCK),
)
@a_few
def test_nothing_counts_twice_whatever_clocks_say_and_however_little_is_remembered(
    memory: tuple[tuple[Any, str, int], ...], skew: list[float], steps: list[Any]
) -> None:
    """Here even what had happened before may count, once: a clock that was set back makes it younger."""
    with pytest.MonkeyPatch.context() as patch, SimulatedProxy(WORKERS, skews=skew) as proxy:
        for module, name, value in memory:
            patch.setattr(module, name, value)
        watch = _watch_at(proxy)
        play(proxy, watch, [*steps, ('scrape all', range(WORKERS))])

        assert counts_between(proxy, watch, earlier=EVER, later=EVER) == {}


@given(skew=skews, steps=steps_of(1, 'restart', *HONEST_CLOCKS))
@a_few
def test_restarts_are_no_several_processes_whatever_the_time_is_at_the_proxy(skew: float, steps: list[Any]) -> None:
    with SimulatedProxy(skew=skew, date_lag=0.9) as proxy:
        watch = _watch_at(proxy)
        play(proxy, watch, [('scrape', 0), *steps])

        assert watch.warnings == []


@given(skew=skews, steps=steps_of(1, 'restart', *ANY_CLOCK, *CACHES))
@a_few
def test_one_process_is_not_taken_for_several_for_good(skew: float, steps: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch, SimulatedProxy(skew=skew) as proxy:
        patch.setattr(ledger, 'RETURN_LASTS', 10)
        watch = _watch_at(proxy)
        play(proxy, watch, [*steps, *[('scrape', 0)] * ledger.AGE_LASTS])
        watch.warnings.clear()
        watch.scrape()

        assert watch.warnings == []
