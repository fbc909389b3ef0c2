"""The fixture proxy in this process, over real HTTP, where it may go away and come back."""

from __future__ import annotations

import functools
import json
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client.openmetrics import exposition as openmetrics
from tests.fixture_proxy.accounts import VIRTUAL_KEYS
from tests.fixture_proxy.app import create_app
from tests.fixture_proxy.settings import DEFAULT_KEY, DEFAULT_RELEASE, Settings
from tests.fixture_proxy.shared import Controls, Shared
from tests.support.ports import free_port

from .clients import Planned
from .clock import VirtualClock

__all__ = ['AGENT_KEY', 'MASTER_KEY', 'Stage', 'Surroundings']

# A page has its few label names thousands of times, and the library finds out of each anew whether it is valid.
openmetrics.escape_label_name = functools.lru_cache(maxsize=None)(openmetrics.escape_label_name)

_HOST = '127.0.0.1'
_START_SECONDS = 30.0
_ANSWER_SECONDS = 60.0
_IDLE_SECONDS = 600

# The Agent has a key of its own, as the README advises, which LiteLLM has to look up in its database.
AGENT_KEY, MASTER_KEY = VIRTUAL_KEYS['ci'], DEFAULT_KEY


class Surroundings:
    """Surroundings that outlive a proxy and that all of a drill share: providers, Redis, the database, time."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix='litellm-drill-')
        self.directory = Path(self._temporary.name)
        self._shared = Shared(self.directory)

    def __enter__(self) -> Surroundings:
        return self

    def __exit__(self, *error: object) -> None:
        self._temporary.cleanup()

    def advance(self, seconds: float) -> None:
        """Let time of the proxies' own pass, as that of budgets and cooldowns."""
        passed = self._shared.controls.advanced_seconds
        self._shared.controls = self._shared.controls.changed(advanced_seconds=passed + seconds)

    def control(self, controls: Mapping[str, Any]) -> None:
        """Set all controls, those that are not named to what they are by default."""
        passed = self._shared.controls.advanced_seconds
        self._shared.controls = Controls(advanced_seconds=passed).changed(**controls)


class Stage:
    """A fixture proxy that keeps its port, also while it is away."""

    def __init__(
        self,
        surroundings: Surroundings,
        clock: VirtualClock,
        release: str = DEFAULT_RELEASE,
    ) -> None:
        self._directory = surroundings.directory
        self._clock = clock
        self._release = release
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._connection: HTTPConnection | None = None
        self._key = ''
        self._port = free_port()

    @property
    def url(self) -> str:
        return f'http://{_HOST}:{self._port}'

    @property
    def is_up(self) -> bool:
        return self._server is not None

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start a new process' worth of proxy: all its series begin anew, what is in Redis and the database stays."""
        settings = Settings(
            directory=self._directory,
            release=self._release,
            started_at=self._clock.now,
            concurrent=True,
            background_health_checks=True,
            broken_models=False,
        )
        self._key = settings.key
        # Its clock would go on by real seconds.
        # While another pod gets the requests, nothing is sent to this one for long.
        config = uvicorn.Config(
            create_app(settings), log_level='error', date_header=False, timeout_keep_alive=_IDLE_SECONDS
        )
        self._server = uvicorn.Server(config)
        # Only of a socket that says TCP asyncio knows that small answers must not wait for company.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, self._port))
        listener.listen()
        self._thread = threading.Thread(target=self._server.run, kwargs={'sockets': [listener]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError('the fixture proxy did not start')
            time.sleep(0.01)
        self._connection = HTTPConnection(_HOST, self._port, timeout=_ANSWER_SECONDS)

    def stop(self) -> None:
        """End the proxy, if it runs: until it starts again, nobody listens."""
        if self._connection is not None:
            self._connection.close()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._server = self._thread = self._connection = None

    def send(self, planned: Planned) -> int:
        """Send a request; returns the status of the answer, 0 without one."""
        if self._connection is None:
            return 0
        headers = {'Authorization': f'Bearer {planned.key or self._key}', **planned.headers}
        with suppress(HTTPException, OSError):
            self._connection.request(planned.method, planned.path, json.dumps(planned.body), headers)
            response = self._connection.getresponse()
            response.read()
            return response.status
        self._connection.close()
        return 0

    def run_jobs(self, *names: str) -> None:
        """Run background jobs of the proxy, if it is up."""
        status = self.send(Planned('/fixture/jobs', {'names': names}))
        assert status == 200 or not self.is_up, f'{names}: {status}'
