"""Write what follows from other files: `python -m tools.derive --write`. Without the flag, say what is out of date.

| file | what follows | from |
| --- | --- | --- |
| metadata.csv | a row for each metric; the releases that end a description; the tags | `metrics.py`, the lineage |
| manifest.json | the list of dashboards, monitors and saved views | their files |
| docs/agents.md, docs/added_metrics.md | what changes for users of the published integration | metadata.csv |
| docs/proxy.md | the smallest page that keeps monitors and overview alive | monitors, the overview |
| README.md, litellm/README.md | how many monitors there are | their files |

The row of a new metric has a unit and a description as the lineage knows them: words for whoever finishes it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.known_metrics import families_of_metrics, releases_of, tags_of

from datadog_checks.litellm.metrics import submitted_names
from tools import minimal_page, upgrade
from tools.markdown import with_table

__all__ = ['DERIVED']

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / 'litellm' / 'assets'

_RELEASES = re.compile(r' LiteLLM [0-9][0-9.+, -]*\.$')
_UNITS = {
    'bytes': 'byte',
    'hours': 'hour',
    'requests': 'request',
    'seconds': 'second',
    'tokens': 'token',
    'usd': 'dollar',
}


def metadata(text: str) -> str:
    """Return metadata.csv with a row for each metric, and its releases and tags as the lineage has them."""
    rows = {row['metric_name']: row for row in csv.DictReader(io.StringIO(text))}
    sources = families_of_metrics()
    for metric, kind in submitted_names():
        if metric in sources:
            row = rows.setdefault(metric, _new_row(metric, kind, sources[metric]))
            described = _RELEASES.sub('', row['description'])
            row['description'] = f'{described} LiteLLM {releases_of(sources[metric])}.'
            tags = tags_of(metric, sources[metric])
            if {*filter(None, row['sample_tags'].split(','))} != tags:
                row['sample_tags'] = ','.join(sorted(tags))
    written = io.StringIO()
    writer = csv.DictWriter(written, next(iter(rows.values())).keys(), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows[metric] for metric in sorted(rows))
    return written.getvalue()


def _new_row(metric: str, kind: str, sources: Sequence[dict[str, str]]) -> dict[str, str]:
    value = sources[0]['value']
    part = metric.rpartition('.')[2] if sources[0]['type'] == 'histogram' else ''
    unit = _UNITS.get(value.partition(' ')[0], '')
    return {
        'metric_name': metric,
        'metric_type': kind,
        'interval': '',
        'unit_name': '' if part in ('bucket', 'count') and unit == 'second' else unit,
        'per_unit_name': '',
        'description': f'{value[:1].upper()}{value[1:]}{f" ({part})" if part else ""}.',
        'orientation': '0',
        'integration': 'litellm',
        'short_name': re.sub(r'[._]', ' ', metric.removeprefix('litellm.')),
        'curated_metric': '',
        'sample_tags': '',
    }


def manifest(text: str) -> str:
    """Return manifest.json with the dashboards, monitors and saved views that there are, by title."""
    content = json.loads(text)
    for kind, title in (('dashboards', 'title'), ('monitors', 'title'), ('saved_views', 'name')):
        content['assets'][kind] = dict(
            sorted((json.loads(path.read_text())[title], f'assets/{kind}/{path.name}') for path in _assets(kind))
        )
    return f'{json.dumps(content, indent=2, ensure_ascii=False)}\n'


def counts(text: str) -> str:
    """Return a page with the number of monitors."""
    return re.sub(r'\b\d+ monitors\b', f'{len(_assets("monitors"))} monitors', text)


def compatibility(text: str) -> str:
    """Return docs/agents.md with the units that change for users of the published integration."""
    return with_table(text, upgrade.table_of_units(), 'table of units')


def added_metrics(text: str) -> str:
    """Return docs/added_metrics.md with the metrics that the published integration does not have."""
    return with_table(text, upgrade.table_of_added())


def proxy(text: str) -> str:
    """Return docs/proxy.md with the settings of LiteLLM that leave what the assets need."""
    return with_table(text, minimal_page.block(), 'minimal')


def _assets(kind: str) -> list[Path]:
    return sorted((ASSETS / kind).glob('*.json'))


# In this order: later files follow from earlier ones.
DERIVED: dict[Path, Callable[[str], str]] = {
    ROOT / 'litellm' / 'metadata.csv': metadata,
    ROOT / 'litellm' / 'manifest.json': manifest,
    ROOT / 'docs' / 'added_metrics.md': added_metrics,
    ROOT / 'docs' / 'agents.md': compatibility,
    ROOT / 'docs' / 'proxy.md': proxy,
    ROOT / 'README.md': counts,
    ROOT / 'litellm' / 'README.md': counts,
}


def main() -> int:
    """Write what is out of date, or return 1 if something is."""
    parser = argparse.ArgumentParser(
        prog='python -m tools.derive', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--write', action='store_true', help='write the files')
    wants_write = parser.parse_args().write
    stale = False
    for path, derive in DERIVED.items():
        text = path.read_text(encoding='utf-8')
        if derive(text) == text:
            continue
        stale = True
        if wants_write:
            path.write_text(derive(text), encoding='utf-8')
        print(f'{path.relative_to(ROOT)} {"is written" if wants_write else "is out of date: make derive"}')
    return int(stale and not wants_write)


if __name__ == '__main__':
    sys.exit(main())
