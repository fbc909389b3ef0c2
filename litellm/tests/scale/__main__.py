"""Measure what scraping costs an Agent and a LiteLLM, and print the tables of docs/scale.md; some minutes.

The real LiteLLM is started for it, five times, one after the other.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
from importlib.metadata import version

from tests.markdown import put_table
from tests.real_litellm.environment import RELEASE

from . import agent_side, proxy_side, report

PROXIES = (1, 10, 50)
SAMPLES = 10_000
# Copies of the keys of a captured page, and keys that a real proxy has answered.
COPIES = 20
KEYS = (60, 300)


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tests.scale', description=__doc__)
    parser.add_argument('--write', action='store_true', help=f'write the tables into {report.PAGE.name}')
    write = parser.parse_args().write
    # What the checks have to say of these pages is not of interest here.
    logging.disable(logging.ERROR)
    for name, text in (
        ('table of proxies', report.loads(list(agent_side.loads(PROXIES, SAMPLES)))),
        ('table of levers at the Agent', report.savings(list(agent_side.savings(COPIES)))),
        ('table of costs at LiteLLM', report.costs(list(proxy_side.costs(*KEYS)))),
        ('where this was measured', _machine()),
    ):
        print(f'{text}\n', flush=True)
        if write:
            put_table(report.PAGE, text, name)
    return 0


def _machine() -> str:
    return (
        f'Python {platform.python_version()}, datadog-checks-base {version("datadog-checks-base")}, LiteLLM {RELEASE}, '
        f'{SAMPLES:,} samples a page where proxies are counted.'
    )


if __name__ == '__main__':
    sys.exit(main())
