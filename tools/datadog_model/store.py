"""Keep what Datadog keeps of the submissions of consecutive check runs: time series and service checks.

The Agent's part is `tests.support.agent_model`; this adds what happens on the way to storage. Tags are stored as
Datadog stores them: in lower case, with whatever is neither a letter, a digit nor one of `_-:./` replaced by an
underscore, at most 200 characters long (Getting Started with Tags, https://docs.datadoghq.com/getting_started/tagging/).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from tests.support.agent_model import AgentModel, Context, Flush, recorded

from datadog_checks.base import AgentCheck

__all__ = ['WITHOUT_TAG', 'Kind', 'Recorder', 'Series', 'ServiceCheckRun', 'Store', 'normalized']

Kind = Literal['count', 'gauge']

LONGEST_TAG = 200
# What groups show for a tag that a series does not have (Exclusion,
# https://docs.datadoghq.com/dashboards/functions/exclusion/).
WITHOUT_TAG = 'N/A'
_NOT_IN_A_TAG = re.compile(r'[^\w\-:./]')


@lru_cache(maxsize=65536)
def normalized(tag: str) -> str:
    """Return the tag as Datadog stores it."""
    return _NOT_IN_A_TAG.sub('_', tag.lower())[:LONGEST_TAG]


@dataclass
class Series:
    """One context of a metric: its points in the order of time."""

    name: str
    kind: Kind
    tags: frozenset[str]
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def values_of(self, key: str) -> list[str]:
        """Return the values of a tag, `N/A` without that tag."""
        prefix = f'{key}:'
        return sorted(tag.removeprefix(prefix) for tag in self.tags if tag.startswith(prefix)) or [WITHOUT_TAG]


class ServiceCheckRun(NamedTuple):
    """One submission of a service check; `status` is 0 OK, 1 warning, 2 critical, 3 unknown."""

    time: float
    status: int
    tags: frozenset[str]


class Store:
    """Time series by metric name, and runs of service checks by name. Times are seconds since 1970."""

    def __init__(self) -> None:
        self._series: defaultdict[str, dict[frozenset[str], Series]] = defaultdict(dict)
        self._service_checks: defaultdict[str, list[ServiceCheckRun]] = defaultdict(list)
        self.start: float | None = None
        self.end: float | None = None

    def names(self) -> set[str]:
        """Return the names of all metrics that have a point."""
        return set(self._series)

    def series(self, name: str) -> list[Series]:
        """Return the series of a metric, in the order in which they were first seen."""
        return list(self._series[name].values()) if name in self._series else []

    def number_of_series(self, name: str) -> int:
        return len(self._series[name]) if name in self._series else 0

    def service_checks(self, name: str) -> list[ServiceCheckRun]:
        """Return the runs of a service check in the order of time."""
        return list(self._service_checks.get(name, ()))

    def service_check_names(self) -> set[str]:
        return set(self._service_checks)

    def add(self, name: str, kind: Kind, tags: Iterable[str], time: float, value: float) -> None:
        """Add a point. Raises ValueError if the time is before that of an earlier point, or the kind another one."""
        self._advance(time)
        stored = frozenset(normalized(tag) for tag in tags)
        series = self._series[name].get(stored)
        if series is None:
            series = self._series[name][stored] = Series(name, kind, stored)
        if series.kind != kind:
            raise ValueError(f'{name} is a {series.kind}, not a {kind}')
        series.times.append(time)
        series.values.append(value)

    def add_service_check(self, name: str, status: int, tags: Iterable[str], time: float) -> None:
        """Add a run of a service check. Raises ValueError if the time is before that of an earlier point."""
        self._advance(time)
        stored = frozenset(normalized(tag) for tag in tags)
        self._service_checks[name].append(ServiceCheckRun(time, status, stored))

    def __iter__(self) -> Iterator[Series]:
        for by_tags in self._series.values():
            yield from by_tags.values()

    def take(self, series: Series) -> None:
        """Add a whole series. Raises ValueError if there is one with its name and tags."""
        if series.tags in self._series[series.name]:
            raise ValueError(f'there are two series {series.name} with the same tags')
        self._series[series.name][series.tags] = series

    def take_service_checks(self, name: str, runs: Iterable[ServiceCheckRun]) -> None:
        """Add runs of a service check, in the order of time among those that are there."""
        self._service_checks[name] = sorted([*self._service_checks[name], *runs], key=lambda run: run.time)

    def _advance(self, time: float) -> None:
        if self.end is not None and time < self.end:
            raise ValueError(f'time goes back from {self.end} to {time}')
        self.start = time if self.start is None else self.start
        self.end = time


class Recorder:
    """An Agent on one host that runs a check at given times, and the store behind it.

    The Agent adds the host to all that a check submits without one, and its own `tags`, such as `env` and `service`.
    `rewritten` may change tags on their way. Distributions are not kept: no asset asks for one.
    """

    def __init__(
        self, host: str = 'litellm-1', rewritten: Callable[[str], str] = str, tags: Iterable[str] = ()
    ) -> None:
        self.store = Store()
        self._host = host
        self.tags = tuple(tags)
        self._rewritten = rewritten
        self._now = 0.0
        self._agent = AgentModel(lambda: self._now)

    def restart(self) -> None:
        """Start the Agent anew, without what it knew of the counts of its checks."""
        self._agent = AgentModel(lambda: self._now)

    def run(self, check: AgentCheck, now: float) -> Flush:
        """Run the check once and store what the Agent flushes, as of `now`."""
        self._now = now
        with recorded() as submissions:
            error = check.run()
        flush = self._agent.commit(submissions, error)
        for context, value in flush.counts.items():
            self.store.add(context.name, 'count', self._tags(context), now, value)
        for context, value in flush.gauges.items():
            self.store.add(context.name, 'gauge', self._tags(context), now, value)
        for name, status, tags, hostname, _ in submissions.service_checks:
            self.store.add_service_check(name, status, self._with_host(tags, hostname), now)
        return flush

    def _tags(self, context: Context) -> list[str]:
        return self._with_host(context.tags, context.hostname)

    def _with_host(self, tags: Iterable[str], hostname: str) -> list[str]:
        return [*map(self._rewritten, tags), *self.tags, f'host:{hostname or self._host}']
