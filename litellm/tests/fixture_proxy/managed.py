"""Managed files and batches: just enough of OpenAI's routes to create and delete them.

Each counts as a request without a model, too, a new batch as two: LiteLLM logs that once more by itself.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .accounts import Caller
from .auth import authenticate, error_response
from .calls import Call, Failure
from .catalogue import Deployment, deployments_of
from .proxy import proxy_of

__all__ = ['ROUTES']

_DEFAULT_MODEL = 'gpt-4o'


async def _create_file(request: Request) -> Response:
    """Store a file: the body, whatever its type. `?purpose=` and `?model=` stand for OpenAI's form fields."""
    caller, series = authenticate(request), proxy_of(request).series
    content = await request.body()
    purpose = request.query_params.get('purpose', 'batch')
    deployment = _deployment(request.query_params.get('model', _DEFAULT_MODEL))
    if deployment is None:
        return _unknown_model()
    values = {
        **_labels(caller, deployment),
        'purpose': purpose,
        'file_type': request.headers.get('content-type', 'application/octet-stream'),
        'user': (caller.user.id if caller.user else None) or '',
    }
    series.set('litellm_managed_file_size_bytes', values, len(content))
    series.inc('litellm_managed_file_created', _labels(caller, deployment))
    file_id = f'file-{hashlib.sha256(content).hexdigest()[:24]}'
    proxy_of(request).shared.add('files', file_id)
    proxy_of(request).telemetry.record_file_work(_call(request, caller))
    told = {'bytes': len(content), 'purpose': purpose, 'created_at': 0, 'filename': 'file', 'status': 'processed'}
    return JSONResponse({'id': file_id, 'object': 'file', **told})


async def _delete_file(request: Request) -> Response:
    """Delete a file, unless batches still wait for their cost: then it is blocked."""
    authenticate(request)
    proxy, file_id = proxy_of(request), request.path_params['file_id']
    if not proxy.shared.has('files', file_id):
        return error_response(Failure(404, '', f'No such File object: {file_id}', 'invalid_request_error', 'id'))
    if proxy.shared.names('batches'):
        proxy.series.inc('litellm_managed_file_deleted', {'result': 'blocked'})
        message = f'Cannot delete file {file_id}: referenced by a batch that is not finished'
        return error_response(Failure(400, '', message, 'invalid_request_error', 'id'))
    proxy.shared.remove('files', file_id)
    proxy.series.inc('litellm_managed_file_deleted', {'result': 'success'})
    return JSONResponse({'id': file_id, 'object': 'file', 'deleted': True})


async def _create_batch(request: Request) -> Response:
    """Create a batch of `model`; the job `batch_cost` finishes it."""
    caller, proxy = authenticate(request), proxy_of(request)
    body = await request.json()
    deployment = _deployment(body.get('model', _DEFAULT_MODEL))
    if deployment is None:
        return _unknown_model()
    digest = hashlib.sha256(str(body.get('input_file_id')).encode()).hexdigest()[:12]
    proxy.shared.add('batches', f'{deployment.group}.{digest}')
    proxy.series.inc('litellm_managed_batch_created', _labels(caller, deployment))
    proxy.telemetry.record_file_work(_call(request, caller))
    proxy.telemetry.record_file_work(replace(_call(request, caller), route=None), deployment.provider)
    told = {'endpoint': '/v1/chat/completions', 'completion_window': '24h', 'created_at': 0, 'input_file_id': 'file'}
    return JSONResponse({'id': f'batch_{digest}', 'object': 'batch', 'status': 'validating', **told})


def _call(request: Request, caller: Caller) -> Call:
    """Return a request for no model."""
    client_ip, agent = request.client and request.client.host, request.headers.get('user-agent')
    return Call(caller, request.url.path, '', client_ip=client_ip, user_agent=agent)


def _deployment(group: str) -> Deployment | None:
    return next(iter(deployments_of(group)), None)


def _unknown_model() -> Response:
    return error_response(Failure(400, '', 'Invalid model name passed in', 'invalid_request_error', 'model'))


def _labels(caller: Caller, deployment: Deployment) -> dict[str, object]:
    return {**caller.labels(), 'model': deployment.model, 'api_provider': deployment.provider}


ROUTES = [
    Route('/v1/files', _create_file, methods=['POST']),
    Route('/v1/files/{file_id}', _delete_file, methods=['DELETE']),
    Route('/v1/batches', _create_batch, methods=['POST']),
]
