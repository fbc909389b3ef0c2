"""The SLOs: valid for the API, of one mind with the monitors, and evaluated over series made by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from datadog_api_client.v1.model.service_level_objective_request import ServiceLevelObjectiveRequest

from datadog_checks.litellm.metrics import submitted_names
from tools.datadog_model import (
    AssetError,
    Attainment,
    Objective,
    QueryError,
    ServiceLevelObjective,
    Store,
    Window,
    metric_queries,
)
from tools.import_assets.assets import Handles, assets
from tools.import_assets.validity import problems

ASSETS = Path(__file__).parents[3] / 'litellm' / 'assets'
SLOS = sorted((ASSETS / 'slos').glob('*.json'))
START = 1_793_577_600
WINDOW = Window(START, START + 3600)
PRODUCTION, STAGING = ('env:production', 'service:litellm'), ('env:staging', 'service:litellm')
CALL = ('requested_model:gpt-4o', 'route:/v1/chat/completions')
SUCCESS = (*CALL, 'status_code:200')
FAILURE = (*CALL, 'exception_status:503', 'exception_class:openai.serviceunavailableerror')
FAILED, TOTAL = 'litellm.proxy.failed_requests.metric.count', 'litellm.proxy.total_requests.metric.count'
LATENCY = 'litellm.request.total_latency.metric'


def content(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ASSETS / 'slos' / f'{name}.json').read_text())
    return read


def slo(name: str) -> ServiceLevelObjective:
    return ServiceLevelObjective.from_json(content(name))


def counted(*points: tuple[str, float, tuple[str, ...]]) -> Store:
    store = Store()
    for metric, value, tags in points:
        store.add(metric, 'count', tags, START + 60, value)
    return store


@pytest.mark.parametrize('path', SLOS, ids=lambda path: path.stem)
def test_an_slo_is_valid_for_the_api(path: Path) -> None:
    assert problems(content(path.stem), ServiceLevelObjectiveRequest) == []


@pytest.mark.parametrize('path', SLOS, ids=lambda path: path.stem)
def test_an_slo_counts_what_the_check_submits_for_each_environment_and_service(path: Path) -> None:
    counts = {name for name, kind in submitted_names() if kind == 'count'}
    asked = [query for side in (slo(path.stem).good, slo(path.stem).other) for query in metric_queries(side)]

    assert {query.metric for query in asked} <= counts
    assert {query.scope.by for query in asked} == {('env', 'service')}


@pytest.mark.parametrize('path', SLOS, ids=lambda path: path.stem)
def test_the_target_of_an_slo_is_that_of_its_longest_time_frame(path: Path) -> None:
    definition = content(path.stem)
    last = definition['thresholds'][-1]

    assert {key: definition[key] for key in ('timeframe', 'target_threshold', 'warning_threshold')} == {
        'timeframe': last['timeframe'],
        'target_threshold': last['target'],
        'warning_threshold': last['warning'],
    }


def test_availability_takes_for_a_failure_what_the_monitor_takes_for_one() -> None:
    monitor = json.loads((ASSETS / 'monitors' / 'proxy_failure_rate.json').read_text())['definition']['query']
    ours = ' '.join(query['query'] for query in content('availability')['sli_specification']['count']['queries'])
    # What succeeds is what is left of all requests.
    ours = ours.replace(' AND status_code:200', '')
    scopes = [{*re.findall(r'((?:failed|total)_requests)[^{]*(\{[^}]*\})', text)} for text in (monitor, ours)]

    assert scopes[0] == scopes[1]
    assert len(scopes[0]) == 2


def test_failures_by_no_fault_of_the_client_count_against_availability() -> None:
    hang_up = (*CALL, 'exception_status:499', 'exception_class:httpexception')
    store = counted(
        (TOTAL, 996, (*PRODUCTION, *SUCCESS)),
        (TOTAL, 4, (*PRODUCTION, *CALL, 'status_code:503')),
        (TOTAL, 100, (*PRODUCTION, *CALL, 'status_code:499')),
        (FAILED, 4, (*PRODUCTION, *FAILURE)),
        (FAILED, 100, (*PRODUCTION, *hang_up)),
        (TOTAL, 5, (*STAGING, *SUCCESS)),
        (FAILED, 5, (*STAGING, *FAILURE)),
    )

    assert slo('availability').attained(store, WINDOW) == [
        Attainment(PRODUCTION, 996, 1000),
        Attainment(STAGING, 5, 10),
    ]


def test_a_service_without_a_failure_is_whole_beside_one_where_nothing_succeeds() -> None:
    store = counted((TOTAL, 10, (*PRODUCTION, *SUCCESS)), (FAILED, 5, (*STAGING, *FAILURE)))

    assert sorted(slo('availability').attained(store, WINDOW)) == [
        Attainment(PRODUCTION, 10, 10),
        Attainment(STAGING, 0, 5),
    ]


def test_a_day_without_a_failure_is_whole_and_one_without_a_request_is_no_day() -> None:
    store = Store()
    for hour in range(24):
        store.add(TOTAL, 'count', (*PRODUCTION, *SUCCESS), START + 3600 * hour, 100)
    day, next_day = Window(START, START + 86400), Window(START + 86400, START + 2 * 86400)

    (whole,) = slo('availability').attained(store, day)

    assert (whole, whole.budget_left(slo('availability').objectives[0])) == (Attainment(PRODUCTION, 2400, 2400), 1.0)
    assert slo('availability').attained(store, next_day) == []
    assert slo('latency').attained(store, day) == []


def test_answers_within_the_bound_are_good() -> None:
    store = counted(
        (f'{LATENCY}.bucket', 90, (*PRODUCTION, *CALL, 'upper_bound:10.0')),
        (f'{LATENCY}.bucket', 93, (*PRODUCTION, *CALL, 'upper_bound:30.0')),
        (f'{LATENCY}.bucket', 100, (*PRODUCTION, *CALL, 'upper_bound:inf')),
        (f'{LATENCY}.count', 100, (*PRODUCTION, *CALL)),
    )

    (attained,) = slo('latency').attained(store, WINDOW)

    assert attained == Attainment(PRODUCTION, 93, 100)
    assert attained.status(slo('latency').objectives[0]) == 'breached'


@pytest.mark.parametrize(
    ('good', 'status', 'left'),
    [(1000, 'ok', 1.0), (997, 'warning', 0.4), (995, 'warning', 0.0), (990, 'breached', -1.0)],
)
def test_the_error_budget_is_what_may_still_fail(good: int, status: str, left: float) -> None:
    attained, objective = Attainment(PRODUCTION, good, 1000), Objective('30d', 99.5, 99.8)

    assert attained.status(objective) == status
    assert attained.budget_left(objective) == pytest.approx(left)


def test_the_model_refuses_what_datadog_does_not_add_up() -> None:
    latency = content('latency')
    averaged = json.loads(json.dumps(latency).replace('"sum:', '"avg:'))

    with pytest.raises(QueryError, match='adds up counts'):
        ServiceLevelObjective.from_json(averaged)
    with pytest.raises(AssetError, match='metrics only'):
        ServiceLevelObjective.from_json({**latency, 'type': 'monitor'})


def test_the_import_restricts_an_slo_to_its_scope() -> None:
    scope = ('env:production', 'service:litellm')
    imported = {one.name: one.definition for one in assets(scope, Handles(['@x'])) if one.kind == 'slos'}
    store = counted((TOTAL, 10, (*PRODUCTION, *SUCCESS)), (TOTAL, 10, (*STAGING, *SUCCESS)))

    assert imported.keys() == {path.stem for path in SLOS}
    assert ServiceLevelObjective.from_json(imported['availability']).attained(store, WINDOW) == [
        Attainment(PRODUCTION, 10, 10)
    ]
    assert problems(imported['latency'], ServiceLevelObjectiveRequest) == []
