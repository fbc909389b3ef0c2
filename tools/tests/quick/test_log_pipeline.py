"""The log pipeline: valid for the API, and lines of a real proxy with what becomes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline

from tools.datadog_model.errors import AssetError
from tools.datadog_model.logs import processed
from tools.import_assets.assets import ASSETS, Handles, assets
from tools.import_assets.validity import problems

LOGS = ASSETS / 'logs'
VIEWS = sorted((ASSETS / 'saved_views').glob('*.json'))
FILE = yaml.safe_load((LOGS / 'litellm.yaml').read_text())
PIPELINE: Mapping[str, Any] = FILE['pipeline']
TESTS: list[dict[str, Any]] = yaml.safe_load((LOGS / 'litellm_tests.yaml').read_text())['tests']


def get(attributes: Any, path: str) -> Any:
    for key in path.split('.'):
        attributes = attributes.get(key) if isinstance(attributes, dict) else None
    return attributes


def test_the_pipeline_is_valid_for_the_api() -> None:
    (pipeline,) = [one for one in assets((), Handles(['@x'])) if one.kind == 'pipelines']

    assert problems(pipeline.definition, LogsPipeline) == []
    assert pipeline.definition['processors'][0]['grok']['match_rules'].startswith('access')


@pytest.mark.parametrize('test', TESTS, ids=lambda test: test['sample'][:60])
def test_a_line_becomes_the_attributes_that_are_written_down(test: dict[str, Any]) -> None:
    log = processed(PIPELINE, test['sample'])
    message, status = log.pop('message'), log.pop('status')

    assert (log, message, status) == (
        test['result']['custom'],
        test['result']['message'],
        test['result']['status'],
    )


def test_each_facet_is_an_attribute_of_some_line() -> None:
    results = [test['result']['custom'] for test in TESTS]

    assert [one['path'] for one in FILE['facets'] if not any(get(result, one['path']) for result in results)] == []


def holds(condition: str, log: Mapping[str, Any]) -> bool:
    """Tell whether a log has what one word of a query asks for: a value, one of several, or any."""
    key, _, wanted = condition.partition(':')
    value = 'litellm' if key == 'source' else get(log, key.removeprefix('@'))
    return value is not None and (wanted == '*' or str(value) in wanted.strip('()').split(' OR '))


@pytest.mark.parametrize('path', VIEWS, ids=lambda path: path.stem)
def test_a_saved_view_finds_some_lines_and_not_all_and_shows_what_there_is(path: Path) -> None:
    view = json.loads(path.read_text())
    logs = [processed(PIPELINE, test['sample']) for test in TESTS]
    conditions = re.findall(r'\S+?:(?:\([^)]*\)|\S+)', view['query'])

    found = [log for log in logs if all(holds(condition, log) for condition in conditions)]

    assert conditions[0] == 'source:litellm'
    assert 0 < len(found) < len(logs)
    facets = {f'@{facet["path"]}' for facet in FILE['facets']} | {
        'source',
        'host',
        'env',
        'service',
        'version',
        'status',
    }
    assert {*view['visible_facets'], *view.get('options', {}).get('columns', ())} <= facets


def test_the_page_has_the_query_of_each_saved_view() -> None:
    described = (LOGS / 'README.md').read_text()

    assert [path.stem for path in VIEWS if f'`{json.loads(path.read_text())["query"]}`' not in described] == []


def test_each_sample_of_a_parser_is_parsed_by_it() -> None:
    parsers = [one for one in PIPELINE['processors'] if one['type'] == 'grok-parser']

    for parser in parsers:
        for sample in parser['samples']:
            assert len(processed({'processors': [parser]}, sample)) > 1, sample


def test_both_forms_of_an_access_line_say_the_same() -> None:
    text = 'INFO:     192.0.2.10:46798 - "POST /v1/chat/completions HTTP/1.1" 500 Internal Server Error'
    message = '192.0.2.10:46798 - "POST /v1/chat/completions HTTP/1.1" 500'
    logs = [processed(PIPELINE, line) for line in (text, json.dumps({'message': message, 'level': 'INFO'}))]

    assert {**logs[0], 'message': ''} == {**logs[1], 'message': ''}
    assert logs[0]['status'] == 'error'


def test_what_is_no_line_of_the_proxy_is_left_as_it_is() -> None:
    assert processed(PIPELINE, 'Traceback (most recent call last):') == {
        'message': 'Traceback (most recent call last):',
        'status': 'info',
    }


def test_the_rule_for_the_agent_masks_a_key_and_nothing_else() -> None:
    (block,) = re.findall(r'```yaml\n(.*?)```', (LOGS / 'README.md').read_text(), re.DOTALL)
    (rule,) = yaml.safe_load(block)['logs'][0]['log_processing_rules']

    def masked(line: str) -> str:
        return re.sub(rule['pattern'], rule['replace_placeholder'], line)

    assert masked('key=sk-Abc_1234567890-x, model=gpt-4o') == 'key=sk-***, model=gpt-4o'
    assert [masked(test['sample']) for test in TESTS] == [test['sample'] for test in TESTS]


def test_the_model_refuses_what_it_does_not_know() -> None:
    with pytest.raises(AssetError, match='the processor geo-ip-parser'):
        processed({'processors': [{'type': 'geo-ip-parser', 'enabled': True}]}, 'x')
    with pytest.raises(AssetError, match='the matcher hostname'):
        processed(
            {
                'processors': [
                    {
                        'type': 'grok-parser',
                        'enabled': True,
                        'source': 'message',
                        'grok': {'matchRules': 'a %{hostname:b}'},
                    }
                ]
            },
            'x',
        )
