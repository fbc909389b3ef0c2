"""Query the health of models at `/health`, rarely because of what an answer costs.

Unless a proxy checks its models in the background, it calls each of them to answer. So it is queried once in an
interval, in a thread of its own, and every run submits the last answer with its age. Only tags are kept of an answer:
it contains addresses with passwords, headers with keys, and prompts.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from sys import intern
from typing import NamedTuple

from requests.exceptions import ConnectTimeout, RequestException, Timeout

from datadog_checks.base.constants import ServiceCheck

from ..base_package import is_isolated
from ..mapping.labels import UNREADABLE
from ..metrics import ENDPOINT_AGE, ENDPOINT_HEALTHY_COUNT, ENDPOINT_INFO, ENDPOINT_UNHEALTHY_COUNT
from ..scrapers.base import LitellmScraper
from ..secret_forms import without_secrets
from ..secrets import Redactor
from ..transport.background_call import BackgroundCall
from ..transport.client import Answer, Client
from ..transport.errors import REDIRECTS, explain_probe_failure
from ..transport.urls import Address, one_spelling, read_address
from .large_json import LargeObject, TooFineError
from .paid_answers import PaidAnswer, paid_answer

__all__ = ['Health', 'HealthProbe', 'NoHealthError', 'NotCheckedYetError', 'error_class', 'health_probe', 'read_health']

# How long the run that asks waits after its scrape, so that a single run such as `agent check` shows an answer.
PATIENCE_SECONDS = 10.0

# An answer is submitted for so many intervals. After that only its age is, as it says nothing about now.
INTERVALS_UNTIL_OUTDATED = 3

# Stack traces make answers long: several kB for each failing model.
MAX_BODY_BYTES = 32 << 20

# Each is a context, on top of `max_contexts`. Those that are unhealthy come first.
MAX_ENDPOINTS = 5000

# Datadog truncates tags at 200 characters. What is so long before its secrets are removed is no name.
MAX_TAG_VALUE = 150
LONGEST_NAME = 4096

# To look for secrets in so many characters takes seconds. Names of 5,000 endpoints have a tenth of it.
MAX_NAMES = 4 << 20
_NAMES = ('model', 'custom_llm_provider', 'model_id')

_LISTS = UNHEALTHY, HEALTHY = 'unhealthy_endpoints', 'healthy_endpoints'

# One object each for all endpoints.
_HEALTHY_TAG, _UNHEALTHY_TAG = 'endpoint_health:healthy', 'endpoint_health:unhealthy'

UNKNOWN_ERROR = 'unknown'

# The text of an error begins with its class: `litellm.RateLimitError: ...`. The rest must not leave the host.
_ERROR_CLASS = re.compile(
    r'(?:error:\s*)?(?:litellm\.(?:exceptions\.)?([A-Z][A-Za-z]{2,60})|([A-Z][A-Za-z]{2,50}(?:Error|Exception)))(?!\w)',
    re.ASCII,
)
_TIMEOUT = 'Timeout exceeded'
# JSON can have lone surrogates, which are not UTF-8, and the Agent ends a tag at a NUL.
_NOT_TEXT = re.compile('[\0\ud800-\udfff]')
_PROVIDER = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]{0,60}', re.ASCII)

URL_HINT = "set `litellm_health_endpoint` to the proxy's own health endpoint, such as `http://HOST:4000/health`."
# What can be wrong with the body of an answer.
NO_HEALTH = 'the response does not contain model health'
TOO_FINE = (
    'the response has so many very short entries that they would take too much memory, and no answer of LiteLLM is '
    'known to have'
)
KEY_HINT = (
    'a key with access to all models, with `extra_headers: {Authorization: Bearer <KEY>}`: /health always requires one.'
)


class NoHealthError(RequestException):
    """The endpoint answered, but not with the health of models. The message says what to do and quotes nothing."""


class NotCheckedYetError(RequestException):
    """The proxy checks its models in the background, but has not done so yet since it started."""


class Health(NamedTuple):
    """The parts of an answer that are kept."""

    endpoints: Counter[tuple[str, ...]]
    """How many model endpoints have these tags: some releases leave out ids, and then there may be several."""
    healthy: int
    unhealthy: int
    answered_at: float
    """On the monotonic clock."""
    left_out: int = 0
    """How many sets of tags are not kept, as there are too many."""


def read_health(answer: Answer, redact: Redactor, *, has_key: bool) -> Health:
    """Return what is kept of an answer, redacted. Raises `NoHealthError` or `NotCheckedYetError`."""
    try:
        # With each byte as a character, no sign makes Python take four bytes for each of all others.
        body = LargeObject(answer.text('latin-1'), _LISTS)
        if body.is_empty and answer.status == 200:
            raise NotCheckedYetError
        # For a URL that names one model, an unhealthy one comes with 503 and otherwise the same answer.
        if answer.status in (200, 503):
            return _summary(body, redact)
    except TooFineError:
        raise NoHealthError(_advice(answer, has_key, TOO_FINE)) from None
    except ValueError:
        pass
    raise NoHealthError(_advice(answer, has_key))


def _summary(body: LargeObject, redact: Redactor) -> Health:
    """Return what is kept of a body. Raises a `ValueError` if it lacks a list."""
    endpoints: Counter[tuple[str, ...]] = Counter()
    totals: Counter[str] = Counter()
    left_out = length = 0
    # Unhealthy ones first: what is too much is cut.
    for name in _LISTS:
        for endpoint in body.elements(name):
            totals[name] += 1
            length += _length_of_names(endpoint)
            if length > MAX_NAMES:
                left_out += 1
                continue
            tags = _tags(endpoint, name == HEALTHY, redact)
            if tags in endpoints or len(endpoints) < MAX_ENDPOINTS:
                endpoints[tags] += 1
            else:
                left_out += 1
    return Health(endpoints, totals[HEALTHY], totals[UNHEALTHY], time.monotonic(), left_out)


def _length_of_names(endpoint: object) -> int:
    names = map(endpoint.get, _NAMES) if isinstance(endpoint, dict) else ()
    return sum(len(name) for name in names if isinstance(name, str))


def _tags(endpoint: object, is_healthy: bool, redact: Redactor) -> tuple[str, ...]:
    fields = endpoint if isinstance(endpoint, dict) else {}
    model, provider, identity = (_text(fields.get(name), redact) for name in _NAMES)
    if not provider and '/' in model:
        provider = model.partition('/')[0]
    tags = (
        [_HEALTHY_TAG] if is_healthy else [_UNHEALTHY_TAG, intern(f'endpoint_error:{error_class(fields.get("error"))}')]
    )
    if model:
        tags.append(f'llm_model:{model}')
    if _PROVIDER.fullmatch(provider):
        tags.append(f'custom_llm_provider:{provider}')
    if identity:
        tags.append(f'model_id:{identity}')
    return tuple(tags)


def _text(value: object, redact: Redactor) -> str:
    """Return a name as it may be shown. The name of a model can be the address that serves it."""
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        return ''
    with suppress(UnicodeError):
        # The bytes of UTF-8. What JSON escapes is text already.
        value = value.encode('latin-1').decode()
    # Before it is cut: of a secret, the beginning would be left.
    return redact(without_secrets(_NOT_TEXT.sub(UNREADABLE, value), is_address=True))[:MAX_TAG_VALUE]


def error_class(error: object) -> str:
    """Return the class of an error that LiteLLM reports for a model, and nothing else of it."""
    if not isinstance(error, str):
        return UNKNOWN_ERROR
    if error.startswith(_TIMEOUT):
        return 'Timeout'
    match = _ERROR_CLASS.match(error)
    return UNKNOWN_ERROR if match is None else match[1] or match[2]


def _advice(answer: Answer, has_key: bool, fault: str = NO_HEALTH) -> str:
    """Say what to do about an answer without the health of models."""
    return answer.redirects.before(_advice_on_answer(answer, has_key, fault))


def _advice_on_answer(answer: Answer, has_key: bool, fault: str) -> str:
    status = answer.status
    if status in (401, 403, 500) and answer.redirects.drops_key:
        return f'{status}: keys are not forwarded to another host, port or scheme. Use the URL it redirects to.'
    # Some releases answer a request without a key with 500.
    if status in (401, 403) or (status == 500 and not has_key):
        return f'{status}: ' + (f'the proxy rejected the key. Send {KEY_HINT}' if has_key else f'send {KEY_HINT}')
    if status == 404:
        return f'404: {URL_HINT}'
    if status in REDIRECTS:
        return f'{status}: the endpoint redirects, and `allow_redirects` is off. Use the URL it redirects to.'
    if status == 304:
        return '304: something in front of LiteLLM answers from its cache: turn that off for this URL.'
    if 300 <= status < 400:
        return f'{status}: the response has no model health: {URL_HINT}'
    if status >= 400:
        return f'{status}: check the proxy log for the cause.'
    if not answer.is_whole:
        return f'the response is larger than {MAX_BODY_BYTES >> 20} MB: {URL_HINT}'
    return f'{fault}: {URL_HINT}'


def health_probe(scraper: LitellmScraper) -> HealthProbe | None:
    """Return the probe that an instance configures, or None.

    Raises a `ConfigurationError` if one of its options is invalid.
    """
    options = scraper.options
    url = options.litellm_health_endpoint
    if not url:
        return None
    if is_isolated():
        scraper.check.warning(
            '`litellm_health_endpoint` is ignored: with `process_isolation`, each check run is a separate process, and '
            'each would make the proxy call all its models.'
        )
        return None
    address = read_address('litellm_health_endpoint', url)
    return HealthProbe(scraper, address, options.litellm_health_interval, options.litellm_health_timeout)


class HealthProbe:
    """Query the health of models once in an interval, and submit the last answer in every run."""

    def __init__(self, scraper: LitellmScraper, address: Address, interval: float, timeout: float) -> None:
        self._check = scraper.check
        self._tags = [*scraper.static_tags, f'health_endpoint:{address.shown}']
        self._interval = interval
        self._client = client = scraper.client_of(address)
        self._answer: PaidAnswer[Health] = paid_answer((one_spelling(address.url), client.identity))
        self._call = BackgroundCall(
            partial(_ask_health, client, address.url, timeout, self._check.secrets, self._answer), timeout
        )

    def run(self) -> None:
        """Submit the last answer, and query the next when it is due. Raises nothing."""
        is_asking = self._answer.ask(time.monotonic(), self._interval, self._call.start)
        self._take_answer(PATIENCE_SECONDS if is_asking else 0.0)
        self._submit(time.monotonic())

    def _take_answer(self, patience: float) -> None:
        try:
            self._call.result(patience)
        except Exception as error:  # noqa: BLE001, such as a `Timeout`, or that no thread can be started
            self._answer.connection = (ServiceCheck.CRITICAL, _explain(error, self._client, self._call.seconds))

    def _submit(self, now: float) -> None:
        health, connection = self._answer.value, self._answer.connection
        if connection is not None:
            status, message = connection
            self._check.service_check('health.can_connect', status, tags=self._tags, message=message)
        if health is None:
            return
        age = now - health.answered_at
        self._check.gauge(ENDPOINT_AGE, age, tags=self._tags)
        if age <= INTERVALS_UNTIL_OUTDATED * self._interval:
            self._check.gauge(ENDPOINT_HEALTHY_COUNT, health.healthy, tags=self._tags)
            self._check.gauge(ENDPOINT_UNHEALTHY_COUNT, health.unhealthy, tags=self._tags)
            if health.left_out:
                self._check.warning(
                    '/health lists more than %d different endpoints, or %d MB of names: %d endpoints are not sent, '
                    'healthy ones first.',
                    MAX_ENDPOINTS,
                    MAX_NAMES >> 20,
                    health.left_out,
                )
            for tags, endpoints in health.endpoints.items():
                self._check.gauge(ENDPOINT_INFO, endpoints, tags=[*self._tags, *map(self._check.secrets, tags)])


def _ask_health(client: Client, url: str, seconds: float, redact: Redactor, answer: PaidAnswer[Health]) -> None:
    """Ask, and keep what comes of it where a check finds it that is made when the one that asked is gone."""
    try:
        health = read_health(client.ask(url, seconds, MAX_BODY_BYTES), redact, has_key=client.sends_credentials)
    except NotCheckedYetError:
        answer.connection = (ServiceCheck.OK, '')
    except Exception as error:  # noqa: BLE001, whatever it is must not cost the run
        answer.connection = (ServiceCheck.CRITICAL, _explain(error, client, seconds))
    else:
        answer.value, answer.connection = health, (ServiceCheck.OK, '')


def _explain(error: Exception, client: Client, seconds: float) -> str:
    if isinstance(error, NoHealthError):
        return str(error)
    cause = client.redirects.before(explain_probe_failure(error, seconds))
    message = f'the request to /health failed: {cause}'
    if isinstance(error, Timeout) and not isinstance(error, ConnectTimeout):
        message += ' Raise `litellm_health_timeout`, or set `background_health_checks: true` on the proxy.'
    return message
