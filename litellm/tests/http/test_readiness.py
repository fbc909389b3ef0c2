"""Tell whether the proxy takes requests and reaches its database, in the words of every release."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.transport.urls import root_of
from tests.support.endpoint import PROMETHEUS, Answer, Stall, answering, answering_json, serving_paths
from tests.support.misbehaving import Endpoint

RunCheck = Callable[..., object]

READY = 'litellm.proxy.ready'
DATABASE = 'litellm.proxy.database'
REQUESTS = 'litellm.in_flight_requests'

OK, CRITICAL, UNKNOWN = LitellmCheck.OK, LitellmCheck.CRITICAL, LitellmCheck.UNKNOWN

PATH = '/health/readiness'
TEXT = '# TYPE litellm_in_flight_requests gauge\nlitellm_in_flight_requests 3.0\n'
PAGE = answering(200, TEXT, {'Content-Type': PROMETHEUS})

# What releases before 1.84 tell besides.
LONG = {'status': 'healthy', 'cache': 'redis', 'litellm_version': '1.80.11', 'success_callbacks': ['a', 'b']}
SHORT = {'status': 'healthy'}


def check_of(url: str, **options: Any) -> LitellmCheck:
    return LitellmCheck('litellm', {}, [{'openmetrics_endpoint': f'{url}/metrics/', **options}])


def statuses(aggregator: AggregatorStub, name: str) -> list[int]:
    return [found.status for found in aggregator.service_checks(name)]


def counting(answer: Answer, requests: list[str]) -> Answer:
    def counted(request: BaseHTTPRequestHandler) -> None:
        requests.append(request.path)
        answer(request)

    return counted


@pytest.mark.parametrize(
    ('answer', 'ready', 'database', 'message'),
    [
        (answering_json({**LONG, 'db': 'connected'}), OK, OK, ''),
        (answering_json({**LONG, 'db': 'Not connected'}), OK, UNKNOWN, 'the proxy runs without a database'),
        (
            answering_json({'detail': 'Service Unhealthy (postgres://me:secret@db)'}, 503),
            CRITICAL,
            CRITICAL,
            '503: the proxy is not accepting requests because the proxy cannot reach its database',
        ),
        (answering_json({**SHORT, 'db': 'connected'}), OK, OK, ''),
        (answering_json({**SHORT, 'db': 'Not connected'}), OK, UNKNOWN, 'without a database'),
        (answering_json({**SHORT, 'db': 'disconnected'}, 503), CRITICAL, CRITICAL, 'cannot reach its database'),
        (answering_json({**SHORT, 'db': 'stalled'}, 503), CRITICAL, CRITICAL, 'database lookups hang'),
        # With `allow_requests_on_db_unavailable`.
        (answering_json({**SHORT, 'db': 'disconnected'}), OK, CRITICAL, 'cannot reach its database'),
        (answering_json({**SHORT, 'db': 'unknown'}), OK, UNKNOWN, 'a database state that the check does not know'),
        (answering_json({**SHORT, 'db': 'secret'}), OK, UNKNOWN, 'a database state that the check does not know'),
        (answering_json({**SHORT, 'db': ['secret']}), OK, UNKNOWN, 'does not currently report'),
        (answering_json({'status': 'shutting_down'}, 503), CRITICAL, UNKNOWN, '503: the proxy is shutting down'),
        (answering_json({'status': 'connected'}), OK, None, ''),
        (answering(503, 'no healthy upstream'), CRITICAL, UNKNOWN, '503: the proxy, or a gateway in front of it'),
        (answering(502, '<html>secret</html>'), CRITICAL, UNKNOWN, '502: the proxy, or a gateway in front of it'),
        (answering(500, '{}'), CRITICAL, UNKNOWN, '500: the proxy, or a gateway in front of it'),
        (answering_json([], 503), CRITICAL, UNKNOWN, '503: the proxy, or a gateway in front of it'),
        (answering(401, 'secret'), UNKNOWN, None, '401 from /health/readiness, which LiteLLM serves without a key'),
        (answering(429), UNKNOWN, None, '429 from /health/readiness'),
    ],
    ids=[
        'long', 'long without database', 'long down', 'short', 'short without database', 'short down', 'stalled',
        'serving without database', 'unknown', 'new word', 'no word', 'shutting down', 'no database told',
        'balancer', 'gateway', '500', 'list', '401', '429',
    ],
)  # fmt: skip
@pytest.mark.parametrize('scrape_fails', [False, True], ids=['', 'scrape fails'])
def test_what_the_proxy_says_becomes_two_service_checks(
    answer: Answer,
    ready: int,
    database: int | None,
    message: str,
    scrape_fails: bool,
    aggregator: AggregatorStub,
    dd_run_check: RunCheck,
) -> None:
    with serving_paths({'/metrics/': answering(500) if scrape_fails else PAGE, PATH: answer}) as url:
        check = check_of(url, tags=['team:ai'])
        if scrape_fails:
            with pytest.raises(Exception, match='500 Internal Server Error'):
                dd_run_check(check)
        else:
            dd_run_check(check)

    assert statuses(aggregator, READY) == [ready]
    assert statuses(aggregator, DATABASE) == ([] if database is None else [database])
    found = [*aggregator.service_checks(READY), *aggregator.service_checks(DATABASE)]
    assert message in ' '.join(check.message for check in found)
    assert 'secret' not in ' '.join(check.message for check in found)
    assert {tuple(check.tags) for check in found} == {('team:ai', f'endpoint:{url}/metrics/')}
    assert [check.message for check in found if check.status == OK and check.message] == []
    assert [check.message for check in found if check.status != OK and not check.message] == []


NOT_CONNECTED = answering_json({**SHORT, 'db': 'Not connected'})


@pytest.mark.parametrize(
    'before',
    [
        answering_json({**SHORT, 'db': 'connected'}),
        answering_json({**SHORT, 'db': 'disconnected'}, 503),
        answering_json({'detail': 'Service Unhealthy (timeout)'}, 503),
    ],
    ids=['connected', 'disconnected', 'long down'],
)
def test_a_proxy_that_had_a_database_has_lost_it_when_it_is_not_connected(
    before: Answer, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    answers = [before, NOT_CONNECTED]
    with serving_paths({'/metrics/': PAGE, PATH: lambda request: answers.pop(0)(request)}) as url:
        check = check_of(url)
        dd_run_check(check)
        dd_run_check(check)

    assert statuses(aggregator, DATABASE)[1] == CRITICAL
    assert 'should have a database' in aggregator.service_checks(DATABASE)[1].message
    assert statuses(aggregator, READY)[1] == OK


@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
def test_a_proxy_that_counts_database_calls_should_be_connected(
    stock: bool, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    family = 'litellm_postgres_total_requests_total'
    text = f'{TEXT}# TYPE {family} counter\n{family}{{postgres="postgres"}} 8\n'
    page = answering(200, text, {'Content-Type': PROMETHEUS})
    with serving_paths({'/metrics/': page, PATH: NOT_CONNECTED}) as url:
        dd_run_check(check_of(url, use_stock_scraper=stock))

    assert statuses(aggregator, DATABASE) == [CRITICAL]


def test_a_proxy_that_is_expected_to_have_a_database_should_be_connected(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with serving_paths({'/metrics/': PAGE, PATH: NOT_CONNECTED}) as url:
        dd_run_check(check_of(url, expect_database=True))

    assert statuses(aggregator, DATABASE) == [CRITICAL]


def test_a_proxy_that_is_gone_is_not_ready(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with pytest.raises(Exception, match='Connection refused'):
        dd_run_check(check_of('http://127.0.0.1:9'))

    assert statuses(aggregator, READY) == [CRITICAL]
    assert statuses(aggregator, DATABASE) == [UNKNOWN]
    assert 'cannot connect (Connection refused)' in aggregator.service_checks(READY)[0].message


@pytest.mark.parametrize(
    ('metrics_url', 'root'),
    [
        ('http://host:4000/metrics/', 'http://host:4000'),
        ('http://host:4000/metrics', 'http://host:4000'),
        ('https://host/litellm/metrics/', 'https://host/litellm'),
        ('https://host/a/b/metrics', 'https://host/a/b'),
        ('http://host:4000/metrics/?name[]=litellm_spend_metric_total', 'http://host:4000'),
        ('http://[::1]:4000/metrics/', 'http://[::1]:4000'),
        ('http://host:4000/', None),
        ('http://host:4000/prometheus', None),
        ('http://host:4000/mymetrics/', None),
    ],
)
def test_other_endpoints_are_below_what_is_in_front_of_the_metrics(metrics_url: str, root: str | None) -> None:
    assert root_of(metrics_url) == root


def test_a_proxy_below_a_path_is_asked_below_it(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    answers = {'/litellm/metrics/': PAGE, f'/litellm{PATH}': answering_json({**SHORT, 'db': 'connected'})}
    with serving_paths(answers) as url:
        dd_run_check(check_of(f'{url}/litellm'))

    assert statuses(aggregator, READY) == [OK]


@pytest.mark.parametrize(
    'answer',
    [
        answering(404),
        answering(405),
        answering(200, TEXT, {'Content-Type': PROMETHEUS}),
        answering(200, 'x' * 100_000),
        answering_json('OK'),
        answering_json({}),
        answering_json({'status': 3}),
    ],
    ids=['404', '405', 'a metrics page', 'a long page', 'text', 'nothing', 'no status'],
)
def test_where_a_derived_url_serves_something_else_nothing_is_said_and_nothing_asked_for_an_hour(
    answer: Answer, aggregator: AggregatorStub, dd_run_check: RunCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on LiteLLM's port for metrics alone, or before a gateway that hides the rest."""
    requests: list[str] = []
    with serving_paths({'/metrics/': PAGE, PATH: counting(answer, requests)}) as url:
        check = check_of(url)
        for _ in range(3):
            dd_run_check(check)
        assert len(requests) == 1

        clock = time.monotonic
        monkeypatch.setattr(time, 'monotonic', lambda: clock() + 3601)
        dd_run_check(check)
        assert len(requests) == 2

    assert aggregator.service_checks(READY) == aggregator.service_checks(DATABASE) == []
    aggregator.assert_metric(REQUESTS, 3, count=4)


def test_where_a_configured_url_serves_something_else_it_is_said(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with serving_paths({'/metrics/': PAGE}) as url:
        check = check_of(url, litellm_readiness_endpoint=f'{url}/ready')
        dd_run_check(check)
        dd_run_check(check)

    assert statuses(aggregator, READY) == [UNKNOWN, UNKNOWN]
    assert 'set `litellm_readiness_endpoint` to a URL such as' in aggregator.service_checks(READY)[0].message
    assert statuses(aggregator, DATABASE) == []


def test_metrics_and_readiness_may_be_on_two_ports(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with (
        serving_paths({'/metrics/': PAGE}) as metrics,
        serving_paths({PATH: answering_json({**SHORT, 'db': 'connected'})}) as proxy,
    ):
        dd_run_check(check_of(metrics, litellm_readiness_endpoint=f'{proxy}{PATH}'))

    assert statuses(aggregator, READY) == [OK]
    assert aggregator.service_checks(READY)[0].tags == [f'endpoint:{metrics}/metrics/']


def test_it_can_be_switched_off(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    requests: list[str] = []
    answer = counting(answering_json(SHORT), requests)
    with serving_paths({'/metrics/': PAGE, PATH: answer}) as url:
        dd_run_check(check_of(url, collect_readiness=False, litellm_readiness_endpoint=f'{url}{PATH}'))

    assert requests == []
    assert aggregator.service_checks(READY) == []


def test_it_comes_back_after_a_failure(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    answers = [answering(503), answering_json({**SHORT, 'db': 'connected'})]
    with serving_paths({'/metrics/': PAGE, PATH: lambda request: answers.pop(0)(request)}) as url:
        check = check_of(url)
        dd_run_check(check)
        dd_run_check(check)

    assert statuses(aggregator, READY) == [CRITICAL, OK]


def test_a_proxy_that_does_not_answer_costs_the_timeout_and_is_not_ready(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with Stall() as stall, serving_paths({'/metrics/': PAGE, PATH: stall}) as url:
        dd_run_check(check_of(url, timeout=0.3))
        stall.let_go.set()

    assert statuses(aggregator, READY) == [CRITICAL]
    assert 'no complete response within 0.3 seconds' in aggregator.service_checks(READY)[0].message
    aggregator.assert_metric(REQUESTS, 3)


def test_a_proxy_that_answers_again_is_asked_anew_whatever_comes_late(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    late = Stall(answering(503))
    answers: list[Answer] = [late, answering_json({**SHORT, 'db': 'connected'})]
    with serving_paths({'/metrics/': PAGE, PATH: lambda request: answers.pop(0)(request)}) as url:
        check = check_of(url, timeout=0.3)
        dd_run_check(check)
        late.let_go.set()
        for thread in threading.enumerate():
            if thread.name == 'litellm-background-call':
                thread.join(20)
        dd_run_check(check)

    assert statuses(aggregator, READY) == [CRITICAL, OK]


def test_headers_that_drip_delay_a_run_no_longer_than_the_timeout_and_keep_no_thread(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        with suppress(OSError):
            request.wfile.write(b'HTTP/1.1 200 OK\r\nX-Drip: ')
            while not over.wait(0.02):
                request.wfile.write(b'x')

    with serving_paths({'/metrics/': PAGE, PATH: drip}) as url:
        check = check_of(url, timeout=0.3)
        for _ in range(2):
            started = time.monotonic()
            dd_run_check(check)
            assert time.monotonic() - started < 5
            for thread in threading.enumerate():
                if thread.name == 'litellm-background-call':
                    thread.join(5)
                    assert not thread.is_alive()
        over.set()

    assert statuses(aggregator, READY) == [CRITICAL, CRITICAL]
    aggregator.assert_metric(REQUESTS, 3, count=2)


def test_a_proxy_is_ready_whose_first_address_is_not_reached(
    monkeypatch: pytest.MonkeyPatch, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    """Such as one of IPv6 that is not routed, before that of IPv4."""
    answers = {'/metrics/': PAGE, PATH: answering_json({**LONG, 'db': 'connected'})}
    with Endpoint() as first, first.deaf(), serving_paths(answers) as url:
        addresses = [urlsplit(one).port for one in (first.url, url)]
        resolve = socket.getaddrinfo

        def resolving(host: str, *arguments: Any) -> list[Any]:
            if host != 'litellm.test':
                return resolve(host, *arguments)
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, '', ('127.0.0.1', port)) for port in addresses]

        monkeypatch.setattr(socket, 'getaddrinfo', resolving)
        dd_run_check(check_of(url, litellm_readiness_endpoint=f'http://litellm.test{PATH}', timeout=2))

    assert statuses(aggregator, READY) == [OK]
