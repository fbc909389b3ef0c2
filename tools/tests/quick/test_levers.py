"""The savings in docs/data.md are those that are counted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tools.levers import CAPTURE, busy_page, contexts_of, table_of_groups, table_of_levers

PAGE = (Path(__file__).parents[3] / 'docs' / 'data.md').read_text().splitlines()


@pytest.fixture(scope='module')
def pages() -> list[str]:
    page = gzip.decompress(CAPTURE.read_bytes()).decode()
    return [page, busy_page(page)]


def test_the_savings_of_the_options_are_those_in_the_page(pages: list[str]) -> None:
    assert [row for row in table_of_levers(pages) if row not in PAGE] == []


def test_the_contexts_of_the_groups_are_those_in_the_page(pages: list[str]) -> None:
    counted = table_of_groups(pages)
    described = {group: [row for row in PAGE if row.startswith(f'| `{group}` |')] for group in counted}

    wrong = [
        group for group, rows in described.items() if len(rows) != 1 or not rows[0].endswith(f' | {counted[group]} |')
    ]
    assert wrong == []


def test_the_groups_make_up_the_page(pages: list[str]) -> None:
    counted = sum(int(cells.partition(' | ')[0].replace(',', '')) for cells in table_of_groups(pages).values())

    # The uptime of the process belongs to none.
    assert counted == len(contexts_of(pages[0], {})) - 1
