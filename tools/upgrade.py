"""What changes for users of the published integration, for docs/agents.md: `python -m tools.upgrade --write`.

Both sides are data: `published_metrics.csv` has the metrics that their dashboards use, `metadata.csv` has ours.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from datadog_checks.litellm.metrics import HISTOGRAM_PARTS
from tools.markdown import between_markers, put_table, render_table

__all__ = ['PAGE', 'texts']

PAGE = Path(__file__).parents[1] / 'docs' / 'agents.md'

_TESTS = Path(__file__).parents[1] / 'litellm' / 'tests'
_WIDTH = 120


def texts() -> dict[str, str]:
    """Return each text under the name of its markers."""
    published = _units(_TESTS / 'published_metrics.csv')
    ours = _units(_TESTS.parent / 'metadata.csv')
    mended = defaultdict(list)
    for name, unit in published.items():
        if ours[name] != unit:
            mended[unit, ours[name]].append(name)
    units = [(was or '(none)', now, _in_short(names)) for (was, now), names in sorted(mended.items())]
    added = _in_short(name for name in ours if name not in published)
    return {
        'table of units': render_table(('published unit', 'unit now', 'metrics'), units),
        'list of added metrics': fill(added, width=_WIDTH, break_on_hyphens=False),
    }


def _units(path: Path) -> dict[str, str]:
    with path.open(newline='') as file:
        return {row['metric_name']: row['unit_name'] for row in csv.DictReader(file)}


def _in_short(names: Iterable[str]) -> str:
    """Write the parts of one histogram as one name."""
    parts = defaultdict(list)
    for name in sorted(names):
        stem, _, part = name.rpartition('.')
        if part in HISTOGRAM_PARTS:
            parts[stem].append(part)
        else:
            parts[name] = []
    return ', '.join(f'`{stem}{_suffix(found)}`' for stem, found in parts.items())


def _suffix(parts: list[str]) -> str:
    if not parts:
        return ''
    return f'.{parts[0]}' if len(parts) == 1 else f'.{{{",".join(parts)}}}'


def main() -> int:
    """Write the texts, or return 1 if one of them is not what the page has."""
    parser = argparse.ArgumentParser(prog='python -m tools.upgrade', description=__doc__)
    parser.add_argument('--write', action='store_true', help=f'write them into {PAGE.name}')
    write = parser.parse_args().write
    stale = [name for name, text in texts().items() if between_markers(PAGE, name) != text]
    for name in stale:
        if write:
            put_table(PAGE, texts()[name], name)
        print(f'{PAGE.name}: {name} {"written" if write else "is out of date: run `python -m tools.upgrade --write`"}')
    return int(bool(stale) and not write)


if __name__ == '__main__':
    sys.exit(main())
