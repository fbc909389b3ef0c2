"""Leave a family to the base package, which alone can submit it: a `rate`, a service check, metadata of the proxy.

These are the types that only `metrics` and `extra_metrics` can give to a family. Its samples are those that were read
from the page, and its labels are already those that may leave. The base package then does what it does with any family.
Where it makes counts of them, they are as exact as its counts are: see `stock`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from prometheus_client import Metric as PrometheusFamily
from prometheus_client.samples import Sample

from ..base_package import AdaptedScraper, mapped_metrics
from ..mapping.rules import is_left_to_base
from ..metrics import NO_LIMIT, gauge_reduction
from ..page.family_types import CUMULATIVE_TYPES

__all__ = ['leave_to_base', 'limitless_types', 'merge_equal']

# Types that make no contexts.
_WITHOUT_CONTEXTS = frozenset({'metadata', 'service_check'})


def limitless_types(config: Mapping[str, Any]) -> list[str]:
    """Return the types in `metrics` and `extra_metrics` of which no `max_contexts` can limit the contexts."""
    types = {metric.type for _, metric in mapped_metrics(config)}
    return sorted(filter(is_left_to_base, types - _WITHOUT_CONTEXTS))


def leave_to_base(scraper: AdaptedScraper, families: Iterable[PrometheusFamily], *, with_history: bool) -> list[str]:
    """Submit families as the base package does. With history, what counts are at first has happened just now.

    Return the names of the kinds of errors that this has led to. A family that leads to one costs no other.
    """
    errors = []
    for family in families:
        if family.type == 'gauge':
            family.samples = [sample for sample in family.samples if sample.value not in NO_LIMIT]
        merge_equal(family)
        try:
            scraper.transform(family, with_history=with_history)
        except Exception as error:  # noqa: BLE001, such as of a version without its label
            errors.append(type(error).__name__)
    return errors


def merge_equal(family: PrometheusFamily) -> None:
    """Merge the samples of a family that have the same labels. Counts are summed, gauges reduced by their meaning.

    When one of the merged samples is absent from the next page, the Agent takes the lower sum for a restarted counter:
    only the exact scraper's own counts get this right.
    """
    reduction = operator.add if family.type in CUMULATIVE_TYPES else gauge_reduction(family.name)
    merged: dict[tuple[object, ...], Sample] = {}
    for sample in family.samples:
        key = sample.name, *sorted(sample.labels.items())
        other, value = merged.get(key), sample.value
        if other is not None and isfinite(other.value) and reduction is not None:
            value = reduction(other.value, value) if isfinite(value) else other.value
        merged[key] = sample._replace(value=value)
    family.samples = list(merged.values())
