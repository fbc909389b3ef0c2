"""The one place that says which Prometheus family of LiteLLM becomes which Datadog metric.

Keys are raw family names as a Prometheus parser reports them: a counter without its `_total`, a histogram without
`_bucket`, `_sum` and `_count`. Values leave out the namespace `litellm.`, which the Agent adds. A counter is submitted
as `NAME.count`, a histogram as `NAME.bucket`, `NAME.count` and `NAME.sum`, a gauge as `NAME`.

Each family belongs to one group, with which a user can switch it off: the values of `Group` are those of the option
`exclude_metric_groups`.

Units, descriptions and sample tags are facts of the Datadog side and live in `metadata.csv`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = [
    'CHECK_INFO',
    'CONTEXTS_DROPPED',
    'COUNTERS',
    'CPU_SECONDS',
    'ENDPOINT_AGE',
    'ENDPOINT_HEALTHY_COUNT',
    'ENDPOINT_INFO',
    'ENDPOINT_UNHEALTHY_COUNT',
    'FORK_PREFIX',
    'GAUGES',
    'HEALTH_METRICS',
    'HISTOGRAMS',
    'HISTOGRAM_PARTS',
    'MAXIMA_OF_BUDGETS',
    'NO_LIMIT',
    'PREFIX',
    'PROCESS',
    'START_TIME',
    'UNLICENSED_FAMILY',
    'Counted',
    'Elapsed',
    'Gauge',
    'Group',
    'Reduction',
    'families_of_groups',
    'gauge_reduction',
    'is_litellm_family',
    'is_shared_state',
    'metrics_config',
    'raw_names',
    'submitted_names',
    'unprefixed',
]

PREFIX = 'litellm_'
FORK_PREFIX = 'llm_'

# Values that LiteLLM writes into a gauge to say "there is no limit": no budget, or `sys.maxsize` requests or tokens.
NO_LIMIT = frozenset({float('inf'), float(2**63 - 1)})

# All that the Prometheus callback exposes before 1.80.0 without an enterprise license.
UNLICENSED_FAMILY = 'litellm_not_a_premium_user_metric'

# The metrics of a histogram are named after it, with each of these behind a dot. That of a counter ends in the second.
HISTOGRAM_PARTS = ('bucket', 'count', 'sum')

# Sent in every run, with the version of the check: the check of this name that Agents bundle does not send it.
CHECK_INFO = 'check.info'
# What the check reports about itself when `max_contexts` is set.
CONTEXTS_DROPPED = 'check.contexts_dropped'
# What `/health` says about the models: it comes from no family.
ENDPOINT_AGE = 'endpoint.age'
ENDPOINT_HEALTHY_COUNT = 'endpoint.healthy_count'
ENDPOINT_INFO = 'endpoint.info'
ENDPOINT_UNHEALTHY_COUNT = 'endpoint.unhealthy_count'
HEALTH_METRICS = (ENDPOINT_AGE, ENDPOINT_HEALTHY_COUNT, ENDPOINT_INFO, ENDPOINT_UNHEALTHY_COUNT)


class Elapsed(NamedTuple):
    """A family whose value is a point in time, and the Datadog name under which the seconds since then are submitted."""

    raw: str
    name: str


START_TIME = Elapsed('process_start_time_seconds', 'process.uptime.seconds')

# The sample of a counter that a few scrapes move at the latest, as the process has to work for them.
CPU_SECONDS = 'process_cpu_seconds_total'

Reduction = Callable[[float, float], float]
MAX: Reduction = max
MIN: Reduction = min
SUM: Reduction = operator.add


class Group(StrEnum):
    """Families that a user wants or does not want together."""

    # Counted once per request tag, in older releases only.
    BY_TAG = 'by_tag'
    # Requests answered from LiteLLM's cache.
    CACHE = 'cache'
    # Calls to deployments, their state, fallbacks, and what remains of the provider's rate limit.
    DEPLOYMENTS = 'deployments'
    # Replaced by other families: LiteLLM still exposes them, or did until the replacement.
    DEPRECATED = 'deprecated'
    # Managed files and batches.
    FILES = 'files'
    GUARDRAILS = 'guardrails'
    KEY_BUDGETS = 'key_budgets'
    LATENCY = 'latency'
    MCP = 'mcp'
    # Images and videos.
    MEDIA = 'media'
    # Memory, CPU time, open files, and garbage collection of the process that answered.
    PROCESS = 'process'
    # The proxy's own, of keys, teams, and projects.
    RATE_LIMITS = 'rate_limits'
    # Requests to the proxy, failures, and requests in flight.
    REQUESTS = 'requests'
    # The proxy's internals: Redis, database, queues, router, authentication, background jobs.
    SERVICES = 'services'
    SPEND = 'spend'
    # Of teams, organizations and providers.
    TEAM_BUDGETS = 'team_budgets'
    # Input, output and total.
    TOKENS = 'tokens'
    # Tokens by kind: cached, audio, reasoning.
    TOKEN_DETAILS = 'token_details'
    # How many users and teams there are.
    USERS = 'users'
    # Of users and customers.
    USER_BUDGETS = 'user_budgets'


class Counted(NamedTuple):
    """The Datadog name and the group of a counter or histogram."""

    name: str
    group: Group


class Gauge(NamedTuple):
    """The Datadog name of a gauge, how series that differ only in labels that are not tags become one, and its group.

    What can run out takes the minimum; a limit, a state, or what every worker reports alike takes the maximum; what
    each worker holds for itself is summed. All but the last is state that the workers share: among them, who changed it
    last knows best, and a worker that has ended knows nothing any more.
    """

    name: str
    reduction: Reduction
    group: Group


COUNTERS: dict[str, Counted] = {
    'litellm_admission_rejected_requests': Counted('admission.rejected_requests', Group.REQUESTS),
    'litellm_anthropic_wif_cache_failed_requests': Counted('anthropic_wif_cache.failed_requests', Group.SERVICES),
    'litellm_anthropic_wif_cache_total_requests': Counted('anthropic_wif_cache.total_requests', Group.SERVICES),
    'litellm_anthropic_wif_failed_requests': Counted('anthropic_wif.failed_requests', Group.SERVICES),
    'litellm_anthropic_wif_total_requests': Counted('anthropic_wif.total_requests', Group.SERVICES),
    'litellm_auth_failed_requests': Counted('auth.failed_requests', Group.SERVICES),
    'litellm_auth_total_requests': Counted('auth.total_requests', Group.SERVICES),
    'litellm_batch_write_to_db_failed_requests': Counted('batch_write_to_db.failed_requests', Group.SERVICES),
    'litellm_batch_write_to_db_total_requests': Counted('batch_write_to_db.total_requests', Group.SERVICES),
    'litellm_cache_hits_metric': Counted('cache.hits.metric', Group.CACHE),
    'litellm_cache_misses_metric': Counted('cache.misses.metric', Group.CACHE),
    'litellm_cached_tokens_metric': Counted('cached_tokens.metric', Group.CACHE),
    'litellm_callback_logging_failures_metric': Counted('callback.logging_failures.metric', Group.SERVICES),
    'litellm_check_batch_cost_errors': Counted('check_batch_cost.errors', Group.FILES),
    'litellm_check_batch_cost_jobs_processed': Counted('check_batch_cost.jobs_processed', Group.FILES),
    'litellm_deployment_cooled_down': Counted('deployment.cooled_down', Group.DEPLOYMENTS),
    'litellm_deployment_failed_fallbacks': Counted('deployment.failed_fallbacks', Group.DEPLOYMENTS),
    'litellm_deployment_failed_fallbacks_by_tag': Counted('deployment.failed_fallbacks_by_tag', Group.BY_TAG),
    'litellm_deployment_failure_by_tag_responses': Counted('deployment.failure_by_tag_responses', Group.BY_TAG),
    'litellm_deployment_failure_responses': Counted('deployment.failure_responses', Group.DEPLOYMENTS),
    'litellm_deployment_success_responses': Counted('deployment.success_responses', Group.DEPLOYMENTS),
    'litellm_deployment_successful_fallbacks': Counted('deployment.successful_fallbacks', Group.DEPLOYMENTS),
    'litellm_deployment_successful_fallbacks_by_tag': Counted('deployment.successful_fallbacks_by_tag', Group.BY_TAG),
    'litellm_deployment_total_requests': Counted('deployment.total_requests', Group.DEPLOYMENTS),
    'litellm_guardrail_errors': Counted('guardrail.errors', Group.GUARDRAILS),
    'litellm_guardrail_requests': Counted('guardrail.requests', Group.GUARDRAILS),
    'litellm_images_generated_metric': Counted('images_generated.metric', Group.MEDIA),
    'litellm_input_audio_tokens_metric': Counted('input_audio_tokens.metric', Group.TOKEN_DETAILS),
    'litellm_input_cache_creation_tokens_metric': Counted('input_cache_creation_tokens.metric', Group.TOKEN_DETAILS),
    'litellm_input_cached_tokens_metric': Counted('input_cached_tokens.metric', Group.TOKEN_DETAILS),
    'litellm_input_tokens': Counted('input.tokens', Group.DEPRECATED),
    'litellm_input_tokens_by_tag': Counted('input.tokens_by_tag', Group.BY_TAG),
    'litellm_input_tokens_metric': Counted('input_tokens.metric', Group.TOKENS),
    'litellm_lens_export_rows_dropped': Counted('lens_export.rows_dropped', Group.SERVICES),
    'litellm_lens_export_rows_written': Counted('lens_export.rows_written', Group.SERVICES),
    'litellm_llm_api_failed_requests_metric': Counted('llm.api.failed_requests.metric', Group.DEPRECATED),
    'litellm_managed_batch_created': Counted('managed_batch.created', Group.FILES),
    'litellm_managed_file_created': Counted('managed_file.created', Group.FILES),
    'litellm_managed_file_deleted': Counted('managed_file.deleted', Group.FILES),
    'litellm_mcp_tool_call_spend_metric': Counted('mcp.tool_call_spend.metric', Group.MCP),
    'litellm_mcp_tool_calls': Counted('mcp.tool_calls', Group.MCP),
    'litellm_not_a_premium_user_metric': Counted('not_a_premium_user.metric', Group.REQUESTS),
    'litellm_output_audio_tokens_metric': Counted('output_audio_tokens.metric', Group.TOKEN_DETAILS),
    'litellm_output_reasoning_tokens_metric': Counted('output_reasoning_tokens.metric', Group.TOKEN_DETAILS),
    'litellm_output_tokens': Counted('output.tokens', Group.DEPRECATED),
    'litellm_output_tokens_by_tag': Counted('output.tokens_by_tag', Group.BY_TAG),
    'litellm_output_tokens_metric': Counted('output_tokens.metric', Group.TOKENS),
    'litellm_postgres_failed_requests': Counted('postgres.failed_requests', Group.SERVICES),
    'litellm_postgres_total_requests': Counted('postgres.total_requests', Group.SERVICES),
    'litellm_provider_cache_creation_input_tokens_metric': Counted(
        'provider_cache.creation_input_tokens.metric', Group.TOKEN_DETAILS
    ),
    'litellm_provider_cache_read_input_tokens_metric': Counted(
        'provider_cache.read_input_tokens.metric', Group.TOKEN_DETAILS
    ),
    'litellm_proxy_failed_requests_by_tag_metric': Counted('proxy.failed_requests_by_tag.metric', Group.BY_TAG),
    'litellm_proxy_failed_requests_metric': Counted('proxy.failed_requests.metric', Group.REQUESTS),
    'litellm_proxy_pre_call_failed_requests': Counted('proxy.pre_call.failed_requests', Group.SERVICES),
    'litellm_proxy_pre_call_total_requests': Counted('proxy.pre_call.total_requests', Group.SERVICES),
    'litellm_proxy_total_requests_by_tag_metric': Counted('proxy.total_requests_by_tag.metric', Group.BY_TAG),
    'litellm_proxy_total_requests_metric': Counted('proxy.total_requests.metric', Group.REQUESTS),
    'litellm_redis_circuit_breaker_failures': Counted('redis.circuit_breaker.failures', Group.SERVICES),
    'litellm_redis_circuit_breaker_transitions': Counted('redis.circuit_breaker.transitions', Group.SERVICES),
    'litellm_redis_daily_org_spend_update_queue_failed_requests': Counted(
        'redis.daily_org_spend_update_queue.failed_requests', Group.SERVICES
    ),
    'litellm_redis_daily_org_spend_update_queue_total_requests': Counted(
        'redis.daily_org_spend_update_queue.total_requests', Group.SERVICES
    ),
    'litellm_redis_daily_tag_spend_update_queue_failed_requests': Counted(
        'redis.daily_tag_spend_update_queue.failed_requests', Group.SERVICES
    ),
    'litellm_redis_daily_tag_spend_update_queue_total_requests': Counted(
        'redis.daily_tag_spend_update_queue.total_requests', Group.SERVICES
    ),
    'litellm_redis_daily_team_spend_update_queue_failed_requests': Counted(
        'redis.daily_team_spend_update_queue.failed_requests', Group.SERVICES
    ),
    'litellm_redis_daily_team_spend_update_queue_total_requests': Counted(
        'redis.daily_team_spend_update_queue.total_requests', Group.SERVICES
    ),
    'litellm_redis_failed_requests': Counted('redis.failed_requests', Group.SERVICES),
    'litellm_redis_total_requests': Counted('redis.total_requests', Group.SERVICES),
    'litellm_redis_window_spend_update_queue_failed_requests': Counted(
        'redis.window_spend_update_queue.failed_requests', Group.SERVICES
    ),
    'litellm_redis_window_spend_update_queue_total_requests': Counted(
        'redis.window_spend_update_queue.total_requests', Group.SERVICES
    ),
    'litellm_requests_metric': Counted('requests.metric', Group.DEPRECATED),
    'litellm_reset_budget_job_failed_requests': Counted('reset_budget_job.failed_requests', Group.SERVICES),
    'litellm_reset_budget_job_total_requests': Counted('reset_budget_job.total_requests', Group.SERVICES),
    'litellm_router_failed_requests': Counted('router.failed_requests', Group.SERVICES),
    'litellm_router_total_requests': Counted('router.total_requests', Group.SERVICES),
    'litellm_self_failed_requests': Counted('self.failed_requests', Group.SERVICES),
    'litellm_self_total_requests': Counted('self.total_requests', Group.SERVICES),
    'litellm_spend_log_cleanup_batch_failures': Counted('spend_log_cleanup.batch_failures', Group.SERVICES),
    'litellm_spend_log_cleanup_rows_deleted': Counted('spend_log_cleanup.rows_deleted', Group.SERVICES),
    'litellm_spend_log_cleanup_runs': Counted('spend_log_cleanup.runs', Group.SERVICES),
    'litellm_spend_metric': Counted('spend.metric', Group.SPEND),
    'litellm_total_tokens': Counted('total.tokens', Group.DEPRECATED),
    'litellm_total_tokens_by_tag': Counted('total.tokens_by_tag', Group.BY_TAG),
    'litellm_total_tokens_metric': Counted('total.tokens', Group.TOKENS),
    'litellm_video_duration_seconds_metric': Counted('video_duration_seconds.metric', Group.MEDIA),
    'litellm_zero_cost_requests': Counted('zero_cost_requests', Group.SPEND),
}

GAUGES: dict[str, Gauge] = {
    'litellm_accounting_batch_deliveries': Gauge('accounting.batch_deliveries', MAX, Group.SERVICES),
    'litellm_accounting_delivery_table_bytes': Gauge('accounting.delivery_table_bytes', MAX, Group.SERVICES),
    'litellm_accounting_oldest_pending_seconds': Gauge('accounting.oldest_pending_seconds', MAX, Group.SERVICES),
    'litellm_accounting_parked': Gauge('accounting.parked', MAX, Group.SERVICES),
    'litellm_accounting_pending': Gauge('accounting.pending', MAX, Group.SERVICES),
    'litellm_active_users': Gauge('active_users', MAX, Group.USERS),
    'litellm_admission_admitted_requests': Gauge('admission.admitted_requests', SUM, Group.REQUESTS),
    'litellm_admission_queued_requests': Gauge('admission.queued_requests', SUM, Group.REQUESTS),
    'litellm_api_key_budget_remaining_hours_metric': Gauge(
        'api.key.budget.remaining_hours.metric', MIN, Group.KEY_BUDGETS
    ),
    'litellm_api_key_max_budget_metric': Gauge('api.key.max_budget.metric', MAX, Group.KEY_BUDGETS),
    'litellm_api_key_rate_limit_allowed_metric': Gauge('api.key.rate_limit_allowed.metric', MAX, Group.RATE_LIMITS),
    'litellm_api_key_rate_limit_used_metric': Gauge('api.key.rate_limit_used.metric', MAX, Group.RATE_LIMITS),
    'litellm_check_batch_cost_jobs_polled': Gauge('check_batch_cost.jobs_polled', MAX, Group.FILES),
    'litellm_check_batch_cost_last_run_timestamp': Gauge('check_batch_cost.last_run_timestamp', MAX, Group.FILES),
    'litellm_customer_budget_remaining_hours_metric': Gauge(
        'customer.budget.remaining_hours.metric', MIN, Group.USER_BUDGETS
    ),
    'litellm_customer_max_budget_metric': Gauge('customer.max_budget.metric', MAX, Group.USER_BUDGETS),
    'litellm_deployment_rpm_limit': Gauge('deployment.rpm_limit', MAX, Group.DEPLOYMENTS),
    'litellm_deployment_state': Gauge('deployment.state', MAX, Group.DEPLOYMENTS),
    'litellm_deployment_tpm_limit': Gauge('deployment.tpm_limit', MAX, Group.DEPLOYMENTS),
    'litellm_in_flight_requests': Gauge('in_flight_requests', SUM, Group.REQUESTS),
    'litellm_in_memory_daily_spend_update_queue_size': Gauge(
        'in_memory.daily_spend_update_queue.size', SUM, Group.SERVICES
    ),
    'litellm_in_memory_spend_update_queue_size': Gauge('in_memory.spend_update_queue.size', SUM, Group.SERVICES),
    'litellm_managed_file_size_bytes': Gauge('managed_file.size_bytes', MAX, Group.FILES),
    'litellm_org_budget_remaining_hours_metric': Gauge('org.budget.remaining_hours.metric', MIN, Group.TEAM_BUDGETS),
    'litellm_org_max_budget_metric': Gauge('org.max_budget.metric', MAX, Group.TEAM_BUDGETS),
    'litellm_pod_lock_manager_size': Gauge('pod_lock_manager.size', MAX, Group.SERVICES),
    'litellm_project_model_rate_limit_allowed_metric': Gauge(
        'project.model.rate_limit_allowed.metric', MAX, Group.RATE_LIMITS
    ),
    'litellm_project_model_rate_limit_used_metric': Gauge(
        'project.model.rate_limit_used.metric', MAX, Group.RATE_LIMITS
    ),
    'litellm_provider_remaining_budget_metric': Gauge('provider.remaining_budget.metric', MIN, Group.TEAM_BUDGETS),
    'litellm_redis_circuit_breaker_state': Gauge('redis.circuit_breaker.state', SUM, Group.SERVICES),
    'litellm_redis_daily_agent_spend_update_queue_size': Gauge(
        'redis.daily_agent_spend_update_queue.size', MAX, Group.SERVICES
    ),
    'litellm_redis_daily_end_user_spend_update_queue_size': Gauge(
        'redis.daily_end_user_spend_update_queue.size', MAX, Group.SERVICES
    ),
    'litellm_redis_daily_spend_update_queue_size': Gauge('redis.daily_spend_update_queue.size', MAX, Group.SERVICES),
    'litellm_redis_spend_update_queue_size': Gauge('redis.spend_update_queue.size', MAX, Group.SERVICES),
    'litellm_remaining_api_key_budget_metric': Gauge('remaining.api_key.budget.metric', MIN, Group.KEY_BUDGETS),
    'litellm_remaining_api_key_requests_for_model': Gauge(
        'remaining.api_key.requests_for_model', MIN, Group.RATE_LIMITS
    ),
    'litellm_remaining_api_key_tokens_for_model': Gauge('remaining.api_key.tokens_for_model', MIN, Group.RATE_LIMITS),
    'litellm_remaining_customer_budget_metric': Gauge('remaining.customer_budget.metric', MIN, Group.USER_BUDGETS),
    'litellm_remaining_org_budget_metric': Gauge('remaining.org_budget.metric', MIN, Group.TEAM_BUDGETS),
    'litellm_remaining_requests': Gauge('remaining.requests', MIN, Group.DEPRECATED),
    'litellm_remaining_requests_metric': Gauge('remaining_requests.metric', MIN, Group.DEPLOYMENTS),
    'litellm_remaining_team_budget_metric': Gauge('remaining.team_budget.metric', MIN, Group.TEAM_BUDGETS),
    'litellm_remaining_tokens': Gauge('remaining_tokens', MIN, Group.DEPRECATED),
    'litellm_remaining_tokens_metric': Gauge('remaining_tokens.metric', MIN, Group.DEPLOYMENTS),
    'litellm_remaining_user_budget_metric': Gauge('remaining.user_budget.metric', MIN, Group.USER_BUDGETS),
    'litellm_spend_capture_rate': Gauge('spend.capture_rate', MIN, Group.SPEND),
    'litellm_spend_log_cleanup_rows_remaining': Gauge('spend_log_cleanup.rows_remaining', MAX, Group.SERVICES),
    'litellm_spend_log_storage_bytes': Gauge('spend_log.storage_bytes', MAX, Group.SERVICES),
    'litellm_team_budget_remaining_hours_metric': Gauge('team.budget.remaining_hours.metric', MIN, Group.TEAM_BUDGETS),
    'litellm_team_max_budget_metric': Gauge('team.max_budget.metric', MAX, Group.TEAM_BUDGETS),
    'litellm_team_members_metric': Gauge('team.members.metric', MAX, Group.USERS),
    'litellm_team_rate_limit_allowed_metric': Gauge('team.rate_limit_allowed.metric', MAX, Group.RATE_LIMITS),
    'litellm_team_rate_limit_used_metric': Gauge('team.rate_limit_used.metric', MAX, Group.RATE_LIMITS),
    'litellm_teams_count': Gauge('teams_count', MAX, Group.USERS),
    'litellm_total_users': Gauge('total_users', MAX, Group.USERS),
    'litellm_user_budget_remaining_hours_metric': Gauge('user.budget.remaining_hours.metric', MIN, Group.USER_BUDGETS),
    'litellm_user_max_budget_metric': Gauge('user.max_budget.metric', MAX, Group.USER_BUDGETS),
}

# The metric of what remains of a budget -> the one of its maximum. LiteLLM gives both the same labels.
MAXIMA_OF_BUDGETS = {
    f'litellm.{GAUGES[remaining].name}': f'litellm.{GAUGES[maximum].name}'
    for remaining, maximum in (
        ('litellm_remaining_api_key_budget_metric', 'litellm_api_key_max_budget_metric'),
        ('litellm_remaining_customer_budget_metric', 'litellm_customer_max_budget_metric'),
        ('litellm_remaining_org_budget_metric', 'litellm_org_max_budget_metric'),
        ('litellm_remaining_team_budget_metric', 'litellm_team_max_budget_metric'),
        ('litellm_remaining_user_budget_metric', 'litellm_user_max_budget_metric'),
    )
}

HISTOGRAMS: dict[str, Counted] = {
    'litellm_accounting_batch_seconds': Counted('accounting.batch_seconds', Group.SERVICES),
    'litellm_anthropic_wif_latency': Counted('anthropic_wif.latency', Group.SERVICES),
    'litellm_auth_latency': Counted('auth.latency', Group.SERVICES),
    'litellm_batch_write_to_db_latency': Counted('batch_write_to_db.latency', Group.SERVICES),
    'litellm_deployment_latency_per_output_token': Counted('deployment.latency_per_output_token', Group.LATENCY),
    'litellm_deployment_latency_per_output_token_by_tag': Counted(
        'deployment.latency_per_output_token_by_tag', Group.BY_TAG
    ),
    'litellm_guardrail_latency_seconds': Counted('guardrail.latency_seconds', Group.GUARDRAILS),
    'litellm_llm_api_latency_by_tag_metric': Counted('llm.api.latency_by_tag.metric', Group.BY_TAG),
    'litellm_llm_api_latency_metric': Counted('llm.api.latency.metric', Group.LATENCY),
    'litellm_llm_api_time_to_first_token_metric': Counted('llm.api.time_to_first_token.metric', Group.LATENCY),
    'litellm_managed_batch_duration_seconds': Counted('managed_batch.duration_seconds', Group.FILES),
    'litellm_overhead_latency_metric': Counted('overhead_latency.metric', Group.LATENCY),
    'litellm_overhead_with_guardrails_latency_metric': Counted(
        'overhead_with_guardrails_latency.metric', Group.LATENCY
    ),
    'litellm_postgres_latency': Counted('postgres.latency', Group.SERVICES),
    'litellm_proxy_pre_call_latency': Counted('proxy.pre_call.latency', Group.SERVICES),
    'litellm_redis_daily_org_spend_update_queue_latency': Counted(
        'redis.daily_org_spend_update_queue.latency', Group.SERVICES
    ),
    'litellm_redis_daily_tag_spend_update_queue_latency': Counted(
        'redis.daily_tag_spend_update_queue.latency', Group.SERVICES
    ),
    'litellm_redis_daily_team_spend_update_queue_latency': Counted(
        'redis.daily_team_spend_update_queue.latency', Group.SERVICES
    ),
    'litellm_redis_latency': Counted('redis.latency', Group.SERVICES),
    'litellm_redis_window_spend_update_queue_latency': Counted(
        'redis.window_spend_update_queue.latency', Group.SERVICES
    ),
    'litellm_request_queue_time_seconds': Counted('request.queue_time_seconds', Group.LATENCY),
    'litellm_request_total_latency_by_tag_metric': Counted('request.total_latency_by_tag.metric', Group.BY_TAG),
    'litellm_request_total_latency_metric': Counted('request.total_latency.metric', Group.LATENCY),
    'litellm_reset_budget_job_latency': Counted('reset_budget_job.latency', Group.SERVICES),
    'litellm_router_latency': Counted('router.latency', Group.SERVICES),
    'litellm_self_latency': Counted('self.latency', Group.SERVICES),
    'litellm_spend_log_cleanup_batch_duration_seconds': Counted(
        'spend_log_cleanup.batch_duration_seconds', Group.SERVICES
    ),
}

# What Prometheus' client tells about the process that renders the page. In multiprocess mode there is none of it.
PROCESS: dict[str, Counted | Gauge] = {
    'process_cpu_seconds': Counted('process.cpu_seconds', Group.PROCESS),
    'process_max_fds': Gauge('process.max_fds', MAX, Group.PROCESS),
    'process_open_fds': Gauge('process.open_fds', MAX, Group.PROCESS),
    'process_resident_memory_bytes': Gauge('process.resident_memory_bytes', MAX, Group.PROCESS),
    'process_virtual_memory_bytes': Gauge('process.virtual_memory_bytes', MAX, Group.PROCESS),
    'python_gc_collections': Counted('process.gc.collections', Group.PROCESS),
    'python_gc_objects_collected': Counted('process.gc.objects_collected', Group.PROCESS),
    'python_gc_objects_uncollectable': Counted('process.gc.objects_uncollectable', Group.PROCESS),
}

# Earlier spellings of families above.
_OLD_SPELLINGS = {'litellm_redis_fails': 'litellm_redis_failed_requests'}


def raw_names() -> dict[str, str]:
    """Return every raw family name that the check maps, with its Datadog name, in all known spellings.

    LiteLLM forks expose the same families under the prefix `llm_`.
    """
    return {raw: family.name for raw, family in _families().items()}


def families_of_groups(groups: Collection[str]) -> set[str]:
    """Return the raw names of all families that belong to one of the groups, in all known spellings."""
    return {raw for raw, family in _families().items() if family.group in groups}


def metrics_config() -> list[dict[str, Any]]:
    """Return the mapping in the format of the OpenMetrics base check's `metrics` option."""
    return [{**raw_names(), START_TIME.raw: {'name': START_TIME.name, 'type': 'time_elapsed'}}]


def is_litellm_family(name: str) -> bool:
    """Tell whether a family of this name comes from LiteLLM or a fork, mapped or not."""
    return name.startswith((PREFIX, FORK_PREFIX))


def unprefixed(raw: str) -> str:
    """Return the name of a LiteLLM family without the prefix that they all share."""
    return raw.removeprefix(PREFIX if raw.startswith(PREFIX) else FORK_PREFIX)


def submitted_names() -> Iterator[tuple[str, str]]:
    """Yield the full Datadog name and type (`count` or `gauge`) of every metric that the mapping can submit."""
    counters = {counter.name for counter in COUNTERS.values()}
    gauges = {gauge.name for gauge in GAUGES.values()}
    for family in PROCESS.values():
        (gauges if isinstance(family, Gauge) else counters).add(family.name)
    for name in counters:
        yield f'litellm.{name}.count', 'count'
    for name in {histogram.name for histogram in HISTOGRAMS.values()}:
        for suffix in HISTOGRAM_PARTS:
            yield f'litellm.{name}.{suffix}', 'count'
    for name in {START_TIME.name, CHECK_INFO, CONTEXTS_DROPPED, *HEALTH_METRICS, *gauges}:
        yield f'litellm.{name}', 'gauge'


def gauge_reduction(raw: str) -> Reduction | None:
    """Return how series of this gauge family are reduced to one, or None for a family that is not mapped."""
    gauge = GAUGES.get(raw) or GAUGES.get(PREFIX + unprefixed(raw)) or PROCESS.get(raw)
    return gauge.reduction if isinstance(gauge, Gauge) else None


def is_shared_state(reduction: Reduction | None) -> bool:
    """Tell whether gauges with this reduction describe what all workers share, and not what each holds for itself."""
    return reduction is MAX or reduction is MIN


def _families() -> dict[str, Counted | Gauge]:
    families: dict[str, Counted | Gauge] = {**COUNTERS, **GAUGES, **HISTOGRAMS}
    families |= {old: families[new] for old, new in _OLD_SPELLINGS.items()}
    of_forks = {FORK_PREFIX + raw.removeprefix(PREFIX): family for raw, family in families.items()}
    return families | of_forks | PROCESS
