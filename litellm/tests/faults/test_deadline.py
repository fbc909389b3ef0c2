"""An answer ends in time, over TLS, a forward proxy or a kept connection, to a probe as to a request for the page."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from requests.exceptions import Timeout

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.transport import background_call
from tests.support.certificates import certificate
from tests.support.misbehaving import Drip, Endpoint, Flood, Step, answer

PAGE = b'# TYPE litellm_in_flight_requests gauge\nlitellm_in_flight_requests 3.0\n'
CONTINUE = b'HTTP/1.1 100 Continue\r\n\r\n'
FLOODS: dict[str, list[Step]] = {
    '100 Continue': [Flood(CONTINUE, 0.02)],
    'headers': [b'HTTP/1.1 200 OK\r\n', Flood(b'X', 0.02)],
    'body': [b'HTTP/1.1 200 OK\r\n\r\n', Flood(b'#', 0.02)],
    'trailers': [b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', Flood(b'X', 0.02)],
}
# Far from both the limits, which are tenths of a second, and the timeouts, which the floods never run into.
SOON = 5.0


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as one:
        yield one


def error_of(url: str, **options: Any) -> str:
    """Return the error of a run whose page has a third of a second to arrive, and which has to end soon after."""
    return run_soon(check_of(url, **options))


def check_of(url: str, **options: Any) -> LitellmCheck:
    instance = {'openmetrics_endpoint': url, 'collect_readiness': False, 'max_page_seconds': 0.3, 'timeout': 30}
    return LitellmCheck('litellm', {}, [{**instance, **options}])


def run_soon(check: LitellmCheck) -> str:
    """Return the error of a run, which has to end soon."""
    started = time.monotonic()
    error = check.run()
    assert time.monotonic() - started < SOON
    return str(json.loads(error)[0]['message']) if error else ''


def wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize('flood', FLOODS)
@pytest.mark.parametrize(
    'options', [{}, {'persist_connections': True}, {'use_stock_scraper': True}], ids=['plain', 'kept', 'stock']
)
def test_a_page_ends_in_time(flood: str, options: dict[str, Any], endpoint: Endpoint) -> None:
    endpoint.script = lambda: FLOODS[flood]

    assert 'max_page_seconds' in error_of(endpoint.url, **options)


@pytest.mark.parametrize('flood', FLOODS)
def test_a_page_over_tls_ends_in_time(flood: str, tmp_path: Path) -> None:
    made = certificate(tmp_path)
    with Endpoint(made.file) as endpoint:
        endpoint.script = lambda: FLOODS[flood]

        assert 'max_page_seconds' in error_of(endpoint.url, tls_ca_cert=str(made.authority))


@pytest.mark.parametrize('flood', FLOODS)
@pytest.mark.parametrize('options', [{}, {'persist_connections': True}], ids=['plain', 'kept'])
def test_a_page_of_a_socket_of_this_host_ends_in_time(flood: str, options: dict[str, Any], tmp_path: Path) -> None:
    with Endpoint(path=tmp_path / 'litellm.sock') as endpoint:
        endpoint.script = lambda: answer(PAGE)
        assert error_of(endpoint.url, **options) == ''
        endpoint.end()
        endpoint.script = lambda: FLOODS[flood]
        assert 'max_page_seconds' in error_of(endpoint.url, **options)


@pytest.mark.parametrize('flood', FLOODS)
def test_a_page_behind_a_forward_proxy_ends_in_time(flood: str, endpoint: Endpoint) -> None:
    endpoint.script = lambda: FLOODS[flood]
    forward = {'http': endpoint.url, 'https': endpoint.url}

    assert 'max_page_seconds' in error_of('http://litellm.invalid/metrics/', proxy=forward)


def test_a_forward_proxy_that_never_connects_ends_in_time(endpoint: Endpoint) -> None:
    endpoint.script = lambda: [b'HTTP/1.1 200 OK\r\n', Flood(b'X', 0.02)]

    assert 'max_page_seconds' in error_of('https://litellm.invalid/metrics/', proxy={'https': endpoint.url})


def test_tls_inside_of_that_with_a_forward_proxy_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is read as a whole, and each of its bytes may come in a record of the forward proxy."""
    made = certificate(tmp_path)
    monkeypatch.setenv('SSL_CERT_FILE', str(made.authority))
    with Endpoint(made.file) as forward:
        forward.script = lambda: [b'HTTP/1.1 200 OK\r\n\r\n', b'\x16\x03\x03\x40\x00', Flood(b'X', 0.02)]
        options = {'proxy': {'https': forward.url}, 'tls_ca_cert': str(made.authority)}

        assert 'max_page_seconds' in error_of('https://litellm.invalid/metrics/', **options)


@pytest.mark.parametrize('flood', FLOODS)
def test_a_probe_ends_in_time(flood: str, endpoint: Endpoint, aggregator: AggregatorStub) -> None:
    with Endpoint() as slow:
        endpoint.script = lambda: answer(PAGE)
        slow.script = lambda: FLOODS[flood]
        probes = {'litellm_health_endpoint': slow.url, 'litellm_health_timeout': 0.5, 'read_timeout': 0.5}
        readiness = {'collect_readiness': True, 'litellm_readiness_endpoint': slow.url}
        assert error_of(endpoint.url, **probes, **readiness) == ''

    assert 'within 0.5 seconds' in aggregator.service_checks('litellm.health.can_connect')[0].message
    assert 'within 0.5 seconds' in aggregator.service_checks('litellm.proxy.ready')[0].message


def test_a_page_that_takes_its_time_is_read(endpoint: Endpoint) -> None:
    """The limits are those of each wait, and of the whole: what keeps both is read, though it is slow in each part."""
    head = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n' % len(PAGE)
    endpoint.script = lambda: [Drip(CONTINUE * 2 + head + PAGE, 0.001)]

    assert error_of(endpoint.url, max_page_seconds=4) == ''


BUCKET = b'litellm_auth_latency_bucket'
BUDGET = b'litellm_remaining_user_budget_metric'
TYPES = b'# TYPE litellm_auth_latency histogram\n# TYPE %s gauge\n# TYPE litellm_requests_metric counter\n' % BUDGET

# Lines after one another, for the first page and for the second. Each takes longer than `SOON`, some by minutes, if
# every line is compared with those before it.
LONG_PAGES: dict[str, Callable[[int], Iterator[bytes]]] = {
    'buckets of one series': lambda _: (b'%s{le="%d.0"} 0.0' % (BUCKET, bound) for bound in range(40_000)),
    'buckets that share contexts': lambda page: (
        b'%s{user="%d",le="%d.0"} %d.0' % (BUCKET, user, bound, page) for user in range(2) for bound in range(9_000)
    ),
    'values of users by worker': lambda page: (
        b'%s{user="%d",pid="%d"} %d.0' % (BUDGET, user, pid, page if pid else 0)
        for user in range(25_000)
        for pid in range(2)
    ),
    'a family declared again and again': lambda _: repeat(b'# TYPE new counter\nnew 1\n# TYPE new gauge', 20_000),
    'samples before their types': lambda _: chain(
        (b'litellm_requests_metric_total{model="%d"} 1.0' % number for number in range(30_000)),
        (b'litellm_new_%d 1' % number for number in range(4_000)),
        (b'# TYPE litellm_new_%d gauge' % number for number in range(4_000)),
    ),
    'blanks': lambda _: repeat(b' \n\r\n\t', 200_000),
}


@pytest.mark.parametrize('name', LONG_PAGES)
def test_a_page_takes_time_as_it_is_long(name: str, endpoint: Endpoint) -> None:
    check = check_of(endpoint.url, max_page_seconds=60, exclude_labels=['user'], collect_unknown_metrics=True)
    taken = 0.0
    for page in range(2):
        body = PAGE + TYPES + b''.join(line + b'\n' for line in LONG_PAGES[name](page))
        endpoint.script = partial(answer, body)
        started = time.thread_time()
        assert check.run() == ''
        taken += time.thread_time() - started

    assert taken < SOON


def test_what_another_program_debugs_of_http_prints_no_secret(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, 'debuglevel', 1)
    endpoint.script = lambda: answer(PAGE, 'Set-Cookie: session=sk-secret')

    assert error_of(endpoint.url, extra_headers={'x-litellm-api-key': 'sk-secret'}) == ''
    assert 'x-litellm-api-key: sk-secret' in endpoint.requests[0]
    assert 'sk-secret' not in ''.join(capfd.readouterr())


def test_a_token_that_never_comes_ends_in_time_and_is_used_when_it_comes(endpoint: Endpoint, tmp_path: Path) -> None:
    """A pipe has something to read only once somebody writes into it."""
    pipe = tmp_path / 'key'
    os.mkfifo(pipe)
    endpoint.script = lambda: answer(PAGE)
    token = {
        'reader': {'type': 'file', 'path': str(pipe)},
        'writer': {'type': 'header', 'name': 'Authorization', 'value': 'Bearer <TOKEN>'},
    }
    check = check_of(endpoint.url, auth_token=token, timeout=0.2)
    threads = threading.active_count()
    for _ in range(3):
        assert 'cannot get a token (Timeout)' in run_soon(check)
    assert threading.active_count() == threads + 1

    pipe.write_text('sk-late')
    wait_for(lambda: threading.active_count() <= threads)
    assert run_soon(check) == ''
    assert 'Authorization: Bearer sk-late' in endpoint.requests[-1]


def test_a_token_that_never_comes_is_asked_for_again(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as from a server that accepts connections and never answers: `dcos_auth` knows no timeout."""
    monkeypatch.setattr(background_call, 'FIRST_HANG', 0.1)
    os.mkfifo(tmp_path / 'key')
    endpoint.script = lambda: answer(PAGE)
    token = {
        'reader': {'type': 'file', 'path': str(tmp_path / 'key')},
        'writer': {'type': 'header', 'name': 'Authorization', 'value': 'Bearer <TOKEN>'},
    }
    check = check_of(endpoint.url, auth_token=token, timeout=0.2)
    assert 'cannot get a token (Timeout)' in run_soon(check)
    (tmp_path / 'key').rename(tmp_path / 'hanging')
    (tmp_path / 'key').write_text('sk-new')
    wait_for(lambda: run_soon(check) == '')
    # Lets the thread go that hangs.
    (tmp_path / 'hanging').write_text('')

    assert 'Authorization: Bearer sk-new' in endpoint.requests[-1]


def test_calls_that_hang_for_a_month_leave_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    now, month = 0.0, 30 * 86_400.0
    monkeypatch.setattr(background_call, 'time', SimpleNamespace(monotonic=lambda: now))
    over = threading.Event()
    call = background_call.BackgroundCall(over.wait, 10.0)
    started = 0
    while now < month:
        started += call.start()
        with suppress(Timeout):
            call.result(0.0)
        now += 60.0
    over.set()

    assert 10 < started < 15
