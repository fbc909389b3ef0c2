"""The hooks that LiteLLM itself loads: who may call it, and a logging callback that fails.

A copy of this file lies beside the generated configuration; it runs in LiteLLM's environment, without this package.
"""
# LiteLLM is not installed where the types are checked.
# mypy: ignore-errors

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth

# Key -> fields of UserAPIKeyAuth; see callers.py for who they are.
CALLERS = json.loads(Path(os.environ['REAL_LITELLM_CALLERS']).read_text())


async def authenticate(request, api_key):
    """Return the caller of a key, or raise, upon which LiteLLM checks the key itself (the master key)."""
    fields = dict(CALLERS[(api_key or '').removeprefix('Bearer ')])
    fields['budget_reset_at'] = datetime.now(UTC) + timedelta(hours=fields.pop('budget_hours'))
    budget = fields.pop('organization_budget', None)
    caller = UserAPIKeyAuth(api_key=api_key, request_route=request.url.path, **fields)
    if budget is not None:
        await _carry_budgets(caller, budget, fields['budget_reset_at'])
    return caller


async def _carry_budgets(caller, organization_budget, reset_at):
    """Hand over the budgets that LiteLLM would otherwise look up in its database.

    Those of the organization, team and user travel on the caller, a customer's lies in LiteLLM's cache. Releases that
    know no such types look in the database only.
    """
    try:
        from litellm.models.end_user import LiteLLM_EndUserTable
        from litellm.proxy.proxy_server import user_api_key_cache
        from litellm.types.proxy.carried_budget_state import OrgBudgetSnapshot, TeamBudgetSnapshot, UserBudgetSnapshot
    except ImportError:
        return
    caller.org_budget_snapshot = OrgBudgetSnapshot(spend=1.0, max_budget=organization_budget)
    caller.team_budget_snapshot = TeamBudgetSnapshot(budget_reset_at=reset_at, max_budget=caller.team_max_budget)
    caller.user_budget_snapshot = UserBudgetSnapshot(
        budget_reset_at=reset_at, max_budget=caller.user_max_budget, user_alias=caller.user_id
    )
    customer = LiteLLM_EndUserTable(
        user_id=caller.end_user_id,
        blocked=False,
        spend=1.0,
        litellm_budget_table={'max_budget': caller.end_user_max_budget},
    )
    await user_api_key_cache.async_set_cache(f'end_user_id:{customer.user_id}', customer)


class FailingLogger(CustomLogger):
    """A callback that fails for every request tagged `unloggable`."""

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        if 'unloggable' in (kwargs['standard_logging_object'].get('request_tags') or []):
            raise RuntimeError('this request cannot be logged')


class RaisingGuardrail(CustomGuardrail):
    """A guardrail that blocks what it is asked about with a plain exception, as many of their authors write them."""

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        raise RuntimeError('blocked')


class StrictGuardrail(CustomGuardrail):
    """A guardrail that blocks what says `secret`, with the exception that LiteLLM's own examples raise."""

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if 'secret' in str(data.get('messages')):
            raise Exception('blocked')


class BlockingGuardrail(CustomGuardrail):
    """A guardrail that waits as no coroutine may: nothing else is served by its worker meanwhile."""

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        while Path(os.environ['REAL_LITELLM_BLOCKED']).exists():
            time.sleep(0.05)


class HoardingGuardrail(CustomGuardrail):
    """A guardrail that keeps eight MB of each request, as a leak does."""

    kept: ClassVar[list[bytes]] = []

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        self.kept.append(b'.' * (8 << 20))


failing_logger = FailingLogger()
