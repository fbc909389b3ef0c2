"""Measure what the real proxy saves when it leaves out of its page what is not collected."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.agent_model import discarded

from datadog_checks.litellm import LitellmCheck

from .environment import HarnessError, environment
from .real_proxy import RealProxy
from .workload import Client, drive

__all__ = ['main']

CUSTOMERS = 60
RUNS = 20

CHOICES: dict[str, dict[str, Any]] = {
    'whole page': {},
    'groups left out here': {'exclude_metric_groups': ['deprecated', 'services'], 'filter_at_proxy': False},
    'groups left out by the proxy': {'exclude_metric_groups': ['deprecated', 'services']},
    'those and latency left out by the proxy': {
        'exclude_metric_groups': ['deprecated', 'services', 'latency'],
    },
    'groups and buckets left out here': {
        'exclude_metric_groups': ['deprecated', 'services'],
        'collect_histogram_buckets': False,
        'filter_at_proxy': False,
    },
    'groups and buckets left out by the proxy': {
        'exclude_metric_groups': ['deprecated', 'services'],
        'collect_histogram_buckets': False,
    },
}


class Cost(NamedTuple):
    """What one scrape costs, on average of several."""

    samples: int
    megabytes: float
    proxy_cpu: float
    """Processor seconds of the proxy, which serves nobody else meanwhile."""
    cpu: float
    """Processor seconds of the check."""


def main() -> int:
    """Print one row per choice; return the exit code."""
    try:
        with RealProxy(environment()) as proxy:
            drive(proxy)
            client = Client(proxy)
            for number in range(CUSTOMERS):
                client.chat(key=proxy.key, user=f'customer-{number}')
            print(f'LiteLLM {proxy.environment.release}, {CUSTOMERS} customers; means of {RUNS} scrapes')
            print(f'{"":42}{"samples":>10}{"MB":>8}{"proxy CPU, s":>14}{"our CPU, s":>12}')
            for choice, options in CHOICES.items():
                cost = _measure(proxy, options)
                print(f'{choice:42}{cost.samples:>10,}{cost.megabytes:>8.2f}{cost.proxy_cpu:>14.3f}{cost.cpu:>12.3f}')
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _measure(proxy: RealProxy, options: Mapping[str, Any]) -> Cost:
    headers = {'Authorization': f'Bearer {proxy.key}'}
    instance = {'openmetrics_endpoint': proxy.metrics_url, 'extra_headers': headers, **options}
    check = LitellmCheck('litellm', {}, [instance])
    with discarded():
        # These runs learn, and find out what to ask for.
        for _ in range(2):
            _run(check)
        before = time.process_time(), _cpu_seconds(proxy)
        for _ in range(RUNS):
            _run(check)
        after = time.process_time(), _cpu_seconds(proxy)
    (scraper,) = check.scrapers.values()
    with scraper.ask() as response:
        page = response.content
    own, theirs = ((end - start) / RUNS for start, end in zip(before, after, strict=True))
    samples = sum(bool(line) and not line.startswith(b'#') for line in page.splitlines())
    return Cost(samples, len(page) / 1e6, theirs, own)


def _run(check: LitellmCheck) -> None:
    if error := check.run():
        raise HarnessError(error)


def _cpu_seconds(proxy: RealProxy) -> float:
    """Return the processor time that the proxy has used so far, in user and in system mode."""
    (pid,) = proxy.workers()
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(') ')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


if __name__ == '__main__':
    sys.exit(main())
