"""HTTP endpoints on free local ports, for tests that want a real socket and one certain answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = [
    'OPENMETRICS',
    'PROMETHEUS',
    'Answer',
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
def serving_paths(answers: Mapping[str, Answer]) -> Iterator[str]:
    """Answer the GET requests for each path in its own way, and yield the URL `http://127.0.0.1:PORT`.

    All other paths are not found.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_GET(self) -> None:
            self.close_connection = True
            answers.get(self.path.partition('?')[0], answering(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f'http://127.0.0.1:{server.server_port}'
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


def answering_json(body: object, status: int = 200) -> Answer:
    """Return an answer whose body is this as JSON."""
    return answering(status, json.dumps(body), {'Content-Type': 'application/json'})


@contextmanager
def serving_page(page: str, content_type: str = PROMETHEUS) -> Iterator[str]:
    """Serve a metrics page."""
    with serving(answering(200, page, {'Content-Type': content_type})) as url:
        yield url
