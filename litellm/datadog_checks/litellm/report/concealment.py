"""Keep the secrets of an instance out of everything that was measured, before it is printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

from ..secrets import Redactor

__all__ = ['conceal']

T = TypeVar('T')


def conceal(value: T, redact: Redactor) -> T:
    """Return a copy of a value with every text in it redacted, whatever field, collection or key holds the text.

    Only numbers are shown as they are. Raises a `TypeError` for any other type, as it could hold a text.
    """
    # The same tag stands in many contexts.
    redact_once = cache(redact)

    def concealed(value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, str):
            return redact_once(value)
        if isinstance(value, Mapping):
            return {concealed(key): concealed(item) for key, item in value.items()}
        if isinstance(value, tuple) and hasattr(value, '_fields'):
            return type(value)(*map(concealed, value))
        if isinstance(value, list | tuple | frozenset):
            return type(value)(map(concealed, value))
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: concealed(getattr(value, field.name)) for field in fields(value)})
        raise TypeError(f'{type(value).__name__} may hold a secret')

    result: T = concealed(value)
    return result
