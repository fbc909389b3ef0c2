"""A release: its files, what stops it, and the workflow files that make and check it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.drift import issue as drift_issue
from tools.drift.issue import issue_of
from tools.release import CHECKSUMS, NOTES, ReleaseError, main, notes_of, release, unreleased, version_of
from tools.wheel import INTEGRATION

ROOT = INTEGRATION.parent
WORKFLOWS = sorted((ROOT / '.github' / 'workflows').glob('*.yml'))

# What the Agent's `integration` commands can read, and the versions that Datadog gives to its own check.
AGENTS_PATTERN = re.compile(r'\d+\.\d+\.\d+(?:[a-zA-Z]+\d*)?')
OFFICIAL = re.compile(r'\d{1,2}\..*')


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the integration in which everything is released."""
    copy = tmp_path / 'litellm'
    shutil.copytree(INTEGRATION, copy, ignore=shutil.ignore_patterns('tests', '__pycache__', '.*', 'changelog.d'))
    return copy


def test_the_version_is_one_that_the_agent_reads_and_no_official_one() -> None:
    assert AGENTS_PATTERN.fullmatch(version_of())
    assert not OFFICIAL.fullmatch(version_of())


def test_the_files_fit_together(project: Path, tmp_path: Path) -> None:
    wheel, checksums, notes = release(tmp_path / 'dist', f'v{version_of()}', project)

    assert checksums.read_text() == f'{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n'
    assert (checksums.name, notes.name) == (CHECKSUMS, NOTES)
    assert wheel.name in notes.read_text()


def test_the_notes_are_the_section_of_the_version_without_links_into_the_repository() -> None:
    notes = notes_of(version_of(), 'the.whl')

    assert '## Added\n' in notes
    assert '](../' not in notes
    assert not re.search(r'^## \d', notes, re.MULTILINE)


def test_a_tag_of_another_version_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r'the tag is v1\.2\.3'):
        release(tmp_path / 'dist', 'v1.2.3', project)


def test_a_tag_is_refused_while_changes_wait_for_a_version(project: Path, tmp_path: Path) -> None:
    (project / 'changelog.d').mkdir()
    (project / 'changelog.d' / '1.fixed').write_text('Mend it.\n')

    with pytest.raises(ReleaseError, match='1 changes have no version'):
        release(tmp_path / 'dist', f'v{version_of()}', project)


def test_a_rehearsal_lists_what_waits_for_a_version(project: Path, tmp_path: Path) -> None:
    (project / 'changelog.d').mkdir()
    (project / 'changelog.d' / '1.fixed').write_text('Mend it.\n')
    (project / 'changelog.d' / '.gitkeep').touch()

    _, _, notes = release(tmp_path / 'dist', None, project)

    assert unreleased(project) == ['Mend it.']
    assert notes.read_text().startswith('## Not released yet\n\n- Mend it.\n')


def test_a_version_that_the_changelog_does_not_know_is_refused() -> None:
    with pytest.raises(ReleaseError, match=r'no section of 2026\.1\.0'):
        notes_of('2026.1.0', 'the.whl')


def test_a_wrong_tag_is_exit_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(['--tag', 'v1.2.3', '--destination', str(tmp_path)]) == 1
    assert 'the tag is v1.2.3' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Workflows. That they are valid and safe is for `make lint`.


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(workflow.read_text())['jobs'].values() for step in job['steps']]


@pytest.mark.parametrize('workflow', WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_a_commit_with_its_version_beside_it(workflow: Path) -> None:
    used = re.findall(r'uses: (.+)', workflow.read_text())

    assert [line for line in used if not re.fullmatch(r'[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+', line)] == []


def test_one_action_is_pinned_to_one_commit() -> None:
    pins = {pin for workflow in WORKFLOWS for pin in re.findall(r'uses: (\S+)', workflow.read_text())}

    assert len({pin.partition('@')[0] for pin in pins}) == len(pins)


def test_workflows_run_targets_and_modules_that_exist() -> None:
    makefile = (ROOT / 'Makefile').read_text()
    text = ''.join(workflow.read_text() for workflow in WORKFLOWS)
    targets = {*re.findall(r'run: make ([a-z][a-z0-9-]*)', text), *re.findall(r'target: ([a-z0-9-]+)', text)}

    assert targets > {'release', 'e2e'}
    assert [target for target in targets if not re.search(rf'^{target}:', makefile, re.MULTILINE)] == []
    for module in re.findall(r'python -m ([\w.]+)', text):
        path = ROOT / module.replace('.', '/')
        assert path.with_suffix('.py').exists() or (path / '__main__.py').exists()


def test_the_gate_on_github_is_the_gate() -> None:
    (gate,) = (workflow for workflow in WORKFLOWS if workflow.name == 'gate.yml')

    assert [step['run'] for step in steps(gate) if 'run' in step] == ['bash .ci/run']


# Drift.

FOUND = {'release': '1.111.0', 'unmapped': ['litellm_new_metric'], 'unread': []}


def test_an_issue_names_the_family_and_the_command_that_records_the_release() -> None:
    issue = issue_of(FOUND)

    assert issue is not None
    assert '1.111.0' in issue.title
    assert '`litellm_new_metric` is not mapped' in issue.body
    assert 'make follow RELEASE=1.111.0\n' in issue.body


def test_what_is_mapped_needs_no_issue() -> None:
    assert issue_of({**FOUND, 'unmapped': []}) is None


def called(monkeypatch: pytest.MonkeyPatch, listed: list[dict[str, str]]) -> list[str]:
    """Stand in for gh, and return what is asked of it."""
    asked: list[str] = []

    def gh(*arguments: str) -> str:
        asked.append(arguments[1])
        return json.dumps(listed) if arguments[1] == 'list' else 'https://github.com/example/repository/issues/1\n'

    monkeypatch.setattr(drift_issue, '_gh', gh)
    return asked


def test_an_issue_is_opened_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / 'drift.json').write_text(json.dumps(FOUND))
    issue = issue_of(FOUND)
    assert issue is not None

    first = called(monkeypatch, [{'title': 'LiteLLM 1.11 has families'}])
    assert drift_issue.main([str(tmp_path / 'drift.json')]) == 0
    again = called(monkeypatch, [{'title': issue.title}])
    assert drift_issue.main([str(tmp_path / 'drift.json')]) == 0

    assert (first, again) == (['list', 'create'], ['list'])
