"""Hold every monitor against the recording of every scenario, and write down what it did and told.

What it does is that of one proxy. What people are told is that of a fleet of forty pods to which the same happens.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tools.datadog_model import Store
from tools.datadog_model.frames import Group
from tools.datadog_model.monitors import Monitor
from tools.datadog_model.notifications import notifications
from tools.datadog_model.syntax import ServiceCheckQuery

from .expected import EXPECTED, MOST_ALERTS, MOST_NOTIFICATIONS, SEVERAL_FAULTS, Expectation
from .fleet import Pods, fleet
from .recording import record
from .scenarios import SCENARIOS, Scenario

__all__ = [
    'MARKER',
    'MONITORS',
    'TABLE',
    'Cell',
    'Incident',
    'Matrix',
    'Played',
    'Variant',
    'cell_of',
    'cells_of',
    'complaint',
    'faults',
    'incident_of',
    'load_monitors',
    'play',
    'play_each',
    'strange_incidents',
    'table',
    'times_of',
]

_Task = TypeVar('_Task')
_Result = TypeVar('_Result')

_ASSETS = Path(__file__).parents[2] / 'litellm' / 'assets'
MONITORS = _ASSETS / 'monitors'
TABLE = MONITORS / 'README.md'
# What stands around the table on that page.
MARKER = 'drills'

# As often as Datadog evaluates monitors, or once per run of the check where that is rarer.
_EVALUATED_EVERY = 60.0

# Pods of the fleet whose notifications are counted.
_PODS = 40

_GRAVITY = {'OK': 0, 'Warn': 1, 'No Data': 2, 'Alert': 3}


class Cell(NamedTuple):
    """The record of a monitor in a scenario, in minutes after the fault began or ended.

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


class Incident(NamedTuple):
    """A scenario as people are told of it: which monitors told first, how many alerts and notifications there were.

    `monitors` are all those that told anything, the earliest first. Missing data that is told of is an alert.
    """

    scenario: str
    monitors: tuple[str, ...]
    first: frozenset[str]
    alerts: int
    notifications: int


Matrix = dict[tuple[str, str], Cell]


class Played(NamedTuple):
    """The cells and incidents of some scenarios."""

    matrix: Matrix
    incidents: dict[str, Incident]


def load_monitors() -> dict[str, Monitor]:
    """Read the monitors of the assets, by the names of their files."""
    return {file.stem: Monitor.from_json(json.loads(file.read_text())) for file in sorted(MONITORS.glob('*.json'))}


class Variant(NamedTuple):
    """A scenario of `SCENARIOS` where the instance has other options or runs more rarely, or on another release."""

    name: str
    options: Mapping[str, Any] | None = None
    release: str | None = None
    interval: float = 0.0

    @property
    def scenario(self) -> Scenario:
        scenario = SCENARIOS[self.name].every(self.interval)
        options = scenario.options if self.options is None else self.options
        return scenario.on(self.release or scenario.release).having(**options)


def play(names: Iterable[str] = tuple(SCENARIOS)) -> Played:
    """Play scenarios by name, each by itself and on a fleet."""
    played = _in_processes(_play_one, names)
    cells = [cell for cells, _ in played for cell in cells]
    return Played(
        {(cell.monitor, cell.scenario): cell for cell in cells},
        {incident.scenario: incident for _, incident in played},
    )


def play_each(variants: Iterable[Variant]) -> list[list[Cell]]:
    """Play variants of scenarios, each by itself."""
    return _in_processes(_cells_of_one, variants)


def _in_processes(work: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> list[_Result]:
    """Do as many tasks at a time as there are processors, in their order.

    A process of its own for each: a clock, a server and what the check submits belong to the whole process.
    """
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context('spawn'), max_tasks_per_child=1) as pool:
        return list(pool.map(work, tasks))


def _play_one(name: str) -> tuple[list[Cell], Incident]:
    logging.disable(logging.CRITICAL)  # Scrapes that fail do so on purpose.
    scenario, monitors = SCENARIOS[name], load_monitors()
    store = record(scenario)
    # A request that fails by itself does not fail on forty pods at once.
    has_fault = any(phase.is_fault for phase in scenario.phases)
    pods = fleet([(store, Pods(_PODS, 'repeated' if has_fault else 'shared'))])
    return list(cells_of(scenario, store, monitors)), incident_of(scenario, pods, monitors)


def _cells_of_one(variant: Variant) -> list[Cell]:
    logging.disable(logging.CRITICAL)
    scenario = variant.scenario
    return list(cells_of(scenario, record(scenario), load_monitors()))


def cells_of(scenario: Scenario, store: Store, monitors: Mapping[str, Monitor]) -> Iterator[Cell]:
    """Evaluate monitors on the recording of a scenario."""
    for name, monitor in monitors.items():
        yield cell_of(name, scenario.name, scenario.fault, monitor, store, times_of(scenario, monitor))


def incident_of(scenario: Scenario, store: Store, monitors: Mapping[str, Monitor]) -> Incident:
    """Count what monitors tell of the recording of a scenario."""
    told = [
        (one.time, name, one.status)
        for name, monitor in monitors.items()
        for one in notifications(monitor, monitor.run(store, times_of(scenario, monitor)))
    ]
    told.sort()
    return Incident(
        scenario.name,
        tuple(dict.fromkeys(name for _, name, _ in told)),
        frozenset(name for time, name, _ in told if time == told[0][0]),
        sum(status in ('Alert', 'No Data') for _, _, status in told),
        len(told),
    )


def times_of(scenario: Scenario, monitor: Monitor) -> Iterator[float]:
    """Yield the times at which a monitor is evaluated.

    Where time passes in steps that are longer than its window it is not: it would see gaps that no Agent leaves.
    """
    query = monitor.query
    window = math.inf if isinstance(query, ServiceCheckQuery) else query.seconds
    sees_gaps_until = 0.0
    now = scenario.start
    for phase in scenario.phases:
        step, end = max(_EVALUATED_EVERY, phase.step_seconds), now + 60 * phase.minutes
        while now + step <= end:
            now += step
            if phase.step_seconds > window:
                sees_gaps_until = now + window + monitor.options.get('evaluation_delay', 0)
            elif now >= sees_gaps_until:
                yield now
        now = end


def cell_of(
    name: str, scenario: str, fault: tuple[float, float], monitor: Monitor, store: Store, times: Iterable[float]
) -> Cell:
    """Evaluate a monitor at some times of a recording in which a fault began and ended at two others."""
    begins, ends = fault
    evaluations = monitor.run(store, times)
    noticed = [
        (one.time, one.status)
        for one in evaluations
        if one.status in ('Warn', 'Alert') or (one.status == 'No Data' and monitor.notifies_of_missing_data)
    ]
    if not noticed:
        return Cell(name, scenario, 'OK', 0.0, 0.0)
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
    return Cell(name, scenario, gravest, (fired - begins) / 60, recovered, lapsed)


def faults(matrix: Matrix) -> list[str]:
    """Say where the matrix is not as expected, one line for each such cell."""
    expected = {(one.monitor, one.scenario): one for one in EXPECTED}
    lines = [f'{" in ".join(key)} is expected, but there is none' for key in expected.keys() - matrix.keys()]
    for key, cell in matrix.items():
        what = complaint(cell, expected.get(key))
        if what:
            lines.append(f'{cell.monitor} in {cell.scenario}: {what}')
    return lines


def complaint(cell: Cell, expectation: Expectation | None) -> str:
    """Say what is wrong with a cell, nothing if it is as expected: silent, without an expectation."""
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


def strange_incidents(incidents: Mapping[str, Incident]) -> list[str]:
    """Say of which scenarios people are told too much, or not first what the cause is."""
    lines = []
    for name, incident in incidents.items():
        cause = SCENARIOS[name].cause
        if cause is not None and cause not in incident.first:
            lines.append(f'{name}: {", ".join(sorted(incident.first)) or "nobody"} tells first, not {cause}')
        if name not in SEVERAL_FAULTS and (
            incident.alerts > MOST_ALERTS or incident.notifications > MOST_NOTIFICATIONS
        ):
            lines.append(f'{name}: {incident.alerts} alerts and {incident.notifications} notifications')
    return lines


def table(played: Played) -> str:
    """Write the matrix, the scenarios and the reasons in Markdown."""
    matrix, incidents = played
    scenarios = list(SCENARIOS.values())
    monitors = sorted({monitor for monitor, _ in matrix})
    lines = ['| drill | what happens | told first | alerts | notifications |', _row('---', ['---'] * 4)]
    for number, scenario in enumerate(scenarios, 1):
        incident = incidents[scenario.name]
        first = scenario.cause if scenario.cause in incident.first else ', '.join(sorted(incident.first))
        told = (scenario.description, first or '·', str(incident.alerts), str(incident.notifications))
        lines.append(_row(f'{number} {scenario.name}', told))
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
