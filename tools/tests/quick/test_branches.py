"""The floor under the coverage of branches."""

from __future__ import annotations

from typing import Any

import pytest

from tools.branches import shortfall, uncovered


@pytest.mark.parametrize(
    ('covered', 'total', 'complaint'),
    [
        (100, 100, ''),
        (95, 100, ''),
        (949, 1000, '94.9 % is below the floor of 95 %.'),
        (0, 0, 'Nothing was recorded.'),
    ],
)
def test_the_floor_counts_branches_and_nothing_else(covered: int, total: int, complaint: str) -> None:
    # Every line was seen.
    totals = {'covered_branches': covered, 'num_branches': total, 'percent_covered': 100.0}

    assert shortfall(totals) == complaint


def test_a_module_whose_branches_were_all_taken_is_not_named() -> None:
    def summary(covered: int, missing: int) -> dict[str, int]:
        return {'num_branches': covered + missing, 'covered_branches': covered, 'missing_branches': missing}

    files: dict[str, Any] = {
        'b.py': {'summary': summary(3, 1), 'missing_branches': [[7, -5]]},
        'a.py': {'summary': summary(4, 0), 'missing_branches': []},
    }

    assert uncovered({'files': files}) == [('b.py', '4', '3', '7->-5')]
