"""Tell which check of the name `litellm` this Python has: this one, a bundled one, or parts of both."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..__about__ import __version__
from .finding import Finding, Verdict

__all__ = ['DISTRIBUTION', 'look_at_installation']

DISTRIBUTION = 'datadog-litellm'
BASE = 'datadog-checks-base'

# Where the Agent has its own Python, by operating system.
AGENT_FOLDERS = ('/opt/datadog-agent/', '/Applications/Datadog Agent.app/', 'C:/Program Files/Datadog/Datadog Agent/')


def look_at_installation() -> Iterator[Finding]:
    """Say what is installed in the Python that runs this, and whether that is an Agent's."""
    installed, base = _version_of(DISTRIBUTION), _version_of(BASE)
    text = f'this check, {__version__}, on {BASE} {base} and Python {platform.python_version()}'
    if installed == __version__:
        yield Finding(Verdict.OK, 'installed', text)
    else:
        yield Finding(
            Verdict.PROBLEM,
            'installed',
            f'{text}, but the installed package says {installed}',
            'Another installation has overwritten a part of this one: install the wheel again, and restart the Agent.',
        )
    if not Path(sys.prefix).as_posix().startswith(tuple(folder.rstrip('/') for folder in AGENT_FOLDERS)):
        yield Finding(
            Verdict.NOTE,
            'Python',
            f'{sys.executable} is not the one of an Agent',
            'Run this with the Python of the Agent, such as /opt/datadog-agent/embedded/bin/python, to learn what the '
            'Agent runs.',
        )


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return 'none'
