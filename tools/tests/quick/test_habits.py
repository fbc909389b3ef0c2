"""Habits of this house: which way imports run, how docstrings begin, and one command for all that the gate demands."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
TESTS = ROOT / 'litellm' / 'tests'
TOOLS = ROOT / 'tools'
CHECK = ROOT / 'litellm' / 'datadog_checks'
# The rooms of the tests that others may stand on.
SHARED = ('tests.fixture_proxy', 'tests.lineage', 'tests.support')
# Names with a meaning of their own, and the command that runs what a test begins.
NAMED_ALIKE = {'__init__.py', '__main__.py', 'conftest.py', 'soak.py'}


def imports(folder: Path) -> set[tuple[str, str]]:
    """Return which file of a folder imports which module by its full name."""
    found = set()
    for path in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {(path.name, f'{node.module}.{name.name}') for name in node.names}
            elif isinstance(node, ast.Import):
                found |= {(path.name, name.name) for name in node.names}
    return found


def test_tests_of_the_check_import_no_tool() -> None:
    assert {(file, module) for file, module in imports(TESTS) if module.split('.')[0] == 'tools'} == set()


def test_no_module_imports_a_test() -> None:
    both = imports(TESTS) | imports(TOOLS)

    assert {(file, module) for file, module in both if re.search(r'\.test_', module)} == set()


def test_tools_import_of_the_tests_only_what_is_shared() -> None:
    taken = {(file, module) for file, module in imports(TOOLS) if module.split('.')[0] == 'tests'}

    assert {(file, module) for file, module in taken if not module.startswith(SHARED)} == set()


def test_no_pattern_has_a_possessive_group_that_may_be_left_out() -> None:
    # Python before 3.11.5 matches them wrongly: 3.11.2, which Debian 12 has, took exemplars for something else.
    files = (ROOT / 'litellm' / 'datadog_checks').rglob('*.py')
    assert [file.name for file in files if ')?+' in file.read_text()] == []


def test_no_two_files_have_one_name_for_different_things() -> None:
    names = Counter(path.name for folder in (TESTS, TOOLS) for path in folder.rglob('*.py'))

    assert {name for name, times in names.items() if times > 1} - NAMED_ALIKE == set()


def test_no_docstring_begins_with_a_question_word() -> None:
    """Say what a thing is, or what it does: the linter asks for that of functions only."""
    questions = re.compile(r'(?:How|What|When|Where|Whether|Which|Who|Whose|Why)\b')
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

    found = [
        f'{path.relative_to(ROOT)}: {docstring.splitlines()[0]}'
        for folder in (CHECK, TESTS, TOOLS)
        for path in sorted(folder.rglob('*.py'))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, documented) and questions.match(docstring := ast.get_docstring(node) or '')
    ]

    assert found == []


def test_ddev_installs_what_the_tests_of_the_check_need_and_no_more() -> None:
    environment = tomllib.loads((ROOT / 'litellm' / 'hatch.toml').read_text())['envs']['default']
    needed = (ROOT / 'requirements' / 'parts' / 'tests.in').read_text().splitlines()

    assert environment['dependencies'] == [line for line in needed if not line.startswith('#')]


def test_the_readme_of_the_tests_says_when_to_run_each_of_them() -> None:
    page = (TESTS / 'README.md').read_text()
    files = [path.name for folder in (TESTS, TOOLS / 'tests') for path in folder.rglob('test_*.py')]

    assert [name for name in files if name not in page] == []


def test_the_readme_of_the_tools_names_each_command() -> None:
    page = (TOOLS / 'README.md').read_text()
    commands = [path.parent.name for path in TOOLS.glob('*/__main__.py')]
    commands += [path.stem for path in TOOLS.glob('*.py') if "__name__ == '__main__'" in path.read_text()]

    assert [name for name in commands if not re.search(rf'tools[./]{name}\b', page)] == []


def test_the_gate_is_make_check_and_the_demo_for_the_eyes() -> None:
    gate = re.findall(r'^make ([a-z0-9-]+)', (ROOT / '.ci' / 'run').read_text(), re.MULTILINE)

    assert gate == ['check', 'demo']


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
