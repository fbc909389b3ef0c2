"""Traffic for a real proxy that leaves as few families untouched as it can, and its exact sums."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

from datadog_checks.litellm.metrics import UNLICENSED_FAMILY

from . import features
from .callers import ADA, BOB
from .config import BLOCKED_WORD, MAX_IN_FLIGHT, MAX_QUEUED, MCP_SERVER
from .environment import HarnessError
from .families import Page
from .real_proxy import RealProxy
from .upstream import CHAT_MODEL, MCP_TOOL, USAGE, VIDEO_SECONDS

__all__ = ['PHASES', 'UNKNOWN_KEY', 'Client', 'Sent', 'drive', 'settle']

UNKNOWN_KEY = 'sk-nobody'

_ANSWER_SECONDS = 30
_SETTLE_SECONDS = 20
_QUIET_SECONDS = 4
# Three more than LiteLLM admits at a time or lets wait.
_CROWD = MAX_IN_FLIGHT + MAX_QUEUED + 3


@dataclass
class Sent:
    """Everything that a proxy was sent and answered, in the terms of LiteLLM's counters."""

    # Requests by HTTP status, without those that the admission control turned away.
    answers: Counter[int] = field(default_factory=Counter)
    by_key: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    cache_hits: int = 0
    fallbacks: int = 0
    failed_fallbacks: int = 0
    unlogged: int = 0
    unpriced: int = 0
    cooled_down: int = 0
    # Calls that failed at a deployment, by its identity.
    deployment_failures: Counter[str] = field(default_factory=Counter)
    guardrail_checks: int = 0
    guardrail_blocks: int = 0
    images: int = 0
    video_seconds: int = 0
    mcp_calls: int = 0
    turned_away: int = 0
    # The metrics pages while as many requests as possible were in flight, and at the end.
    busy_page: Page = field(default_factory=lambda: Page(''))
    page: Page = field(default_factory=lambda: Page(''))

    @property
    def requests(self) -> int:
        """All requests that LiteLLM counts."""
        return self.answers.total()

    @property
    def successes(self) -> int:
        """Requests answered with success."""
        return self.answers[200]

    @property
    def failures(self) -> int:
        """Requests answered with an error, the caller's, the proxy's or the provider's."""
        return self.requests - self.successes


def settle(proxy: RealProxy, sent: Sent) -> Page:
    """Wait until the proxy, which counts after it has answered, shows all requests; return that page.

    Some releases never count some requests: when nothing has moved for some seconds, nothing more will.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    moved_at, before = time.monotonic(), (0.0, 0.0, 0.0)
    while time.monotonic() < deadline:
        page = Page(proxy.scrape())
        counts = _counts(page)
        if counts != before:
            moved_at, before = time.monotonic(), counts
        all_there = all(count >= wanted for count, wanted in zip(counts, _wanted(page, sent), strict=True))
        if all_there or time.monotonic() - moved_at > _QUIET_SECONDS:
            return Page(proxy.scrape())
        time.sleep(0.1)
    raise HarnessError(f'LiteLLM still counted {_SETTLE_SECONDS} seconds after {sent.requests} requests')


def _counts(page: Page) -> tuple[float, float, float]:
    """Return how many requests, failures of deployments and successes a page shows."""
    successes = 'litellm_self_latency' if UNLICENSED_FAMILY in page.families else 'litellm_request_total_latency_metric'
    return (
        page.total('litellm_proxy_total_requests_metric'),
        page.total('litellm_deployment_failure_responses'),
        page.total(successes, '_count'),
    )


def _wanted(page: Page, sent: Sent) -> tuple[float, float, float]:
    if UNLICENSED_FAMILY in page.families:
        return 0, 0, sent.successes
    return sent.requests, sent.deployment_failures.total(), sent.successes


class Client:
    """A client of the proxy that keeps account of what it sends."""

    def __init__(self, proxy: RealProxy) -> None:
        self.proxy = proxy
        self.sent = Sent()

    def has(self, feature: features.Feature) -> bool:
        """Tell whether the proxy's release has a feature."""
        return feature.is_in(self.proxy.environment.release)

    def post(self, path: str, body: dict[str, Any], key: str = ADA.key) -> requests.Response:
        """Send a request that LiteLLM does not have to count.

        A release that takes no callers from us knows one key only, the master key.
        """
        if key in (ADA.key, BOB.key) and not self.has(features.CALLERS):
            key = self.proxy.key
        headers = {'Authorization': f'Bearer {key}'}
        return requests.post(self.proxy.url + path, json=body, headers=headers, timeout=_ANSWER_SECONDS)

    def call(self, path: str, body: dict[str, Any], key: str = ADA.key, expected: int = 200) -> requests.Response:
        """Send a request that LiteLLM counts, and insist on the status of the answer."""
        answer = self.post(path, body, key)
        if answer.status_code != expected:
            raise HarnessError(f'{path} {body} answered {answer.status_code}, not {expected}: {answer.text[:500]}')
        self.sent.answers[answer.status_code] += 1
        self.sent.by_key[key] += 1
        return answer

    def chat(
        self, model: str = 'chat', prompt: str = '', *, key: str = ADA.key, expected: int = 200, **more: Any
    ) -> requests.Response:
        """Send a chat completion, by default with a prompt that no cache knows."""
        messages = [{'role': 'user', 'content': prompt or secrets.token_hex(8)}]
        answer = self.call('/v1/chat/completions', {'model': model, 'messages': messages, **more}, key, expected)
        if expected == 200:
            self.count_completion()
        return answer

    def count_completion(self) -> None:
        """Count the tokens of one completion by the OpenAI models upstream."""
        self.count_tokens(USAGE['prompt_tokens'], USAGE['completion_tokens'])
        for side in ('prompt_tokens_details', 'completion_tokens_details'):
            self.sent.tokens.update({f'{side}.{kind}': tokens for kind, tokens in USAGE[side].items()})

    def count_tokens(self, received: int, produced: int) -> None:
        """Count tokens that went in and came out."""
        self.sent.tokens.update(input=received, output=produced, total=received + produced)


def succeed(client: Client) -> None:
    """Let chat completions succeed: with three keys, streamed, without a price, with a callback that fails."""
    for key in [ADA.key] * 6 + [BOB.key] * 3 + [client.proxy.key] * 2:
        client.chat(key=key)
    for _ in range(2):
        client.chat(stream=True, stream_options={'include_usage': True})
        client.sent.streams += 1
    client.chat(metadata={'tags': ['unloggable']})
    client.sent.unlogged += 1
    client.chat('unpriced')
    client.sent.unpriced += 1


def trade_identities(client: Client) -> None:
    """Have an identity token traded for an access token, once for two messages, and once refused."""
    for _ in range(2):
        messages = [{'role': 'user', 'content': secrets.token_hex(8)}]
        client.call('/v1/chat/completions', {'model': 'claude', 'messages': messages, 'max_tokens': 20})
        client.count_tokens(USAGE['prompt_tokens'], USAGE['completion_tokens'])
    client.chat('claude-refused', expected=401)


def fail(client: Client) -> None:
    """Let deployments fail, with a fallback, with one that fails too, and without; and let the proxy itself refuse."""
    for group in ('limited', 'too-long'):
        client.chat(group)
        client.sent.fallbacks += 1
    if client.has(features.ORDER):
        _recover(client)
    client.chat('broken', expected=500)
    client.sent.failed_fallbacks += 1
    client.chat('unauthorized', expected=401)
    client.chat('timing-out', expected=408)
    client.sent.deployment_failures.update(['limited', 'too-long', 'broken', 'unauthorized', 'timing-out'])
    # Of these LiteLLM cools down those that have a fallback, but for the prompt that is too long.
    client.sent.cooled_down += 2
    client.chat('no-such-model', expected=400)
    # A key that nobody has; without a database LiteLLM cannot look it up.
    cannot_look_it_up = client.proxy.postgres is None and client.has(features.REFUSES_FOR_WANT_OF_A_DATABASE)
    client.chat(key=UNKNOWN_KEY, expected=400 if cannot_look_it_up else 401)


def _recover(client: Client) -> None:
    """Let the first deployment of a group fail, and the second answer: for it, and while it is cooling down."""
    client.chat('recovering')
    client.sent.fallbacks += 1
    client.sent.deployment_failures['recovering-a'] += 1
    client.sent.cooled_down += 1
    client.chat('recovering')


def guard(client: Client) -> None:
    """Let the guardrail pass one request and block another."""
    client.chat(guardrails=['word-filter'])
    client.chat(prompt=f'This is a {BLOCKED_WORD}.', guardrails=['word-filter'], expected=400)
    client.sent.guardrail_checks += 2
    client.sent.guardrail_blocks += 1


def generate_media(client: Client) -> None:
    """Ask for an embedding, pictures and a film."""
    client.call('/v1/embeddings', {'model': 'embeddings', 'input': 'a text'})
    client.count_tokens(USAGE['prompt_tokens'], 0)
    client.call('/v1/images/generations', {'model': 'images', 'prompt': 'a picture', 'n': 2})
    client.sent.images += 2
    if not client.has(features.VIDEOS):
        return
    client.call('/v1/videos', {'model': 'videos', 'prompt': 'a film', 'seconds': str(VIDEO_SECONDS)})
    client.sent.video_seconds += VIDEO_SECONDS


def call_tools(client: Client) -> None:
    """Call a tool of the MCP server."""
    for _ in range(2):
        client.call('/mcp-rest/tools/call', {'server_id': MCP_SERVER, 'name': MCP_TOOL, 'arguments': {'city': 'Bern'}})
        client.sent.mcp_calls += 1


def hit_cache(client: Client) -> None:
    """Repeat one prompt until LiteLLM, which fills its cache after the answer, has answered twice from it."""
    prompt = secrets.token_hex(8)
    upstream = client.proxy.upstream

    def is_hit_twice() -> bool:
        before = upstream.requests[CHAT_MODEL]
        client.chat(prompt=prompt)
        client.sent.cache_hits += upstream.requests[CHAT_MODEL] == before
        return client.sent.cache_hits == 2

    _wait_until(is_hit_twice, 'LiteLLM did not answer from its cache')


def crowd(client: Client) -> None:
    """Send more slow requests at a time than LiteLLM admits, and scrape while they wait."""

    def post(number: int) -> int:
        messages = [{'role': 'user', 'content': f'{number} {secrets.token_hex(8)}'}]
        return client.post('/v1/chat/completions', {'model': 'slow', 'messages': messages}).status_code

    with ThreadPoolExecutor(_CROWD) as executor:
        answers = [executor.submit(post, number) for number in range(_CROWD)]

        def is_queueing() -> bool:
            client.sent.busy_page = Page(client.proxy.scrape())
            queued = client.sent.busy_page.total('litellm_admission_queued_requests', suffix='')
            return queued == MAX_QUEUED or all(answer.done() for answer in answers)

        _wait_until(is_queueing, 'The requests of a crowd were not answered')
    for status in (answer.result() for answer in answers):
        if status == 200:
            client.sent.answers[200] += 1
            client.sent.by_key[ADA.key] += 1
            client.count_completion()
        elif status == 503:
            client.sent.turned_away += 1
        else:
            raise HarnessError(f'A request in a crowd was answered with {status}')


def refuse_rows(client: Client) -> None:
    """Let the Lens service refuse the row of one request, which LiteLLM drops."""
    upstream = client.proxy.upstream
    upstream.refuses_rows = True
    client.chat()
    _wait_until(lambda: upstream.requests['lens rows refused'] > 0, 'LiteLLM exported no row to Lens')
    upstream.refuses_rows = False


def lose_redis(client: Client) -> None:
    """Stop Redis, if there is one, until LiteLLM's circuit breakers open; start it again and let them close.

    A release without circuit breakers just fails to reach it.
    """
    redis = client.proxy.redis
    if redis is None:
        return

    def breakers_went(state: str) -> Callable[[], bool]:
        def chat_and_look() -> bool:
            client.chat()
            page = Page(client.proxy.scrape())
            return page.total('litellm_redis_circuit_breaker_transitions', state=state) > 0

        return chat_and_look

    def is_missed() -> bool:
        client.chat()
        return Page(client.proxy.scrape()).total('litellm_redis_failed_requests') > 0

    redis.stop()
    if not client.has(features.CIRCUIT_BREAKER):
        _wait_until(is_missed, 'No call of Redis failed without Redis')
        redis.start()
        return
    _wait_until(breakers_went('open'), 'No circuit breaker opened without Redis')
    redis.start()
    _wait_until(breakers_went('closed'), 'No circuit breaker closed after Redis was back')


# Every kind of traffic, in an order in which one does not spoil the next.
PHASES: tuple[Callable[[Client], None], ...] = (
    succeed,
    trade_identities,
    fail,
    guard,
    generate_media,
    call_tools,
    hit_cache,
    crowd,
    refuse_rows,
    lose_redis,
)
_NEEDS = {
    trade_identities: features.WORKLOAD_IDENTITY,
    guard: features.CONTENT_FILTER,
    call_tools: features.MCP,
    refuse_rows: features.LENS,
}


def drive(proxy: RealProxy, phases: Sequence[Callable[[Client], None]] = PHASES, client: Client | None = None) -> Sent:
    """Send the proxy traffic of several kinds, let its counters settle and return what was sent.

    A client that has sent something already goes on counting. Kinds that the release cannot serve are left out. All
    together take about ten seconds. Raises HarnessError, with the end of LiteLLM's log, when an answer is not the
    expected one or LiteLLM does not come to rest.
    """
    client = client or Client(proxy)
    try:
        for phase in phases:
            if phase not in _NEEDS or client.has(_NEEDS[phase]):
                phase(client)
        client.sent.page = settle(proxy, client.sent)
    except (HarnessError, requests.RequestException) as error:
        raise HarnessError(f'{error}\n{proxy.log_tail()}') from error
    return client.sent


def _wait_until(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise HarnessError(f'{complaint} within {_SETTLE_SECONDS} seconds')
        time.sleep(0.1)
