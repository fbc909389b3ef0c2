"""The configuration that LiteLLM is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import features
from .upstream import CHAT_MODEL, VIDEO_MODEL

__all__ = [
    'BLOCKED_WORD',
    'DATABASE_VARIABLES',
    'MAX_IN_FLIGHT',
    'MAX_QUEUED',
    'MCP_SERVER',
    'MCP_TOOL_PRICE',
    'PRICE_OF_INPUT',
    'PRICE_OF_OUTPUT',
    'Extra',
    'Options',
    'configuration',
]

BLOCKED_WORD = 'forbidden-word'
# How many requests a worker serves at a time, and how many may wait for that.
MAX_IN_FLIGHT = 4
MAX_QUEUED = 2
MCP_SERVER = 'sky'
MCP_TOOL_PRICE = 0.25
# Dollars for a token of the model `priced`: powers of two, so that sums of them are exact.
PRICE_OF_INPUT, PRICE_OF_OUTPUT = 2**-10, 2**-9

_OUR_CALLERS = {'custom_auth': 'gateway_hooks.authenticate', 'custom_auth_settings': {'mode': 'auto'}}
_PROVIDER_BUDGETS = {'provider_budget_config': {'openai': {'budget_limit': 1000, 'time_period': '1d'}}}


class Extra(NamedTuple):
    """A deployment beside the usual ones: its group, its model, its id, and more of `litellm_params`."""

    group: str
    model: str
    identity: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Options:
    """The options by which a proxy differs from the default one.

    The three settings are laid over the generated ones, `variables` over the process's environment variables. With a
    database, the jobs that write to it and read from it run every few seconds instead of every few minutes. With
    `every_route` there are models for audio, moderation, reranking and realtime, and more that fail; what is passed
    through to a provider's own API goes upstream, too. With `own_metrics_port`, a process of its own serves the metrics
    page, without asking for a key. Workers that do not share their metrics are started by uvicorn: LiteLLM's own
    command always sets up multiprocess mode.
    """

    workers: int = 1
    workers_share_metrics: bool = True
    with_redis: bool = True
    with_database: bool = False
    every_route: bool = False
    own_metrics_port: bool = False
    litellm_settings: Mapping[str, Any] = field(default_factory=dict)
    general_settings: Mapping[str, Any] = field(default_factory=dict)
    router_settings: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    deployments: tuple[Extra, ...] = ()


# What LiteLLM does with its database now and then, as often as its settings allow.
_DATABASE_LITELLM_SETTINGS: Mapping[str, Any] = {
    'prometheus_initialize_budget_metrics': True,
    'max_budget': 1_000_000,
    'budget_duration': '30d',
}
_DATABASE_GENERAL_SETTINGS: Mapping[str, Any] = {
    'proxy_budget_rescheduler_min_time': 5,
    'proxy_budget_rescheduler_max_time': 8,
    'proxy_batch_write_at': 5,
    'proxy_batch_polling_interval': 5,
    'maximum_spend_logs_retention_period': '7d',
    'maximum_spend_logs_retention_interval': '20s',
    'maximum_spend_logs_size': '1GB',
}
DATABASE_VARIABLES: Mapping[str, str] = {
    # Zero minutes are a second.
    'PROMETHEUS_BUDGET_METRICS_REFRESH_INTERVAL_MINUTES': '0',
    'PROXY_BATCH_POLLING_INTERVAL': '5',
}


def configuration(
    release: str, upstream_url: str, redis_port: int | None, has_database: bool, options: Options
) -> dict[str, Any]:
    """Return LiteLLM's configuration file as data, without what the release cannot start with."""
    cache: dict[str, Any] = {'type': 'local', 'supported_call_types': ['acompletion', 'completion']}
    redis: dict[str, Any] = {}
    if redis_port:
        redis = {'redis_host': '127.0.0.1', 'redis_port': redis_port}
        cache.update(type='redis', host='127.0.0.1', port=redis_port)
    of_database: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
    if has_database:
        buffer = {'use_redis_transaction_buffer': True} if redis_port else {}
        of_database = (_DATABASE_LITELLM_SETTINGS, {**_DATABASE_GENERAL_SETTINGS, **buffer})
    return {
        'model_list': _models(upstream_url, options.every_route, options.deployments),
        'litellm_settings': {
            'callbacks': ['prometheus', 'gateway_hooks.failing_logger'],
            'service_callback': ['prometheus_system'],
            'cache': True,
            'cache_params': cache,
            'enable_end_user_cost_tracking_prometheus_only': True,
            'request_timeout': 20,
            'telemetry': False,
            **of_database[0],
            **options.litellm_settings,
        },
        'general_settings': {
            **(_OUR_CALLERS if features.CALLERS.is_in(release) else {}),
            'max_in_flight_requests_per_worker': MAX_IN_FLIGHT,
            'max_queued_requests_per_worker': MAX_QUEUED,
            'admission_queue_timeout_seconds': 0.8,
            **of_database[1],
            **options.general_settings,
        },
        'router_settings': {
            'num_retries': 0,
            'allowed_fails': 0,
            'cooldown_time': 30,
            'fallbacks': [{'limited': ['chat']}, {'broken': ['broken-too']}],
            'context_window_fallbacks': [{'too-long': ['chat']}],
            **(_PROVIDER_BUDGETS if features.PROVIDER_BUDGETS.is_in(release) else {}),
            **redis,
            **options.router_settings,
        },
        'guardrails': [_guardrail(), *_guardrails_of_ours()] if features.CONTENT_FILTER.is_in(release) else [],
        **({'files_settings': [_files(upstream_url)]} if options.every_route else {}),
        'mcp_servers': {MCP_SERVER: _mcp_server(upstream_url)},
    }


def _models(upstream_url: str, every_route: bool, extra: tuple[Extra, ...]) -> list[dict[str, Any]]:
    def deployment(group: str, model: str, identity: str = '', **parameters: Any) -> dict[str, Any]:
        provider_parameters = {
            'model': model,
            'api_base': f'{upstream_url}/v1',
            'api_key': 'upstream-key',
            **parameters,
        }
        return {'model_name': group, 'litellm_params': provider_parameters, 'model_info': {'id': identity or group}}

    def claude(group: str, rule: str) -> dict[str, Any]:
        """Return an Anthropic deployment that trades an identity token for an access token (workload identity)."""
        made = deployment(group, 'anthropic/claude-sonnet-4-5', api_base=upstream_url)
        del made['litellm_params']['api_key']
        made['litellm_params'].update(
            anthropic_federation_rule_id=rule,
            anthropic_organization_id='organization',
            anthropic_service_account_id='account',
            anthropic_identity_token='oidc/env/UPSTREAM_IDENTITY_TOKEN',
        )
        return made

    rare = [
        deployment('speech', 'openai/tts-1'),
        deployment('transcriptions', 'openai/whisper-1'),
        deployment('moderations', 'openai/omni-moderation-latest'),
        deployment('rerank', 'cohere/rerank-v3.5', api_base=upstream_url),
        deployment('realtime', 'openai/gpt-realtime'),
        deployment('breaking', 'openai/breaks-off'),
        deployment('claude-breaking', 'anthropic/breaks-off', api_base=upstream_url),
        deployment('claude-broken', 'anthropic/fails-with-500', api_base=upstream_url),
    ]
    unpriced = deployment('unpriced', 'openai/unpriced')
    unpriced['model_info']['output_cost_per_image'] = 0.1
    return [
        deployment('chat', f'openai/{CHAT_MODEL}', 'chat-a', rpm=1000, tpm=100_000),
        deployment('chat', f'openai/{CHAT_MODEL}', 'chat-b', rpm=1000, tpm=100_000),
        deployment('embeddings', 'openai/text-embedding-3-small'),
        deployment('images', 'openai/dall-e-3'),
        deployment('videos', f'openai/{VIDEO_MODEL}'),
        unpriced,
        deployment(
            'priced',
            f'openai/{CHAT_MODEL}',
            input_cost_per_token=PRICE_OF_INPUT,
            output_cost_per_token=PRICE_OF_OUTPUT,
            cache_read_input_token_cost=PRICE_OF_INPUT,
        ),
        deployment('limited', 'openai/fails-with-429'),
        deployment('broken', 'openai/fails-with-500'),
        deployment('broken-too', 'openai/fails-with-500'),
        deployment('unauthorized', 'openai/fails-with-401'),
        deployment('too-long', 'openai/fails-with-400-too-long'),
        deployment('slow', 'openai/slow'),
        deployment('timing-out', 'openai/slow', timeout=0.3),
        # The first fails and is cooled down, after which the second serves.
        deployment('recovering', 'openai/fails-with-500', 'recovering-a', order=1),
        deployment('recovering', f'openai/{CHAT_MODEL}', 'recovering-b', order=2),
        claude('claude', 'rule-accepted'),
        claude('claude-refused', 'rule-refused'),
        *(rare if every_route else ()),
        *(deployment(one.group, one.model, one.identity, **one.parameters) for one in extra),
    ]


def _guardrail() -> dict[str, Any]:
    """Return LiteLLM's own content filter, which runs on the requests that ask for it."""
    blocked = [{'keyword': BLOCKED_WORD, 'action': 'BLOCK'}]
    parameters = {'guardrail': 'litellm_content_filter', 'mode': 'pre_call', 'blocked_words': blocked}
    return {'guardrail_name': 'word-filter', 'litellm_params': {**parameters, 'default_on': False}}


def _guardrails_of_ours() -> list[dict[str, Any]]:
    """Return guardrails of ours, which run on the requests that ask for them."""
    classes = {
        'raising': 'RaisingGuardrail',
        'strict': 'StrictGuardrail',
        'blocking': 'BlockingGuardrail',
        'hoarding': 'HoardingGuardrail',
    }
    return [
        {
            'guardrail_name': name,
            'litellm_params': {'guardrail': f'gateway_hooks.{kind}', 'mode': 'pre_call', 'default_on': False},
        }
        for name, kind in classes.items()
    ]


def _files(upstream_url: str) -> dict[str, str]:
    """Return where files go that are for no model."""
    return {'custom_llm_provider': 'openai', 'api_base': f'{upstream_url}/v1', 'api_key': 'upstream-key'}


def _mcp_server(upstream_url: str) -> dict[str, Any]:
    price = {'default_cost_per_query': MCP_TOOL_PRICE}
    return {
        'url': f'{upstream_url}/mcp',
        'transport': 'http',
        'allow_all_keys': True,
        'mcp_info': {'server_name': MCP_SERVER, 'mcp_server_cost_info': price},
    }
