"""Monitors against faults, and dashboards against a full day. Run by `make drills`: it takes minutes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixture_proxy.accounts import VIRTUAL_KEYS

from tools.datadog_model import Attainment, Dashboard, ServiceLevelObjective, Store, Window
from tools.datadog_model.dashboards import evaluate_check_status, evaluate_widget
from tools.datadog_model.notifications import notifications
from tools.drills import DAY_SECONDS, FULL, SCENARIOS, Phase, record
from tools.drills.clients import chat
from tools.drills.expected import EXPECTED
from tools.drills.fault_matrix import (
    MARKER,
    TABLE,
    Played,
    Variant,
    cells_of,
    faults,
    incident_of,
    load_monitors,
    play,
    play_each,
    strange_incidents,
    table,
    times_of,
)
from tools.drills.fleet import Pods, fleet
from tools.drills.scenarios import USUAL
from tools.markdown import between_markers

SLOS = Path(__file__).parents[3] / 'litellm' / 'assets' / 'slos'
DASHBOARDS = sorted((Path(__file__).parents[3] / 'litellm' / 'assets' / 'dashboards').glob('*.json'))

# How drills go where the instance has other options or runs once a minute, or the proxy another release: which monitors
# then do the opposite, stay silent or do not.
SPARING = {'idle_counts': 'never'}
VARIANTS: tuple[tuple[Variant, frozenset[str]], ...] = (
    # Datadog does not see series without a tag that a monitor groups by: those of keys and their owners are silent.
    (
        Variant('rate limiting', {'exclude_personal_labels': True}),
        frozenset({'rate_limited_requests', 'rate_limit_headroom', 'token_limit_headroom'}),
    ),
    (Variant('budget spent', {'exclude_personal_labels': True}), frozenset({'budget_exceeded'})),
    (Variant('wrong keys', {'drop_empty_labels': True}), frozenset()),
    (Variant('proxy overloaded', {'collect_histogram_buckets': False}), frozenset()),
    (Variant('provider outage', release='1.74.0'), frozenset()),
    (Variant('wrong keys', release='1.80.11'), frozenset()),
    (Variant('rate limiting', release='1.74.0'), frozenset({'rate_limit_headroom', 'token_limit_headroom'})),
    *((Variant(name, SPARING), frozenset()) for name in ('quiet night', 'outage at night', 'fallbacks help')),
    # Its counts are all that tells whether a service still reports.
    (Variant('load balancer broken', SPARING), frozenset({'service_gone'})),
    (Variant('proxy hung', SPARING), frozenset({'service_gone'})),
    *(
        (Variant(name, interval=60), frozenset())
        for name in (
            'normal peak',
            'worker restart',
            'rolling deploy',
            'proxy gone',
            'proxy hung',
            'provider outage',
            'fallbacks help',
            'fallback storm',
            'long cooldowns',
            'rate limiting',
            'wrong keys',
            'Redis down',
            'database down',
            'callback broken',
            'proxy overloaded',
        )
    ),
)

# What only releases before 1.80.12 have: the widget asks for the former name beside the one of today.
FORMER_NAMES = {'Remaining requests at the provider': 'former', 'Remaining tokens at the provider': 'former'}


def boards() -> list[Dashboard]:
    return [Dashboard.from_json(json.loads(path.read_text())) for path in DASHBOARDS]


def by_hour(slo: ServiceLevelObjective, store: Store) -> list[Attainment]:
    """Return what the only group of an SLO reaches in each hour of the full day."""
    midnight = FULL.end - DAY_SECONDS
    windows = [Window(midnight + 3600 * hour, midnight + 3600 * (hour + 1)) for hour in range(24)]
    return [attained for window in windows for attained in slo.attained(store, window)]


def values_of(dashboard: Dashboard, store: Store, window: Window) -> dict[tuple[str, str, tuple[str, ...]], float]:
    """Return what the widgets of single values show, but zeros: by title, formula and group."""
    return {
        (widget.title, result.label, scalar.group): scalar.value
        for widget in dashboard.all_widgets()
        for result in evaluate_widget(widget, store, window, dashboard.choices())
        for scalar in result.scalars
        if scalar.value
    }


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
def played() -> Played:
    return play()


@pytest.fixture(scope='module')
def variants() -> list[set[str]]:
    """Return the monitors that do not stay silent in each variant."""
    cells = play_each(variant for variant, _ in VARIANTS)
    return [{cell.monitor for cell in of_one if cell.status != 'OK'} for of_one in cells]


@pytest.fixture(scope='module')
def full() -> Store:
    return record(FULL)


def test_every_monitor_fires_in_its_drills_recovers_and_is_silent_in_all_others(played: Played) -> None:
    assert faults(played.matrix) == []


def test_a_fault_of_a_fleet_is_told_of_a_few_times_and_its_cause_first(played: Played) -> None:
    assert strange_incidents(played.incidents) == []


def test_a_fleet_is_told_of_as_often_as_a_single_proxy(played: Played) -> None:
    monitors = {
        name: {key[0] for key, cell in played.matrix.items() if key[1] == name and cell.status != 'OK'}
        for name in SCENARIOS
    }

    assert {name: set(incident.monitors) for name, incident in played.incidents.items()} == monitors


def test_every_cell_was_played(played: Played) -> None:
    assert played.matrix.keys() == {(monitor, scenario) for monitor in load_monitors() for scenario in SCENARIOS}


def test_every_monitor_has_a_drill_that_it_fires_in() -> None:
    assert {one.monitor for one in EXPECTED} == load_monitors().keys()


def test_every_drill_with_a_fault_has_a_cause_that_fires_in_it() -> None:
    fires = {(one.monitor, one.scenario) for one in EXPECTED}

    assert [one.name for one in SCENARIOS.values() if one.cause and (one.cause, one.name) not in fires] == []


def test_the_table_in_the_docs_is_up_to_date(played: Played) -> None:
    assert between_markers(TABLE, MARKER) == table(played), 'run `python -m tools.drills --write`'


def test_monitors_do_the_same_with_other_options_on_other_releases_and_once_a_minute(variants: list[set[str]]) -> None:
    expected = [
        {one.monitor for one in EXPECTED if one.scenario == variant.name} ^ differs for variant, differs in VARIANTS
    ]

    assert variants == expected


@pytest.mark.parametrize('pods', [5, 12, 30, 40])
def test_pods_that_share_the_requests_hide_no_wrong_keys(pods: int) -> None:
    scenario = SCENARIOS['wrong keys']
    shared = fleet([(record(scenario), Pods(pods, 'shared'))])

    assert incident_of(scenario, shared, load_monitors()).monitors == ('rejected_keys',)


def test_an_outage_in_staging_is_not_told_of_as_one_in_production() -> None:
    scenario = SCENARIOS['provider outage']
    staging = (record(scenario), Pods(2, tags={'env': 'staging'}))
    production = (record(replace(scenario, phases=(replace(scenario.phases[0], minutes=34),))), Pods(5))
    monitors = load_monitors()
    both = fleet([staging, production])

    told = [
        one
        for name in ('proxy_failure_rate', 'deployment_failure_rate', 'complete_outage', 'unhealthy_endpoints')
        for one in notifications(monitors[name], monitors[name].run(both, times_of(scenario, monitors[name])))
    ]

    assert told
    assert {tag for one in told for tag in one.group if tag.startswith('env:')} == {'env:staging'}


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


def test_single_values_do_not_depend_on_zeros_that_are_sent_or_not(full: Store) -> None:
    window = Window(FULL.end - DAY_SECONDS, FULL.end)
    sparing = record(FULL.having(**SPARING))

    for board in boards():
        assert values_of(board, sparing, window) == pytest.approx(values_of(board, full, window)), board.title
    assert sum(len(series.times) for series in sparing) < sum(len(series.times) for series in full)


def test_an_outage_of_a_provider_spends_the_error_budget_of_availability_and_not_of_latency(full: Store) -> None:
    availability, latency = (
        ServiceLevelObjective.from_json(json.loads((SLOS / f'{name}.json').read_text()))
        for name in ('availability', 'latency')
    )
    day = Window(FULL.end - DAY_SECONDS, FULL.end)
    (available,), (fast,) = availability.attained(full, day), latency.attained(full, day)
    failed = [hour.total - hour.good for hour in by_hour(availability, full)]

    assert len(failed) == 24
    assert sum(failed) == available.total - available.good
    # OpenAI is down in the first half of this hour.
    assert failed[10] > sum(failed) / 2
    assert available.status(availability.objectives[0]) == 'breached'
    # Who fails is not slow: only requests that succeed are measured.
    assert fast.status(latency.objectives[0]) == 'ok'


def test_former_names_have_data_on_former_releases() -> None:
    former = replace(FULL, phases=FULL.phases[68:70]).on('1.74.0')
    store = record(former)
    window = Window(former.start, former.end)
    empty = {line for board in boards() for line in without_data(board, store, window)}

    assert not [title for title, label in FORMER_NAMES.items() if f'{title}: {label}' in empty]
    assert not [line for line in empty if line.startswith('Tokens in and out')]
