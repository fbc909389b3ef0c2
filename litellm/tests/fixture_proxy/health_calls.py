"""The calls that LiteLLM makes to its own models: when `/health` is requested, or in the background."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from .calls import Answer, Timings, Usage
from .catalogue import Deployment
from .settings import Settings
from .shared import Shared
from .telemetry import Telemetry

__all__ = ['Probe', 'Probes']

_TOKENS = Usage(prompt=8, completion=5)
# Before, LiteLLM counts none of these calls, as was measured on releases from 1.80.11 to 1.87.5.
_COUNTED_SINCE = (1, 88, 0)


class Probe(NamedTuple):
    """The outcome of a call of a deployment: the status of the error, None if it answers, after `seconds`."""

    deployment: Deployment
    error_status: int | None
    seconds: float


class Probes:
    """The deployments as the proxy itself finds them. Only `call` moves families, as far as the release counts it."""

    def __init__(self, settings: Settings, shared: Shared, telemetry: Telemetry) -> None:
        self._settings = settings
        self._shared = shared
        self._telemetry = telemetry

    def look(self) -> Iterator[Probe]:
        """Yield how each deployment is now."""
        failing = self._shared.controls.failing_providers
        for deployment in self._settings.offered:
            rng = Random(f'{self._settings.seed} probe {deployment.id}')
            status = deployment.fails_with or failing.get(deployment.provider)
            yield Probe(deployment, status, rng.uniform(0.2, 1.5))

    def call(self) -> list[Probe]:
        """Call each deployment."""
        probes = list(self.look())
        if self._settings.profile.release < _COUNTED_SINCE:
            return probes
        for deployment, status, seconds in probes:
            answer = None
            if status is None:
                timings = Timings(queue=0.0, overhead=0.001, api=seconds)
                answer = Answer('', deployment, _TOKENS, timings, cost=0.00001, text='')
            self._telemetry.record_probe(deployment, answer, status or 500)
        return probes
