"""Send a deterministic mix of requests to a fixture proxy and count what was sent and what came back.

python -m tests.fixture_proxy.traffic http://127.0.0.1:4000 --key sk-... --requests 200
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any

import requests

from .accounts import VIRTUAL_KEYS
from .settings import DEFAULT_KEY

__all__ = ['Sent', 'drive', 'exercise']

# The end user behind each key.
_END_USERS = ('ann', 'ben', 'cem', None)
_TIMEOUT_SECONDS = 60
_UNKNOWN_KEY = 'sk-nobody-has-this-key'


@dataclass
class Sent:
    """The requests that were sent, by what came back. Tokens and dollars are those of the answers.

    `failed` counts HTTP statuses. `fell_back` answers came from another model group than the one asked for.
    """

    requests: int = 0
    succeeded: int = 0
    failed: Counter[int] = field(default_factory=Counter)
    unknown_key: int = 0
    streamed: int = 0
    from_cache: int = 0
    fell_back: int = 0
    mcp_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    images: int = 0
    video_seconds: int = 0
    spend: float = 0.0

    @property
    def failures(self) -> int:
        return self.failed.total()


@dataclass(frozen=True)
class _Planned:
    path: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None


_Plan = Callable[[str], _Planned]


def _chat(model: str, text: str | None = None, headers: Mapping[str, str] = MappingProxyType({}), **body: Any) -> _Plan:
    """Plan a chat completion. Without a `text` of its own every request asks something else."""

    def plan(unique: str) -> _Planned:
        messages = [{'role': 'user', 'content': unique if text is None else text}]
        return _Planned('/v1/chat/completions', {'model': model, 'messages': messages, **body}, headers)

    return plan


def _post(path: str, key: str | None = None, **body: Any) -> _Plan:
    """Plan another request. In its body `...` stands for something that no other request says."""

    def plan(unique: str) -> _Planned:
        return _Planned(path, {name: unique if value is ... else value for name, value in body.items()}, key=key)

    return plan


_STREAM: dict[str, Any] = {'stream': True, 'stream_options': {'include_usage': True}}

# Request n is entry n modulo the length. The first four are what most proxies mostly see.
_MIX: tuple[_Plan, ...] = (
    _chat('gpt-4o'),
    _chat('gpt-4o-mini', **_STREAM),
    _chat('claude-sonnet', metadata={'tags': ['search'], 'feature': 'summary'}),
    _post('/v1/embeddings', model='text-embedding', input=...),
    _chat('always-429', metadata={'tags': ['search']}),
    _chat('o4-mini', service_tier='flex'),
    _chat('gpt-4o', text='What is a proxy?'),
    _chat('gpt-4o', headers={'x-fixture-fail': '429'}),
    _chat('gpt-4o-audio'),
    _chat('always-500', **_STREAM),
    _chat('local-llama', **_STREAM),
    _chat('no-such-model'),
    _chat('gpt-4o-mini', guardrails=['mask-personal-data', 'moderation']),
    _chat('gpt-4o-mini', text='This is forbidden.', guardrails=['block-words']),
    _post('/v1/images/generations', model='gpt-image', prompt=..., n=2),
    _post('/mcp-rest/tools/call', name='search_docs', arguments={}),
    _chat('gemini-flash', **_STREAM),
    _chat('always-503'),
    _post('/v1/chat/completions', key=_UNKNOWN_KEY, model='gpt-4o', messages=[]),
    _post('/v1/videos', model='sora', prompt=..., seconds=4),
)


def drive(url: str, key: str, requests: int = 100, seed: int = 0, keys: Sequence[str] | None = None) -> Sent:
    """Send the mix, one request after the other, and return exact totals.

    `keys` take turns, by default `key` and the fixture's keys without strict limits. Equal arguments send equal
    requests. Raises requests.RequestException when the proxy does not answer.
    """
    keys = keys or (key, *(VIRTUAL_KEYS[name] for name in ('search', 'support', 'ci')))
    rng = Random(seed)
    sent = Sent()
    with _session() as session:
        for number in range(requests):
            planned = _MIX[number % len(_MIX)](f'seed {seed}, request {number}: {"tell me more " * rng.randint(1, 9)}')
            # Always the same key for an entry of the mix: with all pairs of them a page would be far larger.
            turn = number % len(_MIX) % len(keys)
            _send(session, url, planned, keys[turn], _END_USERS[turn % len(_END_USERS)], sent)
    return sent


def exercise(url: str, key: str) -> Sent:
    """Move every family that the proxy has: the mix, and what needs a special request, a control or a job.

    Returns the totals of the mix alone. Leaves controls as they are by default.
    """
    sent = drive(url, key, requests=2 * len(_MIX))
    headers = {'Authorization': f'Bearer {key}'}
    plans: tuple[_Plan, ...] = (
        _chat('claude-sonnet', headers={'x-fixture-fail': '401'}),
        # The first one's deployment is cooling down, so this goes to the other one.
        _chat('claude-sonnet', headers={'x-fixture-fail': '401'}),
        _chat('gpt-4o-mini', headers={'x-fixture-reject': 'queue_full'}),
        _chat('gpt-4o-mini', text='sensitive', guardrails=['route-sensitive']),
        _chat('gpt-4o', headers={'x-fixture-fail': '429'}, metadata={'tags': ['search']}),
        _chat('always-503', metadata={'tags': ['search']}),
        _post('/v1/batches', model='gpt-4o', input_file_id='file-a'),
        _post('/v1/batches', model='always-500', input_file_id='file-b'),
        # Often enough for each deployment, and for a token of the cache at the one that wants tokens.
        *[_chat('claude-sonnet')] * 8,
    )
    with _session() as session:

        def control(action: str, **body: Any) -> dict[str, Any]:
            response = session.post(f'{url}/fixture/{action}', json=body, timeout=_TIMEOUT_SECONDS)
            response.raise_for_status()
            answer: dict[str, Any] = response.json()
            return answer

        for number, plan in enumerate(plans):
            control('advance', seconds=0 if number == 1 else 60)
            _send(session, url, plan(f'special {number}'), key, None, Sent())
        file = session.post(f'{url}/v1/files', b'{}', headers=headers, timeout=_TIMEOUT_SECONDS).json()
        session.delete(f'{url}/v1/files/{file["id"]}', headers=headers, timeout=_TIMEOUT_SECONDS)
        control('controls', redis='down', db='down', lens='down', broken_callbacks=['langfuse'])
        control('jobs')
        for number in range(6):  # More than the Redis circuit breaker puts up with.
            _send(session, url, _chat('gpt-4o')(f'without Redis {number}'), key, 'ann', Sent())
        jobs = control('controls', redis='up', db='up', lens='up', broken_callbacks=[])['jobs']
        # The circuit breaker lets calls of Redis through again.
        control('advance', seconds=60)
        control('jobs', names=[*jobs, 'dormant'])
    return sent


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # No proxy of the environment between a test and this machine.
    session.headers['Connection'] = 'close'  # As from many clients, so that all workers get requests.
    return session


def _send(session: requests.Session, url: str, planned: _Planned, key: str, end_user: str | None, sent: Sent) -> None:
    body = planned.body if end_user is None else {**planned.body, 'user': end_user}
    headers = {'Authorization': f'Bearer {planned.key or key}', 'User-Agent': 'fixture-traffic/1', **planned.headers}
    response = session.post(f'{url}{planned.path}', json=body, headers=headers, timeout=_TIMEOUT_SECONDS)
    sent.requests += 1
    if response.status_code != 200:
        sent.failed[response.status_code] += 1
        sent.unknown_key += planned.key is not None
        return
    sent.succeeded += 1
    sent.mcp_calls += planned.path.startswith('/mcp')
    sent.images += body.get('n', 0)
    sent.video_seconds += body.get('seconds', 0)
    sent.streamed += 'stream' in body
    sent.from_cache += 'x-litellm-cache-key' in response.headers
    sent.fell_back += response.headers.get('x-litellm-attempted-fallbacks', '0') != '0'
    sent.spend += float(response.headers.get('x-litellm-response-cost', 0))
    usage = _usage(response)
    sent.prompt_tokens += usage.get('prompt_tokens', 0)
    sent.completion_tokens += usage.get('completion_tokens', 0)
    sent.total_tokens += usage.get('total_tokens', 0)


def _usage(response: requests.Response) -> dict[str, int]:
    """Return the usage of an answer: of a streamed one, that of its last chunk but the end mark."""
    if not response.headers['content-type'].startswith('text/event-stream'):
        usage: dict[str, int] = response.json().get('usage', {})
        return usage
    chunks = [line.removeprefix('data: ') for line in response.text.splitlines() if line]
    streamed: dict[str, int] = json.loads(chunks[-2]).get('usage', {})
    return streamed


def main() -> None:
    parser = argparse.ArgumentParser(prog='traffic', description='Send a mix of requests to a fixture proxy.')
    parser.add_argument('url')
    parser.add_argument('--key', default=DEFAULT_KEY, help='master key (%(default)s)')
    parser.add_argument('--requests', type=int, default=100, help='how many (%(default)s)')
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    try:
        sent = drive(options.url.rstrip('/'), options.key, options.requests, options.seed)
    except requests.RequestException as error:
        sys.exit(f'traffic: no answer from {options.url}: {error}')
    sys.stdout.write(f'{json.dumps(asdict(sent), indent=2)}\n')


if __name__ == '__main__':
    main()
