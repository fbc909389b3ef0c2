"""Estimate how many points of counts each setting of `idle_counts` would send.

What moved between two scrapes stands for what moves: the estimate is exact where the same contexts move in every run of
the Agent, and low where others take their turns or the scrapes were closer together than the runs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..scrapers.submission import ROTATION, IdleCounts
from .aggregation import Point
from .measure import Measurement

__all__ = ['IdlePoints', 'count_points', 'idle_points', 'moved']

HOUR = 3600.0


class IdlePoints(NamedTuple):
    """The points of counts that one setting sends."""

    setting: str
    per_run: int
    per_hour: int


def count_points(measurement: Measurement) -> list[Point]:
    """Return the points of counts. Empty where `idle_counts` decides nothing: with the base package's scraper."""
    return [point for point in measurement.points if point.type == 'count'] if measurement.is_exact else []


def moved(counts: Collection[Point]) -> int:
    """Return how many contexts counted anything between the two scrapes."""
    return sum(point.value != 0 for point in counts)


def idle_points(counts: Collection[Point], every: float) -> list[IdlePoints]:
    """Return what each setting would send with a run every so many seconds."""
    moving = moved(counts)
    idle = len(counts) - moving
    per_run = {
        IdleCounts.SPARSE: moving + idle * min(every / ROTATION, 1.0),
        IdleCounts.ALWAYS: float(len(counts)),
        IdleCounts.NEVER: float(moving),
    }
    return [
        IdlePoints(setting.value, round(points), round(points * HOUR / every)) for setting, points in per_run.items()
    ]
