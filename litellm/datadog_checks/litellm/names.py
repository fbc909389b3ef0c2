"""The one place that says which Prometheus family of LiteLLM becomes which Datadog metric.

Keys are raw family names as a Prometheus parser reports them: a counter without its `_total`, a histogram without
`_bucket`, `_sum` and `_count`. Values leave out the namespace `litellm.`, which the Agent adds. A counter is submitted
as `NAME.count`, a histogram as `NAME.bucket`, `NAME.count` and `NAME.sum`, a gauge as `NAME`.

Units, descriptions and sample tags are facts of the Datadog side and live in `metadata.csv`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = [
    'COUNTERS',
    'FORK_PREFIX',
    'GAUGES',
    'HEALTH_METRICS',
    'HISTOGRAMS',
    'NO_LIMIT',
    'PREFIX',
    'START_TIME',
    'UNLICENSED_FAMILY',
    'Gauge',
    'Reduction',
    'gauge_reduction',
    'is_litellm_family',
    'metrics_config',
    'raw_names',
    'submitted_names',
    'unprefixed',
]

PREFIX = 'litellm_'
FORK_PREFIX = 'llm_'

# Values that LiteLLM writes into a gauge to say "there is no limit": no budget, or `sys.maxsize` requests or tokens.
NO_LIMIT = frozenset({float('inf'), float(2**63 - 1)})

# All that a release before 1.80.0 exposes of its Prometheus callback without an enterprise licence.
UNLICENSED_FAMILY = 'litellm_not_a_premium_user_metric'

# The one family of the process itself that is worth a metric: submitted as the seconds since that time.
START_TIME = ('process_start_time_seconds', 'process.uptime.seconds')

# What `/health` tells of the models, which has no family.
HEALTH_METRICS = ('endpoint.age', 'endpoint.healthy_count', 'endpoint.info', 'endpoint.unhealthy_count')

Reduction = Callable[[float, float], float]
MAX: Reduction = max
MIN: Reduction = min
SUM: Reduction = operator.add


class Gauge(NamedTuple):
    """A gauge's Datadog name, and how series become one when they differ only in labels that are not kept as tags.

    What is about to run out takes the minimum, a limit, a state or what every worker sees alike the maximum, and what
    each worker holds for itself the sum.
    """

    name: str
    reduction: Reduction


COUNTERS: dict[str, str] = {
    'litellm_admission_rejected_requests': 'admission.rejected_requests',
    'litellm_anthropic_wif_cache_failed_requests': 'anthropic_wif_cache.failed_requests',
    'litellm_anthropic_wif_cache_total_requests': 'anthropic_wif_cache.total_requests',
    'litellm_anthropic_wif_failed_requests': 'anthropic_wif.failed_requests',
    'litellm_anthropic_wif_total_requests': 'anthropic_wif.total_requests',
    'litellm_auth_failed_requests': 'auth.failed_requests',
    'litellm_auth_total_requests': 'auth.total_requests',
    'litellm_batch_write_to_db_failed_requests': 'batch_write_to_db.failed_requests',
    'litellm_batch_write_to_db_total_requests': 'batch_write_to_db.total_requests',
    'litellm_cache_hits_metric': 'cache.hits.metric',
    'litellm_cache_misses_metric': 'cache.misses.metric',
    'litellm_cached_tokens_metric': 'cached_tokens.metric',
    'litellm_callback_logging_failures_metric': 'callback.logging_failures.metric',
    'litellm_check_batch_cost_errors': 'check_batch_cost.errors',
    'litellm_check_batch_cost_jobs_processed': 'check_batch_cost.jobs_processed',
    'litellm_deployment_cooled_down': 'deployment.cooled_down',
    'litellm_deployment_failed_fallbacks': 'deployment.failed_fallbacks',
    'litellm_deployment_failed_fallbacks_by_tag': 'deployment.failed_fallbacks_by_tag',
    'litellm_deployment_failure_by_tag_responses': 'deployment.failure_by_tag_responses',
    'litellm_deployment_failure_responses': 'deployment.failure_responses',
    'litellm_deployment_success_responses': 'deployment.success_responses',
    'litellm_deployment_successful_fallbacks': 'deployment.successful_fallbacks',
    'litellm_deployment_successful_fallbacks_by_tag': 'deployment.successful_fallbacks_by_tag',
    'litellm_deployment_total_requests': 'deployment.total_requests',
    'litellm_guardrail_errors': 'guardrail.errors',
    'litellm_guardrail_requests': 'guardrail.requests',
    'litellm_images_generated_metric': 'images_generated.metric',
    'litellm_input_audio_tokens_metric': 'input_audio_tokens.metric',
    'litellm_input_cache_creation_tokens_metric': 'input_cache_creation_tokens.metric',
    'litellm_input_cached_tokens_metric': 'input_cached_tokens.metric',
    'litellm_input_tokens': 'input.tokens',
    'litellm_input_tokens_by_tag': 'input.tokens_by_tag',
    'litellm_input_tokens_metric': 'input_tokens.metric',
    'litellm_lens_export_rows_dropped': 'lens_export.rows_dropped',
    'litellm_lens_export_rows_written': 'lens_export.rows_written',
    'litellm_llm_api_failed_requests_metric': 'llm.api.failed_requests.metric',
    'litellm_managed_batch_created': 'managed_batch.created',
    'litellm_managed_file_created': 'managed_file.created',
    'litellm_managed_file_deleted': 'managed_file.deleted',
    'litellm_mcp_tool_call_spend_metric': 'mcp.tool_call_spend.metric',
    'litellm_mcp_tool_calls': 'mcp.tool_calls',
    'litellm_not_a_premium_user_metric': 'not_a_premium_user.metric',
    'litellm_output_audio_tokens_metric': 'output_audio_tokens.metric',
    'litellm_output_reasoning_tokens_metric': 'output_reasoning_tokens.metric',
    'litellm_output_tokens': 'output.tokens',
    'litellm_output_tokens_by_tag': 'output.tokens_by_tag',
    'litellm_output_tokens_metric': 'output_tokens.metric',
    'litellm_postgres_failed_requests': 'postgres.failed_requests',
    'litellm_postgres_total_requests': 'postgres.total_requests',
    'litellm_provider_cache_creation_input_tokens_metric': 'provider_cache.creation_input_tokens.metric',
    'litellm_provider_cache_read_input_tokens_metric': 'provider_cache.read_input_tokens.metric',
    'litellm_proxy_failed_requests_by_tag_metric': 'proxy.failed_requests_by_tag.metric',
    'litellm_proxy_failed_requests_metric': 'proxy.failed_requests.metric',
    'litellm_proxy_pre_call_failed_requests': 'proxy.pre_call.failed_requests',
    'litellm_proxy_pre_call_total_requests': 'proxy.pre_call.total_requests',
    'litellm_proxy_total_requests_by_tag_metric': 'proxy.total_requests_by_tag.metric',
    'litellm_proxy_total_requests_metric': 'proxy.total_requests.metric',
    'litellm_redis_circuit_breaker_failures': 'redis.circuit_breaker.failures',
    'litellm_redis_circuit_breaker_transitions': 'redis.circuit_breaker.transitions',
    'litellm_redis_daily_org_spend_update_queue_failed_requests': 'redis.daily_org_spend_update_queue.failed_requests',
    'litellm_redis_daily_org_spend_update_queue_total_requests': 'redis.daily_org_spend_update_queue.total_requests',
    'litellm_redis_daily_tag_spend_update_queue_failed_requests': 'redis.daily_tag_spend_update_queue.failed_requests',
    'litellm_redis_daily_tag_spend_update_queue_total_requests': 'redis.daily_tag_spend_update_queue.total_requests',
    'litellm_redis_daily_team_spend_update_queue_failed_requests': 'redis.daily_team_spend_update_queue.failed_requests',
    'litellm_redis_daily_team_spend_update_queue_total_requests': 'redis.daily_team_spend_update_queue.total_requests',
    'litellm_redis_failed_requests': 'redis.failed_requests',
    'litellm_redis_total_requests': 'redis.total_requests',
    'litellm_redis_window_spend_update_queue_failed_requests': 'redis.window_spend_update_queue.failed_requests',
    'litellm_redis_window_spend_update_queue_total_requests': 'redis.window_spend_update_queue.total_requests',
    'litellm_requests_metric': 'requests.metric',
    'litellm_reset_budget_job_failed_requests': 'reset_budget_job.failed_requests',
    'litellm_reset_budget_job_total_requests': 'reset_budget_job.total_requests',
    'litellm_router_failed_requests': 'router.failed_requests',
    'litellm_router_total_requests': 'router.total_requests',
    'litellm_self_failed_requests': 'self.failed_requests',
    'litellm_self_total_requests': 'self.total_requests',
    'litellm_spend_log_cleanup_batch_failures': 'spend_log_cleanup.batch_failures',
    'litellm_spend_log_cleanup_rows_deleted': 'spend_log_cleanup.rows_deleted',
    'litellm_spend_log_cleanup_runs': 'spend_log_cleanup.runs',
    'litellm_spend_metric': 'spend.metric',
    'litellm_total_tokens': 'total.tokens',
    'litellm_total_tokens_by_tag': 'total.tokens_by_tag',
    'litellm_total_tokens_metric': 'total.tokens',
    'litellm_video_duration_seconds_metric': 'video_duration_seconds.metric',
    'litellm_zero_cost_requests': 'zero_cost_requests',
}

GAUGES: dict[str, Gauge] = {
    'litellm_active_users': Gauge('active_users', MAX),
    'litellm_admission_admitted_requests': Gauge('admission.admitted_requests', SUM),
    'litellm_admission_queued_requests': Gauge('admission.queued_requests', SUM),
    'litellm_api_key_budget_remaining_hours_metric': Gauge('api.key.budget.remaining_hours.metric', MIN),
    'litellm_api_key_max_budget_metric': Gauge('api.key.max_budget.metric', MAX),
    'litellm_api_key_rate_limit_allowed_metric': Gauge('api.key.rate_limit_allowed.metric', MAX),
    'litellm_api_key_rate_limit_used_metric': Gauge('api.key.rate_limit_used.metric', MAX),
    'litellm_check_batch_cost_jobs_polled': Gauge('check_batch_cost.jobs_polled', MAX),
    'litellm_check_batch_cost_last_run_timestamp': Gauge('check_batch_cost.last_run_timestamp', MAX),
    'litellm_customer_budget_remaining_hours_metric': Gauge('customer.budget.remaining_hours.metric', MIN),
    'litellm_customer_max_budget_metric': Gauge('customer.max_budget.metric', MAX),
    'litellm_deployment_rpm_limit': Gauge('deployment.rpm_limit', MAX),
    'litellm_deployment_state': Gauge('deployment.state', MAX),
    'litellm_deployment_tpm_limit': Gauge('deployment.tpm_limit', MAX),
    'litellm_in_flight_requests': Gauge('in_flight_requests', SUM),
    'litellm_in_memory_daily_spend_update_queue_size': Gauge('in_memory.daily_spend_update_queue.size', SUM),
    'litellm_in_memory_spend_update_queue_size': Gauge('in_memory.spend_update_queue.size', SUM),
    'litellm_managed_file_size_bytes': Gauge('managed_file.size_bytes', MAX),
    'litellm_org_budget_remaining_hours_metric': Gauge('org.budget.remaining_hours.metric', MIN),
    'litellm_org_max_budget_metric': Gauge('org.max_budget.metric', MAX),
    'litellm_pod_lock_manager_size': Gauge('pod_lock_manager.size', MAX),
    'litellm_project_model_rate_limit_allowed_metric': Gauge('project.model.rate_limit_allowed.metric', MAX),
    'litellm_project_model_rate_limit_used_metric': Gauge('project.model.rate_limit_used.metric', MAX),
    'litellm_provider_remaining_budget_metric': Gauge('provider.remaining_budget.metric', MIN),
    'litellm_redis_circuit_breaker_state': Gauge('redis.circuit_breaker.state', SUM),
    'litellm_redis_daily_agent_spend_update_queue_size': Gauge('redis.daily_agent_spend_update_queue.size', MAX),
    'litellm_redis_daily_end_user_spend_update_queue_size': Gauge('redis.daily_end_user_spend_update_queue.size', MAX),
    'litellm_redis_daily_spend_update_queue_size': Gauge('redis.daily_spend_update_queue.size', MAX),
    'litellm_redis_spend_update_queue_size': Gauge('redis.spend_update_queue.size', MAX),
    'litellm_remaining_api_key_budget_metric': Gauge('remaining.api_key.budget.metric', MIN),
    'litellm_remaining_api_key_requests_for_model': Gauge('remaining.api_key.requests_for_model', MIN),
    'litellm_remaining_api_key_tokens_for_model': Gauge('remaining.api_key.tokens_for_model', MIN),
    'litellm_remaining_customer_budget_metric': Gauge('remaining.customer_budget.metric', MIN),
    'litellm_remaining_org_budget_metric': Gauge('remaining.org_budget.metric', MIN),
    'litellm_remaining_requests': Gauge('remaining.requests', MIN),
    'litellm_remaining_requests_metric': Gauge('remaining_requests.metric', MIN),
    'litellm_remaining_team_budget_metric': Gauge('remaining.team_budget.metric', MIN),
    'litellm_remaining_tokens': Gauge('remaining_tokens', MIN),
    'litellm_remaining_tokens_metric': Gauge('remaining_tokens.metric', MIN),
    'litellm_remaining_user_budget_metric': Gauge('remaining.user_budget.metric', MIN),
    'litellm_spend_capture_rate': Gauge('spend.capture_rate', MIN),
    'litellm_spend_log_cleanup_rows_remaining': Gauge('spend_log_cleanup.rows_remaining', MAX),
    'litellm_spend_log_storage_bytes': Gauge('spend_log.storage_bytes', MAX),
    'litellm_team_budget_remaining_hours_metric': Gauge('team.budget.remaining_hours.metric', MIN),
    'litellm_team_max_budget_metric': Gauge('team.max_budget.metric', MAX),
    'litellm_team_members_metric': Gauge('team.members.metric', MAX),
    'litellm_team_rate_limit_allowed_metric': Gauge('team.rate_limit_allowed.metric', MAX),
    'litellm_team_rate_limit_used_metric': Gauge('team.rate_limit_used.metric', MAX),
    'litellm_teams_count': Gauge('teams_count', MAX),
    'litellm_total_users': Gauge('total_users', MAX),
    'litellm_user_budget_remaining_hours_metric': Gauge('user.budget.remaining_hours.metric', MIN),
    'litellm_user_max_budget_metric': Gauge('user.max_budget.metric', MAX),
}

HISTOGRAMS: dict[str, str] = {
    'litellm_anthropic_wif_latency': 'anthropic_wif.latency',
    'litellm_auth_latency': 'auth.latency',
    'litellm_batch_write_to_db_latency': 'batch_write_to_db.latency',
    'litellm_deployment_latency_per_output_token': 'deployment.latency_per_output_token',
    'litellm_deployment_latency_per_output_token_by_tag': 'deployment.latency_per_output_token_by_tag',
    'litellm_guardrail_latency_seconds': 'guardrail.latency_seconds',
    'litellm_llm_api_latency_by_tag_metric': 'llm.api.latency_by_tag.metric',
    'litellm_llm_api_latency_metric': 'llm.api.latency.metric',
    'litellm_llm_api_time_to_first_token_metric': 'llm.api.time_to_first_token.metric',
    'litellm_managed_batch_duration_seconds': 'managed_batch.duration_seconds',
    'litellm_overhead_latency_metric': 'overhead_latency.metric',
    'litellm_overhead_with_guardrails_latency_metric': 'overhead_with_guardrails_latency.metric',
    'litellm_postgres_latency': 'postgres.latency',
    'litellm_proxy_pre_call_latency': 'proxy.pre_call.latency',
    'litellm_redis_daily_org_spend_update_queue_latency': 'redis.daily_org_spend_update_queue.latency',
    'litellm_redis_daily_tag_spend_update_queue_latency': 'redis.daily_tag_spend_update_queue.latency',
    'litellm_redis_daily_team_spend_update_queue_latency': 'redis.daily_team_spend_update_queue.latency',
    'litellm_redis_latency': 'redis.latency',
    'litellm_redis_window_spend_update_queue_latency': 'redis.window_spend_update_queue.latency',
    'litellm_request_queue_time_seconds': 'request.queue_time_seconds',
    'litellm_request_total_latency_by_tag_metric': 'request.total_latency_by_tag.metric',
    'litellm_request_total_latency_metric': 'request.total_latency.metric',
    'litellm_reset_budget_job_latency': 'reset_budget_job.latency',
    'litellm_router_latency': 'router.latency',
    'litellm_self_latency': 'self.latency',
    'litellm_spend_log_cleanup_batch_duration_seconds': 'spend_log_cleanup.batch_duration_seconds',
}

# Earlier spellings of families above.
_OLD_SPELLINGS = {'litellm_redis_fails': 'litellm_redis_failed_requests'}


def raw_names() -> dict[str, str]:
    """Return every raw family name that the check maps, with its Datadog name, in all known spellings.

    LiteLLM forks expose the same families under the prefix `llm_`.
    """
    names = {**COUNTERS, **{raw: gauge.name for raw, gauge in GAUGES.items()}, **HISTOGRAMS}
    names.update({old: names[new] for old, new in _OLD_SPELLINGS.items()})
    names.update({FORK_PREFIX + raw.removeprefix(PREFIX): name for raw, name in names.items()})
    return names


def metrics_config() -> list[dict[str, Any]]:
    """Return the mapping in the form of the OpenMetrics base check's `metrics` option."""
    raw_start_time, uptime = START_TIME
    return [{**raw_names(), raw_start_time: {'name': uptime, 'type': 'time_elapsed'}}]


def is_litellm_family(name: str) -> bool:
    """Tell whether a family of this name comes from LiteLLM or a fork, mapped or not."""
    return name.startswith((PREFIX, FORK_PREFIX))


def unprefixed(raw: str) -> str:
    """Return the name of a LiteLLM family without the prefix that all of them have."""
    return raw.removeprefix(PREFIX).removeprefix(FORK_PREFIX)


def submitted_names() -> Iterator[tuple[str, str]]:
    """Yield the full Datadog name and type (`count` or `gauge`) of every metric that the mapping can submit."""
    for name in {*COUNTERS.values()}:
        yield f'litellm.{name}.count', 'count'
    for name in {*HISTOGRAMS.values()}:
        for suffix in ('bucket', 'count', 'sum'):
            yield f'litellm.{name}.{suffix}', 'count'
    for name in {START_TIME[1], *HEALTH_METRICS, *(gauge.name for gauge in GAUGES.values())}:
        yield f'litellm.{name}', 'gauge'


def gauge_reduction(raw: str) -> Reduction | None:
    """Return how series of this gauge family become one, or None for a family that is not mapped."""
    gauge = GAUGES.get(raw) or GAUGES.get(PREFIX + unprefixed(raw))
    return None if gauge is None else gauge.reduction
