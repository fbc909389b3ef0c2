"""The drills: what is done to a real proxy, stage by stage, and what its clients do meanwhile.

A drill `like` one of the fixture's is held to what `tools.drills.expected` says of that, but for the monitors that are
`silent` here and those that are `unjudged`, as they may do either, each with its reason. What the fixture has no drill
for is expected by `ONLY_HERE`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tools.drills.expected import Expectation
from tools.real_litellm.config import Options
from tools.real_litellm.database_accounts import PRICE, postgres_of
from tools.real_litellm.environment import HarnessError

from .scene import Ask, Scene

__all__ = ['DRILLS', 'ONLY_HERE', 'STAGES', 'Drill', 'Stage']

# Longer than every window of the monitors that they are about, and their delays.
_MINUTES = 13


@dataclass(frozen=True)
class Drill:
    """A fault: it is there inside the block of `fault`, in which `minutes` of `mix` go by, and `calm` ones after it.

    `before` is what happens before the calm time that precedes it. `proves` returns what is wrong, beyond monitors, at
    the end of the calm time after it.
    """

    name: str
    stage: str
    description: str
    fault: Callable[[Scene], AbstractContextManager[None]]
    mix: tuple[Ask, ...]
    usual: tuple[Ask, ...]
    minutes: int = _MINUTES
    calm: int = _MINUTES
    calm_before: int = 3
    runs: int = 2
    like: str = ''
    silent: Mapping[str, str] = field(default_factory=dict)
    unjudged: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Scene], None] = lambda scene: None
    proves: Callable[[Scene], list[str]] = lambda scene: []

    @property
    def needs_redis(self) -> bool:
        return self.fault is _without_redis

    @property
    def needs_database(self) -> bool:
        return STAGES[self.stage].options.with_database


@dataclass(frozen=True)
class Stage:
    """A proxy that some drills are played on, one after the other, and its keys: fields of them, by alias."""

    options: Options
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics_key: str = 'master'
    timeout: float = 10.0


# A deployment in cooldown is not called, and a Redis that failed is spared for a minute, both in real time: longer than
# a drill takes. What they do to the monitors is played on the fixture proxy, in virtual time.
_WITHOUT_WAITING: dict[str, Any] = {
    'router_settings': {'disable_cooldowns': True},
    'litellm_settings': {'request_timeout': 60},
}
_ROOM = {'max_in_flight_requests_per_worker': 200, 'max_queued_requests_per_worker': 100}
# A key is looked up again after a second, not after a minute.
_LOOKED_UP_OFTEN = {**_ROOM, 'user_api_key_cache_ttl': 1}
_BUDGET = 5.0

STAGES = {
    'one process': Stage(
        Options(variables={'REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT': '0'}, **_WITHOUT_WAITING, general_settings=_ROOM)
    ),
    'two workers': Stage(
        Options(with_redis=False, workers=2, own_metrics_port=True, **_WITHOUT_WAITING, general_settings=_ROOM),
        # A readiness that is not answered is waited for as long, in real time.
        timeout=2.0,
    ),
    'accounts': Stage(
        Options(with_database=True, **_WITHOUT_WAITING, general_settings=_LOOKED_UP_OFTEN),
        {
            'red': {},
            'blue': {},
            'agent': {},
            'spent': {'max_budget': PRICE / 2},
            'limited': {'rpm_limit': 1},
            'monthly': {'max_budget': _BUDGET, 'budget_duration': '30d'},
            'deleted': {'max_budget': _BUDGET, 'budget_duration': '30d'},
            'renamed': {'max_budget': _BUDGET, 'budget_duration': '30d'},
        },
        'agent',
    ),
    'database': Stage(
        Options(with_database=True, **_WITHOUT_WAITING, general_settings=_LOOKED_UP_OFTEN),
        {'red': {}, 'blue': {}, 'green': {}, 'white': {}, 'agent': {}},
    ),
    'another database': Stage(
        Options(with_database=True, **_WITHOUT_WAITING, general_settings=_LOOKED_UP_OFTEN),
        {'red': {}, 'blue': {}, 'green': {}, 'white': {}},
    ),
    'requests allowed': Stage(
        Options(
            with_database=True,
            **_WITHOUT_WAITING,
            general_settings={**_LOOKED_UP_OFTEN, 'allow_requests_on_db_unavailable': True},
        ),
        {'red': {}, 'blue': {}, 'green': {}, 'white': {}},
    ),
}

_STREAMED: dict[str, Any] = {'stream': True, 'stream_options': {'include_usage': True}}
_USUAL = (Ask('red'), Ask('blue'), Ask('red', more=_STREAMED), Ask('blue'))


def _set(**attributes: Any) -> Callable[[Scene], AbstractContextManager[None]]:
    """Change what providers do: attributes of the upstream."""

    @contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        upstream = scene.proxy.upstream
        former = {name: getattr(upstream, name) for name in attributes}
        vars(upstream).update(attributes)
        try:
            yield
        finally:
            vars(upstream).update(former)

    return fault


@contextmanager
def _clients_only(scene: Scene) -> Iterator[None]:
    """Leave the proxy as it is: what clients send is the fault."""
    yield


def _each_asks_for(guardrail: str) -> tuple[Ask, ...]:
    more = {'guardrails': [guardrail]}
    return tuple(Ask(ask.key, more={**ask.more, **more}) for ask in _USUAL)


_MEMORY, _GROWTH_BYTES = 'litellm.process.resident_memory_bytes', 400 << 20


def _memory_is_told(scene: Scene) -> list[str]:
    """Say that what the proxy has kept does not show in what the check reports."""
    (memory,) = scene.recorder.store.series(_MEMORY)
    first, last = memory.values[0], memory.values[-1]
    return [] if last - first > _GROWTH_BYTES else [f'the memory was {first:g} bytes, and {last:g} in the end']


@contextmanager
def _without_redis(scene: Scene) -> Iterator[None]:
    redis = scene.proxy.redis
    if redis is None:
        raise HarnessError('There is no Redis on this machine')
    redis.stop()
    yield
    redis.start()


@contextmanager
def _gone(scene: Scene) -> Iterator[None]:
    scene.proxy.stop()
    yield
    scene.proxy.start()


@contextmanager
def _slow(scene: Scene) -> Iterator[None]:
    """Let the providers take half a minute for the answers to a wave of requests."""
    with _set(delay=31.0)(scene):
        scene.minutes(1, _WAVE)
        yield


_WAVE = (Ask('red', more=_STREAMED),) * 60


def _a_day_before(scene: Scene) -> None:
    """Have something to compare with, at the same time of the day before."""
    began = scene.now
    scene.minutes(3, _WAVE[:20], runs=1)
    scene.minutes(45, _USUAL[2:3], runs=1)
    scene.now = began + 24 * 3600


_ONE_PROCESS = (
    Drill(
        'provider outage',
        'one process',
        'The provider answers 500 to every call.',
        _set(outage=500),
        _USUAL,
        _USUAL,
        silent={'unhealthy_endpoints': 'The models are not called in the background.'},
        like='provider outage',
    ),
    Drill(
        'rate-limit storm',
        'one process',
        'The provider answers 429 to every call.',
        _set(outage=429),
        _USUAL,
        _USUAL,
    ),
    Drill(
        'callback broken',
        'one process',
        'A callback raises for every request.',
        _clients_only,
        tuple(Ask(ask.key, more={**ask.more, 'metadata': {'tags': ['unloggable']}}) for ask in _USUAL * 2),
        _USUAL,
        like='callback broken',
    ),
    Drill(
        'guardrail broken',
        'one process',
        'A guardrail fails in all of its runs, which a third of the requests ask for.',
        _clients_only,
        (*_USUAL, *_USUAL, *_each_asks_for('raising')),
        _USUAL,
        like='guardrail broken',
    ),
    Drill(
        'custom guardrail',
        'one process',
        'A guardrail of the user, which every request asks for, blocks a quarter of them with a plain exception.',
        _clients_only,
        (
            *_each_asks_for('strict'),
            *_each_asks_for('strict')[:2],
            *(Ask('blue', text='secret', more={'guardrails': ['strict']}),) * 2,
        ),
        _USUAL,
        like='custom guardrail',
    ),
    Drill(
        'client hang-ups',
        'one process',
        'A quarter of the clients do not wait for their answer.',
        _clients_only,
        (*_USUAL[:3], Ask('blue', 'slow', patience=0.3)),
        _USUAL,
        like='client hang-ups',
    ),
    Drill(
        'Redis down',
        'one process',
        'Redis is ended, and started again.',
        _without_redis,
        _USUAL,
        _USUAL,
        like='Redis down',
    ),
    Drill(
        'memory growing',
        'one process',
        'A guardrail keeps eight MB of each request.',
        _clients_only,
        _each_asks_for('hoarding') * 2,
        _USUAL,
        minutes=7,
        calm=3,
        runs=1,
        proves=_memory_is_told,
    ),
    Drill(
        'proxy gone',
        'one process',
        'The proxy is ended, and started again.',
        _gone,
        _USUAL,
        _USUAL,
        minutes=8,
        like='proxy gone',
    ),
    Drill(
        'slow provider',
        'one process',
        'First tokens take half a minute, in real time.',
        _slow,
        (),
        _USUAL[2:3],
        minutes=12,
        calm=36,
        runs=1,
        like='slow provider',
        before=_a_day_before,
    ),
)


# Accounts.


@contextmanager
def _blocked_agent(scene: Scene) -> Iterator[None]:
    scene.manage('/key/block', key=scene.keys['agent'])
    time.sleep(_LOOKED_UP_SECONDS)
    yield
    scene.manage('/key/unblock', key=scene.keys['agent'])
    time.sleep(_LOOKED_UP_SECONDS)


_LOOKED_UP_SECONDS = 2.0
_HOUR = 60
_REMAINING = 'litellm_remaining_api_key_budget_metric'


def _known_for_an_hour(alias: str) -> Callable[[Scene], None]:
    """Let an hour go by after the first request with a key: monitors of budgets ask how fast they shrink."""

    def before(scene: Scene) -> None:
        scene.minutes(1, [Ask(alias, 'priced')])
        scene.minutes(_HOUR + 5, _USUAL[:1], runs=1)

    return before


def _remaining(scene: Scene, **labels: str) -> float:
    return scene.page().total(_REMAINING, '', **labels)


def _use_up(scene: Scene, alias: str) -> None:
    """Spend most of the budget of a key, and wait until LiteLLM shows it.

    It writes the gauge with each success, from what it had read of the spend by then: a burst does not show.
    """
    scene.send_and_wait([Ask(alias, 'priced')] * round(0.8 * _BUDGET / PRICE))

    def is_shown() -> bool:
        time.sleep(2)
        scene.status_of(Ask(alias, 'priced'))
        return _remaining(scene, api_key_alias=alias) < 0.19 * _BUDGET

    scene.wait_until(is_shown, 'LiteLLM does not show how much of a budget is left')


def _reset(scene: Scene, key: str, alias: str) -> None:
    """Let the day of the reset of a key come, and wait for LiteLLM's job, which resets the budget."""
    postgres_of(scene.proxy).query(
        f"""update "LiteLLM_VerificationToken" set budget_reset_at = now() - interval '1 minute'
            where key_alias = '{alias}'"""
    )

    def is_reset() -> bool:
        # Not so often that its refusals are told of.
        time.sleep(3)
        scene.status_of(Ask(key, 'priced'))
        return _remaining(scene, api_key_alias=alias) > 0.8 * _BUDGET

    scene.wait_until(is_reset, 'LiteLLM did not reset a budget')


@contextmanager
def _used_up_and_reset(scene: Scene) -> Iterator[None]:
    _use_up(scene, 'monthly')
    yield
    _reset(scene, 'monthly', 'monthly')


@contextmanager
def _used_up_and_deleted(scene: Scene) -> Iterator[None]:
    _use_up(scene, 'deleted')
    yield
    scene.manage('/key/delete', keys=[scene.keys['deleted']])


@contextmanager
def _used_up_and_renamed(scene: Scene) -> Iterator[None]:
    _use_up(scene, 'renamed')
    yield
    scene.manage('/key/update', key=scene.keys['renamed'], key_alias='renamed-since')
    _reset(scene, 'renamed', 'renamed-since')


# Of two deployments with one name, that which is not called keeps an old limit on the page, by chance.
_ONE_DEPLOYMENT = tuple(replace(ask, model='priced') for ask in _USUAL)
_NOT_RICH = 'Its budget is five dollars.'
_OTHER_BUDGETS = 'The budget of a key only.'

_ACCOUNTS = (
    Drill(
        'wrong keys',
        'accounts',
        'Two thirds of the requests have a key that is not in the database.',
        _clients_only,
        (*_USUAL, *(Ask('sk-nobody'),) * 8),
        _USUAL,
        like='wrong keys',
    ),
    Drill(
        'budget spent',
        'accounts',
        'A client goes on after its budget, which is never reset, is spent.',
        _clients_only,
        (*_USUAL, *(Ask('spent', 'priced'),) * 2),
        _USUAL,
        like='budget spent',
    ),
    Drill(
        'rate limiting',
        'accounts',
        'The provider tells of five more requests and 500 more tokens. One client hits its own limit.',
        _set(remaining=(5, 500)),
        (*_ONE_DEPLOYMENT, *(Ask('limited', 'claude'),) * 4),
        _ONE_DEPLOYMENT,
        like='rate limiting',
    ),
    Drill(
        'Agent refused',
        'accounts',
        'The key of the Agent is blocked.',
        _blocked_agent,
        _USUAL,
        _USUAL,
        minutes=8,
        like='Agent refused',
    ),
    Drill(
        'budget running out',
        'accounts',
        'A key spends most of its budget, which LiteLLM resets later.',
        _used_up_and_reset,
        _USUAL,
        (*_USUAL[:3], Ask('monthly', 'priced')),
        minutes=16,
        calm=15,
        like='budget running out',
        silent={
            'team_budget': _OTHER_BUDGETS,
            'user_budget': _OTHER_BUDGETS,
            'org_budget': _OTHER_BUDGETS,
            'provider_budget': _OTHER_BUDGETS,
            'key_spend': _NOT_RICH,
            'daily_spend': _NOT_RICH,
        },
        before=_known_for_an_hour('monthly'),
    ),
    Drill(
        'key deleted',
        'accounts',
        'A key spends most of its budget, and is deleted. LiteLLM keeps its last values.',
        _used_up_and_deleted,
        _USUAL,
        _USUAL,
        minutes=16,
        calm=75,
        runs=1,
        before=_known_for_an_hour('deleted'),
    ),
    Drill(
        'alias renamed',
        'accounts',
        'A key spends most of its budget, gets another alias, and is reset. LiteLLM keeps the values of the old alias.',
        _used_up_and_renamed,
        _USUAL,
        _USUAL,
        minutes=16,
        calm=75,
        runs=1,
        before=_known_for_an_hour('renamed'),
    ),
)


# The database.

# For a start of the proxy, or of a worker, on a busy machine.
_START_SECONDS = 240


def _is_well(scene: Scene) -> bool:
    """Tell whether the proxy has its database, and its clients are served."""
    return scene.readiness() == '200 connected' and all(scene.status_of(ask) == 200 for ask in _USUAL[:2])


def _wait_until_noticed(scene: Scene) -> None:
    scene.wait_until(lambda: scene.readiness() != '200 connected', 'LiteLLM did not notice that its database is away')


@contextmanager
def _without_database(scene: Scene) -> Iterator[None]:
    postgres = postgres_of(scene.proxy)
    postgres.stop()
    _wait_until_noticed(scene)
    yield
    postgres.start()
    scene.wait_until(lambda: _is_well(scene), 'LiteLLM did not find its database again')


@contextmanager
def _with_hanging_database(scene: Scene) -> Iterator[None]:
    postgres = postgres_of(scene.proxy)
    postgres.pause()
    _wait_until_noticed(scene)
    yield
    postgres.resume()
    scene.wait_until(lambda: _is_well(scene), 'LiteLLM did not notice that its database answers', 90)


@contextmanager
def _with_hanging_lookups(scene: Scene) -> Iterator[None]:
    """Lock the table of keys: the database answers, but whoever looks up a key waits."""
    lookups = [Ask(ask.key, patience=15) for ask in _IMPATIENT]
    with postgres_of(scene.proxy).locked('LiteLLM_VerificationToken'):
        scene.send_without_waiting(lookups)
        _wait_until_noticed(scene)
        # LiteLLM tells of a lookup that was given up for half a minute.
        scene.send_without_waiting(lookups)
        yield
    scene.wait_until(lambda: _is_well(scene), 'LiteLLM did not notice that keys are found again', 90)


def _give_agent_a_key(scene: Scene) -> None:
    scene.give_agent('agent')


@contextmanager
def _started_allowing(scene: Scene) -> Iterator[None]:
    """Start the proxy while its database is gone, which it may do without, and let it find it later by itself."""
    postgres = postgres_of(scene.proxy)
    scene.proxy.stop()
    postgres.stop()
    scene.proxy.start()
    yield
    postgres.start()
    scene.wait_until(lambda: _is_well(scene), 'LiteLLM did not find the database that it had started without')


@contextmanager
def _started_without(scene: Scene) -> Iterator[None]:
    """Restart the proxy while its database is gone, upon which it ends; once it is back, the proxy starts."""
    postgres = postgres_of(scene.proxy)
    scene.proxy.stop()
    postgres.stop()
    scene.proxy.launch()
    scene.wait_until(lambda: scene.proxy.has_ended, 'LiteLLM did not end without its database', _START_SECONDS)
    yield
    postgres.start()
    scene.proxy.restart()


# In an outage of its database, LiteLLM takes seconds for an answer.
_IMPATIENT = tuple(Ask(key, patience=8) for key in ('red', 'blue', 'green', 'white'))

_JOBS_OF_ITS_OWN = {
    'budget_reset_failing': 'How often LiteLLM resets budgets in a minute that is played, is by chance.',
    'spend_log_cleanup_failing': 'The cleanup is once a day elsewhere, and every 20 seconds here.',
}

_PATIENT = 'How many lookups have failed by then is a matter of real time.'

_DATABASE = (
    Drill(
        'database down',
        'database',
        'PostgreSQL is stopped. The Agent has the master key.',
        _without_database,
        _IMPATIENT * 2,
        _USUAL,
        minutes=7,
        runs=1,
        unjudged=_JOBS_OF_ITS_OWN,
        like='database down',
    ),
    Drill(
        'database down, key of the Agent',
        'database',
        'PostgreSQL is stopped. The Agent has a key of its own, which LiteLLM cannot look up.',
        _without_database,
        _IMPATIENT * 2,
        _USUAL,
        minutes=6,
        runs=1,
        unjudged=_JOBS_OF_ITS_OWN,
        like='database down, key of the Agent',
        before=_give_agent_a_key,
    ),
    Drill(
        'database hangs',
        'another database',
        'PostgreSQL is suspended: it takes connections, and answers none.',
        _with_hanging_database,
        tuple(Ask(ask.key, patience=1) for ask in _IMPATIENT),
        _USUAL,
        minutes=8,
        runs=1,
        unjudged={**_JOBS_OF_ITS_OWN, 'clients_refused': _PATIENT, 'postgres_failing': _PATIENT},
    ),
    Drill(
        'key lookups hang',
        'another database',
        'A session holds the table of keys: the database answers, and lookups of keys do not.',
        _with_hanging_lookups,
        tuple(Ask(ask.key, patience=1) for ask in _IMPATIENT),
        _USUAL,
        minutes=5,
        runs=1,
        unjudged={**_JOBS_OF_ITS_OWN, 'clients_refused': _PATIENT, 'postgres_failing': _PATIENT},
    ),
    Drill(
        'started without its database, requests allowed',
        'requests allowed',
        'The proxy is started while PostgreSQL is stopped, and `allow_requests_on_db_unavailable` is on.',
        _started_allowing,
        _IMPATIENT * 2,
        _USUAL,
        minutes=4,
        runs=1,
        unjudged=_JOBS_OF_ITS_OWN,
    ),
    Drill(
        'database down, requests allowed',
        'requests allowed',
        'PostgreSQL is stopped, and `allow_requests_on_db_unavailable` is on.',
        _without_database,
        _IMPATIENT * 2,
        _USUAL,
        minutes=5,
        runs=1,
        unjudged=_JOBS_OF_ITS_OWN,
    ),
    Drill(
        'started without its database',
        'database',
        'The proxy is restarted while PostgreSQL is stopped, and ends by itself.',
        _started_without,
        _IMPATIENT,
        _USUAL,
        minutes=8,
        like='proxy gone',
        unjudged=_JOBS_OF_ITS_OWN,
    ),
)


# Two workers.

_BATCHES = 60


@contextmanager
def _a_worker_dies(scene: Scene) -> Iterator[None]:
    """Kill a worker that has seen the outage, while it lasts."""
    proxy = scene.proxy
    with _set(outage=500)(scene):
        for worker in proxy.workers():
            with proxy.answered_by(worker):
                scene.minutes(1, _USUAL)
        proxy.kill(proxy.workers()[0])
        proxy.wait_for_workers()
        yield


def _nothing_fails(scene: Scene) -> list[str]:
    """Say which deployments are still failing, as the check reports them, or that none ever was."""
    states = scene.recorder.store.series('litellm.deployment.state')
    if not any(max(series.values) for series in states):
        return ['no deployment was reported as failing']
    return [f'{sorted(series.tags)} is {series.values[-1]:g}' for series in states if series.values[-1]]


@contextmanager
def _recycled(scene: Scene) -> Iterator[None]:
    """Let LiteLLM replace its workers after so many requests, some of them before this goes on."""
    proxy = scene.proxy
    limit = ('--max_requests_before_restart', '100', '--max_requests_before_restart_jitter', '100')
    proxy.reconfigure(replace(proxy.options, arguments=limit))
    former = set(proxy.workers())
    for _ in range(_BATCHES):
        scene.send_and_wait([Ask('red', patience=10)] * 10)
        if set(proxy.workers()) != former:
            break
    else:
        raise HarnessError('LiteLLM did not replace a worker')
    # Workers that begin together end together, and leave the proxy without any until others have started.
    scene.wait_until(lambda: len(proxy.workers()) == proxy.options.workers, 'LiteLLM did not replace a worker')
    scene.wait_until(lambda: scene.readiness().startswith('200'), 'The replaced worker was not ready', _START_SECONDS)
    yield


@contextmanager
def _blocked(scene: Scene) -> Iterator[None]:
    """Block the event loops of both workers while both have requests in flight."""
    proxy = scene.proxy
    proxy.blocked.touch()
    scene.send_without_waiting([Ask('red', 'slow')] * 60)
    time.sleep(1.0)
    for _ in range(8):
        scene.send_without_waiting([Ask('red', more={'guardrails': ['blocking']})])
    yield
    proxy.blocked.unlink()
    scene.wait_until(lambda: scene.status_of(Ask('blue')) == 200, 'The proxy did not serve again')


_TWO_WORKERS = (
    Drill(
        'worker killed in an outage',
        'two workers',
        'The provider answers 500. One of two workers, both of which have met it, is killed and replaced.',
        _a_worker_dies,
        _USUAL,
        _USUAL,
        silent={'unhealthy_endpoints': 'The models are not called in the background.'},
        like='provider outage',
        proves=_nothing_fails,
    ),
    Drill(
        'proxy hung',
        'two workers',
        'The event loops of both workers are blocked. The page is served on a port of its own.',
        _blocked,
        (),
        _USUAL,
        minutes=14,
        like='proxy hung',
    ),
    Drill(
        'workers recycled',
        'two workers',
        'LiteLLM replaces each worker after some requests (`--max_requests_before_restart`).',
        _recycled,
        _USUAL,
        _USUAL,
        like='worker restart',
    ),
)

DRILLS = (*_ONE_PROCESS, *_ACCOUNTS, *_DATABASE, *_TWO_WORKERS)

ONLY_HERE = (
    Expectation('proxy_failure_rate', 'rate-limit storm', 5, 'Clients get the 429 of the provider.'),
    Expectation('deployment_failure_rate', 'rate-limit storm', 5, 'All calls of deployments fail.'),
    Expectation('complete_outage', 'rate-limit storm', 12, 'No deployment works.'),
    Expectation('database_disconnected', 'database hangs', 3, 'Once LiteLLM has noticed.', 2),
    Expectation('not_ready', 'database hangs', 3, 'Once LiteLLM has noticed.', 2),
    Expectation('database_disconnected', 'key lookups hang', 3, 'LiteLLM says that its database is stalled.', 2),
    Expectation('not_ready', 'key lookups hang', 3, 'LiteLLM says that its database is stalled.', 2),
    Expectation(
        'database_disconnected',
        'started without its database, requests allowed',
        3,
        'The body of the readiness tells.',
        2,
    ),
    Expectation('postgres_failing', 'started without its database, requests allowed', 6, 'All of its calls fail.'),
    Expectation('database_disconnected', 'database down, requests allowed', 3, 'The body of the readiness tells.', 2),
    Expectation('postgres_failing', 'database down, requests allowed', 6, 'All of its calls fail.'),
    Expectation('key_budget', 'key deleted', 5, 'It has spent most of its budget.', 75),
    Expectation('key_budget', 'alias renamed', 5, 'It has spent most of its budget.', 75),
    Expectation('proxy_failure_rate', 'guardrail broken', 5, 'Clients get a 500, whose class is any exception.'),
)
