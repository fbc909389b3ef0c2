"""Scrape a proxy whose series come and go for a long time.

The check runs in a process of its own, as in the Agent, so that its memory is not that of the proxy and of the truth
kept here. Every user stays for some scrapes and comes back later, as a new series that starts at zero; some scrapes
fail.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import threading
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import AgentModel, recorded
from tests.support.simulated_proxy import Clock, Cut, Fault, SimulatedProxy, Status

__all__ = ['Figures', 'Soak', 'soak']

REQUESTS = 'litellm_proxy_total_requests_metric'
LATENCY = 'litellm_request_total_latency_metric'
COUNTS = {
    (REQUESTS, '_total'): 'litellm.proxy.total_requests.metric.count',
    (LATENCY, '_count'): 'litellm.request.total_latency.metric.count',
    (LATENCY, '_sum'): 'litellm.request.total_latency.metric.sum',
}

# Series of users who come back are compared event by event. Those of visitors, who never do, are there to be forgotten.
VISITS = 'litellm_total_tokens_metric'
USERS = 400
NEW_USERS = 10
# Scrapes that a user's series are on the page.
STAY = 10

# Beyond what an allocator gives or takes by itself. A series kept for each visitor would be a multiple of it.
FLAT_MEGABYTES = 3.0
FLAT_OBJECTS = 0.02


class Figures(NamedTuple):
    """The resources that the process of the check has. Objects are those that the garbage collector knows."""

    megabytes: float
    objects: int
    descriptors: int
    threads: int


class Soak(NamedTuple):
    scrapes: int
    failed: int
    series: int
    """All that there were."""
    events: float
    wrong: dict[str, tuple[float, float]]
    """By metric, what Datadog shows and what took place, where these differ."""
    settled: Figures
    """After a quarter of the scrapes."""
    end: Figures

    @property
    def is_flat(self) -> bool:
        return (
            self.end.megabytes - self.settled.megabytes < FLAT_MEGABYTES
            and self.end.objects < self.settled.objects * (1 + FLAT_OBJECTS)
            and self.end[2:] == self.settled[2:]
        )


def soak(scrapes: int) -> Soak:
    """Scrape so often, and compare what Datadog shows with what took place."""
    choice = random.Random(0)
    with SimulatedProxy() as proxy:
        agent = AgentModel(proxy.clock.now)
        context = get_context('spawn')
        ours, theirs = context.Pipe()
        process = context.Process(target=_scrape_when_told, args=(theirs, proxy.url))
        process.start()
        try:
            figures, failed = [], 0
            for number in range(scrapes):
                fault = _fault(number)
                if fault is not None:
                    proxy.faults.append(fault)
                    failed += 1
                    proxy.failed()
                _let_happen(proxy, number, choice)
                proxy.clock.advance(15)
                wants_figures = number in (scrapes // 4, scrapes - 1)
                ours.send((proxy.clock.now(), wants_figures))
                submissions, error = ours.recv()
                if bool(error) != (fault is not None):
                    raise RuntimeError(f'scrape {number}: {error or "it should have failed"}')
                submissions.samples = [sample for sample in submissions.samples if sample.name in COUNTS.values()]
                agent.commit(submissions, error)
                if wants_figures:
                    figures.append(ours.recv())
        finally:
            ours.send(None)
            process.join()
        events = proxy.visible_events()
        took_place = {
            (COUNTS[family, suffix], frozenset(f'{name}:{value}' for name, value in labels)): amount
            for (family, labels), totals in events.items()
            for suffix, amount in totals.items()
            if (family, suffix) in COUNTS
        }
        shown = {
            (context.name, frozenset(tag for tag in context.tags if not tag.startswith('endpoint:'))): total
            for context, total in agent.count_totals.items()
        }
        wrong = {
            f'{name} {sorted(tags)}': (shown.get((name, tags), 0.0), took_place.get((name, tags), 0.0))
            for name, tags in shown.keys() | took_place.keys()
            if abs(shown.get((name, tags), 0.0) - took_place.get((name, tags), 0.0)) > 1e-6
        }
        series = sum(len(instances) for instances in proxy._instances.values())
        return Soak(scrapes, failed, series, sum(took_place.values()), wrong, figures[0], figures[1])


def _let_happen(proxy: SimulatedProxy, number: int, choice: random.Random) -> None:
    for user in _users(number - STAY):
        for family in (REQUESTS, LATENCY):
            if proxy.has(family, end_user=user):
                proxy.forget(family, end_user=user)
    for visitor in range(number * NEW_USERS, (number + 1) * NEW_USERS):
        proxy.count(VISITS, end_user=f'visitor-{visitor}')
        if number >= STAY:
            proxy.forget(VISITS, end_user=f'visitor-{visitor - STAY * NEW_USERS}')
    present = [user for since in range(number - STAY + 1, number + 1) for user in _users(since)]
    for user in choice.sample(present, len(present) // 2):
        proxy.count(REQUESTS, choice.randrange(1, 5), end_user=user)
        proxy.observe(LATENCY, choice.choice((0.0625, 0.5, 4.0, 32.0)), end_user=user)


def _users(number: int) -> list[str]:
    """Return the users who come before this scrape."""
    if number < 0:
        return []
    return [f'user-{(number * NEW_USERS + new) % USERS}' for new in range(NEW_USERS)]


def _fault(number: int) -> Fault | None:
    """Return how the scrape goes wrong, if it does."""
    if number % 50 == 20:
        return Status(503)
    if number % 50 == 40:
        return Cut(0.5, 'content-length' if number % 100 == 40 else 'chunked')
    return None


def _scrape_when_told(commands: Connection, url: str) -> None:
    logging.disable(logging.CRITICAL)
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url}])
    while (command := commands.recv()) is not None:
        now, wants_figures = command
        with Clock(now).is_the_time(), recorded() as submissions:
            error = check.run()
        commands.send((submissions, error))
        if wants_figures:
            commands.send(_figures())


def _figures() -> Figures:
    # Before the garbage collector has closed what is open.
    descriptors = len(os.listdir('/proc/self/fd')) if Path('/proc/self/fd').exists() else 0
    gc.collect()
    return Figures(_resident_megabytes(), len(gc.get_objects()), descriptors, threading.active_count())


def _resident_megabytes() -> float:
    try:
        pages = int(Path('/proc/self/statm').read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6
