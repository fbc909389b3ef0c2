"""A scrape that goes wrong says what to do, in the exception and in the service check, and leaves nothing behind.

Here are refusals and redirects; what else an endpoint may do is in `faults/test_faults.py`, for both scrapers too.
"""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.transport.redirects import NOT_REDIRECTED
from tests.support.endpoint import answering, serving, serving_page, serving_paths

RunCheck = Callable[..., object]

pytestmark = pytest.mark.usefixtures('first_page_counts')

HEALTH = 'litellm.openmetrics.health'
REQUESTS = 'litellm.proxy.total_requests.metric.count'
PAGE = """\
# HELP litellm_proxy_total_requests_metric_total Total number of requests made to the proxy server
# TYPE litellm_proxy_total_requests_metric_total counter
litellm_proxy_total_requests_metric_total{requested_model="gpt-4o"} 4.0
"""


@pytest.fixture(params=[False, True], ids=['exact', 'stock'])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Run a test with either scraper."""
    return {'use_stock_scraper': request.param}


def check_of(url: str, **options: Any) -> LitellmCheck:
    return LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **options}])


def failure(run_check: RunCheck, check: LitellmCheck) -> str:
    """Run a check that must fail and return what it says."""
    with pytest.raises(Exception, match='There was an error scraping endpoint') as raised:
        run_check(check, extract_message=True)
    return str(raised.value)


def assert_failed(aggregator: AggregatorStub, message: str) -> None:
    """Demand one critical service check with what the exception said, and no metric."""
    (health,) = aggregator.service_checks(HEALTH)
    assert health.status == LitellmCheck.CRITICAL
    assert health.message in message
    assert aggregator.metric_names == []


def test_a_key_that_is_refused_is_told_from_a_key_that_is_missing(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with serving(answering(401)) as url:
        message = failure(dd_run_check, check_of(url, headers={'Authorization': 'sk-secret'}, **options))

    assert 'rejected the key' in message
    assert 'sk-secret' not in message
    assert_failed(aggregator, message)


@pytest.mark.parametrize('user_info', ['', 'me:secret@'], ids=['options', 'URL'])
def test_a_user_that_is_sent_in_the_place_of_a_key_is_named(
    user_info: str, options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    user = {} if user_info else {'username': 'me', 'password': 'secret'}
    with serving(answering(401)) as url:
        key = {'Authorization': 'Bearer sk-1'}
        check = check_of(url.replace('://', f'://{user_info}'), extra_headers=key, **user, **options)
        message = failure(dd_run_check, check)

    assert 'They take the place of an `Authorization` header' in message
    assert 'secret' not in message


@pytest.mark.parametrize(
    ('sent', 'advice'),
    [({}, 'the proxy requires a key'), ({'x-litellm-api-key': 'sk-1'}, 'the proxy rejected the key')],
)
def test_a_refusal_after_a_redirect_on_the_same_host_is_explained_by_the_key(
    sent: dict[str, str], advice: str, options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    redirect = answering(307, headers={'Location': '/metrics/'})
    with serving_paths({'/metrics': redirect, '/metrics/': answering(401)}) as url:
        message = failure(dd_run_check, check_of(f'{url}/metrics', extra_headers=sent, **options))

    assert advice in message


def test_a_redirect_is_explained_when_redirects_are_off(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with serving(answering(307, headers={'Location': '/metrics/'})) as url:
        message = failure(dd_run_check, check_of(url, allow_redirects=False, **options))

    assert 'end `openmetrics_endpoint` with a slash' in message
    assert_failed(aggregator, message)


@pytest.mark.parametrize('follows', [True, False])
@pytest.mark.parametrize(
    ('status', 'advice'),
    [
        (300, 'the response has no page'),
        (304, 'turn off its cache for this URL'),
        (407, 'put them into its URL in `proxy`'),
        (305, 'the response has no page'),
        (306, 'the response has no page'),
    ],
)
def test_what_is_no_redirect_is_not_taken_for_one_though_it_has_a_location(
    status: int, advice: str, follows: bool, options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    with serving(answering(status, headers={'Location': '/metrics/'})) as url:
        message = failure(dd_run_check, check_of(url, allow_redirects=follows, **options))

    assert advice in message
    assert 'redirect' not in message


def test_ignored_connection_errors_are_not_raised_but_seen_in_the_service_check(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    check = check_of('http://127.0.0.1:9/metrics/', ignore_connection_errors=True, **options)
    dd_run_check(check)

    aggregator.assert_service_check(HEALTH, LitellmCheck.CRITICAL, count=1)
    assert aggregator.metric_names == []


def test_an_unlicensed_proxy_is_warned_of_and_collected(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = """\
# TYPE litellm_not_a_premium_user_metric_total counter
litellm_not_a_premium_user_metric_total 0.0
# TYPE litellm_redis_latency histogram
litellm_redis_latency_bucket{le="+Inf",redis="redis"} 3.0
litellm_redis_latency_count{redis="redis"} 3.0
litellm_redis_latency_sum{redis="redis"} 0.5
"""
    with serving_page(page) as url:
        check = check_of(url, **options)
        dd_run_check(check)

    assert any('only with an enterprise license' in warning for warning in check.warnings)
    aggregator.assert_metric('litellm.redis.latency.count', 3)
    aggregator.assert_service_check(HEALTH, LitellmCheck.OK, count=1)


def test_an_empty_page_is_warned_of(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    """A proxy with several workers has an empty page until its first request."""
    with serving_page('') as url:
        check = check_of(url, **options)
        dd_run_check(check)

    assert any('is empty' in warning for warning in check.warnings)
    aggregator.assert_service_check(HEALTH, LitellmCheck.OK, count=1)


@pytest.mark.parametrize(
    ('redirect', 'named'),
    [
        ('/metrics/there', 'behind a redirect (307 on the same host): '),
        ('/metrics//', 'behind a redirect (307 to the same path with a slash): '),
        ('{elsewhere}/metrics/there', 'behind a redirect (307 to another port): '),
    ],
)
@pytest.mark.parametrize('status', [404, 500])
def test_an_error_behind_a_redirect_names_the_redirect(
    redirect: str, named: str, status: int, options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    answers = dict.fromkeys(('/metrics/there', '/metrics//'), answering(status))
    with serving_paths(answers) as elsewhere:
        location = redirect.format(elsewhere=elsewhere)
        with serving_paths({**answers, '/metrics/': answering(307, headers={'Location': location})}) as url:
            message = failure(dd_run_check, check_of(f'{url}/metrics/', **options))

    assert f'{named}{status}' in message


@pytest.mark.parametrize(
    ('location', 'problem'),
    [
        ('', '307 Temporary Redirect: the response has no page'),
        ('http://127.0.0.1:99999/', 'behind a redirect (307 to no URL): the request failed'),
    ],
)
def test_a_redirect_to_no_url_is_told(
    location: str, problem: str, options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    with serving(answering(307, headers={'Location': location})) as url:
        assert problem in failure(dd_run_check, check_of(url, **options))


def test_a_redirect_to_where_nobody_listens_is_named(options: dict[str, Any], dd_run_check: RunCheck) -> None:
    with serving(answering(302, headers={'Location': 'http://127.0.0.1:9/metrics/'})) as url:
        message = failure(dd_run_check, check_of(url, **options))

    assert 'behind a redirect (302 to another port): cannot connect' in message


def test_a_page_behind_a_redirect_that_is_none_names_the_redirect(
    options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    """Such is a gateway that sends whoever has no session to its login page."""
    answers = {
        '/metrics/': answering(302, headers={'Location': '/login'}),
        '/login': answering(200, '<html>', {'Content-Type': 'text/html'}),
    }
    with serving_paths(answers) as url:
        message = failure(dd_run_check, check_of(f'{url}/metrics/', **options))

    assert 'behind a redirect (302 on the same host): the endpoint returned text/html' in message


def test_a_key_that_is_dropped_on_the_way_and_back_is_no_missing_key(
    options: dict[str, Any], dd_run_check: RunCheck
) -> None:
    """So it goes where a proxy that knows nothing of its TLS redirects to http://, and the ingress back to https://."""
    keys: list[str | None] = []

    def refuse(request: BaseHTTPRequestHandler) -> None:
        keys.append(request.headers.get('Authorization'))
        answering(401)(request)

    urls: list[str] = []
    bounce = {'/metrics/': lambda request: answering(308, headers={'Location': f'{urls[0]}/metrics/'})(request)}
    with serving_paths(bounce) as detour:
        first = {'/metrics': answering(307, headers={'Location': f'{detour}/metrics/'}), '/metrics/': refuse}
        with serving_paths(first) as front:
            urls.append(front)
            key = {'extra_headers': {'Authorization': 'Bearer sk-made-up'}}
            message = failure(dd_run_check, check_of(f'{front}/metrics', **key, **options))
            without = failure(dd_run_check, check_of(f'{front}/metrics', **options))

    assert keys == [None, None]
    assert 'keys are not forwarded there. End `openmetrics_endpoint` with a slash' in message
    assert 'the proxy requires a key' in without
    assert 'behind 2 redirects (307 to another port, then 308 to another port)' in message


def test_redirects_are_described_without_their_urls() -> None:
    hops = NOT_REDIRECTED
    for target in (
        'http://me:secret@H/x?key=1',
        'https://H/x',
        'https://H/x/',
        'https://other/',
        'ftp://H',
        'http://[',
    ):
        hops = hops.then(302, 'https://H/x', target, drops_key=False)

    assert hops.before('x') == (
        'behind 6 redirects (302 from https to http, then 302 on the same host, then 302 to the same path with a '
        'slash, then 302 to another host, then 302 from https to another scheme, then 302 to no URL): x'
    )
