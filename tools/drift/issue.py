"""Open an issue for what drift found, once for each release: `python -m tools.drift.issue drift.json`.

The file is the output of `python -m tools.drift --json`. Nothing is opened if every family is mapped, or if an issue of
that title exists already, open or closed. It calls GitHub's `gh`, which needs `GH_TOKEN`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ['Issue', 'issue_of', 'main']

_SECONDS = 60


class Issue(NamedTuple):
    """An issue of the tracker."""

    title: str
    body: str


def issue_of(drift: Mapping[str, Any]) -> Issue | None:
    """Return the issue that the result of `tools.drift --json` calls for, or None if nothing is to be done."""
    if not drift['unmapped'] and not drift['unread']:
        return None
    release = drift['release']
    lines = [f'`make drift RELEASE={release}` finds:', '']
    lines += [f'- `{family}` is not mapped' for family in drift['unmapped']]
    lines += [f'- could not be read: {place}' for place in drift['unread']]
    lines += [
        '',
        'To map it, add each family as CONTRIBUTING.md says under "Add a metric", and repeat until this passes:',
        '',
        '```shell',
        f'make follow RELEASE={release}',
        '```',
        '',
        'Until then the check lists the families in a warning, and collects them with `collect_unknown_metrics: true`.',
    ]
    return Issue(f'LiteLLM {release} has families that the check does not map', '\n'.join(lines))


def main(arguments: list[str] | None = None) -> int:
    """Open the issue that a result calls for, and return the exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.drift.issue', description=__doc__)
    parser.add_argument('drift', type=Path, help='the output of `python -m tools.drift --json`')
    issue = issue_of(json.loads(parser.parse_args(arguments).drift.read_text(encoding='utf-8')))
    if issue is None:
        print('Every family is mapped.')
        return 0
    listed = _gh('issue', 'list', '--state', 'all', '--search', f'"{issue.title}" in:title', '--json', 'title')
    if any(one['title'] == issue.title for one in json.loads(listed)):
        print(f'There is an issue already: {issue.title}')
        return 0
    print(_gh('issue', 'create', '--title', issue.title, '--body', issue.body))
    return 0


def _gh(*arguments: str) -> str:
    return subprocess.run(['gh', *arguments], capture_output=True, text=True, check=True, timeout=_SECONDS).stdout


if __name__ == '__main__':
    sys.exit(main())
