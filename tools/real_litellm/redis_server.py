"""A real Redis, or Valkey in its place, for LiteLLM's cache, rate limits and queues."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from tests.support.ports import free_port

from .environment import HarnessError
from .processes import Process
from .servers import servers

__all__ = ['FAMILIES', 'RedisServer']

# What LiteLLM counts only with a Redis.
FAMILIES = (
    'litellm_redis_circuit_breaker_failures',
    'litellm_redis_circuit_breaker_transitions',
    'litellm_redis_failed_requests',
    'litellm_redis_latency',
    'litellm_redis_total_requests',
)

_START_SECONDS = 10


class RedisServer:
    """A server on a free loopback port that keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: Process | None = None

    @staticmethod
    def is_installed() -> bool:
        """Tell whether this machine has one."""
        return servers().redis is not None

    def start(self) -> None:
        """Start the server, again on the same port after `stop`; raise HarnessError when it does not answer."""
        command = servers().redis
        if command is None:
            raise HarnessError('There is no Redis: neither a wheel for this platform nor one of the system')
        settings = {'port': str(self.port), 'bind': '127.0.0.1', 'save': '', 'appendonly': 'no'}
        options = [word for name, value in settings.items() for word in (f'--{name}', value)]
        log = self._directory / 'redis.log'
        self._process = Process([str(command), *options], self._directory, log, {})
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if time.monotonic() > deadline or self._process.exit_code is not None:
                raise HarnessError(f'Redis did not start:\n{self._process.log_tail()}')
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server; its content is gone."""
        if self._process:
            self._process.end()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout=1) as connection:
                connection.sendall(b'PING\r\n')
                return connection.recv(16).startswith(b'+PONG')
        except OSError:
            return False
