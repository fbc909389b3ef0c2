"""Say what each monitor does in each drill: the one table that the drills are held against.

A monitor that is not named for a scenario is silent there: it neither alerts, nor warns, nor tells of missing data.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ['EXPECTED', 'MOST_ALERTS', 'MOST_NOTIFICATIONS', 'SEVERAL_FAULTS', 'Expectation']


class Expectation(NamedTuple):
    """A monitor fires in a scenario within some minutes after the fault began, and why that is right.

    The monitor must have recovered, for all its groups, within `recovers` minutes after the fault ended, and none of
    them earlier.
    """

    monitor: str
    scenario: str
    within: float
    why: str
    recovers: float = 12.0
    status: Literal['Alert', 'Warn', 'No Data'] = 'Alert'


# Of one fault, however many pods it meets; recoveries and warnings are notifications, but no alerts.
MOST_ALERTS, MOST_NOTIFICATIONS = 5, 10
# Five budgets of five owners are used up, each by videos of its own, for much money.
SEVERAL_FAULTS = frozenset({'budget running out'})

EXPECTED = (
    Expectation('scrape_down', 'proxy gone', 3, 'Nothing answers the Agent.', recovers=2),
    Expectation('not_ready', 'proxy gone', 3, 'Nothing answers its readiness either.', recovers=2),
    Expectation('service_gone', 'all pods gone', 13, 'Nothing is reported any more.', recovers=4, status='No Data'),
    Expectation('not_ready', 'proxy hung', 3, 'Its readiness is not answered.', recovers=2),
    Expectation('requests_stuck', 'proxy hung', 13, 'Requests are in flight, and none is completed.', recovers=4),
    Expectation('traffic_gone', 'load balancer broken', 13, 'There is no request any more.', recovers=4),
    Expectation('restarting', 'crash loop', 75, 'It is never up for a quarter of an hour.', recovers=20),
    Expectation('scrape_down', 'Agent refused', 3, 'The Agent is refused, and only the Agent.', recovers=2),
    Expectation('untagged', 'no tags', 3, 'No other monitor sees the proxy.', recovers=65),
    Expectation('proxy_failure_rate', 'provider outage', 5, 'Models that only OpenAI serves have no fallback.'),
    Expectation('proxy_failure_rate', 'fallback storm', 5, 'Clients of claude-sonnet get the 503 of its providers.'),
    Expectation('deployment_failure_rate', 'provider outage', 5, 'All calls to deployments at OpenAI fail.'),
    Expectation('deployment_failure_rate', 'fallbacks help', 5, 'All calls to Anthropic and Bedrock fail.'),
    Expectation(
        'deployment_failure_rate', 'fallback storm', 5, 'Four providers fail, two of them because they are overrun.'
    ),
    Expectation('complete_outage', 'provider outage', 12, 'o4-mini is only deployed at OpenAI.'),
    Expectation('complete_outage', 'fallbacks help', 12, 'No deployment of claude-sonnet works.'),
    Expectation('complete_outage', 'fallback storm', 12, 'All deployments of both models fail.'),
    Expectation(
        'fallbacks_used', 'fallbacks help', 8, 'gpt-4o answers a quarter of the requests in the place of another.'
    ),
    Expectation('unhealthy_endpoints', 'provider outage', 12, 'Half of the models are at OpenAI.'),
    Expectation('unhealthy_endpoints', 'fallback storm', 12, 'Most models are at these four providers.'),
    Expectation('latency', 'slow provider', 12, 'Answers take 60 times as long.', recovers=35),
    Expectation('time_to_first_token', 'slow provider', 12, 'First tokens take 60 times as long.', recovers=35),
    Expectation('overhead', 'proxy overloaded', 12, 'The proxy itself is slow.'),
    Expectation('team_budget', 'budget running out', 16, 'The team has spent 96% of its budget.', recovers=15),
    Expectation('key_budget', 'budget running out', 16, 'The key has spent 95% of its budget.', recovers=15),
    Expectation('user_budget', 'budget running out', 16, 'The user has spent 95% of its budget.', recovers=15),
    Expectation('org_budget', 'budget running out', 16, 'The organization has spent 95% of its budget.', recovers=15),
    Expectation('provider_budget', 'budget running out', 16, 'OpenAI has used up its daily budget.', recovers=15),
    Expectation('key_spend', 'budget running out', 16, 'Keys spend hundreds of dollars.', recovers=90),
    Expectation('daily_spend', 'budget running out', 16, 'Teams spend hundreds of dollars on videos.', recovers=1500),
    Expectation('key_spend', 'end of the month', 16, 'Keys spend hundreds of dollars.', recovers=90),
    Expectation('daily_spend', 'end of the month', 16, 'Teams spend hundreds of dollars on videos.', recovers=1500),
    Expectation('budget_exceeded', 'budget spent', 8, 'The client is refused.', recovers=13),
    Expectation(
        'rate_limit_headroom', 'rate limiting', 4, 'OpenAI and Azure allow only a few more requests.', recovers=7
    ),
    Expectation('token_limit_headroom', 'rate limiting', 4, 'And only a few more tokens.', recovers=7),
    Expectation('rate_limited_requests', 'rate limiting', 5, 'One client hits its own limit.'),
    Expectation('rejected_keys', 'wrong keys', 10, 'A key is no longer valid.'),
    Expectation('redis_failing', 'Redis down', 6, 'Redis refuses connections.'),
    Expectation('redis_circuit_open', 'Redis down', 6, 'The circuit breaker opens.'),
    Expectation('postgres_failing', 'database down', 6, 'Postgres refuses connections.'),
    Expectation('database_disconnected', 'database down', 3, 'The proxy itself reports it.', recovers=2),
    Expectation('not_ready', 'database down', 3, 'A proxy without its database is not ready.', recovers=2),
    Expectation('budget_reset_failing', 'database down', 14, 'Budgets are not reset.', recovers=60),
    Expectation('clients_refused', 'database down', 5, 'Keys cannot be looked up.', recovers=8),
    Expectation('spend_queue', 'jobs fail', 28, 'Spend is not written.', recovers=4),
    Expectation('budget_reset_failing', 'jobs fail', 30, 'The budget reset job fails.', recovers=60),
    Expectation(
        'spend_log_cleanup_failing', 'cleanup fails', 26 * 60, 'It was aborted twice in two days.', recovers=49 * 60
    ),
    Expectation('callback_failures', 'callback broken', 5, 'Langfuse takes no log records.'),
    Expectation('guardrail_errors', 'guardrail broken', 10, 'All runs of the guardrail fail.'),
    Expectation('admission_rejections', 'workers full', 8, 'Requests are turned away.'),
    Expectation('contexts_dropped', 'too many contexts', 6, 'The check cannot send all it has read.', recovers=18),
    Expectation('zero_cost_requests', 'no price', 13, 'A third of the requests costs nothing.', recovers=60),
    Expectation('spend_jump', 'spend jump', 25, 'Videos for 200 dollars.', recovers=75),
    Expectation('key_spend', 'spend jump', 25, 'One key spends it all.', recovers=75),
    Expectation('daily_spend', 'spend jump', 35, 'All on one model.', recovers=1500),
    Expectation('proxy_failure_rate', 'long cooldowns', 5, 'The 429 of the router is no fault of the client.'),
    Expectation('deployment_failure_rate', 'long cooldowns', 5, 'The few calls that deployments get all fail.'),
    Expectation('complete_outage', 'long cooldowns', 8, 'All deployments of both models are in cooldown.'),
    Expectation('unhealthy_endpoints', 'long cooldowns', 12, 'Most models are at these four providers.'),
    Expectation('proxy_failure_rate', 'restart in an outage', 5, 'As in a provider outage, and through the restart.'),
    Expectation(
        'deployment_failure_rate', 'restart in an outage', 5, 'As in a provider outage, and through the restart.'
    ),
    Expectation('complete_outage', 'restart in an outage', 12, 'As in a provider outage, and through the restart.'),
    Expectation('unhealthy_endpoints', 'restart in an outage', 12, 'As in a provider outage, and through the restart.'),
    Expectation('unhealthy_endpoints', 'outage at night', 12, 'Nothing else calls these models.'),
    Expectation('database_disconnected', 'database down, key of the Agent', 3, 'The readiness needs no key.', 2),
    Expectation('not_ready', 'database down, key of the Agent', 3, 'The readiness needs no key.', 2),
    Expectation('scrape_down', 'database down, key of the Agent', 4, 'LiteLLM cannot look up the key.', 2),
    Expectation('clients_refused', 'database down, key of the Agent', 12, 'Its page tells of it, once it is over.'),
    Expectation('postgres_failing', 'database down, key of the Agent', 12, 'Its page tells of it, once it is over.'),
    Expectation('check_replaced', 'Agent upgraded', 7, 'The bundled check sends no heartbeat.', recovers=2),
)
