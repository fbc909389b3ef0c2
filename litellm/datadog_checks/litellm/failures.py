"""What a failed scrape means to the person who has to fix it."""

from __future__ import annotations

from collections.abc import Mapping
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

__all__ = [
    'BROKEN_OFF',
    'NOT_AN_EXPOSITION',
    'URL_HINT',
    'NotMetricsError',
    'PageLimitError',
    'TruncatedPageError',
    'explain',
    'explain_bad_lines',
    'explain_question',
    'explain_response',
]

# Releases whose /metrics/ never answers when authentication is on and the key is right.
HANGING_RELEASES = '1.81.16, 1.82.6 and 1.83.14'

# 203 is a 200 that was modified on the way. 206, which is not among them, is part of a page.
WITH_A_PAGE = (200, 203)

KEY_HINT = 'send a proxy key with `extra_headers: {Authorization: Bearer <KEY>}`'
OPEN_METRICS_HINT = '`litellm_settings.require_auth_for_metrics_endpoint: false` on the proxy'
URL_HINT = '`openmetrics_endpoint` must be the metrics page of a LiteLLM proxy, like `http://HOST:4000/metrics/`'

NOT_AN_EXPOSITION = f'the page is not in an exposition format of Prometheus: {URL_HINT}'
BROKEN_OFF = 'the answer broke in the middle of the page ({}); nothing of it was submitted'


class NotMetricsError(RequestException):
    """The endpoint answered, but not with a metrics page of LiteLLM."""


class TruncatedPageError(RequestException):
    """The page ended early: nothing of it was submitted."""


class PageLimitError(RequestException):
    """The page is larger, or takes longer, than an option allows: nothing of it was submitted."""


def explain(error: Exception) -> Exception:
    """Return an error that says what to do, of the same type if the cause is the connection.

    Messages never contain the URL, which may hold a password, or any part of the answer.
    """
    if isinstance(error, NotMetricsError | TruncatedPageError | PageLimitError | HTTPError):
        return error
    if isinstance(error, SSLError):
        return SSLError(f'no TLS connection: {_tls_advice(str(error))}')
    if isinstance(error, ProxyError):
        return ProxyError('the forward proxy between the Agent and LiteLLM refuses: look at the option `proxy`.')
    if isinstance(error, ConnectTimeout):
        return ConnectTimeout('no connection within the timeout: is the host right, and does a firewall drop packets?')
    if isinstance(error, Timeout) or 'Read timed out' in str(error):
        return Timeout(
            f'no answer within the timeout. LiteLLM {HANGING_RELEASES} hang on /metrics/ when authentication is on and '
            f'the key is valid: upgrade the proxy, or set {OPEN_METRICS_HINT}. A page of many MB needs a larger '
            '`read_timeout`.'
        )
    if isinstance(error, ConnectionError):
        return ConnectionError(f'no connection ({_root_cause(error)}): is the proxy running, and listening there?')
    if isinstance(error, TooManyRedirects):
        return TooManyRedirects('the endpoint redirects in circles: use the URL that it ends with.')
    if isinstance(error, InvalidHeader) and any(isinstance(argument, Exception) for argument in error.args):
        return InvalidHeader('the headers of the answer contradict each other: look at what is in front of LiteLLM.')
    if isinstance(error, InvalidHeader):
        return InvalidHeader('a header cannot be sent: look for line breaks in the key.')
    if isinstance(error, RequestException):
        return RequestException(f'the request could not be made ({type(error).__name__}): {URL_HINT}')
    return error


def explain_question(error: Exception, seconds: float) -> str:
    """Say what to do about an endpoint other than the metrics page that did not answer within so many seconds.

    Like all messages here, it contains neither the URL nor any part of the answer.
    """
    if isinstance(error, Timeout) and not isinstance(error, ConnectTimeout):
        return f'no whole answer within {seconds:g} seconds.'
    if isinstance(error, ChunkedEncodingError):
        return 'the answer broke off.'
    if isinstance(error, ConnectionError | InvalidHeader | TooManyRedirects):
        return str(explain(error))
    return f'the request could not be made ({type(error).__name__}).'


def explain_response(response: Response) -> RequestException | None:
    """Return the error that status and content type of a response amount to, or None for a page to read."""
    status = response.status_code
    if status in (401, 403):
        return HTTPError(f'{_status(response)}: {_key_advice(response)}', response=response)
    if status == 404:
        return HTTPError(
            f'{_status(response)}: no metrics at this URL. Add `prometheus` to `litellm_settings.callbacks` of the '
            f'proxy; {URL_HINT}.',
            response=response,
        )
    if 300 <= status < 400 and 'Location' in response.headers:
        return HTTPError(
            f'{_status(response)}: the proxy redirects /metrics to /metrics/ and `allow_redirects` is off. '
            'End `openmetrics_endpoint` with a slash.',
            response=response,
        )
    if status >= 400:
        return HTTPError(f'{_status(response)}: look for the cause in the log of the proxy.', response=response)
    if status not in WITH_A_PAGE:
        return HTTPError(f'{_status(response)}: this is no answer with a page. {URL_HINT}.', response=response)

    media_type = response.headers.get('Content-Type', '').partition(';')[0].strip().lower()
    if media_type in ('text/html', 'application/json'):
        return NotMetricsError(f'the endpoint answers with {media_type}, not with metrics: {URL_HINT}')
    return None


def explain_bad_lines(kinds: Mapping[str, int]) -> str:
    """Say how many lines of a page were left out, and why. Never quotes a line, as it may contain anything."""
    reasons = ', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))
    return (
        f'Lines of the page could not be read and were left out: {reasons}. The other lines are submitted. Something '
        'between LiteLLM and the Agent damages the page, or a label has what LiteLLM does not escape.'
    )


def _tls_advice(problem: str) -> str:
    if 'WRONG_VERSION_NUMBER' in problem or 'record layer failure' in problem:
        return 'the port does not speak TLS, so the URL must begin with `http://`.'
    if 'CERTIFICATE_VERIFY_FAILED' in problem:
        return 'the certificate of the proxy is not trusted: set `tls_ca_cert`, or `tls_verify: false`.'
    return 'look at the options that begin with `tls_`.'


def _key_advice(response: Response) -> str:
    if response.history and 'Authorization' not in response.request.headers:
        return (
            'the endpoint redirects, and a key is not sent on to another host. Let `openmetrics_endpoint` be the URL '
            'that it redirects to, with a slash at its end.'
        )
    sent = {name.lower() for name in response.request.headers}
    if sent.isdisjoint({'authorization', 'x-litellm-api-key', 'api-key'}):
        return (
            'the proxy asks for a key on /metrics/, as LiteLLM does by default since 1.84. Either '
            f'{KEY_HINT} in the instance, or set {OPEN_METRICS_HINT}.'
        )
    return (
        'the proxy refused the key that was sent. Is the key valid now, and does the header '
        '`Authorization: Bearer <KEY>` have the word Bearer in it?'
    )


def _status(response: Response) -> str:
    """Return the status with its standard name, whatever reason phrase the endpoint sent."""
    return f'{response.status_code} {status_names.get(response.status_code, "")}'.strip()


def _root_cause(error: BaseException) -> str:
    """Return the text of the innermost system error, such as "Connection refused", which never has the URL."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, RequestException):
            return cause.strerror
        reason = getattr(cause, 'reason', None) or next((a for a in cause.args if isinstance(a, Exception)), None)
        cause = reason if isinstance(reason, Exception) else cause.__context__
    return type(error).__name__
