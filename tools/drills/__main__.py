"""`python -m tools.drills`: play all drills, or those named, and print what each monitor did; `--write` the table."""

from __future__ import annotations

import argparse
import sys

from tools.markdown import between_markers, put_table

from .fault_matrix import MARKER, TABLE, faults, play, strange_incidents, table
from .scenarios import SCENARIOS


def main() -> int:
    """Run the command; return 1 if a monitor did not do what is expected of it, or the table is out of date."""
    parser = argparse.ArgumentParser(prog='python -m tools.drills', description=__doc__)
    parser.add_argument('scenarios', nargs='*', metavar='SCENARIO', help=', '.join(SCENARIOS))
    parser.add_argument('--write', action='store_true', help=f'write the table into {TABLE.name}')
    options = parser.parse_args()
    unknown = [name for name in options.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f'no such scenario: {", ".join(unknown)}')
    chosen = options.scenarios or list(SCENARIOS)
    played = play(chosen)
    matrix = played.matrix
    for incident in played.incidents.values():
        print(f'{incident.scenario}: {incident.alerts} alerts, {incident.notifications} notifications on a fleet')
    for cell in matrix.values():
        if cell.status != 'OK':
            recovered = 'never' if cell.recovered is None else f'{cell.recovered:g} min after its end'
            print(f'{cell.scenario:20} {cell.monitor:24} {cell.status} after {cell.fired:g} min, recovered {recovered}')
    wrong = [line for line in faults(matrix) if len(chosen) == len(SCENARIOS) or 'there is none' not in line]
    wrong += strange_incidents(played.incidents)
    print('\n'.join(wrong) or f'{len(matrix)} cells as expected')
    if len(chosen) == len(SCENARIOS):
        if options.write:
            put_table(TABLE, table(played), MARKER)
        elif between_markers(TABLE, MARKER) != table(played):
            wrong.append('stale')
            print(f'{TABLE.name} is out of date: run `python -m tools.drills --write`')
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
