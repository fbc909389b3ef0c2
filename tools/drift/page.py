"""The lineage as a table for people: `litellm/FAMILIES.md`."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

from tests.lineage.lineage import RENAMED, Lineage

from tools.markdown import put_table

__all__ = ['FAMILIES_MD', 'table', 'write']

FAMILIES_MD = Path(__file__).parents[2] / 'litellm' / 'FAMILIES.md'


def write(lineage: Lineage) -> None:
    """Put the table into FAMILIES.md, between its markers."""
    put_table(FAMILIES_MD, table(lineage))


def table(lineage: Lineage) -> str:
    """Return a row of each release that has other families than the one before it, the newest first."""
    releases = lineage.in_order()
    oldest = releases[0]
    rows = [f'| {oldest} | {len(lineage.families_of(oldest))} | oldest release covered | |']
    for before, release in pairwise(releases):
        had, has = lineage.families_of(before), lineage.families_of(release)
        renamed = {old: new for old, new in RENAMED.items() if old in had - has and new in has - had}
        new = [_listed(has - had - set(renamed.values())), _listed_renames(renamed)]
        gone = _listed(had - has - renamed.keys())
        if had != has:
            rows.append(f'| {release} | {len(has)} | {"; ".join(filter(None, new))} | {gone} |')
    return '\n'.join(
        ['| LiteLLM | Families | Added or renamed | Removed |', '| --- | --- | --- | --- |', *reversed(rows)]
    )


def _listed(families: Collection[str]) -> str:
    return ', '.join(f'`{family}`' for family in sorted(families))


def _listed_renames(renamed: dict[str, str]) -> str:
    return ', '.join(f'`{old}` → `{new}`' for old, new in sorted(renamed.items()))
