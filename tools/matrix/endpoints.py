"""Describe how a proxy's endpoints answer, in terms that can be compared between proxies and written into a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import requests

__all__ = ['CREDENTIALS', 'METRICS_PATHS', 'Answer', 'Answers', 'ask', 'ask_for_metrics']

OPENMETRICS = 'application/openmetrics-text; version=1.0.0'
_WRONG_KEY = 'sk-no-such-key'
_SECONDS = 15
# `/health` calls every model, and LiteLLM makes its OpenAPI document when it is first asked for it.
_SLOW_SECONDS = 60


class Answer(NamedTuple):
    """One answer, by what matters of it. `status` is 0 when there was none in time.

    `shape` tells the keys of a JSON object, and what else a JSON body is; `entries` the keys of what lies in it.
    """

    status: int
    location: str = ''
    content_type: str = ''
    encoding: str = ''
    shape: str = ''
    entries: str = ''


# What was asked, such as `GET /metrics/ with a key`, to what was answered.
Answers = dict[str, Answer]


METRICS_PATHS = ('/metrics', '/metrics/')
CREDENTIALS = {
    'without a key': {},
    'with a wrong key': {'Authorization': f'Bearer {_WRONG_KEY}'},
    'with a key': {'Authorization': 'Bearer {key}'},
    'with a key in x-litellm-api-key': {'x-litellm-api-key': '{key}'},
    'with a key in api-key': {'api-key': '{key}'},
    'with a key in x-api-key': {'x-api-key': '{key}'},
    'with a key without Bearer': {'Authorization': '{key}'},
}


def ask_for_metrics(url: str, key: str) -> Answers:
    """Ask for `/metrics` and `/metrics/` with every kind of credential."""
    return {
        f'GET {path} {credential}': _get(url, path, {name: value.format(key=key) for name, value in headers.items()})
        for path in METRICS_PATHS
        for credential, headers in CREDENTIALS.items()
    }


def ask(url: str, key: str) -> Answers:
    """Ask for metrics in every way and for the health endpoints, which makes the proxy call all its models."""
    headers = {'Authorization': f'Bearer {key}'}
    openmetrics, compressed = {**headers, 'Accept': OPENMETRICS}, {**headers, 'Accept-Encoding': 'gzip'}
    return {
        **ask_for_metrics(url, key),
        'GET /metrics/ as OpenMetrics': _get(url, '/metrics/', openmetrics),
        'GET /metrics/ compressed': _get(url, '/metrics/', compressed),
        'GET /health/liveliness': _get(url, '/health/liveliness'),
        'GET /health/liveness': _get(url, '/health/liveness'),
        'GET /health/readiness': _get(url, '/health/readiness'),
        'GET /health/readiness/details without a key': _get(url, '/health/readiness/details'),
        'GET /health/readiness/details with a key': _get(url, '/health/readiness/details', headers),
        'GET /health without a key': _get(url, '/health'),
        'GET /health with a key': _get(url, '/health', headers, _SLOW_SECONDS),
        'GET /openapi.json': _openapi(url),
    }


def _get(url: str, path: str, headers: Mapping[str, str] | None = None, seconds: float = _SECONDS) -> Answer:
    everything_off: dict[str, str] = {'Accept-Encoding': 'identity', **(headers or {})}
    try:
        answer = requests.get(url + path, headers=everything_off, timeout=seconds, allow_redirects=False)
    except requests.Timeout:
        return Answer(0)
    return Answer(
        answer.status_code,
        answer.headers.get('location', '').removeprefix(url),
        answer.headers.get('content-type', ''),
        answer.headers.get('content-encoding', ''),
        *_shape(answer),
    )


def _openapi(url: str) -> Answer:
    """Return where the release is told, of a document whose other keys are nobody's business here."""
    answer = requests.get(f'{url}/openapi.json', timeout=_SLOW_SECONDS)
    answer.raise_for_status()
    return Answer(answer.status_code, shape=f'info.version is {answer.json()["info"]["version"]}')


def _shape(answer: requests.Response) -> tuple[str, str]:
    """Return the keys of a JSON body, and the keys of the objects below each."""
    if answer.headers.get('content-type') != 'application/json':
        return '', ''
    body = answer.json()
    if not isinstance(body, dict):
        return type(body).__name__, ''
    below = {key: _keys_of_entries(value) for key, value in sorted(body.items())}
    return ' '.join(below), ' '.join(f'{key}({keys})' for key, keys in below.items() if keys)


def _keys_of_entries(value: Any) -> str:
    entries = value if isinstance(value, list) else [value]
    return ' '.join(sorted({key for entry in entries if isinstance(entry, dict) for key in entry}))
