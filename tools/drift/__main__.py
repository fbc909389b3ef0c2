"""Say which Prometheus families a LiteLLM release can register, and which of them the check does not map yet.

The release is installed and what makes its families is called. Where that is not possible, and for what is not reached
in that way, its sources tell as much as they spell out.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.lineage.family import DriftError
from tests.lineage.lineage import Lineage, parsed_release

from .dynamic import run
from .page import write
from .report import compared, lines
from .scan import scan
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
    parser.add_argument('--scan', action='store_true', help='scan the sources only; do not install and run the release')
    parser.add_argument('--write', action='store_true', help='add the release to the lineage and to FAMILIES.md')
    options = parser.parse_args(arguments)
    if options.write and options.scan:
        parser.error('what is written has to be seen running: --write does not go with --scan')
    try:
        release = str(parsed_release(options.release)) if options.release else newest_release()
        return _write(release) if options.write else _report(release, options.json, options.scan)
    except DriftError as error:
        print(f'drift: {error}', file=sys.stderr)
        return 2


def _report(release: str, as_json: bool, scan_only: bool) -> int:
    with sources_of(release) as sources:
        scanned, notes = scan(sources), sources.notes
    try:
        ran = 'as asked for' if scan_only else run(release, scanned.entries)
    except DriftError as error:
        ran = str(error)
    report = compared(release, scanned, ran, Lineage.read(), notes)
    print(json.dumps(report.as_json(), indent=2) if as_json else '\n'.join(lines(report)))
    return report.exit_status


def _write(release: str) -> int:
    """Add a release to the lineage, unless it is there."""
    lineage = Lineage.read()
    if release in lineage.releases:
        print(f'LiteLLM {release} is in the lineage: {lineage.releases[release]} families')
        return 0
    with sources_of(release) as sources:
        scanned = scan(sources)
    report = compared(release, scanned, run(release, scanned.entries), lineage)
    if missing := [*report.unread, *report.notes]:
        raise DriftError(f'LiteLLM {release} could not be read in full: {"; ".join(missing)}')
    known = set(lineage.rows)
    misfits = lineage.extend(release, report.families)
    new = ', '.join(sorted(lineage.rows.keys() - known)) or 'none'
    print(f'LiteLLM {release}: {len(report.families)} families, new in the lineage: {new}')
    for misfit in misfits:
        print(f'  {misfit}')
    lineage.write()
    write(lineage)
    return 0


if __name__ == '__main__':
    sys.exit(main())
