"""Show the report on a proxy that serves traffic: `make demo`.

Starts the fixture proxy, sends it requests before and between the two scrapes, runs the same command line that a user
would run, and ends the proxy.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

from .fixture_proxy import FixtureProxy, start
from .fixture_proxy.traffic import drive

REQUESTS_BEFORE = 60
# Enough to last from before the first scrape until after the second.
BATCHES = 20
KEY_WITHOUT_PREFIX = 'fixture-search-11f0'
REQUESTS_PER_BATCH = 20

INTRODUCTION = """\
A small stand-in for a LiteLLM proxy listens at {url} and has answered
{answered} requests. While more come in, this scrapes it twice, as the Datadog Agent would:

    {command}
"""
NEXT = """
For your own proxy, with its key in the variable LITELLM_METRICS_KEY or in a file (--key-file):

    cd litellm && ../.venvs/base-newest/bin/python -m datadog_checks.litellm http://YOUR-PROXY:4000/metrics/

--all shows every row, --json is what `agent check --json` prints, --help tells the rest.
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
        for batch in range(1, BATCHES + 1):
            if report.poll() is not None:
                break
            drive(proxy.url, proxy.key, requests=REQUESTS_PER_BATCH, seed=batch)
    return report.returncode


if __name__ == '__main__':
    sys.exit(main())
