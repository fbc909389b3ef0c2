"""Teams, users, customers and keys that LiteLLM keeps in its database, made through its own API, and their traffic."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from .config import PRICE_OF_INPUT, PRICE_OF_OUTPUT
from .environment import HarnessError
from .families import Page
from .postgres import PostgresServer
from .real_proxy import RealProxy
from .upstream import USAGE
from .workload import Client

__all__ = [
    'BUDGETS',
    'PRICE',
    'SHORT_BUDGET',
    'Accounts',
    'Member',
    'logged_dollars',
    'number_of_logs',
    'open_accounts',
    'postgres_of',
    'settle_accounts',
    'use_accounts',
    'use_files',
    'wait_for_batch_cost',
]

# Dollars for a completion of the model `priced`.
PRICE = USAGE['prompt_tokens'] * PRICE_OF_INPUT + USAGE['completion_tokens'] * PRICE_OF_OUTPUT

BUDGETS = {'key': 10.0, 'user': 50.0, 'team': 100.0, 'customer': 20.0, 'organization': 500.0}
# A budget that is used up by the first request, and one that is reset before the traffic is over.
_TINY_BUDGET = PRICE / 2
SHORT_BUDGET, _SHORT_DURATION = 5.0, '10s'

# What LiteLLM has added to each key's spend, and what the logs of its requests add up to.
_SPENT_BY_KEY = """
    select key_alias, key.spend, coalesce(sum(log.spend), 0)
        from "LiteLLM_VerificationToken" key left join "LiteLLM_SpendLogs" log on log.api_key = key.token
        where key_alias is not null group by key.token
    """
# Sums of the same numbers in another order differ by less; a request costs more.
_EQUAL_DOLLARS = 1e-9

_REQUESTS_OF_A_KEY = 6
_MANAGE_SECONDS = 60
_WRITE_SECONDS = 120


@dataclass(frozen=True)
class Member:
    """A key in the database and who it belongs to."""

    key: str
    alias: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class Accounts:
    """The accounts of one proxy, and what was sent with them: requests and dollars, by alias of the key."""

    members: dict[str, Member] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def spend(self, *aliases: str) -> float:
        """Return the dollars that these keys have spent, or all."""
        return float(PRICE * sum(self.requests[alias] for alias in aliases or self.requests))


class _Manager:
    """The owner of the master key, who manages accounts."""

    def __init__(self, proxy: RealProxy) -> None:
        self._proxy = proxy

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Call a management endpoint and return its answer."""
        headers = {'Authorization': f'Bearer {self._proxy.key}'}
        answer = requests.post(self._proxy.url + path, json=body, headers=headers, timeout=_MANAGE_SECONDS)
        if not answer.ok:
            raise HarnessError(f'{path} {body} answered {answer.status_code}: {answer.text[:500]}')
        made: dict[str, Any] = answer.json()
        return made

    def key(self, alias: str, **fields: Any) -> Member:
        """Make a key."""
        return Member(self.post('/key/generate', key_alias=alias, **fields)['key'], alias, fields)


def postgres_of(proxy: RealProxy) -> PostgresServer:
    """Return the proxy's PostgreSQL; raise HarnessError when it runs without one."""
    if proxy.postgres is None:
        raise HarnessError('The proxy runs without a database')
    return proxy.postgres


def open_accounts(proxy: RealProxy) -> Accounts:
    """Make two users, a team, a customer, an organization, and keys with budgets of every kind."""
    manager, accounts = _Manager(proxy), Accounts()
    budget = {'budget_duration': '1d'}
    manager.post('/user/new', user_id='eve', user_email='eve@example.com', max_budget=BUDGETS['user'], **budget)
    manager.post('/user/new', user_id='dan')
    members = [{'role': 'user', 'user_id': 'eve'}]
    team = {'team_id': 'team-green', 'team_alias': 'Green', 'members_with_roles': members}
    manager.post('/team/new', max_budget=BUDGETS['team'], **team, **budget)
    manager.post('/team/member_add', team_id='team-green', member={'role': 'user', 'user_id': 'dan'})
    manager.post('/customer/new', user_id='customer-9', max_budget=BUDGETS['customer'], **budget)
    _insert_organization(postgres_of(proxy))
    for member in (
        manager.key('eve-key', team_id='team-green', user_id='eve', max_budget=BUDGETS['key'], **budget),
        manager.key('dan-key', user_id='dan'),
        manager.key('south-key', organization_id='org-south'),
        manager.key('tiny-key', max_budget=_TINY_BUDGET),
        manager.key('short-key', max_budget=SHORT_BUDGET, budget_duration=_SHORT_DURATION),
    ):
        accounts.members[member.alias] = member
    return accounts


def _insert_organization(postgres: PostgresServer) -> None:
    """Make what LiteLLM's API does not without a license, an organization, nor ever, old rows to clean up."""
    postgres.query(
        f"""
        insert into "LiteLLM_BudgetTable"
            (budget_id, max_budget, budget_duration, budget_reset_at, created_by, updated_by, updated_at)
            values ('budget-south', {BUDGETS['organization']}, '30d', now() + interval '9 days', 'us', 'us', now());
        insert into "LiteLLM_OrganizationTable"
            (organization_id, organization_alias, budget_id, models, created_by, updated_by, updated_at)
            values ('org-south', 'South', 'budget-south', '{{}}', 'us', 'us', now());
        insert into "LiteLLM_SpendLogs" (request_id, call_type, api_key, spend, "startTime", "endTime", model)
            select 'old-' || number, 'acompletion', 'old', 0, now() - interval '30 days', now() - interval '30 days', ''
            from generate_series(1, 20) number
        """
    )


def use_accounts(client: Client, accounts: Accounts, times: int = _REQUESTS_OF_A_KEY) -> None:
    """Send requests with every key; the one with a tiny budget is refused once its spend is known."""
    for alias in ('eve-key', 'dan-key', 'south-key', 'short-key'):
        for number in range(times):
            more: dict[str, Any] = {'user': 'customer-9'} if alias == 'dan-key' and number % 2 else {}
            client.chat('priced', key=accounts.members[alias].key, **more)
            accounts.requests[alias] += 1
    _exhaust(client, accounts)


def _exhaust(client: Client, accounts: Accounts) -> None:
    key = accounts.members['tiny-key'].key
    body = {'model': 'priced', 'messages': [{'role': 'user', 'content': 'a prompt'}]}

    def is_refused() -> bool:
        status = client.post('/v1/chat/completions', body, key).status_code
        client.sent.answers[status] += 1
        client.sent.by_key[key] += 1
        if status == 200:
            accounts.requests['tiny-key'] += 1
            client.count_completion()
            return False
        accounts.refused['tiny-key'] += 1
        return True

    _wait_until(is_refused, 'A key beyond its budget was not refused', pause=1)


def use_files(client: Client, accounts: Accounts) -> None:
    """Upload files, have a batch made of one, and delete the other."""
    url, headers = client.proxy.url, {'Authorization': f'Bearer {accounts.members["eve-key"].key}'}
    line = {'custom_id': 'line-1', 'method': 'POST', 'url': '/v1/chat/completions', 'body': {'model': 'chat'}}

    def upload() -> str:
        form = {'purpose': 'batch', 'target_model_names': 'priced'}
        file = {'file': ('batch.jsonl', json.dumps(line) + '\n')}
        return str(_made(requests.post(f'{url}/v1/files', form, files=file, headers=headers, timeout=30))['id'])

    body = {
        'input_file_id': upload(),
        'endpoint': '/v1/chat/completions',
        'completion_window': '24h',
        'model': 'priced',
    }
    _made(requests.post(f'{url}/v1/batches', json=body, headers=headers, timeout=30))
    _made(requests.delete(f'{url}/v1/files/{upload()}', headers=headers, timeout=30))


def _made(answer: requests.Response) -> dict[str, Any]:
    if not answer.ok:
        raise HarnessError(f'{answer.url} answered {answer.status_code}: {answer.text[:500]}')
    made: dict[str, Any] = answer.json()
    return made


def settle_accounts(proxy: RealProxy, accounts: Accounts) -> None:
    """Wait until LiteLLM, which works in intervals, has written all that was spent, and reset the short budget."""
    postgres = postgres_of(proxy)

    def is_settled() -> bool:
        return number_of_logs(postgres, accounts) == sum(accounts.requests.values()) and all(
            abs(spent - (0 if alias == 'short-key' else logged)) < _EQUAL_DOLLARS
            for alias, (spent, logged) in _spent_by_key(postgres).items()
        )

    _wait_until(is_settled, 'LiteLLM did not write what was spent, or did not reset a budget,', pause=1)


def logged_dollars(proxy: RealProxy) -> dict[str, float]:
    """Return the dollars that LiteLLM has logged for each key in the database, by the key's alias."""
    return {alias: logged for alias, (_, logged) in _spent_by_key(postgres_of(proxy)).items()}


def _spent_by_key(postgres: PostgresServer) -> dict[str, tuple[float, float]]:
    return {alias: (float(spent), float(logged)) for alias, spent, logged in postgres.query(_SPENT_BY_KEY)}


def wait_for_batch_cost(proxy: RealProxy) -> Page:
    """Wait until LiteLLM has asked the provider how the batch went, and charged it; return the page then."""
    page = Page('')

    def is_charged() -> bool:
        nonlocal page
        page = Page(proxy.scrape())
        return page.total('litellm_check_batch_cost_jobs_processed') > 0

    _wait_until(is_charged, 'LiteLLM did not charge the batch', pause=0.5)
    return page


def number_of_logs(postgres: PostgresServer, accounts: Accounts) -> int:
    """Return how many requests of these keys LiteLLM has logged with their dollars, which only successful ones cost."""
    hashes = ', '.join(f"'{hashlib.sha256(member.key.encode()).hexdigest()}'" for member in accounts.members.values())
    ((logged,),) = postgres.query(f'select count(*) from "LiteLLM_SpendLogs" where api_key in ({hashes}) and spend > 0')
    return int(logged)


def _wait_until(condition: Callable[[], bool], complaint: str, pause: float) -> None:
    deadline = time.monotonic() + _WRITE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise HarnessError(f'{complaint} within {_WRITE_SECONDS} seconds')
        time.sleep(pause)
