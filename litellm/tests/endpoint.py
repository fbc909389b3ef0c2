"""HTTP endpoints on free local ports, for tests that want a real socket and one certain answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ['OPENMETRICS', 'PROMETHEUS', 'Answer', 'answering', 'serving', 'serving_page']

PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8'
OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

# Writes the whole answer to a GET request.
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Answer every GET request alike, and yield the URL `http://127.0.0.1:PORT/metrics/`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self) -> None:
            self.close_connection = True
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}/metrics/'
        finally:
            server.shutdown()
            thread.join()


def answering(status: int, body: str = '', headers: dict[str, str] | None = None) -> Answer:
    """Return an answer with this status, these headers and a body of the length that it says."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        content = body.encode()
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header('Content-Length', str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


@contextmanager
def serving_page(page: str, content_type: str = PROMETHEUS) -> Iterator[str]:
    """Serve a metrics page."""
    with serving(answering(200, page, {'Content-Type': content_type})) as url:
        yield url
