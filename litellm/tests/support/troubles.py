"""Answers to optimized requests by something on the way that does not know what to make of them."""

from __future__ import annotations

import gzip
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from io import BytesIO

from tests.support.endpoint import PROMETHEUS, Answer, answering
from tests.support.simulated_proxy import SimulatedProxy

__all__ = ['DAMAGED', 'TROUBLES', 'answering_on_the_way']

START = 'process_start_time_seconds'


@contextmanager
def answering_on_the_way(
    proxy: SimulatedProxy, is_meant: Callable[[BaseHTTPRequestHandler], bool], answers: Iterator[Answer | None]
) -> Iterator[None]:
    """Answer each request that is meant with the next of these; None leaves it to the proxy."""
    passed_on = proxy._server.answer  # type: ignore[union-attr]

    def answer(request: BaseHTTPRequestHandler) -> None:
        taken = next(answers, None) if is_meant(request) else None
        if taken is not None:
            proxy.paths.append(request.path)
        (taken or passed_on)(request)

    proxy._server.answer = answer  # type: ignore[union-attr]
    yield


def reset(request: BaseHTTPRequestHandler) -> None:
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    request.connection.close()
    request.rfile = BytesIO()


def hangs(request: BaseHTTPRequestHandler) -> None:
    # Longer than the timeout of the test that uses it.
    time.sleep(1.3)


def circles(request: BaseHTTPRequestHandler) -> None:
    answering(307, '', {'Location': request.path})(request)


def compressed(damage: Callable[[bytes], bytes], encoding: str = 'gzip') -> Answer:
    """Return an answer with a page of LiteLLM that was compressed and then damaged."""
    page = b'# TYPE litellm_in_flight_requests gauge\nlitellm_in_flight_requests 3.0\n' * 99
    return answering(200, damage(gzip.compress(page)), {'Content-Type': PROMETHEUS, 'Content-Encoding': encoding})


# What a gateway may make of a page that it compresses.
DAMAGED: dict[str, Answer] = {
    'no gzip': answering(200, 'x', {'Content-Type': PROMETHEUS, 'Content-Encoding': 'gzip'}),
    'an encoding of its own': answering(200, 'x', {'Content-Type': PROMETHEUS, 'Content-Encoding': 'br'}),
    'gzip cut': compressed(lambda body: body[:-20]),
    'gzip with a wrong checksum': compressed(lambda body: body[:-8] + bytes(8)),
    'gzip corrupt': compressed(lambda body: body[:20] + b'\xff' * 20 + body[40:]),
    'gzip twice, said once': compressed(gzip.compress),
    'gzip twice': compressed(gzip.compress, 'gzip, gzip'),
    'gzip of nothing': compressed(lambda body: b''),
    'gzip that is too large': compressed(lambda body: gzip.compress(b'#' * 20_000_000)),
    '406': answering(406),
}

# What may come of any request on its way.
TROUBLES: dict[str, Answer] = {
    **{str(status): answering(status) for status in (204, 302, 304, 400, 401, 403, 404, 414, 429, 431, 500, 502)},
    **DAMAGED,
    '503': answering(503, '<html>'),
    'reset': reset,
    'time-out': hangs,
    'broken off': answering(200, '# TYPE x counter\n', length=1000),
    'circles': circles,
    'redirect to nowhere': answering(302, '', {'Location': 'http://127.0.0.1:9/'}),
    'redirect to no URL': answering(302, '', {'Location': 'http://['}),
    'HTML': answering(200, '<html></html>', {'Content-Type': 'text/html'}),
    'HTML that says it is text': answering(200, '<html>\n<p>1</p>\n', {'Content-Type': PROMETHEUS}),
    'JSON': answering(200, '{}', {'Content-Type': 'application/json'}),
    'text': answering(200, 'Welcome!\n', {'Content-Type': PROMETHEUS}),
    'nothing': answering(200, '', {'Content-Type': PROMETHEUS}),
    'nothing of any type': answering(200),
    'a comment': answering(200, '# nothing\n', {'Content-Type': PROMETHEUS}),
    'another program': answering(200, '# TYPE up gauge\nup 1\n', {'Content-Type': PROMETHEUS}),
    'half a line': answering(200, f'# TYPE {START} gauge\n{START} 17', {'Content-Type': PROMETHEUS}),
    'no types': answering(200, 'up 1\n', {'Content-Type': PROMETHEUS}),
}
