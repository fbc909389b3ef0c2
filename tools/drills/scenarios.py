"""The drills: what happens to a proxy, minute by minute, and what its clients do meanwhile.

Most begin with a calm time, have one fault, and end with a calm time in which monitors recover.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fixture_proxy.settings import DEFAULT_RELEASE

from .clients import Mix, Plan, chat, post
from .stage import AGENT_KEY, MASTER_KEY

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
    runs the same instances instead. `tags` are those of the Agent meanwhile, beside those of the scenario.
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
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """A drill. `options` are those of the instance, beside the addresses and the key, which is `metrics_key`.

    With `health_checks` the proxy calls its models in the background, and counts these calls as any others: twice the
    series, and twice the time that the drill takes, so only where it may matter. `tags` are those of the Agent.

    `cause` is the monitor whose notification is the first one, or among the first: it names what is wrong.
    """

    name: str
    description: str
    phases: tuple[Phase, ...]
    start: float = START
    release: str = DEFAULT_RELEASE
    health_checks: bool = False
    metrics_key: str = AGENT_KEY
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ('env:production', 'service:litellm')
    cause: str | None = None

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

    def every(self, seconds: float) -> Scenario:
        """Return the same with an Agent that runs the check this much more rarely."""
        phases = tuple(replace(one, step_seconds=max(seconds, one.step_seconds)) for one in self.phases)
        return replace(self, phases=phases)

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
    name: str,
    description: str,
    fault: Phase,
    cause: str | None = None,
    before: tuple[Phase, ...] = (),
    after: float = 14,
    **more: Any,
) -> Scenario:
    calm = Phase(6, mix=USUAL)
    return Scenario(name, description, (*before, calm, fault, replace(calm, minutes=after)), cause=cause, **more)


def _fault(minutes: float = 12, mix: Mix = USUAL, per_minute: float = 16, **controls: Any) -> Phase:
    return Phase(minutes, per_minute, mix, controls, is_fault=True)


def video(key: str, dollars: float) -> Plan:
    """Plan a video of a certain price: a second of it costs ten cents."""
    return post(key, '/v1/videos', model='sora', prompt=..., seconds=round(dollars * 10))


# An hour and a day to compare with.
_HOUR_BEFORE = (Phase(60, 12, USUAL, step_seconds=60),)
_DAY_BEFORE = (Phase(90, 8, USUAL, step_seconds=300), Phase(23 * 60 - 30, 0, step_seconds=1800))
_ALL = ('openai', 'azure', 'anthropic', 'bedrock')

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
            'client hang-ups',
            'A quarter of the clients do not wait for their answer.',
            _fault(12, (*USUAL[:3], chat('search', 'gpt-4o', headers={'x-fixture-end': 'hang_up'}))),
        ),
        _with_fault(
            'custom guardrail',
            'A guardrail of the user blocks a quarter of all requests by raising a plain exception.',
            _fault(12, (*USUAL[:3], chat('search', 'gpt-4o', headers={'x-fixture-end': 'hook_error'})), 32),
        ),
        _with_fault(
            'proxy gone',
            'Nothing listens on the port of the metrics page for eight minutes.',
            Phase(8, up=False, is_fault=True),
            'scrape_down',
        ),
        _with_fault(
            'all pods gone',
            'The deployment has no pods for a quarter of an hour. The Agent knows of none, so nothing is reported.',
            Phase(15, 0, pods=(), is_fault=True),
            'service_gone',
        ),
        _with_fault(
            'proxy hung',
            'The event loop is blocked: nothing is answered, 500 requests are in flight. The page is still served.',
            _fault(14, (), 0, hung=True),
            'not_ready',
        ),
        _with_fault(
            'load balancer broken',
            'No client reaches the proxy, which is well.',
            _fault(20, (), 0),
            'traffic_gone',
            before=_HOUR_BEFORE,
        ),
        Scenario(
            'crash loop',
            'The proxy is restarted every ten minutes for an hour and a half.',
            (
                Phase(20, 4, USUAL, step_seconds=60),
                *(Phase(10, 4, USUAL, restart=True, is_fault=True, step_seconds=60) for _ in range(9)),
                Phase(30, 4, USUAL, step_seconds=60),
            ),
            cause='restarting',
        ),
        _with_fault(
            'Agent refused',
            'The key of the Agent is blocked for eight minutes. Clients notice nothing.',
            _fault(8, blocked_keys=[AGENT_KEY]),
            'scrape_down',
        ),
        Scenario(
            'no tags',
            'The proxy has no tags `env` and `service`, and its provider fails.',
            (_fault(14, failing_providers={'openai': 503}), Phase(80, 0, step_seconds=60)),
            tags=(),
            cause='untagged',
        ),
        _with_fault(
            'provider outage',
            'OpenAI answers every call with 503. Azure still serves half of gpt-4o.',
            _fault(14, failing_providers={'openai': 503}),
            'deployment_failure_rate',
            health_checks=True,
        ),
        _with_fault(
            'fallbacks help',
            'Anthropic and Bedrock answer every call with 503, and gpt-4o answers in their place.',
            _fault(14, failing_providers={'anthropic': 503, 'bedrock': 503}),
            'deployment_failure_rate',
        ),
        _with_fault(
            'fallback storm',
            'Anthropic and Bedrock are down, and the fallbacks are overrun and answer 429.',
            _fault(14, failing_providers={'anthropic': 503, 'bedrock': 503, 'openai': 429, 'azure': 429}),
            'deployment_failure_rate',
        ),
        _with_fault(
            'long cooldowns',
            'All providers of claude-sonnet and its fallback are down. The router cools deployments down for a minute, '
            'so most clients get its own 429.',
            _fault(
                14,
                (chat('support', 'claude-sonnet', **_STREAM),),
                60,
                failing_providers=dict.fromkeys(_ALL, 503),
                cooldown_seconds=60.0,
            ),
            'deployment_failure_rate',
        ),
        Scenario(
            'slow provider',
            'All providers are 60 times as slow as the day before, to the first token as well.',
            (
                *_DAY_BEFORE,
                Phase(35, mix=USUAL, step_seconds=60),
                replace(_fault(20, slow_providers=dict.fromkeys(_ALL, 60)), step_seconds=30),
                Phase(40, 8, USUAL, step_seconds=60),
            ),
            cause='time_to_first_token',
        ),
        Scenario(
            'slow models',
            'All models take minutes for an answer, as they did the day before.',
            tuple(
                replace(one, controls={'slow_providers': dict.fromkeys(_ALL, 300)})
                for one in (*_DAY_BEFORE, Phase(40, 8, USUAL, step_seconds=60))
            ),
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
            'rate_limit_headroom',
        ),
        _with_fault(
            'wrong keys',
            'One client keeps using a key that is no longer valid, another sends something that is not a key.',
            _fault(
                10, (*USUAL, *(chat(key, 'gpt-4o') for key in ('sk-revoked-1', 'sk-revoked-1', 'no-key', 'no-key'))), 32
            ),
            'rejected_keys',
        ),
        _with_fault(
            'budget spent',
            'A client goes on after its budget, which is never reset, is spent.',
            _fault(12, (*USUAL, chat('spent', 'gpt-4o-mini'))),
            'budget_exceeded',
        ),
        Scenario(
            'budget running out',
            'Videos use up the budgets of a key, a user, a team, an organization and a provider. They are reset later.',
            (
                # So that all budgets are reset at the same time, 100 minutes after the start.
                Phase(1, mix=USUAL, advance=696 * _HOURS, jobs=('reset_budgets',)),
                Phase(74, 3, USUAL, advance=22.35 * _HOURS, jobs=('budgets',), step_seconds=60),
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
                Phase(25 * 60, 0.1, USUAL, step_seconds=1800),
            ),
            cause='key_spend',
        ),
        Scenario(
            'end of the month',
            'Budgets have 5% left, two hours before their reset. That is enough: little is spent.',
            (
                Phase(1, mix=USUAL, advance=696 * _HOURS, jobs=('reset_budgets',)),
                Phase(9, 6, (video('search', 5.3), video('notebook', 5.3), video('batch', 48)), is_fault=True),
                Phase(60 * 21, 0.1, USUAL, step_seconds=1800),
                Phase(60, 2, USUAL, step_seconds=30, jobs=('budgets',)),
                Phase(60 * 5, 0.1, USUAL, step_seconds=1800),
            ),
        ),
        _with_fault('Redis down', 'Redis refuses connections.', _fault(redis='down'), 'redis_circuit_open'),
        Scenario(
            'database down',
            'Postgres refuses connections, so the proxy is not ready and refuses its clients. The Agent has the master '
            'key.',
            (
                Phase(6, mix=USUAL),
                _fault(14, (*USUAL, chat('ci', 'gpt-4o-mini')), db='down'),
                Phase(60, 4, USUAL, step_seconds=60),
            ),
            cause='database_disconnected',
            metrics_key=MASTER_KEY,
        ),
        Scenario(
            'jobs fail',
            'Spend is not written, and budgets are not reset; the database is well.',
            (
                Phase(6, mix=USUAL),
                replace(_fault(30, failing_jobs=['spend_queues', 'reset_budgets']), step_seconds=30),
                Phase(70, 4, USUAL, step_seconds=60),
            ),
        ),
        Scenario(
            'cleanup fails',
            'The cleanup of spend logs, once a day, fails three times.',
            (
                Phase(24 * 60, 0.1, USUAL, jobs=('spend_log_cleanup',), step_seconds=3600),
                *(
                    Phase(
                        24 * 60,
                        0.1,
                        USUAL,
                        {'failing_jobs': ['spend_log_cleanup']},
                        jobs=('spend_log_cleanup',),
                        is_fault=True,
                        step_seconds=3600,
                    )
                    for _ in range(3)
                ),
                *(Phase(24 * 60, 0.1, USUAL, jobs=('spend_log_cleanup',), step_seconds=3600) for _ in range(3)),
            ),
            cause='spend_log_cleanup_failing',
        ),
        _with_fault(
            'callback broken',
            'Langfuse takes no log records.',
            _fault(10, broken_callbacks=['langfuse']),
            'callback_failures',
        ),
        _with_fault(
            'guardrail broken',
            'A guardrail cannot reach its service, and fails.',
            _fault(12, (*USUAL, chat('support', 'gpt-4o-mini', text='outage', guardrails=['moderation']))),
            'guardrail_errors',
        ),
        _with_fault(
            'workers full',
            'A third of the requests are turned away, because the queues of the workers are full.',
            _fault(12, (*USUAL, *(chat('ci', 'gpt-4o-mini', headers={'x-fixture-reject': 'queue_full'}),) * 2)),
            'admission_rejections',
        ),
        _with_fault(
            'proxy overloaded',
            'The proxy itself spends 60 times as long on each request as usual.',
            _fault(14, load=60),
            'overhead',
            health_checks=True,
        ),
        Scenario(
            'too many contexts',
            'Clients and models that are new make more contexts than `max_contexts` allows, until the proxy restarts.',
            (
                Phase(6, mix=USUAL),
                _fault(
                    10, (*USUAL, chat('ci', 'gemini-flash'), chat('limited', 'local-llama'), chat('batch', 'gpt-4o'))
                ),
                Phase(25, mix=USUAL, restart=True),
            ),
            options={'max_contexts': 1700},
            cause='contexts_dropped',
        ),
        Scenario(
            'no price',
            'A third of the requests go to a model that has no price.',
            (
                Phase(6, mix=USUAL),
                _fault(12, (*USUAL, chat('ci', 'local-llama'), chat('ci', 'local-llama')), 24),
                Phase(60, mix=USUAL, step_seconds=60),
            ),
            cause='zero_cost_requests',
        ),
        Scenario(
            'spend jump',
            'A calm week, then somebody generates videos for 200 dollars within half an hour.',
            (
                Phase(_WEEK_MINUTES + 120, 0.1, (chat('ci', 'gpt-4o-mini'), chat('ci', 'o4-mini')), step_seconds=3600),
                Phase(60, 0.4, (chat('ci', 'gpt-4o-mini'), chat('ci', 'o4-mini')), step_seconds=300),
                Phase(30, 0.4, (video('ci', 17),), is_fault=True, step_seconds=300),
                Phase(120, 0.4, (chat('ci', 'gpt-4o-mini'), chat('ci', 'o4-mini')), step_seconds=300),
                Phase(24 * 60, 0.1, (chat('ci', 'gpt-4o-mini'), chat('ci', 'o4-mini')), step_seconds=3600),
            ),
            cause='key_spend',
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
            cause='deployment_failure_rate',
        ),
        _with_fault(
            'outage at night',
            'All providers answer with 503 while no client sends a request: only the health checks of the proxy fail.',
            _fault(
                20,
                (),
                0,
                failing_providers=dict.fromkeys(_ALL, 503),
            ),
            'unhealthy_endpoints',
            health_checks=True,
        ),
        _with_fault(
            'Agent upgraded',
            'An upgrade of the Agent puts back the check that it bundles. The wheel is installed again later.',
            replace(_fault(), bundled=True),
            'check_replaced',
        ),
        _with_fault(
            'database down, key of the Agent',
            'Postgres refuses connections. The Agent has a key of its own, which the proxy cannot look up.',
            _fault(8, db='down'),
            'database_disconnected',
        ),
    )
}
