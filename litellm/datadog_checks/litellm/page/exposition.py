"""The text of a metrics page: bytes to lines, and sample lines to their parts. No state, no meaning.

Prometheus text 0.0.4 and OpenMetrics 1.0 are read by the same code: as LiteLLM's client library writes them, they
differ in HELP and TYPE lines, and in the `# EOF` that ends a page of OpenMetrics. Timestamps and exemplars are skipped.

A value is submitted only if Prometheus' own client library reads the same number from its line. The lines that this
reads and Prometheus does not, and the other way around, are listed in docs/exposition.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from math import isnan

from ..transport.errors import URL_HINT, NotMetricsError, TruncatedPageError

__all__ = [
    'MEDIA_TYPES',
    'NO_FAMILY',
    'NO_LABELS',
    'OPENMETRICS_ACCEPT',
    'TOO_MANY',
    'BadLineError',
    'is_name',
    'is_openmetrics',
    'parse_labels',
    'parse_value',
    'read_lines',
    'split_bound',
    'split_sample',
]

# Content types of a metrics page, without their parameters, and what asks for the second one.
OPENMETRICS = 'application/openmetrics-text'
MEDIA_TYPES = ('text/plain', OPENMETRICS)
OPENMETRICS_ACCEPT = f'{OPENMETRICS};version=1.0.0,{OPENMETRICS};version=0.0.1'

# A sample with every label of LiteLLM has about 2 kB.
MAX_LINE_BYTES = 1 << 20

# What can be wrong with a line, to be counted. The text of a line is never shown.
NO_SAMPLE = 'with an invalid sample'
NO_FAMILY = 'with an invalid family declaration'
NO_NUMBER = 'with a value that is not a number'
NO_LABELS = 'with invalid labels'
NO_BOUND = 'with a bucket without a valid bound'
TOO_MANY = 'of more families than LiteLLM can have'
TOO_LONG = f'longer than {MAX_LINE_BYTES >> 20} MiB'

BYTE_ORDER_MARK = b'\xef\xbb\xbf'
EOF = b'# EOF'

# All repetitions are possessive, or exclude what follows them: matching takes linear time, whatever the line. A group
# that may be left out is not possessive, as Python before 3.11.5 matches such groups wrongly.
_NAME = rb'[a-zA-Z_:][a-zA-Z0-9_:]*+'
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
# The labels end at the first closing brace outside quotes.
_LABELS = rb'(?:[^"}]++|%s)*+' % _STRING
_TIMESTAMP = rb'[-+]?+(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?+\d++)?'
_SAMPLE = re.compile(
    # One comma may stand before the first label.
    rb'\s*+(%(name)s)(?:[ \t]*+\{\s*+(?:,\s*+)?((?!,)%(labels)s)\}|[ \t])\s*+'
    rb'([^\s{#]\S*+)(?:[ \t]++%(timestamp)s)?'
    # An exemplar.
    rb'(?:[ \t]++#[ \t]*+\{%(labels)s\}[ \t]*+[-+.\w]++(?:[ \t]++%(timestamp)s)?)?\s*+'
    % {b'name': _NAME, b'labels': _LABELS, b'timestamp': _TIMESTAMP},
    re.DOTALL,
)
_BUCKET = re.compile(
    rb'((?:\s*+[^="\s,]++\s*+=\s*+%(string)s\s*+,)*?\s*+)le\s*+=\s*+"([^"]*+)"\s*+(?:,\s*+(.++))?'
    % {b'string': _STRING},
    re.DOTALL,
)
# Names that begin with two underscores are Prometheus' own.
_LABEL = re.compile(r'((?!__)[a-zA-Z_][a-zA-Z0-9_]*+)\s*+=\s*+"((?:[^"\\]++|\\.)*+)"\s*+(?:,\s*+(?!\Z)|\Z)', re.DOTALL)
_IS_NAME = re.compile(_NAME)
_ESCAPE = re.compile(r'\\(.)', re.DOTALL)
_ESCAPED = {'n': '\n', '\\': '\\', '"': '"'}


class BadLineError(ValueError):
    """A line cannot be read. The message is one of the reasons above."""


def read_lines(
    pieces: Iterable[bytes], bad_lines: Counter[str], *, is_openmetrics: bool = False
) -> Iterator[list[bytes]]:
    """Yield the lines of a page in batches as they arrive, without line feeds, and count those that are too long.

    Raises `TruncatedPageError` if the last line has no line feed, as its value may be cut off, and `NotMetricsError` if
    it is the only one. An OpenMetrics page must end in `# EOF`, with or without a line feed.
    """
    # The parts of a line that has not ended, empty once it is too long, and its length so far.
    begun: list[bytes] = []
    length = 0
    any_line = False
    end = _End() if is_openmetrics else None
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
            if end is not None:
                end.look_for(lines)
            yield lines
            begun, length = [], 0
        length += len(rest)
        if length > MAX_LINE_BYTES:
            begun.clear()
        elif rest:
            begun.append(rest)
    last = b''.join(begun)
    if end is not None and last.rstrip(b'\r') == EOF:
        # Nobody can take this for a part of a line: it is the one that says that nothing is missing.
        end.look_for([last])
        yield [last]
    elif length > MAX_LINE_BYTES or last.strip():
        if not any_line:
            raise NotMetricsError(f'the response is not a metrics page: {URL_HINT}')
        raise TruncatedPageError('the page ends in the middle of a line; nothing from it was submitted')
    if end is not None and not end.is_found:
        raise TruncatedPageError('the page ends without `# EOF`; nothing from it was submitted')


class _End:
    """The line that ends an OpenMetrics page."""

    def __init__(self) -> None:
        self.is_found = False

    def look_for(self, lines: list[bytes]) -> None:
        """Look for the end among the next lines of a page. Raises `NotMetricsError` if the page goes on behind it."""
        behind = lines
        if not self.is_found:
            at = next((lines.index(line) for line in (EOF, EOF + b'\r') if line in lines), None)
            if at is None:
                return
            self.is_found = True
            behind = lines[at + 1 :]
        if any(map(bytes.strip, behind)):
            raise NotMetricsError(
                'the page goes on behind its `# EOF`, as if it were several pages in one; nothing from it was '
                'submitted: check what is in front of LiteLLM'
            )


def split_sample(line: bytes) -> tuple[bytes, bytes]:
    """Split a sample line into the sample, `name{labels}` or `name`, and its value.

    Labels come without the blanks and the one comma that may surround them, so that a sample has one spelling. Raises
    `BadLineError` if the line is not a sample.
    """
    match = _SAMPLE.fullmatch(line)
    if match is None:
        raise BadLineError(NO_SAMPLE)
    name, labels, value = match.groups()
    if labels:
        # One comma may stand behind the last label.
        labels = labels.rstrip().removesuffix(b',').rstrip()
    return (b'%s{%s}' % (name, labels) if labels else name), value


def parse_value(value: bytes) -> float:
    """Return a sample's value as a number. Raises `BadLineError` if it is not one."""
    try:
        # Python takes underscores between digits, and blanks around them.
        if b'_' in value or value != value.strip():
            raise BadLineError(NO_NUMBER)
        return float(value)
    except ValueError:
        raise BadLineError(NO_NUMBER) from None


def is_openmetrics(content_type: str) -> bool:
    """Tell whether a page with this content type is in the OpenMetrics format."""
    return content_type.partition(';')[0].strip().lower() == OPENMETRICS


def is_name(name: bytes) -> bool:
    """Tell whether this is a valid name of a family."""
    return _IS_NAME.fullmatch(name) is not None


def split_bound(labels: bytes) -> tuple[bytes, bytes]:
    """Split the labels of a bucket into the labels of its series and the bound `le`.

    Raises `BadLineError` if there is not one bound that is a number.
    """
    match = _BUCKET.fullmatch(labels)
    if match is None:
        raise BadLineError(NO_BOUND)
    before, bound, after = match.groups()
    try:
        is_bound = not isnan(parse_value(bound))
    except BadLineError:
        is_bound = False
    if not is_bound or (after and _BUCKET.fullmatch(after)):
        raise BadLineError(NO_BOUND)
    return (before + after if after else before.rstrip(b', \t')), bound


def parse_labels(labels: str) -> dict[str, str]:
    """Return the labels of `name="value",…`, unescaped. Raises `BadLineError` if it is anything else."""
    parsed: dict[str, str] = {}
    position = 0
    while position < len(labels):
        match = _LABEL.match(labels, position)
        if match is None:
            raise BadLineError(NO_LABELS)
        name, value = match.groups()
        if name in parsed:
            raise BadLineError(NO_LABELS)
        parsed[name] = _ESCAPE.sub(_unescape, value) if '\\' in value else value
        position = match.end()
    return parsed


def _unescape(match: re.Match[str]) -> str:
    # Unknown escapes are kept, backslash included, as Prometheus' own client does.
    return _ESCAPED.get(match[1], match[0])
