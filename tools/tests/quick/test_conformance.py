"""The fixture proxy is like the real one: the pages in `tests/pages` were captured from real proxies of these releases.

`python -m tools.matrix --write` captures them anew. A run of the matrix holds the fixture against live proxies, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.lineage.lineage import Lineage

from datadog_checks.litellm.metrics import PREFIX
from tools.matrix.capture import Capture, captured_releases
from tools.matrix.conformance import Difference, allowed, differences, unexplained, unneeded
from tools.real_litellm.environment import RELEASES

ROOT = Path(__file__).parents[3]
# Each release without a database and with one.
CAPTURES = tuple(product(RELEASES, (False, True)))


class Compared(NamedTuple):
    """A capture of a real proxy, and where the fixture is not like it."""

    capture: Capture
    differences: list[Difference]


@pytest.fixture(scope='module', params=CAPTURES, ids=lambda which: f'{which[0]}{" with a database" * which[1]}')
def compared(request: pytest.FixtureRequest) -> Compared:
    capture = Capture.load(*request.param)
    return Compared(capture, differences(capture))


def test_the_fixture_differs_from_the_real_proxy_only_where_it_is_known_to(compared: Compared) -> None:
    found = unexplained(compared.capture, compared.differences)
    assert [str(difference) for difference in found] == []


def test_every_known_difference_is_one(compared: Compared) -> None:
    assert unneeded(compared.capture, compared.differences) == []


@pytest.mark.parametrize(('release', 'with_database'), CAPTURES)
def test_a_capture_tells_nothing_of_the_machine(release: str, with_database: bool) -> None:
    capture = Capture.load(release, with_database)
    told = f'{capture.page} {capture.answers} {capture.flipped}'
    assert re.findall(r'(?<![\w.])/(?:home|root|tmp|usr|var|work)/\S*|sk-[0-9a-f]{16,}', told) == []


@pytest.mark.parametrize('with_database', [False, True])
def test_each_release_of_the_matrix_was_captured(with_database: bool) -> None:
    assert captured_releases(with_database) == sorted(RELEASES)


def test_a_known_difference_has_a_reason_and_is_of_releases_that_were_captured() -> None:
    for known in allowed():
        assert known.reason.endswith('.')
        assert known.releases == '*' or set(known.releases.split()) <= set(RELEASES)


def test_the_families_that_no_real_proxy_moved_are_those_of_the_readme() -> None:
    moved = set().union(*(Capture.load(*which).moved for which in CAPTURES))
    unmoved = Lineage.read().rows.keys() - moved
    readme = (ROOT / 'litellm' / 'tests' / 'README.md').read_text(encoding='utf-8')
    patterns = list(patterns_of_the_table_below('## What is not exercised', readme))

    assert {family for family in unmoved if not any(fnmatchcase(family, pattern) for pattern in patterns)} == set()
    assert {family for family in moved if any(fnmatchcase(family, pattern) for pattern in patterns)} == set()
    assert {pattern for pattern in patterns if not any(fnmatchcase(family, pattern) for family in unmoved)} == set()


def patterns_of_the_table_below(heading: str, page: str) -> Iterator[str]:
    """Yield the patterns of the first column, without braces: `a_{b,c}_*` as `litellm_a_b_*` and `litellm_a_c_*`."""
    section = page.partition(heading)[2].partition('\n## ')[0]
    for row in re.findall(r'^\|(.*?)\|', section, flags=re.MULTILINE)[2:]:
        for cell in re.findall('`(.*?)`', row):
            parts = [part.split(',') for part in re.split(r'[{}]', cell)]
            yield from (PREFIX + ''.join(spelled) for spelled in product(*parts))


@pytest.fixture(scope='module')
def unlicensed() -> Capture:
    """Return the capture with the smallest page."""
    return Capture.load(RELEASES[0])


def test_a_family_that_the_fixture_does_not_have_is_a_difference(unlicensed: Capture) -> None:
    family = f'# TYPE {PREFIX}brand_new gauge\n{PREFIX}brand_new{{team="a"}} 1.0\n'
    assert new_differences(unlicensed, unlicensed._replace(page=unlicensed.page + family)) == [
        Difference(f'labels of {PREFIX}brand_new', 'team', ''),
        Difference(f'type of {PREFIX}brand_new', 'gauge', ''),
    ]


@pytest.mark.parametrize(
    ('old', 'new', 'fact'),
    [
        (f'# TYPE {PREFIX}redis_latency histogram', f'# TYPE {PREFIX}redis_latency summary', 'type of'),
        ('redis="redis"', 'service="redis"', 'labels of'),
        ('le="10.0"', 'le="11.0"', 'bounds of'),
    ],
)
def test_another_type_label_or_bucket_is_a_difference(unlicensed: Capture, old: str, new: str, fact: str) -> None:
    assert old in unlicensed.page
    changed = unlicensed._replace(page=unlicensed.page.replace(old, new))
    assert f'{fact} {PREFIX}redis_latency' in [found.fact for found in new_differences(unlicensed, changed)]


@pytest.fixture(scope='module')
def newest() -> Capture:
    return Capture.load(RELEASES[-1])


@pytest.mark.parametrize(
    ('family', 'old', 'new', 'fact'),
    [
        (
            'proxy_failed_requests_metric',
            'requested_model="other"',
            'requested_model="no-such-model"',
            'requested_model of litellm_proxy_failed_requests_metric for ProxyModelNotFoundError',
        ),
        (
            'proxy_failed_requests_metric',
            'exception_status="500"',
            'exception_status="None"',
            'exception_status of litellm_proxy_failed_requests_metric for Openai.InternalServerError',
        ),
        (
            'deployment_failure_responses',
            'model_id="broken"',
            'model_id=""',
            'model_id of litellm_deployment_failure_responses for Openai.InternalServerError',
        ),
    ],
)
def test_another_form_of_what_litellm_puts_into_a_label_is_a_difference(
    newest: Capture, family: str, old: str, new: str, fact: str
) -> None:
    lines = newest.page.splitlines(keepends=True)
    changed = [line.replace(old, new) if line.startswith(f'{PREFIX}{family}') else line for line in lines]
    assert changed != lines
    assert f'values of {fact}' in [
        found.fact for found in new_differences(newest, newest._replace(page=''.join(changed)))
    ]


def test_a_duration_in_milliseconds_is_a_difference(newest: Capture) -> None:
    total = re.compile(rf'^({PREFIX}llm_api_latency_metric_sum.*) (\S+)$', re.MULTILINE)
    assert total.search(newest.page)
    changed = newest._replace(page=total.sub(lambda match: f'{match[1]} {float(match[2]) * 1e6}', newest.page))
    assert [found.fact for found in new_differences(newest, changed)] == [f'mean of {PREFIX}llm_api_latency_metric']


def test_another_status_is_a_difference(unlicensed: Capture) -> None:
    asked = 'GET /metrics without a key'
    answers = {**unlicensed.answers, asked: unlicensed.answers[asked]._replace(status=403)}
    changed = unlicensed._replace(answers=answers)
    assert new_differences(unlicensed, changed) == [Difference(f'status of {asked}', '403', '307')]


def new_differences(before: Capture, after: Capture) -> list[Difference]:
    known = differences(before)
    return [found for found in differences(after) if found not in known]
