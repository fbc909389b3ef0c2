"""Share labels of some families with all others: those that `share_labels` names, and those of the target.

Which label goes where is up to the base package. What differs is when. It looks for the families while a page goes by,
so that a page is tagged in part with what the one before had told. Here they are looked for on the whole page before
anything of it is submitted, and their order does not matter. What is shared is taken

- from each page, with `cache_shared_labels: false`;
- from the first page, with `cache_shared_labels`, whether it had the families or not;
- for `target_info`, from the last page that had this family: the labels of its first sample.

The bound of a bucket and the quantile of a summary are not shared: they would take the place of those of others. A
sample without one of the labels to `match`, or with a key in its place that does not leave the host, shares nothing:
the base package would share its labels with series that it has nothing to do with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Metric as PrometheusFamily
from prometheus_client.samples import Sample

from datadog_checks.base.config import is_affirmative

from ..base_package import LabelShares
from .labels import REDACTED

__all__ = ['SharedLabels', 'can_match']

TARGET = 'target_info'

# Labels that are a part of what a sample is.
OF_SAMPLES = frozenset({'le', 'quantile'})


class SharedLabels:
    """The labels that the series of a page have in addition to their own."""

    def __init__(self, check: Any, config: Mapping[str, Any]) -> None:
        self._check = check
        self._config = config
        self._shares = LabelShares(check, config)
        self.is_wanted: bool = self._shares.configured
        """Whether an option asks for shared labels at all."""
        sources = config.get('share_labels') or {}
        # By family: the labels that another series must have as well.
        self._matching = {name: () if one is True else tuple(one.get('match', ())) for name, one in sources.items()}
        self._has_target = bool(config.get(TARGET))
        self._is_cached = is_affirmative(config.get('cache_shared_labels', True))
        # What the families were on the page that holds. None before the first one.
        self._families: list[PrometheusFamily] | None = None
        self._target: list[PrometheusFamily] = []

    @property
    def may_change(self) -> bool:
        """True if the next page may share anything else."""
        return self.is_wanted and (self._families is None or self._has_target or not self._is_cached)

    def is_source(self, family: str) -> bool:
        """Tell whether a family, without its `raw_metric_prefix`, shares its labels."""
        return family in self._matching or (self._has_target and family == TARGET)

    def update(self, families: Iterable[PrometheusFamily]) -> bool:
        """Take what is shared from the families of a page that share their labels; tell whether it is anything else."""
        found = []
        for family in families:
            for sample in family.samples:
                for label in OF_SAMPLES.intersection(sample.labels):
                    del sample.labels[label]
            matching = self._matching.get(family.name, ())
            family.samples = [sample for sample in family.samples if can_match(sample, matching)]
            if self._has_target and family.name == TARGET:
                family.samples = family.samples[:1]
                self._target = [family] if family.samples else self._target
            else:
                found.append(family)
        if self._families is None or not self._is_cached:
            self._families = found
        before, self._shares = self._shares, LabelShares(self._check, self._config, [*self._families, *self._target])
        return self._shares.content != before.content

    def add_to(self, labels: dict[str, str]) -> None:
        """Add to the labels of a series what is shared with it, in the place of what it has under the same names."""
        self._shares.populate(labels)


def can_match(sample: Sample, matching: Iterable[str]) -> bool:
    """Tell whether a sample has all labels to match, none of them in place of a key that does not leave the host."""
    return all(sample.labels.get(label, REDACTED) != REDACTED for label in matching)
