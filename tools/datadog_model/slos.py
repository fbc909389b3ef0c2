"""Evaluate service level objectives of good events and of bad or all events over a store.

The indicator is the sum of good events by that of all events in a window, for each group of the queries. All events are
the good and the bad ones, where an SLO names these: a group without bad events has none. What is left of the error
budget is what may still fail by what might fail at all: below 0 the objective is missed (Metric-based SLOs,
https://docs.datadoghq.com/service_level_objectives/metric/). Not modelled: objectives of monitors and of time slices,
corrections, calendar views, formulas that are more than the name of a query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .errors import AssetError
from .frames import Frame, Grid, Window
from .store import Store
from .syntax import Node, metric_queries, parse
from .timeseries import Evaluator

__all__ = ['Attainment', 'Objective', 'ServiceLevelObjective']


class Objective(NamedTuple):
    """The percentages to reach within a time frame: less than `warning` is a warning, less than `target` a miss."""

    timeframe: str
    target: float
    warning: float | None


class Attainment(NamedTuple):
    """The attainment of a group: its events, and the percentage of good ones."""

    group: tuple[str, ...]
    good: float
    total: float

    @property
    def percentage(self) -> float:
        return 100 * self.good / self.total

    def budget_left(self, objective: Objective) -> float:
        """Return the part of the error budget that is left, below 0 if more than all is spent."""
        return 1 - (100 - self.percentage) / (100 - objective.target)

    def status(self, objective: Objective) -> str:
        """Return `ok`, `warning` or `breached`."""
        if self.percentage < objective.target:
            return 'breached'
        return 'warning' if objective.warning is not None and self.percentage < objective.warning else 'ok'


@dataclass(frozen=True)
class ServiceLevelObjective:
    """An SLO, read from the body of the request that creates it."""

    name: str
    good: Node
    other: Node
    other_is_bad: bool
    objectives: tuple[Objective, ...]

    @classmethod
    def from_json(cls, definition: Mapping[str, Any]) -> ServiceLevelObjective:
        """Read an SLO. Raises AssetError or QueryError for what the model does not know, or Datadog refuses."""
        name = definition['name']
        if definition['type'] != 'metric':
            raise AssetError(f'{name}: the model knows SLOs of metrics only')
        counted = definition['sli_specification']['count']
        queries = {query['name']: parse(query['query']) for query in counted['queries']}
        for query in (one for node in queries.values() for one in metric_queries(node)):
            if query.aggregator != 'sum' or query.form != 'as_count':
                raise query.at.error('an SLO adds up counts: sum:….as_count()')
        other_is_bad = 'bad_events_formula' in counted
        parts = ('good_events_formula', 'bad_events_formula' if other_is_bad else 'total_events_formula')
        good, other = (queries[counted[part]['formula']] for part in parts)
        return cls(name, good, other, other_is_bad, tuple(_objectives(definition['thresholds'])))

    def attained(self, store: Store, window: Window) -> list[Attainment]:
        """Return what each group with events reaches in a window."""
        good, other = self._sums(self.good, store, window), self._sums(self.other, store, window)
        if good.keys != other.keys:
            raise AssetError(f'{self.name}: good events and the others have other groups')
        result = []
        for group in {**other.rows, **good.rows} if self.other_is_bad else other.rows:
            succeeded, rest = ((frame.rows.get(group) or [0.0])[0] or 0.0 for frame in (good, other))
            events = succeeded + rest if self.other_is_bad else rest
            if events:
                tags = tuple(f'{key}:{value}' for key, value in zip(good.keys, group, strict=True))
                result.append(Attainment(tags, succeeded, events))
        return result

    @staticmethod
    def _sums(node: Node, store: Store, window: Window) -> Frame:
        return Evaluator(store, {}).frame(node, Grid.whole(window))


def _objectives(thresholds: Sequence[Mapping[str, Any]]) -> Iterator[Objective]:
    for one in thresholds:
        warning = one.get('warning')
        if not 0 < one['target'] < 100 or (warning is not None and not one['target'] < warning < 100):
            raise AssetError(f'{one["timeframe"]}: a target is between 0 and 100, a warning between it and 100')
        yield Objective(one['timeframe'], one['target'], warning)
