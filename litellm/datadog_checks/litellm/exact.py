"""The scraper that counts exactly, at a fraction of the work.

A page runs through three modules: `exposition` makes lines of its bytes, `samples` knows what each line means, `ledger`
turns raw values into totals that grow by what took place. Here the totals are submitted, with what the Agent needs to
make the same of them.

The Agent flushes the difference between the two last values of a monotonic count. Of a context that it does not know it
flushes the value itself if `flush_first_value` says so, and nothing otherwise. A context that the proxy has left for
good is submitted once more as 0, so that nothing in the Agent's memory can swallow what the context counts when it
comes back.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import partial, reduce
from itertools import islice
from math import isfinite, isinf, isnan
from typing import Any

from requests import Response
from requests.exceptions import HTTPError

from datadog_checks.base import is_affirmative
from datadog_checks.base.agent import aggregator, datadog_agent
from datadog_checks.base.utils.time import get_timestamp

from .exposition import read_lines
from .failures import TruncatedPageError, explain_bad_lines
from .ledger import CLOCKS_DIFFER
from .limit import ContextLimit
from .names import CONTEXTS_DROPPED, NO_LIMIT, START_TIME
from .samples import Context, Metric, SampleTable, TaggedSeries
from .scraper import LitellmScraper
from .selection import Selection
from .transfer import read_body

__all__ = ['ExactScraper']

GAUGE, MONOTONIC_COUNT = aggregator.GAUGE, aggregator.MONOTONIC_COUNT

OPENMETRICS = 'application/openmetrics-text'

# The Agent remembers a monotonic count for a day and an hour after it was submitted last.
AGENT_REMEMBERS = 24 * 3600.0

# What servers answer to a URL that is too long for them.
QUERY_REFUSED = frozenset({400, 414, 431})

# So many metrics of which contexts are dropped are named in a warning.
DROPPED_NAMED = 10

# Forgetting numbers all slots anew, so it waits until it is worth it: a tenth of the slots, or this many pages.
FORGET_SHARE = 10
FORGET_EVERY = 10


class ExactScraper(LitellmScraper):
    """Scrape a LiteLLM proxy so that each context's count is what took place at the proxy."""

    def __init__(self, check: Any, config: Mapping[str, Any]) -> None:
        super().__init__(check, config)
        self._table = SampleTable(self.rules)
        most = config.get('max_contexts')
        self._limit = None if most is None else ContextLimit(self._table, int(most))
        selects = bool(config.get('exclude_metric_groups')) and is_affirmative(config.get('filter_at_proxy', True))
        self._selection = Selection(self.endpoint, selects)
        self._failed_at: float | None = None

    def _scrape(self) -> None:
        asked_at = time.monotonic()
        bad_lines: Counter[str] = Counter()
        try:
            with self.ask() as response:
                answered_at, date = time.monotonic(), _proxy_time(response)
                values = self._table.read_page(self._lines(response, bad_lines), bad_lines)
            if not self._table.is_ended and response.headers.get('Content-Type', '').startswith(OPENMETRICS):
                raise TruncatedPageError('the page has no end; nothing of it was submitted')
            families = self._selection.families_of_proxy(self._table.families_on_page)
            self.judge_page(map(self.rules.trimmed, families))
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
        """Ask for the page, or for the part of it that is submitted."""
        query = self._selection.query
        if query is None:
            return self.get_connection()
        try:
            return self.get_connection(params=query)
        except HTTPError as error:
            if error.response.status_code not in QUERY_REFUSED:
                raise
        # It was the query if the same request without it is answered.
        response = self.get_connection()
        self._selection.refuse()
        return response

    def _select(self, values: array[float]) -> None:
        """Let a page tell what to ask for next."""
        started = self._table.value_of(START_TIME[0].encode(), values)
        if self._selection.query is None:
            self._selection.read_whole(self._table.families_on_page, self._table.wanted_samples(), started)
        else:
            self._selection.read_selected(started)

    def _lines(self, response: Response, bad_lines: Counter[str]) -> Iterator[list[bytes]]:
        batches = read_lines(read_body(response, self.page_limits), bad_lines)
        if self.raw_line_filter is None:
            return batches
        wanted = self.raw_line_filter.search
        return ([line for line in lines if not wanted(line.decode('utf-8', 'replace'))] for lines in batches)

    def _submit_page(self, values: array[float], date: float, now: float, is_whole: bool) -> None:
        table, ledger = self._table, self._table.ledger
        submit = self._submitter()
        if ledger.pages and now - ledger.page_answered_at > AGENT_REMEMBERS:
            self._submit_last_totals(submit)
        if self._limit is not None:
            self._apply_limit(self._limit, submit, values)

        series = list(table.all_series())
        since = now if self._failed_at is None else self._failed_at
        ledger.recognize(series, values, date, now, since, is_whole)

        # A first page is where counting starts, which the Agent is told by `flush_first_value`, unless some of it came
        # to be while we waited for the proxy. From then on every new count says itself what it starts from.
        is_start = not ledger.pages and not any(map(ledger.is_young, series))
        flush_known = bool(self.flush_first_value) or self._is_younger_than_agent(values)
        flush_new = flush_known if is_start else True
        if not is_start:
            self._start_new_samples(values)

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
        """Hold contexts back beyond `max_contexts`, and say so."""
        for metric, tags, hostname in limit.apply(values):
            submit(MONOTONIC_COUNT, metric.name, 0.0, tags, hostname, False)
        dropped = limit.dropped()
        self.gauge(CONTEXTS_DROPPED, dropped.total(), tags=list(self.tags))
        if dropped:
            self.warning(
                '%d contexts of %s are not sent, as `max_contexts` allows no more. They belong to %s%s. Raise the '
                'limit, or leave out labels or metrics that nobody looks at, with `exclude_personal_labels`, '
                '`exclude_metric_groups` or `collect_histogram_buckets: false`.',
                dropped.total(),
                self.endpoint,
                ', '.join(f'{metric} ({contexts})' for metric, contexts in dropped.most_common(DROPPED_NAMED)),
                ', …' if len(dropped) > DROPPED_NAMED else '',
            )

    def _start_new_samples(self, values: array[float]) -> None:
        """Let samples that were never seen, but are older than our watching, count from now on."""
        ledger = self._table.ledger
        for slot in [*ledger.unseen(), *range(ledger.settled, len(values))]:
            if ledger.owners[slot] is not None and not isnan(values[slot]) and not ledger.is_new(slot):
                ledger.start_at_zero(slot, values[slot])

    def _submitter(self) -> Callable[..., None]:
        """Return what takes (type, name, value, tags, hostname, flush_first_value) to the Agent."""
        check = self.check
        if check.metric_limiter:

            def submit(type_: int, name: str, value: float, tags: list[str], hostname: str, flush: bool) -> None:
                check._submit_metric(
                    type_, name, value, tags=tags, hostname=hostname, raw=True, flush_first_value=flush
                )

            return submit
        # All that the check's own methods do to a name, tags and hostname was done when the sample was learned.
        # A base that discovers configurations collects their metrics elsewhere.
        receiver = check._aggregator() if hasattr(check, '_aggregator') else aggregator
        return partial(receiver.submit_metric, check, check.check_id)

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
        """Remind the Agent of the totals that the next ones go on from, after so long that it has forgotten them."""
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
            # A family that is not LiteLLM's has no reduction: as in the Agent, the value submitted last stays.
            value = reduce(metric.reduction, present) if metric.reduction is not None else present[-1]
            if isinf(value):
                # The sum of what two workers say, if that is more than there are numbers for.
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
        """Forget what the proxy has left out for several pages."""
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
        """Tell whether, on the first page, the proxy says that it started after the Agent did."""
        if self.flush_first_value is not None or not self.use_process_start_time:
            return False
        started = self._table.value_of(START_TIME[0].encode(), values)
        agent_started = datadog_agent.get_process_start_time()
        return started is not None and agent_started is not None and started > agent_started

    def _warn_of_several_processes(self) -> None:
        self.warning(
            'Several processes answer in turn at %s. Each is followed on its own, but what a process counts before '
            'its first scrape is not seen, and gauges show one process at a time. Set PROMETHEUS_MULTIPROC_DIR for '
            'a proxy with several workers, and scrape pods one by one instead of through a Service.',
            self.endpoint,
        )


def _proxy_time(response: Response) -> float:
    """Return the time of the answer on the proxy's clock, or on ours when it tells none: seconds since the epoch."""
    now = time.time()
    try:
        date = parsedate_to_datetime(response.headers['Date']).timestamp()
    except (KeyError, OverflowError, TypeError, ValueError):
        return now
    return date if abs(date - now) < CLOCKS_DIFFER else now
