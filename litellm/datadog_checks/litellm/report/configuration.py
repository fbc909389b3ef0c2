"""The instance that the command line asks for."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from ..options import is_bottomless
from ..secret_forms import without_user_info
from ..secrets import HEADER_OPTIONS, KEY_HEADERS

__all__ = [
    'HANDLE',
    'KEY_VARIABLE',
    'UsageError',
    'changed',
    'configuration',
    'instances_of',
    'refuse_handles',
    'sends_key',
]

KEY_VARIABLE = 'LITELLM_METRICS_KEY'

# What the Agent puts the secret in place of.
HANDLE = re.compile(r'ENC\[[^\]]*\]')

# The path of a file that cannot be read is not repeated: somebody may have passed a key in its place.
CONFIG_FILE = 'the file of --config'
KEY_FILE = 'the file of --key-file'


class UsageError(Exception):
    """The command line, or a file that it names, cannot be used."""


def configuration(options: argparse.Namespace, *, decrypted: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `init_config` and the instance to run: that of the file, if any, changed by the other options.

    Raises a `UsageError`, which never repeats a key or password, if there is no such instance, or if it cannot run
    because a value is for the Agent to decrypt, unless it need not run and `decrypted` is false.
    """
    url = _endpoint(options.url) if options.url is not None else None
    init_config, instance = _from_file(options.config, url) if options.config else ({}, {})
    if url is not None:
        instance['openmetrics_endpoint'] = url
    if not isinstance(instance.get('openmetrics_endpoint') or None, str):
        raise UsageError('no URL: pass the URL of the metrics page, such as http://127.0.0.1:4000/metrics/')
    instance = changed(instance, options)
    if decrypted:
        refuse_handles(init_config, instance, options)
    return init_config, instance


def changed(instance: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return an instance with the timeout and key of the command line, if any. Raises a `UsageError` as above."""
    instance = dict(instance)
    if options.timeout is not None:
        instance['timeout'] = options.timeout
        instance.pop('connect_timeout', None)
        instance.pop('read_timeout', None)
    key = _key(options)
    if key is not None:
        url = str(instance.get('openmetrics_endpoint'))
        if without_user_info(url) != url:
            raise UsageError('a key cannot be combined with user:password in the URL: both use the same header')
        _send_key(instance, key)
    return instance


def refuse_handles(init_config: dict[str, Any], instance: dict[str, Any], options: argparse.Namespace) -> None:
    """Raise a `UsageError` if a value is for the Agent to decrypt."""
    handles = list(_paths_of_handles({'init_config': init_config, **instance}))
    if handles:
        raise UsageError(
            f'only the Agent decrypts `ENC[...]`, which `{"`, `".join(handles)}` of {options.config} contains: for the '
            f'key, use --key-file or {KEY_VARIABLE}; for anything else, a copy of the file with the value itself'
        )


def _paths_of_handles(value: Any, path: str = '') -> Iterator[str]:
    """Yield where in a configuration there is a handle of a secret, such as `extra_headers.Authorization`."""
    if isinstance(value, str) and HANDLE.search(value):
        yield path
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _paths_of_handles(part, f'{path}.{name}' if path else str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _paths_of_handles(part, path)


def _endpoint(url: str) -> str:
    """Return the URL of the metrics page. A URL that is refused is not repeated: it may hold a password."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ('http', 'https') and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if '://' not in url:
        raise UsageError('invalid URL: it has to start with http:// or https://, as in http://127.0.0.1:4000/metrics/')
    if not valid or any(c.isspace() or not c.isprintable() for c in url):
        raise UsageError('invalid URL: pass the URL of the metrics page, such as http://127.0.0.1:4000/metrics/')
    return urlunsplit(parts._replace(path='/metrics/')) if parts.path in ('', '/') else url


def _key(options: argparse.Namespace) -> str | None:
    """Return the proxy key from wherever it is given, or None. Errors about a key never contain it."""
    if options.key is not None:
        source, key = '--key', str(options.key)
    elif options.key_file is not None:
        source, key = str(options.key_file), _read(options.key_file, KEY_FILE)
    elif KEY_VARIABLE in os.environ:
        source, key = KEY_VARIABLE, os.environ[KEY_VARIABLE]
    else:
        return None
    key = key.strip()
    if not key:
        raise UsageError(f'{source} contains no key')
    if not key.isascii() or not key.isprintable() or ' ' in key:
        raise UsageError(f'{source} must contain only the key: a key has no spaces, line breaks or accents')
    if HANDLE.search(key):
        raise UsageError(f'{source} contains `ENC[...]`, which only the Agent decrypts: give the key itself')
    return key


def sends_key(instance: dict[str, Any]) -> bool:
    """Tell whether an instance sends a proxy key, from its headers or from a file."""
    sent = {str(name).lower() for option in HEADER_OPTIONS for name in instance.get(option) or {}}
    return not sent.isdisjoint(KEY_HEADERS) or _token_is_key(instance)


def _token_is_key(instance: dict[str, Any]) -> bool:
    """Tell whether `auth_token` writes into a header that LiteLLM takes a key from."""
    token = instance.get('auth_token')
    writer = token.get('writer') if isinstance(token, dict) else None
    name = writer.get('name') if isinstance(writer, dict) else None
    return isinstance(name, str) and name.lower() in KEY_HEADERS


def _send_key(instance: dict[str, Any], key: str) -> None:
    """Have the instance send a key, instead of any key in its file."""
    for option in HEADER_OPTIONS:
        if isinstance(instance.get(option), dict):
            instance[option] = {
                name: value for name, value in instance[option].items() if str(name).lower() not in KEY_HEADERS
            }
    if _token_is_key(instance):
        del instance['auth_token']
    # What is no mapping is for the check to refuse.
    if isinstance(instance.setdefault('extra_headers', {}) or {}, dict):
        instance['extra_headers'] = {**(instance['extra_headers'] or {}), 'Authorization': f'Bearer {key}'}


def _from_file(path: Path, url: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `init_config` and one instance of a conf.yaml, or of a file that is a single instance.

    The URL selects one of several instances.
    """
    init_config, instances = instances_of(path)
    if len(instances) > 1:
        instances = [instance for instance in instances if instance.get('openmetrics_endpoint') == url]
    if len(instances) != 1:
        raise UsageError(f'{path} has several instances: pass the `openmetrics_endpoint` of one of them as the URL')
    return init_config, instances[0]


def instances_of(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return `init_config` and the instances of a conf.yaml, or of a file that is a single one.

    Raises a `UsageError` if it is neither.
    """
    content = _content(path)
    if 'instances' not in content:
        return {}, [content]
    init_config, instances = content.get('init_config') or {}, content['instances']
    if not isinstance(instances, list) or not instances or not all(isinstance(item, dict) for item in instances):
        raise UsageError(f'{path} has no list of instances')
    if not isinstance(init_config, dict):
        raise UsageError(f'`init_config` of {path} is not a mapping')
    return init_config, instances


def _content(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(_read(path, CONFIG_FILE))
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the file, keys and all.
        line = f' in line {error.problem_mark.line + 1}' if error.problem_mark else ''
        raise UsageError(f'{path} is not valid YAML: check for an error{line}') from None
    except yaml.YAMLError:
        raise UsageError(f'{path} is not valid YAML') from None
    except RecursionError:
        raise UsageError(f'{path} is nested too deep') from None
    if not isinstance(content, dict):
        raise UsageError(f'{path} contains no options')
    if is_bottomless(content):
        raise UsageError(f'{path} contains an alias (`*name`) inside of what it stands for (`&name`), or is as deep')
    return content


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text('utf-8')
    except OSError as error:
        raise UsageError(f'cannot read {what}: {error.strerror}') from None
    except UnicodeDecodeError:
        raise UsageError(f'cannot read {what}: not a text file') from None
