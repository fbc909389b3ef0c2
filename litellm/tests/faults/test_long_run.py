"""Increments add up: over 10,000 pages the sum of what was sent is what happened, restarts of the proxy or not."""

from __future__ import annotations

import random
from collections import defaultdict
from math import fsum

import pytest

from datadog_checks.litellm import LitellmCheck
from tests.support.agent_model import Context, recorded
from tests.support.simulated_proxy import Clock, PageServer
from tests.support.watch import LATENCY, REQUESTS

SPEND = 'litellm_spend_metric'
PAGES = 10_000
# After how many pages the proxy starts over.
RESTART = 997
MODELS = ('a', 'b', 'c')
BOUNDS = (0.5, 2.0)


class Counted:
    """The counts of one model, as a page shows them."""

    def __init__(self, choice: random.Random) -> None:
        # A proxy that has been up for long: what a page adds is small beside it.
        self.requests = float(choice.randrange(10**9))
        self.dollars = choice.random() * 1e6
        self.seconds = choice.random() * 1e8
        self.buckets = [float(choice.randrange(10**8))] * 2

    def restart(self) -> None:
        self.requests = self.dollars = self.seconds = 0.0
        self.buckets = [0.0] * 2

    def move(self, choice: random.Random) -> None:
        duration = choice.expovariate(1.0)
        self.requests += 1
        self.dollars += choice.random() * 1e-4
        self.seconds += duration
        self.buckets = [count + (duration <= bound) for count, bound in zip(self.buckets, BOUNDS, strict=True)]

    def values(self, model: str) -> dict[Context, float]:
        tag = f'model:{model}'
        values = {
            Context('litellm.proxy.total_requests.metric.count', frozenset({tag})): self.requests,
            Context('litellm.spend.metric.count', frozenset({tag})): self.dollars,
            Context('litellm.request.total_latency.metric.count', frozenset({tag})): self.requests,
            Context('litellm.request.total_latency.metric.sum', frozenset({tag})): self.seconds,
        }
        for bound, count in zip(BOUNDS, self.buckets, strict=True):
            tags = frozenset({tag, f'upper_bound:{bound}'})
            values[Context('litellm.request.total_latency.metric.bucket', tags)] = count
        return values


def page_of(counted: dict[str, Counted]) -> str:
    requests, dollars, latency = [], [], []
    for model, one in counted.items():
        labels = f'model="{model}"'
        requests.append(f'{REQUESTS}_total{{{labels}}} {one.requests!r}\n')
        dollars.append(f'{SPEND}_total{{{labels}}} {one.dollars!r}\n')
        buckets = zip((*BOUNDS, '+Inf'), (*one.buckets, one.requests), strict=True)
        latency += [f'{LATENCY}_bucket{{le="{bound}",{labels}}} {count!r}\n' for bound, count in buckets]
        latency.append(f'{LATENCY}_count{{{labels}}} {one.requests!r}\n{LATENCY}_sum{{{labels}}} {one.seconds!r}\n')
    families = ((REQUESTS, 'counter', requests), (SPEND, 'counter', dollars), (LATENCY, 'histogram', latency))
    return ''.join(f'# TYPE {name} {type_}\n{"".join(lines)}' for name, type_, lines in families)


def values_of(counted: dict[str, Counted]) -> dict[Context, float]:
    return {context: value for model, one in counted.items() for context, value in one.values(model).items()}


@pytest.mark.parametrize('restarts', [False, True], ids=['one process', 'restarts'])
def test_what_ten_thousand_pages_sent_is_what_happened(restarts: bool) -> None:
    choice, clock = random.Random(0), Clock()
    counted = {model: Counted(choice) for model in MODELS}
    first, happened = values_of(counted), defaultdict[Context, list[float]](list)
    sent: defaultdict[Context, list[float]] = defaultdict(list)
    with PageServer() as server:
        instance = {'openmetrics_endpoint': server.url, 'collect_readiness': False, 'tag_by_endpoint': False}
        check = LitellmCheck('litellm', {}, [instance])
        for page in range(PAGES):
            server.page = page_of(counted)
            clock.advance(15)
            with clock.is_the_time(), recorded() as submissions:
                assert not check.run()
            for sample in submissions.samples:
                if sample.type == 'count':
                    sent[Context(sample.name, frozenset(sample.tags))].append(sample.value)
            last = values_of(counted)
            if restarts and page % RESTART == RESTART - 1:
                for context, value in last.items():
                    happened[context].append(value - first[context])
                    first[context] = 0.0
                for one in counted.values():
                    one.restart()
            for one in counted.values():
                if choice.random() < 0.5:
                    one.move(choice)
    for context, value in last.items():
        happened[context].append(value - first[context])

    assert min(map(min, sent.values())) == 0
    assert {context: fsum(increments) for context, increments in sent.items()} == {
        context: pytest.approx(fsum(eras), rel=1e-9) for context, eras in happened.items()
    }
