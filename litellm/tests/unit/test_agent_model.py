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


def counted(agent: AgentModel, *values: float, flush_first_value: bool) -> float | None:
    """Submit the values to one monotonic count in one run; return what is flushed, None if nothing is."""
    samples = [Sample('monotonic_count', COUNT.name, value, ('model:a',), '', flush_first_value) for value in values]
    return agent.commit(Submissions(samples)).counts.get(COUNT)


def bucketed(agent: AgentModel, *values: int, flush_first_value: bool = True, monotonic: bool = True) -> int | None:
    """Submit the values to one bucket in one run; return the observations flushed, None if there are none."""
    buckets = [
        Bucket(LATENCY.name, value, 0.0, 1.0, monotonic, ('model:a',), '', flush_first_value, False) for value in values
    ]
    return agent.commit(Submissions(buckets=buckets)).buckets.get((LATENCY, (0.0, 1.0)))


def test_a_monotonic_count_flushes_the_rises_between_samples() -> None:
    agent = AgentModel()
    assert counted(agent, 2, 3, 6, 7, flush_first_value=False) == 5
    assert counted(agent, 10, 11, flush_first_value=False) == 4


def test_a_first_sample_is_a_starting_point() -> None:
    agent = AgentModel()
    assert counted(agent, 100, flush_first_value=False) is None
    assert counted(agent, 103, flush_first_value=False) == 3


def test_a_first_sample_counts_from_zero_with_flush_first_value() -> None:
    assert counted(AgentModel(), 100, flush_first_value=True) == 100


def test_a_lone_first_sample_waits_for_the_next_sample_however_many_runs_later() -> None:
    agent = AgentModel()
    assert counted(agent, 100, flush_first_value=False) is None
    assert counted(agent, flush_first_value=False) is None
    assert counted(agent, 104, flush_first_value=False) == 4


def test_a_fall_is_skipped_without_flush_first_value() -> None:
    agent = AgentModel()
    counted(agent, 10, flush_first_value=True)
    assert counted(agent, 4, flush_first_value=False) == 0
    assert counted(agent, 6, flush_first_value=False) == 2


def test_a_fall_counts_from_zero_with_flush_first_value() -> None:
    agent = AgentModel()
    counted(agent, 10, flush_first_value=True)
    assert counted(agent, 4, flush_first_value=True) == 4


def test_a_fall_discards_what_the_run_had_gathered() -> None:
    agent = AgentModel()
    counted(agent, 10, flush_first_value=True)
    # 10 -> 15 is a rise of 5; 15 -> 3 replaces it by 3; 3 -> 4 adds 1.
    assert counted(agent, 15, 3, 4, flush_first_value=True) == 4


def test_series_that_share_a_context_are_read_as_resets() -> None:
    agent = AgentModel()
    counted(agent, 4, 1, 15, flush_first_value=False)
    # Nothing happened at the proxy, and yet: 4 < 15 sets 4, 1 < 4 sets 1, 15 adds 14.
    assert counted(agent, 4, 1, 15, flush_first_value=True) == 15


def test_an_unchanged_count_flushes_zero() -> None:
    agent = AgentModel()
    counted(agent, 7, flush_first_value=True)
    assert counted(agent, 7, flush_first_value=True) == 0


def test_an_absent_count_flushes_nothing() -> None:
    agent = AgentModel()
    counted(agent, 7, flush_first_value=True)
    assert counted(agent, flush_first_value=True) is None


def test_a_count_that_was_absent_for_less_than_25_hours_goes_on_from_its_last_value() -> None:
    now = 0.0
    agent = AgentModel(lambda: now)
    counted(agent, 7, flush_first_value=True)
    for _ in range(10):
        counted(agent, flush_first_value=True)
    now = 24 * 3600.0
    counted(agent, flush_first_value=True)
    assert counted(agent, 9, flush_first_value=True) == 2


def test_a_count_that_was_absent_for_longer_starts_over() -> None:
    now = 0.0
    agent = AgentModel(lambda: now)
    counted(agent, 7, flush_first_value=True)
    for _ in range(3):
        counted(agent, flush_first_value=True)
    now = 26 * 3600.0
    counted(agent, flush_first_value=True)
    assert counted(agent, 9, flush_first_value=True) == 9


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_dropped(value: float) -> None:
    agent = AgentModel()
    counted(agent, 7, flush_first_value=True)
    assert counted(agent, value, 9, flush_first_value=True) == 2


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


def test_a_monotonic_bucket_flushes_its_rise() -> None:
    agent = AgentModel()
    assert bucketed(agent, 4) == 4
    assert bucketed(agent, 9) == 5
    assert bucketed(agent, 9) is None


def test_a_first_bucket_is_a_starting_point_without_flush_first_value() -> None:
    agent = AgentModel()
    assert bucketed(agent, 4, flush_first_value=False) is None
    assert bucketed(agent, 9, flush_first_value=False) == 5


def test_a_falling_bucket_counts_from_zero_only_with_flush_first_value() -> None:
    agent = AgentModel()
    bucketed(agent, 9)
    assert bucketed(agent, 4, flush_first_value=False) is None
    assert bucketed(agent, 2, flush_first_value=True) == 2


def test_a_bucket_of_zero_is_not_looked_at() -> None:
    agent = AgentModel()
    bucketed(agent, 9)
    assert bucketed(agent, 0) is None
    assert bucketed(agent, 11) == 2


def test_a_bucket_is_forgotten_after_two_runs_without_it() -> None:
    agent = AgentModel()
    bucketed(agent, 9)
    bucketed(agent)
    assert bucketed(agent, 10) == 1
    bucketed(agent)
    bucketed(agent)
    assert bucketed(agent, 11) == 11


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
