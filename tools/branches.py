"""Say which branches of the check package the tests have not taken, and demand a share: `make coverage`.

Reads what a test run with coverage has recorded. The floor is for branches, not for lines: a line with a condition is
covered when one outcome was seen, a branch only when it was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from coverage import Coverage
from coverage.exceptions import NoDataError

from tools.markdown import render_table

__all__ = ['FLOOR', 'main', 'shortfall', 'uncovered']

FLOOR = 95.0
"""Percent of the package's branches that the tests take."""


def main() -> int:
    """Print the modules with untaken branches; return 1 below the floor."""
    parser = argparse.ArgumentParser(prog='python -m tools.branches', description=__doc__)
    parser.add_argument('data', type=Path, nargs='?', default=Path('litellm/.coverage'), help='(default: %(default)s)')
    try:
        report = _report(parser.parse_args().data)
    except NoDataError:
        print('Nothing was recorded: run `make test` and `make faults` first.')
        return 1
    print(render_table(('module', 'branches', 'taken', 'not taken, from line -> to line'), uncovered(report)))
    complaint = shortfall(report['totals'])
    totals = report['totals']
    print(f'\n{totals["covered_branches"]} of {totals["num_branches"]} branches taken. {complaint}')
    return int(bool(complaint))


def uncovered(report: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return a row for each module with branches that were not taken; a line below 0 is the end of a function."""
    rows = []
    for name, file in sorted(report['files'].items()):
        summary = file['summary']
        if summary['missing_branches']:
            missing = ', '.join(f'{start}->{end}' for start, end in file['missing_branches'])
            rows.append((name, str(summary['num_branches']), str(summary['covered_branches']), missing))
    return rows


def shortfall(totals: dict[str, Any]) -> str:
    """Return what is wrong with these totals, or nothing."""
    if not totals['num_branches']:
        return 'Nothing was recorded.'
    share = 100 * totals['covered_branches'] / totals['num_branches']
    return f'{share:.1f} % is below the floor of {FLOOR:g} %.' if share < FLOOR else ''


def _report(data: Path) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix='.json') as file:
        coverage = Coverage(data_file=str(data))
        coverage.load()
        coverage.json_report(outfile=file.name)
        report: dict[str, Any] = json.loads(Path(file.name).read_text())
    return report


if __name__ == '__main__':
    sys.exit(main())
