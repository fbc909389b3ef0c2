"""Share between both scrapers all but how a page is read: fetching it, judging it, and reporting the outcome.

The two are siblings: `exact` counts by itself, and `stock` leaves that to the base package.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from requests import Response
from requests.exceptions import ConnectionError, InvalidURL, RequestException

from datadog_checks.base.constants import ServiceCheck

from ..base_package import AdaptedScraper
from ..mapping.labels import KEY_LABEL, REDACTED
from ..mapping.outgoing import OutgoingLabels
from ..mapping.rules import Rules
from ..metrics import UNLICENSED_FAMILY, families_of_groups, is_litellm_family
from ..options import Options
from ..page.exposition import MEDIA_TYPES, OPENMETRICS_ACCEPT, is_openmetrics, read_lines
from ..page.family_types import is_creation_time
from ..secrets import HEADER_OPTIONS
from ..transport.body import PageLimits, read_body
from ..transport.client import Client
from ..transport.errors import (
    HEAD_TOO_LARGE,
    TOO_SLOW,
    URL_HINT,
    NotMetricsError,
    PageLimitError,
    explain,
    explain_response,
)
from ..transport.redirects import NOT_REDIRECTED
from ..transport.urls import Address, read_address
from ..transport.wrapper import StrictRequests
from .transfer import ACCEPTED_ENCODINGS, Transfer

__all__ = ['LitellmScraper']

# Options that say who asks, beside headers and what URLs have.
CREDENTIALS = (
    'auth_token', 'auth_type', 'aws_host', 'aws_region', 'aws_service', 'kerberos_cache', 'kerberos_hostname',
    'kerberos_keytab', 'kerberos_principal', 'ntlm_domain', 'password', 'username',
)  # fmt: skip

# Families that any program of Python has.
OF_ANY_PROGRAM = ('process_', 'python_')

# How many of the unknown families a warning names. The others are only counted.
UNKNOWN_NAMED = 10


class LitellmScraper(AdaptedScraper):
    """Fetch the page of a proxy, tell whether it is LiteLLM's, and explain failures and what the page lacks.

    The whole page is read before the first sample is submitted, so that a failed scrape submits nothing.
    """

    def __init__(self, check: Any, config: MutableMapping[str, Any], options: Options) -> None:
        # Tags, messages and logs have the URL without its user, password and query.
        self.address = read_address('openmetrics_endpoint', config['openmetrics_endpoint'])
        config = ChainMap({'openmetrics_endpoint': self.address.shown}, config)
        super().__init__(check, config)
        # What the base has made of these is what it asks for: a format.
        headers = self.http.options['headers']
        self.http = self._new_http()
        self.http.options['headers'] = headers
        self.options = options
        self._client = Client(self.http, self.address, check.secrets)
        self.exclude(families_of_groups(options.exclude_metric_groups))
        self.outgoing = OutgoingLabels(options, self.exclude_metrics_by_labels, check.secrets)
        self.rules = Rules(self, self.outgoing, options)
        self.page_limits = PageLimits(options.max_page_bytes, options.max_page_seconds)
        self.page_was_empty = False
        """Whether the last page that could be read held no family at all."""

        # The base asks for OpenMetrics only if `headers` is not set, and then parses any answer as OpenMetrics.
        # Here `headers` makes no difference, and the content type of the answer decides on the parser.
        self._chosen_headers = {name.lower() for option in HEADER_OPTIONS for name in config.get(option) or {}}
        if self.take_use_latest_spec() and 'accept' not in self._chosen_headers:
            headers['Accept'] = OPENMETRICS_ACCEPT

        # Without this, `requests` would ask for whatever encodings it finds libraries for.
        compresses = 'accept-encoding' not in self._chosen_headers
        if compresses:
            headers['Accept-Encoding'] = ACCEPTED_ENCODINGS
        self._transfer = Transfer(compresses=compresses, keeps_connections=self.http.persist_connections)

        # An ignored connection error is a failed scrape that is not raised.
        self._tolerate_connection_errors = self.take_ignore_connection_errors()

    def scrape(self) -> None:
        """Scrape once and submit the outcome as the health service check.

        Raises a `RequestException` whose message says what to do when the page could not be fetched.
        """
        try:
            super().scrape()
        except Exception as error:  # noqa: BLE001, it is raised again
            explained = explain(error, self._client.redirects)
            self.submit_health_check(ServiceCheck.CRITICAL, message=str(explained))
            if self._tolerate_connection_errors and isinstance(error, ConnectionError):
                self.log.warning('Nothing collected from %s: %s', self.endpoint, explained)
                return
            try:
                raise explained from None
            finally:
                # Break the cycle of exception and traceback, which would keep the connection until garbage collection.
                del explained
        self.submit_health_check(ServiceCheck.OK)
        if self.outgoing.keys_in_clear:
            self._warn_of_keys_in_clear()

    def read_page(self, read: Callable[[], None]) -> None:
        """Call `read`, which requests a page and submits it, and again in the plain way if the transfer fails."""
        fault = self._transfer.scrape(read)
        if fault is not None:
            self.warning(
                'A compressed page, or a connection that is used again, failed at %s, and a plain request did not: %s '
                'Pages are requested without compression and on new connections for some time. Find what damages them '
                'on the way, or set `extra_headers: {Accept-Encoding: identity}` and `persist_connections: false`.',
                self.endpoint,
                explain(fault, NOT_REDIRECTED),
            )

    def client_of(self, address: Address) -> Client:
        """Return a client for another endpoint of the proxy, with the options of this instance."""
        return Client(
            self._new_http(),
            address,
            self.check.secrets,
            {option: self.config[option] for option in CREDENTIALS if option in self.config},
            self._chosen_headers,
        )

    def _new_http(self) -> StrictRequests:
        check = self.check
        return StrictRequests(self.config, check.init_config, check.HTTP_CONFIG_REMAPPER, check.log)

    def send_request(self, **options: Any) -> Response:
        return self._client.get(self.address.url, self.page_limits.max_page_seconds, **options)

    def get_connection(self, **options: Any) -> Response:
        """Return a response with a page to read, or raise an error that says what is wrong with it."""
        try:
            response: Response = self.send_request(extra_headers=self._transfer.headers, **options)
        except RequestException:
            if self._client.deadline.head_is_too_large:
                raise PageLimitError(HEAD_TOO_LARGE) from None
            if self._client.deadline.is_over:
                raise PageLimitError(TOO_SLOW.format(self.page_limits.max_page_seconds)) from None
            raise
        except ValueError:
            # The URL of a redirect cannot be parsed.
            raise InvalidURL('no URL') from None
        self._transfer.answered(response)
        self.content_type = response.headers.get('Content-Type', '')
        error = explain_response(response, self._client.redirects)
        if error is not None:
            response.close()
            raise error
        return response

    def lines_of(self, response: Response, bad_lines: Counter[str]) -> Iterator[list[bytes]]:
        """Return the lines of a page within the limits of this instance: see `read_lines`."""
        body = read_body(response, self.page_limits, self._client.deadline)
        return read_lines(body, bad_lines, is_openmetrics=is_openmetrics(self.content_type))

    def judge_page(self, families: Iterable[str], *, has_samples: bool) -> None:
        """Raise an error if the families are not LiteLLM's, and warn if the page has less than it could have.

        The families are those that have a type. Their names come without the `raw_metric_prefix`.
        """
        families = set(families)
        self.page_was_empty = not families
        self._transfer.has_families(bool(families))
        if not families and has_samples:
            self.warning(
                'The metrics page at %s has samples, but no `# TYPE` lines, without which samples are not collected. '
                'Something between LiteLLM and the Agent removes them: scrape the proxy itself.',
                self.endpoint,
            )
            return
        if not families and not self.content_type.lower().startswith(MEDIA_TYPES):
            raise NotMetricsError(
                f'the response is empty, and its content type is not that of a metrics page: {URL_HINT}'
            )
        if not families:
            self.warning(
                'The metrics page at %s is empty. A proxy with several workers exposes a family only once it has a '
                'sample: send it a request. Otherwise, check the URL for a `?name[]=` filter.',
                self.endpoint,
            )
        elif not self.raw_metric_prefix and not any(map(is_litellm_family, families)):
            raise NotMetricsError(f'the page has no LiteLLM metrics: {URL_HINT}')
        elif not any(
            is_litellm_family(name) or (self.rules.is_mapped(name) and not name.startswith(OF_ANY_PROGRAM))
            for name in families
        ):
            self.warning(
                'Nothing of LiteLLM is collected from %s: without `raw_metric_prefix`, no name is one of its own or of '
                '`metrics`. Set it to what something in front of LiteLLM adds to all names, or leave it out.',
                self.endpoint,
            )
        elif UNLICENSED_FAMILY in families:
            self.warning(
                'LiteLLM before 1.80.0 exposes its metrics only with an enterprise license, and %s runs without one. '
                'Upgrade LiteLLM: metrics are free since 1.80.0.',
                self.endpoint,
            )
        self._warn_of_unknown(families)

    def _warn_of_unknown(self, families: set[str]) -> None:
        unknown = sorted(
            name for name in families if self.rules.is_unknown(name) and not is_creation_time(name, families)
        )
        if unknown:
            self.warning(
                'Families at %s that are newer than this version of the check are %s (%d): %s%s. Upgrade the '
                'integration%s.',
                self.endpoint,
                'collected under names that may change' if self.rules.collect_unknown else 'not collected',
                len(unknown),
                ', '.join(unknown[:UNKNOWN_NAMED]),
                ', …' if len(unknown) > UNKNOWN_NAMED else '',
                '' if self.rules.collect_unknown else ', or set `collect_unknown_metrics: true`',
            )

    def _warn_of_keys_in_clear(self) -> None:
        self.warning(
            'Clients of %s send keys that do not start with `sk-`. LiteLLM hashes only keys that do, and exposes all '
            'others in plain text on its metrics page. The check sends `%s:%s` instead. Give these clients keys that '
            'LiteLLM generated.',
            self.endpoint,
            KEY_LABEL,
            REDACTED,
        )
