"""Scrapes, and what they cost in processor time and memory."""

from __future__ import annotations

import gc
import logging
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Self

import requests
from tests.support.agent_model import discarded, submitting_to
from tests.support.stock_check import StockCheck

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm import LitellmCheck

from .native_agent import NativeAgent

__all__ = ['OURS', 'STOCK', 'FreshProcess', 'MeasuredCheck', 'Memory', 'cpu_seconds', 'read_and_split']

OURS, STOCK = 'this check', "the base package's scraper"
_CHECKS: Mapping[str, type[OpenMetricsBaseCheckV2]] = {OURS: LitellmCheck, STOCK: StockCheck}


class MeasuredCheck:
    """A check that scrapes one page, alone or with an Agent that takes in what it submits."""

    def __init__(
        self, scraper: str, url: str, options: Mapping[str, Any] | None = None, agent: NativeAgent | None = None
    ) -> None:
        self._check = _CHECKS[scraper]('litellm', {}, [{'openmetrics_endpoint': url, **(options or {})}])
        self._agent = agent

    def run(self) -> None:
        """Run the check as the Agent does; a measurement of a failure would be worth nothing."""
        if error := self._check.run():
            raise RuntimeError(error)

    def cpu_seconds(self) -> float:
        """Run the check, and return the processor time of it and of its Agent."""
        with discarded() if self._agent is None else submitting_to(self._agent):
            return cpu_seconds(self._run_and_commit)

    def _run_and_commit(self) -> None:
        self.run()
        if self._agent is not None:
            self._agent.commit(time.time())


def cpu_seconds(action: Callable[[], None]) -> float:
    """Return the processor time that this process spends on an action; waiting for the server is not in it."""
    start = time.process_time()
    action()
    return time.process_time() - start


def read_and_split(url: str) -> None:
    """Do the least that any scraper has to: read the bytes and split them into lines."""
    with requests.get(url, stream=True, timeout=60) as response:
        rest = b''
        for chunk in response.iter_content(1 << 20):
            *_, rest = (rest + chunk).split(b'\n')


class Memory(NamedTuple):
    """MB of a process beyond what it held before its checks were there."""

    held: float
    peak: float


class FreshProcess:
    """A process of its own in which some checks scrape one page each; use as a context manager."""

    def __init__(self, scraper: str, url: str, checks: int) -> None:
        self._process = ProcessPoolExecutor(1, get_context('spawn'))
        self._arguments = scraper, url, checks

    def __enter__(self) -> Self:
        self._process.submit(_start, *self._arguments).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def cpu_seconds(self) -> float:
        """Let every check run once."""
        return self._process.submit(_round).result()

    def memory(self) -> Memory:
        return self._process.submit(_memory).result()


# What a fresh process keeps between its rounds.
_running: list[MeasuredCheck] = []
_before: list[float] = []


def _start(scraper: str, url: str, checks: int) -> None:
    # What the checks have to say of these pages is not of interest here.
    logging.disable(logging.ERROR)
    # A process starts with the peak of the one that it comes from; 5 forgets it.
    Path('/proc/self/clear_refs').write_text('5')
    _before.append(_megabytes('VmRSS'))
    _running.extend(MeasuredCheck(scraper, url) for _ in range(checks))


def _round() -> float:
    return sum(check.cpu_seconds() for check in _running)


def _memory() -> Memory:
    gc.collect()
    return Memory(_megabytes('VmRSS') - _before[0], _megabytes('VmHWM') - _before[0])


def _megabytes(which: str) -> float:
    found = re.search(rf'^{which}:\s+(\d+) kB', Path('/proc/self/status').read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
