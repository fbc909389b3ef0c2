"""Build the files of a release into dist/, for `make release`: the wheel, its checksum, and the notes.

The same sources give the same bytes, whoever builds them: a user can build the wheel of a tag and compare its checksum
with the published one. Without a tag it is a rehearsal, whose notes also list what is not released yet. With one, it
fails if the tag is not that of the version, or if changes wait for a version.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

from .wheel import INTEGRATION, build

__all__ = ['CHECKSUMS', 'NOTES', 'ReleaseError', 'notes_of', 'release', 'unreleased', 'version_of']

CHECKSUMS, NOTES = 'SHA256SUMS', 'NOTES.md'

_RELEASE = r'^## {version} / \d{{4}}-\d\d-\d\d$\n+(?P<notes>.*?)\s*(?=^## |\Z)'
_LINK = re.compile(r'\[([^\]]+)\]\((?!https://)[^)]*\)')
_INSTALL = """\
## Install

```shell
sha256sum --check --ignore-missing {checksums}
sudo -u dd-agent datadog-agent integration install -w "$PWD/{wheel}"
```

It replaces the check of the same name that the Agent brings, until the next upgrade of the Agent: docs/upgrades.md says
what to do about that. Datadog's support does not cover it.
"""


class ReleaseError(Exception):
    """The release cannot be made of what is there."""


def version_of(integration: Path = INTEGRATION) -> str:
    """Return the version that the check has."""
    text = (integration / 'datadog_checks' / 'litellm' / '__about__.py').read_text(encoding='utf-8')
    (version,) = re.findall(r"^__version__ = '(.+)'$", text, re.MULTILINE)
    return str(version)


def unreleased(integration: Path = INTEGRATION) -> list[str]:
    """Return the changes that no version of the changelog has yet."""
    fragments = sorted((integration / 'changelog.d').glob('[!.]*.*'))
    return [line for path in fragments for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]


def notes_of(version: str, wheel: str, integration: Path = INTEGRATION) -> str:
    """Return the notes: what the changelog says of a version, without links into the repository, and how to install it.

    Raises a `ReleaseError` if the changelog does not know the version.
    """
    changelog = (integration / 'CHANGELOG.md').read_text(encoding='utf-8')
    found = re.search(_RELEASE.format(version=re.escape(version)), changelog, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ReleaseError(f'CHANGELOG.md has no section of {version}: see CONTRIBUTING.md, Make a release')
    changes = _LINK.sub(r'\1', found['notes']).replace('### ', '## ')
    return f'{changes}\n\n{_INSTALL.format(wheel=wheel, checksums=CHECKSUMS)}'


def release(destination: Path, tag: str | None = None, integration: Path = INTEGRATION) -> list[Path]:
    """Build the files of a release into a folder, in place of those of an earlier one, and return their paths.

    Raises a `ReleaseError` if the tag is not that of the version, or not all changes have one.
    """
    version = version_of(integration)
    waiting = unreleased(integration)
    if tag and tag != f'v{version}':
        raise ReleaseError(f'the tag is {tag}, the version v{version}: set `__version__`, or tag again')
    if tag and waiting:
        raise ReleaseError(f'{len(waiting)} changes have no version yet: see CONTRIBUTING.md, Make a release')
    destination.mkdir(parents=True, exist_ok=True)
    for earlier in destination.glob('datadog_litellm-*.whl'):
        earlier.unlink()
    wheel = build(destination, integration)
    notes = notes_of(version, wheel.name, integration)
    if waiting:
        notes = '\n'.join(['## Not released yet', '', *(f'- {line}' for line in waiting), '', notes])
    (destination / NOTES).write_text(notes, encoding='utf-8')
    checksum = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (destination / CHECKSUMS).write_text(f'{checksum}  {wheel.name}\n', encoding='utf-8')
    return [wheel, destination / CHECKSUMS, destination / NOTES]


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 1 if this cannot be released."""
    parser = argparse.ArgumentParser(prog='python -m tools.release', description=__doc__)
    parser.add_argument('--tag', help='the tag of the release, such as v2026.11.0')
    parser.add_argument('--destination', type=Path, default=Path('dist'), help='folder to write to (default dist)')
    options = parser.parse_args(arguments)
    try:
        files = release(options.destination.absolute(), options.tag or None)
    except ReleaseError as error:
        print(f'release: {error}', file=sys.stderr)
        return 1
    print('\n'.join(str(path) for path in files))
    return 0


if __name__ == '__main__':
    sys.exit(main())
