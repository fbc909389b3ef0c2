"""The check's own options of an instance, read once, with the defaults of the configuration models.

Options of the base package are not among them: the base reads those from the same mapping, by its own rules.
"""

from __future__ import annotations

import os
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from datadog_checks.base.config import is_affirmative
from datadog_checks.base.errors import ConfigurationError
from datadog_checks.base.utils.http import AUTH_TYPES, SUPPORTED_PROTOCOL_VERSIONS  # type: ignore[attr-defined]

from .config_models import defaults
from .config_models.instance import InstanceConfig
from .config_models.shared import SharedConfig
from .secrets import DEEPEST, HEADER_OPTIONS, scalars_in

__all__ = [
    'ENDPOINTS',
    'Options',
    'UnknownOption',
    'can_be_sent',
    'is_bottomless',
    'read_switches',
    'refuse_at_once',
    'refuse_handles',
    'unknown_options',
]


# Options that are a number greater than 0. Those of the base package are only refused when they are used, by then
# without their name.
_POSITIVE = (
    'connect_timeout',
    'litellm_health_interval',
    'litellm_health_timeout',
    # The models take `true` for 1.
    'max_contexts',
    'max_page_bytes',
    'max_page_seconds',
    'min_collection_interval',
    'process_isolation_timeout',
    'read_timeout',
    'request_size',
    'timeout',
)
# Those that are not seconds, which no clock can wait for when they are too many.
_NO_SECONDS = ('max_contexts', 'max_page_bytes', 'request_size')

# Options that are the path of a file, in which the base package looks only when it sends a request.
_FILES = ('tls_cert', 'tls_private_key')
# The path of a file or a folder, in which nobody looks unless a URL needs it.
_AUTHORITY = 'tls_ca_cert'
# Options that are the URL of an endpoint.
ENDPOINTS = ('litellm_health_endpoint', 'litellm_readiness_endpoint', 'openmetrics_endpoint')

# Options with regular expressions, which the base package refuses without their name.
_PATTERNS = (
    'exclude_metrics',
    'exclude_metrics_by_labels',
    'extra_metrics',
    'ignore_tags',
    'metric_patterns',
    'metrics',
    'raw_line_filters',
)

# What the other options may have that means something else there: `%%host%%`, or `ENC[…]` in a regular expression.
_WITH_ANY_TEXT = frozenset({*_PATTERNS, 'exclude_labels', 'include_labels', 'keep_labels'})

# Options that the Agent and the base package read beside those of the models, in an instance and in `init_config`.
_OF_THE_AGENT = frozenset(
    {
        'debug_metrics',
        'kerberos',
        'loader',
        'max_returned_metrics',
        'name',
        'no_index',
        'no_proxy',
        'process_isolation',
        'process_isolation_timeout',
        'target_info',
        'tls_intermediate_ca_certs',
        'tls_private_key_password',
        'tls_validate_hostname',
    }
)
_OF_THE_AGENT_FOR_ALL = frozenset(
    {
        'debug_metrics',
        'loader',
        'log_requests',
        'min_collection_interval',
        'process_isolation',
        'process_isolation_timeout',
        'profile_memory',
        'profile_memory_combine',
        'profile_memory_diff',
        'profile_memory_filters',
        'profile_memory_frames',
        'profile_memory_gc',
        'profile_memory_limit',
        'profile_memory_sort',
        'profile_memory_unit',
        'profile_memory_verbose',
        'set_breakpoint',
        'tls_ignore_warning',
        'use_agent_proxy',
    }
)

# Options that are true or false: those of the models, and what the base package takes for false if it is another word.
_SWITCHES = frozenset(
    {
        name
        for model in (InstanceConfig, SharedConfig)
        for name, one in model.model_fields.items()
        if one.annotation == bool | None
    }
    | {
        'log_requests',
        'no_proxy',
        'process_isolation',
        'tls_ignore_warning',
        'tls_validate_hostname',
        'use_agent_proxy',
    }
)
# The words that mean the same to the models and to the base package. `t` does not: it is true to one, and false to the
# other.
_WORDS_OF_SWITCHES = frozenset({'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 'true', 'y', 'yes'})
# To the base package, any word is true here.
_SWITCH_WITHOUT_WORDS = 'tls_validate_hostname'

# Options that list metrics, and what they may say of one. The last ones are for the type `metadata`.
_METRICS = ('extra_metrics', 'metrics')
_KEYS_OF_METRIC = (
    'name', 'type', 'scale', 'status_map', 'label', 'scheme', 'final_scheme', 'pattern', 'part_map'
)  # fmt: skip
_KEYS_OF_METRIC_PATTERNS = ('include', 'exclude')

_KEYS_OF_PROXY = ('http', 'https', 'no_proxy')
_KEYS_OF_SHARED_LABELS = ('labels', 'match', 'values')
_KEYS_OF_TOKEN = ('reader', 'writer')
_KEYS_OF_TOKEN_READER = (
    'type', 'path', 'pattern', 'url', 'client_id', 'client_secret', 'basic_auth', 'options', 'login_url',
    'service_account', 'private_key_path', 'expiration',
)  # fmt: skip
_KEYS_OF_TOKEN_WRITER = ('type', 'name', 'value', 'placeholder')
# What a token takes the place of, unless the option has another one.
_PLACEHOLDER = '<TOKEN>'
_SCHEMES_OF_PROXIES = ('http', 'https', 'socks4', 'socks4a', 'socks5', 'socks5h')

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile('(?:[!-~\x80-\xff][\t -~\x80-\xff]*)?')
_NO_TEXT = re.compile('[\0\ud800-\udfff]')
_NOT_SENDABLE = 'begins with a blank, or has a line break or another character that no header may have'
# Names of networks and ports may have hyphens.
_TEMPLATE_VARIABLE = re.compile(r'%%[A-Za-z][\w.-]*%%')
_HANDLE = re.compile(r'ENC\[[^\]]*\]')


class UnknownOption(NamedTuple):
    """An option that neither the check nor the Agent reads."""

    name: str
    is_shared: bool
    """Whether it is in `init_config`."""
    advice: str
    """A way to mend it, if it looks like a mistake. Empty if it looks like nothing that is known."""

    @property
    def sentence(self) -> str:
        """The words for the user."""
        return f'`{self.name}` is not an option of {self.advice or "this check"}'


def unknown_options(shared: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[UnknownOption]:
    """Yield the options of `init_config` and of an instance that nobody reads, such as misspelt ones."""
    of_an_instance = InstanceConfig.model_fields.keys() | _OF_THE_AGENT
    of_all = SharedConfig.model_fields.keys() | _OF_THE_AGENT_FOR_ALL
    for options, known, is_shared in ((shared, of_all, True), (config, of_an_instance, False)):
        for name in sorted(map(str, options.keys() - known)):
            if is_shared and name in of_an_instance:
                advice = '`init_config`: move it into the instance'
            elif name in of_all:
                advice = 'an instance: move it into `init_config`'
            else:
                similar = get_close_matches(name.lower(), known, n=1)
                advice = f'this check; did you mean `{similar[0]}`?' if similar else ''
            yield UnknownOption(name, is_shared, advice)


def is_bottomless(value: Any) -> bool:
    """Tell whether a value contains itself, as a YAML alias inside its anchor makes it, or is as deep."""
    level = [value]
    for _ in range(DEEPEST + 1):
        # An alias that is used often is looked into once.
        collections = {id(one): one for one in level if isinstance(one, Mapping | list | tuple)}.values()
        if not collections:
            return False
        level = [inner for one in collections for inner in (one.values() if isinstance(one, Mapping) else one)]
    return True


def _refuse_bottomless(config: Mapping[str, Any]) -> None:
    for option, value in config.items():
        if is_bottomless(value):
            raise ConfigurationError(f'The setting `{option}` contains itself, or is nested too deep')


def _refuse_switches(config: Mapping[str, Any]) -> None:
    for option in sorted(_SWITCHES & config.keys()):
        value = config[option]
        if isinstance(value, str):
            is_clear = value.lower() in _WORDS_OF_SWITCHES and option != _SWITCH_WITHOUT_WORDS
        else:
            is_clear = value is None or value in (True, False)
        if not is_clear:
            raise ConfigurationError(f'The setting `{option}` must be `true` or `false`')


def read_switches(config: Mapping[str, Any]) -> dict[str, bool]:
    """Return the options that are true or false as such. The base package takes any word for true in some of them."""
    return {option: is_affirmative(config[option]) for option in _SWITCHES & config.keys()}


def _refuse_numbers(config: Mapping[str, Any]) -> None:
    for option in _POSITIVE:
        value = config.get(option)
        try:
            most = sys.maxsize if option in _NO_SECONDS else threading.TIMEOUT_MAX
            is_positive = value is None or (not isinstance(value, bool) and 0 < float(value) <= most)
        except (OverflowError, TypeError, ValueError):
            is_positive = False
        if not is_positive:
            unit = '' if option in _NO_SECONDS else ' of seconds'
            raise ConfigurationError(f'The setting `{option}` must be a number{unit} greater than 0')


def _refuse_headers(config: Mapping[str, Any]) -> None:
    for option in HEADER_OPTIONS:
        headers = config.get(option) or {}
        if not isinstance(headers, Mapping):
            raise ConfigurationError(f'The setting `{option}` must be a mapping of names to values')
        for position, (name, value) in enumerate(headers.items(), 1):
            if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
                # Neither is repeated: they may have been swapped.
                raise ConfigurationError(f'Entry #{position} of the setting `{option}` has an invalid name of a header')
            if isinstance(value, bool) or not isinstance(value, str | bytes | int | float):
                raise ConfigurationError(f'Entry #{position} of the setting `{option}` must have a string as its value')
            if not can_be_sent(value):
                raise ConfigurationError(
                    f'Entry #{position} of the setting `{option}` has a value that {_NOT_SENDABLE}'
                )


def can_be_sent(value: str | bytes | float) -> bool:
    """Tell whether HTTP allows this as the value of a header."""
    return _HEADER_VALUE.fullmatch(value.decode('latin-1') if isinstance(value, bytes) else str(value)) is not None


def _refuse_token(config: Mapping[str, Any]) -> None:
    """Refuse what the base package sends or ignores as it stands in `auth_token`. The rest it refuses by its name."""
    token = config.get('auth_token')
    reader, writer = (token.get(part) if isinstance(token, Mapping) else None for part in _KEYS_OF_TOKEN)
    if isinstance(reader, Mapping) and reader.get('pattern') is not None:
        _refuse_pattern('auth_token', reader['pattern'])
    for name, part, keys in (
        ('', token, _KEYS_OF_TOKEN),
        (' in `reader`', reader, _KEYS_OF_TOKEN_READER),
        (' in `writer`', writer, _KEYS_OF_TOKEN_WRITER),
    ):
        if isinstance(part, Mapping) and not part.keys() <= set(keys):
            raise ConfigurationError(f'The setting `auth_token` may have only these{name}: {", ".join(keys)}')
    if not isinstance(writer, Mapping):
        return
    name, value = writer.get('name') or 'a', writer.get('value') or ''
    if isinstance(name, str) and not _HEADER_NAME.fullmatch(name):
        raise ConfigurationError('The setting `auth_token` has a `writer` with an invalid name of a header')
    if isinstance(value, str) and not can_be_sent(value):
        raise ConfigurationError(f'The setting `auth_token` has a `writer` with a value that {_NOT_SENDABLE}')
    value, placeholder = writer.get('value', _PLACEHOLDER), writer.get('placeholder', _PLACEHOLDER)
    if isinstance(value, str) and isinstance(placeholder, str) and placeholder not in value:
        # Neither is repeated: somebody may have put a token there.
        raise ConfigurationError('The setting `auth_token` has a `writer` with a `value` that lacks the `placeholder`')


def _refuse_user(config: Mapping[str, Any]) -> None:
    """Refuse a user that the base package would leave out without a word, or cannot encode."""
    auth_type = str(config.get('auth_type') or 'basic').lower()
    if auth_type not in ('basic', 'digest') or any(
        config.get(one) for one in ('kerberos', 'kerberos_auth', 'ntlm_domain')
    ):
        return
    given = {one: config[one] for one in ('username', 'password') if config.get(one) is not None}
    if len(given) == 1 or (auth_type == 'digest' and not given):
        raise ConfigurationError('The settings `username` and `password` must both be set for requests to send them')
    if auth_type == 'basic' and is_affirmative(config.get('use_legacy_auth_encoding', True)):
        for option, value in given.items():
            if not str(value).isascii() and not can_be_sent(value):
                raise ConfigurationError(
                    f'The setting `{option}` has a character that is sent only with `use_legacy_auth_encoding: false`'
                )


def refuse_at_once(config: Mapping[str, Any]) -> None:
    """Raise a `ConfigurationError` that names the option for what the base package trips over when it makes a check."""
    _refuse_bottomless(config)
    if not isinstance(config.get('debug_metrics', {}), Mapping):
        raise ConfigurationError('The setting `debug_metrics` must be a mapping')
    limit = config.get('max_returned_metrics')
    try:
        is_number = limit is None or (not isinstance(limit, bool) and 0 <= float(limit) <= sys.maxsize)
    except (OverflowError, TypeError, ValueError):
        is_number = False
    if not is_number:
        raise ConfigurationError('The setting `max_returned_metrics` must be a number, or 0 for no limit')
    _refuse_patterns(config)


def _refuse_patterns(config: Mapping[str, Any]) -> None:
    by_labels = config.get('exclude_metrics_by_labels')
    if isinstance(by_labels, Mapping) and [] in by_labels.values():
        raise ConfigurationError(
            'The setting `exclude_metrics_by_labels` has a label without values, which would exclude all metrics with '
            'it: if that is meant, set it to `true`'
        )
    for option in _PATTERNS:
        for pattern in _patterns_in(config.get(option)):
            _refuse_pattern(option, pattern)


def _refuse_pattern(option: str, pattern: Any) -> None:
    if not isinstance(pattern, str):
        raise ConfigurationError(f'The setting `{option}` has a name or regular expression that is no string')
    if not pattern:
        raise ConfigurationError(f'The setting `{option}` has an empty regular expression, which would match anything')
    try:
        re.compile(pattern)
    except (OverflowError, RecursionError, re.error) as error:
        raise ConfigurationError(
            f'The setting `{option}` has an invalid regular expression ({getattr(error, "msg", "too large")})'
        ) from None


def _patterns_in(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for one in value:
            # An entry of `extra_metrics` may be a mapping of patterns to names.
            yield from one if isinstance(one, Mapping) else [one]
    elif isinstance(value, Mapping):
        for patterns in value.values():
            yield from _patterns_in(patterns)


def _refuse_text(config: Mapping[str, Any]) -> None:
    for path, text in scalars_in(config):
        if path[0] in _WITH_ANY_TEXT:
            continue
        found = _TEMPLATE_VARIABLE.search(text)
        if found is not None:
            raise ConfigurationError(
                f'The setting `{path[0]}` contains `{found[0]}`, which was not replaced: the Agent does so only in '
                'templates of Autodiscovery, and only with what the container has'
            )
        if _NO_TEXT.search(text):
            raise ConfigurationError(f'The setting `{path[0]}` contains NUL, or half of a character')


def _refuse_choices(config: Mapping[str, Any]) -> None:
    """Refuse what the base package takes for something else with a word in its log."""
    auth_type = config.get('auth_type')
    if auth_type is not None and str(auth_type).lower() not in AUTH_TYPES:
        raise ConfigurationError(f'The setting `auth_type` must be one of: {", ".join(AUTH_TYPES)}')
    if unknown := sorted(map(str, (config.get('metric_patterns') or {}).keys() - set(_KEYS_OF_METRIC_PATTERNS))):
        raise ConfigurationError(
            f'The setting `metric_patterns` may have only `include` and `exclude`, and has {", ".join(unknown)}'
        )
    shares = config.get('share_labels')
    for share in shares.values() if isinstance(shares, Mapping) else ():
        if isinstance(share, Mapping) and not share.keys() <= set(_KEYS_OF_SHARED_LABELS):
            raise ConfigurationError(f'The setting `share_labels` may have only: {", ".join(_KEYS_OF_SHARED_LABELS)}')
    for option in _METRICS:
        for entry in config.get(option) or ():
            for metric in entry.values() if isinstance(entry, Mapping) else ():
                if isinstance(metric, Mapping) and not metric.keys() <= set(_KEYS_OF_METRIC):
                    raise ConfigurationError(
                        f'The setting `{option}` may say of a metric only: {", ".join(_KEYS_OF_METRIC)}'
                    )
    for protocol in config.get('tls_protocols_allowed') or ():
        if protocol not in SUPPORTED_PROTOCOL_VERSIONS:
            raise ConfigurationError(
                f'The setting `tls_protocols_allowed` may have only: {", ".join(sorted(SUPPORTED_PROTOCOL_VERSIONS))}'
            )


def _refuse_forward_proxy(config: Mapping[str, Any]) -> None:
    """Refuse what `requests` would ignore, so that requests go another way, or what no request can go through."""
    proxies = config.get('proxy') or {}
    # What is no mapping is for the models to refuse.
    for position, (name, value) in enumerate(proxies.items() if isinstance(proxies, Mapping) else (), 1):
        if name not in _KEYS_OF_PROXY:
            raise ConfigurationError(f'The setting `proxy` may have only: {", ".join(_KEYS_OF_PROXY)}')
        if name != 'no_proxy' and value and not _is_forward_proxy(value):
            # Not repeated: it may hold a password.
            raise ConfigurationError(
                f'Entry #{position} of the setting `proxy` must be a URL like `http://HOST:3128`. A user name or '
                'password in it must be percent-encoded'
            )


def _is_forward_proxy(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value if '://' in value else f'http://{value}')
        # Accessing the port validates it.
        return parts.scheme in _SCHEMES_OF_PROXIES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _refuse_tls(config: Mapping[str, Any]) -> None:
    if not isinstance(config.get('tls_private_key_password'), str | None):
        raise ConfigurationError('The setting `tls_private_key_password` must be a string: put it into quotes')
    certificates = config.get('tls_intermediate_ca_certs')
    if certificates is not None and (
        not isinstance(certificates, list | tuple) or not all(isinstance(one, str) for one in certificates)
    ):
        raise ConfigurationError('The setting `tls_intermediate_ca_certs` must be a list of certificates')
    ciphers = config.get('tls_ciphers')
    if not ciphers or 'ALL' in ciphers:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(ciphers if isinstance(ciphers, str) else ':'.join(ciphers))
    except (TypeError, ValueError, ssl.SSLError):
        raise ConfigurationError(
            'The setting `tls_ciphers` must have the name of a cipher that OpenSSL knows; those of TLS 1.3 are not '
            'chosen here, and do not suffice'
        ) from None


def _refuse_files(config: Mapping[str, Any]) -> None:
    uses_tls = any(str(config.get(option)).strip().lower().startswith('https:') for option in ENDPOINTS)
    for option in (*_FILES, _AUTHORITY) if uses_tls else _FILES:
        path = config.get(option)
        if not path or not isinstance(path, str):
            continue
        path = os.path.expanduser(path)
        if option == _AUTHORITY and os.path.isdir(path):
            continue
        try:
            with open(path, 'rb'):
                pass
        except (OSError, ValueError) as error:
            # The path is not repeated: it may be a key.
            reason = getattr(error, 'strerror', None) or 'no path'
            raise ConfigurationError(
                f'The setting `{option}` must be the path of a file that the user of the Agent can read ({reason})'
            ) from None


def refuse_handles(config: Mapping[str, Any]) -> None:
    """Raise a `ConfigurationError` that names the option if the Agent has not put a secret in place of its handle."""
    for path, text in scalars_in(config):
        if path[0] not in _WITH_ANY_TEXT and _HANDLE.search(text):
            raise ConfigurationError(
                f'The setting `{path[0]}` contains `ENC[...]`, which the Agent has not decrypted: check its '
                '`secret_backend_command`'
            )


def _option(read: Callable[[Any], Any], default: Any = None) -> Any:
    """Return a field with the function that reads its value from a configuration."""
    return field(default=default, metadata={'read': read})


@dataclass(frozen=True)
class Options:
    """Options by their names. One that is left out, or null, has its default."""

    collect_histogram_buckets: bool = _option(is_affirmative, defaults.instance_collect_histogram_buckets())
    collect_histograms_as_distributions: bool = _option(
        is_affirmative, defaults.instance_collect_histograms_as_distributions()
    )
    collect_readiness: bool = _option(is_affirmative, defaults.instance_collect_readiness())
    collect_unknown_metrics: bool = _option(is_affirmative, defaults.instance_collect_unknown_metrics())
    drop_empty_labels: bool = _option(is_affirmative, defaults.instance_drop_empty_labels())
    exclude_metric_groups: frozenset[str] = _option(frozenset, frozenset())
    exclude_personal_labels: bool = _option(is_affirmative, defaults.instance_exclude_personal_labels())
    expect_database: bool = _option(is_affirmative, defaults.instance_expect_database())
    filter_at_proxy: bool = _option(is_affirmative, defaults.instance_filter_at_proxy())
    idle_counts: str = _option(str, defaults.instance_idle_counts())
    keep_labels: frozenset[str] = _option(frozenset, frozenset())
    litellm_health_endpoint: str | None = _option(str)
    litellm_health_interval: float = _option(float, defaults.instance_litellm_health_interval())
    litellm_health_timeout: float = _option(float, defaults.instance_litellm_health_timeout())
    litellm_readiness_endpoint: str | None = _option(str)
    max_contexts: int | None = _option(int)
    max_page_bytes: int = _option(int, defaults.instance_max_page_bytes())
    max_page_seconds: float = _option(float, defaults.instance_max_page_seconds())
    normalize_routes: bool = _option(is_affirmative, defaults.instance_normalize_routes())
    use_stock_scraper: bool = _option(is_affirmative, defaults.instance_use_stock_scraper())

    @classmethod
    def of(cls, config: Mapping[str, Any], shared: Mapping[str, Any] = MappingProxyType({})) -> Options:
        """Read the options of an instance and of its `init_config`, which the configuration models have accepted.

        Raises a `ConfigurationError` that names the option if a value is none that can work, those of the base package
        that a scrape depends on among them.
        """
        _refuse_numbers({**shared, **config})
        _refuse_choices(config)
        for options in (shared, config):
            _refuse_switches(options)
            _refuse_forward_proxy(options)
        _refuse_tls(config)
        _refuse_files(config)
        _refuse_headers(config)
        _refuse_token(config)
        _refuse_patterns(config)
        _refuse_text(config)
        _refuse_user(config)
        given = ((option, config.get(option.name)) for option in fields(cls))
        return cls(**{option.name: option.metadata['read'](value) for option, value in given if value is not None})
