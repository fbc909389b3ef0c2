"""Hold every monitor against the recording of every scenario, and write down what it did."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from tools.datadog_model import Store
from tools.datadog_model.frames import Group
from tools.datadog_model.monitors import Evaluation, Monitor

from .expected import EXPECTED, Expectation
from .recording import record
from .scenarios import SCENARIOS, Scenario

__all__ = [
    'MARKER',
    'MONITORS',
    'TABLE',
    'Cell',
    'Matrix',
    'cells_of',
    'faults',
    'load_monitors',
    'play',
    'play_each',
    'table',
]

_ASSETS = Path(__file__).parents[2] / 'litellm' / 'assets'
MONITORS = _ASSETS / 'monitors'
TABLE = MONITORS / 'README.md'
# What stands around the table on that page.
MARKER = 'drills'

# As often as Datadog evaluates monitors, or once per run of the check where that is rarer.
_EVALUATED_EVERY = 60.0

_GRAVITY = {'OK': 0, 'Warn': 1, 'No Data': 2, 'Alert': 3}


class Cell(NamedTuple):
    """What a monitor did in a scenario, in minutes after the fault began or ended.

    `status` is the gravest that any group had, `fired` when it first had it, `recovered` from when on all groups were
    OK, None if they were not at the end of the recording. `lapsed` is when a group that had alerted was OK although the
    fault went on, None if none was.
    """

    monitor: str
    scenario: str
    status: str
    fired: float
    recovered: float | None
    lapsed: float | None = None


Matrix = dict[tuple[str, str], Cell]


def load_monitors() -> dict[str, Monitor]:
    """Read the monitors of the assets, by the names of their files."""
    return {file.stem: Monitor.from_json(json.loads(file.read_text())) for file in sorted(MONITORS.glob('*.json'))}


def play(names: Iterable[str] = tuple(SCENARIOS)) -> Matrix:
    """Play scenarios by name."""
    return {
        (cell.monitor, cell.scenario): cell for cells in play_each(SCENARIOS[name] for name in names) for cell in cells
    }


def play_each(scenarios: Iterable[Scenario]) -> list[list[Cell]]:
    """Record scenarios, as many at a time as there are processors, and evaluate all monitors on each.

    They are those of `SCENARIOS`, with options or a release of their own: other changes do not reach the processes.
    """
    variants = [(scenario.name, scenario.release, dict(scenario.options)) for scenario in scenarios]
    # A process of its own for each: a clock, a server and what the check submits belong to the whole process.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context('spawn'), max_tasks_per_child=1) as pool:
        return list(pool.map(_play_one, variants))


def _play_one(variant: tuple[str, str, dict[str, Any]]) -> list[Cell]:
    name, release, options = variant
    scenario = SCENARIOS[name].on(release).having(**options)
    logging.disable(logging.CRITICAL)  # Scrapes that fail do so on purpose.
    return list(cells_of(scenario, record(scenario), load_monitors()))


def cells_of(scenario: Scenario, store: Store, monitors: dict[str, Monitor]) -> Iterator[Cell]:
    """Evaluate monitors on the recording of a scenario."""
    times = list(_times(scenario))
    for name, monitor in monitors.items():
        notifies_no_data = bool(monitor.options.get('notify_no_data'))
        yield _cell(name, scenario, monitor.run(store, times), notifies_no_data)


def _times(scenario: Scenario) -> Iterator[float]:
    now = scenario.start
    for phase in scenario.phases:
        step, end = max(_EVALUATED_EVERY, phase.step_seconds), now + 60 * phase.minutes
        while now + step <= end:
            now += step
            yield now
        now = end


def _cell(name: str, scenario: Scenario, evaluations: Sequence[Evaluation], notifies_no_data: bool) -> Cell:
    begins, ends = scenario.fault
    noticed = [
        (one.time, one.status)
        for one in evaluations
        if one.status in ('Warn', 'Alert') or (one.status == 'No Data' and notifies_no_data)
    ]
    if not noticed:
        return Cell(name, scenario.name, 'OK', 0.0, 0.0)
    gravest = max((status for _, status in noticed), key=lambda status: _GRAVITY[status])
    fired = min(time for time, status in noticed if status == gravest)
    last = max(time for time, _ in noticed)
    later = [one.time for one in evaluations if one.time > last]
    recovered = (min(later) - ends) / 60 if later else None
    alerted: set[Group] = set()
    lapsed = None
    for one in evaluations:
        if one.status == 'Alert':
            alerted.add(one.group)
        elif one.status == 'OK' and one.group in alerted and begins <= one.time < ends and lapsed is None:
            lapsed = (one.time - begins) / 60
    return Cell(name, scenario.name, gravest, (fired - begins) / 60, recovered, lapsed)


def faults(matrix: Matrix) -> list[str]:
    """Say where the matrix is not as expected, one line for each such cell."""
    expected = {(one.monitor, one.scenario): one for one in EXPECTED}
    lines = [f'{" in ".join(key)} is expected, but there is none' for key in expected.keys() - matrix.keys()]
    for key, cell in matrix.items():
        complaint = _complaint(cell, expected.get(key))
        if complaint:
            lines.append(f'{cell.monitor} in {cell.scenario}: {complaint}')
    return lines


def _complaint(cell: Cell, expectation: Expectation | None) -> str:
    if expectation is None:
        return '' if cell.status == 'OK' else f'{cell.status} after {cell.fired:g} minutes, where it has to be silent'
    if cell.status != expectation.status:
        return f'{cell.status} instead of {expectation.status}'
    if not 0 <= cell.fired <= expectation.within:
        return f'fires {cell.fired:g} minutes after the fault began, not within {expectation.within:g}'
    if cell.lapsed is not None:
        return f'is OK again {cell.lapsed:g} minutes after the fault began, while it lasts'
    if cell.recovered is None:
        return 'never recovers'
    if cell.recovered > expectation.recovers:
        return f'recovers {cell.recovered:g} minutes after the fault ended, not within {expectation.recovers:g}'
    return ''


def table(matrix: Matrix) -> str:
    """Write the matrix, the scenarios and the reasons in Markdown."""
    scenarios = list(SCENARIOS.values())
    monitors = sorted({monitor for monitor, _ in matrix})
    lines = ['| drill | what happens |', '| --- | --- |']
    lines += [f'| {number} {one.name} | {one.description} |' for number, one in enumerate(scenarios, 1)]
    lines += ['', _row('monitor', (str(number) for number in range(1, len(scenarios) + 1)))]
    lines.append(_row('---', ('---' for _ in scenarios)))
    for monitor in monitors:
        lines.append(_row(monitor, (_symbol(matrix[monitor, one.name]) for one in scenarios)))
    lines += [
        '',
        '| monitor | drill | fires after | recovers after | why it should |',
        '| --- | --- | --- | --- | --- |',
    ]
    for one in sorted(EXPECTED):
        cell = matrix[one.monitor, one.scenario]
        times = (_minutes(cell.fired), '-' if cell.recovered is None else _minutes(cell.recovered))
        lines.append(f'| {one.monitor} | {one.scenario} | {times[0]} | {times[1]} | {one.why} |')
    return '\n'.join(lines)


def _row(first: str, others: Iterable[str]) -> str:
    return f'| {first} | {" | ".join(others)} |'


def _symbol(cell: Cell) -> str:
    return {'OK': '·', 'Warn': 'warns', 'No Data': 'no data', 'Alert': f'**{cell.fired:.0f}**'}[cell.status]


def _minutes(minutes: float) -> str:
    return f'{max(minutes, 0):.0f} min'
