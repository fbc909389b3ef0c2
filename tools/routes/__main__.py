"""Call every route of the newest real LiteLLM with the official clients, and print what it counts for each."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tools.markdown import put_table, render_table
from tools.real_litellm.callers import ADA
from tools.real_litellm.config import Options
from tools.real_litellm.environment import HarnessError, environment
from tools.real_litellm.families import Page
from tools.real_litellm.kept import REQUIREMENTS, VENVS, keep, run, uv
from tools.real_litellm.real_proxy import RealProxy

__all__ = ['main']

PAGE = Path(__file__).parents[2] / 'docs' / 'routes.md'
_CALLS = Path(__file__).with_name('client_calls.py')
_TIMES = 2
_QUIET_SECONDS, _SETTLE_SECONDS = 2.5, 15

# What is counted, under which heading; by its kind, in units of one call.
_COUNTED = {
    'requests': ('proxy_total_requests_metric', '_total'),
    'failures': ('proxy_failed_requests_metric', '_total'),
    'calls of a deployment': ('deployment_total_requests', '_total'),
    'latency': ('request_total_latency_metric', '_count'),
    "the provider's latency": ('llm_api_latency_metric', '_count'),
    'time to first token': ('llm_api_time_to_first_token_metric', '_count'),
}
_AMOUNTS = {
    'input tokens': ('input_tokens_metric', '_total'),
    'output tokens': ('output_tokens_metric', '_total'),
    'dollars': ('spend_metric', '_total'),
}
_REQUESTS = 'litellm_proxy_total_requests_metric'


class Route(NamedTuple):
    """What LiteLLM answered to a call, and counted for one: requests and amounts, and their labels."""

    call: str
    status: str
    counts: dict[str, float]
    labels: dict[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.routes', description=__doc__)
    parser.add_argument('--write', action='store_true', help=f'write the table into docs/{PAGE.name}')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = _call_all()
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    table = _table(found)
    print(table)
    if options.write:
        put_table(PAGE, table)
    return 0


def _call_all() -> list[Route]:
    variables = {'ANTHROPIC_API_KEY': 'upstream-key', 'OPENAI_API_KEY': 'upstream-key'}
    options = Options(with_redis=False, variables=variables, every_route=True)
    with RealProxy(environment(), options) as proxy, _callers(proxy) as (names, ask):
        return [_call(proxy, ask, name) for name in names]


class _Ask(NamedTuple):
    questions: IO[str]
    answers: IO[str]

    def __call__(self, name: str) -> str:
        self.questions.write(f'{name}\n')
        self.questions.flush()
        return self.answers.readline().strip()


@contextmanager
def _callers(proxy: RealProxy) -> Iterator[tuple[list[str], _Ask]]:
    """Start the clients, with the key of a caller; yield the names of their calls, and a way to make one."""
    command = [str(_environment() / 'bin' / 'python'), str(_CALLS), proxy.url, ADA.key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        names: list[str] = json.loads(clients.stdout.readline())
        yield names, _Ask(clients.stdin, clients.stdout)
        clients.stdin.close()


def _environment() -> Path:
    """Return the environment of the clients, made first if its lock file has changed."""
    folder, lock_file = VENVS / 'callers', REQUIREMENTS / 'callers.txt'

    def make() -> None:
        what = 'install the official clients'
        run([uv(), 'venv', '--quiet', '--clear', '--python', sys.executable, str(folder)], what)
        run([uv(), 'pip', 'install', '--quiet', '--no-deps', '--python', str(folder), '-r', str(lock_file)], what)

    return keep(folder, [lock_file.read_bytes(), sys.version.encode()], make)


def _call(proxy: RealProxy, ask: _Ask, name: str) -> Route:
    before = _settled(proxy)
    statuses = {ask(name) for _ in range(_TIMES)}
    after = _settled(proxy)
    counts = {
        what: (after.total(f'litellm_{family}', suffix) - before.total(f'litellm_{family}', suffix)) / _TIMES
        for what, (family, suffix) in (_COUNTED | _AMOUNTS).items()
    }
    return Route(name, ', '.join(sorted(statuses)), counts, _labels(before, after))


def _settled(proxy: RealProxy) -> Page:
    """Return a page after which nothing is counted any more: LiteLLM counts after it has answered."""
    deadline, quiet = time.monotonic() + _SETTLE_SECONDS, time.monotonic() + _QUIET_SECONDS
    page = Page(proxy.scrape())
    while time.monotonic() < min(deadline, quiet):
        time.sleep(0.3)
        now = Page(proxy.scrape())
        if _sums(now) != _sums(page):
            quiet = time.monotonic() + _QUIET_SECONDS
        page = now
    return page


def _sums(page: Page) -> list[float]:
    return [page.total(f'litellm_{family}', suffix) for family, suffix in (_COUNTED | _AMOUNTS).values()]


def _labels(before: Page, after: Page) -> dict[str, str]:
    """Return the labels of the requests that were counted between two pages."""
    values: dict[str, set[str]] = {label: set() for label in ('route', 'requested_model', 'api_provider')}
    counted = {tuple(sorted(sample.labels.items())): sample.value for sample in _samples(before)}
    for sample in _samples(after):
        if sample.value != counted.get(tuple(sorted(sample.labels.items())), 0):
            for label, found in values.items():
                found.add(sample.labels.get(label, ''))
    return {
        label: ', '.join(f'`{value}`' if value else 'empty' for value in sorted(found))
        for label, found in values.items()
    }


def _samples(page: Page) -> list:  # type: ignore[type-arg]
    family = page.families.get(_REQUESTS)
    return [sample for sample in family.samples if sample.name.endswith('_total')] if family else []


def _table(found: list[Route]) -> str:
    head = ['Call', 'status', *_COUNTED, *_AMOUNTS, 'route', 'requested_model', 'api_provider']
    rows = [
        [one.call, one.status, *(f'{one.counts[what]:.3g}' for what in _COUNTED | _AMOUNTS), *one.labels.values()]
        for one in found
    ]
    return render_table(head, rows)


if __name__ == '__main__':
    sys.exit(main())
