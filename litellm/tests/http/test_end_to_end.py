"""The check on the fixture proxy: real HTTP, real traffic, and what the Agent would flush of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.base.stubs.datadog_agent import DatadogAgentStub
from datadog_checks.dev.utils import get_metadata_metrics
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.metrics import raw_names
from tests.fixture_proxy import FixtureProxy, start
from tests.fixture_proxy.catalogue import DEPLOYMENTS, UPSTREAM_ERRORS, Deployment
from tests.fixture_proxy.releases import Profile
from tests.fixture_proxy.traffic import Sent, drive, exercise
from tests.lineage.release_number import Release
from tests.support.agent_model import AgentModel

RunCheck = Callable[..., object]

NEWEST = '1.106.2'
HEALTH = 'litellm.openmetrics.health'
READY, DATABASE = 'litellm.proxy.ready', 'litellm.proxy.database'

# One with each shape of the bodies: with its version in the readiness, without it, and with less in the health.
RELEASES_OF_HEALTH = ['1.74.0', '1.88.6', NEWEST]


def check_of(proxy: FixtureProxy, path: str = '/metrics/', **options: Any) -> LitellmCheck:
    instance = {'openmetrics_endpoint': f'{proxy.url}{path}', 'headers': proxy.headers, **options}
    return LitellmCheck('litellm', {}, [instance])


def flushed(agent: AgentModel, name: str) -> float:
    """Return the sum over all contexts of what the Agent has flushed of a count."""
    return sum(total for context, total in agent.count_totals.items() if context.name == name)


def counts_while(proxy: FixtureProxy, check: LitellmCheck, requests: int = 60) -> tuple[AgentModel, Sent]:
    """Let the Agent run the check before, between and after two halves of the traffic."""
    agent = AgentModel()
    assert not agent.run(check).error
    sent = drive(proxy.url, proxy.key, requests=requests // 2, seed=1)
    assert not agent.run(check).error
    more = drive(proxy.url, proxy.key, requests=requests // 2, seed=2)
    assert not agent.run(check).error
    sent.total_tokens += more.total_tokens
    sent.succeeded += more.succeeded
    sent.mcp_calls += more.mcp_calls
    return agent, sent


@pytest.fixture(scope='module')
def newest() -> Iterator[FixtureProxy]:
    with start('--release', NEWEST) as proxy:
        yield proxy


@pytest.mark.usefixtures('first_page_counts')
def test_every_family_arrives_as_metadata_describes_it(
    newest: FixtureProxy, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    exercise(newest.url, newest.key)
    dd_run_check(check_of(newest))

    aggregator.assert_service_check(HEALTH, LitellmCheck.OK, count=1)
    aggregator.assert_metrics_using_metadata(get_metadata_metrics(), check_submission_type=True)
    arrived = set(aggregator.metric_names)
    names = raw_names()
    missing = [
        family
        for family in Profile(Release.parse(NEWEST)).families
        if not {f'litellm.{names[family]}{suffix}' for suffix in ('', '.count')} & arrived
    ]
    assert missing == []


@pytest.mark.parametrize('options', [(), ('--workers', '2')], ids=['one process', 'multiprocess mode'])
def test_the_agent_flushes_what_was_sent(options: tuple[str, ...]) -> None:
    with start('--release', NEWEST, *options) as proxy:
        agent, sent = counts_while(proxy, check_of(proxy))

    assert flushed(agent, 'litellm.total.tokens.count') == sent.total_tokens
    # A call of a tool is no request to a model.
    assert flushed(agent, 'litellm.request.total_latency.metric.count') == sent.succeeded - sent.mcp_calls


def test_the_agent_flushes_what_was_sent_without_the_labels_that_name_persons() -> None:
    personal = ['hashed_api_key', 'api_key_alias', 'end_user', 'user', 'user_email', 'client_ip', 'user_agent']
    with start('--release', NEWEST) as proxy:
        agent, sent = counts_while(proxy, check_of(proxy, exclude_labels=personal))

    assert flushed(agent, 'litellm.total.tokens.count') == sent.total_tokens


@pytest.mark.parametrize('release', ['1.55.12', '1.74.0', '1.80.11', '1.95.1'])
def test_tokens_keep_their_name_over_all_releases(release: str) -> None:
    with start('--release', release) as proxy:
        agent, sent = counts_while(proxy, check_of(proxy), requests=20)

    assert flushed(agent, 'litellm.total.tokens.count') == sent.total_tokens


def test_openmetrics_counts_alike(newest: FixtureProxy) -> None:
    agent, sent = counts_while(newest, check_of(newest, use_latest_spec=True), requests=20)

    assert flushed(agent, 'litellm.total.tokens.count') == sent.total_tokens


def test_a_redirect_is_followed_with_the_key(newest: FixtureProxy, dd_run_check: RunCheck) -> None:
    dd_run_check(check_of(newest, path='/metrics'))


def test_a_missing_key_is_asked_for(newest: FixtureProxy, dd_run_check: RunCheck) -> None:
    check = check_of(newest)
    check.instance['headers'] = {}
    with pytest.raises(Exception, match='the proxy requires a key'):
        dd_run_check(check)


def test_a_key_from_a_file_is_sent(newest: FixtureProxy, dd_run_check: RunCheck, tmp_path: Any) -> None:
    key = tmp_path / 'litellm.key'
    key.write_text(newest.key)
    writer = {'type': 'header', 'name': 'Authorization', 'value': 'Bearer <TOKEN>'}
    check = check_of(newest, auth_token={'reader': {'type': 'file', 'path': str(key)}, 'writer': writer})
    check.instance.pop('headers')

    dd_run_check(check)


def test_a_proxy_without_the_callback_is_explained(dd_run_check: RunCheck) -> None:
    with (
        start('--release', NEWEST, '--no-prometheus') as proxy,
        pytest.raises(Exception, match='Add `prometheus` to'),
    ):
        dd_run_check(check_of(proxy))


@pytest.mark.usefixtures('first_page_counts')
def test_an_unlicensed_proxy_is_collected_with_a_warning(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with start('--release', '1.74.0', '--unlicensed') as proxy:
        exercise(proxy.url, proxy.key)
        check = check_of(proxy)
        dd_run_check(check)

    assert any('only with an enterprise license' in warning for warning in check.warnings)
    aggregator.assert_metric('litellm.redis.latency.count')
    assert not [name for name in aggregator.metric_names if 'tokens' in name]


def test_a_worker_that_is_replaced_loses_no_count() -> None:
    with start('--release', NEWEST, '--workers', '2') as proxy:
        agent = AgentModel()
        check = check_of(proxy)
        agent.run(check)
        before = drive(proxy.url, proxy.key, requests=20, seed=1)
        agent.run(check)
        proxy.replace_worker(proxy.worker_pids()[0])
        after = drive(proxy.url, proxy.key, requests=20, seed=2)
        agent.run(check)

    assert flushed(agent, 'litellm.total.tokens.count') == before.total_tokens + after.total_tokens


def test_several_processes_at_one_url_are_told_of_in_every_run() -> None:
    with start('--release', NEWEST, '--workers', '2', '--no-multiprocess-metrics') as proxy:
        workers = proxy.worker_pids()
        check = check_of(proxy)
        agent = AgentModel()
        warnings: list[str] = []
        try:
            for turn in range(6):
                # A worker that is stopped leaves the next connections to the other.
                os.kill(workers[turn % 2], signal.SIGCONT)
                os.kill(workers[(turn + 1) % 2], signal.SIGSTOP)
                drive(proxy.url, proxy.key, requests=5, seed=turn)
                assert not agent.run(check).error
                warnings += check.get_warnings()
        finally:
            for worker in workers:
                os.kill(worker, signal.SIGCONT)

    # Up to the second run it could be one process that was restarted.
    assert len([warning for warning in warnings if 'Several processes take turns answering' in warning]) == 4


def health_check_of(proxy: FixtureProxy, **options: Any) -> LitellmCheck:
    check = check_of(proxy, litellm_health_endpoint=f'{proxy.url}/health', **options)
    check.check_id = 'litellm:1'
    return check


@pytest.mark.parametrize('release', RELEASES_OF_HEALTH)
def test_the_health_the_readiness_and_the_version_are_those_of_the_proxy(
    release: str, aggregator: AggregatorStub, datadog_agent: DatadogAgentStub, dd_run_check: RunCheck
) -> None:
    with start('--release', release) as proxy:
        dd_run_check(health_check_of(proxy))

        told = {(sample.value, *sorted(sample.tags)) for sample in aggregator.metrics('litellm.endpoint.info')}
        shared = [f'endpoint:{proxy.metrics_url}', f'health_endpoint:{proxy.url}/health']
        assert told == {(1, *sorted([*shared, *tags_of_health(deployment)])) for deployment in DEPLOYMENTS}
        failing = sum(deployment.fails_with is not None for deployment in DEPLOYMENTS)
        aggregator.assert_metric('litellm.endpoint.healthy_count', len(DEPLOYMENTS) - failing, tags=shared)
        aggregator.assert_metric('litellm.endpoint.unhealthy_count', failing, tags=shared)
        for name in (READY, DATABASE, 'litellm.health.can_connect'):
            aggregator.assert_service_check(name, LitellmCheck.OK, count=1)
        assert datadog_agent._metadata['litellm:1', 'version.raw'] == release

        proxy.control('controls', db='down')
        # For up to two minutes, the readiness answers from memory.
        proxy.control('advance', seconds=120)
        dd_run_check(health_check_of(proxy))
    for name in (READY, DATABASE):
        assert aggregator.service_checks(name)[-1].status == LitellmCheck.CRITICAL


def tags_of_health(deployment: Deployment) -> list[str]:
    tags = [f'llm_model:{deployment.provider}/{deployment.model}', f'model_id:{deployment.id}']
    tags.append(f'custom_llm_provider:{deployment.provider}')
    if deployment.fails_with is None:
        return [*tags, 'endpoint_health:healthy']
    return [*tags, 'endpoint_health:unhealthy', f'endpoint_error:{UPSTREAM_ERRORS[deployment.fails_with].name}']


def test_each_model_is_called_once_however_often_the_check_runs(dd_run_check: RunCheck) -> None:
    with start('--release', NEWEST) as proxy:
        check = health_check_of(proxy)
        for _ in range(5):
            dd_run_check(check)
        calls = [
            float(line.rpartition(' ')[2])
            for line in proxy.scrape().splitlines()
            if line.startswith('litellm_deployment_success_responses_total{') and 'internal-health-check' in line
        ]

    assert calls == [1.0] * sum(deployment.fails_with is None for deployment in DEPLOYMENTS)


def test_a_version_that_takes_no_key_is_no_refused_request(
    aggregator: AggregatorStub, datadog_agent: DatadogAgentStub, dd_run_check: RunCheck
) -> None:
    with start('--release', NEWEST, '--no-auth') as proxy:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': proxy.metrics_url}])
        check.check_id = 'litellm:1'
        dd_run_check(check)
        dd_run_check(check)

    assert datadog_agent._metadata['litellm:1', 'version.raw'] == NEWEST
    assert [s for s in aggregator.metrics('litellm.proxy.failed_requests.metric.count') if s.value] == []
