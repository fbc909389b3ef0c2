"""The command line: reads options, listens, and runs one process or several workers until told to stop."""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

import uvicorn
from uvicorn.supervisors import Multiprocess

from tests.lineage.lineage import RENAMED

from .app import create_app
from .releases import NEWEST, OLDEST
from .settings import DEFAULT_KEY, DEFAULT_RELEASE, Settings
from .shared import DATABASE_STATES, Shared

__all__ = ['main']

_HOST = '127.0.0.1'
_BACKLOG = 256


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse in one line, with exit code 2."""
        self.exit(2, f'{self.prog}: {message}\n')


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    port, db, redis = options.pop('port'), options.pop('db'), options.pop('redis')
    with tempfile.TemporaryDirectory(prefix='litellm-fixture-') as directory:
        settings = Settings(directory=Path(directory), **options)
        _check(parser, settings)
        # Only of a socket that says TCP asyncio knows that small answers must not wait for company.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError as error:
            parser.error(f'cannot listen on {_HOST}:{port}: {error.strerror}')
        _write_controls(settings, db=db, redis=redis)
        _serve(settings, listener)


def _parser() -> _Parser:
    parser = _Parser(prog='fixture_proxy', description='A small proxy that behaves like LiteLLM.')
    yes_or_no = argparse.BooleanOptionalAction
    add = parser.add_argument
    add('--port', type=_port, default=0, help='port on 127.0.0.1 (default: a free one)')
    add('--release', default=DEFAULT_RELEASE, help=f'LiteLLM release to mimic, {OLDEST} to {NEWEST} (%(default)s)')
    add('--key', default=DEFAULT_KEY, help='master key (%(default)s)')
    add('--seed', type=int, default=0, help='seed of the simulation (%(default)s)')
    add('--auth', action=yes_or_no, dest='metrics_auth', help='require a key on /metrics (default: from 1.84.0 on)')
    add('--prometheus', action=yes_or_no, default=True, help='configure the prometheus callback')
    add('--service-metrics', action=yes_or_no, default=True, help='configure service_callback: ["prometheus_system"]')
    add(
        '--unlicensed',
        action='store_false',
        dest='licensed',
        help='run without an enterprise license (releases before 1.80)',
    )
    add('--workers', type=_at_least_one, default=1, help='number of worker processes (%(default)s)')
    add('--multiprocess-metrics', action=yes_or_no, default=True, help='share series among several workers')
    add(
        '--background-health-checks',
        action='store_true',
        help='serve /health from memory, and call models in a background job',
    )
    add('--failure-rate', type=_rate, default=0.0, help='share of upstream calls that fail, 0 to 1 (%(default)s)')
    add('--real-delay', action='store_true', help='delay responses by the simulated latencies')
    add('--broken-models', action=yes_or_no, default=True, help='list models that always fail (always-500 ...)')
    add('--concurrent', action='store_true', help='simulate all requests as concurrent, taking no time')
    add('--db', choices=DATABASE_STATES, default='up', help='state of the database (%(default)s)')
    add('--redis', choices=('up', 'down'), default='up', help='state of Redis (%(default)s)')
    add('--only-families', type=_names, default=(), metavar='NAMES', help='prometheus_metrics_config, comma-separated')
    add('--exclude-labels', type=_names, default=(), metavar='NAMES', help='prometheus_exclude_labels, comma-separated')
    add(
        '--include-labels',
        type=_names,
        default=(),
        metavar='NAMES',
        help='include_labels of prometheus_metrics_config for each family of --only-families, comma-separated',
    )
    add(
        '--metadata-labels',
        type=_names,
        default=(),
        metavar='NAMES',
        help='custom_prometheus_metadata_labels, comma-separated, without "metadata."',
    )
    add('--tag-labels', type=_tags, default=(), metavar='TAGS', help='custom_prometheus_tags, comma-separated')
    add(
        '--end-users',
        action=yes_or_no,
        default=True,
        help='enable_end_user_cost_tracking_prometheus_only; without it, LiteLLM tells no end users',
    )
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'{text!r} is not a port')
    return int(text)


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number of at least 1')
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        raise argparse.ArgumentTypeError(f'{text!r} is not between 0 and 1')
    return rate


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(','))
    if not all(re.fullmatch('[a-zA-Z_][a-zA-Z0-9_]*', name) for name in names):
        raise argparse.ArgumentTypeError(f'{text!r} is not a comma-separated list of names')
    return names


def _tags(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(',')))


def _check(parser: _Parser, settings: Settings) -> None:
    """Refuse options that make no sense together."""
    try:
        profile = settings.profile
    except ValueError as error:
        parser.error(str(error))
    if not settings.licensed and not profile.needs_licence:
        parser.error(f'release {settings.release} needs no licence: --unlicensed is for releases before 1.80.0')
    unknown = sorted(set(settings.only_families) - {RENAMED.get(name, name) for name in profile.families})
    if unknown:
        parser.error(f'release {settings.release} has no family {unknown[0]}')
    if settings.include_labels and not settings.only_families:
        parser.error('--include-labels needs --only-families')
    if not settings.multiprocess_metrics and settings.workers == 1:
        parser.error('--no-multiprocess-metrics needs --workers 2 or more')
    if not settings.key:
        parser.error('the key must not be empty')


def _write_controls(settings: Settings, db: str, redis: str) -> None:
    shared = Shared(settings.directory)
    shared.controls = shared.controls.changed(db=db, redis=redis)


def _serve(settings: Settings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        partial(create_app, settings),
        factory=True,
        workers=settings.workers,
        log_level='error',
        timeout_graceful_shutdown=2,
        # Long enough for a worker to start on a busy machine, and no longer: a worker that is killed just when its
        # master asks whether it lives is replaced only after this time (1 kill of 40).
        timeout_worker_healthcheck=10,
    )
    # uvicorn shuts down first and then raises the signal once more.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    signal.signal(signal.SIGINT, lambda number, frame: sys.exit(0))
    listener.listen(_BACKLOG)
    url = f'http://{_HOST}:{listener.getsockname()[1]}'
    sys.stdout.write(
        f'LiteLLM fixture proxy {settings.release} listening on {url}, metrics at {url}/metrics/, key {settings.key}\n'
    )
    sys.stdout.flush()
    if settings.workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
        return
    if settings.shares_metrics:
        # Read by prometheus_client when a worker, a fresh Python, imports it.
        series = settings.directory / 'series'
        series.mkdir()
        os.environ['PROMETHEUS_MULTIPROC_DIR'] = str(series)
    Multiprocess(config, sockets=[listener]).run()
