"""Several instances run at the same time in one process, as the Agent's runners do: none knows of another."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.secrets import MASK, Redactor, guard_logs
from tests.support.agent_model import recorded
from tests.support.simulated_proxy import PageServer

INSTANCES = 6
THREADS = 3
SCRAPES = 8
USERS = 50


@pytest.fixture
def servers() -> Iterator[list[PageServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(PageServer()) for _ in range(INSTANCES)]


def page_of(instance: int, count: int) -> str:
    """Return a page with the same users for all instances, and counts that tell who counted."""
    family, value = 'litellm_proxy_total_requests_metric_total', 1000 * instance + count
    samples = (f'{family}{{end_user="user-{user}",team="{instance}"}} {value}' for user in range(USERS))
    return '\n'.join([f'# TYPE {family} counter', *samples, ''])


def options_of(instance: int) -> dict[str, Any]:
    """Return options that differ where sharing what was learned would show."""
    return {'exclude_labels': ['end_user']} if instance % 2 else {'rename_labels': {'team': f'team_{instance}'}}


def test_instances_in_threads_share_nothing(servers: list[PageServer]) -> None:
    # All at the same page at the same time, in every round.
    rounds = threading.Barrier(INSTANCES)
    errors: list[str] = []

    def run(instance: int) -> None:
        options = {'tags': [f'instance:{instance}'], 'tag_by_endpoint': False, **options_of(instance)}
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': servers[instance].url, **options}])
        for scrape in range(SCRAPES):
            # One of them stumbles over a broken page each time.
            is_broken = scrape and scrape % INSTANCES == instance
            servers[instance].page = '<html>\n' if is_broken else page_of(instance, scrape)
            rounds.wait(60)
            error = check.run()
            if bool(error) != bool(is_broken):
                errors.append(f'instance {instance}, scrape {scrape}: {error}')

    with recorded() as submissions:
        threads = [threading.Thread(target=run, args=(instance,)) for instance in range(INSTANCES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert errors == []
    for instance in range(INSTANCES):
        scrapes = [scrape for scrape in range(SCRAPES) if not scrape or scrape % INSTANCES != instance]
        counted: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for sample in submissions.samples:
            if f'instance:{instance}' in sample.tags:
                counted[sample.tags] += sample.value
        assert counted == expected_counts(instance, scrapes[-1] - scrapes[0])


def expected_counts(instance: int, rise: int) -> dict[tuple[str, ...], float]:
    """Return by tags what the counters of a page have counted that rose by so much each."""
    if instance % 2:
        return {(f'instance:{instance}', f'team:{instance}'): rise * USERS}
    return {
        tuple(sorted((f'end_user:user-{user}', f'instance:{instance}', f'team_{instance}:{instance}'))): rise
        for user in range(USERS)
    }


@pytest.fixture
def _switching() -> Iterator[None]:
    """Have threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures('_switching')
def test_tokens_that_threads_learn_at_the_same_time_are_all_hidden() -> None:
    together = threading.Barrier(THREADS)

    def learn(redact: Redactor, token: str) -> None:
        together.wait(60)
        redact.learn([token])

    for _ in range(20):
        redact, tokens = Redactor(['sk-first']), [f'sk-token-{number}' for number in range(THREADS)]
        threads = [threading.Thread(target=learn, args=(redact, token)) for token in tokens]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert redact(' '.join(tokens)) == ' '.join([MASK] * THREADS)


@pytest.mark.usefixtures('_switching')
def test_a_check_that_is_made_while_another_logs_costs_no_record() -> None:
    logger, is_over = logging.getLogger('urllib3.connectionpool'), threading.Event()
    instances = [Redactor() for _ in range(300)]
    for redact in instances:
        guard_logs(logger, redact)
    errors: list[RuntimeError] = []

    def log() -> None:
        while not is_over.is_set():
            try:
                logger.filter(logging.makeLogRecord({'msg': 'Starting new HTTP connection'}))
            except RuntimeError as error:
                errors.append(error)

    thread = threading.Thread(target=log)
    thread.start()
    for _ in range(300):
        # The oldest goes.
        instances = [*instances[1:], Redactor()]
        guard_logs(logger, instances[-1])
        time.sleep(0.001)
    is_over.set()
    thread.join(60)

    assert errors == []
