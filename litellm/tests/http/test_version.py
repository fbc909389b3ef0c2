"""The version of LiteLLM reaches the Agent's metadata, from wherever a release tells it, and is asked for rarely."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from datadog_checks.base.stubs.datadog_agent import DatadogAgentStub
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.probes.version import version_in_openapi
from tests.support.endpoint import PROMETHEUS, Answer, Pour, answering, answering_json, serving_paths

RunCheck = Callable[..., object]

READINESS, DETAILS = '/health/readiness', '/health/readiness/details'
HUB, OPENAPI = '/public/model_hub/info', '/openapi.json'
SHORT = answering_json({'status': 'healthy', 'db': 'connected'})
PAGE = answering(
    200,
    '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total 3.0\n',
    {'Content-Type': PROMETHEUS},
)
KEY = {'extra_headers': {'x-litellm-api-key': 'sk-1'}}


def long(version: object) -> Answer:
    return answering_json({'status': 'healthy', 'db': 'connected', 'litellm_version': version})


def hub(version: object) -> Answer:
    return answering_json({'docs_title': 'LiteLLM API', 'litellm_version': version, 'useful_links': {}})


def openapi(version: object) -> Answer:
    return answering_json({'openapi': '3.1.0', 'info': {'title': 'LiteLLM API', 'version': version}, 'paths': {}})


def locked(answer: Answer) -> Answer:
    def of_key(request: BaseHTTPRequestHandler) -> None:
        (answer if request.headers.get('x-litellm-api-key') else answering(401))(request)

    return of_key


class Answers:
    """The answers of a proxy, and the paths that it was asked for beside the metrics and the readiness."""

    def __init__(self, **answers: Answer) -> None:
        self.asked: list[str] = []
        missing = dict.fromkeys(('hub', 'details', 'openapi'), answering(404))
        self._answers = {**missing, 'readiness': SHORT, **answers}

    def paths(self) -> dict[str, Answer]:
        return {
            '/metrics/': PAGE,
            READINESS: lambda request: self._answers['readiness'](request),
            HUB: self._noted('hub'),
            DETAILS: self._noted('details'),
            OPENAPI: self._noted('openapi'),
        }

    def change(self, **answers: Answer) -> None:
        self._answers |= answers

    def _noted(self, name: str) -> Answer:
        def answer(request: BaseHTTPRequestHandler) -> None:
            self.asked.append(request.path)
            self._answers[name](request)

        return answer


def check_of(url: str, **options: Any) -> LitellmCheck:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': f'{url}/metrics/', **options}])
    check.check_id = 'litellm:1'
    return check


def metadata(agent: DatadogAgentStub) -> dict[str, str]:
    """Return what the Agent was told, without the common prefix of the names."""
    return {name.removeprefix('version.'): value for (_, name), value in agent._metadata.items()}


@pytest.mark.parametrize(
    ('version', 'parts'),
    [
        ('1.106.2', {'major': '1', 'minor': '106', 'patch': '2'}),
        ('1.72.6.post2', {'major': '1', 'minor': '72', 'patch': '6', 'release': 'post2'}),
        ('1.81.0-nightly', {'major': '1', 'minor': '81', 'patch': '0', 'release': 'nightly'}),
        ('1.80.0.rc.1', {'major': '1', 'minor': '80', 'patch': '0', 'release': 'rc.1'}),
        ('1.80.0rc1', {'major': '1', 'minor': '80', 'patch': '0', 'release': 'rc1'}),
        ('1.82.3-stable.patch.2', {'major': '1', 'minor': '82', 'patch': '3', 'release': 'stable.patch.2'}),
        ('v1.80.0+fork.7', {'major': '1', 'minor': '80', 'patch': '0', 'build': 'fork.7'}),
    ],
)
def test_a_version_is_told_as_it_is_and_in_its_parts(
    version: str, parts: dict[str, str], datadog_agent: DatadogAgentStub, dd_run_check: RunCheck
) -> None:
    with serving_paths(Answers(readiness=long(version)).paths()) as url:
        dd_run_check(check_of(url))

    assert metadata(datadog_agent) == {'raw': version, 'scheme': 'semver', **parts}


@pytest.mark.parametrize('version', ['', 'sk-secret', '1.2', '1.2.3 sk-secret', '1.2.3\n', '1.2.' + '3' * 100, 7, None])
def test_what_is_no_version_is_not_told(
    version: object, datadog_agent: DatadogAgentStub, dd_run_check: RunCheck
) -> None:
    with serving_paths(Answers(readiness=long(version), openapi=openapi(version)).paths()) as url:
        dd_run_check(check_of(url))

    assert metadata(datadog_agent) == {}


def test_a_version_that_has_a_secret_is_not_told(datadog_agent: DatadogAgentStub, dd_run_check: RunCheck) -> None:
    key = 'plantedkey4711'
    with serving_paths(Answers(readiness=long(f'1.106.2+{key}')).paths()) as url:
        dd_run_check(check_of(url, extra_headers={'x-litellm-api-key': key}))

    assert metadata(datadog_agent) == {}


@pytest.mark.parametrize(
    ('answers', 'options', 'asked'),
    [
        (Answers(readiness=long('1.80.11')), {}, []),
        (Answers(hub=hub('1.80.11'), details=long('1.0.0'), openapi=openapi('1.0.0')), {}, [HUB]),
        (Answers(details=locked(long('1.80.11')), openapi=openapi('1.0.0')), KEY, [HUB, DETAILS]),
        (Answers(details=locked(long('1.0.0')), openapi=openapi('1.80.11')), {}, [HUB, OPENAPI]),
        (Answers(details=answering(401), openapi=openapi('1.80.11')), KEY, [HUB, DETAILS, OPENAPI]),
        (Answers(details=answering(200, 'x'), openapi=openapi('1.80.11')), KEY, [HUB, DETAILS, OPENAPI]),
    ],
    ids=['readiness before 1.84', 'model hub', 'details with a key', 'document', 'key refused', 'no details'],
)
def test_the_version_is_found_wherever_it_is(
    answers: Answers,
    options: dict[str, Any],
    asked: list[str],
    datadog_agent: DatadogAgentStub,
    dd_run_check: RunCheck,
) -> None:
    answers.asked.clear()
    with serving_paths(answers.paths()) as url:
        dd_run_check(check_of(url, **options))

    assert metadata(datadog_agent)['raw'] == '1.80.11'
    assert answers.asked == asked


def test_a_proxy_that_keeps_running_is_asked_once_in_six_hours(
    monkeypatch: pytest.MonkeyPatch, datadog_agent: DatadogAgentStub, dd_run_check: RunCheck
) -> None:
    answers = Answers(hub=hub('1.106.2'))
    with serving_paths(answers.paths()) as url:
        check = check_of(url)
        for _ in range(3):
            dd_run_check(check)
        assert answers.asked == [HUB]

        answers.change(hub=hub('1.109.1'))
        clock = time.monotonic
        monkeypatch.setattr(time, 'monotonic', lambda: clock() + 6 * 3600)
        dd_run_check(check)

    assert answers.asked == [HUB] * 2
    assert metadata(datadog_agent)['raw'] == '1.109.1'


def test_a_proxy_that_comes_back_is_asked_again(datadog_agent: DatadogAgentStub, dd_run_check: RunCheck) -> None:
    answers = Answers(hub=hub('1.106.2'))
    with serving_paths(answers.paths()) as url:
        check = check_of(url)
        dd_run_check(check)
        answers.change(readiness=answering(503))
        dd_run_check(check)
        answers.change(readiness=SHORT, hub=hub('1.109.1'))
        dd_run_check(check)

    assert metadata(datadog_agent)['raw'] == '1.109.1'


@pytest.mark.parametrize(
    'answer', [answering(404), answering(500), answering(200, '<html>'), answering(200, '"info": ' + '{"a":' * 10_000)]
)
def test_a_version_that_is_not_told_fails_no_run_and_is_not_asked_for_again(
    answer: Answer, datadog_agent: DatadogAgentStub, dd_run_check: RunCheck
) -> None:
    answers = Answers(openapi=answer)
    with serving_paths(answers.paths()) as url:
        check = check_of(url)
        dd_run_check(check)
        dd_run_check(check)

    assert answers.asked == [HUB, OPENAPI]
    assert metadata(datadog_agent) == {}


def test_an_agent_that_collects_no_metadata_does_not_ask(
    monkeypatch: pytest.MonkeyPatch, datadog_agent: DatadogAgentStub, dd_run_check: RunCheck
) -> None:
    monkeypatch.setitem(datadog_agent._config, 'enable_metadata_collection', False)
    answers = Answers(openapi=openapi('1.106.2'))
    with serving_paths(answers.paths()) as url:
        dd_run_check(check_of(url))

    assert answers.asked == []
    assert metadata(datadog_agent) == {}


def test_the_document_is_read_no_further_than_needed(datadog_agent: DatadogAgentStub, dd_run_check: RunCheck) -> None:
    """It has some MB, and the version stands at its beginning."""
    text = json.dumps({'openapi': '3.1.0', 'info': {'version': '1.106.2'}, 'paths': {}})
    endless = Pour(begin=text[:-1])

    with serving_paths(Answers(openapi=endless).paths()) as url:
        dd_run_check(check_of(url))
        assert endless.hung_up.wait(30)

    assert metadata(datadog_agent)['raw'] == '1.106.2'


@pytest.mark.parametrize(
    ('beginning', 'version'),
    [
        ('{"openapi":"3.1.0","info":{"title":"x","description":"say \\"version\\": {","version":"1.2.3"},"pa', '1.2.3'),
        ('{"paths":{},"info" : {"version":"1.2.3","license":{"version":"9"}}}', '1.2.3'),
        ('{"info":{"title":"x"},"version":"9.9.9"}', None),
        ('{"info":{"version":"1.2', None),
        ('{"info":[]}', None),
        ('', None),
    ],
)
def test_the_version_is_read_from_the_beginning_of_the_document(beginning: str, version: str | None) -> None:
    assert version_in_openapi(beginning.encode()) == version
