"""Believe, of shared state, what the worker says that changed it last, in multiprocess mode.

Prometheus' client takes only `live*` gauges of an ended worker off the page: LiteLLM's budgets and states stay, under
its `pid`, until the proxy restarts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import AgentModel
from tests.support.simulated_proxy import PageServer

STATE = 'litellm_deployment_state'
BUDGET = 'litellm_remaining_team_budget_metric'
IN_FLIGHT = 'litellm_in_flight_requests'

# By the labels of a sample: its value.
Samples = dict[str, float]


class Watch:
    """A check of a page that shows whatever a test lets it show."""

    def __init__(self, server: PageServer, **options: Any) -> None:
        self._server = server
        self._agent = AgentModel()
        self._check = LitellmCheck(
            'litellm', {}, [{'openmetrics_endpoint': server.url, 'tag_by_endpoint': False, **options}]
        )

    def see(self, family: str, samples: Samples) -> dict[tuple[str, ...], float]:
        """Return the gauges that a page with these samples becomes, by their tags."""
        lines = [f'{family}{{{labels}}} {value}' for labels, value in samples.items()]
        self._server.page = '\n'.join([f'# TYPE {family} gauge', *lines, ''])
        flush = self._agent.run(self._check)
        assert not flush.error
        return {tuple(sorted(context.tags)): value for context, value in flush.gauges.items()}


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


def test_a_worker_that_was_killed_in_an_outage_does_not_hold_the_state(server: PageServer) -> None:
    watch = Watch(server)
    healthy = {'model_id="a",pid="1"': 0.0, 'model_id="a",pid="2"': 0.0}
    outage = {'model_id="a",pid="1"': 1.0, 'model_id="a",pid="2"': 1.0}
    # The first is killed, a third takes its place, and the provider is back.
    recovered = {'model_id="a",pid="1"': 1.0, 'model_id="a",pid="2"': 0.0, 'model_id="a",pid="3"': 0.0}

    assert [watch.see(STATE, page) for page in (healthy, outage, recovered)] == [
        {('model_id:a',): 0.0},
        {('model_id:a',): 1.0},
        {('model_id:a',): 0.0},
    ]


def test_a_budget_that_was_reset_recovers_whatever_a_dead_worker_had_seen(server: PageServer) -> None:
    watch = Watch(server)
    spent = {'team="t",pid="1"': 2.0, 'team="t",pid="2"': 2.0}
    reset = {'team="t",pid="1"': 2.0, 'team="t",pid="2"': 100.0}

    assert watch.see(BUDGET, spent) == {('team:t',): 2.0}
    assert watch.see(BUDGET, reset) == {('team:t',): 100.0}
    # What has not changed since is still what holds.
    assert watch.see(BUDGET, reset) == {('team:t',): 100.0}


def test_as_long_as_no_worker_has_changed_it_the_worst_holds(server: PageServer) -> None:
    watch = Watch(server)
    page = {'model_id="a",pid="1"': 1.0, 'model_id="a",pid="2"': 0.0}

    assert [watch.see(STATE, page) for _ in range(3)] == [{('model_id:a',): 1.0}] * 3


def test_of_workers_that_changed_it_between_the_same_two_pages_the_worst_holds(server: PageServer) -> None:
    watch = Watch(server)
    watch.see(STATE, {'model_id="a",pid="1"': 0.0, 'model_id="a",pid="2"': 0.0, 'model_id="a",pid="3"': 2.0})

    changed = {'model_id="a",pid="1"': 1.0, 'model_id="a",pid="2"': 0.5, 'model_id="a",pid="3"': 2.0}

    assert watch.see(STATE, changed) == {('model_id:a',): 1.0}


def test_a_new_worker_knows_best_from_its_first_value_on(server: PageServer) -> None:
    watch = Watch(server)
    watch.see(STATE, {'model_id="a",pid="1"': 1.0})

    assert watch.see(STATE, {'model_id="a",pid="1"': 1.0, 'model_id="a",pid="2"': 0.0}) == {('model_id:a',): 0.0}


def test_what_each_worker_holds_for_itself_is_summed(server: PageServer) -> None:
    watch = Watch(server)
    watch.see(IN_FLIGHT, {'pid="1"': 3.0, 'pid="2"': 4.0})

    assert watch.see(IN_FLIGHT, {'pid="1"': 3.0, 'pid="2"': 5.0}) == {(): 8.0}


def test_another_label_set_that_was_merged_with_it_keeps_its_say(server: PageServer) -> None:
    """The key with the least left decides, whichever worker wrote it and whoever changed another key."""
    watch = Watch(server, exclude_labels=['hashed_api_key'])
    family = 'litellm_remaining_api_key_budget_metric'
    watch.see(family, {'hashed_api_key="a",pid="1"': 5.0, 'hashed_api_key="b",pid="1"': 50.0})

    page = {'hashed_api_key="a",pid="1"': 5.0, 'hashed_api_key="b",pid="1"': 50.0, 'hashed_api_key="b",pid="2"': 40.0}

    assert watch.see(family, page) == {(): 5.0}


def test_when_the_worker_that_changed_it_last_is_off_the_page_the_others_hold(server: PageServer) -> None:
    watch = Watch(server)
    watch.see(STATE, {'model_id="a",pid="1"': 1.0})
    watch.see(STATE, {'model_id="a",pid="1"': 1.0, 'model_id="a",pid="2"': 0.0})

    assert watch.see(STATE, {'model_id="a",pid="1"': 1.0}) == {('model_id:a',): 1.0}
