"""Whatever an endpoint does: what the check makes of it is stated here, and the next good page is counted exactly.

Each fault is played twice, on a live socket: between good pages, and before the first of them. Every page has the same
series, and between two pages three events happen to each. The fault may damage what the page says of team b; whatever
comes of it, the other series must not count one event more or less for it.

There are four ways for a fault to go, named by the constructors below:

- `fails`: nothing of the answer is submitted, and exception and service check say what is wrong. So goes what cannot be
  a whole metrics page of LiteLLM, because a part of a page taken for the whole would look like a proxy that forgets.
- `costs_a_line`: the page is submitted without the lines that cannot be read, and a warning counts these by reason. So
  goes what is wrong with a line of a page that is whole, because one label that somebody chose must not blind all.
- `is_read`: the page is as good as any.
- `is_read_otherwise`: the page is submitted, but means something else than the good page would have. The events of team
  b that Datadog then shows are stated.
"""

from __future__ import annotations

import gc
import gzip
import json
import logging
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from email.utils import formatdate
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from requests import Response

from datadog_checks.base.constants import ServiceCheck
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.scrapers.exact import FORGET_EVERY
from datadog_checks.litellm.transport.body import PageLimits
from datadog_checks.litellm.transport.dates import answered_at
from tests.support.agent_model import AgentModel, Context, Submissions, recorded
from tests.support.endpoint import OPENMETRICS
from tests.support.misbehaving import (
    HEAR_END,
    RESET,
    STALL,
    Drip,
    Endpoint,
    Flood,
    Script,
    Step,
    answer,
    chunked,
    compressed,
)

# What everything was counted at the fault. On the good pages before and after it, three less and more.
COUNT = 13

HEALTH = 'litellm.openmetrics.health'
SECRET = 'sk-verysecret'

# What faults may damage.
TYPE_OF_B = b'# TYPE litellm_spend_metric_total counter\n'
FAMILY_OF_B = b'litellm_spend_metric_total'
LINE_OF_B = b'litellm_spend_metric_total{team="b"} 13.0'
CONTEXT_OF_B = Context('litellm.spend.metric.count', frozenset({'team:b'}))
STAMPED_CONTEXT = Context('litellm.total.tokens.count', frozenset({'team:c'}))
CREATED = b'litellm_total_tokens_metric_created{team="c"} 1.7953e+09'


def page_of(count: int) -> bytes:
    """Return the good page of a proxy where everything was counted so often."""
    return f"""\
# HELP litellm_proxy_total_requests_metric_total Requests.
# TYPE litellm_proxy_total_requests_metric_total counter
litellm_proxy_total_requests_metric_total{{team="a"}} {count}.0
# HELP litellm_spend_metric_total Spend.
# TYPE litellm_spend_metric_total counter
litellm_spend_metric_total{{team="b"}} {count}.0
# HELP litellm_total_tokens_metric_total Tokens.
# TYPE litellm_total_tokens_metric_total counter
litellm_total_tokens_metric_total{{team="c"}} {count}.0
# HELP litellm_total_tokens_metric_created Tokens.
# TYPE litellm_total_tokens_metric_created gauge
litellm_total_tokens_metric_created{{team="c"}} 1.7953e+09
# HELP litellm_request_total_latency_metric Latency.
# TYPE litellm_request_total_latency_metric histogram
litellm_request_total_latency_metric_bucket{{le="1.0",team="a"}} {count}.0
litellm_request_total_latency_metric_bucket{{le="+Inf",team="a"}} {count}.0
litellm_request_total_latency_metric_count{{team="a"}} {count}.0
litellm_request_total_latency_metric_sum{{team="a"}} {count}.0
# HELP litellm_in_flight_requests Now.
# TYPE litellm_in_flight_requests gauge
litellm_in_flight_requests 3.0
""".encode()


class Outcome(NamedTuple):
    """The outcome of a fault, and how many events Datadog shows at the end, of team b and of the other series.

    Between good pages six events happen: three until the fault and three until the next good page. Where the fault
    comes first, three happen until the first good page and three until the next.
    """

    error: str = ''
    warning: str = ''
    between: float = 6.0
    first: float = 6.0
    others_first: float = 6.0
    # Where the page says since when a series counts.
    stamped_first: float = 6.0


class Fault(NamedTuple):
    name: str
    script: Script
    outcome: Outcome
    options: Mapping[str, Any] = MappingProxyType({})
    # Seconds, in place of the options of the same name while the fault lasts: good pages may come as late as they like.
    timeout: float | None = None
    max_page_seconds: float | None = None


def fails(message: str) -> Outcome:
    # What took place before the first good page was never seen.
    return Outcome(error=message, first=3.0, others_first=3.0, stamped_first=3.0)


def costs_a_line(reason: str) -> Outcome:
    return Outcome(warning=f'were unreadable and skipped: {reason}', first=3.0)


def is_read() -> Outcome:
    return Outcome()


def is_read_otherwise(*, between: float, first: float, warning: str = '') -> Outcome:
    return Outcome(warning=warning, between=between, first=first)


def costs_its_value() -> Outcome:
    # The sample is there, but nothing that a count can be is said of it.
    return is_read_otherwise(between=6.0, first=3.0)


def is_empty() -> Outcome:
    # So is the page of a proxy with several workers before its first request, and whatever it counts after that is new.
    return Outcome(warning='is empty', first=COUNT + 6.0, others_first=COUNT + 6.0, stamped_first=3.0)


NO_SAMPLE = '1 with an invalid sample'
NO_NUMBER = '1 with a value that is not a number'
NO_LABELS = '1 with invalid labels'
NO_FAMILY = '1 with an invalid family declaration'
NO_BOUND = '1 with a bucket without a valid bound'
BROKEN_OFF = 'the response was cut off in the middle of the page'
CUT = 'the page ends in the middle of a line'
GOES_ON = 'the page goes on behind its `# EOF`'
NOT_METRICS = 'the page is not in a Prometheus exposition format'
NO_METRICS_PAGE = 'the response is not a metrics page'
HANGS = 'no response within the timeout'
OVERLOADED = 'no response within the timeout: check whether the proxy is overloaded or stopped'
STATUS_WITHOUT_PAGE = 'the response has no page'


def page(damage: Callable[[bytes], bytes], **parts: Any) -> Script:
    """Return a script that sends a damaged page in a proper answer."""
    return lambda page: answer(damage(page), **parts)


def replacing(text: bytes, other: bytes) -> Script:
    """Return a script that sends a page where another text stands for this one."""
    return page(lambda page: page.replace(text, other))


def line_of_b(text: str) -> Script:
    """Return a script that sends a page with this text for the line of team b. An ellipsis in it is the family."""
    line = text.replace('…', FAMILY_OF_B.decode()).encode('utf-8', 'surrogateescape')
    return replacing(LINE_OF_B, line)


def with_header(header: str) -> Script:
    """Return a script that sends the page with one more header."""
    return lambda page: answer(page, header)


def status(line: str, *headers: str) -> Script:
    return lambda page: answer(b'', *headers, status=line)


def half(page: bytes) -> bytes:
    return page[: page.index(b'{team="c"')]


def head(page: bytes) -> bytes:
    """Return the head of a proper answer."""
    (whole,) = answer(page)
    assert isinstance(whole, bytes)
    return whole.removesuffix(page)


CONNECTIONS = [
    Fault(
        'reset before an answer',
        lambda page: [RESET],
        fails('no HTTP response came over the connection (Connection reset by peer)'),
    ),
    Fault('closed before an answer', lambda page: [], fails('no HTTP response')),
    Fault('reset in the headers', lambda page: [head(page)[:30], RESET], fails('no HTTP response')),
    Fault('closed in the headers', lambda page: [head(page)[:30]], fails('the response is empty')),
    Fault('reset in the body', lambda page: [head(page) + half(page), RESET], fails('nothing from it was submitted')),
    Fault('closed in the body', lambda page: [head(page) + half(page)], fails(BROKEN_OFF)),
    Fault('stalls before an answer', lambda page: [STALL], fails('1.81.14 to 1.83.14 hang'), timeout=0.2),
    Fault('stalls in the status', lambda page: [b'HTTP/1.1 2', STALL], fails(HANGS), timeout=0.2),
    Fault('stalls in the headers', lambda page: [head(page)[:30], STALL], fails(HANGS), timeout=0.2),
    Fault('stalls before the body', lambda page: [head(page), STALL], fails(HANGS), timeout=0.2),
    Fault('stalls in the body', lambda page: [head(page) + half(page), STALL], fails(OVERLOADED), timeout=0.2),
    Fault(
        'stalls in a chunk',
        lambda page: [b''.join(map(bytes, chunked(page)))[:400], STALL],  # type: ignore[arg-type]
        fails(HANGS),
        timeout=0.2,
    ),
    Fault('stalls before the last chunk', lambda page: [*chunked(page, end=b''), STALL], fails(HANGS), timeout=0.2),
    Fault(
        'drips',
        lambda page: [head(page), Drip(page)],
        fails('longer to arrive than the 0.2 seconds that `max_page_seconds` allows'),
        max_page_seconds=0.2,
    ),
    Fault(
        'drips compressed',
        lambda page: [*answer(b'', 'Content-Encoding: gzip', length=''), Drip(gzip.compress(page))],
        fails('longer to arrive than the 0.2 seconds that `max_page_seconds` allows'),
        max_page_seconds=0.2,
    ),
    Fault(
        'drips in chunks',
        lambda page: [*chunked(end=b''), Drip(b''.join(b'1\r\n%c\r\n' % byte for byte in page), 0.004)],
        fails('longer to arrive than the 0.2 seconds that `max_page_seconds` allows'),
        max_page_seconds=0.2,
    ),
    Fault('answers twice', lambda page: [*answer(page), *answer(page)], is_read()),
]

TOO_SLOW = 'longer to arrive than the 0.2 seconds that `max_page_seconds` allows'
TOO_MANY_HEADERS = 'the answer has more than 1 MiB of headers'
CONTINUE = b'HTTP/1.1 100 Continue\r\n'


def endless(*steps: Step) -> Script:
    return lambda page: steps


# What comes before, between and behind the bytes of a page, without end.
FLOODS = [
    *(
        Fault(name, endless(Drip(content, 0.01)), fails(TOO_SLOW), max_page_seconds=0.2)
        for name, content in {
            'drips a status': b'HTTP/1.1 ' + b'2' * 60_000,
            'drips a header': b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 60_000,
            'drips headers': b'HTTP/1.1 200 OK\r\n' + b'X: x\r\n' * 99,
            'drips 100 Continue': (CONTINUE + b'\r\n') * 1_000,
            'drips headers of 100 Continue': CONTINUE + b'X: x\r\n' * 99,
        }.items()
    ),
    Fault(
        '100 Continue now and then',
        endless(Flood(CONTINUE + b'\r\n', 0.05)),
        fails(TOO_SLOW),
        timeout=0.2,
        max_page_seconds=0.2,
    ),
    Fault('100 Continue without end', endless(Flood(CONTINUE + b'\r\n')), fails(TOO_MANY_HEADERS)),
    Fault('100 Continue with headers without end', endless(Flood(CONTINUE + b'X: x\r\n\r\n')), fails(TOO_MANY_HEADERS)),
    Fault(
        'headers of 6 MB',
        lambda page: answer(page, *(f'X: {"x" * 60_000}' for _ in range(90))),
        fails(TOO_MANY_HEADERS),
    ),
    *(
        Fault(
            f'drips {name}',
            lambda page, content=content: [*chunked(page, end=b''), Drip(content, 0.01)],  # type: ignore[misc]
            fails(TOO_SLOW),
            max_page_seconds=0.2,
        )
        for name, content in {
            'trailers': b'0\r\n' + b'X: x\r\n' * 1_000,
            'a trailer': b'0\r\nX: ' + b'x' * 60_000,
            'the size of a chunk': b'0' * 60_000,
            'an extension of a chunk': b'5;a=' + b'b' * 60_000,
        }.items()
    ),
    Fault(
        'trailers without end',
        lambda page: [*chunked(page, end=b'0\r\n'), Flood(b'X: x\r\n')],
        fails(TOO_SLOW),
        max_page_seconds=0.2,
    ),
    Fault(
        'chunks of nothing but extensions',
        lambda page: [*chunked(page, end=b''), Flood(b'1;%s\r\n#\r\n' % (b'a=b;' * 1_000))],
        fails(TOO_SLOW),
        max_page_seconds=0.2,
    ),
    Fault(
        'redirects that drip',
        endless(Drip(b'HTTP/1.1 307 X\r\nLocation: /metrics/\r\nContent-Length: 0\r\n\r\n', 0.002)),
        fails(TOO_SLOW),
        timeout=0.2,
        max_page_seconds=0.2,
    ),
]

FRAMING = [
    Fault('length too large', lambda page: answer(page, length=len(page) + 1), fails(BROKEN_OFF)),
    Fault('length cuts a line', lambda page: answer(page, length=len(page) - 1), fails(CUT)),
    Fault('length is zero', lambda page: answer(page, length=0), is_empty()),
    Fault('length is no number', lambda page: answer(page, length='many'), is_read()),
    Fault('length is negative', lambda page: answer(page, length=-1), is_read()),
    Fault(
        'two lengths',
        with_header('Content-Length: 7'),
        fails('the response headers contradict each other'),
    ),
    Fault('no length, closed at the end', lambda page: answer(page, length=''), is_read()),
    Fault('no length, closed in a line', lambda page: answer(page[:-1], length=''), fails(CUT)),
    Fault('HTTP/1.0', lambda page: [b'HTTP/1.0 200 OK\r\n\r\n' + page], is_read()),
    Fault('no status line', lambda page: [page], fails('no HTTP response')),
    Fault('status is no number', lambda page: [b'HTTP/1.1 OK\r\n\r\n' + page], fails('no HTTP response')),
    Fault('header without a colon', with_header('nonsense'), is_read()),
    *(
        Fault(
            f'an age of {digits} digits',
            with_header(f'Date: {formatdate(usegmt=True)}\r\nAge: {"9" * digits}'),
            is_read(),
        )
        for digits in (9, 400, 5_000)
    ),
    Fault('header of 70 kB', with_header(f'X: {"x" * 70_000}'), fails('no HTTP response')),
    Fault('200 headers', lambda page: answer(page, *(f'X-{i}: x' for i in range(200))), fails('no HTTP response')),
    Fault('chunks', lambda page: chunked(page[:100], page[100:]), is_read()),
    Fault('chunks of one byte', lambda page: chunked(*(bytes([byte]) for byte in page)), is_read()),
    Fault('chunks and a length', lambda page: chunked(page, headers=['Content-Length: 7']), is_read()),
    Fault(
        'chunks with extensions', lambda page: chunked(end=b'%x;a=b\r\n%s\r\n0\r\n\r\n' % (len(page), page)), is_read()
    ),
    Fault('no last chunk', lambda page: chunked(page, end=b''), fails(BROKEN_OFF)),
    Fault('size of a chunk is no number', lambda page: chunked(page, end=b'many\r\n'), fails(BROKEN_OFF)),
    Fault(
        'size of a chunk is negative',
        lambda page: chunked(page, end=b'-5\r\nabc'),
        fails('nothing from it was submitted'),
    ),
    Fault('chunk is shorter than its size', lambda page: chunked(page, end=b'ff\r\nabc'), fails(BROKEN_OFF)),
    Fault('chunk is longer than its size', lambda page: chunked(end=b'5\r\n' + page), fails(BROKEN_OFF)),
    Fault('size of a chunk of 70 kB', lambda page: chunked(end=b'0' * 70_000), fails(BROKEN_OFF)),
]

STATUSES = [
    Fault('100 before the page', lambda page: [b'HTTP/1.1 100 Continue\r\n\r\n', *answer(page)], is_read()),
    *(
        Fault(line, status(line), fails(f'{line[:3]}'))
        for line in (
            *('400 Bad Request', '402 Payment Required', '405 Method Not Allowed', '407 Proxy Authentication Required'),
            *('408 Request Timeout', '410 Gone', "418 I'm a Teapot", '429 Too Many Requests'),
            *('431 Request Header Fields Too Large', '451 Unavailable For Legal Reasons', '501 Not Implemented'),
            *('502 Bad Gateway', '504 Gateway Timeout', '599 What', '999 Whatever'),
        )
    ),
    *(
        Fault(line, status(line), fails(f'{line}: check the proxy log for the cause'))
        for line in ('500 Internal Server Error', '503 Service Unavailable')
    ),
    Fault('401', status('401 Unauthorized'), fails('requires a key for /metrics/, the default since LiteLLM 1.84')),
    Fault('403', status('403 Forbidden'), fails('headers: {Authorization: Bearer <KEY>}')),
    Fault('404', status('404 Not Found'), fails('Add `prometheus` to `litellm_settings.callbacks`')),
    *(
        Fault(f'{code} with a page', page(bytes, status=f'{code} X'), fails(f'{code}'))
        for code in (101, 103, 201, 202, 206, 300, 304, 503)
    ),
    *(
        Fault(f'{code} without a page', status(f'{code} X'), fails(STATUS_WITHOUT_PAGE))
        for code in (102, 204, 205, 226)
    ),
    Fault('203 with a page', lambda page: answer(page, status='203 Non-Authoritative Information'), is_read()),
    Fault('redirect in circles', status('307 X', 'Location: /metrics/'), fails('too many redirects')),
    Fault('redirect to nowhere', status('307 X'), fails(STATUS_WITHOUT_PAGE)),
    Fault('redirect to a file', status('302 X', 'Location: file:///etc/passwd'), fails('the request failed')),
    Fault('redirect to no URL', status('302 X', 'Location: http://['), fails('the request failed')),
    Fault('redirect to no text', status('302 X', 'Location: /m\xff/'), fails('302 to no URL')),
    Fault('redirect to a closed port', status('302 X', 'Location: http://127.0.0.1:9/'), fails('cannot connect')),
]

ENCODINGS = [
    Fault('gzip', compressed, is_read()),
    Fault('x-gzip', lambda page: compressed(page, encoding='x-gzip'), is_read()),
    Fault('deflate', lambda page: answer(zlib.compress(page), 'Content-Encoding: deflate'), is_read()),
    Fault(
        'gzip in two members',
        lambda page: compressed(page[:99], lambda first: first + gzip.compress(page[99:])),
        is_read(),
    ),
    Fault('gzip cut', lambda page: compressed(page, lambda content: content[:-20]), fails(BROKEN_OFF)),
    Fault('gzip without its checksum', lambda page: compressed(page, lambda content: content[:-8]), fails(BROKEN_OFF)),
    Fault(
        'gzip with a wrong checksum',
        lambda page: compressed(page, lambda content: content[:-8] + bytes(8)),
        fails(BROKEN_OFF),
    ),
    Fault(
        'gzip corrupt',
        lambda page: compressed(page, lambda content: content[:60] + b'\xff' * 20 + content[80:]),
        fails(BROKEN_OFF),
    ),
    Fault('gzip of nothing', lambda page: answer(b'', 'Content-Encoding: gzip'), fails(BROKEN_OFF)),
    Fault(
        'gzip and then something else',
        lambda page: compressed(page, lambda content: content + b'else'),
        fails(BROKEN_OFF),
    ),
    Fault('says gzip and is none', with_header('Content-Encoding: gzip'), fails(BROKEN_OFF)),
    Fault('is gzip and does not say', lambda page: answer(gzip.compress(page, mtime=0)), fails('metrics page')),
    Fault(
        'gzip twice',
        lambda page: compressed(page, gzip.compress, 'gzip, gzip'),
        fails('a content encoding that was not requested'),
    ),
    Fault('brotli', with_header('Content-Encoding: br'), fails('a content encoding that was not requested')),
    Fault('identity', with_header('Content-Encoding: identity'), is_read()),
    Fault(
        'bomb of lines',
        lambda page: compressed(page + b'x 1\n' * 1_000_000),
        fails('larger than the 100000 bytes that `max_page_bytes` allows'),
        options={'max_page_bytes': 100_000},
    ),
    Fault(
        'bomb of one line',
        lambda page: compressed(page + bytes(4_000_000)),
        fails('larger than the 3000000 bytes that `max_page_bytes` allows'),
        options={'max_page_bytes': 3_000_000},
    ),
    Fault(
        'too large without compression',
        lambda page: answer(page + b'# comment\n' * 1_000, length=''),
        fails('larger than the 2000 bytes that `max_page_bytes` allows'),
        options={'max_page_bytes': 2_000},
    ),
    Fault(
        'as large as may be', lambda page: answer(page.ljust(1_999, b' ') + b'\n'), is_read(), {'max_page_bytes': 2_000}
    ),
]

CONTENT_TYPES = [
    Fault('HTML', page(bytes, content_type='text/html; charset=utf-8'), fails('returned text/html, not metrics')),
    Fault('JSON', page(bytes, content_type='application/json'), fails('returned application/json, not metrics')),
    Fault('no content type', page(bytes, content_type=''), is_read()),
    Fault('another content type', page(bytes, content_type='application/octet-stream'), is_read()),
    Fault('another charset', page(bytes, content_type='text/plain; charset=utf-16'), is_read()),
    Fault('OpenMetrics', page(lambda page: page + b'# EOF\n', content_type=OPENMETRICS), is_read()),
    Fault(
        'OpenMetrics, its end without a line feed',
        page(lambda page: page + b'# EOF', content_type=OPENMETRICS),
        is_read(),
    ),
    Fault(
        'OpenMetrics in CRLF',
        page(lambda page: (page + b'# EOF\n').replace(b'\n', b'\r\n'), content_type=OPENMETRICS),
        is_read(),
    ),
    Fault('OpenMetrics with half of its end', page(lambda page: page + b'# E', content_type=OPENMETRICS), fails(CUT)),
    Fault('OpenMetrics twice', page(lambda page: (page + b'# EOF\n') * 2, content_type=OPENMETRICS), fails(GOES_ON)),
    Fault(
        'OpenMetrics and then a line',
        page(lambda page: page + b'# EOF\n' + LINE_OF_B + b'\n', content_type=OPENMETRICS),
        fails(GOES_ON),
    ),
    Fault(
        'OpenMetrics and then blank lines',
        page(lambda page: page + b'# EOF\n\n \n', content_type=OPENMETRICS),
        is_read(),
    ),
    Fault('OpenMetrics without its end', page(bytes, content_type=OPENMETRICS), fails('the page ends without `# EOF`')),
    Fault('UTF-16', page(lambda page: page.decode().encode('utf-16')), fails(CUT)),
    Fault('UTF-16, big end first', page(lambda page: page.decode().encode('utf-16-be')), fails(NOT_METRICS)),
    Fault('UTF-32', page(lambda page: page.decode().encode('utf-32')), fails(CUT)),
    Fault('UTF-8 with a byte order mark', page(lambda page: b'\xef\xbb\xbf' + page), is_read()),
    Fault('EBCDIC', page(lambda page: page.decode().encode('cp500')), fails('metrics page')),
    Fault('NULs only', page(lambda page: bytes(1000)), fails(NO_METRICS_PAGE)),
    Fault('lines of NULs', page(lambda page: (bytes(10) + b'\n') * 100), fails(NOT_METRICS)),
    Fault('every byte there is', page(lambda page: bytes(range(256)) * 10 + b'\n'), fails(NOT_METRICS)),
    Fault('nothing', page(lambda page: b''), is_empty()),
    Fault('blank lines', page(lambda page: b' \n\t\n\r\n'), is_empty()),
    Fault('comments', page(lambda page: b'# nothing here\n'), is_empty()),
    Fault(
        'HTML that says it is text',
        page(lambda page: b'<html>\n<p>1 2</p>\n</html>\n'),
        fails('to the metrics page of a LiteLLM proxy'),
    ),
    Fault('JSON that says it is text', page(lambda page: b'{"detail": "Not Found"}\n'), fails(NOT_METRICS)),
    Fault('a line of JSON', page(lambda page: b'{"detail": "Not Found"}'), fails(NO_METRICS_PAGE)),
    Fault('a log', page(lambda page: b'INFO:     127.0.0.1 - "GET /metrics/" 200\n' * 9), fails(NOT_METRICS)),
    Fault('another program', page(lambda page: b'# TYPE up gauge\nup 1\n'), fails('the page has no LiteLLM metrics')),
]

# Lines of team b that cannot be read, and why. An ellipsis is the family.
BAD_LINES = [
    ('no labels', '…{team} 7', NO_LABELS),
    ('no opening brace', '…team="b"} 7', NO_SAMPLE),
    ('no closing brace', '…{team="b" 7', NO_SAMPLE),
    ('no opening quote', '…{team=b"} 7', NO_SAMPLE),
    ('no closing quote', '…{team="b} 7', NO_SAMPLE),
    ('no quotes', '…{team=b} 7', NO_LABELS),
    ('other quotes', "…{team='b'} 7", NO_LABELS),
    ('a quote that nobody escaped', '…{team="b"b"} 7', NO_SAMPLE),
    ('two quotes that nobody escaped', '…{team="b"b"b"} 7', NO_LABELS),
    ('a line feed that nobody escaped', '…{team="b\nb"} 7', '2 with an invalid sample'),
    ('a backslash that nobody escaped', '…{team="b\\"} 7', NO_SAMPLE),
    ('a brace outside of quotes', '…{team="b"}} 7', NO_NUMBER),
    ('no equals sign', '…{team"b"} 7', NO_LABELS),
    ('no comma', '…{team="b" model="c"} 7', NO_LABELS),
    ('two commas', '…{team="b",,model="c"} 7', NO_LABELS),
    ('two commas in front', '…{,,team="b"} 7', NO_SAMPLE),
    ('two commas behind', '…{team="b",,} 7', NO_LABELS),
    ('a label without a name', '…{="b"} 7', NO_LABELS),
    ('a quoted name of a label', '…{"team"="b"} 7', NO_LABELS),
    ('a label of another script', '…{größe="b"} 7', NO_LABELS),
    ('a label that comes twice', '…{team="a",team="b"} 7', NO_LABELS),
    ('half a line', '…{te', NO_SAMPLE),
    ('two lines in one', '…{team="b"} 7 …{team="b"} 7', NO_SAMPLE),
    ('no value', '…{team="b"}', NO_SAMPLE),
    ('a space for a value', '…{team="b"} ', NO_SAMPLE),
    ('a word for a value', '…{team="b"} many', NO_NUMBER),
    ('a secret for a value', f'…{{team="b"}} {SECRET}', NO_NUMBER),
    ('a secret that ends a label', f'…{{team="{SECRET}" 7', NO_SAMPLE),
    ('a value in quotes', '…{team="b"} "7"', NO_NUMBER),
    ('a value with a comma', '…{team="b"} 7,5', NO_NUMBER),
    ('a value with underscores', '…{team="b"} 1_3', NO_NUMBER),
    ('a hexadecimal value', '…{team="b"} 0x7', NO_NUMBER),
    ('a value of Arabic digits', '…{team="b"} ٧', NO_NUMBER),
    ('a value and words', '…{team="b"} 7 and more', NO_SAMPLE),
    ('a value and a comment', '…{team="b"} 7 # and more', NO_SAMPLE),
    ('a timestamp that is no number', '…{team="b"} 7 1-2', NO_SAMPLE),
    ('a timestamp with underscores', '…{team="b"} 7 1_795_300_000', NO_SAMPLE),
    ('NULs for labels', '…{\0\0\0\0} 7', NO_LABELS),
    ('NULs for a line', '\0' * 80, NO_SAMPLE),
    ('binary in front', '\udc80\udcff…{team="b"} 7', NO_SAMPLE),
    ('a value in front', '7 …{team="b"} 7', NO_SAMPLE),
    ('no family', '{team="b"} 7', NO_SAMPLE),
    ('a quoted family', '{"…",team="b"} 7', NO_SAMPLE),
    ('a family with a hyphen', 'litellm-spend{team="b"} 7', NO_SAMPLE),
    ('escape codes', '\x1b[31mred\x1b[0m 7', NO_SAMPLE),
    ('a line of a log', 'INFO:     127.0.0.1:5 - "GET / HTTP/1.1" 200 OK', NO_SAMPLE),
    (
        'a traceback',
        f'Traceback (most recent call last):\n  File "x.py", line 7, in y\nKeyError: {SECRET}',
        '1 with a value that is not a number, 2 with an invalid sample',
    ),
    ('a family declared by no name', '# TYPE litellm_\x1b[31m gauge', NO_FAMILY),
    ('a family declared without a type', '# TYPE litellm_x', NO_FAMILY),
    ('nothing declared', '# TYPE', NO_FAMILY),
    (
        'a bucket without a bound',
        '# TYPE litellm_auth_latency histogram\nlitellm_auth_latency_bucket{team="b"} 7',
        NO_BOUND,
    ),
    (
        'a bucket up to no number',
        '# TYPE litellm_auth_latency histogram\nlitellm_auth_latency_bucket{le="many"} 7',
        NO_BOUND,
    ),
    (
        'a bucket up to a number with underscores',
        '# TYPE litellm_auth_latency histogram\nlitellm_auth_latency_bucket{le="1_0"} 7',
        NO_BOUND,
    ),
    ('a bucket up to NaN', '# TYPE litellm_auth_latency histogram\nlitellm_auth_latency_bucket{le="NaN"} 7', NO_BOUND),
]

LINES = [
    *(Fault(name, line_of_b(text), costs_a_line(reason)) for name, text, reason in BAD_LINES),
    Fault(
        'a line of 50 MB',
        lambda page: compressed(page.replace(LINE_OF_B, FAMILY_OF_B + b'{team="%s"} 13' % (b'b' * 50_000_000))),
        costs_a_line('1 longer than 1 MiB'),
    ),
    Fault(
        'a comment of 2 MB',
        page(lambda page: page.replace(TYPE_OF_B, TYPE_OF_B + b'#' * 2_000_000 + b'\n')),
        Outcome(warning='1 longer than 1 MiB'),
    ),
    Fault(
        'more families than anybody has',
        page(lambda page: page + b''.join(b'new_%d 1\n' % number for number in range(10_100))),
        Outcome(warning='of more families than LiteLLM can have'),
    ),
    Fault(
        'a family that is declared again and again',
        page(lambda page: page + b'# TYPE new counter\nnew 1\n# TYPE new gauge\n' * 9_000),
        Outcome(warning='more than once'),
    ),
    Fault(
        'a line feed is lost',
        page(lambda page: page.replace(b' counter\n' + LINE_OF_B, b' counter' + LINE_OF_B)),
        costs_a_line(NO_FAMILY),
    ),
]

# Lines of team b that say what they always say, in another form.
GOOD_LINES = {
    'a timestamp': '…{team="b"} 13 1795300000',
    'a timestamp before 1970': '…{team="b"} 13 -1795300000',
    'a timestamp with a fraction': '…{team="b"} 13 1795300000.25',
    'an exemplar': '…{team="b"} 13 # {trace_id="7"} 0.5',
    'an exemplar and timestamps': '…{team="b"} 13 1795300000 # {trace_id="7"} 0.5 1795300000.25',
    'tabs': '…{team="b"}\t13',
    'spaces around it': '   …{team="b"}   13   ',
    'a space before its labels': '… {team="b"} 13',
    'no space before its value': '…{team="b"}13',
    'a comma behind its labels': '…{team="b",} 13',
    'blanks and a comma behind its labels': '…{team="b" , } 13',
    'blanks inside its braces': '…{ team="b" } 13',
    'a comma in front of its labels': '…{,team="b"} 13',
    'a comma between blanks in front of its labels': '…{ , team="b"} 13',
    'a carriage return': '…{team="b"} 13\r',
    'an exponent': '…{team="b"} 1.3e1',
    'a sign': '…{team="b"} +13',
    'many digits': '…{team="b"} 13.' + '0' * 10_000,
    'a comment behind it': '…{team="b"} 13\n#\n#TYPE x y\n#EOF\n# type',
    'the end of the page behind it': '…{team="b"} 13\n# EOF',
    'blank lines behind it': '…{team="b"} 13\n\n \n\t\n\r',
    'a family between': '# TYPE litellm_requests_metric_total counter\n…{team="b"} 13',
    'its family is declared again': '# TYPE … counter\n…{team="b"} 13\n# TYPE … counter',
}

# Values of team b that count something else than usual, and what Datadog shows then.
TWICE = {
    'it comes twice': '…{team="b"} 13\n…{team="b"} 13',
    'it comes twice, the last is right': '…{team="b"} 4\n…{team="b"} 13',
}

VALUES: list[tuple[str, str, Outcome]] = [
    ('a count starts over', '4', is_read_otherwise(between=16.0, first=15.0)),
    ('a count is zero', '0', is_read_otherwise(between=16.0, first=19.0)),
    ('a count is a denormal', '5e-324', is_read_otherwise(between=16.0, first=19.0)),
    ('a count has a fraction', '13.5', is_read_otherwise(between=6.0, first=5.5)),
    ('a count is negative', '-13', costs_its_value()),
    ('a count is 1e308', '1e308', costs_its_value()),
    ('a count is -1e308', '-1e308', costs_its_value()),
    ('a count is 1e400', '1e400', costs_its_value()),
    ('a count is infinite', '+Inf', costs_its_value()),
    ('a count is infinite below', '-Inf', costs_its_value()),
    ('a count is no number', 'NaN', costs_its_value()),
]

PAGES = [
    *(Fault(name, line_of_b(text), is_read()) for name, text in GOOD_LINES.items()),
    *(Fault(name, line_of_b(text), is_read()._replace(warning='more than once')) for name, text in TWICE.items()),
    Fault(
        'it comes twice, the last is no number',
        line_of_b('…{team="b"} 4\n…{team="b"} NaN'),
        costs_its_value()._replace(warning='more than once'),
    ),
    *(Fault(name, line_of_b(f'…{{team="b"}} {value}'), outcome) for name, value, outcome in VALUES),
    Fault('a sample is missing', line_of_b(''), is_read_otherwise(between=6.0, first=19.0)),
    Fault('no HELP lines', page(lambda page: re.sub(rb'# HELP.*\n', b'', page)), is_read()),
    Fault('HELP without a text', page(lambda page: re.sub(rb'(# HELP \S+).*', rb'\1', page)), is_read()),
    Fault('no TYPE line', replacing(TYPE_OF_B, b''), costs_its_value()),
    Fault(
        'TYPE without a type',
        page(lambda page: page.replace(b' counter\n' + LINE_OF_B, b'\n' + LINE_OF_B)),
        costs_a_line(NO_FAMILY),
    ),
    Fault(
        'another TYPE',
        page(lambda page: page.replace(TYPE_OF_B, TYPE_OF_B.replace(b'counter', b'gauge'))),
        is_read_otherwise(between=6.0, first=3.0, warning='newer than this version'),
    ),
    Fault(
        'an unheard-of TYPE',
        page(lambda page: page.replace(TYPE_OF_B, TYPE_OF_B.replace(b'counter', b'thing'))),
        costs_a_line(NO_FAMILY),
    ),
    Fault(
        'TYPE behind its samples',
        page(lambda page: page.replace(TYPE_OF_B + LINE_OF_B, LINE_OF_B + b'\n' + TYPE_OF_B)),
        costs_its_value(),
    ),
    Fault('the page comes twice', page(lambda page: page + page), is_read()._replace(warning='more than once')),
    Fault('the lines are sorted', page(lambda page: b'\n'.join(sorted(page.split(b'\n'))).lstrip() + b'\n'), is_read()),
    Fault(
        'families in another order',
        page(lambda page: b''.join(sorted(re.findall(rb'# HELP[^#]*# TYPE[^#]*', page), reverse=True))),
        is_read(),
    ),
    Fault(
        'its family becomes a gauge',
        line_of_b('…{team="b"} 13\n# TYPE … gauge'),
        Outcome(warning='newer than this version'),
    ),
    Fault('CRLF', replacing(b'\n', b'\r\n'), is_read()),
    Fault('CR alone', replacing(b'\n', b'\r'), fails(NO_METRICS_PAGE)),
    Fault('no line feed at the end', page(lambda page: page.removesuffix(b'\n')), fails(CUT)),
    Fault('one of two halves of a line at the end', page(lambda page: page + LINE_OF_B[:20]), fails(CUT)),
    *(
        Fault(f'created at {time.decode()}', replacing(CREATED, CREATED[:-10] + time), is_read())
        for time in (b'NaN', b'+Inf', b'-Inf', b'1e308', b'-1', b'0', b'2.7953e+09')
    ),
    *(
        Fault(f'sent at {date}', with_header(f'Date: {date}'), is_read())
        for date in (
            *('', 'now', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Fri, 31 Dec 9999 23:59:59 GMT'),
            *('Mon, 01 Jan 0001 00:00:00 GMT', 'Mon, 01 Jan 99999 00:00:00 GMT', 'Mon, 99 Jan 2026 00:00:00 -9999'),
        )
    ),
]

FAULTS = [*CONNECTIONS, *FLOODS, *FRAMING, *STATUSES, *ENCODINGS, *CONTENT_TYPES, *LINES, *PAGES]


class Watch:
    """An instance of the check that watches an endpoint, and the Agent around it."""

    def __init__(self, endpoint: Endpoint, options: Mapping[str, Any]) -> None:
        self._endpoint = endpoint
        # The endpoint plays one fault to one request: no other may take its place.
        page_only = {'tag_by_endpoint': False, 'collect_readiness': False}
        instance = {'openmetrics_endpoint': endpoint.url, **page_only, **options}
        self._check = LitellmCheck('litellm', {}, [instance])
        # What the first run would do.
        self._check.load_configuration_models()
        self._check.configure_scrapers()
        self._check.check_initializations.clear()
        self.agent = AgentModel()

    def scrape_well(self, count: int) -> None:
        """Let the endpoint send a good page, of which nothing bad is to be said."""
        self._endpoint.script = lambda: answer(page_of(count))
        assert self._run() == ('', ServiceCheck.OK, '', [])

    def scrape(self, fault: Fault) -> tuple[str, int, str, list[str]]:
        self._endpoint.script = lambda: fault.script(page_of(COUNT))
        (scraper,) = self._check.scrapers.values()
        timeout, limits = scraper.http.options['timeout'], scraper.page_limits
        if fault.timeout is not None:
            scraper.http.options['timeout'] = (fault.timeout, fault.timeout)
        if fault.max_page_seconds is not None:
            scraper.page_limits = limits._replace(max_page_seconds=fault.max_page_seconds)
        try:
            return self._run()
        finally:
            scraper.http.options['timeout'], scraper.page_limits = timeout, limits

    def submissions_of(self, script: Script) -> Submissions:
        """Return what is submitted of an answer that is read without a word."""
        self._endpoint.script = lambda: script(page_of(COUNT))
        with recorded() as submissions:
            error = self._check.run()
        self._endpoint.end()
        assert (error, self._check.warnings) == ('', [])
        return submissions

    def known_families(self) -> int:
        (scraper,) = self._check.scrapers.values()
        return sum(family.startswith('new_') for family in scraper._table._families)

    def _run(self) -> tuple[str, int, str, list[str]]:
        """Run the check: return its error, status and message of the service check, and the warnings."""
        with recorded() as submissions:
            error = self._check.run()
        self._endpoint.end()
        self.agent.commit(submissions)
        (health,) = [each for each in submissions.service_checks if each.name == HEALTH]
        warnings = list(self._check.warnings)
        self._check.warnings.clear()
        if error:
            error = json.loads(error)[0]['message']
            assert submissions.samples == [], 'nothing is submitted of a page that fails'
        assert SECRET not in f'{error}{submissions}{warnings}'
        return error, health.status, health.message, warnings


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def assert_outcome(outcome: Outcome, error: str, status: int, message: str, warnings: list[str]) -> None:
    if outcome.error:
        assert outcome.error in error
        assert (status, warnings) == (ServiceCheck.CRITICAL, [])
        assert message, 'the service check says what the exception says'
        assert message in error
    else:
        assert (error, status, message) == ('', ServiceCheck.OK, '')
        assert [outcome.warning in warning for warning in warnings] == [True] * bool(outcome.warning)


def assert_events(agent: AgentModel, of_b: float, others: float, stamped: float) -> None:
    """Demand that Datadog shows so many events for team b, and so many in each other series."""
    totals = dict(agent.count_totals)
    assert totals.pop(CONTEXT_OF_B) == pytest.approx(of_b)
    assert totals.pop(STAMPED_CONTEXT) == stamped
    assert set(totals.values()) == {others}
    assert agent.gauge('litellm.in_flight_requests') == 3.0


@pytest.mark.parametrize('fault', FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_between_good_pages(fault: Fault, endpoint: Endpoint) -> None:
    watch = Watch(endpoint, fault.options)
    watch.scrape_well(COUNT - 3)
    assert_outcome(fault.outcome, *watch.scrape(fault))
    watch.scrape_well(COUNT + 3)

    assert_events(watch.agent, fault.outcome.between, others=6.0, stamped=6.0)


@pytest.mark.parametrize('fault', FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_before_the_first_good_page(fault: Fault, endpoint: Endpoint) -> None:
    watch = Watch(endpoint, fault.options)
    assert_outcome(fault.outcome, *watch.scrape(fault))
    watch.scrape_well(COUNT + 3)
    watch.scrape_well(COUNT + 6)

    assert_events(watch.agent, fault.outcome.first, fault.outcome.others_first, fault.outcome.stamped_first)


@pytest.mark.parametrize(
    ('block', 'message'),
    [(Endpoint.refusing, 'Connection refused'), (Endpoint.deaf, 'the connection timed out')],
    ids=['refuses connections', 'stalls a connection'],
)
def test_an_endpoint_that_cannot_be_connected_to_between_good_pages(
    block: Callable[[Endpoint], AbstractContextManager[None]], message: str, endpoint: Endpoint
) -> None:
    watch = Watch(endpoint, {})
    watch.scrape_well(COUNT - 3)
    with block(endpoint):
        assert_outcome(fails(message), *watch.scrape(Fault('', lambda page: [], fails(message), timeout=0.2)))
    watch.scrape_well(COUNT + 3)

    assert_events(watch.agent, of_b=6.0, others=6.0, stamped=6.0)


def is_encoded(fault: Fault) -> bool:
    return any(isinstance(step, bytes) and b'Content-Encoding' in step for step in fault.script(page_of(COUNT)))


@pytest.mark.parametrize(
    'fault',
    [fault for fault in ENCODINGS if fault.outcome.error and is_encoded(fault)],
    ids=lambda fault: fault.name,
)
def test_a_page_that_arrives_well_only_without_compression_is_read(fault: Fault, endpoint: Endpoint) -> None:
    def script(page: bytes) -> Sequence[Step]:
        return answer(page) if 'identity' in endpoint.requests[-1] else fault.script(page)

    watch = Watch(endpoint, fault.options)
    watch.scrape_well(COUNT - 3)
    outcome = Outcome(warning='A compressed page, or a connection that is used again, failed')
    assert_outcome(outcome, *watch.scrape(fault._replace(script=script)))
    watch.scrape_well(COUNT + 3)

    assert_events(watch.agent, of_b=6.0, others=6.0, stamped=6.0)


def test_a_page_that_fails_leaves_no_connection_open(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that its own traceback leads to would keep it open until the next garbage collection."""
    body = b'<html>\n'
    keep_alive = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n' % len(body)
    fault = Fault('', lambda page: [keep_alive + body, HEAR_END], fails(NOT_METRICS))
    # The records that pytest keeps hold the exception as well.
    caplog.set_level(logging.CRITICAL + 1)
    gc.disable()
    try:
        assert_outcome(fault.outcome, *Watch(endpoint, {}).scrape(fault))
    finally:
        gc.enable()

    assert endpoint.heard_ends == 1


# What customers of LiteLLM call themselves: the text on the page, where it is not the value.
VALUES_OF_LABELS = {
    'Arabic': 'شركة',
    'Hebrew with marks': 'שָׁלוֹם',
    'from right to left and back': '\u202eabc\u202c',
    'Devanagari': 'कंपनी',
    'Thai': 'บริษัท',
    'Chinese': '有限公司',
    'Korean': '주식회사',
    'Georgian': 'კომპანია',
    'combining marks': 'Zu\u0308rich e\u0301',
    'emoji': '🦙🚅',
    'emoji of several': '👩\u200d💻🏳\ufe0f\u200d🌈',
    'beyond the BMP': '𝕃𝕚𝕥𝕖 \U0010ffff',
    'no width': 'a\u200bb\ufeffc',
    'Unicode line ends': 'a\u2028b\u2029c\x85d\x0b\x0ce\x1cf',
    'a carriage return': 'a\rb',
    'control characters': 'a\x01\x1b[31m\x7fb',
    'spaces': '  a  b  ',
    'all that labels are made of': '{a="b",c=d} 7 # EOF',
    'nothing': '',
    '100 kB': 'x' * 100_000,
}


@pytest.mark.parametrize('value', VALUES_OF_LABELS.values(), ids=VALUES_OF_LABELS)
@pytest.mark.usefixtures('first_page_counts')
def test_a_label_value_arrives_in_every_script(value: str, endpoint: Endpoint) -> None:
    text = value.replace('\\', '\\\\').replace('"', '\\"')
    assert tags_of_b(endpoint, f'{{team="{text}"}}') == {f'team:{value}'}


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('a\udcffb', 'a\ufffdb'),
        ('\udce4\udcf6', '\ufffd\ufffd'),
        # The Agent ends a tag there, which would make a and a\0b one series.
        ('a\0b', 'a\ufffdb'),
    ],
    ids=['no UTF-8', 'Latin-1', 'NUL'],
)
@pytest.mark.usefixtures('first_page_counts')
def test_what_is_no_character_is_replaced_in_a_label_value(text: str, value: str, endpoint: Endpoint) -> None:
    assert tags_of_b(endpoint, f'{{team="{text}"}}') == {f'team:{value}'}


@pytest.mark.usefixtures('first_page_counts')
def test_what_is_no_character_tells_series_apart_all_the_same(endpoint: Endpoint) -> None:
    """They are one context to Datadog, and it counts what happened to each of them."""
    watch = Watch(endpoint, {})
    text = '\n'.join(f'…{{team="{value}"}} 13' for value in ('\udcff', '\udcfe', '\0', '\ufffd'))
    submissions = watch.submissions_of(line_of_b(text))

    assert sum(sample.value for sample in submissions.samples if sample.name == CONTEXT_OF_B.name) == 4 * 13


@pytest.mark.usefixtures('first_page_counts')
def test_a_sample_may_have_ten_thousand_labels(endpoint: Endpoint) -> None:
    labels = ','.join(f'label_{number}="{number}"' for number in range(10_000))
    assert len(tags_of_b(endpoint, f'{{{labels}}}')) == 10_000


def tags_of_b(endpoint: Endpoint, labels: str) -> set[str]:
    """Return the tags of team b's series when these are its labels."""
    watch = Watch(endpoint, {})
    submissions = watch.submissions_of(line_of_b(f'…{labels} 13'))
    (sample,) = [sample for sample in submissions.samples if sample.name == CONTEXT_OF_B.name]
    return set(sample.tags)


LATENCY = 'litellm_auth_latency'


@pytest.mark.parametrize(
    ('lines', 'submitted'),
    [
        (['bucket{le="1"} 5', 'bucket{le="2"} 3', 'bucket{le="+Inf"} 9'], {'bucket 1.0': 5.0, 'bucket 2.0': 3.0}),
        (['bucket{le="2"} 3', 'bucket{le="1"} 1', 'count 3'], {'bucket 1.0': 1.0, 'bucket 2.0': 3.0, 'count': 3.0}),
        (['bucket{le="1"} 1', 'count 3'], {'bucket 1.0': 1.0, 'count': 3.0}),
        (['bucket{le="+Inf"} 3'], {}),
        (['bucket{le="-1"} 1', 'bucket{le="1e308"} 3'], {'bucket -1.0': 1.0, 'bucket 1e+308': 3.0}),
        (['bucket{le="1"} -1', 'count -1'], {}),
        (['sum -2.5', 'count 3'], {'count': 3.0}),
        (['sum NaN', 'count 3'], {'count': 3.0}),
        (['sum 1e308', 'count 3'], {'count': 3.0}),
        (['count 3', 'sum 2.5', 'max 7'], {'count': 3.0, 'sum': 2.5}),
    ],
    ids=[
        *('not cumulative', 'in another order', 'no bucket of all', 'only the bucket of all'),
        *('odd bounds', 'negative', 'negative sum', 'sum is no number', 'sum is 1e308', 'a sample of no histogram'),
    ],
)
@pytest.mark.usefixtures('first_page_counts')
def test_each_sample_of_a_broken_histogram_stands_for_itself(
    lines: list[str], submitted: dict[str, float], endpoint: Endpoint
) -> None:
    text = '\n'.join([f'# TYPE {LATENCY} histogram', *(f'{LATENCY}_{line}' for line in lines)])
    samples = Watch(endpoint, {}).submissions_of(line_of_b(text)).samples

    prefix = 'litellm.auth.latency.'
    found = {
        ' '.join([sample.name.removeprefix(prefix), *(tag.removeprefix('upper_bound:') for tag in sample.tags)]): sample
        for sample in samples
        if sample.name.startswith(prefix)
    }
    assert {name: sample.value for name, sample in found.items()} == submitted


def test_the_largest_gauges_do_not_add_up_to_infinity(endpoint: Endpoint) -> None:
    gauge = 'litellm_in_flight_requests{pid="1"} 1e308\nlitellm_in_flight_requests{pid="2"} 1e308'
    submissions = Watch(endpoint, {}).submissions_of(
        page(lambda page: page.replace(b'litellm_in_flight_requests 3.0', gauge.encode()))
    )

    assert [sample for sample in submissions.samples if sample.name == 'litellm.in_flight_requests'] == []


def test_families_that_a_page_declares_and_never_fills_are_not_kept(endpoint: Endpoint) -> None:
    watch = Watch(endpoint, {})
    for number in range(FORGET_EVERY * 2 + 1):
        watch.submissions_of(line_of_b(f'# TYPE new_{number} counter'))

    assert watch.known_families() < FORGET_EVERY


@pytest.mark.parametrize(
    ('headers', 'is_ours'),
    [
        ({}, True),
        ({'Date': 'no date'}, True),
        ({'Date': 'Fri, 31 Dec 9999 23:59:59 GMT'}, False),
        ({'Date': formatdate(time.time() - 3600, usegmt=True)}, False),
        ({'Date': time.asctime(time.gmtime(time.time() - 3600))}, False),
        ({'Date': formatdate(time.time() - 3600, usegmt=True), 'Age': '3600'}, True),
        ({'Date': formatdate(usegmt=True), 'Age': '9' * 400}, True),
        ({'Date': formatdate(usegmt=True), 'Age': '9' * 5000}, True),
    ],
    ids=['none', 'no date', 'in the far future', 'an hour ago', 'as C has it', 'kept', 'kept for ever', 'too long'],
)
def test_the_clock_of_the_proxy_counts_if_it_tells_it(headers: dict[str, str], is_ours: bool) -> None:
    response = Response()
    response.headers.update(headers)

    assert (abs(answered_at(response) - time.time()) < 600) == is_ours


# Where the stock scraper sees less, and says no more than that it is no page.
UNSEEN_BY_STOCK = {'OpenMetrics with half of its end', 'OpenMetrics without its end', 'UTF-16', 'UTF-32'}


@pytest.mark.parametrize('fault', [fault for fault in FAULTS if fault.outcome.error], ids=lambda fault: fault.name)
def test_what_fails_fails_alike_with_the_stock_scraper(fault: Fault, endpoint: Endpoint) -> None:
    watch = Watch(endpoint, {**fault.options, 'use_stock_scraper': True})
    outcome = fails(NOT_METRICS) if fault.name in UNSEEN_BY_STOCK else fault.outcome

    assert_outcome(outcome, *watch.scrape(fault))


def test_a_line_that_is_too_long_costs_the_stock_scraper_the_page(endpoint: Endpoint) -> None:
    watch = Watch(endpoint, {'use_stock_scraper': True})
    fault = Fault('', line_of_b('…{team="' + 'b' * 2_000_000 + '"} 13'), fails(NOT_METRICS))

    assert_outcome(fault.outcome, *watch.scrape(fault))


@pytest.mark.parametrize(
    'lines',
    [
        f'# TYPE {LATENCY} histogram\n{LATENCY}_bucket{{le="{SECRET}"}} 7',
        f'# TYPE {LATENCY} histogram\n{LATENCY}_bucket 7',
        f'# TYPE {LATENCY} histogram\n{LATENCY}_count{{le=""}} 7',
        f'# TYPE {LATENCY} summary\n{LATENCY}{{quantile="{SECRET}"}} 7',
    ],
)
def test_a_bound_that_is_no_number_costs_the_stock_scraper_the_page(lines: str, endpoint: Endpoint) -> None:
    watch = Watch(endpoint, {'use_stock_scraper': True})
    fault = Fault('', page(lambda page: page + lines.encode() + b'\n'), fails(NOT_METRICS))

    assert_outcome(fault.outcome, *watch.scrape(fault))


def test_the_readme_counts_the_faults() -> None:
    assert f'[{len(FAULTS)} faults]' in (Path(__file__).parents[3] / 'README.md').read_text(encoding='utf-8')


def test_a_page_has_limits_of_its_own_by_default() -> None:
    check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/', 'max_page_seconds': 7.5}])
    check.configure_scrapers()
    (scraper,) = check.scrapers.values()

    assert scraper.page_limits == PageLimits(max_page_bytes=536_870_912, max_page_seconds=7.5)
