"""Asks prisma-client-py, in LiteLLM's environment, what a database makes of its calls.

usage: engine_probe.py call          prints what calls of each kind return, and the errors of wrong ones
       engine_probe.py unreachable   prints the error of a call whenever a line comes in, and what LiteLLM makes of it
"""
# Neither the client nor LiteLLM is installed where the types are checked.
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

from prisma import Json, Prisma

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
# Without what Python takes for the end of a line, such as U+2028: there the builder itself puts blanks into a text.
TEXT = 'a "quote", a \\ backslash,\n\ta line, {braces} [and] $signs: é 日本'


async def call() -> dict[str, object]:
    """Return the results of calls that together use every method, and the classes of errors."""
    client = Prisma()
    await client.connect()
    keys, budgets, results = client.litellm_verificationtoken, client.litellm_budgettable, {}
    by = {'created_by': 'us', 'updated_by': 'us'}
    budget = await budgets.create(
        data={
            'tpm_limit': 9007199254740993,
            'max_budget': 1e-05,
            'budget_reset_at': NOON,
            'allowed_models': ['x', TEXT],
            'model_max_budget': Json({'a': [1, None, TEXT]}),
            **by,
        }
    )
    results['a big integer'] = budget.tpm_limit == 9007199254740993
    results['a small number'] = budget.max_budget == 1e-05
    results['a time, in milliseconds'] = budget.budget_reset_at == NOON.replace(microsecond=123000)
    results['a list'] = budget.allowed_models == ['x', TEXT]
    results['Json'] = budget.model_max_budget == {'a': [1, None, TEXT]}
    key = await keys.create(
        data={
            'token': 't',
            'key_alias': TEXT,
            'metadata': Json({}),
            'litellm_budget_table': {'connect': {'budget_id': budget.budget_id}},
        },
        include={'litellm_budget_table': True},
    )
    results['text, and a relation'] = (key.key_alias, key.litellm_budget_table.tpm_limit) == (TEXT, budget.tpm_limit)
    results['createMany'] = await keys.create_many([{'token': 'u'}, {'token': 'v', 'spend': 2.0}], skip_duplicates=True)
    changed = await keys.update(where={'token': 't'}, data={'spend': {'increment': 0.5}, 'metadata': Json({'k': 'v'})})
    results['update'] = (changed.spend, changed.metadata)
    results['updateMany'] = await keys.update_many(where={'token': {'in': ['u', 'v']}}, data={'team_id': 'red'})
    upserted = await keys.upsert(where={'token': 'w'}, data={'create': {'token': 'w'}, 'update': {}})
    results['upsert'] = upserted.token
    results['findMany'] = [found.token for found in await keys.find_many(order={'token': 'desc'}, take=2)]
    results['findMany by Json'] = [
        found.token for found in await keys.find_many(where={'metadata': {'equals': Json({'k': 'v'})}})
    ]
    results['findMany by list and time'] = [
        found.budget_id == budget.budget_id
        for found in await budgets.find_many(
            where={'allowed_models': {'has_some': ['x']}, 'budget_reset_at': {'lte': NOON}},
            cursor={'budget_id': budget.budget_id},
        )
    ]
    related = await budgets.find_many(
        where={'keys': {'some': {'OR': [{'key_alias': {'contains': 'QUOTE', 'mode': 'insensitive'}}]}}},
        include={'keys': {'where': {'metadata': {'not': Json({})}}, 'take': 1}},
    )
    results['findMany by relation'] = [[found.token for found in one.keys] for one in related]
    results['deleteMany'] = await keys.delete_many(where={'NOT': [{'token': {'not_in': ['a', 'b']}}]})
    results['findFirst'] = (await keys.find_first(where={'team_id': 'red'}, order={'token': 'asc'})).token
    results['findUnique of none'] = await keys.find_unique(where={'token': 'none'})
    results['count'] = await keys.count()
    results['groupBy'] = await keys.group_by(by=['team_id'], where={'team_id': 'red'}, sum={'spend': True}, count=True)
    async with client.batch_() as batch:
        batch.litellm_verificationtoken.update(where={'token': 'u'}, data={'spend': 1.0})
        batch.litellm_verificationtoken.delete(where={'token': 'w'})
    results['after a batch'] = [(found.token, found.spend) for found in await keys.find_many(order={'token': 'asc'})]
    async with client.tx() as transaction:
        await transaction.litellm_verificationtoken.update(where={'token': 'u'}, data={'spend': 3.0})
    try:
        async with client.tx() as transaction:
            await transaction.litellm_verificationtoken.delete_many(where={})
            raise KeyError
    except KeyError:
        results['after two transactions'] = [found.spend for found in await keys.find_many(order={'token': 'asc'})]
    raw = """select $1::text as t, 9999999999::bigint as b, 1.50::numeric as d, '{"a":1}'::jsonb as j, array['x'] as l,
        null as n, true as o, timestamp '2026-01-02 12:00:00' as at, 'name'::name as c"""
    results['queryRaw'] = (await client.query_raw(raw, TEXT))[0]
    results['executeRaw'] = await client.execute_raw('update "LiteLLM_VerificationToken" set spend = $1', 4.0)
    results['delete'] = (await keys.delete(where={'token': 'v'})).token
    wrong = {
        'unique': lambda: keys.create(data={'token': 't'}),
        'foreign key': lambda: keys.create(data={'token': 'x', 'budget_id': 'none'}),
        'no such record': lambda: keys.find_unique_or_raise(where={'token': 'none'}),
        'no such table': lambda: client.query_raw('select * from nowhere'),
        'no such column': lambda: client.query_raw('select nothing from "LiteLLM_VerificationToken"'),
        'no such field': lambda: keys.find_first(where={'nothing': 1}),
        'a value is missing': lambda: budgets.create(data={'created_by': 'us'}),
        'in a batch': lambda: failing_batch(client),
    }
    for what, ask in wrong.items():
        results[f'error: {what}'] = await error_of(ask)
    await client.disconnect()
    return results


async def failing_batch(client):
    """Run a batch whose second statement fails."""
    async with client.batch_() as batch:
        batch.litellm_verificationtoken.update(where={'token': 't'}, data={'spend': 9.0})
        batch.litellm_verificationtoken.create(data={'token': 't'})


async def error_of(ask) -> list[object]:
    """Return the class and the code of the error of a call."""
    try:
        await ask()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return [type(error).__name__, getattr(error, 'code', None)]
    return []


async def unreachable() -> None:
    """Tell the error of a call, and what LiteLLM takes it for, whenever a line comes in."""
    from litellm.proxy.db.exception_handler import PrismaDBExceptionHandler

    client = Prisma(http={'timeout': 5})
    await client.connect()
    print(json.dumps('connected'), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        told = ['no error']
        try:
            await client.query_raw('select 1')
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            lost = PrismaDBExceptionHandler.is_database_service_unavailable_error(error)
            told = [type(error).__name__, getattr(error, 'code', None), lost]
        print(json.dumps(told), flush=True)


if __name__ == '__main__':
    if sys.argv[1] == 'unreachable':
        asyncio.run(unreachable())
    else:
        print(json.dumps(asyncio.run(call()), default=str))
