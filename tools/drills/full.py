"""A day in which every family of the proxy moves: several teams, peaks, some trouble, budgets that shrink.

For dashboards: each of their queries must find data here, and their pictures are drawn from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fixture_proxy.releases import NEWEST

from .clients import Mix, chat, delete, post
from .scenarios import START, Phase, Scenario, video

__all__ = ['FULL']

_STEP_SECONDS = 300.0
_DAY_MINUTES = 24 * 60
# Midnight before the drills.
_MIDNIGHT = START - 9 * 3600.0

# Requests per minute, hour by hour: a quiet night, a peak before and one after noon, a busy evening.
_BY_HOUR = (
    *(
        0.4,
        0.4,
        0.4,
        0.4,
        0.4,
        0.6,
        0.8,
        1.2,
        2.0,
        2.8,
        3.2,
        2.8,
        2.0,
        2.4,
        3.0,
        3.2,
        2.6,
        2.0,
        1.6,
        1.6,
        1.2,
        0.8,
        0.6,
    ),
    0.4,
)

# What goes wrong in the first half of some hours.
_TROUBLE: Mapping[int, Mapping[str, Any]] = {
    3: {'db': 'down'},
    6: {'lens': 'down', 'broken_callbacks': ['langfuse']},
    10: {'failing_providers': {'openai': 503}},
    13: {'redis': 'down', 'load': 4.0},
    15: {'slow_providers': {'anthropic': 4.0, 'bedrock': 4.0}},
    18: {'used_elsewhere': {'openai': 0.7, 'azure': 0.9}, 'failing_providers': {'vertex_ai': 429}},
    20: {'broken_callbacks': ['s3_v2']},
}

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
    (chat('ci', 'always-503', metadata={'tags': ['search']}),),
    (chat('ci', 'always-500', **_STREAM),),
    (chat('ci', 'no-such-model'),),
    (chat('sk-revoked-1', 'gpt-4o'),),
    (chat('limited', 'gpt-4o-mini'),) * 6,
    (chat('spent', 'gpt-4o-mini'),),
    (chat('support', 'claude-sonnet', headers=_FAIL_401),) * 2,
    (chat('ci', 'gpt-4o-mini', headers={'x-fixture-reject': 'queue_full'}),),
    (post('batch', '/v1/images/generations', model='gpt-image', prompt=..., n=30),),
    (video('batch', 6),),
    (video('search', 3),),
    (video('notebook', 6),),
    (video('support', 12),),
    (post('batch', '/v1/files'),),
    (delete('batch', _FILE),),
    (post('batch', '/v1/batches', model='gpt-4o', input_file_id=...),),
    (post('ci', '/v1/batches', model='always-500', input_file_id='file-b'),),
)
_MIX = tuple(plan for rare in _RARE for plan in (*_USUAL, *rare))


def _phases() -> Iterator[Phase]:
    for hour, per_minute in enumerate(_BY_HOUR):
        jobs = (*_ALL_JOBS, 'dormant') if hour == 1 else _ALL_JOBS
        for controls in (_TROUBLE.get(hour, {}), {}):
            yield Phase(30, per_minute, _MIX, controls, jobs=jobs, step_seconds=_STEP_SECONDS, longest=6000)


FULL = Scenario(
    'a full day',
    'Every family moves: a quiet night, two peaks, several teams and providers, some trouble, budgets that shrink.',
    (
        # To compare it with: a day a week before, of half as many requests, and the day before, of about as many.
        Phase(_DAY_MINUTES, 0.7, _MIX, step_seconds=1800, longest=6000),
        Phase(5 * _DAY_MINUTES, 0.01, _MIX, step_seconds=6 * 3600),
        Phase(_DAY_MINUTES, 1.4, _MIX, step_seconds=900, longest=6000),
        *_phases(),
    ),
    start=_MIDNIGHT - 7 * 60 * _DAY_MINUTES,
    release=str(NEWEST),
    broken_models=True,
)
