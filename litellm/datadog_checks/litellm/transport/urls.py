"""URLs of a proxy: which part is for requests only, and where its other endpoints are."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address
from socket import inet_aton, inet_ntoa
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from requests.utils import get_auth_from_url

from datadog_checks.base.errors import ConfigurationError

from ..secret_forms import without_user_info
from ..secrets import SELECTOR

__all__ = ['Address', 'one_spelling', 'read_address', 'root_of']

METRICS = 'metrics'
# Names, also with signs of other scripts, and addresses, also with a zone: anything else that is percent-encoded may be
# a user and password together with their `:` and `@`.
_HOST = re.compile(r'[\w.~-]+|[0-9a-f:.]*:[\w.~%:-]*')

# Of a path, which may hold a key as the query may.
_PARAMETERS = re.compile(';[^/]*')

LOCALHOST = 'localhost'
LOCAL_ADDRESSES = ('127.0.0.1', '::1', '0.0.0.0', '::')


class Address(NamedTuple):
    """A URL without user-info, and the user and password to request it with."""

    url: str
    auth: tuple[str, str] | None

    @property
    def shown(self) -> str:
        """The URL to tag and log: without the parameters of its path, and of its query only which samples to select."""
        parts = urlsplit(self.url)
        query = '&'.join(pair for pair in parts.query.split('&') if unquote(pair.partition('=')[0]) == SELECTOR)
        return urlunsplit(parts._replace(path=_PARAMETERS.sub('', parts.path), query=query, fragment=''))


def read_address(option: str, url: object) -> Address:
    """Parse the URL of an option.

    Raises a `ConfigurationError`, which never repeats the URL, unless it can be requested and it is clear where its
    user-info ends.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f'The setting `{option}` must be a string')
    # What is written in several lines ends with a line feed.
    url = url.strip()
    shown = without_user_info(url)
    user = password = ''
    try:
        parts = urlsplit(url)
        # Accessing the port validates it.
        is_clear = url.isprintable() and _has_host(parts) and '@' not in shown and parts.port != 0
        user, password = get_auth_from_url(url)
        # That of the header, which has no other characters.
        (user + password).encode('latin-1')
    except ValueError:
        is_clear = False
    if not is_clear:
        raise ConfigurationError(
            f'The setting `{option}` must be a URL like `http://HOST:4000/path`. A user name or password in it must be '
            'percent-encoded: `%40` for @, `%2F` for /, `%3A` for :, `%3F` for ?, `%23` for #.'
        )
    return Address(shown, (user, password) if user or password else None)


def _has_host(parts: SplitResult) -> bool:
    if parts.scheme == 'unix':
        # A socket's path stands in the place of a host, or ends like this.
        return bool(parts.netloc) or '.sock' in parts.path
    return parts.scheme in ('http', 'https') and _HOST.fullmatch(parts.hostname or '') is not None


def one_spelling(url: str) -> str:
    """Return the same for URLs that differ in spelling only: of host, port or path, or by a slash at the end.

    A server that listens on a port of the host itself does so whether that is called by its name or its address.
    """
    parts = urlsplit(url)
    host = (parts.hostname or '').rstrip('.')
    with suppress(OSError):
        # Such as `127.1`.
        host = inet_ntoa(inet_aton(host))
    with suppress(ValueError):
        address = ip_address(host)
        host = (getattr(address, 'ipv4_mapped', None) or address).compressed
    host = LOCALHOST if host in LOCAL_ADDRESSES else host
    # As requests asks for it: without `.` and `..`.
    path = urljoin('/', unquote(parts.path)).rstrip('/')
    port = parts.port or {'http': 80, 'https': 443}.get(parts.scheme)
    query = '&'.join(sorted(map(unquote, parts.query.split('&'))))
    return urlunsplit((parts.scheme, f'{host}:{port}', path, query, ''))


def root_of(metrics_url: str) -> str | None:
    """Return the root URL of a proxy, without a trailing slash.

    None if the page is not named `metrics`, as the root cannot be derived then.
    """
    parts = urlsplit(metrics_url)
    root, _, page = parts.path.rstrip('/').rpartition('/')
    return urlunsplit((parts.scheme, parts.netloc, root, '', '')) if page == METRICS else None
