"""The fixture proxy counts for each route what docs/routes.md has of the real proxy, with the official clients."""

from __future__ import annotations

import pytest

from tools.known_differences import Cells, Difference, unneeded
from tools.routes.routes_comparison import allowed, differences, fixture_table, real_table


@pytest.fixture(scope='module')
def real() -> Cells:
    return real_table()


@pytest.fixture(scope='module')
def found(real: Cells) -> list[Difference]:
    return differences(real, fixture_table())


def test_the_fixture_counts_each_route_as_the_real_proxy_does(found: list[Difference]) -> None:
    assert [str(one) for one in found if not any(known.covers(one) for known in allowed())] == []


def test_every_known_difference_is_one(found: list[Difference]) -> None:
    assert unneeded(allowed(), found) == []


def test_a_known_difference_has_a_reason() -> None:
    assert [known for known in allowed() if not known.reason.endswith('.')] == []


@pytest.mark.parametrize(
    ('told', 'cell'),
    [('requests', '2'), ('route', '`/v1/other`'), ('output tokens', '0'), ('status', '404')],
)
def test_another_count_label_or_status_is_a_difference(real: Cells, told: str, cell: str) -> None:
    changed = {**real, ('response, streamed', told): cell}
    expected = Difference('response, streamed', told, real['response, streamed', told], cell)
    assert differences(real, changed) == [expected]


def test_the_number_of_tokens_is_no_difference(real: Cells) -> None:
    assert differences(real, {**real, ('message', 'input tokens'): '1'}) == []


def test_a_route_that_is_not_served_is_a_difference(real: Cells) -> None:
    without = {one: cell for one, cell in real.items() if one[0] != 'rerank'}
    assert {found.about for found in differences(real, without)} == {'rerank'}
