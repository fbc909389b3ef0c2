"""What one proxy showed: its metrics page, and how its endpoints answered; kept in `tests/pages`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple

from .endpoints import Answer, Answers

__all__ = ['Capture', 'captured_releases']

FOLDER = Path(__file__).parents[2] / 'litellm' / 'tests' / 'pages'


class Capture(NamedTuple):
    """A proxy as its clients see it.

    `flipped` are the answers of the same proxy with `require_auth_for_metrics_endpoint` set to the opposite of its
    default, `moved` the families that the traffic moved, in the course of it if not on the page.
    """

    release: str
    page: str
    answers: Answers
    flipped: Answers
    moved: frozenset[str] = frozenset()

    def save(self) -> None:
        """Write the capture into `tests/pages`."""
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f'{self.release}.txt.gz').write_bytes(gzip.compress(self.page.encode(), mtime=0))
        plain = {
            'answers': _as_json(self.answers),
            'flipped': _as_json(self.flipped),
            'moved': sorted(self.moved),
        }
        (FOLDER / f'{self.release}.json').write_text(f'{json.dumps(plain, indent=1)}\n')

    @classmethod
    def load(cls, release: str) -> Capture:
        """Read a capture back."""
        page = gzip.decompress((FOLDER / f'{release}.txt.gz').read_bytes()).decode()
        plain = json.loads((FOLDER / f'{release}.json').read_text())
        return cls(release, page, _from_json(plain['answers']), _from_json(plain['flipped']), frozenset(plain['moved']))


def captured_releases() -> list[str]:
    """Return the releases that `tests/pages` has captures of."""
    return sorted(path.stem for path in FOLDER.glob('*.json'))


def _as_json(answers: Answers) -> dict[str, dict[str, str | int]]:
    """Return the answers without what they do not have."""
    return {asked: {name: part for name, part in answer._asdict().items() if part} for asked, answer in answers.items()}


def _from_json(answers: dict[str, dict[str, str | int]]) -> Answers:
    return {asked: Answer(**{'status': 0, **answer}) for asked, answer in answers.items()}  # type: ignore[arg-type]
