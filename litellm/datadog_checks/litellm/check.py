"""The check that the Agent loads."""

from __future__ import annotations

from typing import Any

from datadog_checks.base import OpenMetricsBaseCheckV2

from .names import metrics_config

__all__ = ['LitellmCheck']


class LitellmCheck(OpenMetricsBaseCheckV2):
    """Collect the metrics of a LiteLLM proxy from its Prometheus endpoint."""

    __NAMESPACE__ = 'litellm'
    # LiteLLM makes a series per key, user, team and model: the base's limit of 2000 contexts would cut a proxy off.
    DEFAULT_METRIC_LIMIT = 0

    def get_default_config(self) -> dict[str, Any]:
        return {'metrics': metrics_config()}
