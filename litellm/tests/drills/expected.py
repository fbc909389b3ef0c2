"""What each monitor does in each drill: the one table that the drills are held against.

A monitor that is not named for a scenario is silent there: it neither alerts, nor warns, nor tells of missing data.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ['EXPECTED', 'Expectation']


class Expectation(NamedTuple):
    """A monitor fires in a scenario within some minutes after the fault began, and why that is right.

    The monitor must have recovered, for all its groups, within `recovers` minutes after the fault ended.
    """

    monitor: str
    scenario: str
    within: float
    why: str
    recovers: float = 12.0
    status: Literal['Alert', 'Warn', 'No Data'] = 'Alert'


EXPECTED = (
    Expectation('scrape_down', 'proxy gone', 3, 'Nobody answers the Agent.', recovers=2),
    Expectation('scrape_down', 'Agent refused', 3, 'The Agent is refused; it alone is affected.', recovers=2),
    Expectation('proxy_failure_rate', 'provider outage', 5, 'Models of OpenAI alone have nothing to fall back to.'),
    Expectation(
        'proxy_failure_rate', 'fallback storm', 5, 'Clients of claude-sonnet get the 503 of its own providers.'
    ),
    Expectation('deployment_failure_rate', 'provider outage', 6, 'All calls to deployments at OpenAI fail.'),
    Expectation('deployment_failure_rate', 'fallback storm', 6, 'Four providers fail, the last two for being overrun.'),
    Expectation('complete_outage', 'provider outage', 12, 'o4-mini has deployments at OpenAI only.'),
    Expectation('complete_outage', 'fallback storm', 12, 'All deployments of both models fail.'),
    Expectation('fallbacks_exhausted', 'provider outage', 12, 'gpt-4o falls back to a model of the same providers.'),
    Expectation('fallbacks_exhausted', 'fallback storm', 6, 'What claude-sonnet falls back to is overrun.'),
    Expectation('unhealthy_endpoints', 'provider outage', 12, 'Half of the models are at OpenAI.'),
    Expectation('unhealthy_endpoints', 'fallback storm', 12, 'Most models are at these four providers.'),
    Expectation('latency', 'slow provider', 12, 'Answers take 30 times as long.'),
    Expectation('time_to_first_token', 'slow provider', 12, 'So do first tokens.'),
    Expectation('overhead', 'proxy overloaded', 12, 'The proxy itself takes its time.'),
    Expectation('team_budget', 'budget running out', 16, 'The team has spent 96% of its budget.', recovers=4),
    Expectation('key_budget', 'budget running out', 16, 'The key has spent 95% of its budget.', recovers=4),
    Expectation('user_budget', 'budget running out', 16, 'The user has spent 95% of its budget.', recovers=4),
    Expectation('org_budget', 'budget running out', 16, 'The organization has spent 95% of its budget.', recovers=4),
    Expectation('provider_budget', 'budget running out', 16, 'OpenAI has spent its budget of the day.', recovers=4),
    Expectation('rate_limit_headroom', 'rate limiting', 4, 'OpenAI and Azure allow a few requests only.', recovers=7),
    Expectation('rate_limited_requests', 'rate limiting', 5, 'One client runs into its own limit.'),
    Expectation('rate_limited_requests', 'fallback storm', 5, 'Clients get the 429 of the overrun providers.'),
    Expectation('rejected_keys', 'wrong keys', 10, 'A key is no longer valid.'),
    Expectation('redis_failing', 'Redis down', 6, 'Redis refuses connections.'),
    Expectation('postgres_failing', 'database down', 6, 'Postgres refuses connections.'),
    Expectation('database_disconnected', 'database down', 3, 'The proxy says so itself.', recovers=2),
    Expectation('spend_queue', 'database down', 14, 'Spend cannot be written.', recovers=4),
    Expectation('callback_failures', 'callback broken', 5, 'Langfuse takes no records.'),
    Expectation('spend_jump', 'spend jump', 25, 'Films for 200 dollars.', recovers=75),
)
