"""LiteLLM's known families, the Datadog metrics they become, and the metrics that users of the check have already."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.version import Version

from datadog_checks.litellm.metrics import PREFIX, raw_names
from tests.lineage.lineage import Lineage

__all__ = [
    'PROCESS_TAGS',
    'exposition',
    'families',
    'families_of_metrics',
    'metrics_of',
    'published_metrics',
    'releases_of',
    'tags_of',
]

_PUBLISHED = Path(__file__).parents[1] / 'published_metrics.csv'
# What a single process tells about itself, beside LiteLLM's families.
_PROCESS = """\
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.7e9
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.69
# TYPE process_max_fds gauge
process_max_fds 20000
# TYPE process_open_fds gauge
process_open_fds 37
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 5.6651776e+08
# TYPE process_virtual_memory_bytes gauge
process_virtual_memory_bytes 1.822109696e+09
# TYPE python_gc_collections_total counter
python_gc_collections_total{generation="2"} 4
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{generation="2"} 40
# TYPE python_gc_objects_uncollectable_total counter
python_gc_objects_uncollectable_total{generation="2"} 1
"""
PROCESS_TAGS: dict[str, set[str]] = {
    'litellm.process.cpu_seconds.count': set(),
    'litellm.process.gc.collections.count': {'generation'},
    'litellm.process.gc.objects_collected.count': {'generation'},
    'litellm.process.gc.objects_uncollectable.count': {'generation'},
    'litellm.process.max_fds': set(),
    'litellm.process.open_fds': set(),
    'litellm.process.resident_memory_bytes': set(),
    'litellm.process.uptime.seconds': set(),
    'litellm.process.virtual_memory_bytes': set(),
}
"""The tags of each metric of the process."""
# The first release looked at: a family that it already has may be older.
_FIRST_SAMPLED_RELEASE = '1.53.1'
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


def families_of_metrics() -> dict[str, list[dict[str, str]]]:
    """Return the families behind each metric, oldest first."""
    sources: dict[str, list[dict[str, str]]] = {}
    for family in sorted(families(), key=lambda family: Version(family['first_release'])):
        if family['family'] in raw_names():
            for metric in metrics_of(family):
                sources.setdefault(metric, []).append(family)
    return sources


def releases_of(sources: Iterable[Mapping[str, str]]) -> str:
    """Return the releases that have one of these families, as descriptions give them: `1.53-1.74.15, 1.75.0+`."""
    return ', '.join(map(_span, sources))


def tags_of(metric: str, sources: Iterable[Mapping[str, str]]) -> set[str]:
    """Return the tags that a metric of these families has."""
    labels = {label for family in sources for label in family['labels'].split('|') if label}
    return labels | ({'upper_bound'} if metric.endswith('.bucket') else set())


def _span(family: Mapping[str, str]) -> str:
    first, last = family['first_release'], family['last_release']
    start = '1.53' if first == _FIRST_SAMPLED_RELEASE else first
    if not last:
        return f'{start}+'
    return start if first == last else f'{start}-{last}'


def exposition(prefix: str = PREFIX) -> str:
    """Return a page in Prometheus text format with one series of every known family, and of the process's own."""
    lines = [_PROCESS.strip()]
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
