"""The scraper that counts exactly, at a fraction of the work: fetch a page, judge it, and hand over what happened.

A page passes through five rooms. `exposition` splits its bytes into lines, `recognition` finds those that differ from
the page before, `samples` knows what each of them means, `ledger` works out what happened, and `submission` tells the
Agent.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, MutableMapping
from math import isnan
from typing import Any

from requests import Response

from datadog_checks.base.agent import datadog_agent

from ..metrics import CONTEXTS_DROPPED
from ..options import Options
from ..page.ledger import Ledger, Times
from ..page.limit import ContextLimit
from ..page.recognition import Reading
from ..page.samples import SampleTable
from ..page.slots import UNWANTED
from ..transport.dates import answered_at
from ..transport.errors import as_error_of_answer, explain, explain_bad_lines, is_refused
from ..transport.redirects import NOT_REDIRECTED
from .base import LitellmScraper
from .left_to_base import leave_to_base
from .selection import Process, Selection
from .submission import IdleCounts, Submission
from .telemetry import Telemetry
from .warnings import (
    alternating_levels,
    contexts_dropped,
    families_failed,
    query_in_vain,
    repeated_samples,
    several_processes,
    unlimited_budgets,
)

__all__ = ['ExactScraper']

# Forgetting looks through all series, so it waits until a tenth of them can go, or for this many pages.
FORGET_SHARE = 10
FORGET_EVERY = 10


class ExactScraper(LitellmScraper):
    """Scrape a LiteLLM proxy so that each context counts exactly what happened at the proxy."""

    def __init__(self, check: Any, config: MutableMapping[str, Any], options: Options) -> None:
        super().__init__(check, config, options)
        self._telemetry = Telemetry(self) if self.take_telemetry() else None
        most = options.max_contexts
        self._table = SampleTable(
            self.rules, tells_unwanted=self._telemetry is not None, tells_contexts=most is not None
        )
        self._ledger = Ledger(self._table.slots)
        self._submission = Submission(check, self._table.slots, IdleCounts(options.idle_counts))
        self._limit = None if most is None else ContextLimit(self._table, most)
        self._selection = Selection(self.address.url, options.filter_at_proxy and bool(options.exclude_metric_groups))
        # When the run before asked for a page in vain, and whether nothing listened there.
        self._failed_at: float | None = None
        self._was_refused = False

    def read_and_submit(self) -> None:
        fault = self._selection.scrape(lambda: self.read_page(self._scrape_once))
        if fault is not None:
            self.warning(query_in_vain(explain(fault, NOT_REDIRECTED), self.endpoint))

    def _scrape_once(self) -> None:
        asked = time.monotonic()
        bad_lines: Counter[str] = Counter()
        try:
            with self.ask() as response:
                times = Times(asked, time.monotonic(), answered_at(response))
                reading = self._table.read_page(
                    self._lines(response, bad_lines),
                    bad_lines,
                    may_pass=not self._ledger.processes_take_turns,
                )
            if self._selection.is_used:
                self._selection.verify(self._table.metrics_with_samples(reading), self._process(reading))
            families = self._selection.families_of_proxy(self._table.families_on_page)
            has_samples = self._table.passing.lines > 0 or any(not reading.absent[slot] for slot in reading.order)
            self.judge_page(map(self.rules.trimmed, families), has_samples=has_samples)
        except Exception as error:  # noqa: BLE001, it is raised again
            # Who refuses behind a redirect is somebody else.
            self._failed_at = asked
            self._was_refused = is_refused(error) and not self._client.redirects.hops
            self._table.forget_new()
            raise as_error_of_answer(error) from None
        if bad_lines:
            self.warning(explain_bad_lines(bad_lines))
        if repeated := len(reading.repeated) + self._table.passing.repeated:
            self.warning(repeated_samples(repeated, self.endpoint))
        self._hand_over(reading, times, sum(bad_lines.values()) + self._table.unlearned)
        self._forget()

    def totals(self) -> Counter[str]:
        """Return what the counts of each metric on the last page amount to since the proxy started."""
        totals: Counter[str] = Counter()
        slots = self._table.slots
        for kind, series, value in zip(slots.kinds, slots.series, slots.last, strict=True):
            is_wanted = series is not None and series.tags is not UNWANTED
            if kind.is_count and kind.metric is not None and is_wanted and not isnan(value):
                totals[kind.metric.name] += value  # type: ignore[assignment]
        return totals

    def ask(self) -> Response:
        """Request the page, or only the part of it that is submitted."""
        return self.get_connection(params=self._selection.query)

    def _lines(self, response: Response, bad_lines: Counter[str]) -> Iterator[list[bytes]]:
        batches = self.lines_of(response, bad_lines)
        telemetry, is_unwanted = self._telemetry, self.unwanted_lines()
        if telemetry is not None:
            batches = telemetry.receive(response, batches)
        if is_unwanted is not None:
            batches = ([line for line in lines if not is_unwanted(line)] for lines in batches)
        return batches if telemetry is None else telemetry.read(batches)

    def _hand_over(self, reading: Reading, times: Times, unread: int) -> None:
        """Submit what happened since the page before, and make this the last one."""
        table, ledger = self._table, self._ledger
        started = table.started(reading)
        are_tagged_anew = table.share_labels(reading)
        are_tagged_anew |= table.withhold_learned()
        if self._limit is not None:
            self._limit.apply(reading, anew=are_tagged_anew)
            dropped = self._limit.dropped()
            self.gauge(CONTEXTS_DROPPED, dropped.total(), tags=list(self.tags))
            if dropped:
                self.warning(contexts_dropped(dropped, self.endpoint))
        with_history = not ledger.pages and self._counts_history(started)
        increments = ledger.settle(
            reading,
            times,
            unread=unread,
            started=started,
            failed_at=self._failed_at,
            is_whole=self._selection.query is None,
            with_history=with_history,
            is_new_proxy=self._was_refused,
            reveals=table.reveals,
        )
        if self._selection.is_wanted:
            self._select(self._process(reading), table.metrics_with_samples(reading))
        table.accept(reading)
        self._submission.submit_counts(increments, reading, times.answered, with_history)
        passing = table.passing.samples.values() if self._limit is None else self._limit.passing
        self._submission.submit_passing(passing, count_in_full=ledger.new_counts_in_full)
        unlimited = self._submission.submit_gauges(table.gauges, reading)
        if self._telemetry is not None:
            self._telemetry.submit(table.slots, reading)
        if unlimited:
            self.warning(unlimited_budgets(unlimited, self.endpoint))
        if ledger.several_processes:
            self.warning(several_processes(self.endpoint))
        if ledger.levels_alternate:
            self.warning(alternating_levels(self.endpoint))
        left = table.families_left_to_base(reading)
        errors = leave_to_base(self, left, with_history=with_history or bool(self.flush_first_value))
        if errors:
            self.warning(families_failed(errors, self.endpoint))

    def _process(self, reading: Reading) -> Process:
        return Process(self._table.started(reading), self._table.cpu_seconds(reading))

    def _select(self, process: Process, present: set[str]) -> None:
        """Decide from this page what to request next."""
        if self._selection.query is None:
            samples = self._table.wanted_samples()
            self._selection.read_whole(self._table.families_on_page, present, samples, process)
        else:
            self._selection.read_selected(present, process)

    def _forget(self) -> None:
        """Forget samples that the proxy has left out for several pages."""
        table, ledger = self._table, self._ledger
        gone = ledger.left_out()
        if ledger.pages % FORGET_EVERY and gone.count(1) * FORGET_SHARE < table.slots.samples:
            return
        ledger.forget_parked(table.all_series(), gone)
        if 1 in gone:
            table.forget(gone, take_turns=ledger.processes_take_turns)
            ledger.forget(gone, table.forgotten_until)
        table.forget_families()

    def _counts_history(self, started: float | None) -> bool:
        """Tell whether the proxy started after the Agent, and options ask for what it had counted before."""
        if self.flush_first_value is not None or not self.use_process_start_time:
            return bool(self.flush_first_value)
        agent_started = datadog_agent.get_process_start_time()
        return started is not None and agent_started is not None and started > agent_started
