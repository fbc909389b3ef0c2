"""Label names that families had in earlier releases, in `former_labels.csv`; those of the newest are in `families.csv`.

`python -m tests.fixture_proxy.former_labels` reads all releases of the lineage anew, which takes minutes, and fetches
the wheels that are not kept yet.
"""

from __future__ import annotations

import csv
from pathlib import Path

from tests.drift.lineage import Lineage, parsed_release
from tests.drift.static import read_statically
from tests.drift.wheels import sources_of

__all__ = ['FORMER_LABELS_CSV', 'main']

FORMER_LABELS_CSV = Path(__file__).with_name('former_labels.csv')


def main() -> None:
    """Write the file: through which of the releases that were read a family had other labels than later on."""
    rows: list[tuple[str, str, str]] = []
    latest: dict[str, tuple[str, tuple[str, ...]]] = {}
    for release in sorted(Lineage.read().releases, key=parsed_release):
        with sources_of(release) as sources:
            families = read_statically(sources).families
        for family in families.values():
            if family.labels is None:
                continue
            through, labels = latest.get(family.name, (release, family.labels))
            if set(labels) != set(family.labels):
                rows.append((family.name, through, '|'.join(labels)))
            latest[family.name] = (release, family.labels)
    rows.sort(key=lambda row: (row[0], parsed_release(row[1])))
    with FORMER_LABELS_CSV.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(('family', 'through_release', 'labels'))
        writer.writerows(rows)


if __name__ == '__main__':
    main()
