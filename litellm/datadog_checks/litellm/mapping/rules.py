"""Name and tag families and label sets by the options of an instance, as the base package itself would."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric as PrometheusFamily
from prometheus_client.samples import Sample

from datadog_checks.base.config import is_affirmative

from ..base_package import (
    DEFAULT_METRIC_TYPE,
    SUBMITTED_TYPES,
    AdaptedScraper,
    MappedMetric,
    full_name,
    mapped_metrics,
    normalized_tags,
)
from ..metrics import is_litellm_family, raw_names, unprefixed
from ..options import Options
from ..secrets import Redactor
from .outgoing import OutgoingLabels
from .sharing import SharedLabels

__all__ = ['Rules', 'is_left_to_base']

_KNOWN = frozenset(raw_names())

# The type of a family that has none.
_UNTYPED = 'unknown'
# Of samples of these types, no label is a part of what they are.
_PLAIN_TYPES = frozenset({'counter', 'gauge', _UNTYPED})
_TYPES = frozenset({_UNTYPED, DEFAULT_METRIC_TYPE, 'native_dynamic', 'time_elapsed', *SUBMITTED_TYPES})


def is_left_to_base(type_: str) -> bool:
    """Tell whether only the base package can submit a family with this type, which an option gives it."""
    return type_ not in _TYPES


class Rules:
    """Tell how the base scraper would name and tag the samples of a family."""

    def __init__(self, scraper: AdaptedScraper, outgoing: OutgoingLabels, options: Options) -> None:
        config = scraper.config
        self.counts_of_distributions = is_affirmative(config.get('collect_counters_with_distributions'))
        # Buckets are submitted as what happened, so that the Agent needs no tags to tell their totals apart.
        self.bounds_are_tags = not options.collect_histograms_as_distributions
        self.distributions = (
            self.counts_of_distributions
            or not self.bounds_are_tags
            or is_affirmative(config.get('histogram_buckets_as_distributions'))
        )
        self.non_cumulative_buckets = is_affirmative(config.get('non_cumulative_histogram_buckets'))
        self.collect_buckets = self.distributions or options.collect_histogram_buckets
        self.collect_unknown = options.collect_unknown_metrics
        self.shared = SharedLabels(scraper.check, config)
        self._scraper = scraper
        self._outgoing = outgoing
        self._exact: dict[str, MappedMetric] = {}
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for family, metric in mapped_metrics(scraper.config):
            if re.escape(family) == family:
                self._exact[family] = metric
            else:
                self._patterns.append((re.compile(family), metric.type))

    def trimmed(self, family: str) -> str:
        """Return the name of a family without the `raw_metric_prefix`."""
        return family.removeprefix(self._scraper.raw_metric_prefix)

    def is_unknown(self, family: str) -> bool:
        """Tell whether a family is LiteLLM's, and known to neither this version of the check nor an option.

        A family that the user's own `metrics` list leaves out is known, but not wanted, and so is one whose name is a
        secret.
        """
        name = self.trimmed(family)
        is_known = name in _KNOWN or self._scraper.is_excluded(name) or self.is_mapped(name)
        return is_litellm_family(name) and not is_known and not self._outgoing.is_secret(name)

    def is_mapped(self, name: str) -> bool:
        """Tell whether an option, or a version of the check, gives a name to a family without its prefix."""
        return self._mapped(name) is not None

    def submission(self, family: str, type_: str) -> tuple[str | None, str]:
        """Return the metric name, None if it is not wanted, and the type that a family is submitted with."""
        name = self.trimmed(family)
        if self._scraper.is_excluded(name):
            return None, type_
        mapped = self._mapped(name)
        if self.collect_unknown and self.is_unknown(family):
            mapped = MappedMetric(unprefixed(name), DEFAULT_METRIC_TYPE)
        if mapped is None:
            return None, type_
        datadog_name, submitted_type = mapped
        if submitted_type in (DEFAULT_METRIC_TYPE, 'native_dynamic'):
            submitted_type = type_
        wanted = submitted_type != _UNTYPED and not is_left_to_base(submitted_type)
        return datadog_name if wanted else None, submitted_type

    def full_name(self, name: str) -> str | None:
        """Return the name with its namespace, or None when `metric_patterns` leaves the metric out."""
        return full_name(self._scraper.check, name)

    def tags(self, type_: str, labels: Mapping[str, str]) -> tuple[list[str], str] | None:
        """Return tags and hostname for a label set of a family of this type, or None if it is not wanted.

        Raises a `ValueError` if the quantile of a summary is not a number.
        """
        if type_ == 'summary' and '_' in labels.get('quantile', ''):
            # Python takes underscores between digits.
            raise ValueError('no number')
        outgoing = self.outgoing(labels)
        if outgoing is None:
            return None
        if self.shared.is_wanted:
            self.shared.add_to(outgoing)
        return self._tagged(type_, outgoing)

    def outgoing(self, labels: Mapping[str, str]) -> dict[str, str] | None:
        """Return the labels that may leave the host, or None if the series is not wanted."""
        outgoing = self._outgoing.of(labels)
        return None if outgoing is None else dict(outgoing)

    def mask_of_learned(self) -> Redactor | None:
        """Return what masks the secrets that became known since this was asked before, None if there are none."""
        return self._outgoing.mask_of_learned()

    def masked(self, tags: Iterable[str], mask: Callable[[str], str]) -> dict[str, str]:
        """Return what becomes of those tags that are changed by masking the values of labels.

        What the options of the instance tag stays as it is.
        """
        static = set(normalized_tags(self._scraper.check, list(self._scraper.tags)))
        masked = {}
        for tag in tags:
            name, colon, value = tag.partition(':')
            shown = mask(value)
            if shown != value and tag not in static:
                masked[tag] = f'{name}{colon}{shown}'
        return masked

    def bound_tags(self, bound: str) -> list[str] | None:
        """Return the tags that a bucket has beyond those of its series, or None if the instance does not want it."""
        tagged = self._tagged('histogram', {'le': bound})
        return None if tagged is None else tagged[0][: len(tagged[0]) - len(self._scraper.tags)]

    def _tagged(self, type_: str, labels: dict[str, str]) -> tuple[list[str], str] | None:
        """Return tags and hostname for labels as they leave."""
        if type_ in _PLAIN_TYPES and (tags := self._scraper.tags_without_options(labels)) is not None:
            return normalized_tags(self._scraper.check, tags), ''
        family = PrometheusFamily('family', '', type_)
        family.samples = [Sample('sample', labels, 1.0)]
        for _, tags, hostname in self._scraper.generate_sample_data(family):
            return normalized_tags(self._scraper.check, tags), hostname
        return None

    def _mapped(self, name: str) -> MappedMetric | None:
        """Return the metric name and type that `metrics` and `extra_metrics` give to a family."""
        return self._exact.get(name) or next(
            (MappedMetric(name, type_) for pattern, type_ in self._patterns if pattern.search(name)), None
        )
