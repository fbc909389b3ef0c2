"""The official clients of OpenAI and Anthropic, in an environment of their own, as the callers of a proxy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from tools.real_litellm.kept import REQUIREMENTS, VENVS, keep, run, uv

__all__ = ['Ask', 'callers']

_CALLS = Path(__file__).with_name('client_calls.py')


class Ask(NamedTuple):
    """Makes a call by its name, and returns the status of the answer."""

    questions: IO[str]
    answers: IO[str]

    def __call__(self, name: str) -> str:
        self.questions.write(f'{name}\n')
        self.questions.flush()
        return self.answers.readline().strip()


@contextmanager
def callers(url: str, key: str, models: Mapping[str, str]) -> Iterator[tuple[list[str], Ask]]:
    """Start the clients, with the key of a caller; yield the names of their calls, and a way to make one.

    `models` are what the proxy calls those that it does not call as the calls do.
    """
    command = [str(_environment() / 'bin' / 'python'), str(_CALLS), url, key, json.dumps(models)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        names: list[str] = json.loads(clients.stdout.readline())
        yield names, Ask(clients.stdin, clients.stdout)
        clients.stdin.close()


def _environment() -> Path:
    """Return the environment of the clients, made first if its lock file has changed."""
    folder, lock_file = VENVS / 'callers', REQUIREMENTS / 'callers.txt'

    def make() -> None:
        what = 'install the official clients'
        run([uv(), 'venv', '--quiet', '--clear', '--python', sys.executable, str(folder)], what)
        run([uv(), 'pip', 'install', '--quiet', '--no-deps', '--python', str(folder), '-r', str(lock_file)], what)

    return keep(folder, [lock_file.read_bytes(), sys.version.encode()], make)
