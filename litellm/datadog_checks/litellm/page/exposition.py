"""The text of a metrics page: bytes to lines, and sample lines to their parts. No state, no meaning.

Prometheus text 0.0.4 and OpenMetrics 1.0 are read by the same code: as LiteLLM's client library writes them, they
differ in HELP and TYPE lines only. Timestamps and exemplars are skipped. Quoted metric names, which newer formats allow
when a client asks for them, are not supported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from ..transport.errors import URL_HINT, NotMetricsError, TruncatedPageError

__all__ = [
    'CREATED',
    'CUMULATIVE_TYPES',
    'NO_FAMILY',
    'NO_LABELS',
    'BadLineError',
    'is_name',
    'parse_labels',
    'parse_value',
    'read_lines',
    'split_bound',
    'split_sample',
]

# For each cumulative family `x`, `x_created` tells when each of its series was created.
CREATED = '_created'
CUMULATIVE_TYPES = frozenset({'counter', 'histogram', 'summary'})

# A sample with every label of LiteLLM has about 2 kB.
MAX_LINE_BYTES = 1 << 20

# What can be wrong with a line, to be counted. The text of a line is never shown.
NO_SAMPLE = 'with an invalid sample'
NO_FAMILY = 'with an invalid family declaration'
NO_NUMBER = 'with a value that is not a number'
NO_LABELS = 'with invalid labels'
NO_BOUND = 'with a bucket without a valid bound'
TOO_LONG = f'longer than {MAX_LINE_BYTES >> 20} MiB'

BYTE_ORDER_MARK = b'\xef\xbb\xbf'

# All repetitions are possessive, or exclude what follows them: matching takes linear time, whatever the line.
_NAME = rb'[a-zA-Z_:][a-zA-Z0-9_:]*+'
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_SAMPLE = re.compile(
    # The labels end at the first closing brace outside quotes.
    rb'\s*+(%(name)s)(?:\s*+\{((?:[^"}]++|%(string)s)*+)\}\s*+|\s++)'
    rb'([^\s{#]\S*+)(?:\s++[-+.\deE]++)?+\s*+(?:#.*+)?+' % {b'name': _NAME, b'string': _STRING},
    re.DOTALL,
)
_BUCKET = re.compile(
    rb'((?:\s*+[^="\s]++\s*+=\s*+%(string)s\s*+,)*?\s*+)le\s*+=\s*+"([^"]*+)"\s*+,?+\s*+(.*+)' % {b'string': _STRING},
    re.DOTALL,
)
_LABEL = re.compile(r'\s*+([^\s="{},]++)\s*+=\s*+"((?:[^"\\]++|\\.)*+)"\s*+(?:,|$)', re.DOTALL)
_IS_NAME = re.compile(_NAME)
_ESCAPE = re.compile(r'\\(.)', re.DOTALL)
_ESCAPED = {'n': '\n', '\\': '\\', '"': '"'}


class BadLineError(ValueError):
    """A line cannot be read. The message is one of the reasons above."""


def read_lines(pieces: Iterable[bytes], bad_lines: Counter[str]) -> Iterator[list[bytes]]:
    """Yield the lines of a page in batches as they arrive, without line feeds, and count those that are too long.

    Raises `TruncatedPageError` if the last line has no line feed, as its value may be cut off, and `NotMetricsError` if
    it is the only one.
    """
    # The parts of a line that has not ended, empty once it is too long, and its length so far.
    begun: list[bytes] = []
    length = 0
    any_line = False
    for piece in pieces:
        lines = piece.split(b'\n')
        rest = lines.pop()
        if lines:
            if length + len(lines[0]) > MAX_LINE_BYTES:
                bad_lines[TOO_LONG] += 1
                lines[0] = b''
            elif begun:
                lines[0] = b''.join([*begun, lines[0]])
            if not any_line:
                any_line = True
                lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
            yield lines
            begun, length = [], 0
        length += len(rest)
        if length > MAX_LINE_BYTES:
            begun.clear()
        elif rest:
            begun.append(rest)
    if length > MAX_LINE_BYTES or b''.join(begun).strip():
        if not any_line:
            raise NotMetricsError(f'the response is not a metrics page: {URL_HINT}')
        raise TruncatedPageError('the page ends in the middle of a line; nothing from it was submitted')


def split_sample(line: bytes) -> tuple[bytes, bytes]:
    """Split a sample line into the sample, `name{labels}` or `name`, and its value.

    Raises `BadLineError` if the line is not a sample.
    """
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise BadLineError(NO_SAMPLE)
    name, labels, value = match.groups()
    return (b'%s{%s}' % (name, labels) if labels else name), value


def parse_value(value: bytes) -> float:
    """Return a sample's value as a number. Raises `BadLineError` if it is not one."""
    try:
        return float(value)
    except ValueError:
        raise BadLineError(NO_NUMBER) from None


def is_name(name: str) -> bool:
    """Tell whether this is a valid name of a family."""
    return _IS_NAME.fullmatch(name.encode()) is not None


def split_bound(labels: bytes) -> tuple[bytes, bytes]:
    """Split the labels of a bucket into the labels of its series and the bound `le`.

    Raises `BadLineError` if there is no bound that is a number.
    """
    match = _BUCKET.fullmatch(labels)
    if match is None:
        raise BadLineError(NO_BOUND)
    before, bound, after = match.groups()
    try:
        float(bound)
    except ValueError:
        raise BadLineError(NO_BOUND) from None
    return (before + after).rstrip(b', '), bound


def parse_labels(labels: str) -> dict[str, str]:
    """Return the labels of `name="value",…`, unescaped. Raises `BadLineError` if it is anything else."""
    parsed = {}
    position = 0
    while position < len(labels):
        match = _LABEL.match(labels, position)
        if match is None:
            raise BadLineError(NO_LABELS)
        name, value = match.groups()
        parsed[name] = _ESCAPE.sub(_unescape, value) if '\\' in value else value
        position = match.end()
    return parsed


def _unescape(match: re.Match[str]) -> str:
    # Unknown escapes are kept, backslash included, as Prometheus' own client does.
    return _ESCAPED.get(match[1], match[0])
