"""Environments with a real LiteLLM, one per release, kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from .kept import REQUIREMENTS, VENVS, HarnessError, keep, run, uv

__all__ = ['RELEASE', 'RELEASES', 'Environment', 'HarnessError', 'environment', 'wanted_release']

# The releases with a lock of their dependencies, oldest first: requirements/litellm-<release>.in makes one.
RELEASES = tuple(
    sorted((path.stem.removeprefix('litellm-') for path in REQUIREMENTS.glob('litellm-*.in')), key=Version)
)
# The newest of them.
RELEASE = RELEASES[-1]

# What a release without a lock file is resolved from; the last as in requirements/litellm-*.in.
_WANTED = 'litellm[proxy]=={release}\nprometheus-client\nprisma==0.11.0\n'


class Environment(NamedTuple):
    """A Python environment in which one LiteLLM release is installed."""

    release: str
    path: Path

    @property
    def bin(self) -> Path:
        """The folder of its commands."""
        return self.path / 'bin'

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.bin / 'python'

    @property
    def litellm(self) -> Path:
        """The command that starts the proxy."""
        return self.bin / 'litellm'

    @property
    def uvicorn(self) -> Path:
        """The server that the proxy runs in."""
        return self.bin / 'uvicorn'

    @property
    def packages(self) -> Path:
        """The folder of its packages."""
        (folder,) = self.path.glob('lib/python3*/site-packages')
        return folder


def wanted_release() -> str:
    """Return the release to test: that of the variable LITELLM_RELEASE, or the pinned one."""
    return os.environ.get('LITELLM_RELEASE', RELEASE)


def environment(release: str | None = None) -> Environment:
    """Return the environment of a LiteLLM release, made first when there is none or its lock file has changed.

    A release without a lock file is resolved when its environment is made.
    Raises HarnessError when it has to be made and that fails, as without a package registry.
    """
    release = release or wanted_release()
    lock_file = REQUIREMENTS / f'litellm-{release}.txt'
    made = Environment(release, VENVS / f'litellm-{release}')
    inputs = [lock_file.read_bytes() if lock_file.exists() else b'', sys.version.encode()]
    keep(made.path, inputs, lambda: _make(made, lock_file))
    return made


def _make(made: Environment, lock_file: Path) -> None:
    what = f'install LiteLLM {made.release}'
    run([uv(), 'venv', '--quiet', '--clear', '--python', sys.executable, str(made.path)], what)
    if not lock_file.exists():
        lock_file = _resolve(made, what)
    run([uv(), 'pip', 'install', '--quiet', '--no-deps', '--python', str(made.path), '-r', str(lock_file)], what)


def _resolve(made: Environment, what: str) -> Path:
    """Write the requirements of a release without a lock file into its environment."""
    wanted, resolved = made.path / 'wanted.in', made.path / 'resolved.txt'
    wanted.write_text(_WANTED.format(release=made.release))
    command = [uv(), 'pip', 'compile', '--quiet', '--python', str(made.path), '--output-file', str(resolved)]
    run([*command, str(wanted)], what)
    return resolved
