"""Calls a proxy with the official clients of OpenAI and Anthropic, in an environment that has them.

usage: client_calls.py URL KEY MODELS, and the name of a call in each line of the input; prints the status of each
answer, and whether it broke off. MODELS is a JSON object, of what the proxy calls the models that it names otherwise.
"""
# The clients are not installed where the types are checked.
# mypy: ignore-errors

from __future__ import annotations

import io
import json
import secrets
import sys
import urllib.error
import urllib.request
from collections import deque

import anthropic
import httpx2
import openai

URL, KEY = sys.argv[1:3]
MODELS = json.loads(sys.argv[3])
OPENAI = openai.OpenAI(base_url=f'{URL}/v1', api_key=KEY, max_retries=0, timeout=30)
PASSED_TO_OPENAI = openai.OpenAI(base_url=f'{URL}/openai_passthrough/v1', api_key=KEY, max_retries=0, timeout=30)
ANTHROPIC = anthropic.Anthropic(base_url=URL, auth_token=KEY, max_retries=0, timeout=30)
PASSED_TO_ANTHROPIC = anthropic.Anthropic(base_url=f'{URL}/anthropic', auth_token=KEY, max_retries=0, timeout=30)
# As coding agents are told to reach Claude on Vertex AI through LiteLLM; the token is Google's.
VERTEX = {'region': 'us-central1', 'project_id': 'project'}
LITELLM_KEY = {'x-litellm-api-key': f'Bearer {KEY}'}
PASSED_TO_VERTEX = anthropic.AnthropicVertex(
    base_url=f'{URL}/vertex_ai/v1',
    access_token='ours',
    default_headers=LITELLM_KEY,
    max_retries=0,
    timeout=30,
    **VERTEX,
)
# One that its makers have not announced the end of.
CLAUDE = 'claude-sonnet-5'


def model(name):
    """Return what the proxy calls a model."""
    return MODELS.get(name, name)


def messages():
    """Return a prompt that no cache knows."""
    return [{'role': 'user', 'content': secrets.token_hex(8)}]


class BrokenOffError(Exception):
    """A stream ended without having come to its end, with these last words."""


def drain(stream):
    """Read a stream to its end, which says that it is one."""
    last = deque(stream, maxlen=1).pop()
    if getattr(last, 'type', '') not in ('', 'response.completed', 'message_stop'):
        raise BrokenOffError(last)


def post(path, headers=None, **body):
    """Call what neither client can."""
    headers = {'Authorization': f'Bearer {KEY}', 'Content-Type': 'application/json', **(headers or {})}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=30).read()


def chat(**more):
    """Ask for a chat completion."""
    return OPENAI.chat.completions.create(messages=messages(), **{'model': model('chat'), **more})


def respond(name, **more):
    """Ask for a response."""
    return OPENAI.responses.create(model=model(name), input=secrets.token_hex(8), **more)


def message(name, client=ANTHROPIC, **more):
    """Ask for a message."""
    return client.messages.create(model=model(name), messages=messages(), max_tokens=20, **more)


def converse():
    """Ask a question in a realtime session, and end it with the answer."""
    with OPENAI.realtime.connect(model=model('realtime')) as connection:
        connection.response.create()
        for event in connection:
            if event.type == 'response.done':
                return


def ask_gemini(action):
    """Ask Gemini on Vertex AI, as Google's own clients do."""
    path = '/projects/{project_id}/locations/{region}/publishers/google/models/'.format(**VERTEX)
    contents = [{'role': 'user', 'parts': [{'text': secrets.token_hex(8)}]}]
    headers = {**LITELLM_KEY, 'Authorization': 'Bearer ours'}
    post(f'/vertex-ai/v1{path}gemini-2.5-flash:{action}', headers, contents=contents)


def upload():
    """Upload a file for a batch."""
    line = {'custom_id': '1', 'method': 'POST', 'url': '/v1/chat/completions', 'body': {'model': 'chat'}}
    file = ('batch.jsonl', io.BytesIO(json.dumps(line).encode()))
    return OPENAI.files.create(file=file, purpose='batch', extra_body={'custom_llm_provider': 'openai'})


CALLS = {
    'chat': lambda: chat(),
    'chat, streamed': lambda: drain(chat(stream=True)),
    'chat, refused by the provider': lambda: chat(model=model('unauthorized')),
    'chat, failed by the provider': lambda: chat(model=model('broken-too')),
    'chat, broken off by the provider': lambda: drain(chat(model=model('breaking'), stream=True)),
    'completion': lambda: OPENAI.completions.create(model=model('chat'), prompt=secrets.token_hex(8)),
    'response': lambda: respond('chat'),
    'response, streamed': lambda: drain(respond('chat', stream=True)),
    'response, refused by the provider': lambda: respond('unauthorized'),
    'response, failed by the provider': lambda: respond('broken-too'),
    'response, broken off by the provider': lambda: drain(respond('breaking', stream=True)),
    'message': lambda: message('claude'),
    'message, streamed': lambda: drain(message('claude', stream=True)),
    'message, failed by the provider': lambda: message('claude-broken'),
    'message, broken off by the provider': lambda: drain(message('claude-breaking', stream=True)),
    'message of an OpenAI model': lambda: message('chat'),
    'message of an OpenAI model, streamed': lambda: drain(message('chat', stream=True)),
    'message of an OpenAI model, refused by the provider': lambda: message('unauthorized'),
    'message of an OpenAI model, failed by the provider': lambda: message('broken-too'),
    'message of an OpenAI model, broken off by the provider': lambda: drain(message('breaking', stream=True)),
    'tokens of a message, counted': lambda: ANTHROPIC.messages.count_tokens(model=model('claude'), messages=messages()),
    'embedding': lambda: OPENAI.embeddings.create(model=model('embeddings'), input=secrets.token_hex(8)),
    'image': lambda: OPENAI.images.generate(model=model('images'), prompt='a picture'),
    'speech': lambda: OPENAI.audio.speech.create(
        model=model('speech'), voice='alloy', input=secrets.token_hex(8)
    ).read(),
    'transcription': lambda: OPENAI.audio.transcriptions.create(
        model=model('transcriptions'), file=('a.wav', io.BytesIO(b'RIFF'))
    ),
    'rerank': lambda: post('/v1/rerank', model=model('rerank'), query='q', documents=['a', 'b']),
    'moderation': lambda: OPENAI.moderations.create(model=model('moderations'), input=secrets.token_hex(8)),
    'file': upload,
    'batch': lambda: OPENAI.batches.create(
        input_file_id='file-input',
        endpoint='/v1/chat/completions',
        completion_window='24h',
        extra_body={'custom_llm_provider': 'openai'},
    ),
    'list of models': lambda: OPENAI.models.list(),
    'realtime': converse,
    'passed to Anthropic': lambda: message(CLAUDE, PASSED_TO_ANTHROPIC),
    'passed to Anthropic, streamed': lambda: drain(message(CLAUDE, PASSED_TO_ANTHROPIC, stream=True)),
    'passed to Vertex AI, Claude': lambda: message(CLAUDE, PASSED_TO_VERTEX),
    'passed to Vertex AI, Claude, streamed': lambda: drain(message(CLAUDE, PASSED_TO_VERTEX, stream=True)),
    'passed to Vertex AI, Gemini': lambda: ask_gemini('generateContent'),
    'passed to Vertex AI, Gemini, streamed': lambda: ask_gemini('streamGenerateContent'),
    'passed to OpenAI': lambda: PASSED_TO_OPENAI.chat.completions.create(model='gpt-4o-mini', messages=messages()),
    'passed to OpenAI, streamed': lambda: drain(
        PASSED_TO_OPENAI.chat.completions.create(
            model='gpt-4o-mini', messages=messages(), stream=True, stream_options={'include_usage': True}
        )
    ),
}


BROKEN_OFF = '200, broken off'


def status(name):
    """Make a call, and return the status of its answer."""
    try:
        CALLS[name]()
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        print(name, error, file=sys.stderr)
        return error.status_code if error.status_code >= 400 else BROKEN_OFF
    except urllib.error.HTTPError as error:
        print(name, error.read()[:500], file=sys.stderr)
        return error.code
    except (openai.APIError, anthropic.APIError, httpx2.HTTPError, BrokenOffError) as error:
        print(name, repr(error), file=sys.stderr)
        return BROKEN_OFF
    return 200


if __name__ == '__main__':
    print(json.dumps(list(CALLS)), flush=True)
    for line in sys.stdin:
        print(status(line.strip()), flush=True)
