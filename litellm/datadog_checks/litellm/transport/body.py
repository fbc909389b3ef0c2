"""The body of an answer: its bytes as they arrive, decompressed, within the limits of size and time that options set.

`timeout` and `read_timeout` limit the wait for the next bytes, not for the last: a page that trickles in would keep a
check worker of the Agent busy for hours. And a few kB can decompress to more than the memory of the Agent's host. What
comes before, between and behind the pieces is limited by `deadline`.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from requests import Response
from requests.exceptions import ReadTimeout, SSLError
from urllib3 import exceptions

from .deadline import Deadline
from .errors import BROKEN_OFF, TOO_SLOW, PageLimitError, TruncatedPageError

__all__ = ['PIECE_BYTES', 'PageLimits', 'pieces_of', 'read_body']

# Large enough to make the work per piece negligible, small enough that a page is never in memory as a whole.
PIECE_BYTES = 1 << 18

# Have zlib detect gzip or zlib format by the first bytes.
ANY_HEADER = 32 + zlib.MAX_WBITS


class PageLimits(NamedTuple):
    """The largest size of a decompressed page, and the longest time for it once the proxy has begun to answer."""

    max_page_bytes: int
    max_page_seconds: float


def read_body(response: Response, limits: PageLimits, deadline: Deadline) -> Iterator[bytes]:
    """Yield the body in pieces of at most `PIECE_BYTES`. The deadline is that of the client which got the response.

    Raises `PageLimitError` at a limit, and otherwise what `pieces_of` raises.
    """
    # Between two pieces the caller works on the first: a few kB of gzip can hold millions of lines.
    now = time.monotonic()
    end = (now if deadline.answering_since is None else deadline.answering_since) + limits.max_page_seconds
    size = 0
    try:
        for piece in pieces_of(response):
            size += len(piece)
            if size > limits.max_page_bytes:
                raise PageLimitError(
                    f'the page is larger than the {limits.max_page_bytes} bytes that `max_page_bytes` allows; nothing '
                    'from it was submitted. Reduce what the proxy exposes, or raise the limit.'
                )
            if time.monotonic() > end:
                raise PageLimitError(TOO_SLOW.format(limits.max_page_seconds))
            yield piece
    except ReadTimeout:
        if deadline.is_over:
            raise PageLimitError(TOO_SLOW.format(limits.max_page_seconds)) from None
        raise


def pieces_of(response: Response) -> Iterator[bytes]:
    """Yield a body in decompressed pieces of at most `PIECE_BYTES`, as they arrive.

    Raises `TruncatedPageError` when the body is not what its headers say, and otherwise what `requests` raises.
    """
    encoding = response.headers.get('Content-Encoding', 'identity').strip().lower()
    if encoding in ('gzip', 'x-gzip', 'deflate'):
        return _decompressed(_arriving(response))
    if encoding in ('identity', ''):
        return _arriving(response)
    # Compressed twice, for example, which is how a decompression bomb gets past the limits of one round.
    raise TruncatedPageError('the page has a content encoding that was not requested; nothing from it was submitted')


def _arriving(response: Response) -> Iterator[bytes]:
    while True:
        try:
            # Returns what has arrived. Reading a fixed amount would block on a slow sender and never see the deadline.
            piece = response.raw.read1(PIECE_BYTES, decode_content=False)
        except exceptions.ReadTimeoutError:
            raise ReadTimeout('Read timed out') from None
        except exceptions.SSLError as error:
            raise SSLError(str(error)) from None
        except exceptions.HTTPError as error:
            raise TruncatedPageError(BROKEN_OFF.format(type(error).__name__)) from None
        if not piece:
            return
        yield piece


def _decompressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(ANY_HEADER)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if decompressor.eof:
                    # A body may consist of several compressed members.
                    decompressor = zlib.decompressobj(ANY_HEADER)
                yield decompressor.decompress(rest, PIECE_BYTES)
                rest = decompressor.unconsumed_tail or decompressor.unused_data
        yield decompressor.flush()
    except zlib.error as error:
        raise TruncatedPageError(BROKEN_OFF.format(type(error).__name__)) from None
    if not decompressor.eof:
        raise TruncatedPageError(BROKEN_OFF.format('incomplete gzip'))
