"""Histories: what happens at simulated proxies, when they are scraped, and how many requests Datadog must show then.

The number is counted by hand. Every history is played by `test_conservation.py` to the check and to the base package's
own scraper, which breaks most of them, and by `test_selection.py` to a check that asks the proxy for less.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tests.support.simulated_proxy import Cut, RestartInside, SimulatedProxy, Status
from tests.support.watch import LATENCY, REQUESTS, TOKENS, TagsOf, Watch, every_label, only

__all__ = ['HISTORIES', 'SEVEN_MINUTES', 'History', 'case']

SEVEN_MINUTES = 420.0


class History(NamedTuple):
    name: str
    play: Callable[[SimulatedProxy, Watch], int]
    proxy: dict[str, Any]
    options: dict[str, Any]
    tags_of: TagsOf
    stock: str


HISTORIES: list[History] = []

Play = Callable[[SimulatedProxy, Watch], int]


def history(
    name: str | None = None,
    *,
    stock: str = 'is wrong',
    tags_of: TagsOf = every_label,
    options: dict[str, Any] | None = None,
    **proxy: Any,
) -> Callable[[Play], Play]:
    """Make a function a history of these proxies, under these options, of which the stock scraper `is wrong|right`.

    A function that is a history under several options, or of several proxies, has a name for each.
    """

    def register(play: Play) -> Play:
        HISTORIES.append(History(name or play.__name__, play, proxy, options or {}, tags_of, stock))
        return play

    return register


def case(one: History) -> str:
    return one.name


# 0. Nothing special.


@history(stock='is right')
def one_process_that_never_restarts(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    proxy.observe(LATENCY, 0.5, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 3, model='a')
    proxy.observe(LATENCY, 0.0625, model='a')
    proxy.observe(LATENCY, 4, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 2, model='a')
    watch.scrape_after(6, model='b')
    return 3 + 2 + 6


# 1. Labels that do not become tags: series share a context and are summed.


@history('labels_dropped_by_exclude_labels', options={'exclude_labels': ['key']}, tags_of=only('team'))
@history('all_labels_dropped', options={'exclude_labels': ['key', 'team']}, tags_of=only())
@history('labels_dropped_by_include_labels', options={'include_labels': ['team', 'upper_bound']}, tags_of=only('team'))
def three_series_of_two_teams(proxy: SimulatedProxy, watch: Watch) -> int:
    for team, key, count in (('red', '1', 4), ('red', '2', 1), ('blue', '3', 15)):
        proxy.count(REQUESTS, count, team=team, key=key)
        proxy.observe(LATENCY, 0.5, team=team, key=key)
    watch.scrape()
    for team, key, count in (('red', '1', 2), ('red', '2', 7), ('blue', '3', 0)):
        proxy.count(REQUESTS, count, team=team, key=key)
        proxy.observe(LATENCY, 4, team=team, key=key)
    watch.scrape()
    watch.scrape_after(5, team='red', key='4')
    watch.scrape()
    return 2 + 7 + 5


@history(
    options={'exclude_metrics_by_labels': {'key': ['2']}, 'exclude_labels': ['key']},
    tags_of=lambda labels: None if ('key', '2') in labels else only('team')(labels),
)
def series_dropped_by_exclude_metrics_by_labels(proxy: SimulatedProxy, watch: Watch) -> int:
    return three_series_of_two_teams(proxy, watch) - 7


@history(options={'exclude_personal_labels': True}, tags_of=only('team'))
def personal_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    for user, count in (('ann', 4), ('ben', 1)):
        proxy.count(REQUESTS, count, team='red', end_user=user, metadata_desk=user)
        proxy.observe(LATENCY, 0.5, team='red', end_user=user)
    watch.scrape()
    proxy.forget(REQUESTS, team='red', end_user='ann', metadata_desk='ann')
    watch.scrape_after(2, team='red', end_user='ben', metadata_desk='ben')
    proxy.count(REQUESTS, 3, team='red', end_user='ann', metadata_desk='ann')
    proxy.observe(LATENCY, 4, team='red', end_user='ben')
    watch.scrape()
    return 2 + 3


@history(
    options={'drop_empty_labels': True},
    tags_of=lambda labels: every_label(tuple(label for label in labels if label[1] not in ('', 'None'))),
)
def empty_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    for team, count in (('None', 4), ('', 1), ('red', 7)):
        proxy.count(REQUESTS, count, team=team, model='a')
    watch.scrape()
    for team, count in (('None', 2), ('', 3), ('red', 5)):
        proxy.count(REQUESTS, count, team=team, model='a')
    watch.scrape()
    return 2 + 3 + 5


@history(
    options={'rename_labels': {'hashed_api_key': 'key'}},
    tags_of=lambda labels: frozenset(
        f'{name.replace("hashed_api_key", "key")}:{"redacted" if value.startswith("clear") else value}'
        for name, value in labels
    ),
)
def keys_in_clear_redacted(proxy: SimulatedProxy, watch: Watch) -> int:
    for key, count in (('clear-1', 4), ('clear-2', 1), ('a' * 64, 7)):
        proxy.count(REQUESTS, count, model='a', hashed_api_key=key)
        proxy.observe(LATENCY, 0.5, model='a', hashed_api_key=key)
    watch.scrape()
    for key, count in (('clear-1', 2), ('clear-2', 3), ('a' * 64, 5), ('clear-3', 8)):
        proxy.count(REQUESTS, count, model='a', hashed_api_key=key)
        proxy.observe(LATENCY, 4, model='a', hashed_api_key=key)
    watch.scrape()
    return 2 + 3 + 5 + 8


@history(
    options={'rename_labels': {'team': 'who', 'user': 'who'}},
    tags_of=lambda labels: frozenset(f'who:{value}' for _, value in labels),
)
def labels_merged_by_rename_labels(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 9, team='x', user='y')
    watch.scrape_after(2, team='y', user='x')
    proxy.count(REQUESTS, 1, team='x', user='y')
    watch.scrape_after(4, team='y', user='x')
    return 1 + 4


@history(options={'tags': ['team:red']}, tags_of=lambda labels: every_label(labels) | {'team:red'})
def a_label_merged_with_a_custom_tag(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 9, team='red')
    proxy.count(REQUESTS, 2)
    watch.scrape()
    proxy.count(REQUESTS, 1, team='red')
    proxy.count(REQUESTS, 4)
    watch.scrape()
    return 1 + 4


@history()
def two_families_of_one_metric(proxy: SimulatedProxy, watch: Watch) -> int:
    # The earlier and the present spelling of one family, as when LiteLLM is upgraded pod by pod.
    proxy.count('litellm_total_tokens', 90, model='a')
    proxy.count(TOKENS, 20, model='a')
    watch.scrape()
    proxy.count('litellm_total_tokens', 3, model='a')
    proxy.count(TOKENS, 5, model='a')
    watch.scrape()
    watch.scrape()
    return 0


@history(options={'exclude_labels': ['key']}, tags_of=only('team'))
def one_of_several_series_in_a_context_expires(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, team='red', key='1')
    watch.scrape_after(20, team='red', key='2')
    watch.scrape_after(1, team='red', key='1')
    proxy.forget(REQUESTS, team='red', key='1')
    watch.scrape_after(2, team='red', key='2')
    watch.scrape_after(3, team='red', key='1')
    return 1 + 2 + 3


@history(options={'exclude_labels': ['key']}, tags_of=only('team'))
def one_of_several_series_in_a_context_expires_for_good(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, team='red', key='1')
    watch.scrape_after(20, team='red', key='2')
    watch.scrape_after(50, team='red', key='1')
    proxy.forget(REQUESTS, team='red', key='1')
    for _ in range(12):
        watch.scrape()
    watch.scrape_after(2, team='red', key='2')
    return 50 + 2


@history(options={'exclude_labels': ['key']}, tags_of=only('team'))
def a_restart_with_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, team='red', key='1')
    watch.scrape_after(20, team='red', key='2')
    proxy.restart()
    watch.scrape_after(11, team='red', key='1')
    watch.scrape_after(4, team='red', key='2')
    return 11 + 4


# 2. Several processes answer at one URL.


@history(workers=2)
def two_workers_alternate(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 35, worker=0, model='a')
    proxy.count(REQUESTS, 26, worker=1, model='a')
    watch.scrape(worker=0)
    watch.scrape(worker=1)
    proxy.count(REQUESTS, 3, worker=0, model='a')
    proxy.count(REQUESTS, 4, worker=1, model='a')
    proxy.observe(LATENCY, 0.5, worker=0, model='a')
    watch.scrape(worker=0)
    watch.scrape(worker=1)
    watch.scrape(worker=0)
    return 3 + 4


@history(workers=2)
def a_worker_first_seen_late_is_older_than_the_first_scrape(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 35, worker=0, model='a')
    proxy.count(REQUESTS, 1000, worker=1, model='a')
    for _ in range(5):
        watch.scrape(worker=0)
    watch.scrape(worker=1)
    watch.scrape_after(2, worker=1)
    return 2


@history(workers=2, stock='is right')
def a_worker_first_seen_late_is_younger_than_the_first_scrape(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(35)
    proxy.restart(worker=1)
    watch.scrape_after(9, worker=1)
    return 9


@history(workers=2)
def a_worker_first_seen_late_is_younger_and_has_counted_more_than_the_first(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(3)
    proxy.restart(worker=1)
    watch.scrape_after(9, worker=1)
    return 9


@history(workers=2)
def workers_with_equal_values(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(1)
    watch.scrape_after(1, worker=1)
    return 1


@history(workers=2, options={'exclude_labels': ['key']}, tags_of=only('team'))
def two_workers_alternate_with_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    for worker in (0, 1):
        proxy.count(REQUESTS, 35, worker, team='red', key='1')
        proxy.count(REQUESTS, 50, worker, team='red', key='2')
    watch.scrape(worker=0)
    watch.scrape(worker=1)
    proxy.count(REQUESTS, 3, worker=0, team='red', key='2')
    proxy.count(REQUESTS, 4, worker=1, team='red', key='1')
    watch.scrape(worker=0)
    watch.scrape(worker=1)
    return 3 + 4


@history(workers=4)
def four_workers_answer_at_random(proxy: SimulatedProxy, watch: Watch) -> int:
    choice = random.Random(4)
    for worker in range(4):
        proxy.count(REQUESTS, 100 * worker, worker, model='a')
    for worker in range(4):
        watch.scrape(worker)
    for _ in range(40):
        proxy.count(REQUESTS, 1, choice.randrange(4), model='a')
        watch.scrape(choice.randrange(4))
    for worker in range(4):
        watch.scrape(worker)
    return 40


@history(workers=2)
def a_worker_that_is_not_seen_for_twenty_scrapes(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(35)
    watch.scrape_after(7, worker=1)
    for _ in range(20):
        watch.scrape(worker=0)
    watch.scrape_after(2, worker=1)
    return 7 + 2


@history(workers=2)
def a_worker_first_seen_long_after_both_have_restarted(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(10)
    for worker in (0, 1):
        proxy.restart(worker)
        proxy.count(REQUESTS, 3 + worker, worker, model='a')
    for _ in range(12):
        watch.scrape(worker=0)
    watch.scrape(worker=1)
    return 3 + 4


@history(workers=2, skews=(0, SEVEN_MINUTES))
def a_pod_first_seen_late_is_older_and_its_clock_is_ahead_of_the_other(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 35, worker=0, model='a')
    proxy.count(REQUESTS, 1000, worker=1, model='a')
    watch.scrape(worker=0)
    watch.scrape(worker=1)
    return 0


@history(workers=2, skews=(0, -SEVEN_MINUTES))
def a_pod_first_seen_late_is_younger_and_its_clock_is_behind_the_other(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(35)
    proxy.restart(worker=1)
    watch.scrape_after(50, worker=1)
    return 50


# 3. Restarts.


@history(stock='is right')
def a_restart_after_which_counters_are_lower(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    watch.scrape_after(3)
    proxy.restart()
    watch.scrape_after(5)
    return 3 + 5


@history()
def a_restart_after_which_counters_are_higher(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    proxy.observe(LATENCY, 0.5, model='a')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 50, model='a')
    proxy.observe(LATENCY, 0.5, model='a')
    proxy.observe(LATENCY, 0.5, model='a')
    watch.scrape()
    return 50


@history()
def a_restart_after_which_counters_are_equal(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.restart()
    watch.scrape_after(40)
    return 40


@history()
def a_restart_inside_a_page(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    proxy.count(TOKENS, 400, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape(fault=RestartInside(TOKENS))
    proxy.count(REQUESTS, 45, model='a')
    proxy.count(TOKENS, 450, model='a')
    watch.scrape()
    return 1 + 45


@history()
def a_page_cut_off_by_a_restart(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    watch.scrape_after(2)
    watch.fail(Cut(0.7))
    proxy.restart()
    watch.scrape_after(60)
    return 2 + 60


@history(workers=2)
def a_worker_is_killed_and_replaced(proxy: SimulatedProxy, watch: Watch) -> int:
    for worker in (0, 1):
        watch.scrape_after(35, worker)
    proxy.restart(worker=1)
    proxy.count(REQUESTS, 36, worker=1, model='a')
    proxy.count(REQUESTS, 2, worker=0, model='a')
    watch.scrape(worker=1)
    watch.scrape(worker=0)
    watch.scrape(worker=1)
    # Worker 1 came to be after the first scrape, so its first 35 count too.
    return 35 + 36 + 2


@history()
def five_restarts_in_a_row(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(10)
    for restart in range(5):
        proxy.restart()
        watch.scrape_after(10 + restart)
    return 10 + 11 + 12 + 13 + 14


# 4. Series that expire and come back.


def _gone_and_back(proxy: SimulatedProxy, watch: Watch, scrapes: int, after: int) -> int:
    watch.scrape_after(1, end_user='always')
    proxy.count(REQUESTS, 3, end_user='comes and goes')
    proxy.observe(LATENCY, 0.5, end_user='comes and goes')
    watch.scrape()
    proxy.forget(REQUESTS, end_user='comes and goes')
    proxy.forget(LATENCY, end_user='comes and goes')
    for _ in range(scrapes):
        watch.scrape()
    proxy.count(REQUESTS, after, end_user='comes and goes')
    proxy.observe(LATENCY, 0.5, end_user='comes and goes')
    proxy.observe(LATENCY, 4, end_user='comes and goes')
    watch.scrape()
    return 3 + after


for _name, _scrapes, _after in (
    ('a_series_is_gone_for_a_scrape_and_comes_back_lower', 1, 1),
    ('a_series_is_gone_for_a_scrape_and_comes_back_higher', 1, 5),
    ('a_series_is_gone_for_three_scrapes_and_comes_back_higher', 3, 5),
    ('a_series_is_gone_for_fifty_scrapes_and_comes_back_higher', 50, 5),
    ('a_series_expires_and_comes_back_between_two_scrapes', 0, 5),
):
    history(_name)(partial(_gone_and_back, scrapes=_scrapes, after=_after))


@history()
def a_series_that_expires_every_second_scrape(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(100, end_user='x')
    for count in range(1, 6):
        proxy.forget(REQUESTS, end_user='x')
        watch.scrape()
        watch.scrape_after(count, end_user='x')
    return 1 + 2 + 3 + 4 + 5


@history(stock='is right')
def series_folded_into_other(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, end_user='x', model='a')
    watch.scrape_after(20, end_user='other', model='other')
    proxy.forget(REQUESTS, end_user='x', model='a')
    watch.scrape_after(4, end_user='other', model='other')
    proxy.count(REQUESTS, 1, end_user='x', model='a')
    watch.scrape_after(2, end_user='other', model='other')
    return 4 + 1 + 2


@history()
def a_page_without_any_series_in_between(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(10)
    proxy.restart()
    watch.scrape()
    watch.scrape_after(12)
    return 12


# 5. Multiprocess mode: no `_created`, so only a lower value tells that a series has started over.


@history(multiprocess=True, stock='is right')
def multiprocess_counters_go_up(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.count(REQUESTS, 2, model='a')
    proxy.count(REQUESTS, 3, model='b')
    proxy.observe(LATENCY, 0.5, model='b')
    watch.scrape()
    return 2 + 3


@history(multiprocess=True, stock='is right')
def a_multiprocess_restart(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.restart()
    watch.scrape_after(5)
    return 5


@history(multiprocess=True, options={'exclude_labels': ['key']}, tags_of=only('team'))
def a_multiprocess_restart_with_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, team='red', key='1')
    watch.scrape_after(9, team='red', key='2')
    proxy.restart()
    watch.scrape_after(5, team='red', key='2')
    watch.scrape_after(6, team='red', key='1')
    return 5 + 6


def _gone_and_back_in_multiprocess_mode(proxy: SimulatedProxy, watch: Watch, scrapes: int) -> int:
    watch.scrape_after(1, end_user='always')
    watch.scrape_after(3, end_user='comes and goes')
    proxy.forget(REQUESTS, end_user='comes and goes')
    for _ in range(scrapes):
        watch.scrape()
    watch.scrape_after(1, end_user='comes and goes')
    return 3 + 1


for _name, _scrapes in (
    ('a_multiprocess_series_that_expires_and_comes_back_lower', 1),
    ('a_multiprocess_series_that_comes_back_lower_after_fifty_scrapes', 50),
):
    _play = partial(_gone_and_back_in_multiprocess_mode, scrapes=_scrapes)
    history(_name, multiprocess=True, stock='is right')(_play)


@history(multiprocess=True, stock='is right')
def a_multiprocess_restart_inside_a_page(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    proxy.count(TOKENS, 400, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape(fault=RestartInside(TOKENS))
    proxy.count(REQUESTS, 2, model='a')
    proxy.count(TOKENS, 30, model='a')
    watch.scrape()
    return 1 + 2


@history(multiprocess=True, stock='is right')
def a_multiprocess_proxy_that_has_served_nothing_yet(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape()
    proxy.count(REQUESTS, 7, model='a')
    proxy.observe(LATENCY, 4, model='a')
    watch.scrape()
    return 7


@history(options={'raw_line_filters': ['_created']}, stock='is right')
def created_stamps_that_are_filtered_out(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape_after(2, model='b')
    proxy.restart()
    watch.scrape_after(3)
    return 1 + 2 + 3


# 6. Scrapes that fail.


@history(stock='is right')
def events_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.count(REQUESTS, 2, model='a')
    watch.fail(Status(503))
    watch.scrape_after(3)
    return 2 + 3


@history()
def a_series_that_appears_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.count(REQUESTS, 6, model='b')
    watch.fail(Status(503))
    watch.scrape()
    watch.scrape_after(1, model='b')
    return 6 + 1


@history()
def a_restart_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.stop_listening()
    watch.fail()
    watch.fail()
    proxy.restart()
    proxy.start_listening()
    watch.scrape_after(4)
    return 4


@history()
def a_long_failure_with_a_restart(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.restart()
    proxy.count(REQUESTS, 60, model='a')
    for _ in range(10):
        watch.fail(Status(500))
    watch.scrape()
    return 60


@history()
def an_outage_longer_than_the_memory_of_the_agent(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    for _ in range(27):
        proxy.clock.advance(3600)
        watch.fail(Status(503))
    proxy.restart()
    proxy.count(REQUESTS, 5, model='a')
    watch.fail(Status(503))
    watch.scrape()
    watch.scrape_after(2)
    return 5 + 2


@history(multiprocess=True)
def a_multiprocess_restart_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.scrape_after(40)
    proxy.restart()
    proxy.count(REQUESTS, 4, model='a')
    watch.fail(Status(503))
    watch.scrape()
    return 4


def _torn_page(proxy: SimulatedProxy, watch: Watch, framing: str) -> int:
    """Cut a page in the middle of a line, in which some of the new series were already sent."""
    proxy.count(REQUESTS, 40, model='a')
    proxy.observe(LATENCY, 0.5, model='a')
    watch.scrape()
    for model in 'abcdef':
        proxy.count(REQUESTS, 3, model=model)
        proxy.observe(LATENCY, 4, model=model)
    watch.fail(Cut(0.4, framing))
    watch.fail(Cut('"d"', framing))
    watch.scrape()
    return 6 * 3


history('a_page_that_is_shorter_than_announced')(partial(_torn_page, framing='content-length'))
history('a_chunked_page_that_breaks_off')(partial(_torn_page, framing='chunked'))


@history(stock='is right')
def a_page_that_ends_early_between_two_lines_unnoticed(proxy: SimulatedProxy, watch: Watch) -> int:
    # Text has no end mark: this page is well-formed and just lacks what had been on the page before.
    proxy.count(REQUESTS, 40, model='a')
    proxy.count(TOKENS, 400, model='a')
    watch.scrape()
    proxy.count(TOKENS, 3, model='b')
    watch.scrape_after(1)
    watch.scrape(fault=Cut('# HELP litellm_total_tokens', 'close'))
    proxy.count(TOKENS, 2, model='a')
    proxy.count(TOKENS, 4, model='b')
    watch.scrape()
    return 1


@history(stock='is right')
def a_page_that_ends_early_within_a_family_unnoticed(proxy: SimulatedProxy, watch: Watch) -> int:
    # The samples of the last family are there, the `_created` stamps after them are not.
    watch.scrape_after(40)
    proxy.count(REQUESTS, 3, model='a')
    proxy.count(REQUESTS, 9, model='b')
    watch.scrape(fault=Cut('# HELP litellm_proxy_total_requests_metric_created', 'close'))
    watch.scrape_after(1, model='b')
    return 3 + 9 + 1


# 7. The first scrape.


@history(stock='is right')
def the_first_scrape_of_a_long_lived_proxy(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 1_000_000, model='a')
    proxy.observe(LATENCY, 4, model='a')
    watch.scrape()
    watch.scrape()
    return 0


@history(stock='is right')
@history('the_first_scrape_of_a_long_lived_multiprocess_proxy_fails', multiprocess=True, stock='is right')
def the_first_scrape_of_a_long_lived_proxy_fails(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 1_000_000, model='a')
    watch.fail(Status(503))
    watch.scrape()
    watch.scrape_after(1)
    return 1


@history(up=False)
def a_proxy_that_starts_after_the_check(proxy: SimulatedProxy, watch: Watch) -> int:
    watch.fail()
    watch.fail()
    proxy.clock.advance(5)
    proxy.restart()
    proxy.start_listening()
    proxy.count(REQUESTS, 7, model='a')
    proxy.observe(LATENCY, 0.5, model='a')
    watch.scrape()
    watch.scrape_after(1)
    return 7 + 1


@history(up=False, stock='is right')
def a_long_lived_proxy_that_becomes_reachable_after_the_check_started(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 500, model='a')
    watch.fail()
    watch.fail()
    proxy.start_listening()
    watch.scrape()
    watch.scrape_after(1)
    return 1


@history(stock='is right')
def a_first_page_that_is_cut_off(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 500, model='a')
    proxy.count(TOKENS, 5000, model='a')
    watch.fail(Cut('# HELP litellm_total_tokens'))
    watch.scrape()
    proxy.count(REQUESTS, 1, model='a')
    proxy.count(TOKENS, 2, model='a')
    watch.scrape()
    return 1
