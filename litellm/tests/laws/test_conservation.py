"""Hold that what happened after the first scrape is what reaches Datadog: no event lost, none counted twice.

Every history of `support/histories.py` is a law: it tells how many requests Datadog must show at its end, counted by
hand. Beyond that one number *every* context of every count must hold exactly the events of the series that share it, as
the simulation knows them. The same histories are then played to the base package's own scraper, which breaks most.

The numbers compared are those that the Agent would flush, see `agent_model`.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.metrics import GAUGES, NO_LIMIT
from tests.support.agent_model import Context
from tests.support.histories import HISTORIES, SEVEN_MINUTES, History, case
from tests.support.passing import passing_at_once
from tests.support.simulated_proxy import Cut, SimulatedProxy
from tests.support.stock_check import StockCheck
from tests.support.watch import REQUESTS, WORKERS, Watch, only, play_step, steps, true_counts

SPEND = 'litellm_spend_metric'
IN_FLIGHT = 'litellm_in_flight_requests'

FIFTEEN_MINUTES = 900.0


@pytest.mark.parametrize('skew', [-SEVEN_MINUTES, 0.0, SEVEN_MINUTES], ids=['behind', 'in step', 'ahead'])
@pytest.mark.parametrize('exposition', ['text', 'OpenMetrics'])
@pytest.mark.parametrize('one', HISTORIES, ids=case)
def test_every_event_reaches_datadog_exactly_once(one: History, exposition: str, skew: float) -> None:
    """The proxy's clock may be ahead of the Agent's or behind, and its `Date` header almost a second old."""
    with SimulatedProxy(**one.proxy, skew=skew, date_lag=0.9) as proxy:
        watch = Watch(proxy, LitellmCheck, **one.options, use_latest_spec=exposition == 'OpenMetrics')
        requests = one.play(proxy, watch)
        assert watch.counts() == true_counts(proxy, one.tags_of)
        assert watch.requests() == requests


@pytest.mark.parametrize('one', [one for one in HISTORIES if one.stock == 'is wrong'], ids=case)
def test_the_stock_scraper_loses_or_invents_events(one: History) -> None:
    with SimulatedProxy(**one.proxy) as proxy:
        watch = Watch(proxy, StockCheck, **one.options)
        one.play(proxy, watch)
        assert watch.counts() != true_counts(proxy, one.tags_of)


@pytest.mark.parametrize('one', [one for one in HISTORIES if one.stock == 'is right'], ids=case)
def test_the_stock_scraper_is_right_where_neither_fault_is_in_play(one: History) -> None:
    """Keep the harness honest: it does not blame the stock scraper for what it does well."""
    with SimulatedProxy(**one.proxy) as proxy:
        watch = Watch(proxy, StockCheck, **one.options)
        one.play(proxy, watch)
        assert watch.counts() == true_counts(proxy, one.tags_of)


@given(
    before=st.lists(steps.filter(lambda step: step[0] in ('count', 'observe')), max_size=8),
    after=st.lists(steps, max_size=40),
    dropped=st.sampled_from([[], ['key'], ['key', 'model']]),
    skew=st.sampled_from([-SEVEN_MINUTES, 0.0, SEVEN_MINUTES]),
    date_lag=st.floats(0, 1),
    openmetrics=st.booleans(),
    pass_at_once=st.booleans(),
)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_event_of_a_random_history_reaches_datadog_exactly_once(
    before: list[Any],
    after: list[Any],
    dropped: list[str],
    skew: float,
    date_lag: float,
    openmetrics: bool,
    pass_at_once: bool,
) -> None:
    with SimulatedProxy(WORKERS, skew=skew, date_lag=date_lag) as proxy, passing_at_once(pass_at_once):
        watch = Watch(proxy, LitellmCheck, exclude_labels=dropped, use_latest_spec=openmetrics)
        for step in before:
            play_step(proxy, watch, step)
        watch.scrape()
        for step in after:
            play_step(proxy, watch, step)
        for worker in range(WORKERS):
            watch.scrape(worker)
        kept = only(*({'model', 'key'} - set(dropped)))
        assert watch.counts() == true_counts(proxy, kept)


def test_a_failed_scrape_submits_no_counts() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck)
        watch.scrape_after(40)
        proxy.count(REQUESTS, 40, model='b')
        assert watch.scrape(fault=Cut(0.9)).counts == {}


def test_a_page_that_fails_is_not_remembered() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck)
        watch.scrape_after(40)
        slots = watch.check.scrapers[proxy.url]._table.slots
        samples = len(slots)
        for model in 'bcdefgh':
            proxy.count(REQUESTS, 1, model=model)
        watch.fail(Cut(0.9))
        assert len(slots) == samples


def test_a_worker_that_returns_after_a_long_time_is_not_counted_twice() -> None:
    """Losing what it counted meanwhile is allowed: nothing can be remembered for ever."""
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck)
        watch.scrape_after(35)
        watch.scrape_after(7, worker=1)
        for _ in range(200):
            proxy.clock.advance(600)
            watch.scrape(worker=0)
        watch.scrape_after(2, worker=1)
        assert 7 <= watch.requests() <= 7 + 2


@pytest.mark.parametrize('scrapes', [85, 95, 105])
def test_a_worker_that_returns_after_many_long_intervals_causes_no_spike(scrapes: int) -> None:
    """Around the number of pages after which a worker is forgotten, at the longest usual interval."""
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for series in range(40):
            proxy.count(REQUESTS, 35, worker=0, model=f'{series}')
        proxy.count(REQUESTS, 1000, worker=1, model='a')
        watch.scrape(worker=0)
        watch.scrape(worker=1)
        watch.scrape_after(2, worker=1)
        for _ in range(scrapes):
            proxy.clock.advance(FIFTEEN_MINUTES - 15)
            watch.scrape(worker=0)
        watch.scrape(worker=1)
        assert watch.requests() == 2


def test_what_shares_a_context_adds_up_when_one_of_it_is_forgotten() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck, exclude_labels=['key'])
        watch.scrape()
        for key, spend in (('1', 0.1), ('2', 0.1), ('3', 0.4)):
            proxy.count(SPEND, spend, key=key)
        watch.scrape()
        proxy.forget(SPEND, key='3')
        for _ in range(12):
            watch.scrape()
        assert watch.agent.total('litellm.spend.metric.count') == pytest.approx(0.6)


# Gauges: series that share a context become one value, by what the gauge means.


def test_each_gauge_of_a_shared_context_is_reduced_by_what_it_means() -> None:
    with SimulatedProxy() as proxy:
        for family in GAUGES:
            for key, value in (('1', 3), ('2', 5), ('3', 4)):
                proxy.set(family, value, team='red', key=key)
        watch = Watch(proxy, LitellmCheck, exclude_labels=['key'])
        watch.scrape()
        expected = {}
        for gauge in GAUGES.values():
            expected[f'litellm.{gauge.name}'] = gauge.reduction(gauge.reduction(3, 5), 4)
        reduced = {context.name: value for context, value in watch.agent.gauges.items() if 'team:red' in context.tags}
        assert reduced == expected


def test_the_stock_scraper_keeps_the_last_gauge_of_a_shared_context() -> None:
    with SimulatedProxy() as proxy:
        for key, value in (('1', 3), ('2', 5), ('3', 4)):
            proxy.set(IN_FLIGHT, value, key=key)
        watch = Watch(proxy, StockCheck, exclude_labels=['key'])
        watch.scrape()
        assert watch.agent.gauge('litellm.in_flight_requests') == 4


@pytest.mark.parametrize('no_limit', sorted(NO_LIMIT))
def test_no_limit_takes_no_part_in_a_reduction(no_limit: float) -> None:
    with SimulatedProxy() as proxy:
        for family in ('litellm_remaining_team_budget_metric', 'litellm_team_max_budget_metric'):
            for key, value in (('1', no_limit), ('2', 5), ('3', no_limit)):
                proxy.set(family, value, key=key)
        watch = Watch(proxy, LitellmCheck, exclude_labels=['key'])
        watch.scrape()
        assert watch.agent.gauge('litellm.remaining.team_budget.metric') == 5
        assert watch.agent.gauge('litellm.team.max_budget.metric') == 5


def test_nan_takes_no_part_in_a_reduction() -> None:
    with SimulatedProxy() as proxy:
        for key, value in (('1', float('nan')), ('2', 5), ('3', float('nan'))):
            proxy.set(IN_FLIGHT, value, key=key)
        watch = Watch(proxy, LitellmCheck, exclude_labels=['key'])
        watch.scrape()
        assert watch.agent.gauge('litellm.in_flight_requests') == 5


def test_pid_is_not_a_tag_and_workers_gauges_are_reduced() -> None:
    with SimulatedProxy(multiprocess=True) as proxy:
        for pid, value in (('101', 3), ('102', 5)):
            proxy.set(IN_FLIGHT, value, pid=pid)
            proxy.set('litellm_remaining_requests_metric', value, pid=pid, model='a')
        watch = Watch(proxy, LitellmCheck)
        watch.scrape()
        assert watch.agent.gauges == {
            Context('litellm.in_flight_requests', frozenset()): 8,
            Context('litellm.remaining_requests.metric', frozenset({'model:a'})): 3,
        }


def test_the_gauge_of_a_dead_worker_ends_with_its_series() -> None:
    with SimulatedProxy(multiprocess=True) as proxy:
        proxy.set(IN_FLIGHT, 3, pid='101')
        proxy.set(IN_FLIGHT, 5, pid='102')
        watch = Watch(proxy, LitellmCheck)
        watch.scrape()
        proxy.forget(IN_FLIGHT, pid='102')
        watch.scrape()
        assert watch.agent.gauge('litellm.in_flight_requests') == 3


# What the user is told.


def test_the_user_is_told_in_every_run_that_several_processes_answer() -> None:
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for worker in (0, 1):
            proxy.count(REQUESTS, 5, worker, model='a')
        for _ in range(5):
            watch.scrape(worker=0)
            watch.scrape(worker=1)
        # All but the first, which has seen one process only.
        assert len(watch.warnings) == 9
        assert all('several processes' in warning.lower() for warning in watch.warnings)


@pytest.mark.parametrize('multiprocess', [False, True], ids=['single process', 'multiprocess mode'])
def test_a_restart_is_not_taken_for_several_processes(multiprocess: bool) -> None:
    with SimulatedProxy(multiprocess=multiprocess) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for _ in range(4):
            watch.scrape_after(5)
            watch.scrape()
            proxy.restart()
        assert watch.warnings == []


def test_series_that_expire_and_come_back_are_not_taken_for_several_processes() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck)
        proxy.count(REQUESTS, 5, model='always')
        for _ in range(4):
            watch.scrape_after(5, model='comes and goes')
            proxy.forget(REQUESTS, model='comes and goes')
            watch.scrape()
        assert watch.warnings == []
