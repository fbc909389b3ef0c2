"""Play the drills, stage by stage, and hold what the monitors did against what is expected of them."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing import get_context

from tools.drills.expected import EXPECTED, Expectation
from tools.drills.fault_matrix import Cell, cell_of, complaint, load_monitors
from tools.real_litellm.callers import ADA, BOB
from tools.real_litellm.environment import HarnessError, environment
from tools.real_litellm.real_proxy import RealProxy

from .drills import DRILLS, ONLY_HERE, STAGES, Drill
from .scene import MINUTE, UNJUDGED, Scene

__all__ = ['Played', 'described', 'expectations', 'play', 'wrong']


# So long, the check runs every half minute in each fault.
_QUICK_MINUTES = 3


@dataclass
class Played:
    """The outcome of a drill: the cells of its monitors, other findings, how long it took, and what clients got."""

    name: str
    cells: list[Cell] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    answers: dict[int, int] = field(default_factory=dict)


def play(drills: Iterable[Drill] = DRILLS) -> list[Played]:
    """Play drills, those of a stage one after the other, and stages at the same time, each in a process of its own.

    When LiteLLM does not start, or does not do what a drill waits for, that is a finding. Raises HarnessError when it
    cannot be installed.
    """
    by_stage: dict[str, list[str]] = {}
    for drill in drills:
        by_stage.setdefault(drill.stage, []).append(drill.name)
    environment()
    # What a check submits belongs to the whole process. The end of this one ends the others, with their proxies.
    with get_context('spawn').Pool(len(by_stage)) as pool:
        return [played for of_stage in pool.starmap(_play_stage, by_stage.items(), 1) for played in of_stage]


def expectations(drill: Drill) -> dict[str, Expectation]:
    """Return what is expected of the monitors in a drill, by their names."""
    but_for = {*drill.silent, *drill.unjudged}
    like = {one.monitor: one for one in EXPECTED if one.scenario == drill.like and one.monitor not in but_for}
    return like | {one.monitor: one for one in ONLY_HERE if one.scenario == drill.name}


def wrong(played: Played) -> list[str]:
    """Say what is not as expected in a drill, one line for each."""
    (drill,) = (one for one in DRILLS if one.name == played.name)
    expected = expectations(drill)
    complaints = ((cell.monitor, complaint(cell, expected.get(cell.monitor))) for cell in played.cells)
    return [f'{monitor}: {what}' for monitor, what in complaints if what] + played.findings


def described(played: Played) -> str:
    """Return what came of a drill, in some lines."""
    answers = ', '.join(f'{number} × {status or "none"}' for status, number in sorted(played.answers.items()))
    lines = [f'{played.name}: {played.seconds:.0f} s, clients got {answers or "nothing"}']
    for cell in played.cells:
        if cell.status != 'OK':
            recovered = 'never recovered' if cell.recovered is None else f'recovered {cell.recovered:g} min after it'
            lines.append(f'  {cell.monitor}: {cell.status} after {cell.fired:g} min, {recovered}')
    return '\n'.join([*lines, *(f'  WRONG: {what}' for what in wrong(played))])


def _play_stage(name: str, drills: list[str]) -> list[Played]:
    # Ended, it ends the proxy.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.disable(logging.CRITICAL)  # Scrapes that fail do so on purpose.
    stage = STAGES[name]
    chosen = [drill for drill in DRILLS if drill.name in drills]
    played: list[Played] = []
    try:
        with RealProxy(environment(), stage.options) as proxy:
            scene = Scene(proxy, {'red': ADA.key, 'blue': BOB.key}, stage.keys, stage.metrics_key, stage.timeout)
            try:
                for drill in chosen:
                    played.append(_play_one(scene, drill))
                    print(described(played[-1]), flush=True)
            finally:
                scene.close()
    except HarnessError as error:
        # What comes after a drill that could not be played to its end would begin in the middle of it.
        for drill in chosen[len(played) :]:
            played.append(Played(drill.name, findings=[str(error)]))
            print(described(played[-1]), flush=True)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return played


def _play_one(scene: Scene, drill: Drill) -> Played:
    began_at = time.monotonic()
    drill.before(scene)
    scene.minutes(drill.calm_before, drill.usual)
    scene.answers.clear()
    begins = scene.now
    with drill.fault(scene):
        # Service checks alert after some runs of the check.
        scene.minutes(_QUICK_MINUTES, drill.mix)
        scene.minutes(drill.minutes - _QUICK_MINUTES, drill.mix, drill.runs)
    ends, answers = scene.now, dict(scene.answers)
    scene.minutes(drill.calm, drill.usual, drill.runs)
    cells = [
        cell_of(name, drill.name, (begins, ends), monitor, scene.recorder.store, _every_minute(begins, scene.now))
        for name, monitor in load_monitors().items()
        if name not in UNJUDGED | drill.unjudged.keys()
    ]
    return Played(drill.name, cells, drill.proves(scene), time.monotonic() - began_at, answers)


def _every_minute(begins: float, ends: float) -> list[float]:
    return [begins + minute * MINUTE for minute in range(1, round((ends - begins) / MINUTE) + 1)]
