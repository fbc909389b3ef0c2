"""HTTP endpoints on free local ports, for tests that want a real socket and one certain answer."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = [
    'OPENMETRICS',
    'PROMETHEUS',
    'Answer',
    'Pour',
    'Stall',
    'answering',
    'answering_json',
    'serving',
    'serving_page',
    'serving_paths',
]

PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8'
OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

# Writes the whole answer to a GET request.
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving_paths(answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer the GET requests for each path in its own way, and yield the URL `http://127.0.0.1:PORT`.

    All other paths are not found. With a context of TLS, the URL is `https://127.0.0.1:PORT`.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self) -> None:
            self.close_connection = True
            answers.get(self.path.partition('?')[0], answering(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.002,))
        thread.start()
        try:
            yield f'{"https" if tls else "http"}://127.0.0.1:{server.server_port}'
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Answer every GET request for the metrics page alike, and yield its URL `http://127.0.0.1:PORT/metrics/`.

    Other paths are not found, as on LiteLLM's port for metrics alone.
    """
    with serving_paths({'/metrics': answer, '/metrics/': answer}) as url:
        yield f'{url}/metrics/'


def answering(
    status: int, body: str | bytes = '', headers: Mapping[str, str] | None = None, length: int | None = None
) -> Answer:
    """Return an answer with this status, these headers and this body, of the length that it says or of another."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        content = body if isinstance(body, bytes) else body.encode()
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header('Content-Length', str(len(content) if length is None else length))
        request.end_headers()
        # Who asked may not want to hear all of it.
        with suppress(OSError):
            request.wfile.write(content)

    return answer


def answering_json(body: object, status: int = 200) -> Answer:
    """Return an answer whose body is this as JSON."""
    return answering(status, json.dumps(body), {'Content-Type': 'application/json'})


@contextmanager
def serving_page(page: str, content_type: str = PROMETHEUS) -> Iterator[str]:
    """Serve a metrics page."""
    with serving(answering(200, page, {'Content-Type': content_type})) as url:
        yield url


class Stall:
    """An answer that comes when it is let go, as at the end of a `with` block, or after ten seconds."""

    def __init__(self, then: Answer = lambda _: None) -> None:
        self.let_go = threading.Event()
        self._then = then

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.let_go.wait(10)
        with suppress(OSError):
            self._then(request)

    def __enter__(self) -> Stall:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()


class Pour:
    """An answer whose body begins like this and then goes on with blanks for long: a gibibyte, or one by one.

    `hung_up` tells whether who asked did not wait for its end.
    """

    def __init__(
        self, status: int = 200, headers: Mapping[str, str] | None = None, begin: str = '', pause: float = 0.0
    ) -> None:
        self.hung_up = threading.Event()
        self._status, self._headers, self._begin, self._pause = status, headers or {}, begin, pause

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self._status)
        for name, value in self._headers.items():
            request.send_header(name, value)
        request.end_headers()
        try:
            request.wfile.write(self._begin.encode())
            for _ in range(1 << 10):
                request.wfile.write(b' ' * (1 if self._pause else 1 << 20))
                time.sleep(self._pause)
        except OSError:
            self.hung_up.set()
