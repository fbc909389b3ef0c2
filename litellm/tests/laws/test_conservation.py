"""What happened at the proxy after the first scrape is what reaches Datadog: no event lost, none counted twice.

Every history below is a law: it tells what happens at simulated proxies and when they are scraped, and returns how many
requests Datadog must show at its end, counted by hand. Beyond that one number *every* context of every count must hold
exactly the events of the series that share it, as the simulation knows them. The same histories are then played to the
base package's own scraper, which breaks most of them.

The numbers compared are those that the Agent would flush, see `agent_model`.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.metrics import COUNTERS, GAUGES, HISTOGRAMS, NO_LIMIT
from tests.support.agent_model import AgentModel, Context, Flush
from tests.support.simulated_proxy import Cut, Fault, Labels, RestartInside, SimulatedProxy, Status
from tests.support.stock_check import StockCheck

REQUESTS = 'litellm_proxy_total_requests_metric'
SPEND = 'litellm_spend_metric'
TOKENS = 'litellm_total_tokens_metric'
LATENCY = 'litellm_request_total_latency_metric'
IN_FLIGHT = 'litellm_in_flight_requests'

SEVEN_MINUTES = 420.0
FIFTEEN_MINUTES = 900.0

Tags = frozenset[str]
TagsOf = Callable[[Labels], Tags | None]


class Watch:
    """A check that watches a simulated proxy, and the Agent around it."""

    def __init__(self, proxy: SimulatedProxy, check_class: type[OpenMetricsBaseCheckV2], **options: Any) -> None:
        self.proxy = proxy
        self.agent = AgentModel(proxy.clock.now)
        instance = {'openmetrics_endpoint': proxy.url, 'tag_by_endpoint': False, **options}
        self.check = check_class('litellm', {}, [instance])
        self.warnings: list[str] = []

    def scrape(self, worker: int = 0, fault: Fault | None = None) -> Flush:
        """Let the Agent run the check 15 seconds after what was last, answered by this worker or in this wrong way."""
        self.proxy.clock.advance(15)
        self.proxy.answering = worker
        if fault:
            self.proxy.faults.append(fault)
        with self.proxy.clock.is_the_time():
            flush = self.agent.run(self.check)
        self.warnings += self.check.get_warnings()
        if flush.error:
            self.proxy.failed()
        return flush

    def fail(self, fault: Fault | None = None) -> None:
        """Let a scrape fail: in this way, or because nobody listens."""
        assert self.scrape(fault=fault).error, 'this scrape should have failed'

    def counts(self) -> dict[Context, float]:
        """Return what the Agent has flushed of each count in all."""
        return {context: total for context, total in self.agent.count_totals.items() if total}

    def requests(self) -> float:
        """Return how many requests the Agent has flushed in all."""
        name = f'litellm.{COUNTERS[REQUESTS].name}.count'
        return sum(total for context, total in self.agent.count_totals.items() if context.name == name)


def every_label(labels: Labels) -> Tags:
    return frozenset(f'{name}:{value}' for name, value in labels)


def only(*names: str) -> TagsOf:
    return lambda labels: every_label(tuple(label for label in labels if label[0] in names))


def true_counts(proxy: SimulatedProxy, tags_of: TagsOf) -> dict[Context, float]:
    """Return the events of each count's context; `tags_of` tells a series' tags, or None if it is not collected."""
    totals: defaultdict[Context, float] = defaultdict(float)
    for (family, labels), events in proxy.visible_events().items():
        tags = tags_of(labels)
        if tags is None:
            continue
        for suffix, amount in events.items():
            part, _, bound = suffix.partition('|')
            if part == '_total':
                totals[Context(f'litellm.{COUNTERS[family].name}.count', tags)] += amount
            elif part != '_bucket':
                totals[Context(f'litellm.{HISTOGRAMS[family].name}.{part[1:]}', tags)] += amount
            elif bound != '+Inf':
                bounded = tags | {f'upper_bound:{float(bound)}'}
                totals[Context(f'litellm.{HISTOGRAMS[family].name}.bucket', bounded)] += amount
    return {context: total for context, total in totals.items() if total}


class History(NamedTuple):
    play: Callable[[SimulatedProxy, Watch], int]
    proxy: dict[str, Any]
    options: dict[str, Any]
    tags_of: TagsOf
    stock: str


HISTORIES: list[History] = []

Play = Callable[[SimulatedProxy, Watch], int]


def history(
    *,
    stock: str = 'is wrong',
    tags_of: TagsOf = every_label,
    options: dict[str, Any] | None = None,
    **proxy: Any,
) -> Callable[[Play], Play]:
    """Make a function a history of these proxies, under these options, of which the stock scraper `is wrong|right`."""

    def register(play: Play) -> Play:
        HISTORIES.append(History(play, proxy, options or {}, tags_of, stock))
        return play

    return register


def case(one: History) -> str:
    return one.play.__name__


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
    proxy.count(REQUESTS, 6, model='b')
    watch.scrape()
    return 3 + 2 + 6


# 1. Labels that do not become tags: series share a context and are summed.


def _three_series_of_two_teams(proxy: SimulatedProxy, watch: Watch) -> int:
    for team, key, count in (('red', '1', 4), ('red', '2', 1), ('blue', '3', 15)):
        proxy.count(REQUESTS, count, team=team, key=key)
        proxy.observe(LATENCY, 0.5, team=team, key=key)
    watch.scrape()
    for team, key, count in (('red', '1', 2), ('red', '2', 7), ('blue', '3', 0)):
        proxy.count(REQUESTS, count, team=team, key=key)
        proxy.observe(LATENCY, 4, team=team, key=key)
    watch.scrape()
    proxy.count(REQUESTS, 5, team='red', key='4')
    watch.scrape()
    watch.scrape()
    return 2 + 7 + 5


@history(options={'exclude_labels': ['key']}, tags_of=only('team'))
def labels_dropped_by_exclude_labels(proxy: SimulatedProxy, watch: Watch) -> int:
    return _three_series_of_two_teams(proxy, watch)


@history(options={'exclude_labels': ['key', 'team']}, tags_of=only())
def all_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    return _three_series_of_two_teams(proxy, watch)


@history(options={'include_labels': ['team', 'upper_bound']}, tags_of=only('team'))
def labels_dropped_by_include_labels(proxy: SimulatedProxy, watch: Watch) -> int:
    return _three_series_of_two_teams(proxy, watch)


@history(
    options={'exclude_metrics_by_labels': {'key': ['2']}, 'exclude_labels': ['key']},
    tags_of=lambda labels: None if ('key', '2') in labels else only('team')(labels),
)
def series_dropped_by_exclude_metrics_by_labels(proxy: SimulatedProxy, watch: Watch) -> int:
    return _three_series_of_two_teams(proxy, watch) - 7


@history(options={'exclude_personal_labels': True}, tags_of=only('team'))
def personal_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    for user, count in (('ann', 4), ('ben', 1)):
        proxy.count(REQUESTS, count, team='red', end_user=user, metadata_desk=user)
        proxy.observe(LATENCY, 0.5, team='red', end_user=user)
    watch.scrape()
    proxy.forget(REQUESTS, team='red', end_user='ann', metadata_desk='ann')
    proxy.count(REQUESTS, 2, team='red', end_user='ben', metadata_desk='ben')
    watch.scrape()
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
    proxy.count(REQUESTS, 2, team='y', user='x')
    watch.scrape()
    proxy.count(REQUESTS, 1, team='x', user='y')
    proxy.count(REQUESTS, 4, team='y', user='x')
    watch.scrape()
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
    proxy.count(REQUESTS, 20, team='red', key='2')
    watch.scrape()
    proxy.count(REQUESTS, 1, team='red', key='1')
    watch.scrape()
    proxy.forget(REQUESTS, team='red', key='1')
    proxy.count(REQUESTS, 2, team='red', key='2')
    watch.scrape()
    proxy.count(REQUESTS, 3, team='red', key='1')
    watch.scrape()
    return 1 + 2 + 3


@history(options={'exclude_labels': ['key']}, tags_of=only('team'))
def one_of_several_series_in_a_context_expires_for_good(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, team='red', key='1')
    proxy.count(REQUESTS, 20, team='red', key='2')
    watch.scrape()
    proxy.count(REQUESTS, 50, team='red', key='1')
    watch.scrape()
    proxy.forget(REQUESTS, team='red', key='1')
    for _ in range(12):
        watch.scrape()
    proxy.count(REQUESTS, 2, team='red', key='2')
    watch.scrape()
    return 50 + 2


@history(options={'exclude_labels': ['key']}, tags_of=only('team'))
def a_restart_with_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, team='red', key='1')
    proxy.count(REQUESTS, 20, team='red', key='2')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 11, team='red', key='1')
    watch.scrape()
    proxy.count(REQUESTS, 4, team='red', key='2')
    watch.scrape()
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
    proxy.count(REQUESTS, 2, worker=1, model='a')
    watch.scrape(worker=1)
    return 2


@history(workers=2, stock='is right')
def a_worker_first_seen_late_is_younger_than_the_first_scrape(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 35, worker=0, model='a')
    watch.scrape(worker=0)
    proxy.restart(worker=1)
    proxy.count(REQUESTS, 9, worker=1, model='a')
    watch.scrape(worker=1)
    return 9


@history(workers=2)
def a_worker_first_seen_late_is_younger_and_has_counted_more_than_the_first(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 3, worker=0, model='a')
    watch.scrape(worker=0)
    proxy.restart(worker=1)
    proxy.count(REQUESTS, 9, worker=1, model='a')
    watch.scrape(worker=1)
    return 9


@history(workers=2)
def workers_with_equal_values(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 1, worker=0, model='a')
    watch.scrape(worker=0)
    proxy.count(REQUESTS, 1, worker=1, model='a')
    watch.scrape(worker=1)
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
    proxy.count(REQUESTS, 35, worker=0, model='a')
    watch.scrape(worker=0)
    proxy.count(REQUESTS, 7, worker=1, model='a')
    watch.scrape(worker=1)
    for _ in range(20):
        watch.scrape(worker=0)
    proxy.count(REQUESTS, 2, worker=1, model='a')
    watch.scrape(worker=1)
    return 7 + 2


@history(workers=2)
def a_worker_first_seen_long_after_both_have_restarted(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, worker=0, model='a')
    watch.scrape(worker=0)
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
    proxy.count(REQUESTS, 35, worker=0, model='a')
    watch.scrape(worker=0)
    proxy.restart(worker=1)
    proxy.count(REQUESTS, 50, worker=1, model='a')
    watch.scrape(worker=1)
    return 50


# 3. Restarts.


@history(stock='is right')
def a_restart_after_which_counters_are_lower(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 3, model='a')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 5, model='a')
    watch.scrape()
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
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
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
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 2, model='a')
    watch.scrape()
    watch.fail(Cut(0.7))
    proxy.restart()
    proxy.count(REQUESTS, 60, model='a')
    watch.scrape()
    return 2 + 60


@history(workers=2)
def a_worker_is_killed_and_replaced(proxy: SimulatedProxy, watch: Watch) -> int:
    for worker in (0, 1):
        proxy.count(REQUESTS, 35, worker, model='a')
        watch.scrape(worker)
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
    proxy.count(REQUESTS, 10, model='a')
    watch.scrape()
    for restart in range(5):
        proxy.restart()
        proxy.count(REQUESTS, 10 + restart, model='a')
        watch.scrape()
    return 10 + 11 + 12 + 13 + 14


# 4. Series that expire and come back.


@history()
def a_series_is_gone_for_a_scrape_and_comes_back_lower(proxy: SimulatedProxy, watch: Watch) -> int:
    return _gone_and_back(proxy, watch, before=3, scrapes=1, after=1)


@history()
def a_series_is_gone_for_a_scrape_and_comes_back_higher(proxy: SimulatedProxy, watch: Watch) -> int:
    return _gone_and_back(proxy, watch, before=3, scrapes=1, after=5)


@history()
def a_series_is_gone_for_three_scrapes_and_comes_back_higher(proxy: SimulatedProxy, watch: Watch) -> int:
    return _gone_and_back(proxy, watch, before=3, scrapes=3, after=5)


@history()
def a_series_is_gone_for_fifty_scrapes_and_comes_back_higher(proxy: SimulatedProxy, watch: Watch) -> int:
    return _gone_and_back(proxy, watch, before=3, scrapes=50, after=5)


@history()
def a_series_expires_and_comes_back_between_two_scrapes(proxy: SimulatedProxy, watch: Watch) -> int:
    return _gone_and_back(proxy, watch, before=3, scrapes=0, after=5)


def _gone_and_back(proxy: SimulatedProxy, watch: Watch, *, before: int, scrapes: int, after: int) -> int:
    proxy.count(REQUESTS, 1, end_user='always')
    watch.scrape()
    proxy.count(REQUESTS, before, end_user='comes and goes')
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
    return before + after


@history()
def a_series_that_expires_every_second_scrape(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 100, end_user='x')
    watch.scrape()
    for count in range(1, 6):
        proxy.forget(REQUESTS, end_user='x')
        watch.scrape()
        proxy.count(REQUESTS, count, end_user='x')
        watch.scrape()
    return 1 + 2 + 3 + 4 + 5


@history(stock='is right')
def series_folded_into_other(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, end_user='x', model='a')
    proxy.count(REQUESTS, 20, end_user='other', model='other')
    watch.scrape()
    proxy.forget(REQUESTS, end_user='x', model='a')
    proxy.count(REQUESTS, 4, end_user='other', model='other')
    watch.scrape()
    proxy.count(REQUESTS, 1, end_user='x', model='a')
    proxy.count(REQUESTS, 2, end_user='other', model='other')
    watch.scrape()
    return 4 + 1 + 2


@history()
def a_page_without_any_series_in_between(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 10, model='a')
    watch.scrape()
    proxy.restart()
    watch.scrape()
    proxy.count(REQUESTS, 12, model='a')
    watch.scrape()
    return 12


# 5. Multiprocess mode: no `_created`, so only a lower value tells that a series has started over.


@history(multiprocess=True, stock='is right')
def multiprocess_counters_go_up(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 2, model='a')
    proxy.count(REQUESTS, 3, model='b')
    proxy.observe(LATENCY, 0.5, model='b')
    watch.scrape()
    return 2 + 3


@history(multiprocess=True, stock='is right')
def a_multiprocess_restart(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 5, model='a')
    watch.scrape()
    return 5


@history(multiprocess=True, options={'exclude_labels': ['key']}, tags_of=only('team'))
def a_multiprocess_restart_with_labels_dropped(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, team='red', key='1')
    proxy.count(REQUESTS, 9, team='red', key='2')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 5, team='red', key='2')
    watch.scrape()
    proxy.count(REQUESTS, 6, team='red', key='1')
    watch.scrape()
    return 5 + 6


@history(multiprocess=True, stock='is right')
def a_multiprocess_series_that_expires_and_comes_back_lower(proxy: SimulatedProxy, watch: Watch) -> int:
    return _gone_and_back_in_multiprocess_mode(proxy, watch, scrapes=1)


@history(multiprocess=True, stock='is right')
def a_multiprocess_series_that_comes_back_lower_after_fifty_scrapes(proxy: SimulatedProxy, watch: Watch) -> int:
    return _gone_and_back_in_multiprocess_mode(proxy, watch, scrapes=50)


def _gone_and_back_in_multiprocess_mode(proxy: SimulatedProxy, watch: Watch, scrapes: int) -> int:
    proxy.count(REQUESTS, 1, end_user='always')
    watch.scrape()
    proxy.count(REQUESTS, 3, end_user='comes and goes')
    watch.scrape()
    proxy.forget(REQUESTS, end_user='comes and goes')
    for _ in range(scrapes):
        watch.scrape()
    proxy.count(REQUESTS, 1, end_user='comes and goes')
    watch.scrape()
    return 3 + 1


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
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 1, model='a')
    proxy.count(REQUESTS, 2, model='b')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 3, model='a')
    watch.scrape()
    return 1 + 2 + 3


# 6. Scrapes that fail.


@history(stock='is right')
def events_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 2, model='a')
    watch.fail(Status(503))
    proxy.count(REQUESTS, 3, model='a')
    watch.scrape()
    return 2 + 3


@history()
def a_series_that_appears_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 6, model='b')
    watch.fail(Status(503))
    watch.scrape()
    proxy.count(REQUESTS, 1, model='b')
    watch.scrape()
    return 6 + 1


@history()
def a_restart_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.stop_listening()
    watch.fail()
    watch.fail()
    proxy.restart()
    proxy.start_listening()
    proxy.count(REQUESTS, 4, model='a')
    watch.scrape()
    return 4


@history()
def a_long_failure_with_a_restart(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 60, model='a')
    for _ in range(10):
        watch.fail(Status(500))
    watch.scrape()
    return 60


@history()
def an_outage_longer_than_the_memory_of_the_agent(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    for _ in range(27):
        proxy.clock.advance(3600)
        watch.fail(Status(503))
    proxy.restart()
    proxy.count(REQUESTS, 5, model='a')
    watch.fail(Status(503))
    watch.scrape()
    proxy.count(REQUESTS, 2, model='a')
    watch.scrape()
    return 5 + 2


@history(multiprocess=True)
def a_multiprocess_restart_during_a_failure(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.restart()
    proxy.count(REQUESTS, 4, model='a')
    watch.fail(Status(503))
    watch.scrape()
    return 4


@history()
def a_page_that_is_shorter_than_announced(proxy: SimulatedProxy, watch: Watch) -> int:
    return _torn_page(proxy, watch, 'content-length')


@history()
def a_chunked_page_that_breaks_off(proxy: SimulatedProxy, watch: Watch) -> int:
    return _torn_page(proxy, watch, 'chunked')


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


@history(stock='is right')
def a_page_that_ends_early_between_two_lines_unnoticed(proxy: SimulatedProxy, watch: Watch) -> int:
    # Text has no end mark: this page is well-formed and just lacks what had been on the page before.
    proxy.count(REQUESTS, 40, model='a')
    proxy.count(TOKENS, 400, model='a')
    watch.scrape()
    proxy.count(TOKENS, 3, model='b')
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape()
    watch.scrape(fault=Cut('# HELP litellm_total_tokens', 'close'))
    proxy.count(TOKENS, 2, model='a')
    proxy.count(TOKENS, 4, model='b')
    watch.scrape()
    return 1


@history(stock='is right')
def a_page_that_ends_early_within_a_family_unnoticed(proxy: SimulatedProxy, watch: Watch) -> int:
    # The samples of the last family are there, the `_created` stamps after them are not.
    proxy.count(REQUESTS, 40, model='a')
    watch.scrape()
    proxy.count(REQUESTS, 3, model='a')
    proxy.count(REQUESTS, 9, model='b')
    watch.scrape(fault=Cut('# HELP litellm_proxy_total_requests_metric_created', 'close'))
    proxy.count(REQUESTS, 1, model='b')
    watch.scrape()
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
def the_first_scrape_of_a_long_lived_proxy_fails(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 1_000_000, model='a')
    watch.fail(Status(503))
    watch.scrape()
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape()
    return 1


@history(multiprocess=True, stock='is right')
def the_first_scrape_of_a_long_lived_multiprocess_proxy_fails(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 1_000_000, model='a')
    watch.fail(Status(503))
    watch.scrape()
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape()
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
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape()
    return 7 + 1


@history(up=False, stock='is right')
def a_long_lived_proxy_that_becomes_reachable_after_the_check_started(proxy: SimulatedProxy, watch: Watch) -> int:
    proxy.count(REQUESTS, 500, model='a')
    watch.fail()
    watch.fail()
    proxy.start_listening()
    watch.scrape()
    proxy.count(REQUESTS, 1, model='a')
    watch.scrape()
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


# The laws.


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


MODELS = ('a', 'b')
KEYS = ('1', '2', '3')
WORKERS = 3

workers = st.integers(0, WORKERS - 1)
series = st.tuples(st.sampled_from(MODELS), st.sampled_from(KEYS))
# Multiples of 1/16, so that sums are exact whatever the order of additions.
durations = st.integers(0, 160).map(lambda sixteenths: sixteenths / 16)
faults = st.one_of(
    st.builds(Status, st.sampled_from([401, 404, 500, 503])),
    st.builds(Cut, st.floats(0, 0.99), st.sampled_from(['content-length', 'chunked'])),
)
steps = st.one_of(
    st.tuples(st.just('count'), workers, series, st.integers(1, 60)),
    st.tuples(st.just('observe'), workers, series, durations),
    st.tuples(st.just('forget'), workers, series),
    st.tuples(st.just('restart'), workers),
    st.tuples(st.just('scrape'), workers),
    st.tuples(st.just('scrape'), workers),
    st.tuples(st.just('fail'), faults),
)


def play_step(proxy: SimulatedProxy, watch: Watch, step: Any) -> None:
    match step:
        case 'count', worker, (model, key), amount:
            proxy.count(REQUESTS, amount, worker, model=model, key=key)
        case 'observe', worker, (model, key), duration:
            proxy.observe(LATENCY, duration, worker, model=model, key=key)
        case 'forget', worker, (model, key) if proxy.has(REQUESTS, worker, model=model, key=key):
            proxy.forget(REQUESTS, worker, model=model, key=key)
        case 'restart', worker:
            proxy.restart(worker)
        case 'scrape', worker:
            watch.scrape(worker)
        case 'fail', fault:
            watch.fail(fault)


@given(
    before=st.lists(steps.filter(lambda step: step[0] in ('count', 'observe')), max_size=8),
    after=st.lists(steps, max_size=40),
    dropped=st.sampled_from([[], ['key'], ['key', 'model']]),
    skew=st.sampled_from([-SEVEN_MINUTES, 0.0, SEVEN_MINUTES]),
    date_lag=st.floats(0, 1),
    openmetrics=st.booleans(),
)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_event_of_a_random_history_reaches_datadog_exactly_once(
    before: list[Any], after: list[Any], dropped: list[str], skew: float, date_lag: float, openmetrics: bool
) -> None:
    with SimulatedProxy(WORKERS, skew=skew, date_lag=date_lag) as proxy:
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
        proxy.count(REQUESTS, 40, model='a')
        watch.scrape()
        proxy.count(REQUESTS, 40, model='b')
        assert watch.scrape(fault=Cut(0.9)).counts == {}


def test_a_page_that_fails_is_not_remembered() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck)
        proxy.count(REQUESTS, 40, model='a')
        watch.scrape()
        ledger = watch.check.scrapers[proxy.url]._table.ledger
        samples = len(ledger.owners)
        for model in 'bcdefgh':
            proxy.count(REQUESTS, 1, model=model)
        watch.fail(Cut(0.9))
        assert len(ledger.owners) == samples


def test_a_worker_that_returns_after_a_long_time_is_not_counted_twice() -> None:
    """Losing what it counted meanwhile is allowed: nothing can be remembered for ever."""
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck)
        proxy.count(REQUESTS, 35, worker=0, model='a')
        watch.scrape(worker=0)
        proxy.count(REQUESTS, 7, worker=1, model='a')
        watch.scrape(worker=1)
        for _ in range(200):
            proxy.clock.advance(600)
            watch.scrape(worker=0)
        proxy.count(REQUESTS, 2, worker=1, model='a')
        watch.scrape(worker=1)
        assert 7 <= watch.requests() <= 7 + 2


@pytest.mark.parametrize('scrapes', [85, 95, 105])
def test_a_worker_that_returns_when_the_agent_has_forgotten_it_causes_no_spike(scrapes: int) -> None:
    """At the longest usual interval, what is remembered here must not outlive what the Agent remembers."""
    with SimulatedProxy(2) as proxy:
        watch = Watch(proxy, LitellmCheck)
        for series in range(40):
            proxy.count(REQUESTS, 35, worker=0, model=f'{series}')
        proxy.count(REQUESTS, 1000, worker=1, model='a')
        watch.scrape(worker=0)
        watch.scrape(worker=1)
        proxy.count(REQUESTS, 2, worker=1, model='a')
        watch.scrape(worker=1)
        for _ in range(scrapes):
            proxy.clock.advance(FIFTEEN_MINUTES - 15)
            watch.scrape(worker=0)
        watch.scrape(worker=1)
        assert watch.requests() == 2


def test_rounding_never_makes_the_total_of_a_shared_context_fall() -> None:
    """What is forgotten is added up in another order. The Agent would take a lower total for a new start."""
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
            proxy.count(REQUESTS, 5, model='a')
            watch.scrape()
            watch.scrape()
            proxy.restart()
        assert watch.warnings == []


def test_series_that_expire_and_come_back_are_not_taken_for_several_processes() -> None:
    with SimulatedProxy() as proxy:
        watch = Watch(proxy, LitellmCheck)
        proxy.count(REQUESTS, 5, model='always')
        for _ in range(4):
            proxy.count(REQUESTS, 5, model='comes and goes')
            watch.scrape()
            proxy.forget(REQUESTS, model='comes and goes')
            watch.scrape()
        assert watch.warnings == []
