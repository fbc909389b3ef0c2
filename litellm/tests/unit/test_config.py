"""The configuration as users meet it: the example file, the models that check it, and its discovery."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import datadog_checks.litellm
from datadog_checks.base.checks.base import AgentCheck
from datadog_checks.base.errors import ConfigurationError
from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.base.stubs.datadog_agent import DatadogAgentStub
from datadog_checks.litellm import LitellmCheck
from tests.support.endpoint import PROMETHEUS, answering, serving_paths
from tests.support.example_file import options
from tests.support.spec import own_options

DATA = Path(datadog_checks.litellm.__file__).parent / 'data'
ENDPOINT = 'http://localhost:4000/metrics/'

# Values for the options that take a file. Newer base packages refuse these from untrusted providers.
FILE_OPTIONS: dict[str, Any] = {
    'auth_token': {'reader': {'type': 'file', 'path': '/key'}, 'writer': {'type': 'header', 'name': 'Authorization'}},
    'kerberos_cache': '/cache',
    'kerberos_keytab': '/keytab',
    'tls_ca_cert': '/ca.pem',
    'tls_cert': '/cert.pem',
    'tls_private_key': '/key.pem',
}

PAGE = """\
# HELP litellm_requests_metric_total Requests.
# TYPE litellm_requests_metric_total counter
litellm_requests_metric_total{model="gpt-5"} 3.0
"""

needs_discovery = pytest.mark.skipif(
    not hasattr(AgentCheck, 'discover_config'), reason='config discovery came with datadog-checks-base 37.41'
)
needs_trusted_providers = pytest.mark.skipif(
    not hasattr(AgentCheck, 'security_config'), reason='this datadog-checks-base trusts every provider alike'
)

RunCheck = Callable[[AgentCheck], object]


def load_models(instance: dict[str, Any], init_config: dict[str, Any] | None = None, provider: str = '') -> Any:
    """Check a configuration as the Agent does before the first run, and return the model of the instance.

    Raises a `ConfigurationError` that names the option at fault.
    """
    check = LitellmCheck('litellm', init_config or {}, [instance])
    check.provider = provider
    check.load_configuration_models()
    return check._config_model_instance


def example_config(*, uncomment: str = r'\w+') -> dict[str, Any]:
    """Return the example file as a user has it who took the comment signs off the options that match."""
    option = re.compile(rf'^    # (?:{uncomment}):.*\n(?:    # .*\n)*', re.MULTILINE)
    text = (DATA / 'conf.yaml.example').read_text()
    uncommented = option.sub(lambda match: match[0].replace('    # ', '    '), text)
    # The only placeholders that a user has to fill in with a number.
    filled_in = re.sub(r'<(CONNECT|READ)_TIMEOUT>', '10', uncommented)
    return dict(yaml.safe_load(filled_in))


class Proxy(NamedTuple):
    """The address of a stand-in for a proxy, and the `Authorization` header of each request for its metrics page."""

    url: str
    authorizations: list[str | None]

    @property
    def port(self) -> int:
        return int(self.url.removesuffix('/metrics/').rpartition(':')[2])


@contextmanager
def serving(page: str, key: str | None = None) -> Iterator[Proxy]:
    """Serve a metrics page at /metrics/, and only to who sends the key if there is one."""
    authorizations: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        authorizations.append(request.headers.get('Authorization'))
        is_allowed = key is None or authorizations[-1] == f'Bearer {key}'
        (answering(200, page, {'Content-Type': PROMETHEUS}) if is_allowed else answering(401))(request)

    with serving_paths({'/metrics/': answer}) as url:
        yield Proxy(f'{url}/metrics/', authorizations)


def discover(*ports: int) -> Any:
    """Return the configurations that discovery finds for a container which listens on these ports of 127.0.0.1."""
    service = {'id': 'docker://1', 'host': '127.0.0.1', 'ports': [{'number': port, 'name': ''} for port in ports]}
    return json.loads(LitellmCheck.discover_config(json.dumps(service)))


def test_the_example_works_as_it_ships() -> None:
    example = example_config(uncomment='nothing')

    assert example['instances'] == [{'openmetrics_endpoint': ENDPOINT}]
    assert load_models(example['instances'][0]).openmetrics_endpoint == ENDPOINT


def test_the_example_is_accepted_with_every_option_uncommented() -> None:
    example = example_config()
    instance = example['instances'][0]

    assert {'use_stock_scraper', 'extra_headers', 'auth_token', 'exclude_labels', 'tags'} <= instance.keys()
    load_models(instance, example['init_config'])


def test_the_example_shows_a_key_in_the_only_form_of_this_header_that_litellm_takes() -> None:
    instance = example_config(uncomment='extra_headers|auth_token')['instances'][0]

    assert instance['extra_headers'] == {'Authorization': 'Bearer <LITELLM_KEY>'}
    assert instance['auth_token']['writer'] == {
        'type': 'header',
        'name': 'Authorization',
        'value': 'Bearer <TOKEN>',
    }


def test_the_uncommented_line_of_the_example_leaves_the_stock_scraper_off() -> None:
    instance = example_config(uncomment='use_stock_scraper')['instances'][0]

    assert instance == {'openmetrics_endpoint': ENDPOINT, 'use_stock_scraper': False}


def test_the_example_begins_with_the_url_the_key_and_the_options_that_only_this_check_has() -> None:
    own = [one['name'] for one in own_options() if 'name' in one]
    listed = [one.name for one in options(DATA / 'conf.yaml.example') if one.section == 'instances']

    assert listed[: len(own) + 2] == ['openmetrics_endpoint', 'extra_headers', *own]


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('use_stock_scraper', 'sometimes'),
        ('openmetrics_endpoint', 4000),
        ('extra_headers', 'Authorization: Bearer key'),
        ('exclude_labels', 'end_user'),
        ('timeout', 'soon'),
        ('exclude_personal_labels', 'most'),
        ('drop_empty_labels', 'None'),
        ('exclude_metric_groups', 'services'),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_the_name_of_its_option(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf'InstanceConfig`:\n{option}\n'):
        load_models({'openmetrics_endpoint': ENDPOINT, option: value})


def test_a_group_that_does_not_exist_is_refused_by_the_names_of_those_that_do() -> None:
    with pytest.raises(ConfigurationError, match=r"InstanceConfig`:\nexclude_metric_groups -> 2\n.*'by_tag', 'cache'"):
        load_models({'openmetrics_endpoint': ENDPOINT, 'exclude_metric_groups': ['services', 'service']})


@pytest.mark.parametrize('option', FILE_OPTIONS)
def test_an_option_that_takes_a_file_is_accepted_on_every_base_package(option: str) -> None:
    model = load_models({'openmetrics_endpoint': ENDPOINT, option: FILE_OPTIONS[option]})

    assert getattr(model, option)


@needs_trusted_providers
@pytest.mark.parametrize('option', FILE_OPTIONS)
def test_a_file_named_by_an_untrusted_provider_is_refused_where_the_agent_says_so(
    option: str, datadog_agent: DatadogAgentStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(datadog_agent._config, 'integration_ignore_untrusted_file_params', True)
    monkeypatch.setitem(datadog_agent._config, 'integration_trusted_providers', ['file'])
    instance = {'openmetrics_endpoint': ENDPOINT, option: FILE_OPTIONS[option]}

    load_models(instance, provider='file')
    with pytest.raises(ConfigurationError, match=f"'{option}' is not allowed from untrusted provider 'kubernetes'"):
        load_models(instance, provider='kubernetes')


@pytest.mark.usefixtures('first_page_counts')
def test_the_key_in_a_file_is_sent_as_the_example_says(
    tmp_path: Path, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    key_file = tmp_path / 'litellm.key'
    key_file.write_text('sk-secret\n')
    instance = example_config(uncomment='auth_token')['instances'][0]
    instance['auth_token']['reader']['path'] = str(key_file)

    with serving(PAGE, key='sk-secret') as proxy:
        instance['openmetrics_endpoint'] = proxy.url
        dd_run_check(LitellmCheck('litellm', {}, [instance]))

    assert proxy.authorizations == ['Bearer sk-secret']
    aggregator.assert_metric('litellm.requests.metric.count', value=3, tags=['model:gpt-5', f'endpoint:{proxy.url}'])


def test_the_key_in_the_headers_is_sent_as_the_example_says(dd_run_check: RunCheck) -> None:
    instance = example_config(uncomment='extra_headers')['instances'][0]

    with serving(PAGE, key='<LITELLM_KEY>') as proxy:
        instance['openmetrics_endpoint'] = proxy.url
        dd_run_check(LitellmCheck('litellm', {}, [instance]))

    assert proxy.authorizations == ['Bearer <LITELLM_KEY>']


def test_autodiscovery_knows_the_images_that_litellm_publishes() -> None:
    auto_conf = yaml.safe_load((DATA / 'auto_conf.yaml').read_text())

    assert auto_conf['ad_identifiers'] == ['litellm', 'litellm-database', 'litellm-non_root']
    assert auto_conf['discovery'] == {}


@needs_discovery
def test_discovery_finds_an_open_metrics_page_and_configures_nothing_but_its_url(aggregator: AggregatorStub) -> None:
    with serving(PAGE) as proxy:
        assert discover(proxy.port) == [{'init_config': {}, 'instances': [{'openmetrics_endpoint': proxy.url}]}]
    # A trial run is not to be sent.
    assert aggregator.metric_names == []


@needs_discovery
@pytest.mark.usefixtures('first_page_counts')
def test_a_discovered_configuration_collects(aggregator: AggregatorStub, dd_run_check: RunCheck) -> None:
    with serving(PAGE) as proxy:
        (config,) = discover(proxy.port)
        dd_run_check(LitellmCheck('litellm', config['init_config'], config['instances']))

    aggregator.assert_metric('litellm.requests.metric.count', value=3)


@needs_discovery
def test_discovery_goes_on_to_the_next_port_when_one_has_no_metrics_page() -> None:
    with serving('') as other, serving(PAGE) as proxy:
        (config,) = discover(other.port, proxy.port)

    assert config['instances'] == [{'openmetrics_endpoint': proxy.url}]


@needs_discovery
def test_discovery_leaves_a_page_alone_that_asks_for_a_key() -> None:
    with serving(PAGE, key='sk-secret') as proxy:
        assert discover(proxy.port) == []
        assert proxy.authorizations == [None]


@needs_discovery
def test_discovery_tries_the_port_of_litellm_first() -> None:
    from datadog_checks.base.utils.discovery import Service

    service = Service.model_validate(
        {'id': 'docker://1', 'host': '10.0.0.9', 'ports': [{'number': 80, 'name': ''}, {'number': 4000, 'name': ''}]}
    )

    assert [config['instances'][0]['openmetrics_endpoint'] for config in LitellmCheck.generate_configs(service)] == [
        'http://10.0.0.9:4000/metrics/',
        'http://10.0.0.9:80/metrics/',
    ]
