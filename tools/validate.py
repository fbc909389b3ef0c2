"""Run every validation of ddev that says something about this repository, and print one line for each.

`make validate` runs this with the Python of the environment that holds ddev. It exits with 1 when a validation fails,
after printing what that one said. `make generate` adds `--write`, which writes the generated files first.

Of ddev's other validations `agent-reqs`, `ci`, `labeler`, `license-headers`, `licenses`, `pr-description`, `qa-label`
and `version` look at files and services of Datadog's own repositories; `jmx-metrics` is for Java; `legacy-signature`
and `integration-style` succeed whatever they find; `typos` aborts when it finds nothing and succeeds when it does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from click.testing import CliRunner
from ddev.cli import ddev
from ddev.release.constants import ENTRY_TYPES

from datadog_checks.dev.tooling.constants import set_root
from datadog_checks.dev.tooling.datastructures import JSONDict
from datadog_checks.dev.tooling.manifest_validator import get_all_validators
from datadog_checks.dev.tooling.manifest_validator.constants import V2_STRING

ROOT = Path(__file__).resolve().parent.parent
CHECK = 'litellm'

# Several validations succeed when the file that they are about is missing.
FILES = (
    'CHANGELOG.md',
    'README.md',
    'assets/configuration/spec.yaml',
    'assets/service_checks.json',
    'datadog_checks/litellm/config_models/instance.py',
    'datadog_checks/litellm/data/auto_conf.yaml',
    'datadog_checks/litellm/data/conf.yaml.example',
    'manifest.json',
    'metadata.csv',
)

# Those that fail when a file is not what they would generate from the specification, and write it with ddev's `--sync`.
GENERATORS = ('config', 'models')

VALIDATIONS = (
    *GENERATORS,
    'dashboards',
    'dep',
    'eula',
    'http',
    'imports',
    'metadata',
    'openmetrics',
    'package',
    'readmes',
    'saved-views',
    'service-checks',
)


def main() -> int:
    """Run all validations and return the exit code."""
    parser = argparse.ArgumentParser(description='Run every validation of ddev that applies to this repository.')
    parser.add_argument('--write', action='store_true', help='first write the files that are generated from spec.yaml')
    wants_write = parser.parse_args().write

    # Both ddev and the manifest validators look for the repository in the working directory.
    os.chdir(ROOT)
    if wants_write:
        for name in GENERATORS:
            complaint_of_ddev(name, CHECK, '--sync')

    missing = [f'{CHECK}/{file}' for file in FILES if not (ROOT / CHECK / file).is_file()]
    if missing:
        click.echo('\n'.join(f'{file} is missing' for file in missing))
        return 1

    validations: dict[str, Callable[[], str]] = {
        'changelog': misnamed_fragments,
        'codeowners': partial(complaint_of_ddev, 'codeowners'),
        'manifest': manifest_faults,
    }
    validations |= {name: partial(complaint_of_ddev, name, CHECK) for name in VALIDATIONS}

    failed = 0
    for name, validation in sorted(validations.items()):
        complaint = validation()
        failed += bool(complaint)
        click.echo(f'{"FAILED" if complaint else "ok":7}{name}')
        if complaint:
            click.echo(complaint.rstrip() + '\n')
    click.echo(f'{len(validations) - failed} of {len(validations)} validations passed')
    return int(failed > 0)


def complaint_of_ddev(*arguments: str) -> str:
    """Return what `ddev validate` prints when it fails, an empty string when it succeeds.

    Nothing outside the repository is read or written: an empty file stands in for the user's settings.
    """
    # ddev looks for the repository once per process, unless it believes that it has not found one yet.
    set_root('')
    with tempfile.NamedTemporaryFile(suffix='.toml') as settings:
        result = CliRunner(env={'PWD': str(ROOT)}).invoke(
            ddev, ['--no-interactive', '--no-color', '--config', settings.name, 'validate', *arguments]
        )
    if result.exit_code == 0:
        return ''
    if result.exception is None or isinstance(result.exception, SystemExit):
        return result.output or f'exit code {result.exit_code}'
    return result.output + ''.join(traceback.format_exception(result.exception))


def manifest_faults() -> str:
    """Return what the manifest validators of datadog-checks-dev say, without the one that asks Datadog's API."""
    set_root(str(ROOT))
    manifest = JSONDict(json.loads((ROOT / CHECK / 'manifest.json').read_text()))
    faults = []
    for validator in get_all_validators(None, V2_STRING, is_extras=True, ignore_schema=True):
        validator.validate(CHECK, manifest, False)
        faults += validator.result.messages['failure']
    return '\n'.join(faults)


def misnamed_fragments() -> str:
    """Name the changelog fragments that a release would leave out."""
    fragments = (ROOT / CHECK / 'changelog.d').glob('*')
    return '\n'.join(
        f'{fragment.relative_to(ROOT)} is not named <ISSUE>.<{"|".join(ENTRY_TYPES)}>'
        for fragment in fragments
        if not fragment.stem.isdigit() or fragment.suffix.removeprefix('.') not in ENTRY_TYPES
    )


if __name__ == '__main__':
    sys.exit(main())
