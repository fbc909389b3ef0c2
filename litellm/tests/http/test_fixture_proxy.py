"""The fixture proxy behaves as LiteLLM does, and counts exactly what it is sent."""

from __future__ import annotations

import csv
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.fixture_proxy import FixtureProxy, StartError, start
from tests.fixture_proxy.accounts import VIRTUAL_KEYS
from tests.fixture_proxy.calls import Call
from tests.fixture_proxy.cli import main
from tests.fixture_proxy.proxy import Proxy
from tests.fixture_proxy.releases import NEWEST, Profile
from tests.fixture_proxy.series import Series
from tests.fixture_proxy.settings import Settings
from tests.fixture_proxy.traffic import Sent, drive, exercise
from tests.lineage.lineage import Lineage
from tests.lineage.release_number import Release

FOLDER = Path(__file__).parents[2]
# What the process itself exposes, besides the families of LiteLLM.
PROCESS = re.compile(r'python_(gc_|info)|process_')
# Labels that a format adds, not the family.
FORMAT_LABELS = {'le', 'pid'}


@dataclass(frozen=True)
class Page:
    """A parsed page."""

    families: dict[str, Metric]

    @classmethod
    def of(cls, text: str) -> Page:
        return cls({family.name: family for family in text_string_to_metric_families(text)})

    def total(self, family: str, **labels: str) -> float:
        """Return the sum over a counter's series that have these labels; 0 without any."""
        return self._sum(family, '_total', labels)

    def count(self, family: str, **labels: str) -> float:
        """Return the number of observations of a histogram."""
        return self._sum(family, '_count', labels)

    def values(self, family: str, **labels: str) -> list[float]:
        """Return the values of a gauge's series that have these labels."""
        samples = self.families[family].samples if family in self.families else []
        return [sample.value for sample in samples if labels.items() <= sample.labels.items()]

    def bounds(self, family: str) -> list[str]:
        """Return the upper bounds of a histogram, in the order of the page."""
        samples = self.families[family].samples
        return list(dict.fromkeys(sample.labels['le'] for sample in samples if sample.name.endswith('_bucket')))

    def _sum(self, family: str, suffix: str, labels: dict[str, str]) -> float:
        samples = self.families[family].samples if family in self.families else []
        return sum(
            sample.value
            for sample in samples
            if sample.name == family + suffix and labels.items() <= sample.labels.items()
        )


def page_of(proxy: FixtureProxy, *families: str) -> Page:
    """Return the page, or only these families of it, which takes a hundredth of the time to read."""
    suffixes = ('', '_total', '_count', '_sum', '_created')
    return Page.of(proxy.scrape(params={'name[]': [family + suffix for family in families for suffix in suffixes]}))


def chat(proxy: FixtureProxy, model: str, key: str | None = None, **headers: str) -> requests.Response:
    """Ask for one completion; header names have `_` for `-`."""
    sent = {name.replace('_', '-'): value for name, value in headers.items()}
    return requests.post(
        f'{proxy.url}/v1/chat/completions',
        json={
            'model': model,
            'messages': [{'role': 'user', 'content': f'Hello {model}'}],
            'max_tokens': 20,
            'cache': {'no-cache': True},
        },
        headers={'Authorization': f'Bearer {key or proxy.key}', **sent},
        timeout=30,
    )


def known_families(release: str, unlicensed: bool = False) -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every family that families.csv, and former_labels.csv for its labels, give the release."""

    number = Release.parse
    known = {}
    with (FOLDER / 'tests' / 'lineage' / 'families.csv').open(newline='') as rows:
        for row in csv.DictReader(rows):
            gone = row['last_release'] and number(row['last_release']) < number(release)
            if number(row['first_release']) <= number(release) and not gone:
                labels = set(filter(None, row['labels'].split('|')))
                no_licence = row['registered_when'].startswith('prometheus callback without')
                known[row['family']] = (row['type'], labels, no_licence)
    with (FOLDER / 'tests' / 'lineage' / 'former_labels.csv').open(newline='') as rows:
        # The latest labels first, so that the earliest that still hold for the release are the last ones set.
        for row in sorted(csv.DictReader(rows), key=lambda row: number(row['through_release']), reverse=True):
            if row['family'] in known and number(release) <= number(row['through_release']):
                kind, _, no_licence = known[row['family']]
                known[row['family']] = (kind, set(filter(None, row['labels'].split('|'))), no_licence)
    return {name: (kind, labels) for name, (kind, labels, no_licence) in known.items() if no_licence == unlicensed}


def exposed_families(page: Page) -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every family of LiteLLM on the page that has samples."""
    return {
        name: (family.type, set().union(*(sample.labels for sample in family.samples)) - FORMAT_LABELS)
        for name, family in page.families.items()
        if family.samples and not PROCESS.match(name) and not is_creation_time(name, page)
    }


def unmoved_families(page: Page) -> set[str]:
    """Every exposed family that has no labels and is still at the 0 that it began with."""
    return {
        name
        for name in exposed_families(page)
        if not any(sample.value or sample.labels.keys() - FORMAT_LABELS for sample in page.families[name].samples)
    }


def is_creation_time(name: str, page: Page) -> bool:
    """Whether a family tells when another one's series were created; two families of LiteLLM only sound like it."""
    return name.endswith('_created') and name.removesuffix('_created') in page.families


class Driven(NamedTuple):
    """A proxy that got the mix and nothing else before `page` was scraped."""

    proxy: FixtureProxy
    sent: Sent
    page: Page


@pytest.fixture(scope='module')
def driven() -> Iterator[Driven]:
    with start() as proxy:
        sent = drive(proxy.url, proxy.key, requests=60)
        yield Driven(proxy, sent, page_of(proxy))


@pytest.fixture(scope='module')
def before_1_84() -> Iterator[FixtureProxy]:
    with start('--release', '1.83.0') as proxy:
        yield proxy


@pytest.fixture(scope='module')
def shared_by_two() -> Iterator[Driven]:
    with start('--workers', '2') as proxy:
        sent = drive(proxy.url, proxy.key, requests=60)
        yield Driven(proxy, sent, page_of(proxy))


def assert_counted(page: Page, sent: Sent) -> None:
    """Everything that was sent is on the page once."""
    assert sent.failures > 0
    assert sent.unknown_key > 0
    assert page.total('litellm_proxy_total_requests_metric') == sent.requests
    assert page.total('litellm_proxy_failed_requests_metric') == sent.failures
    for status, number in sent.failed.items():
        assert page.total('litellm_proxy_failed_requests_metric', exception_status=str(status)) == number
    assert page.total('litellm_requests_metric') == sent.succeeded
    assert page.total('litellm_mcp_tool_calls') == sent.mcp_calls
    assert page.total('litellm_input_tokens_metric') == sent.prompt_tokens
    assert page.total('litellm_output_tokens_metric') == sent.completion_tokens
    assert page.total('litellm_total_tokens_metric') == sent.total_tokens
    assert page.total('litellm_images_generated_metric') == sent.images
    assert page.total('litellm_video_duration_seconds_metric') == sent.video_seconds
    assert page.total('litellm_cache_hits_metric') == sent.from_cache > 0
    assert page.total('litellm_deployment_successful_fallbacks') == sent.fell_back > 0
    assert page.count('litellm_llm_api_time_to_first_token_metric') == sent.streamed
    assert page.count('litellm_request_total_latency_metric') == sent.succeeded - sent.mcp_calls
    spend_of_tools = page.total('litellm_mcp_tool_call_spend_metric')
    assert page.total('litellm_spend_metric') == pytest.approx(sent.spend + spend_of_tools)


def test_every_request_is_counted_once(driven: Driven) -> None:
    assert_counted(driven.page, driven.sent)


def test_every_request_is_counted_once_by_workers_that_share_their_series(shared_by_two: Driven) -> None:
    assert_counted(shared_by_two.page, shared_by_two.sent)


@pytest.mark.parametrize('release', ['1.55.12', '1.56.6', '1.74.0', '1.83.0', str(NEWEST)])
def test_a_release_exposes_the_families_of_the_table_and_each_is_moved(release: str) -> None:
    with start('--release', release) as proxy:
        exercise(proxy.url, proxy.key)
        page = page_of(proxy)
    assert exposed_families(page) == known_families(release)
    # Whoever asks for the page is not among the requests that these count.
    are_back_at_zero = {'litellm_admission_admitted_requests', 'litellm_admission_queued_requests'}
    assert unmoved_families(page) - are_back_at_zero == set()


def test_some_families_are_there_from_the_start_whatever_is_configured(tmp_path: Path) -> None:
    settings = Settings(directory=tmp_path, release=str(NEWEST), prometheus=False, service_metrics=False)
    families = {family.name for family in Series(settings).exposed().collect()}
    from_the_start = {
        name for name, row in Lineage.read().rows.items() if row['registered_when'] == 'start of the proxy'
    }
    assert from_the_start
    assert {name for name in families if name.startswith('litellm_')} == from_the_start


def test_latencies_have_the_buckets_of_the_release(driven: Driven, before_1_84: FixtureProxy) -> None:
    def bounds(page: Page, family: str) -> tuple[int, list[str]]:
        found = page.bounds(family)
        return len(found), found[-2:]

    latency, per_token = 'litellm_llm_api_latency_metric', 'litellm_deployment_latency_per_output_token'
    chat(before_1_84, 'gemini-flash')
    old = Page.of(before_1_84.scrape())
    assert bounds(old, latency) == (36, ['300.0', '+Inf'])
    assert bounds(driven.page, latency) == (18, ['600.0', '+Inf'])
    # This one has the client's default buckets in each release.
    assert bounds(old, per_token) == bounds(driven.page, per_token) == (15, ['10.0', '+Inf'])


@pytest.mark.parametrize(('release', 'bounds'), [('1.83.6', 35), ('1.83.7', 17)])
def test_buckets_changed_in_1_83_7(release: str, bounds: int) -> None:
    buckets = Profile(Release.parse(release)).buckets('litellm_llm_api_latency_metric')
    assert buckets is not None
    assert len(buckets) == bounds


def test_a_renamed_family_has_only_its_old_name_until_the_new_one_comes() -> None:
    old, new = 'litellm_remaining_requests', 'litellm_remaining_requests_metric'
    before, after = (set(Profile(Release.parse(release)).families) & {old, new} for release in ('1.80.11', '1.80.12'))
    assert (before, after) == ({old}, {new})


def test_without_a_licence_an_old_release_exposes_only_that_and_its_services() -> None:
    with start('--release', '1.79.3', '--unlicensed', '--no-service-metrics') as proxy:
        assert chat(proxy, 'gpt-4o').status_code == 200
        assert exposed_families(page_of(proxy)) == known_families('1.79.3', unlicensed=True)


def test_without_the_prometheus_callback_there_is_no_metrics_page() -> None:
    with start('--no-prometheus') as proxy:
        headers = proxy.headers
        assert requests.get(proxy.metrics_url, timeout=30).status_code == 401
        assert requests.get(proxy.metrics_url, headers=headers, timeout=30).status_code == 404


def test_a_scrape_without_slash_is_redirected_after_the_key_was_checked(driven: Driven) -> None:
    url = driven.proxy.metrics_url.rstrip('/')
    refused = requests.get(url, allow_redirects=False, timeout=30)
    redirected = requests.get(url, headers=driven.proxy.headers, allow_redirects=False, timeout=30)
    assert (refused.status_code, redirected.status_code) == (401, 307)
    assert redirected.headers['location'] == driven.proxy.metrics_url


@pytest.mark.parametrize(
    ('header', 'value', 'status'),
    [
        ('Authorization', 'Bearer {}', 200),
        ('x-litellm-api-key', '{}', 200),
        ('api-key', '{}', 200),
        ('Authorization', '{}', 401),
        ('x-api-key', '{}', 401),
        ('Authorization', 'Bearer sk-wrong{}', 401),
    ],
)
def test_a_scrape_brings_its_key_in_one_of_three_headers(driven: Driven, header: str, value: str, status: int) -> None:
    headers = {header: value.format(driven.proxy.key)}
    assert requests.get(driven.proxy.metrics_url, headers=headers, timeout=30).status_code == status


def test_a_refused_scrape_counts_as_a_failed_request(driven: Driven) -> None:
    def refused() -> float:
        page = page_of(driven.proxy, 'litellm_proxy_failed_requests_metric')
        return page.total('litellm_proxy_failed_requests_metric', route='/metrics/', hashed_api_key='scraper-key')

    before = refused()
    response = requests.get(driven.proxy.metrics_url, headers={'Authorization': 'Bearer scraper-key'}, timeout=30)
    assert response.status_code == 401
    assert response.json().startswith('Unauthorized access to metrics endpoint: ')
    assert refused() == before + 1


def test_before_1_84_metrics_need_no_key(before_1_84: FixtureProxy) -> None:
    assert requests.get(before_1_84.metrics_url, timeout=30).status_code == 200


def test_a_release_that_hangs_with_a_valid_key_still_refuses_a_wrong_one() -> None:
    with start('--release', '1.82.6', '--auth') as proxy:
        assert requests.get(proxy.metrics_url, timeout=30).status_code == 401
        with pytest.raises(requests.ReadTimeout):
            requests.get(proxy.metrics_url, headers=proxy.headers, timeout=0.5)


def test_the_page_is_prometheus_text_unless_openmetrics_is_asked_for(driven: Driven) -> None:
    def scrape(accept: str) -> requests.Response:
        headers = {**driven.proxy.headers, 'Accept': accept}
        return requests.get(driven.proxy.metrics_url, headers=headers, timeout=30)

    text = scrape('text/plain')
    assert text.headers['content-type'].startswith('text/plain; version=0.0.4')
    assert 'litellm_requests_metric_created' in Page.of(text.text).families
    modern = scrape('application/openmetrics-text; version=1.0.0')
    assert modern.headers['content-type'].startswith('application/openmetrics-text')
    assert modern.text.endswith('# EOF\n')
    families = {family.name for family in openmetrics.text_string_to_metric_families(modern.text)}
    assert {'litellm_requests_metric', 'litellm_deployment_state'} <= families


def test_the_page_is_compressed_for_who_accepts_it(driven: Driven) -> None:
    def encoding(accepted: str) -> str | None:
        headers = {**driven.proxy.headers, 'Accept-Encoding': accepted}
        response = requests.get(driven.proxy.metrics_url, headers=headers, timeout=30)
        assert '# TYPE litellm_requests_metric_total counter' in response.text
        return response.headers.get('content-encoding')

    assert encoding('gzip') == 'gzip'
    assert encoding('identity') is None


def test_the_page_can_be_asked_for_single_families(driven: Driven) -> None:
    page = Page.of(driven.proxy.scrape(params={'name[]': 'litellm_deployment_state'}))
    assert set(page.families) == {'litellm_deployment_state'}


def test_one_process_tells_about_itself_and_when_each_series_was_created(driven: Driven) -> None:
    names = set(driven.page.families)
    assert {'process_start_time_seconds', 'python_info', 'litellm_requests_metric_created'} <= names
    assert not any('pid' in sample.labels for sample in driven.page.families['litellm_deployment_state'].samples)


def test_workers_that_share_their_series_expose_neither_but_label_gauges_with_their_pid(shared_by_two: Driven) -> None:
    page, pids = shared_by_two.page, set(map(str, shared_by_two.proxy.worker_pids()))
    assert not [name for name in page.families if name.endswith('_created') or PROCESS.match(name)]
    assert {sample.labels['pid'] for sample in page.families['litellm_deployment_state'].samples} <= pids
    # These gauges are summed up over the workers.
    assert page.values('litellm_in_flight_requests') == [1.0]
    assert set(page.families['litellm_redis_circuit_breaker_state'].samples[0].labels) == {'state'}


def test_the_series_of_a_killed_worker_stay_and_its_successor_counts_on(shared_by_two: Driven) -> None:
    proxy = shared_by_two.proxy
    before, victim = page_of(proxy), proxy.worker_pids()[0]
    successor = proxy.replace_worker(victim)
    for _ in range(10):
        assert chat(proxy, 'gemini-flash').status_code == 200
    after = page_of(proxy)
    assert successor != victim
    family = 'litellm_proxy_total_requests_metric'
    assert after.total(family) == before.total(family) + 10
    labelled = {sample.labels['pid'] for sample in before.families['litellm_total_users'].samples}
    assert labelled <= {sample.labels['pid'] for sample in after.families['litellm_total_users'].samples}


def test_workers_that_do_not_share_their_series_take_turns_in_answering_scrapes() -> None:
    with start('--workers', '2', '--no-multiprocess-metrics', '--no-auth') as proxy:
        for _ in range(8):
            chat(proxy, 'gemini-flash')
        totals: dict[tuple[float, ...], float] = {}
        for _ in range(400):
            page = page_of(proxy, 'litellm_requests_metric')
            created = tuple(page.values('litellm_requests_metric_created'))
            totals[created] = page.total('litellm_requests_metric')
            if len(totals) == 2:
                break
        assert len(totals) == 2
        assert sum(totals.values()) == 8


def test_series_expire_and_start_again_from_zero(driven: Driven) -> None:
    family, labels = 'litellm_deployment_cooled_down', {'litellm_model_name': 'gpt-4o'}
    assert driven.page.total(family, **labels) > 0
    dropped = driven.proxy.control('expire', family=family, labels=labels)['dropped']
    assert dropped > 0
    assert page_of(driven.proxy, family).total(family, **labels) == 0
    driven.proxy.control('advance', seconds=60)
    chat(driven.proxy, 'gpt-4o', x_fixture_fail='429')
    assert page_of(driven.proxy, family).total(family, **labels) == 1


def test_series_shared_by_workers_do_not_expire(shared_by_two: Driven) -> None:
    with pytest.raises(AssertionError, match='never expire in multiprocess mode'):
        shared_by_two.proxy.control('expire', family='litellm_requests_metric', labels={})


def test_a_provider_failure_cools_its_deployment_down_and_the_group_falls_back() -> None:
    with start('--no-auth') as proxy:
        answer = chat(proxy, 'gpt-4o', x_fixture_fail='429')
        assert answer.status_code == 200
        assert answer.headers['x-litellm-model-group'] == 'gpt-4o-mini'
        page = page_of(proxy)
        failed = {'exception_status': '429', 'model_group': 'gpt-4o'}
        assert page.total('litellm_deployment_failure_responses', **failed) == 1
        assert page.total('litellm_deployment_cooled_down', litellm_model_name='gpt-4o') == 1
        # The second series of a cooldown, under the group's name, stays at 2 after the deployment has recovered.
        assert page.values('litellm_deployment_state', litellm_model_name='gpt-4o')[-1] == 2
        fell_back = {'requested_model': 'gpt-4o', 'fallback_model': 'gpt-4o-mini'}
        assert page.total('litellm_deployment_successful_fallbacks', **fell_back) == 1
        chat(proxy, 'gpt-4o', x_fixture_fail='429')
        assert chat(proxy, 'gpt-4o').headers['x-litellm-model-group'] == 'gpt-4o-mini'
        proxy.control('advance', seconds=60)
        assert chat(proxy, 'gpt-4o').headers['x-litellm-model-group'] == 'gpt-4o'
        assert 2 in page_of(proxy).values('litellm_deployment_state', litellm_model_name='gpt-4o')


def test_an_upstream_error_is_told_as_litellm_tells_it(driven: Driven) -> None:
    response = chat(driven.proxy, 'always-429')
    assert response.status_code == 429
    error = response.json()['error']
    assert error['message'].startswith('litellm.RateLimitError: Openai.RateLimitError')
    assert (error['type'], error['param'], error['code']) == ('throttling_error', None, '429')


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        (b'{"model":', 'Invalid JSON payload'),
        (b'[]', 'not an object'),
        (b'{"model": "gpt-4o"}', "Missing required parameter: 'messages'"),
        (b'{"model": "nothing", "messages": []}', 'Invalid model name passed in model=nothing'),
        (b'{"model": "gpt-4o", "messages": [], "metadata": 3}', 'Invalid parameter'),
        (b'{"model": "gpt-4o", "messages": [], "max_tokens": "many"}', 'Invalid parameter'),
    ],
)
def test_a_bad_request_is_refused_with_400_and_counts_as_failed(driven: Driven, body: bytes, message: str) -> None:
    family, url = 'litellm_proxy_failed_requests_metric', f'{driven.proxy.url}/chat/completions'
    before = page_of(driven.proxy, family).total(family, exception_status='400')
    response = requests.post(url, data=body, headers=driven.proxy.headers, timeout=30)
    assert response.status_code == 400
    assert message in response.json()['error']['message']
    assert page_of(driven.proxy, family).total(family, exception_status='400') == before + 1


def test_a_streamed_answer_is_server_sent_events_that_end_with_the_usage(driven: Driven) -> None:
    response = requests.post(
        f'{driven.proxy.url}/v1/chat/completions',
        json={'model': 'gpt-4o', 'messages': [], 'stream': True, 'stream_options': {'include_usage': True}},
        headers=driven.proxy.headers,
        timeout=30,
    )
    assert response.headers['content-type'].startswith('text/event-stream')
    events = [line.removeprefix('data: ') for line in response.text.splitlines() if line]
    assert events[-1] == '[DONE]'
    usage = json.loads(events[-2])['usage']
    assert usage['total_tokens'] == usage['prompt_tokens'] + usage['completion_tokens'] > 0


def test_budgets_limits_and_owners_of_a_key_are_on_the_page(driven: Driven) -> None:
    page, search = driven.page, {'api_key_alias': 'search-prod'}
    assert 0 < page.values('litellm_remaining_api_key_budget_metric', **search)[0] < 100
    assert page.values('litellm_api_key_max_budget_metric', **search) == [100.0]
    assert 23.9 < page.values('litellm_api_key_budget_remaining_hours_metric', **search)[0] < 24
    assert page.values('litellm_remaining_api_key_budget_metric', api_key_alias='ci') == [float('inf')]
    assert page.values('litellm_remaining_user_budget_metric', user='alice')[0] < 200
    assert set(page.values('litellm_remaining_api_key_requests_for_model', api_key_alias='ci')) == {2.0**63}
    assert max(page.values('litellm_remaining_api_key_requests_for_model', **search)) < 60_000
    allowed = page.values('litellm_team_rate_limit_allowed_metric', team='team-search', rate_limit_type='requests')
    assert allowed == [60_000]
    assert page.total('litellm_requests_metric', end_user='ben', team='team-search', user_email='alice@example.com') > 0


def test_a_key_is_refused_by_its_rate_limit_and_by_its_budget(driven: Driven) -> None:
    limited = [chat(driven.proxy, 'gemini-flash', key=VIRTUAL_KEYS['limited']).status_code for _ in range(4)]
    assert limited == [200, 200, 200, 429]
    spent = chat(driven.proxy, 'gemini-flash', key=VIRTUAL_KEYS['spent'])
    assert (spent.status_code, spent.json()['error']['type']) == (422, 'budget_exceeded')


def test_label_values_carry_one_more_escape_from_1_88_on(driven: Driven, before_1_84: FixtureProxy) -> None:
    aliases = {sample.labels['api_key_alias'] for sample in driven.page.families['litellm_requests_metric'].samples}
    assert r'support \"night shift\"' in aliases
    chat(before_1_84, 'gpt-4o', key=VIRTUAL_KEYS['support'])
    page = page_of(before_1_84, 'litellm_requests_metric')
    assert page.total('litellm_requests_metric', api_key_alias='support "night shift"') == 1


def test_families_and_labels_can_be_left_out_and_labels_added_by_configuration() -> None:
    families = 'litellm_requests_metric,litellm_deployment_cooled_down'
    labels = ('--exclude-labels', 'end_user,user_email', '--metadata-labels', 'feature')
    with start('--only-families', families, *labels, '--no-service-metrics') as proxy:
        drive(proxy.url, proxy.key, requests=8)
        page = page_of(proxy)
    assert 'litellm_requests_metric' in page.families
    assert 'litellm_spend_metric' not in page.families
    assert not {'end_user', 'user_email'} & set(page.families['litellm_requests_metric'].samples[0].labels)
    assert page.total('litellm_requests_metric', metadata_feature='summary') == 1
    # LiteLLM's own fault: with custom labels it never counts a cooldown.
    assert page.total('litellm_deployment_cooled_down') == 0


def test_a_broken_callback_counts_a_failure_per_request(driven: Driven) -> None:
    family = 'litellm_callback_logging_failures_metric'
    driven.proxy.control('controls', broken_callbacks=['langfuse'])
    chat(driven.proxy, 'gpt-4o')
    driven.proxy.control('controls', broken_callbacks=[])
    chat(driven.proxy, 'gpt-4o')
    assert page_of(driven.proxy, family).total(family, callback_name='langfuse') == 1


def test_redis_that_is_down_opens_its_circuit_breaker_until_a_minute_has_passed() -> None:
    with start('--redis', 'down', '--no-auth') as proxy:
        for _ in range(7):
            chat(proxy, 'gpt-4o')
        page = page_of(proxy)
        failures = {'error_class': 'ConnectionError', 'function_name': 'async_increment_pipeline'}
        assert page.total('litellm_redis_failed_requests', **failures) == 5
        assert page.values('litellm_redis_circuit_breaker_state', state='open') == [1.0]
        proxy.control('controls', redis='up')
        proxy.control('advance', seconds=120)
        chat(proxy, 'gpt-4o')
        page = page_of(proxy)
        assert page.values('litellm_redis_circuit_breaker_state', state='closed') == [1.0]
        assert page.total('litellm_redis_circuit_breaker_transitions') == 3


def test_surroundings_trouble_requests_until_they_are_well_again() -> None:
    total, overhead = 'litellm_request_total_latency_metric', 'litellm_overhead_latency_metric'

    def seconds(proxy: FixtureProxy, family: str) -> float:
        samples = Page.of(proxy.scrape()).families[family].samples
        return sum(sample.value for sample in samples if sample.name == f'{family}_sum')

    with start('--no-auth', '--concurrent', '--no-broken-models') as proxy:
        assert chat(proxy, 'o4-mini').status_code == 200
        usual, usual_overhead = seconds(proxy, total), seconds(proxy, overhead)
        proxy.control('controls', slow_providers={'openai': 30}, load=100)
        chat(proxy, 'o4-mini')
        assert seconds(proxy, total) > 10 * usual
        assert seconds(proxy, overhead) > 10 * usual_overhead

        proxy.control('controls', slow_providers={}, load=1, failing_providers={'openai': 503})
        assert chat(proxy, 'o4-mini').status_code == 503
        health = requests.get(f'{proxy.url}/health', headers=proxy.headers, timeout=30).json()
        assert {entry['exception_status'] for entry in health['unhealthy_endpoints']} == {503}
        proxy.control('controls', failing_providers={}, used_elsewhere={'openai': 0.999})
        left = chat(proxy, 'o4-mini').headers['x-ratelimit-remaining-requests']
        assert 0 < int(left) < 10

        proxy.control('controls', blocked_keys=[VIRTUAL_KEYS['ci']])
        assert chat(proxy, 'o4-mini', key=VIRTUAL_KEYS['ci']).status_code == 401
        assert chat(proxy, 'o4-mini', key=VIRTUAL_KEYS['search']).status_code == 200
        proxy.control('controls', blocked_keys=[])
        assert chat(proxy, 'o4-mini', key=VIRTUAL_KEYS['ci']).status_code == 200
        with pytest.raises(AssertionError, match='a provider fails with one of'):
            proxy.control('controls', failing_providers={'openai': 200})


def test_the_budget_of_a_provider_is_that_of_a_day() -> None:
    family = 'litellm_provider_remaining_budget_metric'
    with start('--no-auth', '--concurrent') as proxy:
        requests.post(
            f'{proxy.url}/v1/videos',
            json={'model': 'sora', 'prompt': 'a film', 'seconds': 1000},
            headers=proxy.headers,
            timeout=30,
        )
        assert page_of(proxy, family).values(family, api_provider='openai') == [9900.0]
        proxy.control('advance', seconds=24 * 3600)
        chat(proxy, 'o4-mini')
        assert page_of(proxy, family).values(family, api_provider='openai')[0] > 9999


def test_a_job_that_the_proxy_does_not_have_is_refused(driven: Driven) -> None:
    with pytest.raises(AssertionError, match='unknown job: holiday'):
        driven.proxy.control('jobs', names=['budgets', 'holiday'])


def test_health_calls_every_model_for_real(driven: Driven) -> None:
    probes = {'api_key_alias': 'litellm-internal-health-check', 'hashed_api_key': 'litellm-internal-health-check'}
    assert requests.get(f'{driven.proxy.url}/health', timeout=30).status_code == 401
    body = requests.get(f'{driven.proxy.url}/health', headers=driven.proxy.headers, timeout=30).json()
    assert len(body['healthy_endpoints']) == body['healthy_count'] == 18
    assert len(body['unhealthy_endpoints']) == body['unhealthy_count'] == 7
    assert set(body['healthy_endpoints'][0]) == {'model', 'model_id'}
    assert {entry['error'].split(':')[0] for entry in body['unhealthy_endpoints']} >= {'litellm.RateLimitError'}
    assert (
        page_of(driven.proxy, 'litellm_requests_metric').total('litellm_requests_metric', **probes)
        == body['healthy_count']
    )


def test_health_checks_in_the_background_move_families_and_asking_for_them_does_not() -> None:
    with start('--background-health-checks', '--release', '1.100.0') as proxy:
        body = requests.get(f'{proxy.url}/health', headers=proxy.headers, timeout=30).json()
        assert 'api_base' in body['healthy_endpoints'][0]
        assert page_of(proxy).total('litellm_requests_metric') == 0
        proxy.control('jobs', names=['health_checks'])
        assert page_of(proxy).total('litellm_requests_metric') == body['healthy_count']


def test_readiness_is_short_from_1_84_on_and_fails_some_time_after_the_database(driven: Driven) -> None:
    url = f'{driven.proxy.url}/health/readiness'
    assert requests.get(url, timeout=30).json() == {'status': 'healthy', 'db': 'connected'}
    assert requests.get(f'{url}/details', timeout=30).status_code == 401
    details = requests.get(f'{url}/details', headers=driven.proxy.headers, timeout=30).json()
    assert details['litellm_version'] == '1.106.2'
    driven.proxy.control('controls', db='down')
    still = requests.get(url, timeout=30)
    driven.proxy.control('advance', seconds=20)
    down = requests.get(url, timeout=30)
    driven.proxy.control('controls', db='up')
    assert (still.status_code, still.json()['db']) == (200, 'connected')
    assert (down.status_code, down.json()) == (503, {'status': 'healthy', 'db': 'disconnected'})


def test_readiness_told_everything_before_1_84(before_1_84: FixtureProxy) -> None:
    body = requests.get(f'{before_1_84.url}/health/readiness', timeout=30).json()
    assert (body['litellm_version'], body['db'], body['cache']) == ('1.83.0', 'connected', 'redis')
    assert 'PrometheusLogger' in body['success_callbacks']


def test_liveliness_and_the_version_need_no_key(driven: Driven) -> None:
    assert requests.get(f'{driven.proxy.url}/health/liveliness', timeout=30).json() == "I'm alive!"
    document = requests.get(f'{driven.proxy.url}/openapi.json', timeout=30).json()
    assert document['info']['version'] == '1.106.2'


def test_latencies_are_slept_only_when_asked_for(driven: Driven) -> None:
    assert chat(driven.proxy, 'o4-mini').elapsed.total_seconds() < 0.2 < simulated_seconds(driven.proxy)
    with start('--real-delay') as proxy:
        slept = chat(proxy, 'o4-mini').elapsed.total_seconds()
        assert slept >= simulated_seconds(proxy) > 0.2


def simulated_seconds(proxy: FixtureProxy) -> float:
    """Return what answers of the model took that only the caller with the master key asked, by the page."""
    family = 'litellm_llm_api_latency_metric'
    samples = page_of(proxy, family).families[family].samples
    return sum(
        sample.value
        for sample in samples
        if sample.name == f'{family}_sum'
        and sample.labels['model'] == 'o4-mini'
        and sample.labels['hashed_api_key'] == 'litellm_proxy_master_key'
    )


@pytest.mark.parametrize(('texts', 'vectors'), [('one', 1), (['one', 'two'], 2), ([17, 4, 9], 1), ([[17, 4], [9]], 2)])
def test_each_text_gets_an_embedding(texts: object, vectors: int, driven: Driven) -> None:
    body = {'model': 'text-embedding', 'input': texts}
    answer = requests.post(f'{driven.proxy.url}/v1/embeddings', json=body, headers=driven.proxy.headers, timeout=30)
    assert [each['index'] for each in answer.json()['data']] == list(range(vectors))


def test_the_caller_is_told_of_the_first_failure_when_the_fallback_fails_as_well(driven: Driven) -> None:
    answer = chat(driven.proxy, 'always-503')
    assert answer.status_code == 503
    assert 'ServiceUnavailableError' in answer.json()['error']['message']


def test_the_models_are_listed(driven: Driven) -> None:
    body = requests.get(f'{driven.proxy.url}/v1/models', headers=driven.proxy.headers, timeout=30).json()
    assert {'gpt-4o', 'claude-sonnet', 'text-embedding', 'always-429'} <= {model['id'] for model in body['data']}


def test_the_same_seed_gives_the_same_page_and_another_one_another() -> None:
    def page(seed: str) -> tuple[Sent, list[str]]:
        # By chance, one request in ten fails: the seed decides about that too.
        with start('--seed', seed, '--no-auth', '--failure-rate', '0.1') as proxy:
            sent = drive(proxy.url, proxy.key, requests=20)
            lines = proxy.scrape().splitlines()
        return sent, [line for line in lines if not PROCESS.match(line) and '_created' not in line]

    first = page('7')
    assert page('7') == first
    assert page('8') != first


def test_an_admission_refusal_never_reaches_the_proxy(driven: Driven) -> None:
    def counted() -> tuple[float, float]:
        page = page_of(driven.proxy, 'litellm_admission_rejected_requests', 'litellm_proxy_total_requests_metric')
        rejected = page.total('litellm_admission_rejected_requests', reason='queue_full')
        return rejected, page.total('litellm_proxy_total_requests_metric', route='/v1/chat/completions')

    before = counted()
    assert chat(driven.proxy, 'gpt-4o', x_fixture_reject='queue_full').status_code == 503
    assert counted() == (before[0] + 1, before[1])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--release', '2.0'), "'2.0' is not a LiteLLM release such as 1.106.2"),
        (('--release', '1.20.0'), 'release 1.20.0 is unknown: known are 1.53.1 to '),
        (('--unlicensed',), 'release 1.106.2 needs no licence'),
        (('--workers', '0'), "argument --workers: '0' is not a number of at least 1"),
        (('--no-multiprocess-metrics',), '--no-multiprocess-metrics needs --workers 2 or more'),
        (('--failure-rate', '3'), "argument --failure-rate: '3' is not between 0 and 1"),
        (('--only-families', 'litellm_fun'), 'release 1.106.2 has no family litellm_fun'),
        (('--colour', 'red'), 'unrecognized arguments: --colour red'),
    ],
)
def test_a_bad_option_is_refused_in_one_line(
    options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ''
    assert output.err.startswith(f'fixture_proxy: {message}')
    assert output.err.count('\n') == 1


def test_a_port_in_use_is_refused_in_one_line() -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        message = f'^fixture_proxy: cannot listen on 127.0.0.1:{port}: Address already in use$'
        with pytest.raises(StartError, match=message), start('--port', str(port)):
            pass


def test_stopping_ends_every_worker_and_frees_the_port() -> None:
    with start('--workers', '2', '--no-auth') as proxy:
        pids = proxy.worker_pids()
        assert len(pids) == 2
        assert proxy.stop() == 0
        assert not [pid for pid in pids if Path(f'/proc/{pid}').exists()]
        with pytest.raises(requests.ConnectionError):
            requests.get(proxy.metrics_url, timeout=5)


def test_the_traffic_can_be_sent_from_the_command_line(driven: Driven) -> None:
    command = [sys.executable, '-m', 'tests.fixture_proxy.traffic', driven.proxy.url, '--requests', '3', '--seed', '9']
    ended = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(ended.stdout)['requests'] == 3


def ask(proxy: FixtureProxy, path: str, **body: object) -> requests.Response:
    return requests.post(f'{proxy.url}{path}', json=body, headers=proxy.headers, timeout=30)


@pytest.mark.parametrize(
    ('path', 'body', 'last_event'),
    [
        ('/v1/responses', {'model': 'o4-mini', 'input': 'Hello'}, 'response.completed'),
        ('/v1/messages', {'model': 'claude-haiku', 'messages': [], 'max_tokens': 9}, 'message_stop'),
        ('/anthropic/v1/messages', {'model': 'claude-opus', 'messages': [], 'max_tokens': 9}, 'message_stop'),
    ],
)
def test_the_routes_of_agents_are_counted_like_chat_and_streamed_in_events_of_their_own(
    driven: Driven, path: str, body: dict[str, object], last_event: str
) -> None:
    families = ('litellm_proxy_total_requests_metric', 'litellm_llm_api_time_to_first_token_metric')

    def counted() -> tuple[float, float]:
        page = page_of(driven.proxy, *families)
        first_token = page.count(families[1], requested_model=str(body['model']))
        return page.total(families[0], route=path), first_token

    requests_before, first_tokens_before = counted()
    assert ask(driven.proxy, path, **body).json()['usage']['output_tokens'] > 0
    events = ask(driven.proxy, path, **body, stream=True).text.strip().split('\n\n')
    assert events[-1].startswith(f'event: {last_event}\ndata: ')
    assert counted() == (requests_before + 2, first_tokens_before + 1)


def test_counting_tokens_is_not_counted(driven: Driven) -> None:
    before = page_of(driven.proxy, 'litellm_proxy_total_requests_metric')
    assert ask(driven.proxy, '/v1/messages/count_tokens', model='claude-haiku', messages=[]).status_code == 200
    after = page_of(driven.proxy, 'litellm_proxy_total_requests_metric')
    assert after.total('litellm_proxy_total_requests_metric') == before.total('litellm_proxy_total_requests_metric')


def test_without_the_database_a_key_lasts_as_long_as_the_cache_if_it_belongs_to_nobody() -> None:
    with start('--concurrent') as proxy:
        keys = {name: VIRTUAL_KEYS[name] for name in ('ci', 'search')}
        assert {chat(proxy, 'o4-mini', key).status_code for key in keys.values()} == {200}
        proxy.control('controls', db='down')
        statuses = [{name: chat(proxy, 'o4-mini', key).status_code for name, key in keys.items()}]
        proxy.control('advance', seconds=60)
        statuses.append({name: chat(proxy, 'o4-mini', key).status_code for name, key in keys.items()})
        page = page_of(proxy, 'litellm_proxy_failed_requests_metric')
    assert statuses == [{'ci': 200, 'search': 503}, {'ci': 503, 'search': 503}]
    # The alias is forgotten with the key, the hash is not.
    failed = 'litellm_proxy_failed_requests_metric'
    assert page.total(failed, exception_status='None', api_key_alias='search-prod') == 1
    assert page.total(failed, exception_status='None', api_key_alias='None') == 2
    assert page.total(failed, hashed_api_key='None') == 0


def test_requests_can_be_allowed_without_the_database(driven: Driven) -> None:
    driven.proxy.control('controls', db='down', requests_without_db=True)
    allowed = chat(driven.proxy, 'o4-mini', 'sk-unknown')
    driven.proxy.control('controls', db='up', requests_without_db=False)
    assert (allowed.status_code, chat(driven.proxy, 'o4-mini', 'sk-unknown').status_code) == (200, 401)


def test_custom_metadata_labels_tell_texts_only_and_not_of_families_with_fixed_labels() -> None:
    with start('--metadata-labels', 'feature,version') as proxy:
        exercise(proxy.url, proxy.key)
        body = {'model': 'o4-mini', 'messages': [], 'metadata': {'feature': 'summary', 'version': 3}}
        assert ask(proxy, '/v1/chat/completions', **body).status_code == 200
        page = page_of(proxy)
    labels = {name: labels for name, (_, labels) in exposed_families(page).items()}
    assert page.total('litellm_requests_metric', metadata_feature='summary', metadata_version='None') > 0
    assert 'metadata_feature' in labels['litellm_spend_capture_rate']
    assert 'metadata_feature' not in labels['litellm_guardrail_requests'] | labels['litellm_managed_batch_created']


def test_custom_tags_tell_whether_a_request_has_them() -> None:
    with start('--tag-labels', 'prod,User-Agent: curl/*') as proxy:
        for tags in (['prod', 'User-Agent: curl/8'], ['test']):
            body = {'model': 'o4-mini', 'messages': [], 'metadata': {'tags': tags}}
            assert ask(proxy, '/v1/chat/completions', **body).status_code == 200
        page = page_of(proxy, 'litellm_requests_metric')
    told = {'tag_prod': 'true', 'tag_User_Agent__curl__': 'true'}
    assert page.total('litellm_requests_metric', **told) == 1
    assert page.total('litellm_requests_metric', **dict.fromkeys(told, 'false')) == 1


def test_included_labels_are_those_that_the_family_has_as_well() -> None:
    families = 'litellm_requests_metric,litellm_guardrail_requests'
    with start('--only-families', families, '--include-labels', 'team,api_base') as proxy:
        assert chat(proxy, 'o4-mini').status_code == 200
        body = {'model': 'o4-mini', 'messages': [], 'guardrails': ['mask-personal-data']}
        assert ask(proxy, '/v1/chat/completions', **body).status_code == 200
        found = exposed_families(page_of(proxy))
    assert found['litellm_requests_metric'] == ('counter', {'team'})
    assert found['litellm_guardrail_requests'] == ('counter', {'guardrail_name', 'hook_type', 'status'})


def test_families_that_were_renamed_late_cannot_be_selected_before() -> None:
    renamed = 'litellm_remaining_requests_metric,litellm_requests_metric'
    with start('--release', '1.80.11', '--only-families', renamed, '--no-service-metrics') as proxy:
        assert chat(proxy, 'gpt-4o').status_code == 200
        assert 'litellm_remaining_requests' not in exposed_families(page_of(proxy))


def test_end_users_are_told_only_if_they_are_tracked() -> None:
    with start('--no-end-users') as proxy:
        assert ask(proxy, '/v1/chat/completions', model='o4-mini', messages=[], user='ann').status_code == 200
        page = page_of(proxy, 'litellm_requests_metric')
    assert page.total('litellm_requests_metric', end_user='None') == 1


@pytest.mark.parametrize(('release', 'remaining'), [('1.106.2', float(sys.maxsize)), (str(NEWEST), 0.0)])
def test_a_limit_of_a_model_that_is_used_up_was_told_as_none(tmp_path: Path, release: str, remaining: float) -> None:
    proxy = Proxy(Settings(directory=tmp_path, release=release))
    caller = proxy.accounts.caller(VIRTUAL_KEYS['search'])
    assert caller is not None
    caller.limit.requests = 1
    assert proxy.serve(Call(caller, '/v1/chat/completions', 'o4-mini')).answer is not None
    family = 'litellm_remaining_api_key_requests_for_model'
    (found,) = (one for one in proxy.series.exposed().collect() if one.name == family)
    assert [sample.value for sample in found.samples] == [remaining]


@pytest.mark.parametrize(
    ('release', 'model'), [('1.80.11', 'gpt-4o'), ('1.95.1', 'gpt-4o-mini'), (str(NEWEST), 'gpt-4o')]
)
def test_a_request_that_a_fallback_answered_counts_for_the_model_that_the_release_says(
    release: str, model: str
) -> None:
    family = 'litellm_proxy_total_requests_metric'
    with start('--release', release) as proxy:
        assert chat(proxy, 'gpt-4o', x_fixture_fail='500').status_code == 200
        page = page_of(proxy, family)
    assert page.total(family, requested_model=model) == page.total(family) == 1


@pytest.mark.parametrize(('release', 'model'), [('1.95.1', 'no-such-model'), ('1.106.2', 'other')])
def test_an_unknown_model_has_its_name_until_1_96(release: str, model: str) -> None:
    family = 'litellm_proxy_failed_requests_metric'
    with start('--release', release) as proxy:
        assert chat(proxy, 'no-such-model').status_code == 400
        assert page_of(proxy, family).total(family, requested_model=model) == 1


@pytest.mark.parametrize(
    ('release', 'of_models', 'of_clients', 'key'),
    [
        ('1.80.11', 1, 1, 'litellm_proxy_master_key'),
        ('1.95.1', 0, 0, 'None'),
        ('1.106.2', 0, 1, 'None'),
        (str(NEWEST), 1, 1, 'None'),
    ],
)
def test_a_refusal_by_the_provider_is_counted_as_the_release_does(
    release: str, of_models: int, of_clients: int, key: str
) -> None:
    models, clients = 'litellm_deployment_failure_responses', 'litellm_proxy_failed_requests_metric'
    with start('--release', release) as proxy:
        assert chat(proxy, 'always-401').status_code == 401
        page = page_of(proxy, models, clients)
    assert (page.total(models), page.total(clients, hashed_api_key=key)) == (of_models, of_clients)
