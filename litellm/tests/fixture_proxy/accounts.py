"""The callers of the proxy: virtual keys with their users, teams, organisations, projects, budgets and rate limits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

__all__ = ['HEALTH_CHECK', 'VIRTUAL_KEYS', 'Accounts', 'Budget', 'Caller', 'Owner', 'RateLimit', 'hashed']

_HOURS_OF_30_DAYS = 720.0
_WINDOW_SECONDS = 60.0
# For which LiteLLM keeps what it has read of a key.
_CACHE_SECONDS = 60.0


def hashed(key: str) -> str:
    """Name a key in labels: its SHA-256, or the key itself, in clear, without the usual prefix."""
    return hashlib.sha256(key.encode()).hexdigest() if key.startswith('sk-') else key


@dataclass
class Budget:
    """US dollars that may be spent until a reset. `limit` None: no budget. `period_hours` None: never reset."""

    limit: float | None = None
    period_hours: float | None = None
    spent: float = 0.0
    started_at: float = 0.0

    @property
    def remaining(self) -> float:
        return float('inf') if self.limit is None else self.limit - self.spent

    @property
    def exceeded(self) -> bool:
        return self.limit is not None and self.spent >= self.limit

    def remaining_hours(self, now: float) -> float | None:
        """Hours until the reset at the simulated second `now`; below zero when a reset is overdue."""
        return None if self.period_hours is None else self.period_hours - (now - self.started_at) / 3600

    def reset_if_due(self, now: float) -> bool:
        remaining = self.remaining_hours(now)
        if remaining is None or remaining > 0:
            return False
        self.spent, self.started_at = 0.0, now
        return True


@dataclass
class RateLimit:
    """Requests and tokens that are allowed in a window of one simulated minute. None: not limited."""

    requests: int | None = None
    tokens: int | None = None
    used_requests: int = 0
    used_tokens: int = 0
    window_ends: float = 0.0

    def admit(self, now: float) -> bool:
        """Count one request; says whether it was within the limit."""
        if now >= self.window_ends:
            self.used_requests, self.used_tokens, self.window_ends = 0, 0, now + _WINDOW_SECONDS
        if self.requests is not None and self.used_requests >= self.requests:
            return False
        self.used_requests += 1
        return True

    def usage(self) -> list[tuple[str, int, int]]:
        """`rate_limit_type`, allowed and used for each limit that is set."""
        rows = (('requests', self.requests, self.used_requests), ('tokens', self.tokens, self.used_tokens))
        return [(kind, allowed, used) for kind, allowed, used in rows if allowed is not None]


@dataclass
class Owner:
    """A user, team, organisation or project: an id, a name for people, a budget and limits."""

    id: str
    alias: str
    budget: Budget = field(default_factory=Budget)
    limit: RateLimit = field(default_factory=RateLimit)
    members: int = 0
    email: str | None = None


@dataclass
class Caller:
    """A virtual key and whom it belongs to. `model_limits`: remaining-per-model is known, not 'no limit'."""

    key: str
    name: str
    alias: str | None = None
    user: Owner | None = None
    team: Owner | None = None
    org: Owner | None = None
    project: Owner | None = None
    budget: Budget = field(default_factory=Budget)
    limit: RateLimit = field(default_factory=RateLimit)
    model_limits: bool = False

    def budgets(self) -> list[Budget]:
        owners = (self.user, self.team, self.org)
        return [self.budget, *(owner.budget for owner in owners if owner is not None)]

    def limits(self) -> list[RateLimit]:
        owners = (self.team, self.project)
        return [self.limit, *(owner.limit for owner in owners if owner is not None)]

    @property
    def needs_db(self) -> bool:
        """Tell whether more than the key itself is read for each request: whom it belongs to."""
        return any(owner is not None for owner in (self.team, self.org, self.project)) or self.budget.limit is not None

    def labels(self) -> dict[str, object]:
        """Return the label values that tell who called."""
        return {
            'hashed_api_key': self.name,
            'api_key_alias': self.alias,
            'user': self.user and self.user.id,
            'user_email': self.user and self.user.email,
            'team': self.team and self.team.id,
            'team_alias': self.team and self.team.alias,
            'org_id': self.org and self.org.id,
            'org_alias': self.org and self.org.alias,
            'project_id': self.project and self.project.id,
            'project_alias': self.project and self.project.alias,
        }


# Beside the master key. What each is for is said in Accounts.
VIRTUAL_KEYS = {
    'search': 'sk-fixture-search-11f0',
    'support': 'sk-fixture-support-22f0',
    'ci': 'sk-fixture-ci-33f0',
    'batch': 'sk-fixture-batch-66f0',
    'notebook': 'sk-fixture-notebook-77f0',
    'limited': 'sk-fixture-limited-44f0',
    'spent': 'sk-fixture-spent-55f0',
}

_PROBE = 'litellm-internal-health-check'
# `/health` calls every model as this caller, of a team of the same name.
HEALTH_CHECK = Caller(key=_PROBE, name=_PROBE, alias=_PROBE, team=Owner(_PROBE, _PROBE))


class Accounts:
    """The accounts of one proxy: the master key and seven virtual keys.

    `search` and `support` have people, teams, budgets and limits; `ci` has none of them; `batch` spends the team's
    budget of `search` and `notebook` that of its user; `limited` is refused from its fourth request in a minute on
    (429); `spent` has used its budget up.
    """

    def __init__(self, master_key: str) -> None:
        admin = Owner('default_user_id', 'admin')
        retail = Owner('org-retail', 'Retail', Budget(5000.0, _HOURS_OF_30_DAYS), members=2)
        search = Owner('team-search', 'Search', Budget(1000.0, _HOURS_OF_30_DAYS), RateLimit(60_000, 60_000_000), 4)
        support = Owner('team-support', 'Support', members=2)
        alice = Owner('alice', 'Alice', Budget(200.0, _HOURS_OF_30_DAYS), email='alice@example.com')
        bob = Owner('bob', 'Bob "Bobby"', email='bob@example.com')
        chatbot = Owner('project-chatbot', 'Chatbot', limit=RateLimit(30_000, 30_000_000))
        keys = VIRTUAL_KEYS
        self._callers = {
            caller.key: caller
            for caller in (
                Caller(master_key, 'litellm_proxy_master_key', user=admin),
                Caller(
                    keys['search'], hashed(keys['search']), 'search-prod', alice, search, retail, chatbot,
                    Budget(100.0, 24.0), RateLimit(60_000, 60_000_000), model_limits=True,
                ),
                Caller(keys['support'], hashed(keys['support']), 'support "night shift"', bob, support, retail),
                Caller(keys['ci'], hashed(keys['ci']), 'ci'),
                Caller(keys['batch'], hashed(keys['batch']), 'search-batch', team=search, org=retail),
                Caller(keys['notebook'], hashed(keys['notebook']), 'alice-notebook', alice),
                Caller(keys['limited'], hashed(keys['limited']), 'limited', limit=RateLimit(requests=3)),
                Caller(keys['spent'], hashed(keys['spent']), 'spent', budget=Budget(0.0)),
            )
        }  # fmt: skip
        self.users = [admin, alice, bob]
        self.teams = [search, support]
        self.orgs = [retail]
        self._customers: dict[str, Budget] = {}
        self._read_at: dict[str, float] = {}

    def remember(self, caller: Caller, now: float) -> None:
        """Keep a key that was read from the database at a simulated second, as LiteLLM's cache does."""
        if not self.remembers(caller, now):
            self._read_at[caller.key] = now

    def remembers(self, caller: Caller, now: float) -> bool:
        """Tell whether a key need not be read from the database."""
        return now - self._read_at.get(caller.key, -_CACHE_SECONDS) < _CACHE_SECONDS

    def caller(self, key: str) -> Caller | None:
        return self._callers.get(key)

    @property
    def callers(self) -> list[Caller]:
        return list(self._callers.values())

    @property
    def customers(self) -> dict[str, Budget]:
        """The budgets of the end users seen so far."""
        return self._customers

    def customer(self, end_user: str) -> Budget:
        """Return the budget of an end user: the same for each."""
        return self._customers.setdefault(end_user, Budget(25.0, _HOURS_OF_30_DAYS))

    def budgets(self) -> list[Budget]:
        """Every budget, whoever's it is."""
        owners = (*self.users, *self.teams, *self.orgs)
        of_owners = [owner.budget for owner in owners]
        return [*(caller.budget for caller in self.callers), *of_owners, *self._customers.values()]
