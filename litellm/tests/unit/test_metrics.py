"""The mapping of LiteLLM's families to Datadog metrics, held against the families and names that are known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import pytest

from datadog_checks.base.stubs.aggregator import AggregatorStub
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm import metrics as names
from tests.support.endpoint import serving_page
from tests.support.known_metrics import PROCESS_TAGS, exposition, families, metrics_of, published_metrics
from tests.support.spec import own_options

# One family under two names: LiteLLM renamed it in 1.75.0, and users' graphs go on.
RENAMED_IN_PLACE = {'litellm_total_tokens', 'litellm_total_tokens_metric'}

RunCheck = Callable[[LitellmCheck], object]


def scrape(page: str, dd_run_check: RunCheck, **options: Any) -> None:
    """Run the check once over a page; what it submits is in the `aggregator` fixture."""
    with serving_page(page) as url:
        dd_run_check(LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **options}]))


@pytest.mark.parametrize('mapping', ['COUNTERS', 'GAUGES', 'HISTOGRAMS', 'PROCESS'])
def test_a_mapping_is_sorted_by_family(mapping: str) -> None:
    keys = list(getattr(names, mapping))

    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ('prometheus_type', 'mapping'),
    [('counter', names.COUNTERS), ('gauge', names.GAUGES), ('histogram', names.HISTOGRAMS)],
    ids=['counter', 'gauge', 'histogram'],
)
def test_exactly_the_known_families_of_a_type_are_mapped_as_that_type(
    prometheus_type: str, mapping: Mapping[str, object]
) -> None:
    known = {family['family'] for family in families() if family['type'] == prometheus_type}

    assert known - mapping.keys() == set(), 'known families that are not mapped as this type'
    assert mapping.keys() - known == set(), 'mapped families that families.csv does not know as this type'


def test_families_share_a_datadog_name_only_where_litellm_renamed_one_in_place() -> None:
    owners: dict[str, set[str]] = {}
    for family in families():
        owners.setdefault(names.raw_names()[family['family']], set()).add(family['family'])

    assert [shared for shared in owners.values() if len(shared) > 1] == [RENAMED_IN_PLACE]


def test_a_metric_is_submitted_by_one_mapping_only() -> None:
    times = Counter(name for name, _ in names.submitted_names())

    assert [name for name, count in times.items() if count > 1] == []


def test_the_published_metrics_are_complete() -> None:
    assert len({row['metric_name'] for row in published_metrics()}) == 97


def test_every_published_metric_keeps_its_name_and_type() -> None:
    published = {(row['metric_name'], row['metric_type']) for row in published_metrics()}

    assert published - set(names.submitted_names()) == set()


def test_every_published_metric_keeps_the_families_it_comes_from() -> None:
    sources: dict[str, set[str]] = {f'litellm.{names.START_TIME.name}': {names.START_TIME.raw}}
    for family in families():
        for metric in metrics_of(family):
            sources.setdefault(metric, set()).add(family['family'])
    published = {row['metric_name']: set(row['families'].split('|')) for row in published_metrics()}

    assert {metric: sources.get(metric) for metric in published} == published


def test_the_spelling_of_forks_maps_to_the_same_metrics() -> None:
    mapped = names.raw_names()
    own = {raw: name for raw, name in mapped.items() if raw.startswith(names.PREFIX)}
    of_forks = {raw: name for raw, name in mapped.items() if raw.startswith(names.FORK_PREFIX)}

    assert {raw.replace('litellm_', 'llm_', 1): name for raw, name in own.items()} == of_forks
    assert mapped.keys() - own.keys() - of_forks.keys() == names.PROCESS.keys()


@pytest.mark.parametrize('raw', ['litellm_llm_new', 'llm_llm_new'])
def test_the_name_of_a_family_loses_one_prefix_only(raw: str) -> None:
    assert names.unprefixed(raw) == 'llm_new'


def test_the_groups_of_the_option_are_those_of_the_families() -> None:
    mappings = (names.COUNTERS, names.GAUGES, names.HISTOGRAMS, names.PROCESS)
    in_use = {family.group for mapping in mappings for family in mapping.values()}
    (option,) = [one for one in own_options() if one.get('name') == 'exclude_metric_groups']

    assert option['value']['items']['enum'] == sorted(names.Group)
    assert in_use == set(names.Group)


def test_each_group_is_explained_where_it_is_chosen() -> None:
    (option,) = [one for one in own_options() if one.get('name') == 'exclude_metric_groups']

    assert re.findall(r'^- (\w+)', option['description'], re.MULTILINE) == sorted(names.Group)


def test_every_family_belongs_to_exactly_one_group_in_all_its_spellings() -> None:
    groups = {group: names.families_of_groups([group]) for group in names.Group}

    assert sorted(chain.from_iterable(groups.values())) == sorted(names.raw_names())


@pytest.mark.parametrize('scraper', ['exact', 'stock'])
@pytest.mark.parametrize('prefix', [names.PREFIX, names.FORK_PREFIX])
@pytest.mark.usefixtures('first_page_counts')
def test_a_group_that_is_switched_off_is_not_collected_and_not_called_unknown(
    prefix: str, scraper: str, aggregator: AggregatorStub
) -> None:
    with serving_page(exposition(prefix)) as url:
        instance = {'openmetrics_endpoint': url, 'exclude_metric_groups': ['services', 'key_budgets']}
        check = LitellmCheck('litellm', {}, [{**instance, 'use_stock_scraper': scraper == 'stock'}])
        assert not check.run()

    off = names.families_of_groups(['services', 'key_budgets'])
    expected = {metric for family in families() if family['family'] not in off for metric in metrics_of(family)}
    assert set(aggregator.metric_names) == {*expected, *PROCESS_TAGS}
    assert not any('newer than this version' in warning for warning in check.get_warnings())


@pytest.mark.parametrize('old', ['litellm_redis_fails', 'llm_redis_fails'])
def test_the_old_name_of_redis_failures_maps_to_the_new_metric(old: str) -> None:
    assert names.raw_names()[old] == 'redis.failed_requests'


@pytest.mark.parametrize('prefix', [names.PREFIX, names.FORK_PREFIX])
@pytest.mark.usefixtures('first_page_counts')
def test_every_known_family_arrives_as_all_its_metrics(
    prefix: str, aggregator: AggregatorStub, dd_run_check: RunCheck
) -> None:
    scrape(exposition(prefix), dd_run_check)

    expected = {metric: kind for family in families() for metric, kind in metrics_of(family).items()}
    submission_types = {'count': AggregatorStub.COUNT, 'gauge': AggregatorStub.GAUGE}
    arrived = {(sample.name, sample.type) for name in aggregator.metric_names for sample in aggregator.metrics(name)}
    assert {(metric, submission_types[kind]) for metric, kind in expected.items()} - arrived == set()
