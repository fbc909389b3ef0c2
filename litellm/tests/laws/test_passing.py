"""Samples that pass: where most of a page is new and soon gone, all counts and gauges are what they are elsewhere."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import prometheus_client.metrics
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Counter as PrometheusCounter

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.scrapers.exact import ExactScraper
from tests.support.agent_model import AgentModel, Flush
from tests.support.passing import passing_at_once
from tests.support.simulated_proxy import Clock, PageServer
from tests.support.watch import REQUESTS

BUDGET = 'litellm_remaining_team_budget_metric'

# Of a page with so many new samples, and few that are known, the last hundreds pass.
MANY = 1_500


class Pages:
    """A check at pages that a test writes."""

    def __init__(self, server: PageServer, **options: Any) -> None:
        self._server = server
        self._clock = Clock()
        self._agent = AgentModel(self._clock.now)
        instance = {'openmetrics_endpoint': server.url, 'collect_readiness': False, 'tag_by_endpoint': False}
        self.check = LitellmCheck('litellm', {}, [{**instance, **options}])
        self.warnings: list[str] = []

    def see(self, page: str) -> Flush:
        """Scrape a page, and return what the Agent flushes."""
        self._clock.advance(15)
        self._server.page = page
        with self._clock.is_the_time():
            flush = self._agent.run(self.check)
        self.warnings = self.check.get_warnings()
        return flush

    def count(self, users: Mapping[Any, float] | Iterable[Any], *lines: str) -> dict[str, float]:
        """Scrape a page with a counter of each user, and return what each counted."""
        counted = users if isinstance(users, Mapping) else dict.fromkeys(users, 1.0)
        own = (f'{REQUESTS}_total{{end_user="{user}"}} {value}' for user, value in counted.items())
        flush = self.see('\n'.join([f'# TYPE {REQUESTS}_total counter', *own, *lines, '']))
        assert not flush.error
        return {
            tag.removeprefix('end_user:'): value
            for context, value in flush.counts.items()
            if value
            for tag in context.tags
        }

    @property
    def learned(self) -> int:
        """The number of samples that are known."""
        (scraper,) = self.check.scrapers.values()
        assert isinstance(scraper, ExactScraper)
        return scraper._table.slots.samples


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as one:
        yield one


@pytest.fixture
def pages(server: PageServer) -> Pages:
    return Pages(server)


def test_what_follows_many_new_samples_counts_in_full_without_being_learned(pages: Pages) -> None:
    pages.count(['first'])

    assert pages.count(range(MANY)) == {str(user): 1.0 for user in range(MANY)}
    assert pages.learned < 1 + MANY


def test_once_little_of_it_returns_nothing_new_is_learned(pages: Pages) -> None:
    pages.count(['first'])
    pages.count(range(MANY))
    before = pages.learned

    assert pages.count(range(MANY, 2 * MANY)) == {str(user): 1.0 for user in range(MANY, 2 * MANY)}
    assert pages.learned == before


def test_what_is_new_on_the_first_page_is_learned(pages: Pages) -> None:
    assert pages.count(range(MANY)) == {}
    assert pages.learned == MANY


def test_few_new_samples_are_learned(pages: Pages) -> None:
    pages.count(['first'])
    pages.count(range(900))

    assert pages.learned == 901


def test_what_returns_goes_on_from_what_it_had_counted_and_is_learned(pages: Pages) -> None:
    pages.count(['first'])
    pages.count(range(MANY))

    assert pages.count({user: 1.0 + (user == MANY - 1) for user in range(MANY)}) == {str(MANY - 1): 1.0}
    assert pages.learned == 1 + MANY


def test_what_returns_after_an_empty_page_and_another_one_does_not_count_again(pages: Pages) -> None:
    pages.count(['first'])
    pages.count(range(MANY))
    pages.count(())
    pages.count(range(MANY, 2 * MANY))

    assert pages.count(range(2 * MANY)) == {}


def test_what_returns_in_another_spelling_does_not_count_again(pages: Pages) -> None:
    with passing_at_once():
        pages.count(['first'])
        pages.count((), f'{REQUESTS}_total{{model="a",end_user="b"}} 5')

        assert pages.count((), f'{REQUESTS}_total{{end_user="b",model="a"}} 6') == {'b': 1.0, 'model:a': 1.0}


def test_a_context_that_passed_and_returns_has_one_zero(pages: Pages) -> None:
    with passing_at_once():
        pages.count(['first'])
        pages.count(['first', 'new'])
        page = f'# TYPE {REQUESTS}_total counter\n{REQUESTS}_total{{end_user="new"}} 1.0\n'

        zeros = [[value for context, value in pages.see(page).counts.items() if context.tags] for _ in range(3)]
        assert zeros == [[0.0], [], []]


def test_of_a_page_that_fails_nothing_has_passed(pages: Pages) -> None:
    with passing_at_once():
        pages.count(['first'])
        assert pages.see(f'# TYPE {REQUESTS}_total counter\n{REQUESTS}_total{{end_user="new"}} 5\n{REQUESTS}').error

        assert pages.count({'new': 5}) == {'new': 5.0}


def test_of_two_lines_of_a_sample_that_passes_the_last_one_counts_and_there_is_a_warning(pages: Pages) -> None:
    with passing_at_once():
        pages.count(['first'])

        lines = (f'{REQUESTS}_total{{end_user="new"}} {value}' for value in (5, 3))
        assert pages.count(['first'], *lines) == {'new': 3.0}
    (warning,) = pages.warnings
    assert warning.startswith('1 samples are on the page')


@pytest.mark.parametrize('number', ['NaN', '-1', 'x'])
def test_what_has_another_line_that_is_no_count_does_not_count_twice(number: str, pages: Pages) -> None:
    with passing_at_once():
        pages.count(['first'])

        lines = (f'{REQUESTS}_total{{end_user="new"}} {value}' for value in (5, number))
        counted = pages.count(['first'], *lines).get('new', 0.0)
        assert counted + pages.count({'first': 1, 'new': 6}).get('new', 0.0) <= 6.0


def test_counts_that_tell_when_they_were_created_do_not_pass(pages: Pages) -> None:
    def show(user: str) -> dict[str, float]:
        created = f'{REQUESTS}_created{{end_user="{user}"}} 1000.5'
        return pages.count([user], f'# TYPE {REQUESTS}_created gauge', created)

    with passing_at_once():
        show('first')

        # It was there before the first page of its process, which was never seen.
        assert show('old') == {}


def test_a_family_without_any_series_yet_may_tell_when_they_were_created(pages: Pages) -> None:
    with passing_at_once():
        pages.count((), '# TYPE litellm_requests_metric_total counter', 'litellm_requests_metric_total{model="a"} 1')

        created = f'{REQUESTS}_created{{end_user="old"}} 1000.5'
        assert pages.count(['old'], f'# TYPE {REQUESTS}_created gauge', created) == {}


def test_a_family_may_begin_to_tell_when_its_series_were_created(pages: Pages) -> None:
    with passing_at_once():
        pages.count(['first'])

        created = f'{REQUESTS}_created{{end_user="old"}} 1000.5'
        assert pages.count(['first', 'old'], f'# TYPE {REQUESTS}_created gauge', created) == {}


def test_gauges_with_tags_that_are_one_to_datadog_are_learned(pages: Pages) -> None:
    def show(*teams: str) -> list[float]:
        lines = (f'{BUDGET}{{team="{team}"}} {value}\n' for value, team in enumerate(teams, 1))
        return sorted(pages.see(f'# TYPE {BUDGET} gauge\n{"".join(lines)}').gauges.values())

    with passing_at_once():
        show('first')

        assert show('first', 'Red', 'blue', 'red') == [1.0, 2.0, 3.0]
        assert pages.learned == 3


def test_below_a_limit_samples_that_pass_get_the_room_that_is_left(server: PageServer) -> None:
    pages = Pages(server, max_contexts=3)
    with passing_at_once():
        pages.count(['first'])

        assert pages.count(['first', 'a', 'b', 'c', 'd']) == {'a': 1.0, 'b': 1.0}
    (warning,) = pages.warnings
    assert warning.startswith('2 contexts of')


def test_series_whose_tags_are_the_same_count_together(server: PageServer) -> None:
    pages = Pages(server, exclude_labels=['end_user'])

    def show(*users: int) -> float:
        lines = ''.join(f'{REQUESTS}_total{{end_user="{user}",model="a"}} 2\n' for user in users)
        return sum(pages.see(f'# TYPE {REQUESTS}_total counter\n{lines}').counts.values())

    with passing_at_once():
        show(0)

        assert show(0, 1, 2, 3) == 6.0
        assert show(0, 1, 4, 5) == 4.0


def test_every_event_of_callers_that_come_and_go_counts_once_on_pages_of_the_real_client_library(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in multiprocess mode, where it tells no times of creation.
    monkeypatch.setattr(prometheus_client.metrics, '_use_created', False)
    registry, chance = CollectorRegistry(), random.Random(4)
    counter = PrometheusCounter(f'{REQUESTS}_total', 'Requests.', ['end_user'], registry=registry)
    happened, counted, users, here = 0, 0.0, count(), ['first']
    counter.labels('first').inc()
    pages.see(generate_latest(registry).decode())
    for new in (1_500, 3_000, 0, 1_500, 50):
        here += [f'u{next(users)}' for _ in range(new)]
        for user in [*here[len(here) - new :], *chance.sample(here, len(here) // 3)]:
            counter.labels(user).inc()
            happened += 1
        counted += sum(pages.see(generate_latest(registry).decode()).counts.values())
        gone = set(chance.sample(here, len(here) // 2))
        for user in gone:
            counter.remove(user)
        here = [user for user in here if user not in gone]

    assert counted == happened


# By user: what each has beyond the page before, or None if the page leaves it out.
rises = st.lists(st.none() | st.integers(0, 3), min_size=6, max_size=6)


@given(
    history=st.lists(st.tuples(rises, st.sampled_from(['whole', 'whole', 'cut', 'empty'])), min_size=2, max_size=25),
    options=st.sampled_from([{}, {'idle_counts': 'always'}, {'exclude_labels': ['end_user']}, {'max_contexts': 50}]),
)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_random_history_counts_the_same_whether_samples_pass_or_not(
    history: list[tuple[list[int | None], str]], options: dict[str, Any]
) -> None:
    def play() -> list[tuple[Counter[Any], dict[Any, float], bool]]:
        flushes = []
        with PageServer() as server:
            pages = Pages(server, **options)
            totals = [0] * 6
            for rises, kind in [([0, None, None, None, None, None], 'whole'), *history]:
                totals = [total + (rise or 0) for total, rise in zip(totals, rises, strict=True)]
                users = [user for user, rise in enumerate(rises) if rise is not None and kind != 'empty']
                counters = ''.join(f'{REQUESTS}_total{{end_user="{user}"}} {totals[user]}\n' for user in users)
                gauges = ''.join(f'{BUDGET}{{team="{"Aab"[user % 3]}{user}"}} {totals[user]}\n' for user in users)
                page = f'# TYPE {REQUESTS}_total counter\n{counters}# TYPE {BUDGET} gauge\n{gauges}'
                flush = pages.see(page[:-1] if kind == 'cut' else page)
                counts = Counter({context: value for context, value in flush.counts.items() if value})
                flushes.append((counts, flush.gauges, bool(flush.error)))
        return flushes

    learned = play()
    with passing_at_once():
        assert play() == learned
