"""Measure what a scrape costs the real LiteLLM, by the size of its page, how it is run, and what it is asked for."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests
from tests.support.agent_model import discarded
from tests.support.ports import free_port

from datadog_checks.litellm import LitellmCheck
from tools.markdown import render_table
from tools.real_litellm.config import Options
from tools.real_litellm.environment import environment
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.workload import Client, drive

from .measure import cpu_seconds

__all__ = ['HEAD', 'Cost', 'Selection', 'costs', 'selections', 'table', 'table_of_selections']

HEAD = (
    'LiteLLM',
    'keys',
    'samples',
    'MB',
    'CPU per scrape, ms',
    'vs. one process',
    'of it in serving processes, ms',
)
_SELECTION = ('collected', 'samples', 'page', 'CPU of LiteLLM', 'CPU of the check')

# As many requests as LiteLLM works on at a time here.
_AT_A_TIME = 4
_SCRAPES = 5
_SECONDS = 120
_TEAMS = 25
_TICKS = os.sysconf('SC_CLK_TCK')
_ALONE = Options(with_redis=False)
_TWO_FAMILIES = '?name[]=litellm_proxy_total_requests_metric_total&name[]=litellm_spend_metric_total'
# Four families, by team only.
_FEW = [
    {
        'group': 'teams',
        'metrics': [
            'litellm_proxy_failed_requests_metric',
            'litellm_proxy_total_requests_metric',
            'litellm_spend_metric',
            'litellm_total_tokens_metric',
        ],
        'include_labels': ['team', 'team_alias'],
    }
]
_CUSTOMERS = 60
_RUNS = 20
_WITHOUT = {'exclude_metric_groups': ['deprecated', 'services']}
_SELECTIONS: Mapping[str, Mapping[str, Any]] = {
    'everything': {},
    'without `deprecated`, `services`': _WITHOUT,
    'the same, with `filter_at_proxy: false`': {**_WITHOUT, 'filter_at_proxy': False},
    'without `deprecated`, `services`, and no buckets': {**_WITHOUT, 'collect_histogram_buckets': False},
    'without these and no buckets, with `filter_at_proxy: false`': {
        **_WITHOUT,
        'collect_histogram_buckets': False,
        'filter_at_proxy': False,
    },
    'without `deprecated`, `services`, `latency`': {'exclude_metric_groups': ['deprecated', 'services', 'latency']},
}


class Cost(NamedTuple):
    """The cost of one scrape to LiteLLM."""

    title: str
    keys: int
    samples: int
    megabytes: float
    cpu: float
    """Seconds, of all its processes."""
    serving_cpu: float
    """Seconds, of the processes that serve requests."""


def costs(small: int, large: int) -> Iterator[Cost]:
    """Measure real proxies that have answered so many keys, one way to run them after the other."""
    for keys in (small, large):
        with _proxy(_ALONE, keys) as proxy:
            yield _cost('one process', proxy, keys)
            yield _cost('one process, uncompressed page', proxy, keys, compressed=False)
            if keys == large:
                url = proxy.metrics_url + _TWO_FAMILIES
                yield _cost('one process, two families by `?name[]=` in the URL', proxy, keys, url)
    few = replace(_ALONE, litellm_settings={'prometheus_metrics_config': _FEW})
    with _proxy(few, large) as proxy:
        yield _cost('one process, four families by team (`prometheus_metrics_config`)', proxy, large)
    workers = replace(_ALONE, workers=2)
    with _proxy(workers, large) as proxy:
        yield _cost('two workers', proxy, large)
    port = free_port()
    with _proxy(replace(workers, arguments=('--prometheus_metrics_port', str(port))), large) as proxy:
        yield _cost('two workers, `--prometheus_metrics_port`', proxy, large, f'http://127.0.0.1:{port}/metrics/')


@contextmanager
def _proxy(options: Options, keys: int) -> Iterator[RealProxy]:
    """Start a proxy, and send it a request with each of so many keys."""
    with tempfile.NamedTemporaryFile('w', suffix='.json') as callers:
        json.dump({f'sk-key-{number}': _caller(number) for number in range(keys)}, callers)
        callers.flush()
        variables = {**options.variables, 'REAL_LITELLM_CALLERS': callers.name}
        with RealProxy(environment(), replace(options, variables=variables)) as proxy:
            with ThreadPoolExecutor(_AT_A_TIME) as executor, requests.Session() as session:
                session.trust_env = False
                list(executor.map(lambda number: _chat(session, proxy, number), range(keys)))
            yield proxy


def _caller(number: int) -> dict[str, Any]:
    team = number % _TEAMS
    return {
        'key_alias': f'service-{number}',
        'user_id': f'user-{number}',
        'user_email': f'user-{number}@example.com',
        'team_id': f'team-{team}',
        'team_alias': f'Team {team}',
        'budget_hours': 1,
    }


def _chat(session: requests.Session, proxy: RealProxy, number: int) -> None:
    body = {'model': 'chat', 'messages': [{'role': 'user', 'content': f'hello {number}'}]}
    headers = {'Authorization': f'Bearer sk-key-{number}'}
    url = f'{proxy.url}/v1/chat/completions'
    session.post(url, json=body, headers=headers, timeout=_SECONDS).raise_for_status()


def _cost(title: str, proxy: RealProxy, keys: int, url: str = '', compressed: bool = True) -> Cost:
    """Scrape a few times, and divide."""
    url = url or proxy.metrics_url
    headers = {'Authorization': f'Bearer {proxy.key}', 'Accept-Encoding': 'gzip' if compressed else 'identity'}
    everyone, serving = proxy.pids(), proxy.workers()
    page = _scrape(url, headers)
    before, serving_before = _cpu_seconds(everyone), _cpu_seconds(serving)
    for _ in range(_SCRAPES):
        _scrape(url, headers)
    cpu = (_cpu_seconds(everyone) - before) / _SCRAPES
    serving_cpu = (_cpu_seconds(serving) - serving_before) / _SCRAPES
    samples = sum(not line.startswith('#') for line in page.splitlines())
    return Cost(title, keys, samples, len(page) / 1e6, cpu, serving_cpu)


def _scrape(url: str, headers: Mapping[str, str]) -> str:
    response = requests.get(url, headers=headers, timeout=_SECONDS)
    response.raise_for_status()
    return response.text


def _cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(') ')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def table(measured: Sequence[Cost]) -> str:
    """Return a row for each way to run LiteLLM; the first of as many keys is the one to compare with."""
    alone = {cost.keys: cost.cpu for cost in reversed(measured)}
    return render_table(
        HEAD,
        [
            (
                cost.title,
                str(cost.keys),
                f'{cost.samples:,}',
                f'{cost.megabytes:.2f}',
                f'{cost.cpu * 1000:.0f}',
                f'{cost.cpu / alone[cost.keys]:.2f}',
                f'{cost.serving_cpu * 1000:.0f}',
            )
            for cost in measured
        ],
    )


class Selection(NamedTuple):
    """The cost of a scrape of a part of the page, on average of several."""

    title: str
    samples: int
    megabytes: float
    proxy_cpu: float
    """Seconds of LiteLLM, which serves nobody else meanwhile."""
    check_cpu: float


def selections() -> Iterator[Selection]:
    """Measure a proxy that is asked for less and less of its page."""
    with RealProxy(environment()) as proxy:
        drive(proxy)
        client = Client(proxy)
        for number in range(_CUSTOMERS):
            client.chat(key=proxy.key, user=f'customer-{number}')
        for title, options in _SELECTIONS.items():
            yield _selection(title, proxy, options)


def _selection(title: str, proxy: RealProxy, options: Mapping[str, Any]) -> Selection:
    headers = {'Authorization': f'Bearer {proxy.key}'}
    instance = {'openmetrics_endpoint': proxy.metrics_url, 'extra_headers': headers, **options}
    check = LitellmCheck('litellm', {}, [instance])
    with discarded():
        # These runs learn, and find out what to ask for.
        for _ in range(2):
            _run(check)
        before = _cpu_seconds(proxy.workers())
        check_cpu = sum(cpu_seconds(partial(_run, check)) for _ in range(_RUNS))
        proxy_cpu = _cpu_seconds(proxy.workers()) - before
    (scraper,) = check.scrapers.values()
    with scraper.ask() as response:
        page = response.content
    samples = sum(bool(line) and not line.startswith(b'#') for line in page.splitlines())
    return Selection(title, samples, len(page) / 1e6, proxy_cpu / _RUNS, check_cpu / _RUNS)


def _run(check: LitellmCheck) -> None:
    if error := check.run():
        raise RuntimeError(error)


def table_of_selections(measured: Sequence[Selection]) -> str:
    """Return a row for each selection."""
    return render_table(
        _SELECTION,
        [
            (
                one.title,
                f'{one.samples:,}',
                f'{one.megabytes:.2f} MB',
                f'{one.proxy_cpu:.3f} s',
                f'{one.check_cpu:.3f} s',
            )
            for one in measured
        ],
    )
