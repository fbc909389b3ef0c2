"""Families of what LiteLLM itself stands on: Redis, Postgres, its router, its queues and the Redis circuit breaker."""

from __future__ import annotations

from random import Random

from .calls import Outcome
from .router import Clock
from .series import Series
from .shared import Shared

__all__ = ['Services']

_PARTS_OF_A_REQUEST = {'auth': 0.0012, 'proxy_pre_call': 0.0003, 'router': 0.4, 'self': 0.45}
_USES_OF_A_TOKEN = 10
_SECONDS_TO_GIVE_UP = 1.0


class _CircuitBreaker:
    """Stops calling Redis after five failures in a row, and tries again after a simulated minute."""

    _THRESHOLD = 5
    _RECOVERY_SECONDS = 60.0

    def __init__(self, series: Series, clock: Clock) -> None:
        self._series = series
        self._clock = clock
        self._state = 'closed'
        self._failures = 0
        self._opened_at = 0.0
        self._series.inc('litellm_redis_circuit_breaker_state', {'state': 'closed'})

    def admits(self) -> bool:
        """Tell whether Redis may be called now."""
        if self._state == 'open' and self._clock.now - self._opened_at >= self._RECOVERY_SECONDS:
            self._turn('half_open')
        return self._state != 'open'

    def succeeded(self) -> None:
        self._failures = 0
        if self._state == 'half_open':
            self._turn('closed')

    def failed(self) -> None:
        self._failures += 1
        self._series.inc('litellm_redis_circuit_breaker_failures', {'failure_class': 'connectivity'})
        if self._state == 'half_open' or self._failures >= self._THRESHOLD:
            self._opened_at = self._clock.now
            self._turn('open')

    def _turn(self, state: str) -> None:
        self._series.inc('litellm_redis_circuit_breaker_state', {'state': self._state}, -1)
        self._series.inc('litellm_redis_circuit_breaker_state', {'state': state})
        self._series.inc('litellm_redis_circuit_breaker_transitions', {'state': state})
        self._state = state


class Services:
    """Counts calls to services and their failures, and sizes of queues."""

    def __init__(self, series: Series, shared: Shared, clock: Clock, seed: int) -> None:
        self._series = series
        self._shared = shared
        self._clock = clock
        self._rng = Random(f'{seed} services')
        self._breaker = _CircuitBreaker(series, clock)
        # Writes of spend that wait for the next flush.
        self.pending_writes = 0
        self._identity_uses = 0
        self._given_up_at = -_SECONDS_TO_GIVE_UP
        for outcome in ('written', 'dropped'):
            self._series.inc(f'litellm_lens_export_rows_{outcome}', amount=0)

    def record_request(self, outcome: Outcome) -> None:
        """Count what one request asked of the services."""
        for service, seconds in _PARTS_OF_A_REQUEST.items():
            self.succeeded(service, self._rng.lognormvariate(0.0, 0.3) * seconds)
        self.call_redis('async_increment_pipeline')
        self.call_postgres('get_data')
        self._federate_identity(outcome)
        self._export_row()
        self.pending_writes += 1

    def call_redis(self, function: str) -> bool:
        """Count a call of Redis, if there is any; says whether it worked."""
        if not self._breaker.admits():
            return False
        if self._shared.controls.redis == 'down':
            self.failed('redis', 'ConnectionError', function)
            self._breaker.failed()
            return False
        self.succeeded('redis', self._rng.uniform(0.0002, 0.004))
        self._breaker.succeeded()
        return True

    def call_postgres(self, function: str) -> bool:
        """Count a call of the database; says whether it worked."""
        state = self._shared.controls.db
        if state in ('up', 'locked'):
            self.succeeded('postgres', self._rng.uniform(0.001, 0.02))
            return True
        if state == 'down':
            self.failed('postgres', 'ConnectError', function)
        elif self._clock.now - self._given_up_at >= _SECONDS_TO_GIVE_UP:
            # All connections wait, and the calls behind them: only now and then one comes to its end.
            self._given_up_at = self._clock.now
            self.failed('postgres', 'ReadTimeout', function)
        return False

    def succeeded(self, service: str, seconds: float) -> None:
        self._series.observe(f'litellm_{service}_latency', {service: service}, seconds)
        self._series.inc(f'litellm_{service}_total_requests', {service: service})

    def failed(self, service: str, error_class: str, function: str) -> None:
        labels = {service: service, 'error_class': error_class, 'function_name': function}
        self._series.inc(f'litellm_{service}_failed_requests', labels)
        self._series.inc(f'litellm_{service}_total_requests', labels)

    def set_size(self, service: str, size: float, label: str | None = None) -> None:
        """Set a queue's size. LiteLLM writes the member of its enumeration, not the service's name, as the label."""
        self._series.set(f'litellm_{service}_size', {service: label or f'ServiceTypes.{service.upper()}'}, size)

    def _export_row(self) -> None:
        """Send the record of a request to the Lens service."""
        outcome = 'dropped' if self._shared.controls.lens == 'down' else 'written'
        self._series.inc(f'litellm_lens_export_rows_{outcome}')

    def _federate_identity(self, outcome: Outcome) -> None:
        """Get a token for Anthropic: by a call, or from the cache as long as the last one may be used."""
        providers = [attempt.deployment.provider for attempt in outcome.attempts]
        if outcome.answer is not None and not outcome.answer.from_cache:
            providers.append(outcome.answer.deployment.provider)
        if 'anthropic' not in providers:
            return
        if any(attempt.error.status == 401 for attempt in outcome.attempts):
            self.failed('anthropic_wif', 'AuthenticationError', 'exchange_token')
        elif self._identity_uses % _USES_OF_A_TOKEN == 0:
            self.succeeded('anthropic_wif', self._rng.uniform(0.1, 0.4))
        else:
            cache = 'anthropic_wif_cache'
            self._series.inc(f'litellm_{cache}_total_requests', {cache: cache})
        self._identity_uses += 1
