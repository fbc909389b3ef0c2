"""The matrix as a table, for the terminal and for README.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.version import Version

from tools.markdown import between_markers, put_table, render_table

from .access import needs_licence
from .result import Result

__all__ = ['README', 'table', 'write', 'written_rows']

README = Path(__file__).with_name('README.md')
_COLUMNS = (
    'LiteLLM',
    'license',
    'families',
    'with samples',
    'unmapped',
    'sums',
    'auth',
    'redirect',
    'check',
    'fixture',
    'with a database',
)


def table(results: Iterable[Result]) -> str:
    """Return the results as a Markdown table; a cell says whether the column passed."""
    return render_table(_COLUMNS, map(_row, results))


def write(results: Sequence[Result]) -> None:
    """Put the rows of these releases into README.md; those of others stay."""
    # A row that was written before there was a column lacks it at its end.
    written = ((*cells, *[''] * (len(_COLUMNS) - len(cells))) for cells in written_rows())
    rows = {cells[0]: cells for cells in written} | {result.release: _row(result) for result in results}
    put_table(README, render_table(_COLUMNS, (rows[release] for release in sorted(rows, key=Version))))


def written_rows() -> list[tuple[str, ...]]:
    """Return the rows that README.md has, cell by cell."""
    _, _, *rows = between_markers(README).splitlines()
    return [tuple(cell.strip() for cell in row.strip('|').split('|')) for row in rows]


def _row(result: Result) -> tuple[str, ...]:
    wrong = len(result.complaints.get('sums', ()))
    sums = f'{result.sums - result.explained - wrong} of {result.sums}'
    if result.explained:
        sums += f', {result.explained} known'
    return (
        result.release,
        'needed' if needs_licence(result.release) else 'no',
        str(len(result.coverage.registered)),
        str(len(result.coverage.sampled)),
        str(len(result.coverage.unmapped)),
        f'{sums}{", FAIL" if wrong else ""}',
        *(_verdict(result, column) for column in ('auth', 'redirect', 'check', 'fixture')),
        _with_database(result),
    )


def _with_database(result: Result) -> str:
    if not result.with_database:
        return ''
    found = result.coverage.with_(result.with_database.coverage)
    verdict = ', FAIL' if result.with_database.complaints else ''
    return f'{len(found.sampled)} of {len(found.registered)}{verdict}'


def _verdict(result: Result, column: str) -> str:
    return 'FAIL' if column in result.complaints else 'pass'
