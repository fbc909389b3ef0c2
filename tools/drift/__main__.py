"""Say which Prometheus families a LiteLLM release can register, and which of them the check does not map yet.

The release is installed and what makes its families is called. For what is not reached in that way, its sources tell
as much as they spell out.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.lineage.family import DriftError
from tests.lineage.lineage import Lineage, parsed_release

from tools.real_litellm.environment import HarnessError, environment

from .dynamic import newest_release, run
from .page import write
from .report import Report, compared, lines
from .scan import scan

EPILOG = """\
exit status: 0 every family is mapped; 1 a family is not mapped, or its name could not be read; 2 usage, a release that
cannot be installed or run, or a package registry out of reach. Environments are kept in .venvs.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m tools.drift', description=__doc__, epilog=EPILOG, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('release', nargs='?', help='default: the newest one in the package registry')
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument('--write', action='store_true', help='add the release to the lineage and to FAMILIES.md')
    options = parser.parse_args(arguments)
    try:
        release = str(parsed_release(options.release)) if options.release else newest_release()
        if options.write:
            return _write(release)
        report = _read(release, Lineage.read())
    except (DriftError, HarnessError) as error:
        print(f'drift: {str(error).splitlines()[0]}', file=sys.stderr)
        return 2
    print(json.dumps(report.as_json(), indent=2) if options.json else '\n'.join(lines(report)))
    return report.exit_status


def _read(release: str, lineage: Lineage) -> Report:
    installed = environment(release)
    scanned = scan(installed.packages)
    return compared(release, scanned, run(installed, scanned.entries), lineage)


def _write(release: str) -> int:
    """Add a release to the lineage, unless it is there."""
    lineage = Lineage.read()
    if release in lineage.releases:
        print(f'LiteLLM {release} is in the lineage: {lineage.releases[release]} families')
        return 0
    report = _read(release, lineage)
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
