"""The check's own options of an instance, read once, with the defaults of the configuration models.

Options of the base package are not among them: the base reads those from the same mapping, by its own rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from datadog_checks.base.config import is_affirmative

from .config_models import defaults

__all__ = ['Options']


def _option(read: Callable[[Any], Any], default: Any = None) -> Any:
    """Return a field with the function that reads its value from a configuration."""
    return field(default=default, metadata={'read': read})


@dataclass(frozen=True)
class Options:
    """Options by their names. One that is left out, or null, has its default."""

    collect_histogram_buckets: bool = _option(is_affirmative, defaults.instance_collect_histogram_buckets())
    collect_readiness: bool = _option(is_affirmative, defaults.instance_collect_readiness())
    collect_unknown_metrics: bool = _option(is_affirmative, defaults.instance_collect_unknown_metrics())
    drop_empty_labels: bool = _option(is_affirmative, defaults.instance_drop_empty_labels())
    exclude_metric_groups: frozenset[str] = _option(frozenset, frozenset())
    exclude_personal_labels: bool = _option(is_affirmative, defaults.instance_exclude_personal_labels())
    expect_database: bool = _option(is_affirmative, defaults.instance_expect_database())
    filter_at_proxy: bool = _option(is_affirmative, defaults.instance_filter_at_proxy())
    idle_counts: str = _option(str, defaults.instance_idle_counts())
    keep_labels: frozenset[str] = _option(frozenset, frozenset())
    litellm_health_endpoint: str | None = _option(str)
    litellm_health_interval: float = _option(float, defaults.instance_litellm_health_interval())
    litellm_health_timeout: float = _option(float, defaults.instance_litellm_health_timeout())
    litellm_readiness_endpoint: str | None = _option(str)
    max_contexts: int | None = _option(int)
    max_page_bytes: int = _option(int, defaults.instance_max_page_bytes())
    max_page_seconds: float = _option(float, defaults.instance_max_page_seconds())
    use_stock_scraper: bool = _option(is_affirmative, defaults.instance_use_stock_scraper())

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Options:
        """Read the options of an instance, which the configuration models have accepted."""
        given = ((option, config.get(option.name)) for option in fields(cls))
        return cls(**{option.name: option.metadata['read'](value) for option, value in given if value is not None})
