"""Run a scenario: the check against the fixture proxy, step by step, and keep what Datadog would have stored."""

from __future__ import annotations

import random

from datadog_checks.litellm import LitellmCheck
from tests.datadog_model import Recorder, Store

from .clock import VirtualClock
from .scenarios import Phase, Scenario
from .stage import AGENT_KEY, Stage

__all__ = ['record']

# How often LiteLLM's own jobs run here, in seconds of virtual time.
_JOBS = {60.0: ('spend_queues',), 300.0: ('budgets', 'reset_budgets')}


def record(scenario: Scenario) -> Store:
    """Run a scenario from its start to its end and return all that was submitted meanwhile."""
    clock = VirtualClock(scenario.start)
    recorder = Recorder()
    with clock.told(), Stage(clock, scenario.release, scenario.broken_models) as stage:
        run = _Run(scenario, clock, stage, recorder)
        for phase in scenario.phases:
            run.play(phase)
    return recorder.store


class _Run:
    def __init__(self, scenario: Scenario, clock: VirtualClock, stage: Stage, recorder: Recorder) -> None:
        self._clock = clock
        self._stage = stage
        self._recorder = recorder
        self._name = scenario.name
        instance = {
            'openmetrics_endpoint': f'{stage.url}/metrics/',
            'litellm_health_endpoint': f'{stage.url}/health',
            'extra_headers': {'Authorization': f'Bearer {AGENT_KEY}'},
        }
        self._check = LitellmCheck('litellm', {}, [instance])
        self._sent = 0

    def play(self, phase: Phase) -> None:
        """Let one phase happen."""
        if phase.restart or not phase.up:
            self._stage.stop()
        if phase.up and not self._stage.is_up:
            self._stage.start()
        self._stage.surround(phase.controls)
        self._stage.advance(phase.advance)
        self._stage.run_jobs(*phase.jobs)
        began, owed = self._clock.now, 0.0
        for _ in range(round(phase.minutes * 60 / phase.step_seconds)):
            owed += phase.per_minute * phase.step_seconds / 60
            self._step(phase, int(owed), began)
            owed -= int(owed)

    def _step(self, phase: Phase, requests: int, began: float) -> None:
        """Let half of a step's time pass, serve its requests, let the other half pass, and run the check."""
        half = phase.step_seconds / 2
        self._pass(half)
        for _ in range(requests if phase.mix else 0):
            plan = phase.mix[self._sent % len(phase.mix)]
            words = 'tell me more ' * random.Random(self._sent).randint(1, phase.longest)
            self._stage.send(plan(f'{self._name} {self._sent} {words}'))
            self._sent += 1
        for period, names in _JOBS.items():
            if (self._clock.now - began) % period < phase.step_seconds:
                self._stage.run_jobs(*names)
        self._pass(half)
        self._recorder.run(self._check, self._clock.now)

    def _pass(self, seconds: float) -> None:
        self._clock.now += seconds
        self._stage.advance(seconds)
