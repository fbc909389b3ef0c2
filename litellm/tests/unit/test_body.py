"""The body of an answer, in pieces."""

from __future__ import annotations

import gzip
import io

import pytest
from requests import Response

from datadog_checks.litellm.transport.body import PIECE_BYTES, PageLimits, read_body
from datadog_checks.litellm.transport.deadline import Deadline
from datadog_checks.litellm.transport.errors import PageLimitError

LIMITS = PageLimits(max_page_bytes=536_870_912, max_page_seconds=120.0)


class Body(io.BytesIO):
    """Bytes that arrive as those of urllib3 do, each as soon as it can."""

    def read1(self, size: int | None = -1, decode_content: bool = False) -> bytes:
        return super().read1(size)


def answer(body: bytes, encoding: str = 'identity') -> Response:
    response = Response()
    response.headers['Content-Encoding'] = encoding
    response.raw = Body(body)
    return response


@pytest.mark.parametrize('size', [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_a_compressed_page_is_what_it_was(size: int) -> None:
    page = bytes(position % 251 for position in range(size))

    assert b''.join(read_body(answer(gzip.compress(page), 'gzip'), LIMITS, Deadline())) == page


def test_no_piece_of_a_bomb_is_larger_than_another() -> None:
    bomb = gzip.compress(bytes(50_000_000), compresslevel=1)
    sizes = [len(piece) for piece in read_body(answer(bomb, 'gzip'), LIMITS, Deadline())]

    assert sum(sizes) == 50_000_000
    assert max(sizes) <= PIECE_BYTES


def test_no_more_of_a_bomb_is_decompressed_than_may_be() -> None:
    bomb = gzip.compress(bytes(50_000_000), compresslevel=1)
    sizes: list[int] = []
    with pytest.raises(PageLimitError):
        sizes.extend(map(len, read_body(answer(bomb, 'gzip'), LIMITS._replace(max_page_bytes=1_000_000), Deadline())))

    assert 0 < sum(sizes) <= 1_000_000


def test_the_time_that_work_on_the_page_takes_counts() -> None:
    """A few kB of gzip can hold millions of lines, which arrive at once."""
    response = answer(gzip.compress(b'x\n' * (8 << 20)), 'gzip')
    now = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('datadog_checks.litellm.transport.body.time.monotonic', lambda: now[0])
        pieces = read_body(response, LIMITS._replace(max_page_seconds=10.0), Deadline())
        next(pieces)
        now[0] = 11.0
        with pytest.raises(PageLimitError, match='max_page_seconds'):
            next(pieces)
