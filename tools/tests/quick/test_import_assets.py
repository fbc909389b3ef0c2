"""The import of all assets, against an account that refuses what the models of the API client refuse."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from datadog_api_client.model_utils import OpenApiModel
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.monitor_update_request import MonitorUpdateRequest
from datadog_api_client.v1.model.service_level_objective import ServiceLevelObjective
from datadog_api_client.v1.model.service_level_objective_request import ServiceLevelObjectiveRequest

from tools.datadog_model import Monitor as ModelOfMonitor
from tools.import_assets.__main__ import main
from tools.import_assets.assets import ASSETS, Handles, assets
from tools.import_assets.validity import problems

KEYS = {'DD_API_KEY': 'a' * 32, 'DD_APP_KEY': 'b' * 40}
COLLECTIONS: dict[str, tuple[type[OpenApiModel], type[OpenApiModel]]] = {
    '/api/v1/dashboard': (Dashboard, Dashboard),
    '/api/v1/monitor': (Monitor, MonitorUpdateRequest),
    '/api/v1/slo': (ServiceLevelObjectiveRequest, ServiceLevelObjective),
    '/api/v1/logs/config/pipelines': (LogsPipeline, LogsPipeline),
}
MADE = '2026-11-28T20:00:00.000000Z'
SOME = {
    'dashboards': ['litellm_overview.json'],
    'monitors': ['latency.json', 'proxy_failure_rate.json', 'scrape_down.json', 'untagged.json'],
    'logs': ['litellm.yaml'],
    'slos': ['availability.json', 'latency.json'],
}
COUNT = sum(map(len, SOME.values()))
NOTIFY = ('--notify', '@slack-litellm')
SCOPE = ('--env', 'production', '--service', 'litellm')


class Account:
    """The assets that an account holds, by the path of the collection and the id, and what it was asked to write."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in COLLECTIONS}
        self.written: list[tuple[str, str]] = []
        self.url = ''

    def all(self, collection: str) -> list[dict[str, Any]]:
        return list(self.held[f'/api/v1/{collection}'].values())

    def hold(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        number = 1 + sum(map(len, self.held.values()))
        dated = 1_793_577_600 if path == '/api/v1/slo' else MADE
        made = {**body, 'id': number if path == '/api/v1/monitor' else str(number), 'created_at': dated}
        if path not in ('/api/v1/dashboard', '/api/v1/slo'):
            del made['created_at']
        self.held[path][str(number)] = made
        return made

    def answer(self, method: str, url: str, keys: dict[str, str | None], body: Any) -> tuple[int, Any]:
        if keys != KEYS:
            return 403, {'errors': ['Forbidden']}
        path, asked = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if path not in COLLECTIONS:
            path, _, identity = path.rpartition('/')
            if method == 'GET':
                return 200, self.held[path][identity]
            return self._written(method, path, identity, body)
        if method == 'POST':
            return self._written(method, path, '', body)
        first = int(next(iter(asked.get('start', asked.get('offset', ['0'])))))
        listed = list(self.held[path].values())[first:] if asked.get('page', ['0']) == ['0'] else []
        return 200, {'/api/v1/dashboard': {'dashboards': listed}, '/api/v1/slo': {'data': listed}}.get(path, listed)

    def _written(self, method: str, path: str, identity: str, body: Any) -> tuple[int, Any]:
        wrong = problems(body, COLLECTIONS[path][method == 'PUT'])
        if wrong:
            return 400, {'errors': wrong}
        self.written.append((method, path))
        if identity:
            self.held[path][identity].update(body)
        stored = self.held[path][identity] if identity else self.hold(path, body)
        return 200, {'data': [stored]} if path == '/api/v1/slo' else stored


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    made = Account()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get('Content-Length') or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            keys = {'DD_API_KEY': self.headers['DD-API-KEY'], 'DD_APP_KEY': self.headers['DD-APPLICATION-KEY']}
            status, answer = made.answer(self.command, self.path, keys, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.002,))
        thread.start()
        made.url = f'http://127.0.0.1:{server.server_port}'
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def run(account: Account, tmp_path: Path) -> Callable[..., int]:
    """Return the command, on some of the assets: the client takes seconds for a whole dashboard."""
    for kind, names in SOME.items():
        (tmp_path / kind).mkdir()
        for name in names:
            text = (ASSETS / kind / name).read_text()
            if kind == 'dashboards':
                content = json.loads(text)
                text = json.dumps({**content, 'widgets': content['widgets'][:1]})
            (tmp_path / kind / name).write_text(text)
    return lambda *words: main(words, account.url, tmp_path)


def test_nothing_is_written_unless_told(
    account: Account, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*NOTIFY) == 1

    assert account.written == []
    assert f'{COUNT} of {COUNT} to write' in capsys.readouterr().out


def test_everything_is_created_once_and_then_kept(account: Account, run: Callable[..., int]) -> None:
    assert run(*NOTIFY, '--write') == 0
    assert [method for method, _ in account.written] == ['POST'] * COUNT
    account.written.clear()

    assert run(*NOTIFY, '--write') == 0
    assert account.written == []
    assert run(*NOTIFY) == 0


def test_what_somebody_changed_is_brought_back_by_an_update(account: Account, run: Callable[..., int]) -> None:
    run(*NOTIFY, '--write')
    account.written.clear()
    account.all('monitor')[0]['message'] = 'Nobody reads this.'
    account.all('dashboard')[0]['title'] = 'Ours'

    assert run(*NOTIFY, '--write') == 0

    assert sorted(account.written) == [('PUT', '/api/v1/dashboard'), ('PUT', '/api/v1/monitor')]
    assert account.all('dashboard')[0]['title'] != 'Ours'


def test_another_handle_is_an_update_of_the_monitors_and_of_nothing_else(
    account: Account, run: Callable[..., int]
) -> None:
    run(*NOTIFY, '--write')
    account.written.clear()

    run('--notify', '@slack-platform', '--write')

    assert set(account.written) == {('PUT', '/api/v1/monitor')}
    assert len(account.written) == len(account.all('monitor'))


def test_pages_go_to_those_who_are_paged_and_the_rest_to_the_others(account: Account, run: Callable[..., int]) -> None:
    run(*NOTIFY, '--page', '@pagerduty-litellm', '--write')

    told = {(one['priority'] <= 2, *re.findall(r'@\S+', one['message'])) for one in account.all('monitor')}

    assert told == {(True, '@pagerduty-litellm'), (False, '@slack-litellm')}


def test_a_message_links_to_the_dashboard_itself_also_from_outside_of_datadog(
    account: Account, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('DD_SITE', 'datadoghq.eu')
    run(*NOTIFY, '--write')

    (board,) = account.all('dashboard')
    links = {link for one in account.all('monitor') for link in re.findall(r'\]\(([^)]*)', one['message'])}
    assert {link.partition('?')[0] for link in links} == {
        f'https://app.datadoghq.eu/dashboard/{board["id"]}',
        'https://app.datadoghq.eu/logs',
    }
    variables = 'tpl_var_env={{env.name}}&tpl_var_service={{service.name}}'
    assert f'https://app.datadoghq.eu/dashboard/{board["id"]}?{variables}' in links


@pytest.mark.parametrize(
    ('site', 'pages'),
    [('datadoghq.com', 'https://app.datadoghq.com/'), ('us5.datadoghq.com', 'https://us5.datadoghq.com/')],
)
def test_pages_of_a_site_are_where_datadog_has_them(
    account: Account, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, site: str, pages: str
) -> None:
    monkeypatch.setenv('DD_SITE', site)
    run(*NOTIFY, '--write')

    links = [link for one in account.all('monitor') for link in re.findall(r'\]\(([^)]*)', one['message'])]
    assert links
    assert all(link.startswith(pages) for link in links)


def test_an_import_with_a_scope_asks_for_nothing_else() -> None:
    monitors = [one for one in assets(('env:production', 'service:litellm'), Handles(['@x'])) if one.kind == 'monitors']
    scoped = [one.definition for one in monitors if 'env:production' in one.definition['tags']]

    assert {one.name for one in monitors if one.definition not in scoped} == {'check_replaced', 'untagged'}
    for one in scoped:
        conditions = re.findall(r'(?<!by )\{([^}]*)\}|\.over\(([^)]*)\)', one['query'])
        assert conditions
        assert all(
            query.startswith(('env:production AND service:litellm AND (', 'env:production,service:litellm'))
            or over == '"env:production","service:litellm"'
            for query, over in conditions
        ), one['query']


def test_the_model_reads_every_query_with_a_scope() -> None:
    # So its grammar is that of Datadog's queries.
    for one in assets(('env:production', 'service:litellm'), Handles(['@x'])):
        if one.kind == 'monitors':
            assert ModelOfMonitor.from_json({'definition': one.definition, 'title': one.name}).name


def test_what_groups_by_no_service_is_imported_once_however_many_scopes_are(
    account: Account, run: Callable[..., int]
) -> None:
    run(*NOTIFY, *SCOPE, '--write')
    run(*NOTIFY, '--env', 'staging', '--write')

    marks = [tag for one in account.all('monitor') for tag in one['tags'] if tag.startswith('litellm_import:')]
    assert len(marks) == len(set(marks))
    assert [mark for mark in marks if mark.startswith('litellm_import:untagged')] == ['litellm_import:untagged']
    assert {mark for mark in marks if mark.startswith('litellm_import:scrape_down')} == {
        'litellm_import:scrape_down/env:production/service:litellm',
        'litellm_import:scrape_down/env:staging',
    }
    assert len(account.all('dashboard')) == len(SOME['dashboards'])


def test_a_copy_that_somebody_made_is_left_alone(account: Account, run: Callable[..., int]) -> None:
    run(*NOTIFY, '--write')
    copied = account.hold('/api/v1/monitor', {**account.all('monitor')[0], 'name': 'Our own'})
    account.written.clear()

    run(*NOTIFY, '--write')

    assert account.written == []
    assert copied['name'] == 'Our own'


def test_keys_are_asked_for_and_never_printed(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('DD_API_KEY', 'c' * 32)
    assert run(*NOTIFY) == 2
    refused = capsys.readouterr()
    monkeypatch.delenv('DD_API_KEY')
    assert run(*NOTIFY) == 2

    assert refused.err == 'Datadog answers 403 Forbidden: Forbidden\n'
    assert capsys.readouterr().err.startswith('Set DD_API_KEY:')


def test_a_scope_that_no_query_can_name_is_refused(
    account: Account, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*NOTIFY, '--env', 'prod} by {host') == 2

    assert 'is no tag that a query can name' in capsys.readouterr().err
    assert account.written == []
