"""Each row of docs/troubleshooting.md: what it says is seen is what a check shows whose proxy has that fault."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from datadog_checks.base.stubs import aggregator
from datadog_checks.base.utils.replay.constants import EnvVars
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.probes import health
from datadog_checks.litellm.scrapers.exact import ExactScraper
from tests.support.certificates import Certificate, certificate
from tests.support.documents import Row, page
from tests.support.endpoint import (
    OPENMETRICS,
    PROMETHEUS,
    Answer,
    Stall,
    answering,
    answering_json,
    serving,
    serving_page,
    serving_paths,
)
from tests.support.misbehaving import Endpoint
from tests.support.simulated_proxy import SimulatedProxy

Shown = dict[str, list[str]]
"""What the Agent shows of runs: messages by `Error`, `Warning` or the name of the service check."""

READY, DATABASE, CAN_CONNECT = 'litellm.proxy.ready', 'litellm.proxy.database', 'litellm.health.can_connect'

TEXT = '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{model="gpt-5"} 3.0\n'
PAGE = answering(200, TEXT, {'Content-Type': PROMETHEUS})

SEEN = page('docs/troubleshooting.md').rows('Errors, warnings and service checks')
MISSED = page('docs/troubleshooting.md').rows('Missing or unexpected data')


def shown(url: str, runs: int = 1, **options: Any) -> Shown:
    """Run a check as the Agent does, and return what it shows."""
    aggregator.reset()
    found: Shown = {'Error': [], 'Warning': []}
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, 'read_timeout': 5, **options}])
    for _ in range(runs):
        if error := check.run():
            found['Error'].append(json.loads(error)[0]['message'])
        found['Warning'] += check.get_warnings()
    for name in (READY, DATABASE, CAN_CONNECT):
        found[name] = [one.message for one in aggregator.service_checks(name) if one.status != LitellmCheck.OK]
    return found


def continuing_without_end(request: BaseHTTPRequestHandler) -> None:
    with suppress(OSError):
        while True:
            request.wfile.write(b'HTTP/1.1 100 Continue\r\n\r\n' * 1_000)


def answered(answer: Answer, **options: Any) -> Callable[[], Shown]:
    """Return the fault of a metrics page that is answered like this."""

    def provoke() -> Shown:
        with serving(answer) as url:
            return shown(url, **options)

    return provoke


def exposed(text: str, **options: Any) -> Callable[[], Shown]:
    """Return the fault of a metrics page with this text."""
    return answered(answering(200, text, {'Content-Type': PROMETHEUS}), **options)


def beside(path: str, answer: Answer, option: str = '', **options: Any) -> Callable[[], Shown]:
    """Return the fault of an endpoint beside a metrics page that is well."""

    def provoke() -> Shown:
        with serving_paths({'/metrics/': PAGE, path: answer}) as url:
            named: dict[str, Any] = {option: url + path} if option else {}
            return shown(f'{url}/metrics/', **named, **options)

    return provoke


def redirected_to_another_host() -> Shown:
    with serving(answering(401)) as other, serving(answering(302, headers={'Location': other})) as url:
        elsewhere = url.replace('127.0.0.1', 'localhost')
        return shown(elsewhere, extra_headers={'Authorization': 'Bearer sk-1'})


def without_the_file_of_the_key() -> Shown:
    reader = {'type': 'file', 'path': '/no/such/litellm.key'}
    return answered(PAGE, auth_token={'reader': reader, 'writer': {'type': 'header', 'name': 'Authorization'}})()


def without_a_token() -> Shown:
    # A pattern that matches nothing.
    reader = {'type': 'file', 'path': __file__, 'pattern': '(no){9}'}
    return answered(PAGE, auth_token={'reader': reader, 'writer': {'type': 'header', 'name': 'Authorization'}})()


def through_a_proxy_that_is_gone() -> Shown:
    return shown('http://litellm.invalid/metrics/', proxy={'http': 'http://127.0.0.1:9'}, collect_readiness=False)


def at_a_host_that_drops_packets() -> Shown:
    with Endpoint() as endpoint, endpoint.deaf():
        return shown(endpoint.url, connect_timeout=0.2, collect_readiness=False)


def hanging() -> Shown:
    with Stall() as stall, serving(stall) as url:
        try:
            return shown(url, read_timeout=0.3)
        finally:
            stall.let_go.set()


def health_that_hangs() -> Shown:
    with Stall() as stall:
        return beside('/health', stall, 'litellm_health_endpoint', litellm_health_timeout=0.3)()


def arriving_slowly() -> Shown:
    def send_slowly(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header('Content-Type', PROMETHEUS)
        request.send_header('Content-Length', str(len(TEXT)))
        request.end_headers()
        for part in (TEXT[:20], TEXT[20:]):
            time.sleep(0.2)
            request.wfile.write(part.encode())

    return answered(send_slowly, max_page_seconds=0.1)()


def tls_on_a_port_without() -> Shown:
    with serving(PAGE) as url:
        return shown(url.replace('http:', 'https:'))


def no_tls_on_a_port_with(folder: Path) -> Shown:
    return over_tls(certificate(folder), scheme='http')


def tls_with_a_certificate_of_its_own(folder: Path) -> Shown:
    return over_tls(certificate(folder))


def tls_with_a_certificate_that_has_expired(folder: Path) -> Shown:
    made = certificate(folder, valid_in=timedelta(days=-1))
    return over_tls(made, tls_ca_cert=str(made.authority))


def tls_with_a_certificate_for_another_host(folder: Path) -> Shown:
    made = certificate(folder, 'litellm.example')
    return over_tls(made, tls_ca_cert=str(made.authority))


def over_tls(made: Certificate, scheme: str = 'https', **options: Any) -> Shown:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.file)
    with serving_paths({'/metrics/': PAGE}, tls) as url:
        return shown(f'{url.replace("https", scheme)}/metrics/', **options)


def through_a_proxy_with_a_certificate_of_its_own(folder: Path) -> Shown:
    with Endpoint(certificate(folder).file) as forward:
        return shown('https://litellm.invalid/metrics/', proxy={'https': forward.url}, collect_readiness=False)


def workers_in_turn() -> Shown:
    with SimulatedProxy(workers=2) as proxy:
        for worker, amount in enumerate([50, 7]):
            proxy.count('litellm_requests_metric', amount, worker=worker, model='gpt-5')

        def answer_in_turn(request: BaseHTTPRequestHandler) -> None:
            proxy.answering = 1 - proxy.answering
            proxy.answer(request)

        with serving(answer_in_turn) as url:
            return shown(url, runs=6)


def pods_in_turn() -> Shown:
    values = iter([100, 50, 110, 60, 120, 70])

    def answer_in_turn(request: BaseHTTPRequestHandler) -> None:
        text = f'# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total {next(values)}\n'
        answering(200, text, {'Content-Type': PROMETHEUS})(request)

    with serving(answer_in_turn) as url:
        return shown(url, runs=6)


def a_query_that_is_refused() -> Shown:
    with SimulatedProxy(longest_url=100) as proxy:
        proxy.count('litellm_requests_metric', 1, model='gpt-5')
        return shown(proxy.url, runs=2, exclude_metric_groups=['tokens'])


def compression_that_is_damaged() -> Shown:
    def answer(request: BaseHTTPRequestHandler) -> None:
        is_plain = request.headers['Accept-Encoding'] == 'identity'
        headers = {'Content-Type': PROMETHEUS, **({} if is_plain else {'Content-Encoding': 'gzip'})}
        answering(200, TEXT, headers)(request)

    with serving(answer) as url:
        return shown(url)


def a_process_for_each_run() -> Shown:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EnvVars.MESSAGE_INDICATOR, 'message')
        return beside('/health', answering(200), 'litellm_health_endpoint')()


def of_a_wrong_type() -> Shown:
    return exposed(TEXT, exclude_labels='user')()


HEALTH_OPTION = 'litellm_health_endpoint'
UNLICENSED = '# TYPE litellm_not_a_premium_user_metric_total counter\nlitellm_not_a_premium_user_metric_total 0.0\n'
KEY_IN_CLEAR = (
    '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{hashed_api_key="pass"} 1.0\n'
)
ANOTHER = '# TYPE litellm_spend_metric_total counter\nlitellm_spend_metric_total 1.0\n'
UNLIMITED = (
    '# TYPE litellm_remaining_team_budget_metric gauge\nlitellm_remaining_team_budget_metric{team="a"} +Inf\n'
    '# TYPE litellm_team_max_budget_metric gauge\nlitellm_team_max_budget_metric{team="a"} 100.0\n'
)
KEY = {'Authorization': 'Bearer sk-1'}

# What each row quotes, and what brings it about.
FAULTS: dict[str, Callable[[], Shown]] = {
    'the proxy requires a key for /metrics/': answered(answering(401)),
    'the proxy rejected the key': answered(answering(401), extra_headers=KEY),
    'behind a redirect': answered(answering(302, headers={'Location': 'http://127.0.0.1:9/'})),
    'keys are not forwarded there': redirected_to_another_host,
    '404 Not Found: no metrics at this URL': answered(answering(404)),
    '304 Not Modified: something in front of LiteLLM answers': answered(answering(304)),
    '407 Proxy Authentication Required: a forward proxy': answered(answering(407)),
    '307 Temporary Redirect: the endpoint redirects, and': answered(
        answering(307, headers={'Location': '/metrics/'}), allow_redirects=False
    ),
    'no response within the timeout': hanging,
    'check `path` of the `auth_token` reader': without_the_file_of_the_key,
    'cannot get a token': without_a_token,
    'cannot connect (Connection refused)': lambda: shown('http://127.0.0.1:9/metrics/'),
    'the connection timed out': at_a_host_that_drops_packets,
    'cannot connect through the forward proxy': through_a_proxy_that_is_gone,
    'the port does not speak TLS': tls_on_a_port_without,
    'check the proxy log for the cause': answered(answering(500)),
    'the response was cut off in the middle of the page': answered(
        answering(200, TEXT, {'Content-Type': PROMETHEUS}, length=len(TEXT) + 100)
    ),
    'ends in the middle of a line': exposed(TEXT.rstrip()),
    'goes on behind its `# EOF`, as if': answered(
        answering(200, f'{TEXT}# EOF\n{TEXT}# EOF\n', {'Content-Type': OPENMETRICS})
    ),
    'the page ends without `# EOF`; nothing': answered(answering(200, TEXT, {'Content-Type': OPENMETRICS})),
    'bytes that `max_page_bytes` allows': exposed(TEXT, max_page_bytes=50),
    'seconds that `max_page_seconds` allows': arriving_slowly,
    'has more than 1 MiB of headers': answered(continuing_without_end),
    'the page is not in a Prometheus exposition format': exposed('Welcome!\n'),
    'Some lines of the page were unreadable and skipped': exposed(
        TEXT + 'litellm_requests_metric_total{model="a"b"} 1.0\n'
    ),
    'not metrics': answered(answering(200, '<html></html>', {'Content-Type': 'text/html'})),
    'the page has no LiteLLM metrics': exposed('# TYPE up gauge\nup 1\n'),
    'error while loading configuration': of_a_wrong_type,
    'is not an option of': exposed(TEXT, extra_header={}),
    'is empty. A proxy with several workers exposes a family only once it has a sample': exposed(''),
    'has samples, but no `# TYPE` lines': exposed('litellm_requests_metric_total 1.0\n'),
    'exposes its metrics only with an enterprise license': exposed(UNLICENSED),
    'failed, and one for the whole page did not': a_query_that_is_refused,
    'A compressed page, or a connection that is used again, failed': compression_that_is_damaged,
    'Several processes take turns answering': workers_in_turn,
    'Pages of several proxies alternate': pods_in_turn,
    'are not collected': exposed('# TYPE litellm_brand_new gauge\nlitellm_brand_new 1.0\n'),
    'as unlimited (+Inf)': exposed(UNLIMITED),
    'exceed `max_contexts` and are not sent': exposed(TEXT + ANOTHER, max_contexts=1),
    'send keys that do not start with': exposed(KEY_IN_CLEAR),
    'each check run is a separate process': a_process_for_each_run,
    'the proxy is not accepting requests': beside(
        '/health/readiness', answering_json({'status': 'x', 'db': 'stalled'}, 503)
    ),
    'which LiteLLM serves without a key': beside('/health/readiness', answering(403)),
    "this is not LiteLLM's readiness endpoint": beside('/other', answering(200), 'litellm_readiness_endpoint'),
    'the proxy cannot reach its database': beside(
        '/health/readiness', answering_json({'status': 'healthy', 'db': 'disconnected'})
    ),
    'database lookups hang': beside('/health/readiness', answering_json({'status': 'healthy', 'db': 'stalled'})),
    'the proxy runs without a database': beside(
        '/health/readiness', answering_json({'status': 'healthy', 'db': 'Not connected'})
    ),
    'the proxy should have a database and is not connected to one': beside(
        '/health/readiness',
        answering_json({'status': 'healthy', 'db': 'Not connected'}),
        expect_database=True,
    ),
    '/health always requires one': beside('/health', answering(401), HEALTH_OPTION),
    'no complete response within': health_that_hangs,
    'the response does not contain model health': beside('/health', answering_json({'status': 'ok'}), HEALTH_OPTION),
}
# Those that need a folder as well.
FAULTS_WITH_FILES: dict[str, Callable[[Path], Shown]] = {
    'no HTTP response came over the connection': no_tls_on_a_port_with,
    "the forward proxy's certificate is not trusted": through_a_proxy_with_a_certificate_of_its_own,
    "the proxy's certificate is not trusted": tls_with_a_certificate_of_its_own,
    "the proxy's certificate is not valid at this time": tls_with_a_certificate_that_has_expired,
    "the proxy's certificate is for other hosts": tls_with_a_certificate_for_another_host,
}


def quoted(row: Row) -> tuple[str, str]:
    """Return where the Agent shows what a row quotes, and the quotation."""
    place = row.cells[0].partition(' ')[0].strip('`')
    return place, row.code[0][-1]


def test_each_row_is_provoked_and_nothing_else() -> None:
    quotations = [quoted(row)[1] for row in SEEN]

    assert sorted(quotations) == sorted([*FAULTS, *FAULTS_WITH_FILES])


@pytest.mark.parametrize('row', SEEN, ids=lambda row: quoted(row)[1])
def test_what_a_row_quotes_is_what_the_agent_shows(row: Row, tmp_path: Path) -> None:
    place, quotation = quoted(row)
    found = FAULTS[quotation]() if quotation in FAULTS else FAULTS_WITH_FILES[quotation](tmp_path)

    assert [message for message in found[place] if quotation in message], found


@pytest.mark.parametrize('row', [*SEEN, *MISSED], ids=lambda row: row.cells[0])
def test_a_row_says_why_and_what_to_do(row: Row) -> None:
    assert len(row.cells) == 3
    assert all(row.cells)


def test_a_proxy_that_is_well_shows_nothing() -> None:
    with serving_paths(
        {'/metrics/': PAGE, '/health/readiness': answering_json({'status': 'healthy', 'db': 'connected'})}
    ) as url:
        assert [message for messages in shown(f'{url}/metrics/').values() for message in messages] == []


def submitted(name: str) -> bool:
    return bool(aggregator.metrics(name) or aggregator.service_checks(name))


def page_on_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(PAGE) as url:
        shown(url)
    assert not submitted(READY)

    with serving(PAGE) as url, serving_paths({'/health/readiness': answering_json({'status': 'healthy'})}) as other:
        shown(url, litellm_readiness_endpoint=f'{other}/health/readiness')
    assert submitted(READY)


def proxy_that_tells_nothing_of_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    beside('/health/readiness', answering_json({'status': 'connected'}))()
    assert submitted(READY)
    assert not submitted(DATABASE)


def health_that_fails_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    well = answering_json({'healthy_endpoints': [{'model': 'a'}], 'unhealthy_endpoints': []})
    answers = [well, answering(500)]
    now = iter([0.0, 0.0, 0.0, 1000.0, 1000.0, 1000.0, 1000.0])

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return next(now)

    monkeypatch.setattr(health, 'time', Clock)
    with serving_paths({'/metrics/': PAGE, '/health': lambda request: answers.pop(0)(request)}) as url:
        check = LitellmCheck(
            'litellm', {}, [{'openmetrics_endpoint': f'{url}/metrics/', 'litellm_health_endpoint': f'{url}/health'}]
        )
        check.run()
        assert submitted('litellm.endpoint.info')
        aggregator.reset()
        check.run()
    assert submitted('litellm.endpoint.age')
    assert not submitted('litellm.endpoint.info')
    assert [one.status for one in aggregator.service_checks(CAN_CONNECT)] == [LitellmCheck.CRITICAL]


def labels_with_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f'litellm_requests_metric_total{{end_user="{number}",team="a"}} 1.0\n' for number in range(50)]
    text = ''.join(['# TYPE litellm_requests_metric_total counter\n', *lines])
    monkeypatch.setattr(ExactScraper, '_counts_history', lambda *_: True)
    with serving_page(text) as url:
        shown(url)
        assert len({tuple(one.tags) for one in aggregator.metrics('litellm.requests.metric.count')}) == 50
        shown(url, exclude_personal_labels=True)
        assert len({tuple(one.tags) for one in aggregator.metrics('litellm.requests.metric.count')}) == 1


def series_that_stay(_: pytest.MonkeyPatch) -> None:
    """Show that what stands on the page, however long, is submitted as it stands."""
    with serving_page(
        '# TYPE litellm_team_max_budget_metric gauge\nlitellm_team_max_budget_metric{team="a"} 5.0\n'
    ) as url:
        shown(url, runs=20)
        assert [one.value for one in aggregator.metrics('litellm.team.max_budget.metric')] == [5.0] * 20


def requests_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show that both are submitted as LiteLLM counts them: that it counts so is for the fixture proxy's own tests."""
    of_clients = 'litellm_proxy_total_requests_metric_total'
    monkeypatch.setattr(ExactScraper, '_counts_history', lambda *_: True)
    with serving_page(f'{TEXT}# TYPE {of_clients} counter\n{of_clients}{{requested_model="gpt-5"}} 6.0\n') as url:
        shown(url)
    assert [one.value for one in aggregator.metrics('litellm.requests.metric.count')] == [3]
    assert [one.value for one in aggregator.metrics('litellm.proxy.total_requests.metric.count')] == [6]


def models_called_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show that a check queries /health with the option only: its cost is for the fixture proxy's own tests."""
    asked: list[str] = []

    def count(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        answering_json({'healthy_endpoints': [], 'unhealthy_endpoints': []})(request)

    with serving_paths({'/metrics/': PAGE, '/health': count}) as url:
        shown(f'{url}/metrics/')
        assert asked == []
        shown(f'{url}/metrics/', litellm_health_endpoint=f'{url}/health', runs=3)
    assert asked == ['/health']


# The first cell of each row on what no message tells, and what shows that it is so.
SYMPTOMS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    'No `litellm.proxy.ready`': page_on_a_port_of_its_own,
    'No `litellm.proxy.database`': proxy_that_tells_nothing_of_a_database,
    '`litellm.endpoint.info` stops, and `litellm.endpoint.age` grows': health_that_fails_for_long,
    'A deleted key or team, a former alias or e-mail address is still reported': series_that_stay,
    'Too many contexts': labels_with_many_values,
    '`litellm.proxy.total_requests.metric.count` is twice `litellm.requests.metric.count`': requests_counted_twice,
    'Calls with `api_key_alias:litellm-internal-health-check`': models_called_for_the_answer,
}


def test_each_symptom_is_shown_and_nothing_else() -> None:
    assert sorted(row.cells[0] for row in MISSED) == sorted(SYMPTOMS)


@pytest.mark.parametrize('row', MISSED, ids=lambda row: row.cells[0])
def test_a_symptom_has_the_cause_that_the_row_names(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    SYMPTOMS[row.cells[0]](monkeypatch)
