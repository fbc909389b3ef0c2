"""Measure what scraping costs, and print the tables of docs/scale.md and docs/data.md; a quarter of an hour.

For `litellm` and `selection` the real LiteLLM is started.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from tools.markdown import between_markers, put_table
from tools.real_litellm.environment import RELEASE

from . import litellm, loads, options, scrapes, worst

__all__ = ['PARTS', 'README', 'Part', 'main']

_ROOT = Path(__file__).parents[2]
README = _ROOT / 'README.md'
_SCALE = _ROOT / 'docs' / 'scale.md'
_DATA = _ROOT / 'docs' / 'data.md'

_SAMPLES, _RUNS = 146_000, 3
# Proxies, and samples of each.
_LOADS = ((1, 1_000), (1, 10_000), (1, 50_000), (1, _SAMPLES), (1, 500_000), (10, 10_000), (50, 10_000))
_KEYS = (60, 300)
_WORST = 29_200
_QUICK_SAMPLES, _QUICK_RUNS = 29_200, 2
_QUICK_WORST = 5_840
_QUICK_LOADS = ((1, 1_000), (1, 10_000), (10, 1_000))


class Part(NamedTuple):
    """A table of a page, between markers of the part's name."""

    page: Path
    table: Callable[[bool], str]
    """Makes it: True for smaller pages and fewer runs."""
    is_timed: bool = True


def _scrapes(quick: bool) -> str:
    measured = list(scrapes.costs(_QUICK_SAMPLES, _QUICK_RUNS) if quick else scrapes.costs(_SAMPLES, _RUNS))
    return scrapes.table(measured)


PARTS: Mapping[str, Part] = {
    'scrapes': Part(_SCALE, _scrapes),
    'loads': Part(_SCALE, lambda quick: loads.table(list(loads.loads(_QUICK_LOADS if quick else _LOADS)))),
    'worst': Part(_SCALE, lambda quick: worst.table(list(worst.worst(_QUICK_WORST if quick else _WORST)))),
    'litellm': Part(_SCALE, lambda quick: litellm.table(list(litellm.costs(*_KEYS)))),
    'options': Part(_SCALE, lambda quick: options.table(list(options.savings()))),
    'contexts': Part(_DATA, lambda quick: options.contexts(options.pages()), is_timed=False),
    'groups': Part(_DATA, lambda quick: options.groups(options.pages(), between_markers(_DATA, 'groups')), False),
    'selection': Part(_DATA, lambda quick: litellm.table_of_selections(list(litellm.selections()))),
}


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.bench', description=__doc__)
    parser.add_argument('parts', nargs='*', help=f'{", ".join(PARTS)} (default: all)')
    parser.add_argument('--quick', action='store_true', help='smaller pages and fewer runs for scrapes and loads')
    parser.add_argument('--write', action='store_true', help='write the tables, and what the README says of them')
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f'there is no {", ".join(sorted(unknown))}')
    if arguments.quick and arguments.write:
        parser.error('what is measured quickly is not to be written')
    # What the checks have to say of these pages is not of interest here.
    logging.disable(logging.ERROR)
    for name in arguments.parts or PARTS:
        part = PARTS[name]
        table = part.table(arguments.quick)
        text = f'{table}\n\n{_machine()}' if part.is_timed else table
        print(f'{name}\n\n{text}\n', flush=True)
        if arguments.write:
            put_table(part.page, text, name)
            if name == 'scrapes':
                put_table(README, scrapes.saving(table), 'saving')
    return 0


def _machine() -> str:
    return (
        f'Python {platform.python_version()}, datadog-checks-base {version("datadog-checks-base")}, LiteLLM {RELEASE}, '
        f'{os.cpu_count()} processors, load {os.getloadavg()[0]:.0f}.'
    )


if __name__ == '__main__':
    sys.exit(main())
