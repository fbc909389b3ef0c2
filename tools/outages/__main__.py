"""Play faults on the newest real LiteLLM, with a database, and print what it counts and answers meanwhile.

Ten faults of forty seconds, at real speed: fifteen to twenty minutes. A part of them can be named. With --cooldowns, it
tries instead which failures of a provider take a deployment out of use, in two minutes.
"""

from __future__ import annotations

import argparse
import signal
import sys

from tools.markdown import between_markers, put_table
from tools.real_litellm.environment import HarnessError, environment

from .cooldowns import COOLDOWNS, real_cooldowns
from .faults import FAULTS, observe
from .outages_comparison import PAGE
from .tables import tables, with_faults

__all__ = ['main']


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.outages', description=__doc__)
    parser.add_argument('faults', nargs='*', metavar='fault', help='only these, such as "Redis down"')
    parser.add_argument('--cooldowns', action='store_true', help='the table of cooldowns, and nothing else')
    parser.add_argument('--write', action='store_true', help=f'write the tables into docs/{PAGE.name}')
    options = parser.parse_args(arguments)
    names = [fault.name for fault in FAULTS]
    if unknown := [name for name in options.faults if name not in names]:
        parser.error(f'unknown: {", ".join(unknown)}; known are {", ".join(names)}')
    faults = tuple(fault for fault in FAULTS if not options.faults or fault.name in options.faults)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = (
            {COOLDOWNS: real_cooldowns(environment())} if options.cooldowns else tables(observe(environment(), faults))
        )
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    for name, table in found.items():
        print(f'{table}\n')
        if options.write:
            recorded = between_markers(PAGE, name)
            put_table(PAGE, table if options.cooldowns else with_faults(recorded, table, names, name), name)
    return 0


if __name__ == '__main__':
    sys.exit(main())
