"""Count the contexts of a run: how many each metric has, and which labels multiply them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from itertools import chain, product
from typing import NamedTuple

from ..mapping.labels import LABEL_GROUPS, PLACEHOLDERS, is_personal
from .aggregation import Context
from .measure import label_of

__all__ = ['ContextTable', 'LabelCost', 'PersonalLabel', 'contexts_per_metric', 'personal_labels', 'shared_tags']


class LabelCost(NamedTuple):
    """The contexts that tags of one label, or of several labels that go together, are responsible for."""

    labels: tuple[str, ...]
    values: int
    """Distinct values, or combinations of values that occur together, except placeholders such as `None`."""
    contexts_left: int
    """How many contexts there would be without these tags."""


class PersonalLabel(NamedTuple):
    label: str
    values: int
    """Distinct values, except placeholders such as `None`."""
    contexts: int


def contexts_per_metric(contexts: Iterable[Context]) -> Counter[str]:
    """Return how many contexts each metric has."""
    return Counter(context.name for context in contexts)


def shared_tags(contexts: Collection[Context]) -> frozenset[str]:
    """Return the tags that all contexts have, such as those that the check adds to every one."""
    return frozenset.intersection(*(context.tags for context in contexts)) if contexts else frozenset()


def personal_labels(contexts: Iterable[Context], labels: Mapping[str, str]) -> list[PersonalLabel]:
    """Return the labels of the contexts that may hold personal data, those with most values first."""
    values: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for tag, count in Counter(chain.from_iterable(context.tags for context in contexts)).items():
        label = label_of(tag, labels)
        if is_personal(label) and tag.partition(':')[2] not in PLACEHOLDERS:
            values[label] += 1
            found[label] += count
    personal = [PersonalLabel(label, values[label], found[label]) for label in values]
    return sorted(personal, key=lambda entry: (-entry.values, entry.label))


class ContextTable:
    """Contexts as rows of numbers, which tell at once how many are left when labels are dropped.

    Each context becomes one number whose digits are the values of its labels: the first digit stands for name and host,
    every label has a place of its own, and 0 there means that the context lacks the label. To drop a label is to
    subtract its digit, and contexts that merge become equal numbers.
    """

    def __init__(self, contexts: Collection[Context], labels: Mapping[str, str]) -> None:
        digits, placeholders = _digits(contexts, labels)
        self._columns: dict[str, list[int]] = {}
        self._placeholders: dict[str, set[int]] = {}
        identities: dict[Hashable, int] = {}
        self._rows = [identities.setdefault((context.name, context.host), len(identities)) for context in contexts]
        place = max(len(identities), 1)
        for label, column in digits.items():
            self._columns[label] = [digit * place for digit in column]
            self._placeholders[label] = {0, *(digit * place for digit in placeholders[label])}
            self._rows = [row + digit for row, digit in zip(self._rows, self._columns[label], strict=True)]
            place *= max(column) + 1

    @property
    def labels(self) -> Collection[str]:
        """All labels of the contexts."""
        return self._columns.keys()

    def without(self, labels: Collection[str]) -> LabelCost:
        """Return what these labels cost together."""
        columns = [self._columns[label] for label in sorted(labels)]
        dropped = list(map(sum, zip(*columns, strict=True))) if columns else [0] * len(self._rows)
        left = {row - digits for row, digits in zip(self._rows, dropped, strict=True)}
        # Sums of placeholders, one of each label, are no values.
        placeholders = set(map(sum, product(*(self._placeholders[label] for label in labels))))
        return LabelCost(tuple(sorted(labels)), len(set(dropped) - placeholders), len(left))

    def costs(self) -> list[LabelCost]:
        """Return what each label costs, the most expensive first, leaving out those whose removal merges nothing.

        A group of labels that describe the same thing is listed beside its members if dropping all of them saves more
        than dropping any single one.
        """
        alone = {label: self.without([label]) for label in self._columns}
        listed = [cost for cost in alone.values() if cost.contexts_left < len(self._rows)]
        for group in LABEL_GROUPS:
            members = group & alone.keys()
            if len(members) > 1:
                together = self.without(members)
                if together.contexts_left < min(alone[label].contexts_left for label in members):
                    listed.append(together)
        return sorted(listed, key=lambda cost: (cost.contexts_left, cost.labels))


def _digits(
    contexts: Collection[Context], labels: Mapping[str, str]
) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Return for each label a number per context, equal for equal values and 0 where the label is missing.

    With them, for each label, the numbers that stand for a placeholder.
    """
    tags = frozenset[str]().union(*(context.tags for context in contexts))
    label_by_tag = {tag: label_of(tag, labels) for tag in tags}
    numbers: defaultdict[str, dict[Hashable, int]] = defaultdict(dict)
    digits: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(contexts))
    for position, context in enumerate(contexts):
        for tag in context.tags:
            label = label_by_tag[tag]
            value: Hashable = tag
            if digits[label][position]:
                # The instance's own `tags` may repeat a label: then all its values together are the value.
                value = frozenset(other for other in context.tags if label_by_tag[other] == label)
            known = numbers[label]
            digits[label][position] = known.setdefault(value, len(known) + 1)
    placeholders = {
        label: [number for value, number in numbers[label].items() if _is_placeholder(value)] for label in digits
    }
    return dict(digits), placeholders


def _is_placeholder(value: Hashable) -> bool:
    return isinstance(value, str) and value.partition(':')[2] in PLACEHOLDERS
