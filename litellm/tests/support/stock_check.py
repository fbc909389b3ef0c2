"""The base package's own scraper with our mapping, to hold ours against."""

from __future__ import annotations

from typing import Any

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm.metrics import metrics_config

__all__ = ['StockCheck']


class StockCheck(OpenMetricsBaseCheckV2):
    """The integration as it would be if the base package's scraper were good enough."""

    __NAMESPACE__ = 'litellm'
    DEFAULT_METRIC_LIMIT = 0

    def get_default_config(self) -> dict[str, Any]:
        return {'metrics': metrics_config()}
