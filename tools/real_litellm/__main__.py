"""Start a real LiteLLM, drive traffic through it and say which metric families it exposes."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from datadog_checks.litellm.metrics import raw_names

from .environment import HarnessError, environment, wanted_release
from .families import Coverage, coverage
from .real_proxy import RealProxy
from .workload import drive

__all__ = ['main']


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    # Ended either way, the proxy goes too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with RealProxy(environment(options.release)) as proxy:
            print(f'LiteLLM {options.release} listens on {proxy.url}')
            if proxy.untested:
                print(proxy.untested)
            sent = drive(proxy)
            found = coverage(sent.busy_page, sent.page)
            print(_table(found))
            print(f'{sent.requests} requests, {sent.failures} of them failed: {found.summary()}')
            if options.page:
                options.page.write_text(sent.page.text)
            if options.keep:
                print(f'Metrics: {proxy.metrics_url} with `Authorization: Bearer {proxy.key}`. Ctrl-C ends it.')
                signal.pause()
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m tools.real_litellm', description=__doc__)
    parser.add_argument('--release', default=wanted_release(), help='release of LiteLLM (default: %(default)s)')
    parser.add_argument('--page', type=Path, help='write the metrics page into this file')
    parser.add_argument('--keep', action='store_true', help='keep the proxy running until Ctrl-C')
    return parser


def _table(found: Coverage) -> str:
    """Return one line per family: what became of it, its raw name and its Datadog name."""
    names = raw_names()
    rows = []
    for family in sorted(found.registered | found.known):
        state = 'moved' if family in found.moved else 'zero' if family in found.sampled else 'no sample'
        if family not in found.registered:
            state = 'not registered'
        rows.append(f'{state:15} {family:70} {names.get(family, "UNMAPPED")}')
    return '\n'.join(rows)


if __name__ == '__main__':
    sys.exit(main())
