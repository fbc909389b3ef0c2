"""A day in which every family of the proxy moves: several teams, peaks, a deploy, some trouble, budgets that shrink.

For dashboards: each of their queries must find data here, and their pictures are drawn from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tests.fixture_proxy.releases import NEWEST

from .clients import Mix, chat, delete, post
from .scenarios import START, Phase, Scenario, video
from .stage import MASTER_KEY

__all__ = ['DAY_SECONDS', 'FULL', 'busier']

DAY_SECONDS = 24 * 3600.0
_DAY_MINUTES = 24 * 60
_STEP_SECONDS = 300.0
# Midnight before the drills.
_MIDNIGHT = START - 9 * 3600.0

# Requests per minute, hour by hour: a quiet night, a peak before and one after noon, an evening that ends slowly.
_BY_HOUR = (
    *(0.4, 0.4, 0.4, 0.4, 0.4, 0.6, 0.8, 1.2, 2.0, 2.8, 3.2, 2.8),
    *(2.0, 2.4, 3.0, 3.2, 2.6, 2.0, 1.6, 1.6, 1.4, 1.2, 1.0, 1.0),
)  # fmt: skip

# What goes wrong in some hours, for how many minutes; in the rest of them, nothing.
_TROUBLE: Mapping[int, tuple[tuple[float, Mapping[str, Any]], ...]] = {
    3: ((30, {'db': 'down'}),),
    6: ((30, {'lens': 'down', 'broken_callbacks': ['langfuse']}),),
    # Azure takes over what OpenAI does not answer, until that is too much.
    10: ((20, {'failing_providers': {'openai': 503}}), (10, {'failing_providers': {'openai': 503, 'azure': 429}})),
    13: ((30, {'redis': 'down', 'load': 4.0}),),
    15: ((30, {'slow_providers': {'anthropic': 4.0, 'bedrock': 4.0}}),),
    18: ((30, {'used_elsewhere': {'openai': 0.7, 'azure': 0.9}, 'failing_providers': {'vertex_ai': 429}}),),
    20: ((30, {'broken_callbacks': ['s3_v2']}),),
    # This goes on when the day ends, so that the present has something to show as well.
    23: ((30, {}), (30, {'failing_providers': {'anthropic': 429, 'bedrock': 503}})),
}
_DEPLOY_HOUR = 8

_ALL_JOBS = ('batch_cost', 'spend_capture', 'spend_log_cleanup', 'spend_queues')
_STREAM: dict[str, Any] = {'stream': True}
_SEARCH: dict[str, Any] = {'metadata': {'tags': ['search']}, 'user': 'ann'}
_FAIL_401 = {'x-fixture-fail': '401'}
# The fixture names files by what is in them.
_FILE = f'/v1/files/file-{hashlib.sha256(b"{}").hexdigest()[:24]}'

# In the proportion in which they come: what clients mostly do first, then what is rare but must be there.
_USUAL: Mix = (
    chat('search', 'gpt-4o', **_SEARCH),
    chat('support', 'claude-sonnet', **_STREAM, user='ben'),
    chat('search', 'gpt-4o-mini', **_STREAM, user='ann'),
    chat('notebook', 'o4-mini', service_tier='flex'),
    chat('batch', 'gpt-4o-mini', user='cem'),
    post('search', '/v1/embeddings', model='text-embedding', input=..., user='ann'),
    chat('search', 'gpt-4o', text='What is a proxy?', user='ann'),
    chat('support', 'gpt-4o-mini', **_STREAM, guardrails=['mask-personal-data', 'moderation'], user='ben'),
)
# Each of these stands alone between usual ones; what is in parentheses comes in a row.
_RARE: tuple[Mix, ...] = (
    (chat('ci', 'gemini-flash', **_STREAM),),
    (chat('support', 'gpt-4o-audio', user='ben'),),
    (chat('ci', 'local-llama', **_STREAM),),
    (post('batch', '/mcp-rest/tools/call', name='search_docs', arguments={}),),
    (post('ci', '/mcp-rest/tools/call', name='now', arguments={}),),
    (chat('support', 'gpt-4o-mini', text='This is forbidden.', guardrails=['block-words']),),
    (chat('support', 'gpt-4o-mini', text='sensitive', guardrails=['route-sensitive']),),
    (chat('search', 'gpt-4o', headers={'x-fixture-fail': '429'}, **_SEARCH),),
    (chat('ci', 'no-such-model'),),
    (chat('sk-revoked-1', 'gpt-4o'),),
    (chat('limited', 'gpt-4o-mini'),) * 6,
    (chat('spent', 'gpt-4o-mini'),),
    (chat('support', 'claude-sonnet', headers=_FAIL_401),) * 2,
    (chat('ci', 'gpt-4o-mini', headers={'x-fixture-reject': 'queue_full'}),),
    (post('batch', '/v1/images/generations', model='gpt-image', prompt=..., n=4),),
    (video('batch', 0.4),),
    (video('search', 0.2),),
    (post('batch', '/v1/files'),),
    (delete('batch', _FILE),),
    (post('batch', '/v1/batches', model='gpt-4o', input_file_id=...),),
    (post('ci', '/v1/batches', model='gpt-4o-mini', input_file_id=...),),
)
_MIX = tuple(plan for rare in _RARE for plan in (*_USUAL, *rare))
# The week before there was no notebook yet, and more of support.
_FORMER_MIX = tuple(plan for rare in _RARE for plan in (*_USUAL[:3], *_USUAL[4:], _USUAL[1], *rare))


def _day_before(share: float, mix: Mix, step_seconds: float) -> Iterator[Phase]:
    """Yield a day without trouble that has this share of the requests."""
    for per_minute in _BY_HOUR:
        yield Phase(60, share * per_minute, mix, step_seconds=step_seconds, longest=6000, tags=('version:2026.11.1',))


def _day() -> Iterator[Phase]:
    for hour, per_minute in enumerate(_BY_HOUR):
        jobs = (*_ALL_JOBS, 'dormant') if hour == 1 else _ALL_JOBS
        first = _TROUBLE.get(hour, ((30, {}),))
        rest = 60 - sum(minutes for minutes, _ in first)
        for number, (minutes, controls) in enumerate((*first, *(((rest, {}),) if rest else ()))):
            yield Phase(
                minutes,
                per_minute,
                _MIX,
                controls,
                restart=hour == _DEPLOY_HOUR and number == 0,
                jobs=jobs,
                step_seconds=_STEP_SECONDS,
                longest=6000,
                tags=(f'version:2026.11.{1 if hour < _DEPLOY_HOUR else 2}',),
            )


def busier(scenario: Scenario, times: float, pods: tuple[str, ...]) -> Scenario:
    """Return the same with that many times the requests, which these pods share."""
    phases = tuple(replace(one, per_minute=times * one.per_minute, pods=pods) for one in scenario.phases)
    return replace(scenario, phases=phases)


FULL = Scenario(
    'a full day',
    'Every family moves: a quiet night, two peaks, several teams and providers, some trouble, budgets that shrink.',
    (
        # To compare it with: a day a week before, and the day before, of fewer requests.
        *_day_before(0.75, _FORMER_MIX, 1800),
        Phase(5 * _DAY_MINUTES, 0.01, _MIX, step_seconds=6 * 3600, tags=('version:2026.11.1',)),
        *_day_before(0.85, _MIX, 900),
        *_day(),
    ),
    start=_MIDNIGHT - 7 * DAY_SECONDS,
    release=str(NEWEST),
    metrics_key=MASTER_KEY,
)
