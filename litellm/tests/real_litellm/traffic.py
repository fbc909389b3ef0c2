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

from .callers import ADA, BOB
from .config import BLOCKED_WORD, MAX_IN_FLIGHT, MAX_QUEUED, MCP_SERVER
from .environment import HarnessError
from .families import Page
from .proxy import RealProxy
from .upstream import MCP_TOOL, USAGE, VIDEO_SECONDS

__all__ = ['PHASES', 'Client', 'Sent', 'drive', 'settle']

_ANSWER_SECONDS = 30
_SETTLE_SECONDS = 20
# Three more than LiteLLM admits at a time or lets wait.
_CROWD = MAX_IN_FLIGHT + MAX_QUEUED + 3


@dataclass
class Sent:
    """What a proxy was sent and answered, in the terms of LiteLLM's counters."""

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
    """Wait until the proxy, which counts after it has answered, shows all requests; return that page."""

    def is_complete() -> bool:
        page = Page(proxy.scrape())
        return (
            page.total('litellm_proxy_total_requests_metric') >= sent.requests
            and page.total('litellm_deployment_failure_responses') >= sent.deployment_failures.total()
            and page.total('litellm_request_total_latency_metric', '_count') >= sent.successes
        )

    _wait_until(is_complete, f'LiteLLM did not count {sent.requests} requests')
    return Page(proxy.scrape())


class Client:
    """A client of the proxy that keeps account of what it sends."""

    def __init__(self, proxy: RealProxy) -> None:
        self.proxy = proxy
        self.sent = Sent()

    def post(self, path: str, body: dict[str, Any], key: str = ADA.key) -> requests.Response:
        """Send a request that LiteLLM does not have to count."""
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
    # Two messages of one deployment: the second finds the access token of the first.
    for _ in range(2):
        messages = [{'role': 'user', 'content': secrets.token_hex(8)}]
        client.call('/v1/chat/completions', {'model': 'claude', 'messages': messages, 'max_tokens': 20})
        client.count_tokens(USAGE['prompt_tokens'], USAGE['completion_tokens'])


def fail(client: Client) -> None:
    """Let deployments fail, with a fallback, with one that fails too, and without; and let the proxy itself refuse."""
    for group in ('limited', 'too-long', 'recovering'):
        client.chat(group)
        client.sent.fallbacks += 1
    # The first deployment of the group is cooling down now, so the second answers.
    client.chat('recovering')
    client.chat('broken', expected=500)
    client.sent.failed_fallbacks += 1
    client.chat('unauthorized', expected=401)
    client.chat('timing-out', expected=408)
    client.sent.deployment_failures.update(
        ['limited', 'too-long', 'recovering-a', 'broken', 'unauthorized', 'timing-out']
    )
    # Of these LiteLLM cools down the rate-limited one and those that answer 500.
    client.sent.cooled_down += 3
    client.chat('claude-refused', expected=401)
    client.chat('no-such-model', expected=400)
    # A key that nobody has; without a database LiteLLM cannot look it up.
    client.chat(key='sk-nobody', expected=400)


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

    def is_hit_twice() -> bool:
        answer = client.chat(prompt=prompt)
        client.sent.cache_hits += 'x-litellm-cache-key' in answer.headers
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
    """Stop Redis, if there is one, until LiteLLM's circuit breakers open; start it again and let them close."""
    redis = client.proxy.redis
    if redis is None:
        return

    def breakers_went(state: str) -> Callable[[], bool]:
        def chat_and_look() -> bool:
            client.chat()
            page = Page(client.proxy.scrape())
            return page.total('litellm_redis_circuit_breaker_transitions', state=state) > 0

        return chat_and_look

    redis.stop()
    _wait_until(breakers_went('open'), 'No circuit breaker opened without Redis')
    redis.start()
    _wait_until(breakers_went('closed'), 'No circuit breaker closed after Redis was back')


# Every kind of traffic, in an order in which one does not spoil the next.
PHASES: tuple[Callable[[Client], None], ...] = (
    succeed,
    fail,
    guard,
    generate_media,
    call_tools,
    hit_cache,
    crowd,
    refuse_rows,
    lose_redis,
)


def drive(proxy: RealProxy, phases: Sequence[Callable[[Client], None]] = PHASES) -> Sent:
    """Send the proxy traffic of several kinds, let its counters settle and return what was sent.

    All kinds together take about ten seconds. Raises HarnessError, with the end of LiteLLM's log, when an answer or a
    counter is not the expected one.
    """
    client = Client(proxy)
    try:
        for phase in phases:
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
