"""End an answer in time, whatever the server sends: headers, trailers, `100 Continue`, a body, or a byte now and then.

`timeout` and `read_timeout` limit the wait for the next bytes. What comes before and behind a body is read by Python's
`http.client`, which limits the size of a header and the number of headers, but neither the time for them, nor how many
answers with status 100 precede, nor what trailers follow. So the limit is below it, where bytes are received: the read
that would outlast it fails like one that timed out, in all that is built upon it.

Out of reach is the handshake with a forward proxy of SOCKS, of some hundred bytes at most, each of which is waited for
within `timeout`. What gets a token has a limit of its own: see `client`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from math import inf
from socket import socket
from ssl import SSLSocket
from typing import TYPE_CHECKING, Any, cast
from weakref import ref

from requests import Session
from requests.adapters import HTTPAdapter

from ..base_package import prepare_connections

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ['MAX_HEAD_BYTES', 'Deadline', 'keep_deadline']

# All that may come before a body, or with a refusal. Proxies limit their headers to some kB.
MAX_HEAD_BYTES = 1 << 20


class Deadline:
    """Tell when the answer to a request must be over, and why it was ended. For one request at a time."""

    def __init__(self) -> None:
        self.is_over = False
        """Whether the last answer was ended because time was up."""
        self.head_is_too_large = False
        """Whether the last answer was ended because of what came before its body."""
        self.answering_since: float | None = None
        """When the first byte of the last answer came, on the monotonic clock."""
        self._end = self._seconds = inf

    def start(self, *, total: float = inf, answer: float = inf) -> None:
        """Begin with a request, which may take so many seconds in total, and each answer so many from its first byte.

        A request has several answers if it is redirected.
        """
        self._end = time.monotonic() + total
        self._seconds = answer
        self.is_over = self.head_is_too_large = False
        self.answering_since = None

    def next_answer(self) -> None:
        """Begin to wait for an answer."""
        self.answering_since = None

    def begins(self) -> None:
        """Take note of the first byte of an answer."""
        self.answering_since = time.monotonic()

    @property
    def left(self) -> float:
        """The seconds that are left."""
        now = time.monotonic()
        since = now if self.answering_since is None else self.answering_since
        return min(self._end, since + self._seconds) - now

    @contextmanager
    def limiting(self, sock: socket, patience: float) -> Iterator[None]:
        """Have the socket receive inside the block only until the deadline, and wait only for as long as it may."""
        left = self.left
        if left <= 0:
            self.is_over = True
            raise TimeoutError('timed out')
        seconds = min(left, patience)
        sock.settimeout(None if seconds == inf else seconds)
        try:
            yield
        except TimeoutError:
            self.is_over = left <= patience
            raise


class _Reader(RawIOBase):
    """Receive what a socket does, until the deadline."""

    def __init__(self, sock: socket, deadline: Deadline) -> None:
        self._sock = sock
        self._raw = sock.makefile('rb', buffering=0)
        self._patience = _patience_of(sock)
        self._deadline = deadline
        self._received = 0
        self.head_is_read = False
        deadline.next_answer()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        with self._deadline.limiting(self._sock, self._patience):
            size = self._raw.readinto(buffer)
        if size and not self._received:
            self._deadline.begins()
        self._received += size or 0
        if not self.head_is_read and self._received > MAX_HEAD_BYTES:
            self._deadline.head_is_too_large = True
            raise HTTPException('too many headers')
        return size

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def _patience_of(sock: socket) -> float:
    return inf if (timeout := sock.gettimeout()) is None else timeout


def _receive(sock_ref: ref[SSLSocket], deadline: Deadline, size: int) -> bytes:
    """Receive bytes of another connection that is inside of this one."""
    sock = cast(SSLSocket, sock_ref())
    with deadline.limiting(sock, _patience_of(sock)):
        return SSLSocket.recv(sock, size)


class _Socket:
    """Stand for a socket where `http.client` makes a file of it."""

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> BufferedReader:
        return BufferedReader(self._reader)


class _Answer(HTTPResponse):
    """Read an answer of a socket until a deadline, and print nothing of it, whatever the level of debugging."""

    def __init__(self, deadline: Deadline, sock: socket, _debuglevel: int = 0, **options: Any) -> None:
        self._reader = _Reader(sock, deadline)
        if isinstance(sock, SSLSocket):
            # If this is the answer of a forward proxy, TLS with the page's host follows inside of that with the proxy:
            # to read a record of one may take a record of the other for each byte.
            sock.recv = partial(_receive, ref(sock), deadline)  # type: ignore[method-assign]
        super().__init__(cast(socket, _Socket(self._reader)), **options)

    def begin(self) -> None:
        super().begin()
        if 400 <= self.status < 500:
            # Who answers a challenge, as `auth_type: digest` does, reads all that comes with it: what little it may be
            # counts as part of the head, and is not decompressed.
            del self.headers['Content-Encoding']
        else:
            self._reader.head_is_read = True


def keep_deadline(session: Session, deadline: Deadline) -> None:
    """Have all answers to requests of a session keep a deadline, over whatever adapters it gets."""
    answer = partial(_Answer, deadline)
    get_adapter = session.get_adapter

    def get_keeping_adapter(url: str) -> HTTPAdapter:
        adapter = cast(HTTPAdapter, get_adapter(url))
        if not isinstance(adapter.get_connection_with_tls_context, _Pools):
            get_pool = _Pools(adapter.get_connection_with_tls_context, answer)
            adapter.get_connection_with_tls_context = get_pool  # type: ignore[method-assign]
        return adapter

    session.get_adapter = get_keeping_adapter  # type: ignore[method-assign]


class _Pools:
    """Get pools of connections from an adapter, and have each of their new connections make answers of ours."""

    def __init__(self, get_pool: Callable[..., Any], answer: Callable[..., _Answer]) -> None:
        self._get_pool = get_pool
        self._answer = answer

    def __call__(self, *args: Any, **options: Any) -> Any:
        pool = self._get_pool(*args, **options)
        prepare_connections(pool, self._prepare)
        return pool

    def _prepare(self, connection: Any) -> None:
        connection.response_class = self._answer
        # At another level, `http.client` prints headers as well.
        connection.debuglevel = 0
