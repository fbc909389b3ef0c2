"""Virtual keys in headers: which are read, and how a refusal looks and counts."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .accounts import Caller, hashed
from .calls import Failure
from .proxy import proxy_of

__all__ = ['RefusedError', 'authenticate', 'error_response', 'refused_response']


class RefusedError(Exception):
    """The request brought no key that the proxy knows."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def authenticate(request: Request, bearer_only: bool = False) -> Caller:
    """Find out who calls; a refusal is recorded as a failed request, then raised."""
    key = _bearer_key(request) if bearer_only else _key(request)
    caller = proxy_of(request).accounts.caller(key)
    if caller is None or key in proxy_of(request).shared.controls.blocked_keys:
        failure = _refusal(key)
        client_ip, agent = request.client and request.client.host, request.headers.get('user-agent')
        proxy_of(request).telemetry.record_refusal(request.url.path, hashed(key), failure, client_ip, agent)
        raise RefusedError(failure)
    return caller


def _key(request: Request) -> str:
    """Read the key where LiteLLM does for every route: a bare `Authorization` or an `x-api-key` is no key."""
    custom = request.headers.get('x-litellm-api-key', '').removeprefix('Bearer ')
    return _bearer_key(request) or custom or request.headers.get('api-key', '')


def _bearer_key(request: Request) -> str:
    scheme, _, token = request.headers.get('authorization', '').partition(' ')
    return token.strip() if scheme.lower() == 'bearer' else ''


def _refusal(key: str) -> Failure:
    if not key:
        message = 'Authentication Error, No api key passed in.'
        return Failure(401, 'Exception', message, 'auth_error', 'None', label_status='None')
    if not key.startswith('sk-'):
        message = "Authentication Error, LiteLLM Virtual Key expected. Expected to start with 'sk-'."
        return Failure(401, 'AssertionError', message, 'auth_error', 'None', label_status='None')
    message = f'Authentication Error, Invalid proxy server token passed. Key Hash (Token) ={hashed(key)}.'
    return Failure(401, 'ProxyException', message, 'token_not_found_in_db', 'key')


def error_response(failure: Failure) -> Response:
    """Write an error as LiteLLM does, with the status once more in the body, as a string."""
    error = {'message': failure.message, 'type': failure.type, 'param': failure.param, 'code': str(failure.status)}
    return JSONResponse({'error': error}, failure.status)


async def refused_response(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return error_response(error.failure)
