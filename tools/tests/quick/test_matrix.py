"""The release matrix judges and reports as it should; it runs real proxies only from its own command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.matrix import report
from tools.matrix.capture import Capture
from tools.matrix.differences import DIFFERENCES
from tools.matrix.releases import CI_RELEASES, RELEASES, expected_status
from tools.matrix.run import Result
from tools.real_litellm.families import Coverage
from tools.real_litellm.features import numbers
from tools.real_litellm.sums import SUMS

REQUIREMENTS = Path(__file__).parents[3] / 'requirements'


def result(release: str) -> Result:
    """Return a result with two families, one of which has samples, and three sums that are right."""
    coverage = Coverage({'a', 'b'}, {'a', 'b'}, {'a'}, {'a'}, set())
    return Result(release, coverage, Capture(release, '', {}, {}), sums=3)


def cells(found: Result) -> list[str]:
    """Return the row of a result, cell by cell."""
    return [cell.strip() for cell in report.table([found]).splitlines()[-1].strip('|').split('|')]


def test_a_row_without_complaints_passes_in_each_column() -> None:
    assert cells(result('1.95.1')) == ['1.95.1', 'no', '2', '1', '0', '3 of 3', 'pass', 'pass', 'pass', 'pass']


@pytest.mark.parametrize(('column', 'cell'), [('auth', 6), ('redirect', 7), ('check', 8), ('fixture', 9)])
def test_a_complaint_shows_in_its_column(column: str, cell: int) -> None:
    found = result('1.95.1')
    found.complain(column, 'not as it should be')
    assert [number for number, text in enumerate(cells(found)) if text == 'FAIL'] == [cell]


def test_a_sum_that_a_release_is_known_to_get_wrong_does_not_count_as_right() -> None:
    found = result('1.95.1')
    found.explained = 1
    assert cells(found)[5] == '2 of 3, 1 known'
    found.complain('sums', 'requests: 1 submitted, 2 sent')
    assert cells(found)[5] == '1 of 3, 1 known, FAIL'


def test_the_table_is_written_between_its_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / 'README.md'
    readme.write_text('Before.\n\n<!-- table -->\nold\n<!-- end of table -->\n\nAfter.\n')
    monkeypatch.setattr(report, 'README', readme)
    for _ in range(2):
        report.write([result('1.60.8')])
    before, *table, after = readme.read_text().split('\n\n')
    assert (before, after) == ('Before.', 'After.\n')
    assert 'old' not in table[0]
    assert table[0].count('1.60.8') == 1


def test_the_readme_has_a_row_of_each_release() -> None:
    rows = [line.split('|')[1].strip() for line in report.README.read_text().splitlines() if line.startswith('| 1.')]
    assert rows == list(RELEASES)


def test_releases_are_locked_and_in_order() -> None:
    assert list(RELEASES) == sorted(RELEASES, key=numbers)
    assert {release for release in RELEASES if not (REQUIREMENTS / f'litellm-{release}.txt').exists()} == set()


def test_ci_runs_the_oldest_and_the_newest_release_and_one_between() -> None:
    oldest, between, newest = CI_RELEASES
    assert (oldest, newest) == (RELEASES[0], RELEASES[-1])
    assert between in RELEASES[1:-1]


def test_what_a_release_is_known_to_count_otherwise_is_a_sum_with_a_reason() -> None:
    for difference in DIFFERENCES:
        assert set(difference.sums) <= set(map(str, SUMS))
        assert set(difference.releases) <= set(RELEASES)
        assert difference.reason


@pytest.mark.parametrize(
    ('release', 'path', 'credential', 'status'),
    [
        ('1.80.11', '/metrics', 'without a key', 307),
        ('1.80.11', '/metrics/', 'without a key', 401),
        ('1.80.11', '/metrics/', 'with a key', 200),
        ('1.80.11', '/metrics/', 'with a key in api-key', 401),
        ('1.88.6', '/metrics', 'without a key', 401),
        ('1.88.6', '/metrics', 'with a key', 307),
        ('1.88.6', '/metrics/', 'with a key in api-key', 200),
        ('1.88.6', '/metrics/', 'with a key in x-api-key', 401),
    ],
)
def test_a_protected_endpoint_answers_as_the_release_does(
    release: str, path: str, credential: str, status: int
) -> None:
    assert expected_status(release, path, credential, is_protected=True) == status
    assert expected_status(release, path, credential, is_protected=False) == (307 if path == '/metrics' else 200)
