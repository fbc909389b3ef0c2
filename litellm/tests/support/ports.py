"""Loopback ports for servers that listen later than their port is chosen, or again on the same one.

The system draws the near end of every connection from a range of its own, so a free port of that range may be taken a
moment later by whoever connects to anything: a LiteLLM that needs half a minute to start then finds it in use, and a
server that is down for a while does not get it back. So the ports are below that range, and processes that run side by
side begin at different ones. Not excluded is a server of someone else that starts to listen on one in between.
"""

from __future__ import annotations

import os
import socket
from itertools import count
from pathlib import Path

__all__ = ['free_port']

_LOWEST = 10_000
# As registered for that purpose; Linux says what it uses.
_FIRST_DRAWN = 49_152
_DRAWN = Path('/proc/sys/net/ipv4/ip_local_port_range')
# For one process: more than it has servers.
_BLOCK = 32

_tried = count()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, that no connection is given, and that was not returned yet.

    Raises OSError where no port is left.
    """
    ports = range(_LOWEST, _first_drawn())
    for tried in _tried:
        if tried >= len(ports):
            break
        port = ports[(os.getpid() * _BLOCK + tried) % len(ports)]
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port
    raise OSError(f'no port of 127.0.0.1 from {_LOWEST} on, below those that connections are given, is free')


def _first_drawn() -> int:
    return int(_DRAWN.read_text().split()[0]) if _DRAWN.exists() else _FIRST_DRAWN
