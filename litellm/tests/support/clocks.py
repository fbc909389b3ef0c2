"""Random histories in which clocks are wrong and are set, answers are late or out of a cache, and `Date` is anything.

Hypothesis draws the steps, `play` lets them happen to a check at a simulated proxy, and `counts_between` tells
which counts are not what they have to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from tests.support.agent_model import Context
from tests.support.simulated_proxy import SimulatedProxy
from tests.support.watch import Watch, durations, only, play_step, series, true_counts

__all__ = [
    'ANY_CLOCK',
    'CACHES',
    'HONEST_CLOCKS',
    'SKEWS',
    'counts_between',
    'play',
    'skews',
    'steps_of',
]

HOUR, DAY = 3600.0, 86_400.0

SKEWS = (-400 * DAY, -25 * HOUR, -HOUR, -60.0, -5.0, 0.0, 5.0, 60.0, HOUR, 25 * HOUR, 400 * DAY)

DATES: tuple[list[str] | None, ...] = (
    None,
    [],
    ['Sat, 28 Nov 2026 10:00:00 -0000'],
    ['Sat, 28 Nov 2026 10:00:00'],
    ['Sat, 28 Nov 2026 10:00:00 +1400'],
    ['Sat Nov 28 10:00:00 2026'],
    ['Sat, 28 Nov 2026 10:00:00 GMT', 'Sat, 28 Nov 2020 10:00:00 GMT'],
    ['soon'],
    ['Mon, 01 Jan 0001 00:00:00 +0100'],
    ['Fri, 31 Dec 9999 23:59:59 GMT'],
)

# What happens while all clocks of proxies go right, however wrong they are, and what happens to clocks and dates.
HONEST_CLOCKS = ('delay', 'set the Agent')
ANY_CLOCK = (*HONEST_CLOCKS, 'set', 'set the gateway', 'dates')
CACHES = ('fill the cache', 'scrape the cache')

skews = st.sampled_from(SKEWS)
delays = st.sampled_from((0.0, 0.0, 0.5, 4.0, 20.0))


def steps_of(workers: int, *kinds: str) -> st.SearchStrategy[list[Any]]:
    """Draw what happens to so many workers, and steps of these kinds."""
    worker = st.integers(0, workers - 1)
    rounds = st.tuples(st.just('scrape all'), st.permutations(range(workers)))
    always = [
        st.tuples(st.just('count'), worker, series, st.integers(1, 60)),
        st.tuples(st.just('observe'), worker, series, durations),
        st.tuples(st.just('forget'), worker, series),
        st.tuples(st.just('wait'), st.sampled_from((1.0, 100.0, HOUR, 30 * HOUR))),
        rounds,
        rounds,
    ]
    chosen = {
        'restart': st.tuples(st.just('restart'), worker),
        'scrape': st.tuples(st.just('scrape'), worker),
        'delay': st.tuples(st.just('delay'), delays, delays),
        'set the Agent': st.tuples(st.just('set the Agent'), skews),
        'set': st.tuples(st.just('set'), worker, skews),
        'set the gateway': st.tuples(st.just('set the gateway'), skews),
        'dates': st.tuples(st.just('dates'), st.sampled_from(DATES)),
        'fill the cache': st.tuples(st.just('fill the cache'), worker),
        'scrape the cache': st.tuples(st.just('scrape the cache')),
    }
    return st.lists(st.one_of(*always, *(chosen[kind] for kind in kinds)), min_size=20, max_size=40)


def play(proxy: SimulatedProxy, watch: Watch, steps: Iterable[Any]) -> None:
    """Let steps happen to a check at a simulated proxy."""
    for step in steps:
        match step:
            case 'scrape all', order:
                for worker in order:
                    watch.scrape(worker)
            case 'wait', seconds:
                proxy.clock.advance(seconds)
            case 'delay', to_render, to_send:
                proxy.seconds_to_render, proxy.seconds_to_send = to_render, to_send
            case 'set', worker, seconds:
                proxy.step_clocks(seconds, worker)
            case 'set the Agent', seconds:
                proxy.clock.step(seconds)
            case 'set the gateway', seconds:
                proxy.gateway_ahead = seconds
            case 'dates', dates:
                proxy.dates = dates
            case 'fill the cache', worker:
                proxy.fill_cache(worker)
            case ('scrape the cache',):
                proxy.answers_from_cache = True
                watch.scrape()
                proxy.answers_from_cache = False
            case _:
                play_step(proxy, watch, step)


def counts_between(proxy: SimulatedProxy, watch: Watch, *, earlier: float, later: float) -> dict[Context, str]:
    """Return the counts that are not between what happened if the watch had begun that much later, or earlier."""
    every = only('model', 'key')
    least, most = true_counts(proxy, every, later), true_counts(proxy, every, -earlier)
    counts = watch.counts()
    return {
        context: f'{least.get(context, 0)} <= {counts.get(context, 0)} <= {most.get(context, 0)}'
        for context in counts.keys() | most.keys()
        if not least.get(context, 0) <= counts.get(context, 0) <= most.get(context, 0)
    }
