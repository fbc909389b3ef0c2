"""Requests use the instance's HTTP options, and its credentials reach the host they are for and no other."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ECONNREFUSED
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from requests.exceptions import ConnectionError
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError

from datadog_checks.base.errors import ConfigurationError
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.base.utils import http
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.secret_forms import without_user_info
from datadog_checks.litellm.transport.errors import NoTokenError, explain, is_refused
from datadog_checks.litellm.transport.redirects import NOT_REDIRECTED
from datadog_checks.litellm.transport.urls import Address, one_spelling, read_address
from tests.support.certificates import certificate_with_its_issuer_at
from tests.support.endpoint import PROMETHEUS, Answer, Pour, answering, answering_json, serving_paths
from tests.support.misbehaving import Endpoint, answer

RunCheck = Callable[..., object]

REQUESTS = 'litellm.in_flight_requests'
TEXT = '# TYPE litellm_in_flight_requests gauge\nlitellm_in_flight_requests 3.0\n'

ANSWERS: dict[str, Answer] = {
    '/metrics/': answering(200, TEXT, {'Content-Type': PROMETHEUS}),
    '/health': answering_json({'healthy_endpoints': [], 'unhealthy_endpoints': []}),
    '/health/readiness': answering_json({'status': 'healthy', 'db': 'connected'}),
    '/health/readiness/details': answering(404),
    '/public/model_hub/info': answering(404),
    '/openapi.json': answering_json({'info': {'version': '1.106.2'}}),
}


class Received(dict[str, dict[str, str]]):
    """The headers of the last request for each path, by their names in lower case."""

    def noting(self, answer: Answer) -> Answer:
        def noted(request: BaseHTTPRequestHandler) -> None:
            path = request.path.partition('?')[0]
            self[path] = {name.lower(): value for name, value in request.headers.items()}
            answer(request)

        return noted

    def each(self, header: str) -> set[str | None]:
        """Return the values of a header in all requests."""
        return {headers.get(header) for headers in self.values()}


@contextmanager
def proxy() -> Iterator[tuple[str, Received]]:
    received = Received()
    with serving_paths({path: received.noting(answer) for path, answer in ANSWERS.items()}) as url:
        yield url, received


@contextmanager
def redirecting_to(target: Callable[[], str]) -> Iterator[tuple[str, Received]]:
    """Redirect each request to the same path elsewhere, with a body that nobody should read."""
    received = Received()

    def redirect(request: BaseHTTPRequestHandler) -> None:
        answering(307, 'x' * 1000, {'Location': f'{target()}{request.path}'})(request)

    with serving_paths({path: received.noting(redirect) for path in ANSWERS}) as url:
        yield url, received


def check_of(url: str, **options: Any) -> LitellmCheck:
    instance = {'openmetrics_endpoint': f'{url}/metrics/', 'litellm_health_endpoint': f'{url}/health', **options}
    return LitellmCheck('litellm', {}, [instance])


def basic(user: str, password: str) -> str:
    return f'Basic {base64.b64encode(f"{user}:{password}".encode()).decode()}'


def with_user_info(url: str, user_info: str) -> str:
    return url.replace('://', f'://{user_info}@')


def token(path: Path) -> dict[str, Any]:
    return {
        'reader': {'type': 'file', 'path': str(path)},
        'writer': {'type': 'header', 'name': 'x-litellm-api-key', 'value': 'Bearer <TOKEN>'},
    }


@pytest.mark.parametrize(
    ('options', 'header', 'value'),
    [
        ({'extra_headers': {'Authorization': 'Bearer sk-1'}}, 'authorization', 'Bearer sk-1'),
        ({'headers': {'x-litellm-api-key': 'sk-1'}}, 'x-litellm-api-key', 'sk-1'),
        ({'username': 'me', 'password': 'secret'}, 'authorization', basic('me', 'secret')),
    ],
    ids=['extra_headers', 'headers', 'username'],
)
def test_every_request_carries_the_credentials_of_the_options(
    options: dict[str, Any], header: str, value: str, dd_run_check: RunCheck
) -> None:
    with proxy() as (url, received):
        dd_run_check(check_of(url, **options))

    assert received.keys() == ANSWERS.keys()
    assert received.each(header) == {value}


def test_probes_are_plain_requests(dd_run_check: RunCheck) -> None:
    """Whatever damages compressed answers or kept connections on the way costs no answer that is paid for."""
    with proxy() as (url, received):
        dd_run_check(check_of(url, persist_connections=True))
    probes = {path: headers for path, headers in received.items() if path != '/metrics/'}

    assert probes.keys() >= {'/health', '/health/readiness'}
    assert {(headers['accept-encoding'], headers['connection']) for headers in probes.values()} == {
        ('identity', 'close')
    }
    assert received['/metrics/']['accept-encoding'] == 'gzip, deflate'


@pytest.mark.parametrize('option', ['headers', 'extra_headers'])
def test_probes_have_the_headers_that_the_options_set(option: str, dd_run_check: RunCheck) -> None:
    chosen = {'accept-encoding': 'gzip', 'Connection': 'keep-alive'}
    with proxy() as (url, received):
        dd_run_check(check_of(url, **{option: chosen}))

    assert received.each('accept-encoding') == {'gzip'}
    assert received.each('connection') == {'keep-alive'}


def test_every_request_carries_the_token_of_a_file(tmp_path: Path, dd_run_check: RunCheck) -> None:
    (tmp_path / 'key').write_text('sk-1\n')
    with proxy() as (url, received):
        dd_run_check(check_of(url, auth_token=token(tmp_path / 'key')))

    assert received.keys() == ANSWERS.keys()
    assert received.each('x-litellm-api-key') == {'Bearer sk-1'}


@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
def test_a_token_that_was_replaced_in_its_file_is_read_anew_by_the_scrape_that_is_refused(
    stock: bool, tmp_path: Path, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    (tmp_path / 'key').write_text('sk-1')
    keys = []

    def locked(request: BaseHTTPRequestHandler) -> None:
        keys.append(request.headers['x-litellm-api-key'])
        (ANSWERS['/metrics/'] if keys[-1].endswith((tmp_path / 'key').read_text()) else answering(401))(request)

    with serving_paths({'/metrics/': locked}) as url:
        instance = {'openmetrics_endpoint': f'{url}/metrics/', 'auth_token': token(tmp_path / 'key')}
        check = LitellmCheck('litellm', {}, [{**instance, 'use_stock_scraper': stock}])
        dd_run_check(check)
        (tmp_path / 'key').write_text('sk-2')
        dd_run_check(check)

    assert keys == ['Bearer sk-1', 'Bearer sk-1', 'Bearer sk-2']
    aggregator.assert_metric(REQUESTS, 3, count=2)


class Asking:
    """A reader that asks an endpoint for a token, in place of that of the base package, which needs more libraries."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._url = config['url']

    def read(self, **_: object) -> str:
        return requests.get(self._url, timeout=1).text


def test_an_endpoint_of_tokens_that_is_gone_says_nothing_about_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell it from a proxy that refuses to connect: the page after that is a new one's, and counts in full."""
    monkeypatch.setitem(http.AUTH_TOKEN_READERS, 'oauth', Asking)
    auth_token = {**token(Path()), 'reader': {'type': 'oauth', 'url': 'http://127.0.0.1:9/'}}
    check = check_of('http://127.0.0.1:9', auth_token=auth_token)
    message = json.loads(check.run())[0]['message']
    (scraper,) = check.scrapers.values()
    with pytest.raises(NoTokenError) as raised:
        scraper.send_request()

    assert message.count('cannot get a token') == 1
    assert 'cannot get a token (ConnectionError)' in message
    assert not is_refused(raised.value)


def test_a_forward_proxy_that_is_gone_says_nothing_about_the_proxy(aggregator: AggregatorStub) -> None:
    with Endpoint() as forward_proxy:
        check = check_of('http://litellm.invalid', proxy={'http': forward_proxy.url}, collect_readiness=False)
        forward_proxy.script = lambda: answer(
            b'# TYPE litellm_spend_metric_total counter\nlitellm_spend_metric_total 9\n'
        )
        with forward_proxy.refusing():
            assert 'cannot connect through the forward proxy' in check.run()
        assert check.run() == ''

    aggregator.assert_metric('litellm.spend.metric.count', count=0)


def test_a_forward_proxy_of_socks_that_is_gone_is_told_from_the_proxy() -> None:
    """Its errors are those of PySocks, which the Agent has: the error of the socket is where they come from."""

    class SocksError(OSError):
        socket_err: OSError

    gone, unconnected = SocksError(), NewConnectionError(HTTPConnection('litellm.invalid'), 'no connection')
    gone.socket_err = ConnectionRefusedError(ECONNREFUSED, 'Connection refused')
    gone.__context__, unconnected.__context__ = gone.socket_err, gone
    error = ConnectionError(MaxRetryError(HTTPConnectionPool('litellm.invalid'), '/metrics/', unconnected))

    assert not is_refused(error)
    assert 'through the forward proxy' in str(explain(error, NOT_REDIRECTED))


def test_every_request_goes_through_the_forward_proxy(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    received = Received()
    answers = {f'http://litellm.invalid{path}': received.noting(answer) for path, answer in ANSWERS.items()}
    with serving_paths(answers) as forward_proxy:
        dd_run_check(check_of('http://litellm.invalid', proxy={'http': forward_proxy}))

    assert len(received) == len(ANSWERS) - 1  # Without a key the details are not asked for.
    aggregator.assert_metric(REQUESTS, 3)


@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
def test_every_request_carries_the_user_info_of_its_url(
    stock: bool, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy() as (url, received):
        known = with_user_info(url, 'me:p%40ss%2Fword')
        dd_run_check(check_of(known, use_stock_scraper=stock))

        assert received.keys() == ANSWERS.keys()
        assert received.each('authorization') == {basic('me', 'p@ss/word')}
        aggregator.assert_metric(REQUESTS, 3, tags=[f'endpoint:{url}/metrics/'])
        aggregator.assert_metric_has_tag('litellm.endpoint.age', f'health_endpoint:{url}/health')


def test_each_url_has_a_user_info_of_its_own(dd_run_check: RunCheck) -> None:
    with proxy() as (url, received):
        options = {
            'litellm_health_endpoint': with_user_info(f'{url}/health', 'health:b'),
            'litellm_readiness_endpoint': f'{url}/health/readiness',
        }
        dd_run_check(check_of(with_user_info(url, 'metrics:a'), **options))

    assert received['/metrics/']['authorization'] == basic('metrics', 'a')
    assert received['/health']['authorization'] == basic('health', 'b')
    assert 'authorization' not in received['/health/readiness']


def test_a_user_of_the_options_goes_before_that_of_the_url(dd_run_check: RunCheck) -> None:
    with proxy() as (url, received):
        dd_run_check(check_of(with_user_info(url, 'a:b'), username='me', password='secret'))

    assert received.each('authorization') == {basic('me', 'secret')}


@pytest.mark.parametrize(
    'options',
    [
        {'extra_headers': {'Authorization': 'Bearer sk-1'}},
        {'extra_headers': {'x-litellm-api-key': 'sk-1', 'api-key': 'sk-1', 'X-My-Gateway': 'sk-1'}},
        {'headers': {'api-key': 'sk-1', 'Cookie': 'session=sk-1'}},
        {'username': 'sk-1', 'password': 'sk-1'},
        {'username': 'sk-1', 'password': 'sk-1', 'auth_type': 'digest'},
    ],
    ids=['Authorization', 'other headers', 'cookie', 'basic', 'digest'],
)
@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
def test_credentials_do_not_follow_a_redirect_to_another_host(
    options: dict[str, Any], stock: bool, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy() as (url, received), redirecting_to(lambda: url) as (front, _):
        dd_run_check(check_of(front, use_stock_scraper=stock, **options))

    assert ANSWERS.keys() - {'/health/readiness/details'} <= received.keys()
    sent = {name for headers in received.values() for name in headers}
    assert sent <= {'accept', 'accept-encoding', 'connection', 'host', 'user-agent'}
    aggregator.assert_metric(REQUESTS, 3)


def test_the_token_of_a_file_does_not_follow_a_redirect_to_another_host(tmp_path: Path, dd_run_check: RunCheck) -> None:
    (tmp_path / 'key').write_text('sk-1')
    with proxy() as (url, received), redirecting_to(lambda: url) as (front, front_received):
        dd_run_check(check_of(front, auth_token=token(tmp_path / 'key')))

    assert front_received.each('x-litellm-api-key') == {'Bearer sk-1'}
    assert received.each('x-litellm-api-key') == {None}


DIGEST = {'username': 'me', 'password': 'secret', 'auth_type': 'digest', 'collect_readiness': False}
CHALLENGE = {'WWW-Authenticate': 'Digest realm="r", nonce="n", qop="auth"'}


def test_digest_authentication_answers_no_challenge_of_another_host(dd_run_check: RunCheck) -> None:
    challenged: list[str | None] = []

    def challenge(request: BaseHTTPRequestHandler) -> None:
        challenged.append(request.headers.get('Authorization'))
        answering(401, headers=CHALLENGE)(request)

    with serving_paths({'/metrics/': challenge}) as url, redirecting_to(lambda: url) as (front, _):
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': f'{front}/metrics/', **DIGEST}])
        with pytest.raises(Exception, match='401 Unauthorized'):
            dd_run_check(check)

    assert challenged == [None]


def test_what_comes_with_a_challenge_is_not_decompressed() -> None:
    headers = {**CHALLENGE, 'Content-Encoding': 'gzip', 'Connection': 'close'}
    # The server closes each connection: the request with the credentials must not go out on this one.
    challenge = answering(401, gzip.compress(bytes(32 << 20)), headers)
    with serving_paths({'/metrics/': challenge}) as url:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': f'{url}/metrics/', **DIGEST}])
        tracemalloc.start()
        error = check.run()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert '401 Unauthorized' in error
    assert peak < 16 << 20


def test_what_comes_with_a_challenge_is_read_up_to_a_limit() -> None:
    challenge = Pour(401, CHALLENGE)

    with serving_paths({'/metrics/': challenge}) as url:
        error = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': f'{url}/metrics/', **DIGEST}]).run()
        assert challenge.hung_up.wait(30)

    assert 'has more than 1 MiB of headers, or refuses with so much text' in error


@pytest.mark.parametrize('scheme', ['unix', 'UNIX'])
def test_a_redirect_to_a_socket_of_this_host_is_not_followed(scheme: str) -> None:
    redirect = answering(307, headers={'Location': f'{scheme}://%2Fnowhere%2Fdocker.sock/info'})
    with serving_paths({**ANSWERS, '/metrics/': redirect}) as url:
        error = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': f'{url}/metrics/'}]).run()

    assert 'the request failed (InvalidSchema)' in error


def test_the_body_of_a_redirect_is_not_read(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    redirect = Pour(307, {'Location': '/metrics/'})

    with serving_paths({**ANSWERS, '/front/metrics/': redirect}) as url:
        dd_run_check(LitellmCheck('litellm', {}, [{'openmetrics_endpoint': f'{url}/front/metrics/'}]))
        assert redirect.hung_up.wait(30)

    aggregator.assert_metric(REQUESTS, 3)


@pytest.mark.parametrize('encoding', [Encoding.DER, Encoding.PEM], ids=['DER', 'PEM'])
@pytest.mark.parametrize('options', [{}, {'use_stock_scraper': True}], ids=['exact', 'stock'])
def test_a_certificate_cannot_vouch_for_itself(
    options: dict[str, Any],
    encoding: Encoding,
    tmp_path: Path,
    dd_run_check: RunCheck,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def authority(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        answering(200, load_pem_x509_certificate(made.authority.read_bytes()).public_bytes(encoding))(request)

    with serving_paths({'/authority': authority}) as elsewhere:
        made = certificate_with_its_issuer_at(f'{elsewhere}/authority', tmp_path)
        tls.load_cert_chain(made.file)
        with serving_paths(ANSWERS, tls) as url:
            with pytest.raises(Exception, match='certificate is not trusted'):
                dd_run_check(check_of(url, **options))
            dd_run_check(check_of(url, tls_ca_cert=str(made.authority), **options))

    assert asked == []
    # The run's own error says what to do. The base package would log that it could do nothing, in each run.
    assert 'intermediate' not in caplog.text


def test_credentials_follow_a_redirect_on_their_own_host(dd_run_check: RunCheck) -> None:
    keys: list[str | None] = []

    def page(request: BaseHTTPRequestHandler) -> None:
        keys.append(request.headers.get('x-litellm-api-key'))
        ANSWERS['/metrics/'](request)

    redirect = answering(307, headers={'Location': '/metrics/'})
    with serving_paths({'/metrics': redirect, '/metrics/': page}) as url:
        instance = {'openmetrics_endpoint': f'{url}/metrics', 'extra_headers': {'x-litellm-api-key': 'sk-1'}}
        dd_run_check(LitellmCheck('litellm', {}, [instance]))

    assert keys == ['sk-1']


@pytest.mark.parametrize('key', ['sk-\r\nsecret: x', 'sk-secret\u2013', 'sk-\0secret'])
@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
def test_a_token_that_cannot_be_sent_is_refused_without_its_value(
    key: str, stock: bool, tmp_path: Path, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    (tmp_path / 'key').write_text(key, newline='')
    with (
        proxy() as (url, received),
        pytest.raises(Exception, match='a request header is invalid: check the key for line breaks') as raised,
    ):
        dd_run_check(check_of(url, use_stock_scraper=stock, auth_token=token(tmp_path / 'key')))

    assert 'secret' not in str(raised.value)
    assert received == {}
    (found,) = aggregator.service_checks('litellm.health.can_connect')
    assert found.message == 'the request to /health failed: a request header is invalid: check the key for line breaks.'


@pytest.mark.parametrize(
    ('url', 'address'),
    [
        ('http://host:4000/metrics/', Address('http://host:4000/metrics/', None)),
        ('http://me:secret@host:4000/metrics/', Address('http://host:4000/metrics/', ('me', 'secret'))),
        ('http://me:p%40s%2Fs%3A%23@host/m', Address('http://host/m', ('me', 'p@s/s:#'))),
        ('https://me@host/', Address('https://host/', None)),
        ('http://me:@host/', Address('http://host/', ('me', ''))),
        ('http://:secret@[::1]:4000/x?name[]=a', Address('http://[::1]:4000/x?name[]=a', ('', 'secret'))),
        ('http://me:p@ss@host/', Address('http://host/', ('me', 'p@ss'))),
        ('HTTPS://host/', Address('HTTPS://host/', None)),
        (' http://host/metrics/\n', Address('http://host/metrics/', None)),
        ('http://bücher.example/', Address('http://bücher.example/', None)),
        ('http://[fe80::1%25eth0]:4000/', Address('http://[fe80::1%25eth0]:4000/', None)),
        ('unix://%2Frun%2Flitellm/metrics/', Address('unix://%2Frun%2Flitellm/metrics/', None)),
        ('unix:///var/run/litellm.sock/metrics/', Address('unix:///var/run/litellm.sock/metrics/', None)),
    ],
)
def test_a_url_is_taken_apart(url: str, address: Address) -> None:
    assert read_address('option', url) == address


@pytest.mark.parametrize(
    'url',
    [
        'http://me:sec/ret@host/metrics/',
        'http://me:sec?ret@host/metrics/',
        'http://me:sec#ret@host/metrics/',
        'http://me:p@sec/ret@host/metrics/',
        'http://me:12/secret@host/metrics/',
        'http://me:sec ret@host/metrics/',
        'me:secret@host/metrics/',
        'http://host:secret/metrics/',
        'http://host:0/metrics/',
        'http://[secret/metrics/',
    ],
)
def test_a_url_that_leaves_in_doubt_where_its_password_ends_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match='`option` must be a URL') as raised:
        read_address('option', url)

    assert not {'secret', 'sec', 'ret@'} & {*str(raised.value).replace(':', ' ').split()}
    assert url not in str(raised.value)


@pytest.mark.parametrize(
    'url',
    [
        '', 'host', 'host:4000/metrics/', '/metrics/', 'http:///metrics/', 'ftp://host/', 'http://', 'http://ho st/',
        'http://{host}/', 'http://${HOST}/', 'http://*/', 'http://host/\nmetrics', 'http://host/\0', 'http://host/\ud800',
        'unix://', 'unix:///run/litellm', 'http://me:%E2%82%AC@host/',
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_requested_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match='`option` must be a URL'):
        read_address('option', url)


@pytest.mark.parametrize(
    'url',
    [
        'http://127.1:4000/health?a=%31&b=2', 'http://0x7f000001:4000/health/?b=2&a=1', 'http://2130706433:4000/health?b=2&a=1',
        'http://[::1]:04000/health?a=1&b=2#c', 'http://LocalHost.:4000/x/../health?a=1&%62=2',
    ],
)  # fmt: skip
def test_spellings_of_one_url_are_equal(url: str) -> None:
    assert one_spelling(url) == one_spelling('http://127.0.0.1:4000/health?a=1&b=2')


@pytest.mark.parametrize('option', ['openmetrics_endpoint', 'litellm_health_endpoint', 'litellm_readiness_endpoint'])
def test_an_option_that_is_no_url_is_named(option: str, dd_run_check: RunCheck) -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://host/metrics/', option: 'http://a:b/c@d'}])
    with pytest.raises(Exception, match=f'The setting `{option}` must be a URL'):
        dd_run_check(check)


def test_the_user_info_of_each_url_in_a_text_is_taken_out() -> None:
    text = 'hf/https://me:secret@a/x and http://b@c/, not me@example.com'

    assert without_user_info(text) == 'hf/https://a/x and http://c/, not me@example.com'
