"""Hold that what follows from other files is up to date, and that a new metric or monitor appears where it belongs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tools import derive
from tools.derive import DERIVED, ROOT


@pytest.mark.parametrize('path', DERIVED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_follows_from_other_files_is_up_to_date(path: Path) -> None:
    text = path.read_text(encoding='utf-8')

    assert DERIVED[path](text) == text, 'run `make derive`'


def test_a_metric_without_a_row_gets_one_with_what_the_lineage_knows() -> None:
    metric = 'litellm.spend.metric.count'
    lines = (ROOT / 'litellm' / 'metadata.csv').read_text().splitlines(keepends=True)
    without = ''.join(line for line in lines if not line.startswith(f'{metric},'))
    rows = {row['metric_name']: row for row in csv.DictReader(io.StringIO(derive.metadata(without)))}

    assert len(rows) == len(lines) - 1
    assert list(rows) == sorted(rows)
    assert (rows[metric]['metric_type'], rows[metric]['unit_name']) == ('count', 'dollar')
    assert 'api_key_alias' in rows[metric]['sample_tags'].split(',')
    assert re.search(r' LiteLLM 1\.53\+\.$', rows[metric]['description'])


def test_releases_and_tags_of_a_metric_are_written_anew_and_the_rest_of_its_row_is_kept() -> None:
    text = (ROOT / 'litellm' / 'metadata.csv').read_text()
    outdated = text.replace(' LiteLLM 1.110.0+.', ' LiteLLM 1.0.0+.').replace(',upper_bound\n', ',\n')

    assert outdated != text
    assert derive.metadata(outdated) == text


def test_a_monitor_that_the_manifest_lacks_is_put_there_and_one_that_is_gone_is_removed() -> None:
    manifest = json.loads((ROOT / 'litellm' / 'manifest.json').read_text())
    wanted = dict(manifest['assets']['monitors'])
    manifest['assets']['monitors'] = {'Gone': 'assets/monitors/gone.json'}

    assert json.loads(derive.manifest(json.dumps(manifest)))['assets']['monitors'] == wanted


def test_the_monitors_are_counted() -> None:
    assert derive.counts('3 dashboards and 2 monitors') == '3 dashboards and {} monitors'.format(
        len(list((ROOT / 'litellm' / 'assets' / 'monitors').glob('*.json')))
    )
