"""docs/scale.md has the tables that the tool makes, and the tool reckons as the page says."""

from __future__ import annotations

import pytest

from tools.markdown import between_markers, render_table
from tools.scale import report
from tools.scale.__main__ import PARTS, PROXIES
from tools.scale.agent_side import OURS, STOCK, Load, Saving
from tools.scale.proxy_side import Cost


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_every_part_has_its_table_on_the_page() -> None:
    heads = {part: cells(between_markers(report.PAGE, part).splitlines()[0]) for part in PARTS}

    assert heads == {'proxies': list(report.LOADS), 'litellm': list(report.COSTS), 'levers': list(report.SAVINGS)}


def test_each_number_of_proxies_is_there_with_both_scrapers() -> None:
    _, _, *rows = between_markers(report.PAGE, 'proxies').splitlines()

    measured = [tuple(cells(row)[:2]) for row in rows if row.startswith('|')]
    assert measured == [(str(number), scraper) for number in PROXIES for scraper in (OURS, STOCK)]


def test_a_load_is_compared_with_the_base_package_of_the_same_number_of_proxies() -> None:
    table = report.loads(
        [
            Load(OURS, 1, first=2.0, steady=0.3, memory=4.2, peak=5.6),
            Load(STOCK, 1, first=3.0, steady=3.0, memory=1.0, peak=2.0),
            Load(OURS, 10, first=20.0, steady=3.0, memory=42.0, peak=56.0),
            Load(STOCK, 10, first=30.0, steady=15.0, memory=1.0, peak=2.0),
        ]
    )

    assert [cells(row)[5] for row in table.splitlines()[2:]] == ['0.10', '1', '0.20', '1']
    assert cells(table.splitlines()[2]) == ['1', OURS, '2.00', '0.30', '2.0%', '0.10', '4', '6']


def test_a_lever_is_compared_with_no_setting_and_with_the_base_package_under_the_same_setting() -> None:
    table = report.savings([Saving('none', 200, 0.040, 0.400), Saving('some', 50, 0.020, 0.100)])

    assert cells(table.splitlines()[3]) == ['some', '50', '25%', '20', '0.50', '0.20']


def test_a_way_to_run_litellm_is_compared_with_one_process_that_has_as_many_keys() -> None:
    table = report.costs(
        [
            Cost('one process', 60, 10_000, 3.5, 0.2, 0.2),
            Cost('one process', 300, 50_000, 17.0, 1.0, 1.0),
            Cost('two workers, port', 300, 50_000, 17.0, 3.0, 0.01),
        ]
    )

    assert [cells(row)[5:] for row in table.splitlines()[2:]] == [['1.00', '200'], ['1.00', '1000'], ['3.00', '10']]


def test_a_table_is_as_wide_as_its_cells_but_for_the_last_column() -> None:
    assert render_table(('a', 'b'), [('long', 'longer than its head')]) == (
        '| a    | b |\n| ---- | - |\n| long | longer than its head |'
    )


@pytest.mark.parametrize('part', PARTS)
def test_the_page_says_where_it_was_measured(part: str) -> None:
    assert 'datadog-checks-base' in between_markers(report.PAGE, part).splitlines()[-1]
