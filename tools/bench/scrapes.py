"""Measure what one scrape costs, by what happened on the page since the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import mean
from textwrap import fill
from typing import Any, NamedTuple

from tools.markdown import cells, render_table

from .measure import OURS, STOCK, MeasuredCheck, cpu_seconds, read_and_split
from .native_agent import CannotCompileError, native_agent
from .pages import NEWEST_CAPTURE, CapturedPage, Page, SyntheticPage
from .server import PageProcess

__all__ = ['HEAD', 'Cost', 'costs', 'saving', 'table']

HEAD = ('page', 'scrape', "Agent's side", 'base package, CPU ms', 'this check, CPU ms', 'share', 'times less')

# Share of the label sets in which something happens between two scrapes.
USUAL = 0.2
_NEW = 0.05
_PAGES_OF_CHURN = 30
_SAMPLES_OF_A_REAL_PAGE = 10_000
_DISTRIBUTIONS = {'histogram_buckets_as_distributions': True}

_FIRST, _STEADY, _ALL, _NEW_ONES = (
    'first',
    'a fifth of the label sets active',
    'all label sets active',
    '5 % of the label sets new',
)
_COUNTED, _LEFT_OUT = 'counted', 'left out'
_GZIP, _DISTRIBUTED = ', gzip', ', distributions'
_LIMIT = 'nothing but read and split'


class Cost(NamedTuple):
    """CPU seconds of a scrape, the lowest of several runs."""

    page: str
    scrape: str
    agent: bool
    """Whether the Agent's side is counted."""
    stock: float | None
    """None where there is no compiler to make the Agent's side with."""
    ours: float | None


class _Pair:
    """Both checks, to scrape the same page in turn."""

    def __init__(self, url: str, options: Mapping[str, Any], agent: bool) -> None:
        self.stock, self.ours = (
            MeasuredCheck(scraper, url, options, native_agent() if agent else None) for scraper in (STOCK, OURS)
        )


def costs(samples: int, runs: int) -> Iterator[Cost]:
    """Measure a synthetic page of so many samples, and the page of a real proxy."""
    with PageProcess() as server:
        yield from _costs_of_the_large_page(server, samples, runs)
        yield from _costs_of_the_real_page(server, 3 * runs)


def _costs_of_the_large_page(server: PageProcess, samples: int, runs: int) -> Iterator[Cost]:
    usual = partial(SyntheticPage, samples, USUAL)
    title = str(server.serve(usual))
    for agent in (False, True):
        measure = partial(_costs, server, title, agent=agent, runs=runs)
        yield from measure(usual)
        yield from list(measure(partial(SyntheticPage, samples, 1.0), steady=_ALL))[1:]
        yield from _cost_of_churn(server, title, partial(SyntheticPage, samples, USUAL, _NEW), agent, runs)
        yield from measure(usual, suffix=_DISTRIBUTED, options=_DISTRIBUTIONS)
    yield from list(_costs(server, title, usual, False, runs, _GZIP, compressed=True))[1:]


def _costs_of_the_real_page(server: PageProcess, runs: int) -> Iterator[Cost]:
    def page(callers: int) -> Callable[[], Page]:
        return partial(CapturedPage, NEWEST_CAPTURE, USUAL, callers)

    one, ten = (server.serve(page(callers)).samples for callers in (1, 10))
    callers = 1 + round((_SAMPLES_OF_A_REAL_PAGE - one) / ((ten - one) / 9))
    release = NEWEST_CAPTURE.name.removesuffix('.txt.gz')
    title = f'LiteLLM {release}, {server.serve(page(callers))}'
    for agent in (False, True):
        yield from _costs(server, title, page(callers), agent, runs)


def _costs(
    server: PageProcess,
    title: str,
    make_page: Callable[[], Page],
    agent: bool,
    runs: int,
    suffix: str = '',
    options: Mapping[str, Any] | None = None,
    steady: str = _STEADY,
    compressed: bool = False,
) -> Iterator[Cost]:
    """Measure first scrapes, steady ones, and, of the check alone, what no check can go below."""
    server.serve(make_page, compressed)
    first: list[tuple[float, float]] = []
    later: list[tuple[float, float]] = []
    limit: list[float] = []
    try:
        for _ in range(max(1, runs // 2)):
            pair = _Pair(server.url, options or {}, agent)
            first.append((pair.stock.cpu_seconds(), pair.ours.cpu_seconds()))
    except CannotCompileError:
        yield Cost(title, _FIRST + suffix, agent, None, None)
        yield Cost(title, steady + suffix, agent, None, None)
        return
    for _ in range(runs):
        server.advance()
        later.append((pair.stock.cpu_seconds(), pair.ours.cpu_seconds()))
        if not agent and not options:
            limit.append(cpu_seconds(partial(read_and_split, server.url)))
    yield Cost(title, _FIRST + suffix, agent, *map(min, zip(*first, strict=True)))
    yield Cost(title, steady + suffix, agent, *map(min, zip(*later, strict=True)))
    if limit:
        yield Cost(title, _LIMIT + suffix, agent, min(stock for stock, _ in later), min(limit))


def _cost_of_churn(
    server: PageProcess, title: str, make_page: Callable[[], Page], agent: bool, runs: int
) -> Iterator[Cost]:
    """Measure the mean cost of a churning page, ours over pages on which it forgets what is gone as well."""
    server.serve(make_page)
    try:
        pair = _Pair(server.url, {}, agent)
    except CannotCompileError:
        yield Cost(title, _NEW_ONES, agent, None, None)
        return
    stock, ours = [], []
    for page in range(_PAGES_OF_CHURN):
        server.advance()
        # The base package's scraper remembers nothing, so a few pages tell; its first is not one of them.
        if page >= _PAGES_OF_CHURN - runs - 1:
            stock.append(pair.stock.cpu_seconds())
        ours.append(pair.ours.cpu_seconds())
    # Twice as many pages as it may take until all that is gone was forgotten once.
    yield Cost(title, _NEW_ONES, agent, mean(stock[1:]), mean(ours[_PAGES_OF_CHURN // 2 :]))


def table(measured: Sequence[Cost]) -> str:
    """Return a row for each kind of scrape."""
    return render_table(HEAD, [_row(cost) for cost in measured])


def _row(cost: Cost) -> tuple[str, ...]:
    side = _COUNTED if cost.agent else _LEFT_OUT
    if cost.stock is None or cost.ours is None:
        return cost.page, cost.scrape, side, 'no C compiler', '–', '–', '–'
    numbers = (
        f'{cost.stock * 1000:,.0f}',
        f'{cost.ours * 1000:,.0f}',
        f'{cost.ours / cost.stock:.2f}',
        f'{cost.stock / cost.ours:.1f}',
    )
    return cost.page, cost.scrape, side, *numbers


def saving(written: str) -> str:
    """Return what the README says of this table, as a paragraph of a list."""
    rows = [cells(line) for line in written.splitlines()[2:] if line.startswith('|')]
    page = rows[0][0]
    times = {(scrape, side): less for of_page, scrape, side, *_, less in rows if of_page == page}
    return fill(
        f"Scraping a page of {page} takes {times[_STEADY, _COUNTED]} times less CPU than with the base package's "
        f'scraper ({times[_FIRST, _COUNTED]} times for the first scrape), counting what the Agent does with the '
        f'submissions. The check alone takes {times[_STEADY, _LEFT_OUT]} times less.',
        width=120,
        initial_indent='  ',
        subsequent_indent='  ',
    )
