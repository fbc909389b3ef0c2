"""Print what a scrape costs with the base package's scraper and with ours. Writes nothing, judges nothing.

Both scrape the same pages in turn in one process, over HTTP from another process, and submit to an aggregator that does
nothing. The stock scraper is that of the installed base package with its own parser optimisation, if it has one.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from tests.support.agent_model import discarded
from tests.support.stock_check import StockCheck

from datadog_checks.litellm import LitellmCheck

from .measure import cpu_seconds, make_check, peak_megabytes, read_and_split, scrape
from .pages import CapturedPage, Page, SyntheticPage
from .server import PageProcess, Size

CAPTURES = Path(__file__).parents[2] / 'litellm' / 'tests' / 'pages'
SAMPLES_OF_A_REAL_PAGE = 10_000

PAGES_OF_CHURN = 30

# Share of the series that count something between two scrapes.
USUAL = 0.2


class Costs(NamedTuple):
    """CPU seconds of each scrape of one page, first scrapes apart."""

    stock_first: list[float]
    ours_first: list[float]
    stock: list[float]
    ours: list[float]
    limit: list[float]


def measure(server: PageProcess, runs: int, first_runs: int = 1) -> Costs:
    """Scrape the served page in turn with both checks, and read it without a check."""
    costs = Costs([], [], [], [], [])
    for _ in range(first_runs):
        stock, ours = make_check(StockCheck, server.url), make_check(LitellmCheck, server.url)
        costs.stock_first.append(cpu_seconds(partial(scrape, stock)))
        costs.ours_first.append(cpu_seconds(partial(scrape, ours)))
    for _ in range(runs):
        server.advance()
        costs.stock.append(cpu_seconds(partial(scrape, stock)))
        costs.ours.append(cpu_seconds(partial(scrape, ours)))
        costs.limit.append(cpu_seconds(partial(read_and_split, server.url)))
    return costs


def measure_churn(server: PageProcess, runs: int) -> tuple[list[float], list[float]]:
    """Return the mean cost of scraping a churning page, ours over pages on which it forgets what is gone as well."""
    stock, ours = make_check(StockCheck, server.url), make_check(LitellmCheck, server.url)
    costs: tuple[list[float], list[float]] = ([], [])
    for page in range(PAGES_OF_CHURN):
        server.advance()
        if page >= PAGES_OF_CHURN - runs:
            costs[0].append(cpu_seconds(partial(scrape, stock)))
        costs[1].append(cpu_seconds(partial(scrape, ours)))
    # Twice as many pages as it may take until all that is gone was forgotten once.
    return [mean(costs[0][1:] or costs[0])], [mean(costs[1][PAGES_OF_CHURN // 2 :])]


def seconds(values: list[float]) -> str:
    return f'{min(values):.3f} ({median(values):.3f})'


def print_row(label: str, stock: list[float], ours: list[float]) -> None:
    ratio = min(stock) / min(ours)
    share = min(ours) / min(stock)
    print(f'{label:<46}{seconds(stock):>16}{seconds(ours):>16}{ratio:>8.1f}{share:>8.2f}', flush=True)


def print_head(title: str, size: Size | None = None) -> None:
    about = f': {size.samples:,} samples, {size.bytes / 1e6:.1f} MB' if size else ''
    print(f'\n{title}{about}')
    print(f'{"CPU seconds of a scrape, minimum (median)":<46}{"stock":>16}{"ours":>16}{"times":>8}{"share":>8}')


def print_large_page(server: PageProcess, samples: int, runs: int) -> None:
    def page(moving: float, new: float = 0.0) -> Callable[[], Page]:
        return partial(SyntheticPage, samples, moving, new)

    print_head('Synthetic page', server.serve(page(USUAL)))
    costs = measure(server, runs, first_runs=max(1, runs // 2))
    print_row('first scrape', costs.stock_first, costs.ours_first)
    print_row(f'steady, {USUAL:.0%} of the series move', costs.stock, costs.ours)
    print_row('  the limit: read and split the bytes', costs.stock, costs.limit)
    server.serve(page(1.0))
    costs = measure(server, runs)
    print_row('steady, every series moves', costs.stock, costs.ours)
    server.serve(page(USUAL, new=0.05))
    print_row('5 % of the series are new each time, mean', *measure_churn(server, runs))
    server.serve(page(USUAL), compressed=True)
    costs = measure(server, runs)
    print_row('steady, gzip', costs.stock, costs.ours)
    print_row('  the limit: decompress, read and split', costs.stock, costs.limit)


def print_real_page(server: PageProcess, runs: int) -> None:
    captures = sorted(CAPTURES.glob('*.txt.gz'), key=lambda path: path.stat().st_size)
    if not captures:
        print('\nReal page: there is no capture in tests/pages')
        return
    path = captures[-1]
    samples = server.serve(partial(CapturedPage, path, USUAL, copies=1)).samples
    copies = -(-SAMPLES_OF_A_REAL_PAGE // samples)
    size = server.serve(partial(CapturedPage, path, USUAL, copies))
    print_head(f'Real page, capture {path.name}' + (f', keys × {copies}' if copies > 1 else ''), size)
    costs = measure(server, 3 * runs, first_runs=runs)
    print_row('first scrape', costs.stock_first, costs.ours_first)
    print_row(f'steady, {USUAL:.0%} of the series move', costs.stock, costs.ours)
    print_row('  the limit: read and split the bytes', costs.stock, costs.limit)


def print_sizes(server: PageProcess, sizes: list[int]) -> None:
    print('\nMicroseconds of CPU per sample, minimum')
    print(f'{"samples":<22}{"stock":>12}{"ours, first":>14}{"ours, steady":>14}{"times":>8}')
    for samples in sizes:
        size = server.serve(partial(SyntheticPage, samples, USUAL, 0.0))
        costs = measure(server, runs=max(1, min(10, 100_000 // samples)))
        per_sample = [min(values) / size.samples * 1e6 for values in (costs.stock, costs.ours_first, costs.ours)]
        ratio = min(costs.stock) / min(costs.ours)
        print('{:<22,}{:>12.2f}{:>14.2f}{:>14.2f}{:>8.1f}'.format(size.samples, *per_sample, ratio), flush=True)


def print_memory(server: PageProcess, samples: int) -> None:
    size = server.serve(partial(SyntheticPage, samples, USUAL, 0.0))
    stock, ours = (peak_megabytes(check_class, server.url) for check_class in (StockCheck, LitellmCheck))
    print(f'\nPeak memory of a process that scrapes {size.samples:,} samples ({size.bytes / 1e6:.1f} MB) three times')
    print(f'stock {stock:.0f} MB, ours {ours:.0f} MB, share {ours / stock:.2f}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m tools.bench', description=__doc__)
    parser.add_argument('--quick', action='store_true', help='a smaller page and fewer runs: below 40 seconds')
    quick = parser.parse_args().quick
    # What the checks have to say of these pages is not of interest here.
    logging.disable(logging.ERROR)
    samples, runs = (29_200, 2) if quick else (146_000, 3)
    print(
        f'Python {platform.python_version()}, datadog-checks-base {version("datadog-checks-base")}, '
        f'{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}'
    )
    with PageProcess() as server, discarded():
        print_memory(server, samples)
        print_large_page(server, samples, runs)
        print_real_page(server, runs)
        print_sizes(server, [1_000, 10_000] if quick else [1_000, 10_000, 50_000, 500_000])


if __name__ == '__main__':
    main()
