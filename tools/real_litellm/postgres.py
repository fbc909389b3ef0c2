"""A real PostgreSQL for LiteLLM's database."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.ports import free_port

from .kept import HarnessError
from .processes import Process
from .servers import servers

__all__ = ['PostgresServer']

# Nothing has to survive a crash of the machine.
_SETTINGS = {
    'listen_addresses': "'127.0.0.1'",
    'fsync': 'off',
    'full_page_writes': 'off',
    'synchronous_commit': 'off',
    'shared_buffers': '32MB',
    'max_connections': '60',
}
_NAME = 'litellm'
# PostgreSQL refuses to run as root: then it runs as the user that owns nothing.
_NOBODY = 'nobody'
_START_SECONDS = 30
_STEP_SECONDS = 60


class PostgresServer:
    """A PostgreSQL on a free loopback port, with a folder of its own, which `remove` takes away.

    `stop` and `start` keep port and data. A paused server accepts connections and answers none, as one whose disk or
    network has gone does. Raises HarnessError when the server does not start or refuses a statement.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f'postgresql://{_NAME}:{_NAME}@127.0.0.1:{self.port}/{_NAME}'
        self._directory = Path(tempfile.mkdtemp(prefix='real-postgres-'))
        self._process: Process | None = None
        self._bin = servers().postgres
        # What the processes of the server get besides their command line.
        self._account = {'user': _NOBODY} if os.getuid() == 0 else {}

    def create(self, tables: str) -> None:
        """Start the server with a new database that has these tables (SQL)."""
        if self._account:
            self._hand_over()
        self._step('initdb', '-D', self._data, '-A', 'trust', '-U', _NAME, '-E', 'UTF8', '--no-sync')
        settings = {**_SETTINGS, 'port': str(self.port), 'unix_socket_directories': f"'{self._directory}'"}
        with (self._data / 'postgresql.conf').open('a') as file:
            file.writelines(f'{name} = {value}\n' for name, value in settings.items())
        self.start()
        self._psql('postgres', f'create database {_NAME}')
        self._psql(_NAME, tables)

    def start(self) -> None:
        """Start the server, again on the same port after `stop`, and wait until it takes connections."""
        command = [str(self._command('postgres')), '-D', str(self._data)]
        self._process = Process(command, self._directory, self._directory / 'log', {'LANG': 'C.UTF-8'}, **self._account)
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline or self._process.exit_code is not None:
                raise HarnessError(f'PostgreSQL did not start:\n{self._process.log_tail()}')
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server at once; whoever is connected is told (its fast shutdown)."""
        if self._process:
            self.resume()
            self._process.end(signal.SIGINT)
            self._process = None

    def remove(self) -> None:
        """End the server, and remove all that it has written."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def pause(self) -> None:
        """Suspend the server with all its sessions."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended server go on."""
        self._signal(signal.SIGCONT)

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Let a session of its own hold a table while the block lasts, as a migration may: who reads it waits."""
        command = [str(self._command('psql')), *self._address(_NAME), '-q', '-f', '-']
        session = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self._directory,
            env={'LANG': 'C.UTF-8'},
            user=self._account.get('user'),
        )
        with session:
            assert session.stdin is not None
            assert session.stdout is not None
            # Its end ends the transaction.
            session.stdin.write(f'begin; lock table "{table}" in access exclusive mode;\n\\echo locked\n')
            session.stdin.flush()
            if session.stdout.readline() != 'locked\n':
                raise HarnessError(f'PostgreSQL did not lock {table}')
            yield

    def query(self, statement: str) -> list[list[str]]:
        """Run a statement and return its rows, all values as text."""
        return [line.split('\x1f') for line in self._psql(_NAME, statement).splitlines()]

    @property
    def _data(self) -> Path:
        return self._directory / 'data'

    def _command(self, name: str) -> Path:
        if self._bin is None:
            raise HarnessError('There is no PostgreSQL: neither a wheel for this platform nor one of the system')
        return self._bin / name

    def _hand_over(self) -> None:
        """Give the folder to the account that the server runs as, and executables that it can reach."""
        account = pwd.getpwnam(_NOBODY)
        os.chown(self._directory, account.pw_uid, account.pw_gid)
        try:
            self._run([str(self._command('postgres')), '--version'])
        except PermissionError:
            self._bin = self._copy_of_wheel() / 'bin'

    def _copy_of_wheel(self) -> Path:
        """Return a copy of the installed server, with its libraries at the same place beside it."""
        installed = self._command('postgres').parent.parent
        package, copy = installed.parent, self._directory / 'site-packages'
        libraries = package.with_name(f'{package.name}.libs')
        shutil.copytree(installed, copy / package.name / installed.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        return copy / package.name / installed.name

    def _is_ready(self) -> bool:
        command = [str(self._command('psql')), *self._address('postgres'), '-c', 'select 1']
        return self._run(command).returncode == 0

    def _psql(self, database: str, statements: str) -> str:
        options = ['-v', 'ON_ERROR_STOP=1', '-q', '-At', '-F', '\x1f', '-f', '-']
        return self._step('psql', *self._address(database), *options, given=statements)

    def _address(self, database: str) -> list[str]:
        return ['-X', '-h', '127.0.0.1', '-p', str(self.port), '-U', _NAME, '-d', database]

    def _step(self, name: str, *arguments: str | Path, given: str = '') -> str:
        done = self._run([str(self._command(name)), *map(str, arguments)], given)
        if done.returncode:
            raise HarnessError(f'{name} failed: {done.stderr[-2000:]}')
        return done.stdout

    def _run(self, command: Sequence[str], given: str = '') -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=_STEP_SECONDS,
            cwd=self._directory,
            env={'LANG': 'C.UTF-8'},
            user=self._account.get('user'),
        )

    def _signal(self, which: signal.Signals) -> None:
        """Signal the server and its children, which are processes of their own groups."""
        if self._process is None:
            return
        for pid in self._process.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, which)
