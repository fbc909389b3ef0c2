"""The rows of `metadata.csv`."""

from __future__ import annotations

import csv
from pathlib import Path

__all__ = ['metadata_rows']

_FILE = Path(__file__).parents[1] / 'litellm' / 'metadata.csv'


def metadata_rows() -> dict[str, dict[str, str]]:
    """Return the row of every metric by its name, as columns."""
    with _FILE.open(newline='', encoding='utf-8') as file:
        return {row['metric_name']: row for row in csv.DictReader(file)}
