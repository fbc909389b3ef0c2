"""Differences between two tables of cells, one of the real proxy and one of the fixture, and those that are known.

The known ones are the rows of a CSV file: of what and what is told of it, both patterns, and why.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

__all__ = ['Allowed', 'Cells', 'Difference', 'read_allowed', 'unneeded']

# The cells of a table by what a row or column is about, and by what is told of it.
Cells = dict[tuple[str, str], str]


class Difference(NamedTuple):
    """A cell that is not the same of both proxies."""

    about: str
    told: str
    real: str
    fixture: str

    def __str__(self) -> str:
        return f'{self.about}, {self.told}: {self.real} of the real proxy, {self.fixture} of the fixture'


class Allowed(NamedTuple):
    """A known difference: about what, of what is told (both patterns), and why."""

    about: str
    told: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Tell whether this is the known difference."""
        return fnmatchcase(difference.about, self.about) and fnmatchcase(difference.told, self.told)


def read_allowed(path: Path) -> tuple[Allowed, ...]:
    """Return the known differences of a file."""
    with path.open(newline='') as rows:
        return tuple(Allowed(**row) for row in csv.DictReader(rows))


def unneeded(allowed: Collection[Allowed], found: Collection[Difference]) -> list[Allowed]:
    """Return the known differences that are none."""
    return [known for known in allowed if not any(known.covers(difference) for difference in found)]
