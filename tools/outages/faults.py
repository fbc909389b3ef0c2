"""The faults, and the traffic that goes on meanwhile, at real speed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests

from datadog_checks.base.stubs import aggregator
from datadog_checks.litellm import LitellmCheck
from tools.real_litellm.config import Options
from tools.real_litellm.database_accounts import Accounts, open_accounts, postgres_of
from tools.real_litellm.environment import Environment, HarnessError
from tools.real_litellm.families import Page
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.upkeep import page_of_all_jobs

from .tables import Seen

__all__ = ['FAULTS', 'Fault', 'observe']

_FAULT_SECONDS, _RECOVERY_SECONDS = 40, 20
_ANSWER_SECONDS = 20
# Out of reach of a client with this patience: the model `slow` takes longer.
_SHORT_PATIENCE = 0.3


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong: how it begins and ends, in which configuration, and what clients do."""

    name: str
    begin: Callable[[RealProxy], None]
    end: Callable[[RealProxy], None]
    general_settings: Mapping[str, Any] = field(default_factory=dict)
    model: str = 'chat'
    patience: float = _ANSWER_SECONDS
    guardrails: tuple[str, ...] = ()


def _nothing(proxy: RealProxy) -> None:
    """Leave the proxy as it is."""


def _provider(status: int | None) -> Callable[[RealProxy], None]:
    def change(proxy: RealProxy) -> None:
        proxy.upstream.outage = status

    return change


def _redis(action: str) -> Callable[[RealProxy], None]:
    def change(proxy: RealProxy) -> None:
        if proxy.redis is None:
            raise HarnessError('There is no Redis on this machine')
        getattr(proxy.redis, action)()

    return change


def _stop_postgres(proxy: RealProxy) -> None:
    postgres_of(proxy).stop()


def _start_postgres(proxy: RealProxy) -> None:
    postgres_of(proxy).start()


# Holds the lock from the beginning of the fault to its end.
_LOCK = ExitStack()


def _lock_keys(proxy: RealProxy) -> None:
    _LOCK.enter_context(postgres_of(proxy).locked('LiteLLM_VerificationToken'))


def _unlock_keys(proxy: RealProxy) -> None:
    _LOCK.close()


FAULTS = (
    Fault('nothing', _nothing, _nothing),
    Fault('PostgreSQL stopped', _stop_postgres, _start_postgres),
    Fault(
        'PostgreSQL hangs',
        lambda proxy: postgres_of(proxy).pause(),
        lambda proxy: postgres_of(proxy).resume(),
    ),
    Fault('table of keys locked', _lock_keys, _unlock_keys),
    Fault('Redis down', _redis('stop'), _redis('start')),
    Fault('provider answers 500', _provider(500), _provider(None)),
    Fault('provider answers 429', _provider(429), _provider(None)),
    Fault('clients hang up', _nothing, _nothing, model='slow', patience=_SHORT_PATIENCE),
    Fault('a guardrail raises', _nothing, _nothing, guardrails=('raising',)),
    Fault(
        'PostgreSQL stopped, requests allowed',
        _stop_postgres,
        _start_postgres,
        general_settings={'allow_requests_on_db_unavailable': True},
    ),
)


def options_for(fault: Fault) -> Options:
    """Return how a proxy is configured for a fault: as by default, but for what the fault asks."""
    return Options(
        with_database=True,
        general_settings=fault.general_settings,
        router_settings={'disable_cooldowns': True},
        # Budgets as users see them, read from the database once a minute.
        variables={'PROMETHEUS_BUDGET_METRICS_REFRESH_INTERVAL_MINUTES': '1'},
    )


def observe(environment: Environment, faults: tuple[Fault, ...] = FAULTS) -> list[Seen]:
    """Play the faults on one proxy, one after the other, and return what was seen of each.

    None begins before the jobs of the database run: otherwise it would be chance which of them fail in it.
    """
    seen = []
    with RealProxy(environment, options_for(faults[0])) as proxy:
        accounts = open_accounts(proxy)
        page_of_all_jobs(proxy)
        for fault in faults:
            if options_for(fault) != proxy.options:
                proxy.reconfigure(options_for(fault))
                page_of_all_jobs(proxy)
            seen.append(_observe(proxy, accounts, fault))
    return seen


def _observe(proxy: RealProxy, accounts: Accounts, fault: Fault) -> Seen:
    # Known before: what a fault does to a key depends on whether LiteLLM has seen it lately.
    calm = Fault('calm', _nothing, _nothing)
    _call(proxy, accounts, calm, seconds=3)
    time.sleep(2)
    before = Page(proxy.scrape())
    fault.begin(proxy)
    try:
        answers, slowest = _call(proxy, accounts, fault, _FAULT_SECONDS)
        checks, during = _run_check(proxy), Page(proxy.scrape())
    finally:
        fault.end(proxy)
    _call(proxy, accounts, calm, _RECOVERY_SECONDS)
    return Seen(fault.name, before, during, Page(proxy.scrape()), answers, slowest, checks)


def _call(proxy: RealProxy, accounts: Accounts, fault: Fault, seconds: float) -> tuple[dict[str, Counter[str]], float]:
    """Let every kind of caller send a request a second, each in a thread of its own.

    Return the answers, and how long the slowest of the readiness took.
    """
    keys = {
        'a key with team, user and budget': accounts.members['eve-key'].key,
        'a key without': accounts.members['dan-key'].key,
        'an unknown key': 'sk-nobody',
        'the master key': proxy.key,
    }
    deadline = time.monotonic() + seconds

    def repeat(ask: Callable[[], str]) -> tuple[Counter[str], float]:
        found, slowest = Counter[str](), 0.0
        while time.monotonic() < deadline:
            began = time.monotonic()
            found[ask()] += 1
            took = time.monotonic() - began
            slowest = max(slowest, took)
            time.sleep(max(0.0, 1 - took))
        return found, slowest

    with ThreadPoolExecutor(len(keys) + 1) as executor:
        running = {who: executor.submit(repeat, partial(_chat, proxy, key, fault)) for who, key in keys.items()}
        running['readiness'] = executor.submit(repeat, partial(_readiness, proxy))
        ended = {who: future.result() for who, future in running.items()}
        return {who: answers for who, (answers, _) in ended.items()}, ended['readiness'][1]


def _chat(proxy: RealProxy, key: str, fault: Fault) -> str:
    body: dict[str, Any] = {'model': fault.model, 'messages': [{'role': 'user', 'content': f'{time.monotonic()}'}]}
    if fault.guardrails:
        body['guardrails'] = list(fault.guardrails)
    headers = {'Authorization': f'Bearer {key}'}
    try:
        answer = requests.post(f'{proxy.url}/v1/chat/completions', json=body, headers=headers, timeout=fault.patience)
    except requests.RequestException:
        return 'none'
    return str(answer.status_code)


def _readiness(proxy: RealProxy) -> str:
    try:
        answer = requests.get(f'{proxy.url}/health/readiness', timeout=_ANSWER_SECONDS)
    except requests.RequestException:
        return 'none'
    with suppress(ValueError, AttributeError):
        return f'{answer.status_code} {answer.json().get("db", "")}'.strip()
    return str(answer.status_code)


def _run_check(proxy: RealProxy) -> dict[str, str]:
    """Run the check, and return the status of each of its service checks."""
    instance = {
        'openmetrics_endpoint': proxy.metrics_url,
        'headers': {'Authorization': f'Bearer {proxy.key}'},
        'timeout': _ANSWER_SECONDS,
    }
    aggregator.reset()
    check = LitellmCheck('litellm', {}, [instance])
    # The answers of the other endpoints arrive in the run after the one that asked.
    for _ in range(2):
        check.run()
        time.sleep(5)
    statuses = ('OK', 'WARNING', 'CRITICAL', 'UNKNOWN')
    return {
        name: statuses[aggregator.service_checks(name)[-1].status] for name in sorted(aggregator.service_check_names)
    }
