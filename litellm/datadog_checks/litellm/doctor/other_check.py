"""Tell what an instance would mean to the check of the same name that the Agent bundles.

An upgrade of the Agent puts that one back, and it reads the same file. It honours the options of the base package and
ignores, in silence, those that only this check has. So what must never leave the host belongs into an option of the
base package. The stand-in for the bundled check is the base package: options that it may have beyond are not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any

from ..mapping.labels import METADATA_PREFIXES, PERSONAL_LABELS, is_personal
from ..options import Options
from .finding import Finding, Verdict

__all__ = ['OWN_OPTIONS', 'labels_under_the_other_check', 'look_at_options']

# Options that the bundled check has as well: one of its own, and those of the base package.
_SHARED = frozenset({'collect_histogram_buckets', 'litellm_health_endpoint'})
OWN_OPTIONS = frozenset(option.name for option in fields(Options)) - _SHARED

# What to write instead, for options whose loss matters.
_INSTEAD = {
    'drop_empty_labels': 'Tags such as `team:None` come back; nothing else changes.',
    'exclude_metric_groups': 'List the families in `exclude_metrics`, which both checks honour.',
    'litellm_health_interval': 'The bundled check requests `/health` in every run, which calls every model each time '
    'unless the proxy checks them in the background: set `background_health_checks: true` there.',
    'max_contexts': 'No option of both checks limits contexts: drop labels with `include_labels`.',
}
# The label that tells the buckets of a histogram apart, as the base package names it.
_BUCKET_LABEL = 'upper_bound'


def labels_under_the_other_check(instance: Mapping[str, Any], labels: Collection[str]) -> list[str]:
    """Return the personal ones of these labels that the bundled check would send, and this instance does not want."""
    kept, dropped = instance.get('include_labels') or (), instance.get('exclude_labels') or ()
    personal = filter(is_personal, labels)
    wanted = Options.of(instance).keep_labels
    return sorted(label for label in personal if label not in {*dropped, *wanted} and (not kept or label in kept))


def look_at_options(instance: Mapping[str, Any]) -> Iterator[Finding]:
    """Say which options of an instance the bundled check would ignore, and what to write instead."""
    options = Options.of(instance)
    ignored = sorted(OWN_OPTIONS & {name for name, value in instance.items() if value is not None})
    if options.exclude_personal_labels:
        yield _privacy(instance)
    for name in ignored:
        if name != 'exclude_personal_labels' and name in _INSTEAD:
            yield Finding(Verdict.NOTE, 'another check', f'`{name}` would be ignored', _INSTEAD[name])
    silent = [name for name in ignored if name != 'exclude_personal_labels' and name not in _INSTEAD]
    if silent:
        names = ', '.join(f'`{name}`' for name in silent)
        yield Finding(Verdict.NOTE, 'another check', f'{names} would be ignored; nothing leaves the host because of it')
    kept = instance.get('include_labels') or ()
    if kept and _BUCKET_LABEL not in kept:
        yield Finding(
            Verdict.PROBLEM,
            'options',
            f'`include_labels` does not have `{_BUCKET_LABEL}`, so the buckets of a histogram become one',
            f'Add `{_BUCKET_LABEL}`.',
        )


def _privacy(instance: Mapping[str, Any]) -> Finding:
    lost = labels_under_the_other_check(instance, PERSONAL_LABELS)
    if not lost:
        return Finding(
            Verdict.OK,
            'another check',
            'would send no personal label either: the base options of the instance drop them',
        )
    custom = ' and '.join(f'`{prefix}*`' for prefix in METADATA_PREFIXES)
    return Finding(
        Verdict.PROBLEM,
        'another check',
        f'would ignore `exclude_personal_labels`, and send {", ".join(f"`{label}`" for label in lost)}',
        'List these labels in `exclude_labels`, or those to keep in `include_labels`: both checks honour them. '
        f'With `exclude_labels`, also list each label of {custom} that the proxy is configured to have.',
    )
