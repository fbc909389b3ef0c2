"""The same faults on the fixture proxy, in simulated time: seconds of it are rounds in which each caller asks once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from tests.fixture_proxy import FixtureProxy, start
from tests.fixture_proxy.accounts import VIRTUAL_KEYS
from tests.fixture_proxy.auth import SECONDS_HEADER
from tests.fixture_proxy.releases import NEWEST

from datadog_checks.base.stubs import aggregator
from datadog_checks.litellm import LitellmCheck
from tools.real_litellm.families import Page

from .tables import Seen

__all__ = ['observe_fixture']

_FAULT_SECONDS, _RECOVERY_SECONDS, _CALM_SECONDS = 40, 20, 3
_PATIENCE_SECONDS = 20
_HTTP_SECONDS = 30
_PROBE_SECONDS = 5
_MODEL = 'o4-mini'
# In seconds, as the real proxy's are set.
_JOBS = {'spend_queues': 5, 'reset_budgets': 6, 'spend_log_cleanup': 20, 'budgets': 60}


@dataclass(frozen=True)
class _Fault:
    """A fault: controls of the fixture proxy, and what clients do."""

    controls: Mapping[str, Any] = field(default_factory=dict)
    guardrails: tuple[str, ...] = ()
    hangs_up: bool = False


# By the names that they have where the real proxy's are recorded.
_FAULTS = {
    'nothing': _Fault(),
    'PostgreSQL stopped': _Fault({'db': 'down'}),
    'PostgreSQL hangs': _Fault({'db': 'hangs'}),
    'table of keys locked': _Fault({'db': 'locked'}),
    'Redis down': _Fault({'redis': 'down'}),
    'provider answers 500': _Fault({'failing_providers': {'openai': 500}}),
    'provider answers 429': _Fault({'failing_providers': {'openai': 429}}),
    'clients hang up': _Fault(hangs_up=True),
    'a guardrail raises': _Fault(guardrails=('raising',)),
    'PostgreSQL stopped, requests allowed': _Fault({'db': 'down', 'requests_without_db': True}),
}
_CALM = {'db': 'up', 'redis': 'up', 'failing_providers': {}, 'requests_without_db': False}


def observe_fixture() -> list[Seen]:
    """Play all faults on one fixture proxy, one after the other."""
    with start('--release', str(NEWEST), '--concurrent') as proxy, requests.Session() as session:
        session.trust_env = False
        proxy.control('controls', disable_cooldowns=True)  # As there.
        run = _Run(proxy, session)
        return [run.play(name, fault) for name, fault in _FAULTS.items()]


class _Run:
    def __init__(self, proxy: FixtureProxy, session: requests.Session) -> None:
        self._proxy = proxy
        self._session = session
        self._callers = {
            'a key with team, user and budget': VIRTUAL_KEYS['search'],
            'a key without': VIRTUAL_KEYS['notebook'],
            'an unknown key': 'sk-nobody',
            'the master key': proxy.key,
        }
        self._second = 0

    def play(self, name: str, fault: _Fault) -> Seen:
        """Let a fault happen between two calm times."""
        self._pass(_Fault(), _CALM_SECONDS)
        before = Page(self._proxy.scrape())
        self._proxy.control('controls', **fault.controls)
        answers, slowest = self._pass(fault, _FAULT_SECONDS)
        checks, during = self._run_check(), Page(self._proxy.scrape())
        self._proxy.control('controls', **_CALM)
        self._pass(_Fault(), _RECOVERY_SECONDS)
        return Seen(name, before, during, Page(self._proxy.scrape()), answers, slowest, checks)

    def _pass(self, fault: _Fault, seconds: int) -> tuple[dict[str, Counter[str]], float]:
        """Let seconds pass, in which every caller that does not wait for an answer asks, and jobs run when due.

        Return the answers, and how long the slowest of the readiness took.
        """
        answers: dict[str, Counter[str]] = {who: Counter() for who in self._callers}
        answers['readiness'] = Counter()
        free_at, slowest = Counter[str](), 0.0
        for _ in range(seconds):
            self._second += 1
            self._proxy.control('advance', seconds=1)
            due = [name for name, period in _JOBS.items() if self._second % period == 0]
            if due:
                self._proxy.control('jobs', names=due)
            for who, found in answers.items():
                if free_at[who] <= self._second:
                    answer, took = self._chat(self._callers[who], fault) if who in self._callers else self._readiness()
                    found[answer] += 1
                    free_at[who] = self._second + int(took)
                    slowest = max(slowest, took if who not in self._callers else 0.0)
        return answers, slowest

    def _chat(self, key: str, fault: _Fault) -> tuple[str, float]:
        """Return what a client gets, and after how many simulated seconds."""
        body: dict[str, Any] = {
            'model': _MODEL,
            'messages': [{'role': 'user', 'content': f'{self._second}'}],
            'guardrails': list(fault.guardrails),
            'cache': {'no-cache': True},
        }
        answer = self._session.post(
            f'{self._proxy.url}/v1/chat/completions',
            json=body,
            headers={'Authorization': f'Bearer {key}'},
            timeout=_HTTP_SECONDS,
        )
        took = float(answer.headers.get(SECONDS_HEADER, 0))
        if fault.hangs_up or took > _PATIENCE_SECONDS:
            return 'none', min(took, _PATIENCE_SECONDS)
        return str(answer.status_code), took

    def _readiness(self) -> tuple[str, float]:
        answer = self._session.get(f'{self._proxy.url}/health/readiness', timeout=_HTTP_SECONDS)
        return f'{answer.status_code} {answer.json()["db"]}', float(answer.headers.get(SECONDS_HEADER, 0))

    def _run_check(self) -> dict[str, str]:
        """Run the check until it has heard from all endpoints, and return the status of each of its service checks."""
        headers = {'Authorization': f'Bearer {self._proxy.key}'}
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': self._proxy.metrics_url, 'headers': headers}])
        aggregator.reset()
        deadline = time.monotonic() + _PROBE_SECONDS
        while len(aggregator.service_check_names) < 3 and time.monotonic() < deadline:
            check.run()
            time.sleep(0.1)
        check.cancel()
        names = sorted(aggregator.service_check_names)
        return {name: _STATUSES[aggregator.service_checks(name)[-1].status] for name in names}


_STATUSES = ('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')
