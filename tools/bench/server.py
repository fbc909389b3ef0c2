"""The proxy of the measurements: a loopback HTTP server in a process of its own, so that its work is not measured."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import NamedTuple, Self

from .pages import Page

__all__ = ['PageProcess', 'Size']


class Size(NamedTuple):
    """The size of what there is to read on a page."""

    samples: int
    bytes: int

    def __str__(self) -> str:
        return f'{self.samples:,} samples ({self.bytes / 1e6:.0f} MB)'


class PageProcess:
    """A process that serves one page at a time at `url`; use as a context manager."""

    def __enter__(self) -> Self:
        context = get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        self.url = f'http://127.0.0.1:{self._connection.recv()}/metrics/'
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.send(None)
        self._process.join()

    def serve(self, make_page: Callable[[], Page], compressed: bool = False) -> Size:
        """Serve the page that this makes from now on."""
        return self._do(_Serve(make_page, compressed))

    def advance(self) -> None:
        """Serve what the page is at the next scrape."""
        self._do(_Advance())

    def _do(self, command: _Serve | _Advance) -> Size:
        self._connection.send(command)
        size = self._connection.recv()
        assert isinstance(size, Size)
        return size


class _Serve(NamedTuple):
    make_page: Callable[[], Page]
    compressed: bool


class _Advance(NamedTuple):
    pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    body = b''
    compressed = False

    def do_GET(self) -> None:
        if not self.path.startswith('/metrics'):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
        if self.compressed:
            self.send_header('Content-Encoding', 'gzip')
        self.send_header('Content-Length', str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _serve(commands: Connection) -> None:
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    commands.send(server.server_port)
    page: Page | None = None
    while (command := commands.recv()) is not None:
        if isinstance(command, _Serve):
            page = command.make_page()
            _Handler.compressed = command.compressed
        elif page is not None:
            page.advance()
        text = page.render() if page is not None else b''
        _Handler.body = gzip.compress(text, compresslevel=1) if _Handler.compressed else text
        commands.send(Size(sum(not line.startswith(b'#') for line in text.splitlines()), len(text)))
