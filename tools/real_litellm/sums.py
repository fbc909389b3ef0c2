"""The sums that the check has to submit for the traffic, metric by metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .callers import ADA, BOB
from .config import MCP_TOOL_PRICE
from .workload import UNKNOWN_KEY, Sent

__all__ = ['SUMS', 'SUMS_WITHOUT_LICENCE', 'Sum']


class Sum(NamedTuple):
    """A count in Datadog and what it has to come to; `tag` narrows it down to some of its contexts.

    `family` is the raw family that it is made of: a release without that family does not count it.
    """

    family: str
    metric: str
    expected: Callable[[Sent], float]
    tag: str = ''

    def __str__(self) -> str:
        return f'{self.metric}{{{self.tag}}}' if self.tag else self.metric


_REQUESTS = ('litellm_proxy_total_requests_metric', 'litellm.proxy.total_requests.metric.count')
_DEPLOYMENT_FAILURES = ('litellm_deployment_failure_responses', 'litellm.deployment.failure_responses.count')


def _status(status: int) -> Sum:
    return Sum(*_REQUESTS, lambda sent: sent.answers[status], f'status_code:{status}')


def _key(key: str, alias: str) -> Sum:
    return Sum(*_REQUESTS, lambda sent: sent.by_key[key], f'api_key_alias:{alias}')


def _failures_of(deployment: str) -> Sum:
    return Sum(*_DEPLOYMENT_FAILURES, lambda sent: sent.deployment_failures[deployment], f'model_id:{deployment}')


def _tokens(family: str, metric: str, kind: str) -> Sum:
    return Sum(f'litellm_{family}', f'litellm.{metric}.count', lambda sent: sent.tokens[kind])


def _count(family: str, metric: str, expected: Callable[[Sent], float]) -> Sum:
    return Sum(f'litellm_{family}', f'litellm.{metric}.count', expected)


SUMS = (
    Sum(*_REQUESTS, lambda sent: sent.requests),
    *map(_status, (200, 400, 401, 408, 500)),
    _key(ADA.key, ADA.fields['key_alias']),
    _key(BOB.key, BOB.fields['key_alias']),
    _count('requests_metric', 'requests.metric', lambda sent: sent.successes),
    _count('proxy_failed_requests_metric', 'proxy.failed_requests.metric', lambda sent: sent.failures),
    _count('deployment_success_responses', 'deployment.success_responses', lambda sent: sent.successes),
    *map(_failures_of, ('limited', 'too-long', 'recovering-a', 'broken', 'unauthorized', 'timing-out')),
    _count('deployment_cooled_down', 'deployment.cooled_down', lambda sent: sent.cooled_down),
    _count('deployment_successful_fallbacks', 'deployment.successful_fallbacks', lambda sent: sent.fallbacks),
    _count('deployment_failed_fallbacks', 'deployment.failed_fallbacks', lambda sent: sent.failed_fallbacks),
    _tokens('total_tokens_metric', 'total.tokens', 'total'),
    _tokens('input_tokens_metric', 'input_tokens.metric', 'input'),
    _tokens('output_tokens_metric', 'output_tokens.metric', 'output'),
    _tokens('input_cached_tokens_metric', 'input_cached_tokens.metric', 'prompt_tokens_details.cached_tokens'),
    _tokens(
        'input_cache_creation_tokens_metric',
        'input_cache_creation_tokens.metric',
        'prompt_tokens_details.cache_creation_tokens',
    ),
    _tokens('input_audio_tokens_metric', 'input_audio_tokens.metric', 'prompt_tokens_details.audio_tokens'),
    _tokens(
        'output_reasoning_tokens_metric', 'output_reasoning_tokens.metric', 'completion_tokens_details.reasoning_tokens'
    ),
    _tokens('output_audio_tokens_metric', 'output_audio_tokens.metric', 'completion_tokens_details.audio_tokens'),
    _count('cache_hits_metric', 'cache.hits.metric', lambda sent: sent.cache_hits),
    # Some releases have a callback of their own that fails, too.
    Sum(
        'litellm_callback_logging_failures_metric',
        'litellm.callback.logging_failures.metric.count',
        lambda sent: sent.unlogged,
        'callback_name:FailingLogger',
    ),
    _count('zero_cost_requests', 'zero_cost_requests', lambda sent: sent.unpriced),
    _count('guardrail_requests', 'guardrail.requests', lambda sent: sent.guardrail_checks),
    _count('guardrail_errors', 'guardrail.errors', lambda sent: sent.guardrail_blocks),
    _count('guardrail_latency_seconds', 'guardrail.latency_seconds', lambda sent: sent.guardrail_checks),
    _count('images_generated_metric', 'images_generated.metric', lambda sent: sent.images),
    _count('video_duration_seconds_metric', 'video_duration_seconds.metric', lambda sent: sent.video_seconds),
    _count('mcp_tool_calls', 'mcp.tool_calls', lambda sent: sent.mcp_calls),
    _count('mcp_tool_call_spend_metric', 'mcp.tool_call_spend.metric', lambda sent: sent.mcp_calls * MCP_TOOL_PRICE),
    _count('admission_rejected_requests', 'admission.rejected_requests', lambda sent: sent.turned_away),
    _count('request_total_latency_metric', 'request.total_latency.metric', lambda sent: sent.successes),
    # Neither an answer from the cache nor a tool call goes to a model.
    _count(
        'llm_api_latency_metric',
        'llm.api.latency.metric',
        lambda sent: sent.successes - sent.cache_hits - sent.mcp_calls,
    ),
    _count('llm_api_time_to_first_token_metric', 'llm.api.time_to_first_token.metric', lambda sent: sent.streams),
)

# What a release that wants an enterprise licence counts without one: successes, and requests with a key that it knows.
SUMS_WITHOUT_LICENCE = (
    _count('self_total_requests', 'self.total_requests', lambda sent: sent.successes),
    _count('auth_total_requests', 'auth.total_requests', lambda sent: sent.requests - sent.by_key[UNKNOWN_KEY]),
)
