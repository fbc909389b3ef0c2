"""The zeros of counts that did not move, and when they are sent: with each choice of `idle_counts`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import recorded
from tests.support.simulated_proxy import Clock, PageServer
from tests.support.watch import LATENCY, REQUESTS

# Seconds in which a count that moved has a zero in every run, and in which any other has one.
STAYS_WARM = 600
ROTATION = 300

# Enough contexts for their turns to be spread over the runs of a rotation.
TEAMS = [f'team{n}' for n in range(40)]


class Runs:
    """Runs of a check at pages that a test writes, with what each submits of counts."""

    def __init__(self, server: PageServer, every: float = 15, **options: Any) -> None:
        self._server = server
        self._clock = Clock()
        self._every = every
        instance = {'openmetrics_endpoint': server.url, 'collect_readiness': False, 'tag_by_endpoint': False}
        self._check = LitellmCheck('litellm', {}, [{**instance, **options}])

    def run(self, *lines: str, family: str = f'{REQUESTS}_total', type_: str = 'counter') -> dict[str, list[float]]:
        """Return the values that are submitted, by the tags."""
        self._clock.advance(self._every)
        self._server.page = f'# TYPE {family} {type_}\n' + ''.join(f'{line}\n' for line in lines)
        with self._clock.is_the_time(), recorded() as submissions:
            assert not self._check.run()
        submitted: defaultdict[str, list[float]] = defaultdict(list)
        for sample in submissions.samples:
            if sample.type == 'count':
                submitted[' '.join(sample.tags)].append(sample.value)
        return dict(submitted)

    def count(self, counted: Mapping[str, float]) -> dict[str, list[float]]:
        """Run at a page with a counter of each team, and return the values that are submitted."""
        submitted = self.run(*(f'{REQUESTS}_total{{team="{team}"}} {value}' for team, value in counted.items()))
        return {tags.removeprefix('team:'): values for tags, values in submitted.items()}

    def observe(self, *values: float) -> dict[str, list[float]]:
        """Run at a page with a histogram, and return the values that are submitted, by their upper bound."""
        bounds = ('1.0', '2.0', '4.0', '+Inf')
        lines = (f'{LATENCY}_bucket{{le="{bound}"}} {value}' for bound, value in zip(bounds, values, strict=True))
        submitted = self.run(*lines, family=LATENCY, type_='histogram')
        return {tags.rpartition('upper_bound:')[2]: values for tags, values in submitted.items()}


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as one:
        yield one


@pytest.mark.parametrize('every', [7, 15, 60])
def test_a_count_that_moved_has_a_zero_in_every_run_for_ten_minutes(every: int, server: PageServer) -> None:
    runs = Runs(server, every)
    counted = dict.fromkeys(TEAMS, 1)
    runs.count(counted)
    counted[TEAMS[3]] += 2

    assert runs.count(counted)[TEAMS[3]] == [2]
    zeros = [runs.count(counted).get(TEAMS[3], []) for _ in range(2 * STAYS_WARM // every)]
    # Warmth is counted in steps of five seconds.
    warm = range((STAYS_WARM - 5) // every)
    assert all(zeros[run] == [0] for run in warm)
    assert sum(map(len, zeros[len(warm) + 1 :])) <= STAYS_WARM // ROTATION + 1


@pytest.mark.parametrize('every', [7, 15, 60, 200])
def test_a_count_that_never_moved_has_one_zero_every_five_minutes_spread_over_the_runs(
    every: int, server: PageServer
) -> None:
    runs = Runs(server, every)
    counted = dict.fromkeys(TEAMS, 1)
    assert runs.count(counted) == {}
    submitted = [runs.count(counted) for _ in range(3600 // every)]

    for team in TEAMS:
        at = [run * every for run, values in enumerate(submitted) if team in values]
        # A turn begins and ends between two runs.
        assert all(abs(later - before - ROTATION) <= every for before, later in pairwise(at))
    assert all(values == [0] for one in submitted for values in one.values())
    assert max(map(len, submitted)) <= -(-len(TEAMS) * every // ROTATION) + 1


@pytest.mark.parametrize('every', [7, 15, 60])
def test_a_context_that_is_new_has_one_zero_in_the_run_after_and_then_takes_turns(
    every: int, server: PageServer
) -> None:
    runs = Runs(server, every)
    counted = dict.fromkeys(TEAMS, 1)
    runs.count(counted)
    counted['new'] = 3

    assert runs.count(counted)['new'] == [3]
    assert runs.count(counted)['new'] == [0]
    zeros = [runs.count(counted).get('new', []) for _ in range(STAYS_WARM // every)]
    assert 1 <= sum(map(len, zeros)) <= STAYS_WARM // ROTATION + 1


def test_a_context_that_moves_after_the_first_page_that_has_it_stays_warm(server: PageServer) -> None:
    runs = Runs(server)
    counted = dict.fromkeys(TEAMS, 1)
    runs.count(counted)
    counted['new'] = 3
    runs.count(counted)
    counted['new'] = 4

    assert runs.count(counted)['new'] == [1]
    assert [runs.count(counted)['new'] for _ in range(30)] == [[0]] * 30


def test_a_context_whose_series_are_all_new_has_one_zero_and_one_that_gets_a_series_stays_warm(
    server: PageServer,
) -> None:
    runs = Runs(server, exclude_labels=['user'])

    def count(**counted: str) -> dict[str, list[float]]:
        series = ((team, user) for team, users in counted.items() for user in users)
        submitted = runs.run(*(f'{REQUESTS}_total{{team="{team}",user="{user}"}} 1' for team, user in series))
        return {tags.removeprefix('team:'): values for tags, values in submitted.items()}

    count(old='a')
    assert count(old='ab', new='abc') == {'old': [1], 'new': [1, 1, 1]}
    assert count(old='ab', new='abc') == {'old': [0], 'new': [0]}
    runs_after = [count(old='ab', new='abc') for _ in range(30)]
    assert all(one['old'] == [0] for one in runs_after)
    assert sum('new' in one for one in runs_after) <= 30 * 15 // ROTATION + 1


def test_always_sends_a_zero_in_every_run_and_never_none(server: PageServer) -> None:
    always, never = (Runs(server, idle_counts=choice) for choice in ('always', 'never'))
    for runs in (always, never):
        runs.count({'red': 1, 'blue': 1})

    assert [always.count({'red': value, 'blue': 1}) for value in (1, 3, 3)] == [
        {'red': [0], 'blue': [0]},
        {'red': [2], 'blue': [0]},
        {'red': [0], 'blue': [0]},
    ]
    assert [never.count({'red': value, 'blue': 1}) for value in (1, 3, 3)] == [{}, {'red': [2]}, {}]


@pytest.mark.parametrize('choice', ['sparse', 'always', 'never'])
def test_only_the_bucket_that_moved_is_sent_where_buckets_are_not_cumulative(choice: str, server: PageServer) -> None:
    runs = Runs(server, idle_counts=choice, non_cumulative_histogram_buckets=True)
    runs.observe(0, 0, 0, 0)
    moved = runs.observe(0, 1, 1, 1)
    zeros = [runs.observe(0, 1, 1, 1) for _ in range(20)]

    assert moved['2.0'] == [1]
    assert ('4.0' in moved) == (choice == 'always')
    expected = {'sparse': (20, 1), 'always': (20, 20), 'never': (0, 0)}[choice]
    assert tuple(sum(one.get(bound) == [0] for one in zeros) for bound in ('2.0', '4.0')) == expected


def test_a_context_stays_warm_when_the_first_series_of_it_is_forgotten(server: PageServer) -> None:
    runs = Runs(server, exclude_labels=['user'])
    idle = [f'{REQUESTS}_total{{team="{team}",user="a"}} 1' for team in TEAMS]

    def count(*values: int) -> list[float]:
        users = (f'{REQUESTS}_total{{team="red",user="{n}"}} {value}' for n, value in enumerate(values) if value)
        return runs.run(*users, *idle).get('team:red', [])

    count(9, 1, 1)
    # It leaves, and is forgotten after some pages.
    count(0, 1, 1)
    assert count(0, 1, 2) == [1]
    assert [count(0, 1, 2) for _ in range(30)] == [[0]] * 30
