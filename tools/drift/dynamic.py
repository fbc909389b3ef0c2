"""Read a release's families by running it: call what makes them, in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.lineage.family import DriftError, Family

from tools.real_litellm import kept
from tools.real_litellm.environment import Environment

from .scan import Place

__all__ = ['Run', 'newest_release', 'run']

_PROBE = Path(__file__).with_name('probe.py')
_SECONDS = 240


class Run(NamedTuple):
    """The run of a release: what it registered, which calls led there, and what of the entries could not be called."""

    families: Mapping[str, Family]
    calls: frozenset[Place]
    failures: Sequence[str]


def newest_release() -> str:
    """Ask the package registry for LiteLLM's newest release; raises HarnessError when it gives none."""
    with tempfile.NamedTemporaryFile('w', suffix='.in') as wanted:
        wanted.write('litellm')
        wanted.flush()
        command = [kept.uv(), 'pip', 'compile', '--quiet', '--no-deps', '--no-header', '--no-annotate', wanted.name]
        return kept.run(command, "look up LiteLLM's newest release").strip().removeprefix('litellm==')


def run(installed: Environment, entries: Sequence[str]) -> Run:
    """Run a release in an environment of its own and return what it registers.

    Without a licence a release before 1.80.0 registers its services and one family more; that is not worked around.
    Raises DriftError when the release cannot be imported.
    """
    probed = _probe(installed, entries)
    families = [_family(found, installed.packages) for found in probed['families']]
    calls = {Place(*call[:3]) for found in probed['families'] for call in found['calls']}
    return Run(
        {family.name: family for family in sorted(families, key=lambda one: one.name)},
        frozenset(calls),
        probed['failures'],
    )


def _family(found: Mapping[str, Any], packages: Path) -> Family:
    file, line, _, caller = _spelled(found, packages)
    module = file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
    owner = caller.partition('.<locals>')[0].removesuffix('.__init__')
    return Family(
        name=found['name'],
        type=found['type'],
        labels=tuple(found['labels']),
        multiprocess_mode=found['multiprocess_mode'] if found['type'] == 'gauge' else '',
        help=found['help'],
        evidence=f'{file}:{line}',
        registered_by='' if owner == '<module>' else f'{module}:{owner}',
        read_by='run',
    )


def _spelled(found: Mapping[str, Any], packages: Path) -> tuple[str, int, int, str]:
    """Return the innermost call that spells the name, or else the constructor's own."""
    for file, first, last, caller in found['calls']:
        lines = (packages / file).read_text(encoding='utf-8', errors='replace').splitlines()[first - 1 : last]
        if found['given'] in '\n'.join(lines):
            return file, first, last, caller
    file, first, last, caller = found['calls'][0]
    return file, first, last, caller


def _probe(installed: Environment, entries: Sequence[str]) -> dict[str, list[Any]]:
    folder = Path(tempfile.mkdtemp(prefix='drift-'))
    variables = {**os.environ, 'PROMETHEUS_MULTIPROC_DIR': str(folder)}
    variables.pop('PYTHONPATH', None)
    output = folder / 'families.json'
    try:
        done = subprocess.run(
            [installed.python, str(_PROBE), str(output), *entries],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            cwd=folder,
            env=variables,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ['it said nothing'])[-1]
            raise DriftError(f'LiteLLM {installed.release} does not run here: {last}')
        return json.loads(output.read_text())  # type: ignore[no-any-return]
    except subprocess.TimeoutExpired:
        raise DriftError(f'LiteLLM {installed.release} did not register its families in {_SECONDS} seconds') from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
