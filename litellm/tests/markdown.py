"""Tables that a tool writes into a page which is otherwise written by hand."""

from __future__ import annotations

from pathlib import Path

__all__ = ['put_table']

_BEGIN, _END = '<!-- table -->', '<!-- end of table -->'


def put_table(page: Path, table: str) -> None:
    """Put a table between the markers of a page, in place of what is there."""
    before, _, rest = page.read_text(encoding='utf-8').partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f'{before}{_BEGIN}\n{table}\n{_END}{after}', encoding='utf-8')
