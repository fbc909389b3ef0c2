"""Monitors against faults, and dashboards against a full day. Run by `make drills`: it takes minutes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixture_proxy.accounts import VIRTUAL_KEYS

from tools.datadog_model import Dashboard, Store, Window
from tools.datadog_model.dashboards import evaluate_check_status, evaluate_widget
from tools.drills import FULL, SCENARIOS, Phase, Scenario, record
from tools.drills.clients import chat
from tools.drills.expected import EXPECTED
from tools.drills.fault_matrix import MARKER, TABLE, Matrix, cells_of, faults, load_monitors, play, play_each, table
from tools.drills.scenarios import USUAL
from tools.markdown import between_markers

DAY_SECONDS = 24 * 3600
DASHBOARDS = sorted((Path(__file__).parents[3] / 'litellm' / 'assets' / 'dashboards').glob('*.json'))

# How drills go where the instance has other options, or the proxy another release: which of their monitors stay silent.
VARIANTS: tuple[tuple[Scenario, frozenset[str]], ...] = (
    (SCENARIOS['rate limiting'].having(exclude_personal_labels=True), frozenset()),
    (
        SCENARIOS['budget running out'].having(exclude_personal_labels=True),
        frozenset({'key_budget', 'user_budget'}),
    ),
    (SCENARIOS['wrong keys'].having(drop_empty_labels=True), frozenset()),
    (SCENARIOS['slow provider'].having(collect_histogram_buckets=False), frozenset()),
    (
        SCENARIOS['slow provider'].having(histogram_buckets_as_distributions=True),
        frozenset({'latency', 'time_to_first_token'}),
    ),
    (SCENARIOS['provider outage'].on('1.74.0'), frozenset()),
    (SCENARIOS['rate limiting'].on('1.74.0'), frozenset({'rate_limit_headroom'})),
)

# What only releases before 1.80.12 have: the widget asks for the former name beside the one of today.
FORMER_NAMES = {'Remaining requests at the provider': 'former', 'Remaining tokens at the provider': 'former'}


def boards() -> list[Dashboard]:
    return [Dashboard.from_json(json.loads(path.read_text())) for path in DASHBOARDS]


def without_data(dashboard: Dashboard, store: Store, window: Window) -> list[str]:
    """Name the formulas and service checks of a dashboard that find nothing."""
    empty = []
    for widget in dashboard.all_widgets():
        if widget.type == 'check_status' and not sum(evaluate_check_status(widget, store, window)):
            empty.append(widget.title)
        if widget.requests:
            results = evaluate_widget(widget, store, window, dashboard.choices())
            empty += [f'{widget.title}: {result.label}' for result in results if not result.has_data]
    return empty


@pytest.fixture(scope='module')
def matrix() -> Matrix:
    return play()


@pytest.fixture(scope='module')
def variants() -> list[set[str]]:
    """Return the monitors that do not stay silent in each variant."""
    played = play_each(scenario for scenario, _ in VARIANTS)
    return [{cell.monitor for cell in cells if cell.status != 'OK'} for cells in played]


@pytest.fixture(scope='module')
def full() -> Store:
    return record(FULL)


def test_every_monitor_fires_in_its_drills_recovers_and_is_silent_in_all_others(matrix: Matrix) -> None:
    assert faults(matrix) == []


def test_every_cell_was_played(matrix: Matrix) -> None:
    assert matrix.keys() == {(monitor, scenario) for monitor in load_monitors() for scenario in SCENARIOS}


def test_every_monitor_has_a_drill_that_it_fires_in() -> None:
    assert {one.monitor for one in EXPECTED} == load_monitors().keys()


def test_the_table_in_the_docs_is_up_to_date(matrix: Matrix) -> None:
    assert between_markers(TABLE, MARKER) == table(matrix), 'run `python -m tools.drills --write`'


def test_monitors_do_the_same_with_other_options_and_on_other_releases(variants: list[set[str]]) -> None:
    expected = [
        {one.monitor for one in EXPECTED if one.scenario == scenario.name} - silent for scenario, silent in VARIANTS
    ]

    assert variants == expected


def test_a_key_that_is_no_longer_used_does_not_hold_an_alert() -> None:
    limited = SCENARIOS['rate limiting']
    calm, fault, _ = limited.phases
    others = tuple(plan for plan in USUAL if plan('').key != VIRTUAL_KEYS['search'])
    scenario = replace(limited, phases=(calm, fault, Phase(20, mix=(*others, chat('support', 'gpt-4o')))))
    cells = {cell.monitor: cell for cell in cells_of(scenario, record(scenario), load_monitors())}

    assert cells['rate_limit_headroom'].status == 'Alert'
    assert cells['rate_limit_headroom'].recovered is not None


def test_every_query_of_every_dashboard_has_data_on_a_full_day(full: Store) -> None:
    window = Window(FULL.end - DAY_SECONDS, FULL.end)
    empty = {line for board in boards() for line in without_data(board, full, window)}

    assert empty == {f'{title}: {label}' for title, label in FORMER_NAMES.items()}


def test_former_names_have_data_on_former_releases() -> None:
    former = replace(FULL, phases=FULL.phases[20:22], broken_models=False).on('1.74.0')
    store = record(former)
    window = Window(former.start, former.end)
    empty = {line for board in boards() for line in without_data(board, store, window)}

    assert not [title for title, label in FORMER_NAMES.items() if f'{title}: {label}' in empty]
    assert not [line for line in empty if line.startswith('Tokens in and out')]
