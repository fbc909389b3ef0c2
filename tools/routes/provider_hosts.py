"""Hosts of providers that LiteLLM calls by their own names, on this machine.

Where requests for Vertex AI go cannot be configured, and what is passed through to OpenAI is recognized by its host. A
forward proxy, which LiteLLM is told of, takes connections to these hosts, with a certificate of an authority that
LiteLLM is told to trust, and hands them to the upstream stub. It refuses all others.
"""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.certificates import certificate

__all__ = ['VERTEX_LOCATION', 'provider_hosts']

VERTEX_LOCATION = 'us-central1'
_HOSTS = ('api.openai.com', f'{VERTEX_LOCATION}-aiplatform.googleapis.com')
_IDLE_SECONDS = 60


@contextmanager
def provider_hosts(upstream_port: int, folder: Path) -> Iterator[dict[str, str]]:
    """Serve the hosts while the block lasts; yield the variables that a LiteLLM needs to find them."""
    made = certificate(folder, *_HOSTS)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.file)

    class Tunnel(socketserver.StreamRequestHandler):
        """Takes a connection to one of the hosts, if that is asked for, and speaks TLS in its place."""

        timeout = _IDLE_SECONDS

        def handle(self) -> None:
            method, _, target = self.rfile.readline().decode('latin-1').partition(' ')
            while self.rfile.readline().strip():
                pass
            if method != 'CONNECT' or target.partition(':')[0] not in _HOSTS:
                self.wfile.write(b'HTTP/1.1 403 Forbidden\r\n\r\n')
                return
            self.wfile.write(b'HTTP/1.1 200 OK\r\n\r\n')
            with (
                suppress(OSError),
                context.wrap_socket(self.connection, server_side=True) as client,
                socket.create_connection(('127.0.0.1', upstream_port), timeout=_IDLE_SECONDS) as upstream,
            ):
                threading.Thread(target=_pass_on, args=(client, upstream), daemon=True).start()
                _pass_on(upstream, client)

    class Proxy(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Proxy(('127.0.0.1', 0), Tunnel) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{proxy.server_address[1]}'
        yield {
            'HTTPS_PROXY': url,
            'SSL_CERT_FILE': str(made.authority),
            'OPENAI_API_BASE': f'https://{_HOSTS[0]}',
        }
        proxy.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes from one side until it ends, and then end the other."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
