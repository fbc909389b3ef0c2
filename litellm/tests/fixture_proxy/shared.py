"""Share files in one directory between the workers of a proxy, as LiteLLM's share Redis and the database."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .catalogue import UPSTREAM_ERRORS

__all__ = ['DATABASE_STATES', 'Controls', 'Shared']

DATABASE_STATES = ('up', 'down', 'hangs', 'locked')


@dataclass(frozen=True)
class Controls:
    """The switches that tests may turn while the proxy runs.

    A `lens` that is down refuses the rows that it is sent, and whoever comes with one of the `blocked_keys` is refused.
    A database may be down, or hang, or have its table of keys locked, upon which it answers all but lookups of keys.
    Meanwhile keys are refused, those of scrapes, too, unless `requests_without_db` are allowed: that is LiteLLM's
    `allow_requests_on_db_unavailable`. A proxy that is `hung` is not ready, and has requests in flight. Jobs among
    `failing_jobs` fail, whatever the state of the database.

    By provider: `failing_providers` are the HTTP status that all its calls fail with, `slow_providers` what its
    latencies are multiplied by, `used_elsewhere` the share of its limits that others use up. `load` multiplies the time
    that the proxy itself takes for a request. `cooldown_seconds` is the `cooldown_time` of its router, which also has
    LiteLLM's `disable_cooldowns`.
    """

    redis: str = 'up'
    db: str = 'up'
    lens: str = 'up'
    requests_without_db: bool = False
    hung: bool = False
    failing_jobs: tuple[str, ...] = ()
    broken_callbacks: tuple[str, ...] = ()
    blocked_keys: tuple[str, ...] = ()
    failing_providers: Mapping[str, int] = field(default_factory=dict)
    slow_providers: Mapping[str, float] = field(default_factory=dict)
    used_elsewhere: Mapping[str, float] = field(default_factory=dict)
    load: float = 1.0
    cooldown_seconds: float = 5.0
    disable_cooldowns: bool = False
    advanced_seconds: float = 0.0

    def changed(self, **changes: Any) -> Controls:
        """Apply changes; raises ValueError for one that makes no sense."""
        unknown = sorted(changes.keys() - asdict(self).keys())
        if unknown:
            raise ValueError(f'unknown control: {", ".join(unknown)}')
        controls = replace(self, **changes)
        if not {controls.redis, controls.lens} <= {'up', 'down'} or controls.db not in DATABASE_STATES:
            raise ValueError(f'redis and lens are "up" or "down", and db is one of {", ".join(DATABASE_STATES)}')
        if not isinstance(controls.broken_callbacks, (list, tuple)):
            raise ValueError('broken_callbacks is a list of callback names')
        if not isinstance(controls.failing_jobs, (list, tuple)):
            raise ValueError('failing_jobs is a list of names')
        if not isinstance(controls.blocked_keys, (list, tuple)):
            raise ValueError('blocked_keys is a list of keys')
        if not set(controls.failing_providers.values()) <= UPSTREAM_ERRORS.keys():
            raise ValueError(f'a provider fails with one of {", ".join(map(str, UPSTREAM_ERRORS))}')
        if controls.advanced_seconds < self.advanced_seconds:
            raise ValueError('time does not go back')
        return controls


class Shared:
    """Small named facts in files: controls, cached answers, uploaded files and living workers."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._controls_file = directory / 'controls.json'
        self._controls = Controls()
        # Inode and time of change of the file that they are from.
        self._read = (0, 0)

    @property
    def controls(self) -> Controls:
        # Asked some ten times a request: read only when another file is in its place.
        try:
            file = self._controls_file.stat()
            if self._read != (file.st_ino, file.st_mtime_ns):
                stored = json.loads(self._controls_file.read_text())
                values: dict[str, Any] = {
                    name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
                }
                self._controls, self._read = Controls(**values), (file.st_ino, file.st_mtime_ns)
        except FileNotFoundError:
            return Controls()
        return self._controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        # Renamed into place, so that another worker never reads half of it.
        unfinished = self._controls_file.with_suffix(f'.{os.getpid()}')
        unfinished.write_text(json.dumps(asdict(controls)))
        unfinished.replace(self._controls_file)

    def add(self, kind: str, name: str) -> bool:
        """Remember a name of some kind; says whether it is new."""
        folder = self._directory / kind
        folder.mkdir(exist_ok=True)
        try:
            (folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def remove(self, kind: str, name: str) -> None:
        """Forget a name, if it is there."""
        (self._directory / kind / name).unlink(missing_ok=True)

    def has(self, kind: str, name: str) -> bool:
        return (self._directory / kind / name).is_file()

    def names(self, kind: str) -> set[str]:
        folder = self._directory / kind
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    def worker_pids(self) -> list[int]:
        """Return the worker processes that are alive."""
        return sorted(pid for pid in map(int, self.names('workers')) if _alive(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
