"""Say which Prometheus families a LiteLLM release can register, and which of them the check does not map yet."""

from __future__ import annotations

import argparse
import json
import sys

from tests.lineage.family import DriftError
from tests.lineage.lineage import Lineage, parsed_release

from .dynamic import Run, read_dynamically
from .page import write
from .report import compared, lines
from .static import Reading, read_statically
from .wheels import newest_release, sources_of

EPILOG = """\
exit status: 0 every family is mapped; 1 a family is not mapped, or its name could not be read; 2 usage, an unknown
release, or a package registry out of reach. Wheels are kept in .cache/wheels, environments in .venvs.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m tools.drift', description=__doc__, epilog=EPILOG, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('release', nargs='?', help='default: the newest one in the package registry')
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument(
        '--static', action='store_true', help='read the sources only; do not install and run the release'
    )
    task = parser.add_mutually_exclusive_group()
    task.add_argument('--extend', nargs='+', metavar='RELEASE', help='add releases to the lineage')
    task.add_argument('--rebuild', action='store_true', help='read all releases of the lineage anew')
    options = parser.parse_args(arguments)
    if options.release and (options.extend or options.rebuild):
        parser.error('RELEASE goes with neither --extend nor --rebuild')
    try:
        if options.rebuild:
            known, lineage = Lineage.read(), Lineage((), {})
            _extend(lineage, known.in_order())
            lineage.described_like(known)
            _write(lineage)
            return 0
        if options.extend:
            lineage = Lineage.read()
            _extend(lineage, options.extend)
            _write(lineage)
            return 0
        return _report(options.release, options.json, options.static)
    except DriftError as error:
        print(f'drift: {error}', file=sys.stderr)
        return 2


def _write(lineage: Lineage) -> None:
    lineage.write()
    write(lineage)


def _report(release: str | None, as_json: bool, static_only: bool) -> int:
    wanted = str(parsed_release(release)) if release else newest_release()
    lineage = Lineage.read()
    with sources_of(wanted) as sources:
        reading, notes = read_statically(sources), sources.notes
    report = compared(wanted, reading, _run(wanted, reading, static_only), lineage, notes)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print('\n'.join(lines(report)))
    return report.exit_status


def _run(release: str, reading: Reading, static_only: bool) -> Run | str:
    if static_only:
        return 'as asked for'
    try:
        return read_dynamically(release, reading.families)
    except DriftError as error:
        return str(error)


def _extend(lineage: Lineage, releases: list[str]) -> None:
    """Read releases into a lineage, and print a line for each."""
    for release in releases:
        with sources_of(str(parsed_release(release))) as sources:
            reading = read_statically(sources)
        if reading.unread:
            raise DriftError(f'LiteLLM {release} could not be read in full: {"; ".join(reading.unread)}')
        known = set(lineage.rows)
        misfits = lineage.extend(release, reading.families)
        new = ', '.join(sorted(lineage.rows.keys() - known)) or 'none'
        print(f'LiteLLM {release}: {len(reading.families)} families, new in the lineage: {new}', flush=True)
        for misfit in misfits:
            print(f'  {misfit}')


if __name__ == '__main__':
    sys.exit(main())
