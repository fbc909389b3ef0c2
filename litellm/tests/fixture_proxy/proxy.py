"""One worker process' whole proxy behind its HTTP application."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from .accounts import Accounts
from .calls import Call, Outcome
from .health_calls import Probes
from .jobs import Jobs
from .router import Clock, Router
from .series import Series
from .services import Services
from .settings import Settings
from .shared import Shared
from .telemetry import Telemetry

__all__ = ['Proxy', 'proxy_of']


class Proxy:
    """The parts of the proxy, made from its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.shared = Shared(settings.directory)
        self.accounts = Accounts(settings.key)
        self.series = Series(settings)
        self.clock = Clock(self.shared, settings.concurrent)
        self.router = Router(settings, self.shared, self.clock)
        self.telemetry = Telemetry(settings, self.series, self.shared, self.accounts, self.clock)
        self.services = Services(self.series, self.shared, self.clock, settings.seed)
        # When the readiness last found the database, in simulated seconds.
        self.connected_at = float('-inf')
        # When a lookup of a key was last given up.
        self.given_up_at = float('-inf')
        self.probes = Probes(settings, self.shared, self.telemetry)
        self.jobs = Jobs(settings, self.series, self.shared, self.accounts, self.clock, self.services, self.probes)

    def serve(self, call: Call) -> Outcome:
        """Serve and record one call."""
        outcome = self.router.serve(call)
        self.telemetry.record(outcome)
        self.services.record_request(outcome)
        return outcome


def proxy_of(request: HTTPConnection) -> Proxy:
    """Return the proxy that a request came to."""
    proxy: Proxy = request.app.state.proxy
    return proxy
