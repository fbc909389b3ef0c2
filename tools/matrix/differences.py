"""The sums that a release of LiteLLM itself counts other than it is sent, each with what is known of the reason."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ['DIFFERENCES', 'Difference']


class Difference(NamedTuple):
    """A sum that some releases are known to get wrong. The check has to submit what the page says all the same.

    `database` tells whether they do with a database, `without` one, or either way (`*`).
    """

    releases: tuple[str, ...]
    sums: tuple[str, ...]
    reason: str
    database: str = '*'

    def is_of(self, release: str, with_database: bool) -> bool:
        """Tell whether a proxy is known to get the sums wrong."""
        return release in self.releases and self.database in ('*', 'with' if with_database else 'without')


_REQUESTS = 'litellm.proxy.total_requests.metric.count'
_OF_ADA = f'{_REQUESTS}{{api_key_alias:ada-key}}'
_FAILED = 'litellm.proxy.failed_requests.metric.count'

DIFFERENCES = (
    Difference(
        ('1.60.8', '1.72.6.post2', '1.75.8'),
        ('litellm.auth.total_requests.count',),
        'With a database, requests with the master key are not counted.',
        database='with',
    ),
    Difference(
        ('1.80.11',),
        (f'{_REQUESTS}{{status_code:401}}',),
        'The one 401 is counted twice. With a database there are two, as an unknown key is refused, but as `None`.',
        database='without',
    ),
    Difference(
        ('1.80.11',),
        (
            _REQUESTS,
            *(f'{_REQUESTS}{{status_code:{status}}}' for status in (200, 408, 500)),
            _OF_ADA,
            f'{_REQUESTS}{{api_key_alias:bob-key}}',
            _FAILED,
        ),
        'The callback runs twice for a request that failed or is not streamed, from 1.80.6 to 1.81.13: '
        'https://github.com/BerriAI/litellm/pull/21159',
    ),
    Difference(
        ('1.80.11', '1.88.6', '1.95.1'),
        ('litellm.llm.api.latency.metric.count',),
        'The latency of generated pictures is not observed.',
    ),
    Difference(
        ('1.88.6',),
        (
            _REQUESTS,
            f'{_REQUESTS}{{status_code:200}}',
            _OF_ADA,
            'litellm.requests.metric.count',
            'litellm.deployment.success_responses.count',
            'litellm.request.total_latency.metric.count',
        ),
        'Calls of MCP tools are not counted.',
    ),
    Difference(
        ('1.88.6', '1.95.1'),
        (_REQUESTS, f'{_REQUESTS}{{status_code:401}}', _OF_ADA, _FAILED),
        'A 401 of the provider is taken for one of LiteLLM itself, and not counted.',
    ),
    Difference(
        ('1.88.6', '1.95.1', '1.106.2'),
        ('litellm.deployment.failure_responses.count{model_id:unauthorized}',),
        'A 401 of the provider is taken for one of LiteLLM itself, and no failure of the deployment.',
    ),
    Difference(
        ('1.80.11', '1.88.6', '1.95.1', '1.106.2'),
        ('litellm.deployment.cooled_down.count',),
        'With `allowed_fails` set, a deployment that is alone in its group and has no fallback is cooled down, too.',
    ),
)
