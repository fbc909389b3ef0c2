"""Show the report on a proxy that serves traffic: `make demo`.

Starts the fixture proxy, sends it requests before and between the two scrapes, runs the same command line that a user
would run, and ends the proxy.
"""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
import sys
import time

from tests.fixture_proxy import FixtureProxy, start
from tests.fixture_proxy.traffic import drive

REQUESTS_BEFORE = 60
KEY_WITHOUT_PREFIX = 'fixture-search-11f0'
REQUESTS_PER_BATCH = 20
SECONDS_BETWEEN_BATCHES = 0.2

INTRODUCTION = """\
A small stand-in for a LiteLLM proxy is listening at {url} and has served
{answered} requests. While more come in, this command scrapes it twice, as the Datadog Agent would:

    {command}
"""
NEXT = """
For your own proxy, with its key in the environment variable LITELLM_METRICS_KEY or in a file (--key-file):

    .venvs/base-newest/bin/python -m datadog_checks.litellm http://YOUR-PROXY:4000/metrics/

--all shows every row, --json prints what `agent check --json` would, --help lists all options.
What the contexts may cost, and how to find out: docs/cost.md.
"""


def main() -> int:
    """Run the demo and return the report's exit code."""
    print('Starting ...', flush=True)
    with start('--failure-rate', '0.05') as proxy:
        sent = drive(proxy.url, proxy.key, requests=REQUESTS_BEFORE)
        # As happens: someone forgets the prefix of a key, and LiteLLM writes that key into its metrics as it is.
        drive(proxy.url, proxy.key, requests=1, keys=[KEY_WITHOUT_PREFIX])
        arguments = ['-m', 'datadog_checks.litellm', proxy.metrics_url]
        print(INTRODUCTION.format(url=proxy.url, answered=sent.requests, command=shlex.join(['python', *arguments])))
        sys.stdout.flush()
        code = _report(proxy, arguments)
    if code == 0:
        print(NEXT, end='')
    return code


def _report(proxy: FixtureProxy, arguments: list[str]) -> int:
    # No proxy of the environment between the report and this machine.
    direct = {'NO_PROXY': '127.0.0.1', 'no_proxy': '127.0.0.1'}
    environment = {**os.environ, **direct, 'LITELLM_METRICS_KEY': proxy.key}
    with subprocess.Popen([sys.executable, *arguments], env=environment) as report:
        # A fixed number of requests may be over before the first scrape of a busy machine: every count would be 0.
        for batch in itertools.count(1):
            if report.poll() is not None:
                break
            drive(proxy.url, proxy.key, requests=REQUESTS_PER_BATCH, seed=batch)
            time.sleep(SECONDS_BETWEEN_BATCHES)
    return report.returncode


if __name__ == '__main__':
    sys.exit(main())
