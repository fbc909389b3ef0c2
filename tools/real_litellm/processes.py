"""Processes that the harness starts, watches and ends by their handle."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ['Process']

_GRACE_SECONDS = 10
_TAIL_BYTES = 4000


class Process:
    """A process with its children in a group of its own, writing to a log file."""

    def __init__(
        self, command: Sequence[str], directory: Path, log: Path, variables: Mapping[str, str], user: str | None = None
    ) -> None:
        self.log = log
        with log.open('ab') as output:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )
        self.pid = self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while the process runs."""
        return self._process.poll()

    def pids(self) -> list[int]:
        """Return its process id and those of its descendants, its own first."""
        return _with_descendants(self.pid)

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process and its children: politely first, unless told otherwise, then by force."""
        self._signal_group(how)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        self._signal_group(signal.SIGKILL)
        self._process.wait(_GRACE_SECONDS)

    def log_tail(self) -> str:
        """Return the end of what the process wrote."""
        return self.log.read_bytes()[-_TAIL_BYTES:].decode(errors='replace')

    def _signal_group(self, how: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, how)


def _with_descendants(pid: int) -> list[int]:
    try:
        children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
    except FileNotFoundError:
        return [pid]
    return [pid, *(descendant for child in children for descendant in _with_descendants(int(child)))]
