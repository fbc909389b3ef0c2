"""Try which failures take a deployment out of use, and what clients get then.

A provider fails in three groups of deployments: of the only one, of one of two while the other is well, and of both.
LiteLLM chooses among them by chance. What the table tells does not depend on that, as it is asked often enough.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

import requests
from tests.fixture_proxy import start
from tests.fixture_proxy.releases import NEWEST

from tools.markdown import render_table
from tools.real_litellm.config import Extra, Options
from tools.real_litellm.environment import Environment
from tools.real_litellm.families import Page
from tools.real_litellm.real_proxy import RealProxy

__all__ = ['COOLDOWNS', 'fixture_cooldowns', 'real_cooldowns']

# The name of the table, as that of its markers on the page.
COOLDOWNS = 'cooldowns'
# HTTP statuses of a provider. When it does not answer in time, LiteLLM makes that a 408.
_FAILURES = ('400', '401', '402', '403', '404', '408', '429', '500', '503', 'no answer in time')
# The groups, and how often each is asked.
_ONLY, _ONE, _BOTH = 'the only one', 'one of two', 'both of two'
_ASKED = {_ONLY: 6, _ONE: 24, _BOTH: 12}
_HEAD = (
    'The provider answers',
    *(f'{which}: cooled down' for which in _ASKED),
    *(f'{which}: clients get' for which in (_ONLY, _BOTH)),
)
_FAILED, _COOLED_DOWN = 'litellm_deployment_failure_responses', 'litellm_deployment_cooled_down'
# Longer than a group is observed.
_COOLDOWN_SECONDS = 300
_SETTLE_SECONDS = 0.5
_HTTP_SECONDS = 30


class _Observer:
    """Asks a proxy's groups of deployments, and tells what became of them."""

    def __init__(self, url: str, key: str, read: Callable[[], Page], settle: float) -> None:
        self._url = f'{url}/v1/chat/completions'
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers['Authorization'] = f'Bearer {key}'
        self._read = read
        self._settle = settle

    def observe(self, group: str, times: int) -> tuple[str, str]:
        """Ask a group this often; return when a deployment of it was cooled down, and what clients got."""
        before = self._read()
        answers = Counter(self._ask(group) for _ in range(times))
        time.sleep(self._settle)
        after = self._read()
        failures, cooldowns = (count(after, group) - count(before, group) for count in (_failures, _cooldowns))
        cooled_down = f'after {failures / cooldowns:g}' if cooldowns else 'never'
        return cooled_down, ', '.join(f'{count} × {answer}' for answer, count in answers.items())

    def _ask(self, group: str) -> str:
        body = {'model': group, 'messages': [{'role': 'user', 'content': f'{time.monotonic()}'}]}
        answer = self._session.post(self._url, json=body, timeout=_HTTP_SECONDS)
        # LiteLLM cools down what failed when it has answered.
        time.sleep(self._settle / 10)
        router = ' of the router' if 'No deployments available' in answer.text else ''
        return f'{answer.status_code}{router}'


def real_cooldowns(environment: Environment) -> str:
    """Return the table of a real proxy, which is configured as LiteLLM is by default, but without retries."""
    extra = tuple(deployment for failure in _FAILURES for deployment in _deployments(failure))
    settings = {'allowed_fails': None, 'cooldown_time': _COOLDOWN_SECONDS}
    options = Options(with_redis=False, router_settings=settings, deployments=extra)
    with RealProxy(environment, options) as proxy:
        observer = _Observer(proxy.url, proxy.key, lambda: Page(proxy.scrape()), _SETTLE_SECONDS)
        return _table(lambda failure, which: observer.observe(_group(failure, which), _ASKED[which]))


def fixture_cooldowns() -> str:
    """Return the table of the fixture proxy."""
    families = ','.join((_FAILED, _COOLED_DOWN))
    with start('--release', str(NEWEST), '--concurrent', '--no-service-metrics', '--only-families', families) as proxy:
        observer = _Observer(proxy.url, proxy.key, lambda: Page(proxy.scrape()), 0)

        def play(failure: str, which: str) -> tuple[str, str]:
            failing = ('openai', 'azure') if which == _BOTH else ('openai',)
            status = int(failure) if failure.isdigit() else 408
            statuses = dict.fromkeys(failing, status)
            proxy.control('controls', failing_providers=statuses, cooldown_seconds=_COOLDOWN_SECONDS)
            proxy.control('advance', seconds=2 * _COOLDOWN_SECONDS)
            return observer.observe('o4-mini' if which == _ONLY else 'gpt-4o-mini', _ASKED[which])

        return _table(play)


def _table(play: Callable[[str, str], tuple[str, str]]) -> str:
    rows = []
    for failure in _FAILURES:
        seen = {which: play(failure, which) for which in _ASKED}
        rows.append([failure, *(cooled_down for cooled_down, _ in seen.values()), seen[_ONLY][1], seen[_BOTH][1]])
    return render_table(_HEAD, rows)


def _group(failure: str, which: str) -> str:
    return f'{failure} of {which}'


def _deployments(failure: str) -> Iterator[Extra]:
    model, limit = (f'openai/fails-with-{failure}', {}) if failure.isdigit() else ('openai/slow', {'timeout': 0.1})
    for which in _ASKED:
        group = _group(failure, which)
        yield Extra(group, model, f'{group} 1', limit)
        if which == _ONE:
            yield Extra(group, 'openai/gpt-4o-mini', f'{group} 2', {})
        elif which == _BOTH:
            yield Extra(group, model, f'{group} 2', limit)


def _failures(page: Page, group: str) -> float:
    """Return how often a deployment of a group failed; where none was chosen, the failure names none."""
    return sum(
        sample.value
        for sample in page.samples(_FAILED)
        if sample.name.endswith('_total') and sample.labels['requested_model'] == group and sample.labels['model_id']
    )


def _cooldowns(page: Page, group: str) -> float:
    return page.total(_COOLED_DOWN, litellm_model_name=group)
