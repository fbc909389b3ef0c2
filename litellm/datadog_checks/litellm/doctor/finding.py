"""Hold what the doctor finds."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ['Finding', 'Verdict']


class Verdict(StrEnum):
    """The seriousness of a finding: a problem is to be mended, a note is to be known."""

    OK = 'ok'
    NOTE = 'note'
    PROBLEM = 'problem'


class Finding(NamedTuple):
    """One thing that was looked at, what it is like, and what to do about it."""

    verdict: Verdict
    subject: str
    text: str
    advice: str = ''
