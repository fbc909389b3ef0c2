"""Fault drills: each monitor is held against recordings of a proxy to which things happen.

A scenario (`scenarios.py`) is run once, with the real check, the fixture proxy and virtual time (`recording.py`). All
monitors are evaluated on the recording (`fault_matrix.py`), and what they do is compared with what `expected.py` says.
`FULL` is no drill but a day in which all that the fixture proxy can do happens, for dashboards to show.
"""

from __future__ import annotations

from .fleet import enlarged
from .full import DAY_SECONDS, FULL, busier
from .recording import record
from .scenarios import SCENARIOS, Phase, Scenario

__all__ = ['DAY_SECONDS', 'FULL', 'SCENARIOS', 'Phase', 'Scenario', 'busier', 'enlarged', 'record']
