"""Fall back to the base package's own scraper, for options that only it supports.

Its counts are less exact, and a scrape costs more CPU: see `exact`.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from prometheus_client import Metric as PrometheusFamily
from prometheus_client.samples import Sample
from requests.exceptions import RequestException

from datadog_checks.base.config import is_affirmative

from ..base_package import DEFAULT_METRIC_TYPE, SUBMITTED_TYPES, mapped_metrics
from ..metrics import NO_LIMIT, gauge_reduction, unprefixed
from ..page.family_types import CREATED, CUMULATIVE_TYPES
from ..transport.errors import NOT_AN_EXPOSITION, NotMetricsError
from .base import LitellmScraper

__all__ = ['StockScraper', 'options_of_the_stock_scraper']

# These need families as the base package parses them.
_STOCK_OPTIONS = (
    'collect_histograms_as_distributions',
    'share_labels',
    'target_info',
)
_TYPES = frozenset({DEFAULT_METRIC_TYPE, 'native_dynamic', 'time_elapsed', *SUBMITTED_TYPES})


def options_of_the_stock_scraper(config: Mapping[str, Any]) -> list[str]:
    """Return the options of an instance that only the stock scraper supports."""
    options = [name for name in _STOCK_OPTIONS if is_affirmative(config.get(name))]
    types = {metric.type for _, metric in mapped_metrics(config)}
    return options + [f'extra_metrics with type `{type_}`' for type_ in sorted(types - _TYPES)]


# The type of families without a TYPE line.
UNTYPED = 'unknown'


class StockScraper(LitellmScraper):
    """Parse and submit as the base package does, but nothing that is no metric.

    Left out are `_created` series, which are timestamps, gauge values that mean "no limit", and labels that must not
    leave the host.
    """

    def read_and_submit(self) -> None:
        self.read_page(super().read_and_submit)

    def stream_connection_lines(self) -> Iterator[str]:
        """Yield the lines of the page, read as in `ExactScraper` and not by `requests`.

        `requests` would read a body of any size, and end lines at Unicode line separators as well.
        """
        bad_lines: Counter[str] = Counter()
        size = 0
        with self.get_connection() as response:
            for lines in self.lines_of(response, bad_lines):
                size += sum(map(len, lines)) + len(lines)
                yield from (line.decode('utf-8', 'replace') for line in lines)
        if bad_lines:
            raise NotMetricsError(NOT_AN_EXPOSITION)
        if self.enable_telemetry:
            length = response.headers.get('Content-Length', '')
            self.gauge('telemetry.payload.size', int(length) if length.isdecimal() else size, tags=self.tags)

    def parse_metrics(self) -> Iterator[PrometheusFamily]:
        try:
            families = list(super().parse_metrics())
        except RequestException:
            raise
        except ValueError:
            raise NotMetricsError(NOT_AN_EXPOSITION) from None
        typed = {family.name for family in families if family.type != UNTYPED}
        self.judge_page(typed, has_samples=any(family.samples for family in families))

        cumulative = set()
        for family in families:
            if family.type in CUMULATIVE_TYPES:
                cumulative.add(family.name)
                family.samples = [sample for sample in family.samples if sample.name != family.name + CREATED]
            elif family.name.removesuffix(CREATED) in cumulative:
                continue
            elif family.type == 'gauge':
                family.samples = [sample for sample in family.samples if sample.value not in NO_LIMIT]
            self._withhold_labels(family)
            if self.rules.collect_unknown and self.rules.is_unknown(family.name):
                self.map_family(family.name, unprefixed(family.name))
            yield family

    def _withhold_labels(self, family: PrometheusFamily) -> None:
        """Remove the labels that must not leave the host, and merge samples that become equal.

        Counts are summed, gauges reduced by their meaning. When one of the merged samples is absent from the next page,
        the Agent takes the lower sum for a restarted counter: only `ExactScraper` gets this right.
        """
        outgoing = [self.outgoing.of(sample.labels) for sample in family.samples]
        if all(labels is sample.labels for labels, sample in zip(outgoing, family.samples, strict=True)):
            return
        reduction = operator.add if family.type in CUMULATIVE_TYPES else gauge_reduction(family.name)
        merged: dict[tuple[object, ...], Sample] = {}
        for labels, sample in zip(outgoing, family.samples, strict=True):
            if labels is None:
                continue
            key = sample.name, *sorted(labels.items())
            other = merged.get(key)
            value = sample.value
            if other is not None and isfinite(other.value) and reduction is not None:
                value = reduction(other.value, value) if isfinite(value) else other.value
            merged[key] = sample._replace(labels=dict(labels), value=value)
        family.samples = list(merged.values())
