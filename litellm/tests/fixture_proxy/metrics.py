"""`/metrics`: authentication before the redirect, and the exposition in the format that the client asks for."""

from __future__ import annotations

import gzip

from prometheus_client.exposition import choose_encoder, gzip_accepted
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .auth import RefusedError, authenticate
from .proxy import Proxy

__all__ = ['Exposition', 'MetricsKey']

_ADVICE = (
    'To allow unauthenticated access, set `litellm_settings.require_auth_for_metrics_endpoint: false` '
    'in your proxy_config.yaml.'
)


class MetricsKey:
    """Middleware that asks for a key on `/metrics` and `/metrics/`, so that a 401 comes before a 307.

    That of older releases lets the redirect pass.
    """

    def __init__(self, app: ASGIApp, proxy: Proxy) -> None:
        self._app = app
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._proxy.settings
        paths = ('/metrics/',) if settings.profile.protects_page_only else ('/metrics', '/metrics/')
        is_metrics = scope['type'] == 'http' and scope['path'] in paths
        if not is_metrics or not settings.asks_for_key:
            await self._app(scope, receive, send)
            return
        try:
            authenticate(Request(scope), bearer_only=settings.profile.protects_page_only)
        except RefusedError as refused:
            body = f'Unauthorized access to metrics endpoint: {refused} {_ADVICE}'
            await JSONResponse(body, 401)(scope, receive, send)
            return
        if scope['path'] == '/metrics/' and settings.prometheus and settings.profile.hangs_with_key:
            await _wait_for_disconnect(receive)
            return
        await self._app(scope, receive, send)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())['type'] != 'http.disconnect':
        pass


class Exposition:
    """The ASGI application under `/metrics/`."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        registry = self._proxy.series.exposed()
        names = request.query_params.getlist('name[]')
        encode, content_type = choose_encoder(request.headers.get('accept', ''))
        body = encode(registry.restricted_registry(names) if names else registry)
        headers = {'content-type': content_type}
        if gzip_accepted(request.headers.get('accept-encoding', '')):
            body = gzip.compress(body, compresslevel=1)
            headers['content-encoding'] = 'gzip'
        await Response(body, headers=headers)(scope, receive, send)
