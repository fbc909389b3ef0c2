"""The drills: what happens to a proxy, minute by minute, and what its clients do meanwhile.

Most begin with a calm time, have one fault, and end with a calm time in which monitors recover.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fixture_proxy.settings import DEFAULT_RELEASE

from .clients import Mix, Plan, chat, post
from .stage import AGENT_KEY

__all__ = ['SCENARIOS', 'START', 'USUAL', 'Phase', 'Scenario', 'video']

# Monday, 2 November 2026, 9:00 UTC.
START = 1_793_610_000.0

_WEEK_MINUTES = 7 * 24 * 60
_HOURS = 3600.0


@dataclass(frozen=True)
class Phase:
    """A time in which the same goes on.

    `per_minute` requests of `mix` are sent; `controls` are those of the fixture proxy; `up` says whether it runs at
    all, `restart` that it starts anew at the beginning, and `advance` (seconds) how much time of the proxy's own, as
    that of budgets, has gone by then. `step_seconds` lie between two runs of the check. `jobs` run once at the
    beginning. Requests say up to `longest` times three words. `pods` are the proxies that there are, each with an
    endpoint and an instance of the check of its own. With `bundled`, the check of the same name that the Agent brings
    runs the same instances instead.
    """

    minutes: float
    per_minute: float = 16
    mix: Mix = ()
    controls: Mapping[str, Any] = field(default_factory=dict)
    up: bool = True
    restart: bool = False
    advance: float = 0.0
    jobs: tuple[str, ...] = ()
    is_fault: bool = False
    step_seconds: float = 15.0
    longest: int = 9
    pods: tuple[str, ...] = ('a',)
    bundled: bool = False


@dataclass(frozen=True)
class Scenario:
    """A drill. `options` are those of the instance, beside the addresses and the key.

    With `health_checks` the proxy calls its models in the background, and counts these calls as any others: twice the
    series, and twice the time that the drill takes, so only where it may matter.
    """

    name: str
    description: str
    phases: tuple[Phase, ...]
    start: float = START
    release: str = DEFAULT_RELEASE
    broken_models: bool = False
    health_checks: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> float:
        """The unix time of its last moment."""
        return self.start + 60 * sum(phase.minutes for phase in self.phases)

    @property
    def fault(self) -> tuple[float, float]:
        """The unix times at which the fault begins and ends; a drill without one has it all the time."""
        begins, ends, now = None, self.end, self.start
        for phase in self.phases:
            if phase.is_fault and begins is None:
                begins = now
            now += 60 * phase.minutes
            if phase.is_fault:
                ends = now
        return (self.start if begins is None else begins), ends

    def having(self, **options: Any) -> Scenario:
        """Return the same with other options of the instance."""
        return replace(self, options=options)

    def on(self, release: str) -> Scenario:
        """Return the same on another release of LiteLLM."""
        return replace(self, release=release)


_STREAM: dict[str, Any] = {'stream': True}

USUAL: Mix = (
    chat('search', 'gpt-4o'),
    chat('support', 'claude-sonnet', **_STREAM),
    chat('search', 'gpt-4o-mini', **_STREAM),
    chat('support', 'o4-mini'),
)


def _with_fault(
    name: str, description: str, fault: Phase, before: float = 6, after: float = 14, health_checks: bool = False
) -> Scenario:
    calm = Phase(before, mix=USUAL)
    phases = (calm, fault, replace(calm, minutes=after))
    return Scenario(name, description, phases, health_checks=health_checks)


def _fault(minutes: float = 12, mix: Mix = USUAL, per_minute: float = 16, **controls: Any) -> Phase:
    return Phase(minutes, per_minute, mix, controls, is_fault=True)


def video(key: str, dollars: float) -> Plan:
    """Plan a video of a certain price: a second of it costs ten cents."""
    return post(key, '/v1/videos', model='sora', prompt=..., seconds=round(dollars * 10))


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            'normal peak',
            'Traffic triples within minutes, and nothing breaks.',
            (
                Phase(8, mix=USUAL),
                Phase(10, 48, USUAL),
                Phase(10, mix=USUAL),
            ),
        ),
        Scenario(
            'quiet night',
            'Two requests in forty minutes: one is slow, the other fails.',
            (
                Phase(12, 0),
                Phase(1, 1, (chat('search', 'gpt-4o', **_STREAM),), {'slow_providers': {'openai': 40, 'azure': 40}}),
                Phase(8, 0),
                Phase(1, 1, (chat('support', 'o4-mini'),), {'failing_providers': {'openai': 503}}),
                Phase(18, 0),
            ),
            health_checks=True,
        ),
        Scenario(
            'cold start',
            'The Agent starts before the proxy does, and the first clients arrive slowly.',
            (
                Phase(0.5, up=False),
                Phase(2, 0),
                Phase(5, 4, USUAL),
                Phase(15, mix=USUAL),
            ),
        ),
        Scenario(
            'worker restart',
            'The proxy is replaced by a new process: one minute without any, then all counters start at zero.',
            (
                Phase(10, mix=USUAL),
                Phase(1, up=False),
                Phase(15, mix=USUAL, restart=True),
            ),
        ),
        _with_fault(
            'proxy gone',
            'Nothing listens on the port of the metrics page for eight minutes.',
            Phase(8, up=False, is_fault=True),
        ),
        _with_fault(
            'Agent refused',
            'The key of the Agent is blocked for eight minutes. Clients notice nothing.',
            _fault(8, blocked_keys=[AGENT_KEY]),
        ),
        _with_fault(
            'provider outage',
            'OpenAI answers every call with 503. Azure still serves half of gpt-4o.',
            _fault(14, failing_providers={'openai': 503}),
            health_checks=True,
        ),
        _with_fault(
            'fallback storm',
            'Anthropic and Bedrock are down, and the fallbacks are overrun and answer 429.',
            _fault(14, failing_providers={'anthropic': 503, 'bedrock': 503, 'openai': 429, 'azure': 429}),
        ),
        _with_fault(
            'long cooldowns',
            'All providers of claude-sonnet and its fallback are down. The router cools deployments down for a minute, '
            'so most clients get its own 429.',
            _fault(
                14,
                (chat('support', 'claude-sonnet', **_STREAM),),
                60,
                failing_providers=dict.fromkeys(('openai', 'azure', 'anthropic', 'bedrock'), 503),
                cooldown_seconds=60.0,
            ),
        ),
        _with_fault(
            'slow provider',
            'All providers are 30 times as slow, to the first token as well.',
            _fault(20, slow_providers=dict.fromkeys(('openai', 'azure', 'anthropic', 'bedrock'), 30)),
            after=20,
        ),
        _with_fault(
            'rate limiting',
            'Others use up the rate limits of the accounts at OpenAI and Azure. One client hits its own limit.',
            _fault(
                12,
                (*USUAL, chat('limited', 'claude-sonnet'), chat('limited', 'claude-sonnet')),
                24,
                used_elsewhere={'openai': 0.9985, 'azure': 0.9985},
            ),
        ),
        _with_fault(
            'wrong keys',
            'One client keeps using a key that is no longer valid, another sends something that is not a key.',
            _fault(
                10, (*USUAL, *(chat(key, 'gpt-4o') for key in ('sk-revoked-1', 'sk-revoked-1', 'no-key', 'no-key'))), 32
            ),
        ),
        Scenario(
            'budget running out',
            'Videos use up the budgets of a key, a user, a team, an organization and a provider. They are reset later.',
            (
                # So that all budgets are reset at the same time, 30 minutes after the start.
                Phase(1, mix=USUAL, advance=696 * _HOURS, jobs=('reset_budgets',)),
                Phase(9, mix=USUAL, advance=23.5 * _HOURS, jobs=('budgets',)),
                Phase(
                    9,
                    10,
                    (
                        video('search', 5.3),
                        video('notebook', 5.3),
                        video('batch', 48),
                        video('support', 212),
                        video('ci', 285),
                    ),
                    is_fault=True,
                ),
                Phase(13, mix=USUAL, is_fault=True),
                Phase(16, mix=USUAL, jobs=('reset_budgets', 'budgets')),
            ),
        ),
        _with_fault('Redis down', 'Redis refuses connections.', _fault(redis='down')),
        _with_fault(
            'database down',
            'Postgres refuses connections; spend waits in memory.',
            _fault(14, per_minute=48, db='down'),
        ),
        _with_fault('callback broken', 'Langfuse takes no log records.', _fault(10, broken_callbacks=['langfuse'])),
        _with_fault(
            'proxy overloaded',
            'The proxy itself spends 60 times as long on each request as usual.',
            _fault(14, load=60),
            health_checks=True,
        ),
        Scenario(
            'spend jump',
            'A calm week, then somebody generates videos for 200 dollars within half an hour.',
            (
                Phase(_WEEK_MINUTES + 120, 0.1, (chat('ci', 'gpt-4o-mini'), chat('ci', 'o4-mini')), step_seconds=3600),
                Phase(60, 0.4, (chat('ci', 'gpt-4o-mini'), chat('ci', 'o4-mini')), step_seconds=300),
                Phase(30, 0.4, (video('ci', 17),), is_fault=True, step_seconds=300),
                Phase(120, 0.4, (chat('ci', 'gpt-4o-mini'), chat('ci', 'o4-mini')), step_seconds=300),
            ),
        ),
        Scenario(
            'restart in an outage',
            'OpenAI answers every call with 503. After twelve minutes the proxy is restarted, which takes a minute; '
            'OpenAI stays down for another ten.',
            (
                Phase(6, mix=USUAL),
                _fault(12, failing_providers={'openai': 503}),
                Phase(1, up=False, is_fault=True),
                replace(_fault(10, failing_providers={'openai': 503}), restart=True),
                Phase(14, mix=USUAL),
            ),
            health_checks=True,
        ),
        _with_fault(
            'outage at night',
            'All providers answer with 503 while no client sends a request: only the health checks of the proxy fail.',
            _fault(
                20,
                (),
                0,
                failing_providers=dict.fromkeys(('openai', 'azure', 'anthropic', 'bedrock'), 503),
            ),
            health_checks=True,
        ),
        Scenario(
            'rolling deploy',
            'At four requests a minute, both pods of a deployment are replaced, one after the other.',
            (
                Phase(8, 4, USUAL, pods=('a', 'b')),
                Phase(1, 4, USUAL, pods=('b', 'c')),
                Phase(25, 4, USUAL, pods=('c', 'd')),
            ),
        ),
        _with_fault(
            'Agent upgraded',
            'An upgrade of the Agent puts back the check that it bundles. The wheel is installed again later.',
            replace(_fault(), bundled=True),
        ),
    )
}
