"""Know the labels of LiteLLM's families: which are personal, which hold keys, and which say the same."""

from __future__ import annotations

import re

__all__ = [
    'ADDRESS_LABEL',
    'DATABASE_LABEL',
    'EMPTY_VALUES',
    'FORMER_NAMES',
    'KEY_LABEL',
    'LABEL_GROUPS',
    'LONGEST_TAG',
    'METADATA_PREFIXES',
    'PERSONAL_LABELS',
    'PLACEHOLDERS',
    'REDACTED',
    'UNREADABLE',
    'is_custom',
    'is_key_in_clear',
    'is_of_litellm',
    'is_personal',
    'stored_tag',
]

# The label that is an address, with or without a scheme.
ADDRESS_LABEL = 'api_base'

# The label that all families of the proxy's database have, and no other.
DATABASE_LABEL = 'postgres'

# The label with the hash of a request's key, and what replaces a key in clear text.
KEY_LABEL = 'hashed_api_key'
REDACTED = 'redacted'

# Replaces characters that a tag cannot have.
UNREADABLE = '\ufffd'

# What Datadog keeps of a tag: other characters become one underscore, and those at the end are gone. Which characters
# beyond ASCII are letters to it is not documented: here, all are.
LONGEST_TAG = 200
_IS_STORED = re.compile('[-:./0-9a-z]*(?:_[-:./0-9a-z]+)*')
_NOT_STORED = re.compile('[^-:./0-9a-z\x80-\U0010ffff]+')

# Labels whose values identify the person, client, or key behind a request. A team may be one person.
# Not among them: `tag`, the `tag_…` of `custom_prometheus_tags`, which are true or false for a tag in the proxy's
# configuration, and the aliases of organizations and projects.
PERSONAL_LABELS = frozenset(
    {
        'api_key_alias',
        'client_ip',
        'end_user',
        'hashed_api_key',
        'team_alias',
        'user',
        'user_agent',
        'user_alias',
        'user_email',
    }
)

# Labels of `custom_prometheus_metadata_labels`: whatever the requester or the key's owner put into the metadata.
METADATA_PREFIXES = ('metadata_', 'requester_metadata_')

# Labels under another name in forks (`llm_model_name`) or before LiteLLM 1.60 (`team_id`), with their names of today.
FORMER_NAMES = {'llm_model_name': 'litellm_model_name', 'team_id': 'team'}

# The labels of LiteLLM's own that are not personal, in any release.
_LITELLM_LABELS = frozenset(
    {
        'api_base',
        'api_provider',
        'callback_name',
        'error_class',
        'error_type',
        'exception_class',
        'exception_status',
        'failure_class',
        'fallback_model',
        'file_type',
        'function_name',
        'guardrail_name',
        'hook_type',
        'litellm_model_name',
        'mcp_server_name',
        'mcp_tool_name',
        'measure',
        'model',
        'model_group',
        'model_id',
        'org_alias',
        'org_id',
        'outcome',
        'project_alias',
        'project_id',
        'purpose',
        'rate_limit_type',
        'reason',
        'requested_model',
        'result',
        'route',
        'service_tier',
        'state',
        'status',
        'status_code',
        'table',
        'tag',
        'team',
    }
)
# Families of a service have one label, with the name of the service as both name and value.
_SERVICES = frozenset(
    {
        'anthropic_wif',
        'anthropic_wif_cache',
        'auth',
        'batch_write_to_db',
        'in_memory_daily_spend_update_queue',
        'in_memory_spend_update_queue',
        'pod_lock_manager',
        'postgres',
        'proxy_pre_call',
        'redis',
        'redis_daily_agent_spend_update_queue',
        'redis_daily_end_user_spend_update_queue',
        'redis_daily_org_spend_update_queue',
        'redis_daily_spend_update_queue',
        'redis_daily_tag_spend_update_queue',
        'redis_daily_team_spend_update_queue',
        'redis_spend_update_queue',
        'redis_window_spend_update_queue',
        'reset_budget_job',
        'router',
        'self',
    }
)
# Those that Prometheus' client adds, and those of the families of the process.
_CLIENT_LABELS = frozenset(
    {'generation', 'implementation', 'le', 'major', 'minor', 'patchlevel', 'pid', 'quantile', 'version'}
)
_KNOWN_LABELS = _LITELLM_LABELS | _SERVICES | _CLIENT_LABELS | PERSONAL_LABELS
# Labels of `custom_prometheus_tags`: true or false for a tag in the proxy's own configuration.
_TAG_PREFIX = 'tag_'

# Values that mean there is none.
EMPTY_VALUES = frozenset({'', 'None'})

# Values that identify nobody: those, ours, and the one of all series beyond `prometheus_metrics_max_series_per_metric`.
PLACEHOLDERS = EMPTY_VALUES | {'other', REDACTED}

# Labels that describe the same thing. Dropping only one often saves nothing: the others still tell the series apart.
LABEL_GROUPS: tuple[frozenset[str], ...] = (
    frozenset({'hashed_api_key', 'api_key_alias'}),
    frozenset({'team', 'team_alias'}),
    frozenset({'user', 'user_email', 'user_alias', 'end_user'}),
    frozenset({'org_id', 'org_alias'}),
    frozenset({'project_id', 'project_alias'}),
    frozenset({'client_ip', 'user_agent'}),
    frozenset({'litellm_model_name', 'model_id', 'api_base', 'api_provider'}),
)

# What LiteLLM writes instead of a hash for its own requests and for those sent with the master key.
_KEY_NAMES = frozenset(
    {'litellm-cli', 'litellm-internal-health-check', 'litellm_internal_jobs', 'litellm_proxy_master_key'}
)
# LiteLLM writes hashes in lower case. A key of 64 such digits cannot be told from one.
_KEY_HASH = re.compile('(?:hashed-jwt-)?[0-9a-f]{64}')


def is_personal(label: str) -> bool:
    """Tell whether the values of a label may be personal data."""
    return label in PERSONAL_LABELS or label.startswith(METADATA_PREFIXES)


def is_of_litellm(label: str) -> bool:
    """Tell whether a release of LiteLLM has a label of this name, whatever is configured."""
    return label in _KNOWN_LABELS


def is_custom(label: str) -> bool:
    """Tell whether no release of LiteLLM has this label, so that somebody's configuration adds it.

    `custom_prometheus_metadata_labels` may name anything, without a prefix, and what clients send becomes its value.
    """
    return not is_of_litellm(label) and not label.startswith(_TAG_PREFIX)


def is_key_in_clear(hashed_api_key: str) -> bool:
    """Tell whether a value of `hashed_api_key` is not a hash, and so may be the key itself.

    LiteLLM hashes keys that begin with `sk-`; any other key that a client sends becomes the label's value unchanged.
    """
    if hashed_api_key in PLACEHOLDERS or hashed_api_key in _KEY_NAMES:
        return False
    return _KEY_HASH.fullmatch(hashed_api_key) is None


def stored_tag(tag: str) -> str:
    """Return a tag as Datadog stores it, by its documentation. Tags for which this is the same are one to Datadog."""
    if len(tag) <= LONGEST_TAG and _IS_STORED.fullmatch(tag) is not None:
        return tag
    return _NOT_STORED.sub('_', tag.lower())[:LONGEST_TAG].rstrip('_')
