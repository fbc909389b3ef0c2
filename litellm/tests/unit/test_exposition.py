"""Taking the text of a page apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from datadog_checks.litellm.page.exposition import (
    BadLineError,
    parse_labels,
    parse_value,
    read_lines,
    split_bound,
    split_sample,
)
from datadog_checks.litellm.page.family_types import parse_declaration
from datadog_checks.litellm.transport.errors import NotMetricsError, TruncatedPageError


def lines(*chunks: bytes) -> list[bytes]:
    return [line for batch in read_lines(chunks, Counter()) for line in batch]


def openmetrics_lines(*chunks: bytes) -> list[bytes]:
    return [line for batch in read_lines(chunks, Counter(), is_openmetrics=True) for line in batch]


def test_a_line_is_whole_wherever_the_chunks_break() -> None:
    page = b'# TYPE x counter\nx{a="b"} 1\nx{a="c"} 2\n'

    for position in range(len(page)):
        assert lines(page[:position], page[position:]) == page.splitlines()


def test_only_a_line_feed_ends_a_line() -> None:
    """https://github.com/psf/requests/issues/5540: requests' own iter_lines breaks lines at U+2028 and the like."""
    page = 'x{a="one\u2028line"} 1\n'.encode()

    assert lines(page) == [page.rstrip(b'\n')]


def test_a_line_without_its_end_is_an_error() -> None:
    with pytest.raises(TruncatedPageError):
        lines(b'x 1\nx 12')


def test_a_line_is_whole_in_pieces_of_a_byte() -> None:
    page = b'# TYPE x counter\n\nx{a="b"} 1\n'

    assert lines(*(bytes([byte]) for byte in page)) == page.splitlines()


def test_a_line_that_is_too_long_is_counted_and_not_kept() -> None:
    bad_lines: Counter[str] = Counter()
    pieces = [b'x 1\ny{a="', *[b'b' * 300_000] * 4, b'"} 2\nz 3\n']

    assert [line for batch in read_lines(pieces, bad_lines) for line in batch] == [b'x 1', b'', b'z 3']
    assert bad_lines == {'longer than 1 MiB': 1}


def test_a_page_that_ends_in_a_line_which_is_too_long_is_cut() -> None:
    with pytest.raises(TruncatedPageError):
        lines(b'x 1\n', *[b' ' * 300_000] * 4)


def test_an_answer_of_one_unfinished_line_is_no_metrics_page() -> None:
    with pytest.raises(NotMetricsError):
        lines(b'{"detail": "Not Found"}')


@pytest.mark.parametrize(
    ('line', 'sample', 'value'),
    [
        (b'x 1', b'x', b'1'),
        (b'x{} 1', b'x', b'1'),
        (b'x{a="b"} 1.5', b'x{a="b"}', b'1.5'),
        (b'x {a="b"} 1', b'x{a="b"}', b'1'),
        (b'  x{a="b"}\t1.5 ', b'x{a="b"}', b'1.5'),
        (b'x{a="b"}1.5', b'x{a="b"}', b'1.5'),
        (b'x{a="b"}\r\v\f1.5', b'x{a="b"}', b'1.5'),
        (b'x \r1.5', b'x', b'1.5'),
        (b'x{a="b"} 1.5 1795300000', b'x{a="b"}', b'1.5'),
        (b'x{a="b"} 1 # {trace="c"} 0.5', b'x{a="b"}', b'1'),
        (b'x{a="b} 2",c="d"} 1', b'x{a="b} 2",c="d"}', b'1'),
        (rb'x{a="b\"} 2"} 1', rb'x{a="b\"} 2"}', b'1'),
        (b'x{a="b",  } 1', b'x{a="b"}', b'1'),
        (b'x{ a="b" , } 1', b'x{a="b"}', b'1'),
        (b'x{a="b"   } 1', b'x{a="b"}', b'1'),
        (b'x{,a="b"} 1', b'x{a="b"}', b'1'),
        (b'x{,} 1', b'x', b'1'),
        (b'x{ , } 1', b'x', b'1'),
        (b'x { } 1', b'x', b'1'),
        (b'x{a="b"} 1 -1.5e3 # {} 2 1e3', b'x{a="b"}', b'1'),
        # What Prometheus' client refuses, and docs/exposition.md lists.
        (b'x 1 # {a="b"} many', b'x', b'1'),
        (b'x 1 #{a=b}2', b'x', b'1'),
    ],
)
def test_a_sample_is_split_from_its_value(line: bytes, sample: bytes, value: bytes) -> None:
    assert split_sample(line) == (sample, value)


@pytest.mark.parametrize(
    'line',
    [
        b'x',
        b'x1.5',
        b'x-y 1',
        b'x 1 2 3',
        b'x 1 y',
        b'{a="b"} 1',
        b'x{a="b" 1',
        b'x{a="b} 1',
        b'x{a="b"}',
        b'x 1 e',
        b'x 1 -',
        b'x 1 1.2.3',
        b'x 1 1_0',
        b'x 1 NaN',
        b'x 1 # some words',
        b'x 1 # {a="b"}',
        b'x\r1',
        'x\u00a01'.encode(),
        b'x{,,} 1',
        b'x{,,a="b"} 1',
    ],
)
def test_a_line_that_is_no_sample_is_an_error(line: bytes) -> None:
    with pytest.raises(BadLineError, match='with an invalid sample'):
        split_sample(line)


@pytest.mark.parametrize('value', [b'1_000', b'0_1', b'1e1_0', b'_1', b' 1', b'1 ', b'', b'0x1p4', b'1.2.3', b'1,5'])
def test_a_value_that_is_a_number_to_python_alone_is_none(value: bytes) -> None:
    with pytest.raises(BadLineError, match='with a value that is not a number'):
        parse_value(value)


def test_a_blank_of_another_script_belongs_to_the_value() -> None:
    _, value = split_sample('x{a="b"}\u20281'.encode())

    with pytest.raises(BadLineError, match='with a value that is not a number'):
        parse_value(value)


@pytest.mark.parametrize('value', ['\u0663', '\uff11', '1\u0663'])
def test_digits_of_another_script_are_no_number(value: str) -> None:
    """Python's `float` reads them in text, and so does Prometheus' client, but not its server."""
    assert float(value) > 0
    with pytest.raises(BadLineError, match='with a value that is not a number'):
        parse_value(value.encode())


def test_an_openmetrics_page_may_end_without_a_line_feed() -> None:
    for end in (b'# EOF', b'# EOF\n', b'# EOF\r\n', b'# EOF\n\n'):
        page = b'x 1\n' + end
        for position in range(len(page)):
            assert openmetrics_lines(page[:position], page[position:])[:2] == [b'x 1', end.split(b'\n')[0]]


@pytest.mark.parametrize(
    'page', [b'', b'x 1\n', b'x 1\n# EOF more\n', b'x 1\n#EOF\n', b'x 1\n# EO', b'x{a="# EOF"} 1\n']
)
def test_an_openmetrics_page_without_its_end_is_cut(page: bytes) -> None:
    with pytest.raises(TruncatedPageError):
        openmetrics_lines(page)


@pytest.mark.parametrize('more', [b'x 2\n', b'# TYPE x counter\n', b'# EOF\n', b'\n\nx 2\n# EOF'])
def test_an_openmetrics_page_that_goes_on_behind_its_end_is_an_error(more: bytes) -> None:
    page = b'x 1\n# EOF\n' + more
    for position in range(len(page)):
        with pytest.raises(NotMetricsError, match='goes on behind its `# EOF`'):
            openmetrics_lines(page[:position], page[position:])


def test_the_end_of_an_openmetrics_page_is_a_comment_in_the_text_format() -> None:
    assert lines(b'x 1\n# EOF\nx 2\n') == [b'x 1', b'# EOF', b'x 2']


ONE_MILLION = 1_000_000


@pytest.mark.parametrize(
    ('take_apart', 'text'),
    [
        (split_sample, b'x{' + b'a="b",' * ONE_MILLION),
        (split_sample, b'x{' + b'"' * ONE_MILLION),
        (split_sample, b'x{' + b'\\' * ONE_MILLION),
        (split_sample, b'x{' + b'}' * ONE_MILLION + b' x'),
        (split_sample, b'x' + b' ' * ONE_MILLION),
        (split_sample, b'x 1' + b' ' * ONE_MILLION + b'x'),
        (split_sample, b'x 1 ' + b'7' * ONE_MILLION + b'x'),
        (split_bound, b'a="b", ' * ONE_MILLION),
        (split_bound, b'a = "b" , ' * ONE_MILLION),
        (split_bound, b'a="b"' + b' ,' * ONE_MILLION),
        (split_bound, b' ' * ONE_MILLION),
        (split_bound, b'le' * ONE_MILLION),
        (parse_labels, 'a' * ONE_MILLION),
        (parse_labels, ' ' * ONE_MILLION + ',,'),
        (split_sample, b'x 1 # {' + b'a="b",' * ONE_MILLION),
        (split_sample, b'x 1 # {}' + b' ' * ONE_MILLION + b'{'),
        (parse_labels, 'a' + ' ' * ONE_MILLION),
        (parse_labels, 'a="' + '\\' * ONE_MILLION),
        (parse_labels, 'a="b"' + ' ' * ONE_MILLION + 'x'),
    ],
    ids=range(19),
)
def test_a_line_costs_what_its_length_costs(take_apart: Callable[[Any], object], text: bytes | str) -> None:
    """A regular expression that backtracks would take longer than the universe has existed."""
    with pytest.raises(BadLineError):
        take_apart(text)


@pytest.mark.parametrize(
    ('labels', 'others', 'bound'),
    [
        (b'le="0.5"', b'', b'0.5'),
        (b'a="b",le="0.5"', b'a="b"', b'0.5'),
        (b'le="+Inf",z="b"', b'z="b"', b'+Inf'),
        (b'a="b",le="0.5",z="c"', b'a="b",z="c"', b'0.5'),
        (b'a="b", le="0.5", z="c"', b'a="b", z="c"', b'0.5'),
        (b'a="x,le=",le="0.5"', b'a="x,le="', b'0.5'),
        (rb'a="x\",le=\"7\"",le="0.5"', rb'a="x\",le=\"7\""', b'0.5'),
        (b'handle="b",le="0.5"', b'handle="b"', b'0.5'),
        (b'a = "b" , le = "0.5" ', b'a = "b"', b'0.5'),
        (b'le="0.5", a="b"', b'a="b"', b'0.5'),
    ],
)
def test_the_bound_is_taken_out_of_the_labels_of_a_bucket(labels: bytes, others: bytes, bound: bytes) -> None:
    assert split_bound(labels) == (others, bound)


@pytest.mark.parametrize(
    'labels',
    [
        b'',
        b'a="b"',
        b'handle="0.5"',
        b'a="le=\\"1\\""',
        b'le="many"',
        b'le=""',
        b'le="1_0"',
        b'le=" 1"',
        b'le="1 "',
        b'le="NaN"',
        b',le="1"',
        b'le="1",',
        b'le="1",le="1"',
        b'a="b",le="1", c="d", le = "2"',
    ],
)
def test_a_bucket_without_a_bound_is_an_error(labels: bytes) -> None:
    with pytest.raises(BadLineError, match='without a valid bound'):
        split_bound(labels)


@pytest.mark.parametrize(
    'labels',
    [
        '',
        'a="b"',
        'a="b",c="d"',
        'a="b",',
        'a=""',
        r'a="\\"',
        r'a="\"b\""',
        r'a="line\nfeed"',
        r'a="back\\nslash"',
        r'a="unknown \t escape"',
        'a="{b=\'c\', }",d="e"',
        'a="größe",b="東京"',
        'a="b" , ',
        ' a = "b" ',
        ',',
        ' , ',
    ],
)
def test_labels_are_parsed_as_prometheus_client_does(labels: str) -> None:
    line = f'x{{{labels}}} 1'
    (family,) = text_string_to_metric_families(line)
    sample, _ = split_sample(line.encode())

    assert parse_labels(sample.decode().removeprefix('x').strip('{}')) == family.samples[0].labels


LABEL_NAMES = st.from_regex(r'_?[a-zA-Z][a-zA-Z0-9_]*', fullmatch=True)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(LABEL_NAMES, st.text()), st.floats())
def test_a_sample_is_what_prometheus_client_rendered(labels: dict[str, str], value: float) -> None:
    registry = CollectorRegistry()
    gauge = Gauge('litellm_metric', 'Help.', list(labels), registry=registry)
    (gauge.labels(**labels) if labels else gauge).set(value)
    line = generate_latest(registry).split(b'\n')[2]

    sample, number = split_sample(line)
    name, _, text = sample.decode().partition('{')
    assert (name, parse_labels(text.removesuffix('}'))) == ('litellm_metric', labels)
    assert parse_value(number) == value or math.isnan(value)


@pytest.mark.parametrize(
    'labels',
    [
        'a',
        'a=',
        'a=b',
        'a="b',
        'a="b" c="d"',
        '="b"',
        'a="b",,c="d"',
        ',',
        ',a="b"',
        'a="b",',
        'a="b",a="b"',
        'a="b",c="d",a="e"',
        '1a="b"',
        'a-b="c"',
        'größe="b"',
        '"a"="b"',
        '__name__="b"',
        '__a="b"',
    ],
)
def test_what_is_no_list_of_labels_is_an_error(labels: str) -> None:
    with pytest.raises(BadLineError, match='invalid labels'):
        parse_labels(labels)


@pytest.mark.parametrize(
    'comment',
    [
        b'# TYPE',
        b'# TYPE x',
        b'# TYPE x many',
        b'# TYPE x COUNTER',
        b'# TYPE x counter more',
        b'# TYPE 1x counter',
        b'# TYPE "x" counter',
        '# TYPE größe counter'.encode(),
        '# TYPE x\u2028counter'.encode(),
        b'# TYPE x counter\0',
        b'# TYPE x\xff counter',
    ],
)
def test_a_type_line_that_declares_nothing_is_an_error(comment: bytes) -> None:
    with pytest.raises(BadLineError, match='with an invalid family declaration'):
        parse_declaration(comment)


@pytest.mark.parametrize(
    'comment', [b'#', b'#TYPE x counter', b'# type x counter', b'# HELP x TYPE y counter', b'# \xff']
)
def test_other_comments_declare_nothing(comment: bytes) -> None:
    assert parse_declaration(comment) is None
