"""Withhold the labels of a series that must not leave the host.

Labels pass through here before any option of the base package sees them. So what is removed stays removed, whatever
`rename_labels`, `share_labels` or `hostname_label` do with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..options import Options
from ..secrets import Redactor
from ..transport.urls import without_secrets
from .labels import (
    ADDRESS_LABEL,
    DATABASE_LABEL,
    EMPTY_VALUES,
    FORMER_NAMES,
    KEY_LABEL,
    REDACTED,
    is_custom,
    is_key_in_clear,
    is_personal,
)
from .routes import ROUTE_LABEL, normal_route

__all__ = ['OutgoingLabels']

# By label, whether `exclude_metrics_by_labels` drops a series with this value.
Excluders = Mapping[str, Callable[[str], bool]]


# A key that LiteLLM generated: `sk-` and 22 characters.
_LITELLM_KEY = re.compile(r'\bsk-[A-Za-z0-9_-]{16,}')

# A scheme may stand behind the name of a provider. Elsewhere, `://` is in a password or in a query.
_HAS_SCHEME = re.compile(r'[\w+./-]+://')


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
        self.keys_in_clear = False
        """Whether any label set held a key that LiteLLM had not hashed."""
        self.has_database = False
        """Whether any label set was of a family of the proxy's database."""

    def of(self, labels: Mapping[str, str]) -> Mapping[str, str] | None:
        """Return the labels that may leave, the same object if all may, or None if the series is not wanted."""
        if not FORMER_NAMES.keys().isdisjoint(labels):
            labels = {_current(name, labels): value for name, value in labels.items()}
        changed: dict[str, str | None] = {}
        self.has_database |= DATABASE_LABEL in labels
        for name, value in labels.items():
            outgoing = self._outgoing(name, value)
            if outgoing != value:
                excluder = self._excluders.get(name)
                if excluder is not None and excluder(value):
                    return None
                changed[name] = outgoing
        if not changed:
            return labels
        amended = {**labels, **changed}
        return {name: value for name, value in amended.items() if value is not None}

    def _outgoing(self, name: str, value: str) -> str | None:
        """Return the value of a label as it may leave the host, or None if the label is dropped."""
        if name == KEY_LABEL and is_key_in_clear(value):
            self.keys_in_clear = True
            value = REDACTED
        if self._exclude_personal and name not in self._kept and (is_personal(name) or is_custom(name)):
            return None
        if self._drop_empty and value in EMPTY_VALUES:
            return None
        if self._normalize_routes and name == ROUTE_LABEL and name not in self._kept:
            return normal_route(value)
        return self._without_secrets(name, value)

    def _without_secrets(self, name: str, value: str) -> str:
        if name == ADDRESS_LABEL and not _HAS_SCHEME.match(value):
            value = without_secrets(f'://{value}', is_address=True).removeprefix('://')
        elif '://' in value:
            value = without_secrets(value, is_address=not (is_personal(name) or is_custom(name)))
        return self._secrets(_LITELLM_KEY.sub(REDACTED, value))


def _current(name: str, labels: Mapping[str, str]) -> str:
    """Return the name of today for a label, unless another label of the series has it."""
    current = FORMER_NAMES.get(name, name)
    return name if current in labels else current
