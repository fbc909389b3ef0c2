"""Budget gauges of keys, teams, users, organisations and customers."""

from __future__ import annotations

from .accounts import Accounts, Budget, Caller, Owner
from .calls import Call
from .router import Clock
from .series import LabelValues, Series

__all__ = ['BudgetGauges']


class BudgetGauges:
    """Writes the remaining dollars, and, where there are any, the limit and the hours until its reset."""

    def __init__(self, series: Series, accounts: Accounts, clock: Clock) -> None:
        self._series = series
        self._accounts = accounts
        self._clock = clock

    def write_of(self, call: Call) -> None:
        """Write the budgets that a request draws on, as LiteLLM does after each."""
        caller = call.caller
        self._write_key(caller)
        if caller.team is not None:
            self._write_team(caller.team)
        if caller.user is not None:
            self._write_user(caller.user)
        if caller.org is not None:
            self._write_org(caller.org)
        if call.end_user is not None:
            self._write_customer(call.end_user, self._accounts.customer(call.end_user))

    def write_all(self) -> None:
        """Write every budget, as LiteLLM's periodic job does."""
        for caller in self._accounts.callers:
            self._write_key(caller)
        for team in self._accounts.teams:
            self._write_team(team)
        for user in self._accounts.users:
            self._write_user(user)
        for org in self._accounts.orgs:
            self._write_org(org)
        for end_user, budget in self._accounts.customers.items():
            self._write_customer(end_user, budget)

    def _write_key(self, caller: Caller) -> None:
        self._write('api_key', {'hashed_api_key': caller.name, 'api_key_alias': caller.alias or ''}, caller.budget)

    def _write_team(self, team: Owner) -> None:
        self._write('team', {'team': team.id, 'team_alias': team.alias}, team.budget)

    def _write_user(self, user: Owner) -> None:
        self._write('user', {'user': user.id}, user.budget)

    def _write_org(self, org: Owner) -> None:
        self._write('org', {'org_id': org.id, 'org_alias': org.alias}, org.budget)

    def _write_customer(self, end_user: str, budget: Budget) -> None:
        self._write('customer', {'end_user': end_user}, budget)

    def _write(self, owner: str, values: LabelValues, budget: Budget) -> None:
        self._series.set(f'litellm_remaining_{owner}_budget_metric', values, budget.remaining)
        if budget.limit is not None:
            self._series.set(f'litellm_{owner}_max_budget_metric', values, budget.limit)
        hours = budget.remaining_hours(self._clock.now)
        if hours is not None:
            self._series.set(f'litellm_{owner}_budget_remaining_hours_metric', values, hours)
