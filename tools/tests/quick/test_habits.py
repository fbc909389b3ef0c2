"""One command for all that the gate demands, and hooks that need no network."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]


def test_make_check_is_what_the_gate_demands() -> None:
    gate = re.findall(r'^make ([a-z0-9-]+)', (ROOT / '.ci' / 'run').read_text(), re.MULTILINE)
    check = re.search('^check: (.+?) +##', (ROOT / 'Makefile').read_text(), re.MULTILINE)

    assert check is not None
    # The demo is for the eyes.
    assert [target for target in gate if target != 'demo'] == check[1].split()


def test_every_command_of_the_contributors_page_is_a_target() -> None:
    makefile = (ROOT / 'Makefile').read_text()
    named = set(re.findall(r'`?make ([a-z][a-z0-9-]+)', (ROOT / 'CONTRIBUTING.md').read_text()))

    assert {target for target in named if not re.search(rf'^{target}:', makefile, re.MULTILINE)} == set()


def test_hooks_run_what_is_installed_and_fetch_nothing() -> None:
    config = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())

    assert [repository['repo'] for repository in config['repos']] == ['local']
    assert {hook['language'] for hook in config['repos'][0]['hooks']} == {'system'}


def make(*words: str) -> str:
    """Return what make prints, whether or not another make runs these tests."""
    environment = {name: value for name, value in os.environ.items() if name not in {'MAKEFLAGS', 'MAKELEVEL'}}
    command = ['make', '--no-print-directory', *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_list_of_targets_has_two_columns() -> None:
    starts = {re.match(r'make [a-z0-9-]+ +', line) for line in make().splitlines()}

    assert len({match and match.end() for match in starts}) == 1


def test_a_key_goes_to_the_preview_by_a_file_or_the_environment() -> None:
    by_file = make('-n', 'preview', 'URL=http://127.0.0.1:1/', 'KEY_FILE=key.txt')

    assert f"-m tools.preview http://127.0.0.1:1/ --key-file '{ROOT}/key.txt'" in by_file
    assert 'sk-secret' not in make('-n', 'preview', 'URL=http://127.0.0.1:1/', 'KEY=sk-secret')


def test_wheels_of_other_versions_are_gone_before_one_is_built() -> None:
    commands = make('-n', 'wheel').splitlines()

    assert commands.index('rm -f dist/datadog_litellm-*.whl') < next(
        number for number, command in enumerate(commands) if 'hatchling build' in command
    )
