"""What each LiteLLM release exposes: its families, read from `families.csv`, and how its endpoints behave."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

__all__ = ['FAMILIES', 'NEWEST', 'OLDEST', 'RENAMED', 'Family', 'Profile', 'Registration', 'Release']

_TESTS = Path(__file__).parents[1]
_FAMILIES_CSV = _TESTS / 'families.csv'
_FORMER_LABELS_CSV = Path(__file__).with_name('former_labels.csv')
# The releases that families.csv was read from.
_RELEASES_CSV = _TESTS / 'drift' / 'releases.csv'

# Old spelling of a family -> the spelling that the code of this package uses.
RENAMED = {
    'litellm_input_tokens': 'litellm_input_tokens_metric',
    'litellm_output_tokens': 'litellm_output_tokens_metric',
    'litellm_total_tokens': 'litellm_total_tokens_metric',
    'litellm_remaining_requests': 'litellm_remaining_requests_metric',
    'litellm_remaining_tokens': 'litellm_remaining_tokens_metric',
}

# Upper bounds in seconds; the client adds +Inf.
_HALF_SECONDS_TO_10_S = tuple(0.5 * halves for halves in range(1, 21))
_LATENCY_BUCKETS_TO_300_S: tuple[float, ...] = (
    *(0.005, 0.00625, 0.0125, 0.025, 0.05, 0.1),
    *_HALF_SECONDS_TO_10_S,
    *(15, 20, 25, 30, 60, 120, 180, 240, 300),
)
_LATENCY_BUCKETS_TO_600_S: tuple[float, ...] = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 2, 5, 10, 30, 60, 120, 300, 420, 600),
)
_OWN_BUCKETS: dict[str, tuple[float, ...]] = {
    'litellm_managed_batch_duration_seconds': tuple(
        60 * minutes for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440)
    ),
    'litellm_spend_log_cleanup_batch_duration_seconds': (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
}
# LiteLLM names no buckets for these, so they have the defaults of prometheus_client.
_CLIENT_BUCKETS = frozenset(
    {'litellm_deployment_latency_per_output_token', 'litellm_deployment_latency_per_output_token_by_tag'}
)


class Release(NamedTuple):
    """A LiteLLM release, comparable in release order."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Release:
        """Read `1.106.2`, `v1.106.2` or, as its release, `1.72.6.post2`; raises ValueError for anything else."""
        match = re.fullmatch(r'v?(\d+)\.(\d+)\.(\d+)(?:\.post\d+)?', text)
        if match is None:
            raise ValueError(f'{text!r} is not a LiteLLM release such as 1.106.2')
        return cls(*(int(part) for part in match.groups()))

    def __str__(self) -> str:
        return '.'.join(str(part) for part in self)


class Registration(Enum):
    """What makes LiteLLM register a family."""

    CALLBACK = 'the prometheus callback'
    SERVICE_CALLBACK = 'the prometheus_system service callback'
    NO_LICENCE = 'the prometheus callback of a release that asks for a licence, without one'
    FIRST_USE = 'the first use of the feature in the process'

    @classmethod
    def of(cls, registered_when: str) -> Registration:
        """Sort the wording of `families.csv`; raises ValueError for one that it does not know."""
        for words, registration in (
            ('without an enterprise licence', cls.NO_LICENCE),
            ('"prometheus" in litellm_settings.callbacks', cls.CALLBACK),
            ('service_callback contains "prometheus_system"', cls.SERVICE_CALLBACK),
            ('first ', cls.FIRST_USE),
        ):
            if words in registered_when:
                return registration
        raise ValueError(f'families.csv: unknown registered_when {registered_when!r}')


@dataclass(frozen=True)
class Family:
    """One row of `families.csv`. A counter's name is without `_total`."""

    name: str
    type: str
    labels: tuple[str, ...]
    first_release: Release
    last_release: Release | None
    value: str
    registration: Registration
    multiprocess_mode: str

    @classmethod
    def from_row(cls, row: dict[str, str]) -> Family:
        return cls(
            name=row['family'],
            type=row['type'],
            labels=tuple(filter(None, row['labels'].split('|'))),
            first_release=Release.parse(row['first_release']),
            last_release=Release.parse(row['last_release']) if row['last_release'] else None,
            value=row['value'],
            registration=Registration.of(row['registered_when']),
            multiprocess_mode=row['multiprocess_mode'],
        )


def _read_families() -> dict[str, Family]:
    with _FAMILIES_CSV.open(newline='') as rows:
        return {row['family']: Family.from_row(row) for row in csv.DictReader(rows)}


def _read_former_labels() -> dict[str, list[tuple[Release, tuple[str, ...]]]]:
    """Read until when a family had which other labels, the earliest first."""
    former = defaultdict(list)
    with _FORMER_LABELS_CSV.open(newline='') as rows:
        for row in csv.DictReader(rows):
            labels = tuple(filter(None, row['labels'].split('|')))
            former[row['family']].append((Release.parse(row['through_release']), labels))
    return {family: sorted(labels) for family, labels in former.items()}


def _read_releases() -> list[Release]:
    with _RELEASES_CSV.open(newline='') as rows:
        return [Release.parse(row['release']) for row in csv.DictReader(rows)]


FAMILIES = _read_families()
_FORMER_LABELS = _read_former_labels()
RELEASES = _read_releases()
OLDEST, NEWEST = min(RELEASES), max(RELEASES)


@dataclass(frozen=True)
class Profile:
    """How one release behaves. Raises ValueError for a release outside those of `families.csv`."""

    release: Release

    def __post_init__(self) -> None:
        if not OLDEST <= self.release <= NEWEST:
            raise ValueError(f'release {self.release} is unknown: known are {OLDEST} to {NEWEST}')

    @cached_property
    def families(self) -> dict[str, Family]:
        """Every family that the release can expose, whatever its configuration, with the labels that it has there."""
        return {family.name: self._as_it_was(family) for family in FAMILIES.values() if self._has(family)}

    def _as_it_was(self, family: Family) -> Family:
        for through, labels in _FORMER_LABELS.get(family.name, ()):
            if self.release <= through:
                return replace(family, labels=labels)
        return family

    def _has(self, family: Family) -> bool:
        if self.release < family.first_release:
            return False
        if family.name in RENAMED:
            # families.csv knows sampled releases only; between two samples the old name lives until the new one comes.
            return self.release < FAMILIES[RENAMED[family.name]].first_release
        return family.last_release is None or self.release <= family.last_release

    def buckets(self, family: str) -> tuple[float, ...] | None:
        """Upper bounds of a histogram, or None for the defaults of prometheus_client."""
        if family in _CLIENT_BUCKETS:
            return None
        return _OWN_BUCKETS.get(
            family, _LATENCY_BUCKETS_TO_600_S if self.release >= (1, 83, 7) else _LATENCY_BUCKETS_TO_300_S
        )

    @property
    def needs_licence(self) -> bool:
        """Whether the prometheus callback works only with an enterprise licence."""
        return self.release < (1, 80, 0)

    @property
    def protects_metrics(self) -> bool:
        """Whether `/metrics` asks for a key unless told otherwise."""
        return self.release >= (1, 84, 0)

    @property
    def can_protect_metrics(self) -> bool:
        """Whether there is a setting that makes `/metrics` ask for a key."""
        return self.release >= (1, 65, 4)

    @property
    def protects_page_only(self) -> bool:
        """Whether, where keys are asked for, only `/metrics/` asks, and only for `Authorization: Bearer`."""
        return self.release < (1, 84, 0)

    @property
    def hangs_with_key(self) -> bool:
        """Whether `/metrics/` never answers a valid key (measured on 1.81.16, 1.82.6 and 1.83.14)."""
        return (1, 81, 16) <= self.release < (1, 84, 0)

    @property
    def short_readiness(self) -> bool:
        """Whether `/health/readiness` tells only the status and the database."""
        return self.release >= (1, 84, 0)

    @property
    def readiness_keys(self) -> frozenset[str]:
        """What the release tells of its readiness beside what every release tells."""
        keys = {
            (1, 71, 3): {'use_aiohttp_transport'},
            (1, 81, 16): {'log_level', 'is_detailed_debug'},
            (1, 98, 0): {'show_env_credential_login_warning', 'show_no_redis_warning'},
        }
        return frozenset().union(*(names for since, names in keys.items() if self.release >= since))

    @property
    def has_model_hub(self) -> bool:
        """Whether `/public/model_hub/info` tells the version to all."""
        return self.release >= (1, 75, 0)

    @property
    def short_health(self) -> bool:
        """Whether a healthy entry of `/health` may hold only the model and its id."""
        return self.release >= (1, 106, 0)

    @property
    def escapes_label_values(self) -> bool:
        """Whether quotes and backslashes in label values are escaped once more than the format asks for."""
        return self.release >= (1, 88, 0)

    @property
    def counts_queue_time(self) -> bool:
        """Whether the total latency includes the time before the request was processed."""
        return self.release >= (1, 99, 0)

    @property
    def budget_exceeded_status(self) -> int:
        """HTTP status of a refusal because a budget is spent."""
        return 422 if self.release >= (1, 106, 0) else 429
