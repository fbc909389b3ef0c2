"""Measure what scraping costs an Agent, by the number of proxies and the size of their pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple

from tools.markdown import render_table

from .measure import OURS, STOCK, FreshProcess, Memory
from .pages import SyntheticPage
from .scrapes import USUAL
from .server import PageProcess

__all__ = ['HEAD', 'Load', 'loads', 'table']

HEAD = (
    'proxies',
    'samples each',
    'scraper',
    'first round, CPU s',
    'later rounds, CPU s',
    'per sample, µs',
    'of a core, every 15 s',
    'vs. base package',
    'memory, MB',
    'peak, MB',
)

_INTERVAL = 15.0
_LATER_ROUNDS = 3


class Load(NamedTuple):
    """A process that scrapes so many proxies."""

    scraper: str
    proxies: int
    samples: int
    """Of each proxy."""
    first: float
    """CPU seconds of the first round."""
    later: float
    """CPU seconds of a later one."""
    memory: Memory


def loads(sizes: Iterable[tuple[int, int]]) -> Iterator[Load]:
    """Measure each number of proxies with so many samples, with each scraper, each in a fresh process."""
    with PageProcess() as server:
        for proxies, size in sizes:
            samples = server.serve(partial(SyntheticPage, size, USUAL)).samples
            for scraper in (OURS, STOCK):
                with FreshProcess(scraper, server.url, proxies) as process:
                    first = process.cpu_seconds()
                    later = []
                    for _ in range(_LATER_ROUNDS):
                        server.advance()
                        later.append(process.cpu_seconds())
                    yield Load(scraper, proxies, samples, first, median(later), process.memory())


def table(measured: Sequence[Load]) -> str:
    """Return a row for each number of proxies and samples with each scraper."""
    stock = {load[1:3]: load.later for load in measured if load.scraper == STOCK}
    return render_table(
        HEAD,
        [
            (
                str(load.proxies),
                f'{load.samples:,}',
                load.scraper,
                f'{load.first:.2f}',
                f'{load.later:.2f}' if load.later >= 0.1 else f'{load.later:.3f}',
                f'{load.later / load.proxies / load.samples * 1e6:.2f}',
                f'{load.later / _INTERVAL:.1%}',
                f'{load.later / stock[load[1:3]]:.2f}' if load.scraper == OURS else '1',
                f'{load.memory.held:.0f}',
                f'{load.memory.peak:.0f}',
            )
            for load in measured
        ],
    )
