"""Faults played on the real LiteLLM: its monitors notice them, and nothing else. Run by `make drills`.

Requests and scrapes are real, and come one after the other; only the minutes between them are not waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest
import requests

from datadog_checks.litellm import LitellmCheck
from tools.datadog_model import Recorder
from tools.drills.fault_matrix import load_monitors
from tools.drills.scenarios import START
from tools.real_litellm.callers import ADA, BOB
from tools.real_litellm.config import Options
from tools.real_litellm.environment import HarnessError, environment
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.workload import Client

MINUTE = 60.0
# What monitors group by.
TAGS = ('env:production', 'service:litellm')
# Longer than every window of the monitors, and their delays.
FAULT_MINUTES = CALM_MINUTES = 13
# A deployment in cooldown is not called, and a Redis that failed is spared for a minute, both in real time: longer than
# a drill takes. What they do to the monitors is played on the fixture proxy, in virtual time.
WITHOUT_WAITING = Options(
    router_settings={'disable_cooldowns': True}, variables={'REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT': '0'}
)
KEYS = (ADA.key, BOB.key, ADA.key, BOB.key)

# These measure how fast this machine happens to be. A proxy that is up for seconds, in which minutes are played, looks
# to `restarting` as if it had just started.
DEPEND_ON_THE_MACHINE = {'latency', 'overhead', 'restarting', 'time_to_first_token'}


class Drill(NamedTuple):
    """A fault: how it begins and ends, what clients send meanwhile, and which monitors fire."""

    name: str
    begin: Callable[[RealProxy], None]
    end: Callable[[RealProxy], None]
    fires: frozenset[str]
    metadata: dict[str, list[str]] | None = None


def outage(status: int | None) -> Callable[[RealProxy], None]:
    def change(proxy: RealProxy) -> None:
        proxy.upstream.outage = status

    return change


def nothing(proxy: RealProxy) -> None:
    """Leave the proxy as it is."""


def redis(action: str) -> Callable[[RealProxy], None]:
    def change(proxy: RealProxy) -> None:
        assert proxy.redis is not None
        getattr(proxy.redis, action)()

    return change


DRILLS = (
    Drill(
        'provider outage',
        outage(500),
        outage(None),
        frozenset({'proxy_failure_rate', 'deployment_failure_rate', 'complete_outage'}),
    ),
    Drill(
        'provider refuses with 429',
        outage(429),
        outage(None),
        frozenset({'proxy_failure_rate', 'deployment_failure_rate', 'complete_outage'}),
    ),
    Drill('callback broken', nothing, nothing, frozenset({'callback_failures'}), metadata={'tags': ['unloggable']}),
    Drill('Redis down', redis('stop'), redis('start'), frozenset({'redis_failing', 'redis_circuit_open'})),
    Drill(
        'proxy gone', lambda proxy: proxy.stop(), lambda proxy: proxy.start(), frozenset({'scrape_down', 'not_ready'})
    ),
)


class Played(NamedTuple):
    """Which monitors alerted during which drill, and which had not recovered when the next one began."""

    alerts: dict[str, set[str]]
    not_recovered: dict[str, set[str]]


@pytest.fixture(scope='module')
def played() -> Iterator[Played]:
    failure = ''
    try:
        with RealProxy(environment(), WITHOUT_WAITING) as proxy:
            yield play(proxy)
    except HarnessError as error:
        failure = str(error)
    if failure:
        pytest.fail(failure, pytrace=False)


def play(proxy: RealProxy) -> Played:
    """Play all drills on one proxy, one after the other, with a calm time after each."""
    instance = {'openmetrics_endpoint': proxy.metrics_url, 'headers': {'Authorization': f'Bearer {proxy.key}'}}
    check, recorder, client = LitellmCheck('litellm', {}, [instance]), Recorder(tags=TAGS), Client(proxy)
    now = START

    def let_pass(minutes: int, metadata: dict[str, list[str]] | None = None) -> None:
        nonlocal now
        for _ in range(minutes):
            for key in KEYS:
                body = {'model': 'chat', 'messages': [{'role': 'user', 'content': f'{now} {key}'}]}
                with suppress(requests.RequestException):
                    client.post('/v1/chat/completions', body | ({'metadata': metadata} if metadata else {}), key)
            for half in (0.5, 1.0):
                recorder.run(check, now + half * MINUTE)
            now += MINUTE

    spans: dict[str, tuple[float, float]] = {}
    let_pass(CALM_MINUTES)
    for drill in DRILLS:
        if drill.name == 'Redis down' and proxy.redis is None:
            continue
        begin = now
        drill.begin(proxy)
        let_pass(FAULT_MINUTES, drill.metadata)
        drill.end(proxy)
        let_pass(CALM_MINUTES)
        spans[drill.name] = (begin, now)

    alerts: dict[str, set[str]] = {name: set() for name in spans}
    not_recovered: dict[str, set[str]] = {name: set() for name in spans}
    times = [START + minute * MINUTE for minute in range(1, round((now - START) / MINUTE) + 1)]
    for name, monitor in load_monitors().items():
        for evaluation in monitor.run(recorder.store, times):
            for drill_name, (begin, end) in spans.items():
                if begin < evaluation.time <= end and evaluation.status == 'Alert':
                    alerts[drill_name].add(name)
                    if evaluation.time == end:
                        not_recovered[drill_name].add(name)
    return Played(alerts, not_recovered)


@pytest.mark.parametrize('drill', DRILLS, ids=lambda drill: drill.name)
def test_its_monitors_alert_and_no_other(played: Played, drill: Drill) -> None:
    if drill.name not in played.alerts:
        pytest.skip('there is no redis-server')
    assert played.alerts[drill.name] - DEPEND_ON_THE_MACHINE == drill.fires


@pytest.mark.parametrize('drill', DRILLS, ids=lambda drill: drill.name)
def test_they_recover(played: Played, drill: Drill) -> None:
    assert played.not_recovered.get(drill.name, set()) - DEPEND_ON_THE_MACHINE == set()
