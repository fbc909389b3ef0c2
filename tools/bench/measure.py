"""One scrape, and what it costs in processor time and memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import requests
from tests.support.agent_model import discarded

from datadog_checks.base import OpenMetricsBaseCheckV2

__all__ = ['cpu_seconds', 'make_check', 'peak_megabytes', 'read_and_split', 'scrape']


def make_check(check_class: type[OpenMetricsBaseCheckV2], url: str) -> OpenMetricsBaseCheckV2:
    return check_class('litellm', {}, [{'openmetrics_endpoint': url}])


def scrape(check: OpenMetricsBaseCheckV2) -> None:
    """Run the check once, as the Agent does; a measurement of a failure would be worth nothing."""
    if error := check.run():
        raise RuntimeError(error)


def read_and_split(url: str) -> None:
    """Do the least that any scraper has to: read the bytes and split them into lines."""
    with requests.get(url, stream=True, timeout=60) as response:
        rest = b''
        for chunk in response.iter_content(1 << 20):
            *_, rest = (rest + chunk).split(b'\n')


def cpu_seconds(action: Callable[[], None]) -> float:
    """Return the processor time that this process spends on an action; waiting for the server is not in it."""
    start = time.process_time()
    action()
    return time.process_time() - start


def peak_megabytes(check_class: type[OpenMetricsBaseCheckV2], url: str) -> float:
    """Return the peak memory of a fresh process that scrapes three times.

    A process starts with its parent's peak, so this must be asked for while the present process is small.
    """
    with ProcessPoolExecutor(1, get_context('spawn')) as process:
        return process.submit(_peak_megabytes, check_class, url).result()


def _peak_megabytes(check_class: type[OpenMetricsBaseCheckV2], url: str) -> float:
    check = make_check(check_class, url)
    with discarded():
        for _ in range(3):
            scrape(check)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
