"""What each option saves that takes something off what leaves the host: `python -m tools.levers`.

Counted on the page of a real proxy and on the same page of a busier one, in which each caller is ten: each series that
names a key, user or customer is there ten times, under as many names. The tables are those of docs/data.md.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.agent_model import Context, recorded
from tests.support.endpoint import serving_page

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.mapping.labels import KEY_LABEL, PLACEHOLDERS, is_personal
from datadog_checks.litellm.metrics import COUNTERS, GAUGES, HISTOGRAMS, PROCESS, Group

__all__ = ['CAPTURE', 'busy_page', 'contexts_of', 'table_of_groups', 'table_of_levers']

CAPTURE = Path(__file__).parents[1] / 'litellm' / 'tests' / 'pages' / '1.110.2.txt.gz'
CALLERS = 10
MASTER_KEY = 'hashed_api_key="litellm_proxy_master_key"'

LEVERS: dict[str, dict[str, Any]] = {
    'none': {},
    '`drop_empty_labels: true`': {'drop_empty_labels': True},
    '`exclude_personal_labels: true`': {'exclude_personal_labels': True},
    '`exclude_metric_groups: [deprecated, services]`': {'exclude_metric_groups': ['deprecated', 'services']},
    '`collect_histogram_buckets: false`': {'collect_histogram_buckets': False},
}
TOGETHER = 'all of these'

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_PART = re.compile(r'\.(bucket|count|sum)$')


def busy_page(page: str, callers: int = CALLERS) -> str:
    """Return the page of a proxy on which so many do each what one does on this page."""
    return ''.join(f'{line}\n' for one in page.splitlines() for line in _lines_of_callers(one, callers))


def contexts_of(page: str, options: dict[str, Any]) -> set[Context]:
    """Return the contexts that one scrape of a page submits, their tags without that of the endpoint."""
    with serving_page(page) as url, recorded() as submissions:
        instance = {'openmetrics_endpoint': url, 'tag_by_endpoint': False, **options}
        error = LitellmCheck('litellm', {}, [instance]).run()
    if error:
        raise RuntimeError(error)
    return {Context(sample.name, frozenset(sample.tags), sample.hostname) for sample in submissions.samples}


def table_of_levers(pages: Iterable[str]) -> list[str]:
    """Return a row for each option: contexts, and kilobytes of tags, on each of the pages."""
    pages = list(pages)
    together = {option: value for options in LEVERS.values() for option, value in options.items()}
    rows = []
    for lever, options in {**LEVERS, TOGETHER: together}.items():
        cells = [_cost(contexts_of(page, options)) for page in pages]
        rows.append(f'| {lever} | {" | ".join(cells)} |')
    return rows


def table_of_groups(pages: Iterable[str]) -> dict[str, str]:
    """Return for each group its contexts on each of the pages, as the cells of a row."""
    counts = [Counter(_group_of(context.name) for context in contexts_of(page, {})) for page in pages]
    return {group: ' | '.join(f'{count[group]:,}' for count in counts) for group in Group}


def _lines_of_callers(line: str, callers: int) -> list[str]:
    # Of the master key there is one.
    is_of_callers = not line.startswith('#') and MASTER_KEY not in line
    if not is_of_callers or not any(_names_a_caller(*label) for label in _LABEL.findall(line)):
        return [line]
    return [_LABEL.sub(partial(_renamed, number), line) for number in range(callers)]


def _renamed(number: int, label: re.Match[str]) -> str:
    """Return the label of one of several callers. A hash stays as long as it is."""
    name, value = label.groups()
    if not _names_a_caller(name, value):
        return label[0]
    return f'{name}="{number:02x}{value[2:]}"' if name == KEY_LABEL else f'{name}="{value}-{number}"'


def _names_a_caller(label: str, value: str) -> bool:
    # Teams, programs and addresses are as many as before.
    return is_personal(label) and label not in ('client_ip', 'team_alias', 'user_agent') and value not in PLACEHOLDERS


def _cost(contexts: set[Context]) -> str:
    kilobytes = sum(len(tag.encode()) for context in contexts for tag in context.tags) / 1000
    return f'{len(contexts):,} | {kilobytes:,.0f} kB'


def _group_of(metric: str) -> str | None:
    name = metric.removeprefix('litellm.')
    groups = {family.name: family.group for family in (*GAUGES.values(), *PROCESS.values())}
    # Where a name is that of a deprecated family as well, these pages have the other one.
    groups |= {
        family.name: family.group for family in sorted(_counted(), key=lambda one: one.group != Group.DEPRECATED)
    }
    return groups.get(name) or groups.get(_PART.sub('', name))


def _counted() -> list[Any]:
    return [*COUNTERS.values(), *HISTOGRAMS.values()]


def main() -> None:
    page = gzip.decompress(CAPTURE.read_bytes()).decode()
    pages = [page, busy_page(page)]
    print('\n'.join(table_of_levers(pages)))
    for group, cells in table_of_groups(pages).items():
        print(f'| `{group}` | {cells} |')


if __name__ == '__main__':
    main()
