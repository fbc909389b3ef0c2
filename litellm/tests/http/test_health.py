"""The health of the proxy's models: asked for rarely, submitted in every run, never at the cost of the metrics."""

from __future__ import annotations

import gzip
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.base.utils.replay.constants import EnvVars
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.options import Options
from datadog_checks.litellm.probes import health, paid_answers
from datadog_checks.litellm.probes.health import NoHealthError, error_class, read_health
from datadog_checks.litellm.secrets import Redactor
from datadog_checks.litellm.transport import client
from tests.support.endpoint import PROMETHEUS, Answer, Pour, Stall, answering, answering_json, serving_paths

RunCheck = Callable[..., object]

CAN_CONNECT = 'litellm.health.can_connect'
INFO = 'litellm.endpoint.info'
REQUESTS = 'litellm.in_flight_requests'

PAGE = answering(200, '# TYPE litellm_in_flight_requests gauge\nlitellm_in_flight_requests 3.0\n', {
    'Content-Type': PROMETHEUS
})  # fmt: skip

HEALTHY = {'model': 'openai/gpt-4o', 'model_id': 'id-a', 'api_base': 'https://api.openai.com/v1', 'rpm': 100}
UNHEALTHY = {
    'model': 'azure/gpt-4o-eu',
    'model_id': 'id-b',
    'error': 'litellm.RateLimitError: AzureException - slow down.\nstack trace: Traceback',
    'exception_status': 429,
}


def body(healthy: list[Any], unhealthy: list[Any]) -> dict[str, Any]:
    return {
        'healthy_endpoints': healthy,
        'unhealthy_endpoints': unhealthy,
        'healthy_count': len(healthy),
        'unhealthy_count': len(unhealthy),
    }


class Clock:
    """A monotonic clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(health, 'time', clock)
    return clock


class Proxy:
    """A proxy whose `/health` answers in the given order, and with the last one from then on."""

    def __init__(self, url: str, asked: list[dict[str, str]]) -> None:
        self.url = url
        self.asked = asked
        """The headers of each request for `/health`."""

    def check(self, **options: Any) -> LitellmCheck:
        instance = {
            'openmetrics_endpoint': f'{self.url}/metrics/',
            'litellm_health_endpoint': f'{self.url}/health',
            'collect_readiness': False,
            **options,
        }
        return LitellmCheck('litellm', {}, [instance])


@contextmanager
def proxy(*answers: Answer, page: Answer = PAGE) -> Iterator[Proxy]:
    asked: list[dict[str, str]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append({name.lower(): value for name, value in request.headers.items()})
        answers[min(len(asked), len(answers)) - 1](request)

    with serving_paths({'/metrics/': page, '/health': answer}) as url:
        yield Proxy(url, asked)


def tags_of(aggregator: AggregatorStub, metric: str = INFO) -> list[set[str]]:
    """Return the tags of each submission of a metric, without those of the instance."""
    return [
        {tag for tag in sample.tags if not tag.startswith(('endpoint:', 'health_endpoint:'))}
        for sample in aggregator.metrics(metric)
    ]


def test_each_model_endpoint_is_tagged_with_its_model_provider_id_and_state(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answering_json(body([HEALTHY], [UNHEALTHY]))) as running:
        dd_run_check(running.check(tags=['team:ai']))

        shared = ['team:ai', f'endpoint:{running.url}/metrics/', f'health_endpoint:{running.url}/health']
        healthy = ['llm_model:openai/gpt-4o', 'custom_llm_provider:openai', 'model_id:id-a', 'endpoint_health:healthy']
        unhealthy = ['llm_model:azure/gpt-4o-eu', 'custom_llm_provider:azure', 'model_id:id-b']
        error = ['endpoint_health:unhealthy', 'endpoint_error:RateLimitError']
        aggregator.assert_metric(INFO, 1, tags=[*shared, *healthy], count=1)
        aggregator.assert_metric(INFO, 1, tags=[*shared, *unhealthy, *error], count=1)
        aggregator.assert_metric('litellm.endpoint.healthy_count', 1, tags=shared)
        aggregator.assert_metric('litellm.endpoint.unhealthy_count', 1, tags=shared)
        aggregator.assert_metric('litellm.endpoint.age', tags=shared, count=1)
        aggregator.assert_service_check(CAN_CONNECT, LitellmCheck.OK, tags=shared, count=1)
    aggregator.assert_metric(REQUESTS, 3)


def test_max_contexts_does_not_bound_what_is_told_of_models(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with proxy(answering_json(body([HEALTHY], [UNHEALTHY]))) as running:
        dd_run_check(running.check(max_contexts=1))

    aggregator.assert_metric(INFO, count=2)
    aggregator.assert_metric('litellm.check.contexts_dropped', 0)


@pytest.mark.parametrize(
    ('endpoint', 'expected'),
    [
        ({'model': 'gpt-4o'}, {'llm_model:gpt-4o'}),
        ({'model': 'gpt-4o', 'custom_llm_provider': 'azure'}, {'llm_model:gpt-4o', 'custom_llm_provider:azure'}),
        (
            {'model': 'a/b/c', 'custom_llm_provider': 'groq', 'model_id': 7},
            {'llm_model:a/b/c', 'custom_llm_provider:groq'},
        ),
        ({'model': 'bedrock/us.anthropic.claude-v1:0'}, {
            'llm_model:bedrock/us.anthropic.claude-v1:0', 'custom_llm_provider:bedrock'
        }),
        ({'model': 'huggingface/https://me:secret@my.host/tgi'}, {
            'llm_model:huggingface/https://my.host/tgi', 'custom_llm_provider:huggingface'
        }),
        ({'model': 'https://me:sec/r?#@my.host/tgi'}, {'llm_model:https://my.host/tgi'}),
        ({'model': 'https://my.host/x?key=secret'}, {'llm_model:https://my.host/x'}),
        ({'model': 'https://my.host/x#secret\nsecret'}, {'llm_model:https://my.host/x'}),
        ({'model': 'claude@20240101?'}, {'llm_model:claude@20240101?'}),
        ({'model': 'https://my.host/x'}, {'llm_model:https://my.host/x'}),
        ({'model': 'a\0b\ud800c'}, {'llm_model:a\ufffdb\ufffdc'}),
        ({'model': ['gpt-4o'], 'model_id': None}, set()),
        ('gpt-4o', set()),
        (None, set()),
    ],
    ids=['no provider', 'named', 'named and prefix', 'prefix', 'address', 'odd password', 'query', 'fragment',
         'no address', 'only address', 'unreadable', 'no names', 'text', 'null'],
)  # fmt: skip
def test_tags_come_from_what_an_endpoint_tells(
    endpoint: object, expected: set[str], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answering_json(body([endpoint], []))) as running:
        dd_run_check(running.check())

    assert tags_of(aggregator) == [expected | {'endpoint_health:healthy'}]


@pytest.mark.parametrize('is_escaped', [False, True])
@pytest.mark.parametrize('name', ['größe', '通义', 'a😀b'])
def test_a_name_is_read_in_any_script(name: str, is_escaped: bool) -> None:
    text = json.dumps(body([{'model': name}], []), ensure_ascii=is_escaped).encode()

    for mark in (b'', b'\xef\xbb\xbf'):
        endpoints = read_health(client.Answer(200, mark + text, is_whole=True), Redactor(), has_key=True).endpoints
        assert list(endpoints) == [('endpoint_health:healthy', f'llm_model:{name}')]


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-16-le', 'utf-32', 'utf-32-be'])
def test_json_in_another_encoding_than_utf_8_is_none(encoding: str) -> None:
    """The bytes of its texts look like quotes and commas, so that nobody could tell what they would take."""
    text = json.dumps(body([], [])).encode(encoding)

    with pytest.raises(NoHealthError):
        read_health(client.Answer(200, text, is_whole=True), Redactor(), has_key=True)
    with pytest.raises(ValueError, match=r'column \d|decode byte'):
        client.Answer(200, text, is_whole=True).json()


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        ('litellm.RateLimitError: AzureException - slow down', 'RateLimitError'),
        ('error:litellm.AuthenticationError: bad key. Missing `mode`.', 'AuthenticationError'),
        ('litellm.exceptions.Timeout: 60 s', 'Timeout'),
        ('Timeout exceeded', 'Timeout'),
        ('litellm.LiteLLMUnknownProvider: x', 'LiteLLMUnknownProvider'),
        ('BudgetExceededError: spent', 'BudgetExceededError'),
        ('ValueError', 'ValueError'),
        ('sk-1234567890abcdef is no key', 'unknown'),
        ('Incorrect API key provided: sk-1', 'unknown'),
        ('litellm.sk_Key: x', 'unknown'),
        ('litellm.Key42Error: x', 'unknown'),
        ('see litellm.RateLimitError: x', 'unknown'),
        ('', 'unknown'),
        (None, 'unknown'),
        ({'message': 'x'}, 'unknown'),
    ],
)
def test_of_an_error_only_its_class_is_kept(error: object, expected: str) -> None:
    assert error_class(error) == expected


def test_endpoints_that_cannot_be_told_apart_are_counted(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    """LiteLLM 1.80.11 and older leave ids out, and two deployments may be of one model."""
    twin = {'model': 'openai/gpt-4o', 'api_base': 'https://a'}
    with proxy(answering_json(body([twin, {**twin, 'api_base': 'https://b'}], []))) as running:
        dd_run_check(running.check())

    aggregator.assert_metric(INFO, 2, count=1)


def test_a_proxy_that_was_not_asked_again_gives_the_last_answer_with_its_age(
    clock: Clock, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answering_json(body([HEALTHY], [])), answering_json(body([], [UNHEALTHY]))) as running:
        check = running.check()
        for _ in range(20):
            dd_run_check(check)
            clock.now += 15

        assert len(running.asked) == 1
        dd_run_check(check)

        assert len(running.asked) == 2
    ages = [sample.value for sample in aggregator.metrics('litellm.endpoint.age')]
    assert ages == [*range(0, 300, 15), 0]
    assert [len(tags & {'endpoint_health:healthy'}) for tags in tags_of(aggregator)] == [1] * 20 + [0]


def test_a_proxy_that_fails_is_asked_no_more_often(clock: Clock, dd_run_check: RunCheck) -> None:
    with proxy(answering(500)) as running:
        check = running.check(litellm_health_interval=60)
        for _ in range(9):
            dd_run_check(check)
            clock.now += 15

        assert len(running.asked) == 3


def test_an_answer_ends_when_it_is_three_intervals_old_and_its_age_goes_on(
    clock: Clock, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answering_json(body([HEALTHY], [])), answering(500)) as running:
        check = running.check(litellm_health_interval=100)
        dd_run_check(check)
        clock.now += 300
        dd_run_check(check)
        aggregator.assert_metric(INFO, count=2)

        clock.now += 1
        dd_run_check(check)

    aggregator.assert_metric(INFO, count=2)
    aggregator.assert_metric('litellm.endpoint.healthy_count', count=2)
    assert [sample.value for sample in aggregator.metrics('litellm.endpoint.age')] == [0, 300, 301]
    assert [found.status for found in aggregator.service_checks(CAN_CONNECT)] == [
        LitellmCheck.OK, LitellmCheck.CRITICAL, LitellmCheck.CRITICAL
    ]  # fmt: skip


def test_background_checks_that_have_not_run_yet_are_no_failure(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answering_json({})) as running:
        dd_run_check(running.check())

    aggregator.assert_service_check(CAN_CONNECT, LitellmCheck.OK, count=1)
    assert not [name for name in aggregator.metric_names if name.startswith('litellm.endpoint.')]


@pytest.mark.parametrize(
    'endpoint', ['{"model":"gpt-4o"}', json.dumps({**HEALTHY, 'litellm_metadata': {'a': [1, {}]}})]
)
def test_more_endpoints_than_anybody_has_are_read(endpoint: str) -> None:
    answer = filled(f'{endpoint},', '{"unhealthy_endpoints": [], "healthy_endpoints": [', '{}], "x": [[]]}', 1_500_000)
    found = read_health(client.Answer(200, answer, is_whole=True), Redactor(), has_key=True)

    assert found.healthy == answer.count(b'"model"') + 1


@pytest.mark.parametrize(
    'text',
    [
        '%s]', '%s} {}', '%s}}', '[%s}]', '%s,}', '{,%s}', '%s', '{"x":{}', '{"unhealthy_endpoints":[,],%s}',
        '{"unhealthy_endpoints":[1,],%s}', '{"unhealthy_endpoints":[1 2],%s}', '{"unhealthy_endpoints":[1},%s}',
        '{"unhealthy_endpoints":[] 1,%s}', '{"unhealthy_endpoints":{},%s}', '{"unhealthy_endpoints":[{"a" 1}],%s}',
        '{"unhealthy_endpoints":["\\"],%s}', '{"unhealthy_endpoints" [],%s}',
    ],
)  # fmt: skip
def test_what_is_not_json_has_no_health(text: str) -> None:
    members = '"healthy_endpoints":[]' + ('' if 'unhealthy' in text else ',"unhealthy_endpoints":[]')
    answer = (text.replace('%s', members) if '{' in text[:1] else '{' + text.replace('%s', members)).encode()

    with pytest.raises(NoHealthError, match='does not contain model health'):
        read_health(client.Answer(200, answer, is_whole=True), Redactor(), has_key=True)


def test_a_body_that_comes_by_two_bytes_takes_no_more_than_another(
    aggregator: AggregatorStub, dd_run_check: RunCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def by_two_bytes(_: object) -> Iterator[bytes]:
        tracemalloc.start()
        for _ in range(50_000):
            yield bytes(bytearray(b'  '))
        kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()

    monkeypatch.setattr(client, 'pieces_of', by_two_bytes)
    with proxy(answering(200)) as running:
        dd_run_check(running.check())

    assert kept[0] < 10 * 100_000


def test_a_proxy_asked_for_one_model_says_503_and_answers_all_the_same(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answering_json(body([], [UNHEALTHY]), 503)) as running:
        dd_run_check(running.check(litellm_health_endpoint=f'{running.url}/health?model=gpt-4o-eu'))

    aggregator.assert_metric('litellm.endpoint.unhealthy_count', 1)


def test_a_megabyte_of_stack_trace_is_read(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    traced = {**UNHEALTHY, 'error': 'litellm.APIError: ' + 'stack trace ' * 100_000}
    with proxy(answering_json(body([], [traced]))) as running:
        dd_run_check(running.check())

    assert tags_of(aggregator)[0] >= {'endpoint_error:APIError'}


GZIP_BOMB = gzip.compress(b' ' * (48 << 20))


@pytest.mark.parametrize(
    ('answer', 'advice'),
    [
        (answering(401), '401: send a key with access to all models'),
        (answering(403), '403: send a key'),
        (answering(404), "404: set `litellm_health_endpoint` to the proxy's own health endpoint"),
        (answering(429), '429: check the proxy log for the cause'),
        (answering(500), '500: send a key'),
        (answering(503, '{"detail": "sk-secret"}'), '503: check the proxy log for the cause'),
        (answering(307, headers={'Location': '/health/'}), '307: the endpoint redirects'),
        (answering(200, '<html>'), 'the response does not contain model health'),
        (answering(200, ''), 'the response does not contain model health'),
        (answering_json([]), 'the response does not contain model health'),
        (answering_json('I am alive!'), 'the response does not contain model health'),
        (answering_json({'status': 'healthy', 'multiproc_dir': '/x'}), "the proxy's own health endpoint"),
        (answering_json({'healthy_endpoints': 3, 'unhealthy_endpoints': []}), 'does not contain model health'),
        (answering_json({'healthy_endpoints': []}), 'the response does not contain model health'),
        (answering(200, '[' * 100_000), 'the response does not contain model health'),
        (answering(200, '9' * 10_000), 'the response does not contain model health'),
        (
            answering(200, '{"healthy_endpoints":[],"unhealthy_endpoints":[[' + '0,' * 2000 + '0]]}'),
            'the response has so many very short entries',
        ),
        (answering(300, headers={'Location': '/'}), '300: the response has no model health'),
        (answering(304, headers={'Location': '/'}), '304: something in front of LiteLLM answers from its cache'),
        (answering(200, '{}', {'Content-Encoding': 'gzip'}), 'the request to /health failed: the response was cut off'),
        (answering(200, GZIP_BOMB, {'Content-Encoding': 'gzip'}), 'the response is larger than 32 MB'),
        (answering(200, '{"healthy_endpoints": [', length=1000), 'failed: the response was cut off'),
        (
            answering(200, gzip.compress(GZIP_BOMB), {'Content-Encoding': 'gzip, gzip'}),
            'or compressed in a way that was not asked for',
        ),
    ],
    ids=[
        '401', '403', '404', '429', '500', '503', 'redirect', 'HTML', 'nothing', 'list', 'text', 'metrics port',
        'count', 'half', 'deep', 'number', 'short entries', '300', '304', 'no gzip', 'gzip bomb',
        'broken off', 'gzip twice',
    ],
)  # fmt: skip
def test_an_answer_without_health_is_explained_and_costs_no_metric(
    answer: Answer, advice: str, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answer) as running:
        dd_run_check(running.check(allow_redirects=False))

    (found,) = aggregator.service_checks(CAN_CONNECT)
    assert found.status == LitellmCheck.CRITICAL
    assert advice in found.message
    assert 'secret' not in found.message
    assert 'http://127' not in found.message
    aggregator.assert_metric(REQUESTS, 3)
    assert not [name for name in aggregator.metric_names if name.startswith('litellm.endpoint.')]


def test_a_gigabyte_is_not_read(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    gigabyte = Pour()
    with proxy(gigabyte) as running:
        dd_run_check(running.check())
        assert gigabyte.hung_up.wait(30)

    assert 'the response is larger than 32 MB' in aggregator.service_checks(CAN_CONNECT)[0].message
    aggregator.assert_metric(REQUESTS, 3)


@pytest.mark.parametrize('status', [401, 403])
def test_a_key_that_is_refused_is_told_from_a_key_that_is_missing(
    status: int, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with proxy(answering(status)) as running:
        dd_run_check(running.check(extra_headers={'Authorization': 'Bearer sk-secret'}))

    (found,) = aggregator.service_checks(CAN_CONNECT)
    assert found.message.startswith(f'{status}: the proxy rejected the key')
    assert 'sk-secret' not in found.message


def test_a_proxy_that_is_down_is_explained(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with proxy() as running:
        check = running.check(litellm_health_endpoint='http://127.0.0.1:9/health')
        dd_run_check(check)

    (found,) = aggregator.service_checks(CAN_CONNECT)
    assert 'cannot connect (Connection refused)' in found.message
    aggregator.assert_metric(REQUESTS, 3)


def test_the_health_is_there_when_the_scrape_fails(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with (
        proxy(answering_json(body([HEALTHY], [])), page=answering(500)) as running,
        pytest.raises(Exception, match='500 Internal Server Error'),
    ):
        dd_run_check(running.check())

    aggregator.assert_metric(INFO, 1)


def background_calls() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'litellm-background-call']


def wait_for_background_calls() -> None:
    for thread in background_calls():
        thread.join(20)


def test_a_slow_answer_delays_no_run_and_is_submitted_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    monkeypatch.setattr(health, 'PATIENCE_SECONDS', 0.05)
    slow = Stall(answering_json(body([HEALTHY], [])))
    with proxy(slow) as running:
        check = running.check()
        dd_run_check(check)
        dd_run_check(check)
        aggregator.assert_metric(REQUESTS, count=2)
        assert aggregator.service_checks(CAN_CONNECT) == []
        assert len(background_calls()) == 1

        slow.let_go.set()
        wait_for_background_calls()
        dd_run_check(check)

    aggregator.assert_metric(INFO, 1, count=1)
    assert len(running.asked) == 1


def test_an_answer_that_takes_too_long_is_a_failure_that_says_what_to_raise(
    monkeypatch: pytest.MonkeyPatch, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    slow = Stall(answering(200))
    with proxy(slow) as running:
        dd_run_check(running.check(litellm_health_timeout=0.2))
        slow.let_go.set()
        wait_for_background_calls()

    (found,) = aggregator.service_checks(CAN_CONNECT)
    assert 'no complete response within 0.2 seconds. Raise `litellm_health_timeout`, or set' in found.message
    aggregator.assert_metric(REQUESTS, 3)


def test_no_second_call_is_started_while_the_first_is_out(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, dd_run_check: RunCheck
) -> None:
    """Such as to a proxy that sends a byte of its headers now and then."""
    monkeypatch.setattr(health, 'PATIENCE_SECONDS', 0.05)
    slow = Stall(answering_json(body([HEALTHY], [])))
    with proxy(slow) as running:
        check = running.check()
        for _ in range(3):
            dd_run_check(check)
            clock.now += 300
        assert len(background_calls()) == len(running.asked) == 1

        slow.let_go.set()
        wait_for_background_calls()


def test_a_body_that_drips_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    """No single wait is longer than any timeout, but all of them are."""
    drip = Pour(pause=0.05)
    with proxy(drip) as running:
        dd_run_check(running.check(litellm_health_timeout=0.5))
        wait_for_background_calls()
        # The check hung up by itself.
        assert drip.hung_up.wait(10)

    assert 'no complete response within 0.5 seconds' in aggregator.service_checks(CAN_CONNECT)[0].message
    assert background_calls() == []


def test_a_bug_while_asking_costs_no_metric(
    monkeypatch: pytest.MonkeyPatch, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError('sk-secret')

    monkeypatch.setattr(health, 'read_health', broken)
    with proxy(answering(200)) as running:
        dd_run_check(running.check())

    (found,) = aggregator.service_checks(CAN_CONNECT)
    assert found.message == 'the request to /health failed: KeyError.'
    aggregator.assert_metric(REQUESTS, 3)


def test_a_token_that_is_refused_is_not_sent_twice_in_one_run_and_read_anew_for_the_next(
    tmp_path: Any, clock: Clock, dd_run_check: RunCheck
) -> None:
    """The base package would ask again at once, and an answer can cost a call of each model."""
    key = tmp_path / 'key'
    key.write_text('sk-old')
    token = {
        'reader': {'type': 'file', 'path': str(key)},
        'writer': {'type': 'header', 'name': 'Authorization', 'value': 'Bearer <TOKEN>'},
    }
    with proxy(answering(401), answering(500)) as running:
        check = running.check(auth_token=token)
        dd_run_check(check)
        key.write_text('sk-new')
        clock.now += 300
        dd_run_check(check)

        assert [headers['authorization'] for headers in running.asked] == ['Bearer sk-old', 'Bearer sk-new']


def test_two_instances_do_not_share_what_they_heard(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with proxy(answering_json(body([HEALTHY], []))) as one, proxy(answering_json(body([], [UNHEALTHY]))) as other:
        checks = [one.check(), other.check()]
        for check in [*checks, *checks]:
            dd_run_check(check)

        assert len(one.asked) == len(other.asked) == 1
        for running, state in ((one, 'healthy'), (other, 'unhealthy')):
            mine = [s for s in aggregator.metrics(INFO) if f'health_endpoint:{running.url}/health' in s.tags]
            assert [f'endpoint_health:{state}' in sample.tags for sample in mine] == [True, True]


def test_without_the_option_nothing_is_asked(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with proxy(answering_json(body([HEALTHY], []))) as running:
        dd_run_check(running.check(litellm_health_endpoint=None))

        assert running.asked == []
    assert aggregator.service_checks(CAN_CONNECT) == []


def test_runs_that_are_processes_of_their_own_do_not_ask(
    monkeypatch: pytest.MonkeyPatch, dd_run_check: RunCheck
) -> None:
    """Each of them would be the first, and pay."""
    monkeypatch.setenv(EnvVars.MESSAGE_INDICATOR, '1')
    with proxy(answering_json(body([HEALTHY], []))) as running:
        check = running.check()
        dd_run_check(check)

        assert running.asked == []
    assert any('process_isolation' in warning for warning in check.warnings)


@pytest.mark.parametrize('option', ['litellm_health_interval', 'litellm_health_timeout'])
@pytest.mark.parametrize('value', [0, -1, float('nan'), float('inf')])
def test_a_time_that_is_none_is_refused(option: str, value: float, dd_run_check: RunCheck) -> None:
    with proxy(answering(200)) as running:
        check = running.check(**{option: value})
        with pytest.raises(Exception, match=f'`{option}` must be a number of seconds greater than 0'):
            dd_run_check(check)


def test_an_answer_is_fresh_for_longer_than_a_proxy_may_take_to_give_the_next() -> None:
    default = Options()

    assert (
        default.litellm_health_timeout + default.litellm_health_interval
        < default.litellm_health_interval * health.INTERVALS_UNTIL_OUTDATED
    )


def test_a_reload_and_a_second_instance_do_not_pay_again(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    """An Agent makes a new check object on each reload."""
    with proxy(answering_json(body([HEALTHY], []))) as running:
        for _ in range(5):
            aggregator.reset()
            dd_run_check(running.check())
            aggregator.assert_metric('litellm.endpoint.healthy_count', 1)
        dd_run_check(running.check(litellm_health_endpoint=f'{running.url}/health/', tags=['a:b']))

    assert len(running.asked) == 1


def test_a_failure_that_comes_after_a_reload_is_told_by_the_new_check(
    monkeypatch: pytest.MonkeyPatch, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    """Nobody told of it until the next call was due, and of none ever where reloads come more often than answers."""
    monkeypatch.setattr(health, 'PATIENCE_SECONDS', 0.05)
    slow = Stall(answering(404))
    with proxy(slow) as running:
        dd_run_check(running.check())
        slow.let_go.set()
        wait_for_background_calls()
        dd_run_check(running.check())

    (found,) = aggregator.service_checks(CAN_CONNECT)
    assert found.message.startswith('404: set `litellm_health_endpoint`')
    assert len(running.asked) == 1


@pytest.mark.parametrize(
    'options',
    [
        {'auth_type': 'digest', 'username': 'me', 'password': 'secret'},
        {'username': 'me', 'password': 'secret'},
        {'extra_headers': {'x-litellm-api-key': 'sk-1', 'Authorization': 'Bearer sk-1'}},
    ],
    ids=['digest', 'basic', 'headers'],
)
def test_a_reload_does_not_pay_again_whatever_authenticates(options: dict[str, Any], dd_run_check: RunCheck) -> None:
    with proxy(answering_json(body([HEALTHY], []))) as running:
        for _ in range(3):
            dd_run_check(running.check(**options))

    assert len(running.asked) == 1


def test_an_instance_with_the_same_key_does_not_pay_again_however_it_is_written(dd_run_check: RunCheck) -> None:
    with proxy(answering_json(body([HEALTHY], []))) as running:
        port = running.url.rpartition(':')[2]
        for options in (
            {'extra_headers': {'Authorization': 'Bearer sk-1', 'x-gateway': 'a'}},
            {'extra_headers': {'x-gateway': 'a', 'authorization': 'Bearer sk-1', 'User-Agent': 'me'}},
            {'headers': {'Authorization': 'Bearer sk-1', 'X-Gateway': 'a'}, 'timeout': 5},
        ):
            for url in (
                running.url,
                f'HTTP://LocalHost:{port}',
                f'http://localhost.:{port}',
                f'http://[::ffff:127.0.0.1]:{port}/.',
                f'http://0.0.0.0:{port}/models/..',
            ):
                dd_run_check(running.check(litellm_health_endpoint=f'{url}/health', **options))

    assert len(running.asked) == 1


def test_who_sends_another_key_asks_for_itself(dd_run_check: RunCheck) -> None:
    with proxy(answering_json(body([HEALTHY], []))) as running:
        for key in ('sk-1', 'sk-2', 'sk-1'):
            dd_run_check(running.check(extra_headers={'x-litellm-api-key': key}))

    assert len(running.asked) == 2


def test_many_instances_at_once_pay_once() -> None:
    """However many threads run them."""
    with proxy(answering_json(body([HEALTHY], []))) as running:
        checks = [running.check() for _ in range(8)]
        threads = [threading.Thread(target=check.run) for check in checks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(running.asked) == 1


def test_what_is_remembered_of_proxies_is_limited() -> None:
    for number in range(paid_answers.MOST_ANSWERS + 10):
        paid_answers.paid_answer(number)

    assert len(paid_answers._answers) == paid_answers.MOST_ANSWERS


def test_more_endpoints_than_anybody_has_are_cut_healthy_ones_first(
    aggregator: AggregatorStub, dd_run_check: RunCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, 'MAX_ENDPOINTS', 3)
    healthy = [{'model': f'healthy-{number}'} for number in range(5)]
    with proxy(answering_json(body(healthy, [{'model': 'ill'}, {'model': 'ill'}]))) as running:
        check = running.check()
        dd_run_check(check)

    tags = sorted(tag for sample in aggregator.metrics(INFO) for tag in sample.tags if tag.startswith('llm_model'))
    assert tags == ['llm_model:healthy-0', 'llm_model:healthy-1', 'llm_model:ill']
    aggregator.assert_metric('litellm.endpoint.healthy_count', 5)
    assert any(
        'more than 3 different endpoints' in warning and ': 3 endpoints are not sent' in warning
        for warning in check.warnings
    )


def test_names_that_take_long_to_search_for_secrets_are_cut_healthy_ones_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, 'MAX_NAMES', 300)
    answer = body([{'model': '%25' * 50}, {'model': 'b'}], [{'model': '%' * 100}, {'model': 'c' * 50}])
    found = read_health(client.Answer(200, json.dumps(answer).encode(), is_whole=True), Redactor(), has_key=True)

    assert sum(found.endpoints.values()) == 3
    assert (found.healthy, found.unhealthy, found.left_out) == (2, 2, 1)


HEAD = '{"healthy_endpoints":[],"unhealthy_endpoints":['


def filled(unit: str, head: str = HEAD, tail: str = '0]}', size: int = 80_000) -> bytes:
    """Return a body of this size that repeats a text."""
    return f'{head}{unit * (size // len(unit.encode()))}{tail}'.encode()


# Bodies whose objects take much more memory than their text, or whose text takes long to look at.
LARGE = {
    'zeros': filled('0,'),
    'lists': filled('[],'),
    'lists in lists': filled('[', '', ''),
    'numbers': filled('1234567890123456789,'),
    'fractions': filled('1.234567,'),
    'one number': filled('1', tail=']}'),
    'short texts': filled('"a",'),
    'texts': filled('"aaaaaaaaaaaaaaaaaa",'),
    'mappings': filled('{"a":0                                  },'),
    'one text': filled('x', '{"healthy_endpoints":["', '"]}'),
    'one text with a sign that takes four bytes': filled('x', '{"healthy_endpoints":["\U0001f600', '"]}'),
    'signs that take four bytes': filled('\U0001f600', '{"healthy_endpoints":["', '"]}'),
    'escapes': filled('\\u00e9', '{"healthy_endpoints":["', '"]}'),
    'quotes': filled('"'),
    'escaped quotes': filled('\\"', '{"healthy_endpoints":["', '"]}'),
    'escaped quotes without an end': filled('\\"', '"', ''),
    'a quote and backslashes': filled('\\', '"', ''),
    'texts without an end': filled('"a', '', ''),
    'blanks': filled(' ', '', ''),
    'distinct models': b'{"healthy_endpoints":[],"unhealthy_endpoints":[%b0]}'
    % b''.join(b'{"model":"m%07d","error":"litellm.Timeout: x"},' % n for n in range(8000)),
    'distinct names': b'{%b"x":0}' % b''.join(b'"key-%012d":"%012d",' % (n, n) for n in range(45_000)),
    'numbers of distinct names': b'{%b"x":0}' % b''.join(b'"%014d":%d,' % (n, n) for n in range(62_000)),
    'numbers of distinct names and a sign that takes four bytes': b'{%b"x":"\xf0\x9f\x98\x80"}'
    % b''.join(b'"%014d":%d,' % (n, n) for n in range(62_000)),
    'lists in one list': filled('[[[]]],', HEAD + '[', '0]]}'),
    'mappings in one list': filled('{},', HEAD + '[', '0]]}'),
    'short texts in one list': filled('"ab",', HEAD + '[', '0]]}'),
    'lists in one list, 126 bytes each': filled('[],' + ' ' * 123, HEAD + '[', '0]]}'),
    'mappings in one list, 320 bytes each': filled('{"a":{"b":0}},' + ' ' * 306, HEAD + '[', '0]]}'),
    'small lists in lists': filled('[[[]]],'),
    'small mappings': filled('{},'),
    'lists in UTF-16': filled('[[]],', '["\u2200",').decode().encode('utf-16-le'),
    'signs of two bytes and then of four': filled('x', HEAD + '"', '\\u4e00x\\ud83d\\ude00"]}'),
    'an escaped sign that takes four bytes': filled('x', HEAD + '"\\ud83d\\ude00', '"]}'),
    'a model of 1.5 MB': filled('a:a/', '{"healthy_endpoints":[{"model":"', '"}],"unhealthy_endpoints":[]}'),
}


@pytest.mark.parametrize('kind', LARGE)
def test_a_body_takes_no_more_than_ten_times_its_size_and_little_time(kind: str) -> None:
    body = LARGE[kind]
    started = time.process_time()
    tracemalloc.start()
    try:
        with suppress(NoHealthError):
            read_health(client.Answer(200, body, is_whole=True), Redactor(), has_key=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (len(body) + peak) / len(body) < 10
    # It takes a fraction of a second, and hours where work grows with the square of the size.
    assert time.process_time() - started < 20
