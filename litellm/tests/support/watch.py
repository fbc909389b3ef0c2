"""The check at a simulated proxy, with the Agent around it, and the truth to hold what it flushes against.

Steps are what a random history is made of: Hypothesis draws them, `play_step` lets one happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm.metrics import COUNTERS, HISTOGRAMS
from tests.support.agent_model import AgentModel, Context, Flush
from tests.support.simulated_proxy import Cut, Fault, Labels, SimulatedProxy, Status

__all__ = [
    'LATENCY',
    'REQUESTS',
    'TOKENS',
    'WORKERS',
    'TagsOf',
    'Watch',
    'durations',
    'every_label',
    'only',
    'play_step',
    'series',
    'steps',
    'true_counts',
]

REQUESTS = 'litellm_proxy_total_requests_metric'
TOKENS = 'litellm_total_tokens_metric'
LATENCY = 'litellm_request_total_latency_metric'

Tags = frozenset[str]
TagsOf = Callable[[Labels], Tags | None]


class Watch:
    """A check that watches a simulated proxy, and the Agent around it."""

    def __init__(self, proxy: SimulatedProxy, check_class: type[OpenMetricsBaseCheckV2], **options: Any) -> None:
        self.proxy = proxy
        self.agent = AgentModel(proxy.clock.now)
        instance = {'openmetrics_endpoint': proxy.url, 'tag_by_endpoint': False, **options}
        self._make = partial(check_class, 'litellm', {}, [instance])
        self.check = self._make()
        self.warnings: list[str] = []

    def reschedule(self) -> None:
        """Replace the check object by a new one with the same id: it meets what the Agent has kept for the old one."""
        self.check = self._make()

    def scrape(self, worker: int = 0, fault: Fault | None = None) -> Flush:
        """Let the Agent run the check 15 seconds after what was last, answered by this worker or in this wrong way.

        A check that was answered in a wrong way may ask again, also for the whole page: a fault lasts as long as the
        run.
        """
        self.proxy.clock.advance(15)
        self.proxy.answering = worker
        if fault:
            self.proxy.faults.extend([fault] * 3)
        with self.proxy.clock.is_the_time():
            flush = self.agent.run(self.check)
        if fault:
            self.proxy.faults.clear()
        self.warnings += self.check.get_warnings()
        assert all(value >= 0.0 for value in flush.counts.values()), 'a count cannot fall'
        if flush.error:
            self.proxy.failed()
        return flush

    def scrape_after(self, requests: float, worker: int = 0, **labels: str) -> None:
        """Let a worker answer so many requests, of the model `a` unless labels are given, and then a scrape."""
        self.proxy.count(REQUESTS, requests, worker, **(labels or {'model': 'a'}))
        self.scrape(worker)

    def fail(self, fault: Fault | None = None) -> None:
        """Let a scrape fail: in this way, or because nobody listens."""
        assert self.scrape(fault=fault).error, 'this scrape should have failed'

    def counts(self) -> dict[Context, float]:
        """Return what the Agent has flushed of each count in all."""
        return {context: total for context, total in self.agent.count_totals.items() if total}

    def requests(self) -> float:
        """Return how many requests the Agent has flushed in all."""
        name = f'litellm.{COUNTERS[REQUESTS].name}.count'
        return sum(total for context, total in self.agent.count_totals.items() if context.name == name)


def every_label(labels: Labels) -> Tags:
    return frozenset(f'{name}:{value}' for name, value in labels)


def only(*names: str) -> TagsOf:
    return lambda labels: every_label(tuple(label for label in labels if label[0] in names))


def true_counts(proxy: SimulatedProxy, tags_of: TagsOf, later: float = 0.0) -> dict[Context, float]:
    """Return the events of each count's context; `tags_of` tells a series' tags, or None if it is not collected.

    The watch is taken to begin so many seconds `later`.
    """
    totals: defaultdict[Context, float] = defaultdict(float)
    for (family, labels), events in proxy.visible_events(later).items():
        tags = tags_of(labels)
        if tags is None:
            continue
        for suffix, amount in events.items():
            part, _, bound = suffix.partition('|')
            if part == '_total':
                totals[Context(f'litellm.{COUNTERS[family].name}.count', tags)] += amount
            elif part != '_bucket':
                totals[Context(f'litellm.{HISTOGRAMS[family].name}.{part[1:]}', tags)] += amount
            elif bound != '+Inf':
                bounded = tags | {f'upper_bound:{float(bound)}'}
                totals[Context(f'litellm.{HISTOGRAMS[family].name}.bucket', bounded)] += amount
    return {context: total for context, total in totals.items() if total}


MODELS = ('a', 'b')
KEYS = ('1', '2', '3')
WORKERS = 3

workers = st.integers(0, WORKERS - 1)
series = st.tuples(st.sampled_from(MODELS), st.sampled_from(KEYS))
# Multiples of 1/16, so that sums are exact whatever the order of additions.
durations = st.integers(0, 160).map(lambda sixteenths: sixteenths / 16)
faults = st.one_of(
    st.builds(Status, st.sampled_from([401, 404, 500, 503])),
    st.builds(Cut, st.floats(0, 0.99), st.sampled_from(['content-length', 'chunked'])),
)
steps = st.one_of(
    st.tuples(st.just('count'), workers, series, st.integers(1, 60)),
    st.tuples(st.just('observe'), workers, series, durations),
    st.tuples(st.just('forget'), workers, series),
    st.tuples(st.just('restart'), workers),
    st.tuples(st.just('scrape'), workers),
    st.tuples(st.just('scrape'), workers),
    st.tuples(st.just('fail'), faults),
)


def play_step(proxy: SimulatedProxy, watch: Watch, step: Any) -> None:
    match step:
        case 'count', worker, (model, key), amount:
            proxy.count(REQUESTS, amount, worker, model=model, key=key)
        case 'observe', worker, (model, key), duration:
            proxy.observe(LATENCY, duration, worker, model=model, key=key)
        case 'forget', worker, (model, key) if proxy.has(REQUESTS, worker, model=model, key=key):
            proxy.forget(REQUESTS, worker, model=model, key=key)
        case 'restart', worker:
            proxy.restart(worker)
        case 'scrape', worker:
            watch.scrape(worker)
        case 'fail', fault:
            watch.fail(fault)
