"""Give LiteLLM what it needs to keep a database: Prisma's client for its schema, the tables, and a query engine.

LiteLLM talks to PostgreSQL through prisma-client-py, which starts an executable of Prisma's, the query engine. That
executable is in no package registry, but the same engine is, compiled to WebAssembly, in an npm package: `engine/` puts
it behind the executable's protocol. README.md beside this file says where the two differ.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .environment import Environment
from .kept import VENVS, HarnessError, keep, run
from .servers import servers

__all__ = ['Database', 'database', 'lock']

ENGINE = Path(__file__).with_name('engine')

_MANIFEST, _LOCK_FILE = ENGINE / 'package.json', ENGINE / 'package-lock.json'
_QUERY_ENGINE = ENGINE / 'query-engine'
# The packages' install scripts download executables, which are not wanted.
_NPM_OPTIONS = ('--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error')


class Database(NamedTuple):
    """The parts that a proxy of one release needs besides a PostgreSQL."""

    tables: str
    """SQL that makes its tables."""
    modules: Path
    """The folder of the engine's Node packages."""

    def variables(self, url: str) -> dict[str, str]:
        """Return the environment variables of a proxy with the database at this URL."""
        return {
            'DATABASE_URL': url,
            'LITELLM_SALT_KEY': 'sk-salt-of-the-harness',
            # The tables are there already, and LiteLLM's migrations want another executable.
            'DISABLE_SCHEMA_UPDATE': 'true',
            'PRISMA_QUERY_ENGINE_BINARY': str(_QUERY_ENGINE),
            **_engine_variables(self.modules),
        }

    @property
    def commands(self) -> Path:
        """The folder that a proxy must have first on its PATH."""
        return ENGINE / 'bin'


def database(environment: Environment) -> Database:
    """Return what the release in this environment needs, generated first if it is missing or out of date.

    Raises HarnessError when this machine lacks a server for it, or a registry to install from.
    """
    if not servers().have_database:
        raise HarnessError('This machine has no PostgreSQL or no Node, nor are there wheels for it')
    modules = _modules()
    schema = environment.packages / 'litellm' / 'proxy' / 'schema.prisma'
    folder = environment.path / 'database'
    tables = folder / 'tables.sql'

    def make() -> None:
        folder.mkdir(exist_ok=True)
        _generate_client(environment, modules, schema)
        tables.write_text(_node(ENGINE / 'tables.js', str(schema), what='make tables', modules=modules))

    inputs = [schema.read_bytes(), _LOCK_FILE.read_bytes(), (ENGINE / 'tables.js').read_bytes()]
    keep(folder, inputs, make)
    return Database(tables.read_text(), modules)


def lock() -> None:
    """Pin the newest Node packages that package.json allows, without naming a registry."""
    npm = servers().npm
    if npm is None:
        raise HarnessError('This machine has no Node, nor is there a wheel for it')
    options = ['install', '--package-lock-only', '--omit-lockfile-registry-resolved', *_NPM_OPTIONS]
    _LOCK_FILE.unlink(missing_ok=True)
    _node(npm, *options, what='pin Node packages', modules=ENGINE, directory=ENGINE)


def _modules() -> Path:
    """Return the folder of the engine's Node packages, installed first if it is out of date."""
    folder = VENVS / 'engine'
    npm = servers().npm

    def make() -> None:
        folder.mkdir(exist_ok=True)
        for file in (_MANIFEST, _LOCK_FILE):
            shutil.copy(file, folder)
        assert npm is not None
        _node(npm, 'ci', *_NPM_OPTIONS, what='install the query engine', modules=folder, directory=folder)

    keep(folder, [_MANIFEST.read_bytes(), _LOCK_FILE.read_bytes()], make)
    return folder / 'node_modules'


def _generate_client(environment: Environment, modules: Path, schema: Path) -> None:
    """Let prisma-client-py write its client for a schema into the environment.

    Prisma's command looks for its executables, though it needs none for this: it is shown the stand-in.
    """
    version = run([str(_QUERY_ENGINE), '--version'], 'ask the query engine for its version').split()[1]
    variables = {
        'PATH': os.pathsep.join((str(environment.bin), os.environ.get('PATH', ''))),
        'CHECKPOINT_DISABLE': '1',
        'PRISMA_HIDE_UPDATE_MESSAGE': '1',
        'PRISMA_CLI_QUERY_ENGINE_TYPE': 'binary',
        'PRISMA_CLIENT_ENGINE_TYPE': 'binary',
        'PRISMA_QUERY_ENGINE_BINARY': str(_QUERY_ENGINE),
        'PRISMA_SCHEMA_ENGINE_BINARY': str(_QUERY_ENGINE),
        'PRISMA_EXPECTED_ENGINE_VERSION': version,
    }
    command = modules / 'prisma' / 'build' / 'index.js'
    arguments = ['generate', '--schema', str(schema)]
    what = f'generate the client of {environment.release}'
    _node(command, *arguments, what=what, modules=modules, variables=variables)


def _node(
    script: Path,
    *arguments: str,
    what: str,
    modules: Path,
    directory: Path = ENGINE,
    variables: Mapping[str, str] | None = None,
) -> str:
    command = [str(servers().node), str(script), *arguments]
    return run(command, what, {**_engine_variables(modules), **(variables or {})}, directory)


def _engine_variables(modules: Path) -> dict[str, str]:
    return {'STAND_IN_NODE': str(servers().node), 'STAND_IN_MODULES': str(modules)}


if __name__ == '__main__':
    lock()
