"""Play faults on the newest real LiteLLM, with a database, and print what it counts and answers meanwhile.

Nine faults of forty seconds, at real speed: twelve to fifteen minutes.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tools.markdown import put_table, render_table
from tools.real_litellm.environment import HarnessError, environment
from tools.real_litellm.families import Page

from .faults import Seen, observe

__all__ = ['main']

PAGE = Path(__file__).parents[2] / 'docs' / 'outages.md'

_COUNTERS = (
    'proxy_total_requests_metric',
    'proxy_failed_requests_metric',
    'requests_metric',
    'llm_api_failed_requests_metric',
    'deployment_failure_responses',
    'spend_metric',
    'postgres_total_requests',
    'postgres_failed_requests',
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.outages', description=__doc__)
    parser.add_argument('--write', action='store_true', help=f'write the tables into docs/{PAGE.name}')
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        seen = observe(environment())
    except HarnessError as error:
        print(error, file=sys.stderr)
        return 1
    tables = {'clients': _clients(seen), 'families': _families(seen), 'checks': _checks(seen)}
    for name, table in tables.items():
        print(f'{table}\n')
        if options.write:
            put_table(PAGE, table, name)
    return 0


def _clients(seen: list[Seen]) -> str:
    """Return who was answered what, one row per fault."""
    callers = list(seen[0].answers)
    rows = [[one.fault.name, *(_counts(one.answers[caller]) for caller in callers)] for one in seen]
    return render_table(['Fault', *callers], rows)


def _families(seen: list[Seen]) -> str:
    """Return what each family did in each fault: what was counted, and the values of gauges at its end."""
    rows = []
    for name in _COUNTERS:
        rows.append([f'`litellm_{name}`', *(_added(one, name, '_total') for one in seen)])
    for name in _OBSERVATIONS:
        rows.append([f'`litellm_{name}`, observations', *(_added(one, name, '_count') for one in seen)])
    for name in _GAUGES:
        rows.append([f'`litellm_{name}`', *(f'{one.during.total(f"litellm_{name}", ""):g}' for one in seen)])
    rows.append([f'`litellm_{_FAILURES}`: class, status', *(_classes(one) for one in seen)])
    rows.append(['the same, after recovery', *(_added_later(one) for one in seen)])
    return render_table(['Family', *(one.fault.name for one in seen)], rows)


def _checks(seen: list[Seen]) -> str:
    names = sorted({name for one in seen for name in one.checks})
    rows = [[one.fault.name, *(one.checks.get(name, '') for name in names)] for one in seen]
    return render_table(['Fault', *(f'`{name}`' for name in names)], rows)


def _added(one: Seen, name: str, suffix: str) -> str:
    family = f'litellm_{name}'
    added = one.during.total(family, suffix) - one.before.total(family, suffix)
    return f'+{added:.3g}' if added else '0'


def _added_later(one: Seen) -> str:
    family = f'litellm_{_FAILURES}'
    return f'+{one.after.total(family) - one.during.total(family):g}'


def _classes(one: Seen) -> str:
    before, during = (_by_class(page) for page in (one.before, one.during))
    return _counts(Counter({what: round(count) for what, count in (during - before).items()}), times=True)


def _by_class(page: Page) -> Counter[str]:
    found: Counter[str] = Counter()
    family = page.families.get(f'litellm_{_FAILURES}')
    for sample in family.samples if family else ():
        if sample.name.endswith('_total'):
            found[f'{sample.labels["exception_class"]} {sample.labels["exception_status"]}'] += int(sample.value)
    return found


def _counts(found: Counter[str], times: bool = False) -> str:
    parts: Iterable[str] = (f'{count} × {what}' for what, count in found.most_common())
    return ', '.join(parts) or ('none' if times else '')


if __name__ == '__main__':
    sys.exit(main())
