"""Ask a proxy whether it accepts requests and reaches its database: `/health/readiness` tells for free, without a key.

A proxy that was never given a database, and one whose first connection failed, say the same words with the same status:
`Not connected`. It is the latter if this instance has ever seen a connection or a sample of the database's families, or
if `expect_database` says so. What the messages say of an outage was measured on LiteLLM 1.110.2 with PostgreSQL.
"""

from __future__ import annotations

import time
from functools import partial
from typing import NamedTuple

from datadog_checks.base.constants import ServiceCheck

from ..scrapers.base import LitellmScraper
from ..transport.background_call import BackgroundCall
from ..transport.client import Answer
from ..transport.errors import explain_probe_failure
from ..transport.urls import Address, read_address, root_of
from .version import VersionProbe

__all__ = ['Readiness', 'ReadinessProbe', 'Status', 'read_readiness', 'readiness_probe']

PATH = '/health/readiness'

# LiteLLM answers in milliseconds: a `timeout` that a large metrics page needs is too long for this.
MAX_SECONDS = 10.0

# The longest bodies, in releases before 1.84, list the callbacks: some kB.
MAX_BODY_BYTES = 1 << 16

# If the derived URL does not serve this, as on a port for metrics only, it is tried again after an hour.
SECONDS_BETWEEN_GUESSES = 3600.0


class Status(NamedTuple):
    """The status of a service check, and its meaning if it is not OK."""

    status: int
    message: str = ''


class Readiness(NamedTuple):
    """The service checks and the version that an answer amounts to. A part that is None is not submitted."""

    ready: Status
    database: Status | None
    version: str | None = None


NOT_CONNECTED = 'Not connected'

# By LiteLLM's names for the state of its database. Stalled, since 1.104: it is connected, but within thirty seconds a
# lookup for a request was given up, which takes ten.
DATABASE = {
    'connected': Status(ServiceCheck.OK),
    'disconnected': Status(
        ServiceCheck.CRITICAL,
        'the proxy cannot reach its database. Within a minute it answers 503 to every key but the master key or, with '
        '`allow_requests_on_db_unavailable`, accepts every key, unknown ones too.',
    ),
    'stalled': Status(
        ServiceCheck.CRITICAL,
        'database lookups hang, or did within half a minute: requests wait for them, some for over a minute, and then '
        'fail with 503. Look for locks and long transactions in the database.',
    ),
    NOT_CONNECTED: Status(
        ServiceCheck.UNKNOWN,
        'the proxy runs without a database. If it should have one, set `expect_database: true`.',
    ),
}
LOST = Status(
    ServiceCheck.CRITICAL,
    'the proxy should have a database and is not connected to one: check DATABASE_URL and its log, then restart it.',
)
UNKNOWN_STATE = Status(ServiceCheck.UNKNOWN, 'the proxy reports a database state that the check does not know.')
NOT_REPORTED = Status(ServiceCheck.UNKNOWN, 'the proxy does not currently report the state of its database.')

NOT_SERVED = Status(
    ServiceCheck.UNKNOWN,
    "this is not LiteLLM's readiness endpoint: set `litellm_readiness_endpoint` to a URL such as "
    '`http://HOST:4000/health/readiness`.',
)


def read_readiness(answer: Answer) -> Readiness | None:
    """Return what an answer means, or None if it is not from LiteLLM's readiness."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    fields = body if isinstance(body, dict) else {}
    version = fields.get('litellm_version')
    if answer.status == 200 and isinstance(fields.get('status'), str):
        database = _database(fields) if 'db' in fields else None
        return Readiness(Status(ServiceCheck.OK), database, version if isinstance(version, str) else None)
    if answer.status in (200, 404, 405):
        return None
    if answer.status < 500:
        message = f'{answer.status} from {PATH}, which LiteLLM serves without a key: check what is in front of it.'
        return Readiness(Status(ServiceCheck.UNKNOWN, message), None)
    database = _database(fields)
    return Readiness(Status(ServiceCheck.CRITICAL, f'{answer.status}: {_reason(fields, database)}'), database)


def _database(fields: dict[str, object]) -> Status:
    state, detail = fields.get('db'), fields.get('detail')
    if isinstance(state, str):
        return DATABASE.get(state, UNKNOWN_STATE)
    # Before 1.84 only a failed check of the database leads to this answer.
    if isinstance(detail, str) and detail.startswith('Service Unhealthy'):
        return DATABASE['disconnected']
    return NOT_REPORTED


def _reason(fields: dict[str, object], database: Status) -> str:
    if fields.get('status') == 'shutting_down':
        return 'the proxy is shutting down.'
    if database.status == ServiceCheck.CRITICAL:
        return f'the proxy is not accepting requests because {database.message}'
    return 'the proxy, or a gateway in front of it, is not accepting requests: check its log for the cause.'


def readiness_probe(scraper: LitellmScraper) -> ReadinessProbe | None:
    """Return the probe that an instance configures, or None.

    Raises a `ConfigurationError` if `litellm_readiness_endpoint` is not a URL.
    """
    if not scraper.options.collect_readiness:
        return None
    configured = scraper.options.litellm_readiness_endpoint
    if configured:
        return ReadinessProbe(scraper, read_address('litellm_readiness_endpoint', configured), is_guess=False)
    root = root_of(scraper.endpoint)
    return None if root is None else ReadinessProbe(scraper, scraper.address._replace(url=root + PATH), is_guess=True)


class ReadinessProbe:
    """Query the readiness in every run, and the version when it may have changed."""

    def __init__(self, scraper: LitellmScraper, address: Address, is_guess: bool) -> None:
        self._scraper = scraper
        self._is_guess = is_guess
        self._paused_until = 0.0
        self._readiness: Readiness | None = None
        self._has_database = scraper.options.expect_database
        self._client = client = scraper.client_of(address)
        seconds = min(client.timeout, MAX_SECONDS)
        self._call = BackgroundCall(partial(client.ask, address.url, seconds, MAX_BODY_BYTES), seconds)
        root = address.url.removesuffix(PATH) if address.url.endswith(PATH) else root_of(scraper.endpoint)
        self._version = None if root is None else VersionProbe(scraper, address, root)

    def run(self) -> None:
        """Query the readiness and submit it, within the `timeout` of the instance and 10 seconds. Raises nothing."""
        if time.monotonic() < self._paused_until:
            return
        self._readiness = self._ask()
        if self._readiness is not None:
            self._submit(self._readiness)
            if self._version is not None:
                self._version.run(self._readiness.ready.status == ServiceCheck.OK, self._readiness.version)
        elif self._is_guess:
            self._paused_until = time.monotonic() + SECONDS_BETWEEN_GUESSES
        else:
            self._submit(Readiness(NOT_SERVED, None))

    def _ask(self) -> Readiness | None:
        self._call.start()
        try:
            answer = self._call.result(self._call.seconds)
        except Exception as error:  # noqa: BLE001, whatever it is must not cost the run
            cause = self._client.redirects.before(explain_probe_failure(error, self._call.seconds))
            message = f'the request to {PATH} failed: {cause}'
            return Readiness(Status(ServiceCheck.CRITICAL, message), NOT_REPORTED)
        # No answer means that the request of an earlier run was given up and still hangs: its readiness stands.
        return self._readiness if answer is None else self._with_history(read_readiness(answer))

    def _with_history(self, readiness: Readiness | None) -> Readiness | None:
        """Take a database that is not connected for a lost one if there was or should be one."""
        if readiness is None or readiness.database is None:
            return readiness
        if readiness.database.status != ServiceCheck.UNKNOWN or self._scraper.outgoing.has_database:
            self._has_database = True
        is_lost = self._has_database and readiness.database is DATABASE[NOT_CONNECTED]
        return readiness._replace(database=LOST) if is_lost else readiness

    def _submit(self, readiness: Readiness) -> None:
        for name, status in (('proxy.ready', readiness.ready), ('proxy.database', readiness.database)):
            if status is not None:
                tags = self._scraper.static_tags
                self._scraper.check.service_check(name, status.status, tags=tags, message=status.message)
