"""The measurement as a report to read in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..mapping.labels import is_personal
from .contexts import ContextTable, contexts_per_metric, personal_labels, shared_tags
from .idle_points import count_points, idle_points, moved
from .measure import Measurement, Page
from .summary import Row, count_of, is_quiet, rows

__all__ = ['HEALTH_NOTE', 'Style', 'printable', 'render']

TOP_METRICS = 15
TOP_LABELS = 8
TOP_FAMILIES = 10
SAVING_WORTH_A_ROW = 0.01

HEALTH_NOTE = (
    '/health was requested: unless the proxy checks its models in the background, LiteLLM called each of them for it.'
)
QUIET_NOTE = 'No request reached the proxy between the two scrapes: try `--interval 30`, or send it some.'

STATUS = {0: 'OK', 1: 'WARNING', 2: 'CRITICAL', 3: 'UNKNOWN'}
GREEN, YELLOW, RED, BOLD, FAINT = '32', '33', '31', '1', '2'
STATUS_COLOURS = {0: GREEN, 1: YELLOW, 2: RED, 3: YELLOW}


@dataclass(frozen=True)
class Style:
    """The looks of the report: `width` in columns, `full` without cutting tables short."""

    width: int = 120
    colour: bool = False
    full: bool = False

    def paint(self, text: str, code: str) -> str:
        return f'\033[{code}m{text}\033[0m' if self.colour else text

    def shown(self, count: int, top: int) -> int:
        """Return how many of `count` rows to show. A last row is shown rather than a line that says it is missing."""
        return count if self.full or count <= top + 1 else top

    def wrap(self, text: str, first: str = '  ', rest: str = '  ') -> list[str]:
        return textwrap.wrap(
            printable(text), self.width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
        )


def render(measurement: Measurement, style: Style) -> str:
    """Return the report: health, metrics with their values, what multiplies contexts, and what is worth a look."""
    common = shared_tags(measurement.contexts)
    metrics = rows(measurement)
    table = ContextTable(measurement.contexts, measurement.labels)
    sections = [
        _overview(measurement, metrics, common, style),
        _warnings(measurement, style),
        _metrics(measurement, metrics, common, style),
        _idle_counts(measurement, style),
        _labels(table, len(measurement.contexts), style),
        _personal(measurement, table, style),
        _families(measurement.page, style) if measurement.page else [],
    ]
    return '\n\n'.join('\n'.join(section) for section in sections if section) + '\n'


def printable(text: str) -> str:
    """Return text with control characters escaped: values of labels come from anyone who may call the proxy."""
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)


def _overview(measurement: Measurement, metrics: Sequence[Row], common: Iterable[str], style: Style) -> list[str]:
    contexts = count_of(len(measurement.contexts), 'context')
    names = len(contexts_per_metric(measurement.contexts))
    merged = '; below, the three metrics of a histogram are one row' if len(metrics) < names else ''
    lines = [
        style.paint(
            ' '.join(filter(None, ('LiteLLM', measurement.version, f'at {printable(measurement.endpoint)}'))), BOLD
        ),
        f'  Two scrapes, {measurement.interval:.1f} s apart. The second took {measurement.duration:.2f} s.',
    ]
    if measurement.page:
        samples = count_of(measurement.page.samples, 'sample')
        lines.append(f'  The page has {samples} in {_size(measurement.page.size)}.')
    lines += style.wrap(
        f'The Agent would send {count_of(names, "metric")} in {contexts}{merged}. '
        'A context is a metric with a unique set of tags. Assume that Datadog may charge for each as a custom metric: '
        'how it counts those of a check that replaces its own is not documented. Compare its usage page before and '
        'after a pilot, as docs/cost.md in the repository of this check describes.'
    )
    if common:
        lines += style.wrap(f'Tags on all contexts: {", ".join(sorted(common))}')
    for check in measurement.service_checks:
        status = style.paint(STATUS[check.status], STATUS_COLOURS[check.status])
        lines.append(f'  Service check {check.name}: {status} {printable(check.message)}'.rstrip())
    if measurement.asked_health:
        lines += style.wrap(HEALTH_NOTE)
    return lines


def _warnings(measurement: Measurement, style: Style) -> list[str]:
    messages = [*measurement.warnings, *measurement.log]
    lines = _title('Warnings', style)
    for message in messages:
        lines += style.wrap(message, first='  - ', rest='    ')
    return lines if messages else []


def _metrics(measurement: Measurement, table: Sequence[Row], common: frozenset[str], style: Style) -> list[str]:
    shown = table[: style.shown(len(table), TOP_METRICS)]
    lines = _title('Metrics', style, 'a count is the increase between the two scrapes')
    if not shown:
        return [*lines, '  None.']
    if is_quiet(measurement):
        lines += style.wrap(QUIET_NOTE)
    kind_width = max(len(row.kind) for row in shown)
    room = style.width - len(f'    {"":<{kind_width}}  CONTEXTS  ') - max(len(row.value) for row in shown)
    # A name that is longer has its details on a line of their own.
    width = max(len('METRIC'), min(room, max(len(row.name) for row in shown)))

    lines.append(style.paint(f'  {"METRIC":<{width}}  {"TYPE":<{kind_width}}  {"CONTEXTS":>8}  VALUE', FAINT))
    for row in shown:
        details = f'{row.kind:<{kind_width}}  {row.contexts:>8,}  {row.value}'
        if len(row.name) <= width:
            lines.append(f'  {row.name:<{width}}  {details}')
        else:
            lines += [f'  {row.name}', f'  {"":<{width}}  {details}']
        lines += [style.paint(line, FAINT) for line in _sample_of_tags(row, common, style)]
    rest = table[len(shown) :]
    if rest:
        contexts = count_of(sum(row.contexts for row in rest), 'context')
        lines.append(f'  ... and {len(rest)} more with {contexts} (--all shows them)')
    return lines


def _idle_counts(measurement: Measurement, style: Style) -> list[str]:
    counts = count_points(measurement)
    if not counts:
        return []
    lines = _title('Points of counts', style, f'with a run every {measurement.every:g} s')
    lines += style.wrap(
        f'Between the two scrapes, {moved(counts):,} of {count_of(len(counts), "count")} moved. If the same ones move '
        'in each run, `idle_counts` makes this difference; a longer `--interval` tells more.'
    )
    lines.append(style.paint(f'  {"IDLE_COUNTS":<11}  {"PER RUN":>9}  {"PER HOUR":>11}', FAINT))
    lines += [
        f'  {one.setting:<11}  {one.per_run:>9,}  {one.per_hour:>11,}' for one in idle_points(counts, measurement.every)
    ]
    return lines


def _labels(table: ContextTable, total: int, style: Style) -> list[str]:
    costs = table.costs()
    worthwhile = [cost for cost in costs if cost.contexts_left <= total * (1 - SAVING_WORTH_A_ROW)]
    shown = costs if style.full else worthwhile[:TOP_LABELS]
    names = [' + '.join(map(printable, cost.labels)) for cost in shown]
    width = max((len(name) for name in names), default=0)

    lines = _title('Labels that multiply the contexts', style, 'each row on its own')
    if not costs:
        return [*lines, '  None.']
    if shown:
        lines.append(style.paint(f'  {"LABEL":<{width}}  {"VALUES":>7}  CONTEXTS WITHOUT IT', FAINT))
    for name, cost in zip(names, shown, strict=True):
        change = cost.contexts_left / total - 1
        lines.append(f'  {name:<{width}}  {cost.values:>7,}  {cost.contexts_left:>10,}  {change:>7.1%}')
    if len(shown) < len(costs):
        lines.append(f'  ... and {len(costs) - len(shown)} that save less (--all shows them)')
    if any('upper_bound' in cost.labels for cost in shown):
        lines += style.wrap(
            'upper_bound distinguishes histogram buckets: to drop them, set `collect_histogram_buckets: false`.'
        )
    return lines


def _personal(measurement: Measurement, table: ContextTable, style: Style) -> list[str]:
    personal = personal_labels(measurement.contexts, measurement.labels)
    names = [printable(entry.label) for entry in personal]
    width = max((len(name) for name in names), default=0)

    lines = _title('Personal labels that would leave this host', style)
    if not personal:
        return [*lines, '  None.']
    lines.append(style.paint(f'  {"LABEL":<{width}}  {"VALUES":>7}  {"CONTEXTS":>8}', FAINT))
    for name, entry in zip(names, personal, strict=True):
        lines.append(f'  {name:<{width}}  {entry.values:>7,}  {entry.contexts:>8,}')
    left = table.without(list(filter(is_personal, table.labels))).contexts_left
    lines += style.wrap(f'With `exclude_personal_labels: true` the Agent would send {count_of(left, "context")}.')
    return lines


def _families(page: Page, style: Style) -> list[str]:
    unknown = sorted(page.unknown)
    shown = unknown[: style.shown(len(unknown), TOP_FAMILIES)]

    lines = _title('Families unknown to the check', style)
    if not unknown:
        lines.append(f'  None of the {count_of(len(page.litellm), "LiteLLM family")} on the page.')
    lines += [f'  {printable(family)}' for family in shown]
    if len(shown) < len(unknown):
        lines.append(f'  ... and {len(unknown) - len(shown)} more (--all shows them)')
    if unknown:
        lines += style.wrap(
            f'The page has {count_of(len(page.litellm), "LiteLLM family")}. Those above are collected only '
            'with `collect_unknown_metrics: true`, or if `extra_metrics` lists them.'
        )
    if page.process:
        lines.append(
            f'  Also on the page: {count_of(page.process, "family")} about the process itself (python_*, process_*).'
        )
    if page.other:
        lines.append(f'  Also on the page: {count_of(page.other, "family")} from other sources.')
    return lines


def _title(title: str, style: Style, note: str = '') -> list[str]:
    return [style.paint(title, BOLD) + (f' ({note})' if note else '')]


def _sample_of_tags(row: Row, common: frozenset[str], style: Style) -> list[str]:
    """Return a line with as many of one context's own tags as fit, and how many do not."""
    if row.sample is None:
        return []
    tags = [printable(tag) for tag in sorted(row.sample.tags - common)]
    room = style.width - len('      ... 99 more tags')
    line = ''
    for position, tag in enumerate(tags):
        if len(line) + len(tag) > room:
            return [f'      {line}... {count_of(len(tags) - position, "more tag")}']
        line += f'{tag}, '
    return [f'      {line.removesuffix(", ")}'] if tags else []


def _size(size: int) -> str:
    return f'{size / 1e6:.1f} MB' if size >= 1e6 else f'{size / 1e3:.0f} kB'
