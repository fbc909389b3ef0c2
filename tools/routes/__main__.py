"""Call every route of the newest real LiteLLM with the official clients, and print what it counts for each."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.markdown import put_table
from tools.real_litellm.callers import ADA
from tools.real_litellm.config import Options
from tools.real_litellm.environment import HarnessError, environment
from tools.real_litellm.families import Page
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.upstream import Upstream

from .counting import Route, call, routes_table, sums
from .official_clients import callers
from .provider_hosts import provider_hosts
from .routes_comparison import PAGE

__all__ = ['main']

_QUIET_SECONDS, _SETTLE_SECONDS = 2.5, 15


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.routes', description=__doc__)
    parser.add_argument('calls', nargs='*', metavar='CALL', help='only these, such as "chat, streamed"')
    parser.add_argument('--write', action='store_true', help=f'write the table into docs/{PAGE.name}')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = _call_all(options.calls)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    table = routes_table(found)
    print(table)
    if options.write:
        put_table(PAGE, table)
    return 0


def _call_all(wanted: list[str]) -> list[Route]:
    keys = {'ANTHROPIC_API_KEY': 'upstream-key', 'OPENAI_API_KEY': 'upstream-key'}
    with (
        Upstream() as upstream,
        TemporaryDirectory() as folder,
        provider_hosts(upstream.port, Path(folder)) as hosts,
        RealProxy(environment(), Options(with_redis=False, variables={**keys, **hosts}, every_route=True)) as proxy,
        callers(proxy.url, ADA.key, {}) as (names, ask),
    ):
        return [call(lambda: _settled(proxy), ask, name) for name in wanted or names]


def _settled(proxy: RealProxy) -> Page:
    """Return a page after which nothing is counted any more: LiteLLM counts after it has answered."""
    deadline, quiet = time.monotonic() + _SETTLE_SECONDS, time.monotonic() + _QUIET_SECONDS
    page = Page(proxy.scrape())
    while time.monotonic() < min(deadline, quiet):
        time.sleep(0.3)
        now = Page(proxy.scrape())
        if sums(now) != sums(page):
            quiet = time.monotonic() + _QUIET_SECONDS
        page = now
    return page


if __name__ == '__main__':
    sys.exit(main())
