"""Tell which release first and last had each family, and with which labels.

`families.csv` has a row per family with its newest labels, `former_labels.csv` the labels that it had before, and
`releases.csv` the releases that were read. The first and last release of a family are among these; between two of them
it is not known. What a program cannot see (what a value is, what makes a family appear) stays as someone wrote it.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from .family import DriftError, Family

__all__ = ['FILES', 'RENAMED', 'Files', 'Lineage', 'parsed_release']


class Files(NamedTuple):
    """The files that a lineage is kept in."""

    families: Path
    releases: Path
    former_labels: Path


FILES = Files(
    families=Path(__file__).with_name('families.csv'),
    releases=Path(__file__).with_name('releases.csv'),
    former_labels=Path(__file__).with_name('former_labels.csv'),
)

# What a family is called now, by the name that it had before.
RENAMED = {
    'litellm_input_tokens': 'litellm_input_tokens_metric',
    'litellm_output_tokens': 'litellm_output_tokens_metric',
    'litellm_total_tokens': 'litellm_total_tokens_metric',
    'litellm_remaining_requests': 'litellm_remaining_requests_metric',
    'litellm_remaining_tokens': 'litellm_remaining_tokens_metric',
}

_COLUMNS = (
    *('family', 'type', 'labels', 'first_release', 'last_release', 'value', 'registered_when'),
    'multiprocess_mode',
)

# What makes a family of these classes appear; any other one appears at the first use of what registers it.
_CALLBACKS = {
    'PrometheusLogger': '"prometheus" in litellm_settings.callbacks/success_callback',
    'PrometheusServicesLogger': 'litellm_settings.service_callback contains "prometheus_system"',
}


def parsed_release(text: str) -> Version:
    """Read a release's number; raises DriftError when it is none."""
    try:
        return Version(text)
    except InvalidVersion:
        raise DriftError(f'{text!r} is not a release of LiteLLM such as 1.106.2') from None


class Lineage:
    """The families of all releases that were read, and how many families each release has.

    `former_labels` has, by family, the labels before the newest ones, each with the last release that had them.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, str]],
        releases: Mapping[str, int],
        former_labels: Mapping[str, list[tuple[str, str]]] | None = None,
    ) -> None:
        self.rows = {row['family']: dict(row) for row in rows}
        self.releases = dict(releases)
        self.former_labels = dict(former_labels or {})

    @classmethod
    def read(cls, files: Files | None = None) -> Lineage:
        """Read the files, by default those of the repository."""
        families, releases, former_labels = map(_rows, files or FILES)
        former = defaultdict(list)
        for row in former_labels:
            former[row['family']].append((row['through_release'], row['labels']))
        return cls(families, {row['release']: int(row['families']) for row in releases}, former)

    def write(self, files: Files | None = None) -> None:
        """Write the files: families by name, releases and former labels from the oldest to the newest."""
        files = files or FILES
        with files.families.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, _COLUMNS, lineterminator='\n')
            writer.writeheader()
            writer.writerows(self.rows[name] for name in sorted(self.rows))
        with files.releases.open('w', newline='', encoding='utf-8') as file:
            plain = csv.writer(file, lineterminator='\n')
            plain.writerow(('release', 'families'))
            plain.writerows((release, self.releases[release]) for release in self.in_order())
        with files.former_labels.open('w', newline='', encoding='utf-8') as file:
            plain = csv.writer(file, lineterminator='\n')
            plain.writerow(('family', 'through_release', 'labels'))
            plain.writerows(
                (name, *former) for name in sorted(self.former_labels) for former in self.former_labels[name]
            )

    def in_order(self) -> list[str]:
        """Return the releases that were read from the oldest to the newest."""
        return sorted(self.releases, key=Version)

    @property
    def newest(self) -> Version:
        """The newest release that was read; raises DriftError when there is none."""
        if not self.releases:
            raise DriftError('The lineage holds no release')
        return max(map(Version, self.releases))

    def families_of(self, release: str) -> set[str]:
        """Return the families that a release has according to the lineage."""
        version = parsed_release(release)
        return {
            name for name, row in self.rows.items() if self._first(row) <= version and not self._ended(row, version)
        }

    def labels_of(self, family: str, release: str) -> str:
        """Return the labels, separated by `|`, that a family has or would have in a release."""
        version = parsed_release(release)
        former = self.former_labels.get(family, ())
        return next((labels for through, labels in former if version <= Version(through)), self.rows[family]['labels'])

    def labels(self) -> set[str]:
        """Return the labels of all families in all releases."""
        former = (labels for history in self.former_labels.values() for _, labels in history)
        current = (row['labels'] for row in self.rows.values())
        return {label for labels in (*former, *current) for label in labels.split('|') if label}

    def extend(self, release: str, families: Mapping[str, Family]) -> list[str]:
        """Add a release, or read one again; return what does not fit with what was known, a line each.

        Types, labels and multiprocess modes are those of the newest release that has the family. The order of releases
        does not matter. Raises DriftError for a pre-release or post-release, and for labels that could not be read.
        """
        version = parsed_release(release)
        if str(version) != version.base_version:
            raise DriftError(f'The lineage holds releases proper, not {release}')
        if unread := sorted(name for name, family in families.items() if family.labels is None):
            raise DriftError(f'The labels of {", ".join(unread)} could not be read')
        was_newest = self.newest if self.releases else version
        self.releases[str(version)] = len(families)
        misfits = []
        for name, row in self.rows.items():
            last = Version(row['last_release']) if row['last_release'] else was_newest
            if name in families:
                self._relabel(name, str(version), families[name].labels or ())
                if version >= last:
                    row.update(_seen(families[name]))
                row['first_release'] = str(min(self._first(row), version))
                last = max(last, version)
            elif self._first(row) <= version <= last:
                misfits.append(f'{name}: not in {release}, but in releases before and after it, or so it was known')
            row['last_release'] = '' if last == self.newest else str(last)
        for name in families.keys() - self.rows.keys():
            self.rows[name] = _new_row(families[name], str(version), is_newest=version == self.newest)
        return misfits

    def _relabel(self, family: str, release: str, labels: tuple[str, ...]) -> None:
        """Note which labels a family has in a release; in another order they are the same."""
        if not _differ('|'.join(labels), self.labels_of(family, release)):
            return
        known = {known: self.labels_of(family, known) for known in self.in_order() if family in self.families_of(known)}
        known[release] = '|'.join(labels)
        in_order = sorted(known, key=Version)
        self.former_labels[family] = [
            (one, known[one]) for one, next_ in pairwise(in_order) if _differ(known[one], known[next_])
        ]

    @staticmethod
    def _first(row: Mapping[str, str]) -> Version:
        return Version(row['first_release'])

    @staticmethod
    def _ended(row: Mapping[str, str], version: Version) -> bool:
        return bool(row['last_release']) and version > Version(row['last_release'])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def _differ(labels: str, others: str) -> bool:
    return set(labels.split('|')) != set(others.split('|'))


def _seen(family: Family) -> dict[str, str]:
    return {
        'type': family.type,
        'labels': '|'.join(family.labels or ()),
        'multiprocess_mode': family.multiprocess_mode,
    }


def _new_row(family: Family, release: str, is_newest: bool) -> dict[str, str]:
    """Return the row of a family that was not known, its value in LiteLLM's words until someone finds better ones."""
    registered_by = family.registered_by or family.evidence.partition(':')[0]
    registering_class = family.registered_by.rpartition(':')[2].split('.')[0]
    return {
        'family': family.name,
        **_seen(family),
        'first_release': release,
        'last_release': '' if is_newest else release,
        'value': family.help,
        'registered_when': _CALLBACKS.get(registering_class, f'first use of {registered_by}'),
    }
