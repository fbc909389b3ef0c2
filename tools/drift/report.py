"""Report what a release means to the check, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.lineage.family import Family
from tests.lineage.lineage import Lineage, parsed_release

from datadog_checks.litellm import metrics as names

from .dynamic import Run
from .scan import Scan

__all__ = ['Report', 'compared', 'lines']


class Report(NamedTuple):
    """One release: its families, and how they differ from our names and from the newest release of the lineage."""

    release: str
    families: dict[str, Family]
    how: str
    notes: list[str]
    unread: list[str]
    unmapped: list[Family]
    type_changed: list[dict[str, str]]
    labels_changed: list[dict[str, Any]]
    gone: list[str]
    not_in_lineage: list[str]

    @property
    def exit_status(self) -> int:
        """1 when a family is not mapped, or may not be because its name could not be read; else 0."""
        return 1 if self.unmapped or self.unread else 0

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plain = self._asdict()
        plain['families'] = [family._asdict() for family in self.families.values()]
        plain['unmapped'] = [family.name for family in self.unmapped]
        plain['exit_status'] = self.exit_status
        return plain


def compared(release: str, scanned: Scan, ran: Run, lineage: Lineage) -> Report:
    """Compare what is known of a release: what its sources tell, and what it registered when it ran."""
    families = {name: {**scanned.families, **ran.families}[name] for name in sorted({*scanned.families, *ran.families})}
    nameless = [place for place in scanned.nameless if place not in ran.calls]
    unread = [
        *scanned.unread,
        *(f'{place}: a family is made here, but its name could not be read' for place in nameless),
    ]
    types = {
        **dict.fromkeys(names.COUNTERS, 'counter'),
        **dict.fromkeys(names.GAUGES, 'gauge'),
        **dict.fromkeys(names.HISTOGRAMS, 'histogram'),
    }
    mapped = names.raw_names()
    return Report(
        release=release,
        families=families,
        how=_how(families, ran),
        notes=list(ran.failures),
        unread=unread,
        unmapped=[family for family in families.values() if family.name not in mapped],
        type_changed=[
            {'family': family.name, 'mapped_as': types[family.name], 'is': family.type}
            for family in families.values()
            if types.get(family.name, family.type) != family.type
        ],
        labels_changed=_labels_changed(release, families, lineage),
        # What could not be read may be there.
        gone=[] if unread else sorted(lineage.families_of(release) - families.keys()),
        not_in_lineage=sorted(families.keys() - lineage.families_of(release)),
    )


def _how(families: Mapping[str, Family], ran: Run) -> str:
    only = sum(name not in ran.families for name in families)
    return f'{len(ran.families)} of them registered when it ran{f", {only} in its sources only" if only else ""}'


def _labels_changed(release: str, families: dict[str, Family], lineage: Lineage) -> list[dict[str, Any]]:
    """Compare label sets with those of the lineage's newest release; an older release is expected to differ."""
    if parsed_release(release) < lineage.newest:
        return []
    changed = []
    for family in families.values():
        row = lineage.rows.get(family.name)
        if row is None or family.labels is None:
            continue
        before, now = set(filter(None, row['labels'].split('|'))), set(family.labels)
        if before != now:
            changed.append({'family': family.name, 'added': sorted(now - before), 'removed': sorted(before - now)})
    return changed


def lines(report: Report) -> Iterator[str]:
    """Yield the verdict as text; what is known of each family is in the JSON."""
    yield f'LiteLLM {report.release}: {len(report.families)} families, {report.how}'
    for note in report.notes:
        yield f'  note: {note}'
    yield from _section('could not be read', report.unread)
    yield from _section(
        'unmapped', [f'{family.name} ({family.type}, {family.evidence or "no evidence"})' for family in report.unmapped]
    )
    yield from _section(
        'type changed',
        [f'{one["family"]}: mapped as {one["mapped_as"]}, is {one["is"]}' for one in report.type_changed],
    )
    yield from _section(
        'label set changed',
        [
            ' '.join(
                (
                    f'{one["family"]}:',
                    *(f'+{label}' for label in one['added']),
                    *(f'-{label}' for label in one['removed']),
                )
            )
            for one in report.labels_changed
        ],
    )
    yield from _section('gone', report.gone)
    if report.not_in_lineage:
        yield from _section('not in families.csv for this release (--write adds them)', report.not_in_lineage)


def _section(title: str, entries: list[str]) -> Iterator[str]:
    yield f'{title}: {len(entries) or "none"}'
    yield from (f'  {entry}' for entry in entries)
