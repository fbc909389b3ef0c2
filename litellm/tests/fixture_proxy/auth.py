"""Virtual keys in headers: which are read, and how a refusal looks and counts."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .accounts import Caller, hashed
from .calls import Failure
from .proxy import proxy_of

__all__ = ['RefusedError', 'authenticate', 'error_response', 'refused_response']


# LiteLLM 1.110.2, whose database was stopped: the label says nothing of the 503.
_WITHOUT_DB = Failure(503, 'ConnectError', 'All connection attempts failed', 'None', 'None', label_status='None')


class RefusedError(Exception):
    """The request brought no key that the proxy knows."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def authenticate(request: Request, bearer_only: bool = False, model: str = '') -> Caller:
    """Find out who calls; a refusal is recorded as a failed request, for the model that it names, then raised."""
    key = _bearer_key(request) if bearer_only else _key(request)
    proxy = proxy_of(request)
    caller, controls = proxy.accounts.caller(key), proxy.shared.controls
    # The key of the Agent is taken to be in the cache.
    is_scrape = request.url.path.startswith('/metrics')
    needs_db = controls.keys_need_db and not is_scrape and key != proxy.settings.key
    without_db = needs_db and controls.db == 'down'
    if caller is None or key in controls.blocked_keys or without_db:
        failure = _WITHOUT_DB if without_db else _refusal(key, proxy.settings.profile.tells_status_of_refusals)
        client_ip, agent = request.client and request.client.host, request.headers.get('user-agent')
        proxy.telemetry.record_refusal(request.url.path, hashed(key), failure, client_ip, agent, model)
        raise RefusedError(failure)
    return caller


def _key(request: Request) -> str:
    """Read the key where LiteLLM does for every route: a bare `Authorization` or an `x-api-key` is no key."""
    custom = request.headers.get('x-litellm-api-key', '').removeprefix('Bearer ')
    return _bearer_key(request) or custom or request.headers.get('api-key', '')


def _bearer_key(request: Request) -> str:
    scheme, _, token = request.headers.get('authorization', '').partition(' ')
    return token.strip() if scheme.lower() == 'bearer' else ''


def _refusal(key: str, tells_status: bool) -> Failure:
    if not key:
        message = 'Authentication Error, No api key passed in.'
        return Failure(401, 'Exception', message, 'auth_error', 'None', label_status='None')
    if not key.startswith('sk-'):
        message = "Authentication Error, LiteLLM Virtual Key expected. Expected to start with 'sk-'."
        return Failure(401, 'AssertionError', message, 'auth_error', 'None', label_status='None')
    message = f'Authentication Error, Invalid proxy server token passed. Key Hash (Token) ={hashed(key)}.'
    label_status = None if tells_status else 'None'
    return Failure(401, 'ProxyException', message, 'token_not_found_in_db', 'key', label_status=label_status)


def error_response(failure: Failure) -> Response:
    """Write an error as LiteLLM does, with the status once more in the body, as a string."""
    error = {'message': failure.message, 'type': failure.type, 'param': failure.param, 'code': str(failure.status)}
    return JSONResponse({'error': error}, failure.status)


async def refused_response(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return error_response(error.failure)
