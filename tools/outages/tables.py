"""The tables of what was seen of faults: what clients got, what the page showed, what the check said.

Each has a column or a row for each fault. The real proxy's are in `docs/outages.md`, and the fixture's are held against
them: see `outages_comparison.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tools.markdown import cells, render_table
from tools.real_litellm.families import Page

__all__ = ['TABLES', 'Seen', 'tables', 'with_faults']

# The names of the tables, as those of their markers on the page.
TABLES = ('clients', 'families', 'checks')

_COUNTERS = (
    'proxy_total_requests_metric',
    'proxy_failed_requests_metric',
    'requests_metric',
    'llm_api_failed_requests_metric',
    'deployment_failure_responses',
    'spend_metric',
    'postgres_total_requests',
    'postgres_failed_requests',
    'batch_write_to_db_total_requests',
    'reset_budget_job_failed_requests',
    'redis_failed_requests',
    'redis_circuit_breaker_failures',
    'spend_log_cleanup_batch_failures',
    'callback_logging_failures_metric',
    'guardrail_errors',
)
_OBSERVATIONS = ('postgres_latency', 'request_total_latency_metric', 'accounting_batch_seconds')
_GAUGES = (
    'deployment_state',
    'in_memory_spend_update_queue_size',
    'redis_spend_update_queue_size',
    'accounting_pending',
    'accounting_oldest_pending_seconds',
    'in_flight_requests',
)
_FAILURES = 'proxy_failed_requests_metric'
_OF_CALLERS = ('hashed_api_key', 'api_key_alias', 'team', 'user')


@dataclass
class Seen:
    """Everything seen of a fault: pages before, at its end and after it, answers by caller, and our service checks.

    `slowest` are the seconds that the slowest answer of the readiness took.
    """

    fault: str
    before: Page
    during: Page
    after: Page
    answers: dict[str, Counter[str]]
    slowest: float
    checks: dict[str, str]


def tables(seen: list[Seen]) -> dict[str, str]:
    """Return the tables by their names."""
    return dict(zip(TABLES, (_clients(seen), _families(seen), _checks(seen)), strict=True))


def with_faults(recorded: str, table: str, order: Sequence[str], name: str) -> str:
    """Return a recorded table with the faults of another run in place of its own; the others stay, in this order.

    Raises ValueError if the two tell different things of a fault: then all of them have to be recorded anew.
    """
    (head, *former), (other_head, *now) = (_by_fault(text, name) for text in (recorded, table))
    if head != other_head:
        raise ValueError(f'The table {name!r} has other rows or columns than the recorded one: record all faults')
    rows = {row[0]: row for row in [*former, *now]}
    head, *lines = _turned([head, *(rows[fault] for fault in order if fault in rows)], name)
    return render_table(head, lines)


def _by_fault(table: str, name: str) -> list[list[str]]:
    """Return the head of a table and a row for each fault, in which that of families has a column for each."""
    head, _, *rows = [cells(line) for line in table.splitlines()]
    return _turned([head, *rows], name)


def _turned(rows: list[list[str]], name: str) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)] if name == 'families' else rows


def _clients(seen: list[Seen]) -> str:
    """Return who was answered what, one row per fault."""
    callers = list(seen[0].answers)
    rows = [[one.fault, *(_counts(one.answers[caller]) for caller in callers), f'{one.slowest:.1f} s'] for one in seen]
    return render_table(['Fault', *callers, 'its slowest answer'], rows)


def _families(seen: list[Seen]) -> str:
    """Return what each family did in each fault: what was counted, and the values of gauges at its end."""
    rows = []
    for name in _COUNTERS:
        rows.append([f'`litellm_{name}`', *(_added(one, name, '_total') for one in seen)])
    for name in _OBSERVATIONS:
        rows.append([f'`litellm_{name}`, observations', *(_added(one, name, '_count') for one in seen)])
    for name in _GAUGES:
        rows.append([f'`litellm_{name}`', *(f'{one.during.total(f"litellm_{name}", ""):g}' for one in seen)])
    for name, told, tell in (
        ('proxy_total_requests_metric', 'status', lambda labels: labels['status_code']),
        (_FAILURES, 'class, status', _class),
        (_FAILURES, 'labels of the caller that are not `None`', _known_of_the_caller),
        ('deployment_failure_responses', 'class, status', _class),
        ('postgres_failed_requests', 'class', lambda labels: labels['error_class']),
    ):
        rows.append([f'`litellm_{name}`: {told}', *(_added_by(one, name, tell) for one in seen)])
    rows.append([f'`litellm_{_FAILURES}`, after recovery', *(_added_later(one) for one in seen)])
    return render_table(['Family', *(one.fault for one in seen)], rows)


def _checks(seen: list[Seen]) -> str:
    names = sorted({name for one in seen for name in one.checks})
    rows = [[one.fault, *(one.checks.get(name, '') for name in names)] for one in seen]
    return render_table(['Fault', *(f'`{name}`' for name in names)], rows)


def _added(one: Seen, name: str, suffix: str) -> str:
    family = f'litellm_{name}'
    added = one.during.total(family, suffix) - one.before.total(family, suffix)
    return f'+{added:.3g}' if added else '0'


def _added_later(one: Seen) -> str:
    family = f'litellm_{_FAILURES}'
    return f'+{one.after.total(family) - one.during.total(family):g}'


def _class(labels: Mapping[str, str]) -> str:
    return f'{labels["exception_class"]} {labels["exception_status"]}'


def _known_of_the_caller(labels: Mapping[str, str]) -> str:
    return ' '.join(label for label in _OF_CALLERS if labels.get(label, '') not in ('', 'None')) or 'none'


def _added_by(one: Seen, name: str, tell: Callable[[Mapping[str, str]], str]) -> str:
    """Return what a counter gained, by what its labels tell."""
    before, during = (_total_by(page, f'litellm_{name}', tell) for page in (one.before, one.during))
    return _counts(Counter({what: round(count) for what, count in (during - before).items()}), none='none')


def _total_by(page: Page, name: str, tell: Callable[[Mapping[str, str]], str]) -> Counter[str]:
    found: Counter[str] = Counter()
    family = page.families.get(name)
    for sample in family.samples if family else ():
        if sample.name.endswith('_total'):
            found[tell(sample.labels)] += int(sample.value)
    return found


def _counts(found: Counter[str], none: str = '') -> str:
    parts: Iterable[str] = (f'{count} × {what}' for what, count in found.most_common())
    return ', '.join(parts) or none
