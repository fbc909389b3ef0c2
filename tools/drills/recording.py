"""Run a scenario: the check against the fixture proxy, step by step, and keep what Datadog would have stored."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from tests.support.stock_check import StockCheck

from datadog_checks.litellm import LitellmCheck
from tools.datadog_model import Recorder, Store

from .clock import VirtualClock
from .scenarios import Phase, Scenario
from .stage import Stage, Surroundings

__all__ = ['record']

# How often LiteLLM's own jobs run here, in seconds of virtual time.
_JOBS = {'spend_queues': 60.0, 'budgets': 300.0, 'reset_budgets': 300.0}
_HEALTH_CHECKS = {'health_checks': 300.0}


def record(scenario: Scenario, rewritten: Callable[[str], str] = str) -> Store:
    """Run a scenario from its start to its end and return all that was submitted meanwhile, with its tags rewritten."""
    clock = VirtualClock(scenario.start)
    with clock.told(), ExitStack() as stack:
        run = _Run(scenario, clock, stack, Recorder(rewritten=rewritten))
        for phase in scenario.phases:
            run.play(phase)
    return run.recorder.store


class _Pod:
    """A proxy, and the instance of the check that the Agent runs for it."""

    def __init__(self, stage: Stage, metrics_key: str, options: Mapping[str, Any]) -> None:
        self.stage = stage
        self._instance = {
            'openmetrics_endpoint': f'{stage.url}/metrics/',
            'litellm_health_endpoint': f'{stage.url}/health',
            'extra_headers': {'Authorization': f'Bearer {metrics_key}'},
            **options,
        }
        self.check: LitellmCheck | StockCheck = LitellmCheck('litellm', {}, [self._instance])

    def run_by(self, kind: type[LitellmCheck] | type[StockCheck]) -> bool:
        """Have a check of this kind run the instance from now on; tell whether that is a new one, in a new Agent."""
        if type(self.check) is kind:
            return False
        self.check.cancel()
        self.check = kind('litellm', {}, [self._instance])
        return True


class _Run:
    def __init__(self, scenario: Scenario, clock: VirtualClock, stack: ExitStack, recorder: Recorder) -> None:
        self.recorder = recorder
        self._scenario = scenario
        self._clock = clock
        self._stack = stack
        self._surroundings = stack.enter_context(Surroundings())
        self._pods: dict[str, _Pod] = {}
        self._sent = 0

    def play(self, phase: Phase) -> None:
        """Let one phase happen."""
        self.recorder.tags = (*self._scenario.tags, *phase.tags)
        for name in self._pods.keys() - {*phase.pods}:
            # The Agent no longer knows it: nobody reports that it is gone.
            pod = self._pods.pop(name)
            pod.stage.stop()
            pod.check.cancel()
        for name in phase.pods:
            if name not in self._pods:
                self._pods[name] = self._new_pod()
        for pod in self._pods.values():
            if pod.run_by(StockCheck if phase.bundled else LitellmCheck):
                self.recorder.restart()
            if phase.restart or not phase.up:
                pod.stage.stop()
            if phase.up and not pod.stage.is_up:
                pod.stage.start()
        self._surroundings.control(phase.controls)
        self._surroundings.advance(phase.advance)
        self._run_jobs(*phase.jobs)
        began, owed = self._clock.now, 0.0
        for _ in range(round(phase.minutes * 60 / phase.step_seconds)):
            owed += phase.per_minute * phase.step_seconds / 60
            self._step(phase, int(owed), began)
            owed -= int(owed)

    def _new_pod(self) -> _Pod:
        scenario = self._scenario
        stage = Stage(self._surroundings, self._clock, scenario.release)
        return _Pod(self._stack.enter_context(stage), scenario.metrics_key, scenario.options)

    def _step(self, phase: Phase, requests: int, began: float) -> None:
        """Let half of a step's time pass, serve its requests, let the other half pass, and run the checks."""
        half = phase.step_seconds / 2
        self._pass(half)
        pods = list(self._pods.values())
        for _ in range(requests if phase.mix else 0):
            plan = phase.mix[self._sent % len(phase.mix)]
            words = 'tell me more ' * random.Random(self._sent).randint(1, phase.longest)
            # Not by turns: each client would always meet the same pod.
            pod = pods[self._sent // len(phase.mix) % len(pods)]
            pod.stage.send(plan(f'{self._scenario.name} {self._sent} {words}'))
            self._sent += 1
        self._run_jobs(*self._due(phase.step_seconds, began))
        self._pass(half)
        for pod in pods:
            self.recorder.run(pod.check, self._clock.now)

    def _due(self, step_seconds: float, began: float) -> list[str]:
        """Name the jobs that run in this step."""
        jobs = {**_JOBS, **_HEALTH_CHECKS} if self._scenario.health_checks else _JOBS
        return [name for name, period in jobs.items() if (self._clock.now - began) % period < step_seconds]

    def _run_jobs(self, *names: str) -> None:
        for pod in self._pods.values():
            pod.stage.run_jobs(*names)

    def _pass(self, seconds: float) -> None:
        self._clock.now += seconds
        self._surroundings.advance(seconds)
