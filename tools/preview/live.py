"""Record what the check submits over some minutes, without keys and passwords in the tags."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from datadog_checks.base import AgentCheck
from datadog_checks.litellm.report.summary import count_of
from datadog_checks.litellm.secrets import Redactor
from tools.datadog_model import Recorder, Store

__all__ = ['ScrapeError', 'record_for']


class ScrapeError(Exception):
    """The first scrape failed; the message says why, without secrets."""


def record_for(
    check: AgentCheck,
    seconds: float,
    interval: float,
    redact: Redactor,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.time,
    pause: Callable[[float], None] = time.sleep,
) -> Store:
    """Run a check every `interval` seconds until `seconds` have passed, and return what Datadog would have stored.

    Ctrl-C ends it early. Raises ScrapeError if the first run fails; a later one is told and goes on.
    """
    recorder = Recorder(rewritten=redact)
    begin = clock()
    runs = math.floor(seconds / interval + 1e-9) + 1
    try:
        for number in range(runs):
            flush = recorder.run(check, clock())
            if flush.error:
                message = redact(_message(flush.error))
                if number == 0:
                    raise ScrapeError(message)
                tell(f'run {number + 1} of {runs}: {message}')
            else:
                contexts = len(flush.counts) + len(flush.gauges) + len(flush.buckets)
                tell(f'run {number + 1} of {runs}: {count_of(contexts, "context")}')
            if number + 1 < runs:
                pause(max(0.0, begin + (number + 1) * interval - clock()))
    except KeyboardInterrupt:
        tell('stopped: drawing what there is')
    return recorder.store


def _message(error: str) -> str:
    reports: list[Mapping[str, Any]] = json.loads(error)
    return ' '.join(str(reports[0]['message']).split())
