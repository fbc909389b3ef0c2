"""The answers that clients read: in the form of each API, at once or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

from .calls import Answer, Usage

__all__ = ['STREAMED', 'body_of', 'broken_stream_of', 'realtime_events', 'stream_of']

_CREATED = 1677610602
# A silent picture, and as silent a sound.
_NOTHING = 'Zml4dHVyZQ=='

# What is sent before the answer goes on: waits for the next word.
_Wait = Callable[[int, int], Awaitable[None]]


def body_of(kind: str, answer: Answer) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    return _BODIES[kind](answer)


async def stream_of(kind: str, answer: Answer, with_usage: bool, wait: _Wait) -> AsyncIterator[str]:
    """Yield an answer word by word; `wait` is told the position of the word, and how many there are."""
    begin, word, end = _STREAMS[kind]
    for event in begin(answer):
        yield event
    words = answer.text.split(' ')
    for position, text in enumerate(words):
        await wait(position, len(words))
        yield word(answer, f'{text} ')
    for event in end(answer, with_usage):
        yield event


async def broken_stream_of(kind: str, message: str) -> AsyncIterator[str]:
    """Yield what LiteLLM sends when a provider breaks off: an error in the form of the API, in the middle."""
    error = {'message': message, 'type': 'None', 'param': 'None', 'code': '500'}
    yield {
        'chat': _event(None, {'error': error}),
        'response': _numbered('response.failed', response={'id': 'resp_fixture', 'status': 'failed', 'error': error}),
        'message': _event('error', {'type': 'error', 'error': {'type': 'api_error', 'message': message}}),
    }[kind]


def _chat_usage(usage: Usage) -> dict[str, Any]:
    return {
        'prompt_tokens': usage.prompt,
        'completion_tokens': usage.completion,
        'total_tokens': usage.total,
        'prompt_tokens_details': {
            'cached_tokens': usage.cached,
            'cache_creation_tokens': usage.cache_write,
            'audio_tokens': usage.input_audio,
        },
        'completion_tokens_details': {'reasoning_tokens': usage.reasoning, 'audio_tokens': usage.output_audio},
    }


def _chat(answer: Answer) -> dict[str, Any]:
    message = {'role': 'assistant', 'content': answer.text}
    return {
        'id': 'chatcmpl-fixture',
        'object': 'chat.completion',
        'created': _CREATED,
        'model': answer.deployment.model,
        'choices': [{'index': 0, 'finish_reason': 'stop', 'message': message}],
        'usage': _chat_usage(answer.usage),
    }


def _completion(answer: Answer) -> dict[str, Any]:
    return {
        'id': 'cmpl-fixture',
        'object': 'text_completion',
        'created': _CREATED,
        'model': answer.deployment.model,
        'choices': [{'index': 0, 'finish_reason': 'stop', 'text': answer.text, 'logprobs': None}],
        'usage': _chat_usage(answer.usage),
    }


def _response(answer: Answer, status: str = 'completed') -> dict[str, Any]:
    usage = answer.usage
    return {
        'id': 'resp_fixture',
        'object': 'response',
        'created_at': _CREATED,
        'status': status,
        'model': answer.deployment.model,
        'output': [_output(answer, answer.text)] if status == 'completed' else [],
        'parallel_tool_calls': True,
        'tool_choice': 'auto',
        'tools': [],
        'usage': {
            'input_tokens': usage.prompt,
            'input_tokens_details': {'cached_tokens': usage.cached},
            'output_tokens': usage.completion,
            'output_tokens_details': {'reasoning_tokens': usage.reasoning},
            'total_tokens': usage.total,
        },
    }


def _output(answer: Answer, text: str) -> dict[str, Any]:
    content = [{'type': 'output_text', 'text': text, 'annotations': []}] if text else []
    return {'id': 'msg_fixture', 'type': 'message', 'role': 'assistant', 'status': 'completed', 'content': content}


def _message(answer: Answer, text: str | None = None) -> dict[str, Any]:
    usage = answer.usage
    content = [{'type': 'text', 'text': answer.text}] if text is None else []
    return {
        'id': 'msg_fixture',
        'type': 'message',
        'role': 'assistant',
        'model': answer.deployment.model,
        'content': content,
        'stop_reason': 'end_turn',
        'stop_sequence': None,
        'usage': {
            'input_tokens': usage.prompt,
            'output_tokens': usage.completion,
            'cache_read_input_tokens': usage.cached,
            'cache_creation_input_tokens': usage.cache_write,
        },
    }


def _generation(answer: Answer, text: str | None = None) -> dict[str, Any]:
    """Return an answer of Gemini's, or a chunk of one."""
    content = {'role': 'model', 'parts': [{'text': answer.text if text is None else text}]}
    usage = answer.usage
    return {
        'candidates': [{'index': 0, 'content': content, 'finishReason': 'STOP'}],
        'usageMetadata': {
            'promptTokenCount': usage.prompt,
            'candidatesTokenCount': usage.completion,
            'totalTokenCount': usage.total,
        },
        'modelVersion': answer.deployment.model,
    }


def _embedding(answer: Answer) -> dict[str, Any]:
    return {
        'object': 'list',
        'model': answer.deployment.model,
        'data': [
            {'object': 'embedding', 'index': index, 'embedding': [0.25, -0.5, 0.75]}
            for index in range(answer.usage.embeddings)
        ],
        'usage': {'prompt_tokens': answer.usage.prompt, 'total_tokens': answer.usage.total},
    }


def _image(answer: Answer) -> dict[str, Any]:
    return {'created': _CREATED, 'data': [{'b64_json': _NOTHING}] * answer.usage.images}


def _video(answer: Answer) -> dict[str, Any]:
    return {'id': 'video_fixture', 'object': 'video', 'status': 'queued', 'seconds': str(answer.usage.video_seconds)}


def _speech(answer: Answer) -> dict[str, Any]:
    return {'audio': _NOTHING}


def _transcription(answer: Answer) -> dict[str, Any]:
    return {'text': answer.text}


def _ranking(answer: Answer) -> dict[str, Any]:
    return {'id': 'rerank-fixture', 'results': [{'index': 0, 'relevance_score': 0.5}]}


def _moderation(answer: Answer) -> dict[str, Any]:
    result: dict[str, Any] = {'flagged': False, 'categories': {}, 'category_scores': {}}
    return {'id': 'modr-fixture', 'model': answer.deployment.model, 'results': [result]}


_BODIES: dict[str, Callable[[Answer], dict[str, Any]]] = {
    'chat': _chat,
    'completion': _completion,
    'response': _response,
    'message': _message,
    'generation': _generation,
    'embedding': _embedding,
    'image': _image,
    'video': _video,
    'speech': _speech,
    'transcription': _transcription,
    'rerank': _ranking,
    'moderation': _moderation,
}


def realtime_events(answer: Answer) -> list[dict[str, Any]]:
    """Return the events of one answer in a realtime session."""
    usage = answer.usage
    begun = {'id': 'resp_fixture', 'object': 'realtime.response', 'output': []}
    place = {'response_id': 'resp_fixture', 'item_id': 'msg_fixture', 'output_index': 0, 'content_index': 0}
    tokens = {'input_tokens': usage.prompt, 'output_tokens': usage.completion, 'total_tokens': usage.total}
    events: list[dict[str, Any]] = [
        {'type': 'response.created', 'response': {**begun, 'status': 'in_progress', 'usage': None}},
        {'type': 'response.output_text.delta', **place, 'delta': answer.text},
        {'type': 'response.done', 'response': {**begun, 'status': 'completed', 'usage': tokens}},
    ]
    return [{'event_id': 'event_fixture', **event} for event in events]


def _begin_nothing(answer: Answer) -> Iterable[str]:
    return ()


def _generation_word(answer: Answer, text: str) -> str:
    return _event(None, _generation(answer, text))


def _end_nothing(answer: Answer, with_usage: bool) -> Iterable[str]:
    return ()


def _chat_word(answer: Answer, text: str) -> str:
    return _chunk(answer, {'index': 0, 'delta': {'role': 'assistant', 'content': text}})


def _end_chat(answer: Answer, with_usage: bool) -> Iterator[str]:
    yield _chunk(answer, {'index': 0, 'delta': {}, 'finish_reason': 'stop'})
    if with_usage:
        usage = {**_chat_usage(answer.usage), 'cost': answer.cost}
        yield _chunk(answer, {'index': 0, 'delta': {}}, usage=usage)
    yield 'data: [DONE]\n\n'


def _chunk(answer: Answer, choice: dict[str, Any], **more: Any) -> str:
    chunk = {**_chat(answer), 'object': 'chat.completion.chunk', 'choices': [choice]}
    del chunk['usage']
    return _event(None, chunk | more)


def _begin_response(answer: Answer) -> Iterator[str]:
    begun = _response(answer, 'in_progress')
    yield _numbered('response.created', response=begun)
    yield _numbered('response.output_item.added', output_index=0, item=_output(answer, ''))


def _response_word(answer: Answer, text: str) -> str:
    return _numbered('response.output_text.delta', output_index=0, content_index=0, item_id='msg_fixture', delta=text)


def _end_response(answer: Answer, with_usage: bool) -> Iterator[str]:
    yield _numbered('response.output_item.done', output_index=0, item=_output(answer, answer.text))
    yield _numbered('response.completed', response=_response(answer))


def _numbered(kind: str, **content: Any) -> str:
    return _event(kind, {'type': kind, 'sequence_number': 0, **content})


def _begin_message(answer: Answer) -> Iterator[str]:
    yield _event('message_start', {'type': 'message_start', 'message': _message(answer, '')})
    block = {'type': 'text', 'text': ''}
    yield _event('content_block_start', {'type': 'content_block_start', 'index': 0, 'content_block': block})


def _message_word(answer: Answer, text: str) -> str:
    delta = {'type': 'text_delta', 'text': text}
    return _event('content_block_delta', {'type': 'content_block_delta', 'index': 0, 'delta': delta})


def _end_message(answer: Answer, with_usage: bool) -> Iterator[str]:
    yield _event('content_block_stop', {'type': 'content_block_stop', 'index': 0})
    stopped = {'stop_reason': 'end_turn', 'stop_sequence': None}
    usage = {'output_tokens': answer.usage.completion}
    yield _event('message_delta', {'type': 'message_delta', 'delta': stopped, 'usage': usage})
    yield _event('message_stop', {'type': 'message_stop'})


def _event(name: str | None, data: dict[str, Any]) -> str:
    return f'{f"event: {name}{chr(10)}" if name else ""}data: {json.dumps(data)}\n\n'


# How a stream begins, tells a word, and ends.
_STREAMS: dict[
    str,
    tuple[
        Callable[[Answer], Iterable[str]],
        Callable[[Answer, str], str],
        Callable[[Answer, bool], Iterable[str]],
    ],
] = {
    'chat': (_begin_nothing, _chat_word, _end_chat),
    'response': (_begin_response, _response_word, _end_response),
    'message': (_begin_message, _message_word, _end_message),
    'generation': (_begin_nothing, _generation_word, _end_nothing),
}
STREAMED = frozenset(_STREAMS)
