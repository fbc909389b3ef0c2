"""GET requests with the HTTP options of an instance, whose credentials reach the host they are for and no other."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urljoin

from requests import Response
from requests.exceptions import ConnectionError, InvalidHeader, Timeout
from requests.sessions import SessionRedirectMixin
from urllib3.exceptions import HTTPError, TimeoutError

from datadog_checks.base.utils.http import RequestsWrapper

from .addresses import Address

__all__ = ['Answer', 'Client', 'authenticate', 'get']

# Headers that say nothing about the instance. Any other may be a credential.
HARMLESS_HEADERS = frozenset({'accept', 'accept-encoding', 'connection', 'user-agent'})

# What arrives is read in pieces of at most this size, which is counted before decompression.
CHUNK_BYTES = 1 << 14


class Answer(NamedTuple):
    """A status, and as much of the body as was wanted."""

    status: int
    body: bytes
    is_whole: bool

    def json(self) -> object:
        """Return the body as data. Raises a `ValueError` when it is not JSON, or longer than was wanted."""
        if not self.is_whole:
            raise ValueError('too long')
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError('too deep') from None


def authenticate(http: RequestsWrapper, address: Address) -> None:
    """Let a wrapper send the user and password of an address, unless its options have others."""
    if http.options['auth'] is None:
        http.options['auth'] = address.auth


def get(http: RequestsWrapper, url: str, **options: Any) -> Response:
    """Send a GET request and return the response, its body still to be read. The URL holds no user-info.

    Raises a `RequestException`, which never holds the value of a header.
    """
    # The base package writes the token as well, but what comes of a header that cannot be sent repeats it, key and all.
    http.handle_auth_token(method='get', url=url, default_options=http.options)
    if not all(map(_can_be_sent, http.options['headers'].values())):
        raise InvalidHeader('a header has a line break, or a character that is none of HTTP')
    response: Response = http.get(url, stream=True, hooks={'response': _leave_credentials}, **options)
    return response


class Client:
    """Ask endpoints beside the metrics page with the HTTP options of an instance. For one thread at a time."""

    def __init__(self, check: Any, config: Mapping[str, Any], address: Address) -> None:
        self._http = RequestsWrapper(config, check.init_config, check.HTTP_CONFIG_REMAPPER, check.log)
        authenticate(self._http, address)
        # With a handler the base package sends whatever fails a second time, and an answer may have to be paid for.
        self._token = self._http.auth_token_handler
        self._http.auth_token_handler = None
        self._is_token_refused = False

    @property
    def timeout(self) -> float:
        """Seconds that the instance gives an answer."""
        return float(self._http.options['timeout'][1])

    @property
    def sends_credentials(self) -> bool:
        """Whether a request carries anything that could be a key."""
        headers = {name.lower() for name in self._http.options['headers']}
        return bool(self._http.options['auth'] or self._token or headers - HARMLESS_HEADERS)

    def ask(self, url: str, seconds: float, limit: int) -> Answer:
        """Send one request, and read no more than so many seconds and bytes of the answer.

        A server that sends nothing at all is waited for as long once more at the worst. Raises a `RequestException`,
        or an `OSError` when a file of the options cannot be read.
        """
        deadline = time.monotonic() + seconds
        connect_seconds, _ = self._http.options['timeout']
        self._renew_token(url)
        pieces, size = [], 0
        with get(self._http, url, timeout=(min(connect_seconds, seconds), seconds)) as response:
            self._is_token_refused = response.status_code in (401, 403)
            try:
                # Returns what is there, where reading a fixed amount would wait for a slow sender again and again.
                while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
                    pieces.append(piece)
                    size += len(piece)
                    if size > limit:
                        break
                    if time.monotonic() > deadline:
                        raise Timeout('the answer goes on')
            except TimeoutError:
                raise Timeout('the answer stalls') from None
            except HTTPError as error:
                raise ConnectionError(f'the answer breaks off ({type(error).__name__})') from None
        return Answer(response.status_code, b''.join(pieces)[:limit], size <= limit)

    def _renew_token(self, url: str) -> None:
        if self._token is not None:
            refused = {'error': 'refused'} if self._is_token_refused else {}
            self._token.poll(method='get', url=url, default_options=self._http.options, **refused)


def _can_be_sent(header: str | bytes) -> bool:
    text = header.decode('latin-1') if isinstance(header, bytes) else str(header)
    return '\r' not in text and '\n' not in text and all(ord(character) < 256 for character in text)


def _leave_credentials(response: Response, **_: object) -> None:
    """Take what the instance added off a request that is about to be redirected to another host.

    By itself `requests` takes off `Authorization` only, and LiteLLM knows keys in other headers as well.
    """
    redirection, request = SessionRedirectMixin(), response.request
    target = redirection.get_redirect_target(response)
    if target is None or request.url is None:
        return
    # The body of a redirect is of no use, but would be read whatever its size.
    response.close()
    if redirection.should_strip_auth(request.url, urljoin(request.url, target)):
        for name in [name for name in request.headers if name.lower() not in HARMLESS_HEADERS]:
            del request.headers[name]
        # Digest and NTLM authentication wait there for a challenge to answer.
        request.hooks = {'response': [_leave_credentials]}
