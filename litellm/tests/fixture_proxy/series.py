"""The proxy's series: families of the release as prometheus_client metrics, written by family name and label values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.multiprocess import MultiProcessCollector

from tests.lineage.lineage import RENAMED

from .releases import Family, Registration
from .settings import Settings

__all__ = ['LabelValues', 'Series', 'tag_label']

LabelValues = Mapping[str, object]
_NO_LABELS: LabelValues = {}

# Families with one of these labels tell about a caller or a deployment: LiteLLM computes their labels, those of the
# user's choice among them. The labels of all others are fixed.
_COMPUTED_LABELS = frozenset({'end_user', 'hashed_api_key', 'litellm_model_name', 'org_id', 'team', 'user'})
_COMPUTED = 'litellm_spend_capture_rate'
_FIXED = 'litellm_managed_'
# Registered by these names, but accepted in the list of families only by those of later releases.
_NEVER_SELECTED = frozenset({'litellm_remaining_requests', 'litellm_remaining_tokens'})
_LINE_BREAKS = str.maketrans({'\n': ' ', '\r': None, '\u2028': None, '\u2029': None})
_COOLED_DOWN = 'litellm_deployment_cooled_down'


def tag_label(tag: str) -> str:
    """Return the label that tells whether a request has a tag; for a tag that ends in `*`, one that begins like it."""
    return re.sub('[^a-zA-Z0-9_]', '_', f'tag_{tag}')


class _Process(ProcessCollector):
    """The families about the process itself, with the start time that a test gives it."""

    def __init__(self, started_at: float | None, registry: CollectorRegistry) -> None:
        self._started_at = started_at
        super().__init__(registry=registry)

    def collect(self) -> Iterable[Metric]:
        for family in super().collect():
            if family.name == 'process_start_time_seconds' and self._started_at is not None:
                family.samples = [sample._replace(value=self._started_at) for sample in family.samples]
            yield family


class Series:
    """Every series of one worker process.

    Writing to a family that the release or the configuration lacks does nothing, as in LiteLLM.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Counter | Gauge | Histogram] = {}
        self._label_values: dict[str, set[tuple[str, ...]]] = {}
        self._families = {RENAMED.get(name, name): family for name, family in self._configured().items()}
        GCCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        _Process(settings.started_at, self._registry)
        for name, family in self._families.items():
            if family.registration is not Registration.FIRST_USE:
                self._metric(name)

    def inc(self, family: str, values: LabelValues = _NO_LABELS, amount: float = 1) -> None:
        """Add to a counter, or to a gauge that goes up and down."""
        if family == _COOLED_DOWN and self._settings.metadata_labels:
            return  # LiteLLM passes too few label values then, and swallows the error.
        self._write(family, values, 'inc', amount)

    def observe(self, family: str, values: LabelValues, amount: float) -> None:
        self._write(family, values, 'observe', amount)

    def set(self, family: str, values: LabelValues, amount: float) -> None:
        self._write(family, values, 'set', amount)

    def drop(self, family: str, labels: Mapping[str, str]) -> int:
        """Let the series of a family that have these labels expire; returns how many.

        Raises KeyError for an unknown family, ValueError where a series cannot go.
        """
        if self._settings.shares_metrics:
            raise ValueError('series never expire in multiprocess mode: prometheus_client cannot remove them')
        metric, names = self._metrics[family], self._labels(self._families[family])
        if not names:
            raise ValueError(f'{family} has no labels, so its only series never expires')
        gone = {
            values
            for values in self._label_values[family]
            if labels.items() <= dict(zip(names, values, strict=True)).items()
        }
        for values in gone:
            metric.remove(*values)
        self._label_values[family] -= gone
        return len(gone)

    def exposed(self) -> CollectorRegistry:
        """Return what a scrape reads: this process' registry, or the sum over all workers in multiprocess mode."""
        if not self._settings.shares_metrics:
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return registry

    def _configured(self) -> dict[str, Family]:
        settings, profile = self._settings, self._settings.profile
        wanted = {Registration.START, Registration.FIRST_USE}
        if settings.service_metrics:
            wanted.add(Registration.SERVICE_CALLBACK)
        if settings.prometheus:
            licensed = settings.licensed or not profile.needs_licence
            wanted.add(Registration.CALLBACK if licensed else Registration.NO_LICENCE)
        return {
            name: family
            for name, family in profile.families.items()
            if family.registration in wanted and (self._is_selected(name) or not self._is_filtered(family))
        }

    def _is_selected(self, name: str) -> bool:
        """Tell whether the user's list of families has this one."""
        return name in self._settings.only_families and name not in _NEVER_SELECTED

    def _is_filtered(self, family: Family) -> bool:
        """Tell whether the user's list of families applies: to those of the prometheus callback only."""
        return bool(self._settings.only_families) and family.registration is Registration.CALLBACK

    def _labels(self, family: Family) -> tuple[str, ...]:
        settings, labels = self._settings, family.labels
        computed = family.name == _COMPUTED or _COMPUTED_LABELS & set(labels)
        if not computed or family.name.startswith(_FIXED):
            return labels
        labels += tuple(f'metadata_{name}' for name in settings.metadata_labels)
        labels += tuple(map(tag_label, settings.tag_labels))
        included = set(settings.include_labels) or set(labels)
        return tuple(label for label in labels if label in included - set(settings.exclude_labels))

    def _metric(self, name: str) -> Counter | Gauge | Histogram:
        if name not in self._metrics:
            self._label_values[name] = set()
            self._metrics[name] = self._register(self._families[name])
        return self._metrics[name]

    def _register(self, family: Family) -> Counter | Gauge | Histogram:
        labels, registry = self._labels(family), self._registry
        if family.type == 'counter':
            return Counter(family.name, family.value, labels, registry=registry)
        if family.type == 'gauge':
            mode = 'livesum' if 'livesum' in family.multiprocess_mode else family.multiprocess_mode
            return Gauge(family.name, family.value, labels, registry=registry, multiprocess_mode=mode)  # type: ignore[arg-type]
        buckets = self._settings.profile.buckets(family.name) or Histogram.DEFAULT_BUCKETS
        return Histogram(family.name, family.value, labels, registry=registry, buckets=buckets)

    def _write(self, name: str, values: LabelValues, operation: str, amount: float) -> None:
        family = self._families.get(name)
        if family is None:
            return
        metric = self._metric(name)
        labels = self._labels(family)
        if labels:
            label_values = tuple(self._exposed_value(values.get(label)) for label in labels)
            self._label_values[name].add(label_values)
            metric = metric.labels(*label_values)
        getattr(metric, operation)(amount)

    def _exposed_value(self, value: object) -> str:
        """Write a label value as LiteLLM does: `None` for one that is missing."""
        text = str(value)
        if self._settings.profile.cleans_label_values:
            text = text.translate(_LINE_BREAKS).replace('\\', '\\\\').replace('"', '\\"')
        return text
