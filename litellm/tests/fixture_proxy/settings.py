"""Everything that the command line decides about a fixture proxy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.lineage.release_number import Release

from .catalogue import DEPLOYMENTS, Deployment
from .releases import Profile

__all__ = ['DEFAULT_KEY', 'DEFAULT_RELEASE', 'Settings']

DEFAULT_KEY = 'sk-fixture-master-5f2c9d41'
DEFAULT_RELEASE = '1.106.2'


@dataclass(frozen=True)
class Settings:
    """The proxy's configuration, as each of its worker processes gets it.

    `directory` holds what workers share: see `shared.py`. `metrics_auth` None means the release's default, `started_at`
    (unix seconds, for tests that simulate the time of day) when the process really started.
    """

    directory: Path
    started_at: float | None = None
    release: str = DEFAULT_RELEASE
    key: str = DEFAULT_KEY
    seed: int = 0
    workers: int = 1
    multiprocess_metrics: bool = True
    prometheus: bool = True
    service_metrics: bool = True
    licensed: bool = True
    metrics_auth: bool | None = None
    background_health_checks: bool = False
    failure_rate: float = 0.0
    real_delay: bool = False
    concurrent: bool = False
    broken_models: bool = True
    only_families: tuple[str, ...] = ()
    exclude_labels: tuple[str, ...] = ()
    include_labels: tuple[str, ...] = ()
    metadata_labels: tuple[str, ...] = ()
    tag_labels: tuple[str, ...] = ()
    end_users: bool = True

    @cached_property
    def profile(self) -> Profile:
        return Profile(Release.parse(self.release))

    @property
    def asks_for_key(self) -> bool:
        """Tell whether `/metrics` wants a key."""
        if self.metrics_auth is None:
            return self.profile.protects_metrics
        return self.metrics_auth and self.profile.can_protect_metrics

    @cached_property
    def offered(self) -> tuple[Deployment, ...]:
        """The deployments that are listed, and called for `/health`; those that always fail can be left out."""
        return tuple(each for each in DEPLOYMENTS if self.broken_models or not each.is_broken)

    @property
    def shares_metrics(self) -> bool:
        """Tell whether workers write their series to files that every scrape adds up."""
        return self.workers > 1 and self.multiprocess_metrics
