"""Tell about a scrape what the option `telemetry` asks for: the size of its page, and what became of its samples.

Names and meanings are the base package's. It counts families as it parses them, and this what the page amounted to:

- `payload.size`: the `Content-Length` of the response, or without one the bytes of the page, uncompressed;
- `metrics.input.count`: the samples on the page, but for lines that cannot be read;
- `metrics.ignored.count`: those of families that options exclude;
- `metrics.processed.count`: those of families that are collected, with a finite value and with labels that are wanted;
- `metrics.blacklist.count`: lines that `raw_line_filters` left out.

Nothing is told of a failed scrape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite

from requests import Response

from ..base_package import AdaptedScraper
from ..page.family_types import CREATED
from ..page.recognition import Reading
from ..page.slots import UNWANTED, SampleKind, Slots

__all__ = ['Telemetry', 'payload_size']

# A number with more digits is no length. Python reads only some thousand of them, the Agent some hundred.
MOST_DIGITS = 18


def payload_size(response: Response, read: int) -> int:
    """Return the `Content-Length` of a response, or what was read of it if that is none."""
    length = response.headers.get('Content-Length', '')
    return int(length) if length.isdecimal() and len(length) <= MOST_DIGITS else read


class Telemetry:
    """Watch one page after the other on its way, and tell of each that was read."""

    def __init__(self, scraper: AdaptedScraper) -> None:
        self._scraper = scraper
        self._size = 0
        self._lines = 0

    def receive(self, response: Response, batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
        """Pass on all lines of the next page."""
        self._size = self._lines = 0
        for lines in batches:
            self._size += sum(map(len, lines)) + len(lines)
            self._lines += len(lines)
            yield lines
        self._size = payload_size(response, self._size)

    def read(self, batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
        """Pass on the lines of this page that are read."""
        for lines in batches:
            self._lines -= len(lines)
            yield lines

    def submit(self, slots: Slots, reading: Reading) -> None:
        """Submit what there is to tell of the page."""
        ignored, processed = self._used(slots, reading)
        scraper = self._scraper
        scraper.gauge('telemetry.payload.size', self._size, tags=scraper.tags)
        scraper.count('telemetry.metrics.input.count', len(reading.order), tags=scraper.tags)
        for name, number in (('ignored', ignored), ('processed', processed), ('blacklist', self._lines)):
            if number:
                scraper.count(f'telemetry.metrics.{name}.count', number, tags=scraper.tags)

    def _used(self, slots: Slots, reading: Reading) -> tuple[int, int]:
        """Return how many samples of a page are ignored, and how many processed."""
        is_ignored: dict[SampleKind, bool] = {}
        ignored = processed = 0
        for slot in reading.order:
            kind = slots.kinds[slot]
            if kind not in is_ignored:
                is_ignored[kind] = self._is_ignored(kind)
            if is_ignored[kind]:
                ignored += 1
            elif kind.family.is_mapped and not kind.is_created:
                series = slots.series[slot]
                is_wanted = series is not None and series.tags is not UNWANTED
                processed += is_wanted and not reading.absent[slot] and isfinite(reading.values[slot])
        return ignored, processed

    def _is_ignored(self, kind: SampleKind) -> bool:
        # Times of creation are a family of their own, in text.
        family = f'{kind.family.name}{CREATED}' if kind.is_created else kind.family.name
        return self._scraper.is_excluded(family.removeprefix(self._scraper.raw_metric_prefix))
