"""Folders that are made once from their inputs, and kept in `.venvs` between runs until an input changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ['REQUIREMENTS', 'ROOT', 'VENVS', 'HarnessError', 'keep', 'run', 'uv']

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / 'requirements'
VENVS = ROOT / '.venvs'

_STEP_SECONDS = 600
_TAIL_CHARACTERS = 2000


class HarnessError(Exception):
    """A part of the harness could not be installed, started or driven; the first line of the message says why."""


def keep(folder: Path, inputs: Sequence[bytes], make: Callable[[], None]) -> Path:
    """Return the folder, after `make` has filled it if it is missing or was made from other inputs.

    Two runs never make one folder at the same time. Raises what `make` raises, and tries again the next time.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    for part in inputs:
        digest.update(hashlib.sha256(part).digest())
    state, marker = digest.hexdigest(), folder / 'ready'
    with _locked(folder.parent / f'{folder.name}.lock'):
        if not (marker.exists() and marker.read_text() == state):
            marker.unlink(missing_ok=True)
            make()
            marker.write_text(state)
    return folder


def run(command: Sequence[str], what: str, variables: Mapping[str, str] | None = None, directory: Path = ROOT) -> str:
    """Run a step of an installation and return its output; raise HarnessError, naming `what` was to be done."""
    environment = {**os.environ, **(variables or {})}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_STEP_SECONDS, cwd=directory, env=environment
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(f'Could not {what} within {_STEP_SECONDS} seconds: is the registry in reach?') from None
    if done.returncode:
        reason = ' '.join((done.stderr or done.stdout).split())[-_TAIL_CHARACTERS:]
        raise HarnessError(f'Could not {what}; is the package registry in reach? {reason}')
    return done.stdout


def uv() -> str:
    """Return the command that makes environments."""
    own = VENVS / 'uv' / 'bin' / 'uv'
    found = str(own) if own.exists() else shutil.which('uv')
    if found is None:
        raise HarnessError('The real LiteLLM is installed with uv, which is not there: run `make .venvs/uv/bin/uv`')
    return found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
