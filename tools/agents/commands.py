"""Restate `agent integration install -w`, `show` and `remove`: with pip, and nothing from the network."""

from __future__ import annotations

import re
import subprocess
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

from .environments import Environment
from .in_agent import SHARED_PACKAGE

__all__ = ['InstallError', 'install', 'name_of_agent_check', 'remove', 'show']

_BASE = re.compile('datadog-checks-base(?![a-z-])')
_CONFIGURATION = re.compile(r'\w+\.yaml')
_PIP_SECONDS = 120
_SHOW = """
from importlib.metadata import PackageNotFoundError, version
try:
    print(version('{}'))
except PackageNotFoundError:
    pass
"""
_DATA = """
from importlib.util import find_spec
from pathlib import Path
print(Path(find_spec('{}.{}').origin).parent / 'data')
"""


class InstallError(Exception):
    """The Agent would not have installed the wheel; the message says why."""


def install(environment: Environment, wheel: Path, conf_d: Path) -> Path:
    """Install a wheel as the Agent does, and return the folder in `conf_d` that has its configuration files then."""
    name = name_of_agent_check(wheel)
    options = ('--no-cache-dir', '--no-index', '--no-deps', '--constraint', str(environment.constraints))
    _pip(environment, 'install', *options, str(wheel))
    check = name.removeprefix('datadog-').replace('-', '_')
    folder = conf_d / f'{check}.d'
    folder.mkdir(parents=True, exist_ok=True)
    for source in Path(_run(environment, '-I', '-c', _DATA.format(SHARED_PACKAGE, check))).iterdir():
        if _CONFIGURATION.match(source.name):
            (folder / source.name).write_bytes(source.read_bytes())
    return folder


def name_of_agent_check(wheel: Path) -> str:
    """Return the name of the distribution in a wheel; raises InstallError when it is not for an Agent."""
    with ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
        metadata = message_from_bytes(archive.read(path))
    if not any(_BASE.match(requirement) for requirement in metadata.get_all('Requires-Dist', [])):
        raise InstallError(f'{wheel.name} is not an agent check: it does not require datadog-checks-base')
    return str(metadata['Name'])


def show(environment: Environment, package: str) -> str:
    """Return the installed version of a package, or nothing."""
    return _run(environment, '-I', '-c', _SHOW.format(package))


def remove(environment: Environment, package: str) -> None:
    """Remove a package; its configuration files stay."""
    _pip(environment, 'uninstall', '--no-cache-dir', '-y', package)


def _pip(environment: Environment, command: str, *arguments: str) -> None:
    _run(environment, '-I', '-m', 'pip', command, '--quiet', '--disable-pip-version-check', *arguments)


def _run(environment: Environment, *arguments: str) -> str:
    command = [str(environment.interpreter), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS)
    if done.returncode:
        raise InstallError(f'{" ".join(arguments)}: {done.stderr.strip()}')
    return done.stdout.strip()
