"""Read what a metrics page of LiteLLM holds, family by family."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from datadog_checks.litellm.metrics import PREFIX, raw_names
from datadog_checks.litellm.page.family_types import is_creation_time

__all__ = ['Coverage', 'Page', 'coverage']

# Labels that the format adds, not the family.
_FORMAT_LABELS = {'le', 'pid', 'quantile'}


class Page:
    """A metrics page in the text format, parsed; creation times of other families are left out."""

    def __init__(self, text: str) -> None:
        self.text = text
        parsed = {family.name: family for family in text_string_to_metric_families(text)}
        self.families: dict[str, Metric] = {
            name: family
            for name, family in parsed.items()
            if name.startswith(PREFIX) and not is_creation_time(name, parsed.keys())
        }

    def samples(self, name: str) -> list[Sample]:
        """Return the samples of a family, none if the page does not have it."""
        family = self.families.get(name)
        return family.samples if family else []

    def total(self, name: str, suffix: str = '_total', **labels: str) -> float:
        """Return the sum of a family's samples that end in the suffix and carry the labels."""
        return sum(
            sample.value
            for sample in self.samples(name)
            if sample.name == name + suffix and labels.items() <= sample.labels.items()
        )


class Coverage(NamedTuple):
    """The families that the check knows, and those of them that a proxy registered, sampled and moved."""

    known: set[str]
    registered: set[str]
    sampled: set[str]
    moved: set[str]
    unmapped: set[str]

    def with_(self, other: Coverage) -> Coverage:
        """Return the coverage of both together."""
        return Coverage(*(mine | theirs for mine, theirs in zip(self, other, strict=True)))

    def summary(self) -> str:
        """Return the figures in one line."""
        return (
            f'{len(self.known)} families known, {len(self.registered)} registered, {len(self.sampled)} with samples, '
            f'{len(self.moved)} of them moved by the traffic, {len(self.unmapped)} unmapped'
        )


def coverage(*pages: Page) -> Coverage:
    """Return the coverage of pages of one proxy taken together.

    A family without labels has samples of 0 from the start: it counts as moved only when some page shows another value.
    """
    registered, sampled, moved = set(), set(), set()
    for page in pages:
        for name, family in page.families.items():
            registered.add(name)
            if family.samples:
                sampled.add(name)
            if any(sample.value or sample.labels.keys() - _FORMAT_LABELS for sample in family.samples):
                moved.add(name)
    known = {name for name in raw_names() if name.startswith(PREFIX)}
    return Coverage(known, registered, sampled, moved, registered - known)
