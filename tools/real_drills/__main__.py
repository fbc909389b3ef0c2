"""Play all drills on the real LiteLLM, or those named, and print what came of each when it has ended."""

from __future__ import annotations

import argparse
import signal
import sys

from tools.markdown import between_markers, put_table
from tools.real_litellm.environment import HarnessError

from .drills import DRILLS
from .play import play, wrong
from .table import MARKER, PAGE, table

__all__ = ['main']


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 1 if a monitor did not do what is expected of it, or the table is out of date."""
    parser = argparse.ArgumentParser(prog='python -m tools.real_drills', description=__doc__)
    names = [drill.name for drill in DRILLS]
    parser.add_argument('drills', nargs='*', metavar='DRILL', help=', '.join(names))
    parser.add_argument('--write', action='store_true', help=f'only write the table into {PAGE.name}, and play nothing')
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.drills if name not in names]:
        parser.error(f'no such drill: {", ".join(unknown)}')
    if options.write:
        put_table(PAGE, table(), MARKER)
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        played = play([drill for drill in DRILLS if not options.drills or drill.name in options.drills])
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    is_stale = between_markers(PAGE, MARKER) != table()
    if is_stale:
        print(f'{PAGE.name} is out of date: run `python -m tools.real_drills --write`')
    return int(is_stale or any(map(wrong, played)))


if __name__ == '__main__':
    sys.exit(main())
