"""Environments with a real LiteLLM, one per release, kept between runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

__all__ = ['RELEASE', 'RELEASES', 'Environment', 'HarnessError', 'environment', 'wanted_release']

_ROOT = Path(__file__).resolve().parents[2]
_REQUIREMENTS = _ROOT / 'requirements'

# The releases with a lock of their dependencies, oldest first: requirements/litellm-<release>.in makes one.
RELEASES = tuple(
    sorted((path.stem.removeprefix('litellm-') for path in _REQUIREMENTS.glob('litellm-*.in')), key=Version)
)
# The newest of them.
RELEASE = RELEASES[-1]

_VENVS = _ROOT / '.venvs'
_INSTALL_SECONDS = 600


class HarnessError(Exception):
    """The real LiteLLM could not be installed, started or driven; the message says why in its first line."""


class Environment(NamedTuple):
    """A Python environment in which one LiteLLM release is installed."""

    release: str
    path: Path

    @property
    def litellm(self) -> Path:
        """The command that starts the proxy."""
        return self.path / 'bin' / 'litellm'

    @property
    def uvicorn(self) -> Path:
        """The server that the proxy runs in."""
        return self.path / 'bin' / 'uvicorn'


def wanted_release() -> str:
    """Return the release to test: that of the variable LITELLM_RELEASE, or the pinned one."""
    return os.environ.get('LITELLM_RELEASE', RELEASE)


def environment(release: str | None = None) -> Environment:
    """Return the environment of a LiteLLM release, made first when there is none or its lock file has changed.

    A release without a lock file is resolved when its environment is made.
    Raises HarnessError when it has to be made and that fails, as without a package registry.
    """
    release = release or wanted_release()
    made = Environment(release, _VENVS / f'litellm-{release}')
    _VENVS.mkdir(exist_ok=True)
    with _locked(_VENVS / f'litellm-{release}.lock'):
        marker = made.path / 'ready'
        lock_file = _REQUIREMENTS / f'litellm-{release}.txt'
        state = hashlib.sha256(lock_file.read_bytes()).hexdigest() if lock_file.exists() else 'resolved without a lock'
        if not (marker.exists() and marker.read_text() == state and (made.path / 'bin' / 'python').exists()):
            _make(made, lock_file)
            marker.write_text(state)
    return made


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, so that two test runs do not write into one environment."""
    with path.open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(made: Environment, lock_file: Path) -> None:
    uv = _uv()
    _run([uv, 'venv', '--quiet', '--clear', '--python', sys.executable, str(made.path)], made.release)
    if not lock_file.exists():
        lock_file = _resolve(uv, made)
    install = [uv, 'pip', 'install', '--quiet', '--no-deps', '--python', str(made.path), '--requirements']
    _run([*install, str(lock_file)], made.release)


def _resolve(uv: str, made: Environment) -> Path:
    """Write the requirements of a release without a lock file into its environment."""
    wanted, resolved = made.path / 'wanted.in', made.path / 'resolved.txt'
    wanted.write_text(f'litellm[proxy]=={made.release}\nprometheus-client\n')
    command = [uv, 'pip', 'compile', '--quiet', '--python', str(made.path), '--output-file', str(resolved), str(wanted)]
    _run(command, made.release)
    return resolved


def _uv() -> str:
    own = _VENVS / 'uv' / 'bin' / 'uv'
    found = str(own) if own.exists() else shutil.which('uv')
    if found is None:
        raise HarnessError('The real LiteLLM is installed with uv, which is not there: run `make .venvs/uv/bin/uv`')
    return found


def _run(command: list[str], release: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, cwd=_ROOT)
    except subprocess.TimeoutExpired:
        raise HarnessError(
            f'LiteLLM {release} could not be installed within {_INSTALL_SECONDS} seconds: is the registry in reach?'
        ) from None
    if done.returncode:
        reason = ' '.join(done.stderr.split())
        raise HarnessError(f'LiteLLM {release} could not be installed; is the package registry in reach? {reason}')
