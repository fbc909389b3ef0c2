"""Never more than what happened, and never less where a page tells: kinds of trouble that once made counts wrong.

Each is a scene with its right value, worked out by hand. `test_conservation.py` plays whole histories, with every value
from the simulation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.page import archive, ledger
from tests.support.agent_model import AgentModel, Context, Flush
from tests.support.simulated_proxy import Clock, PageServer, SimulatedProxy, Status
from tests.support.watch import LATENCY, REQUESTS, TOKENS, Watch, every_label, true_counts

HOUR = 3600.0
START = Clock().now()
# Longer than what a sample may be absent before it is forgotten.
FORGOTTEN = 12


@pytest.fixture
def proxy() -> Iterator[SimulatedProxy]:
    with SimulatedProxy() as one:
        yield one


class Pages:
    """A check at pages that a test writes itself."""

    def __init__(self, server: PageServer, **options: Any) -> None:
        self._server = server
        self._clock = Clock()
        self.agent = AgentModel(self._clock.now)
        instance = {'openmetrics_endpoint': server.url, 'collect_readiness': False, **options}
        self.check = LitellmCheck('litellm', {}, [instance])
        self.warnings: list[str] = []

    def show(
        self, *lines: str, family: str = f'{REQUESTS}_total', type_: str = 'counter', after: float = 15.0
    ) -> float:
        """Scrape a page of one family, and return what the Agent flushes of all counts."""
        flush = self.see(f'# TYPE {family} {type_}\n' + ''.join(f'{line}\n' for line in lines), after)
        assert not flush.error
        assert all(value >= 0 for value in flush.counts.values())
        return sum(flush.counts.values())

    def see(self, page: str, after: float = 15.0) -> Flush:
        """Scrape a page, and return what the Agent flushes."""
        self._clock.advance(after)
        self._server.page = page
        with self._clock.is_the_time():
            flush = self.agent.run(self.check)
        self.warnings += self.check.get_warnings()
        return flush

    def show_levels(self, *values: float) -> float:
        """Scrape a page with a counter for each value."""
        return self.show(*(f'{REQUESTS}_total{{n="{n}"}} {value}' for n, value in enumerate(values)))


@pytest.fixture
def pages() -> Iterator[Pages]:
    with PageServer() as server:
        yield Pages(server)


# The same check id, scheduled again.


@pytest.mark.parametrize('is_first_scrape_in_vain', [False, True])
@pytest.mark.parametrize('workers', [1, 2])
def test_a_check_that_is_scheduled_again_causes_no_spike(is_first_scrape_in_vain: bool, workers: int) -> None:
    with SimulatedProxy(workers) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for worker in range(workers):
            proxy.count(REQUESTS, 1_000_000, worker, model='a')
        if is_first_scrape_in_vain:
            watch.fail(Status(503))
        for worker in range(workers):
            watch.scrape(worker)
        proxy.count(REQUESTS, 10, model='a')
        watch.scrape()
        watch.reschedule()
        if is_first_scrape_in_vain:
            watch.fail(Status(503))
        for worker in range(workers):
            watch.scrape(worker)
        proxy.count(REQUESTS, 5, model='a')
        watch.scrape()

        assert watch.requests() == 10 + 5


# Gaps.


def _absent(pages: Pages) -> float:
    return pages.show()


def _unreadable(pages: Pages) -> float:
    return pages.show(f'{REQUESTS}_total{{n="0" 1')


def _not_a_number(pages: Pages) -> float:
    return pages.show(f'{REQUESTS}_total{{n="0"}} NaN')


def _too_large(pages: Pages) -> float:
    return pages.show(f'{REQUESTS}_total{{n="0"}} 1e300')


def _negative(pages: Pages) -> float:
    return pages.show(f'{REQUESTS}_total{{n="0"}} -1')


@pytest.mark.parametrize('length', [1, 4, FORGOTTEN, 100])
@pytest.mark.parametrize('gap', [_absent, _unreadable, _not_a_number, _too_large, _negative])
@pytest.mark.parametrize('created', ['', f'{REQUESTS}_created{{n="0"}} 1.7e9'], ids=['no _created', '_created'])
def test_what_returns_after_a_gap_counts_what_it_has_beyond_what_it_had(
    created: str, gap: Callable[[Pages], float], length: int, pages: Pages
) -> None:
    pages.show(f'{REQUESTS}_total{{n="0"}} 1000000', created)
    counted = pages.show(f'{REQUESTS}_total{{n="0"}} 1000030', created)
    counted += sum(gap(pages) for _ in range(length))
    counted += pages.show(f'{REQUESTS}_total{{n="0"}} 1000130', created)

    assert counted == 130


def test_what_returns_lower_after_it_was_forgotten_has_started_over(pages: Pages) -> None:
    pages.show_levels(1_000_000)
    for _ in range(FORGOTTEN):
        pages.show()

    assert pages.show_levels(40) == 40


@pytest.mark.parametrize('gap', [20 * 60.0, HOUR, 26 * HOUR])
def test_scrapes_far_apart_count_what_happened(gap: float) -> None:
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for worker in (0, 1):
            proxy.count(REQUESTS, 1_000_000, worker, model='a')
        for worker in (0, 1):
            watch.scrape(worker)
        for _ in range(30):
            proxy.clock.advance(gap)
            watch.scrape(worker=0)
        proxy.count(REQUESTS, 10, worker=1, model='a')
        watch.scrape(worker=1)

        assert watch.requests() == 10


# Spelling.


@pytest.mark.parametrize('part', ['bucket', 'other labels'])
def test_a_line_that_is_spelled_differently_each_time_is_one_sample(part: str, pages: Pages) -> None:
    bounds = ('1', '1.0', '1.00', '1e0')
    forms = {
        'bucket': [f'{LATENCY}_bucket{{model="a",le="{bound}"}}' for bound in bounds],
        'other labels': [f'{LATENCY}_count{{{labels}}}' for labels in ('a="1",b="2"', 'b="2",a="1"', 'a="1",b="2",')],
    }[part]
    first, *rest = [f'{forms[page % len(forms)]} {1_000_000 + 10 * page}' for page in range(29)]
    pages.show(first, family=LATENCY, type_='histogram')

    assert sum(pages.show(line, family=LATENCY, type_='histogram') for line in rest) == 280


@pytest.mark.parametrize('created', ['', '1.7e9'], ids=['no _created', '_created'])
@pytest.mark.parametrize(
    ('part', 'before', 'after'),
    [
        ('_bucket', 'a="1",b="2",le="1"', 'a="1",b="2",le="1.00"'),
        ('_bucket', 'a="1",b="2",le="1"', 'b="2",le="1",a="1"'),
        ('_count', 'a="1",b="2"', ' b = "2", a="1" ,'),
        ('_sum', '', ' '),
    ],
)
def test_what_was_forgotten_and_returns_spelled_differently_goes_on(
    part: str, before: str, after: str, created: str, pages: Pages
) -> None:
    def show(labels: str, value: float) -> float:
        times = [f'{LATENCY}_created{{{labels}}} {created}'] if created and part != '_bucket' else []
        return pages.show(f'{LATENCY}{part}{{{labels}}} {value}', *times, family=LATENCY, type_='histogram')

    show(before, 1_000_000)
    for _ in range(FORGOTTEN):
        pages.show()

    assert show(after, 1_000_030) == 30


def test_a_sample_that_is_on_the_page_twice_is_told(pages: Pages) -> None:
    pages.show(f'{REQUESTS}_total{{n="0"}} 1', f'{REQUESTS}_total{{n="0"}} 2')

    assert any('more than once' in warning for warning in pages.warnings)


@pytest.mark.parametrize('lasted', [ledger.FORGET_AFTER, 2 * ledger.FORGET_AFTER, FORGOTTEN])
def test_a_sample_is_no_longer_told_to_be_on_the_page_twice_once_it_is_forgotten(lasted: int, pages: Pages) -> None:
    for _ in range(lasted):
        pages.show(*[f'{REQUESTS}_total{{n="0"}} NaN'] * 2)
    assert pages.warnings
    pages.show()
    pages.warnings.clear()
    pages.show()

    assert pages.warnings == []


# Stale pages.


@pytest.mark.parametrize('created', ['', f'{REQUESTS}_created{{n="0"}} 1.7e9'], ids=['no _created', '_created'])
def test_pages_of_two_caches_of_different_age_count_what_happened(created: str, pages: Pages) -> None:
    total = 5_000
    pages.show(f'{REQUESTS}_total{{n="0"}} {total}', created)
    counted = 0.0
    for _ in range(100):
        total += 10
        counted += pages.show(f'{REQUESTS}_total{{n="0"}} {total - 30}', created)
        counted += pages.show(f'{REQUESTS}_total{{n="0"}} {total}', created)

    assert counted <= total - 5_000 if created else counted <= total
    assert not created or counted == total - 5_000


@pytest.mark.parametrize('count', [4, 5, 6])
def test_a_line_of_an_old_page_counts_in_full_when_it_is_that_of_a_new_process(count: int, pages: Pages) -> None:
    def show(count: int, age: float) -> float:
        created = f'{REQUESTS}_created{{n="0"}} {START - age}'
        return pages.show(f'{REQUESTS}_total{{n="0"}} {count}', created)

    pages.show(f'{REQUESTS}_total{{n="0"}} 8', f'{REQUESTS}_created{{n="0"}} {START - 60}')

    assert [show(5, 60), show(count, -20), show(count + 1, -20)] == [0, count, 1]


# Times of creation that come and go.


def _lines(value: object, created: object = '') -> list[str]:
    return [f'{REQUESTS}_total{{n="0"}} {value}', f'{REQUESTS}_created{{n="0"}} {created}' if created != '' else '']


NO_TIMES = ['', 0, -5, 'NaN', 'x', '+Inf', 1.7e12]
# No line, one with no number, and one with no time.
KINDS_OF_NO_TIME = ['', 'NaN', 0]


@pytest.mark.parametrize('no_time', KINDS_OF_NO_TIME)
@pytest.mark.parametrize('value', [40, 144])
@pytest.mark.parametrize('lasts', [1, ledger.FORGET_AFTER - 1])
def test_what_a_new_process_counted_counts_once_when_its_first_page_tells_no_time_of_creation(
    lasts: int, value: int, no_time: object, pages: Pages
) -> None:
    pages.show(*_lines(100, START - 60))
    counted = sum(pages.show(*_lines(value, no_time)) for _ in range(lasts))

    assert counted + pages.show(*_lines(value + 5, START + 20)) == value + 5


@pytest.mark.parametrize('no_time', NO_TIMES)
def test_nothing_is_counted_for_a_page_of_another_process_that_tells_no_time_of_creation(
    no_time: object, pages: Pages
) -> None:
    one, other = START - 60, START - 50
    pages.show(*_lines(100, one))

    assert [
        pages.show(*_lines(1_000_000, other)),
        pages.show(*_lines(100, one)),
        pages.show(*_lines(1_000_000, no_time)),
        pages.show(*_lines(103, one)),
        pages.show(*_lines(1_000_001, other)),
    ] == [0, 0, 0, 3, 1]


@pytest.mark.parametrize('no_time', KINDS_OF_NO_TIME)
def test_nothing_is_counted_for_such_pages_of_two_processes_however_many_of_others_came_between(
    no_time: object, pages: Pages
) -> None:
    one, other = START - 60, START - 50
    for value, created in [(1_000_000, other), (100, one)] * 2:
        pages.show(*_lines(value, created))
    counted = pages.show(*_lines(101, no_time))
    for _ in range(ledger.FORGET_AFTER - 1):
        counted += pages.show(f'{REQUESTS}_total{{n="1"}} 1', f'{REQUESTS}_created{{n="1"}} {START - 40}')
    counted += pages.show(*_lines(1_000_002, no_time))

    assert [counted, pages.show(*_lines(103, one)), pages.show(*_lines(1_000_002, other))] == [0, 3, 2]


@pytest.mark.parametrize(('value', 'rise'), [(130, 30), (40, 40)])
@pytest.mark.parametrize('no_time', KINDS_OF_NO_TIME)
def test_what_no_longer_tells_its_time_of_creation_goes_on_after_a_while(
    no_time: object, value: int, rise: int, pages: Pages
) -> None:
    pages.show(*_lines(100, START - 60))

    assert sum(pages.show(*_lines(value, no_time)) for _ in range(FORGOTTEN)) == rise
    assert sum(pages.show(*_lines(value + 7, no_time)) for _ in range(2)) == 7


@pytest.mark.parametrize('no_time', KINDS_OF_NO_TIME)
def test_what_returns_without_its_time_of_creation_counts_once_when_it_tells_it(no_time: object, pages: Pages) -> None:
    pages.show(*_lines(79, START - 60))
    for _ in range(FORGOTTEN):
        pages.show()
    counted = pages.show(*_lines(144, no_time))

    assert counted + pages.show(*_lines(144, START + 100)) == 144


@pytest.mark.parametrize('no_time', KINDS_OF_NO_TIME)
def test_what_tells_no_time_of_creation_before_it_is_forgotten_goes_on_when_it_is_back(
    no_time: object, pages: Pages
) -> None:
    pages.show(*_lines(100, START - 60))
    pages.show(*_lines(100, no_time))
    for _ in range(FORGOTTEN):
        pages.show()

    assert pages.show(*_lines(103, START - 60)) == 3


def test_a_proxy_that_tells_times_of_creation_since_its_restart_counts_in_full(pages: Pages) -> None:
    pages.show(*_lines(1_000_000))

    assert pages.show(*_lines(5, START + 20)) == 5
    assert pages.show(*_lines(9, START + 20)) == 4


@pytest.mark.parametrize('line', ['NaN', 'x', '-1'])
def test_what_a_new_process_counted_counts_when_its_first_page_has_no_number_of_it(line: str, pages: Pages) -> None:
    pages.show(*_lines(100, START - 60))
    pages.show(*_lines(line, START + 20))

    assert pages.show(*_lines(30, START + 20)) == 30


def test_what_an_old_process_counted_does_not_count_when_its_first_page_has_no_number_of_it(pages: Pages) -> None:
    pages.show(*_lines(100, START - 60))
    pages.show(*_lines('NaN', START - 90))

    assert pages.show(*_lines(5_000, START - 90)) == 0
    assert pages.show(*_lines(5_003, START - 90)) == 3


times = st.sampled_from(['tells', 'tells', *NO_TIMES])
what_happens = st.sampled_from(['goes on', 'goes on', 'restarts', 'is away'])


@given(rounds=st.lists(st.tuples(what_happens, st.integers(0, 60), times, st.integers(0, 60), times), max_size=15))
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_times_of_creation_that_come_and_go_make_nothing_count_twice(
    rounds: list[tuple[str, int, object, int, object]],
) -> None:
    with PageServer() as server:
        pages = Pages(server)
        one, other, since, counted, happened = 100, 20, START - 60, 0.0, 0
        pages.show(*_lines(one, since), *(line.replace('"0"', '"1"') for line in _lines(other, since)))
        for number, (what, rise, time, other_rise, other_time) in enumerate(rounds):
            for _ in range(FORGOTTEN if what == 'is away' else 0):
                pages.show()
            if what == 'restarts':
                # The page may be late by all the times that it was away.
                one, other, since = 0, 0, START + 20 + number
            one, other, happened = one + rise, other + other_rise, happened + rise + other_rise
            lines = _lines(one, since if time == 'tells' else time)
            others = _lines(other, since if other_time == 'tells' else other_time)
            counted += pages.show(*lines, *(line.replace('"0"', '"1"') for line in others))

            assert counted <= happened


# Multiprocess mode.


def test_one_falling_counter_proves_that_all_workers_started_over(pages: Pages) -> None:
    pages.show_levels(40, 5, 7)

    assert pages.show_levels(4, 5, 90) == 4 + 5 + 90


def _named(**values: int) -> list[str]:
    return [f'{REQUESTS}_total{{n="{n}"}} {value}' for n, value in values.items()]


@pytest.mark.parametrize('pages_away', [1, ledger.FORGET_AFTER, 3 * FORGOTTEN])
def test_a_counter_that_is_not_on_the_page_that_proves_a_restart_counts_in_full_when_it_is_back(
    pages_away: int, pages: Pages
) -> None:
    pages.show(*_named(a=40, b=5))
    assert pages.show(*_named(a=4)) == 4
    assert sum(pages.show(*_named(a=4)) for _ in range(pages_away - 1)) == 0

    assert pages.show(*_named(a=5, b=7)) == 1 + 7
    assert pages.show(*_named(a=5, b=8)) == 1


def test_a_counter_that_a_page_of_another_pod_lacked_is_not_counted_again(pages: Pages) -> None:
    pages.show(*_named(a=100, b=1_000_000))
    assert pages.show(*_named(a=50)) == 50
    assert pages.show(*_named(a=40)) == 40

    # The counter that both have goes on from 40, and its falls are set off later.
    assert pages.show(*_named(a=100, b=1_000_003)) == 60 + 3


def test_a_sum_that_falls_alone_is_no_restart(pages: Pages) -> None:
    def lines(count: int, total: float) -> list[str]:
        return [f'{LATENCY}_count{{a="b"}} {count}', f'{LATENCY}_sum{{a="b"}} {total}']

    pages.show(*lines(10, 50.0), family=LATENCY, type_='histogram')
    assert pages.show(*lines(11, 49.0), family=LATENCY, type_='histogram') == 1
    assert pages.show(*lines(12, 52.0), family=LATENCY, type_='histogram') == 1 + 2


def test_what_workers_with_large_pages_of_their_own_hold_is_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, 'MANY', 5)
    monkeypatch.setattr(archive, 'FEW', 5)
    workers = range(4)
    with SimulatedProxy(len(workers)) as proxy:
        watch = Watch(proxy, LitellmCheck)
        proxy.clock.advance(HOUR)
        watch.scrape()
        for worker in workers:
            proxy.count(TOKENS, worker=worker)
            for number in range(10):
                proxy.count(REQUESTS, worker=worker, key=f'{worker}-{number}')
        for worker in [*workers] * 4:
            proxy.clock.advance(HOUR)
            watch.scrape(worker)

        assert watch.requests() == len(workers) * 10


def test_what_two_workers_show_of_a_series_that_is_forgotten_in_between_counts_once() -> None:
    with SimulatedProxy(workers=3) as proxy:
        watch = Watch(proxy, LitellmCheck)
        watch.scrape(2)
        proxy.count(REQUESTS, 10, worker=0)
        proxy.count(REQUESTS, 7, worker=1)
        for worker in (0, 1, 0, 1):
            watch.scrape(worker)
            for _ in range(FORGOTTEN):
                watch.scrape(2)

        assert watch.requests() == 10 + 7


@pytest.mark.parametrize('away', [FORGOTTEN, 3 * FORGOTTEN])
def test_what_several_workers_hold_counts_on_though_others_answer_for_long(away: int) -> None:
    """Of many workers, few have the series of one caller."""
    with SimulatedProxy(workers=4) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for worker in (0, 1, 2):
            proxy.count(REQUESTS, 1_000, worker, model='a')
            proxy.observe(LATENCY, 0.5, worker, model='a')
        for worker in (0, 1, 2, 3):
            watch.scrape(worker)
        for worker in (0, 1, 2, 1, 0, 2):
            proxy.count(REQUESTS, 3, worker, model='a')
            proxy.observe(LATENCY, 4, worker, model='a')
            for _ in range(away // 3):
                watch.scrape(3)
            watch.scrape(worker)

        assert watch.requests() == 6 * 3
        assert watch.counts() == true_counts(proxy, every_label)


@pytest.mark.parametrize('first', ['NaN', 'x', '5000'])
def test_what_one_worker_counted_is_never_compared_with_what_another_had_when_it_was_forgotten(
    first: str, pages: Pages
) -> None:
    one, other = START - 60, START - 50
    pages.show(*_lines(5_000, one))
    pages.show(*_lines(84, other))
    for _ in range(FORGOTTEN):
        pages.show(f'{REQUESTS}_total{{n="1"}} 1', f'{REQUESTS}_created{{n="1"}} {START - 40}')

    assert [pages.show(*_lines(value, one)) for value in (first, 5_000, 5_002)] == [0, 0, 2]


def test_what_pods_with_large_pages_of_their_own_hold_is_not_counted_again(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, 'MANY', 5)
    monkeypatch.setattr(archive, 'FEW', 5)

    def show(pod: int) -> float:
        own = (f'{REQUESTS}_total{{n="{pod}-{number}"}} 7' for number in range(10))
        return pages.show(f'{REQUESTS}_total {100 * (pod + 1)}', *own)

    for pod in (0, 1, 0, 2, 1, 3, 0, 2, 1, 3):
        show(pod)
    assert [show(pod) for pod in (2, 0, 3, 1, 2, 3, 0)] == [0] * 7


def test_what_one_of_many_pods_shows_again_is_not_counted_again(pages: Pages) -> None:
    """Each is away for so long that its own counters are forgotten."""

    def show(pod: int) -> float:
        return pages.show(f'{REQUESTS}_total {100 * (8 - pod)}', f'{REQUESTS}_total{{n="{pod}"}} 7')

    for pod in (0, 1, 0, 1, 2, 3, 4, 5, 6, 7):
        show(pod)
    assert [show(pod) for pod in [*range(8)] * 2] == [0] * 16


def test_pods_without_a_counter_in_common_count_once_what_they_had_counted_before(pages: Pages) -> None:
    """Nothing tells of them: see `levels`."""
    totals = [100, 5_000, 700]
    counted = 0.0
    for _ in range(20):
        for pod in range(3):
            for _ in range(FORGOTTEN if pod == 0 else 1):
                counted += pages.show(f'{REQUESTS}_total{{n="{pod}"}} {totals[pod]}')
            totals[pod] += 1

    assert counted == 3 * 19 + 5_000 + 700


def test_pods_in_multiprocess_mode_behind_one_url_are_told_and_not_added_up(pages: Pages) -> None:
    pages.show_levels(100, 1_000, 7)
    counted = pages.show_levels(50, 1_200, 3)
    for step in range(1, 200):
        counted += pages.show_levels(100 + 10 * step, 1_000, 7)
        counted += pages.show_levels(50 + 10 * step, 1_200, 3)

    # One fall looks like a restart, and what it counted is set off only where anything happens later.
    assert counted <= 2 * 1_990 + (50 + 1_200 + 3)
    assert any('Scrape each pod directly' in warning for warning in pages.warnings)
    for _ in range(100):
        pages.show_levels(50 + 1_990, 1_200, 3)
    pages.warnings.clear()
    pages.show_levels(50 + 1_990, 1_200, 3)
    assert pages.warnings == []


def test_three_pods_in_multiprocess_mode_that_answer_by_turns_are_told_and_not_added_up(pages: Pages) -> None:
    pods = (100, 1_000, 7), (50, 1_200, 3), (70, 900, 9)
    counted = sum(pages.show_levels(*pod) for _ in range(50) for pod in pods)

    # The first page of each of the others looks like a restart.
    assert counted <= sum(pods[1]) + sum(pods[2])
    assert any('Scrape each pod directly' in warning for warning in pages.warnings)


@pytest.mark.parametrize(
    ('others', 'told'), [([(10, 0), (1, 1)], 6), ([(10, 1), (1, 10)], 6), ([(10, 1), (1, 10), (5, 5)], 8)]
)
def test_pods_of_which_one_answers_between_all_others_are_told(
    others: list[tuple[int, int]], told: int, pages: Pages
) -> None:
    """As behind a gateway with weights. The others all have something that is lower than what the others have."""
    order = [pod for other in others for pod in ((100, 100), other)] * 3
    counted = [pages.show_levels(*pod) for pod in order]

    assert not any(counted[told - 1 :])
    assert any('Scrape each pod directly' in warning for warning in pages.warnings)


def test_what_one_of_two_pods_has_beyond_the_zero_of_the_other_counts_once_they_are_told(pages: Pages) -> None:
    counted = [pages.show_levels(*pod) for pod in [(100, 100), (10, 0)] * 2]

    assert [*counted, pages.show_levels(100, 150)] == [0, 10, 90, 0, 50]


@given(
    pods=st.lists(st.lists(st.integers(0, 1_000), min_size=3, max_size=3), min_size=3, max_size=3),
    order=st.lists(st.integers(0, 2), min_size=3, max_size=30),
)
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_once_pods_are_told_what_each_had_counts_once_at_most(pods: list[list[int]], order: list[int]) -> None:
    with PageServer() as server:
        pages = Pages(server)
        counted = 0.0
        for pod in order:
            are_told = bool(pages.warnings)
            counted += pages.show_levels(*pods[pod]) * are_told

    assert counted <= sum(map(sum, pods))


@given(
    rounds=st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(0, 60), min_size=4, max_size=4)), min_size=1, max_size=30
    )
)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_random_history_in_multiprocess_mode_counts_no_more_than_what_happened(
    rounds: list[tuple[bool, list[int]]],
) -> None:
    with PageServer() as server:
        pages = Pages(server)
        values = [100, 20, 3, 0]
        pages.show_levels(*values)
        counted, happened = 0.0, 0
        for restarts, rises in rounds:
            values = [rise + (0 if restarts else value) for value, rise in zip(values, rises, strict=True)]
            happened += sum(rises)
            counted += pages.show_levels(*values)

        assert counted <= happened


@given(
    rounds=st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(0, 2), min_size=4, max_size=4)), min_size=1, max_size=30
    )
)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_counters_that_are_on_the_page_once_they_count_never_count_more_than_what_happened(
    rounds: list[tuple[bool, list[int]]],
) -> None:
    with PageServer() as server:
        pages = Pages(server)
        pages.show(*_named(a=100, b=20, c=3))
        values = Counter(a=100, b=20, c=3)
        counted, happened = 0.0, 0
        for restarts, rises in rounds:
            if restarts:
                values.clear()
            values.update({n: rise for n, rise in zip('abcd', rises, strict=True) if rise})
            happened += sum(rises)
            counted += pages.show(*_named(**values))

            assert counted <= happened


@pytest.mark.parametrize('pods', [[(9_000, 5_000, 700), (500, 300, 20)], [(9_000, 5, 700), (500, 3_000, 20)]])
@pytest.mark.parametrize('pages_each', [1, 4, 11, 30])
def test_pods_that_each_answer_for_long_are_told_and_not_added_up(
    pages_each: int, pods: list[tuple[int, ...]], pages: Pages
) -> None:
    """As behind a service with sticky sessions. Whether one has all counters higher or not."""
    step = 0
    counted: list[float] = []
    for turn in range(8):
        before = sum(counted)
        for _ in range(pages_each):
            step += 1
            counted.append(pages.show_levels(*(value + step for value in pods[turn % 2])))
        if turn >= 3:
            assert sum(counted) - before <= 3 * 2 * pages_each

    assert sum(counted) <= 2 * 3 * step + sum(pods[0]) + sum(pods[1])
    assert any('Scrape each pod directly' in warning for warning in pages.warnings)


@given(
    pods=st.lists(st.lists(st.integers(0, 10_000), min_size=3, max_size=3), min_size=2, max_size=3),
    stays=st.lists(st.integers(1, 40), min_size=6, max_size=9),
)
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_however_long_pods_stay_what_each_had_counts_twice_at_most(pods: list[list[int]], stays: list[int]) -> None:
    with PageServer() as server:
        pages = Pages(server)
        counted = sum(
            pages.show_levels(*pods[turn % len(pods)]) for turn, stay in enumerate(stays) for _ in range(stay)
        )

    # When it rises to the level of the first or falls to its own, and once more before a second fall tells of pods.
    assert counted <= 2 * sum(map(sum, pods))


@pytest.mark.parametrize('life', [3, 5, 15])
def test_a_proxy_that_restarts_again_and_again_is_not_taken_for_several(life: int, pages: Pages) -> None:
    """Each time it counts somewhat more than the time before."""
    happened = counted = 0.0
    pages.show_levels(50, 40, 30)
    for number in range(6):
        values = [0, 0, 0]
        for _ in range(life + number):
            values = [value + rise for value, rise in zip(values, (3, 2, 1), strict=True)]
            happened += 6
            counted += pages.show_levels(*values)

    assert counted == happened
    assert pages.warnings == []


four_rises = st.lists(st.integers(0, 60), min_size=4, max_size=4)


@given(before=st.lists(four_rises, max_size=4), after=st.lists(four_rises, min_size=1, max_size=4))
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_restart_in_multiprocess_mode_that_a_counter_shows_costs_nothing(
    before: list[list[int]], after: list[list[int]]
) -> None:
    with PageServer() as server:
        pages = Pages(server)
        values = [100, 20, 3, 0]
        pages.show_levels(*values)
        for number, rises in enumerate([*before, *after]):
            former = [0] * 4 if number == len(before) else values
            assume(number != len(before) or any(rise < value for rise, value in zip(rises, values, strict=True)))
            values = [value + rise for value, rise in zip(former, rises, strict=True)]

            assert pages.show_levels(*values) == sum(rises)


@pytest.mark.parametrize('type_line', [f'# TYPE {REQUESTS} counter', f'# TYPE {REQUESTS}_total counter'])
def test_what_a_page_declares_that_fails_is_history_on_the_next_one(type_line: str, pages: Pages) -> None:
    """Without its TYPE line a family has no counts, so that those of the first pages are not known as what they are."""
    other, line = f'# TYPE {TOKENS}_total counter\n', f'{REQUESTS}_total{{n="0"}} 1000\n'
    for page in (other + line, other + line):
        assert not pages.see(page).error
    assert pages.see(f'{other}{type_line}\n{line[:-2]}').error
    assert not any(pages.see(f'{other}{type_line}\n{line}').counts.values())
    after = pages.see(f'{other}{type_line}\n{line.replace("1000", "1007")}')

    assert sum(after.counts.values()) == 7


@pytest.mark.parametrize('is_behind', [[True, True], [True, False], [False, False]])
def test_what_a_page_declares_behind_its_samples_is_history_on_the_next_one(
    is_behind: list[bool], pages: Pages
) -> None:
    other, type_line = f'# TYPE {TOKENS}_total counter\n{TOKENS}_total 1\n', f'# TYPE {REQUESTS}_total counter\n'
    pages.see(f'{other}{REQUESTS}_total 1000\n')
    counted = 0.0
    for total, behind in zip((1_001, 1_003), is_behind, strict=True):
        line = f'{REQUESTS}_total {total}\n'
        flush = pages.see(other + (line + type_line if behind else type_line + line))
        counted += sum(flush.counts.values())
    after = pages.see(f'{other}{type_line}{REQUESTS}_total 1010\n{REQUESTS}_total{{n="new"}} 5\n')

    assert counted == (0 if is_behind[0] else 2)
    assert sum(after.counts.values()) == 7 + 5


# In the long run.


def test_increments_of_a_thousand_scrapes_add_up(pages: Pages) -> None:
    """Ten thousand pages, without HTTP and the Agent, are in `test_ledger`."""
    first = spend = 123_456.789
    seconds = 1e-7
    pages.show_levels(spend, seconds)
    counted = []
    for number in range(1_000):
        spend += 0.000_037 * (number % 7)
        seconds += 0.1 + number * 1e-5
        counted.append(pages.show_levels(spend, seconds))

    assert math.fsum(counted) == pytest.approx(spend - first + seconds, rel=1e-9)


# Clocks.


def _births_and_deaths(proxy: SimulatedProxy, watch: Watch, step: float = 0.0) -> None:
    """Let series be born, come back and outlive a restart, with the clock set in between."""
    proxy.count(REQUESTS, 1_000, model='old')
    proxy.count(TOKENS, 1, model='always')
    watch.scrape()
    for number in range(6):
        proxy.count(REQUESTS, 100, model=f'{number}')
        proxy.observe(LATENCY, 0.5, model=f'{number}')
        watch.scrape()
        proxy.step_clocks(step)
    proxy.forget(REQUESTS, model='0')
    watch.scrape()
    proxy.count(REQUESTS, 100, model='0')
    watch.scrape()


@pytest.mark.parametrize('skew', [-400 * 86_400.0, -26 * HOUR, -HOUR, 0.0, HOUR, 26 * HOUR, 400 * 86_400.0])
@pytest.mark.parametrize(
    'dates',
    [
        None,
        [],
        ['Sat, 28 Nov 2026 10:00:00 -0000'],
        ['Sat, 28 Nov 2026 10:00:00'],
        ['Sat, 28 Nov 2026 10:00:00 GMT', 'Sat, 28 Nov 2020 10:00:00 GMT'],
        ['soon'],
        ['Fri, 31 Dec 9999 23:59:59 GMT'],
    ],
    ids=str,
)
def test_no_skew_and_no_date_makes_a_difference_to_one_process(dates: list[str] | None, skew: float) -> None:
    with SimulatedProxy(skew=skew) as proxy:
        proxy.dates = dates
        watch = Watch(proxy, LitellmCheck)
        _births_and_deaths(proxy, watch)

        assert watch.counts() == true_counts(proxy, every_label)
        assert watch.warnings == []


@pytest.mark.parametrize('step', [-HOUR, -5.0, 5.0, HOUR, 30 * 86_400.0])
def test_a_clock_that_is_set_makes_no_difference_to_one_process(step: float, proxy: SimulatedProxy) -> None:
    watch = Watch(proxy, LitellmCheck)
    _births_and_deaths(proxy, watch, step)

    assert watch.counts() == true_counts(proxy, every_label)
    assert watch.warnings == []


@pytest.mark.parametrize('seconds', [(4.0, 0.0), (0.0, 4.0), (6.0, 6.0), (20.0, 0.0), (0.0, 20.0)])
def test_slow_answers_make_no_difference(seconds: tuple[float, float], proxy: SimulatedProxy) -> None:
    watch = Watch(proxy, LitellmCheck)
    proxy.seconds_to_render, proxy.seconds_to_send = seconds
    _births_and_deaths(proxy, watch)
    proxy.restart()
    proxy.count(REQUESTS, 7, model='old')
    proxy.clock.advance(5)
    watch.scrape()

    assert watch.counts() == true_counts(proxy, every_label)
    assert watch.warnings == []


def test_one_answer_that_is_late_is_no_evidence_of_several_processes(proxy: SimulatedProxy) -> None:
    watch = Watch(proxy, LitellmCheck)
    for number in range(20):
        proxy.seconds_to_send = 8.0 if number == 5 else 0.0
        proxy.count(REQUESTS, 1, model=f'{number}')
        watch.scrape()
        proxy.forget(REQUESTS, model=f'{number}')

    assert watch.warnings == []
    assert watch.counts() == true_counts(proxy, every_label)


def test_the_warning_of_several_processes_ends_with_them() -> None:
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for worker in (0, 1):
            proxy.count(REQUESTS, 5, worker, model='a')
        for _ in range(3):
            watch.scrape(worker=0)
            watch.scrape(worker=1)
        for _ in range(100):
            watch.scrape(worker=1)
        watch.warnings.clear()
        watch.scrape(worker=1)

        assert watch.warnings == []


def test_what_several_workers_counted_before_the_first_page_counts_if_nothing_had_listened_a_run_before() -> None:
    with SimulatedProxy(multiprocess=True, up=False) as proxy:
        watch = Watch(proxy, LitellmCheck)
        assert watch.scrape().error
        proxy.start_listening()
        for _ in range(7):
            proxy.count(REQUESTS, team='red')
        watch.scrape()
        proxy.count(REQUESTS, team='red')
        watch.scrape()

        assert watch.agent.total('litellm.proxy.total_requests.metric.count', 'team:red') == 8


def test_what_several_workers_counted_before_the_first_page_is_history_after_any_other_failure() -> None:
    with SimulatedProxy(multiprocess=True) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for _ in range(7):
            proxy.count(REQUESTS, team='red')
        assert watch.scrape(fault=Status(503)).error
        watch.scrape()
        proxy.count(REQUESTS, team='red')
        watch.scrape()

        assert watch.agent.total('litellm.proxy.total_requests.metric.count', 'team:red') == 1


def test_a_gateway_that_refused_makes_no_history_of_series_that_tell_their_age() -> None:
    with SimulatedProxy(up=False) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for _ in range(7):
            proxy.count(REQUESTS, team='red')
        assert watch.scrape().error
        proxy.start_listening()
        watch.scrape()
        proxy.count(REQUESTS, team='red')
        watch.scrape()

        assert watch.agent.total('litellm.proxy.total_requests.metric.count', 'team:red') == 1


# Distributions.


def _observed(agent: AgentModel) -> dict[str, float]:
    """Return by metric how many observations went into distributions."""
    observed: dict[str, float] = {}
    for (context, _), observations in agent.bucket_totals.items():
        observed[context.name] = observed.get(context.name, 0) + observations
    return observed


DISTRIBUTION = 'litellm.request.total_latency.metric'


@pytest.mark.parametrize('dropped', [[], ['model']], ids=['every label', 'labels dropped'])
def test_a_distribution_has_what_was_observed_whatever_answers(dropped: list[str]) -> None:
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck, histogram_buckets_as_distributions=True, exclude_labels=dropped)
        for worker in (0, 1):
            for model in 'abc':
                for _ in range(100):
                    proxy.observe(LATENCY, 0.5, worker, model=model)
        for worker in (0, 1):
            watch.scrape(worker)
        for duration in (0.0625, 0.5, 4.0, 32.0, 0.5):
            proxy.observe(LATENCY, duration, worker=0, model='a')
            proxy.observe(LATENCY, duration, worker=1, model='b')
        for worker in (0, 1, 0):
            watch.scrape(worker)
        proxy.restart(worker=1)
        for _ in range(300):
            proxy.observe(LATENCY, 4.0, worker=1, model='b')
        watch.scrape(worker=1)
        watch.scrape(worker=0)

        assert _observed(watch.agent) == {DISTRIBUTION: 10 + 300}
        bounds = {bounds: 0 for _, bounds in watch.agent.bucket_totals}
        for (_, pair), observations in watch.agent.bucket_totals.items():
            bounds[pair] += observations
        assert bounds == {(0, 0.125): 2, (0.125, 1.0): 4, (1.0, 8.0): 2 + 300, (8.0, math.inf): 2}


def test_the_counts_of_a_distribution_are_sent_on_demand(proxy: SimulatedProxy) -> None:
    watch = Watch(proxy, LitellmCheck, collect_counters_with_distributions=True)
    watch.scrape()
    for duration in (0.5, 4.0):
        proxy.observe(LATENCY, duration, model='a')
    watch.scrape()

    assert _observed(watch.agent) == {DISTRIBUTION: 2}
    assert watch.agent.total(f'{DISTRIBUTION}.count', 'model:a') == 2
    assert watch.agent.total(f'{DISTRIBUTION}.sum', 'model:a') == 4.5


def test_a_distribution_without_bounds_has_one_context_for_each_series(proxy: SimulatedProxy) -> None:
    watch = Watch(proxy, LitellmCheck, collect_histograms_as_distributions=True)
    proxy.observe(LATENCY, 0.5, model='a')
    watch.scrape()
    for duration in (0.0625, 0.5, 0.5, 4.0, 32.0):
        proxy.observe(LATENCY, duration, model='a')
    watch.scrape()

    context = Context(DISTRIBUTION, frozenset({'model:a'}))
    assert watch.agent.bucket_totals == {
        (context, bounds): number
        for bounds, number in (((0, 0.125), 1), ((0.125, 1.0), 2), ((1.0, 8.0), 1), ((8.0, math.inf), 1))
    }


def test_buckets_that_are_not_cumulative_add_up_to_what_was_observed(proxy: SimulatedProxy) -> None:
    watch = Watch(proxy, LitellmCheck, non_cumulative_histogram_buckets=True)
    proxy.observe(LATENCY, 0.5, model='a')
    watch.scrape()
    for duration in (0.0625, 0.5, 0.5, 4.0, 32.0):
        proxy.observe(LATENCY, duration, model='a')
    watch.scrape()
    watch.scrape()

    name = f'{DISTRIBUTION}.bucket'
    counts = {context.tags: total for context, total in watch.counts().items() if context.name == name}
    assert counts == {
        frozenset({'model:a', f'lower_bound:{lower}', f'upper_bound:{upper}'}): total
        for lower, upper, total in (('0', '0.125', 1), ('0.125', '1.0', 2), ('1.0', '8.0', 1))
    }


def test_a_lower_bucket_that_is_ahead_of_a_higher_one_is_not_counted_twice() -> None:
    """LiteLLM goes on counting while it renders a page."""
    with PageServer() as server:
        pages = Pages(server, histogram_buckets_as_distributions=True)

        def show(*values: int) -> None:
            bounds = ('1.0', '2.0', '+Inf')
            lines = (f'{LATENCY}_bucket{{le="{le}"}} {value}' for le, value in zip(bounds, values, strict=True))
            pages.show(*lines, family=LATENCY, type_='histogram')

        show(0, 0, 0)
        show(5, 3, 6)
        assert _observed(pages.agent) == {DISTRIBUTION: 6}


@pytest.mark.parametrize(
    'values',
    [
        [('x', 5, 5), (5, 5, 5)],
        [(5, 'x', 5), (5, 5, 5)],
        [(5, 5, 'x'), (5, 5, 5)],
        [('NaN', 5, 5), (5, 5, 5)],
        [(5, 3, 3), (5, 5, 5)],
        [(5, 5, 3), (5, 5, 5)],
    ],
)
@pytest.mark.parametrize('with_count', [False, True])
def test_a_bucket_that_catches_up_is_not_counted_twice(values: list[tuple[object, ...]], with_count: bool) -> None:
    with PageServer() as server:
        pages = Pages(server, histogram_buckets_as_distributions=True, collect_counters_with_distributions=with_count)
        for page in [(0, 0, 0), *values]:
            lines = [
                f'{LATENCY}_bucket{{le="{le}"}} {value}' for le, value in zip(('1.0', '2.0', '+Inf'), page, strict=True)
            ]
            pages.show(*lines, f'{LATENCY}_count {page[2]}', family=LATENCY, type_='histogram')

        assert _observed(pages.agent) == {DISTRIBUTION: 5}
