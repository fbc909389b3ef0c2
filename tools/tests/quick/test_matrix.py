"""The release matrix judges and reports as it should; it runs real proxies only from its own command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.matrix import release_table
from tools.matrix.__main__ import CI_RELEASES
from tools.matrix.access import expected_status, needs_licence
from tools.matrix.capture import Capture
from tools.matrix.differences import DIFFERENCES, Difference
from tools.matrix.result import Result
from tools.real_litellm.environment import RELEASES
from tools.real_litellm.families import Coverage
from tools.real_litellm.sums import SUMS, SUMS_WITHOUT_LICENCE

REQUIREMENTS = Path(__file__).parents[3] / 'requirements'


def result(release: str) -> Result:
    """Return a result with two families, one of which has samples, and three sums that are right."""
    coverage = Coverage({'a', 'b'}, {'a', 'b'}, {'a'}, {'a'}, set())
    return Result(release, coverage, Capture(release, '', {}, {}), sums=3)


def cells(found: Result) -> list[str]:
    """Return the row of a result, cell by cell."""
    return [cell.strip() for cell in release_table.table([found]).splitlines()[-1].strip('|').split('|')]


def test_a_row_without_complaints_passes_in_each_column() -> None:
    assert cells(result('1.95.1')) == ['1.95.1', 'no', '2', '1', '0', '3 of 3', 'pass', 'pass', 'pass', 'pass', '']


def result_with_database() -> Result:
    """Return a result with another one, of a run with a database that moved one family more."""
    found, other = result('1.95.1'), result('1.95.1')
    other.coverage = Coverage({'a', 'b'}, {'c'}, {'b', 'c'}, {'c'}, set())
    found.with_database = other
    return found


def test_a_run_with_a_database_adds_its_families() -> None:
    assert cells(result_with_database())[-1] == '3 of 3'


def test_what_is_wrong_with_a_database_shows_in_its_column_and_says_so() -> None:
    found = result_with_database()
    assert found.with_database
    found.complain('auth', 'GET /metrics: 200, not 401')
    found.with_database.complain('sums', 'requests: 1 submitted, 2 sent')
    assert (cells(found)[6], cells(found)[-1]) == ('FAIL', '3 of 3, FAIL')
    assert found.all_complaints == [
        'auth: GET /metrics: 200, not 401',
        'with a database, sums: requests: 1 submitted, 2 sent',
    ]


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


def test_rows_are_written_between_the_markers_and_those_of_other_releases_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / 'README.md'
    monkeypatch.setattr(release_table, 'README', readme)
    written = release_table.table([result('1.95.1')])
    readme.write_text(f'Before.\n\n<!-- table -->\n{written}\n<!-- end of table -->\n\nAfter.\n')
    other = result('1.60.8')
    other.complain('auth', 'not as it should be')
    for found in (result('1.60.8'), other, result('1.106.2')):
        release_table.write([found])

    assert [(row[0], row[6]) for row in release_table.written_rows()] == [
        ('1.60.8', 'FAIL'),
        ('1.95.1', 'pass'),
        ('1.106.2', 'pass'),
    ]
    assert readme.read_text().startswith('Before.\n\n')
    assert readme.read_text().endswith('\n\nAfter.\n')


def test_the_readme_has_a_row_of_each_release() -> None:
    assert [row[0] for row in release_table.written_rows()] == list(RELEASES)


def test_every_release_is_locked() -> None:
    assert {release for release in RELEASES if not (REQUIREMENTS / f'litellm-{release}.txt').exists()} == set()


def test_ci_runs_the_oldest_and_the_newest_release_and_the_oldest_without_a_licence() -> None:
    assert (RELEASES[0], RELEASES[-1]) == (CI_RELEASES[0], CI_RELEASES[-1])
    assert [needs_licence(release) for release in CI_RELEASES] == [True, False, False]


def test_what_a_release_is_known_to_count_otherwise_is_a_sum_with_a_reason() -> None:
    for difference in DIFFERENCES:
        assert set(difference.sums) <= set(map(str, (*SUMS, *SUMS_WITHOUT_LICENCE)))
        assert set(difference.releases) <= set(RELEASES)
        assert difference.reason


def test_a_known_sum_may_be_one_with_a_database_or_without_only() -> None:
    known = Difference(('1.80.11',), ('requests',), 'A reason.', database='without')
    assert known.is_of('1.80.11', with_database=False)
    assert not known.is_of('1.80.11', with_database=True)
    assert not known.is_of('1.88.6', with_database=False)
    assert known._replace(database='*').is_of('1.80.11', with_database=True)


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
