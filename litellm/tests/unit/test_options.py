"""The check's own options as its modules see them: typed, and with the defaults of the configuration models."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

import pytest

from datadog_checks.base.errors import ConfigurationError
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.options import Options
from tests.support.spec import own_options

NAMES = [option.name for option in fields(Options)]
ENDPOINT = 'http://localhost:4000/metrics/'


def test_each_of_the_checks_own_options_is_read_unless_the_base_package_reads_it_too() -> None:
    assert set(NAMES) == {option['name'] for option in own_options() if 'name' in option} | {
        # The base package's rules for buckets apply, and ours agree with them.
        'collect_histogram_buckets'
    }


def test_without_options_the_defaults_are_those_of_the_models() -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT}])
    check.load_configuration_models()
    model = check._config_model_instance

    expected = {name: getattr(model, name) for name in NAMES}

    assert asdict(Options.of({})) == {**expected, 'exclude_metric_groups': frozenset(), 'keep_labels': frozenset()}


@pytest.mark.parametrize('name', NAMES)
def test_an_option_that_is_left_empty_has_its_default(name: str) -> None:
    assert Options.of({name: None}) == Options()


@pytest.mark.parametrize(
    ('name', 'given', 'value'),
    [
        ('collect_unknown_metrics', 'true', True),
        ('collect_readiness', 'no', False),
        ('max_contexts', '500', 500),
        ('max_page_seconds', 7, 7.0),
        ('exclude_metric_groups', ['mcp', 'media'], frozenset({'mcp', 'media'})),
    ],
)
def test_a_value_has_its_type_in_whatever_way_it_is_written(name: str, given: Any, value: object) -> None:
    assert getattr(Options.of({name: given}), name) == value


@pytest.mark.parametrize(
    'value', [0, -5, math.nan, math.inf, -math.inf, True, '', 'soon', [1], {}, 'nan', 1e400, 1e300]
)
@pytest.mark.parametrize(
    'option',
    [
        *('connect_timeout', 'read_timeout', 'timeout', 'litellm_health_interval', 'litellm_health_timeout'),
        *('max_contexts', 'max_page_bytes', 'max_page_seconds'),
    ],
)
def test_a_limit_that_is_no_positive_number_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf'The setting `{option}` must be a number.* greater than 0'):
        Options.of({option: value})


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('exclude_metrics', ['litellm_x', '(']),
        ('exclude_metrics_by_labels', {'model': ['[']}),
        ('extra_metrics', ['*']),
        ('extra_metrics', [{'litellm_(': 'x'}]),
        ('ignore_tags', ['a', ')']),
    ],
)
def test_a_pattern_that_is_none_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` has an invalid regular expression'):
        Options.of({option: value})


def test_an_option_that_contains_itself_is_refused_by_name() -> None:
    tags: list[Any] = []
    tags.append(tags)
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, 'tags': tags}])

    assert 'The setting `tags` contains itself' in check.run()


@pytest.mark.parametrize('option', ['headers', 'extra_headers'])
@pytest.mark.parametrize(
    'headers',
    [{1: 'x'}, {None: 'x'}, {'': 'x'}, {'a b': 'x'}, {'a:': 'x'}, {'a\n': 'x'}, {'ä': 'x'}, {'a': None}, {'a': ['x']},
     {'a': True}, {'a': {}}, ['a'], 'a: b', 7],
)  # fmt: skip
def test_headers_that_are_none_are_refused_by_name(option: str, headers: Any) -> None:
    with pytest.raises(ConfigurationError, match=f'the setting `{option}`|The setting `{option}`'):
        Options.of({option: headers})


@pytest.mark.parametrize(
    ('option', 'value', 'named'),
    [
        ('openmetrics_endpoint', 'http://%%host%%:4000/metrics/', '%%host%%'),
        ('openmetrics_endpoint', 'http://a:%%port_http%%/metrics/', '%%port_http%%'),
        ('litellm_health_endpoint', 'http://%%host_bridge%%/health', '%%host_bridge%%'),
        ('extra_headers', {'Authorization': 'Bearer %%env_LITELLM_KEY%%'}, '%%env_LITELLM_KEY%%'),
        ('tags', ['pod:%%kube_pod_name%%'], '%%kube_pod_name%%'),
    ],
)
def test_a_variable_that_nobody_replaced_is_named(option: str, value: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` contains `{named}`'):
        Options.of({option: value})


def test_signs_of_percent_that_are_no_variable_are_left_alone() -> None:
    Options.of({'openmetrics_endpoint': 'http://a/metrics/?x=%25%25', 'tags': ['a:100%%', 'b:%%'], 'timeout': '5'})


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('raw_line_filters', ['(']),
        ('raw_line_filters', ['(', ')']),
        ('exclude_metrics', ['litellm_(']),
        ('exclude_metrics_by_labels', {'model': ['*']}),
        ('extra_metrics', [{'litellm_[': 'x'}]),
        ('extra_metrics', ['litellm_(?P<n>']),
        ('metrics', [{'a{1': 'x', 'b**': 'y'}]),
        ('metric_patterns', {'include': ['+']}),
        ('metric_patterns', {'exclude': ['a', '(?z)']}),
        ('ignore_tags', ['[']),
    ],
    ids=str,
)
def test_a_regular_expression_that_is_none_is_refused_at_the_start_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f'The setting `{option}` has an invalid regular expression'):
        LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, option: value}])


def test_regular_expressions_that_are_such_are_accepted() -> None:
    options = {
        'raw_line_filters': ['^x{1,2}', 'b'],
        'exclude_metrics_by_labels': {'team': True, 'model': ['a.*']},
        'extra_metrics': ['a.+', {'b': 'c', 'd': {'name': 'e'}}],
        'metric_patterns': {'include': ['a'], 'exclude': []},
    }
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': ENDPOINT, **options}])

    check.configure_scrapers()
