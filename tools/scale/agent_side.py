"""What scraping costs the Agent: CPU time and memory by the number of proxies, and by what it is told to keep."""

from __future__ import annotations

import gc
import gzip
import re
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from packaging.version import Version
from tests.support.agent_model import discarded, recorded
from tests.support.stock_check import StockCheck

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm import LitellmCheck
from tools.bench.measure import cpu_seconds, scrape
from tools.bench.pages import CapturedPage, SyntheticPage
from tools.bench.server import PageProcess
from tools.levers import LEVERS, busy_page

__all__ = ['OURS', 'STOCK', 'Load', 'Saving', 'loads', 'savings']

OURS, STOCK = 'this check', "the base package's scraper"

_CHECKS: dict[str, type[OpenMetricsBaseCheckV2]] = {OURS: LitellmCheck, STOCK: StockCheck}
_PAGES = Path(__file__).parents[2] / 'litellm' / 'tests' / 'pages'
_STEADY_ROUNDS = 3
# Share of the series that count something between two scrapes.
_MOVING = 0.2
# What can be set in an instance: what levers.py counts contexts of, and what else takes work away or makes it.
_LEVERS: dict[str, Mapping[str, Any]] = {
    **LEVERS,
    '`exclude_metrics: [^litellm_deployment_]`': {'exclude_metrics': ['^litellm_deployment_']},
    '`histogram_buckets_as_distributions: true`': {'histogram_buckets_as_distributions': True},
}


class Load(NamedTuple):
    """A process that scrapes so many proxies."""

    scraper: str
    proxies: int
    first: float
    """CPU seconds of the first round."""
    steady: float
    """CPU seconds of a later one."""
    memory: float
    """MB that the process holds after the rounds beyond what it held before."""
    peak: float
    """MB that it held at most beyond that."""


class Saving(NamedTuple):
    """What a lever leaves of one proxy's cost."""

    title: str
    contexts: int
    steady: float
    """CPU seconds of a scrape."""
    stock: float
    """The same, by the base package's scraper."""


def loads(proxies: tuple[int, ...], samples: int) -> Iterator[Load]:
    """Measure each number of proxies with each scraper, each in a fresh process."""
    with PageProcess() as server:
        server.serve(partial(SyntheticPage, samples, _MOVING, 0.0))
        for number in proxies:
            for scraper in _CHECKS:
                with ProcessPoolExecutor(1, get_context('spawn')) as process:
                    process.submit(_start, scraper, server.url, number).result()
                    first = process.submit(_round).result()
                    steady = []
                    for _ in range(_STEADY_ROUNDS):
                        server.advance()
                        steady.append(process.submit(_round).result())
                    memory, peak = process.submit(_memory).result()
                yield Load(scraper, number, first, median(steady), memory, peak)


# What a process of `loads` keeps between its rounds.
_running: list[OpenMetricsBaseCheckV2] = []
_before: list[float] = []


def _start(scraper: str, url: str, proxies: int) -> None:
    # A process starts with the peak of the one that it comes from; 5 forgets it.
    Path('/proc/self/clear_refs').write_text('5')
    _before.append(_megabytes('VmRSS'))
    _running.extend(_CHECKS[scraper]('litellm', {}, [{'openmetrics_endpoint': url}]) for _ in range(proxies))


def _round() -> float:
    """Let every check run once."""
    with discarded():
        return sum(cpu_seconds(partial(scrape, check)) for check in _running)


def _memory() -> tuple[float, float]:
    gc.collect()
    return _megabytes('VmRSS') - _before[0], _megabytes('VmHWM') - _before[0]


def _megabytes(which: str) -> float:
    found = re.search(rf'^{which}:\s+(\d+) kB', Path('/proc/self/status').read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def savings(callers: int) -> Iterator[Saving]:
    """Measure each lever on the page of the newest real proxy, with so many callers in place of one."""
    newest = max(_PAGES.glob('*.txt.gz'), key=lambda path: Version(path.name.removesuffix('.txt.gz')))
    busy = busy_page(gzip.decompress(newest.read_bytes()).decode(), callers)
    with tempfile.NamedTemporaryFile(suffix='.txt.gz') as page, PageProcess() as server:
        page.write(gzip.compress(busy.encode()))
        page.flush()
        server.serve(partial(CapturedPage, Path(page.name), _MOVING, 1))
        for title, options in _LEVERS.items():
            ours, stock = (_cost(check, server, options) for check in _CHECKS.values())
            yield Saving(title, *ours, stock[1])


def _cost(
    check_class: type[OpenMetricsBaseCheckV2], server: PageProcess, options: Mapping[str, Any]
) -> tuple[int, float]:
    """Return the number of contexts of a scrape, and the CPU seconds of a steady one."""
    check = check_class('litellm', {}, [{'openmetrics_endpoint': server.url, **options}])
    with recorded() as submissions:
        scrape(check)
    contexts = {(sample.name, sample.tags) for sample in submissions.samples}
    contexts |= {(bucket.name, bucket.tags) for bucket in submissions.buckets}
    steady = []
    with discarded():
        for _ in range(_STEADY_ROUNDS):
            server.advance()
            steady.append(cpu_seconds(partial(scrape, check)))
    return len(contexts), min(steady)
