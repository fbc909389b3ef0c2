"""Read a release's families by running it: instantiate its loggers and look into prometheus_client's registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.lineage.family import DriftError, Family

from tools.real_litellm.environment import Environment, HarnessError, environment

__all__ = ['Run', 'read_dynamically']

_PROBE = Path(__file__).with_name('probe.py')
_SECONDS = 240


class Run(NamedTuple):
    """What a running release registered, and which of its callables could not be called."""

    families: dict[str, Family]
    failures: list[str]


def read_dynamically(release: str, static: dict[str, Family]) -> Run:
    """Run a release in an environment of its own and return what it registers.

    The environment is made when there is none yet, which takes a minute or two and some 600 MB. Called is what static
    analysis found to make families: the loggers, and what registers a family at its first use. Without a licence a
    release before 1.80.0 registers its services and one family more; that is not worked around.
    Raises DriftError when the release cannot be installed or imported.
    """
    try:
        installed = environment(release)
    except HarnessError as error:
        raise DriftError(str(error).splitlines()[0]) from None
    entries = dict.fromkeys(family.registered_by for family in static.values() if family.registered_by)
    probed = _probe(installed, list(entries))
    families = {}
    for found in probed['families']:
        name = found['name']
        known = static.get(name)
        families[name] = Family(
            name=name,
            type=found['type'],
            labels=tuple(found['labels']),
            buckets=tuple(found['buckets']) if found['type'] == 'histogram' else None,
            multiprocess_mode=found['multiprocess_mode'] if found['type'] == 'gauge' else '',
            help=found['help'],
            evidence=known.evidence if known else '',
            registered_by=known.registered_by if known else '',
            read_by='dynamic',
        )
    return Run(families, probed['failures'])


def _probe(installed: Environment, entries: list[str]) -> dict[str, list[Any]]:
    folder = Path(tempfile.mkdtemp(prefix='drift-'))
    variables = {**os.environ, 'PROMETHEUS_MULTIPROC_DIR': str(folder)}
    variables.pop('PYTHONPATH', None)
    output = folder / 'families.json'
    try:
        done = subprocess.run(
            [installed.path / 'bin' / 'python', str(_PROBE), str(output), *entries],
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
