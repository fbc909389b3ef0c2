"""The scraper that counts exactly, at a fraction of the work.

A page passes through three modules: `exposition` splits its bytes into lines, `samples` knows what each line means, and
`ledger` turns raw values into totals that grow by what happened. Here the totals are submitted in such a way that the
Agent arrives at the same increases.

The Agent flushes the difference between the last two values of a monotonic count. For a context that it does not know,
it flushes the value itself if `flush_first_value` is set, and nothing otherwise. A context that is gone from the proxy
is submitted once more as 0: if it comes back, the Agent then compares it with 0 and not with an old total.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from email.utils import parsedate_to_datetime
from functools import reduce
from itertools import islice
from math import isfinite, isinf, isnan
from typing import Any

from requests import Response

from datadog_checks.base.agent import aggregator, datadog_agent
from datadog_checks.base.utils.time import get_timestamp

from ..base_package import submitter
from ..metrics import CONTEXTS_DROPPED, NO_LIMIT, START_TIME
from ..options import Options
from ..page.exposition import is_openmetrics, read_lines
from ..page.ledger import CLOCKS_DIFFER
from ..page.limit import ContextLimit
from ..page.samples import Context, Metric, SampleTable, TaggedSeries
from ..transport.body import read_body
from ..transport.errors import explain, explain_bad_lines
from ..transport.redirects import NOT_REDIRECTED
from .base import LitellmScraper
from .selection import Selection

__all__ = ['ExactScraper']

GAUGE, MONOTONIC_COUNT = aggregator.GAUGE, aggregator.MONOTONIC_COUNT

# The Agent remembers a monotonic count for a day and an hour after it was submitted last.
AGENT_REMEMBERS = 24 * 3600.0

# How many of the metrics with dropped contexts a warning names.
DROPPED_NAMED = 10

# Forgetting renumbers all slots, so it waits until a tenth of them can go, or for this many pages.
FORGET_SHARE = 10
FORGET_EVERY = 10


class ExactScraper(LitellmScraper):
    """Scrape a LiteLLM proxy so that each context counts exactly what happened at the proxy."""

    def __init__(self, check: Any, config: MutableMapping[str, Any], options: Options) -> None:
        super().__init__(check, config, options)
        self._table = SampleTable(self.rules)
        most = options.max_contexts
        self._limit = None if most is None else ContextLimit(self._table, most)
        self._selection = Selection(self.address.url, options.filter_at_proxy and bool(options.exclude_metric_groups))
        self._failed_at: float | None = None

    def read_and_submit(self) -> None:
        fault = self._selection.scrape(self._scrape_once)
        if fault is not None:
            self._warn_of_query(explain(fault, NOT_REDIRECTED))

    def _scrape_once(self) -> None:
        asked_at = time.monotonic()
        bad_lines: Counter[str] = Counter()
        try:
            with self.ask() as response:
                answered_at, date = time.monotonic(), _proxy_time(response)
                values = self._table.read_page(self._lines(response, bad_lines), bad_lines)
            self._selection.verify(self._started(values))
            families = self._selection.families_of_proxy(self._table.families_on_page)
            has_samples = not all(map(isnan, values))
            self.judge_page(map(self.rules.trimmed, families), has_samples=has_samples)
        except Exception:
            self._failed_at = asked_at
            self._table.forget_new()
            raise
        if bad_lines:
            self.warning(explain_bad_lines(bad_lines))
        self._table.ledger.note_unread(sum(bad_lines.values()) + self._table.unlearned)
        is_whole = self._selection.query is None
        self._select(values)
        self._submit_page(values, date, answered_at, is_whole)

    def ask(self) -> Response:
        """Request the page, or only the part of it that is submitted."""
        return self.get_connection(params=self._selection.query)

    def _select(self, values: array[float]) -> None:
        """Decide from this page what to request next."""
        started = self._started(values)
        if self._selection.query is None:
            self._selection.read_whole(self._table.families_on_page, self._table.wanted_samples(), started)
        else:
            self._selection.read_selected(started)

    def _started(self, values: array[float]) -> float | None:
        """Return when the process started that the page shows, None if it does not say."""
        return self._table.value_of(START_TIME.raw.encode(), values)

    def _lines(self, response: Response, bad_lines: Counter[str]) -> Iterator[list[bytes]]:
        body = read_body(response, self.page_limits)
        batches = read_lines(body, bad_lines, is_openmetrics=is_openmetrics(self.content_type))
        is_unwanted = self.unwanted_lines()
        if is_unwanted is None:
            return batches
        return ([line for line in lines if not is_unwanted(line)] for lines in batches)

    def _submit_page(self, values: array[float], date: float, now: float, is_whole: bool) -> None:
        table, ledger = self._table, self._table.ledger
        submit = submitter(self.check)
        if ledger.pages and now - ledger.page_answered_at > AGENT_REMEMBERS:
            self._submit_last_totals(submit)
        if self._limit is not None:
            self._apply_limit(self._limit, submit, values)

        series = list(table.all_series())
        since = now if self._failed_at is None else self._failed_at
        ledger.recognize(series, values, date, now, since, is_whole)

        # Counting starts from the first page: without `flush_first_value` the Agent only takes note of it. That is not
        # enough if part of the page was created while we were waiting for the proxy. In that case, and on all later
        # pages, the total of a new count includes just what happened, and is flushed in full.
        is_start = not ledger.pages and not any(map(ledger.is_young, series))
        flush_known = bool(self.flush_first_value) or self._is_younger_than_agent(values)
        flush_new = flush_known if is_start else True
        if not is_start:
            self._start_new_samples(values)

        # One iterator for both: first the samples that were known before this page, then the new ones.
        samples = zip(ledger.settle(values), table.metrics, table.bounds, table.series, strict=True)
        self._submit_samples(submit, islice(samples, ledger.settled), flush_known)
        self._submit_samples(submit, samples, flush_new)
        for context in table.contexts.values():
            if context.is_held:
                continue
            if context.metric.is_gauge:
                self._submit_gauge(submit, context, values)
            else:
                self._submit_count(submit, context, values, flush_new if context.total is None else flush_known)

        ledger.close_page(values)
        self._forget(submit)
        if ledger.several_processes:
            self._warn_of_several_processes()

    def _apply_limit(self, limit: ContextLimit, submit: Callable[..., None], values: array[float]) -> None:
        """Hold back contexts beyond `max_contexts`, and warn of it."""
        for metric, tags, hostname in limit.apply(values):
            submit(MONOTONIC_COUNT, metric.name, 0.0, tags, hostname, False)
        dropped = limit.dropped()
        self.gauge(CONTEXTS_DROPPED, dropped.total(), tags=list(self.tags))
        if dropped:
            self.warning(
                '%d contexts of %s exceed `max_contexts` and are not sent. They belong to %s%s. Raise the limit, or '
                'exclude labels or metrics that nobody uses with `exclude_personal_labels`, `exclude_metric_groups` or '
                '`collect_histogram_buckets: false`.',
                dropped.total(),
                self.endpoint,
                ', '.join(f'{metric} ({contexts})' for metric, contexts in dropped.most_common(DROPPED_NAMED)),
                ', …' if len(dropped) > DROPPED_NAMED else '',
            )

    def _start_new_samples(self, values: array[float]) -> None:
        """Count new samples that are older than our watching from their current value on."""
        ledger = self._table.ledger
        for slot in [*ledger.unseen(), *range(ledger.settled, len(values))]:
            if ledger.owners[slot] is not None and not isnan(values[slot]) and not ledger.is_new(slot):
                ledger.start_at_zero(slot, values[slot])

    def _submit_samples(
        self,
        submit: Callable[..., None],
        samples: Iterable[tuple[float, Metric | None, str | None, TaggedSeries]],
        flush: bool,
    ) -> None:
        for total, metric, bound, series in samples:
            if metric is not None and not isnan(total):
                tags = series.tags if bound is None else [*series.tags, bound]
                submit(MONOTONIC_COUNT, metric.name, total, tags, series.hostname, flush)

    def _submit_count(self, submit: Callable[..., None], context: Context, values: array[float], flush: bool) -> None:
        present = [slot for slot in context.slots if not isnan(values[slot])]
        if not present:
            return
        ledger = self._table.ledger
        total = context.closed
        for slot in context.slots:
            total += ledger.last_total(slot) if isnan(values[slot]) else values[slot] + ledger.carried[slot]
        # Rounding must not make a total fall: see `Ledger`.
        context.total = total if context.total is None else max(total, context.total)
        submit(MONOTONIC_COUNT, context.metric.name, context.total, context.tags, context.hostname, flush)

    def _submit_last_totals(self, submit: Callable[..., None]) -> None:
        """Submit the last totals again when the Agent has forgotten them, for the next ones to be compared with."""
        table = self._table
        for slot, metric in enumerate(table.metrics):
            if metric is not None:
                total = table.ledger.last_total(slot)
                submit(MONOTONIC_COUNT, metric.name, total, table.tags(slot), table.series[slot].hostname, False)
        for context in table.contexts.values():
            if context.total is not None:
                submit(MONOTONIC_COUNT, context.metric.name, context.total, context.tags, context.hostname, False)

    def _submit_gauge(self, submit: Callable[..., None], context: Context, values: array[float]) -> None:
        metric = context.metric
        present = [v for v in (values[slot] for slot in context.slots) if isfinite(v) and v not in NO_LIMIT]
        if present:
            # A family that is not mapped has no reduction: the last value wins, as it does in the Agent.
            value = reduce(metric.reduction, present) if metric.reduction is not None else present[-1]
            if isinf(value):
                # The sum of two workers' values overflowed.
                return
            submit(
                GAUGE,
                metric.name,
                get_timestamp() - value if metric.is_elapsed else value,
                context.tags,
                context.hostname,
                False,
            )

    def _forget(self, submit: Callable[..., None]) -> None:
        """Forget samples that the proxy has left out for several pages."""
        table, ledger = self._table, self._table.ledger
        gone = ledger.left_out()
        if ledger.pages % FORGET_EVERY and len(gone) * FORGET_SHARE < ledger.settled:
            return
        ledger.forget(gone, table.all_series())
        if gone:
            for metric, tags, hostname in table.closed_by(gone):
                submit(MONOTONIC_COUNT, metric.name, 0.0, tags, hostname, True)
            table.forget(gone)
        table.forget_families()

    def _is_younger_than_agent(self, values: array[float]) -> bool:
        """Tell whether this is the first page and the proxy started after the Agent."""
        if self.flush_first_value is not None or not self.use_process_start_time:
            return False
        started = self._started(values)
        agent_started = datadog_agent.get_process_start_time()
        return started is not None and agent_started is not None and started > agent_started

    def _warn_of_query(self, fault: Exception) -> None:
        self.warning(
            'A request for samples by name at %s (`?name[]=`) failed, and one for the whole page did not: %s '
            'Whole pages are requested for some time. Find what does not pass on the query, or set '
            '`filter_at_proxy: false`.',
            self.endpoint,
            fault,
        )

    def _warn_of_several_processes(self) -> None:
        self.warning(
            'Several processes take turns answering at %s. Each is tracked separately, but what a process counts '
            'before its first scrape is missed, and gauges show one process at a time. Set PROMETHEUS_MULTIPROC_DIR '
            'for a proxy with several workers, and scrape each pod directly rather than through a Service.',
            self.endpoint,
        )


def _proxy_time(response: Response) -> float:
    """Return when the proxy answered, by its clock or else by ours, in seconds since the epoch."""
    now = time.time()
    try:
        date = parsedate_to_datetime(response.headers['Date']).timestamp()
    except (KeyError, OverflowError, TypeError, ValueError):
        return now
    return date if abs(date - now) < CLOCKS_DIFFER else now
