"""Remember what the lines of a page mean, and learn it again when it may have changed."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from datadog_checks.litellm.check import LitellmCheck
from datadog_checks.litellm.page.samples import SampleTable
from datadog_checks.litellm.transport.errors import NotMetricsError


class CountingTable(SampleTable):
    """Counts the samples that had to be learned, with those that were learned in vain."""

    learned = 0

    def _learn(self, sample: bytes) -> int:
        self.learned += 1
        return super()._learn(sample)


@pytest.fixture
def table() -> CountingTable:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://localhost:4000/metrics/'}])
    return CountingTable(check.create_scraper(check.instance).rules)


def read(table: CountingTable, page: str) -> list[float]:
    """Read a page as the scraper does, and return the values by slot."""
    reading = table.read_page([page.encode().split(b'\n')], Counter())
    table.accept(reading)
    return [math.nan if reading.absent[slot] else value for slot, value in enumerate(reading.values)]


def samples(*labels: str, value: float = 1.0) -> str:
    lines = [f'litellm_requests_metric_total{{model="{label}"}} {value}' for label in labels]
    return '\n'.join(['# TYPE litellm_requests_metric_total counter', *lines])


def test_a_page_that_was_seen_needs_no_parsing(table: CountingTable) -> None:
    read(table, samples('a', 'b', 'c'))
    table.learned = 0

    assert read(table, samples('a', 'b', 'c', value=2.0)) == [2.0, 2.0, 2.0]
    assert table.learned == 0


def test_lines_in_another_order_are_found(table: CountingTable) -> None:
    read(table, samples('a', 'b', 'c'))
    table.learned = 0

    assert read(table, samples('c', 'a', 'b', value=2.0)) == [2.0, 2.0, 2.0]
    assert table.learned == 0


def test_a_new_line_in_the_middle_does_not_make_the_rest_unknown(table: CountingTable) -> None:
    read(table, samples('a', 'c', 'd', 'e'))
    table.learned = 0

    assert read(table, samples('a', 'b', 'c', 'd', 'e')) == [1.0] * 5
    assert table.learned == 1


def test_a_line_that_is_missing_has_no_value(table: CountingTable) -> None:
    read(table, samples('a', 'b', 'c'))

    assert math.isnan(read(table, samples('a', 'c'))[1])


def submitted(table: SampleTable, values: list[float], value: float) -> list[str]:
    """Return the metrics that a page's samples with this value are submitted as."""
    slots = [slot for slot, each in enumerate(values) if each == value]
    kinds = [table.slots.kinds[slot] for slot in slots if table.slots.series[slot] is not None]
    return [kind.metric.name for kind in kinds if kind.metric is not None]


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
    table.learned = 0
    values = read(table, page)

    assert table.learned == 0
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


def test_the_slot_of_a_forgotten_sample_goes_to_the_next_new_one(table: CountingTable) -> None:
    for page in ('abcd', 'ac'):
        read(table, samples(*page))
    table.forget(b'\0\1\0\1')

    assert len(table.slots) == 3, 'free slots at the end are gone'
    assert read(table, samples('a', 'c', 'e', 'f', value=2.0)) == [2.0, 2.0, 2.0, 2.0]
    assert [(series.tags.tags[0], list(series.slots)) for series in table.all_series()] == [
        ('model:a', [0]),
        ('model:c', [2]),
        ('model:e', [1]),
        ('model:f', [3]),
    ]


def test_a_sample_that_is_forgotten_while_it_has_no_value_is_learned_again(table: CountingTable) -> None:
    for _ in range(2):
        read(table, samples('a', 'b').replace('b"} 1.0', 'b"} NaN'))
    read(table, samples('a'))
    table.forget(b'\0\1')

    assert read(table, samples('c', 'a', 'b', value=2.0)) == [2.0, 2.0, 2.0]


def test_a_value_that_follows_none_is_read_where_all_lines_stay_in_their_places(table: CountingTable) -> None:
    read(table, samples('a', 'b'))
    assert math.isnan(read(table, samples('a', 'b').replace('b"} 1.0', 'b"} NaN'))[1])

    assert read(table, samples('a', 'b', value=2.0)) == [2.0, 2.0]


def test_a_line_without_a_value_has_none_as_long_as_it_stays(table: CountingTable) -> None:
    page = samples('a', 'b').replace('b"} 1.0', 'b"} NaN')
    for _ in range(3):
        assert math.isnan(read(table, page)[1])

    assert math.isnan(read(table, f'{page}\n{samples("c").splitlines()[1]}')[1])
    assert read(table, f'{page}\n{samples("b", value=3.0).splitlines()[1]}')[1] == 3.0


def test_what_is_forgotten_together_is_archived_in_the_order_of_its_slots(table: CountingTable) -> None:
    head, *lines = samples('a', 'b', 'c', 'd').split('\n')
    read(table, '\n'.join([head, *(line.replace(' 1.0', f' {number}') for number, line in enumerate(lines))]))
    read(table, samples('a'))
    table.forget(b'\0\1\1\1')

    assert list(table._archive._values) == [1.0, 2.0, 3.0]


def test_what_was_restored_on_a_page_that_fails_is_archived_once(table: CountingTable) -> None:
    read(table, samples('a', 'b', value=5.0))
    read(table, samples('a', value=5.0))
    table.forget(b'\0\1')
    archived = len(table._archive)
    for _ in range(3):
        table.read_page([samples('a', 'b', value=7.0).encode().split(b'\n')], Counter())
        table.forget_new()

    assert len(table._archive) == archived == 1
    read(table, samples('a', 'b', value=7.0))
    assert list(table.slots.last) == [7.0, 7.0]


def test_a_page_of_bad_lines_that_declares_no_family_is_no_metrics_page(table: CountingTable) -> None:
    with pytest.raises(NotMetricsError, match='not in a Prometheus exposition format'):
        read(table, '<html>\n<p>one</p>')


BAD_LINES = {
    'no sample': 'litellm_requests_metric_total{model="b" 2.0',
    'no number': 'litellm_requests_metric_total{model="b"} two',
    'no labels': 'litellm_requests_metric_total{model} 2.0',
}


@pytest.mark.parametrize('line', BAD_LINES.values(), ids=BAD_LINES)
def test_nothing_is_remembered_of_a_bad_line(table: CountingTable, line: str) -> None:
    values = read(table, f'{samples("a")}\n{line}\n{samples("c", value=3.0)}')

    assert values == [1.0, 3.0]
    assert [series.tags.tags[0] for series in table.all_series()] == ['model:a', 'model:c']
    assert read(table, samples('a', 'b', 'c', value=4.0)) == [4.0, 4.0, 4.0]


@pytest.mark.parametrize('line', BAD_LINES.values(), ids=BAD_LINES)
def test_a_known_sample_whose_line_turns_bad_is_absent_from_that_page(table: CountingTable, line: str) -> None:
    read(table, samples('a', 'b', 'c'))

    values = read(table, f'{samples("a", value=2.0)}\n{line}\n{samples("c", value=2.0)}')
    assert [values[0], values[2]] == [2.0, 2.0]
    assert math.isnan(values[1])
    assert read(table, samples('a', 'b', 'c', value=4.0)) == [4.0, 4.0, 4.0]


@pytest.mark.parametrize('type_', ['gauge', 'untyped', 'info'])
def test_a_family_that_was_declared_wrongly_is_submitted_once_it_is_declared_well(
    table: CountingTable, type_: str
) -> None:
    read(table, samples('a', value=2.0).replace('counter', type_))
    typed = read(table, samples('a', value=3.0))

    assert submitted(table, typed, 3.0) == ['litellm.requests.metric.count']
    assert len(list(table.all_series())) == 1


def test_families_without_samples_are_forgotten(table: CountingTable) -> None:
    read(table, samples('a'))
    before = len(table._families), len(table._names)
    for number in range(100):
        read(table, f'{samples("a")}\n# TYPE litellm_new_{number} histogram\n')
    table.forget_families()

    assert (len(table._families), len(table._names)) == before
    assert submitted(table, read(table, samples('a', value=2.0)), 2.0) == ['litellm.requests.metric.count']


def test_a_sample_with_the_bare_name_of_a_histogram_does_not_displace_it(table: CountingTable) -> None:
    page = """\
# TYPE litellm_auth_latency histogram
litellm_auth_latency 7.0
litellm_auth_latency_count{auth="auth"} 2.0
"""
    read(table, page)

    assert submitted(table, read(table, page), 2.0) == ['litellm.auth.latency.count']
    assert submitted(table, read(table, page), 7.0) == []
    assert [list(series.slots) for series in table.all_series()] == [[1]]


def test_a_bound_in_another_spelling_is_the_same_sample(table: CountingTable) -> None:
    def page(bound: str, value: float) -> str:
        return f'# TYPE litellm_auth_latency histogram\nlitellm_auth_latency_bucket{{a="b",le="{bound}"}} {value}'

    assert [read(table, page(bound, value)) for value, bound in enumerate(('1', '1.0', '1.00', '1e0'))] == [
        [0.0],
        [1.0],
        [2.0],
        [3.0],
    ]


def test_bounds_in_ever_other_spellings_take_no_more_memory(table: CountingTable) -> None:
    for zeros in range(100):
        read(
            table,
            '# TYPE litellm_auth_latency histogram\n'
            f'litellm_auth_latency_bucket{{model="a",le="1.{"0" * zeros}"}} 1.0\n'
            f'litellm_auth_latency_bucket{{model="b",le="1.{"0" * zeros}"}} 1.0',
        )

    assert len(table.slots) == 2
    assert max(len(name.kinds_by_text) for name in table._names.values()) < 10


def test_labels_in_another_order_are_the_same_series(table: CountingTable) -> None:
    def page(labels: str, value: float) -> str:
        return f'# TYPE litellm_requests_metric_total counter\nlitellm_requests_metric_total{{{labels}}} {value}'

    assert [read(table, page('a="1",b="2"', 1.0)), read(table, page('b="2",a="1"', 2.0))] == [[1.0], [2.0]]


def test_a_sample_that_is_on_the_page_twice_is_noticed(table: CountingTable) -> None:
    page = samples('a', 'b', 'a', value=2.0)
    reading = table.read_page([page.encode().split(b'\n')], Counter())

    assert len(reading.repeated) == 1


@pytest.mark.parametrize('then', [[2.0, 3.0], [1.0], [3.0], [3.0, 1.0], [1.0, 3.0, 1.0]], ids=str)
def test_the_last_line_of_a_sample_holds_whatever_lines_it_had_before(then: list[float], table: CountingTable) -> None:
    def page(values: list[float]) -> str:
        return '\n'.join(samples('a', value=value) for value in values)

    for _ in range(2):
        read(table, page([1.0, 3.0]))

    assert [read(table, page(then)) for _ in range(3)] == [[then[-1]]] * 3


@pytest.mark.parametrize('other', ['2.0', 'NaN'])
def test_the_last_line_of_a_sample_holds_where_another_has_come_before_it(other: str, table: CountingTable) -> None:
    """The last one is where it was, and so is recognized."""
    read(table, samples('b', 'a', value=3.0))
    page = samples('b', 'a', value=3.0).replace('"b"} 3.0', f'"a"}} {other}')

    assert [read(table, page)[-1] for _ in range(2)] == [3.0, 3.0]


def test_a_sample_that_stays_on_the_page_twice_is_noticed_each_time(table: CountingTable) -> None:
    for _ in range(3):
        reading = table.read_page([samples('a', 'b', 'a').encode().split(b'\n')], Counter())
        table.accept(reading)
        assert len(reading.repeated) == 1


def test_the_value_of_an_unchanged_line_is_kept(table: CountingTable) -> None:
    read(table, samples('a', 'b'))
    reading = table.read_page([samples('a', 'b').encode().split(b'\n')], Counter())

    assert list(reading.moved) == []
    assert list(reading.values) == [1.0, 1.0]


def test_a_page_of_nothing_but_bad_lines_is_given_up(table: CountingTable) -> None:
    bad_lines: Counter[str] = Counter()
    with pytest.raises(NotMetricsError):
        table.read_page(([b'# TYPE litellm_requests_metric counter', *[b'x'] * 1000] for _ in range(100)), bad_lines)

    assert bad_lines.total() < 20_000


def test_what_is_forgotten_goes_on_from_where_it_was(table: CountingTable) -> None:
    read(table, samples('a', 'b', value=5.0))
    read(table, samples('a', value=6.0))
    table.forget(b'\0\1')
    read(table, samples('a', 'b', value=7.0))

    assert list(table.slots.last) == [7.0, 7.0]
    read(table, samples('a', value=7.0))
    table.forget(b'\0\1')
    reading = table.read_page([samples('a', 'b', value=8.0).encode().split(b'\n')], Counter())
    assert list(table.slots.last) == [7.0, 7.0], 'the archived value'
    assert list(reading.values) == [8.0, 8.0]


def test_a_family_that_nobody_wants_is_not_learned_again_with_each_type_that_a_page_gives_it(
    table: CountingTable,
) -> None:
    """Each time, all samples would be searched for those of the family."""
    page = '# TYPE litellm_new counter\nlitellm_new 1\n# TYPE litellm_new gauge\nlitellm_new 2\n' * 100
    read(table, page)

    assert table.learned == 1
