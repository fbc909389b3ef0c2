"""Hand-computed examples of the Agent's behaviour, so that the conservation tests stand on firm ground.

Facts: pkg/metrics/monotonic_count.go, pkg/metrics/check_metrics.go and pkg/aggregator/check_sampler.go of
https://github.com/DataDog/datadog-agent.
"""

from __future__ import annotations

import math

import pytest

from datadog_checks.base import AgentCheck
from tests.support.agent_model import AgentModel, Bucket, Context, Flush, Sample, Submissions

COUNT = Context('requests.count', frozenset({'model:a'}))
LATENCY = Context('latency', frozenset({'model:a'}))


# What is flushed of one monotonic count, run by run: its samples, whether they come with `flush_first_value`, and the
# result, None if nothing is flushed.
COUNTS = {
    'the rises between samples are flushed': [([2, 3, 6, 7], False, 5), ([10, 11], False, 4)],
    'a first sample is a starting point': [([100], False, None), ([103], False, 3)],
    'a first sample counts from zero with flush_first_value': [([100], True, 100)],
    'a lone first sample waits for the next, however many runs later': [
        ([100], False, None),
        ([], False, None),
        ([104], False, 4),
    ],
    'a fall is skipped without flush_first_value': [([10], True, 10), ([4], False, 0), ([6], False, 2)],
    'a fall counts from zero with flush_first_value': [([10], True, 10), ([4], True, 4)],
    # 10 -> 15 is a rise of 5; 15 -> 3 replaces it by 3; 3 -> 4 adds 1.
    'a fall discards what the run had gathered': [([10], True, 10), ([15, 3, 4], True, 4)],
    # Nothing happened at the proxy, and yet: 4 < 15 sets 4, 1 < 4 sets 1, 15 adds 14.
    'series that share a context are read as resets': [([4, 1, 15], False, 14), ([4, 1, 15], True, 15)],
    'an unchanged count is zero': [([7], True, 7), ([7], True, 0)],
    'an absent count is nothing': [([7], True, 7), ([], True, None)],
    'what is not finite is dropped': [([7], True, 7), ([math.nan, math.inf, -math.inf, 9], True, 2)],
}


@pytest.mark.parametrize('runs', COUNTS.values(), ids=COUNTS)
def test_a_monotonic_count_flushes(runs: list[tuple[list[float], bool, float | None]]) -> None:
    agent = AgentModel()

    assert [counted(agent, *values, flush_first_value=first) for values, first, _ in runs] == [
        flushed for _, _, flushed in runs
    ]


def counted(agent: AgentModel, *values: float, flush_first_value: bool = True) -> float | None:
    """Submit the values to one monotonic count in one run; return what is flushed, None if nothing is."""
    samples = [Sample('monotonic_count', COUNT.name, value, ('model:a',), '', flush_first_value) for value in values]
    return agent.commit(Submissions(samples)).counts.get(COUNT)


@pytest.mark.parametrize(('hours', 'flushed'), [(24, 2), (26, 9)])
def test_a_count_that_was_absent_goes_on_from_its_last_value_for_25_hours(hours: float, flushed: float) -> None:
    now = 0.0
    agent = AgentModel(lambda: now)
    counted(agent, 7)
    for _ in range(10):
        counted(agent)
    now = hours * 3600.0
    counted(agent)

    assert counted(agent, 9) == flushed


def test_order_and_repetition_of_tags_do_not_make_a_context() -> None:
    agent = AgentModel()
    first = Sample('monotonic_count', 'n', 3, ('a:1', 'b:2'), '', True)
    second = Sample('monotonic_count', 'n', 5, ('b:2', 'a:1', 'b:2'), '', True)
    agent.commit(Submissions([first, second]))
    assert agent.total('n', 'a:1', 'b:2') == 5


def test_a_hostname_makes_a_context() -> None:
    agent = AgentModel()
    agent.commit(Submissions([Sample('count', 'n', 3, (), 'x', False), Sample('count', 'n', 5, (), 'y', False)]))
    assert (agent.total('n', hostname='x'), agent.total('n', hostname='y')) == (3, 5)


def test_counts_of_a_run_are_added_up_and_start_over() -> None:
    agent = AgentModel()
    run = Submissions([Sample('count', 'n', 3, (), '', False), Sample('count', 'n', 5, (), '', False)])
    assert agent.commit(run).counts == {Context('n', frozenset()): 8}
    assert agent.commit(run).counts == {Context('n', frozenset()): 8}
    assert agent.total('n') == 16


def test_a_gauge_flushes_its_last_value_and_only_when_sampled() -> None:
    agent = AgentModel()
    agent.commit(Submissions([Sample('gauge', 'g', 3, (), '', False), Sample('gauge', 'g', 5, (), '', False)]))
    assert agent.gauge('g') == 5
    agent.commit(Submissions())
    assert agent.gauge('g') is None


# The same of one bucket: its values, `flush_first_value`, and the observations that are flushed.
BUCKETS = {
    'its rise is flushed': [([4], True, 4), ([9], True, 5), ([9], True, None)],
    'a first value is a starting point without flush_first_value': [([4], False, None), ([9], False, 5)],
    'a fall counts from zero only with flush_first_value': [([9], True, 9), ([4], False, None), ([2], True, 2)],
    'a zero is not looked at': [([9], True, 9), ([0], True, None), ([11], True, 2)],
    'it is kept for a run without it': [([9], True, 9), ([], True, None), ([10], True, 1)],
    'it is forgotten after two runs without it': [
        ([9], True, 9),
        ([], True, None),
        ([], True, None),
        ([11], True, 11),
    ],
}


@pytest.mark.parametrize('runs', BUCKETS.values(), ids=BUCKETS)
def test_a_monotonic_bucket_flushes(runs: list[tuple[list[int], bool, int | None]]) -> None:
    agent = AgentModel()

    assert [bucketed(agent, *values, flush_first_value=first) for values, first, _ in runs] == [
        flushed for _, _, flushed in runs
    ]


def bucketed(agent: AgentModel, *values: int, flush_first_value: bool = True, monotonic: bool = True) -> int | None:
    """Submit the values to one bucket in one run; return the observations flushed, None if there are none."""
    buckets = [
        Bucket(LATENCY.name, value, 0.0, 1.0, monotonic, ('model:a',), '', flush_first_value, False) for value in values
    ]
    return agent.commit(Submissions(buckets=buckets)).buckets.get((LATENCY, (0.0, 1.0)))


def test_a_bucket_that_is_not_monotonic_flushes_its_value() -> None:
    agent = AgentModel()
    assert bucketed(agent, 4, 5, monotonic=False) == 9
    assert bucketed(agent, 4, monotonic=False) == 4


def test_buckets_of_one_context_are_told_apart_by_their_bounds_when_announced() -> None:
    agent = AgentModel()
    run = [
        Bucket('d', value, float(lower), lower + 1.0, True, (), '', True, True) for lower, value in enumerate((5, 3))
    ]
    assert agent.commit(Submissions(buckets=run)).buckets == {
        (Context('d', frozenset()), (0.0, 1.0)): 5,
        (Context('d', frozenset()), (1.0, 2.0)): 3,
    }
    assert agent.commit(Submissions(buckets=run)).buckets == {}


class _FailingCheck(AgentCheck):
    def check(self, instance: object) -> None:
        self.gauge('before', 1)
        self.submit_histogram_bucket('bucket', 2, 0, 1, False, '', ['a:1'])
        self.service_check('up', 2, message='down')
        raise RuntimeError('half way')


def test_what_a_check_submits_before_it_fails_is_flushed() -> None:
    flush: Flush = AgentModel().run(_FailingCheck('failing', {}, [{}]))
    assert flush.gauges == {Context('before', frozenset()): 1}
    assert flush.buckets == {(Context('bucket', frozenset({'a:1'})), (0, 1)): 2}
    assert 'half way' in flush.error
