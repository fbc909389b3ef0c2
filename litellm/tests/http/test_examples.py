"""The examples for hosts, Docker Compose and ECS: their checks run, and the script puts the wheel back."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from datadog_checks.base.checks.base import AgentCheck
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck, __version__
from datadog_checks.litellm.mapping.labels import PERSONAL_LABELS
from tests.fixture_proxy import FixtureProxy, start
from tests.fixture_proxy.traffic import drive
from tests.support.autodiscovery import Port, Template, resolve, variables
from tests.support.documents import ROOT
from tests.support.stock_check import StockCheck

RunCheck = Callable[[AgentCheck], object]

EXAMPLES = Path(__file__).parents[2] / 'examples'
SCRIPT = EXAMPLES / 'host' / 'reinstall-litellm-check'
WHEEL = f'datadog_litellm-{__version__}-py3-none-any.whl'
CHECKS_LABEL = 'com.datadoghq.ad.checks'
KEY_VARIABLE = 'LITELLM_METRICS_KEY'


class _Template(yaml.SafeLoader):
    """CloudFormation, whose functions are left aside."""


_Template.add_constructor('!Ref', lambda loader, node: {'Ref': loader.construct_scalar(node)})


def compose() -> Mapping[str, Any]:
    services: Mapping[str, Any] = yaml.safe_load((EXAMPLES / 'docker' / 'compose.yaml').read_text())['services']
    return services


def task() -> dict[str, dict[str, Any]]:
    template = yaml.load((EXAMPLES / 'ecs' / 'task.yaml').read_text(), _Template)
    containers = template['Resources']['Task']['Properties']['ContainerDefinitions']
    return {container['Name']: container for container in containers}


def labels() -> dict[str, Mapping[str, str]]:
    return {'compose': compose()['litellm']['labels'], 'ecs': task()['litellm']['DockerLabels']}


def template_of(way: str) -> Template:
    (check,) = json.loads(labels()[way][CHECKS_LABEL]).items()
    (instance,) = check[1]['instances']
    return Template(check[0], check[1]['init_config'], instance)


@pytest.fixture(scope='module')
def proxy() -> Iterator[tuple[FixtureProxy, int]]:
    with start() as one:
        yield one, drive(one.url, one.key, requests=20).total_tokens


def instance_of(way: str, proxy: FixtureProxy) -> dict[str, Any]:
    port = int(proxy.url.rpartition(':')[2])
    template = template_of(way)
    # The port is written out, as neither has names for ports.
    instance = json.loads(json.dumps(template.instance).replace(':4000', f':{port}'))
    return resolve(
        template._replace(instance=instance), '127.0.0.1', [Port('http', port)], {KEY_VARIABLE: proxy.key}, {}
    )


@pytest.mark.parametrize('way', ['compose', 'ecs'])
@pytest.mark.usefixtures('first_page_counts')
def test_the_check_of_a_label_collects(
    way: str, proxy: tuple[FixtureProxy, int], aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    dd_run_check(LitellmCheck('litellm', {}, [instance_of(way, proxy[0])]))

    aggregator.assert_service_check('litellm.openmetrics.health', LitellmCheck.OK, count=1)
    assert sum(stub.value for stub in aggregator.metrics('litellm.total.tokens.count')) == proxy[1]


@pytest.mark.parametrize('check', [LitellmCheck, StockCheck])
@pytest.mark.parametrize('way', ['compose', 'ecs'])
@pytest.mark.usefixtures('first_page_counts')
def test_no_personal_label_leaves_under_either_check(
    check: type[AgentCheck],
    way: str,
    proxy: tuple[FixtureProxy, int],
    aggregator: AggregatorStub,
    dd_run_check: RunCheck,
) -> None:
    dd_run_check(check('litellm', {}, [instance_of(way, proxy[0])]))

    stubs = [stub for name in aggregator.metric_names for stub in aggregator.metrics(name)]
    assert len(stubs) > 100
    assert {tag.partition(':')[0] for stub in stubs for tag in stub.tags} & PERSONAL_LABELS == set()


def test_the_agent_has_what_a_label_takes_from_it() -> None:
    assert variables(template_of('compose'), 'env') <= compose()['agent']['environment'].keys()
    assert variables(template_of('ecs'), 'env') <= {secret['Name'] for secret in task()['agent']['Secrets']}


def test_the_proxy_of_compose_exposes_metrics() -> None:
    config = yaml.safe_load((EXAMPLES / 'docker' / 'compose.yaml').read_text())['configs']['litellm']['content']

    assert yaml.safe_load(config)['litellm_settings']['callbacks'] == ['prometheus']


def test_every_image_of_the_agent_has_both_versions_in_its_tag() -> None:
    texts = [path.read_text() for path in EXAMPLES.rglob('*') if path.is_file()]
    tags = {tag for text in texts for tag in re.findall(r'datadog-agent-litellm(?::|"?\n +tag: ")([\w.-]+)', text)}
    agents = {agent for text in texts for agent in re.findall(r'AGENT[=:] ?([\w.]+)', text)}

    assert tags == {f'{agent}-{__version__}' for agent in agents}
    assert len(agents) == 1


def test_every_wheel_that_is_named_is_that_of_this_version() -> None:
    pages = [path for path in EXAMPLES.rglob('*') if path.is_file()] + list((ROOT / 'docs').glob('*.md'))
    named = {version for path in pages for version in re.findall(r'datadog_litellm-([\d.]+)-py3', path.read_text())}

    assert named == {__version__}


# The host.


class Host:
    """A host whose Agent is a stand-in that keeps a version in a file, and writes down what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / 'wheels'
        self.wheels.mkdir()
        (self.wheels / WHEEL).touch()
        self._program('systemctl', 'echo "systemctl $*" >> "$FOLDER/calls"')
        self._program(
            'datadog-agent',
            'echo "$*" >> "$FOLDER/calls"',
            'case "$2" in',
            'show) cat "$FOLDER/version";;',
            'install) version=${4##*litellm-}; echo "${version%-py3*}" > "$FOLDER/version";;',
            'esac',
        )

    def _program(self, name: str, *lines: str) -> None:
        path = self.folder / name
        path.write_text('\n'.join(['#!/bin/sh', *lines, '']))
        path.chmod(0o755)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            'PATH': f'{self.folder}:{os.environ["PATH"]}',
            'FOLDER': str(self.folder),
            'LITELLM_WHEELS': str(self.wheels),
        }
        return subprocess.run(
            ['/bin/sh', str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, timeout=30
        )

    @property
    def calls(self) -> list[str]:
        path = self.folder / 'calls'
        return [call for call in path.read_text().splitlines() if ' show ' not in call] if path.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize('installed', ['2.6.0', None], ids=['bundled', 'none'])
def test_the_script_installs_the_wheel_in_place_of_another_check(host: Host, installed: str | None) -> None:
    if installed is not None:
        (host.folder / 'version').write_text(f'{installed}\n')

    first, second = host.run(), host.run()

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout.endswith(f'installed {__version__} in place of {installed or "none"}\n')
    assert second.stdout == ''
    assert host.calls == [f'integration install --local-wheel {host.wheels / WHEEL}']


def test_the_script_restarts_the_agent_only_if_told_and_needed(host: Host) -> None:
    (host.folder / 'version').write_text('2.6.0\n')

    host.run('--restart')
    host.run('--restart')

    assert [call for call in host.calls if call.startswith('systemctl')] == ['systemctl try-restart datadog-agent']


@pytest.mark.parametrize('wheels', [(), (WHEEL, 'datadog_litellm-2026.1.0-py3-none-any.whl')], ids=['none', 'two'])
def test_the_script_wants_one_wheel(host: Host, wheels: tuple[str, ...]) -> None:
    (host.wheels / WHEEL).unlink()
    for wheel in wheels:
        (host.wheels / wheel).touch()

    run = host.run()

    assert run.returncode == 1
    assert 'must hold one readable wheel' in run.stderr
    assert host.calls == []


def test_the_hooks_run_the_script() -> None:
    hooks = {path.name: path.read_text() for path in SCRIPT.parent.iterdir() if path != SCRIPT and path.suffix != '.md'}

    assert set(hooks) == {'apt.conf', 'datadog-agent.service.d.conf', 'dnf4.action', 'dnf5.actions'}
    assert all(f'/usr/local/sbin/{SCRIPT.name}' in text for text in hooks.values())
    # systemd runs it before the Agent: there is nothing to restart.
    assert [name for name, text in hooks.items() if '--restart' not in text] == ['datadog-agent.service.d.conf']
    assert os.access(SCRIPT, os.X_OK)
