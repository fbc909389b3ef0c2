"""The check that the Agent loads."""

from __future__ import annotations

import json
import os
from typing import Any

from datadog_checks.base import ConfigurationError, OpenMetricsBaseCheckV2

from .__about__ import __version__
from .base_package import refuse_metrics
from .metrics import CHECK_INFO, metrics_config
from .options import Options, read_switches, refuse_at_once, refuse_handles, unknown_options
from .probes.health import HealthProbe, health_probe
from .probes.readiness import ReadinessProbe, readiness_probe
from .scrapers.base import LitellmScraper
from .scrapers.exact import ExactScraper
from .scrapers.left_to_base import limitless_types
from .scrapers.stock import StockScraper
from .secrets import FILE_OPTIONS, Redactor, guard_logs, hushed, secrets_around, secrets_of

__all__ = ['LitellmCheck']


class LitellmCheck(OpenMetricsBaseCheckV2):
    """Collect the metrics of a LiteLLM proxy from its Prometheus endpoint, and the state from its health endpoints."""

    __NAMESPACE__ = 'litellm'
    # LiteLLM has a series per key, user, team and model: the base's limit of 2000 contexts would truncate them.
    DEFAULT_METRIC_LIMIT = 0

    def __init__(self, name: str, init_config: dict[str, Any], instances: list[dict[str, Any]]) -> None:
        # An option without a value has its default. The base package would take it for a value.
        init_config, *instances = [
            {option: value for option, value in one.items() if value is not None} for one in (init_config, *instances)
        ]
        self.secrets = Redactor((*secrets_of(init_config, *instances), *secrets_around(*instances)))
        """Hides what this instance knows and must not tell."""
        for options in (init_config, *instances):
            # The base package compiles patterns when it makes a check, and does not name the option.
            refuse_at_once(options)
        super().__init__(name, init_config, instances)
        guard_logs(self.log.logger, self.secrets)
        self.probes: list[HealthProbe | ReadinessProbe] = []
        self._standing_warnings: list[str] = []

    @property
    def queries_models(self) -> bool:
        """True if runs query `/health`, for which LiteLLM may call each of its models."""
        return any(isinstance(probe, HealthProbe) for probe in self.probes)

    def check(self, instance: Any) -> None:
        """Scrape, send the heartbeat, and query the other endpoints, even if the scrape failed."""
        # The Agent's status page shows the warnings of the last run only.
        for warning in self._standing_warnings:
            self.warning(warning)
        try:
            super().check(instance)
        finally:
            self.send_heartbeat()
            for probe in self.probes:
                probe.run()

    def send_heartbeat(self) -> None:
        """Tell that it is this check that runs: one of the same name, which an upgrade of the Agent installs, does not.

        An empty page is none of LiteLLM's yet: configuration discovery takes any metric as a sign that a port is right.
        """
        for scraper in self.scrapers.values():
            if not scraper.page_was_empty:
                self.gauge(CHECK_INFO, 1, tags=[*scraper.tags, f'check_version:{__version__}'])

    def run(self) -> str:
        errors = super().run()
        if not errors:
            return errors
        # Only the values: a secret may be a word that the names of this document have as well.
        told = [{name: self.secrets(str(value)) for name, value in error.items()} for error in json.loads(errors)]
        return json.dumps(told)

    def warning(self, warning_message: str, *args: Any, **kwargs: Any) -> None:
        message = str(warning_message) % args if args else str(warning_message)
        super().warning('%s', self.secrets(message), **kwargs)

    def service_check(
        self, name: str, status: Any, tags: Any = None, hostname: Any = None, message: Any = None, raw: bool = False
    ) -> None:
        message = None if message is None else self.secrets(message)
        super().service_check(name, status, tags, hostname, message, raw)

    def set_metadata(self, name: str, value: Any, **options: Any) -> None:
        # A masked value is none of those that may be submitted.
        if self.secrets(str(value)) == str(value):
            super().set_metadata(name, value, **options)

    def configure_scrapers(self) -> None:
        unknown = unknown_options(self.init_config, self.instance)
        self._standing_warnings = [one.sentence for one in unknown if one.advice]
        # Libraries may get keys, such as those of AWS, as soon as there are options for requests.
        with hushed():
            super().configure_scrapers()
            # The base package shows these keys in logs, exceptions and issues, and its own may hold a password.
            self.scrapers = {scraper.endpoint: scraper for scraper in self.scrapers.values()}
            probes = [make(scraper) for scraper in self.scrapers.values() for make in (readiness_probe, health_probe)]
            self.probes = [probe for probe in probes if probe is not None]

    def get_default_config(self) -> dict[str, Any]:
        return {'metrics': metrics_config()}

    def create_scraper(self, config: dict[str, Any]) -> LitellmScraper:
        config = self.get_config_with_defaults(dict(config))
        for option in FILE_OPTIONS:
            # Base packages differ in whether they know `~`.
            if isinstance(config.get(option), str):
                config[option] = os.path.expanduser(config[option])
        refuse_handles({**self.init_config, **config})
        options = Options.of(config, self.init_config)
        config.update(read_switches(config))
        refuse_metrics(self, config)
        if not options.use_stock_scraper:
            limitless = limitless_types(config)
            if options.max_contexts is not None and limitless:
                raise ConfigurationError(
                    'The setting `max_contexts` cannot limit families that the base package submits, which are those '
                    f'with the type {", ".join(limitless)}'
                )
            return ExactScraper(self, config, options)
        if options.max_contexts is not None:
            raise ConfigurationError('The setting `max_contexts` is not supported with `use_stock_scraper`')
        if options.exclude_personal_labels:
            self._standing_warnings.append(
                "With the base package's scraper, `exclude_personal_labels` sums the series that become identical, and "
                'the sum is wrong once the proxy drops one of them.'
            )
        return StockScraper(self, config, options)
