"""The trials as a table, for the terminal and for docs/agents.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tools.markdown import put_table, render_table

from .environments import Environment
from .trial import COLUMNS, Trial

__all__ = ['HEAD', 'MARKER', 'PAGE', 'place', 'table', 'write']

PAGE = Path(__file__).parents[2] / 'docs' / 'agents.md'
MARKER = 'table of Agents'
HEAD = ('Agent', 'base package', 'Python', *COLUMNS)


def place(environment: Environment) -> tuple[str, str, str]:
    """Return the first cells of an environment's row."""
    return (environment.agent, environment.base, environment.python)


def table(trials: Iterable[Trial]) -> str:
    """Return the trials as a Markdown table; a cell says whether the column passed."""
    rows = (
        (*place(trial.environment), *('FAIL' if trial.complaints[column] else 'pass' for column in COLUMNS))
        for trial in trials
    )
    return render_table(HEAD, rows)


def write(trials: Iterable[Trial]) -> None:
    """Put the table into docs/agents.md."""
    put_table(PAGE, table(trials), MARKER)
