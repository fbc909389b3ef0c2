"""The routing engine: picks deployments, fails, falls back, cools down and answers, all simulated from the seed.

It is configured as with `num_retries: 0`, and with neither `allowed_fails` nor a policy of these. Each worker counts
for itself what cools a deployment down, as one of LiteLLM does without Redis.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random

from .accounts import RateLimit
from .calls import Answer, Attempt, Call, Failure, Fallback, GuardrailRun, Outcome, Timings, Usage
from .catalogue import BROKEN_STREAMS, FALLBACKS, GUARDRAILS, UPSTREAM_ERRORS, Deployment, deployments_of
from .settings import Settings
from .shared import Shared

__all__ = ['Clock', 'Router']

# Of the client errors, these alone may be the deployment's fault; of them, a retry helps against the others.
_FAULTS_OF_DEPLOYMENTS = frozenset({401, 402, 404, 408, 429})
_NOT_RETRIED = frozenset({401, 402, 404})
# When nothing else was answered in a minute, not even the only deployment of a group is used any more.
_FAILURES_OF_THE_ONLY_ONE = 1000
_MINUTE = 60.0
_FAILING_SECONDS = 0.2
_RANDOM_FAILURES = (408, 429, 500, 503)
# What a provider's rate-limit headers allow where the deployment sets no limit of its own.
_PROVIDER_REQUESTS, _PROVIDER_TOKENS = 10_000, 1_000_000
_WORDS = ('the', 'proxy', 'answers', 'each', 'question', 'with', 'words', 'that', 'mean', 'little')


class Clock:
    """Simulated time: it moves by what a request is said to take, and when a test moves it on.

    Where requests are `concurrent`, only a test moves it.
    """

    def __init__(self, shared: Shared, concurrent: bool) -> None:
        self._shared = shared
        self._concurrent = concurrent
        self._elapsed = 0.0

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return self._elapsed + self._shared.controls.advanced_seconds

    def pass_by(self, seconds: float) -> None:
        if not self._concurrent:
            self._elapsed += seconds


@dataclass
class _Minute:
    """A count of what happens in a minute, which begins with the first time."""

    count: int = 0
    ends: float = 0.0

    def at(self, now: float) -> int:
        return self.count if now < self.ends else 0

    def add(self, now: float) -> None:
        if now >= self.ends:
            self.count, self.ends = 0, now + _MINUTE
        self.count += 1


class Router:
    """Serves calls. What happens to one depends only on the seed, the call and how often this worker saw it before."""

    def __init__(self, settings: Settings, shared: Shared, clock: Clock) -> None:
        self._settings = settings
        self._shared = shared
        self._clock = clock
        self._seen: Counter[str] = Counter()
        self._cooled_until: dict[str, float] = {}
        self._failures: defaultdict[str, _Minute] = defaultdict(_Minute)
        self._successes: defaultdict[str, _Minute] = defaultdict(_Minute)
        self._windows: dict[str, RateLimit] = {}

    def serve(self, call: Call) -> Outcome:
        """Take one call through guardrails, cache, deployments and fallbacks."""
        outcome = Outcome(call)
        rng = Random(f'{self._settings.seed} {call.digest} {self._seen[call.digest]}')
        self._seen[call.digest] += 1
        outcome.failure = self._refusal(call) or self._run_guardrails(outcome)
        if outcome.failure is None and not self._answer_from_cache(outcome):
            self._route(outcome, rng)
        if outcome.answer is not None:
            self._charge(call, outcome.answer)
        return outcome

    def _refusal(self, call: Call) -> Failure | None:
        """Say why the call does not get as far as a guardrail."""
        for budget in call.caller.budgets():
            if budget.exceeded:
                return Failure(
                    self._settings.profile.budget_exceeded_status,
                    'BudgetExceededError',
                    f'Budget has been exceeded! Current cost: {budget.spent}, Max budget: {budget.limit}',
                    'budget_exceeded',
                    label_status=self._settings.profile.budget_exceeded_label,
                )
        admitted = [limit.admit(self._clock.now) for limit in call.caller.limits()]
        if not all(admitted):
            message = f'Rate limit exceeded for api_key: {call.caller.name}. Limit type: requests.'
            return Failure(429, 'HTTPException', message, 'throttling_error')
        if call.passed_to is None and not deployments_of(call.group):
            path = (call.route or '').removeprefix('/v1')
            message = f'{path}: Invalid model name passed in model={call.group}. Call `/v1/models` to list models.'
            return Failure(400, 'ProxyModelNotFoundError', message, 'invalid_request_error')
        return None

    def _run_guardrails(self, outcome: Outcome) -> Failure | None:
        text = outcome.call.text
        for guardrail in (GUARDRAILS[name] for name in outcome.call.guardrails if name in GUARDRAILS):
            if guardrail.error is not None and guardrail.blocks is not None and guardrail.blocks in text:
                outcome.guardrail_runs.append(GuardrailRun(guardrail, 'error'))
                if not guardrail.refuses:
                    return Failure(
                        500,
                        guardrail.error,
                        f'{guardrail.name} broke',
                        'None',
                        label_status='None',
                        counts_for_models=False,
                    )
                return Failure(400, guardrail.error, f'Violated guardrail {guardrail.name}', 'invalid_request_error')
            intervened = guardrail.reroutes is not None and guardrail.reroutes in text
            outcome.guardrail_runs.append(GuardrailRun(guardrail, 'intervened' if intervened else 'success'))
        return None

    def _answer_from_cache(self, outcome: Outcome) -> bool:
        """Answer a call that was answered before, by any worker, unless Redis is down."""
        call = outcome.call
        outcome.looked_up_cache = call.cacheable and call.kind in ('chat', 'embedding')
        outcome.looked_up_cache &= call.fail_status is None and self._shared.controls.redis == 'up'
        if not outcome.looked_up_cache or not self._shared.has('answers', call.digest):
            return False
        rng = Random(f'{self._settings.seed} {call.digest}')
        deployment = rng.choice(deployments_of(call.group))
        outcome.answer = self._answer(outcome, call.group, deployment, rng, from_cache=True)
        return True

    def _route(self, outcome: Outcome, rng: Random) -> None:
        call = outcome.call
        failure = self._try_group(outcome, call.group, rng)
        if failure is not None:
            # Whatever happens to the fallbacks, the caller is told of the failure that came first.
            outcome.failure = failure
            for group in FALLBACKS.get(call.group, ()):
                succeeded = self._try_group(outcome, group, rng) is None
                outcome.fallbacks.append(Fallback(group, failure, succeeded))
                if succeeded:
                    outcome.failure = None
                    break
        if outcome.failure is None and outcome.looked_up_cache and not outcome.fallbacks:
            self._shared.add('answers', call.digest)

    def _try_group(self, outcome: Outcome, group: str, rng: Random) -> Failure | None:
        """Call one deployment of the group; sets the answer or returns the failure."""
        now = self._clock.now
        choice = deployments_of(group) if outcome.call.passed_to is None else [outcome.call.passed_to]
        ready = [each for each in choice if self._cooled_until.get(each.id, 0.0) <= now]
        if not ready:
            seconds = self._shared.controls.cooldown_seconds
            message = f'No deployments available for selected model, Try again in {seconds} seconds.'
            profile = self._settings.profile
            kind = 'all_deployments_in_cooldown' if profile.names_cooldowns else 'None'
            label = None if profile.tells_status_of_cooldowns else 'None'
            message = f'{message} Passed model={group}.'
            return Failure(429, 'RouterRateLimitError', message, kind, label_status=label, exhausted=group)
        deployment = rng.choice(ready)
        status = self._failing_status(outcome.call, group, deployment, rng)
        if status is None and deployment.breaks_off and outcome.call.kind in BROKEN_STREAMS and outcome.call.stream:
            return self._break_off(outcome, group, deployment)
        if status is None:
            self._successes[deployment.id].add(now)
            outcome.answer = self._answer(outcome, group, deployment, rng)
            return None
        error = UPSTREAM_ERRORS[status]
        cooled_down = outcome.call.passed_to is None and self._cool_down(group, deployment, status)
        self._clock.pass_by(_FAILING_SECONDS)
        outcome.attempts.append(Attempt(group, deployment, error, cooled_down))
        message = f'litellm.{error.name}: {error.class_at(deployment.provider)} - the fixture was told to fail.'
        return Failure(status, error.class_at(deployment.provider), message, error.type, deployment=deployment)

    def _break_off(self, outcome: Outcome, group: str, deployment: Deployment) -> Failure:
        """Fail in the middle of a stream: LiteLLM counts nothing of what was answered before."""
        error = BROKEN_STREAMS[outcome.call.kind]
        outcome.attempts.append(Attempt(group, deployment, error, cooled_down=False))
        in_chat = outcome.call.kind == 'chat'
        return Failure(
            500,
            f'{deployment.provider.capitalize()}.{error.name}' if in_chat else error.name,
            'The provider ended the connection in the middle of the answer.',
            error.type,
            deployment=deployment,
            label_status=None if in_chat else 'None',
            breaks_off=True,
        )

    def _failing_status(self, call: Call, group: str, deployment: Deployment, rng: Random) -> int | None:
        by_chance = rng.random() < self._settings.failure_rate
        chosen = rng.choice(_RANDOM_FAILURES)
        if deployment.fails_with is not None:
            return deployment.fails_with
        if call.fail_status is not None and group == call.group:
            return call.fail_status
        failing = self._shared.controls.failing_providers
        if deployment.provider in failing:
            return failing[deployment.provider]
        return chosen if by_chance else None

    def _cool_down(self, group: str, deployment: Deployment, status: int) -> bool:
        """Keep a failing deployment out of use for a while, if LiteLLM would."""
        now = self._clock.now
        self._failures[deployment.id].add(now)
        is_alone = len(deployments_of(group)) == 1
        if self._shared.controls.disable_cooldowns or not self._is_required(deployment, status, is_alone):
            return False
        self._cooled_until[deployment.id] = now + self._shared.controls.cooldown_seconds
        return True

    def _is_required(self, deployment: Deployment, status: int, is_alone: bool) -> bool:
        """Tell whether a failure cools its deployment down, which is the only one of its group if it `is_alone`."""
        profile = self._settings.profile
        if status < 500 and status not in _FAULTS_OF_DEPLOYMENTS:
            return False
        if status == 402 and (is_alone or not profile.cools_down_unpaid):
            return False
        if status in _NOT_RETRIED or (status == 429 and not is_alone):
            return True
        now = self._clock.now
        failures, successes = self._failures[deployment.id].at(now), self._successes[deployment.id].at(now)
        if is_alone:
            return not successes and failures >= _FAILURES_OF_THE_ONLY_ONE
        return failures > successes and failures + successes >= profile.requests_before_cooldown

    def _answer(
        self, outcome: Outcome, group: str, deployment: Deployment, rng: Random, *, from_cache: bool = False
    ) -> Answer:
        call = outcome.call
        # Equal calls get equal answers, wherever they come from.
        content = Random(f'{self._settings.seed} {call.digest}')
        usage = _usage(call, deployment, content)
        controls = self._shared.controls
        slowness = controls.slow_providers.get(deployment.provider, 1.0)
        first_token = rng.uniform(0.08, 0.9) * slowness
        timings = Timings(
            queue=rng.uniform(0.0004, 0.006) * controls.load,
            overhead=rng.lognormvariate(-5.0, 0.4) * controls.load,
            api=0.002 if from_cache else first_token + usage.completion * rng.uniform(0.004, 0.02) * slowness,
            first_token=(0.001 if from_cache else first_token) if call.stream else None,
            guardrails=sum(run.guardrail.seconds for run in outcome.guardrail_runs if run.guardrail.is_overhead),
        )
        self._clock.pass_by(timings.queue + timings.processing)
        text = ' '.join(content.choice(_WORDS) for _ in range(max(1, usage.completion // 2)))
        cost = 0.0 if from_cache else _cost(call, usage, deployment)
        remaining = None if from_cache else self._remaining(deployment, usage)
        return Answer(group, deployment, usage, timings, cost, text, from_cache, remaining)

    def _remaining(self, deployment: Deployment, usage: Usage) -> tuple[int, int] | None:
        """Return requests and tokens left in the minute, by the provider's headers or else the router's own count."""
        if 'headers' not in deployment.traits and deployment.rpm is None:
            return None
        window = self._windows.setdefault(deployment.id, RateLimit())
        window.admit(self._clock.now)
        window.used_tokens += usage.total
        requests, tokens = deployment.rpm or _PROVIDER_REQUESTS, deployment.tpm or _PROVIDER_TOKENS
        free = 1.0 - self._shared.controls.used_elsewhere.get(deployment.provider, 0.0)
        return int(requests * free) - window.used_requests, int(tokens * free) - window.used_tokens

    def _charge(self, call: Call, answer: Answer) -> None:
        for budget in call.caller.budgets():
            budget.spent += answer.cost
        for limit in call.caller.limits():
            limit.used_tokens += answer.usage.total


def _usage(call: Call, deployment: Deployment, rng: Random) -> Usage:
    if deployment.kind == 'image':
        return Usage(images=call.amount)
    if deployment.kind == 'video':
        return Usage(video_seconds=call.amount)
    if deployment.kind not in ('chat', 'embedding'):
        return Usage()
    prompt = 8 + len(call.text) // 4
    if deployment.kind == 'embedding':
        return Usage(prompt=prompt, embeddings=call.amount)
    completion = rng.randint(12, 160)
    if call.max_tokens is not None:
        completion = max(1, min(completion, call.max_tokens))
    traits = deployment.traits
    return Usage(
        prompt=prompt,
        completion=completion,
        cached=prompt // 2 if 'cached' in traits else 0,
        cache_write=prompt // 4 if 'cache_write' in traits else 0,
        input_audio=prompt // 3 if 'audio' in traits else 0,
        reasoning=completion // 2 if 'reasoning' in traits else 0,
        output_audio=completion // 3 if 'audio' in traits else 0,
    )


def _cost(call: Call, usage: Usage, deployment: Deployment) -> float:
    """US dollars of one answer."""
    if deployment.kind in ('image', 'video'):
        return deployment.output_price * (usage.images + usage.video_seconds)
    if deployment.kind == 'speech':
        return len(call.text) * deployment.input_price / 1_000_000
    if deployment.kind in ('transcription', 'rerank'):
        return deployment.output_price
    return (usage.prompt * deployment.input_price + usage.completion * deployment.output_price) / 1_000_000
