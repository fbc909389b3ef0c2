"""Measure what is saved by each option that lets less leave the host: contexts, volume of tags, processor time.

Counted on the page of a real proxy, and on that of a busier one in which each caller is ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from unittest.mock import patch

from tests.support.agent_model import Bucket, Context, Sample, recorded
from tests.support.endpoint import serving_page

from datadog_checks.base.stubs import datadog_agent
from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.metrics import COUNTERS, GAUGES, HISTOGRAMS, PROCESS, Group
from tools.markdown import cells, render_table

from .measure import OURS, STOCK, MeasuredCheck
from .pages import NEWEST_CAPTURE, CapturedPage, busy_page, captured
from .scrapes import USUAL
from .server import PageProcess

__all__ = ['GROUPS', 'HEAD', 'Saving', 'contexts', 'contexts_of', 'groups', 'pages', 'savings', 'table']

HEAD = ('setting', 'contexts', 'remaining', 'CPU per scrape, ms', 'vs. no setting', 'vs. base package')
_CONTEXTS = ('option', 'small: contexts', 'tags', 'busy: contexts', 'tags')
GROUPS = ('group', 'metrics', 'small: contexts', 'busy')

_CALLERS = 10
_LATER_SCRAPES = 3

_LESS: Mapping[str, Mapping[str, Any]] = {
    'none': {},
    '`drop_empty_labels: true`': {'drop_empty_labels': True},
    '`exclude_personal_labels: true`': {'exclude_personal_labels': True},
    '`exclude_metric_groups: [deprecated, services]`': {'exclude_metric_groups': ['deprecated', 'services']},
    '`collect_histogram_buckets: false`': {'collect_histogram_buckets': False},
}
_ALL_OF_THESE = {option: value for options in _LESS.values() for option, value in options.items()}
# What else takes work away, or makes it.
_TIMED: Mapping[str, Mapping[str, Any]] = {
    **_LESS,
    '`exclude_metrics: [^litellm_deployment_]`': {'exclude_metrics': ['^litellm_deployment_']},
    '`histogram_buckets_as_distributions: true`': {'histogram_buckets_as_distributions': True},
    '`collect_histograms_as_distributions: true`': {'collect_histograms_as_distributions': True},
}

_PARTS = ('.bucket', '.count', '.sum')


class Saving(NamedTuple):
    """The part of one proxy's cost that an option leaves."""

    title: str
    contexts: int
    later: float
    """CPU seconds of a scrape that is not the first."""
    stock: float
    """The same, by the base package's scraper."""


def pages() -> list[str]:
    """Return the small page and the busy one."""
    page = captured(NEWEST_CAPTURE)
    return [page, busy_page(page, _CALLERS)]


def savings() -> Iterator[Saving]:
    """Measure each option on the busy page."""
    _, busy = pages()
    with PageProcess() as server:
        server.serve(partial(CapturedPage, NEWEST_CAPTURE, USUAL, _CALLERS))
        for title, options in _TIMED.items():
            ours, stock = (_cpu_seconds(scraper, server, options) for scraper in (OURS, STOCK))
            yield Saving(title, len(contexts_of(busy, options)), ours, stock)


def _cpu_seconds(scraper: str, server: PageProcess, options: Mapping[str, Any]) -> float:
    check = MeasuredCheck(scraper, server.url, options)
    check.cpu_seconds()
    later = []
    for _ in range(_LATER_SCRAPES):
        server.advance()
        later.append(check.cpu_seconds())
    return min(later)


def table(measured: Sequence[Saving]) -> str:
    """Return a row for each option; the first is for none."""
    none = measured[0]
    return render_table(
        HEAD,
        [
            (
                saving.title,
                f'{saving.contexts:,}',
                f'{saving.contexts / none.contexts:.0%}',
                f'{saving.later * 1000:.0f}',
                f'{saving.later / none.later:.2f}',
                f'{saving.later / saving.stock:.2f}',
            )
            for saving in measured
        ],
    )


def contexts_of(page: str, options: Mapping[str, Any]) -> set[Context]:
    """Return the contexts that a page has, their tags without that of the endpoint.

    A distribution has no zeros to say that it is there: it has a context once a bucket has an observation. So each
    bucket gets one.
    """
    page = _with_observations(page)
    # Of a proxy that started after the Agent, the first page has all counts, and zeros with them.
    everything = {'use_process_start_time': True, 'idle_counts': 'always'}
    long_ago = patch.object(datadog_agent, '_process_start_time', 1.0)
    with serving_page(page) as url, recorded() as submissions, long_ago:
        instance = {'openmetrics_endpoint': url, 'tag_by_endpoint': False, **everything, **options}
        error = LitellmCheck('litellm', {}, [instance]).run()
    if error:
        raise RuntimeError(error)
    submitted: Iterable[Sample | Bucket] = chain(submissions.samples, submissions.buckets)
    return {Context(one.name, frozenset(one.tags), one.hostname) for one in submitted}


def _with_observations(page: str) -> str:
    """Return a page after one observation more in each bucket of each histogram."""
    lines = []
    more = 0
    for line in page.splitlines():
        sample, _, value = line.rpartition(' ')
        name = sample.partition('{')[0]
        if name.endswith('_bucket'):
            more += 1
        elif not name.endswith('_count'):
            more = 0
        lines.append(f'{sample} {float(value) + more}\n' if more else f'{line}\n')
    return ''.join(lines)


def contexts(of_pages: Sequence[str]) -> str:
    """Return a row for each option: contexts, and kilobytes of tags, on each of the pages."""
    rows = []
    for option, options in {**_LESS, 'all of these': _ALL_OF_THESE}.items():
        cells = [cell for page in of_pages for cell in _volume(contexts_of(page, options))]
        rows.append((option, *cells))
    return render_table(_CONTEXTS, rows)


def _volume(of: set[Context]) -> tuple[str, str]:
    kilobytes = sum(len(tag.encode()) for context in of for tag in context.tags) / 1000
    return f'{len(of):,}', f'{kilobytes:,.0f} kB'


def groups(of_pages: Sequence[str], written: str) -> str:
    """Return a row for each group: what the table that is written says of it, and its contexts on each of the pages."""
    descriptions = {row[0]: row[1] for row in map(cells, written.splitlines())}
    counts = [Counter(_group_of(context.name) for context in contexts_of(page, {})) for page in of_pages]
    return render_table(
        GROUPS,
        [
            (f'`{group}`', descriptions.get(f'`{group}`', ''), *(f'{count[group]:,}' for count in counts))
            for group in Group
        ],
    )


def _group_of(metric: str) -> str | None:
    name = metric.removeprefix('litellm.')
    groups = {family.name: family.group for family in (*GAUGES.values(), *PROCESS.values())}
    # Where a name is that of a deprecated family as well, these pages have the other one.
    counted = [*COUNTERS.values(), *HISTOGRAMS.values()]
    groups |= {family.name: family.group for family in sorted(counted, key=lambda one: one.group != Group.DEPRECATED)}
    stem = next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)
    return groups.get(name) or groups.get(stem)
