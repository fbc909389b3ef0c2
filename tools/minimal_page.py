"""The smallest page of LiteLLM that keeps the monitors and the overview alive, for docs/proxy.md.

LiteLLM's `prometheus_metrics_config` selects families of its callback and, for each, labels. Families of services, of
which the monitors need some as well, are no choice: they are there with `service_callback`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from tests.support.known_metrics import families_of_metrics, tags_of

from datadog_checks.litellm.metrics import COUNTERS, GAUGES, HISTOGRAMS, Group
from tools.datadog_model import Dashboard, MetricQuery, Monitor, metric_queries
from tools.datadog_model.syntax import Either, Every, Filter, Not, ServiceCheckQuery, TagIs

__all__ = ['NOT_SELECTABLE', 'block', 'queries', 'settings']

_ASSETS = Path(__file__).parents[1] / 'litellm' / 'assets'
_OVERVIEW = _ASSETS / 'dashboards' / 'litellm_overview.json'
# Of labels that the check makes: they are none of the proxy's.
_MADE_BY_THE_CHECK = frozenset({'upper_bound'})
# Not the callback's: what the proxy has with `service_callback`, and what its database jobs register.
_OTHER_GROUPS = frozenset({Group.SERVICES, Group.DEPRECATED})
# LiteLLM refuses to select them, and does not have them once others are selected.
NOT_SELECTABLE = frozenset(
    {
        'litellm_admission_rejected_requests',
        'litellm_guardrail_errors',
        'litellm_guardrail_requests',
        'litellm_in_flight_requests',
        'litellm_provider_remaining_budget_metric',
        'litellm_zero_cost_requests',
    }
)


def queries() -> Iterator[MetricQuery]:
    """Yield what the monitors and the overview ask for."""
    for path in sorted((_ASSETS / 'monitors').glob('*.json')):
        query = Monitor.from_json(_content(path)).query
        if not isinstance(query, ServiceCheckQuery):
            yield from metric_queries(query.expression)
    for widget in Dashboard.from_json(_content(_OVERVIEW)).all_widgets():
        yield from widget.metric_queries()


def settings() -> dict[str, Any]:
    """Return the settings of LiteLLM, in groups of families that need the same labels."""
    groups = {raw: family.group for one in (COUNTERS, GAUGES, HISTOGRAMS) for raw, family in one.items()}
    sources = families_of_metrics()
    needed: defaultdict[str, set[str]] = defaultdict(set)
    for query in queries():
        # The newest family of the name: former ones cannot be selected.
        for family in sources.get(query.metric, [])[-1:]:
            name = family['family']
            selectable = not family['last_release'] and name not in NOT_SELECTABLE
            if selectable and groups[name] not in _OTHER_GROUPS:
                asked = {*query.scope.by, *_keys(query.scope.filter)}
                needed[name] |= asked & tags_of(query.metric, [family]) - _MADE_BY_THE_CHECK
    shared: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, labels in sorted(needed.items()):
        # An empty list would mean all labels.
        shared[tuple(sorted(labels or {'requested_model'}))].append(name)
    selected = [
        {'group': f'needed_{number}', 'metrics': names, 'include_labels': list(labels)}
        for number, (labels, names) in enumerate(sorted(shared.items()), 1)
    ]
    return {'litellm_settings': {'callbacks': ['prometheus'], 'prometheus_metrics_config': selected}}


def block() -> str:
    """Return the settings as a block of Markdown."""
    text = yaml.safe_dump(settings(), sort_keys=False, width=100, default_flow_style=None)
    return f'```yaml\n{text}```'


def _content(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    return read


def _keys(scope: Filter) -> Iterator[str]:
    match scope:
        case TagIs():
            yield scope.key
        case Not():
            yield from _keys(scope.condition)
        case Every() | Either():
            for condition in scope.conditions:
                yield from _keys(condition)
        case _:
            pass
