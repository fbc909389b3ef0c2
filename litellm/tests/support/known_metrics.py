"""LiteLLM's known families, the Datadog metrics they become, and the metrics that users of the check have already."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from datadog_checks.litellm.metrics import PREFIX, raw_names
from tests.lineage.lineage import Lineage

__all__ = ['exposition', 'families', 'metrics_of', 'published_metrics']

_PUBLISHED = Path(__file__).parents[1] / 'published_metrics.csv'
# The parts of a Datadog metric, by the Prometheus type of its family.
_SUFFIXES = {'counter': ['.count'], 'gauge': [''], 'histogram': ['.bucket', '.count', '.sum']}


def families() -> list[dict[str, str]]:
    """Return every family that LiteLLM is known to have had, with its type, labels, first and last release."""
    return list(Lineage.read().rows.values())


def published_metrics() -> list[dict[str, str]]:
    """Return the metrics of the published integration, which users have on their dashboards."""
    with _PUBLISHED.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def metrics_of(family: Mapping[str, str]) -> dict[str, str]:
    """Return the Datadog metrics of a family, full name to type."""
    name = f'litellm.{raw_names()[family["family"]]}'
    metric_type = 'gauge' if family['type'] == 'gauge' else 'count'
    return {name + suffix: metric_type for suffix in _SUFFIXES[family['type']]}


def exposition(prefix: str = PREFIX) -> str:
    """Return a page in Prometheus text format with one series of every known family, and the process's start time."""
    lines = ['# TYPE process_start_time_seconds gauge', 'process_start_time_seconds 1.7e9']
    for family in families():
        raw = prefix + family['family'].removeprefix(PREFIX)
        labels = [f'{label}="a"' for label in family['labels'].split('|') if label]
        # The text format names the family of a counter with its `_total`.
        lines.append(f'# TYPE {raw}{"_total" if family["type"] == "counter" else ""} {family["type"]}')
        match family['type']:
            case 'counter':
                lines.append(_sample(f'{raw}_total', labels, 3))
            case 'gauge':
                lines.append(_sample(raw, labels, 3))
            case 'histogram':
                lines.append(_sample(f'{raw}_bucket', [*labels, 'le="0.5"'], 2))
                lines.append(_sample(f'{raw}_bucket', [*labels, 'le="+Inf"'], 3))
                lines.append(_sample(f'{raw}_sum', labels, 1.5))
                lines.append(_sample(f'{raw}_count', labels, 3))
    return '\n'.join(lines) + '\n'


def _sample(name: str, labels: list[str], value: float) -> str:
    return f'{name}{{{",".join(labels)}}} {value}' if labels else f'{name} {value}'
