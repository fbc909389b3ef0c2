"""The callers of the proxy: keys with their teams, users, organizations, projects, limits and budgets.

LiteLLM learns them from `gateway_hooks.authenticate`, as there is no database to keep them in.
"""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

__all__ = ['ADA', 'BOB', 'Caller', 'callers_file']


class Caller(NamedTuple):
    """One key and what LiteLLM knows of it (fields of its UserAPIKeyAuth)."""

    key: str
    fields: dict[str, Any]


def _key() -> str:
    return 'sk-' + secrets.token_hex(16)


# Has everything: a team, an organization, a project and a customer, each with a budget or limits.
ADA = Caller(
    _key(),
    {
        'key_alias': 'ada-key',
        'user_id': 'ada',
        'user_email': 'ada@example.com',
        'user_max_budget': 400.0,
        'user_spend': 4.0,
        'team_id': 'team-red',
        'team_alias': 'Red',
        'team_max_budget': 500.0,
        'team_spend': 5.0,
        'team_rpm_limit': 5000,
        'team_tpm_limit': 500_000,
        'org_id': 'org-north',
        'organization_alias': 'North',
        'organization_budget': 1000.0,
        'project_id': 'project-one',
        'project_alias': 'One',
        'project_metadata': {'model_rpm_limit': {'chat': 2000}, 'model_tpm_limit': {'chat': 200_000}},
        'end_user_id': 'customer-7',
        'end_user_max_budget': 70.0,
        'max_budget': 100.0,
        'spend': 1.0,
        'budget_hours': 24,
        'rpm_limit': 3000,
        'tpm_limit': 300_000,
        'metadata': {'model_rpm_limit': {'chat': 1500}, 'model_tpm_limit': {'chat': 150_000}},
    },
)

# Has a key and nothing else: no budget and no limit.
BOB = Caller(_key(), {'key_alias': 'bob-key', 'user_id': 'bob', 'team_id': 'team-blue', 'budget_hours': 1})


def callers_file() -> dict[str, dict[str, Any]]:
    """Return the callers as the hooks read them."""
    return {caller.key: caller.fields for caller in (ADA, BOB)}
