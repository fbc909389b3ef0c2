"""Families moved by requests: which ones, by how much and with which label values, as LiteLLM's prometheus callback."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase

from .accounts import HEALTH_CHECK, Accounts, Budget
from .budgets import BudgetGauges
from .calls import Answer, Attempt, Call, Failure, Outcome
from .catalogue import PROVIDER_BUDGETS, UPSTREAM_ERRORS, Deployment, McpTool, deployments_of, keeps_form
from .router import Clock
from .series import LabelValues, Series, tag_label
from .settings import Settings
from .shared import Shared

__all__ = ['Telemetry']

_OUTAGE_NONE, _OUTAGE_PARTIAL, _OUTAGE_COMPLETE = 0, 1, 2
_UNKNOWN_MODEL = 'other'
# Kinds of calls that are chat completions for LiteLLM, or may become some on the way to a provider.
_CHAT = frozenset({'chat', 'completion', 'realtime', 'response', 'message'})
_PROVIDER_BUDGET_HOURS = 24.0
_FILE_SECONDS = 0.2
# Releases around 1.56 had these latencies once more for each tag of a request.
_BY_TAG = {
    'litellm_deployment_latency_per_output_token': 'litellm_deployment_latency_per_output_token_by_tag',
    'litellm_llm_api_latency_metric': 'litellm_llm_api_latency_by_tag_metric',
    'litellm_request_total_latency_metric': 'litellm_request_total_latency_by_tag_metric',
}


class Telemetry:
    """Records what happened to requests."""

    def __init__(self, settings: Settings, series: Series, shared: Shared, accounts: Accounts, clock: Clock) -> None:
        self._settings = settings
        self._profile = settings.profile
        self._series = series
        self._shared = shared
        self._accounts = accounts
        self._budgets = BudgetGauges(series, accounts, clock)
        self._clock = clock
        self._provider_budgets = {
            provider: Budget(limit, _PROVIDER_BUDGET_HOURS) for provider, limit in PROVIDER_BUDGETS.items()
        }

    def record(self, outcome: Outcome) -> None:
        """Record one request that went through the router."""
        call = outcome.call
        self._record_guardrails(outcome)
        for attempt in outcome.attempts:
            if attempt.group == call.group:
                self._count_attempt(call, attempt)
            # LiteLLM counts the failure that came first; of all later ones, of fallbacks, it tells no more than this.
            if attempt.cooled_down:
                self._record_cooldown(attempt)
        self._record_fallbacks(outcome)
        if outcome.answer is not None:
            values = {
                **self._labels_of(call),
                **self._labels_at(call, outcome.answer.deployment),
                # The group that answered, which after a fallback is not the one that the client named.
                'requested_model': outcome.answer.group,
                'model_group': outcome.answer.group,
            }
            self._record_answer(call, outcome.answer, values, outcome.looked_up_cache)
            if outcome.fallbacks and outcome.fallbacks[0].failure.exhausted is not None:
                self._count_exhausted(values, outcome.fallbacks[0].failure)
        elif outcome.failure is not None:
            self._record_failure(call, outcome.failure)
        for name in self._shared.controls.broken_callbacks:
            self._series.inc('litellm_callback_logging_failures_metric', {'callback_name': name})

    def record_refusal(
        self, route: str, who: LabelValues, failure: Failure, client_ip: str | None, agent: str | None, model: str
    ) -> None:
        """Record a request refused for its key: it counts as a failed one, scrapes included.

        Where the key could not be looked up, it counts as a failure of the model, too, though none was called.
        """
        status = failure.exception_status
        values: dict[str, object] = {
            **who,
            'requested_model': model,
            'exception_status': status,
            'status_code': status,
            'exception_class': failure.exception,
            'route': route,
            'client_ip': client_ip,
            'user_agent': agent,
        }
        if failure.status == 401 and not self._profile.counts_refusals:
            return
        if failure.exception_status == '401' and not self._profile.names_key_of_refusals:
            values['hashed_api_key'] = None
        values |= self._unrouted(model)
        self._series.inc('litellm_proxy_failed_requests_metric', values, self._times)
        self._series.inc('litellm_proxy_total_requests_metric', values, self._times)
        if failure.status != 401:
            self._series.inc('litellm_llm_api_failed_requests_metric', {**values, 'model': model, 'model_id': ''})
            self._count_unrouted_failure(values, model, status, failure.exception)

    def record_mcp_call(self, call: Call, tool: McpTool) -> None:
        """Record the call of an MCP tool."""
        values = {
            **self._labels_of(call),
            'model': f'MCP: {tool.name}',
            'api_provider': 'mcp',
            'mcp_tool_name': tool.name,
            'mcp_server_name': tool.server,
            'status_code': '200',
        }
        self._series.inc('litellm_mcp_tool_calls', values)
        if tool.cost > 0:
            self._series.inc('litellm_mcp_tool_call_spend_metric', values, tool.cost)
        self._series.inc('litellm_requests_metric', values)
        self._series.inc('litellm_spend_metric', values, tool.cost)
        self._series.inc('litellm_proxy_total_requests_metric', values)

    def record_file_work(self, call: Call, provider: str | None = None) -> None:
        """Record a request about files or batches, which names no model: it counts as one of an unknown deployment."""
        values = {**self._labels_of(call), 'api_base': '', 'api_provider': provider, 'status_code': '200'}
        self._series.inc('litellm_proxy_total_requests_metric', values)
        self._series.inc('litellm_requests_metric', values)
        self._series.inc('litellm_deployment_success_responses', values)
        self._series.inc('litellm_deployment_total_requests', values)
        self._series.observe('litellm_request_total_latency_metric', values, _FILE_SECONDS)

    def record_probe(self, deployment: Deployment, answer: Answer | None, status: int = 500) -> None:
        """Record that `/health` called a model for real: an answer, or else a failure with this status."""
        probe = Call(HEALTH_CHECK, route='', group='')
        known = {**self._labels_of(probe), **deployment.labels(), 'route': None, 'model_id': ''}
        if answer is not None:
            self._record_answer(probe, answer, known, looked_up_cache=False)
            return
        error = UPSTREAM_ERRORS[status]
        if error.status != 401:
            self._series.inc('litellm_llm_api_failed_requests_metric', known)
            exception = error.class_at(deployment.provider)
            self._count_unrouted_failure(known, _UNKNOWN_MODEL, str(error.status), exception)

    def _labels_of(self, call: Call) -> LabelValues:
        """Return the label values of a call, with those that the configuration adds or withholds."""
        has_tag = {tag: any(fnmatchcase(one, tag) for one in call.tags) for tag in self._settings.tag_labels}
        return {
            **call.labels(),
            **{tag_label(tag): str(has).lower() for tag, has in has_tag.items()},
            **({} if self._settings.end_users else {'end_user': None}),
        }

    def _record_guardrails(self, outcome: Outcome) -> None:
        for run in outcome.guardrail_runs:
            failed = run.status == 'error'
            values = {
                'guardrail_name': run.guardrail.name,
                'hook_type': run.guardrail.hook,
                'status': run.status,
                'error_type': run.guardrail.error if failed else 'none',
            }
            self._series.observe('litellm_guardrail_latency_seconds', values, run.guardrail.seconds)
            self._series.inc('litellm_guardrail_requests', values)
            if failed:
                self._series.inc('litellm_guardrail_errors', values)

    def _count_attempt(self, call: Call, attempt: Attempt) -> None:
        deployment, error = attempt.deployment, attempt.error
        kind = self._kind(call, deployment)
        values = {
            **self._labels_of(call),
            **self._labels_at(call, deployment),
            'requested_model': attempt.group,
            'model_group': attempt.group,
            'exception_status': error.status,
            'exception_class': error.class_at(deployment.provider),
        }
        if keeps_form(kind, deployment.provider) and not self._profile.tells_provider_of_own_apis:
            values['api_provider'] = None
        if error.status != 401 or self._profile.counts_refusals_by_provider:
            self._series.inc('litellm_llm_api_failed_requests_metric', values)
            self._series.inc('litellm_deployment_failure_responses', values)
            for tag in call.tags:
                self._series.inc('litellm_deployment_failure_by_tag_responses', {**values, 'tag': tag})
            self._series.inc('litellm_deployment_total_requests', values)
            self._set_state(call, deployment, values, _OUTAGE_PARTIAL)

    def _kind(self, call: Call, deployment: Deployment) -> str:
        """Return the kind of a call as which it goes to a deployment."""
        is_for_openai = (call.kind, deployment.provider) == ('message', 'openai')
        return 'chat' if is_for_openai and not self._profile.sends_messages_as_responses else call.kind

    def _labels_at(self, call: Call, deployment: Deployment) -> LabelValues:
        """Return the labels of a deployment that a call went to."""
        passed = call.route and call.passed_to and '/' + call.route.split('/', 2)[2]
        return deployment.labels(self._kind(call, deployment), passed or None)

    def _set_state(self, call: Call, deployment: Deployment, values: LabelValues, state: int) -> None:
        """Write the state of a deployment: without its provider where LiteLLM made no chat completion of the call."""
        kind = self._kind(call, deployment)
        is_chat = kind in _CHAT and not keeps_form(kind, deployment.provider) and call.passed_to is None
        hidden = {} if is_chat else {'api_provider': ''}
        self._series.set('litellm_deployment_state', {**values, **hidden}, state)

    def _record_cooldown(self, attempt: Attempt) -> None:
        """Record a cooldown. LiteLLM names the group as the model, so nothing takes its state back to healthy."""
        cooled = {
            **attempt.deployment.labels(),
            'api_base': attempt.deployment.api_base,
            'litellm_model_name': attempt.group,
            'exception_status': attempt.error.status,
        }
        self._series.set('litellm_deployment_state', cooled, _OUTAGE_COMPLETE)
        self._series.inc('litellm_deployment_cooled_down', cooled)

    def _record_fallbacks(self, outcome: Outcome) -> None:
        for fallback in outcome.fallbacks:
            kind = 'successful' if fallback.succeeded else 'failed'
            values = {
                **self._labels_of(outcome.call),
                'fallback_model': fallback.model,
                'exception_status': fallback.failure.exception_status,
                'exception_class': fallback.failure.exception,
            }
            self._series.inc(f'litellm_deployment_{kind}_fallbacks', values)
            for tag in outcome.call.tags:
                self._series.inc(f'litellm_deployment_{kind}_fallbacks_by_tag', {**values, 'tag': tag})

    def _record_failure(self, call: Call, failure: Failure) -> None:
        """Record that the client got an error."""
        known = not call.group or call.passed_to is not None or deployments_of(call.group)
        requested = call.group if known or self._profile.names_unknown_models else _UNKNOWN_MODEL
        values: dict[str, object] = {
            **self._labels_of(call),
            'requested_model': requested,
            'exception_status': failure.exception_status,
            'exception_class': failure.exception,
            'status_code': failure.exception_status,
        }
        if failure.deployment is not None:
            values |= failure.deployment.labels()
        elif failure.counts_for_models:
            self._series.inc('litellm_llm_api_failed_requests_metric', {**values, 'model': call.group, 'model_id': ''})
            self._count_unrouted_failure(
                values, requested, failure.exception_status, failure.exception, failure.exhausted
            )
        if failure.status == 401 and not self._profile.counts_refusals:
            return
        if failure.exception_status == '401' and not self._profile.names_key_of_refusals:
            values['hashed_api_key'] = None
        if failure.deployment is None:
            values |= self._unrouted(call.group)
        if not self._profile.tells_provider_of_failures:
            values['api_provider'] = None
        self._series.inc('litellm_proxy_failed_requests_metric', values, self._times)
        for tag in call.tags:
            self._series.inc('litellm_proxy_failed_requests_by_tag_metric', {**values, 'tag': tag})
        self._count_proxied(call, values, self._times)

    def _unrouted(self, group: str) -> LabelValues:
        """Return what a failed request of a client tells of its deployment if none was chosen."""
        provider = next((one.provider for one in deployments_of(group)), None)
        return {
            'model_id': self._profile.unrouted_model_id,
            'api_provider': provider if self._profile.tells_provider_of_failures else None,
        }

    def _count_exhausted(self, values: LabelValues, failure: Failure) -> None:
        """Count that no deployment was left, upon which a fallback answered, with these labels."""
        values = {**values, 'exception_status': failure.exception_status, 'exception_class': failure.exception}
        if self._profile.blames_fallbacks:
            self._series.inc('litellm_llm_api_failed_requests_metric', values)
            self._series.inc('litellm_deployment_failure_responses', values)
            self._series.inc('litellm_deployment_total_requests', values)
            return
        group = str(failure.exhausted)
        unrouted = {**values, 'requested_model': group, 'model': group, 'model_id': ''}
        self._series.inc('litellm_llm_api_failed_requests_metric', unrouted)
        self._count_unrouted_failure(unrouted, group, failure.exception_status, failure.exception, group)

    def _count_unrouted_failure(
        self, values: LabelValues, requested: str, status: str, exception: str, exhausted: str | None = None
    ) -> None:
        """Count a failure before any deployment was chosen: LiteLLM leaves the deployment's labels empty.

        It knows the group if there is one, of which all deployments were `exhausted`.
        """
        unrouted = {
            **values,
            **dict.fromkeys(('litellm_model_name', 'model_id', 'api_base', 'api_provider'), ''),
            'model_group': exhausted or '',
            'requested_model': requested,
            'exception_status': status,
            'exception_class': exception,
        }
        if self._profile.names_model_of_unrouted_failures:
            unrouted |= {'litellm_model_name': requested, 'api_provider': None, 'requested_model': exhausted or ''}
        self._series.inc('litellm_deployment_failure_responses', unrouted)
        self._series.inc('litellm_deployment_total_requests', unrouted)

    def _record_answer(self, call: Call, answer: Answer, values: LabelValues, looked_up_cache: bool) -> None:
        values = {**values, 'status_code': '200'}
        self._count_usage(answer, values, call.tags)
        self._count_cache(answer, values, looked_up_cache)
        self._observe_latencies(answer, values, call.tags)
        self._set_deployment(call, answer, values)
        self._set_limits(call, answer, values)
        if call.end_user is not None:
            self._accounts.customer(call.end_user).spent += answer.cost
        self._budgets.write_of(call)
        self._set_provider_budget(answer)
        if not call.stream and call.group and self._profile.counts_fallbacks_for_requested_model:
            values = {**values, 'requested_model': call.group}
        self._count_proxied(call, values, 1 if call.stream else self._times)

    @property
    def _times(self) -> int:
        return 2 if self._profile.counts_clients_twice else 1

    def _count_proxied(self, call: Call, values: LabelValues, times: int) -> None:
        self._series.inc('litellm_proxy_total_requests_metric', values, times)
        for tag in call.tags:
            self._series.inc('litellm_proxy_total_requests_by_tag_metric', {**values, 'tag': tag})

    def _count_usage(self, answer: Answer, values: LabelValues, tags: tuple[str, ...]) -> None:
        usage = answer.usage
        always: dict[str, float] = {
            'litellm_requests_metric': 1,
            'litellm_spend_metric': answer.cost,
            'litellm_total_tokens_metric': usage.total,
            'litellm_input_tokens_metric': usage.prompt,
            'litellm_output_tokens_metric': usage.completion,
        }
        if_any = {
            'litellm_input_cached_tokens_metric': usage.cached,
            'litellm_input_cache_creation_tokens_metric': usage.cache_write,
            'litellm_input_audio_tokens_metric': usage.input_audio,
            'litellm_output_reasoning_tokens_metric': usage.reasoning,
            'litellm_output_audio_tokens_metric': usage.output_audio,
            'litellm_provider_cache_read_input_tokens_metric': usage.cached,
            'litellm_provider_cache_creation_input_tokens_metric': usage.cache_write,
            'litellm_images_generated_metric': usage.images,
            'litellm_video_duration_seconds_metric': usage.video_seconds,
        }
        for family, amount in always.items():
            self._series.inc(family, values, amount)
        for family, amount in if_any.items():
            if amount:
                self._series.inc(family, values, amount)
        for tag in tags:
            for direction, tokens in (('input', usage.prompt), ('output', usage.completion), ('total', usage.total)):
                self._series.inc(f'litellm_{direction}_tokens_by_tag', {'tag': tag}, tokens)
        if answer.cost == 0 and usage.total and not answer.from_cache:
            self._series.inc('litellm_zero_cost_requests', {**values, 'reason': 'missing_pricing_key'})

    def _count_cache(self, answer: Answer, values: LabelValues, looked_up: bool) -> None:
        if answer.from_cache:
            self._series.inc('litellm_cache_hits_metric', values)
            self._series.inc('litellm_cached_tokens_metric', values, answer.usage.total)
        elif looked_up:
            self._series.inc('litellm_cache_misses_metric', values)

    def _observe_latencies(self, answer: Answer, values: LabelValues, tags: tuple[str, ...]) -> None:
        timings, output_tokens = answer.timings, answer.usage.completion
        queue = timings.queue if self._profile.counts_queue_time else 0.0
        latencies = {
            'litellm_request_total_latency_metric': timings.processing + queue,
            'litellm_llm_api_latency_metric': timings.api,
            'litellm_llm_api_time_to_first_token_metric': timings.first_token,
            'litellm_request_queue_time_seconds': timings.queue,
            'litellm_overhead_latency_metric': timings.overhead,
            'litellm_overhead_with_guardrails_latency_metric': timings.overhead + timings.guardrails,
        }
        if output_tokens:
            # For a streamed answer LiteLLM divides the time to the first token, not that to the last one.
            answered_in = timings.processing if timings.first_token is None else timings.first_token
            latencies['litellm_deployment_latency_per_output_token'] = answered_in / output_tokens
        for family, seconds in latencies.items():
            if seconds is not None:
                self._series.observe(family, values, seconds)
                for tag in tags if family in _BY_TAG else ():
                    self._series.observe(_BY_TAG[family], {**values, 'tag': tag}, seconds)

    def _set_deployment(self, call: Call, answer: Answer, values: LabelValues) -> None:
        deployment = answer.deployment
        self._set_state(call, deployment, values, _OUTAGE_NONE)
        self._series.inc('litellm_deployment_success_responses', values)
        self._series.inc('litellm_deployment_total_requests', values)
        if deployment.tpm is not None:
            self._series.set('litellm_deployment_tpm_limit', values, deployment.tpm)
        if deployment.rpm is not None:
            self._series.set('litellm_deployment_rpm_limit', values, deployment.rpm)
        if answer.remaining is not None:
            for kind, left in zip(('requests', 'tokens'), answer.remaining, strict=True):
                if left > 0:  # LiteLLM does not write a 0: the last value stays.
                    self._series.set(f'litellm_remaining_{kind}_metric', values, left)

    def _set_limits(self, call: Call, answer: Answer, values: LabelValues) -> None:
        caller = call.caller
        limits = {'api_key': caller.limit}
        if caller.team is not None:
            limits['team'] = caller.team.limit
        if caller.project is not None:
            limits['project_model'] = caller.project.limit
        for owner, limit in limits.items():
            for kind, allowed, used in limit.usage():
                typed = {**values, 'rate_limit_type': kind}
                self._series.set(f'litellm_{owner}_rate_limit_allowed_metric', typed, allowed)
                self._series.set(f'litellm_{owner}_rate_limit_used_metric', typed, used)
        # Of the key for this model group. Where LiteLLM knows no limit, it writes the largest integer.
        group = {**values, 'model': answer.group or None}
        remaining = {'requests': sys.maxsize, 'tokens': sys.maxsize}
        if caller.model_limits and self._profile.tells_limits_of_keys:
            remaining |= {kind: max(allowed - used, 0) for kind, allowed, used in caller.limit.usage()}
        for kind, left in remaining.items():
            self._series.set(f'litellm_remaining_api_key_{kind}_for_model', group, left)

    def _set_provider_budget(self, answer: Answer) -> None:
        provider = answer.deployment.provider
        budget = self._provider_budgets.get(provider)
        if budget is not None:
            budget.reset_if_due(self._clock.now)
            budget.spent += answer.cost
            self._series.set('litellm_provider_remaining_budget_metric', {'api_provider': provider}, budget.remaining)
