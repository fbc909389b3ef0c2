"""The text of a metrics page: bytes to lines, a sample line to its parts. No state, no meaning.

Both expositions are read alike, Prometheus text 0.0.4 and OpenMetrics 1.0: for what LiteLLM's proxy and its client
library write they differ in HELP and TYPE lines only. Timestamps and exemplars are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from requests import Response

from .failures import URL_HINT, NotMetricsError, TruncatedPageError

__all__ = ['parse_labels', 'read_lines', 'split_bound', 'split_sample']

# Large enough that splitting costs nothing per chunk, small enough that the page is never in memory as a whole.
CHUNK_BYTES = 1 << 18

_LABEL = re.compile(r'\s*([^\s="{},]+)\s*=\s*"((?:[^"\\]++|\\.)*+)"\s*(?:,|$)', re.DOTALL)
# The labels end at the first closing brace outside of quotes. Possessive, so that a line without one fails at once.
_SAMPLE = re.compile(rb'\s*([^\s{]++\s*+(?:\{(?:[^"}]++|"(?:[^"\\]++|\\.)*+")*+\})?)\s*([^\s{]\S*)', re.DOTALL)
_BUCKET = re.compile(rb'((?:[^="]++="(?:[^"\\]++|\\.)*+"\s*,\s*)*?)le="([^"]*+)"\s*,?\s*(.*)', re.DOTALL)
_ESCAPE = re.compile(r'\\(.)', re.DOTALL)
_ESCAPED = {'n': '\n', '\\': '\\', '"': '"'}


def read_lines(response: Response) -> Iterator[list[bytes]]:
    """Yield the lines of a page in batches, as they arrive and without their line feeds.

    Raises `TruncatedPageError` when the last line has no end, as its value may be cut as well, and `NotMetricsError`
    when there is no other line.
    """
    rest = b''
    any_line = False
    for chunk in response.iter_content(CHUNK_BYTES):
        lines = (rest + chunk).split(b'\n')
        rest = lines.pop()
        any_line = any_line or bool(lines)
        yield lines
    if rest.strip():
        if not any_line:
            raise NotMetricsError(f'the answer is not a metrics page: {URL_HINT}')
        raise TruncatedPageError('the page ends in the middle of a line; nothing of it was submitted')


def split_sample(line: bytes) -> tuple[bytes, bytes]:
    """Split a sample line into what names the sample, `family{labels}`, and its value.

    Raises `ValueError` when the line is not a sample.
    """
    match = _SAMPLE.match(line)
    if match is None:
        raise ValueError('not a sample')
    return match[1].rstrip(), match[2]


def split_bound(labels: bytes) -> tuple[bytes, bytes]:
    """Take the upper bound `le` out of the labels of a bucket: return the other labels and the bound.

    The buckets of one series have the same other labels. Raises `ValueError` when there is no bound.
    """
    match = _BUCKET.fullmatch(labels)
    if match is None:
        raise ValueError('a bucket without a bound')
    before, bound, after = match.groups()
    return (before + after).rstrip(b','), bound


def parse_labels(labels: str) -> dict[str, str]:
    """Return the labels of `name="value",…`, unescaped. Raises `ValueError` when it is anything else."""
    parsed = {}
    position = 0
    while position < len(labels):
        match = _LABEL.match(labels, position)
        if match is None:
            raise ValueError('not a list of labels')
        name, value = match.groups()
        parsed[name] = _ESCAPE.sub(_unescape, value) if '\\' in value else value
        position = match.end()
    return parsed


def _unescape(match: re.Match[str]) -> str:
    # An unknown escape is kept as it is, backslash included, as Prometheus' own client does.
    return _ESCAPED.get(match[1], match[0])
