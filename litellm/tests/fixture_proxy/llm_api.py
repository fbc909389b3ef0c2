"""The routes of models, in OpenAI's and Anthropic's form, and what else clients call.

Request headers of the fixture's own: `x-fixture-fail: 429` makes the deployments of the requested group fail with that
status, `x-fixture-reject: queue_full` (or `queue_timeout`) has admission control refuse the request, and
`x-fixture-end: hang_up` is a client that does not wait for its answer, `hook_error` a custom guardrail that raises a
plain exception.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from email import message_from_bytes
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from .accounts import Caller
from .answers import STREAMED, body_of, broken_stream_of, realtime_events, stream_of
from .auth import RefusedError, authenticate, error_response
from .calls import Answer, Call, Failure, Outcome
from .catalogue import MCP_TOOLS, UPSTREAM_ERRORS, passed_to
from .proxy import proxy_of

__all__ = ['ROUTES']

_CREATED = 1677610602


class _BadRequestError(Exception):
    """The body cannot be served; `exception` is the class that LiteLLM names in labels."""

    def __init__(self, message: str, param: str, exception: str = 'ProxyException', model: str = '') -> None:
        super().__init__(message)
        self.failure = Failure(400, exception, message, 'invalid_request_error', param)
        self.model = model


async def _serve(request: Request, kind: str, required: str, provider: str | None = None) -> Response:
    """Serve one request for a model's answer, or pass it through to a provider."""
    caller = authenticate(request, model=await _requested_model(request))
    try:
        body = await _json_body(request)
        if required not in body:
            message = f"Missing required parameter: '{required}'."
            raise _BadRequestError(message, required, 'ProxyMissingRequiredParamError', str(body.get('model', '')))
        call = _call(request, caller, kind, body, str(body[required]), provider)
    except _BadRequestError as error:
        return _refuse(request, caller, error)
    proxy = proxy_of(request)
    ended = _ENDS.get(request.headers.get('x-fixture-end', ''))
    if ended is not None:
        proxy.telemetry.record(Outcome(call, failure=ended))
        return error_response(ended)
    outcome = proxy.serve(call)
    if outcome.answer is None:
        assert outcome.failure is not None
        if outcome.failure.breaks_off:
            return StreamingResponse(broken_stream_of(kind, outcome.failure.message), media_type='text/event-stream')
        return error_response(outcome.failure)
    if proxy.settings.real_delay and not call.stream:
        await asyncio.sleep(outcome.answer.timings.processing)
    headers = _headers(proxy.settings.release, outcome, outcome.answer)
    if call.stream:
        with_usage = bool((body.get('stream_options') or {}).get('include_usage'))
        wait = _wait(outcome.answer) if proxy.settings.real_delay else _do_not_wait
        events = stream_of(kind, outcome.answer, with_usage, wait)
        return StreamingResponse(events, media_type='text/event-stream', headers=headers)
    return JSONResponse(body_of(kind, outcome.answer), headers=headers)


_ENDS = {
    'hang_up': Failure(499, 'HTTPException', 'Client disconnected the request', 'None'),
    'hook_error': Failure(500, 'Exception', 'Blocked by a hook', 'None', label_status='None', counts_for_models=False),
}


def _wait(answer: Answer) -> Callable[[int, int], Awaitable[None]]:
    """Return what waits for each word of a stream as long as the answer is said to take."""
    first = answer.timings.first_token or 0.0

    async def wait(position: int, words: int) -> None:
        await asyncio.sleep(first if position == 0 else max(0.0, answer.timings.api - first) / words)

    return wait


async def _do_not_wait(position: int, words: int) -> None:
    """Let a stream go on at once."""


async def _requested_model(request: Request) -> str:
    """Read the model that a request names, if it can be read."""
    try:
        return str((await _json_body(request)).get('model', ''))
    except _BadRequestError:
        return ''


def _refuse(request: Request, caller: Caller, error: _BadRequestError) -> Response:
    """Record a bad request as a failed one, and answer it."""
    client_ip, agent = request.client and request.client.host, request.headers.get('user-agent')
    call = Call(caller, request.url.path, error.model, client_ip=client_ip, user_agent=agent)
    proxy_of(request).telemetry.record(Outcome(call, failure=error.failure))
    return error_response(error.failure)


async def _json_body(request: Request) -> dict[str, Any]:
    """Return the fields of a body, which may also be those of a form."""
    if request.headers.get('content-type', '').startswith('multipart/'):
        return await _form(request)
    try:
        body = {**await request.json(), **_in_path(request)}
    except ValueError as error:
        raise _BadRequestError(f'Invalid JSON payload: {error}', 'request_body') from error
    except TypeError as error:
        raise _BadRequestError('Invalid JSON payload: not an object', 'request_body') from error
    return body


def _in_path(request: Request) -> dict[str, Any]:
    """Return what calls of Vertex AI say in their path: the model, and whether the answer is streamed."""
    model, _, action = request.path_params.get('call', '').partition(':')
    return {'model': model, 'stream': action.startswith('stream')} if model else {}


async def _form(request: Request) -> dict[str, Any]:
    """Return the fields of a form, files by their names."""
    head = f'Content-Type: {request.headers["content-type"]}\r\n\r\n'
    parts = message_from_bytes(head.encode() + await request.body()).walk()
    fields: dict[str, Any] = {}
    for part in parts:
        name = part.get_param('name', header='content-disposition')
        if name is not None:
            fields[str(name)] = part.get_filename() or bytes(part.get_payload(decode=True) or b'').decode().strip()
    return fields


def _call(
    request: Request, caller: Caller, kind: str, body: dict[str, Any], text: str, provider: str | None = None
) -> Call:
    model = str(body.get('model', ''))
    try:
        return Call(
            caller=caller,
            route=request.url.path,
            group=model,
            passed_to=passed_to(provider, model) if provider else None,
            kind=kind,
            text=text,
            digest=hashlib.sha256(json.dumps([kind, body], sort_keys=True).encode()).hexdigest(),
            stream=kind in STREAMED and bool(body.get('stream')),
            end_user=body.get('user'),
            client_ip=request.client and request.client.host,
            user_agent=request.headers.get('user-agent'),
            service_tier=body.get('service_tier'),
            tags=tuple((body.get('metadata') or {}).get('tags', ())),
            metadata=body.get('metadata') or {},
            guardrails=tuple(body.get('guardrails') or ()),
            max_tokens=int(body['max_tokens']) if body.get('max_tokens') else None,
            amount=_amount(kind, body),
            cacheable=not (body.get('cache') or {}).get('no-cache'),
            fail_status=_fail_status(request),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise _BadRequestError(f'Invalid parameter: {error}', 'request_body') from error


def _amount(kind: str, body: dict[str, Any]) -> int:
    if kind == 'embedding':
        # A list of numbers is one text, as tokens.
        texts = body['input']
        return len(texts) if isinstance(texts, list) and not all(isinstance(each, int) for each in texts) else 1
    return max(1, int(body.get('n') or body.get('seconds') or 1))


def _fail_status(request: Request) -> int | None:
    asked = request.headers.get('x-fixture-fail')
    if asked is None:
        return None
    if not asked.isdigit() or int(asked) not in UPSTREAM_ERRORS:
        raise _BadRequestError(
            f'x-fixture-fail must be one of {", ".join(map(str, UPSTREAM_ERRORS))}', 'x-fixture-fail'
        )
    return int(asked)


def _headers(release: str, outcome: Outcome, answer: Answer) -> dict[str, str]:
    deployment = answer.deployment
    headers = {
        'x-litellm-version': release,
        'x-litellm-model-id': deployment.id,
        'x-litellm-model-group': answer.group,
        'x-litellm-model-name': f'{deployment.provider}/{deployment.model}',
        'x-litellm-response-cost': repr(answer.cost),
        'x-litellm-attempted-fallbacks': str(len(outcome.fallbacks)),
    }
    if answer.from_cache:
        headers['x-litellm-cache-key'] = outcome.call.digest
    if answer.remaining is not None:
        headers['x-ratelimit-remaining-requests'], headers['x-ratelimit-remaining-tokens'] = map(str, answer.remaining)
    return headers


def _endpoint(kind: str, required: str, provider: str | None = None) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await _serve(request, kind, required, provider)

    return endpoint


async def _realtime(websocket: WebSocket) -> None:
    """Answer the questions of a realtime session, which count as one request when it has ended."""
    try:
        caller = authenticate(websocket)
    except RefusedError:
        # Not accepted, it is answered with a status of the server's, not with LiteLLM's.
        await websocket.close()
        return
    await websocket.accept()
    group = websocket.query_params.get('model', '')
    session = {'id': 'sess_fixture', 'type': 'realtime', 'object': 'realtime.session', 'model': group}
    await websocket.send_json({'type': 'session.created', 'event_id': 'event_fixture', 'session': session})
    asked = ''
    async for text in websocket.iter_text():
        asked += text
        if json.loads(text).get('type') == 'response.create':
            call = Call(
                caller,
                websocket.url.path,
                group,
                'realtime',
                asked,
                digest=hashlib.sha256(asked.encode()).hexdigest(),
                cacheable=False,
            )
            outcome = proxy_of(websocket).serve(call)
            for event in realtime_events(outcome.answer) if outcome.answer else ():
                await websocket.send_json(event)


async def _models(request: Request) -> Response:
    authenticate(request)
    groups = dict.fromkeys(deployment.group for deployment in proxy_of(request).settings.offered)
    data = [{'id': group, 'object': 'model', 'created': _CREATED, 'owned_by': 'openai'} for group in groups]
    return JSONResponse({'object': 'list', 'data': data})


async def _count_tokens(request: Request) -> Response:
    """Count the tokens of a message, which LiteLLM does not count as a request."""
    authenticate(request)
    return JSONResponse({'input_tokens': len(await request.body()) // 4})


async def _call_mcp_tool(request: Request) -> Response:
    """Call a tool by `name`."""
    caller = authenticate(request)
    try:
        body = await _json_body(request)
        call = _call(request, caller, 'mcp', {**body, 'model': f'MCP: {body.get("name")}'}, '')
        if body.get('name') not in MCP_TOOLS:
            raise _BadRequestError(f'Tool {body.get("name")} not found', 'name')
    except _BadRequestError as error:
        return _refuse(request, caller, error)
    tool = MCP_TOOLS[body['name']]
    proxy_of(request).telemetry.record_mcp_call(call, tool)
    return JSONResponse({'content': [{'type': 'text', 'text': f'{tool.name} answered'}], 'isError': False})


_VERTEX = 'v1/projects/{project}/locations/{location}/publishers'

ROUTES: list[BaseRoute] = [
    *(
        Route(f'{prefix}{path}', _endpoint(kind, required), methods=['POST'])
        for prefix in ('/v1', '')
        for path, kind, required in (
            ('/chat/completions', 'chat', 'messages'),
            ('/completions', 'completion', 'prompt'),
            ('/responses', 'response', 'input'),
            ('/embeddings', 'embedding', 'input'),
            ('/images/generations', 'image', 'prompt'),
            ('/videos', 'video', 'prompt'),
            ('/audio/speech', 'speech', 'input'),
            ('/audio/transcriptions', 'transcription', 'file'),
            ('/rerank', 'rerank', 'documents'),
            ('/moderations', 'moderation', 'input'),
        )
    ),
    Route('/v1/messages', _endpoint('message', 'messages'), methods=['POST']),
    Route('/v1/messages/count_tokens', _count_tokens, methods=['POST']),
    Route('/anthropic/v1/messages', _endpoint('message', 'messages', 'anthropic'), methods=['POST']),
    Route('/openai_passthrough/v1/chat/completions', _endpoint('chat', 'messages', 'openai'), methods=['POST']),
    *(
        Route(
            f'/{name}/{_VERTEX}/{publisher}/models/{{call}}', _endpoint(kind, required, 'vertex_ai'), methods=['POST']
        )
        for name in ('vertex_ai', 'vertex-ai')
        for publisher, kind, required in (('anthropic', 'message', 'messages'), ('google', 'generation', 'contents'))
    ),
    WebSocketRoute('/v1/realtime', _realtime),
    Route('/v1/models', _models),
    Route('/models', _models),
    Route('/mcp-rest/tools/call', _call_mcp_tool, methods=['POST']),
]
