"""Know what an instance must not tell, and be the gate for all text on its way out.

Known are the values of headers, passwords, tokens once they were read, and what URLs hold besides an address: user,
password, the values of queries and fragments. Labels of the proxy pass a gate of their own, `mapping.outgoing`, which
also withholds secrets by their form. Not recognized is a secret that is none of these, or shorter than four characters.
"""

from __future__ import annotations

import base64
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, unquote_plus, urlsplit
from weakref import WeakSet

from datadog_checks.base.utils import http, tls

__all__ = [
    'HARMLESS_HEADERS',
    'HEADER_OPTIONS',
    'MASK',
    'SELECTOR',
    'Redactor',
    'guard_logs',
    'scalars_in',
    'secrets_of',
    'secrets_of_header',
]

MASK = '********'

# Shorter strings are not secrets, and masking them would only garble the output.
SHORTEST_SECRET = 4

# The same for the values of headers and parameters whose names do not say that they are secret.
SHORTEST_VALUE = 8

# Headers without secrets. Any other may be a credential.
HARMLESS_HEADERS = frozenset({'accept', 'accept-encoding', 'connection', 'user-agent'})

HEADER_OPTIONS = ('headers', 'extra_headers')
# What stands there in place of a file's path is a secret: a key or a certificate.
FILE_OPTIONS = frozenset({'tls_ca_cert', 'tls_cert', 'tls_private_key'})
PASSWORD_OPTIONS = frozenset({'password', 'tls_private_key_password', 'client_secret'})

# The parameter of a metrics page that selects samples.
SELECTOR = 'name[]'

# Configurations are not nested deeper, unless they contain themselves.
DEEPEST = 10

_SAYS_SECRET = re.compile('auth|cookie|credential|key|pass|secret|session|sig|token', re.IGNORECASE)
_USER_INFO = re.compile(r'(?<=://)[^/?#@\s]+@')


class Redactor:
    """Replace known secrets, and user-info in URLs, in a text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets that became known, such as a token that was read from a file."""
        new = {one for one in secrets if len(one) >= SHORTEST_SECRET} - self._known
        if new:
            self._known |= new
            # The longest first, so that no part of a secret is left when another secret is a substring of it.
            self._pattern = re.compile('|'.join(map(re.escape, sorted(self._known, key=len, reverse=True))))

    @property
    def known(self) -> frozenset[str]:
        """The secrets that are replaced."""
        return self._known

    def __call__(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return _USER_INFO.sub(f'{MASK}@', text) if '@' in text else text


def secrets_of(*options: Any) -> Iterator[str]:
    """Yield the secrets in the options of an instance or of `init_config`, in all forms that they appear in."""
    for path, value in scalars_in(options):
        option = path[-1] if path else ''
        if option in PASSWORD_OPTIONS:
            yield from _forms(value)
        elif option in FILE_OPTIONS:
            if not os.path.exists(value):
                for line in (value, *value.splitlines()):
                    yield from _forms(line)
        elif path[-2:-1] and path[-2] in HEADER_OPTIONS:
            yield from secrets_of_header(option, value)
        elif path[-2:] == ('writer', 'value'):
            # What stands beside the token of a file is a secret, too, unless it is a word like `Bearer`.
            yield from (
                form for part in value.split('<TOKEN>') if len(part.strip()) >= SHORTEST_VALUE for form in _forms(part)
            )
        elif '://' in value:
            yield from _secrets_of_url(value)
    for one in options:
        if isinstance(one, Mapping) and one.get('username') and one.get('password'):
            yield _basic(f'{one["username"]}:{one["password"]}')


def secrets_of_header(name: str, value: str) -> Iterator[str]:
    """Yield a header's value, and the parts of it that are worth hiding: of `Bearer KEY` also `KEY`."""
    if name.lower() in HARMLESS_HEADERS:
        return
    shortest = 1 if _SAYS_SECRET.search(name) else SHORTEST_VALUE
    for part in (value, value.rpartition(' ')[2], *(part.partition('=')[2] for part in value.split(';'))):
        if len(part.strip()) >= shortest:
            yield from _forms(part)


def scalars_in(value: Any, path: tuple[str, ...] = (), depth: int = 0) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the strings and numbers in a configuration, as strings, with the options and sub-options that they are."""
    if isinstance(value, bytes):
        yield path, value.decode('latin-1')
    elif isinstance(value, str | int | float):
        yield path, str(value)
    elif isinstance(value, Mapping) and depth < DEEPEST:
        for key, one in value.items():
            yield from scalars_in(one, (*path, str(key)), depth + 1)
    elif isinstance(value, list | tuple) and depth < DEEPEST:
        for one in value:
            yield from scalars_in(one, path, depth + 1)


def _secrets_of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    user_info, at, _ = parts.netloc.rpartition('@')
    if at:
        user, _, password = user_info.partition(':')
        yield from _forms(user_info)
        yield from _forms(password)
        yield _basic(f'{unquote(user)}:{unquote(password)}')
    for pair in parts.query.split('&'):
        name, _, value = pair.partition('=')
        # A key may stand there without a name.
        value = value or name
        if unquote(name) != SELECTOR and (len(value) >= SHORTEST_VALUE or _SAYS_SECRET.search(name)):
            yield from _forms(value)
    if len(parts.fragment) >= SHORTEST_VALUE:
        yield from _forms(parts.fragment)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is configured, as it is meant, and as it is sent in a URL."""
    yield secret
    yield secret.strip()
    for meant in (unquote(secret), unquote_plus(secret)):
        yield meant
        yield quote(meant, safe='')
        yield quote(meant)


def _basic(user_and_password: str) -> str:
    return base64.b64encode(user_and_password.encode('latin-1', 'replace')).decode()


class _Guard(logging.Filter):
    """Redact the records of loggers that may log options, URLs and headers of an instance."""

    def __init__(self) -> None:
        super().__init__()
        self.redactors: WeakSet[Redactor] = WeakSet()

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001, a filter must not raise what a handler would only report
            message = f'{record.msg} ({type(error).__name__})'
        record.msg, record.args = self._redacted(message), ()
        if record.exc_info:
            trace = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_text = self._redacted(trace)
        return True

    def _redacted(self, text: str) -> str:
        for redact in list(self.redactors):
            text = redact(text)
        return text


_GUARD = _Guard()

# Loggers of libraries that log what is sent and what comes back: URLs, options, tokens, headers that cannot be read.
_LOGGERS_BY_NAME = (
    'requests_oauthlib.oauth2_session',
    'urllib3.connection',
    'urllib3.connectionpool',
    'urllib3.util.retry',
)
_LOGGERS = (
    http.LOGGER,
    tls.LOGGER,
    *map(logging.getLogger, _LOGGERS_BY_NAME),
)


def guard_logs(logger: logging.Logger, redact: Redactor) -> None:
    """Redact what this logger and those of libraries log, for as long as the redactor lives."""
    _GUARD.redactors.add(redact)
    for each in (logger, *_LOGGERS):
        each.addFilter(_GUARD)
