"""Import dashboards, monitors, SLOs and the log pipeline into a Datadog account, or bring them up to date there.

Without --write, nothing is changed: it says what would be (exit status 1: something). The keys come from the variables
DD_API_KEY and DD_APP_KEY, the site from DD_SITE (datadoghq.com). Example:

  make import ARGS='--env production --service litellm --notify @slack-litellm --page @pagerduty-litellm'
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from .account import Account
from .assets import ASSETS, AssetError, Handles, assets, scope_of

__all__ = ['main']

_KEYS = ('DD_API_KEY', 'DD_APP_KEY')
_SECONDS = 30


def main(arguments: Sequence[str] | None = None, url: str | None = None, folder: Path = ASSETS) -> int:
    """Run the command, against another API than that of DD_SITE if there is a URL; return its exit code."""
    options = _parser().parse_args(arguments)
    missing = [name for name in _KEYS if not os.environ.get(name)]
    if missing:
        print(f'Set {" and ".join(missing)}: the account is asked for what it has.', file=sys.stderr)
        return 2
    configuration = Configuration(host=url, request_timeout=_SECONDS, enable_retry=True)
    try:
        wanted = list(assets(scope_of(options.env, options.service), Handles(options.notify, options.page), folder))
        with ApiClient(configuration) as client:
            open_changes = 0
            for change in Account(client, _pages(configuration)).changes(wanted):
                open_changes += change.action != 'keep'
                if options.write:
                    change.apply()
                print(f'{change.action:6} {change.asset.kind:10} {change.asset.mark}')
    except AssetError as error:
        print(error, file=sys.stderr)
        return 2
    except ApiException as error:
        # Neither the request nor the headers: they hold the keys.
        print(f'Datadog answers {error.status} {error.reason}: {_reason(error.body)}', file=sys.stderr)
        return 2
    except HTTPError as error:
        print(f'Datadog cannot be reached: {type(error).__name__}', file=sys.stderr)
        return 2
    print(f'{open_changes} of {len(wanted)} {"written" if options.write else "to write: add --write"}')
    return int(bool(open_changes) and not options.write)


def _pages(configuration: Configuration) -> str:
    """Return the address of the pages of a site: most names of regions stand for `app`."""
    site = configuration.server_variables.get('site', 'datadoghq.com')
    return f'https://{site if site.count(".") > 1 else f"app.{site}"}'


def _reason(body: object) -> str:
    errors = body.get('errors') if isinstance(body, dict) else None
    return '; '.join(map(str, errors)) if isinstance(errors, list) else 'no reason given'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m tools.import_assets',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--env', help='restrict monitors and SLOs to this environment')
    parser.add_argument('--service', help='restrict monitors and SLOs to this service')
    parser.add_argument('--notify', nargs='+', required=True, metavar='@HANDLE', help='who is told of alerts')
    parser.add_argument('--page', nargs='+', default=(), metavar='@HANDLE', help='who is told of P1 and P2 instead')
    parser.add_argument('--write', action='store_true', help='create and update what differs')
    return parser


if __name__ == '__main__':
    sys.exit(main())
