"""Know what an instance must not tell, and be the gate for all text on its way out.

Known are the values of headers that may be credentials, passwords, tokens once they were read, and what URLs hold
besides an address: user, password, the values of queries and fragments; of forward proxies also those of the Agent and
its environment. Labels of the proxy pass a gate of their own, `mapping.outgoing`, which also withholds secrets by their
form. Not recognized is a secret that is none of these, or shorter than four characters.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit
from urllib.request import getproxies
from weakref import WeakSet

from requests.utils import get_netrc_auth

from datadog_checks.base.utils import http, tls

__all__ = [
    'DEEPEST',
    'FILE_OPTIONS',
    'HARMLESS_HEADERS',
    'HEADER_OPTIONS',
    'KEY_HEADERS',
    'MASK',
    'SELECTOR',
    'Redactor',
    'decodings',
    'guard_logs',
    'hushed',
    'may_be_encoded',
    'scalars_in',
    'secrets_around',
    'secrets_of',
    'secrets_of_header',
]

MASK = '********'

# Shorter strings are not secrets, and masking them would only garble the output.
SHORTEST_SECRET = 4

# The same for the values of headers and parameters whose names do not say that they are secret.
SHORTEST_VALUE = 8

# Tokens are remembered until so many others have come. An instance has up to four clients, each with a token.
MOST_LEARNED = 16

# Headers in which LiteLLM accepts a key, in lower case.
KEY_HEADERS = frozenset({'authorization', 'x-litellm-api-key', 'api-key'})

# Headers without secrets. Any other may be a credential.
HARMLESS_HEADERS = frozenset({'accept', 'accept-encoding', 'connection', 'user-agent'})

# Those and others that say where a request goes or what it is like, and never who makes it. Their values are names and
# words that tags and messages have for other reasons.
_PLAIN_HEADERS = HARMLESS_HEADERS | {
    'accept-charset', 'accept-language', 'cache-control', 'content-type', 'host', 'origin', 'pragma', 'x-forwarded-for',
    'x-forwarded-host', 'x-forwarded-port', 'x-forwarded-prefix', 'x-forwarded-proto',
}  # fmt: skip

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
_PATH_PARAMETER = re.compile('(?<=;)[^;/]+')
_WORD = re.compile(r'[^\s"\'<>]+')
# Of the value of a header, as in `Token token="KEY", user=me`.
_BETWEEN_PARTS = re.compile('[\\s"\',:;=]+')
_NO_WORD = re.compile(r'\W', re.ASCII)
# A secret in base64 with the two signs before it that may have bits of it, and all behind it.
_BASE64 = '[a-z0-9+/_-]{{0,2}}{}[a-z0-9+/=_-]*'
_URL_SAFE = str.maketrans('+/', '-_')

# What is encoded is often encoded again, but not many times in several ways.
MOST_ENCODINGS = 8

# Percent-encoding that was percent-encoded, however many times.
_ENCODED_AGAIN = re.compile('%(?:25)+(?=[0-9a-f]{2})', re.IGNORECASE)
# As URLs, HTML, and JSON, JavaScript, Python or C encode characters.
_ENCODED = re.compile(
    r'(?:%[0-9a-f]{2})+|&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});|%u[0-9a-f]{4}'
    r'|\\(?:(?-i:U)[0-9a-f]{8}|u\{[0-9a-f]{1,6}\}|u[0-9a-f]{4}|x[0-9a-f]{2}|[0-3][0-7]{2}|(?-i:[nrt])|["\'\\/])',
    re.ASCII | re.IGNORECASE,
)
_BLANKS = {'n': '\n', 'r': '\r', 't': '\t'}
_SURROGATES = re.compile('[\ud800-\udfff]')


class _Known(NamedTuple):
    """Secrets, all that they may be spelled like, and the few of these that tell whether a text has any."""

    secrets: frozenset[str] = frozenset()
    spellings: tuple[_Spelling, ...] = ()
    """The longest first, so that no part of a secret is left when another secret is a substring of it."""
    signs: tuple[str, ...] = ()

    def is_in(self, text: str) -> bool:
        """Tell whether a text has any secret."""
        lowered = text.lower()
        for sign in self.signs:  # noqa: SIM110, `any` takes twice as long
            if sign in lowered:
                return True
        return False

    def is_encoded_in(self, text: str) -> bool:
        """Tell whether a text has any secret once it is decoded."""
        return may_be_encoded(text) and any(map(self.is_in, decodings(text)))

    def masked(self, text: str) -> str:
        """Return a text with the mask in the place of each secret."""
        lowered = text.lower()
        # An expression takes long to compile, and most spellings of most secrets are in no text at all.
        found = [one for one in self.spellings if one.text.lower() in lowered]
        parts = (_BASE64.format(re.escape(one.text)) if one.is_base64 else re.escape(one.text) for one in found)
        masked = re.sub('|'.join(parts), MASK, text, flags=re.IGNORECASE)
        # Of a few letters, such as the Turkish I, the expressions know another case than `lower`.
        return MASK if self.is_in(masked) else masked


class _Spelling(NamedTuple):
    """A form of a secret."""

    text: str
    is_base64: bool


class Redactor:
    """Replace known secrets, and user-info in URLs, in a text. Threads may share one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._given = frozenset(one for one in secrets if len(one) >= SHORTEST_SECRET)
        # The oldest first.
        self._learned: list[frozenset[str]] = []
        # Replaced as a whole: no thread ever sees secrets without what finds them.
        self._known = _compiled(self._given)

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets that became known together, such as a token that was read from a file.

        Only the last ones are remembered: tokens are renewed for as long as the Agent runs.
        """
        long_enough = frozenset(one for one in secrets if len(one) >= SHORTEST_SECRET)
        with self._lock:
            if not long_enough <= self._known.secrets:
                self._learned = [*self._learned, long_enough][-MOST_LEARNED:]
                self._known = _compiled(self._given.union(*self._learned))

    @property
    def known(self) -> frozenset[str]:
        """The secrets that are replaced."""
        return self._known.secrets

    def __call__(self, text: str) -> str:
        known = self._known
        if known.signs and known.is_in(text):
            text = known.masked(text)
        if known.signs and known.is_encoded_in(text):
            text = _WORD.sub(partial(_without_encoded, known), text)
            if known.is_encoded_in(text):
                text = MASK
        return _USER_INFO.sub(f'{MASK}@', text) if '@' in text else text


def _compiled(secrets: frozenset[str]) -> _Known:
    by_length = sorted(secrets, key=len)
    # What has another secret in it is found by that one.
    smallest = [one for at, one in enumerate(by_length) if not any(part in one for part in by_length[:at])]
    signs = {spelling.text.lower() for one in smallest for spelling in _spellings(one)}
    spellings = {spelling for one in secrets for spelling in _spellings(one)}
    return _Known(secrets, tuple(sorted(spellings, key=lambda one: (-len(one.text), one))), tuple(sorted(signs)))


def _without_encoded(known: _Known, word: re.Match[str]) -> str:
    """Return the mask for a word that is, or has, a secret with any of its characters encoded."""
    return MASK if known.is_encoded_in(word[0]) else word[0]


def may_be_encoded(text: str) -> bool:
    """Tell whether a text has a sign of what `decodings` decodes."""
    return '%' in text or '\\' in text or '&' in text


def decodings(text: str) -> Iterator[str]:
    """Yield what a text is once it is decoded, and once that is decoded, for as long as anything in it is encoded."""
    for _ in range(MOST_ENCODINGS):
        before = text
        for pattern, plain in ((_ENCODED_AGAIN, '%'), (_ENCODED, _plain)):
            text, changes = pattern.subn(plain, text)
            if changes:
                yield text
        if text == before:
            return


def _plain(code: re.Match[str]) -> str:
    kind, digits = code[0][:2].lower(), code[0][2:].strip('{}')
    if kind[0] == '%' and kind != '%u':
        content = bytes.fromhex(code[0].replace('%', ''))
        try:
            return content.decode()
        except UnicodeError:
            return content.decode('latin-1')
    if kind[0] == '&':
        return html.unescape(code[0])
    if not digits:
        return _BLANKS.get(kind[1], kind[1])
    number = int(digits, 16) if kind[1] in 'ux' else int(code[0][1:], 8)
    # No surrogate may leave: it is no text.
    return _SURROGATES.sub('\ufffd', chr(number)) if number <= sys.maxunicode else '\ufffd'


def _spellings(secret: str) -> Iterator[_Spelling]:
    """Yield a secret as JSON, Python, HTML, metrics, hexadecimal digits and base64 spell it."""
    plain = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret)}
    # UTF-8 that was read as the text of a header.
    plain.add(secret.encode('utf-8', 'replace').decode('latin-1'))
    # What has these signs only is a part of any text.
    if len(secret.strip('-_.:/ ')) >= SHORTEST_SECRET:
        plain.add(_NO_WORD.sub('_', secret))
    if len(secret) >= SHORTEST_VALUE:
        plain.add(secret.encode('utf-8', 'replace').hex())
    yield from (_Spelling(one, is_base64=False) for one in plain)
    yield from (_Spelling(one, is_base64=True) for one in _in_base64(secret))


def _in_base64(secret: str) -> Iterator[str]:
    """Yield the base64 of a secret wherever it is in what is encoded, without what depends on its neighbours."""
    content = secret.encode('utf-8', 'replace')
    for before in range(3):
        code = base64.b64encode(bytes(before) + content).decode()
        # Of the signs, the first ones have bits of what is before, and the last ones of what is behind.
        first, behind = (0, 2, 3)[before], (before + len(content)) % 3
        core = code[first : len(code) - (0, 3, 2)[behind]] if behind else code[first:]
        if len(core) >= SHORTEST_VALUE:
            yield core
            yield core.translate(_URL_SAFE)


def secrets_of(*options: Any) -> Iterator[str]:
    """Yield the secrets in the options of an instance or of `init_config`, in all forms that they appear in."""
    for path, value in scalars_in(options):
        option = path[-1] if path else ''
        if option in PASSWORD_OPTIONS:
            yield from _forms(value)
        elif option in FILE_OPTIONS:
            if not os.path.exists(os.path.expanduser(value)):
                for line in (value, *value.splitlines()):
                    yield from _forms(line)
        elif path[-2:-1] and path[-2] in HEADER_OPTIONS:
            yield from secrets_of_header(option, value)
        elif path[-2:-1] == ('options',) and _SAYS_SECRET.search(option):
            # What is sent to get a token.
            yield from _forms(value)
        elif '://' in value:
            yield from _secrets_of_url(value)
        elif path[-2:-1] == ('proxy',):
            # It may do without a scheme.
            yield from _secrets_of_url(f'//{value}')
    for one in options:
        if isinstance(one, Mapping) and one.get('username') and one.get('password'):
            yield _basic(f'{one["username"]}:{one["password"]}')
        yield from _secrets_beside_token(one)


def secrets_around(*options: Any) -> Iterator[str]:
    """Yield the secrets that requests have of the Agent, its environment and `.netrc`, and of no option."""
    agent = http.datadog_agent  # type: ignore[attr-defined]
    yield from secrets_of({'proxy': agent.get_config('proxy')}, {'proxy': getproxies()})
    for _, value in scalars_in(options):
        # What is no URL is refused later.
        with suppress(ValueError):
            user, password = (get_netrc_auth(value) if '://' in value else None) or ('', '')
            yield from secrets_of({'username': user, 'password': password})


def _secrets_beside_token(options: Any) -> Iterator[str]:
    """Yield what a header has beside the token of `auth_token`, unless it is a word like `Bearer`."""
    writer = options
    for part in ('auth_token', 'writer'):
        writer = writer.get(part) if isinstance(writer, Mapping) else None
    value = writer.get('value') if isinstance(writer, Mapping) else None
    if isinstance(value, str):
        for part in value.split(str(writer.get('placeholder') or '<TOKEN>')):
            if len(part.strip()) >= SHORTEST_VALUE:
                yield from _forms(part)


def secrets_of_header(name: str, value: str) -> Iterator[str]:
    """Yield a header's value, and the parts of it that are worth hiding: of `Bearer KEY` also `KEY`."""
    if name.lower() in _PLAIN_HEADERS:
        return
    is_secret = _SAYS_SECRET.search(name) is not None
    shortest = 1 if is_secret else SHORTEST_VALUE
    for part in _BETWEEN_PARTS.split(value):
        if is_secret and len(part) >= SHORTEST_VALUE:
            yield from _forms(part)
    for part in (
        value,
        value.partition(' ')[2],
        value.rpartition(' ')[2],
        *_user_and_password(value),
        *(part.partition('=')[2] for part in value.split(';')),
    ):
        if len(part.strip()) >= shortest:
            yield from _forms(part)


def _user_and_password(header: str) -> Iterator[str]:
    """Yield what the value of a header has in base64, as a whole and behind its colon."""
    scheme, _, code = header.partition(' ')
    if scheme.lower() == 'basic':
        with suppress(ValueError):
            decoded = base64.b64decode(code).decode('latin-1')
            yield decoded
            yield decoded.partition(':')[2]


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
    for pair in (*parts.query.split('&'), *_PATH_PARAMETER.findall(parts.path)):
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
        yield quote(meant, safe='', errors='replace')
        yield quote(meant, errors='replace')
        yield quote_plus(meant, errors='replace')


def _basic(user_and_password: str) -> str:
    return base64.b64encode(user_and_password.encode('latin-1', 'replace')).decode()


class _Guard(logging.Filter):
    """Redact the records of loggers that may log options, URLs and headers of an instance."""

    def __init__(self) -> None:
        super().__init__()
        self._redactors: WeakSet[Redactor] = WeakSet()
        # A thread may log while another makes a check. Reentrant, as the garbage collector may run what logs.
        self._lock = threading.RLock()

    def add(self, redact: Redactor) -> None:
        """Redact with this one as well, for as long as it lives."""
        with self._lock:
            self._redactors.add(redact)

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except Exception as error:  # noqa: BLE001, a filter must not raise what a handler would only report
            message = f'{record.msg} ({type(error).__name__})'
        record.msg, record.args = self._redacted(message), ()
        if record.exc_info:
            trace = record.exc_text or logging.Formatter().formatException(record.exc_info)
            # The exception itself has it, too: the text is what a formatter shows.
            record.exc_info, record.exc_text = None, self._redacted(trace)
        return True

    def _redacted(self, text: str) -> str:
        with self._lock:
            redactors = list(self._redactors)
        for redact in redactors:
            text = redact(text)
        return text


class _Hush(logging.Filter):
    """Leave of the records of libraries only their own words while a request of the check runs in the same thread.

    They log headers that cannot be read, and where redirects lead to: what an endpoint says may be a secret of its own.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(_requests, 'running', 0):
            record.msg, record.args = _PLACEHOLDER.sub('…', str(record.msg)) if record.args else _NOT_SHOWN, ()
            if record.exc_info:
                kind = record.exc_info[0]
                record.exc_info, record.exc_text = None, f'({kind.__name__})' if kind else None
        return True


# How many requests of the check run in a thread.
_requests = threading.local()
_PLACEHOLDER = re.compile(r'%[-#0 +.\d]*[a-zA-Z]')
_NOT_SHOWN = 'a message that is not shown, as it may quote an endpoint'


@contextmanager
def hushed() -> Iterator[None]:
    """Let libraries log nothing of what an endpoint says, in this thread."""
    _requests.running = getattr(_requests, 'running', 0) + 1
    try:
        yield
    finally:
        _requests.running -= 1


class _Sieve(logging.Handler):
    """Pass the records of a library through filters before the handlers of the root logger see them.

    A filter would hold for one logger, and not for those below it, some of which only come with the first request.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Leave it to other handlers to show the record."""


_GUARD = _Guard()
_SIEVE = _Sieve()
_SIEVE.addFilter(_Hush())
_SIEVE.addFilter(_GUARD)

# Libraries that log what is sent and what comes back: URLs, options, tokens, answers to the challenges of Kerberos and
# NTLM, keys of AWS, headers that cannot be read.
_LIBRARIES = (
    'botocore', 'charset_normalizer', 'chardet', 'oauthlib', 'requests', 'requests_kerberos', 'requests_oauthlib',
    'spnego', 'urllib3',
)  # fmt: skip


def guard_logs(logger: logging.Logger, redact: Redactor) -> None:
    """Redact what this logger and those of libraries log, for as long as the redactor lives."""
    _GUARD.add(redact)
    for name in _LIBRARIES:
        logging.getLogger(name).addHandler(_SIEVE)
    for each in (logger, http.LOGGER, tls.LOGGER):
        each.addFilter(_GUARD)
