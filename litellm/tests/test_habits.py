"""One command for all that the gate demands, and hooks that need no network."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


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
