"""The Agents and Pythons that the wheel is tried on, and their environments. `make agents` makes these."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

__all__ = ['Environment', 'environments']

_INTEGRATION = Path(__file__).parents[2] / 'litellm'
_REQUIREMENTS = _INTEGRATION.parent / 'requirements'
_VENVS = _INTEGRATION.parent / '.venvs' / 'agents'
_CLASSIFIER = 'Programming Language :: Python :: '


class Environment(NamedTuple):
    """A Python that holds the base package of an Agent with its dependencies, and pip."""

    agent: str
    """The Agent's release; `newest` for the newest base package that the registry can install."""
    base: str
    python: str

    @property
    def name(self) -> str:
        return f'{self.agent}-python{self.python}'

    @property
    def interpreter(self) -> Path:
        return _VENVS / self.name / 'bin' / 'python'

    @property
    def constraints(self) -> Path:
        """Return the file that pins its packages."""
        return _REQUIREMENTS / f'agent-{self.agent}.txt'


def environments() -> list[Environment]:
    """Return every Agent of `requirements/agent-*.in` on every Python that the integration says it runs on."""
    agents = sorted(path.stem.removeprefix('agent-') for path in _REQUIREMENTS.glob('agent-*.in'))
    return [Environment(agent, _base(agent), python) for agent in agents for python in _pythons()]


def _base(agent: str) -> str:
    pinned = re.search(r'^datadog-checks-base==(\S+)', (_REQUIREMENTS / f'agent-{agent}.txt').read_text(), re.MULTILINE)
    assert pinned is not None
    return pinned[1]


def _pythons() -> list[str]:
    project = tomllib.loads((_INTEGRATION / 'pyproject.toml').read_text())['project']
    return [line.removeprefix(_CLASSIFIER) for line in project['classifiers'] if line.startswith(_CLASSIFIER)]
