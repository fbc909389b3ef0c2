"""The check against the real LiteLLM proxy: every family mapped, every sum what was sent.

Needs the package registry once; see real_litellm/README.md for what drives which family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from datadog_checks.base.stubs import aggregator, datadog_agent
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.metrics import families_of_groups, raw_names, submitted_names
from datadog_checks.litellm.scrapers.exact import ExactScraper
from tools.real_litellm.callers import ADA, BOB
from tools.real_litellm.config import MAX_IN_FLIGHT, MAX_QUEUED, MCP_TOOL_PRICE, Options
from tools.real_litellm.database_accounts import (
    SHORT_BUDGET,
    Accounts,
    number_of_logs,
    open_accounts,
    postgres_of,
    settle_accounts,
    use_accounts,
    use_files,
    wait_for_batch_cost,
)
from tools.real_litellm.environment import HarnessError, environment
from tools.real_litellm.families import Coverage, Page, coverage
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.workload import Client, Sent, drive

# Of the 146 families of the newest release, those that move on this proxy, in one run; `tools.matrix` moves more.
FAMILIES_THAT_MOVE = 112


class Observed(NamedTuple):
    """One driven proxy: what it was sent, which families it exposed and what the check submitted of the sums.

    `page` is the last page, after files and batches.
    """

    proxy: RealProxy
    sent: Sent
    page: Page
    coverage: Coverage
    submitted: dict[str, list[Any]]
    accounts: Accounts | None

    def total(self, metric: str, *tags: str) -> float:
        """Return the sum of a metric over the contexts that carry the tags."""
        contexts = self.submitted.get(metric, [])
        return float(sum(context.value for context in contexts if set(tags) <= set(context.tags)))


@pytest.fixture(scope='module')
def observed(pytestconfig: pytest.Config) -> Iterator[Observed]:
    failure = ''
    try:
        with RealProxy(environment(), Options(with_database=True)) as proxy:
            yield _observe(pytestconfig, proxy)
    except HarnessError as error:
        failure = str(error)
    if failure:
        pytest.fail(failure, pytrace=False)


def _observe(config: pytest.Config, proxy: RealProxy) -> Observed:
    client, accounts = Client(proxy), None
    if proxy.postgres:
        accounts = open_accounts(proxy)
        use_accounts(client, accounts)
    sent = drive(proxy, client=client)
    if accounts:
        settle_accounts(proxy, accounts)
    submitted, page = _collect(proxy), Page(proxy.scrape())
    if accounts:
        # LiteLLM polls batches, and counts that among the requests.
        use_files(client, accounts)
        page = wait_for_batch_cost(proxy)
    found = coverage(sent.busy_page, sent.page, page)
    _report(config, proxy, found)
    return Observed(proxy, sent, page, found, submitted, accounts)


def _instance(proxy: RealProxy) -> dict[str, Any]:
    return {'openmetrics_endpoint': proxy.metrics_url, 'headers': {'Authorization': f'Bearer {proxy.key}'}}


def _collect(proxy: RealProxy, **options: Any) -> dict[str, list[Any]]:
    """Run the check once and return what it submitted, by metric: of counts, what they have come to by then."""
    aggregator.reset()
    with patch.object(ExactScraper, '_counts_history', lambda *_: True):
        error = LitellmCheck('litellm', {}, [{**_instance(proxy), **options}]).run()
    assert not error, error
    return {name: aggregator.metrics(name) for name in aggregator.metric_names}


def _report(config: pytest.Config, proxy: RealProxy, found: Coverage) -> None:
    """Show what was reached in pytest's own output."""
    reporter = config.pluginmanager.get_plugin('terminalreporter')
    capture = config.pluginmanager.get_plugin('capturemanager')
    if reporter is None:
        return
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        reporter.ensure_newline()
        reporter.write_line(f'LiteLLM {proxy.environment.release}: {found.summary()}')
        if proxy.untested:
            reporter.write_line(proxy.untested)


def test_most_families_have_samples(observed: Observed) -> None:
    if observed.proxy.untested:
        pytest.skip(observed.proxy.untested)
    assert len(observed.coverage.moved) >= FAMILIES_THAT_MOVE


def test_every_family_is_mapped(observed: Observed) -> None:
    assert observed.coverage.unmapped == set()


def test_every_family_with_samples_is_submitted(observed: Observed) -> None:
    names = raw_names()
    submitted = {name.removeprefix('litellm.') for name in observed.submitted}
    wanted = {names[name] for name, family in observed.sent.page.families.items() if family.samples and name in names}
    missing = {name for name in wanted if not submitted & {name, f'{name}.count'}}
    assert missing == set()


def test_nothing_but_known_metrics_is_submitted(observed: Observed) -> None:
    own = {name for name in observed.submitted if name.startswith('litellm.')}
    assert own <= {name for name, _ in submitted_names()}


def test_the_proxy_leaves_out_what_is_not_collected(observed: Observed) -> None:
    groups = ['deprecated', 'services']
    options = {'exclude_metric_groups': groups, 'collect_histogram_buckets': False, 'idle_counts': 'always'}
    check = LitellmCheck('litellm', {}, [{**_instance(observed.proxy), **options}])
    contexts = []
    for _ in range(2):
        aggregator.reset()
        with patch.object(ExactScraper, '_counts_history', lambda *_: True):
            assert not check.run()
        # Budgets come and go between two scrapes: LiteLLM renews them from its database all the time.
        names = [name for name in aggregator.metric_names if 'budget' not in name]
        contexts.append({(one.name, *sorted(one.tags)) for name in names for one in aggregator.metrics(name)})
    (scraper,) = check.scrapers.values()
    with scraper.ask() as response:
        page = Page(response.text)

    whole, by_name = contexts
    assert whole == by_name
    off = families_of_groups(groups)
    expected = {name for name, family in observed.page.families.items() if family.samples} - off
    assert page.families.keys() == expected
    assert '_bucket{' not in page.text


def test_openmetrics_gives_the_same_counts_as_the_text_format(observed: Observed) -> None:
    metric = 'litellm.requests.metric.count'
    in_text, latest = _collect(observed.proxy), _collect(observed.proxy, use_latest_spec=True)
    assert sum(one.value for one in latest[metric]) == sum(one.value for one in in_text[metric]) > 0


def test_requests_add_up(observed: Observed) -> None:
    assert observed.total('litellm.proxy.total_requests.metric.count') == observed.sent.requests


@pytest.mark.parametrize('status', [200, 400, 401, 408, 500])
def test_requests_add_up_by_status(observed: Observed, status: int) -> None:
    counted = observed.total('litellm.proxy.total_requests.metric.count', f'status_code:{status}')
    assert counted == observed.sent.answers[status] > 0


@pytest.mark.parametrize('caller', [ADA, BOB], ids=lambda caller: caller.fields['key_alias'])
def test_requests_add_up_by_key(observed: Observed, caller: Any) -> None:
    alias = caller.fields['key_alias']
    counted = observed.total('litellm.proxy.total_requests.metric.count', f'api_key_alias:{alias}')
    assert counted == observed.sent.by_key[caller.key] > 0


def test_successes_add_up(observed: Observed) -> None:
    assert observed.total('litellm.requests.metric.count') == observed.sent.successes
    assert observed.total('litellm.deployment.success_responses.count') == observed.sent.successes


def test_failures_add_up(observed: Observed) -> None:
    assert observed.total('litellm.proxy.failed_requests.metric.count') == observed.sent.failures > 0


def test_failures_add_up_by_deployment(observed: Observed) -> None:
    metric = 'litellm.deployment.failure_responses.count'
    failures = observed.sent.deployment_failures
    assert {identity: observed.total(metric, f'model_id:{identity}') for identity in failures} == failures


def test_deployment_requests_are_successes_and_failures(observed: Observed) -> None:
    successes = observed.total('litellm.deployment.success_responses.count')
    failures = observed.total('litellm.deployment.failure_responses.count')
    assert observed.total('litellm.deployment.total_requests.count') == successes + failures


@pytest.mark.parametrize(
    ('metric', 'tokens'),
    [
        ('input_tokens.metric', 'input'),
        ('output_tokens.metric', 'output'),
        ('total.tokens', 'total'),
        ('input_cached_tokens.metric', 'prompt_tokens_details.cached_tokens'),
        ('input_cache_creation_tokens.metric', 'prompt_tokens_details.cache_creation_tokens'),
        ('input_audio_tokens.metric', 'prompt_tokens_details.audio_tokens'),
        ('output_reasoning_tokens.metric', 'completion_tokens_details.reasoning_tokens'),
        ('output_audio_tokens.metric', 'completion_tokens_details.audio_tokens'),
    ],
)
def test_tokens_add_up(observed: Observed, metric: str, tokens: str) -> None:
    assert observed.total(f'litellm.{metric}.count') == observed.sent.tokens[tokens] > 0


@pytest.mark.parametrize(
    ('metric', 'expected'),
    [
        ('cache.hits.metric', lambda sent: sent.cache_hits),
        ('callback.logging_failures.metric', lambda sent: sent.unlogged),
        ('zero_cost_requests', lambda sent: sent.unpriced),
        ('deployment.cooled_down', lambda sent: sent.cooled_down),
        ('deployment.successful_fallbacks', lambda sent: sent.fallbacks),
        ('deployment.failed_fallbacks', lambda sent: sent.failed_fallbacks),
        ('guardrail.requests', lambda sent: sent.guardrail_checks),
        ('guardrail.errors', lambda sent: sent.guardrail_blocks),
        ('images_generated.metric', lambda sent: sent.images),
        ('video_duration_seconds.metric', lambda sent: sent.video_seconds),
        ('mcp.tool_calls', lambda sent: sent.mcp_calls),
        ('admission.rejected_requests', lambda sent: sent.turned_away),
    ],
)
def test_events_add_up(observed: Observed, metric: str, expected: Callable[[Sent], int]) -> None:
    assert observed.total(f'litellm.{metric}.count') == expected(observed.sent) > 0


def test_spend_is_above_the_price_of_the_tool_calls(observed: Observed) -> None:
    tools = observed.sent.mcp_calls * MCP_TOOL_PRICE
    assert observed.total('litellm.mcp.tool_call_spend.metric.count') == pytest.approx(tools)
    assert observed.total('litellm.spend.metric.count') > tools


@pytest.mark.parametrize(
    ('metric', 'expected'),
    [
        ('request.total_latency.metric', lambda sent: sent.successes),
        ('llm.api.time_to_first_token.metric', lambda sent: sent.streams),
        ('guardrail.latency_seconds', lambda sent: sent.guardrail_checks),
        # Neither an answer from the cache nor a tool call goes to a model.
        ('llm.api.latency.metric', lambda sent: sent.successes - sent.cache_hits - sent.mcp_calls),
    ],
)
def test_observations_of_histograms_add_up(observed: Observed, metric: str, expected: Callable[[Sent], int]) -> None:
    assert observed.total(f'litellm.{metric}.count') == expected(observed.sent) > 0
    assert observed.total(f'litellm.{metric}.sum') > 0


def test_admission_gauges_show_a_crowd(observed: Observed) -> None:
    busy = observed.sent.busy_page
    assert busy.total('litellm_admission_admitted_requests', suffix='') == MAX_IN_FLIGHT
    assert busy.total('litellm_admission_queued_requests', suffix='') == MAX_QUEUED


@pytest.mark.parametrize(
    ('metric', 'tag', 'budget'),
    [
        ('api.key.max_budget.metric', 'api_key_alias:ada-key', ADA.fields['max_budget']),
        ('team.max_budget.metric', 'team:team-red', ADA.fields['team_max_budget']),
        ('user.max_budget.metric', 'user:ada', ADA.fields['user_max_budget']),
        ('org.max_budget.metric', 'org_id:org-north', ADA.fields['organization_budget']),
        ('customer.max_budget.metric', 'end_user:customer-7', ADA.fields['end_user_max_budget']),
    ],
)
def test_budgets_are_the_configured_ones(observed: Observed, metric: str, tag: str, budget: float) -> None:
    assert observed.total(f'litellm.{metric}', tag) == budget


@pytest.fixture
def accounts(observed: Observed) -> Accounts:
    """Return the accounts that LiteLLM keeps in its database."""
    if observed.accounts is None:
        pytest.skip(observed.proxy.untested)
    return observed.accounts


def test_requests_of_accounts_add_up_and_are_all_logged(observed: Observed, accounts: Accounts) -> None:
    metric = 'litellm.proxy.total_requests.metric.count'
    for alias, sent in accounts.requests.items():
        assert observed.total(metric, f'api_key_alias:{alias}', 'status_code:200') == sent > 0
    assert number_of_logs(postgres_of(observed.proxy), accounts) >= sum(accounts.requests.values())


def test_a_key_beyond_its_budget_is_counted_as_refused(observed: Observed, accounts: Accounts) -> None:
    tags = ('api_key_alias:tiny-key', 'exception_class:BudgetExceededError')
    assert observed.total('litellm.proxy.failed_requests.metric.count', *tags) == accounts.refused['tiny-key'] == 1


def test_dollars_are_those_of_the_database_and_of_the_prices(observed: Observed, accounts: Accounts) -> None:
    spent = dict(postgres_of(observed.proxy).query('select key_alias, spend from "LiteLLM_VerificationToken"'))
    for alias in accounts.requests:
        submitted = observed.total('litellm.spend.metric.count', f'api_key_alias:{alias}')
        assert submitted == accounts.spend(alias)
        # The budget of the short key was reset; eve's also pays for a batch, later.
        if alias not in ('short-key', 'eve-key'):
            assert submitted == float(spent[alias])


@pytest.mark.parametrize(
    ('metric', 'tag', 'table', 'column', 'name'),
    [
        ('remaining.team_budget.metric', 'team:team-green', 'LiteLLM_TeamTable', 'team_id', 'team-green'),
        ('remaining.user_budget.metric', 'user:eve', 'LiteLLM_UserTable', 'user_id', 'eve'),
    ],
)
def test_budgets_left_are_those_of_the_database(
    observed: Observed, accounts: Accounts, metric: str, tag: str, table: str, column: str, name: str
) -> None:
    ((maximum,),) = postgres_of(observed.proxy).query(f'select max_budget from "{table}" where {column} = \'{name}\'')
    assert observed.total(f'litellm.{metric}', tag) == float(maximum) - accounts.spend('eve-key')


def test_the_reset_of_a_budget_takes_nothing_from_what_was_spent(observed: Observed, accounts: Accounts) -> None:
    query = """select spend, max_budget from "LiteLLM_VerificationToken" where key_alias = 'short-key'"""
    ((spent, maximum),) = postgres_of(observed.proxy).query(query)
    assert (float(spent), float(maximum)) == (0, SHORT_BUDGET)
    assert observed.total('litellm.spend.metric.count', 'api_key_alias:short-key') == accounts.spend('short-key')


def test_the_service_check_is_ok(observed: Observed) -> None:
    _collect(observed.proxy)
    (health,) = aggregator.service_checks('litellm.openmetrics.health')
    assert health.status == LitellmCheck.OK


def test_no_key_is_submitted_in_clear(observed: Observed) -> None:
    tags = {tag for contexts in observed.submitted.values() for context in contexts for tag in context.tags}
    keys = (ADA.key, BOB.key, observed.proxy.key)
    assert [tag for tag in tags if any(key in tag for key in keys)] == []


# The health comes last: LiteLLM calls every model for it, and counts these calls among the others.


class Told(NamedTuple):
    """Everything that the check submitted of the proxy's health, and of its readiness and version."""

    endpoints: dict[str, set[str]]
    """The tags of each model endpoint, by the id of the model."""
    counts: dict[str, float]
    statuses: dict[str, tuple[int, str]]
    metadata: dict[str, str]


@pytest.fixture(scope='module')
def told(observed: Observed) -> Told:
    datadog_agent.reset()
    submitted = _collect(observed.proxy, litellm_health_endpoint=f'{observed.proxy.url}/health')
    tags_of_endpoints = [set(endpoint.tags) for endpoint in submitted['litellm.endpoint.info']]
    checks = [check for name in aggregator.service_check_names for check in aggregator.service_checks(name)]
    return Told(
        {tag.partition(':')[2]: tags for tags in tags_of_endpoints for tag in tags if tag.startswith('model_id:')},
        {name: contexts[0].value for name, contexts in submitted.items() if name.endswith('healthy_count')},
        {check.name: (check.status, check.message) for check in checks},
        {name: value for (_, name), value in datadog_agent._metadata.items()},
    )


FAILING_MODELS = {
    'broken': 'InternalServerError',
    'broken-too': 'InternalServerError',
    'claude-refused': 'AuthenticationError',
    'limited': 'RateLimitError',
    'recovering-a': 'InternalServerError',
    'timing-out': 'Timeout',
    'too-long': 'ContextWindowExceededError',
    'unauthorized': 'AuthenticationError',
}
HEALTHY_MODELS = {
    'chat-a', 'chat-b', 'claude', 'embeddings', 'images', 'priced', 'recovering-b', 'slow', 'unpriced', 'videos'
}  # fmt: skip


def test_every_model_endpoint_is_healthy_or_fails_as_it_is_made_to(told: Told) -> None:
    healthy = {model for model, tags in told.endpoints.items() if 'endpoint_health:healthy' in tags}
    errors = {
        model: tag.partition(':')[2]
        for model, tags in told.endpoints.items()
        for tag in tags
        if tag.startswith('endpoint_error:')
    }
    assert (healthy, errors) == (HEALTHY_MODELS, FAILING_MODELS)
    assert told.counts == {
        'litellm.endpoint.healthy_count': len(HEALTHY_MODELS),
        'litellm.endpoint.unhealthy_count': len(FAILING_MODELS),
    }


def test_a_model_endpoint_is_tagged_with_its_model_and_provider(told: Told) -> None:
    assert {'llm_model:anthropic/claude-sonnet-4-5', 'custom_llm_provider:anthropic'} <= told.endpoints['claude']


def test_the_proxy_is_ready_and_has_its_database(observed: Observed, told: Told) -> None:
    assert told.statuses['litellm.health.can_connect'] == (LitellmCheck.OK, '')
    assert told.statuses['litellm.proxy.ready'] == (LitellmCheck.OK, '')
    status, _ = told.statuses['litellm.proxy.database']
    assert status == (LitellmCheck.OK if observed.proxy.postgres else LitellmCheck.UNKNOWN)


def test_the_version_is_the_release(observed: Observed, told: Told) -> None:
    assert told.metadata['version.raw'] == observed.proxy.environment.release


def test_nothing_of_the_upstream_or_the_requests_is_told(observed: Observed, told: Told) -> None:
    tags = {tag for tags in told.endpoints.values() for tag in tags}
    private = (observed.proxy.upstream.url, 'upstream-key', 'Rate limit reached', 'Traceback', 'identity-of-this')
    assert [tag for tag in tags if any(text in tag for text in private)] == []
