"""Start real LiteLLM releases, two at a time, and compare each with what is expected of it.

Exit code 1 if a column fails, 2 if a release could not be installed, started or driven.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from tools.real_litellm.environment import RELEASE, RELEASES, HarnessError
from tools.real_litellm.servers import servers

from .access import needs_licence
from .release_table import README, table, write
from .result import Result
from .row import run

__all__ = ['CI_RELEASES', 'main']

CI_RELEASES = (RELEASES[0], next(release for release in RELEASES if not needs_licence(release)), RELEASE)

# As many proxies as the machine that the time limits are for has cores.
_AT_A_TIME = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    # What the check warns of is in the result.
    logging.disable(logging.WARNING)
    # Ended either way, the proxies go too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    releases = options.releases or (CI_RELEASES if options.ci else RELEASES)
    began = time.monotonic()
    results, failures = _run_all(releases, options.jobs, with_upkeep=not options.ci)
    print(f'\n{table(results)}\n\n{len(results)} releases in {time.monotonic() - began:.0f} seconds')
    if not options.ci and not servers().have_database:
        print('Untested, as this machine has no PostgreSQL or no Node: all of them with a database')
    for result in results:
        for complaint in result.all_complaints:
            print(f'{result.release} {complaint}')
    for failure in failures:
        print(failure, file=sys.stderr)
    if failures:
        return 2
    if options.write:
        for result in results:
            result.capture.save()
            if result.with_database:
                result.with_database.capture.save()
        write(results)
        print(f'Written into tests/pages and {README.name}')
    return 1 if any(result.all_complaints for result in results) else 0


def _run_all(releases: tuple[str, ...], jobs: int, with_upkeep: bool) -> tuple[list[Result], list[HarnessError]]:
    """Return the results in the order of the releases, and what kept others from having one."""
    found: dict[str, Result] = {}
    failures: list[HarnessError] = []
    with ThreadPoolExecutor(jobs) as executor:
        # The newest take longest.
        running: dict[Future[Result], str] = {
            executor.submit(run, release, with_upkeep): release for release in reversed(releases)
        }
        try:
            for done in as_completed(running):
                release = running[done]
                try:
                    found[release] = result = done.result()
                except HarnessError as error:
                    failures.append(error)
                    print(f'{release}: failed: {str(error).partition(chr(10))[0]}', flush=True)
                else:
                    state = 'FAIL' if result.all_complaints else 'pass'
                    print(
                        f'{release}: {state}, {result.seconds:.0f} s, {result.made_in:.0f} of them to install it',
                        flush=True,
                    )
        except KeyboardInterrupt:
            executor.shutdown(cancel_futures=True)
            raise
    return [found[release] for release in releases if release in found], failures


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m tools.matrix', description=__doc__)
    parser.add_argument('releases', nargs='*', help=f'releases of LiteLLM (default: {", ".join(RELEASES)})')
    parser.add_argument(
        '--ci',
        action='store_true',
        help=f'only the oldest, the oldest without a licence and the newest, without a database: {CI_RELEASES}',
    )
    parser.add_argument('--jobs', type=int, default=_AT_A_TIME, help='proxies at a time (default: %(default)s)')
    parser.add_argument(
        '--write', action='store_true', help='write their rows into README.md and their responses into tests/pages'
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())
