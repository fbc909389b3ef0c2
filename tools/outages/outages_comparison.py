"""Hold the fixture proxy in each fault against the recorded tables of the real one: direction, labels, order of size.

An amount has the same order of size if it is at most four times the other; less than half a second is no time. Where
something is counted without a fault, too, it is its share of that which is compared, so that other prices and more jobs
make no difference. Of answers and labels, those that make up at least a fifth must be the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tools.known_differences import Allowed, Cells, Difference, read_allowed
from tools.markdown import between_markers, cells

from .fixture import observe_fixture
from .tables import TABLES, tables

__all__ = ['PAGE', 'allowed', 'differences', 'fixture_tables', 'real_tables']

PAGE = Path(__file__).parents[2] / 'docs' / 'outages.md'
_ALLOWED_CSV = Path(__file__).with_name('allowed.csv')
_SAME_ORDER = 4.0
_SMALL_SHARE = 0.2
_NO_TIME = 0.5
_WITHOUT_FAULT = 'nothing'


@cache
def allowed() -> tuple[Allowed, ...]:
    """Return the known differences."""
    return read_allowed(_ALLOWED_CSV)


def real_tables() -> dict[str, Cells]:
    """Return what was recorded of the real proxy."""
    return {name: _cells(name, between_markers(PAGE, name)) for name in TABLES}


def fixture_tables() -> dict[str, Cells]:
    """Play the faults on the fixture, and return what was seen."""
    return {name: _cells(name, table) for name, table in tables(observe_fixture()).items()}


def differences(real: Mapping[str, Cells], fixture: Mapping[str, Cells]) -> list[Difference]:
    """Return where the tables of the fixture are not like those of the real proxy."""
    return [found for table in TABLES for found in _table_differences(real[table], fixture[table])]


def _table_differences(real: Cells, fixture: Cells) -> Iterator[Difference]:
    for fault, told in sorted(real.keys() | fixture.keys()):
        pair = [table.get((fault, told), '') for table in (real, fixture)]
        usual = [table.get((_WITHOUT_FAULT, told), '') for table in (real, fixture)]
        is_usual = fault == _WITHOUT_FAULT
        if not _are_alike(pair, None if is_usual else usual):
            yield Difference(fault, told, *pair)


def _are_alike(pair: list[str], usual: list[str] | None) -> bool:
    """Compare two cells, in relation to what they are without a fault, if that is given."""
    amounts = _amounts(pair)
    if amounts is None:
        return _main_parts(pair[0]) == _main_parts(pair[1])
    of_usual = _amounts(usual or [])
    if of_usual and all(of_usual):
        amounts = [amount / one for amount, one in zip(amounts, of_usual, strict=True)]
    low, high = sorted(amounts)
    return low == high or 0 < high <= low * _SAME_ORDER


def _amounts(pair: list[str]) -> list[float] | None:
    """Return the numbers that cells tell, None if one of them does not."""
    found = [amount for cell in pair if (amount := _amount(cell)) is not None]
    return found if len(found) == len(pair) else None


def _amount(cell: str) -> float | None:
    """Return the number of a cell that tells one, such as `+12.5`, `0` or `3.1 s`."""
    match = re.fullmatch(r'\+?([0-9.e+-]+)( s)?', cell)
    if match is None:
        return None
    return 0.0 if match[2] and float(match[1]) < _NO_TIME else float(match[1])


def _main_parts(cell: str) -> set[str]:
    """Return what makes up at least a fifth of a cell such as `12 × 200, 3 × 503`; another cell is one part."""
    counts = {what: int(count) for count, what in re.findall(r'(\d+) × ([^,]+)', cell)}
    least = sum(counts.values()) * _SMALL_SHARE
    return {what for what, count in counts.items() if count >= least} or {cell}


def _cells(name: str, table: str) -> Cells:
    """Read a table; that of families has a column for each fault, the others a row."""
    head, _, *rows = [cells(line) for line in table.splitlines()]
    found = {(first, what): cell for first, *others in rows for what, cell in zip(head[1:], others, strict=True)}
    return {(what, first): cell for (first, what), cell in found.items()} if name == 'families' else found
