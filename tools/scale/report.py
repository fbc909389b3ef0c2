"""The measurements as tables for docs/scale.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.markdown import render_table

from .agent_side import OURS, STOCK, Load, Saving
from .proxy_side import Cost

__all__ = ['COSTS', 'LOADS', 'PAGE', 'SAVINGS', 'costs', 'loads', 'savings']

PAGE = Path(__file__).parents[2] / 'docs' / 'scale.md'

_INTERVAL = 15.0
LOADS = (
    'proxies',
    'scraper',
    'first round, CPU s',
    'later rounds, CPU s',
    'of a core, every 15 s',
    'vs. base package',
    'memory, MB',
    'peak, MB',
)
SAVINGS = ('setting', 'contexts', 'remaining', 'CPU per scrape, ms', 'vs. no setting', 'vs. base package')
COSTS = (
    'LiteLLM',
    'keys',
    'samples',
    'MB',
    'CPU per scrape, ms',
    'vs. one process',
    'of it in serving processes, ms',
)


def loads(measured: Sequence[Load]) -> str:
    """Return a row for each number of proxies with each scraper."""
    stock = {load.proxies: load.steady for load in measured if load.scraper == STOCK}
    return render_table(
        LOADS,
        [
            (
                str(load.proxies),
                load.scraper,
                f'{load.first:.2f}',
                f'{load.steady:.2f}',
                f'{load.steady / _INTERVAL:.1%}',
                f'{load.steady / stock[load.proxies]:.2f}' if load.scraper == OURS else '1',
                f'{load.memory:.0f}',
                f'{load.peak:.0f}',
            )
            for load in measured
        ],
    )


def savings(measured: Sequence[Saving]) -> str:
    """Return a row for each lever; the first is for none."""
    none = measured[0]
    return render_table(
        SAVINGS,
        [
            (
                saving.title,
                f'{saving.contexts:,}',
                f'{saving.contexts / none.contexts:.0%}',
                f'{saving.steady * 1000:.0f}',
                f'{saving.steady / none.steady:.2f}',
                f'{saving.steady / saving.stock:.2f}',
            )
            for saving in measured
        ],
    )


def costs(measured: Sequence[Cost]) -> str:
    """Return a row for each way to run LiteLLM; the first of as many keys is the one to compare with."""
    alone = {cost.keys: cost.cpu for cost in reversed(measured)}
    return render_table(
        COSTS,
        [
            (
                cost.title,
                str(cost.keys),
                f'{cost.samples:,}',
                f'{cost.megabytes:.2f}',
                f'{cost.cpu * 1000:.0f}',
                f'{cost.cpu / alone[cost.keys]:.2f}',
                f'{cost.serving_cpu * 1000:.0f}',
            )
            for cost in measured
        ],
    )
