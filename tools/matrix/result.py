"""The outcome of one release in the matrix."""

from __future__ import annotations

from dataclasses import dataclass, field

from tools.real_litellm.families import Coverage

from .capture import Capture

__all__ = ['Result']


@dataclass
class Result:
    """The outcome of one release; without complaints its row is right.

    What became of it with a database is a result of its own, None where it did not run with one.
    """

    release: str
    coverage: Coverage
    capture: Capture
    with_database: Result | None = None
    sums: int = 0
    explained: int = 0
    complaints: dict[str, list[str]] = field(default_factory=dict)
    made_in: float = 0.0
    seconds: float = 0.0

    def complain(self, column: str, complaint: str) -> None:
        """Note in a column of the table what is not as it should be."""
        self.complaints.setdefault(column, []).append(complaint)

    @property
    def all_complaints(self) -> list[str]:
        """All complaints, one line each."""
        own = [f'{column}: {complaint}' for column, complaints in self.complaints.items() for complaint in complaints]
        others = self.with_database.all_complaints if self.with_database else []
        return [*own, *(f'with a database, {complaint}' for complaint in others)]
