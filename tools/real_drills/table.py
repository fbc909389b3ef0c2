"""The table of the drills on the real LiteLLM: what is done, and which monitors have to tell of it."""

from __future__ import annotations

from tools.drills.fault_matrix import MONITORS
from tools.markdown import render_table

from .drills import DRILLS, Drill
from .play import expectations

__all__ = ['MARKER', 'PAGE', 'table']

PAGE = MONITORS / 'README.md'
# What stands around the table on that page.
MARKER = 'real drills'


def table() -> str:
    """Return the table, a row for each drill; what it says is what the drills are held to."""
    head = ['Drill', 'Proxy', 'What happens', 'Like above', 'Alerts, within so many minutes', 'But for']
    return render_table(head, map(_row, DRILLS))


def _row(drill: Drill) -> list[str]:
    alerts = sorted(expectations(drill).items())
    told = ', '.join(f'{monitor} {one.within:g}' for monitor, one in alerts)
    but_for = [f'{monitor} is silent: {why}' for monitor, why in sorted(drill.silent.items())]
    but_for += [f'{monitor} is not judged: {why}' for monitor, why in sorted(drill.unjudged.items())]
    return [drill.name, drill.stage, drill.description, drill.like, told or 'none', ' '.join(but_for)]
