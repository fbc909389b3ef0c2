"""Measure what pages cost on which nothing is as it was: in CPU and memory, beside the base package's scraper.

What is remembered of a page is of no use for the next one then. It must not cost much more than to remember nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import mean
from typing import NamedTuple

from tools.markdown import render_table

from .measure import OURS, STOCK, FreshProcess
from .pages import BelowZeroPage, FleetingPage, Page, PagesByTurns, ShuffledPage, SyntheticPage
from .server import PageProcess

__all__ = ['HEAD', 'Worst', 'table', 'worst']

HEAD = ('page', 'samples', 'base package, CPU ms', 'this check, CPU ms', 'ratio', 'base package, MB', 'MB', 'ratio')

# Pages until every pod has answered and all that is gone was forgotten once, and how many of them are measured. A few
# tell of the base package's scraper, which remembers nothing.
_PAGES = {OURS: 32, STOCK: 5}
_MEASURED = {OURS: 12, STOCK: 3}


class Worst(NamedTuple):
    """CPU seconds of a scrape, the mean of several, and the peak of memory in MB, by scraper."""

    title: str
    samples: int
    seconds: Mapping[str, float]
    peaks: Mapping[str, float]


def worst(samples: int) -> Iterator[Worst]:
    """Measure each kind of page with about so many samples, with each scraper in a fresh process."""
    kinds: Mapping[str, Callable[[], Page]] = {
        'every label set active': partial(SyntheticPage, samples, 1.0),
        'the same, lines shuffled': partial(ShuffledPage, samples),
        'the same, all values negative': partial(BelowZeroPage, samples),
        '2 pods by turns': partial(PagesByTurns, samples, 2),
        '20 pods by turns': partial(PagesByTurns, samples, 20),
        'every label set new': partial(SyntheticPage, samples, 1.0, 1.0),
        'the same, a sample each': partial(FleetingPage, samples),
        'the same, and its time of creation': partial(FleetingPage, samples, dated=True),
    }
    with PageProcess() as server:
        for title, make_page in kinds.items():
            seconds, peaks = {}, {}
            for scraper in (STOCK, OURS):
                size = server.serve(make_page)
                with FreshProcess(scraper, server.url, 1) as process:
                    taken = []
                    for _ in range(_PAGES[scraper]):
                        taken.append(process.cpu_seconds())
                        server.advance()
                    seconds[scraper] = mean(taken[-_MEASURED[scraper] :])
                    peaks[scraper] = process.memory().peak
            yield Worst(title, size.samples, seconds, peaks)


def table(measured: Sequence[Worst]) -> str:
    """Return a row for each kind of page."""
    return render_table(
        HEAD,
        [
            (
                one.title,
                f'{one.samples:,}',
                *(f'{one.seconds[scraper] * 1000:,.0f}' for scraper in (STOCK, OURS)),
                f'{one.seconds[OURS] / one.seconds[STOCK]:.2f}',
                *(f'{one.peaks[scraper]:,.0f}' for scraper in (STOCK, OURS)),
                f'{one.peaks[OURS] / one.peaks[STOCK]:.2f}',
            )
            for one in measured
        ],
    )
