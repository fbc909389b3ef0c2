"""The wheel and the source distribution: what is in them, and that building the wheel again gives the same bytes."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from tools.agents.commands import InstallError, name_of_agent_check
from tools.wheel import INTEGRATION, build

WITHOUT_DATE = {name: value for name, value in os.environ.items() if name != 'SOURCE_DATE_EPOCH'}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    with ZipFile(build(tmp_path_factory.mktemp('dist'), variables=WITHOUT_DATE)) as archive:
        yield archive


def copy_of_the_project(destination: Path) -> Path:
    """Copy what the wheel is made of elsewhere, as another checkout has it: with other times and rights."""
    ignored = shutil.ignore_patterns('tests', '__pycache__', '.*')
    shutil.copytree(INTEGRATION, destination, ignore=ignored, copy_function=shutil.copyfile)
    for path in destination.rglob('*'):
        os.utime(path, (time.time(), 1_000_000_000))
        if path.is_file():
            path.chmod(0o600)
    return destination


def read(archive: ZipFile, suffix: str) -> bytes:
    (name,) = (name for name in archive.namelist() if name.endswith(suffix))
    return archive.read(name)


def metadata(archive: ZipFile) -> Message:
    return message_from_bytes(read(archive, '.dist-info/METADATA'))


def test_another_checkout_gives_the_same_bytes(tmp_path: Path, wheel: ZipFile) -> None:
    again = build(tmp_path / 'dist', copy_of_the_project(tmp_path / 'copy'), variables=WITHOUT_DATE)

    assert wheel.filename is not None
    assert again.read_bytes() == Path(wheel.filename).read_bytes()
    assert again.name == Path(wheel.filename).name


def test_its_files_are_as_old_as_source_date_epoch_says(tmp_path: Path) -> None:
    dated = build(tmp_path, variables={**WITHOUT_DATE, 'SOURCE_DATE_EPOCH': '1795478400'})

    with ZipFile(dated) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2026, 11, 24, 0, 0, 0)}


def test_it_holds_the_package_and_nothing_else(wheel: ZipFile) -> None:
    package = INTEGRATION / 'datadog_checks' / 'litellm'
    files = {str(path.relative_to(INTEGRATION)) for path in package.rglob('*') if '__pycache__' not in path.parts}

    shipped = {name for name in wheel.namelist() if '.dist-info/' not in name}
    assert shipped == {name for name in files if (INTEGRATION / name).is_file()}
    assert {'datadog_checks/litellm/data/auto_conf.yaml', 'datadog_checks/litellm/data/conf.yaml.example'} <= shipped


def test_the_source_distribution_holds_the_check_and_its_tests_and_no_tool(tmp_path: Path) -> None:
    with tarfile.open(build(tmp_path, target='sdist')) as archive:
        names = [name.split('/')[1:] for name in archive.getnames()]

    assert {name[0] for name in names if len(name) > 1} == {'datadog_checks', 'tests'}
    assert [name for name in names if 'tools' in name] == []


def test_it_holds_the_licence(wheel: ZipFile) -> None:
    assert metadata(wheel)['License-Expression'] == 'BSD-3-Clause'
    assert metadata(wheel).get_all('License-File') == ['LICENSE']
    assert read(wheel, '.dist-info/licenses/LICENSE') == (INTEGRATION.parent / 'LICENSE').read_bytes()


def test_its_version_is_the_newest_that_the_changelog_describes(wheel: ZipFile) -> None:
    changelog = (INTEGRATION / 'CHANGELOG.md').read_text()
    _, _, releases = changelog.partition('<!-- towncrier release notes start -->\n')

    assert re.findall(r'^## (\S+) / \d{4}-\d\d-\d\d$', releases, re.MULTILINE)[:1] == [metadata(wheel)['Version']]


def test_it_leaves_the_namespace_of_checks_to_all_of_them(wheel: ZipFile) -> None:
    assert 'datadog_checks/__init__.py' not in wheel.namelist()


def test_the_agent_takes_it_for_a_check(wheel: ZipFile) -> None:
    assert wheel.filename is not None
    assert name_of_agent_check(Path(wheel.filename)) == 'datadog-litellm'


def test_a_wheel_that_does_not_require_the_base_package_is_none(tmp_path: Path) -> None:
    project = copy_of_the_project(tmp_path / 'copy')
    text = (project / 'pyproject.toml').read_text()
    (project / 'pyproject.toml').write_text(text.replace('["datadog-checks-base>=37.15.0"]', '[]'))

    with pytest.raises(InstallError, match='is not an agent check'):
        name_of_agent_check(build(tmp_path / 'dist', project))
