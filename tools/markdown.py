"""Tables, and other texts, that a tool writes into a page which is otherwise written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ['between_markers', 'cells', 'put_table', 'render_table', 'with_table']


def put_table(page: Path, table: str, name: str = 'table') -> None:
    """Put a table between the markers of that name on a page, in place of what is there."""
    page.write_text(with_table(page.read_text(encoding='utf-8'), table, name), encoding='utf-8')


def with_table(text: str, table: str, name: str = 'table') -> str:
    """Return a text with a table between its markers of that name; raises ValueError if it has none."""
    begin, end = _markers(name)
    before, begins, rest = text.partition(begin)
    former, ends, after = rest.partition(end)
    if not (begins and ends):
        raise ValueError(f'There is no {begin} … {end}')
    # In a paragraph of a list, the end stays in the list.
    indentation = former.rpartition('\n')[2]
    return f'{before}{begin}\n{table}\n{indentation}{end}{after}'


def between_markers(page: Path, name: str = 'table') -> str:
    """Return what a page has between the markers of that name."""
    begin, end = _markers(name)
    return page.read_text(encoding='utf-8').partition(begin)[2].partition(end)[0].strip()


def render_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns, but for the last, are as wide as their widest cell."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = len(head[-1])
    rendered = [_line(line, widths) for line in lines]
    return '\n'.join([rendered[0], _line(['-' * width for width in widths], widths), *rendered[1:]])


def cells(row: str) -> list[str]:
    """Return the cells of a row of a table."""
    return [cell.strip() for cell in row.strip('|').split('|')]


def _markers(name: str) -> tuple[str, str]:
    return f'<!-- {name} -->', f'<!-- end of {name} -->'


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f'| {" | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |'
