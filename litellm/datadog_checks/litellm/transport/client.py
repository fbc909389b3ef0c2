"""GET requests with the HTTP options of an instance. Credentials reach no other host than the one they are for."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Mapping, Set
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urljoin

from requests import Response
from requests.exceptions import InvalidHeader, InvalidSchema, RequestException, SSLError
from requests.sessions import SessionRedirectMixin

from datadog_checks.base.utils.http import RequestsWrapper

from ..base_package import forget_certificates, session_of, take_token_handler
from ..options import can_be_sent
from ..secrets import HARMLESS_HEADERS, Redactor, hushed, secrets_of_header
from .background_call import BackgroundCall
from .body import pieces_of
from .deadline import Deadline, keep_deadline
from .errors import NO_TOKEN, NoTokenError
from .redirects import NOT_REDIRECTED, Redirects
from .urls import Address

__all__ = ['Answer', 'Client']

# Stands for the target of a redirect that is no text.
NO_URL = 'http://['

# Browsers keep so many of a host, and servers refuse requests with more.
MOST_COOKIES = 50

# What makes a request a plain one, unless the options set these headers.
PLAIN = MappingProxyType({'Accept-Encoding': 'identity', 'Connection': 'close'})


class Answer(NamedTuple):
    """A status, and as much of the body as was asked for."""

    status: int
    body: bytes
    is_whole: bool
    redirects: Redirects = NOT_REDIRECTED

    def text(self, encoding: str = 'utf-8') -> str:
        """Return the body as text. Raises a `ValueError` if it is not text in this encoding, or not whole."""
        if not self.is_whole:
            raise ValueError('too long')
        return self.body.removeprefix(codecs.BOM_UTF8).decode(encoding)

    def json(self) -> object:
        """Return the parsed body. Raises a `ValueError` if it is not JSON, or not whole."""
        try:
            return json.loads(self.text())
        except RecursionError:
            raise ValueError('too deep') from None


class Client:
    """Send GET requests with the HTTP options of an instance. Not thread-safe.

    URLs come without user-info: its user and password are sent unless the options have others. The credentials are the
    options that have any; the chosen headers are those that options set, in lower case. Errors are `RequestException`s
    that never contain the value of a header, or `OSError`s about a file that an option names.
    """

    def __init__(
        self,
        http: RequestsWrapper,
        address: Address,
        secrets: Redactor,
        credentials: Mapping[str, Any] = MappingProxyType({}),
        chosen_headers: Set[str] = frozenset(),
    ) -> None:
        self._http = http
        self._plain = {name: value for name, value in PLAIN.items() if name.lower() not in chosen_headers}
        self._secrets = secrets
        if http.options['auth'] is None:
            http.options['auth'] = address.auth
        self._token = take_token_handler(http)
        self._credentials = dict(credentials)
        # What gets a token makes requests of its own, or reads a file, and may never come to an end.
        self._renewal = BackgroundCall(self._renew_token, self.timeout)
        self._is_refused = False
        self.deadline = Deadline()
        """When the last request has to be over."""
        # A request of a session of its own, as the base package has it by default, would know no deadline.
        self._connections = session_of(http)
        keep_deadline(self._connections, self.deadline)
        self._tls_files = _versions_of_tls_files(http.options)
        self.redirects = NOT_REDIRECTED
        """What redirects the last request has followed."""

    @property
    def timeout(self) -> float:
        """The read timeout of the instance in seconds."""
        return float(self._http.options['timeout'][1])

    @property
    def identity(self) -> int:
        """A number that tells apart clients with different credentials, the same for each one with these."""
        options = self._http.options
        headers = {name.lower(): str(value) for name, value in options['headers'].items()}
        for name in HARMLESS_HEADERS:
            headers.pop(name, None)
        # What is no user and password is an object of its own each time that it is made.
        auth = options['auth'] if isinstance(options['auth'], tuple) else None
        return hash(json.dumps([auth, options['cert'], headers, self._credentials], sort_keys=True, default=str))

    @property
    def sends_credentials(self) -> bool:
        """True if requests carry anything that could be a key."""
        headers = {name.lower() for name in self._http.options['headers']}
        return bool(self._http.options['auth'] or self._token or headers - HARMLESS_HEADERS)

    def get(self, url: str, seconds: float, **options: Any) -> Response:
        """Return a response whose body is still unread. If its token is refused, it is renewed and sent again once.

        From its first byte on, the answer may take so many seconds. With redirects, the request takes at most twice as
        long as without.
        """
        total = 2 * (self.timeout + seconds)
        self.deadline.start(total=total, answer=seconds)
        response = self._send(url, options)
        if self._is_refused and self._token is not None:
            response.close()
            self.deadline.start(total=total, answer=seconds)
            response = self._send(url, options)
        return response

    def ask(self, url: str, seconds: float, limit: int) -> Answer:
        """Send one request, never repeated as answers may cost money, and read within these seconds and bytes.

        It is a plain one: an answer that is lost to compression, or to a connection that is used again, would be paid
        for twice. If the options ask for a compressed one, it is decompressed.
        """
        self.deadline.start(total=seconds)
        connect_seconds, _ = self._http.options['timeout']
        # A list of pieces would take 28 times their size if they come by two bytes.
        body = bytearray()
        # The first address of a host may never answer, as one of IPv6 that is not routed, and the next one at once.
        options = {'timeout': (min(connect_seconds, seconds / 2), seconds), 'extra_headers': self._plain}
        with self._send(url, options) as response:
            for piece in pieces_of(response):
                body += piece
                if len(body) > limit:
                    break
        return Answer(response.status_code, bytes(body[:limit]), len(body) <= limit, self.redirects)

    def _send(self, url: str, options: dict[str, Any]) -> Response:
        if self._token is not None:
            try:
                self._renewal(url=url, **({'error': 'refused'} if self._is_refused else {}))
            except Exception as error:
                if getattr(error, 'filename', None):
                    raise
                raise NoTokenError(NO_TOKEN.format(type(error).__name__)) from None
            for name, value in self._http.options['headers'].items():
                self._secrets.learn(secrets_of_header(name, str(value)))
        if not all(map(can_be_sent, self._http.options['headers'].values())):
            raise InvalidHeader('a header has a line break, or a character that is none of HTTP')
        self.redirects = NOT_REDIRECTED
        self._renew_certificates()
        persists = self._http.persist_connections and not _is_plain(options)
        if not persists or len(self._connections.cookies) > MOST_COOKIES:
            self._connections.cookies.clear()
        if not persists:
            # Whoever answered the last request may have kept its connection, though it was asked to close it.
            self._connections.close()
        try:
            with hushed():
                response: Response = self._http.get(
                    url, stream=True, persist=True, hooks={'response': self._redirect}, **options
                )
        except OSError as error:
            if isinstance(error, RequestException) or error.filename or not self._tls_files:
                raise
            # One of these files is not there, or not what it is to be.
            raise SSLError(type(error).__name__) from None
        finally:
            if not persists:
                # The connection of the response is closed with it.
                self._connections.close()
        self._is_refused = response.status_code in (401, 403)
        return response

    def _renew_certificates(self) -> None:
        """Have the next connection use what is in the files of certificates and keys now, if it is not as it was."""
        files = _versions_of_tls_files(self._http.options)
        if files != self._tls_files and None not in files:
            self._tls_files = files
            forget_certificates(self._http)
            self._connections.close()

    def _renew_token(self, **request: Any) -> None:
        with hushed():
            self._token.poll(method='get', default_options=self._http.options, **request)  # type: ignore[union-attr]

    def _redirect(self, response: Response, **_: object) -> None:
        """Remove what the instance added from a request that is about to be redirected to another host.

        `requests` itself removes `Authorization` only, and LiteLLM accepts keys in other headers as well.
        """
        redirection, request = SessionRedirectMixin(), response.request
        try:
            location = redirection.get_redirect_target(response)
        except UnicodeDecodeError:
            self.redirects = self.redirects.then(response.status_code, request.url or '', NO_URL, drops_key=False)
            response.close()
            raise
        if not location or request.url is None or not self._http.options['allow_redirects']:
            return
        # Without this, `requests` would read the useless body of the redirect, whatever its size.
        response.close()
        target, leaves = location, True
        # What is no URL is not followed: `requests` raises an error.
        with suppress(ValueError):
            target = urljoin(request.url, location)
            leaves = redirection.should_strip_auth(request.url, target)
        self.redirects = self.redirects.then(
            response.status_code, request.url, target, drops_key=leaves and self.sends_credentials
        )
        if leaves and target.partition(':')[0].lower() == 'unix':
            # Sessions of the base package follow to sockets of this host, such as that of Docker.
            raise InvalidSchema('a socket of this host')
        if leaves:
            for name in [name for name in request.headers if name.lower() not in HARMLESS_HEADERS]:
                del request.headers[name]
            # Digest and NTLM authentication have hooks here to answer challenges.
            request.hooks = {'response': [self._redirect]}


def _is_plain(options: dict[str, Any]) -> bool:
    """Tell whether a request is to depend on nothing that was kept of an answer before it."""
    return bool(options.get('extra_headers', {}).get('Connection') == PLAIN['Connection'])


def _versions_of_tls_files(options: Mapping[str, Any]) -> list[tuple[int, ...] | None]:
    """Return for each file of a certificate or key what is another when it has changed, None when it is not there."""
    cert = options['cert']
    paths = [options['verify'], *(cert if isinstance(cert, tuple) else [cert])]
    return [_version(path) for path in paths if isinstance(path, str)]


def _version(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
