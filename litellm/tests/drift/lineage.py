"""Which release first and last had each family: `families.csv`, and the releases it was read from: `releases.csv`.

The first and last release of a family are those among the releases that were read; between two of them it is not known.
What a program cannot see (what a value is, what makes a family appear) stays as it was written by hand.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.version import InvalidVersion, Version

from .family import DriftError, Family

__all__ = ['FAMILIES_CSV', 'RELEASES_CSV', 'Lineage', 'parsed_release']

FAMILIES_CSV = Path(__file__).parents[1] / 'families.csv'
RELEASES_CSV = Path(__file__).with_name('releases.csv')

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
    """The families of all releases that were read, and how many families each release has."""

    def __init__(self, rows: Iterable[Mapping[str, str]], releases: Mapping[str, int]) -> None:
        self.rows = {row['family']: dict(row) for row in rows}
        self.releases = dict(releases)

    @classmethod
    def read(cls, families: Path = FAMILIES_CSV, releases: Path = RELEASES_CSV) -> Lineage:
        """Read both files."""
        with families.open(newline='', encoding='utf-8') as file:
            rows = list(csv.DictReader(file))
        with releases.open(newline='', encoding='utf-8') as file:
            counts = {row['release']: int(row['families']) for row in csv.DictReader(file)}
        return cls(rows, counts)

    def write(self, families: Path = FAMILIES_CSV, releases: Path = RELEASES_CSV) -> None:
        """Write both files: families by name, releases from the oldest to the newest."""
        with families.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, _COLUMNS, lineterminator='\n')
            writer.writeheader()
            writer.writerows(self.rows[name] for name in sorted(self.rows))
        with releases.open('w', newline='', encoding='utf-8') as file:
            plain = csv.writer(file, lineterminator='\n')
            plain.writerow(('release', 'families'))
            plain.writerows((release, self.releases[release]) for release in sorted(self.releases, key=Version))

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

    def described_like(self, other: Lineage) -> None:
        """Take over what was written by hand in another lineage: what values are, and when families are registered."""
        for name, row in self.rows.items():
            if name in other.rows:
                row.update({column: other.rows[name][column] for column in ('value', 'registered_when')})

    @staticmethod
    def _first(row: Mapping[str, str]) -> Version:
        return Version(row['first_release'])

    @staticmethod
    def _ended(row: Mapping[str, str], version: Version) -> bool:
        return bool(row['last_release']) and version > Version(row['last_release'])


def _seen(family: Family) -> dict[str, str]:
    return {
        'type': family.type,
        'labels': '|'.join(family.labels or ()),
        'multiprocess_mode': family.multiprocess_mode,
    }


def _new_row(family: Family, release: str, is_newest: bool) -> dict[str, str]:
    """Return the row of a family that was not known, its value in LiteLLM's words until someone finds better ones."""
    registering_class = family.registered_by.rpartition(':')[2].split('.')[0]
    return {
        'family': family.name,
        **_seen(family),
        'first_release': release,
        'last_release': '' if is_newest else release,
        'value': family.help,
        'registered_when': _CALLBACKS.get(registering_class, f'first use of {family.registered_by}'),
    }
