"""Fleets: what one recorded proxy did, as if many pods of a deployment had done it, beside others.

Nothing runs for it: a recording is copied, with other tags. Every pod `repeats` what the recorded one did, so that the
fleet has that many times its traffic, or they `share` it: then what is counted in a run of the check falls to one pod,
and the next to another. Gauges and service checks are those of the recorded pod on all of them, so faults of the
service, not of a pod, is what this shows.

A recording with so few requests that it takes minutes may also stand for a service with many (`enlarged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from tools.datadog_model import Series, Store
from tools.datadog_model.store import ServiceCheckRun
from tools.metadata import metadata_rows

__all__ = ['Pods', 'enlarged', 'fleet']

_REPLACED = ('endpoint', 'health_endpoint', 'host')


@dataclass(frozen=True)
class Pods:
    """Some pods of one service in one environment, all like a recorded one; `tags` replace what it has."""

    number: int
    load: Literal['repeated', 'shared'] = 'repeated'
    tags: Mapping[str, str] | None = None

    def tags_of(self, tags: frozenset[str], pod: int) -> frozenset[str]:
        """Return the tags of the recorded pod as those of another one."""
        result: set[str] = set()
        for tag in tags:
            key, _, value = tag.partition(':')
            if self.tags and key in self.tags:
                value = self.tags[key]
            result.add(f'{key}:{_address(value, pod)}' if key in _REPLACED else f'{key}:{value}')
        return frozenset(result)


def fleet(recorded: Iterable[tuple[Store, Pods]]) -> Store:
    """Return what all these pods together have submitted. Raises ValueError if two of them cannot be told apart."""
    result = Store()
    for store, pods in recorded:
        for series in store:
            for pod in range(pods.number):
                copy = _copy(series, pods, pod)
                if copy.times:
                    result.take(copy)
        for name in store.service_check_names():
            runs = store.service_checks(name)
            result.take_service_checks(
                name,
                [
                    ServiceCheckRun(run.time, run.status, pods.tags_of(run.tags, pod))
                    for run in runs
                    for pod in range(pods.number)
                ],
            )
    return result


def enlarged(store: Store, times: int) -> Store:
    """Return what was submitted if each request had come that many times, with budgets to match.

    Other gauges are as they were.
    """
    result = Store()
    for series in store:
        values = series.values
        if series.kind != 'gauge' or metadata_rows().get(series.name, {}).get('unit_name') == 'dollar':
            values = [times * value for value in values]
        result.take(Series(series.name, series.kind, series.tags, series.times, values))
    for name in store.service_check_names():
        result.take_service_checks(name, store.service_checks(name))
    return result


def _address(value: str, pod: int) -> str:
    return value if pod == 0 else f'{value}-pod-{pod}'


def _copy(series: Series, pods: Pods, pod: int) -> Series:
    tags = pods.tags_of(series.tags, pod)
    if series.kind == 'gauge' or pods.load == 'repeated':
        # The points are the same ones: forty pods take no more memory than one.
        return Series(series.name, series.kind, tags, series.times, series.values)
    mine = range(len(series.times))[pod :: pods.number]
    return Series(
        series.name,
        series.kind,
        tags,
        [series.times[index] for index in mine],
        [series.values[index] for index in mine],
    )
