"""Draw the dashboards over a day of the fixture proxy, or over some minutes of a proxy of your own.

Without a URL, the fixture proxy lives through a day in virtual time. With one, that proxy is scraped as the Agent would
scrape it. Each dashboard becomes one HTML page that needs nothing else. Nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from datadog_checks.base.errors import ConfigurationError
from datadog_checks.litellm.options import unknown_options
from datadog_checks.litellm.report.cli import positive_seconds
from datadog_checks.litellm.report.configuration import KEY_VARIABLE, UsageError, configuration
from datadog_checks.litellm.report.measure import create_check
from datadog_checks.litellm.secrets import Redactor, secrets_of
from tools.datadog_model import Dashboard, Store, Window
from tools.drills import DAY_SECONDS, FULL, busier, enlarged, record

from .dashboard_page import page
from .live import ScrapeError, record_for
from .pictures import PictureError, take

DASHBOARDS = Path(__file__).parents[2] / 'litellm' / 'assets' / 'dashboards'
PAGES = Path(__file__).parents[2] / '.cache' / 'preview'
THEMES = ('light', 'dark')
# How a day of the fixture proxy looks like that of a service: requests that are sent on each of that many of a drill,
# the pods that share them, and how many requests each of them stands for.
BUSIER, PODS, STANDS_FOR = 2, ('a', 'b', 'c'), 24
EPILOG = f"""\
The proxy's key is taken from --key-file, or from the environment variable {KEY_VARIABLE}. It is neither printed nor
written into a page. A page does hold what the tags hold: names of teams, keys, users and models.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns 0 when the pages are written, 1 if a scrape or picture failed, 2 for bad usage."""
    options = _parse(arguments)
    redact = Redactor(())
    # What the base package logs of a failure is in the error as well, and is not redacted.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        if options.url is None and options.config is None:
            store, window, source = _full_day()
        else:
            init_config, instance = configuration(options)
            redact = Redactor(secrets_of(instance))
            for unknown in unknown_options(init_config, instance):
                print(f'warning: {redact(unknown.sentence)}', file=sys.stderr)
            check = create_check(init_config, instance)
            host = urlsplit(instance['openmetrics_endpoint']).hostname
            _announce(host, options, bool(instance.get('litellm_health_endpoint')))
            store = record_for(check, options.minutes * 60, options.interval, redact, print)
            window = _recorded(store)
            source = f'{(window.end - window.start) / 60:.1f} minutes of {host}.'
        paths, empty = _write(store, window, source, options.output)
        for path in paths:
            print(path)
            if options.pictures:
                _take_pictures(path, options.pictures)
        for title, panels in empty.items():
            print('\n  '.join([f'No data in {title}:', *panels]))
    except (UsageError, ConfigurationError) as error:
        return _fail(redact(str(error)), 2)
    except (ScrapeError, PictureError) as error:
        return _fail(str(error), 1)
    return 0


def _full_day() -> tuple[Store, Window, str]:
    print('Playing a day of the fixture proxy, which takes some minutes. For your own: make preview URL=… KEY_FILE=…')
    sys.stdout.flush()
    store = enlarged(record(busier(FULL, BUSIER, PODS), _with_names()), STANDS_FOR)
    # What comes before that day is there for comparisons with it. A run of the check tells of the time before it, so
    # the one at midnight belongs to the day that ends there.
    window = Window(FULL.end - DAY_SECONDS + 1, FULL.end + 1)
    source = f'A day of the fixture proxy, a stand-in for LiteLLM {FULL.release}, on {len(PODS)} pods.'
    return store, window, f'{source} Each request stands for {STANDS_FOR}.'


def _with_names() -> Callable[[str], str]:
    """Return what rewrites tags: ports of this host become pods, and a key that tries out quotes has a plain name."""
    pods: dict[str, str] = {}

    @cache
    def rewritten(tag: str) -> str:
        tag = re.sub(r'127\.0\.0\.1:(\d+)/', lambda found: pods.setdefault(found[1], f'litellm-{len(pods)}:4000/'), tag)
        return re.sub(r'support \W+night shift\W+', 'support-chat', tag)

    return rewritten


def _recorded(store: Store) -> Window:
    if store.start is None or store.end is None:
        raise ScrapeError('nothing was recorded')
    return Window(store.start, store.end + 1)


def _announce(host: str | None, options: argparse.Namespace, asks_health: bool) -> None:
    print(
        f'Scraping {host} every {options.interval:g} seconds for {options.minutes:g} minutes, then drawing the '
        f'dashboards into {options.output}. Ctrl-C draws what there is until then.'
    )
    if asks_health:
        print('/health is requested too: LiteLLM calls each of its models for it, unless it does so in the background.')
    sys.stdout.flush()


def _write(store: Store, window: Window, source: str, folder: Path) -> tuple[list[Path], dict[str, list[str]]]:
    """Write a page for each dashboard. Return their paths, and the panels without data by title of their dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    empty = {}
    for path in sorted(DASHBOARDS.glob('*.json')):
        dashboard = Dashboard.from_json(json.loads(path.read_text(encoding='utf-8')))
        drawn = page(dashboard, store, window, source)
        written.append(folder / f'{path.stem}.html')
        written[-1].write_text(drawn.html, encoding='utf-8')
        if drawn.empty:
            empty[dashboard.title] = drawn.empty
    return written, empty


def _take_pictures(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        picture = folder / f'{path.stem}_{theme}.png'
        take(path, picture, theme)
        print(picture)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m tools.preview', description=__doc__, epilog=EPILOG)
    parser.add_argument('url', nargs='?', metavar='URL', help='the metrics page of your proxy')
    parser.add_argument('--key-file', type=Path, metavar='FILE', help='a file that holds its key')
    parser.add_argument('--config', type=Path, metavar='FILE', help='a conf.yaml with more options')
    parser.add_argument('--timeout', type=positive_seconds, metavar='SECONDS', help='for each answer (default 10)')
    parser.add_argument('--minutes', type=_positive, default=5.0, help='how long to scrape your proxy (default 5)')
    parser.add_argument(
        '--interval', type=positive_seconds, default=20.0, help='seconds between two scrapes (default 20)'
    )
    parser.add_argument('--output', type=Path, default=PAGES, metavar='FOLDER', help='where the pages go')
    parser.add_argument('--pictures', type=Path, metavar='FOLDER', help='take PNGs of them, with Chromium')
    # A key on the command line would be seen by every user of the host.
    parser.set_defaults(key=None)
    return parser.parse_args(arguments)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError('must be more than 0')
    return number


def _fail(message: str, code: int) -> int:
    print(f'error: {message}', file=sys.stderr)
    return code


if __name__ == '__main__':
    sys.exit(main())
