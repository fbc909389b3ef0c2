"""An endpoint that answers as no server should, byte by byte, on a free local port.

What it does with a request is a script: a list of bytes to send and of things to do. `answer` writes the usual ones.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple, Self

from tests.support.endpoint import PROMETHEUS

__all__ = [
    'HEAR_END',
    'RESET',
    'STALL',
    'Drip',
    'Endpoint',
    'Flood',
    'Script',
    'Step',
    'answer',
    'chunked',
    'compressed',
]

# Send nothing more, and leave the connection open.
STALL = 'stall'
# Break the connection off, as a process that is killed does. The other ending, closing it, needs no word.
RESET = 'reset'
# Wait for the other side to close the connection, for five seconds.
HEAR_END = 'hear end'


class Drip(NamedTuple):
    """Send bytes one by one, for as long as anybody listens."""

    content: bytes
    pause: float = 0.02


class Flood(NamedTuple):
    """Send the same bytes again and again, for as long as anybody listens."""

    content: bytes
    pause: float = 0.0


Step = bytes | str | Drip | Flood
# Makes of a page what is sent for it.
Script = Callable[[bytes], Sequence[Step]]


def answer(
    page: bytes, *headers: str, status: str = '200 OK', content_type: str = PROMETHEUS, length: object = None
) -> list[Step]:
    """Return a whole answer. It tells the length of its body, or another one, or none when that is ''."""
    lines = [f'HTTP/1.1 {status}', 'Connection: close', *headers]
    if content_type:
        lines.append(f'Content-Type: {content_type}')
    if length != '':
        lines.append(f'Content-Length: {len(page) if length is None else length}')
    return ['\r\n'.join([*lines, '', '']).encode('latin-1') + page]


def chunked(*chunks: bytes, end: bytes = b'0\r\n\r\n', headers: Sequence[str] = ()) -> list[Step]:
    """Return an answer whose body comes in chunks."""
    body = b''.join(b'%x\r\n%s\r\n' % (len(chunk), chunk) for chunk in chunks) + end
    return answer(body, 'Transfer-Encoding: chunked', *headers, length='')


def compressed(page: bytes, damage: Callable[[bytes], bytes] = bytes, encoding: str = 'gzip') -> list[Step]:
    """Return an answer whose body was compressed, and then damaged."""
    return answer(damage(gzip.compress(page, compresslevel=1, mtime=0)), f'Content-Encoding: {encoding}')


class Endpoint:
    """The endpoint at `url`; use as a context manager. Keeps the head of each request in `requests`.

    `heard_ends` counts the connections that the other side closed when it was waited for. With a certificate, it speaks
    TLS. With a path, it is a socket of this host at the `unix://` URL.
    """

    def __init__(self, certificate: Path | None = None, path: Path | None = None) -> None:
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self.script: Callable[[], Sequence[Step]] = list
        self.requests: list[str] = []
        self.heard_ends = 0
        self._over = Event()
        self._threads: list[Thread] = []
        if path is not None:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.url = f'unix://{path}/metrics/'
            return
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._port = self._listener.getsockname()[1]
        self.url = f'http{"s" if certificate else ""}://127.0.0.1:{self._port}/metrics/'

    def __enter__(self) -> Self:
        self._accept_in_thread()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def end(self) -> None:
        """Let what stalls or drips come to its end."""
        self._over.set()
        for thread in self._threads[1:]:
            thread.join()
        self._threads = self._threads[:1]
        self._over = Event()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Do not listen inside the block."""
        self._stop()
        yield
        self._listener = socket.create_server(('127.0.0.1', self._port))
        self._accept_in_thread()

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Listen inside the block, but have no room for another connection."""
        self._stop()
        with socket.create_server(('127.0.0.1', self._port), backlog=0), socket.socket() as first:
            first.connect(('127.0.0.1', self._port))
            waiting = [socket.socket() for _ in range(3)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(('127.0.0.1', self._port))
            yield
            for each in waiting:
                each.close()
        self._listener = socket.create_server(('127.0.0.1', self._port))
        self._accept_in_thread()

    def _stop(self) -> None:
        # Closing alone would leave the thread in its `accept`.
        self._listener.shutdown(socket.SHUT_RDWR)
        self.end()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._listener.close()

    def _accept_in_thread(self) -> None:
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = Thread(target=self._serve, args=(connection, self._over))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, over: Event) -> None:
        if self._context is not None:
            try:
                connection = self._context.wrap_socket(connection, server_side=True)
            except OSError:
                # The other side does not trust the certificate.
                connection.close()
                return
        with connection:
            try:
                head = b''
                while b'\r\n\r\n' not in head and (piece := connection.recv(1 << 16)):
                    head += piece
                self.requests.append(head.decode('latin-1'))
                for step in self.script():
                    self._do(step, connection, over)
                connection.shutdown(socket.SHUT_WR)
                # To close while the other side may still send would reset the connection.
                over.wait(30)
            except OSError:
                # The other side has heard enough.
                pass

    def _do(self, step: Step, connection: socket.socket, over: Event) -> None:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, Drip):
            for byte in step.content:
                connection.sendall(bytes([byte]))
                if over.wait(step.pause):
                    return
        elif isinstance(step, Flood):
            content = step.content if step.pause else step.content * 100
            while not over.wait(step.pause):
                connection.sendall(content)
        elif step == HEAR_END:
            connection.settimeout(5)
            self.heard_ends += connection.recv(1) == b''
        elif step == STALL:
            over.wait(30)
        elif step == RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            connection.close()
