"""A real proxy, its clients and an Agent that watches it, in minutes that are played faster than they pass.

Requests, scrapes and faults are real; what is virtual is the time at which Datadog has the results. So whatever LiteLLM
does in its own time, such as noticing that its database is back, is waited for between two minutes, and whatever
depends on how long the proxy has been up (`restarting`), or how fast this machine is (`overhead`), is not judged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

from datadog_checks.litellm import LitellmCheck
from tools.datadog_model import Recorder
from tools.drills.scenarios import START
from tools.real_litellm.environment import HarnessError
from tools.real_litellm.families import Page
from tools.real_litellm.real_proxy import RealProxy

__all__ = ['MINUTE', 'UNJUDGED', 'Ask', 'Scene']

MINUTE = 60.0
UNJUDGED = frozenset({'overhead', 'restarting'})

_TAGS = ('env:production', 'service:litellm')
_READINESS_SECONDS = 10
_MANAGE_SECONDS = 30
_WAIT_SECONDS = 60
_AT_ONCE = 64


@dataclass(frozen=True)
class Ask:
    """A client's request: a chat completion with one of the scene's keys, or with a key that it does not know."""

    key: str
    model: str = 'chat'
    text: str = ''
    patience: float = 60.0
    more: dict[str, Any] = field(default_factory=dict)


class Scene:
    """The scene that the drills of one proxy share: time goes on from one to the next.

    `keys` are keys by alias: `known` ones, those that are `wanted`, which LiteLLM makes with these fields, and its own
    as `master`. `metrics_key` names the one of the Agent, which waits for answers for `timeout` seconds. Raises
    HarnessError when LiteLLM does not do what is waited for.
    """

    def __init__(
        self,
        proxy: RealProxy,
        known: Mapping[str, str],
        wanted: Mapping[str, Mapping[str, Any]],
        metrics_key: str = 'master',
        timeout: float = 10.0,
    ) -> None:
        self.proxy = proxy
        made = {alias: self.manage('/key/generate', key_alias=alias, **fields) for alias, fields in wanted.items()}
        self.keys = {'master': proxy.key, **known, **{alias: str(key['key']) for alias, key in made.items()}}
        self.recorder = Recorder(tags=_TAGS)
        self.now = START
        self.answers: Counter[int] = Counter()
        self._sent = 0
        self._timeout = timeout
        self._check = self._new_check(metrics_key)
        self._clients = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix='client')

    def close(self) -> None:
        """End the check and the clients, those that still wait included."""
        self._check.cancel()
        self._clients.shutdown(cancel_futures=True)

    def give_agent(self, key: str) -> None:
        """Restart the Agent with another key for the metrics page."""
        self._check.cancel()
        self._check = self._new_check(key)
        self.recorder.restart()

    def minutes(self, number: float, mix: Sequence[Ask], runs: int = 2) -> None:
        """Let minutes pass: in each, clients send the mix at once and are answered, and the check runs as often."""
        for _ in range(round(number)):
            self.answers.update(self._clients.map(self._chat, mix))
            for run in range(1, runs + 1):
                self.recorder.run(self._check, self.now + run / runs * MINUTE)
            self.now += MINUTE

    def send_and_wait(self, asks: Sequence[Ask]) -> None:
        """Send requests at once, outside the minutes, and wait for the answers."""
        list(self._clients.map(self._chat, asks))

    def send_without_waiting(self, asks: Sequence[Ask]) -> None:
        """Send requests at once, and let their clients wait for the answers while time goes on."""
        for ask in asks:
            self._clients.submit(self._chat, ask)

    def manage(self, path: str, **body: Any) -> dict[str, Any]:
        """Call a management endpoint with the master key and return its answer."""
        headers = {'Authorization': f'Bearer {self.proxy.key}'}
        answer = requests.post(self.proxy.url + path, json=body, headers=headers, timeout=_MANAGE_SECONDS)
        if not answer.ok:
            raise HarnessError(f'{path} answered {answer.status_code}: {answer.text[:500]}')
        made: dict[str, Any] = answer.json()
        return made

    def page(self) -> Page:
        """Return the metrics page of now."""
        return Page(self.proxy.scrape())

    def readiness(self) -> str:
        """Return the status of the readiness, and what it says of the database; nothing without an answer."""
        try:
            answer = requests.get(f'{self.proxy.url}/health/readiness', timeout=_READINESS_SECONDS)
            return f'{answer.status_code} {answer.json().get("db", "")}'.strip()
        except (requests.RequestException, ValueError):
            return ''

    def status_of(self, ask: Ask) -> int:
        """Send a request outside the minutes; return the status of the answer, 0 without one."""
        return self._chat(ask)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = _WAIT_SECONDS) -> None:
        """Wait in real time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise HarnessError(f'{what}: not within {seconds:g} seconds\n{self.proxy.log_tail()}')
            time.sleep(0.2)

    def _new_check(self, key: str) -> LitellmCheck:
        instance = {
            'openmetrics_endpoint': self.proxy.metrics_url,
            'litellm_readiness_endpoint': f'{self.proxy.url}/health/readiness',
            'headers': {'Authorization': f'Bearer {self.keys[key]}'},
            'timeout': self._timeout,
        }
        return LitellmCheck('litellm', {}, [instance])

    def _chat(self, ask: Ask) -> int:
        self._sent += 1
        # Nothing is asked for twice: no cache knows it.
        content = f'{ask.text} {self._sent} {time.monotonic()}'
        body = {'model': ask.model, 'messages': [{'role': 'user', 'content': content}], **ask.more}
        headers = {'Authorization': f'Bearer {self.keys.get(ask.key, ask.key)}'}
        url = f'{self.proxy.url}/v1/chat/completions'
        try:
            return requests.post(url, json=body, headers=headers, timeout=ask.patience).status_code
        except requests.RequestException:
            return 0
