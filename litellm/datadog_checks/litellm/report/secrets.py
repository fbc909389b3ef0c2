"""Keep keys and passwords out of everything that is printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ['HEADER_OPTIONS', 'MASK', 'Redactor', 'secrets_of']

MASK = '********'

# Shorter strings are not secrets, and masking them would only garble the output.
SHORTEST_SECRET = 4

PASSWORD_OPTIONS = ('password', 'tls_private_key_password')
HEADER_OPTIONS = ('headers', 'extra_headers')


class Redactor:
    """Replace known secrets in a text, wherever they come from."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first, so that no part of a secret is left when another secret is a substring of it.
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


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
