"""`max_contexts`: never more contexts than that, what is sent stays exact, and what is not is never silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadog_checks.base.errors import ConfigurationError
from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import Context, Flush
from tests.support.endpoint import serving_page
from tests.support.simulated_proxy import Cut, SimulatedProxy
from tests.support.watch import LATENCY, REQUESTS, Watch, every_label, only, play_step, steps, true_counts

REQUESTS_COUNT = 'litellm.proxy.total_requests.metric.count'
BUCKET = 'litellm.request.total_latency.metric.bucket'
DROPPED = 'litellm.check.contexts_dropped'
BUDGET = 'litellm_remaining_team_budget_metric'
UPTIME = 'litellm.process.uptime.seconds'


@pytest.fixture
def proxy() -> Iterator[SimulatedProxy]:
    with SimulatedProxy() as one:
        yield one


def watch(proxy: SimulatedProxy, most: int, **options: Any) -> Watch:
    """Return a watch that collects nothing but what the tests let happen."""
    options = {'exclude_metrics': ['process_start_time_seconds'], 'idle_counts': 'always', **options}
    return Watch(proxy, LitellmCheck, max_contexts=most, **options)


def sent(flush: Flush) -> set[Context]:
    return {context for context in {*flush.counts, *flush.gauges} if context.name != DROPPED}


def models(flush: Flush) -> list[str]:
    return sorted(tag.removeprefix('model:') for context in sent(flush) for tag in context.tags)


def count_each(proxy: SimulatedProxy, names: str, amount: int = 1) -> None:
    for name in names:
        proxy.count(REQUESTS, amount, model=name)


def test_what_fits_is_sent_and_nothing_is_said(proxy: SimulatedProxy) -> None:
    count_each(proxy, 'ab')
    one = watch(proxy, 2)
    one.scrape()
    count_each(proxy, 'ab')

    assert models(one.scrape()) == ['a', 'b']
    assert one.agent.gauge(DROPPED) == 0
    assert one.warnings == []


def test_no_more_is_sent_and_the_same_every_time(proxy: SimulatedProxy) -> None:
    count_each(proxy, 'abc')
    one = watch(proxy, 2)
    one.scrape()
    for names in ('abc', 'c', 'dabc', 'ecba'):
        count_each(proxy, names)
        assert models(one.scrape()) == ['a', 'b']

    # Of the counts of `a` and `b` nothing is missing.
    assert one.requests() == 2 + 0 + 2 + 2


def test_what_is_dropped_is_reported_every_time(proxy: SimulatedProxy) -> None:
    count_each(proxy, 'abc')
    proxy.observe(LATENCY, 0.5, model='a')
    one = watch(proxy, 2)
    for _ in range(2):
        one.scrape()
        assert one.agent.gauge(DROPPED) == 6
        assert f'6 contexts of {proxy.url} exceed `max_contexts`' in one.warnings[-1]
        # Three buckets with a bound, and the count or the sum.
        assert f'{BUCKET} (3)' in one.warnings[-1]
        assert f'{REQUESTS_COUNT} (2)' in one.warnings[-1]


def test_the_warning_is_bounded(proxy: SimulatedProxy) -> None:
    for number in range(30):
        proxy.count(f'litellm_custom_{number}', model='a')
    one = watch(proxy, 1, collect_unknown_metrics=True)
    one.scrape()

    (warning,) = [warning for warning in one.warnings if 'max_contexts' in warning]
    assert warning.count('litellm.custom_') == 10
    assert '…' in warning


def test_the_largest_metrics_are_cut_first(proxy: SimulatedProxy) -> None:
    for number in range(100):
        proxy.count(REQUESTS, model='a', end_user=str(number))
    for number in range(50):
        proxy.count('litellm_total_tokens_metric', model='a', end_user=str(number))
    for team in ('red', 'blue'):
        proxy.set(BUDGET, 5, team=team)
    one = watch(proxy, 60)
    one.scrape()

    assert Counter(context.name for context in sent(one.scrape())) == {
        'litellm.remaining.team_budget.metric': 2,
        REQUESTS_COUNT: 29,
        'litellm.total.tokens.count': 29,
    }


def test_no_room_is_left_over_that_something_fits_into(proxy: SimulatedProxy) -> None:
    for model in 'abcd':
        proxy.observe(LATENCY, 0.5, model=model)
    one = watch(proxy, 5)
    one.scrape()

    # No three buckets of a series fit in beside the counts and sums that are as many.
    assert Counter(context.name.rpartition('.')[2] for context in sent(one.scrape())) == {'count': 3, 'sum': 2}


@pytest.mark.parametrize('options', [{}, {'exclude_labels': ['key']}], ids=['each', 'summed'])
def test_a_series_has_all_buckets_or_none(proxy: SimulatedProxy, options: dict[str, Any]) -> None:
    for model in 'abcde':
        for key in '12':
            proxy.observe(LATENCY, 0.5, model=model, key=key)
    one = watch(proxy, 17, **options)
    one.scrape()

    buckets = Counter(
        frozenset(tag for tag in context.tags if not tag.startswith('upper_bound'))
        for context in sent(one.scrape())
        if context.name == BUCKET
    )
    assert set(buckets.values()) == {3}


def test_a_gauge_without_a_limit_takes_no_room(proxy: SimulatedProxy) -> None:
    for number in range(20):
        proxy.set(BUDGET, float('inf'), team=str(number))
    count_each(proxy, 'ab')
    one = watch(proxy, 2)
    one.scrape()

    assert models(one.scrape()) == ['a', 'b']
    assert one.agent.gauge(DROPPED) == 0


def test_a_gauge_that_has_its_first_value_when_the_limit_is_reached_is_dropped(proxy: SimulatedProxy) -> None:
    proxy.set(BUDGET, float('inf'), team='red')
    count_each(proxy, 'a')
    one = watch(proxy, 1)
    one.scrape()
    proxy.set(BUDGET, 5, team='red')

    assert models(one.scrape()) == ['a']
    assert one.agent.gauge(DROPPED) == 1


@pytest.mark.parametrize('options', [{}, {'exclude_labels': ['key']}], ids=['each', 'summed'])
def test_what_was_held_back_takes_the_place_of_what_is_gone_without_a_spike(
    proxy: SimulatedProxy, options: dict[str, Any]
) -> None:
    for model, amount in (('goes', 5), ('waits', 1000)):
        for key in '12':
            proxy.count(REQUESTS, amount, model=model, key=key)
    one = watch(proxy, 1 if options else 2, **options)
    one.scrape()
    for key in '12':
        proxy.count(REQUESTS, 500, model='waits', key=key)
    one.scrape()
    for key in '12':
        proxy.forget(REQUESTS, model='goes', key=key)
    for _ in range(12):
        one.scrape()
    assert one.agent.gauge(DROPPED) == 0
    assert one.requests() == 0
    for key in '12':
        proxy.count(REQUESTS, 7, model='waits', key=key)
    one.scrape()

    assert one.requests() == 14


def test_what_was_sent_and_left_and_waited_comes_back_without_a_spike(proxy: SimulatedProxy) -> None:
    count_each(proxy, 'a')
    one = watch(proxy, 1)
    one.scrape()
    proxy.forget(REQUESTS, model='a')
    for _ in range(12):
        one.scrape()
    # The Agent still remembers the context of `a`, whose place `b` takes.
    count_each(proxy, 'b', 3)
    one.scrape()
    count_each(proxy, 'a', 1000)
    one.scrape()
    proxy.forget(REQUESTS, model='b')
    for _ in range(12):
        one.scrape()
    count_each(proxy, 'a', 2)
    one.scrape()

    assert one.requests() == 3 + 2


@pytest.mark.parametrize('options', [{}, {'exclude_labels': ['key']}], ids=['each', 'summed'])
def test_what_was_never_sent_is_not_closed_either(proxy: SimulatedProxy, options: dict[str, Any]) -> None:
    count_each(proxy, 'a')
    for key in '12':
        proxy.count(REQUESTS, model='waits', key=key)
    one = watch(proxy, 1, **options)
    one.scrape()
    for key in '12':
        proxy.forget(REQUESTS, model='waits', key=key)

    assert [models(one.scrape()) for _ in range(12)] == [['a']] * 12


def test_a_failed_scrape_decides_nothing(proxy: SimulatedProxy) -> None:
    count_each(proxy, 'a')
    one = watch(proxy, 2)
    one.scrape()
    count_each(proxy, 'xyz')
    one.fail(Cut(0.9))
    proxy.restart()
    count_each(proxy, 'ab', 4)

    assert models(one.scrape()) == ['a', 'b']
    assert one.requests() == 4 + 4


def test_series_that_share_a_context_take_one_place(proxy: SimulatedProxy) -> None:
    for key in 'abcdef':
        proxy.count(REQUESTS, model='a', key=key)
    one = watch(proxy, 1, exclude_labels=['key'])
    one.scrape()
    for key in 'abcdefgh':
        proxy.count(REQUESTS, model='a', key=key)
    one.scrape()

    assert one.agent.gauge(DROPPED) == 0
    assert one.requests() == 8


def test_a_context_that_is_held_back_stays_so_when_another_series_joins_it(proxy: SimulatedProxy) -> None:
    count_each(proxy, 'a')
    proxy.count(REQUESTS, model='b', key='1')
    one = watch(proxy, 1, exclude_labels=['key'])
    one.scrape()
    proxy.count(REQUESTS, 5, model='b', key='2')

    assert models(one.scrape()) == ['a']
    assert one.agent.gauge(DROPPED) == 1


def test_a_context_that_is_sent_stays_so_when_another_series_joins_it(proxy: SimulatedProxy) -> None:
    proxy.count(REQUESTS, model='a', key='1')
    one = watch(proxy, 1, exclude_labels=['key'])
    one.scrape()
    proxy.count(REQUESTS, 2, model='a', key='2')
    count_each(proxy, 'b')

    assert models(one.scrape()) == ['a']
    assert one.requests() == 2


@given(
    before=st.lists(steps.filter(lambda step: step[0] in ('count', 'observe')), max_size=8),
    after=st.lists(steps, max_size=25),
    dropped=st.sampled_from([[], ['key']]),
    most=st.integers(1, 30),
)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_in_a_random_history_nothing_is_invented_and_what_was_always_sent_is_exact(
    before: list[Any], after: list[Any], dropped: list[str], most: int
) -> None:
    tags_of = only('model') if dropped else every_label
    with SimulatedProxy(3) as proxy:
        one = watch(proxy, most, exclude_labels=dropped)
        flushes: list[Flush] = []

        def scrape(worker: int = 0) -> None:
            flushes.append(one.scrape(worker))
            assert len(sent(flushes[-1])) <= most

        for step in before:
            play_step(proxy, one, step)
        scrape()
        for step in after:
            if step[0] == 'scrape':
                scrape(step[1])
            else:
                play_step(proxy, one, step)
        for worker in range(3):
            scrape(worker)
        truth = true_counts(proxy, tags_of)
        counts = one.counts()
        assert {context for context, total in counts.items() if total > truth.get(context, 0.0)} == set()
        if one.agent.gauge(DROPPED) == 0 and not any('max_contexts' in warning for warning in one.warnings):
            assert counts == truth


@pytest.mark.parametrize('value', [0, -5, 'many', 1.5])
def test_a_limit_that_is_none_is_refused_by_its_name(value: object) -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:1/', 'max_contexts': value}])

    with pytest.raises(ConfigurationError, match='\nmax_contexts\n'):
        check.load_configuration_models()


def test_a_limit_may_be_text_as_annotations_have_it() -> None:
    with serving_page(f'# TYPE {REQUESTS}_total counter\n{REQUESTS}_total{{model="a"}} 1\n') as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, 'max_contexts': '1'}])
        assert not check.run()


@pytest.mark.parametrize(
    ('option', 'reason'),
    [
        ({'use_stock_scraper': True}, 'use_stock_scraper'),
        (
            {'extra_metrics': [{'litellm_x': {'type': 'rate'}}, {'_y$': {'type': 'counter_gauge'}}]},
            'counter_gauge, rate',
        ),
    ],
)
def test_a_limit_that_the_base_package_cannot_honour_is_refused(option: dict[str, Any], reason: str) -> None:
    with serving_page(f'# TYPE {REQUESTS}_total counter\n') as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, 'max_contexts': 10, **option}])
        error = check.run()

    assert 'max_contexts' in error
    assert reason in error


def test_types_without_contexts_need_no_limit() -> None:
    status = {'litellm_state': {'type': 'service_check', 'status_map': {'1': 'OK'}}}
    with serving_page(f'# TYPE {REQUESTS}_total counter\n{REQUESTS}_total 1\n') as url:
        instance = {'openmetrics_endpoint': url, 'max_contexts': 10, 'extra_metrics': [status]}
        assert not LitellmCheck('litellm', {}, [instance]).run()
