"""The offer of the proxy: model groups with their deployments and fallbacks, guardrails and MCP tools."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import urljoin

__all__ = [
    'BROKEN_STREAMS',
    'CALLBACKS',
    'DEPLOYMENTS',
    'FALLBACKS',
    'GUARDRAILS',
    'MCP_TOOLS',
    'PROVIDER_BUDGETS',
    'UPSTREAM_ERRORS',
    'Deployment',
    'Guardrail',
    'McpTool',
    'UpstreamError',
    'deployments_of',
    'keeps_form',
    'passed_to',
]


@dataclass(frozen=True)
class Deployment:
    """One model at one provider. Prices are US dollars per million tokens, per image or per second of video.

    `traits` say what its answers report: `cached`, `cache_write`, `reasoning` and `audio` tokens, and `headers` with
    the provider's remaining requests and tokens. `fails_with` is the HTTP status that it always answers with. One that
    `breaks_off` ends its streams in the middle.
    """

    group: str
    provider: str
    model: str
    api_base: str
    input_price: float = 0.0
    output_price: float = 0.0
    kind: str = 'chat'
    rpm: int | None = None
    tpm: int | None = None
    traits: frozenset[str] = frozenset()
    fails_with: int | None = None
    breaks_off: bool = False
    organisation: str | None = None

    @property
    def id(self) -> str:
        return hashlib.sha256(f'{self.group} {self.provider}/{self.model} {self.api_base}'.encode()).hexdigest()

    @property
    def is_broken(self) -> bool:
        """Tell whether it is there to fail."""
        return self.fails_with is not None or self.breaks_off

    def labels(self, kind: str = 'chat', passed: str | None = None) -> dict[str, object]:
        """Return the label values that tell which deployment was called, with a request of this kind.

        LiteLLM tells the address of the request itself for some, as for one that was `passed` to a path of a provider.
        """
        path = _PATHS.get((kind, self.provider), _PATHS.get(('chat', self.provider), ''))
        address = '' if kind == 'realtime' else self.api_base + path
        return {
            'model': self.model,
            'litellm_model_name': self.model,
            'model_id': self.id,
            'api_base': address if passed is None else urljoin(self.api_base, passed),
            'api_provider': self.provider,
        }


# By the kind of request and the provider, as far as it was measured. Anthropic's are the same for chat completions.
_PATHS = {
    ('chat', 'anthropic'): '/v1/messages',
    ('response', 'openai'): '/responses',
    ('message', 'openai'): '/responses',
    ('rerank', 'cohere'): '/v2/rerank',
}
# Requests that LiteLLM does not turn into chat completions or responses of another form, by kind and provider.
_OWN_FORM = frozenset({('response', 'openai'), ('message', 'openai'), ('message', 'anthropic')})


def keeps_form(kind: str, provider: str) -> bool:
    """Tell whether a request of one of the newer APIs goes on to the provider in the form of such an API."""
    return (kind, provider) in _OWN_FORM


_OPENAI = 'https://api.openai.com/v1'
_ANTHROPIC = 'https://api.anthropic.com'
_VERTEX = 'https://us-central1-aiplatform.googleapis.com'
_AZURE = 'https://fixture-eu.openai.azure.com'
_HEADERS = frozenset({'headers'})
_FAILING_STATUSES = (400, 401, 404, 408, 429, 500, 503)

DEPLOYMENTS = (
    Deployment(
        'gpt-4o', 'openai', 'gpt-4o', _OPENAI, 2.5, 10.0, rpm=10_000, tpm=2_000_000, traits=_HEADERS | {'cached'},
    ),
    Deployment('gpt-4o', 'azure', 'gpt-4o-eu', _AZURE, 2.75, 11.0, rpm=6_000, tpm=1_000_000, traits=_HEADERS),
    Deployment('gpt-4o-mini', 'openai', 'gpt-4o-mini', _OPENAI, 0.15, 0.6, rpm=30_000, traits=_HEADERS),
    Deployment('gpt-4o-mini', 'azure', 'gpt-4o-mini-eu', _AZURE, 0.17, 0.66, traits=_HEADERS),
    Deployment('o4-mini', 'openai', 'o4-mini', _OPENAI, 1.1, 4.4, traits=_HEADERS | {'reasoning'}),
    Deployment('gpt-4o-audio', 'openai', 'gpt-4o-audio-preview', _OPENAI, 2.5, 10.0, traits=frozenset({'audio'})),
    Deployment(
        'claude-sonnet', 'anthropic', 'claude-sonnet-5', _ANTHROPIC, 3.0, 15.0,
        traits=_HEADERS | {'cached', 'cache_write'},
    ),
    Deployment(
        'claude-sonnet', 'bedrock', 'anthropic.claude-sonnet-5', 'https://bedrock-runtime.eu-west-1.amazonaws.com',
        3.0, 15.0, rpm=500, tpm=400_000, traits=frozenset({'cached'}),
    ),
    Deployment(
        'claude-haiku', 'anthropic', 'claude-haiku-4-5', _ANTHROPIC, 1.0, 5.0,
        traits=_HEADERS | {'cached', 'cache_write'},
    ),
    Deployment('gemini-flash', 'vertex_ai', 'gemini-2.5-flash', 'https://aiplatform.googleapis.com', 0.3, 2.5),
    Deployment('local-llama', 'ollama', 'llama3.3', 'http://fixture:upstream-password@127.0.0.1:11434'),
    Deployment('text-embedding', 'openai', 'text-embedding-3-small', _OPENAI, 0.02, kind='embedding', traits=_HEADERS),
    Deployment('gpt-image', 'openai', 'gpt-image-1', _OPENAI, output_price=0.04, kind='image'),
    Deployment('sora', 'openai', 'sora-2', _OPENAI, output_price=0.1, kind='video'),
    Deployment('speech', 'openai', 'tts-1', _OPENAI, input_price=15.0, kind='speech'),
    Deployment('whisper', 'openai', 'whisper-1', _OPENAI, output_price=0.006, kind='transcription'),
    Deployment('rerank', 'cohere', 'rerank-v3.5', 'https://api.cohere.com', output_price=0.002, kind='rerank'),
    Deployment('realtime', 'openai', 'gpt-realtime', _OPENAI, 4.0, 16.0),
    Deployment('moderations', 'openai', 'omni-moderation-latest', _OPENAI, kind='moderation'),
    *(
        Deployment(
            f'always-{status}', 'openai', f'broken-{status}', _OPENAI, 1.0, 2.0,
            fails_with=status, organisation='org-fixture-acme',
        )
        for status in _FAILING_STATUSES
    ),
    Deployment('claude-always-500', 'anthropic', 'broken-500', _ANTHROPIC, 1.0, 2.0, fails_with=500),
    Deployment('breaks-off', 'openai', 'breaks-off', _OPENAI, 1.0, 2.0, breaks_off=True),
    Deployment('claude-breaks-off', 'anthropic', 'breaks-off', _ANTHROPIC, 1.0, 2.0, breaks_off=True),
)  # fmt: skip

# always-503 falls back to a group that fails as well.
FALLBACKS = {
    'gpt-4o': ('gpt-4o-mini',),
    'claude-sonnet': ('gpt-4o',),
    'always-503': ('always-500',),
}

# US dollars a day. The limit of a provider that is not here is not known.
PROVIDER_BUDGETS: dict[str, float | None] = {'openai': 10_000.0, 'anthropic': 2_000.0, 'bedrock': None}

# The success callbacks beside prometheus: a broken one fails once per logged request.
CALLBACKS = ('langfuse', 's3_v2')


def deployments_of(group: str) -> list[Deployment]:
    return [deployment for deployment in DEPLOYMENTS if deployment.group == group]


def passed_to(provider: str, model: str) -> Deployment:
    """Return what answers a request that is passed through to a provider."""
    known = (one for one in DEPLOYMENTS if (one.provider, one.model) == (provider, model))
    return next(known, Deployment(model, provider, model, _HOSTS[provider], 3.0, 15.0))


_HOSTS = {'openai': _OPENAI, 'anthropic': _ANTHROPIC, 'vertex_ai': _VERTEX}


@dataclass(frozen=True)
class Guardrail:
    """A check that a request asks for by name. `blocks` is a word that it refuses, `error` what it then raises.

    LiteLLM takes a guardrail that `refuses` for one that did its work, and any other exception for an error of its own.
    """

    name: str
    hook: str
    seconds: float
    blocks: str | None = None
    error: str | None = None
    reroutes: str | None = None
    refuses: bool = True

    @property
    def is_overhead(self) -> bool:
        """Tell whether its time adds to the request's, as only that of hooks before and after the call does."""
        return self.hook != 'during_call'


GUARDRAILS = {
    guardrail.name: guardrail
    for guardrail in (
        Guardrail('mask-personal-data', 'pre_call', 0.031),
        Guardrail('block-words', 'during_call', 0.012, blocks='forbidden', error='HTTPException'),
        Guardrail('route-sensitive', 'pre_call', 0.018, reroutes='sensitive'),
        Guardrail('moderation', 'post_call', 0.085, blocks='outage', error='APIConnectionError'),
        Guardrail('raising', 'pre_call', 0.004, blocks='', error='RuntimeError', refuses=False),
    )
}


@dataclass(frozen=True)
class McpTool:
    """A tool of an MCP server and the US dollars that a call of it costs."""

    server: str
    name: str
    cost: float


MCP_TOOLS = {tool.name: tool for tool in (McpTool('docs', 'search_docs', 0.002), McpTool('clock', 'now', 0.0))}


@dataclass(frozen=True)
class UpstreamError:
    """A provider's failure, as LiteLLM names it in labels (`name`) and in the answer to its client (`type`).

    Without a status, as of a stream that was broken off, the name goes without the provider's, too.
    """

    status: int | None
    name: str
    type: str

    def class_at(self, provider: str | None) -> str:
        """Return the value of `exception_class`."""
        return f'{provider[0].upper()}{provider[1:]}.{self.name}' if provider and self.status else self.name


# Of streams that were broken off, by the kind of the call.
BROKEN_STREAMS = {
    'chat': UpstreamError(None, 'APIConnectionError', 'None'),
    'response': UpstreamError(None, 'ReadError', 'None'),
    'message': UpstreamError(None, 'ReadError', 'None'),
}

UPSTREAM_ERRORS = {
    status: UpstreamError(status, name, kind)
    for status, name, kind in (
        (400, 'BadRequestError', 'invalid_request_error'),
        (401, 'AuthenticationError', 'auth_error'),
        (402, 'APIError', 'api_error'),
        (403, 'APIError', 'api_error'),
        (404, 'NotFoundError', 'not_found_error'),
        (408, 'Timeout', 'timeout_error'),
        (429, 'RateLimitError', 'throttling_error'),
        (500, 'InternalServerError', 'internal_server_error'),
        (503, 'ServiceUnavailableError', 'service_unavailable_error'),
    )
}
