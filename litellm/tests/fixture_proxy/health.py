"""Health endpoints and what else tells the version, each in the shape of the release."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .accounts import HEALTH_CHECK
from .auth import SECONDS_HEADER, authenticate
from .catalogue import CALLBACKS, UPSTREAM_ERRORS, Deployment
from .proxy import Proxy, proxy_of

__all__ = ['ROUTES']

# For which lookups that were given up show, since this release.
_STALLED_SECONDS, _TELLS_STALLED = 30.0, (1, 104, 0)
# Of LiteLLM, by the state of the database: a connection that is refused is tried again.
_SECONDS_TO_FAIL = {'down': 4.0, 'hangs': 2.0}


async def _liveliness(request: Request) -> Response:
    return JSONResponse("I'm alive!")


async def _readiness(request: Request) -> Response:
    proxy = proxy_of(request)
    controls, db = proxy.shared.controls, _db(proxy)
    status = 200 if db == 'connected' or controls.requests_without_db else 503
    if controls.hung:
        return JSONResponse({'detail': 'the event loop is blocked'}, 503)
    headers = {} if db == 'connected' else {SECONDS_HEADER: str(_SECONDS_TO_FAIL.get(controls.db, 0.0))}
    if not proxy.settings.profile.short_readiness:
        if db != 'connected':
            return JSONResponse({'detail': 'Service Unhealthy (Not connected to the query engine)'}, 503, headers)
        return JSONResponse(_details(proxy))
    return JSONResponse({'status': 'healthy', 'db': db}, status, headers)


async def _readiness_details(request: Request) -> Response:
    proxy = proxy_of(request)
    if not proxy.settings.profile.short_readiness:
        return JSONResponse({'detail': 'Not Found'}, 404)
    authenticate(request)
    return JSONResponse(_details(proxy), 200 if _db(proxy) == 'connected' else 503)


def _db(proxy: Proxy) -> str:
    """Tell the state of the database: for fifteen simulated seconds after it was connected, that it still is.

    One that answers, though lookups of keys were given up lately, is stalled.
    """
    now = proxy.clock.now
    if now - proxy.connected_at >= proxy.settings.profile.connected_seconds:
        if proxy.shared.controls.db in ('down', 'hangs'):
            return 'disconnected'
        proxy.connected_at = now
    is_stalled = now - proxy.given_up_at < _STALLED_SECONDS and proxy.settings.profile.release >= _TELLS_STALLED
    return 'stalled' if is_stalled else 'connected'


def _details(proxy: Proxy) -> dict[str, Any]:
    since_some_release = {
        'use_aiohttp_transport': True,
        'log_level': 'WARNING',
        'is_detailed_debug': False,
        'show_env_credential_login_warning': False,
        'show_no_redis_warning': False,
    }
    told = proxy.settings.profile.readiness_keys
    db = _db(proxy)
    as_database = {'status': db, 'last_updated': datetime.fromtimestamp(proxy.connected_at, UTC).isoformat()}
    return {
        'status': 'healthy',
        'db': db,
        'cache': 'redis',
        'litellm_version': proxy.settings.release,
        'success_callbacks': [*CALLBACKS, *(['PrometheusLogger'] if proxy.settings.prometheus else [])],
        **{name: value for name, value in since_some_release.items() if name in told},
        **(as_database if proxy.settings.profile.ready_as_database else {}),
    }


async def _health(request: Request) -> Response:
    """Call every model, or tell how they are now: as if the last check in the background had just been."""
    authenticate(request)
    proxy = proxy_of(request)
    background = proxy.settings.background_health_checks
    probes = list(proxy.probes.look()) if background else proxy.probes.call()
    if not background and proxy.settings.real_delay:
        await asyncio.sleep(sum(probe.seconds for probe in probes if probe.error_status is None))
    short = proxy.settings.profile.short_health
    healthy = [_healthy(probe.deployment, short) for probe in probes if probe.error_status is None]
    unhealthy = [_unhealthy(probe.deployment, probe.error_status) for probe in probes if probe.error_status is not None]
    return JSONResponse(
        {
            'healthy_endpoints': healthy,
            'unhealthy_endpoints': unhealthy,
            'healthy_count': len(healthy),
            'unhealthy_count': len(unhealthy),
        }
    )


def _healthy(deployment: Deployment, short: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {'model': f'{deployment.provider}/{deployment.model}', 'model_id': deployment.id}
    if short:
        return entry
    limits = {'tpm': deployment.tpm, 'rpm': deployment.rpm}
    return {**entry, 'api_base': deployment.api_base, **{name: limit for name, limit in limits.items() if limit}}


def _unhealthy(deployment: Deployment, status: int) -> dict[str, Any]:
    """Tell as much as LiteLLM does, which is more than anyone should see: credentials and the request's body."""
    error = UPSTREAM_ERRORS[status]
    return {
        'api_base': deployment.api_base.replace('https://', 'https://fixture:upstream-password@'),
        'model': f'{deployment.provider}/{deployment.model}',
        'model_id': deployment.id,
        'organization': deployment.organisation,
        'extra_headers': {'Authorization': 'Bearer fixture-upstream-token'},
        'error': (
            f'litellm.{error.name}: {error.class_at(deployment.provider)} - the fixture was told to fail.\n'
            'stack trace: Traceback (most recent call last):\n  File "fixture/main.py", line 1, in ahealth_check'
        ),
        'raw_request_typed_dict': {
            'raw_request_api_base': deployment.api_base,
            'raw_request_body': {'messages': [{'role': 'user', 'content': f'{HEALTH_CHECK.name}: are you there?'}]},
            'raw_request_headers': {'Authorization': 'Bearer fixture-upstream-token'},
            'error': None,
        },
        'exception_status': error.status,
    }


async def _model_hub(request: Request) -> Response:
    settings = proxy_of(request).settings
    if not settings.profile.has_model_hub:
        return JSONResponse({'detail': 'Not Found'}, 404)
    body: dict[str, Any] = {'docs_title': 'LiteLLM API', 'custom_docs_description': None, 'useful_links': {}}
    return JSONResponse({**body, 'litellm_version': settings.release})


async def _openapi(request: Request) -> Response:
    info = {'title': 'LiteLLM API', 'version': proxy_of(request).settings.release}
    return JSONResponse({'openapi': '3.1.0', 'info': info, 'paths': {}})


ROUTES = [
    Route('/health/liveliness', _liveliness),
    Route('/health/liveness', _liveliness),
    Route('/health/readiness', _readiness),
    Route('/health/readiness/details', _readiness_details),
    Route('/health', _health),
    Route('/public/model_hub/info', _model_hub),
    Route('/openapi.json', _openapi),
]
