"""The stand-in for the providers that LiteLLM talks to: one small server on the loopback interface.

It speaks enough of OpenAI's API (chat completions, streaming too, embeddings, images, videos, realtime), of Anthropic's
messages with workload identity, of Vertex AI, of an MCP server and of the Lens export. Every answer reports the same
usage, so that sums on the other side are known beforehand, and the model's name alone decides what goes wrong.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from tests.support.ports import free_port

from .environment import HarnessError

__all__ = ['CHAT_MODEL', 'MCP_TOOL', 'USAGE', 'VIDEO_MODEL', 'VIDEO_SECONDS', 'Upstream']

# The usage of every completion, in tokens; the details are parts of the totals.
USAGE: dict[str, Any] = {
    'prompt_tokens': 40,
    'completion_tokens': 20,
    'total_tokens': 60,
    'prompt_tokens_details': {'cached_tokens': 8, 'cache_creation_tokens': 6, 'audio_tokens': 4},
    'completion_tokens_details': {'reasoning_tokens': 5, 'audio_tokens': 3},
}
MCP_TOOL = 'weather'
CHAT_MODEL = 'gpt-4o-mini'
VIDEO_MODEL = 'sora-2'
VIDEO_SECONDS = 4

# What a model of this name answers: HTTP status and OpenAI's error code.
_FAILURES = {
    'fails-with-400-too-long': (400, 'context_length_exceeded', "This model's maximum context length is 10 tokens."),
    'fails-with-400': (400, 'invalid_value', 'Invalid value.'),
    'fails-with-401': (401, 'invalid_api_key', 'Incorrect API key provided.'),
    'fails-with-402': (402, 'payment_required', 'The credit is spent.'),
    'fails-with-403': (403, 'forbidden', 'The project has no access.'),
    'fails-with-404': (404, 'model_not_found', 'The model does not exist.'),
    'fails-with-408': (408, 'timeout', 'The server timed out.'),
    'fails-with-429': (429, 'rate_limit_exceeded', 'Rate limit reached.'),
    'fails-with-500': (500, 'server_error', 'The server had an error.'),
    'fails-with-503': (503, 'overloaded', 'The server is overloaded.'),
}
_SLOW_MODEL, _SLOW_SECONDS = 'slow', 1.5
# Its streams end in the middle, with their connection.
_BREAKING_MODEL = 'breaks-off'
_WORDS = ('A ', 'short ', 'answer.')
_START_SECONDS = 10


_VERTEX = '/v1/projects/{project}/locations/{location}/publishers'


class _CutOff(StreamingResponse):
    """A stream whose connection is closed before it has ended."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_all_but_the_end(message: Any) -> None:
            if message.get('more_body', True):
                await send(message)

        await super().__call__(scope, receive, send_all_but_the_end)


class Upstream:
    """The upstream server, running in a thread between `with` and its end; counts the requests by model.

    While `outage` is set, all chat completions are answered with that status, one of `_FAILURES`. While `loses_batches`
    is, it cannot tell of a batch. Chat completions take `delay` seconds, and tell that there are `remaining` requests
    and tokens left until the rate limit.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.requests: Counter[str] = Counter()
        self.refuses_rows = False
        self.outage: int | None = None
        self.loses_batches = False
        self.delay = 0.0
        self.remaining = (900, 90_000)
        routes: list[BaseRoute] = [
            Route('/v1/chat/completions', self._chat, methods=['POST']),
            Route('/v1/completions', self._completions, methods=['POST']),
            Route('/v1/responses', self._responses, methods=['POST']),
            Route('/v1/audio/speech', self._speech, methods=['POST']),
            Route('/v1/audio/transcriptions', self._transcriptions, methods=['POST']),
            Route('/v1/moderations', self._moderations, methods=['POST']),
            Route('/v2/rerank', self._rerank, methods=['POST']),
            Route('/v1/messages/count_tokens', self._token_count, methods=['POST']),
            Route('/v1/embeddings', self._embeddings, methods=['POST']),
            Route('/v1/images/generations', self._images, methods=['POST']),
            Route('/v1/videos', self._videos, methods=['POST']),
            Route('/v1/files', self._file, methods=['POST']),
            Route('/v1/files/{identity}', self._file, methods=['GET', 'DELETE']),
            Route('/v1/files/{identity}/content', self._file_content, methods=['GET']),
            Route('/v1/batches', self._batch, methods=['POST']),
            Route('/v1/batches/{identity}', self._batch, methods=['GET']),
            Route('/v1/messages', self._messages, methods=['POST']),
            Route('/v1/oauth/token', self._token, methods=['POST']),
            Route(f'{_VERTEX}/google/models/{{call}}', self._generate, methods=['POST']),
            Route(f'{_VERTEX}/anthropic/models/{{call}}', self._vertex_message, methods=['POST']),
            WebSocketRoute('/v1/realtime', self._realtime),
            Route('/mcp', self._mcp, methods=['POST']),
            Route('/lens/internal/spend', self._lens, methods=['POST']),
        ]
        self.app = Starlette(routes=routes)
        # That a stream was not ended is no news.
        config = uvicorn.Config(self.app, host='127.0.0.1', port=self.port, log_level='critical')
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name='upstream', daemon=True)

    def __enter__(self) -> Upstream:
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise HarnessError('The upstream stub did not start')
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=_START_SECONDS)

    async def _chat(self, request: Request) -> Response:
        body = await self._counted(request)
        if failure := _failure(body['model'] if self.outage is None else f'fails-with-{self.outage}'):
            return failure
        if body['model'] == _SLOW_MODEL:
            await asyncio.sleep(_SLOW_SECONDS)
        await asyncio.sleep(self.delay)
        headers = _rate_limit_headers(*self.remaining)
        if body.get('stream'):
            return _stream(body['model'], _chunks(body['model']), headers)
        message = {'role': 'assistant', 'content': 'A short answer.'}
        answer = _completion(body['model'], 'chat.completion', message=message)
        return JSONResponse({**answer, 'usage': USAGE}, headers=headers)

    async def _completions(self, request: Request) -> Response:
        body = await self._counted(request)
        return JSONResponse({**_completion(body['model'], 'text_completion', text='An answer.'), 'usage': USAGE})

    async def _responses(self, request: Request) -> Response:
        body = await self._counted(request)
        if failure := _failure(body['model']):
            return failure
        if body.get('stream'):
            return _stream(body['model'], _events(_response_events(body['model'])))
        return JSONResponse(_response(body['model']))

    async def _speech(self, request: Request) -> Response:
        await self._counted(request)
        return Response(b'ID3', media_type='audio/mpeg')

    async def _transcriptions(self, request: Request) -> Response:
        self.requests['transcriptions'] += 1
        return JSONResponse({'text': 'hello', 'duration': 2.0})

    async def _moderations(self, request: Request) -> Response:
        body = await self._counted(request)
        result = {'flagged': False, 'categories': {}, 'category_scores': {}, 'category_applied_input_types': {}}
        return JSONResponse({'id': 'modr_1', 'model': body['model'], 'results': [result]})

    async def _rerank(self, request: Request) -> Response:
        await self._counted(request)
        results = [{'index': index, 'relevance_score': 0.5} for index in (1, 0)]
        return JSONResponse({'id': 'rerank_1', 'results': results, 'meta': {'billed_units': {'search_units': 1}}})

    async def _token_count(self, request: Request) -> Response:
        return JSONResponse({'input_tokens': USAGE['prompt_tokens']})

    async def _embeddings(self, request: Request) -> Response:
        body = await self._counted(request)
        data = [{'object': 'embedding', 'index': 0, 'embedding': [0.1, 0.2, 0.3]}]
        tokens = USAGE['prompt_tokens']
        usage = {'prompt_tokens': tokens, 'total_tokens': tokens}
        return JSONResponse({'object': 'list', 'model': body['model'], 'data': data, 'usage': usage})

    async def _images(self, request: Request) -> Response:
        body = await self._counted(request)
        data = [{'b64_json': 'aW1hZ2U='}] * body.get('n', 1)
        return JSONResponse({'created': int(time.time()), 'data': data})

    async def _videos(self, request: Request) -> Response:
        self.requests[VIDEO_MODEL] += 1
        video = {'id': 'video_1', 'object': 'video', 'model': VIDEO_MODEL, 'status': 'queued', 'progress': 0}
        return JSONResponse(
            {**video, 'created_at': int(time.time()), 'seconds': str(VIDEO_SECONDS), 'size': '720x1280'}
        )

    async def _file(self, request: Request) -> Response:
        """Take a file, tell of it, or delete it."""
        self.requests[f'{request.method} file'] += 1
        identity = request.path_params.get('identity', 'file-input')
        if request.method == 'DELETE':
            return JSONResponse({'id': identity, 'object': 'file', 'deleted': True})
        file = {'id': identity, 'object': 'file', 'bytes': 100, 'filename': 'batch.jsonl', 'purpose': 'batch'}
        return JSONResponse({**file, 'created_at': int(time.time()), 'status': 'processed'})

    async def _file_content(self, request: Request) -> Response:
        """Return the results of a batch of one completion."""
        message = {'role': 'assistant', 'content': 'A short answer.'}
        body = {**_completion(CHAT_MODEL, 'chat.completion', message=message), 'usage': USAGE}
        answer = {'status_code': 200, 'request_id': 'request_1', 'body': body}
        line = {'id': 'batch_request_1', 'custom_id': 'line-1', 'error': None, 'response': answer}
        return Response(json.dumps(line) + '\n', media_type='application/jsonl')

    async def _batch(self, request: Request) -> Response:
        """Tell of a batch, which is complete as soon as it was asked for."""
        self.requests[f'{request.method} batch'] += 1
        if self.loses_batches and request.method == 'GET':
            return JSONResponse({'error': {'message': 'The server had an error.'}}, status_code=500)
        now = int(time.time())
        batch = {
            'id': request.path_params.get('identity', 'batch_1'),
            'object': 'batch',
            'endpoint': '/v1/chat/completions',
            'input_file_id': 'file-input',
            'output_file_id': 'file-output',
            'completion_window': '24h',
            'status': 'completed',
            'errors': None,
            'metadata': {},
        }
        counts = {'total': 1, 'completed': 1, 'failed': 0}
        times = {'created_at': now - 60, 'in_progress_at': now - 50, 'completed_at': now}
        return JSONResponse({**batch, **times, 'request_counts': counts})

    async def _messages(self, request: Request) -> Response:
        body = await self._counted(request)
        return _failure(body['model']) or _message(body['model'], bool(body.get('stream')))

    async def _vertex_message(self, request: Request) -> Response:
        """Answer as Anthropic does on Vertex AI, where the model is in the path."""
        model, _, action = request.path_params['call'].partition(':')
        self.requests[model] += 1
        return _message(model, action == 'streamRawPredict')

    async def _generate(self, request: Request) -> Response:
        """Answer as Gemini does on Vertex AI."""
        model, _, action = request.path_params['call'].partition(':')
        self.requests[model] += 1
        if action != 'streamGenerateContent':
            return JSONResponse(_generated(model, ''.join(_WORDS)))
        chunks = [_generated(model, word) for word in _WORDS]
        return StreamingResponse((f'data: {json.dumps(one)}\n\n' for one in chunks), media_type='text/event-stream')

    async def _realtime(self, websocket: WebSocket) -> None:
        """Answer each question of a realtime session, until the client ends it."""
        model = websocket.query_params['model']
        self.requests[model] += 1
        await websocket.accept()
        session = {'id': 'sess_1', 'object': 'realtime.session', 'type': 'realtime', 'model': model}
        await websocket.send_json({'type': 'session.created', 'event_id': 'event_1', 'session': session})
        async for text in websocket.iter_text():
            if json.loads(text)['type'] == 'response.create':
                for event in _realtime_events():
                    await websocket.send_json(event)

    async def _token(self, request: Request) -> Response:
        """Exchange an identity token as Anthropic's workload identity federation does, or refuse a rule of no one."""
        body = await request.json()
        if body['federation_rule_id'] == 'rule-refused':
            return JSONResponse({'error': 'invalid_grant'}, status_code=401)
        return JSONResponse({'access_token': 'token-for-anthropic', 'token_type': 'Bearer', 'expires_in': 3600})

    async def _mcp(self, request: Request) -> Response:
        """Answer the JSON-RPC calls of an MCP client (streamable HTTP without a stream)."""
        call = await request.json()
        if 'id' not in call:
            return Response(status_code=202)
        self.requests[f'mcp {call["method"]}'] += 1
        result: dict[str, Any] = {}
        if call['method'] == 'initialize':
            result = {
                'protocolVersion': call['params']['protocolVersion'],
                'capabilities': {'tools': {}},
                'serverInfo': {'name': 'upstream', 'version': '1'},
            }
        elif call['method'] == 'tools/list':
            schema = {'type': 'object', 'properties': {'city': {'type': 'string'}}}
            result = {'tools': [{'name': MCP_TOOL, 'description': 'Tell the weather.', 'inputSchema': schema}]}
        elif call['method'] == 'tools/call':
            result = {'content': [{'type': 'text', 'text': 'Sunny.'}], 'isError': False}
        return JSONResponse({'jsonrpc': '2.0', 'id': call['id'], 'result': result})

    async def _lens(self, request: Request) -> Response:
        """Take exported rows, or refuse them for good while `refuses_rows`."""
        outcome, status = ('lens rows refused', 400) if self.refuses_rows else ('lens rows', 204)
        self.requests[outcome] += len(await request.json())
        return Response(status_code=status)

    async def _counted(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.requests[body['model']] += 1
        return body


def _rate_limit_headers(requests: int, tokens: int) -> dict[str, str]:
    return {
        'x-ratelimit-limit-requests': '1000',
        'x-ratelimit-limit-tokens': '100000',
        'x-ratelimit-remaining-requests': str(requests),
        'x-ratelimit-remaining-tokens': str(tokens),
    }


def _failure(model: str) -> JSONResponse | None:
    if model not in _FAILURES:
        return None
    status, code, message = _FAILURES[model]
    return JSONResponse({'error': {'message': message, 'type': code, 'code': code}}, status_code=status)


def _completion(model: str, kind: str, **choice: Any) -> dict[str, Any]:
    """Return a completion with an id of its own: LiteLLM keeps one row in its database for an id."""
    identity = f'chatcmpl-{secrets.token_hex(8)}'
    return {'id': identity, 'object': kind, 'created': int(time.time()), 'model': model, **_choice(**choice)}


def _choice(**choice: Any) -> dict[str, Any]:
    return {'choices': [{'index': 0, 'finish_reason': 'stop', **choice}]}


async def _chunks(model: str) -> AsyncIterator[str]:
    """Yield a streamed completion as server-sent events; the usage comes last, in a chunk without choices."""
    whole = _completion(model, 'chat.completion.chunk', delta={})
    for word in _WORDS:
        chunk = {**whole, **_choice(delta={'role': 'assistant', 'content': word}, finish_reason=None)}
        yield f'data: {json.dumps(chunk)}\n\n'
        await asyncio.sleep(0.01)
    yield f'data: {json.dumps(whole)}\n\n'
    usage = {**whole, 'choices': [], 'usage': USAGE}
    yield f'data: {json.dumps(usage)}\n\n'
    yield 'data: [DONE]\n\n'


def _response(model: str, status: str = 'completed') -> dict[str, Any]:
    """Return an answer of the Responses API."""
    content = [{'type': 'output_text', 'text': 'A short answer.', 'annotations': []}]
    output = {'id': 'item_1', 'type': 'message', 'role': 'assistant', 'status': 'completed', 'content': content}
    usage = {
        'input_tokens': USAGE['prompt_tokens'],
        'output_tokens': USAGE['completion_tokens'],
        'total_tokens': USAGE['total_tokens'],
        'input_tokens_details': {'cached_tokens': 0},
        'output_tokens_details': {'reasoning_tokens': 0},
    }
    answer = {'id': f'resp_{secrets.token_hex(8)}', 'object': 'response', 'created_at': int(time.time())}
    settings = {'parallel_tool_calls': True, 'tool_choice': 'auto', 'tools': [], 'temperature': 1.0, 'top_p': 1.0}
    done: dict[str, Any] = (
        {'output': [output], 'usage': usage} if status == 'completed' else {'output': [], 'usage': None}
    )
    unset: dict[str, Any] = {'error': None, 'incomplete_details': None, 'instructions': None, 'metadata': {}}
    return {**answer, 'model': model, 'status': status, **settings, **done, **unset}


def _response_events(model: str) -> list[dict[str, Any]]:
    answer = _response(model)
    started = {**_response(model, 'in_progress'), 'id': answer['id']}
    place = {'item_id': 'item_1', 'output_index': 0, 'content_index': 0}
    deltas = [{'type': 'response.output_text.delta', **place, 'delta': word} for word in _WORDS]
    events: list[dict[str, Any]] = [{'type': 'response.created', 'response': started}, *deltas]
    events.append({'type': 'response.completed', 'response': answer})
    return [{**event, 'sequence_number': number} for number, event in enumerate(events)]


def _message_events(model: str) -> list[dict[str, Any]]:
    message = {'id': f'msg_{secrets.token_hex(8)}', 'type': 'message', 'role': 'assistant', 'model': model}
    rest: dict[str, Any] = {'content': [], 'stop_reason': None, 'stop_sequence': None}
    usage = {'input_tokens': USAGE['prompt_tokens'], 'output_tokens': 1}
    end = {'stop_reason': 'end_turn', 'stop_sequence': None}
    delta = {'type': 'text_delta', 'text': 'A short answer.'}
    return [
        {'type': 'message_start', 'message': {**message, **rest, 'usage': usage}},
        {'type': 'content_block_start', 'index': 0, 'content_block': {'type': 'text', 'text': ''}},
        {'type': 'content_block_delta', 'index': 0, 'delta': delta},
        {'type': 'content_block_stop', 'index': 0},
        {'type': 'message_delta', 'delta': end, 'usage': {'output_tokens': USAGE['completion_tokens']}},
        {'type': 'message_stop'},
    ]


def _message(model: str, streamed: bool) -> Response:
    """Return an answer of Anthropic's messages."""
    if streamed:
        return _stream(model, _events(_message_events(model)))
    usage = {'input_tokens': USAGE['prompt_tokens'], 'output_tokens': USAGE['completion_tokens']}
    content = [{'type': 'text', 'text': 'A short answer.'}]
    answer = {
        'id': f'msg_{secrets.token_hex(8)}',
        'type': 'message',
        'role': 'assistant',
        'model': model,
        'content': content,
    }
    return JSONResponse({**answer, 'stop_reason': 'end_turn', 'stop_sequence': None, 'usage': usage})


def _generated(model: str, text: str) -> dict[str, Any]:
    """Return an answer of Gemini's, or a chunk of one."""
    usage = {
        'promptTokenCount': USAGE['prompt_tokens'],
        'candidatesTokenCount': USAGE['completion_tokens'],
        'totalTokenCount': USAGE['total_tokens'],
    }
    candidate = {'index': 0, 'content': {'role': 'model', 'parts': [{'text': text}]}, 'finishReason': 'STOP'}
    return {
        'candidates': [candidate],
        'usageMetadata': usage,
        'modelVersion': model,
        'responseId': secrets.token_hex(8),
    }


def _realtime_events() -> list[dict[str, Any]]:
    usage = {
        'input_tokens': USAGE['prompt_tokens'],
        'output_tokens': USAGE['completion_tokens'],
        'total_tokens': USAGE['total_tokens'],
        'input_token_details': {'text_tokens': USAGE['prompt_tokens'], 'audio_tokens': 0, 'cached_tokens': 0},
        'output_token_details': {'text_tokens': USAGE['completion_tokens'], 'audio_tokens': 0},
    }
    begun: dict[str, Any] = {'id': f'resp_{secrets.token_hex(8)}', 'object': 'realtime.response', 'output': []}
    place = {'response_id': begun['id'], 'item_id': 'item_1', 'output_index': 0, 'content_index': 0}
    events: list[dict[str, Any]] = [
        {'type': 'response.created', 'response': {**begun, 'status': 'in_progress', 'usage': None}},
        *({'type': 'response.output_text.delta', **place, 'delta': word} for word in _WORDS),
        {'type': 'response.done', 'response': {**begun, 'status': 'completed', 'usage': usage}},
    ]
    return [{'event_id': f'event_{secrets.token_hex(8)}', **event} for event in events]


def _stream(model: str, events: AsyncIterator[str], headers: dict[str, str] | None = None) -> Response:
    """Return a streamed answer, which one model does not end."""
    if model == _BREAKING_MODEL:
        return _CutOff(_first_of(events), media_type='text/event-stream', headers=headers)
    return StreamingResponse(events, media_type='text/event-stream', headers=headers)


async def _first_of(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield as many events as make half of an answer."""
    for _ in range(3):
        yield await anext(events)


async def _events(events: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Yield events as server-sent ones, each under its type."""
    for event in events:
        yield f'event: {event["type"]}\ndata: {json.dumps(event)}\n\n'
        await asyncio.sleep(0.01)
