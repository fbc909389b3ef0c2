"""One try of the wheel in one environment, and what is expected of it."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from packaging.version import Version
from prometheus_client.parser import text_string_to_metric_families
from tests.fixture_proxy import FixtureProxy, start
from tests.fixture_proxy.traffic import exercise
from tests.support.endpoint import serving_page
from tests.support.example_file import Option, options

from datadog_checks.litellm import __version__
from datadog_checks.litellm.metrics import raw_names
from tools.wheel import INTEGRATION, build, build_bundled

from .commands import install, remove, show
from .environments import Environment

__all__ = ['COLUMNS', 'Bench', 'Trial', 'bench', 'try_wheel']

COLUMNS = ('replaces', 'loads', 'options', 'wrong types', 'runs', 'collects', 'discovery', 'removed')

_PACKAGE = 'datadog-litellm'
_IN_AGENT = Path(__file__).with_name('in_agent.py')
_IN_AGENT_SECONDS = 300
# The endpoint is part of every run; for the others the Agent brings packages which the base package leaves to it.
_NOT_RUN = frozenset({'kerberos_auth', 'ntlm_domain', 'openmetrics_endpoint'})
# Each of these is refused without the other.
_PAIR = frozenset({'password', 'username'})
# From this base package on there is configuration discovery.
_DISCOVERY = Version('37.41')
# What the user has written, and nobody may touch.
_OWN_CONFIGURATION = 'instances: []\n'
_OPEN_PAGE = """\
# TYPE litellm_requests_metric_total counter
litellm_requests_metric_total{model="gpt-5"} 3.0
"""


class Bench(NamedTuple):
    """A bench for tries: the wheels, a proxy that has moved each of its families, and a small page without a key."""

    wheel: Path
    bundled: Path
    proxy: FixtureProxy
    page: str
    open_page: str
    key_file: Path


class Trial(NamedTuple):
    """The outcome of a try: complaints by column, and figures for the reader."""

    environment: Environment
    complaints: dict[str, list[str]]
    figures: str


@contextmanager
def bench() -> Iterator[Bench]:
    """Build the wheels, and start what they are to collect from."""
    with tempfile.TemporaryDirectory() as temporary, start() as proxy, serving_page(_OPEN_PAGE) as open_page:
        folder = Path(temporary)
        (folder / 'key').write_text(proxy.key)
        exercise(proxy.url, proxy.key)
        wheel, bundled = build(folder / 'ours'), build_bundled(folder / 'bundled')
        yield Bench(wheel, bundled, proxy, proxy.scrape(), open_page, folder / 'key')


def try_wheel(environment: Environment, on: Bench) -> Trial:
    """Install the wheel over the bundled check, load it, configure it, run it and remove it again."""
    complaints: dict[str, list[str]] = {column: [] for column in COLUMNS}
    with tempfile.TemporaryDirectory() as conf_d:
        remove(environment, _PACKAGE)
        install(environment, on.bundled, Path(conf_d))
        (Path(conf_d) / 'litellm.d' / 'conf.yaml').write_text(_OWN_CONFIGURATION)
        folder = install(environment, on.wheel, Path(conf_d))
        complaints['replaces'] += _not_replaced(environment, folder)
        a_file = str(on.key_file)
        files = dict.fromkeys(('<CERT_PATH>', '<KEY_FILE_PATH>', '<PRIVATE_KEY_PATH>'), a_file)
        known = options(folder / 'conf.yaml.example', files)
        answer = _ask(environment, known, on, folder)
        remove(environment, _PACKAGE)
    complaints['removed'] += [f'{show(environment, _PACKAGE)} is left'] if show(environment, _PACKAGE) else []

    accepted, refused = answer['complaints'][: len(known)], answer['complaints'][len(known) :]
    complaints['loads'] += _not_loaded(answer, environment, on)
    complaints['options'] += [f'{option.name}: {text}' for option, text in zip(known, accepted, strict=True) if text]
    complaints['wrong types'] += [
        f'{option.name} = {option.wrong_value!r}: {text or "accepted"}'
        for option, text in zip(known, refused, strict=True)
        if not re.search(rf'\b{option.name}\b', text)
    ]
    to_run = _to_run(known)
    complaints['runs'] += [
        f'{option.name}: {run["error"]}' for option, run in zip(to_run, answer['runs'], strict=True) if run['error']
    ]
    complaints['collects'] += _not_collected(answer['collected'], on.page)
    complaints['discovery'] += _not_discovered(answer, environment, on)
    figures = f'{len(known)} options, {len(to_run)} of them run, {len(answer["collected"]["metrics"])} metrics'
    return Trial(environment, complaints, figures)


def _to_run(known: Iterable[Option]) -> list[Option]:
    return [option for option in known if option.name not in _NOT_RUN]


def _run_with(option: Option, known: Iterable[Option], url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration of a run with an option as in the example file."""
    init_config, instance = option.configuration(option.example, url)
    pair = {one.name: one.example for one in known if one.name in _PAIR} if option.name in _PAIR else {}
    return init_config, instance | pair


def _ask(environment: Environment, known: list[Option], on: Bench, folder: Path) -> dict[str, Any]:
    """Put the questions of this module to the environment's own Python."""
    host, port = on.open_page.split('/')[2].split(':')
    (key,) = (option for option in known if option.name == 'extra_headers')
    header = {'Authorization': key.example['Authorization'].replace('<LITELLM_KEY>', on.proxy.key)}
    init_config, instance = key.configuration(header, on.proxy.metrics_url)
    # The stub of the Agent says that it started long ago: all that the proxy has counted is for one run to count.
    instance = {**instance, 'use_process_start_time': True, 'idle_counts': 'always'}
    asked = {
        'check': folder.name.removesuffix('.d'),
        'for_models': [
            *(option.configuration(option.example, on.open_page) for option in known),
            *(option.configuration(option.wrong_value, on.open_page) for option in known),
        ],
        'to_collect': [yaml.safe_dump(part) for part in (init_config, instance)],
        'to_run': [_run_with(option, known, on.open_page) for option in _to_run(known)],
        'service': {'id': 'docker://1', 'host': host, 'ports': [{'number': int(port), 'name': ''}]},
    }
    done = subprocess.run(
        [str(environment.interpreter), '-I', str(_IN_AGENT)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=_IN_AGENT_SECONDS,
        cwd=folder,
    )
    if done.returncode:
        raise RuntimeError(f'{environment.name}: {done.stderr}')
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _not_replaced(environment: Environment, folder: Path) -> Iterator[str]:
    if (version := show(environment, _PACKAGE)) != __version__:
        yield f'{version} is installed'
    if left := [str(path) for path in environment.interpreter.parents[1].glob('lib/*/site-packages/**/former.py')]:
        yield f'{left[0]} is left of the check that was there'
    files = {path.name: path.read_text() for path in folder.iterdir()}
    if files != {**_shipped_files(), 'conf.yaml': _OWN_CONFIGURATION}:
        yield f'{folder.name} has {sorted(files)}, or one of them is not what it should be'


def _shipped_files() -> dict[str, str]:
    return {path.name: path.read_text() for path in (INTEGRATION / 'datadog_checks' / 'litellm' / 'data').iterdir()}


def _not_loaded(answer: dict[str, Any], environment: Environment, on: Bench) -> Iterator[str]:
    if answer['class'] != 'LitellmCheck' or answer['version'] != __version__:
        yield f'{answer["class"]} {answer["version"]} is loaded'
    if not Path(answer['file']).is_relative_to(environment.interpreter.parents[1]):
        yield f'{answer["file"]} is loaded'


def _not_collected(run: dict[str, Any], page: str) -> Iterator[str]:
    """Hold what was submitted against the proxy's page."""
    if run['error'] or run['service_checks'].get('litellm.openmetrics.health') != [0]:
        yield f'error {run["error"]!r}, service checks {run["service_checks"]}'
        return
    names = raw_names()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    for family in sorted(families.keys() & names.keys()):
        name = f'litellm.{names[family]}'
        if families[family].samples and not {name, f'{name}.count'} & run['metrics'].keys():
            yield f'{name} is missing'
    tokens = families['litellm_total_tokens_metric']
    sent = sum(sample.value for sample in tokens.samples if sample.name.endswith('_total'))
    if (got := run['metrics']['litellm.total.tokens.count'][0]) != sent:
        yield f'{got} tokens instead of {sent}'


def _not_discovered(answer: dict[str, Any], environment: Environment, on: Bench) -> Iterator[str]:
    found = answer['discovered']
    if Version(environment.base) < _DISCOVERY:
        expected = None
    else:
        expected = [{'init_config': {}, 'instances': [{'openmetrics_endpoint': on.open_page}]}]
    if found != expected:
        yield f'{found} is discovered'
