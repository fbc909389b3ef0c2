"""Tell what each LiteLLM release exposes: its families, as the lineage has them, and how its endpoints behave.

Releases that `Profile` compares with are the first whose source has the behaviour, and the patch before, or the last
patch of the line before, has not; the releases of `tests/pages` were compared with real proxies besides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

from tests.lineage.lineage import Lineage
from tests.lineage.release_number import Release

__all__ = ['FAMILIES', 'NEWEST', 'OLDEST', 'Family', 'Profile', 'Registration']

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
    {
        'litellm_accounting_batch_seconds',
        'litellm_deployment_latency_per_output_token',
        'litellm_deployment_latency_per_output_token_by_tag',
    }
)


class Registration(Enum):
    """The reason why LiteLLM registers a family."""

    CALLBACK = 'the prometheus callback'
    SERVICE_CALLBACK = 'the prometheus_system service callback'
    NO_LICENCE = 'the prometheus callback of a release that asks for a licence, without one'
    START = 'the start of the proxy, whatever its configuration'
    FIRST_USE = 'the first use of the feature in the process'

    @classmethod
    def of(cls, registered_when: str) -> Registration:
        """Sort the wording of `families.csv`; raises ValueError for one that it does not know."""
        for words, registration in (
            ('without an enterprise licence', cls.NO_LICENCE),
            ('"prometheus" in litellm_settings.callbacks', cls.CALLBACK),
            ('service_callback contains "prometheus_system"', cls.SERVICE_CALLBACK),
            ('start of the proxy', cls.START),
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
            labels=_labels(row['labels']),
            first_release=Release.parse(row['first_release']),
            last_release=Release.parse(row['last_release']) if row['last_release'] else None,
            value=row['value'],
            registration=Registration.of(row['registered_when']),
            multiprocess_mode=row['multiprocess_mode'],
        )


def _labels(text: str) -> tuple[str, ...]:
    """Read the labels of a family as the lineage writes them."""
    return tuple(filter(None, text.split('|')))


_LINEAGE = Lineage.read()
FAMILIES = {name: Family.from_row(row) for name, row in _LINEAGE.rows.items()}
_RELEASES = [Release.parse(release) for release in _LINEAGE.in_order()]
OLDEST, NEWEST = _RELEASES[0], _RELEASES[-1]


@dataclass(frozen=True)
class Profile:
    """The behaviour of one release. Raises ValueError for a release outside those of `families.csv`."""

    release: Release

    def __post_init__(self) -> None:
        if not OLDEST <= self.release <= NEWEST:
            raise ValueError(f'release {self.release} is unknown: known are {OLDEST} to {NEWEST}')

    @cached_property
    def families(self) -> dict[str, Family]:
        """Every family that the release can expose, whatever its configuration, with the labels that it has there."""
        return {family.name: self._as_it_was(family) for family in FAMILIES.values() if self._has(family)}

    def _as_it_was(self, family: Family) -> Family:
        return replace(family, labels=_labels(_LINEAGE.labels_of(family.name, str(self.release))))

    def _has(self, family: Family) -> bool:
        ended = family.last_release is not None and family.last_release < self.release
        return family.first_release <= self.release and not ended

    def buckets(self, family: str) -> tuple[float, ...] | None:
        """Upper bounds of a histogram, or None for the defaults of prometheus_client."""
        if family in _CLIENT_BUCKETS:
            return None
        return _OWN_BUCKETS.get(
            family, _LATENCY_BUCKETS_TO_600_S if self.release >= (1, 83, 7) else _LATENCY_BUCKETS_TO_300_S
        )

    @property
    def needs_licence(self) -> bool:
        """Tell whether the prometheus callback works only with an enterprise licence."""
        return self.release < (1, 80, 0)

    @property
    def protects_metrics(self) -> bool:
        """Tell whether `/metrics` asks for a key unless told otherwise."""
        return self.release >= (1, 84, 0)

    @property
    def can_protect_metrics(self) -> bool:
        """Tell whether there is a setting that makes `/metrics` ask for a key."""
        return self.release >= (1, 65, 4)

    @property
    def protects_page_only(self) -> bool:
        """Tell whether, where keys are asked for, only `/metrics/` asks, and only for `Authorization: Bearer`."""
        return self.release < (1, 84, 0)

    @property
    def hangs_with_key(self) -> bool:
        """Tell whether `/metrics/` never answers a valid key: to check it, LiteLLM reads what the page waits for."""
        return (1, 81, 14) <= self.release < (1, 84, 0)

    @property
    def short_readiness(self) -> bool:
        """Tell whether `/health/readiness` tells only the status and the database."""
        return self.release >= (1, 84, 0)

    @property
    def readiness_keys(self) -> frozenset[str]:
        """Return the keys that this release has in its readiness beside those of every release."""
        keys = {
            (1, 71, 1): {'use_aiohttp_transport'},
            (1, 81, 16): {'log_level', 'is_detailed_debug'},
            (1, 98, 0): {'show_env_credential_login_warning', 'show_no_redis_warning'},
        }
        return frozenset().union(*(names for since, names in keys.items() if self.release >= since))

    @property
    def ready_as_database(self) -> bool:
        """Tell whether the readiness tells the state of the database as its own status, and since when it is known."""
        return self.release < (1, 82, 1)

    @property
    def connected_seconds(self) -> float:
        """Return for how long the readiness repeats that the database is connected."""
        return 120.0 if self.ready_as_database else 15.0

    @property
    def has_model_hub(self) -> bool:
        """Tell whether `/public/model_hub/info` tells the version to all."""
        return self.release >= (1, 74, 3)

    @property
    def short_health(self) -> bool:
        """Tell whether a healthy entry of `/health` may hold only the model and its id."""
        return self.release >= (1, 102, 0)

    @property
    def cleans_label_values(self) -> bool:
        """Tell whether label values lose line breaks, and are escaped once more than the format asks for."""
        return self.release >= (1, 81, 10)

    @property
    def counts_queue_time(self) -> bool:
        """Tell whether the total latency includes the time before the request was processed."""
        return self.release >= (1, 99, 0)

    @property
    def tells_status_of_refusals(self) -> bool:
        """Tell whether the failure of a wrong key has its status as a label."""
        return self.release >= (1, 80, 13)

    @property
    def counts_refusals_by_provider(self) -> bool:
        """Tell whether a provider's 401 counts for models; in between, LiteLLM takes it for the client's wrong key."""
        return self.release < (1, 80, 13) or self.release >= (1, 109, 0)

    @property
    def counts_refusals(self) -> bool:
        """Tell whether a 401, whoever's it is, counts as a failed request of the client."""
        return self.release < (1, 80, 13) or self.release >= (1, 103, 0)

    @property
    def names_key_of_refusals(self) -> bool:
        """Tell whether the failure of a 401 names the key, of whoever's it is."""
        return self.release < (1, 80, 13)

    @property
    def names_model_of_unrouted_failures(self) -> bool:
        """Tell whether a failure before a deployment was chosen has the requested model as its deployment's name."""
        return self.release < (1, 81, 8)

    @property
    def counts_clients_twice(self) -> bool:
        """Tell whether a client's request that failed or was not streamed counts twice, as the callback runs twice."""
        return (1, 80, 6) <= self.release < (1, 81, 14)

    @property
    def counts_fallbacks_for_requested_model(self) -> bool:
        """Tell whether a request that a fallback answered, not streamed, counts for the model it asked for."""
        return self.release < (1, 81, 14) or self.release >= (1, 109, 0)

    @property
    def tells_provider_of_failures(self) -> bool:
        """Tell whether a failed request of a client names the provider, by the model if none was called."""
        return self.release >= (1, 103, 0)

    @property
    def unrouted_model_id(self) -> str | None:
        """The deployment that a failed request names if none was chosen."""
        return '' if self.release >= (1, 109, 0) else None

    @property
    def tells_limits_of_keys(self) -> bool:
        """Tell whether the rest of a key's limit for a model is told; otherwise it is written as if there was none."""
        return self.release >= (1, 94, 0)

    @property
    def names_unknown_models(self) -> bool:
        """Tell whether a failure names the model that a client asked for even if there is none of that name."""
        return self.release < (1, 101, 0)

    @property
    def exception_of_unknown_key(self) -> str:
        """The class of the failure of a key that the database does not have."""
        return 'KeyNotFoundError' if self.release >= (1, 91, 0) else 'ProxyException'

    @property
    def has_ledger(self) -> bool:
        """Tell whether spend waits in the spend log of the database, not in queues, to be added to totals."""
        return self.release >= (1, 110, 0)

    @property
    def budget_exceeded_status(self) -> int:
        """HTTP status of a refusal because a budget is spent."""
        if self.release >= (1, 104, 0):
            return 422
        return 429 if self.release >= (1, 85, 0) else 400

    @property
    def budget_exceeded_label(self) -> str:
        """Status that such a refusal is counted with: none at first, and the later one before clients were told it."""
        if self.release < (1, 83, 10):
            return 'None'
        return '422' if self.release >= (1, 104, 0) else '429'

    @property
    def requests_before_cooldown(self) -> int:
        """The least requests to one of several deployments in a minute before failures cool it down."""
        return 5 if self.release >= (1, 80, 10) else 1

    @property
    def cools_down_unpaid(self) -> bool:
        """Tell whether a provider's 402 cools down one of several deployments."""
        return self.release >= (1, 106, 0)

    @property
    def names_cooldowns(self) -> bool:
        """Tell whether the answer that no deployment is left says by its type that all are in cooldown."""
        return self.release >= (1, 103, 0)

    @property
    def tells_status_of_cooldowns(self) -> bool:
        """Tell whether the failure of a request that no deployment is left for has its status as a label."""
        return self.release >= (1, 108, 0)

    @property
    def blames_fallbacks(self) -> bool:
        """Tell whether most failures for want of a deployment are counted with the labels of the fallback that helps.

        LiteLLM is in a race with itself: 7 of 9 were in 1.106.2, and 2 of 9 in 1.110.2.
        """
        return self.release < (1, 109, 0)

    @property
    def sends_messages_as_responses(self) -> bool:
        """Tell whether a message for a model of OpenAI goes there as a response, not as a chat completion."""
        return self.release >= (1, 82, 0)

    @property
    def tells_provider_of_own_apis(self) -> bool:
        """Tell whether failed calls of a deployment by `/v1/responses` and `/v1/messages` name the provider."""
        return self.release >= (1, 109, 0)
