"""Explain a failed scrape to the person who has to fix it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from http.client import responses as status_names

from requests import Response
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    HTTPError,
    InvalidHeader,
    ProxyError,
    RequestException,
    SSLError,
    Timeout,
    TooManyRedirects,
)
from urllib3.exceptions import NewConnectionError

from ..secrets import KEY_HEADERS
from .deadline import MAX_HEAD_BYTES
from .redirects import Redirects

__all__ = [
    'BROKEN_OFF',
    'HEAD_TOO_LARGE',
    'NOT_AN_EXPOSITION',
    'NO_TOKEN',
    'REDIRECTS',
    'TOO_SLOW',
    'URL_HINT',
    'CopiedPageError',
    'EmptyPageError',
    'NoTokenError',
    'NotMetricsError',
    'PageLimitError',
    'PartialPageError',
    'TruncatedPageError',
    'as_error_of_answer',
    'explain',
    'explain_bad_lines',
    'explain_probe_failure',
    'explain_response',
    'is_refused',
    'was_connected',
]

# Releases whose /metrics/ never answers when authentication is on and the key is right.
HANGING_RELEASES = '1.81.14 to 1.83.14'

# 203 is a 200 that was modified on the way. 206, which is not among them, is part of a page.
WITH_A_PAGE = (200, 203)

# Statuses that `requests` follows. The others from 300 on lead nowhere, with a `Location` or without.
REDIRECTS = (301, 302, 303, 307, 308)

KEY_HINT = 'send a LiteLLM key with `extra_headers: {Authorization: Bearer <KEY>}`'
OPEN_METRICS_HINT = '`litellm_settings.require_auth_for_metrics_endpoint: false` on the proxy'
URL_HINT = 'set `openmetrics_endpoint` to the metrics page of a LiteLLM proxy, such as `http://HOST:4000/metrics/`'

NOT_AN_EXPOSITION = f'the page is not in a Prometheus exposition format: {URL_HINT}'
HEAD_TOO_LARGE = (
    f'the answer has more than {MAX_HEAD_BYTES >> 20} MiB of headers, or refuses with so much text; nothing from it '
    'was submitted. Check what is in front of LiteLLM.'
)
TOO_SLOW = (
    'the page took longer to arrive than the {:g} seconds that `max_page_seconds` allows; nothing from it was '
    'submitted. Find what is slow between the Agent and the proxy, or raise the limit.'
)
NO_TOKEN = (
    'cannot get a token ({}): check the `reader` of `auth_token`, and that what it asks answers within the timeout.'
)
BROKEN_OFF = 'the response was cut off in the middle of the page ({}); nothing from it was submitted'


class NoTokenError(RequestException):
    """The token that `auth_token` is about did not come. Why says nothing about the proxy."""


class NotMetricsError(RequestException):
    """The endpoint answered, but not with a metrics page of LiteLLM."""


class TruncatedPageError(RequestException):
    """The page ended early: nothing of it was submitted."""


class PartialPageError(RequestException):
    """A part of the page was asked for, and another one came: nothing of it was submitted."""

    def __init__(self, what: str, metrics: Set[str] = frozenset()) -> None:
        super().__init__(f'the page lacks {what} that it was requested for by name.')
        self.metrics: Set[str] = metrics


class CopiedPageError(PartialPageError):
    """A part of the page was asked for, and a copy of an old one came: nothing of it was submitted."""

    def __init__(self) -> None:
        RequestException.__init__(self, 'the page is a copy that never changes: something on the way keeps it.')
        self.metrics = frozenset()


class EmptyPageError(RequestException):
    """There is no family on the page, maybe because of how it was requested: nothing of it was submitted."""

    def __init__(self) -> None:
        super().__init__('the page is empty.')


class PageLimitError(RequestException):
    """The page is larger, or takes longer, than an option allows: nothing of it was submitted."""


# Errors whose messages say what to do.
_EXPLAINED = (
    EmptyPageError,
    HTTPError,
    NoTokenError,
    NotMetricsError,
    PageLimitError,
    PartialPageError,
    TruncatedPageError,
)


def as_error_of_answer(error: Exception) -> Exception:
    """Return an error that came of reading an answer as one that the next request may be free of.

    Nobody has thought of everything that an answer can hold, nor what libraries raise for it. What files that options
    name are to blame for stays what it is.
    """
    if isinstance(error, RequestException) or getattr(error, 'filename', None):
        return error
    return TruncatedPageError(BROKEN_OFF.format(type(error).__name__))


def explain(error: Exception, redirects: Redirects) -> Exception:
    """Return an error that says what to do, of the same type if the cause is the connection.

    Messages never contain the URL, which may hold a password, or any part of the answer.
    """
    explained = _explained(error)
    if not isinstance(error, TooManyRedirects):
        explained.args = (redirects.before(str(explained)),)
    return explained


def _explained(error: Exception) -> Exception:
    if isinstance(error, _EXPLAINED):
        return error
    if isinstance(error, SSLError):
        return SSLError(f'TLS connection failed: {_tls_advice(str(error))}')
    if _is_of_forward_proxy(error) and 'CERTIFICATE_VERIFY_FAILED' in str(error):
        return ProxyError(
            "the forward proxy's certificate is not trusted: set both `tls_ca_cert` and the environment variable "
            "SSL_CERT_FILE of the Agent to files with its authority's certificates, or give `proxy` an `http://` URL."
        )
    if _is_of_forward_proxy(error):
        return ProxyError(
            'cannot connect through the forward proxy: check the `proxy` option, or set `skip_proxy: true`.'
        )
    if isinstance(error, ConnectTimeout):
        return ConnectTimeout('the connection timed out: check the host, and whether a firewall drops packets.')
    if isinstance(error, Timeout) or 'Read timed out' in str(error):
        return Timeout(
            'no response within the timeout: check whether the proxy is overloaded or stopped. For a page of many MB, '
            f'raise `read_timeout`. LiteLLM {HANGING_RELEASES} hang on /metrics/ when authentication is on and the key '
            f'is valid: upgrade the proxy, or set {OPEN_METRICS_HINT}.'
        )
    if isinstance(error, ConnectionError) and isinstance(_system_error(error), ConnectionResetError | None):
        return ConnectionError(
            f'no HTTP response came over the connection ({_root_cause(error)}): check whether the proxy restarts, and '
            'what listens on this host and port. If that speaks TLS, begin the URL with `https://`.'
        )
    if isinstance(error, ConnectionError):
        return ConnectionError(
            f'cannot connect ({_root_cause(error)}): check that the proxy is running and listening on this host and '
            'port.'
        )
    if isinstance(error, TooManyRedirects):
        return TooManyRedirects('too many redirects: configure the final URL instead.')
    if isinstance(error, InvalidHeader) and any(isinstance(argument, Exception) for argument in error.args):
        return InvalidHeader('the response headers contradict each other: check what is in front of LiteLLM.')
    if isinstance(error, InvalidHeader):
        return InvalidHeader('a request header is invalid: check the key for line breaks.')
    if isinstance(error, RequestException):
        return RequestException(f'the request failed ({type(error).__name__}): {URL_HINT}')
    if isinstance(error, OSError) and error.filename and error.strerror:
        return OSError(
            f'cannot read the file of a key ({error.strerror}): check `path` of the `auth_token` reader, and that the '
            'user of the Agent can read this file.'
        )
    return error


def explain_probe_failure(error: Exception, seconds: float) -> str:
    """Say what to do about an endpoint other than the metrics page that did not answer within so many seconds.

    Like all messages here, it contains neither the URL nor any part of the answer.
    """
    if isinstance(error, Timeout) and not isinstance(error, ConnectTimeout):
        return f'no complete response within {seconds:g} seconds.'
    if isinstance(error, ChunkedEncodingError | TruncatedPageError):
        return 'the response was cut off, or compressed in a way that was not asked for.'
    if isinstance(error, ConnectionError | InvalidHeader | NoTokenError | TooManyRedirects):
        return str(_explained(error))
    return f'{type(error).__name__}.'


def explain_response(response: Response, redirects: Redirects) -> RequestException | None:
    """Return the error that status and content type of a response amount to, or None for a page to read."""
    status = response.status_code
    if status in (401, 403):
        return HTTPError(f'{_status(response)}: {_key_advice(response, redirects)}', response=response)
    if status == 404:
        return HTTPError(
            f'{_status(response)}: no metrics at this URL. Add `prometheus` to `litellm_settings.callbacks` on the '
            f'proxy, and {URL_HINT}.',
            response=response,
        )
    if status == 407:
        return HTTPError(
            f'{_status(response)}: a forward proxy wants a user and password: put them into its URL in `proxy`, or set '
            '`skip_proxy: true`.',
            response=response,
        )
    if status == 304:
        # The check asks for no page on condition that it has changed.
        return HTTPError(
            f'{_status(response)}: something in front of LiteLLM answers for a page that the check does not have: turn '
            'off its cache for this URL.',
            response=response,
        )
    if status in REDIRECTS and response.headers.get('Location'):
        return HTTPError(
            f'{_status(response)}: the endpoint redirects, and `allow_redirects` is off. If it redirects /metrics to '
            '/metrics/, end `openmetrics_endpoint` with a slash; otherwise, use the URL that it redirects to.',
            response=response,
        )
    if status >= 400:
        return HTTPError(f'{_status(response)}: check the proxy log for the cause.', response=response)
    if status not in WITH_A_PAGE:
        return HTTPError(f'{_status(response)}: the response has no page: {URL_HINT}.', response=response)

    media_type = response.headers.get('Content-Type', '').partition(';')[0].strip().lower()
    if media_type in ('text/html', 'application/json'):
        return NotMetricsError(f'the endpoint returned {media_type}, not metrics: {URL_HINT}')
    return None


def explain_bad_lines(kinds: Mapping[str, int]) -> str:
    """Say how many lines of a page were left out, and why. Never quotes a line, as it may contain anything."""
    reasons = ', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))
    return (
        f'Some lines of the page were unreadable and skipped: {reasons}. All other lines are submitted. Either '
        'something between LiteLLM and the Agent corrupts the page, or a label value contains a character that LiteLLM '
        'does not escape.'
    )


def _tls_advice(problem: str) -> str:
    if 'WRONG_VERSION_NUMBER' in problem or 'record layer failure' in problem:
        return 'the port does not speak TLS: use `http://` in the URL.'
    if 'certificate has expired' in problem or 'certificate is not yet valid' in problem:
        return "the proxy's certificate is not valid at this time: renew it, or set the clock of the Agent's host."
    if 'certificate is not valid for' in problem:
        return (
            "the proxy's certificate is for other hosts: use a URL with a name that it has, or renew it for this one."
        )
    if 'CERTIFICATE_VERIFY_FAILED' in problem:
        return (
            "the proxy's certificate is not trusted: set `tls_ca_cert` to the certificates of its authority, or "
            '`tls_verify: false`.'
        )
    if 'EOF occurred' in problem:
        return 'the other side hung up: check whether the proxy restarts, and what listens on this host and port.'
    return 'check the `tls_*` options, and the files that they name.'


def _key_advice(response: Response, redirects: Redirects) -> str:
    if redirects.drops_key:
        return (
            'the endpoint redirects to another host, port or scheme, and keys are not forwarded there. End '
            '`openmetrics_endpoint` with a slash, or set it to the URL that it redirects to.'
        )
    sent = response.request.headers
    if str(sent.get('Authorization')).startswith('Basic '):
        return (
            'the user and password, which are in the options or the URL, were rejected. They take the place of an '
            '`Authorization` header, and LiteLLM itself accepts keys only.'
        )
    if KEY_HEADERS.isdisjoint(name.lower() for name in sent):
        return (
            'the proxy requires a key for /metrics/, the default since LiteLLM 1.84. Either '
            f'{KEY_HINT} in the instance, or set {OPEN_METRICS_HINT}.'
        )
    return (
        'the proxy rejected the key. Check that it is valid and has not expired, and that an `Authorization` header '
        'has the form `Bearer <KEY>`. Without its database, which `litellm.proxy.database` tells, LiteLLM rejects '
        'every key here but the master key.'
    )


def _status(response: Response) -> str:
    """Return the status with its standard name, whatever reason phrase the endpoint sent."""
    return f'{response.status_code} {status_names.get(response.status_code, "")}'.strip()


def is_refused(error: BaseException) -> bool:
    """Tell whether nothing listened at the address. Who was asked before that address tells nothing about it."""
    is_of_another = isinstance(error, NoTokenError) or _is_of_forward_proxy(error)
    return not is_of_another and isinstance(_system_error(error), ConnectionRefusedError)


def was_connected(error: BaseException) -> bool:
    """Tell whether an error has come over a connection, and not of the attempt to make one."""
    return not isinstance(error, ConnectTimeout | ProxyError | SSLError) and not isinstance(
        getattr(error.args[0] if error.args else None, 'reason', None), NewConnectionError
    )


def _root_cause(error: BaseException) -> str:
    """Return the text of the innermost system error, such as "Connection refused", which never has the URL."""
    cause = _system_error(error)
    return (cause and cause.strerror) or type(error).__name__


def _system_error(error: BaseException) -> OSError | None:
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, RequestException):
            return cause
    return None


def _is_of_forward_proxy(error: BaseException) -> bool:
    """Tell whether an error is about a forward proxy. Those about SOCKS, of PySocks, have the error of the socket."""
    return any(isinstance(cause, ProxyError) or hasattr(cause, 'socket_err') for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and what has led to it, down to the first cause."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        reason = getattr(cause, 'reason', None) or next((a for a in cause.args if isinstance(a, Exception)), None)
        cause = reason if isinstance(reason, Exception) else cause.__context__
