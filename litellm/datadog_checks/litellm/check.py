"""The check that the Agent loads."""

from __future__ import annotations

from typing import Any

from datadog_checks.base import ConfigurationError, OpenMetricsBaseCheckV2, is_affirmative

from .exact import ExactScraper
from .names import metrics_config
from .rules import options_of_the_base_scraper
from .scraper import LitellmScraper

__all__ = ['LitellmCheck']


class LitellmCheck(OpenMetricsBaseCheckV2):
    """Collect the metrics of a LiteLLM proxy from its Prometheus endpoint."""

    __NAMESPACE__ = 'litellm'
    # LiteLLM makes a series per key, user, team and model: the base's limit of 2000 contexts would cut a proxy off.
    DEFAULT_METRIC_LIMIT = 0

    def get_default_config(self) -> dict[str, Any]:
        return {'metrics': metrics_config()}

    def create_scraper(self, config: dict[str, Any]) -> LitellmScraper:
        options = self.get_config_with_defaults(config)
        stock = is_affirmative(options.get('use_stock_scraper', False))
        unsupported = options_of_the_base_scraper(options)
        if not stock and not unsupported:
            return ExactScraper(self, options)
        if options.get('max_contexts') is not None:
            raise ConfigurationError(
                'The scraper of the base package, which is used because of '
                f'{", ".join(unsupported) or "use_stock_scraper"}, cannot honour the setting `max_contexts`'
            )
        if not stock:
            self.warning(
                'The scraper of the base package is used because of %s: counts are as exact and as cheap as it makes '
                'them.',
                ', '.join(unsupported),
            )
        if is_affirmative(options.get('exclude_personal_labels', False)):
            self.warning(
                'With the scraper of the base package `exclude_personal_labels` sums the series that become one, and '
                'the sum is wrong when the proxy drops one of them.'
            )
        return LitellmScraper(self, options)
