"""Properties that hold for any pages at all. An input is one page, or several that follow each other."""

from __future__ import annotations

import io
import math
import re
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import takewhile
from typing import Any

# Taken here, before the base package puts others in their place that are faster and laxer.
from prometheus_client.openmetrics.parser import _parse_sample as parse_openmetrics
from prometheus_client.parser import _parse_sample as parse_text
from requests import Response
from requests.exceptions import RequestException

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.options import Options
from datadog_checks.litellm.page.exposition import parse_labels, parse_value, read_lines, split_sample
from datadog_checks.litellm.page.samples import SampleTable
from datadog_checks.litellm.page.slots import UNLEARNED
from datadog_checks.litellm.probes.health import NoHealthError, NotCheckedYetError, read_health
from datadog_checks.litellm.scrapers.exact import ExactScraper
from datadog_checks.litellm.transport.client import Answer
from datadog_checks.litellm.transport.errors import NotMetricsError, PageLimitError, TruncatedPageError
from tests.support.agent_model import Sample, recorded
from tests.support.passing import passing_at_once

__all__ = ['NEXT_PAGE', 'play']

# Between two pages of an input: the record separator, which no page has.
NEXT_PAGE = b'\x1e'

_NO_BLANK = re.compile(rb'\}[^\s]')

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
        _health_is_fit_to_submit(page)
        for line in page.split(b'\n'):
            _is_what_prometheus_client_reads(line)
            _is_read_by_prometheus_client_too(line)
    _reads_alike_whatever_it_remembers(pages)
    _submits_nothing_that_could_mislead(pages)
    assert time.process_time() - started < MOST_SECONDS


def _lines_are_the_same_in_any_pieces(page: bytes) -> None:
    pieces = (page[position : position + 5] for position in range(0, len(page), 5))
    assert _lines([page]) == _lines(pieces)
    pieces = (page[position : position + 5] for position in range(0, len(page), 5))
    assert _lines([page], is_openmetrics=True) == _lines(pieces, is_openmetrics=True)


def _lines(pieces: Iterable[bytes], *, is_openmetrics: bool = False) -> list[bytes] | str:
    try:
        return [line for batch in read_lines(pieces, Counter(), is_openmetrics=is_openmetrics) for line in batch]
    except RequestException as error:
        return str(error)


def _is_what_prometheus_client_reads(line: bytes) -> None:
    """Demand that what both take for a sample is the same sample."""
    try:
        text, ours = line.decode(), _sample(line)
    except ValueError:
        return
    # In text it knows no exemplars. In OpenMetrics it drops what follows the labels, which should be a blank.
    parsers = [parse_text] * (b'#' not in line) + [parse_openmetrics] * (_NO_BLANK.search(line) is None)
    for parse in parsers:
        with suppress(IndexError, OverflowError, ValueError):
            theirs = parse(text.strip())
            # It makes an integer of what looks like one.
            number = float(theirs.value)
            assert ours[:2] == (theirs.name.strip(), theirs.labels), f'{ours} is not {theirs}'
            assert ours[2] == number or math.isnan(ours[2])


def _is_read_by_prometheus_client_too(line: bytes) -> None:
    """Demand that it reads the same number from what is a sample here. docs/exposition.md lists the exceptions."""
    try:
        text, (name, labels, number) = line.decode(), _sample(line)
    except ValueError:
        return
    # It knows no exemplars in the text format.
    if b'#' in line:
        return
    theirs = parse_text(text.strip())
    assert (theirs.name, theirs.labels) == (name, labels)
    with suppress(OverflowError):
        assert float(theirs.value) == number or math.isnan(number)


def _sample(line: bytes) -> tuple[str, dict[str, str], float]:
    sample, value = split_sample(line)
    name, _, labels = sample.decode().partition('{')
    return name, parse_labels(labels.removesuffix('}')), parse_value(value)


def _health_is_fit_to_submit(body: bytes) -> None:
    try:
        health = read_health(Answer(200, body, is_whole=True), _scraper().check.secrets, has_key=True)
    except (NoHealthError, NotCheckedYetError):
        return
    assert health.healthy + health.unhealthy == health.endpoints.total() + health.left_out
    for tag in (tag for tags in health.endpoints for tag in tags):
        assert '\0' not in tag
        assert len(tag.encode()) < 1000


def _reads_alike_whatever_it_remembers(pages: list[bytes]) -> None:
    """Hold that a line means the same after other pages, and the same each time it is read."""
    table = SampleTable(_scraper().rules)
    # On half of all inputs.
    may_pass = sum(map(len, pages)) % 2 == 0
    for page in pages:
        # What a page declares behind its samples is known the second time only.
        first, second, third = (_read(table, page, may_pass=may_pass) for _ in range(3))
        assert second == third
        for other in (second, _read(SampleTable(_scraper().rules), page)):
            # Which samples there are depends on how their families were declared before, what they say does not.
            if isinstance(first, dict) and isinstance(other, dict):
                assert all(other[key] == value for key, value in first.items() if key in other)
                assert first.keys() == other.keys() or not _are_declared_alike(pages)
    table.forget(b'\1' * len(table.slots))
    table.forget_families()
    kept = (table.slots, table._families, table._names, table.gauges, table._tag_sets)
    assert not any(len(each) for each in kept), 'all that was learned belongs to samples, and goes with them'


def _are_declared_alike(pages: list[bytes]) -> bool:
    """Tell whether all pages begin with the same comments, and have no others."""
    heads = set()
    for page in pages:
        lines = page.split(b'\n')
        head = tuple(takewhile(lambda line: line.startswith(b'#'), lines))
        heads.add(head)
        if any(b'#' in line for line in lines[len(head) :]):
            return False
    return len(heads) == 1


def _read(table: SampleTable, page: bytes, *, may_pass: bool = False) -> dict[object, float] | str:
    try:
        with passing_at_once():
            reading = table.read_page(read_lines([page], Counter()), Counter(), may_pass=may_pass)
    except FAILURES as error:
        table.forget_new()
        return str(error)
    finally:
        _fits_together(table)
    slots = table.slots
    # What several spellings of a sample have in common, and for what is not submitted, its text.
    of: dict[int, object] = {
        slot: (family.name, key, slots.kinds[slot].metric, slots.kinds[slot].bound, slots.kinds[slot].is_created)
        for family in table._families.values()
        for key, series in family.series.items()
        for slot in ((*series.slots, series.created_slot) if series is not None else ())
        if slot is not None
    }
    # A sample that is to be learned anew has no text until then.
    present = (slot for slot, key in enumerate(slots.keys) if key != UNLEARNED and not reading.absent[slot])
    read = {of.get(slot, slots.keys[slot]): reading.values[slot] for slot in present}
    for sample in table.passing.samples.values():
        passed = (sample.kind.family.name, sample.series, sample.kind.metric, None, False)
        assert passed not in read, 'a sample is learned or passes'
        read[passed] = sample.value
    table.accept(reading)
    return read


def _fits_together(table: SampleTable) -> None:
    slots = table.slots
    columns = (slots.keys, slots.kinds, slots.series, slots.last, slots.warmth, slots.held, slots.absent)
    assert {len(each) for each in columns} == {len(slots)}
    owned = [slot for series in table.all_series() for slot in series.slots]
    assert len(owned) == len(set(owned))
    known = list(table.all_series())
    assert all(slots.series[slot] in known for slot in owned)
    submitted = [slot for slot, kind in enumerate(slots.kinds) if kind.metric is not None and slots.series[slot]]
    # A series also has its buckets without a metric.
    owned = [slot for slot in owned if slots.kinds[slot].metric is not None]
    assert sorted(submitted) == sorted(owned)
    gauges = [slot for context in table.gauges.values() for slot in context.slots]
    counts = [slot for slot in submitted if slots.kinds[slot].is_count]
    assert sorted(gauges + counts) == sorted(owned), 'a sample is submitted once'


class _Body(io.BytesIO):
    def read1(self, size: int | None = -1, decode_content: bool = False) -> bytes:
        return super().read1(size)


class _Scraper(ExactScraper):
    """The scraper with a page for every answer."""

    page = b''

    def _start_over(self) -> None:
        """Forget all pages."""
        # A scraper lays its own values over what it is given: flat, these do not pile up with every input.
        self.__init__(self.check, dict(self.config), self.options)  # type: ignore[misc]

    def get_connection(self, **_: Any) -> Response:
        response = Response()
        response.raw = _Body(self.page)
        self.content_type = 'text/plain'
        return response


def _submits_nothing_that_could_mislead(pages: list[bytes]) -> None:
    scraper = _scraper()
    scraper._start_over()
    for scraper.page in pages:
        with recorded() as submissions:
            try:
                scraper.scrape()
            except FAILURES:
                assert submissions.samples == []
        scraper.check.warnings.clear()
        for sample in submissions.samples:
            _is_fit_to_submit(sample)


def _is_fit_to_submit(sample: Sample) -> None:
    assert math.isfinite(sample.value)
    assert all('\0' not in tag for tag in sample.tags)
    assert sample.type == 'gauge' or (sample.type == 'count' and sample.value >= 0.0)


_SCRAPERS: list[_Scraper] = []


def _scraper() -> _Scraper:
    """Return the one scraper, as making one takes longer than a page does."""
    if not _SCRAPERS:
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': 'http://127.0.0.1:9/metrics/'}])
        config = check.get_config_with_defaults(check.instance)
        _SCRAPERS.append(_Scraper(check, config, Options.of(config)))
    return _SCRAPERS[0]
