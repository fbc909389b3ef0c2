"""The check's own options as its modules see them: typed, and with the defaults of the configuration models."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pytest

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
