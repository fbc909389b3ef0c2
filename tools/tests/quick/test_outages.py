"""In every fault of docs/outages.md, the fixture proxy answers and counts as the real proxy was recorded to do."""

from __future__ import annotations

import pytest

from tools.known_differences import Cells, Difference, unneeded
from tools.markdown import between_markers, render_table
from tools.outages.cooldowns import COOLDOWNS, fixture_cooldowns
from tools.outages.faults import FAULTS
from tools.outages.outages_comparison import PAGE, allowed, differences, fixture_tables, real_tables
from tools.outages.tables import with_faults

STOPPED = 'PostgreSQL stopped'
FAILED = '`litellm_proxy_failed_requests_metric`'


@pytest.fixture(scope='module')
def real() -> dict[str, Cells]:
    return real_tables()


@pytest.fixture(scope='module')
def found(real: dict[str, Cells]) -> list[Difference]:
    return differences(real, fixture_tables())


def test_the_fixture_goes_through_each_fault_as_the_real_proxy_does(found: list[Difference]) -> None:
    assert [str(one) for one in found if not any(known.covers(one) for known in allowed())] == []


def test_the_fixture_cools_deployments_down_as_the_real_proxy_does() -> None:
    assert fixture_cooldowns() == between_markers(PAGE, COOLDOWNS)


def test_every_known_difference_is_one(found: list[Difference]) -> None:
    assert unneeded(allowed(), found) == []


def test_a_known_difference_has_a_reason() -> None:
    assert [known for known in allowed() if not known.reason.endswith('.')] == []


def test_the_recorded_faults_are_those_of_the_command(real: dict[str, Cells]) -> None:
    assert {name: {fault for fault, _ in table} for name, table in real.items()} == {
        name: {fault.name for fault in FAULTS} for name in real
    }


@pytest.mark.parametrize(
    ('name', 'recorded', 'anew', 'expected'),
    [
        (
            'clients',
            [['Fault', 'a key'], ['nothing', '1'], ['c', '3']],
            [['Fault', 'a key'], ['b', '2'], ['c', '4']],
            [['Fault', 'a key'], ['nothing', '1'], ['b', '2'], ['c', '4']],
        ),
        (
            'families',
            [['Family', 'nothing', 'c'], ['x', '1', '3'], ['y', '5', '7']],
            [['Family', 'b'], ['x', '2'], ['y', '6']],
            [['Family', 'nothing', 'b', 'c'], ['x', '1', '2', '3'], ['y', '5', '6', '7']],
        ),
    ],
)
def test_a_fault_recorded_alone_has_its_place_among_the_others(
    name: str, recorded: list[list[str]], anew: list[list[str]], expected: list[list[str]]
) -> None:
    former, now, together = (render_table(head, rows) for head, *rows in (recorded, anew, expected))
    assert with_faults(former, now, ['nothing', 'b', 'c'], name) == together


def test_a_fault_recorded_alone_does_not_fit_a_table_that_tells_something_else() -> None:
    former, now = render_table(['Fault', 'a key'], [['b', '1']]), render_table(['Fault', 'another'], [['b', '1']])
    with pytest.raises(ValueError, match='record all faults'):
        with_faults(former, now, ['b'], 'clients')


@pytest.mark.parametrize(
    ('table', 'told', 'cell'),
    [
        ('families', '`litellm_postgres_failed_requests`', '0'),
        ('families', '`litellm_in_memory_spend_update_queue_size`', '12'),
        ('families', FAILED, '+1000'),
        ('families', f'{FAILED}: class, status', '51 × ConnectError 503'),
        ('clients', 'an unknown key', '11 × 401'),
        ('clients', 'readiness', '30 × 200 disconnected'),
        ('clients', 'its slowest answer', '0.1 s'),
        ('checks', '`litellm.proxy.database`', 'OK'),
    ],
)
def test_another_direction_size_label_or_answer_is_a_difference(
    real: dict[str, Cells], table: str, told: str, cell: str
) -> None:
    changed = {**real, table: {**real[table], (STOPPED, told): cell}}
    assert differences(real, changed) == [Difference(STOPPED, told, real[table][STOPPED, told], cell)]


@pytest.mark.parametrize(
    ('told', 'cell'),
    [
        ('`litellm_postgres_failed_requests`', '+200'),
        (f'{FAILED}: class, status', '40 × ConnectError None, 5 × X None'),
    ],
)
def test_a_number_of_the_same_order_and_a_rare_label_are_none(real: dict[str, Cells], told: str, cell: str) -> None:
    changed = {**real, 'families': {**real['families'], (STOPPED, told): cell}}
    assert differences(real, changed) == []


def test_what_is_counted_without_a_fault_is_compared_by_its_share(real: dict[str, Cells]) -> None:
    told = '`litellm_spend_metric`'
    dear = {
        one: f'+{1000 * float(cell)}' if one[1] == told and float(cell) else cell
        for one, cell in real['families'].items()
    }
    assert {one.about for one in differences(real, {**real, 'families': dear})} == {'nothing'}
