"""Try the wheel on every Agent and every Python, two at a time.

Exit code 1 when a row is not right, 2 when an environment is missing.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from .agents_page import PAGE, table, write
from .environments import environments
from .trial import Trial, bench, try_wheel

# As many as the gate's machine has cores.
_AT_A_TIME = 2


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.agents', description=__doc__)
    parser.add_argument('--write', action='store_true', help=f'write the table into {PAGE.name}')
    wants_write = parser.parse_args().write
    wanted = environments()
    if missing := [environment.name for environment in wanted if not environment.interpreter.exists()]:
        print(f'Missing: {", ".join(missing)}. `make agents` makes them.', file=sys.stderr)
        return 2
    with bench() as shared, ThreadPoolExecutor(_AT_A_TIME) as executor:
        trials = list(executor.map(partial(try_wheel, on=shared), wanted))
    print(table(trials))
    for trial in trials:
        print(f'{trial.environment.name}: {trial.figures}')
        for column, complaint in _complaints(trial):
            print(f'  {column}: {complaint}')
    if wants_write:
        write(trials)
        print(f'Written into {PAGE.name}')
    return int(any(any(_complaints(trial)) for trial in trials))


def _complaints(trial: Trial) -> list[tuple[str, str]]:
    return [(column, complaint) for column, complaints in trial.complaints.items() for complaint in complaints]


if __name__ == '__main__':
    sys.exit(main())
