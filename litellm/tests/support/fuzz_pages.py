"""What must hold of any pages at all. An input is one page, or several that follow each other."""

from __future__ import annotations

import io
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from requests import Response
from requests.exceptions import RequestException

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.options import Options
from datadog_checks.litellm.page.exposition import parse_labels, parse_value, read_lines, split_sample
from datadog_checks.litellm.page.samples import SampleTable
from datadog_checks.litellm.scrapers.exact import ExactScraper
from datadog_checks.litellm.transport.errors import NotMetricsError, PageLimitError, TruncatedPageError
from tests.support.agent_model import Sample, recorded

__all__ = ['NEXT_PAGE', 'play']

# Between two pages of an input: the record separator, which no page has.
NEXT_PAGE = b'\x1e'

# What may come of a page besides its values.
FAILURES = (NotMetricsError, PageLimitError, TruncatedPageError)

# CPU seconds that the longest input may take: several hundred times what it takes. A loop that has run away has no end.
MOST_SECONDS = 10.0


def play(data: bytes) -> None:
    """Read pages as the check does. Raises an `AssertionError` when something does not hold, or whatever goes wrong."""
    started = time.process_time()
    pages = data.split(NEXT_PAGE)
    for page in pages:
        _lines_are_the_same_in_any_pieces(page)
        for line in page.split(b'\n'):
            _is_what_prometheus_client_reads(line)
    _reads_alike_whatever_it_remembers(pages)
    _submits_nothing_that_could_mislead(pages)
    assert time.process_time() - started < MOST_SECONDS


def _lines_are_the_same_in_any_pieces(page: bytes) -> None:
    pieces = (page[position : position + 5] for position in range(0, len(page), 5))
    assert _lines([page]) == _lines(pieces)


def _lines(pieces: Iterable[bytes]) -> list[bytes] | str:
    try:
        return [line for batch in read_lines(pieces, Counter()) for line in batch]
    except RequestException as error:
        return str(error)


def _is_what_prometheus_client_reads(line: bytes) -> None:
    """Where both take a line for a sample, it is the same sample."""
    try:
        text = line.decode()
        # It knows no exemplars here, strips whatever is a space to Python, and takes the digits of any script.
        if b'#' in line or any(ord(sign) > 127 and not sign.isalpha() for sign in text):
            return
        (family,) = text_string_to_metric_families(text)
        (theirs,) = family.samples
        sample, value = split_sample(line)
        name, _, labels = sample.decode().partition('{')
        ours = name, parse_labels(labels.removesuffix('}')), parse_value(value)
        # It makes an integer of what looks like one.
        number = float(theirs.value)
    except (OverflowError, ValueError):
        return
    assert ours[:2] == (theirs.name, theirs.labels), f'{ours} is not {theirs}'
    assert ours[2] == number or math.isnan(ours[2])


def _reads_alike_whatever_it_remembers(pages: list[bytes]) -> None:
    """Hold that a line means the same after other pages, and the same each time it is read."""
    table = SampleTable(_scraper().rules)
    for page in pages:
        # What a page declares behind its samples is known the second time only.
        first, second, third = (_read(table, page) for _ in range(3))
        assert second == third
        for other in (second, _read(SampleTable(_scraper().rules), page)):
            # Which samples there are depends on how their families were declared before, what they say does not.
            if isinstance(first, dict) and isinstance(other, dict):
                assert all(other[key] == value for key, value in first.items() if key in other)
    table.forget(range(len(table._keys)))
    table.forget_families()
    kept = (table._slots, table._families, table._roles, table.contexts, table._first_with_tags, table._bound_tags)
    assert not any(kept), 'all that was learned belongs to samples, and goes with them'


def _read(table: SampleTable, page: bytes) -> dict[int, float] | str:
    try:
        values = table.read_page(read_lines([page], Counter()), Counter())
    except FAILURES as error:
        table.forget_new()
        return str(error)
    finally:
        _fits_together(table)
    read = {key: values[slot] for key, slot in table._slots.items() if not math.isnan(values[slot])}
    table.ledger.close_page(values)
    return read


def _fits_together(table: SampleTable) -> None:
    count = len(table._keys)
    lists = (table.metrics, table.bounds, table.series, table.ledger.last, table.ledger.carried, table.ledger.owners)
    assert {len(each) for each in lists} == {count}
    assert all(table._keys[slot] == key for key, slot in table._slots.items())
    owned = [slot for series in table.all_series() for slot in series.slots]
    assert len(owned) == len(set(owned))
    assert all(table.series[slot] in table.all_series() for slot in owned)
    counts = [slot for slot in range(count) if table.metrics[slot] is not None]
    in_contexts = [slot for context in table.contexts.values() for slot in context.slots]
    assert sorted(counts + in_contexts) == sorted(owned), 'a sample is submitted once'


class _Body(io.BytesIO):
    def read1(self, size: int | None = -1, decode_content: bool = False) -> bytes:
        return super().read1(size)


class _Scraper(ExactScraper):
    """The scraper with a page for every answer."""

    page = b''

    def get_connection(self, **_: Any) -> Response:
        response = Response()
        response.raw = _Body(self.page)
        self.content_type = 'text/plain'
        return response


def _submits_nothing_that_could_mislead(pages: list[bytes]) -> None:
    scraper = _scraper()
    scraper._table, scraper._failed_at, scraper.flush_first_value = SampleTable(scraper.rules), None, None
    totals: defaultdict[tuple[str, tuple[str, ...], str], float] = defaultdict(lambda: -math.inf)
    for scraper.page in pages:
        with recorded() as submissions:
            try:
                scraper.scrape()
            except FAILURES:
                assert submissions.samples == []
        scraper.check.warnings.clear()
        for sample in submissions.samples:
            _is_fit_to_submit(sample, totals)


def _is_fit_to_submit(sample: Sample, totals: defaultdict[tuple[str, tuple[str, ...], str], float]) -> None:
    assert math.isfinite(sample.value)
    assert all('\0' not in tag for tag in sample.tags)
    if sample.type == 'monotonic_count':
        key = sample.name, sample.tags, sample.hostname
        is_closed = sample.value == 0.0 and sample.flush_first_value
        assert sample.value >= totals[key] or is_closed, 'the Agent would take it for a counter that starts over'
        totals[key] = sample.value


_SCRAPERS: list[_Scraper] = []


def _scraper() -> _Scraper:
    """Return the one scraper, as making one takes longer than a page does."""
    if not _SCRAPERS:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/'}])
        config = check.get_config_with_defaults(check.instance)
        _SCRAPERS.append(_Scraper(check, config, Options.of(config)))
    return _SCRAPERS[0]
