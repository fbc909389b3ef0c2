"""Let tests control a running proxy, under `/fixture/`. No key is asked for: the proxy listens on this machine only.

| request | what it does |
| --- | --- |
| `GET /fixture/` | tells the release, seed, keys, controls, jobs and the pids of the workers |
| `POST /fixture/controls {"redis": "down", "failing_providers": {"openai": 503}}` | changes the surroundings |
| `POST /fixture/advance {"seconds": 60}` | moves the simulated time on |
| `POST /fixture/jobs {"names": ["budgets"]}` | runs background jobs once; without names, all that LiteLLM runs |
| `POST /fixture/expire {"family": "litellm_...", "labels": {"end_user": "ann"}}` | drops the series with these labels |

Controls and time hold for all workers. Jobs run, and series expire, in the worker that gets the request.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .proxy import Proxy, proxy_of

__all__ = ['ROUTES']


async def _about(request: Request) -> Response:
    return JSONResponse(_state(proxy_of(request)))


async def _controls(request: Request) -> Response:
    return await _change(request, lambda body: body)


async def _advance(request: Request) -> Response:
    passed = proxy_of(request).shared.controls.advanced_seconds
    return await _change(request, lambda body: {'advanced_seconds': passed + float(body['seconds'])})


async def _change(request: Request, changes: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    shared = proxy_of(request).shared
    try:
        shared.controls = shared.controls.changed(**changes(await request.json()))
    except (KeyError, TypeError, ValueError) as error:
        return _refused(error)
    return JSONResponse(_state(proxy_of(request)))


async def _run_jobs(request: Request) -> Response:
    jobs = proxy_of(request).jobs
    try:
        names = (await request.json()).get('names', jobs.names) if await request.body() else jobs.names
        jobs.run(names)
    except (AttributeError, TypeError, ValueError) as error:
        return _refused(error)
    return JSONResponse({'ran': names, 'pid': os.getpid()})


async def _expire(request: Request) -> Response:
    try:
        body = await request.json()
        dropped = proxy_of(request).series.drop(body['family'], body.get('labels', {}))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return _refused(error)
    return JSONResponse({'dropped': dropped, 'pid': os.getpid()})


def _refused(error: Exception) -> Response:
    message = f'missing or unknown: {error}' if isinstance(error, KeyError) else str(error)
    return JSONResponse({'error': message}, 400)


def _state(proxy: Proxy) -> dict[str, Any]:
    return {
        'release': proxy.settings.release,
        'seed': proxy.settings.seed,
        'keys': [caller.key for caller in proxy.accounts.callers],
        'jobs': proxy.jobs.names,
        'controls': asdict(proxy.shared.controls),
        'pid': os.getpid(),
        'workers': proxy.settings.workers,
        'worker_pids': proxy.shared.worker_pids(),
    }


ROUTES = [
    Route('/fixture/', _about),
    Route('/fixture/controls', _controls, methods=['POST']),
    Route('/fixture/advance', _advance, methods=['POST']),
    Route('/fixture/jobs', _run_jobs, methods=['POST']),
    Route('/fixture/expire', _expire, methods=['POST']),
]
