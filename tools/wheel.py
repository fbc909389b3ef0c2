"""Wheels: ours as `make wheel` builds it, and a stand-in for the check of the same name that Agents bundle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ['INTEGRATION', 'build', 'build_bundled']

INTEGRATION = Path(__file__).parents[1] / 'litellm'
_BUILD_SECONDS = 120

# Only its names matter: of the distribution, of the module, and of a module that ours does not have.
_BUNDLED_VERSION = '2.4.1'
_BUNDLED_PROJECT = f"""
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "datadog-litellm"
version = "{_BUNDLED_VERSION}"
dependencies = ["datadog-checks-base"]
[tool.hatch.build.targets.wheel]
include = ["/datadog_checks/litellm"]
"""
_BUNDLED_MODULE = f"""
__version__ = {_BUNDLED_VERSION!r}
from tests.former import Former
"""
_FORMER_MODULE = """
from datadog_checks.base import AgentCheck
class Former(AgentCheck): pass
"""
_BUNDLED_FILES = {
    'datadog_checks/litellm/__init__.py': _BUNDLED_MODULE,
    'datadog_checks/litellm/former.py': _FORMER_MODULE,
    'datadog_checks/litellm/data/conf.yaml.example': '# the former one',
    'pyproject.toml': _BUNDLED_PROJECT,
}


def build(
    destination: Path, project: Path = INTEGRATION, variables: dict[str, str] | None = None, target: str = 'wheel'
) -> Path:
    """Build a project's wheel, or `sdist`, into a folder, with the backend that is installed, and return its path."""
    command = [sys.executable, '-m', 'hatchling', 'build', '-t', target, '-d', str(destination)]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, timeout=_BUILD_SECONDS)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    (built,) = (path for path in destination.iterdir() if path.suffix in ('.whl', '.gz'))
    return built


def build_bundled(destination: Path) -> Path:
    """Build a wheel that is installed where Agents have their own `litellm` check."""
    project = destination / 'project'
    for name, text in _BUNDLED_FILES.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return build(destination, project)
