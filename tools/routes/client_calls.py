"""Calls a proxy with the official clients of OpenAI and Anthropic, in an environment that has them.

usage: client_calls.py URL KEY MODELS, and the name of a call in each line of the input; prints the status of each
answer. MODELS is a JSON object, of what the proxy calls the models that it names otherwise.
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

import anthropic
import openai

URL, KEY = sys.argv[1:3]
MODELS = json.loads(sys.argv[3])
OPENAI = openai.OpenAI(base_url=f'{URL}/v1', api_key=KEY, max_retries=0, timeout=30)
PASSED_TO_OPENAI = openai.OpenAI(base_url=f'{URL}/openai_passthrough/v1', api_key=KEY, max_retries=0, timeout=30)
ANTHROPIC = anthropic.Anthropic(base_url=URL, auth_token=KEY, max_retries=0, timeout=30)
PASSED_TO_ANTHROPIC = anthropic.Anthropic(base_url=f'{URL}/anthropic', auth_token=KEY, max_retries=0, timeout=30)


def model(name):
    """Return what the proxy calls a model."""
    return MODELS.get(name, name)


def messages():
    """Return a prompt that no cache knows."""
    return [{'role': 'user', 'content': secrets.token_hex(8)}]


def asked():
    """Return what a message of Anthropic's asks for."""
    return {'messages': messages(), 'max_tokens': 20}


def drain(stream):
    """Read a stream to its end."""
    for _ in stream:
        pass


def post(path, **body):
    """Call what neither client can."""
    headers = {'Authorization': f'Bearer {KEY}', 'Content-Type': 'application/json'}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=30).read()


def chat(**more):
    """Ask for a chat completion."""
    return OPENAI.chat.completions.create(messages=messages(), **{'model': model('chat'), **more})


def upload():
    """Upload a file for a batch."""
    line = {'custom_id': '1', 'method': 'POST', 'url': '/v1/chat/completions', 'body': {'model': 'chat'}}
    file = ('batch.jsonl', io.BytesIO(json.dumps(line).encode()))
    return OPENAI.files.create(file=file, purpose='batch', extra_body={'custom_llm_provider': 'openai'})


CALLS = {
    'chat': lambda: chat(),
    'chat, streamed': lambda: drain(chat(stream=True)),
    'chat, refused by the provider': lambda: chat(model=model('unauthorized')),
    'completion': lambda: OPENAI.completions.create(model=model('chat'), prompt=secrets.token_hex(8)),
    'response': lambda: OPENAI.responses.create(model=model('chat'), input=secrets.token_hex(8)),
    'response, streamed': lambda: drain(
        OPENAI.responses.create(model=model('chat'), input=secrets.token_hex(8), stream=True)
    ),
    'response, refused by the provider': lambda: OPENAI.responses.create(
        model=model('unauthorized'), input=secrets.token_hex(8)
    ),
    'message': lambda: ANTHROPIC.messages.create(model=model('claude'), **asked()),
    'message, streamed': lambda: drain(ANTHROPIC.messages.create(model=model('claude'), stream=True, **asked())),
    'message of an OpenAI model': lambda: ANTHROPIC.messages.create(model=model('chat'), **asked()),
    'message of an OpenAI model, streamed': lambda: drain(
        ANTHROPIC.messages.create(model=model('chat'), stream=True, **asked())
    ),
    'message, refused by the provider': lambda: ANTHROPIC.messages.create(model=model('unauthorized'), **asked()),
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
    'passed to Anthropic': lambda: PASSED_TO_ANTHROPIC.messages.create(model='claude-sonnet-4-5', **asked()),
    'passed to Anthropic, streamed': lambda: drain(
        PASSED_TO_ANTHROPIC.messages.create(model='claude-sonnet-4-5', stream=True, **asked())
    ),
    'passed to OpenAI': lambda: PASSED_TO_OPENAI.chat.completions.create(model='gpt-4o-mini', messages=messages()),
    'passed to OpenAI, streamed': lambda: drain(
        PASSED_TO_OPENAI.chat.completions.create(
            model='gpt-4o-mini', messages=messages(), stream=True, stream_options={'include_usage': True}
        )
    ),
}


def status(name):
    """Make a call, and return the status of its answer."""
    try:
        CALLS[name]()
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        print(name, error, file=sys.stderr)
        return error.status_code
    except urllib.error.HTTPError as error:
        print(name, error.read()[:500], file=sys.stderr)
        return error.code
    return 200


if __name__ == '__main__':
    print(json.dumps(list(CALLS)), flush=True)
    for line in sys.stdin:
        print(status(line.strip()), flush=True)
