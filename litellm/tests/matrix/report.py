"""The matrix as a table, for the terminal and for README.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.markdown import put_table

from .releases import needs_licence
from .run import Result

__all__ = ['README', 'table', 'write']

README = Path(__file__).with_name('README.md')
_COLUMNS = (
    'LiteLLM',
    'licence',
    'families',
    'with samples',
    'unmapped',
    'sums',
    'auth',
    'redirect',
    'check',
    'fixture',
)


def table(results: Iterable[Result]) -> str:
    """Return the results as a Markdown table; a cell that is not right says so."""
    rows = [_COLUMNS, *map(_row, results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    return '\n'.join([lines[0], _line(['-' * width for width in widths], widths), *lines[1:]])


def write(results: Sequence[Result]) -> None:
    """Put the table into README.md, between its markers."""
    put_table(README, table(results))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f'| {" | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |'


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
        f'{sums}{", WRONG" if wrong else ""}',
        *(_verdict(result, column) for column in ('auth', 'redirect', 'check', 'fixture')),
    )


def _verdict(result: Result, column: str) -> str:
    return 'WRONG' if column in result.complaints else 'right'
