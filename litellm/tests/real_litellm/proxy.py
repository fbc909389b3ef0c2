"""A real LiteLLM proxy with everything it needs, as a context manager."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path

import requests
import yaml

from .callers import callers_file
from .config import Options, configuration
from .environment import Environment, HarnessError
from .processes import Process
from .redis_server import FAMILIES, RedisServer
from .sockets import free_port
from .upstream import Upstream

__all__ = ['RealProxy']

_START_SECONDS = 120
_HOOKS = Path(__file__).with_name('gateway_hooks.py')


class RealProxy:
    """One LiteLLM proxy with its upstream stub and, when it is installed, a Redis.

    It runs between `with` and its end, on a free loopback port, in a temporary folder, with a master key of its own
    and without the variables of the process that starts it. Raises HarnessError, with the end of its log, when it does
    not become ready.
    """

    def __init__(self, environment: Environment, options: Options | None = None) -> None:
        self.environment = environment
        self.options = options or Options()
        self.upstream = Upstream()
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.metrics_url = f'{self.url}/metrics/'
        self.key = 'sk-' + secrets.token_hex(24)
        self.redis: RedisServer | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._process: Process | None = None

    def __enter__(self) -> RealProxy:
        self._temporary = tempfile.TemporaryDirectory(prefix='real-litellm-')
        try:
            self.upstream.__enter__()
            if self.options.with_redis and RedisServer.is_installed():
                self.redis = RedisServer(self.directory)
                self.redis.start()
            self._write_configuration()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.redis:
            self.redis.stop()
        self.upstream.__exit__()
        if self._temporary:
            self._temporary.cleanup()

    @property
    def directory(self) -> Path:
        """The folder with the configuration and the logs; gone at the end."""
        if self._temporary is None:
            raise HarnessError('The proxy has no folder before it is entered')
        return Path(self._temporary.name)

    @property
    def untested(self) -> str:
        """One line that says which families stay untested because there is no Redis, or nothing."""
        return '' if self.redis else f'No redis-server on PATH: {", ".join(FAMILIES)} stay untested'

    def start(self) -> None:
        """Start the proxy and wait until it is ready to serve."""
        command = [str(self.environment.litellm), '--config', 'config.yaml', '--host', '127.0.0.1']
        command += ['--port', str(self.port), *self.options.arguments]
        if self.options.workers > 1:
            # On few cores the workers start one after the other, and the master gives up on the slow ones.
            command += ['--num_workers', str(self.options.workers), '--timeout_worker_healthcheck', '60']
        self._process = Process(command, self.directory, self.directory / 'litellm.log', self._variables())
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.exit_code is not None:
                raise HarnessError(f'{self._name} ended while it started:\n{self.log_tail()}')
            if time.monotonic() > deadline:
                raise HarnessError(f'{self._name} was not ready after {_START_SECONDS} seconds:\n{self.log_tail()}')
            time.sleep(0.2)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the proxy and all its workers."""
        if self._process:
            self._process.end(how)
            self._process = None

    def restart(self) -> None:
        """End the proxy and start it again on the same port; its counters begin anew."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """Return the process ids of the proxy and its descendants, the first process first."""
        return [] if self._process is None else _with_descendants(self._process.pid)

    def log_tail(self) -> str:
        """Return the end of the proxy's log."""
        return self._process.log_tail() if self._process else ''

    def scrape(self, accept: str = 'text/plain') -> str:
        """Return the metrics page, in the exposition format that `accept` asks for."""
        headers = {'Authorization': f'Bearer {self.key}', 'Accept': accept}
        answer = requests.get(self.metrics_url, headers=headers, timeout=20)
        answer.raise_for_status()
        return answer.text

    @property
    def _name(self) -> str:
        return f'LiteLLM {self.environment.release}'

    def _is_ready(self) -> bool:
        try:
            return requests.get(f'{self.url}/health/readiness', timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def _write_configuration(self) -> None:
        config = configuration(self.upstream.url, self.redis.port if self.redis else None, self.options)
        (self.directory / 'config.yaml').write_text(yaml.safe_dump(config))
        (self.directory / 'callers.json').write_text(json.dumps(callers_file()))
        shutil.copy(_HOOKS, self.directory)

    def _variables(self) -> dict[str, str]:
        """Return the environment variables of the proxy: nothing of it may leave this machine."""
        bin_folder = str(self.environment.litellm.parent)
        return {
            'PATH': os.pathsep.join((bin_folder, '/usr/local/bin', '/usr/bin', '/bin')),
            'HOME': str(self.directory),
            'LANG': 'C.UTF-8',
            'LITELLM_MASTER_KEY': self.key,
            'LITELLM_LOCAL_MODEL_COST_MAP': 'True',
            'LITELLM_TELEMETRY_DISABLED': 'true',
            'LITELLM_ANTHROPIC_WIF_ALLOWED_HOSTS': '127.0.0.1',
            'UPSTREAM_IDENTITY_TOKEN': 'identity-of-this-workload',
            'LITELLM_LENS_URL': f'{self.upstream.url}/lens',
            'LITELLM_LENS_SERVICE_TOKEN': secrets.token_hex(16),
            'REAL_LITELLM_CALLERS': str(self.directory / 'callers.json'),
            'REDIS_CIRCUIT_BREAKER_FAILURE_THRESHOLD': '2',
            'REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT': '1',
            # Whatever else wants to call out meets a closed door.
            'HTTP_PROXY': 'http://127.0.0.1:9',
            'HTTPS_PROXY': 'http://127.0.0.1:9',
            'NO_PROXY': '127.0.0.1,localhost',
            **self.options.variables,
        }


def _with_descendants(pid: int) -> list[int]:
    try:
        children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    except FileNotFoundError:
        return [pid]
    return [pid, *(descendant for child in children for descendant in _with_descendants(int(child)))]
