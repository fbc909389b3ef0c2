"""The ASGI application of one worker process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from . import control, health, llm_api, managed
from .auth import RefusedError, refused_response
from .metrics import Exposition, MetricsKey
from .proxy import Proxy
from .settings import Settings

__all__ = ['create_app']

_REJECTIONS = ('queue_full', 'queue_timeout')
# Requests in flight of a proxy that hangs.
_STUCK = 500
_NEVER_QUEUED = ('/health', '/metrics', '/fixture')


class _InFlight:
    """Middleware that counts the requests in flight, and those that admission control lets in or refuses."""

    def __init__(self, app: ASGIApp, proxy: Proxy) -> None:
        self._app = app
        self._series = proxy.series
        self._shared = proxy.shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        requests = 1 + (_STUCK if self._shared.controls.hung else 0)
        self._series.inc('litellm_in_flight_requests', amount=requests)
        try:
            if scope['path'].startswith(_NEVER_QUEUED):
                await self._app(scope, receive, send)
            else:
                await self._admit(scope, receive, send)
        finally:
            self._series.inc('litellm_in_flight_requests', amount=-requests)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = dict(scope['headers']).get(b'x-fixture-reject', b'').decode()
        self._series.inc('litellm_admission_queued_requests', amount=0)
        if reason in _REJECTIONS:
            self._series.inc('litellm_admission_rejected_requests', {'reason': reason})
            error = {'message': 'Worker at capacity. Retry later.', 'type': 'overloaded_error', 'code': '503'}
            await JSONResponse({'error': error}, 503, {'retry-after': '1'})(scope, receive, send)
            return
        self._series.inc('litellm_admission_admitted_requests')
        try:
            await self._app(scope, receive, send)
        finally:
            self._series.inc('litellm_admission_admitted_requests', amount=-1)


def create_app(settings: Settings) -> Starlette:
    """Make the application; a worker process makes one and lists itself as alive while it runs."""
    proxy = Proxy(settings)

    @asynccontextmanager
    async def listed_as_worker(app: Starlette) -> AsyncIterator[None]:
        proxy.shared.add('workers', str(os.getpid()))
        yield
        proxy.shared.remove('workers', str(os.getpid()))

    routes: list[BaseRoute] = [*llm_api.ROUTES, *managed.ROUTES, *health.ROUTES, *control.ROUTES]
    if settings.prometheus:
        routes.append(Mount('/metrics', Exposition(proxy)))
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_InFlight, proxy=proxy), Middleware(MetricsKey, proxy=proxy)],
        exception_handlers={RefusedError: refused_response, 404: _not_found},
        lifespan=listed_as_worker,
    )
    app.state.proxy = proxy
    return app


async def _not_found(request: object, error: Exception) -> JSONResponse:
    return JSONResponse({'detail': 'Not Found'}, 404)
