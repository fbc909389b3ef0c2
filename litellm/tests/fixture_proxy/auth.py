"""Virtual keys in headers: which are read, and how a refusal looks and counts."""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from .accounts import Caller, Owner, hashed
from .calls import Failure
from .proxy import proxy_of
from .releases import Profile

__all__ = ['SECONDS_HEADER', 'RefusedError', 'authenticate', 'error_response', 'refused_response']

# Tells how long LiteLLM would have taken for a refusal, which the fixture answers at once.
SECONDS_HEADER = 'x-fixture-seconds'


_FALLBACK = 'failed-to-connect-to-db'
# Whoever calls without a key that is in the cache, where requests are allowed without the database.
_ANYBODY = Caller(_FALLBACK, _FALLBACK, user=Owner('__db_unavailable_fallback__', _FALLBACK))
# LiteLLM 1.110.2 without its database: the label says nothing of the 503. By the state of the database, the refusal and
# the seconds that it takes; while the database hangs, whom a key belongs to is waited for until the client gives up.
_UNREACHABLE = 'Service Unavailable, the authentication database is temporarily unreachable. Please retry shortly.'
_GIVEN_UP = (Failure(503, 'DBLookupDeadlineExceeded', _UNREACHABLE, 'None', 'None', label_status='None'), 10.0)
_WITHOUT_DB = {
    'down': (Failure(503, 'ConnectError', _UNREACHABLE, 'None', 'None', label_status='None'), 4.0),
    'hangs': _GIVEN_UP,
    'locked': _GIVEN_UP,
}
_STUCK_SECONDS = 60.0


class RefusedError(Exception):
    """The request brought no key that the proxy knows. The refusal takes some simulated `seconds`."""

    def __init__(self, failure: Failure, seconds: float = 0.0) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.seconds = seconds


def authenticate(request: HTTPConnection, bearer_only: bool = False, model: str = '') -> Caller:
    """Find out who calls; a refusal is recorded as a failed request, for the model that it names, then raised."""
    key = _bearer_key(request) if bearer_only else _key(request)
    proxy = proxy_of(request)
    caller, controls = proxy.accounts.caller(key), proxy.shared.controls
    if controls.db != 'up' and key != proxy.settings.key:
        return _authenticate_without_db(request, key, caller, model)
    if caller is None or key in controls.blocked_keys:
        failure = _refusal(key, proxy.settings.profile)
        _record(request, key, failure, model)
        raise RefusedError(failure)
    if controls.db == 'up':
        proxy.accounts.remember(caller, proxy.clock.now)
    return caller


def _authenticate_without_db(request: HTTPConnection, key: str, caller: Caller | None, model: str) -> Caller:
    """Let in whose key is in the cache, if that is all that has to be known, or everybody if that is allowed."""
    proxy = proxy_of(request)
    controls = proxy.shared.controls
    is_cached = caller is not None and proxy.accounts.remembers(caller, proxy.clock.now)
    knows_enough = controls.requests_without_db or controls.db == 'locked' or not (caller and caller.needs_db)
    if caller is not None and is_cached and knows_enough:
        return caller
    if controls.db == 'down':
        proxy.services.call_postgres('get_data')
    else:
        proxy.given_up_at = proxy.clock.now
        if controls.db == 'locked':
            proxy.services.failed('postgres', 'DataError', 'get_data')
    if controls.requests_without_db:
        return _ANYBODY
    failure, seconds = _WITHOUT_DB[controls.db]
    if is_cached and controls.db == 'hangs':
        raise RefusedError(failure, _STUCK_SECONDS)
    # A scrape that is refused for this is not counted.
    if not request.url.path.startswith('/metrics'):
        _record(request, key, failure, model, caller if is_cached else None)
    raise RefusedError(failure, 0.0 if is_cached else seconds)


def _record(request: HTTPConnection, key: str, failure: Failure, model: str, caller: Caller | None = None) -> None:
    """Record a refusal, with all that is known of the caller."""
    client_ip, agent = request.client and request.client.host, request.headers.get('user-agent')
    who = {**(caller.labels() if caller else {}), 'hashed_api_key': hashed(key)}
    proxy_of(request).telemetry.record_refusal(request.url.path, who, failure, client_ip, agent, model)


def _key(request: HTTPConnection) -> str:
    """Read the key where LiteLLM does for every route: a bare `Authorization` or an `x-api-key` is no key.

    Where there is a header of LiteLLM's own, `Authorization` may hold what is meant for the provider.
    """
    custom = request.headers.get('x-litellm-api-key', '').removeprefix('Bearer ')
    return custom or _bearer_key(request) or request.headers.get('api-key', '')


def _bearer_key(request: HTTPConnection) -> str:
    scheme, _, token = request.headers.get('authorization', '').partition(' ')
    return token.strip() if scheme.lower() == 'bearer' else ''


def _refusal(key: str, profile: Profile) -> Failure:
    if not key:
        message = 'Authentication Error, No api key passed in.'
        return Failure(401, 'Exception', message, 'auth_error', 'None', label_status='None')
    if not key.startswith('sk-'):
        message = "Authentication Error, LiteLLM Virtual Key expected. Expected to start with 'sk-'."
        return Failure(401, 'AssertionError', message, 'auth_error', 'None', label_status='None')
    message = f'Authentication Error, Invalid proxy server token passed. Key Hash (Token) ={hashed(key)}.'
    status = None if profile.tells_status_of_refusals else 'None'
    exception = profile.exception_of_unknown_key
    return Failure(401, exception, message, 'token_not_found_in_db', 'key', label_status=status)


def error_response(failure: Failure) -> Response:
    """Write an error as LiteLLM does, with the status once more in the body, as a string."""
    error = {'message': failure.message, 'type': failure.type, 'param': failure.param, 'code': str(failure.status)}
    return JSONResponse({'error': error}, failure.status)


async def refused_response(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    response = error_response(error.failure)
    response.headers[SECONDS_HEADER] = str(error.seconds)
    return response
