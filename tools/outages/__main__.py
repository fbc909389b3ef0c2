"""Play faults on the newest real LiteLLM, with a database, and print what it counts and answers meanwhile.

Nine faults of forty seconds, at real speed: twelve to fifteen minutes.
"""

from __future__ import annotations

import argparse
import signal
import sys

from tools.markdown import put_table
from tools.real_litellm.environment import HarnessError, environment

from .faults import observe
from .outages_comparison import PAGE
from .tables import tables

__all__ = ['main']


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.outages', description=__doc__)
    parser.add_argument('--write', action='store_true', help=f'write the tables into docs/{PAGE.name}')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        seen = observe(environment())
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    for name, table in tables(seen).items():
        print(f'{table}\n')
        if options.write:
            put_table(PAGE, table, name)
    return 0


if __name__ == '__main__':
    sys.exit(main())
