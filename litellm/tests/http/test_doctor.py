"""The doctor: what it says of an installation, of options under another check, and of a proxy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from datadog_checks.base.checks.base import AgentCheck
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import __version__
from datadog_checks.litellm.doctor import installation
from datadog_checks.litellm.doctor.cli import main
from datadog_checks.litellm.doctor.other_check import OWN_OPTIONS, labels_under_the_other_check, look_at_options
from datadog_checks.litellm.mapping.labels import PERSONAL_LABELS, is_personal
from tests.support.endpoint import PROMETHEUS, answering, answering_json, serving, serving_page, serving_paths
from tests.support.stock_check import StockCheck

RunCheck = Callable[[AgentCheck], object]

REAL_PAGE = gzip.decompress((Path(__file__).parents[1] / 'pages' / '1.110.2.txt.gz').read_bytes()).decode()
PAGE = '# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{model="gpt-5",user="ann"} 3.0\n'
KEY = 'sk-very-secret'
PERSONAL = sorted(PERSONAL_LABELS)


def examined(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, str]]]:
    """Run the doctor, and return its exit code and findings."""
    status = main([*map(str, arguments), '--json'])
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err
    report = json.loads(printed.out)
    assert report['version'] == __version__
    return status, report['findings']


def problems(findings: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(one['subject'], one['text']) for one in findings if one['verdict'] == 'problem']


def conf(folder: Path, *instances: dict[str, Any]) -> Path:
    path = folder / 'conf.yaml'
    path.write_text(yaml.safe_dump({'init_config': None, 'instances': list(instances)}))
    return path


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package installed as it is here: that of a checkout may be an earlier one."""
    monkeypatch.setattr(installation, '_version_of', lambda _: __version__)


# Installation.


def test_it_says_which_check_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    status, findings = examined(capsys)

    assert status == 0
    assert findings[0]['verdict'] == 'ok'
    assert findings[0]['text'].startswith(f'this check, {__version__}, on datadog-checks-base ')


def test_a_package_of_another_version_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, '_version_of', lambda _: '2.6.0')

    status, findings = examined(capsys)

    assert status == 1
    assert problems(findings)[0][0] == 'installed'


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    assert installation._version_of('datadog-no-such-check') == 'none'


# Options under another check of the name. The base package is the stand-in for it.


def test_options_that_only_this_check_has_are_known() -> None:
    assert {'exclude_personal_labels', 'max_contexts', 'exclude_metric_groups'} <= OWN_OPTIONS
    assert (
        OWN_OPTIONS & {'exclude_labels', 'include_labels', 'openmetrics_endpoint', 'litellm_health_endpoint'} == set()
    )


@pytest.mark.parametrize(
    'options',
    [
        {'exclude_personal_labels': True},
        {'exclude_personal_labels': True, 'exclude_labels': PERSONAL[:3]},
        {'exclude_personal_labels': True, 'exclude_labels': PERSONAL},
        {'exclude_personal_labels': True, 'include_labels': ['model', 'team', 'user', 'upper_bound']},
        {'exclude_personal_labels': True, 'include_labels': ['model', 'team', 'upper_bound']},
    ],
    ids=['own option', 'some excluded', 'all excluded', 'one kept', 'none kept'],
)
def test_the_labels_it_names_are_those_that_the_stand_in_sends(
    options: dict[str, Any], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    with serving_page(REAL_PAGE) as url:
        instance = {'openmetrics_endpoint': url, **options}
        dd_run_check(StockCheck('litellm', {}, [instance]))
    stubs = [stub for name in aggregator.metric_names for stub in aggregator.metrics(name)]
    sent = {tag.partition(':')[0] for stub in stubs for tag in stub.tags}

    on_the_page = [label for label in PERSONAL if f'{label}="' in REAL_PAGE]
    assert labels_under_the_other_check(instance, on_the_page) == sorted(filter(is_personal, sent))


def test_privacy_that_only_this_check_gives_is_a_problem() -> None:
    (finding,) = look_at_options({'exclude_personal_labels': True})

    assert finding.verdict == 'problem'
    assert '`user_email`' in finding.text
    assert '`exclude_labels`' in finding.advice


def test_privacy_by_base_options_is_none() -> None:
    findings = look_at_options({'exclude_personal_labels': True, 'exclude_labels': PERSONAL})

    assert [one.verdict for one in findings] == ['ok']


def test_an_option_whose_loss_matters_comes_with_what_to_write_instead() -> None:
    (finding,) = look_at_options({'exclude_metric_groups': ['services']})

    assert (finding.verdict, finding.text) == ('note', '`exclude_metric_groups` would be ignored')
    assert '`exclude_metrics`' in finding.advice


def test_options_whose_loss_does_not_matter_are_one_note() -> None:
    (finding,) = look_at_options({'max_page_seconds': 60, 'filter_at_proxy': False, 'collect_readiness': None})

    assert finding.text.startswith('`filter_at_proxy`, `max_page_seconds` would be ignored')


def test_a_list_of_labels_without_the_bound_of_buckets_is_a_problem() -> None:
    (finding,) = look_at_options({'include_labels': ['model']})

    assert finding.verdict == 'problem'
    assert '`upper_bound`' in finding.advice


# The proxy.


def test_a_proxy_that_answers_well_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    page = answering(200, PAGE, {'Content-Type': PROMETHEUS})
    ready = answering_json({'status': 'connected', 'db': 'connected'})
    with serving_paths({'/metrics/': page, '/health/readiness': ready}) as url:
        status, findings = examined(capsys, f'{url}/metrics/')

    assert (status, problems(findings)) == (0, [])
    subjects = [one['subject'] for one in findings if one['verdict'] == 'ok']
    assert subjects == ['installed', 'metrics page', 'litellm.proxy.ready', 'litellm.proxy.database', 'clock']
    assert findings[-1]['text'] == 'labels that may identify a person: user'


def test_a_database_that_is_lost_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    page = answering(200, PAGE, {'Content-Type': PROMETHEUS})
    ready = answering_json({'status': 'unhealthy', 'db': 'disconnected'}, status=503)
    with serving_paths({'/metrics/': page, '/health/readiness': ready}) as url:
        status, findings = examined(capsys, f'{url}/metrics/')

    assert status == 1
    assert {subject for subject, _ in problems(findings)} == {'litellm.proxy.ready', 'litellm.proxy.database'}


def test_a_page_that_asks_for_a_key_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answering(401)) as url:
        status, findings = examined(capsys, url)

    assert status == 1
    assert 'requires a key' in problems(findings)[0][1]
    assert findings[-1]['advice'] == 'Pass the key with --key-file.'


def test_a_key_is_sent_and_not_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    seen: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers.get('Authorization'))
        # A proxy that gives away what it was sent.
        answering(200, PAGE.replace('ann', KEY), {'Content-Type': PROMETHEUS})(request)

    (tmp_path / 'key').write_text(KEY)
    with serving(answer) as url:
        status, _ = examined(capsys, url, '--key-file', tmp_path / 'key')

    assert status == 0
    assert set(seen) == {f'Bearer {KEY}'}


def test_a_clock_that_is_wrong_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.date_time_string = lambda timestamp=None: 'Thu, 01 Jan 2026 00:00:00 GMT'  # type: ignore[method-assign]
        answering(200, PAGE, {'Content-Type': PROMETHEUS})(request)

    with serving(answer) as url:
        status, findings = examined(capsys, url)

    assert status == 1
    assert [subject for subject, _ in problems(findings)] == ['clock']


def test_labels_that_only_this_check_withholds_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serving_page(PAGE) as url:
        path = conf(tmp_path, {'openmetrics_endpoint': url, 'exclude_personal_labels': True})
        status, findings = examined(capsys, '--config', path)

    assert status == 1
    assert ('another check', 'would send of this page: user') in problems(findings)


def test_health_is_never_requested(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked: list[str] = []

    def health(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        answering_json({'healthy_endpoints': [], 'unhealthy_endpoints': []})(request)

    with serving_paths({'/metrics/': answering(200, PAGE, {'Content-Type': PROMETHEUS}), '/health': health}) as url:
        instance = {'openmetrics_endpoint': f'{url}/metrics/', 'litellm_health_endpoint': f'{url}/health'}
        status, _ = examined(capsys, '--config', conf(tmp_path, instance))

    assert (status, asked) == (0, [])


def test_every_instance_of_a_file_is_looked_at(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with serving_page(PAGE) as one, serving(answering(500)) as other:
        path = conf(tmp_path, {'openmetrics_endpoint': one}, {'openmetrics_endpoint': other, 'timout': 3})
        status, findings = examined(capsys, '--config', path)

    assert status == 1
    assert {found['about'] for found in findings} == {'installation', one, other}
    assert ('options', '`timout` is not an option of this check; did you mean `timeout`?') in problems(findings)


@pytest.mark.parametrize('url', [None, '', 'nope', 5, ['x'], 'http://[', 'http://%%host%%:4000/metrics/'])
def test_an_instance_that_has_no_url_is_a_problem_of_that_instance_alone(
    url: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with serving_page(PAGE) as other:
        path = conf(tmp_path, {'openmetrics_endpoint': url}, {'openmetrics_endpoint': other})
        status, findings = examined(capsys, '--config', path)

    assert status == 1
    assert 'openmetrics_endpoint' in problems(findings)[0][1]
    assert (other, 'ok', 'metrics page') in {(one['about'], one['verdict'], one['subject']) for one in findings}


def test_a_file_is_looked_at_as_the_agent_reads_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A path is added to a URL of the command line only, and instances may have the same URL."""
    with serving_page(PAGE) as url:
        instance = {'openmetrics_endpoint': url.removesuffix('metrics/')}
        _, findings = examined(capsys, '--config', conf(tmp_path, instance, instance))

    assert [one['text'][:13] for one in findings if one['subject'] == 'metrics page'] == ['404 Not Found'] * 2


def test_offline_sends_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked: list[str] = []
    with serving(lambda request: asked.append(request.path)) as url:
        path = conf(tmp_path, {'openmetrics_endpoint': url, 'exclude_personal_labels': True})
        status, _ = examined(capsys, '--config', path, '--offline')

    assert (status, asked) == (1, [])


def test_a_key_that_the_agent_decrypts_leaves_the_page_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    headers = {'x-litellm-api-key': 'ENC[litellm]'}
    path = conf(tmp_path, {'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', 'extra_headers': headers})

    status, findings = examined(capsys, '--config', path)

    assert status == 0
    assert findings[-1]['text'].startswith('not requested: only the Agent decrypts')


def test_a_wrong_option_is_a_problem(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = conf(tmp_path, {'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', 'max_contexts': 'many'})

    status, findings = examined(capsys, '--config', path, '--offline')

    assert status == 1
    assert problems(findings)[0][0] == 'options'


@pytest.mark.parametrize(
    ('option', 'value', 'problem'),
    [
        ('auth_type', 'nope', 'The setting `auth_type` must be one of'),
        ('litellm_health_endpoint', 'localhost:4000/health', 'The setting `litellm_health_endpoint` must be a URL'),
        ('litellm_readiness_endpoint', 'http://{host}/', 'The setting `litellm_readiness_endpoint` must be a URL'),
        ('extra_metrics', [{'litellm_x': {'type': 'conter'}}], 'The setting `extra_metrics` cannot be used'),
        ('share_labels', {'litellm_x': False}, 'setting `share_labels` must be a mapping or set to `true`'),
    ],
)
def test_what_only_the_check_itself_refuses_is_a_problem_as_well(
    option: str, value: Any, problem: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = conf(tmp_path, {'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', option: value})
    status, findings = examined(capsys, '--config', path, '--offline')

    assert status == 1
    assert any(problem in one['text'] for one in findings)


def test_a_url_with_a_part_that_the_agent_decrypts_is_none_yet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = 'http://me:ENC[password]@127.0.0.1:9/health'
    path = conf(tmp_path, {'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/', 'litellm_health_endpoint': url})
    _, findings = examined(capsys, '--config', path, '--offline')

    assert not any('must be a URL' in one['text'] for one in findings)


def test_a_file_that_is_missing_is_bad_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(['--config', str(tmp_path / 'none.yaml')]) == 2
    assert 'cannot read' in capsys.readouterr().err


def test_the_text_has_a_line_for_each_finding_and_one_for_its_advice(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(answering(401)) as url:
        assert main([url]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'installation'
    assert lines[-1].strip() == 'Pass the key with --key-file.'
