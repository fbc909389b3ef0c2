"""The Agent's side of `make bench` flushes what the model of the Agent flushes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.agent_model import AgentModel, Context, Submissions

from datadog_checks.base.stubs import aggregator
from tools.bench import native_agent
from tools.bench.native_agent import CannotCompileError, NativeAgent

pytestmark = pytest.mark.usefixtures('compiler')

# Few contexts, so that most are submitted more than once.
TAGS = st.sampled_from([['a:1', 'b:2'], ['b:2', 'a:1', 'a:1'], ['ü:3', 'c:' + 300 * 'x']])
HOSTS = st.sampled_from(['', '', 'host'])
# One type per name: the Agent's samplers keep the first.
TYPES = {'gauge': aggregator.GAUGE, 'count': aggregator.COUNT, 'total': aggregator.MONOTONIC_COUNT}
VALUES = st.sampled_from([0.0, 1.0, 2.5, 7.0, 100.0, float('nan'), float('inf')])
METRICS = st.tuples(
    st.just('submit_metric'),
    st.sampled_from(sorted(TYPES)).map(lambda name: (TYPES[name], name)),
    st.tuples(VALUES, TAGS, HOSTS, st.booleans()),
)
BOUNDS = st.sampled_from(
    [(0.0, 0.005), (0.005, 10.0), (10.0, float('inf')), (float('-inf'), 1.0), (2.0, 2.0), (2.0, 1.0)]
)


def bucket_of(method: str) -> st.SearchStrategy[Any]:
    # With one last value for all of a context's buckets, or with one for each: a name is of one kind.
    names = st.just((method,))
    values = st.integers(min_value=-1, max_value=5000)
    return st.builds(
        lambda name, value, bounds, monotonic, host, tags, first: (
            method,
            name,
            (value, *bounds, monotonic, host, tags, first),
        ),
        names,
        values,
        BOUNDS,
        st.booleans(),
        HOSTS,
        TAGS,
        st.booleans(),
    )


RUN = st.lists(
    st.one_of(METRICS, bucket_of('submit_histogram_bucket'), bucket_of('submit_histogram_bucket_multi')), max_size=8
)


@pytest.fixture(scope='module')
def compiler() -> None:
    try:
        native_agent.native_agent()
    except CannotCompileError as error:
        pytest.skip(str(error))


def values_of(agent: NativeAgent) -> dict[tuple[str, Context], float]:
    return {
        (type_, Context(name, frozenset(tags), hostname)): value
        for type_, name, tags, hostname, value in agent.flushed()
    }


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(RUN, max_size=8))
def test_it_flushes_what_the_model_of_the_agent_flushes(runs: list[list[Any]]) -> None:
    agent, model = native_agent.native_agent(), AgentModel()
    for run in runs:
        submissions = Submissions()
        for method, names, arguments in run:
            for receiver in agent, submissions:
                getattr(receiver, method)(None, '', *names, *arguments)

        assert agent.commit(1.0) == len(agent.flushed())

        flush = model.commit(submissions)
        buckets: Counter[Context] = Counter()
        for (context, _), observations in flush.buckets.items():
            buckets[context] += observations
        flushed = values_of(agent)
        assert {key[1]: value for key, value in flushed.items() if key[0] == 'gauge'} == flush.gauges
        assert {key[1]: value for key, value in flushed.items() if key[0] == 'distribution'} == buckets
        counts = {key[1]: value for key, value in flushed.items() if key[0] in ('count', 'monotonic_count')}
        assert counts == pytest.approx(flush.counts)


def test_a_monotonic_count_outlives_its_context() -> None:
    agent = native_agent.native_agent()
    for total in (5.0, None, None, None, 7.0):
        if total is not None:
            agent.submit_metric(None, '', aggregator.MONOTONIC_COUNT, 'name', total, ['a:1'], '', False)
        agent.commit(1.0)

    assert agent.flushed() == [('monotonic_count', 'name', ('a:1',), '', 2.0)]


@pytest.mark.parametrize('tags', [[1], 7, ['a', None], [chr(0xD800)]])
def test_it_refuses_tags_that_are_no_text(tags: Any) -> None:
    agent = native_agent.native_agent()

    with pytest.raises((TypeError, UnicodeEncodeError)):
        agent.submit_metric(None, '', aggregator.GAUGE, 'name', 1.0, tags, '', False)

    assert agent.commit(1.0) == 0


def test_it_refuses_a_type_that_it_does_not_model() -> None:
    with pytest.raises(ValueError, match='not modelled'):
        native_agent.native_agent().submit_metric(None, '', aggregator.RATE, 'name', 1.0, [], '', False)


def test_its_series_do_not_depend_on_later_submissions() -> None:
    agent = native_agent.native_agent()
    agent.submit_metric(None, '', aggregator.COUNT, 'name', 2.0, ['a:1', 'a:1'], 'host', False)
    agent.commit(1.0)
    agent.submit_metric(None, '', aggregator.COUNT, 'name', 5.0, ['a:1'], 'host', False)

    assert agent.flushed() == [('count', 'name', ('a:1',), 'host', 2.0)]


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CC', 'no-compiler-of-this-name')
    native_agent._module.cache_clear()

    with pytest.raises(CannotCompileError, match='no-compiler-of-this-name'):
        native_agent.native_agent()
