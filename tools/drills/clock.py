"""Virtual time: one clock for the check, the proxy it scrapes, and whoever watches both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

__all__ = ['VirtualClock']

# Who asks for the time, and is to be told this one. Sockets, threads and the server's event loop keep the real one.
_MODULES_WITH_A_CLOCK = (
    'datadog_checks.litellm.scrapers.exact.time',
    'datadog_checks.litellm.probes.health.time',
    'datadog_checks.litellm.transport.background_call.time',
    'datadog_checks.litellm.probes.readiness.time',
    'datadog_checks.litellm.probes.version.time',
    'prometheus_client.metrics.time',
    'tests.fixture_proxy.jobs.time',
)
_FUNCTIONS_THAT_TELL_TIME = ('datadog_checks.litellm.scrapers.submission.get_timestamp',)
# Real seconds that a run waits for an answer beside the page: time stands still meanwhile, so it has to have it.
_PATIENCE = {
    'datadog_checks.litellm.probes.health.PATIENCE_SECONDS': 60.0,
    'datadog_checks.litellm.probes.version.PATIENCE_SECONDS': 60.0,
}


class VirtualClock:
    """Unix time that passes only when it is told to. It is also its own monotonic clock."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    monotonic = time

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let the check and the fixture proxy of this process read this clock inside the block."""
        with ExitStack() as patches:
            for module in _MODULES_WITH_A_CLOCK:
                patches.enter_context(patch(module, self))
            for function in _FUNCTIONS_THAT_TELL_TIME:
                patches.enter_context(patch(function, self.time))
            for constant, seconds in _PATIENCE.items():
                patches.enter_context(patch(constant, seconds))
            yield
