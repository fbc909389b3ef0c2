"""The base scraper, adapted to LiteLLM's pages."""

from __future__ import annotations

import operator
from collections import ChainMap, Counter
from collections.abc import Iterable, Iterator
from math import isfinite
from typing import Any

from prometheus_client import Metric
from prometheus_client.samples import Sample
from requests import Response
from requests.exceptions import ConnectionError, InvalidURL, RequestException

from datadog_checks.base.checks.openmetrics.v2.scraper import OpenMetricsScraper
from datadog_checks.base.checks.openmetrics.v2.transform import DEFAULT_METRIC_TYPE
from datadog_checks.base.constants import ServiceCheck
from datadog_checks.base.utils.http import RequestsWrapper

from ..mapping.labels import KEY_LABEL, REDACTED
from ..mapping.outgoing import OutgoingLabels
from ..mapping.rules import Rules
from ..metrics import (
    NO_LIMIT,
    UNLICENSED_FAMILY,
    families_of_groups,
    gauge_reduction,
    is_litellm_family,
    unprefixed,
)
from ..page.exposition import CREATED, CUMULATIVE_TYPES, read_lines
from ..transport.body import PageLimits, read_body
from ..transport.client import Client
from ..transport.errors import NOT_AN_EXPOSITION, URL_HINT, NotMetricsError, explain, explain_response
from ..transport.urls import Address, read_address

__all__ = ['LitellmScraper']

# How many of the unknown families a warning names. The others are only counted.
UNKNOWN_NAMED = 10

# Content types of a metrics page. A page with another one is recognized by its families.
EXPOSITIONS = ('text/plain', 'application/openmetrics-text')
OPENMETRICS_ACCEPT = 'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1'


class LitellmScraper(OpenMetricsScraper):
    """Scrape as the base package does, but explain failures and submit nothing but metrics.

    The whole page is read before the first sample is submitted, so that a failed scrape submits nothing. Left out are
    `_created` series, which are timestamps and not metrics, gauge values that mean "no limit", and labels that must not
    leave the host.
    """

    def __init__(self, check: Any, config: Any) -> None:
        # Tags, messages and logs have the URL without its user and password.
        self.address = read_address('openmetrics_endpoint', config['openmetrics_endpoint'])
        config = ChainMap({'openmetrics_endpoint': self.address.url}, config)
        super().__init__(check, config)
        self._client = Client(self.http, self.address)
        self.exclude_metrics |= families_of_groups(config.get('exclude_metric_groups') or ())
        self.outgoing = OutgoingLabels(config, self.exclude_metrics_by_labels)
        self.rules = Rules(self, self.outgoing, config)
        self.page_limits = PageLimits.of(config)

        # The base asks for OpenMetrics only if `headers` is not set, and then parses any answer as OpenMetrics.
        # Here `headers` makes no difference, and the content type of the answer decides on the parser.
        headers = self.http.options['headers']
        if self._use_latest_spec and 'accept' not in {name.lower() for name in headers}:
            headers['Accept'] = OPENMETRICS_ACCEPT
        self._use_latest_spec = False

        # The base treats an ignored connection error as an empty page, after which it flushes all counts of the next
        # page in full. Here it is a failed scrape that is not raised.
        self._tolerate_connection_errors = self.ignore_connection_errors
        self.ignore_connection_errors = False

    def scrape(self) -> None:
        """Scrape once and submit the outcome as the health service check.

        Raises a `RequestException` whose message says what to do when the page could not be fetched.
        """
        try:
            super().scrape()
        except Exception as error:  # noqa: BLE001, it is raised again
            explained = explain(error)
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

    def client_of(self, address: Address) -> Client:
        """Return a client for another endpoint of the proxy, with the options of this instance."""
        check = self.check
        return Client(RequestsWrapper(self.config, check.init_config, check.HTTP_CONFIG_REMAPPER, check.log), address)

    def send_request(self, **options: Any) -> Response:
        return self._client.get(self.endpoint, **options)

    def get_connection(self, **options: Any) -> Response:
        """Return a response with a page to read, or raise an error that says what is wrong with it."""
        try:
            response: Response = self.send_request(**options)
        except RequestException:
            raise
        except ValueError:
            # The URL of a redirect cannot be parsed.
            raise InvalidURL('no URL') from None
        self._content_type = response.headers.get('Content-Type', '')
        error = explain_response(response)
        if error is not None:
            response.close()
            raise error
        return response

    def stream_connection_lines(self) -> Iterator[str]:
        """Yield the lines of the page, read as in `ExactScraper` and not by `requests`.

        `requests` would read a body of any size, and end lines at Unicode line separators as well.
        """
        bad_lines: Counter[str] = Counter()
        size = 0
        with self.get_connection() as response:
            for lines in read_lines(read_body(response, self.page_limits), bad_lines):
                size += sum(map(len, lines)) + len(lines)
                yield from (line.decode('utf-8', 'replace') for line in lines)
        if bad_lines:
            raise NotMetricsError(NOT_AN_EXPOSITION)
        if self.enable_telemetry:
            length = response.headers.get('Content-Length', '')
            self.gauge('telemetry.payload.size', int(length) if length.isdecimal() else size, tags=self.tags)

    def parse_metrics(self) -> Iterator[Metric]:
        try:
            families = list(super().parse_metrics())
        except RequestException:
            raise
        except ValueError:
            raise NotMetricsError(NOT_AN_EXPOSITION) from None
        self.judge_page({family.name for family in families})

        cumulative = set()
        for family in families:
            if family.type in CUMULATIVE_TYPES:
                cumulative.add(family.name)
                family.samples = [sample for sample in family.samples if sample.name != family.name + CREATED]
            elif family.name.removesuffix(CREATED) in cumulative:
                continue
            elif family.type == 'gauge':
                family.samples = [sample for sample in family.samples if sample.value not in NO_LIMIT]
            self._withhold_labels(family)
            if self.rules.collect_unknown and self.rules.is_unknown(family.name):
                self._map_unknown(family.name)
            yield family

    def _withhold_labels(self, family: Metric) -> None:
        """Remove the labels that must not leave the host, and merge samples that become equal.

        Counts are summed, gauges reduced by their meaning. When one of the merged samples is gone from the next page,
        the Agent takes the lower sum for a restarted counter: only `ExactScraper` gets this right.
        """
        outgoing = [self.outgoing.of(sample.labels) for sample in family.samples]
        if all(labels is sample.labels for labels, sample in zip(outgoing, family.samples, strict=True)):
            return
        reduction = operator.add if family.type in CUMULATIVE_TYPES else gauge_reduction(family.name)
        merged: dict[tuple[object, ...], Sample] = {}
        for labels, sample in zip(outgoing, family.samples, strict=True):
            if labels is None:
                continue
            key = sample.name, *sorted(labels.items())
            other = merged.get(key)
            value = sample.value
            if other is not None and isfinite(other.value) and reduction is not None:
                value = reduction(other.value, value) if isfinite(value) else other.value
            merged[key] = sample._replace(labels=dict(labels), value=value)
        family.samples = list(merged.values())

    def _map_unknown(self, family: str) -> None:
        transformers = self.metric_transformer
        if family not in transformers.transformer_data:
            name, type_ = unprefixed(family), DEFAULT_METRIC_TYPE
            transformers.transformer_data[family] = transformers.compile_transformer({'name': name, 'type': type_})

    def judge_page(self, families: Iterable[str]) -> None:
        """Raise an error if the families are not LiteLLM's, and warn if the page has less than it could have.

        The names come without the `raw_metric_prefix`.
        """
        families = set(families)
        if not families and not self._content_type.lower().startswith(EXPOSITIONS):
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
        elif UNLICENSED_FAMILY in families:
            self.warning(
                'LiteLLM before 1.80.0 exposes its metrics only with an enterprise license, and %s runs without one. '
                'Upgrade LiteLLM: metrics are free since 1.80.0.',
                self.endpoint,
            )
        self._warn_of_unknown(families)

    def _warn_of_unknown(self, families: set[str]) -> None:
        unknown = sorted(
            name
            for name in families
            if self.rules.is_unknown(name) and not (name.endswith(CREATED) and name.removesuffix(CREATED) in families)
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
