"""What is remembered of a page's lines, and when it is learned again."""

from __future__ import annotations

import math
from array import array
from collections import Counter

import pytest

from datadog_checks.litellm.check import LitellmCheck
from datadog_checks.litellm.exact import ExactScraper
from datadog_checks.litellm.failures import NotMetricsError
from datadog_checks.litellm.samples import SampleTable


class CountingTable(SampleTable):
    """Counts the lines that had to be taken apart."""

    unknown = 0

    def _read_unknown(self, line: bytes, values: array[float], slot_before: int) -> int:
        self.unknown += 1
        return super()._read_unknown(line, values, slot_before)


@pytest.fixture
def table() -> CountingTable:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://localhost:4000/metrics/'}])
    return CountingTable(ExactScraper(check, check.get_config_with_defaults(check.instance)).rules)


def read(table: CountingTable, page: str) -> list[float]:
    """Read a page as the scraper does, and return the values by slot."""
    values = table.read_page([page.encode().split(b'\n')], Counter())
    read = list(values)
    table.ledger.close_page(values)
    return read


def samples(*labels: str, value: float = 1.0) -> str:
    lines = [f'litellm_requests_metric_total{{model="{label}"}} {value}' for label in labels]
    return '\n'.join(['# TYPE litellm_requests_metric_total counter', *lines])


def test_a_page_that_was_seen_needs_no_parsing(table: CountingTable) -> None:
    read(table, samples('a', 'b', 'c'))
    table.unknown = 0

    assert read(table, samples('a', 'b', 'c', value=2.0)) == [2.0, 2.0, 2.0]
    assert table.unknown == 1, 'only the TYPE line'


def test_lines_in_another_order_are_found(table: CountingTable) -> None:
    read(table, samples('a', 'b', 'c'))
    table.unknown = 0

    assert read(table, samples('c', 'a', 'b', value=2.0)) == [2.0, 2.0, 2.0]
    assert table.unknown <= 2, 'the TYPE line, and the line after the last slot'


def test_a_new_line_in_the_middle_does_not_make_the_rest_unknown(table: CountingTable) -> None:
    read(table, samples('a', 'c', 'd', 'e'))
    table.unknown = 0

    assert read(table, samples('a', 'b', 'c', 'd', 'e')) == [1.0] * 5
    assert table.unknown <= 3, 'the TYPE line, the new one, and the line after the last slot'


def test_a_line_that_is_missing_has_no_value(table: CountingTable) -> None:
    read(table, samples('a', 'b', 'c'))

    assert math.isnan(read(table, samples('a', 'c'))[1])


def submitted(table: SampleTable, values: list[float], value: float) -> list[str]:
    """Return the metrics that a page's samples with this value are submitted as."""
    slots = [slot for slot, each in enumerate(values) if each == value]
    alone = [metric.name for slot in slots if (metric := table.metrics[slot])]
    return alone + [context.metric.name for context in table.contexts.values() if set(slots) & set(context.slots)]


@pytest.mark.parametrize(
    'line',
    [
        'litellm_requests_metric_total{model="a"} 7.0 1795300000',
        'litellm_requests_metric_total{model="a"} 7.0 # {trace="b"} 0.5',
        '  litellm_requests_metric_total{model="a"}   7.0\r',
    ],
    ids=['timestamp', 'exemplar', 'spaces'],
)
def test_a_line_in_an_unusual_form_is_the_same_sample(table: CountingTable, line: str) -> None:
    read(table, samples('a', 'b'))

    assert read(table, f'{samples()}\n{line}')[0] == 7.0


def test_the_buckets_of_a_series_share_its_labels(table: CountingTable) -> None:
    read(
        table,
        """\
# TYPE litellm_auth_latency histogram
litellm_auth_latency_bucket{auth="auth",le="0.5"} 1.0
litellm_auth_latency_bucket{auth="auth",le="+Inf"} 2.0
litellm_auth_latency_count{auth="auth"} 2.0
litellm_auth_latency_sum{auth="auth"} 1.25
""",
    )

    (series,) = table.all_series()
    assert len(series.slots) == 3, 'the bucket of all is the count'


def test_a_family_keeps_the_type_that_it_was_declared_with(table: CountingTable) -> None:
    read(table, samples('a', value=5.0))
    read(table, samples('a', value=6.0).replace('counter', 'gauge'))
    counter = read(table, samples('a', value=7.0))

    assert submitted(table, counter, 7.0) == ['litellm.requests.metric.count']


def test_a_gauge_and_a_counter_of_one_name_are_two_families(table: CountingTable) -> None:
    page = '# TYPE litellm_requests_metric gauge\nlitellm_requests_metric{model="a"} 6.0\n' + samples('a', value=7.0)
    read(table, page)
    table.unknown = 0
    values = read(table, page)

    assert table.unknown == 2, 'the TYPE lines'
    assert submitted(table, values, 6.0) == ['litellm.requests.metric']
    assert submitted(table, values, 7.0) == ['litellm.requests.metric.count']


def test_times_of_creation_are_found_before_their_family(table: CountingTable) -> None:
    created = '# TYPE litellm_requests_metric_created gauge\nlitellm_requests_metric_created{model="a"} 1.7953e+09\n'
    for _ in range(2):
        read(table, created + samples('a'))

    assert [series.created_slot is None for series in table.all_series()] == [False]


def test_lines_that_came_before_their_type_are_learned_again(table: CountingTable) -> None:
    untyped = read(table, samples('a', value=2.0).partition('\n')[2])
    typed = read(table, samples('a', value=3.0))

    assert submitted(table, untyped, 2.0) == []
    assert submitted(table, typed, 3.0) == ['litellm.requests.metric.count']


def test_forgetting_moves_the_other_samples_up(table: CountingTable) -> None:
    read(table, samples('a', 'b', 'c'))
    table.forget({1})

    assert read(table, samples('a', 'c', value=2.0)) == [2.0, 2.0]
    assert [series.slots for series in table.all_series()] == [[0], [1]]


def test_a_line_that_is_no_sample_is_an_error(table: CountingTable) -> None:
    with pytest.raises(NotMetricsError, match='not in an exposition format'):
        read(table, samples('a') + '\n<html>')
