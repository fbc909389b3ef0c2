"""Keep keys and passwords out of everything that is printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

__all__ = ['HEADER_OPTIONS', 'MASK', 'Redactor', 'conceal', 'secrets_of']

MASK = '********'

# Shorter strings are not secrets, and masking them would only garble the output.
SHORTEST_SECRET = 4

PASSWORD_OPTIONS = ('password', 'tls_private_key_password')
HEADER_OPTIONS = ('headers', 'extra_headers')


T = TypeVar('T')

_URL_PASSWORD = re.compile(r'://[^/@\s]+@')


class Redactor:
    """Replace known secrets, and passwords in URLs, in a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first, so that no part of a secret is left when another secret is a substring of it.
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _URL_PASSWORD.sub(f'://{MASK}@', text)


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


def secrets_of(instance: Mapping[str, Any]) -> Iterator[str]:
    """Yield the secrets that an instance's options hold: passwords, header values and the URL's `user:password`."""
    for option in PASSWORD_OPTIONS:
        if instance.get(option):
            yield str(instance[option])
    for option in HEADER_OPTIONS:
        headers = instance.get(option)
        if isinstance(headers, Mapping):
            for value in headers.values():
                yield str(value)
                # "Bearer KEY" and "KEY" are both worth hiding.
                yield str(value).rpartition(' ')[2]
    yield from _secrets_of_url(str(instance.get('openmetrics_endpoint', '')))


def _secrets_of_url(url: str) -> Iterator[str]:
    userinfo, at, _ = urlsplit(url).netloc.rpartition('@')
    if at:
        yield userinfo
        password = userinfo.partition(':')[2]
        yield password
        yield unquote(password)
