"""What each monitor does in each drill: the one table that the drills are held against.

A monitor that is not named for a scenario is silent there: it neither alerts, nor warns, nor tells of missing data.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ['EXPECTED', 'Expectation']


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


EXPECTED = (
    Expectation('scrape_down', 'proxy gone', 3, 'Nothing answers the Agent.', recovers=2),
    Expectation('scrape_down', 'Agent refused', 3, 'The Agent is refused, and only the Agent.', recovers=2),
    Expectation('proxy_failure_rate', 'provider outage', 5, 'Models that only OpenAI serves have no fallback.'),
    Expectation('proxy_failure_rate', 'fallback storm', 5, 'Clients of claude-sonnet get the 503 of its providers.'),
    Expectation('deployment_failure_rate', 'provider outage', 6, 'All calls to deployments at OpenAI fail.'),
    Expectation(
        'deployment_failure_rate', 'fallback storm', 6, 'Four providers fail, two of them because they are overrun.'
    ),
    Expectation('complete_outage', 'provider outage', 12, 'o4-mini is only deployed at OpenAI.'),
    Expectation('complete_outage', 'fallback storm', 12, 'All deployments of both models fail.'),
    Expectation('fallbacks_exhausted', 'provider outage', 12, 'gpt-4o falls back to a model at the same provider.'),
    Expectation('fallbacks_exhausted', 'fallback storm', 6, 'The fallback of claude-sonnet is overrun.'),
    Expectation('unhealthy_endpoints', 'provider outage', 12, 'Half of the models are at OpenAI.'),
    Expectation('unhealthy_endpoints', 'fallback storm', 12, 'Most models are at these four providers.'),
    Expectation('latency', 'slow provider', 12, 'Answers take 30 times as long.'),
    Expectation('time_to_first_token', 'slow provider', 12, 'First tokens take 30 times as long.'),
    Expectation('overhead', 'proxy overloaded', 12, 'The proxy itself is slow.'),
    Expectation('team_budget', 'budget running out', 16, 'The team has spent 96% of its budget.', recovers=4),
    Expectation('key_budget', 'budget running out', 16, 'The key has spent 95% of its budget.', recovers=4),
    Expectation('user_budget', 'budget running out', 16, 'The user has spent 95% of its budget.', recovers=4),
    Expectation('org_budget', 'budget running out', 16, 'The organization has spent 95% of its budget.', recovers=4),
    Expectation('provider_budget', 'budget running out', 16, 'OpenAI has used up its daily budget.', recovers=4),
    Expectation(
        'rate_limit_headroom', 'rate limiting', 4, 'OpenAI and Azure allow only a few more requests.', recovers=7
    ),
    Expectation('rate_limited_requests', 'rate limiting', 5, 'One client hits its own limit.'),
    Expectation('rate_limited_requests', 'fallback storm', 5, 'Clients get the 429 of the overrun providers.'),
    Expectation('rejected_keys', 'wrong keys', 10, 'A key is no longer valid.'),
    Expectation('redis_failing', 'Redis down', 6, 'Redis refuses connections.'),
    Expectation('postgres_failing', 'database down', 6, 'Postgres refuses connections.'),
    Expectation('database_disconnected', 'database down', 3, 'The proxy itself reports it.', recovers=2),
    Expectation('spend_queue', 'database down', 14, 'Spend cannot be written.', recovers=4),
    Expectation('callback_failures', 'callback broken', 5, 'Langfuse takes no log records.'),
    Expectation('spend_jump', 'spend jump', 25, 'Videos for 200 dollars.', recovers=75),
    Expectation('proxy_failure_rate', 'long cooldowns', 5, 'The 429 of the router is no fault of the client.'),
    Expectation('rate_limited_requests', 'long cooldowns', 6, 'The router itself answers with 429.'),
    Expectation('deployment_failure_rate', 'long cooldowns', 8, 'The few calls that deployments get all fail.'),
    Expectation('complete_outage', 'long cooldowns', 12, 'All deployments of both models fail.'),
    Expectation('fallbacks_exhausted', 'long cooldowns', 6, 'The fallback of claude-sonnet is down too.'),
    Expectation('unhealthy_endpoints', 'long cooldowns', 12, 'Most models are at these four providers.'),
    Expectation('proxy_failure_rate', 'restart in an outage', 5, 'As in a provider outage, and through the restart.'),
    Expectation(
        'deployment_failure_rate', 'restart in an outage', 6, 'As in a provider outage, and through the restart.'
    ),
    Expectation('complete_outage', 'restart in an outage', 12, 'As in a provider outage, and through the restart.'),
    Expectation('fallbacks_exhausted', 'restart in an outage', 12, 'As in a provider outage, and through the restart.'),
    Expectation('unhealthy_endpoints', 'restart in an outage', 12, 'As in a provider outage, and through the restart.'),
    Expectation('unhealthy_endpoints', 'outage at night', 12, 'Nothing else calls these models.'),
    Expectation('check_replaced', 'Agent upgraded', 7, 'The bundled check sends no heartbeat.', recovers=2),
)
