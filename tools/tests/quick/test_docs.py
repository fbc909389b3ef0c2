"""Hold pages to what they say: links lead somewhere, names exist, and each block of commands or configuration works."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.fixture_proxy import FixtureProxy, start
from tests.support.documents import ROOT, Block, Page, page, pages

import datadog_checks.litellm
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.config_models.instance import InstanceConfig
from datadog_checks.litellm.mapping.labels import PERSONAL_LABELS
from datadog_checks.litellm.metrics import Group, raw_names
from tools.doc_blocks import PROXY_SECTIONS, Command, blocks, commands, documents_of, instances_of, proxy_settings
from tools.metadata import metadata_rows

RunCheck = Callable[[LitellmCheck], object]

# Hosts that pages may lead to. Nothing is fetched.
HOSTS = {'docs.datadoghq.com', 'docs.litellm.ai', 'github.com'}

# From a page on GitHub to the releases of the same repository, whatever its name.
RELEASES = re.compile(r'(\.\./)+releases/latest')

# Programs, modules, and languages of blocks, of which no test runs anything, and why.
NOT_RUN = {
    'datadog-agent': 'needs an Agent',
    'docker': 'needs a container engine',
    'grep': 'looks into the folder of an Agent',
    'install': 'writes into folders of the system',
    'systemctl': 'needs systemd',
    'dockerfile': 'needs a container engine and the image of the Agent',
    'helm': 'needs a cluster',
    'jq': 'pipes into a request to Datadog',
    'kubectl': 'needs a cluster',
    'unzip': 'needs the wheel of a release',
    'pip': 'builds into a folder of the checkout',
    '../.venvs/ddev/bin/towncrier': 'changes the changelog',
}
AGENT_SETTINGS = {'logs_enabled': 'a setting of datadog.yaml, read by an Agent only'}

# Names that look like options or labels, and are neither, or only in an example.
OTHER_NAMES = {
    'allow_requests_on_db_unavailable': 'a setting of LiteLLM',
    'allowed_fails': 'a setting of LiteLLM',
    'cooldown_time': 'a setting of LiteLLM',
    'check_version': 'a tag of the check',
    'counter_gauge': 'a type of the base package',
    'datadog_cost_management': 'a callback of LiteLLM',
    'datadog_llm_observability': 'a callback of LiteLLM',
    'datadog_metrics': 'a callback of LiteLLM',
    'health_endpoint': 'a tag of the check',
    'litellm_new_metric': 'a family that does not exist',
    'llm_model_name': 'a label of forks',
    'litellm_settings': 'a section of the configuration of LiteLLM',
    'model_group': 'a tag of the callback',
    'model_name': 'a tag of the callback',
    'num_retries': 'a setting of LiteLLM',
    'notify_by': 'an option of monitors',
    'prometheus_latency_buckets': 'a setting of LiteLLM',
    'notify_no_data': 'an option of a monitor',
    'prometheus_system': 'a callback of LiteLLM',
    'service_check': 'a type of the base package',
    'status_code': 'a tag of the callback',
    'target_info': 'an option of the base package, and a family',
    'temporal_percent': 'a type of the base package',
    'timeout_h': 'an option of monitors',
    'upper_bound': 'a tag of buckets',
    'vertex_ai': 'a provider of LiteLLM',
}
# What the Agent makes of any check, or tags by itself.
AGENT_NAMES = {'cluster_check', 'kube_cluster_name', 'kube_deployment', 'pod_name', 'process_isolation'}
OTHER_METRICS = {'litellm.new_metric': 'an example of a family that does not exist'}

# Files of the user's host or of LiteLLM, endpoints, and patterns: nothing that the repository has.
NOT_OURS = re.compile(
    r'/.*'  # A path of a URL.
    r'|(config|datadog|conf|litellm\.d/conf|litellm)\.yaml|requirements-agent-release\.txt|(conf|litellm)\.d/.*|(ad|tags)\.datadoghq\.com/.*'
    r'|\.\w+'  # A suffix.
    r'|.*RELEASE.*|(\.\./)*\.venvs/.*|dist/?'
)

PATHS = [
    path.relative_to(ROOT)
    for top in ROOT.iterdir()
    if not top.name.startswith('.')
    for path in [top, *(top.rglob('*') if top.is_dir() else ())]
]
USER_PAGES = [
    one for one in pages() if not {'tests', 'tools'} & set(one.path.parts) and one.path.name != 'CHANGELOG.md'
]

_METRIC = re.compile(r'litellm(\.[a-z0-9_]+)+')
_OPTION_LIKE = re.compile(r'(?P<name>[a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:: .*)?')
_FILE_LIKE = re.compile(r'[\w./-]+(?:/|\.(?:py|csv|md|json|yaml|txt|toml|in|gz))|[\w.-]+(?:/[\w.-]+)+')
_REFERENCE = re.compile(r'^\[([^\]]+)\]: ', re.MULTILINE)


EXAMPLE = (ROOT / 'litellm/datadog_checks/litellm/data/conf.yaml.example').read_text()
CALLBACKS = page('docs/callbacks.md')
OPTIONS = frozenset(re.findall(r'^ *## @param (\w+) - ', EXAMPLE, re.MULTILINE))


def labels() -> set[str]:
    with (ROOT / 'litellm/tests/lineage/families.csv').open() as rows:
        return {label for row in csv.DictReader(rows) for label in re.findall(r'\w+', row['labels'])} | PERSONAL_LABELS


@pytest.mark.parametrize('one', pages(), ids=str)
def test_every_link_leads_somewhere(one: Page) -> None:
    broken = []
    for link in one.links():
        url = urlsplit(link)
        if RELEASES.fullmatch(link):
            continue
        if url.scheme:
            if url.scheme != 'https' or url.netloc not in HOSTS:
                broken.append(link)
            continue
        target = one.path.parent / url.path if url.path else one.path
        if not target.exists() or (
            url.fragment and url.fragment not in page(target.resolve().relative_to(ROOT).as_posix()).anchors()
        ):
            broken.append(link)

    assert broken == []


def test_no_host_is_allowed_for_nothing() -> None:
    assert {urlsplit(link).netloc for one in pages() for link in one.links()} - {''} == HOSTS


@pytest.mark.parametrize('one', pages(), ids=str)
def test_references_are_defined_once_and_used(one: Page) -> None:
    twice = [name for name, times in Counter(_REFERENCE.findall(one.text)).items() if times > 1]
    undefined = [text for text in one.texts() if re.search(r'\]\[\w+\]', text)]

    assert (twice, undefined, one.unused_references()) == ([], [], [])


@pytest.mark.parametrize('one', USER_PAGES, ids=str)
def test_every_metric_in_a_page_exists(one: Page) -> None:
    checks = json.loads((ROOT / 'litellm/assets/service_checks.json').read_text())
    known = {*metadata_rows(), *(check['check'] for check in checks), *OTHER_METRICS}
    known |= {name.removesuffix('.bucket') for name in known}
    known |= {row.code[0][0] for row in CALLBACKS.rows('Metrics of the callback')}
    named = {name for code in one.code() for name in braces(code) if _METRIC.fullmatch(name)}

    assert {name for name in named if not name.endswith('.yaml')} - known == set()


# The descriptions of metadata.csv name values of labels as well.
@pytest.mark.parametrize('one', [one for one in USER_PAGES if one.path.name != 'added_metrics.md'], ids=str)
def test_every_option_and_label_in_a_page_exists(one: Page) -> None:
    found = (_OPTION_LIKE.fullmatch(code) for code in one.code())
    options = {*OPTIONS, *InstanceConfig.model_fields}
    known = {*options, *labels(), *raw_names(), *Group, *proxy_settings(), *OTHER_NAMES, *AGENT_NAMES}

    assert {match['name'] for match in found if match} - known == set()


def test_no_other_name_is_listed_for_nothing() -> None:
    code = ' '.join(code for one in USER_PAGES for code in one.code())

    assert [name for name in (*OTHER_NAMES, *OTHER_METRICS) if name not in code] == []
    assert [name for name in OTHER_NAMES if name in OPTIONS] == []


@pytest.mark.parametrize('one', pages(), ids=str)
def test_every_file_in_a_page_exists(one: Page) -> None:
    files = [code.strip('/') for code in one.code() if _FILE_LIKE.fullmatch(code) and not NOT_OURS.fullmatch(code)]

    assert [file for file in files if not exists(file)] == []


def exists(file: str) -> bool:
    """Tell whether the repository has a file or folder whose path ends with this."""
    end = Path(file.lstrip('./')).parts
    return any(path.parts[-len(end) :] == end for path in PATHS)


def test_the_layout_of_the_repository_names_what_there_is() -> None:
    (plan,) = [block for block in blocks('') if 'requirements/' in block.text]
    words = [word.strip('`,:;') for word in plan.text.split()]
    files = [word for word in words if re.fullmatch(r'[\w./]+(\.(py|md|csv|json|yaml)|/)', word)]

    assert len(files) > 10
    assert [file for file in files if not exists(file)] == []


def test_the_layout_of_the_repository_has_the_map_of_the_check() -> None:
    room = re.compile(r'^    (\w+(?:/|\.py)) +(\S.*)$', re.MULTILINE)
    (plan,) = [block for block in blocks('') if 'requirements/' in block.text]

    rooms = room.findall(datadog_checks.litellm.__doc__ or '')

    assert len(rooms) > 10
    assert room.findall(plan.text)[: len(rooms)] == rooms


# Blocks.


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    tried = {'', 'json', 'python', 'shell', 'yaml', *NOT_RUN}

    assert [str(block) for one in pages() for block in one.blocks() if block.language not in tried] == []


def test_code_can_be_read() -> None:
    for block in blocks('json'):
        json.loads(block.text)
    for block in blocks('python'):
        compile(textwrap.dedent(block.text), str(block), 'exec')


TARGETS = set(re.findall(r'^([a-z0-9-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))


@pytest.mark.parametrize('command', list(commands()), ids=str)
def test_every_command_can_be_run_or_says_what_it_needs(command: Command) -> None:
    program, *arguments = command.words
    files = [word for word in arguments if word.startswith(('docs/', 'litellm/'))]
    assert [file for file in files if not (ROOT / file).exists()] == []
    if program in NOT_RUN or (program == 'python' and arguments[1] in NOT_RUN):
        return
    match program.rpartition('/')[2]:
        case 'make':
            assert {word for word in arguments if '=' not in word} <= TARGETS
        case 'python' | 'python3':
            assert arguments[0] == '-m'
            assert importlib.util.find_spec(arguments[1]) is not None
        case 'pytest':
            assert all((ROOT / 'litellm' / word).exists() for word in arguments if not word.startswith('-'))
        case 'cd':
            assert (ROOT / arguments[0]).is_dir()
        case 'export':
            name = arguments[0].partition('=')[0]
            sources = (ROOT / 'litellm/datadog_checks/litellm').rglob('*.py')
            assert any(name in source.read_text() for source in sources)
        case _:
            pytest.fail(f'nothing is known of {program}')


@pytest.mark.parametrize('one', pages(), ids=str)
def test_every_target_in_a_page_exists(one: Page) -> None:
    named = {found[1] for code in one.code() if (found := re.match(r'make ([a-z0-9-]+)', code))}
    modules = {found[1] for code in one.code() if (found := re.match(r'python -m ([\w.]+)', code))}

    assert named - TARGETS == set()
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []


@pytest.fixture(scope='module')
def proxy() -> Iterator[FixtureProxy]:
    with start() as one:
        yield one


def filled_in(document: Any, proxy: FixtureProxy, key_file: Path) -> Any:
    """Return a configuration with the fixture proxy, its key and a file with that in place of what is a user's own."""
    host, _, port = proxy.url.removeprefix('http://').rpartition(':')
    text = json.dumps(document)
    for pattern, value in [
        (r'http://localhost:4000', proxy.url),
        (r'%%host%%', host),
        (r'%%port(_\w+)?%%', port),
        (r'\b4000\b', port),
        (r'<LITELLM_KEY>', proxy.key),
        (r'ENC\[[^\]]*\]', proxy.key),
        (r'%%env_\w+%%', proxy.key),
        (r'/etc/datadog-agent/litellm\.key', str(key_file)),
    ]:
        text = re.sub(pattern, value, text)
    return json.loads(text)


def test_the_typical_instance_is_the_same_in_the_readmes_and_in_the_sample_file() -> None:
    lines = EXAMPLE.partition('A typical instance')[2].partition('\n    #\n')[0].splitlines()
    shown = [line.removeprefix('    ##') for line in lines[lines.index('    ##') :]]
    (typical,) = yaml.safe_load('\n'.join(shown))
    first = [
        next(instance for block, instance in INSTANCES if block.page is page(name))
        for name in ('README.md', 'litellm/README.md')
    ]

    assert first == [typical, typical]


YAML = [(block, document) for block in blocks('yaml') for document in documents_of(block)]
INSTANCES = [(block, instance) for block, document in YAML for instance in instances_of(document, OPTIONS)]


@pytest.mark.parametrize(('block', 'instance'), INSTANCES, ids=[str(block) for block, _ in INSTANCES])
def test_an_instance_in_a_page_collects(
    block: Block,
    instance: dict[str, Any],
    proxy: FixtureProxy,
    tmp_path: Path,
    aggregator: AggregatorStub,
    dd_run_check: RunCheck,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The stand-in for the Agent refuses tags such as `env`, which are for users to set.
    monkeypatch.setenv('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')
    key_file = tmp_path / 'key'
    key_file.write_text(proxy.key)
    instance = filled_in(instance, proxy, key_file)
    has_key = {'auth_token', 'extra_headers', 'headers'} & instance.keys()
    if 'openmetrics_endpoint' not in instance:
        # Options that are shown alone.
        instance = {
            'openmetrics_endpoint': proxy.metrics_url,
            **({} if has_key else {'headers': proxy.headers}),
            **instance,
        }
    check = LitellmCheck('litellm', {}, [instance])
    check.load_configuration_models()
    dd_run_check(check)

    aggregator.assert_service_check('litellm.openmetrics.health', LitellmCheck.OK, count=1)
    assert set(instance) <= OPTIONS | {'min_collection_interval'}


@pytest.mark.parametrize(('block', 'document'), YAML, ids=[str(block) for block, _ in YAML])
def test_what_is_no_instance_is_of_a_known_kind(block: Block, document: Any) -> None:
    if instances_of(document, OPTIONS):
        return
    if document.keys() <= PROXY_SECTIONS:
        # That the settings exist is for test_real_callbacks.py, which has LiteLLM's source.
        return
    if document.keys() <= AGENT_SETTINGS.keys():
        return
    if document.keys() == {'logs'}:
        collected = document['logs']
    else:
        assert [name for name in document if not re.fullmatch(r'ad\.datadoghq\.com/.+\.logs', name)] == []
        collected = [one for value in document.values() for one in json.loads(value)]
    assert [one for one in collected if not {'source', 'service'} <= one.keys()] == []


REPORTS = [command for command in commands() if 'datadog_checks.litellm' in command.words]
DOCTORS = [command for command in REPORTS if 'doctor' in command.words]


def to_python(command: Command) -> list[str]:
    """Return the arguments of a command's Python, wherever a page runs it."""
    (python,) = (position for position, word in enumerate(command.words) if Path(word).name == 'python')
    return command.words[python + 1 :]


@pytest.mark.parametrize('command', [command for command in REPORTS if command not in DOCTORS], ids=str)
def test_the_report_runs_as_a_page_says(command: Command, proxy: FixtureProxy, tmp_path: Path) -> None:
    (tmp_path / 'key.txt').write_text(proxy.key)
    arguments = [proxy.metrics_url if word.startswith('http') else word for word in to_python(command)]
    report = subprocess.run(
        [sys.executable, *arguments, '--interval', '0.1'],
        cwd=tmp_path,
        env={'LITELLM_METRICS_KEY': proxy.key, 'NO_PROXY': '127.0.0.1'},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert report.returncode == 0, report.stderr
    assert 'litellm.' in report.stdout
    assert proxy.key not in report.stdout


@pytest.mark.parametrize('command', DOCTORS, ids=str)
def test_the_doctor_runs_as_a_page_says(command: Command, proxy: FixtureProxy, tmp_path: Path) -> None:
    instance = {'openmetrics_endpoint': proxy.metrics_url, 'extra_headers': proxy.headers}
    (tmp_path / 'conf.yaml').write_text(json.dumps({'instances': [instance]}))
    arguments = [Path(word).name if word.endswith('conf.yaml') else word for word in to_python(command)]
    arguments = [proxy.metrics_url if word.startswith('http') else word for word in arguments]
    doctor = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={'LITELLM_METRICS_KEY': proxy.key, 'NO_PROXY': '127.0.0.1'},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert f'\n{proxy.metrics_url}\n  ok       metrics page: ' in doctor.stdout, doctor.stderr


def braces(code: str) -> list[str]:
    """Return what a name with braces stands for: `a.{b,c}` for `a.b` and `a.c`."""
    found = re.fullmatch(r'([^{}]*)\{([^{}*]+)\}([^{}]*)', code)
    return [f'{found[1]}{part}{found[3]}' for part in found[2].split(',')] if found else [code]
