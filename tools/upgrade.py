"""Tell what changes for users of the published integration: tables of docs/agents.md and docs/added_metrics.md.

Both sides are data: `published_metrics.csv` has the metrics that version 2.4.1 documents, `metadata.csv` has ours. What
other versions of the bundled check have is known of some metrics only. `tools.derive` writes the tables.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from datadog_checks.litellm.metrics import HISTOGRAM_PARTS
from tools.markdown import render_table

__all__ = ['table_of_added', 'table_of_units']

_TESTS = Path(__file__).parents[1] / 'litellm' / 'tests'

# Metrics that 2.4.1 does not document, and the version of the bundled check from which on it sends them.
_BUNDLED_SINCE = {
    # Its age is this check's own: a check that asks in every run has none to tell.
    r'endpoint\.(?!age$).+': '2.0.0',
    r'deployment\.[rt]pm_limit|guardrail\..+|in_flight_requests|input_(audio|cache_creation|cached)_tokens\..+': '2.5',
}


def table_of_units() -> str:
    """Return the metrics whose unit differs from the published one."""
    published, ours = _published(), _ours()
    mended = defaultdict(list)
    for name, row in published.items():
        if ours[name]['unit_name'] != row['unit_name']:
            mended[row['unit_name'], ours[name]['unit_name']].append(name)
    rows = [
        (was or '(none)', now, ', '.join(f'`{name}`' for name in _in_short(names)))
        for (was, now), names in sorted(mended.items())
    ]
    return render_table(('published unit', 'unit now', 'metrics'), rows)


def table_of_added() -> str:
    """Return the metrics that the published integration does not document, and what each is."""
    published, ours = _published(), _ours()
    rows = [
        (f'`{name}`', _bundled_since(name), ours[full]['description'])
        for name, full in _in_short(name for name in ours if name not in published).items()
    ]
    return render_table(('metric', 'bundled check', 'what it is'), rows)


def _published() -> dict[str, dict[str, str]]:
    return _rows(_TESTS / 'published_metrics.csv')


def _ours() -> dict[str, dict[str, str]]:
    return _rows(_TESTS.parent / 'metadata.csv')


def _rows(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline='', encoding='utf-8') as file:
        return {row['metric_name']: row for row in csv.DictReader(file)}


def _bundled_since(name: str) -> str:
    short = name.removeprefix('litellm.')
    return next((f'since {version}' for pattern, version in _BUNDLED_SINCE.items() if re.fullmatch(pattern, short)), '')


def _in_short(names: Iterable[str]) -> dict[str, str]:
    """Return the parts of one histogram as one name, each name with that of its last part."""
    parts = defaultdict(list)
    for name in sorted(names):
        stem, _, part = name.rpartition('.')
        if part in HISTOGRAM_PARTS:
            parts[stem].append(part)
        else:
            parts[name] = []
    return {f'{stem}{_suffix(found)}': f'{stem}.{found[-1]}' if found else stem for stem, found in parts.items()}


def _suffix(parts: list[str]) -> str:
    if not parts:
        return ''
    return f'.{parts[0]}' if len(parts) == 1 else f'.{{{",".join(parts)}}}'
