"""TLS that does not fit, or no longer; of other connections that fail, see `test_troubleshooting.py`."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from datadog_checks.litellm import LitellmCheck
from tests.support.certificates import Certificate, certificate
from tests.support.endpoint import PROMETHEUS, answering, serving_paths

RunCheck = Callable[..., object]

PAGE = '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{model="gpt-5"} 3.0\n'
ANSWERS = {'/metrics/': answering(200, PAGE, {'Content-Type': PROMETHEUS})}


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
    with serving_paths(ANSWERS, context) as url:
        yield f'{url}/metrics/'


def check_of(url: str, **options: Any) -> LitellmCheck:
    return LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **options}])


@pytest.mark.parametrize('remedy', ['tls_ca_cert', 'tls_verify'])
def test_a_certificate_that_is_not_trusted_is_said_to_be_that_and_either_remedy_helps(
    tmp_path: Path, remedy: str, dd_run_check: RunCheck
) -> None:
    made = certificate(tmp_path)
    with serving_over_tls(made) as url:
        with pytest.raises(Exception, match=r'is not trusted: set `tls_ca_cert` to .*, or `tls_verify: false`'):
            dd_run_check(check_of(url))
        dd_run_check(check_of(url, **{remedy: str(made.authority) if remedy == 'tls_ca_cert' else False}))


def test_a_certificate_for_another_host_is_said_to_be_that(tmp_path: Path, dd_run_check: RunCheck) -> None:
    made = certificate(tmp_path, 'litellm.example')
    with serving_over_tls(made) as url, pytest.raises(Exception, match='certificate is for other hosts: use a URL'):
        dd_run_check(check_of(url, tls_ca_cert=str(made.authority)))


@pytest.mark.parametrize('days', [-1, 1], ids=['expired', 'not yet valid'])
def test_a_certificate_out_of_its_time_is_said_to_be_that(days: int, tmp_path: Path, dd_run_check: RunCheck) -> None:
    made = certificate(tmp_path, valid_in=timedelta(days))
    with serving_over_tls(made) as url, pytest.raises(Exception, match='certificate is not valid at this time: renew'):
        dd_run_check(check_of(url, tls_ca_cert=str(made.authority)))


def test_a_certificate_that_the_agent_lacks_leads_to_the_options_of_tls(tmp_path: Path, dd_run_check: RunCheck) -> None:
    made = certificate(tmp_path)
    with serving_over_tls(made, asks_for_certificate=True) as url:
        with pytest.raises(Exception, match='check the `tls_'):
            dd_run_check(check_of(url, tls_ca_cert=str(made.authority)))
        dd_run_check(check_of(url, tls_ca_cert=str(made.authority), tls_cert=str(made.file)))


def test_a_path_of_tls_may_begin_with_the_home_of_the_user(
    tmp_path: Path, dd_run_check: RunCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Base packages differ in whether they know it."""
    monkeypatch.setenv('HOME', str(tmp_path))
    made = certificate(tmp_path)
    with serving_over_tls(made, asks_for_certificate=True) as url:
        dd_run_check(check_of(url, tls_ca_cert=f'~/{made.authority.name}', tls_cert=f'~/{made.file.name}'))


def test_who_hangs_up_within_the_handshake_leads_to_the_proxy_and_not_to_options() -> None:
    def hang_up() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1 << 16)

    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(5)
        thread = Thread(target=hang_up)
        thread.start()
        error = check_of(f'https://127.0.0.1:{listener.getsockname()[1]}/', timeout=5, collect_readiness=False).run()
        thread.join()

    assert 'check whether the proxy restarts, and what listens' in error


@pytest.mark.parametrize('persists', [False, True])
def test_certificates_that_are_renewed_while_the_check_runs_are_used(persists: bool, tmp_path: Path) -> None:
    """Base packages from 37.16.0 on read the files of certificates once."""
    for name in ('old', 'new'):
        (tmp_path / name).mkdir()
    old, new = certificate(tmp_path / 'old'), certificate(tmp_path / 'new')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.file)
    with serving_paths(ANSWERS, context) as url:
        check = check_of(f'{url}/metrics/', tls_ca_cert=str(old.authority), persist_connections=persists)
        assert check.run() == ''
        context.load_cert_chain(new.file)
        new.authority.replace(old.authority)
        assert check.run() == ''


@pytest.mark.parametrize('option', ['tls_ca_cert', 'tls_cert'])
def test_a_file_of_tls_that_is_broken_for_a_while_is_read_again(option: str, tmp_path: Path) -> None:
    made = certificate(tmp_path)
    file = made.authority if option == 'tls_ca_cert' else made.file
    content = file.read_text()
    with serving_over_tls(made, asks_for_certificate=True) as url:
        check = check_of(url, tls_ca_cert=str(made.authority), tls_cert=str(made.file), persist_connections=True)
        for text in (content, 'nonsense', content):
            file.write_text(text)
            assert ('and the files that they name' in check.run()) == (text != content)
        assert check.run() == ''
