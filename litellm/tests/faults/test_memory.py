"""Forget what the proxy forgets: memory does not grow with churn, and stays near the stock scraper's."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import discarded
from tests.support.simulated_proxy import Clock, PageServer
from tests.support.stock_check import StockCheck

REQUESTS = 'litellm_proxy_total_requests_metric'


def page_of_users(users: Iterable[int], created: float, new_users: Iterable[int] = (), now: float = 0.0) -> str:
    """Render a page with a counter series per end user, those of new users created just now."""
    totals, stamps = [], []
    for user, since in [*((user, created) for user in users), *((user, now) for user in new_users)]:
        labels = f'{{end_user="user-{user:06d}",model="gpt-5",requested_model="gpt-5",route="/chat/completions"}}'
        totals.append(f'{REQUESTS}_total{labels} 1.0\n')
        stamps.append(f'{REQUESTS}_created{labels} {since - user / 1e6}\n')
    return (
        f'# HELP {REQUESTS}_total Requests.\n# TYPE {REQUESTS}_total counter\n{"".join(totals)}'
        f'# HELP {REQUESTS}_created Requests.\n# TYPE {REQUESTS}_created gauge\n{"".join(stamps)}'
    )


def growth_after_churn() -> int:
    """Return by how many bytes memory has grown after 100,000 series have come and gone."""
    clock = Clock()
    created = clock.now()
    with PageServer(page_of_users(range(100), created)) as server, discarded():
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': server.url, 'collect_readiness': False}])

        def memory_after_scrapes(scrapes: int) -> int:
            for _ in range(scrapes):
                clock.advance(15)
                with clock.is_the_time():
                    assert check.run() == ''
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        before = memory_after_scrapes(3)
        for first in range(100, 100_100, 20_000):
            new_users = range(first, first + 20_000)
            server.page = page_of_users(range(100), created, new_users, clock.now() + 14)
            memory_after_scrapes(1)
        server.page = page_of_users(range(100), created)
        return memory_after_scrapes(30) - before


def test_memory_returns_when_a_hundred_thousand_series_have_come_and_gone() -> None:
    # In a process of its own: here the interpreter's own tables, grown by other tests, grow further by megabytes.
    with ProcessPoolExecutor(1, get_context('spawn')) as process:
        growth = process.submit(growth_after_churn).result()
    # Of each sample that was known at once, 16 bytes are kept for its return. A dictionary entry would be 100.
    assert growth < 2 * 100_000 * 16 + 500_000


# The check of a process of its own, and the MB that the process held before.
_running: list[OpenMetricsBaseCheckV2] = []
_before: list[float] = []


def start(check_class: type[OpenMetricsBaseCheckV2], url: str) -> None:
    _running.append(check_class('litellm', {}, [{'openmetrics_endpoint': url, 'collect_readiness': False}]))
    # A process starts with the peak of the one that it comes from; 5 forgets it.
    Path('/proc/self/clear_refs').write_text('5')
    _before.append(megabytes('VmRSS'))


def scrape(clock: Clock) -> None:
    with clock.is_the_time(), discarded():
        assert _running[0].run() == ''


def peak() -> float:
    return megabytes('VmHWM') - _before[0]


def megabytes(which: str) -> float:
    found = re.search(rf'^{which}:\s+(\d+) kB', Path('/proc/self/status').read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def peak_of_churn(check_class: type[OpenMetricsBaseCheckV2], processes: int, are_dated: bool = True) -> float:
    """Return the peak in MB of scrapes of pages with 10,000 series, which each of the processes shows once."""
    clock = Clock()
    created = clock.now()
    with PageServer() as server, ProcessPoolExecutor(1, get_context('spawn')) as process:
        process.submit(start, check_class, server.url).result()
        for page in range(10):
            clock.advance(15)
            answering = page % processes
            first = 100 + (page // processes) * 10_000
            new_users = range(first, first + 10_000)
            text = page_of_users(range(100), created - answering, new_users, clock.now() - 1 - answering / 8)
            server.page = text if are_dated else text.partition(f'# HELP {REQUESTS}_created')[0]
            process.submit(scrape, clock).result()
        return process.submit(peak).result()


@pytest.mark.skipif(not Path('/proc/self/clear_refs').exists(), reason='Linux tells the peak of a process')
# Series that several processes show have an incarnation of each to remember. Of those without a time of creation the
# first page is still known while the second passes. Measured: 1.4 to 1.65 times stock, 1.5 to 1.7, and 2.0 to 2.4.
@pytest.mark.parametrize(('processes', 'are_dated', 'most'), [(1, True, 2.0), (3, True, 2.0), (1, False, 2.6)])
def test_a_churn_of_ten_thousand_series_a_page_takes_a_bounded_multiple_of_the_memory_of_stock(
    processes: int, are_dated: bool, most: float
) -> None:
    stock = peak_of_churn(StockCheck, processes, are_dated)
    assert peak_of_churn(LitellmCheck, processes, are_dated) <= most * stock
