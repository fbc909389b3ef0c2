"""Start the fixture proxy from a test, as a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

__all__ = ['FixtureProxy', 'StartError', 'start']

_FOLDER = Path(__file__).parents[2]
_LISTENING = re.compile(r'listening on (?P<url>\S+), metrics at (?P<metrics_url>\S+), key (?P<key>\S+)')
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_ANSWER_SECONDS = 30.0
# Whatever proxy the environment names, the way to this machine does not lead over it.
_OPENER = build_opener(ProxyHandler({}))


class StartError(Exception):
    """The proxy did not start; the message holds what it wrote to standard error."""


class FixtureProxy:
    """A running fixture proxy."""

    def __init__(self, process: subprocess.Popen[str], line: str) -> None:
        match = _LISTENING.search(line)
        if match is None:
            raise StartError(f'unexpected first line: {line!r}')
        self._process = process
        self.url = match['url']
        self.metrics_url = match['metrics_url']
        self.key = match['key']

    @property
    def headers(self) -> dict[str, str]:
        """The headers that carry the master key."""
        return {'Authorization': f'Bearer {self.key}'}

    def scrape(self, params: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None) -> str:
        """Return the metrics page, got with the master key; raises urllib.error.HTTPError for an error."""
        query = f'?{urlencode(params, doseq=True)}' if params else ''
        return _read(Request(self.metrics_url + query, headers={**self.headers, **(headers or {})}))

    def control(self, action: str, **body: Any) -> dict[str, Any]:
        """Send a request of `control.py`, such as `control('advance', seconds=60)`.

        Raises AssertionError with the proxy's words if it is refused.
        """
        try:
            answer = _read(Request(f'{self.url}/fixture/{action}', json.dumps(body).encode()))
        except HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        result: dict[str, Any] = json.loads(answer)
        return result

    def about(self) -> dict[str, Any]:
        """Return what `GET /fixture/` tells."""
        result: dict[str, Any] = json.loads(_read(Request(f'{self.url}/fixture/')))
        return result

    def worker_pids(self) -> list[int]:
        """Return the pids of the processes that serve requests."""
        pids: list[int] = self.about()['worker_pids']
        return pids

    def replace_worker(self, pid: int) -> int:
        """Kill a worker, wait for the one that takes its place and return that one's pid."""
        before = self.worker_pids()
        os.kill(pid, signal.SIGKILL)
        self.wait_for_workers(without=pid)
        return next(iter(set(self.worker_pids()) - set(before)))

    def wait_for_workers(self, without: int | None = None) -> None:
        """Wait until all workers are up, and none of them is `without`; raises StartError if that takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartError(f'the proxy ended with exit code {self._process.returncode}')
            with suppress(URLError, ConnectionError):  # A worker that is killed takes its connections with it.
                about = self.about()
                if len(about['worker_pids']) == about['workers'] and without not in about['worker_pids']:
                    return
            time.sleep(0.1)
        raise StartError(f'workers are missing after {_START_SECONDS:.0f} seconds')

    def stop(self) -> int:
        """End the proxy and its workers, as the context does, and return its exit code."""
        return _end(self._process)


@contextmanager
def start(*options: str) -> Iterator[FixtureProxy]:
    """Run a fixture proxy with these command-line options, ready to serve on a free port.

    Raises StartError with the proxy's own words if it refuses them or does not come up.
    """
    with TemporaryFile('w+') as errors:
        process = subprocess.Popen(
            [sys.executable, '-m', 'tests.fixture_proxy', *options],
            cwd=_FOLDER,
            env={name: value for name, value in os.environ.items() if name != 'PROMETHEUS_MULTIPROC_DIR'},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            # A line, or the end of the process, makes it readable.
            readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
            line = process.stdout.readline() if readable else ''
            if not line:
                errors.seek(0)
                raise StartError(errors.read().strip() or f'silent for {_START_SECONDS:.0f} seconds')
            proxy = FixtureProxy(process, line)
            proxy.wait_for_workers()
            yield proxy
        finally:
            _end(process)
            process.stdout.close()


def _read(request: Request) -> str:
    with _OPENER.open(request, timeout=_ANSWER_SECONDS) as response:
        text: str = response.read().decode()
    return text


def _end(process: subprocess.Popen[str]) -> int:
    """End the process and its workers, by force if they do not go."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
