"""Fault drills: each monitor is held against recordings of a proxy to which things happen.

A scenario (`scenarios.py`) is run once, with the real check, the fixture proxy and virtual time (`recording.py`). All
monitors are evaluated on the recording (`matrix.py`), and what they do is compared with what `expected.py` says.
"""

from __future__ import annotations

from .recording import record
from .scenarios import SCENARIOS, Phase, Scenario

__all__ = ['SCENARIOS', 'Phase', 'Scenario', 'record']
