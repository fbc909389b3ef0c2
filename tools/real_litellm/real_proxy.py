"""A real LiteLLM proxy with everything it needs, as a context manager."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
import yaml
from tests.support.ports import free_port

from .callers import callers_file
from .config import DATABASE_VARIABLES, Options, configuration
from .database import Database, database
from .environment import Environment, HarnessError
from .postgres import PostgresServer
from .processes import Process
from .redis_server import FAMILIES, RedisServer
from .servers import servers
from .upstream import Upstream

__all__ = ['RealProxy']

_START_SECONDS = 480
_SIGN_OF_LIFE_SECONDS = 0.5
_END_SECONDS = 10
_HOOKS = Path(__file__).with_name('gateway_hooks.py')
_ENTERPRISE_HOOKS = Path(__file__).with_name('enterprise_hooks.py')


class RealProxy:
    """One LiteLLM proxy with its upstream stub and, as far as this machine has them, a Redis and a PostgreSQL.

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
        self.metrics_port = free_port()
        self.key = 'sk-' + secrets.token_hex(24)
        self.redis: RedisServer | None = None
        self.postgres: PostgresServer | None = None
        self._database: Database | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._process: Process | None = None

    def __enter__(self) -> RealProxy:
        self._temporary = tempfile.TemporaryDirectory(prefix='real-litellm-')
        try:
            self.upstream.__enter__()
            if self.options.with_redis and RedisServer.is_installed():
                self.redis = RedisServer(self.directory)
                self.redis.start()
            if self.options.with_database and servers().have_database:
                self._database = database(self.environment)
                self.postgres = PostgresServer()
                self.postgres.create(self._database.tables)
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
        if self.postgres:
            self.postgres.remove()
        self.upstream.__exit__()
        if self._temporary:
            self._temporary.cleanup()

    @property
    def metrics_url(self) -> str:
        """The URL of the metrics page."""
        return (
            f'http://127.0.0.1:{self.metrics_port}/metrics/'
            if self.options.own_metrics_port
            else f'{self.url}/metrics/'
        )

    @property
    def directory(self) -> Path:
        """The folder with the configuration and the logs; gone at the end."""
        if self._temporary is None:
            raise HarnessError('The proxy has no folder before it is entered')
        return Path(self._temporary.name)

    @property
    def blocked(self) -> Path:
        """A file: while it exists, a request with the guardrail `blocking` blocks the event loop of its worker."""
        return self.directory / 'blocked'

    @property
    def untested(self) -> str:
        """One line that says what stays untested for want of a server on this machine, or nothing."""
        missing = []
        if self.options.with_redis and not self.redis:
            missing.append(f'no Redis: {", ".join(FAMILIES)}')
        if self.options.with_database and not self.postgres:
            missing.append('no PostgreSQL or no Node: the database, its accounts and its families')
        return f'Untested, as this machine has {"; ".join(missing)}' if missing else ''

    def start(self) -> None:
        """Start the proxy and wait until it is ready to serve."""
        self.launch()
        self._wait_until_ready()

    def launch(self) -> None:
        """Start the proxy, and do not wait for what becomes of it."""
        self._process = Process(self._command(), self.directory, self.directory / 'litellm.log', self._variables())

    @property
    def has_ended(self) -> bool:
        """Tell whether the proxy has ended by itself, or was ended."""
        return self._process is None or self._process.exit_code is not None

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the proxy and all its workers."""
        if self._process:
            self._process.end(how)
            self._process = None

    def restart(self) -> None:
        """End the proxy and start it again on the same port; its counters begin anew."""
        self.stop()
        self.start()

    def reconfigure(self, options: Options) -> None:
        """End the proxy and start it with other options, on the same port."""
        self.stop()
        self.options = options
        self._write_configuration()
        self.start()

    def pids(self) -> list[int]:
        """Return the process ids of the proxy and its descendants, the first process first."""
        return [] if self._process is None else self._process.pids()

    def workers(self) -> list[int]:
        """Return the process ids of the workers, oldest first; of one process alone, its own."""
        pids = self.pids()
        return pids[:1] if self.options.workers == 1 else sorted(filter(_is_worker, pids))

    @contextmanager
    def answered_by(self, worker: int) -> Iterator[None]:
        """Let this worker answer whatever is sent inside the block: the others are suspended meanwhile."""
        others = [pid for pid in self.workers() if pid != worker]
        _signal(others, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(others, signal.SIGCONT)

    def kill(self, worker: int) -> None:
        """Kill a worker, which the master replaces some seconds later."""
        master = self.pids()[0]
        # A worker that dies just when the master asks it for a sign of life is waited for in vain, for a minute: let
        # it answer what it was asked, and let it be dead before it is asked again.
        _signal([master], signal.SIGSTOP)
        try:
            time.sleep(_SIGN_OF_LIFE_SECONDS)
            _signal([worker], signal.SIGKILL)
            deadline = time.monotonic() + _END_SECONDS
            while not _has_ended(worker) and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            _signal([master], signal.SIGCONT)

    def wait_for_workers(self) -> None:
        """Wait until every worker serves, one that replaces a killed one included."""
        self._wait_until_ready()

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

    def _command(self) -> list[str]:
        """Return the command line that starts the proxy."""
        address = ['--host', '127.0.0.1', '--port', str(self.port)]
        workers = str(self.options.workers)
        # On few cores the workers start one after the other, and the master gives up on the slow ones.
        patience = '60'
        if not self.options.workers_share_metrics:
            command = [str(self.environment.uvicorn), 'litellm.proxy.proxy_server:app', *address]
            command += ['--workers', workers, '--timeout-worker-healthcheck', patience]
        else:
            command = [str(self.environment.litellm), '--config', 'config.yaml', *address]
            if self.options.workers > 1:
                command += ['--num_workers', workers, '--timeout_worker_healthcheck', patience]
        if self.options.own_metrics_port:
            command += ['--prometheus_metrics_port', str(self.metrics_port)]
        return [*command, *self.options.arguments]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not (self._is_ready() and self._all_workers_are_ready()):
            if self.has_ended:
                raise HarnessError(f'{self._name} ended while it started:\n{self.log_tail()}')
            if time.monotonic() > deadline:
                raise HarnessError(f'{self._name} was not ready after {_START_SECONDS} seconds:\n{self.log_tail()}')
            time.sleep(0.2)

    def _all_workers_are_ready(self) -> bool:
        workers = self.workers()
        return len(workers) == self.options.workers and all(map(self._is_worker_ready, workers))

    def _is_worker_ready(self, worker: int) -> bool:
        with self.answered_by(worker):
            return self._is_ready()

    def _is_ready(self) -> bool:
        try:
            return requests.get(f'{self.url}/health/readiness', timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def _write_configuration(self) -> None:
        redis_port = self.redis.port if self.redis else None
        config = configuration(
            self.environment.release, self.upstream.url, redis_port, self.postgres is not None, self.options
        )
        (self.directory / 'config.yaml').write_text(yaml.safe_dump(config))
        (self.directory / 'callers.json').write_text(json.dumps(callers_file()))
        shutil.copy(_HOOKS, self.directory)
        (self.directory / 'enterprise').mkdir(exist_ok=True)
        shutil.copy(_ENTERPRISE_HOOKS, self.directory / 'enterprise')

    def _passed_through(self) -> dict[str, str]:
        """Return the variables that say where requests to a provider's own API go."""
        url = self.upstream.url
        return {'ANTHROPIC_API_BASE': url, 'OPENAI_API_BASE': url, 'OPENAI_FILES_API_BASE': url}

    def _variables(self) -> dict[str, str]:
        """Return the environment variables of the proxy: nothing of it may leave this machine."""
        commands = [str(self.environment.bin), '/usr/local/bin', '/usr/bin', '/bin']
        database: dict[str, str] = {}
        if self._database and self.postgres:
            commands.insert(0, str(self._database.commands))
            database = {
                **self._database.variables(self.postgres.url),
                **DATABASE_VARIABLES,
                # Where it finds `enterprise`: managed files are kept in the database.
                'PYTHONPATH': str(self.directory),
            }
            if self.redis:
                # Its queue of spend asks for Redis here, not in the configuration.
                database.update(REDIS_HOST='127.0.0.1', REDIS_PORT=str(self.redis.port))
        return {
            'PATH': os.pathsep.join(commands),
            'HOME': str(self.directory),
            # Workers share their metrics in a folder of this one, which all proxies of a machine would have in common.
            'TMPDIR': str(self.directory),
            'LANG': 'C.UTF-8',
            'LITELLM_MASTER_KEY': self.key,
            'LITELLM_LOCAL_MODEL_COST_MAP': 'True',
            'LITELLM_TELEMETRY_DISABLED': 'true',
            'LITELLM_ANTHROPIC_WIF_ALLOWED_HOSTS': '127.0.0.1',
            'UPSTREAM_IDENTITY_TOKEN': 'identity-of-this-workload',
            'LITELLM_LENS_URL': f'{self.upstream.url}/lens',
            'LITELLM_LENS_SERVICE_TOKEN': secrets.token_hex(16),
            'REAL_LITELLM_CALLERS': str(self.directory / 'callers.json'),
            'REAL_LITELLM_BLOCKED': str(self.blocked),
            'REDIS_CIRCUIT_BREAKER_FAILURE_THRESHOLD': '2',
            'REDIS_CIRCUIT_BREAKER_RECOVERY_TIMEOUT': '1',
            # Whatever else wants to call out meets a closed door.
            'HTTP_PROXY': 'http://127.0.0.1:9',
            'HTTPS_PROXY': 'http://127.0.0.1:9',
            'NO_PROXY': '127.0.0.1,localhost',
            # Started without its own command, LiteLLM looks here.
            **({} if self.options.workers_share_metrics else {'CONFIG_FILE_PATH': 'config.yaml'}),
            **database,
            **(self._passed_through() if self.options.every_route else {}),
            **self.options.variables,
        }


def _signal(pids: Iterable[int], which: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, which)


def _is_worker(pid: int) -> bool:
    """Tell whether a descendant of the master serves: its resource tracker does not, nor does one that has ended."""
    try:
        return b'multiprocessing.spawn' in Path(f'/proc/{pid}/cmdline').read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or has ended and waits for its parent to notice."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(') ')[2].startswith('Z')
    except (FileNotFoundError, ProcessLookupError):
        return True
