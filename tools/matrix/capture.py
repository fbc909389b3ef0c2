"""Capture what one proxy showed: its metrics page, and how its endpoints answered; kept in `tests/pages`.

What it showed with a database is in a folder of its own there.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple

from .endpoints import Answer, Answers

__all__ = ['Capture', 'captured_releases']

FOLDER = Path(__file__).parents[2] / 'litellm' / 'tests' / 'pages'
_WITH_DATABASE = 'with_database'


class Capture(NamedTuple):
    """A proxy as its clients see it.

    `flipped` are the answers of the same proxy with `require_auth_for_metrics_endpoint` set to the opposite of its
    default, empty where it was not tried; `moved` the families that the traffic moved, in the course of it if not on
    the page.
    """

    release: str
    page: str
    answers: Answers
    flipped: Answers
    moved: frozenset[str] = frozenset()
    with_database: bool = False

    def save(self) -> None:
        """Write the capture into `tests/pages`."""
        folder = _folder(self.with_database)
        folder.mkdir(exist_ok=True)
        (folder / f'{self.release}.txt.gz').write_bytes(gzip.compress(self.page.encode(), mtime=0))
        plain = {
            'answers': _as_json(self.answers),
            'flipped': _as_json(self.flipped),
            'moved': sorted(self.moved),
        }
        (folder / f'{self.release}.json').write_text(f'{json.dumps(plain, indent=1)}\n')

    @classmethod
    def load(cls, release: str, with_database: bool = False) -> Capture:
        """Read a capture back."""
        folder = _folder(with_database)
        page = gzip.decompress((folder / f'{release}.txt.gz').read_bytes()).decode()
        plain = json.loads((folder / f'{release}.json').read_text())
        answers, flipped = _from_json(plain['answers']), _from_json(plain['flipped'])
        return cls(release, page, answers, flipped, frozenset(plain['moved']), with_database)


def captured_releases(with_database: bool = False) -> list[str]:
    """Return the releases that `tests/pages` has captures of."""
    return sorted(path.stem for path in _folder(with_database).glob('*.json'))


def _folder(with_database: bool) -> Path:
    return FOLDER / _WITH_DATABASE if with_database else FOLDER


def _as_json(answers: Answers) -> dict[str, dict[str, str | int]]:
    """Return the answers without what they do not have."""
    return {asked: {name: part for name, part in answer._asdict().items() if part} for asked, answer in answers.items()}


def _from_json(answers: dict[str, dict[str, str | int]]) -> Answers:
    return {asked: Answer(**{'status': 0, **answer}) for asked, answer in answers.items()}  # type: ignore[arg-type]
