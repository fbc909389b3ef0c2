"""Hold docs/agents.md to what it says: its tables are those that the tools make, and who upgrades loses nothing."""

from __future__ import annotations

from tests.support.example_file import options

from datadog_checks.dev.tooling.configuration.core import ConfigSpec
from datadog_checks.litellm.config_models.instance import InstanceConfig
from datadog_checks.litellm.config_models.shared import SharedConfig
from tools.agents import agents_page
from tools.agents.environments import environments
from tools.markdown import between_markers
from tools.wheel import INTEGRATION

EXAMPLE_FILE = INTEGRATION / 'datadog_checks' / 'litellm' / 'data' / 'conf.yaml.example'
# The one that the published integration has beside them.
OPTION_OF_THE_PUBLISHED_CHECK = 'litellm_health_endpoint'
# What every OpenMetrics integration has, in the words of the installed datadog-checks-dev.
SPEC_OF_AN_OPENMETRICS_CHECK = """
name: LiteLLM
files:
- name: litellm.yaml
  options:
  - template: init_config
    options:
    - template: init_config/openmetrics
  - template: instances
    options:
    - template: instances/openmetrics
"""


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_the_table_of_agents_has_every_agent_on_every_python_and_all_pass() -> None:
    head, _, *rows = between_markers(agents_page.PAGE, agents_page.MARKER).splitlines()

    assert cells(head) == list(agents_page.HEAD)
    assert [tuple(cells(row)[:3]) for row in rows] == [agents_page.place(environment) for environment in environments()]
    assert {cell for row in rows for cell in cells(row)[3:]} == {'pass'}


def test_the_oldest_agent_has_the_base_package_that_the_wheel_asks_for() -> None:
    oldest = environments()[0]

    assert f'"datadog-checks-base>={oldest.base}"' in (INTEGRATION / 'pyproject.toml').read_text()


def test_every_published_option_is_there() -> None:
    spec = ConfigSpec(SPEC_OF_AN_OPENMETRICS_CHECK, source='litellm', version='1.0.0')
    spec.load()
    assert spec.errors == []
    assert spec.data is not None
    (init_config, instances) = spec.data['files'][0]['options']

    assert {option['name'] for option in init_config['options']} <= SharedConfig.model_fields.keys()
    published = {option['name'] for option in instances['options']} | {OPTION_OF_THE_PUBLISHED_CHECK}
    assert published <= InstanceConfig.model_fields.keys()


def test_the_example_file_is_read_to_its_end() -> None:
    assert len(options(EXAMPLE_FILE)) == EXAMPLE_FILE.read_text().count('## @param ')
