"""Compression and connections that are kept: whatever comes of them, a proxy that answers plainly is scraped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from itertools import cycle, pairwise, repeat
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.page.exposition import read_lines
from datadog_checks.litellm.scrapers import base, optimization
from datadog_checks.litellm.transport.client import MOST_COOKIES
from tests.support.endpoint import PROMETHEUS, Answer, answering, serving
from tests.support.simulated_proxy import SimulatedProxy
from tests.support.troubles import DAMAGED, TROUBLES, answering_on_the_way, reset
from tests.support.watch import REQUESTS, Watch

PAGE = '# TYPE litellm_in_flight_requests gauge\nlitellm_in_flight_requests 3.0\n'

# Answers that are a page without families.
EMPTY = {name: TROUBLES[name] for name in ('nothing', 'nothing of any type', 'a comment', 'no types')}
SUSPECT = {**DAMAGED, **EMPTY}
UNEXPECTED = sorted(TROUBLES.keys() - SUSPECT.keys() - {'time-out'})


@pytest.fixture
def proxy() -> Iterator[SimulatedProxy]:
    with SimulatedProxy() as one:
        yield one


def watch(proxy: SimulatedProxy, **options: Any) -> Watch:
    return Watch(proxy, LitellmCheck, max_page_bytes=1_000_000, **options)


def is_optimized(request: BaseHTTPRequestHandler) -> bool:
    return request.headers['Accept-Encoding'] != 'identity' and request.headers['Connection'] != 'close'


def gateway(
    proxy: SimulatedProxy, answers: Iterator[Answer | None], asked: list[bool] | None = None
) -> AbstractContextManager[None]:
    """Answer each optimized request with the next of these, and take note of what requests were optimized."""

    def is_meant(request: BaseHTTPRequestHandler) -> bool:
        if asked is not None:
            asked.append(is_optimized(request))
        return is_optimized(request)

    return answering_on_the_way(proxy, is_meant, answers)


@pytest.mark.parametrize('options', [{}, {'use_stock_scraper': True}], ids=['exact', 'stock'])
@pytest.mark.parametrize('trouble', SUSPECT)
def test_trouble_with_compression_costs_no_scrape_and_is_told_once(
    trouble: str, options: dict[str, Any], proxy: SimulatedProxy
) -> None:
    one = watch(proxy, **options)
    proxy.count(REQUESTS, model='a')
    with gateway(proxy, repeat(SUSPECT[trouble])):
        for _ in range(optimization.FIRST_REST + 10):
            proxy.count(REQUESTS, model='a')
            assert one.scrape().error == ''

    assert one.requests() == optimization.FIRST_REST + 9
    assert ['Accept-Encoding: identity' in warning for warning in one.warnings] == [True]


def test_compression_is_tried_again_from_time_to_time_and_ever_more_rarely(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    asked: list[bool] = []
    with gateway(proxy, repeat(DAMAGED['gzip cut']), asked):
        for _ in range(2 + 40 + 80 + 160 + 10):
            assert one.scrape().error == ''

    tried = [number for number, optimized in enumerate(asked) if optimized]
    # A run that tries makes two requests.
    assert [later - earlier for earlier, later in pairwise(tried)] == [42, 82, 162]


def test_compression_is_used_again_once_it_works(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    asked: list[bool] = []
    with gateway(proxy, iter([DAMAGED['gzip cut']]), asked):
        for _ in range(60):
            assert one.scrape().error == ''

    assert asked == [True] + [False] * 41 + [True] * 19


@pytest.mark.parametrize('trouble', UNEXPECTED)
def test_what_only_optimized_requests_meet_costs_one_scrape_and_is_told_once(
    trouble: str, proxy: SimulatedProxy
) -> None:
    one = watch(proxy)
    with gateway(proxy, repeat(TROUBLES[trouble])):
        outcomes = [bool(one.scrape().error) for _ in range(optimization.FIRST_REST + 5)]

    assert outcomes == [True, *[False] * (optimization.FIRST_REST + 4)]
    assert ['Accept-Encoding: identity' in warning for warning in one.warnings] == [True]


def test_a_failure_of_the_proxy_is_not_held_against_compression(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    asked: list[bool] = []
    with gateway(proxy, repeat(None), asked):
        one.scrape()
        passed_on = proxy._server.answer  # type: ignore[union-attr]
        proxy._server.answer = answering(503)  # type: ignore[union-attr]
        for _ in range(3):
            assert '503' in one.scrape().error
        proxy._server.answer = passed_on  # type: ignore[union-attr]
        for _ in range(3):
            assert one.scrape().error == ''

    assert asked == [True, False, True, True]
    assert one.warnings == []


def test_a_page_that_is_empty_however_it_is_requested_is_requested_the_plain_way_until_it_is_not() -> None:
    asked: list[bool] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(is_optimized(request))
        page = '' if len(asked) < 5 else PAGE
        answering(200, page, {'Content-Type': PROMETHEUS, 'Connection': 'close'})(request)

    with serving(answer) as url:
        assert all(runs_of(url, 6))

    assert asked == [True, False, False, False, False, True, True]


def test_an_empty_page_now_and_then_is_that_of_another_proxy_behind_the_url(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    asked: list[bool] = []
    with gateway(proxy, cycle([None, None, None, EMPTY['nothing']]), asked):
        for _ in range(20):
            assert one.scrape().error == ''

    assert asked.count(False) == 5
    assert one.warnings == []


@pytest.mark.parametrize('option', ['headers', 'extra_headers'])
@pytest.mark.parametrize('encoding', ['identity', 'gzip'])
def test_an_encoding_that_the_user_chose_is_respected(option: str, encoding: str, proxy: SimulatedProxy) -> None:
    one = watch(proxy, **{option: {'accept-encoding': encoding}})
    sent: list[str | None] = []

    def is_meant(request: BaseHTTPRequestHandler) -> bool:
        sent.append(request.headers['Accept-Encoding'])
        return True

    with answering_on_the_way(proxy, is_meant, iter([DAMAGED['gzip cut']])):
        assert [bool(one.scrape().error) for _ in range(3)] == [True, False, False]

    assert sent == [encoding] * 3
    assert one.warnings == []


@pytest.mark.parametrize('headers', [{}, {'headers': {'X-Team': 'a'}}], ids=['default', 'headers'])
def test_only_encodings_that_can_be_read_are_asked_for(headers: dict[str, Any], proxy: SimulatedProxy) -> None:
    sent: list[str | None] = []

    def is_meant(request: BaseHTTPRequestHandler) -> bool:
        sent.append(request.headers['Accept-Encoding'])
        return False

    with answering_on_the_way(proxy, is_meant, iter([])):
        assert watch(proxy, **headers).scrape().error == ''

    assert sent == ['gzip, deflate']


def test_a_connection_that_breaks_when_it_is_used_again_costs_no_scrape(proxy: SimulatedProxy) -> None:
    one = watch(proxy, persist_connections=True, extra_headers={'Accept-Encoding': 'identity'})

    def is_meant(request: BaseHTTPRequestHandler) -> bool:
        return request.headers['Connection'] != 'close'

    with answering_on_the_way(proxy, is_meant, repeat(reset)):
        for _ in range(10):
            assert one.scrape().error == ''

    assert ['persist_connections: false' in warning for warning in one.warnings] == [True]


@pytest.mark.parametrize(
    'trouble', [reset, answering(503), answering(200, '# TYPE another gauge\n')], ids=['reset', '503', 'another page']
)
def test_a_plain_request_is_on_a_new_connection_whatever_the_server_keeps(trouble: Answer) -> None:
    used: set[BaseHTTPRequestHandler] = set()

    def answer(request: BaseHTTPRequestHandler) -> None:
        good = answering(200, PAGE, {'Content-Type': PROMETHEUS})
        request.close_connection = False
        (trouble if request in used else good)(request)
        used.add(request)

    with serving(answer) as url:
        outcomes = runs_of(url, 100)

    # What does not look like trouble with a connection is asked for again by the next run, and then in the same one.
    assert outcomes == [True, trouble is reset, *[True] * 98]


@pytest.mark.parametrize('options', [{}, {'use_stock_scraper': True}], ids=['exact', 'stock'])
@pytest.mark.parametrize(
    'error', [AttributeError(), IndexError(), OverflowError(), RecursionError(), OSError()], ids=repr
)
def test_an_error_that_nobody_has_thought_of_costs_no_scrape(
    error: Exception, options: dict[str, Any], proxy: SimulatedProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(pieces: Any, *arguments: Any, **options: Any) -> Any:
        if is_compressed[-1]:
            raise error
        return read_lines(pieces, *arguments, **options)

    is_compressed: list[bool] = []
    monkeypatch.setattr(base, 'read_lines', read)
    with gateway(proxy, repeat(None), is_compressed):
        one = watch(proxy, **options)
        assert one.scrape().error == ''

    assert ['Accept-Encoding: identity' in warning for warning in one.warnings] == [True]


def test_cookies_that_are_refused_when_they_come_back_cost_one_scrape() -> None:
    cookies: list[bool] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        cookies.append('Cookie' in request.headers)
        headers = {'Content-Type': PROMETHEUS, 'Connection': 'close', 'Set-Cookie': f'session={"x" * 9_000}'}
        answering(431 if cookies[-1] else 200, PAGE, headers)(request)

    with serving(answer) as url:
        outcomes = runs_of(url, 10)

    assert outcomes == [True, False, *[True] * 8]
    assert cookies == [False, True, False, True, *[False] * 7]


def test_cookies_that_never_come_to_an_end_are_forgotten() -> None:
    most = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal most
        most = max(most, request.headers.get('Cookie', '').count('='))
        headers = {'Set-Cookie': f'session_{time.monotonic_ns()}=x', 'Connection': 'close'}
        answering(200, PAGE, {'Content-Type': PROMETHEUS, **headers})(request)

    with serving(answer) as url:
        assert all(runs_of(url, 2 * MOST_COOKIES))

    assert most == MOST_COOKIES


def runs_of(url: str, number: int) -> list[bool]:
    """Return which of so many runs that keep connections and cookies go well."""
    instance = {'openmetrics_endpoint': url, 'collect_readiness': False, 'persist_connections': True}
    check = LitellmCheck('litellm', {}, [instance])
    return [check.run() == '' for _ in range(number)]


@given(
    answers=st.lists(st.sampled_from([None, *SUSPECT]), max_size=30),
    rest=st.integers(1, 4),
)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_comes_of_compression_a_proxy_that_answers_plainly_is_scraped(
    answers: list[str | None], rest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, SimulatedProxy() as proxy:
        patch.setattr(optimization, 'FIRST_REST', rest)
        one = watch(proxy)
        proxy.count(REQUESTS, model='a')
        with gateway(proxy, (None if name is None else SUSPECT[name] for name in answers)):
            for number in range(1, 40):
                proxy.count(REQUESTS, model='a')
                assert one.scrape().error == ''
                assert one.requests() == number - 1


@given(
    answers=st.lists(st.sampled_from([None, *SUSPECT, *UNEXPECTED]), max_size=30),
    rest=st.integers(1, 4),
)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_comes_of_optimized_requests_never_two_scrapes_fail_in_a_row(
    answers: list[str | None], rest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, SimulatedProxy() as proxy:
        patch.setattr(optimization, 'FIRST_REST', rest)
        one = watch(proxy)
        proxy.count(REQUESTS, model='a')
        one.scrape()
        outcomes = []
        with gateway(proxy, (None if name is None else TROUBLES[name] for name in answers)):
            for _ in range(40):
                proxy.count(REQUESTS, model='a')
                outcomes.append(one.scrape().error)

        assert not any(first and second for first, second in pairwise(outcomes))
        assert one.requests() == 40
