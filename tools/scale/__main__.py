"""Measure what scraping costs an Agent and a LiteLLM, and print the tables of docs/scale.md; some minutes.

For `litellm` the real one is started five times, one after the other.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version

from tools.markdown import put_table
from tools.real_litellm.environment import RELEASE

from . import agent_side, proxy_side, report

PROXIES = (1, 10, 50)
SAMPLES = 10_000
# Callers in place of each one on a captured page, and keys that a real proxy has answered.
CALLERS = 20
KEYS = (60, 300)

PARTS: dict[str, Callable[[], str]] = {
    'proxies': lambda: report.loads(list(agent_side.loads(PROXIES, SAMPLES))),
    'litellm': lambda: report.costs(list(proxy_side.costs(*KEYS))),
    'levers': lambda: report.savings(list(agent_side.savings(CALLERS))),
}


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.scale', description=__doc__)
    parser.add_argument('parts', nargs='*', help=f'{", ".join(PARTS)} (default: all)')
    parser.add_argument('--write', action='store_true', help=f'write the tables into {report.PAGE.name}')
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f'there is no {", ".join(sorted(unknown))}')
    # What the checks have to say of these pages is not of interest here.
    logging.disable(logging.ERROR)
    for part in options.parts or PARTS:
        text = f'{PARTS[part]()}\n\n{_machine()}'
        print(f'{text}\n', flush=True)
        if options.write:
            put_table(report.PAGE, text, part)
    return 0


def _machine() -> str:
    return (
        f'Python {platform.python_version()}, datadog-checks-base {version("datadog-checks-base")}, LiteLLM {RELEASE}, '
        f'{os.cpu_count()} processors, load {os.getloadavg()[0]:.0f}.'
    )


if __name__ == '__main__':
    sys.exit(main())
