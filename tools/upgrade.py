"""What changes for users of the published integration, for docs/agents.md; `tools.derive` puts it there.

Both sides are data: `published_metrics.csv` has the metrics that their dashboards use, `metadata.csv` has ours.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from datadog_checks.litellm.metrics import HISTOGRAM_PARTS
from tools.markdown import render_table

__all__ = ['texts']

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
