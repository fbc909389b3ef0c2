"""Withhold the labels of a series that must not leave the host.

Labels pass through here before any option of the base package sees them. So what is removed stays removed, whatever
`rename_labels`, `share_labels` or `hostname_label` do with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from ..options import Options
from ..secret_forms import is_name, without_secrets
from ..secrets import Redactor
from .labels import (
    ADDRESS_LABEL,
    DATABASE_LABEL,
    EMPTY_VALUES,
    FORMER_NAMES,
    KEY_LABEL,
    REDACTED,
    is_custom,
    is_key_in_clear,
    is_of_litellm,
    is_personal,
)
from .routes import ROUTE_LABEL, normal_route

__all__ = ['OutgoingLabels']

# The labels, and names of labels, whose outgoing form is remembered, and how long they may be: a client may name a
# model by a megabyte.
MOST_LABELS = 512
LONGEST_LABEL = 1024

# By label, whether `exclude_metrics_by_labels` drops a series with this value.
Excluders = Mapping[str, Callable[[str], bool]]


# A key that LiteLLM generated where it is a name: `sk_` and 22 characters.
_KEY_AS_NAME = re.compile(r'(?<![a-z0-9])sk[-_][a-z0-9_-]{20,}', re.IGNORECASE)

# A scheme may stand behind the name of a provider. Elsewhere, `://` is in a password or in a query.
_HAS_SCHEME = re.compile(r'[\w+./-]+://')


class _NameRule(NamedTuple):
    """The part of the outcome for a label that only depends on its name."""

    left: str
    """The name as it may leave the host."""
    is_dropped: bool
    is_key: bool
    is_route: bool
    is_address: bool
    """Whether its values may be addresses, and identify nobody."""
    has_scheme: bool
    """Whether its values are addresses with a scheme wherever they have none."""


class OutgoingLabels:
    """Apply the options of an instance to labels, and withhold secrets whatever the options are.

    `excluders` still see the values that are removed.
    """

    def __init__(self, options: Options, excluders: Excluders, secrets: Redactor) -> None:
        self._secrets = secrets
        self._exclude_personal = options.exclude_personal_labels
        self._kept = options.keep_labels
        self._drop_empty = options.drop_empty_labels
        self._normalize_routes = options.normalize_routes or options.exclude_personal_labels
        self._excluders = excluders
        # Few values make many label sets. By name and value, with what secrets are known.
        self._outgoing: dict[tuple[str, str], tuple[str, str | None]] = {}
        self._known: frozenset[str] = frozenset()
        self._rules = lru_cache(maxsize=MOST_LABELS)(self._rule)
        # What was known when `mask_of_learned` was asked last.
        self._masked = secrets.known
        self.keys_in_clear = False
        """Whether any label set held a key that LiteLLM had not hashed."""
        self.has_database = False
        """Whether any label set was of a family of the proxy's database."""

    def of(self, labels: Mapping[str, str]) -> Mapping[str, str] | None:
        """Return the labels that may leave, the same object if all may, or None if the series is not wanted."""
        if not FORMER_NAMES.keys().isdisjoint(labels):
            labels = {_current(name, labels): value for name, value in labels.items()}
        changed: dict[str, str | None] = {}
        renamed: dict[str, str] = {}
        self.has_database |= DATABASE_LABEL in labels
        known = self._secrets.known
        if known is not self._known or len(self._outgoing) > MOST_LABELS:
            self._outgoing, self._known = {}, known
        for label in labels.items():
            name, value = label
            left = self._outgoing.get(label)
            if left is None:
                left = self._label(name, value, known)
                if len(name) + len(value) <= LONGEST_LABEL:
                    self._outgoing[label] = left
            outgoing_name, outgoing = left
            if outgoing != value:
                excluder = self._excluders.get(name)
                if excluder is not None and excluder(value):
                    return None
                changed[name] = outgoing
            if outgoing_name != name:
                renamed[name] = outgoing_name
        if not changed and not renamed:
            return labels
        amended = {**labels, **changed}
        return {renamed.get(name, name): value for name, value in amended.items() if value is not None}

    def mask_of_learned(self) -> Redactor | None:
        """Return what masks the secrets that became known since this was asked before, None if there are none."""
        before, self._masked = self._masked, self._secrets.known
        learned = self._masked - before if self._masked is not before else frozenset()
        return Redactor(learned) if learned else None

    def is_secret(self, name: str) -> bool:
        """Tell whether the name of a family or label that no release of LiteLLM has is, or has, a secret."""
        return not all(map(is_name, _KEY_AS_NAME.findall(name))) or self._secrets(name) != name

    def name(self, name: str) -> str:
        """Return the name of a label as it may leave the host. Those of LiteLLM may be words that a password is."""
        return name if is_of_litellm(name) or not self.is_secret(name) else REDACTED

    def _label(self, name: str, value: str, known: frozenset[str]) -> tuple[str, str | None]:
        """Return a label as it may leave the host, without a value if it is dropped.

        It depends on what secrets are known.
        """
        find = self._rules if len(name) <= LONGEST_LABEL else self._rule
        rule = find(name, known)
        if rule.is_key and is_key_in_clear(value):
            self.keys_in_clear = True
            value = REDACTED
        if rule.is_dropped or (self._drop_empty and value in EMPTY_VALUES):
            return rule.left, None
        if rule.is_route:
            value = normal_route(value)
        return rule.left, self._secrets(_without_secrets(value, rule))

    def _rule(self, name: str, _known: frozenset[str]) -> _NameRule:
        """Return the rule for labels of a name. It depends on what secrets are known."""
        is_somebody = is_personal(name) or is_custom(name)
        is_kept = name in self._kept
        return _NameRule(
            self.name(name),
            is_dropped=self._exclude_personal and not is_kept and is_somebody,
            is_key=name == KEY_LABEL,
            is_route=self._normalize_routes and name == ROUTE_LABEL and not is_kept,
            is_address=not is_somebody,
            has_scheme=name == ADDRESS_LABEL,
        )


def _without_secrets(value: str, rule: _NameRule) -> str:
    if rule.has_scheme and not _HAS_SCHEME.match(value):
        return without_secrets(f'://{value}', is_address=True).removeprefix('://')
    return without_secrets(value, is_address=rule.is_address)


def _current(name: str, labels: Mapping[str, str]) -> str:
    """Return the name of today for a label, unless another label of the series has it."""
    current = FORMER_NAMES.get(name, name)
    return name if current in labels else current
