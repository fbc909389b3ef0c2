"""metadata.csv, held against the mapping, the known releases and labels of the families, and the published units."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.dev.utils import get_metadata_metrics
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm import metrics as names
from tests.lineage.lineage import parsed_release
from tests.support.endpoint import PROMETHEUS, answering, answering_json, serving_paths
from tests.support.known_metrics import (
    PROCESS_TAGS,
    exposition,
    families_of_metrics,
    published_metrics,
    releases_of,
    tags_of,
)

PAGES = Path(__file__).parents[1] / 'pages'
METADATA_CSV = Path(__file__).parents[2] / 'metadata.csv'

RunCheck = Callable[[LitellmCheck], object]

UPTIME = f'litellm.{names.START_TIME.name}'
DROPPED = f'litellm.{names.CONTEXTS_DROPPED}'
HEARTBEAT = f'litellm.{names.CHECK_INFO}'

# The tags of the metrics that have no family, but for those of the instance.
HEALTH_TAGS = {
    'litellm.endpoint.age': {'health_endpoint'},
    'litellm.endpoint.healthy_count': {'health_endpoint'},
    'litellm.endpoint.info': {
        'custom_llm_provider',
        'endpoint_error',
        'endpoint_health',
        'health_endpoint',
        'llm_model',
        'model_id',
    },
    'litellm.endpoint.unhealthy_count': {'health_endpoint'},
}
HEALTH = {
    'healthy_endpoints': [{'model': 'openai/gpt-4o', 'model_id': 'a'}],
    'unhealthy_endpoints': [{'model': 'azure/gpt-4o', 'model_id': 'b', 'error': 'litellm.RateLimitError: slow down'}],
}

# The releases, as the last sentence of a description: `LiteLLM 1.80.15+.` or `LiteLLM 1.53-1.74.15, 1.75.0+.`
RELEASES = re.compile(r' LiteLLM ([0-9][0-9.+, -]*)\.$')


def metadata() -> dict[str, dict[str, str]]:
    """Return the rows of metadata.csv by metric name."""
    by_name: dict[str, dict[str, str]] = get_metadata_metrics()
    return by_name


def metrics_whose_value_is(value: str) -> set[str]:
    """Return the metrics of families whose value, in the words of families.csv, starts like this."""
    return {
        metric
        for metric, sources in families_of_metrics().items()
        if any(family['value'].startswith(value) for family in sources)
    }


def test_the_metrics_are_exactly_those_the_check_can_submit_with_their_types() -> None:
    described = {(name, row['metric_type']) for name, row in metadata().items()}
    submitted = set(names.submitted_names())

    assert submitted - described == set(), 'submitted, but not in metadata.csv'
    assert described - submitted == set(), 'in metadata.csv, but never submitted'


def test_the_metrics_are_sorted_and_appear_once() -> None:
    with METADATA_CSV.open(newline='', encoding='utf-8') as file:
        listed = [row['metric_name'] for row in csv.DictReader(file)]

    assert listed == sorted(set(listed))


@pytest.mark.usefixtures('heartbeat')
@pytest.mark.usefixtures('first_page_counts')
def test_a_run_on_every_known_family_and_the_health_submits_what_the_metadata_describe(
    aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    page = answering(200, exposition(), {'Content-Type': PROMETHEUS})
    with serving_paths({'/metrics/': page, '/health': answering_json(HEALTH)}) as url:
        instance = {
            'openmetrics_endpoint': f'{url}/metrics/',
            'litellm_health_endpoint': f'{url}/health',
            'max_contexts': 10_000,
        }
        dd_run_check(LitellmCheck('litellm', {}, [instance]))

    aggregator.assert_metrics_using_metadata(metadata(), check_submission_type=True)
    # What `check_symmetric_inclusion` adds; the base package of Agent 7.68 does not have it yet.
    assert metadata().keys() - set(aggregator.metric_names) == set(), 'in metadata.csv, but not submitted'
    for metric, names_of_tags in HEALTH_TAGS.items():
        tags = {tag.partition(':')[0] for sample in aggregator.metrics(metric) for tag in sample.tags}
        assert tags == {*names_of_tags, 'endpoint'}


def test_every_description_ends_with_the_releases_that_have_the_family() -> None:
    expected = {metric: releases_of(sources) for metric, sources in families_of_metrics().items()}
    # The Prometheus client's own, and what no family tells, are in every release looked at.
    expected |= dict.fromkeys([DROPPED, HEARTBEAT, *PROCESS_TAGS, *HEALTH_TAGS], '1.53+')

    described = {name: RELEASES.findall(row['description']) for name, row in metadata().items()}

    assert described == {name: [releases] for name, releases in expected.items()}


def test_a_renamed_metric_names_its_successor() -> None:
    successors = {
        'litellm.input.tokens.count': 'litellm.input_tokens.metric.count in 1.75.0',
        'litellm.output.tokens.count': 'litellm.output_tokens.metric.count in 1.75.0',
        'litellm.remaining.requests': 'litellm.remaining_requests.metric in 1.80.12',
        'litellm.remaining_tokens': 'litellm.remaining_tokens.metric in 1.80.12',
    }

    described = metadata()
    silent = [name for name, new in successors.items() if f'Renamed to {new}.' not in described[name]['description']]

    assert silent == []


def test_every_metric_has_a_description_and_short_name_of_its_own() -> None:
    for column in ('description', 'short_name'):
        values = [row[column] for row in metadata().values()]
        assert all(values)
        assert len(set(values)) == len(values), f'{column} used twice'


def test_the_sample_tags_are_the_labels_of_the_families() -> None:
    expected: dict[str, set[str]] = {DROPPED: set(), HEARTBEAT: {'check_version'}, **PROCESS_TAGS, **HEALTH_TAGS}
    for metric, sources in families_of_metrics().items():
        expected[metric] = tags_of(metric, sources)

    assert {name: {*filter(None, row['sample_tags'].split(','))} for name, row in metadata().items()} == expected


def test_no_unit_is_milliseconds() -> None:
    assert [name for name, row in metadata().items() if 'millisecond' in (row['unit_name'], row['per_unit_name'])] == []


def test_the_sum_of_every_histogram_is_in_seconds() -> None:
    sums = {name: row['unit_name'] for name, row in metadata().items() if name.endswith('.sum')}

    assert len(sums) == len(names.HISTOGRAMS)
    assert set(sums.values()) == {'second'}


def test_a_metric_is_in_dollars_exactly_when_its_family_counts_money() -> None:
    money = metrics_whose_value_is('usd')

    assert {name for name, row in metadata().items() if row['unit_name'] == 'dollar'} == money


def test_a_metric_is_in_hours_exactly_when_its_family_counts_hours() -> None:
    hours = metrics_whose_value_is('hours')

    assert {name for name, row in metadata().items() if row['unit_name'] == 'hour'} == hours


def test_published_units_are_kept_except_milliseconds_which_are_seconds() -> None:
    mends = {'millisecond': 'second'}
    published = {
        row['metric_name']: mends.get(row['unit_name'], row['unit_name'])
        for row in published_metrics()
        if row['unit_name']
    }

    assert {name: metadata()[name]['unit_name'] for name in published} == published


def pages() -> dict[str, list[str]]:
    """Return the lines of the recorded page of each release whose callback needs no license."""
    captures = {path.name.removesuffix('.txt.gz'): path for path in PAGES.glob('*.txt.gz')}
    return {
        release: gzip.decompress(path.read_bytes()).decode().splitlines()
        for release, path in captures.items()
        if parsed_release(release) >= parsed_release('1.80.0')
    }


def releases_with(name: str, *labels: str) -> set[str]:
    """Return the recorded releases with a sample of this name and these labels."""
    return {
        release
        for release, lines in pages().items()
        if any(line.startswith(f'{name}{{') and all(label in line for label in labels) for line in lines)
    }


def test_the_releases_that_leave_out_status_401_are_those_in_the_descriptions() -> None:
    first, last = parsed_release('1.88.6'), parsed_release('1.106.2')
    with_401 = {release for release in pages() if not first <= parsed_release(release) <= last}

    assert releases_with('litellm_deployment_failure_responses_total', 'exception_status="401"') == with_401
    for metric in ('failure_responses', 'total_requests'):
        assert 'left out from 1.88.6 to 1.106.2' in metadata()[f'litellm.deployment.{metric}.count']['description']


def test_the_labels_of_a_request_that_no_deployment_saw_are_those_in_the_description() -> None:
    family = 'litellm_deployment_failure_responses_total'

    assert releases_with(family, 'api_provider=""', 'litellm_model_name=""') == pages().keys() - {'1.80.11'}
    assert releases_with(family, 'api_provider="None"', 'litellm_model_name="chat"') == {'1.80.11'}
    assert releases_with('litellm_deployment_state', 'litellm_model_name="no-such-model",model_id=""') == {'1.80.11'}
