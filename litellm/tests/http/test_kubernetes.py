"""The manifests of examples/kubernetes: valid, fitting together, and their annotations run as checks."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from kubernetes_validate.utils import ValidationError, latest_version, validate

from datadog_checks.base.checks.base import AgentCheck
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck, __version__
from datadog_checks.litellm.mapping.labels import PERSONAL_LABELS
from tests.fixture_proxy import FixtureProxy, start
from tests.fixture_proxy.traffic import drive
from tests.support.autodiscovery import (
    Port,
    Template,
    UnresolvedError,
    resolve,
    secret_handles,
    short_image,
    templates,
    variables,
)
from tests.support.stock_check import StockCheck

RunCheck = Callable[[AgentCheck], object]

FOLDER = Path(__file__).parents[2] / 'examples' / 'kubernetes'
AUTO_CONF = Path(__file__).parents[2] / 'datadog_checks' / 'litellm' / 'data' / 'auto_conf.yaml'
KUBERNETES = ['1.30', latest_version()]
PATCH = 'agent-init-container-patch.yaml'
# A resource of the Datadog Operator, whose schema is not Kubernetes' own; and no resource at all, or a part of one.
WITHOUT_SCHEMA = {'agent-operator.yaml', 'agent-helm-values.yaml', PATCH}
MANIFESTS = sorted(path.name for path in FOLDER.glob('*.yaml') if path.name not in WITHOUT_SCHEMA)

HANDLE = 'k8s_secret@litellm/litellm-agent/metrics-key'
KEY_VARIABLE = 'LITELLM_METRICS_KEY'
PORT, METRICS_PORT = 4000, 4001

needs_discovery = pytest.mark.skipif(
    not hasattr(AgentCheck, 'discover_config'), reason='config discovery came with datadog-checks-base 37.41'
)


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    (found,) = (document for document in documents(name) if document['kind'] == kind)
    return found


class Annotated(NamedTuple):
    """A template that annotations give the Agent, and the ports that its variables can mean."""

    manifest: str
    template: Template
    ports: list[Port]
    containers: list[dict[str, Any]]


def annotated() -> Iterator[Annotated]:
    for name in MANIFESTS:
        for document in documents(name):
            pod = document['spec'].get('template', document) if 'spec' in document else document
            annotations = pod.get('metadata', {}).get('annotations', {})
            containers = pod.get('spec', {}).get('containers', [])
            for container in containers:
                ports = [Port(port['name'], port['containerPort']) for port in container['ports']]
                for template in templates(annotations, container['name']):
                    yield Annotated(name, template, ports, containers)
            if document['kind'] == 'Service':
                ports = [Port(port['name'], port['port']) for port in document['spec']['ports']]
                for template in templates(annotations, 'endpoints'):
                    yield Annotated(name, template, ports, [])


ANNOTATED = list(annotated())


def cluster_checks() -> dict[str, dict[str, Any]]:
    """Return the configuration of the cluster check in each way to install the Agent."""
    (operator,) = documents('agent-operator.yaml')
    (helm,) = documents('agent-helm-values.yaml')
    files = {
        'operator': operator['spec']['override']['clusterAgent']['extraConfd']['configDataMap'],
        'helm': helm['clusterAgent']['confd'],
    }
    return {way: yaml.safe_load(found['litellm.yaml']) for way, found in files.items()}


def agent_variables() -> dict[str, set[str]]:
    (operator,) = documents('agent-operator.yaml')
    (helm,) = documents('agent-helm-values.yaml')
    lists = {'operator': operator['spec']['override']['nodeAgent']['env'], 'helm': helm['datadog']['env']}
    return {way: {variable['name'] for variable in variables} for way, variables in lists.items()}


def readable_secrets() -> dict[str, set[tuple[str, str]]]:
    (operator,) = documents('agent-operator.yaml')
    (helm,) = documents('agent-helm-values.yaml')
    backends = {'operator': operator['spec']['global']['secretBackend'], 'helm': helm['datadog']['secretBackend']}
    assert {backend['command'] for backend in backends.values()} == {'/readsecret_multiple_providers.sh'}
    return {
        way: {(role['namespace'], secret) for role in backend['roles'] for secret in role['secrets']}
        for way, backend in backends.items()
    }


class Pod(NamedTuple):
    """A pod of the manifests: a proxy that asks for a key, and its metrics port, which does not."""

    proxy: FixtureProxy
    metrics: FixtureProxy
    tokens: int

    def ports(self, declared: list[Port]) -> list[Port]:
        """Put the ports on which the pod really listens in place of those of the manifest."""
        real = {PORT: self.proxy, METRICS_PORT: self.metrics}
        return [Port(port.name, int(real[port.number].url.rpartition(':')[2])) for port in declared]


@pytest.fixture(scope='module')
def pod() -> Iterator[Pod]:
    with start() as proxy, start('--no-auth', '--workers', '2') as metrics:
        sent = [drive(one.url, one.key, requests=20) for one in (proxy, metrics)]
        assert sent[0].total_tokens == sent[1].total_tokens
        yield Pod(proxy, metrics, sent[0].total_tokens)


def instance_of(one: Annotated, pod: Pod) -> dict[str, Any]:
    key = pod.proxy.key
    return resolve(one.template, '127.0.0.1', pod.ports(one.ports), {KEY_VARIABLE: key}, {HANDLE: key})


def patched() -> dict[str, Any]:
    """Return the pod of an Agent that has nothing but the patch."""
    (patch,) = documents(PATCH)
    pod: dict[str, Any] = patch['spec']['template']['spec']
    return pod


def daemonset_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    labels = {'app': 'datadog'}
    return {
        'apiVersion': 'apps/v1',
        'kind': 'DaemonSet',
        'metadata': {'name': 'datadog', 'namespace': 'datadog'},
        'spec': {'selector': {'matchLabels': labels}, 'template': {'metadata': {'labels': labels}, 'spec': pod}},
    }


@pytest.mark.parametrize('version', KUBERNETES)
@pytest.mark.parametrize('name', MANIFESTS)
def test_a_manifest_is_valid(name: str, version: str) -> None:
    for document in documents(name):
        validate(document, version, strict=True)


@pytest.mark.parametrize('version', KUBERNETES)
def test_a_daemonset_with_the_patch_is_valid(version: str) -> None:
    validate(daemonset_of(patched()), version, strict=True)


def test_the_init_container_unpacks_the_check_to_where_the_agent_mounts_it(tmp_path: Path) -> None:
    (unpacking,), (agent,) = patched()['initContainers'], patched()['containers']
    (mount,) = agent['volumeMounts']
    folders = {one['mountPath']: tmp_path / one['name'] for one in unpacking['volumeMounts']}
    python, *arguments = unpacking['command']
    wheel, target = map(Path, arguments[-2:])
    folders[str(wheel.parent)].mkdir()
    with zipfile.ZipFile(folders[str(wheel.parent)] / wheel.name, 'w') as archive:
        archive.writestr('datadog_checks/litellm/__about__.py', '')
        archive.writestr('datadog_litellm.dist-info/METADATA', '')
    here = [str(folders[str(wheel.parent)] / wheel.name), str(folders[str(target)])]
    subprocess.run([sys.executable, *arguments[:-2], *here], check=True, timeout=60)

    assert python.startswith('/opt/datadog-agent/embedded/bin/')
    assert wheel.name == f'datadog_litellm-{__version__}-py3-none-any.whl'
    assert [path.name for path in (tmp_path / mount['name'] / mount['subPath']).iterdir()] == ['__about__.py']
    assert mount['mountPath'].endswith(f'/site-packages/{mount["subPath"]}')
    assert unpacking['image'] == agent['image']


def test_the_patch_brings_the_volumes_that_it_mounts() -> None:
    pod = patched()
    mounted = {mount['name'] for one in (*pod['initContainers'], *pod['containers']) for mount in one['volumeMounts']}

    assert mounted == {volume['name'] for volume in pod['volumes']}


def test_a_misspelt_field_is_noticed() -> None:
    service = of_kind('litellm.yaml', 'Service')
    service['spec']['selectors'] = service['spec'].pop('selector')

    with pytest.raises(ValidationError):
        validate(service, KUBERNETES[-1], strict=True)


def test_each_form_of_annotation_is_shown() -> None:
    assert [(one.manifest, one.template.check) for one in ANNOTATED] == [
        ('litellm-metrics-port.yaml', 'litellm'),
        ('litellm.yaml', 'litellm'),
        ('pod-v1-annotations.yaml', 'litellm'),
        ('service-endpoints.yaml', 'litellm'),
    ]


@pytest.fixture
def tags_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let instances have `env` among their tags, which the test plugin forbids to what a check adds by itself."""
    monkeypatch.setenv('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')


@pytest.mark.parametrize('one', ANNOTATED, ids=lambda one: one.manifest)
@pytest.mark.usefixtures('first_page_counts', 'tags_of_users')
def test_an_annotation_collects(one: Annotated, pod: Pod, aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    dd_run_check(LitellmCheck(one.template.check, dict(one.template.init_config), [instance_of(one, pod)]))

    aggregator.assert_service_check('litellm.openmetrics.health', LitellmCheck.OK, count=1)
    aggregator.assert_service_check('litellm.proxy.ready', LitellmCheck.OK, count=1)
    assert sum(stub.value for stub in aggregator.metrics('litellm.total.tokens.count')) == pod.tokens


@pytest.mark.parametrize('check', [LitellmCheck, StockCheck])
@pytest.mark.parametrize('one', ANNOTATED, ids=lambda one: one.manifest)
@pytest.mark.usefixtures('first_page_counts', 'tags_of_users')
def test_no_personal_label_leaves_under_either_check(
    check: type[AgentCheck], one: Annotated, pod: Pod, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    dd_run_check(check('litellm', {}, [instance_of(one, pod)]))

    assert_nothing_personal(aggregator)


def test_beside_a_metrics_port_the_readiness_is_that_of_the_proxy() -> None:
    (with_port,) = (one for one in ANNOTATED if one.manifest == 'litellm-metrics-port.yaml')

    instance = resolve(with_port.template, '10.0.0.1', with_port.ports, {}, {})

    assert instance['litellm_readiness_endpoint'] == f'http://10.0.0.1:{PORT}/health/readiness'
    assert instance['openmetrics_endpoint'] == f'http://10.0.0.1:{METRICS_PORT}/metrics/'


@pytest.mark.parametrize('one', ANNOTATED, ids=lambda one: one.manifest)
@pytest.mark.parametrize('way', ['operator', 'helm'])
def test_the_agent_has_what_an_annotation_takes_from_it(one: Annotated, way: str) -> None:
    assert variables(one.template, 'env') <= agent_variables()[way]
    handles = secret_handles(one.template.instance)
    assert {tuple(handle.removeprefix('k8s_secret@').split('/')[:2]) for handle in handles} <= readable_secrets()[way]


def test_the_agent_can_read_no_other_secret() -> None:
    assert readable_secrets() == {'operator': {('litellm', 'litellm-agent')}, 'helm': {('litellm', 'litellm-agent')}}
    (helm,) = documents('agent-helm-values.yaml')
    assert helm['datadog']['secretBackend']['enableGlobalPermissions'] is False


def test_a_handle_within_a_longer_string_is_no_secret(pod: Pod) -> None:
    template = Template('litellm', {}, {'extra_headers': {'Authorization': f'Bearer ENC[{HANDLE}]'}})

    instance = resolve(template, '127.0.0.1', [], {}, {HANDLE: pod.proxy.key})

    assert instance['extra_headers']['Authorization'] == f'Bearer ENC[{HANDLE}]'


def test_a_variable_that_the_agent_does_not_have_is_not_resolved() -> None:
    (v1,) = (one for one in ANNOTATED if one.manifest == 'pod-v1-annotations.yaml')

    with pytest.raises(UnresolvedError, match=KEY_VARIABLE):
        resolve(v1.template, '127.0.0.1', v1.ports, {}, {})


def test_the_cluster_check_is_the_same_with_operator_and_helm() -> None:
    operator, helm = cluster_checks().values()

    assert operator == helm
    assert operator['cluster_check'] is True


def cluster_instance(pod: Pod) -> dict[str, Any]:
    (instance,) = cluster_checks()['operator']['instances']
    assert instance['openmetrics_endpoint'] == 'https://litellm.example.com/metrics/'
    instance['openmetrics_endpoint'] = pod.proxy.metrics_url
    return resolve(Template('litellm', {}, instance), '', [], {}, {HANDLE: pod.proxy.key})


@pytest.mark.usefixtures('first_page_counts', 'tags_of_users')
def test_the_cluster_check_collects(pod: Pod, aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    dd_run_check(LitellmCheck('litellm', {}, [cluster_instance(pod)]))

    tokens = aggregator.metrics('litellm.total.tokens.count')
    assert sum(stub.value for stub in tokens) == pod.tokens
    assert all('env:production' in stub.tags for stub in tokens)


@pytest.mark.parametrize('check', [LitellmCheck, StockCheck])
@pytest.mark.usefixtures('first_page_counts', 'tags_of_users')
def test_no_personal_label_leaves_with_the_cluster_check(
    check: type[AgentCheck], pod: Pod, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    dd_run_check(check('litellm', {}, [cluster_instance(pod)]))

    assert_nothing_personal(aggregator)


def test_every_image_is_known_to_autodiscovery() -> None:
    identifiers = set(yaml.safe_load(AUTO_CONF.read_text())['ad_identifiers'])
    images = {short_image(container['image']) for one in ANNOTATED for container in one.containers}

    assert images == {'litellm', 'litellm-database'}
    assert images <= identifiers


@needs_discovery
def test_discovery_without_any_annotation_finds_the_metrics_port_and_not_the_page_that_asks_for_a_key(pod: Pod) -> None:
    (with_port,) = (one for one in ANNOTATED if one.manifest == 'litellm-metrics-port.yaml')
    ports = pod.ports(with_port.ports)
    service = {'id': 'containerd://1', 'host': '127.0.0.1', 'ports': [port._asdict() for port in ports]}

    found = json.loads(LitellmCheck.discover_config(json.dumps(service)))

    assert found == [{'init_config': {}, 'instances': [{'openmetrics_endpoint': pod.metrics.metrics_url}]}]


@pytest.mark.parametrize('name', ['litellm.yaml', 'litellm-metrics-port.yaml'])
def test_workers_of_a_pod_share_their_metrics_and_pods_do_not(name: str) -> None:
    deployment = of_kind(name, 'Deployment')
    pod_spec = deployment['spec']['template']['spec']
    (container,) = pod_spec['containers']
    environment = {variable['name']: variable.get('value') for variable in container['env']}
    mounts = {mount['mountPath']: mount['name'] for mount in container['volumeMounts']}
    volumes = {volume['name']: volume for volume in pod_spec['volumes']}

    assert deployment['spec']['replicas'] > 1
    assert int(argument(container, '--num_workers')) > 1
    assert 'emptyDir' in volumes[mounts[environment['PROMETHEUS_MULTIPROC_DIR'] or '']]


def test_the_metrics_port_is_the_one_that_litellm_is_told() -> None:
    (container,) = of_kind('litellm-metrics-port.yaml', 'Deployment')['spec']['template']['spec']['containers']
    ports = {port['name']: str(port['containerPort']) for port in container['ports']}

    assert ports == {
        'http': argument(container, '--port'),
        'metrics': argument(container, '--prometheus_metrics_port'),
    }


def test_only_the_agents_namespace_reaches_the_metrics_port() -> None:
    rules = of_kind('litellm-metrics-port.yaml', 'NetworkPolicy')['spec']['ingress']
    agent = documents('agent-operator.yaml')[0]['metadata']['namespace']

    (to_metrics,) = (rule for rule in rules if {'port': 'metrics'} in rule['ports'])
    (source,) = to_metrics['from']
    assert source['namespaceSelector']['matchLabels'] == {'kubernetes.io/metadata.name': agent}


def test_the_readme_leads_to_every_file() -> None:
    readme = (FOLDER / 'README.md').read_text()

    assert [
        path.name for path in FOLDER.iterdir() if path.name != 'README.md' and f']({path.name})' not in readme
    ] == []


def assert_nothing_personal(aggregator: AggregatorStub) -> None:
    stubs = [stub for name in aggregator.metric_names for stub in aggregator.metrics(name)]
    assert len(stubs) > 100
    assert {tag.partition(':')[0] for stub in stubs for tag in stub.tags} & PERSONAL_LABELS == set()


def argument(container: Mapping[str, Any], name: str) -> str:
    """Return the value that follows an argument of a container."""
    arguments: list[str] = container['args']
    return arguments[arguments.index(name) + 1]
