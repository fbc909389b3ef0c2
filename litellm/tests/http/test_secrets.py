"""No secret leaves the check, whatever it is planted in: each is a word that begins like `PLANTED`.

Everything that leaves is searched: submissions, service checks, events, warnings, errors with their tracebacks, logs of
all loggers at every level, metadata, reported issues, and what is printed.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datadog_checks.base.log import TRACE_LEVEL
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.base.stubs.datadog_agent import DatadogAgentStub
from datadog_checks.base.utils import http, tls
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.doctor.cli import main as doctor
from datadog_checks.litellm.report.cli import main
from datadog_checks.litellm.secrets import MASK, Redactor, hushed, secrets_of, secrets_of_header
from tests.support.endpoint import PROMETHEUS, Answer, answering, answering_json, serving_paths

PLANTED = 'pl4nted'

USER_INFO = f'{PLANTED}-user:{PLANTED}-p%40ssword'
PAGE = answering(
    200,
    '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{model="gpt-4o"} 3.0\n'
    'litellm_requests_metric_total{model="gpt-5"} 4.0\n',
    {'Content-Type': PROMETHEUS, 'Set-Cookie': f'session={PLANTED}-cookie', 'X-Secret': f'{PLANTED}-header'},
)


def endpoint(error: str, **more: Any) -> dict[str, Any]:
    """Return an entry of a health body with all that LiteLLM is known to tell, and more."""
    return {
        'model': f'huggingface/https://{USER_INFO}@models.example.com/v1',
        'model_id': 'id',
        'custom_llm_provider': 'huggingface',
        'api_base': f'https://{USER_INFO}@models.example.com',
        'api_key': f'{PLANTED}-key',
        'organization': f'{PLANTED}-organisation',
        'extra_headers': {'Authorization': f'Bearer {PLANTED}-token'},
        'vertex_project': f'{PLANTED}-project',
        'error': error,
        'raw_request_typed_dict': {
            'raw_request_api_base': f'https://{USER_INFO}@models.example.com',
            'raw_request_body': {'messages': [{'role': 'user', 'content': f'{PLANTED} prompt'}]},
            'raw_request_headers': {'Authorization': f'Bearer {PLANTED}-token'},
        },
        f'{PLANTED}-name': f'{PLANTED}-value',
        **more,
    }


def health_body(*errors: str, **more: Any) -> dict[str, Any]:
    entries = [endpoint(error, **more) for error in errors]
    return {
        'healthy_endpoints': entries,
        'unhealthy_endpoints': entries,
        'healthy_count': f'{PLANTED}-count',
        'unhealthy_count': len(entries),
        'warnings': [f'{PLANTED}-warning'],
        f'{PLANTED}-name': f'{PLANTED}-value',
    }


HEALTH = answering_json(
    health_body(
        f'litellm.RateLimitError: {PLANTED}-error\nstack trace: {PLANTED}-trace',
        f'{PLANTED}-error',
        f'litellm.{PLANTED}Error: x',
        f'error:{PLANTED} x',
    )
)
READINESS = answering_json(
    {
        'status': f'{PLANTED}-status',
        'db': f'{PLANTED}-db',
        'cache': {'type': 'redis', 'index_info': f'redis://{USER_INFO}@redis'},
        'success_callbacks': [f'{PLANTED}-callback'],
        'log_level': f'{PLANTED}-level',
    }
)
OPENAPI = answering_json({'info': {'version': '1.106.2', 'description': f'{PLANTED}-description'}})


def repeating(secret: str) -> Answer:
    """Return a page that repeats a secret of the instance, and shows others in all the places where LiteLLM does."""
    values = (secret, f'Bearer {secret}', f'https://{USER_INFO}@models.example.com', f'https://x/?api_key={PLANTED}')
    addresses = (
        f'x/v1?{PLANTED}', f'x/v1#{PLANTED}', f'me:{PLANTED}/x@x', f'me:{PLANTED}?x@x', f'me:{PLANTED}#x@x',
        f'me:x {PLANTED}@x', f'x/?a@{PLANTED}', f'me:{PLANTED}@x/v1?a=b@{PLANTED}',
    )  # fmt: skip
    labels = [
        *((label, value) for label in ('model', 'end_user', 'api_key_alias', 'metadata_x') for value in values),
        *(('api_base', f'{scheme}{address}') for scheme in ('https://', '//', '') for address in addresses),
        ('hashed_api_key', PLANTED),
        ('hashed_api_key', secret),
    ]
    name = re.sub(r'\W', '_', secret)
    labels += [(f'{prefix}{name}', 'x') for prefix in ('', 'metadata_', 'requester_metadata_', 'tag_')]
    samples = (f'litellm_requests_metric_total{{{label}="{value}"}} 3.0\n' for label, value in labels)
    page = '# TYPE litellm_requests_metric_total counter\n' + ''.join(samples)
    return answering(200, page, {'Content-Type': PROMETHEUS})


REPEATING_HEALTH = {
    'healthy_endpoints': [{'model': f'a/{PLANTED}-key', 'model_id': f'{PLANTED}-key'}],
    'unhealthy_endpoints': [],
}

ANSWERS: Mapping[str, Answer] = {
    '/metrics/': PAGE,
    '/health': HEALTH,
    '/health/readiness': READINESS,
    '/health/readiness/details': answering_json({'litellm_version': f'{PLANTED}-version'}),
    '/public/model_hub/info': answering_json({'litellm_version': f'{PLANTED}-version', 'docs_title': PLANTED}),
    '/openapi.json': OPENAPI,
}


def everywhere(answer: Answer) -> dict[str, Answer]:
    return dict.fromkeys(ANSWERS, answer)


def failing(status: int) -> Answer:
    """Fail with secrets in the name of the status, the headers and the body."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        body = f'{{"detail": "Service Unhealthy ({PLANTED}-detail)", "error": {{"message": "{PLANTED}-message"}}}}'
        request.send_response(status, f'{PLANTED}-reason')
        request.send_header('WWW-Authenticate', f'Basic realm="{PLANTED}-realm"')
        request.send_header('Content-Length', str(len(body)))
        request.end_headers()
        request.wfile.write(body.encode())

    return answer


def redirecting(request: BaseHTTPRequestHandler) -> None:
    host = request.headers['Host']
    answering(307, f'{PLANTED}-body', {'Location': f'http://{USER_INFO}@{host}/elsewhere'})(request)


def no_http(request: BaseHTTPRequestHandler) -> None:
    with suppress(OSError):
        request.wfile.write(f'{PLANTED}-line\r\n{PLANTED}: x\r\n\r\n'.encode())


def breaking_headers(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(f'HTTP/1.1 200 OK\r\n{PLANTED}-key\r\nA: b\r\n\r\nx'.encode())


class Case(NamedTuple):
    """The answers of the endpoints, and the options of the instance; `{file}` in these is a file with a secret."""

    answers: Mapping[str, Answer] = ANSWERS
    options: Mapping[str, Any] = {}


def token(path: str) -> dict[str, Any]:
    writer = {'type': 'header', 'name': 'Authorization', 'value': 'Bearer <TOKEN>'}
    return {'reader': {'type': 'file', 'path': path}, 'writer': writer}


KEY = {'extra_headers': {'Authorization': f'Bearer {PLANTED}-key', 'x-litellm-api-key': f'{PLANTED}-key'}}

CASES: dict[str, Case] = {
    'all is well': Case(),
    'key': Case(options=KEY),
    'headers': Case(options={'headers': {'api-key': f'{PLANTED}-key', 'Cookie': f'{PLANTED}-cookie'}}),
    'password': Case(options={'username': 'me', 'password': f'{PLANTED}-password'}),
    'token': Case(options={'auth_token': token('{file}')}),
    'token with a line break': Case(options={'auth_token': token('{file with two lines}')}),
    'forward proxy': Case(options={'proxy': {'http': f'http://{USER_INFO}@127.0.0.1:9'}}),
    'key in the query': Case(options={'openmetrics_endpoint': f'{{url}}/metrics/?api_key={PLANTED}-key'}),
    'key that is the query': Case(options={'openmetrics_endpoint': f'{{url}}/metrics/?{PLANTED}-key'}),
    'key in the query that is encoded': Case(
        options={'openmetrics_endpoint': f'{{url}}/metrics/?token={PLANTED}%20k+e%2Fy'}
    ),
    'key in the path': Case(options={'openmetrics_endpoint': f'{{url}}/metrics/;key={PLANTED}-key'}),
    'key in the fragment': Case(options={'openmetrics_endpoint': f'{{url}}/metrics/#{PLANTED}-key'}),
    'keys in the queries of the other endpoints': Case(
        options={
            'litellm_health_endpoint': f'{{url}}/health?key={PLANTED}-key',
            'litellm_readiness_endpoint': f'{{url}}/health/readiness?key={PLANTED}-key',
        }
    ),
    'key in the query of an endpoint that fails': Case(
        everywhere(failing(500)), {'openmetrics_endpoint': f'{{url}}/metrics/?api_key={PLANTED}-key'}
    ),
    'password of a private key': Case(options={'tls_private_key_password': f'{PLANTED}-password'}),
    'path of a token that is the token': Case(options={'auth_token': token(f'{PLANTED}-token')}),
    'secret beside a token': Case(
        {**ANSWERS, '/metrics/': repeating(f'{PLANTED}-more')},
        {'auth_token': {**token('{file}'), 'writer': {**token('')['writer'], 'value': f'{PLANTED}-more <TOKEN>'}}},
    ),
    'key that a broken header repeats': Case(everywhere(breaking_headers), KEY),
    'header of the gateway': Case(options={'extra_headers': {'X-Gateway': f'{PLANTED}-gateway'}}),
    'key that the page repeats': Case({**ANSWERS, '/metrics/': repeating(f'{PLANTED}-key')}, KEY),
    'token that the page repeats': Case(
        {**ANSWERS, '/metrics/': repeating(f'{PLANTED}-token')}, {'auth_token': token('{file}')}
    ),
    'key that everything repeats': Case(everywhere(repeating(f'{PLANTED}-key')), KEY),
    'key that the name of a model repeats': Case({**ANSWERS, '/health': answering_json(REPEATING_HEALTH)}, KEY),
    'limit': Case(options={**KEY, 'max_returned_metrics': 1}),
    'no endpoint tag': Case(options={**KEY, 'tag_by_endpoint': False}),
    **{f'{status}': Case(everywhere(failing(status)), KEY) for status in (401, 404, 429, 500, 503)},
    '401 to a token': Case(everywhere(failing(401)), {'auth_token': token('{file}')}),
    'redirect': Case(everywhere(redirecting), KEY),
    'redirect that is not followed': Case(everywhere(redirecting), {**KEY, 'allow_redirects': False}),
    'redirect to a refusal': Case({**everywhere(redirecting), '/elsewhere': failing(401)}, KEY),
    'redirect with a token': Case(
        {**everywhere(redirecting), '/elsewhere': failing(401)}, {'auth_token': token('{file}')}
    ),
    'too many redirects': Case({**everywhere(redirecting), '/elsewhere': redirecting}, KEY),
    'broken off': Case(everywhere(answering(200, f'{PLANTED}-body', length=100_000)), KEY),
    'no HTTP': Case(everywhere(no_http), KEY),
    'no JSON': Case({**everywhere(answering(200, f'{PLANTED}-body')), '/metrics/': PAGE}, KEY),
    'odd media type': Case(everywhere(answering(200, 'x', {'Content-Type': f'{PLANTED}/type'})), KEY),
    'odd encoding': Case(everywhere(answering(200, 'x', {'Content-Encoding': f'gzip, {PLANTED}'})), KEY),
    'odd version': Case({**ANSWERS, '/health/readiness': answering_json({'status': 'x', 'litellm_version': PLANTED})}),
    'odd version in the document': Case(
        {**ANSWERS, '/openapi.json': answering_json({'info': {'version': f'1.2.3 {PLANTED}'}})}
    ),
}  # fmt: skip


@pytest.fixture
def secret_files(tmp_path: Path) -> dict[str, str]:
    contents = {'{file}': f'{PLANTED}-token', '{file with two lines}': f'{PLANTED}-token\n{PLANTED}-more'}
    files: dict[str, str] = {}
    for name, content in contents.items():
        path = tmp_path / f'{len(files)}.key'
        path.write_text(content)
        files[name] = str(path)
    return files


@pytest.fixture
def left(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    aggregator: AggregatorStub,
    datadog_agent: DatadogAgentStub,
) -> Callable[[LitellmCheck, list[str]], str]:
    """Return what has left a check, as one text."""
    caplog.set_level(TRACE_LEVEL)

    def text(check: LitellmCheck, errors: list[str]) -> str:
        printed = capfd.readouterr()
        parts = [
            *(repr(sample) for name in aggregator.metric_names for sample in aggregator.metrics(name)),
            *(repr(found) for name in aggregator.service_check_names for found in aggregator.service_checks(name)),
            repr(aggregator.events),
            repr(check.warnings),
            *errors,
            caplog.text,
            *(str(record.__dict__.get('exc_text')) for record in caplog.records),
            repr({name: value for name, value in vars(datadog_agent).items() if name != '_config'}),
            printed.out,
            printed.err,
        ]
        return '\n'.join(parts)

    return text


def encoded(text: str) -> bool:
    """Tell whether a text holds a secret as it is sent in a header: in base64."""
    return any(base64.b64encode((' ' * shift + PLANTED).encode()).decode()[4:-4] in text for shift in range(3))


def read(text: str) -> str:
    """Return a text as somebody who tries could read it, however it is escaped."""
    plain = ''
    while plain != text:
        plain, text = text, html.unescape(unquote(text))
        text = re.sub(r'\\U0{4}|%u(?=[0-9a-fA-F]{4})', r'\\u', text)
        text = re.sub(
            r'\\(?:u\{?([0-9a-fA-F]{2,4})\}?|x([0-9a-fA-F]{2})|([0-7]{3})|(.))',
            lambda code: code[4] or chr(int(code[1] or code[2] or f'{int(code[3], 8):x}', 16)),
            text,
        )
    return text.lower()


def tells(text: str) -> bool:
    """Tell whether somebody who tries could read a secret in a text."""
    plain = read(text)
    codes = (base64.b64encode((' ' * shift + PLANTED).encode()).decode()[4:-4].lower() for shift in range(3))
    return any(code in plain for code in (PLANTED, PLANTED.encode().hex(), *codes))


def percent_encoded(text: str) -> str:
    return ''.join(f'%{byte:02x}' for byte in text.encode())


# What may be made of a key on the way.
FORMS: dict[str, Callable[[str], str]] = {
    'raw': str,
    'upper case': str.upper,
    'title case': str.title,
    'percent-encoded': percent_encoded,
    'percent-encoded in upper case': lambda key: percent_encoded(key).upper(),
    'percent-encoded in part': lambda key: key.replace('4', '%34', 1),
    'percent-encoded twice': lambda key: quote(percent_encoded(key)),
    'percent-encoded twelve times': lambda key: f'%{"25" * 11}{ord(key[0]):02x}{key[1:]}',
    'escaped as in JSON': lambda key: ''.join(f'\\u{ord(sign):04x}' for sign in key),
    'escaped as in Python': lambda key: ''.join(f'\\U{ord(sign):08x}' for sign in key),
    'escaped as in JavaScript': lambda key: ''.join(f'\\u{{{ord(sign):x}}}' for sign in key),
    'escaped as by JavaScript': lambda key: ''.join(f'%u{ord(sign):04x}' for sign in key),
    'escaped as in C': lambda key: ''.join(f'\\{ord(sign):03o}' for sign in key),
    'escaped as in HTML': lambda key: ''.join(f'&#{ord(sign)};' for sign in key),
    'base64': lambda key: base64.b64encode(key.encode()).decode(),
    'base64 without its end': lambda key: base64.b64encode(key.encode()).decode().rstrip('='),
    'base64 for URLs': lambda key: base64.urlsafe_b64encode(f'\xff\xfe{key}\xff'.encode()).decode(),
    'base64 of a user and it': lambda key: base64.b64encode(f'me:{key}'.encode()).decode(),
    'base64 of a name and it': lambda key: base64.b64encode(f'user:{key}:x'.encode()).decode(),
    'hexadecimal': lambda key: key.encode().hex(),
    'hexadecimal in upper case': lambda key: key.encode().hex().upper(),
    'within something': lambda key: f'x{key}y',
    'as a parameter': lambda key: f'gpt-5?key={key}',
    'as a parameter of a path': lambda key: f'gpt-5;v=1;key={key}',
}


@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
@pytest.mark.parametrize('form', FORMS)
def test_a_known_key_leaves_in_no_form(form: str, stock: bool, left: Callable[..., str]) -> None:
    key = f'{PLANTED}/key+{PLANTED[::-1]}'
    made = FORMS[form](key)
    name = ''.join(sign if sign.isalnum() else '_' for sign in made)
    told = made.replace('\\', r'\\').replace('"', r'\"')
    labels = dict.fromkeys(('model', 'api_base', 'end_user', 'route', 'error_class'), told)
    sample = ','.join(f'{label}="{value}"' for label, value in {**labels, f'x{name}': 'x'}.items())
    page = (
        f'# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{{{sample}}} 3.0\n'
        f'# TYPE litellm_{name} gauge\nlitellm_{name} 3.0\n'
    )
    health = {'healthy_endpoints': [{'model': f'a/{made}', 'model_id': made}], 'unhealthy_endpoints': []}
    answers = {
        '/metrics/': answering(200, page, {'Content-Type': PROMETHEUS}),
        '/health': answering_json(health),
        '/health/readiness': answering_json({'status': 'healthy', 'db': made, 'litellm_version': made}),
    }
    with serving_paths(answers) as url:
        instance = {
            'openmetrics_endpoint': f'{url}/metrics/',
            'litellm_health_endpoint': f'{url}/health',
            'extra_headers': {'x-litellm-api-key': key},
            'collect_unknown_metrics': True,
            'idle_counts': 'always',
            'use_stock_scraper': stock,
        }
        check = LitellmCheck('litellm', {}, [instance])
        check.check_id = 'litellm:1'
        everything = left(check, [check.run(), check.run()])

    assert 'litellm.requests.metric.count' in everything
    assert 'litellm.endpoint.info' in everything
    assert [line for line in everything.splitlines() if tells(line)] == []


@pytest.mark.parametrize('form', FORMS)
def test_each_form_could_be_read(form: str) -> None:
    """Otherwise the test above could not fail."""
    assert tells(FORMS[form](f'{PLANTED}/key+{PLANTED[::-1]}'))


@given(
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=40),
    forms=st.lists(st.sampled_from(sorted(FORMS)), min_size=1, max_size=2),
    around=st.tuples(st.text(max_size=9), st.text(max_size=9)),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_key_leaves_the_gate_whatever_its_signs_and_its_place(
    key: str, forms: list[str], around: tuple[str, str]
) -> None:
    # Who encodes a secret that has such signs encodes another one.
    assume('%' not in key and len(set(key)) > 8)
    text = key
    # One encoding within another, other than percent-encoding, is not recognized.
    for form in forms if forms[-1].startswith(('percent', 'escaped', 'within', 'as')) else forms[:1]:
        text = FORMS[form](text)
    for made in (text, f'{around[0]} {text} {around[1]}', json.dumps(text), html.escape(text), repr(text)):
        shown = Redactor([key])(made)
        assert MASK in shown
        plain = read(shown)
        assert key.lower() not in plain
        assert key.encode().hex() not in plain


@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
def test_a_token_that_was_a_tag_before_it_was_renewed_is_masked_at_once_and_counting_goes_on(
    stock: bool, tmp_path: Path, aggregator: AggregatorStub
) -> None:
    file, renewed, totals = tmp_path / 'key', f'{PLANTED}-renewed', count(10, 10)
    file.write_text('former-token')

    def metrics(request: BaseHTTPRequestHandler) -> None:
        if request.headers['Authorization'] != f'Bearer {file.read_text()}':
            return answering(401, '')(request)
        page = (
            '# TYPE litellm_requests_metric_total counter\n'
            f'litellm_requests_metric_total{{end_user="me:{renewed}",model="x"}} {next(totals)}\n'
            '# TYPE litellm_in_flight_requests gauge\n'
            f'litellm_in_flight_requests{{end_user="{renewed}"}} 3\n'
            '# TYPE litellm_mood gauge\n'
            f'litellm_mood{{end_user="{renewed}"}} 1\n'
        )
        return answering(200, page, {'Content-Type': PROMETHEUS})(request)

    with serving_paths({'/metrics/': metrics}) as url:
        instance = {
            'openmetrics_endpoint': f'{url}/metrics/',
            'auth_token': token(str(file)),
            'tags': [f'gateway:{renewed}'],
            'extra_metrics': [{'litellm_mood': {'name': 'mood', 'type': 'rate'}}],
            'use_stock_scraper': stock,
        }
        check = LitellmCheck('litellm', {}, [instance])
        for content in ('former-token', 'former-token', renewed, renewed):
            file.write_text(content)
            aggregator.reset()
            assert check.run() == ''

    (counted,) = aggregator.metrics('litellm.requests.metric.count')
    (gauge,) = aggregator.metrics('litellm.in_flight_requests')
    (left_to_base,) = aggregator.metrics('litellm.mood')
    assert counted.value == (40 if stock else 10)
    assert {f'end_user:me:{MASK}', 'model:x', f'gateway:{renewed}'} <= set(counted.tags)
    assert f'end_user:{MASK}' in gauge.tags
    assert f'end_user:{MASK}' in left_to_base.tags


def test_tokens_that_were_renewed_are_forgotten_in_the_end_and_what_was_given_is_not() -> None:
    """An Agent runs for months, and its tokens live for minutes."""
    redact = Redactor([f'{PLANTED}-given'])
    tokens = [f'token-{number:04}-{PLANTED[::-1]}' * 20 for number in range(200)]
    for token in tokens:
        redact.learn([token, f'Bearer {token}'])

    assert redact(tokens[-1]) == redact(tokens[-4]) == redact(f'{PLANTED}-given') == MASK
    assert redact(tokens[0]) == tokens[0]
    assert len(redact.known) < 50


def test_a_secret_of_which_the_letters_change_in_number_with_their_case_is_masked() -> None:
    assert Redactor(['\u0130stanbul-key'])('x \u0130STANBUL-KEY x i\u0307stanbul-key') == MASK


def test_a_secret_that_is_no_text_is_one_all_the_same() -> None:
    """YAML can have lone surrogates."""
    (secret,) = {one for one in secrets_of({'password': 'a\udcffbcdefgh'}) if '%' not in one}

    assert Redactor([secret])(f'x {secret}') == f'x {MASK}'


def test_what_stands_beside_a_token_is_a_secret_whatever_its_placeholder_is() -> None:
    writer = {'value': f'{PLANTED}-more {{T}}', 'placeholder': '{T}'}

    assert f'{PLANTED}-more' in set(secrets_of({'auth_token': {'writer': writer}}))


def test_what_is_sent_for_a_token_is_a_secret() -> None:
    reader = {'client_secret': f'{PLANTED}-a', 'options': {'password': f'{PLANTED}-b', 'scope': 'read'}}
    found = set(secrets_of({'auth_token': {'reader': reader}}))

    assert {f'{PLANTED}-a', f'{PLANTED}-b'} <= found
    assert 'read' not in found


@pytest.mark.parametrize('option', ['instance', 'init_config'])
def test_the_password_of_a_forward_proxy_without_a_scheme_is_a_secret(option: str) -> None:
    options = {'instance': {}, 'init_config': {}, option: {'proxy': {'http': f'me:{PLANTED}-a@127.0.0.1:9'}}}
    instance = {'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', **options['instance']}

    assert LitellmCheck('litellm', options['init_config'], [instance]).secrets(f'{PLANTED}-a') == MASK


def test_what_requests_send_that_is_no_option_is_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, datadog_agent: DatadogAgentStub
) -> None:
    """Those of the Agent's own forward proxy, of the environment's, and of `.netrc`."""
    monkeypatch.setitem(datadog_agent._config, 'proxy', {'http': f'http://me:{PLANTED}-agent@127.0.0.1:9'})
    monkeypatch.setenv('HTTPS_PROXY', f'me:{PLANTED}-environment@127.0.0.1:9')
    (tmp_path / 'netrc').write_text(f'machine 127.0.0.1 login me password {PLANTED}-netrc')
    (tmp_path / 'netrc').chmod(0o600)
    monkeypatch.setenv('NETRC', str(tmp_path / 'netrc'))
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', 'tags': ['http://[']}])

    for name in ('agent', 'environment', 'netrc'):
        assert check.secrets(f'{PLANTED}-{name}') == MASK


@pytest.mark.parametrize('form', ['Token token="{}"', 'ApiKey me:{}', "Digest a='b', response='{}', c=d", '{}, b'])
def test_a_part_of_a_header_is_a_secret_whatever_is_around_it(form: str) -> None:
    redact = Redactor(secrets_of_header('Authorization', form.format(f'{PLANTED}-key')))

    assert redact(f'x {PLANTED}-key') == f'x {MASK}'


def test_a_header_that_is_never_a_credential_masks_nothing() -> None:
    """Such a word is in tags and messages for other reasons."""
    headers = {'Host': 'litellm.example', 'Content-Type': 'application/json', 'X-Forwarded-Proto': 'https', 'X-A': 'b'}
    redact = Redactor(secrets_of({'extra_headers': headers, 'headers': {'X-Gateway': f'{PLANTED}-gateway'}}))

    assert redact('litellm.example application/json https') == 'litellm.example application/json https'
    assert redact(f'{PLANTED}-gateway') == MASK


def test_what_a_basic_header_has_in_base64_is_a_secret() -> None:
    header = base64.b64encode(f'me:{PLANTED}-password'.encode()).decode()
    redact = Redactor(secrets_of({'headers': {'Authorization': f'Basic {header}', 'X-Other': 'Basic no-base64'}}))

    assert redact(f'x {PLANTED}-password {header}') == f'x {MASK} {MASK}'


class Telling:
    """A reader whose library logs all that the endpoint of a token says, or repeats it in an error."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._fails = config['url'] == 'fails'

    def read(self, **_: object) -> str:
        for name in ('requests_oauthlib.oauth2_session', 'urllib3.connectionpool'):
            logging.getLogger(name).debug('Obtained token %s.', {'refresh_token': f'{PLANTED}-refresh'})
        if self._fails:
            raise ValueError(f'(invalid_client) {PLANTED}-description')
        return f'{PLANTED}-token'


@pytest.mark.parametrize('url', ['works', 'fails'])
def test_nothing_that_the_endpoint_of_a_token_says_leaves(
    url: str, monkeypatch: pytest.MonkeyPatch, left: Callable[..., str]
) -> None:
    monkeypatch.setitem(http.AUTH_TOKEN_READERS, 'oauth', Telling)
    auth_token = {**token(''), 'reader': {'type': 'oauth', 'url': url}}
    with serving_paths({**ANSWERS, '/metrics/': repeating(f'{PLANTED}-token')}) as proxy:
        instance = {'openmetrics_endpoint': f'{proxy}/metrics/', 'litellm_health_endpoint': f'{proxy}/health'}
        check = LitellmCheck('litellm', {}, [{**instance, 'auth_token': auth_token}])
        everything = left(check, [check.run(), check.run()])

    assert 'Obtained token …' in everything
    assert ('cannot get a token' in everything) is (url == 'fails')
    assert [line for line in everything.splitlines() if tells(line)] == []


def test_no_part_of_a_key_is_left_where_a_long_name_is_cut(left: Callable[..., str]) -> None:
    health = {'healthy_endpoints': [{'model': f'{"a" * 140}{PLANTED}-key'}], 'unhealthy_endpoints': []}
    with serving_paths({**ANSWERS, '/health': answering_json(health)}) as url:
        instance = {'openmetrics_endpoint': f'{url}/metrics/', 'litellm_health_endpoint': f'{url}/health', **KEY}
        everything = left(check := LitellmCheck('litellm', {}, [instance]), [check.run()])

    assert 'a' * 140 in everything
    assert PLANTED[:4] not in everything


@pytest.mark.parametrize('level', ['DEBUG', 'INFO', 'WARNING'])
def test_no_header_that_an_endpoint_sends_is_logged(level: str, left: Callable[..., str]) -> None:
    """These are secrets that nobody knows: what is broken here is the header behind the cookie."""

    def breaking(request: BaseHTTPRequestHandler) -> None:
        head = f'HTTP/1.1 200 OK\r\nSet-Cookie: a={PLANTED}-cookie\r\n{PLANTED}-more\r\n: {PLANTED}\r\nA: b\r\n\r\nx'
        request.wfile.write(head.encode())

    def leading(request: BaseHTTPRequestHandler) -> None:
        answering(307, '', {'Location': f'/metrics/?signature={PLANTED}#{PLANTED}'})(request)

    logging.getLogger('urllib3').setLevel(level)
    try:
        with serving_paths({**everywhere(breaking), '/there': leading}) as url:
            instance = {'openmetrics_endpoint': f'{url}/there', 'litellm_health_endpoint': f'{url}/health'}
            check = LitellmCheck('litellm', {}, [instance])
            everything = left(check, [check.run(), check.run()])
    finally:
        logging.getLogger('urllib3').setLevel(logging.NOTSET)

    assert 'Failed to parse headers (url=…): …' in everything
    assert [line for line in everything.splitlines() if tells(line)] == []


@pytest.mark.parametrize(
    'logger',
    [
        'requests_kerberos.kerberos_', 'spnego._ntlm', 'spnego._negotiate', 'spnego._gss', 'botocore.parsers',
        'urllib3.of.a.module.that.is.imported.late',
    ],
)  # fmt: skip
def test_no_key_and_no_answer_to_a_challenge_is_logged(logger: str, caplog: pytest.LogCaptureFixture) -> None:
    """From that of NTLM, a password can be guessed, and that of Kerberos can be sent again."""
    caplog.set_level(TRACE_LEVEL)
    LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', **KEY}])
    # As one of them formats it itself.
    header = f'Authorization header: Negotiate {PLANTED}'
    with hushed():
        logging.getLogger(logger).debug(header)
        logging.getLogger(logger).debug('step output: %s', PLANTED)

    assert 'step output: …' in caplog.text
    assert PLANTED not in caplog.text


def test_no_key_that_a_library_gets_before_the_first_request_is_logged(
    monkeypatch: pytest.MonkeyPatch, left: Callable[..., str]
) -> None:
    def tell(_config: dict[str, Any]) -> None:
        logging.getLogger('botocore.utils').debug('Response body: %r', f'{PLANTED}-key')

    monkeypatch.setitem(http.AUTH_TYPES, 'aws', tell)
    with serving_paths(ANSWERS) as url:
        instance = {'openmetrics_endpoint': f'{url}/metrics/', 'litellm_health_endpoint': f'{url}/health'}
        check = LitellmCheck('litellm', {}, [{**instance, 'auth_type': 'aws'}])
        everything = left(check, [check.run()])

    assert 'Response body: …' in everything
    assert PLANTED not in everything


def test_what_others_log_of_their_own_requests_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', **KEY}])
    logging.getLogger('urllib3.connection').warning('Failed to parse headers (url=%s)', 'http://x/')

    assert 'Failed to parse headers (url=http://x/)' in caplog.text


@pytest.mark.parametrize(
    ('stock', 'user_info'), [(False, ''), (True, f'{USER_INFO}@')], ids=['exact', 'stock, with a user in the URLs']
)
@pytest.mark.parametrize('case', CASES)
def test_no_secret_leaves_the_check(
    case: str, stock: bool, user_info: str, left: Callable[..., str], secret_files: dict[str, str]
) -> None:
    answers, options = CASES[case]
    with serving_paths(answers) as url:
        known = url.replace('://', f'://{user_info}')
        instance = {
            'openmetrics_endpoint': f'{known}/metrics/',
            'litellm_health_endpoint': f'{known}/health',
            'litellm_readiness_endpoint': f'{known}/health/readiness',
            'use_stock_scraper': stock,
            'log_requests': True,
            **{
                option: value.replace('{url}', known) if isinstance(value, str) else value
                for option, value in options.items()
            },
        }
        if 'auth_token' in options:
            reader = options['auth_token']['reader']
            instance['auth_token'] = {
                **options['auth_token'],
                'reader': {**reader, 'path': secret_files.get(reader['path'], reader['path'])},
            }
        check = LitellmCheck('litellm', {}, [instance])
        check.check_id = 'litellm:1'
        everything = left(check, [check.run(), check.run()])

    assert f'Scraping OpenMetrics endpoint: {url}/metrics/' in everything
    assert 'litellm.proxy.ready' in everything
    assert 'litellm.health.can_connect' in everything
    assert [line for line in everything.splitlines() if PLANTED in line or encoded(line)] == []


@pytest.mark.parametrize('key', [f'{PLANTED}-key\n', f'{PLANTED}-k\u0119y', f'{PLANTED}-key\0'])
def test_no_key_that_cannot_be_sent_leaves_the_check(key: str, left: Callable[..., str]) -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/', 'headers': {'api-key': key}}])
    everything = left(check, [check.run()])

    assert '`headers`' in everything
    assert PLANTED not in everything


UNREADABLE_URLS = (
    f'http://me:{PLANTED}#x@127.0.0.1:9/', f'http://me:{PLANTED}/x@127.0.0.1:9/', f'http://me%3A{PLANTED}%40127.0.0.1/',
    f'me:{PLANTED}@127.0.0.1:9', f'http:/me:{PLANTED}@127.0.0.1:9', PLANTED,
)  # fmt: skip


@pytest.mark.parametrize('option', ['openmetrics_endpoint', 'litellm_health_endpoint', 'litellm_readiness_endpoint'])
@pytest.mark.parametrize('url', UNREADABLE_URLS)
def test_no_secret_of_a_url_that_cannot_be_read_leaves_the_check(
    url: str, option: str, left: Callable[..., str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    instance = {'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', option: url}
    (tmp_path / 'conf.yaml').write_text(json.dumps(instance))
    assert doctor(['--config', str(tmp_path / 'conf.yaml'), '--offline']) == 1
    printed = capfd.readouterr().out
    check = LitellmCheck('litellm', {}, [instance])
    everything = left(check, [printed, check.run()])

    assert f'The setting `{option}` must be a URL' in printed
    assert f'The setting `{option}` must be a URL' in everything
    assert [line for line in everything.splitlines() if PLANTED in line] == []


@pytest.mark.parametrize('stock', [False, True], ids=['exact', 'stock'])
@pytest.mark.parametrize('option', ['tls_ca_cert', 'tls_cert', 'tls_private_key'])
@pytest.mark.parametrize('value', [f'{PLANTED}-key', f'-----BEGIN PRIVATE KEY-----\n{PLANTED}'], ids=['key', 'PEM'])
def test_a_key_in_the_place_of_its_file_does_not_leave(
    value: str, option: str, stock: bool, left: Callable[..., str]
) -> None:
    instance = {'openmetrics_endpoint': 'https://127.0.0.1:9/metrics/', 'use_stock_scraper': stock, option: value}
    check = LitellmCheck('litellm', {}, [instance])
    everything = left(check, [check.run(), check.run()])

    assert f'The setting `{option}` must be the path of a file' in everything
    assert [line for line in everything.splitlines() if tells(line)] == []


@pytest.mark.parametrize(
    'option', ['--config', '--key-file', '--interval', '--timeout', '--json', '--all', '--nothing']
)
@pytest.mark.parametrize('joined', [True, False])
@pytest.mark.parametrize('command', [main, doctor], ids=['report', 'doctor'])
def test_a_key_in_the_wrong_place_of_the_command_line_is_not_printed(
    command: Callable[[list[str]], int], option: str, joined: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--json KEY` gives two URLs, and `--json=KEY` a value to an option that takes none."""
    key = f'{PLANTED}-key'
    arguments = ['http://127.0.0.1:9/', *([f'{option}={key}'] if joined else [option, key])]

    assert command(arguments) == 2
    assert PLANTED not in ''.join(capfd.readouterr())


@pytest.mark.parametrize('arguments', [[], ['--json']], ids=['text', 'JSON'])
@pytest.mark.parametrize('command', [main, doctor], ids=['report', 'doctor'])
def test_no_secret_of_a_file_is_printed(
    command: Callable[[list[str]], int],
    arguments: list[str],
    secret_files: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / 'conf.yaml'
    with serving_paths({**ANSWERS, '/metrics/': repeating(f'{PLANTED}-token')}) as url:
        instance = {
            'openmetrics_endpoint': f'{url}/metrics/?api_key={PLANTED}-key',
            'auth_token': token(secret_files['{file}']),
            'tls_private_key_password': f'{PLANTED}-password',
        }
        config.write_text(json.dumps(instance))
        interval = ['--interval', '0'] if command is main else []
        assert command(['--config', str(config), *interval, *arguments]) == 0

    printed = ''.join(capfd.readouterr())
    assert ('litellm.requests.metric.count' if command is main else 'end_user') in printed
    assert [line for line in printed.splitlines() if PLANTED in line] == []


@pytest.mark.parametrize('logger', [tls.LOGGER, http.LOGGER, logging.getLogger('urllib3.connectionpool')])
def test_options_that_libraries_log_have_no_secrets(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    """The base package logs all options of TLS where it makes a context."""
    caplog.set_level(TRACE_LEVEL)
    options = {'tls_private_key_password': f'{PLANTED}-password', 'tls_verify': True}
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'https://127.0.0.1:9/metrics/', **options}])
    logger.debug('Creating SSL context with config: %s', options)
    try:
        raise ValueError(f'{PLANTED}-password')
    except ValueError:
        logger.exception('%s', check.name)

    assert 'tls_verify' in caplog.text
    assert 'ValueError' in caplog.text
    assert PLANTED not in caplog.text
    assert [record.exc_info for record in caplog.records if record.exc_info] == []


def test_a_record_that_cannot_be_formatted_costs_nobody_anything(caplog: pytest.LogCaptureFixture) -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', **KEY}])
    logging.getLogger('urllib3.connectionpool').warning('%d of %d', f'{PLANTED}-key')

    assert check.secrets.known
    assert PLANTED not in caplog.text


def test_an_error_can_be_read_whatever_the_secrets_are() -> None:
    options = {'username': 'me', 'password': 'message'}
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', **options}])

    assert 'cannot connect' in json.loads(check.run())[0]['message']


def test_what_leaves_the_check_is_searched(left: Callable[..., str]) -> None:
    """Otherwise the tests above could not fail."""
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/'}])
    check.check_id = 'litellm:1'
    check.gauge('metric', 1, tags=['a:metric-tag'])
    check.service_check('can_connect', 2, tags=['a:check-tag'], message='check-message')
    check.warning('a-warning')
    check.set_metadata('name', 'a-value')
    check.log.trace('a-trace')
    logging.getLogger('urllib3').debug('a-library')
    sys.stdout.write('a-print')
    everything = left(check, ['an-error'])

    for word in (
        'metric-tag',
        'check-tag',
        'check-message',
        'a-warning',
        'a-value',
        'a-trace',
        'a-library',
        'a-print',
        'an-error',
    ):
        assert word in everything
    assert encoded(base64.b64encode(f'x:{PLANTED}-password'.encode()).decode())
