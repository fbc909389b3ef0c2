"""What is said when no request gets through: TLS that does not fit, and forward proxies that do not forward."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from datadog_checks.litellm import LitellmCheck
from tests.support.certificates import Certificate, certificate
from tests.support.endpoint import serving_page

RunCheck = Callable[..., object]

PAGE = '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{model="gpt-5"} 3.0\n'


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.send_header('Content-Length', str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: Any) -> None:
        """Keep the output of the tests clean."""


@contextmanager
def serving_over_tls(made: Certificate, asks_for_certificate: bool = False) -> Iterator[str]:
    """Serve a metrics page with this certificate; asks for one of the same authority, if it is to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.file)
    if asks_for_certificate:
        # From 1.3 on a client learns that its certificate is missing only after it has sent its request.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(made.authority)
    with ThreadingHTTPServer(('127.0.0.1', 0), Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f'https://127.0.0.1:{server.server_port}/metrics/'
        finally:
            server.shutdown()
            thread.join()


def check_of(url: str, **options: Any) -> LitellmCheck:
    return LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **options}])


def test_https_to_a_port_without_tls_is_said_to_be_that(dd_run_check: RunCheck) -> None:
    with (
        serving_page(PAGE) as url,
        pytest.raises(Exception, match='the port does not speak TLS: use'),
    ):
        dd_run_check(check_of(url.replace('http://', 'https://')))


def test_a_certificate_that_is_not_trusted_is_said_to_be_that(tmp_path: Path, dd_run_check: RunCheck) -> None:
    with (
        serving_over_tls(certificate(tmp_path)) as url,
        pytest.raises(Exception, match='is not trusted: set `tls_ca_cert`, or `tls_verify: false`'),
    ):
        dd_run_check(check_of(url))


@pytest.mark.parametrize('remedy', ['tls_ca_cert', 'tls_verify'])
def test_either_remedy_helps(tmp_path: Path, remedy: str, dd_run_check: RunCheck) -> None:
    made = certificate(tmp_path)
    with serving_over_tls(made) as url:
        dd_run_check(check_of(url, **{remedy: str(made.authority) if remedy == 'tls_ca_cert' else False}))


def test_a_certificate_that_the_agent_lacks_leads_to_the_options_of_tls(tmp_path: Path, dd_run_check: RunCheck) -> None:
    made = certificate(tmp_path)
    with serving_over_tls(made, asks_for_certificate=True) as url:
        with pytest.raises(Exception, match='check the `tls_'):
            dd_run_check(check_of(url, tls_ca_cert=str(made.authority)))
        dd_run_check(check_of(url, tls_ca_cert=str(made.authority), tls_cert=str(made.file)))


def test_a_forward_proxy_that_refuses_is_said_to_be_that(dd_run_check: RunCheck) -> None:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    proxy = {'http': f'http://127.0.0.1:{port}'}

    with pytest.raises(Exception, match='cannot connect through the forward proxy'):
        dd_run_check(check_of('http://litellm.invalid/metrics/', proxy=proxy))
