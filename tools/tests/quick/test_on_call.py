"""Monitors against series made by hand: label values of other releases, fleets, and what comes and goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tools.datadog_model import (
    Dashboard,
    Evaluation,
    Monitor,
    Store,
    Window,
    evaluate_widget,
    notifications,
)
from tools.datadog_model.store import ServiceCheckRun

MONITORS = Path(__file__).parents[3] / 'litellm' / 'assets' / 'monitors'
OVERVIEW = MONITORS.parent / 'dashboards' / 'litellm_overview.json'
MINUTE = 60
PRODUCTION, STAGING = ('env:production', 'service:litellm'), ('env:staging', 'service:litellm')
# A time at which intervals of all lengths begin.
START = 1_793_577_600

FAILED, TOTAL = 'litellm.proxy.failed_requests.metric.count', 'litellm.proxy.total_requests.metric.count'
HASH = 'hashed_api_key:' + 'b' * 64
CALLER = ('user:ann', HASH, 'requested_model:gpt-4o', 'route:/v1/chat/completions')
NOBODY = ('user:none', HASH, 'requested_model:gpt-4o', 'route:/v1/chat/completions')


@cache
def monitor(name: str) -> Monitor:
    return Monitor.from_json(json.loads((MONITORS / f'{name}.json').read_text()))


class Fleet:
    """Series that begin at `START`; they are written into a store in the order of time."""

    def __init__(self) -> None:
        self._points: list[tuple[float, str, str, tuple[str, ...], float]] = []
        self._runs: list[tuple[float, str, tuple[str, ...], int]] = []

    def counted(self, metric: str, per_minute: float, *tags: str, first: int = 0, last: int = 30) -> Fleet:
        """Count as much in each minute."""
        return self._series('count', metric, [per_minute] * (last - first), tags, first)

    def set(self, metric: str, values: Iterable[float], *tags: str, first: int = 0) -> Fleet:
        """Set a gauge to one value after the other, one a minute."""
        return self._series('gauge', metric, values, tags, first)

    def checked(self, name: str, statuses: Iterable[int], *tags: str, seconds: int = MINUTE) -> Fleet:
        """Submit the statuses of a service check, one per run."""
        self._runs += [(START + seconds * run, name, tags, status) for run, status in enumerate(statuses)]
        return self

    def told(self, name: str, minutes: int = 30) -> list[tuple[int, str, str]]:
        """Return minute, status and environment of each notification of a monitor."""
        return [
            (
                round((one.time - START) / MINUTE),
                one.status,
                dict(tag.split(':', 1) for tag in one.group).get('env', ''),
            )
            for one in notifications(monitor(name), self.evaluated(name, minutes))
        ]

    def evaluated(self, name: str, minutes: int = 30) -> list[Evaluation]:
        return monitor(name).run(self.stored(), [START + MINUTE * minute for minute in range(1, minutes + 1)])

    def stored(self) -> Store:
        store = Store()
        for time, kind, metric, tags, value in sorted(self._points):
            store.add(metric, 'count' if kind == 'count' else 'gauge', tags, time, value)
        for time, check, tags, status in sorted(self._runs):
            store.take_service_checks(check, _runs(time, status, tags))
        return store

    def _series(self, kind: str, metric: str, values: Iterable[float], tags: tuple[str, ...], first: int) -> Fleet:
        self._points += [
            (START + MINUTE * minute + 30, kind, metric, tags, value) for minute, value in enumerate(values, first)
        ]
        return self


def _runs(time: float, status: int, tags: tuple[str, ...]) -> list[ServiceCheckRun]:
    return [ServiceCheckRun(time, status, frozenset(tags))]


def requests(fleet: Fleet, failed: float, ok: float, *tags: str, failure: tuple[str, ...] = ()) -> Fleet:
    """Count failed and other requests of one caller, if no other is given, in each minute."""
    tags = tags if any(tag.startswith('route:') for tag in tags) else (*CALLER, *tags)
    status = next((tag.partition(':')[2] for tag in failure if tag.startswith('exception_status:')), 'none')
    fleet.counted(FAILED, failed, *tags, *failure)
    fleet.counted(TOTAL, failed, *tags, f'status_code:{status}')
    return fleet.counted(TOTAL, ok, *tags, 'status_code:200')


OUTAGE = ('exception_class:openai.internalservererror', 'exception_status:500')


def test_each_environment_is_judged_alone() -> None:
    fleet = requests(Fleet(), 0, 400, *PRODUCTION, failure=OUTAGE)
    requests(fleet, 12, 0, *STAGING, failure=OUTAGE)

    assert [(status, env) for _, status, env in fleet.told('proxy_failure_rate')] == [('Alert', 'staging')]


def test_a_failing_environment_is_not_hidden_by_a_large_healthy_one() -> None:
    # 23% of production fail; over both it would be less than 3%.
    fleet = requests(Fleet(), 23, 77, *PRODUCTION, failure=OUTAGE)
    requests(fleet, 0, 1000, 'env:load-test', 'service:litellm', failure=OUTAGE)

    assert [(status, env) for _, status, env in fleet.told('proxy_failure_rate')] == [('Alert', 'production')]


def test_what_has_no_environment_is_told_of_as_such() -> None:
    fleet = requests(Fleet(), 23, 77, failure=OUTAGE)

    assert fleet.told('proxy_failure_rate') == []
    assert [status for _, status, _ in fleet.told('untagged')] == ['Alert']


@pytest.mark.parametrize('pods', [5, 12, 30, 40])
def test_rejected_keys_are_added_up_over_all_pods(pods: int) -> None:
    fleet = Fleet()
    for pod in range(pods):
        refused = ('exception_class:proxyexception', 'exception_status:401')
        requests(fleet, 60 / pods, 100, *NOBODY, *PRODUCTION, f'endpoint:http://10.0.0.{pod}', failure=refused)

    assert [status for _, status, _ in fleet.told('rejected_keys')] == ['Alert']


def test_a_limit_that_many_keys_see_is_told_of_once() -> None:
    fleet = Fleet()
    for key in range(150):
        tags = ('api_provider:openai', 'litellm_model_name:gpt-4o', f'hashed_api_key:{key}', *PRODUCTION)
        fleet.set('litellm.remaining_tokens.metric', [100] * 30, *tags)
        fleet.counted('litellm.deployment.total_requests.count', 5, *tags)

    assert [status for _, status, _ in fleet.told('token_limit_headroom')] == ['Alert']


# Label values, as the real releases have them


REFUSALS = {
    '1.110.2 with a database': ('exception_class:proxyexception', 'exception_status:401'),
    '1.80.11': ('exception_class:proxyexception', 'exception_status:none'),
    '1.80.11 without a key': ('exception_class:exception', 'exception_status:none'),
    '1.80.11, no sk-': ('exception_class:assertionerror', 'exception_status:none'),
}


@pytest.mark.parametrize('failure', REFUSALS.values(), ids=REFUSALS)
def test_wrong_keys_are_the_fault_of_a_client(failure: tuple[str, ...]) -> None:
    fleet = requests(Fleet(), 20, 20, *NOBODY, *PRODUCTION, failure=failure)

    assert fleet.told('proxy_failure_rate') == []
    assert [status for _, status, _ in fleet.told('rejected_keys')] == ['Alert']


@pytest.mark.parametrize(
    'failure',
    [
        ('exception_class:httpexception', 'exception_status:499'),
        ('exception_class:exception', 'exception_status:none'),
        ('exception_class:budgetexceedederror', 'exception_status:none'),
        ('exception_class:budgetexceedederror', 'exception_status:422'),
        ('exception_class:proxymodelnotfounderror', 'exception_status:400'),
    ],
    ids=['hang-up', 'guardrail of the user', 'budget in 1.80', 'budget', 'unknown model'],
)
def test_what_clients_cause_themselves_pages_nobody(failure: tuple[str, ...]) -> None:
    fleet = requests(Fleet(), 20, 60, *PRODUCTION, failure=failure)

    assert [name for name in ('proxy_failure_rate', 'rejected_keys', 'clients_refused') if fleet.told(name)] == []


@pytest.mark.parametrize(
    'failure',
    [
        ('exception_class:openai.authenticationerror', 'exception_status:401'),
        ('exception_class:openai.ratelimiterror', 'exception_status:429'),
        ('exception_class:routerratelimiterror', 'exception_status:429'),
        ('exception_class:openai.timeout', 'exception_status:408'),
        ('exception_class:valueerror', 'exception_status:none'),
    ],
    ids=['key at the provider', 'limit at the provider', 'all in cooldown', 'timeout', 'no status'],
)
def test_what_the_proxy_or_its_provider_causes_pages(failure: tuple[str, ...]) -> None:
    fleet = requests(Fleet(), 20, 60, *PRODUCTION, failure=failure)

    assert [status for _, status, _ in fleet.told('proxy_failure_rate')] == ['Alert']
    assert fleet.told('rate_limited_requests') == []


@pytest.mark.parametrize('keys', [1, 2, 3, 150])
def test_clients_of_three_keys_that_are_refused_are_no_single_client(keys: int) -> None:
    fleet = Fleet()
    for key in range(keys):
        caller = ('user:none', f'hashed_api_key:{key}', 'requested_model:gpt-4o', 'route:/v1/chat/completions')
        database = ('exception_class:connecterror', 'exception_status:none')
        requests(fleet, 90 / keys, 10 / keys, *caller, *PRODUCTION, failure=database)

    assert [status for _, status, _ in fleet.told('clients_refused')] == (['Alert'] if keys >= 3 else [])


def calls(fleet: Fleet, group: str, *failures: tuple[float, tuple[str, ...]], ok: float = 0) -> Fleet:
    """Count calls to the deployments of a group in each minute."""
    tags = (f'requested_model:{group}', 'api_key_alias:search', *PRODUCTION)
    for failed, failure in failures:
        fleet.counted('litellm.deployment.failure_responses.count', failed, *tags, *failure)
    total = ok + sum(failed for failed, _ in failures)
    return fleet.counted('litellm.deployment.total_requests.count', total, *tags)


REFUSED = ('exception_class:openai.authenticationerror', 'exception_status:401')


@pytest.mark.parametrize('status', ['429', 'none'])
@pytest.mark.parametrize(
    ('failed', 'failure', 'refused'),
    [(11, REFUSED, 49), (26, OUTAGE, 34)],
    ids=['the only one, with an expired key', 'both of two'],
)
def test_a_model_whose_deployments_are_all_in_cooldown_is_down(
    failed: float, failure: tuple[str, ...], refused: float, status: str
) -> None:
    """Take what LiteLLM 1.110.2 counted in a minute with a request each second, and its default cooldowns."""
    router = ('exception_class:routerratelimiterror', f'exception_status:{status}')
    fleet = calls(Fleet(), 'gpt-4o', (failed, failure), (refused, router))

    assert [one for _, one, _ in fleet.told('complete_outage')] == ['Alert']


def test_a_fallback_that_is_blamed_for_the_cooldowns_of_another_model_is_not_down() -> None:
    router = ('exception_class:routerratelimiterror', 'exception_status:none')
    fleet = calls(Fleet(), 'fallback', (50, router), ok=50)

    assert fleet.told('complete_outage') == []


# Deployments on the dashboard, with the labels that LiteLLM's three writers of their state use


def deployments(*series: tuple[float, tuple[str, ...]]) -> dict[str, float | None]:
    """Return the state of each deployment as the dashboard shows it."""
    fleet = Fleet()
    for value, tags in series:
        fleet.set('litellm.deployment.state', [value] * 10, *tags, *PRODUCTION)
    board = Dashboard.from_json(json.loads(OVERVIEW.read_text()))
    (widget,) = [one for one in board.all_widgets() if one.title.startswith('Deployment state')]
    (result,) = evaluate_widget(widget, fleet.stored(), Window(START, START + 10 * MINUTE), board.choices())
    return {one.group[0]: one.value for one in result.scalars}


def deployment(model: str, base: str = 'http://10.0.0.9/v1', model_id: str = 'dep-a') -> tuple[str, ...]:
    return (f'litellm_model_name:{model}', f'api_base:{base}', 'api_provider:openai', f'model_id:{model_id}')


def test_a_group_that_is_named_like_its_model_hides_no_outage() -> None:
    assert deployments((2, deployment('gpt-4o'))) == {'model_id:dep-a': 2}


def test_the_series_of_a_hang_up_is_no_outage() -> None:
    assert deployments((1, deployment('alias-mini', base='')), (0, deployment('gpt-4o-mini'))) == {'model_id:dep-a': 0}


def test_two_keys_of_one_provider_are_two_deployments() -> None:
    failing, healthy = deployment('gpt-4o', model_id='dep-a'), deployment('gpt-4o', model_id='dep-b')

    assert deployments((1, failing), (0, healthy)) == {'model_id:dep-a': 1, 'model_id:dep-b': 0}


def test_the_series_of_a_cooldown_that_is_over_is_no_outage() -> None:
    assert deployments((2, deployment('group')), (0, deployment('gpt-4o'))) == {'model_id:dep-a': 0}


# What comes and goes


ENDPOINT = (*PRODUCTION, 'host:node-1', 'endpoint:http://10.0.0.1:4000/metrics/')


@pytest.mark.parametrize(('seconds', 'minute'), [(15, 1), (60, 4)])
def test_a_proxy_that_cannot_be_read_alerts_after_five_runs(seconds: int, minute: int) -> None:
    fleet = Fleet().checked('litellm.openmetrics.health', [0] * 24 + [2] * 40, *ENDPOINT, seconds=seconds)

    began = 24 * seconds // MINUTE
    assert fleet.told('scrape_down', 60)[0] == (began + minute, 'Alert', 'production')


def test_an_alert_of_a_pod_that_was_replaced_ends_after_an_hour() -> None:
    fleet = Fleet().checked('litellm.openmetrics.health', [0] * 10 + [2] * 10, *ENDPOINT)
    fleet.checked('litellm.openmetrics.health', [0] * 120, *PRODUCTION, 'host:node-2', 'endpoint:http://10.0.0.2')

    assert [status for _, status, _ in fleet.told('scrape_down', 120)] == ['Alert', 'OK']
    assert fleet.told('scrape_down', 120)[-1][0] == 19 + 60


def test_pods_that_fail_one_after_the_other_are_told_of_once() -> None:
    fleet = Fleet()
    for pod in range(40):
        tags = (*PRODUCTION, f'host:node-{pod}', f'endpoint:http://10.0.0.{pod}')
        fleet.checked('litellm.proxy.ready', [0] * (10 + pod % 5) + [2] * (60 - pod % 5), *tags)

    assert [status for _, status, _ in fleet.told('not_ready', 60)] == ['Alert']


TEAM = ('team:t1', 'team_alias:alpha', *PRODUCTION)


def budget(fleet: Fleet, remaining: list[float], hours: float, *tags: str, most: float = 1000) -> Fleet:
    fleet.set('litellm.remaining.team_budget.metric', remaining, *tags)
    fleet.set('litellm.team.max_budget.metric', [most] * len(remaining), *tags)
    return fleet.set(
        'litellm.team.budget.remaining_hours.metric', [hours - minute / 60 for minute in range(len(remaining))], *tags
    )


def spent(start: float, per_minute: float, minutes: int) -> list[float]:
    return [start - per_minute * minute for minute in range(minutes)]


def test_a_budget_that_runs_out_before_its_reset_alerts() -> None:
    # 30 dollars an hour, 100 left, and ten hours to go.
    fleet = budget(Fleet(), spent(190, 0.5, 180), 12, *TEAM)

    assert [status for _, status, _ in fleet.told('team_budget', 180)] == ['Alert']


def test_a_budget_that_lasts_until_its_reset_is_left_alone() -> None:
    # 5% left at the end of the month: 6 dollars an hour, and two hours to go.
    assert budget(Fleet(), spent(50, 0.1, 120), 4, *TEAM).told('team_budget', 120) == []


def test_a_busy_hour_at_the_start_of_a_budget_is_left_alone() -> None:
    assert budget(Fleet(), spent(1000, 1, 120), 700, *TEAM).told('team_budget', 120) == []


def test_a_budget_that_is_reset_recovers_within_minutes() -> None:
    fleet = budget(Fleet(), [*spent(150, 0.5, 120), *[1000.0] * 60], 12, *TEAM)

    told = fleet.told('team_budget', 180)

    assert [status for _, status, _ in told] == ['Alert', 'OK']
    assert told[-1][0] <= 120 + 15


def test_a_budget_that_is_reloaded_again_and_again_does_not_flap() -> None:
    # LiteLLM shows the whole budget for a minute or less whenever it reads it anew.
    values = [1000.0 if minute % 4 == 3 else value for minute, value in enumerate(spent(150, 0.5, 180))]

    assert [status for _, status, _ in budget(Fleet(), values, 12, *TEAM).told('team_budget', 180)] == ['Alert']


@pytest.mark.parametrize('renamed', [False, True], ids=['deleted', 'renamed'])
def test_a_budget_whose_series_ends_does_not_hold_an_alert(renamed: bool) -> None:
    fleet = budget(Fleet(), spent(150, 0.5, 100), 12, *TEAM)
    if renamed:
        alias = ('team:t1', 'team_alias:beta', *PRODUCTION)
        fleet.set('litellm.remaining.team_budget.metric', spent(900, 0, 80), *alias, first=100)
        fleet.set('litellm.team.max_budget.metric', [1000.0] * 80, *alias, first=100)
        fleet.set('litellm.team.budget.remaining_hours.metric', [10.0] * 80, *alias, first=100)

    told = fleet.told('team_budget', 180)

    assert [status for _, status, _ in told] == ['Alert', 'OK']
    assert told[-1][0] <= 100 + 15
