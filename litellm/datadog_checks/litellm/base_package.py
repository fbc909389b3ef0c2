"""Take what the check needs of the base package's private and undocumented parts, all of it in this one place.

Each entry below is a debt: any release of the base package may change it without a word. None of them has a documented
counterpart that would do. `oldest` and `newest` are the base packages of the oldest Agent that is supported and of the
newest that is tested; on each of them a test looks up every entry, and fails on one that has come or gone.

Private names are used in this module only. The others, options that the base has parsed among them, are what a scraper
inherits from `AdaptedScraper`.

Entry                                         From     To      Taken to
AgentCheck.metric_limiter                     oldest   newest  leave each submission to the base if it has to count them
AgentCheck._submit_metric                     oldest   newest  submit through this limit
AgentCheck._aggregator                        37.41.0  newest  submit to a trial run of config discovery if there is one
AgentCheck._format_namespace                  oldest   newest  name a metric once, and not for each submission
AgentCheck.should_send_metric                 oldest   newest  apply `metric_patterns` once
AgentCheck._normalize_tags_type               oldest   newest  normalize tags once
AgentCheck.disable_generic_tags               oldest   newest  know whether there is anything to normalize
OpenMetricsScraper._scrape                    oldest   newest  scrape in another way, within the base's `scrape`
OpenMetricsScraper._content_type              oldest   newest  say how to parse a page that was fetched in another way
OpenMetricsScraper._use_latest_spec           oldest   newest  parse a page by its content type, whatever was asked for
OpenMetricsScraper.flush_first_value          oldest   newest  know whether the last scrape succeeded, None before it
OpenMetricsScraper.use_process_start_time     oldest   newest  apply this option
OpenMetricsScraper.ignore_connection_errors   oldest   newest  apply this option without taking an error for a page
OpenMetricsScraper.enable_telemetry           oldest   newest  apply this option
OpenMetricsScraper.submit_telemetry_number_of_processed_metric_samples oldest newest  tag labels without counting them
OpenMetricsScraper.rename_labels              oldest   newest  apply this option
OpenMetricsScraper.raw_line_filter            oldest   newest  apply `raw_line_filters` to lines of bytes
OpenMetricsScraper.raw_metric_prefix          oldest   newest  apply this option
OpenMetricsScraper.exclude_metrics            oldest   newest  apply this option, and exclude more families
OpenMetricsScraper.exclude_metrics_pattern    oldest   newest  apply patterns of the same option
OpenMetricsScraper.exclude_metrics_by_labels  oldest   newest  apply this option before labels are removed
OpenMetricsScraper.exclude_labels             oldest   newest  know whether this option says what becomes of labels
OpenMetricsScraper.include_labels             oldest   newest  the same
OpenMetricsScraper.hostname_label             oldest   newest  the same
OpenMetricsScraper.generate_sample_data       oldest   newest  tag a label set as the base would
OpenMetricsScraper.metric_transformer         oldest   newest  map a family that no option maps
OpenMetricsScraper.label_aggregator           oldest   newest  choose what samples the base shares labels of
LabelAggregator.collect                       oldest   newest  the same
LabelAggregator.configured                    oldest   newest  know whether any family shares its labels
LabelAggregator.populate                      oldest   newest  share labels as the base does
LabelAggregator.label_sets                    oldest   newest  know whether what is shared has changed
LabelAggregator.unconditional_labels          oldest   newest  the same
LabelAggregator.target_info_labels            oldest   newest  the same
MetricTransformer.get                         oldest   newest  submit a family of a type that only the base knows
MetricTransformer.transformer_data            oldest   newest  the same
MetricTransformer.metric_patterns             oldest   newest  refuse a type that does not exist
MetricTransformer.compile_transformer         oldest   newest  the same
MetricTransformer.normalize_metric_config     oldest   newest  read `metrics` and `extra_metrics` as the base does
utils.decumulate_histogram_buckets            oldest   newest  know where the lowest bucket of a histogram begins
transform.DEFAULT_METRIC_TYPE                 oldest   newest  know the type of a metric that no option gives one
transform.NATIVE_TRANSFORMERS                 oldest   newest  know the types of families that the base submits
RequestsWrapper._session                      oldest   newest  have requests without kept connections use one, too
RequestsWrapper._create_session               37.16.0  newest  the same, without a TLS context that may not be needed
RequestsWrapper._https_adapters               37.16.0  newest  read files of certificates again when they change
RequestsWrapper.auth_token_handler            oldest   newest  renew a token without logging it or repeating requests
AuthTokenHandler.poll                         oldest   newest  the same
AuthTokenOAuthReader._fetch_options           oldest   newest  have the request for a token time out
HTTPConnectionPool._new_conn                  oldest   newest  end answers in time, those of `unix://` as well
EnvVars.MESSAGE_INDICATOR                     oldest   newest  know that `process_isolation` is on
AggregatorStub._histogram_buckets             oldest   newest  report distributions of all names
DatadogAgentStub._metadata                    oldest   newest  report the version of the proxy
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from copy import copy
from functools import partial
from typing import Any, NamedTuple, TypeAlias
from weakref import ref

from prometheus_client import Metric as PrometheusFamily
from prometheus_client.samples import Sample
from requests import Session

from datadog_checks.base.agent import aggregator
from datadog_checks.base.checks.openmetrics.v2.labels import LabelAggregator
from datadog_checks.base.checks.openmetrics.v2.scraper import OpenMetricsScraper
from datadog_checks.base.checks.openmetrics.v2.transform import (
    DEFAULT_METRIC_TYPE,
    NATIVE_TRANSFORMERS,
    MetricTransformer,
)
from datadog_checks.base.checks.openmetrics.v2.utils import decumulate_histogram_buckets
from datadog_checks.base.errors import ConfigurationError
from datadog_checks.base.utils.functions import no_op
from datadog_checks.base.utils.replay.constants import EnvVars

__all__ = [
    'DEFAULT_METRIC_TYPE',
    'SUBMITTED_TYPES',
    'AdaptedScraper',
    'LabelShares',
    'MappedMetric',
    'Submit',
    'TokenHandler',
    'bucket_submitter',
    'buckets_of',
    'forget_certificates',
    'full_name',
    'is_isolated',
    'is_trial',
    'lower_bound_of_lowest',
    'mapped_metrics',
    'metadata_of',
    'normalized_tags',
    'prepare_connections',
    'refuse_metrics',
    'session_of',
    'submitter',
    'take_token_handler',
]

# Types of families that the base package submits without an option that gives them another.
SUBMITTED_TYPES = frozenset(NATIVE_TRANSFORMERS)

# Takes type, name, value, tags, hostname and whether to flush a first value.
Submit: TypeAlias = Callable[[int, str, float, list[str], str, bool], None]

# Renews the token of `auth_token` in the headers of the options that it is given.
TokenHandler: TypeAlias = Any


class MappedMetric(NamedTuple):
    """The name and type that `metrics` or `extra_metrics` give to a family."""

    name: str
    type: str


class AdaptedScraper(OpenMetricsScraper):
    """Give names to what is private in `OpenMetricsScraper`, for scrapers to build upon."""

    def read_and_submit(self) -> None:
        """Request the page and submit its samples. Raises any error before the first sample is submitted."""
        super()._scrape()

    def _scrape(self) -> None:
        self.read_and_submit()

    @property
    def content_type(self) -> str:
        """The content type of the page, by which the base package parses it."""
        return str(self._content_type)

    @content_type.setter
    def content_type(self, content_type: str) -> None:
        self._content_type = content_type

    def take_use_latest_spec(self) -> bool:
        """Take this option away from the base, which would parse any page as OpenMetrics, and return it."""
        taken, self._use_latest_spec = self._use_latest_spec, False
        return bool(taken)

    def take_ignore_connection_errors(self) -> bool:
        """Take this option away from the base, and return it.

        The base treats an ignored error as an empty page, after which it flushes all counts of the next page in full.
        """
        taken, self.ignore_connection_errors = self.ignore_connection_errors, False
        return bool(taken)

    def take_telemetry(self) -> bool:
        """Take this option away from the base, which would count label sets as they are tagged, and return it."""
        taken, self.enable_telemetry = self.enable_telemetry, False
        self.submit_telemetry_number_of_processed_metric_samples = no_op  # type: ignore[method-assign]
        return bool(taken)

    def exclude(self, families: Set[str]) -> None:
        """Exclude families as `exclude_metrics` does."""
        self.exclude_metrics |= families

    def is_excluded(self, family: str) -> bool:
        """Tell whether a family, without its `raw_metric_prefix`, is excluded."""
        pattern = self.exclude_metrics_pattern
        return family in self.exclude_metrics or (pattern is not None and bool(pattern.search(family)))

    def unwanted_lines(self) -> Callable[[bytes], bool] | None:
        """Return the filter of `raw_line_filters`, or None if there is none."""
        if self.raw_line_filter is None:
            return None
        search = self.raw_line_filter.search
        return lambda line: search(line.decode('utf-8', 'replace')) is not None

    def share_only(self, can_share: Callable[[Sample, Iterable[str]], bool]) -> None:
        """Have the base share labels of those samples only that can share them, given the labels to match."""
        if not self.label_aggregator.configured:
            return
        collect = self.label_aggregator.collect

        def collect_some(family: PrometheusFamily, config: Mapping[str, Any]) -> None:
            sharing = copy(family)
            sharing.samples = [one for one in family.samples if can_share(one, config.get('match', ()))]
            collect(sharing, config)

        self.label_aggregator.collect = collect_some  # type: ignore[method-assign]

    def map_family(self, family: str, name: str) -> None:
        """Submit a family under this name, with the type of its page, unless it is mapped already."""
        transformers = self.metric_transformer
        if family not in transformers.transformer_data:
            metric = {'name': name, 'type': DEFAULT_METRIC_TYPE}
            transformers.transformer_data[family] = transformers.compile_transformer(metric)

    def tags_without_options(self, labels: Mapping[str, str]) -> list[str] | None:
        """Return the tags for labels that are not a part of what a sample is, or None if an option says what to do.

        Where label sets are new on each page, the generator that the base has for this is most of what they cost.
        """
        if (
            self.exclude_metrics_by_labels
            or self.exclude_labels
            or self.include_labels
            or self.rename_labels
            or self.hostname_label
            or self.label_aggregator.configured
        ):
            return None
        return [f'{name}:{value}' for name, value in labels.items()] + list(self.tags)

    def transform(self, family: PrometheusFamily, *, with_history: bool) -> None:
        """Submit a family as the base package does. With history, what a count is at first has happened just now."""
        transformer = self.metric_transformer.get(family)
        if transformer is not None:
            runtime = {'flush_first_value': with_history, 'static_tags': self.static_tags}
            transformer(family, self.generate_sample_data(family), runtime)


class LabelShares(LabelAggregator):
    """The labels that these families share with others, by the options `share_labels` and `target_info`."""

    def __init__(self, check: Any, config: Mapping[str, Any], families: Iterable[PrometheusFamily] = ()) -> None:
        super().__init__(check, {**config, 'cache_shared_labels': True})
        if self.configured:
            for _ in self(iter(families)):
                pass

    @property
    def content(self) -> tuple[Any, ...]:
        """All that is shared. Where this is equal, the same is."""
        return (self.label_sets, self.unconditional_labels, self.target_info_labels) if self.configured else ()


def mapped_metrics(config: Mapping[str, Any]) -> Iterator[tuple[str, MappedMetric]]:
    """Yield the families, or patterns of families, in `metrics` and `extra_metrics`, and what they are submitted as."""
    for family, metric in MetricTransformer.normalize_metric_config(config).items():
        yield family, MappedMetric(metric['name'], metric['type'])


def refuse_metrics(check: Any, config: Mapping[str, Any]) -> None:
    """Raise a `ConfigurationError` that names the option if the base package cannot submit a metric as it wants it."""
    for option in ('metrics', 'extra_metrics'):
        try:
            only = {**config, 'metrics': [], 'extra_metrics': [], option: config.get(option, [])}
            transformer = MetricTransformer(check, only)
            for pattern, metric in transformer.metric_patterns:
                transformer.compile_transformer({**metric, 'name': pattern.pattern})
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f'The setting `{option}` cannot be used: {error}') from None


def full_name(check: Any, name: str) -> str | None:
    """Return a metric's name with its namespace, or None when `metric_patterns` leaves the metric out."""
    name = check._format_namespace(name)
    return name if check.should_send_metric(name) else None


def normalized_tags(check: Any, tags: list[str]) -> list[str]:
    """Return tags as the check submits them."""
    # Of tags that are strings, the base changes only those that it takes for generic ones, and only if it has to.
    normalized: list[str] = check._normalize_tags_type(tags) if check.disable_generic_tags else tags
    return normalized


def submitter(check: Any) -> Submit:
    """Return the function that submits a value to the Agent.

    What the check's own methods do to names, tags and hostnames is up to the caller: see the functions above.
    """
    if check.metric_limiter:

        def submit(type_: int, name: str, value: float, tags: list[str], hostname: str, flush: bool) -> None:
            check._submit_metric(type_, name, value, tags=tags, hostname=hostname, raw=True, flush_first_value=flush)

        return submit
    return partial(_receiver(check).submit_metric, check, check.check_id)


def bucket_submitter(check: Any) -> Callable[[str, int, float, float, list[str], str], None]:
    """Return the function that submits observations between two bounds to a distribution.

    It takes the name with its namespace, their number, the bounds, tags and hostname.
    """

    def submit(name: str, value: int, lower: float, upper: float, tags: list[str], hostname: str) -> None:
        check.submit_histogram_bucket(name, value, lower, upper, False, hostname, tags, raw=True)

    return submit


def lower_bound_of_lowest(upper: float) -> float:
    """Return the lower bound that the base package gives to the lowest bucket of a histogram."""
    bucket = Sample('x_bucket', {'upper_bound': str(upper)}, 1.0)
    ((with_bound, _, _),) = decumulate_histogram_buckets([(bucket, [], '')])
    return float(with_bound.labels['lower_bound'])


def is_trial(check: Any) -> bool:
    """Tell whether a run is the trial run of config discovery."""
    return _receiver(check) is not aggregator


def _receiver(check: Any) -> Any:
    return check._aggregator() if hasattr(check, '_aggregator') else aggregator


def take_token_handler(http: Any) -> TokenHandler | None:
    """Take what renews the token of `auth_token` away from the base package, and return it if there is one.

    The base would log errors about a header with the key in it, and repeat any request that fails.
    """
    handler, http.auth_token_handler = http.auth_token_handler, None
    options = getattr(handler and handler.reader, '_fetch_options', None)
    if options is not None:
        # Without it, the thread that asks would wait for good.
        options.setdefault('timeout', http.options['timeout'])
    return handler


def session_of(http: Any) -> Session:
    """Make the session of all requests for which `persist` is asked for, and return it."""
    if hasattr(http, '_create_session'):
        http._session = http._create_session()
    session: Session = http.session
    return session


def forget_certificates(http: Any) -> None:
    """Have the next connection read the files of certificates and keys: newer bases read them once."""
    getattr(http, '_https_adapters', {}).clear()


def prepare_connections(pool: Any, prepare: Callable[[Any], None]) -> None:
    """Have a pool prepare each new connection.

    Its `ConnectionCls` would be the public way, but the pools for sockets of `unix://` make connections without it.
    """
    if '_new_conn' not in vars(pool):
        # Nothing may lead from the pool back to it: its connections are closed when nobody has it any more.
        pool._new_conn = partial(_connect_and_prepare, ref(pool), prepare)


def _connect_and_prepare(pool_ref: ref[Any], prepare: Callable[[Any], None]) -> Any:
    pool: Any = pool_ref()
    connection = type(pool)._new_conn(pool)
    prepare(connection)
    return connection


def is_isolated() -> bool:
    """Tell whether this run of the check is a process of its own, as `process_isolation` has it."""
    return EnvVars.MESSAGE_INDICATOR in os.environ


def buckets_of(stub: Any) -> Iterator[Any]:
    """Yield all buckets that were submitted to a stub of the aggregator, which are those of distributions."""
    for name in stub._histogram_buckets:
        yield from stub.histogram_bucket(name)


def metadata_of(stub: Any, check_id: str, name: str) -> str:
    """Return the metadata that a check submitted to a stub of the Agent, or an empty string."""
    return str(stub._metadata.get((check_id, name), ''))
