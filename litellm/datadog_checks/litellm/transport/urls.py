"""URLs of a proxy: which part is for requests only, and where its other endpoints are."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from requests.utils import get_auth_from_url

from datadog_checks.base.errors import ConfigurationError

__all__ = ['Address', 'read_address', 'root_of', 'without_user_info']

METRICS = 'metrics'

_USER_INFO = re.compile(r'(?<=://)[^/?#\s]*@')


class Address(NamedTuple):
    """A URL without user-info, to request, tag and log, and the user and password to request it with."""

    url: str
    auth: tuple[str, str] | None


def read_address(option: str, url: object) -> Address:
    """Parse the URL of an option.

    Raises a `ConfigurationError`, which never repeats the URL, unless it is clear where its user-info ends.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f'The setting `{option}` must be a string')
    shown = without_user_info(url)
    try:
        # Accessing the port validates it.
        is_clear = '@' not in shown and urlsplit(url).port != 0
    except ValueError:
        is_clear = False
    if not is_clear:
        raise ConfigurationError(
            f'The setting `{option}` must be a URL like `http://HOST:4000/path`. A user name or password in it must be '
            'percent-encoded: `%40` for @, `%2F` for /, `%3A` for :, `%3F` for ?, `%23` for #.'
        )
    user, password = get_auth_from_url(url)
    return Address(shown, (user, password) if user or password else None)


def without_user_info(text: str) -> str:
    """Return a text without the `user:password@` of URLs in it."""
    return _USER_INFO.sub('', text)


def root_of(metrics_url: str) -> str | None:
    """Return the root URL of a proxy, without a trailing slash.

    None if the page is not named `metrics`, as the root cannot be derived then.
    """
    parts = urlsplit(metrics_url)
    root, _, page = parts.path.rstrip('/').rpartition('/')
    return urlunsplit((parts.scheme, parts.netloc, root, '', '')) if page == METRICS else None
