"""LiteLLM's releases in the package registry, and the sources in their wheels.

Everything goes through pip and whatever index it is configured with. Wheels are kept in `.cache/wheels` at the root of
the repository, so that a release given by its number is read without a network from then on.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version
from tests.lineage.family import DriftError

__all__ = ['Sources', 'newest_release', 'sources_of']

_ROOT = Path(__file__).resolve().parents[2]
_CACHE = _ROOT / '.cache' / 'wheels'
_SECONDS = 600

# Where the Prometheus logger lived from 1.72 to 1.79, and where an extension of it may live any time.
_ENTERPRISE = 'litellm-enterprise'


class Sources:
    """The Python sources of one release: module name to text, read out of its wheels on demand.

    `notes` say what about the wheels is not as the release demands it.
    """

    def __init__(self, wheels: list[Path], notes: tuple[str, ...] = ()) -> None:
        self.notes = notes
        self._archives = [zipfile.ZipFile(wheel) for wheel in wheels]
        self._files: dict[str, tuple[zipfile.ZipFile, str]] = {}
        for archive in self._archives:
            for path in archive.namelist():
                if path.endswith('.py'):
                    self._files[_module_name(path)] = (archive, path)

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *exception: object) -> None:
        for archive in self._archives:
            archive.close()

    def modules(self) -> list[str]:
        """Return the names of all modules, sorted."""
        return sorted(self._files)

    def path(self, module: str) -> str:
        """Return the path of a module inside its wheel."""
        return self._files[module][1]

    def text(self, module: str) -> str | None:
        """Return the source of a module, or None when no wheel has it."""
        if module not in self._files:
            return None
        archive, path = self._files[module]
        return archive.read(path).decode('utf-8', errors='replace')


def _module_name(path: str) -> str:
    return path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')


def newest_release() -> str:
    """Ask the package registry for LiteLLM's newest release; raises DriftError when it gives none."""
    report = _pip('install', '--dry-run', '--ignore-installed', '--only-binary', ':all:', '--report', '-', 'litellm')
    version: str = json.loads(report)['install'][0]['metadata']['version']
    return version


def sources_of(release: str) -> Sources:
    """Return the sources of a release and of the enterprise package that it pins.

    Raises DriftError when the registry does not have the release or cannot be reached.
    """
    wheels, notes = [_wheel('litellm', release)], []
    for pinned in _pinned_enterprise(wheels[0]):
        try:
            wheels.append(_wheel(_ENTERPRISE, pinned))
        except DriftError as error:
            # Pins of a post-release that was never published, or was withdrawn; or there is no network just now.
            wheels.append(_wheel(_ENTERPRISE, f'{Version(pinned).base_version}.*'))
            notes.append(f'{error}; read instead: {wheels[-1].name}')
    return Sources(wheels, tuple(notes))


def _pinned_enterprise(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(path for path in archive.namelist() if path.endswith('.dist-info/METADATA'))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    versions: list[str] = []
    for text in metadata.get_all('Requires-Dist', []):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name == _ENTERPRISE:
            versions += [pin.version for pin in requirement.specifier if pin.operator == '==']
    return versions


def _wheel(project: str, version: str) -> Path:
    """Return the wheel of a project's version, fetched (or built, for a release without wheels) when it is not kept.

    Raises DriftError.
    """
    _CACHE.mkdir(parents=True, exist_ok=True)
    kept = _kept(project, version)
    if kept is None:
        _pip('wheel', '--prefer-binary', '--wheel-dir', str(_CACHE), f'{project}=={version}')
        kept = _kept(project, version)
    if kept is None:
        raise DriftError(f'{project} {version}: pip brought no wheel of that version')
    return kept


def _kept(project: str, version: str) -> Path | None:
    """Return the newest kept wheel whose version is this one, or begins like it when it ends in `.*`."""
    wanted = SpecifierSet(f'=={version}')
    wheels = {parse_wheel_filename(path.name)[1]: path for path in _CACHE.glob(f'{project.replace("-", "_")}-*.whl')}
    fitting = [known for known in wheels if known in wanted]
    return wheels[max(fitting)] if fitting else None


def _pip(command: str, *arguments: str) -> str:
    """Run pip without dependencies and return what it prints; raises DriftError with the reason in one line."""
    options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--ignore-requires-python']
    network = ['--retries', '1', '--timeout', '30']
    try:
        done = subprocess.run(
            [*_pip_command(), command, *options, *network, *arguments],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DriftError(f'The package registry did not answer within {_SECONDS} seconds') from None
    if done.returncode:
        raise _failure(done.stderr, arguments[-1])
    return done.stdout


def _pip_command() -> list[str]:
    own = _ROOT / '.venvs' / 'uv' / 'bin' / 'pip'
    if own.exists():
        return [str(own)]
    if importlib.util.find_spec('pip'):
        return [sys.executable, '-m', 'pip']
    raise DriftError('pip is not there: run `make .venvs/uv/bin/uv`, which brings it along')


def _failure(stderr: str, requirement: str) -> DriftError:
    wanted = requirement.replace('==', ' ')
    versions = re.search(r'\(from versions: (.*?)\)', stderr)
    if versions is None:
        errors = [line for line in stderr.splitlines() if line.startswith('ERROR')] or ['pip failed without a word']
        return DriftError(f'{wanted}: {errors[0]}')
    if versions[1] == 'none':
        return DriftError(f'{wanted}: the package registry gives no version at all; is it in reach?')
    return DriftError(f'{wanted} is not in the package registry')
