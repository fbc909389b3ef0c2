"""Tell what a proxy counts for one call of a route: requests and amounts, with their labels, as rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tools.markdown import render_table
from tools.real_litellm.families import Page

from .official_clients import Ask

__all__ = ['AMOUNTS', 'COUNTED', 'LABELS', 'OF_DEPLOYMENTS', 'Route', 'call', 'routes_table', 'sums']

_TIMES = 2

# What is counted, under which heading; by its kind, in units of one call.
COUNTED = {
    'requests': ('proxy_total_requests_metric', '_total'),
    'failures': ('proxy_failed_requests_metric', '_total'),
    'calls of a deployment': ('deployment_total_requests', '_total'),
    'latency': ('request_total_latency_metric', '_count'),
    "the provider's latency": ('llm_api_latency_metric', '_count'),
    'time to first token': ('llm_api_time_to_first_token_metric', '_count'),
}
AMOUNTS = {
    'input tokens': ('input_tokens_metric', '_total'),
    'output tokens': ('output_tokens_metric', '_total'),
    'dollars': ('spend_metric', '_total'),
}
_REQUESTS, _FAILURES = 'litellm_proxy_total_requests_metric', 'litellm_proxy_failed_requests_metric'
# Of which family each is.
LABELS = {
    'route': _REQUESTS,
    'requested_model': _REQUESTS,
    'api_provider': _REQUESTS,
    'status_code': _REQUESTS,
    'exception_class': _FAILURES,
}

# Of `litellm_deployment_total_requests`, of whose `api_base` the path, and of the state of these deployments.
OF_DEPLOYMENTS = ('api_base of the deployment', 'api_provider of the deployment', 'api_provider of its state')
_DEPLOYMENTS, _STATES = 'litellm_deployment_total_requests', 'litellm_deployment_state'


class Route(NamedTuple):
    """The answer of LiteLLM to a call, and its counts for one: requests and amounts, and their labels."""

    call: str
    status: str
    counts: dict[str, float]
    labels: dict[str, str]


def call(read: Callable[[], Page], ask: Ask, name: str) -> Route:
    """Make a call; `read` returns a page after which nothing of what was called before is counted any more."""
    before = read()
    statuses = {ask(name) for _ in range(_TIMES)}
    after = read()
    counts = {
        what: (late - early) / _TIMES for what, late, early in zip(_HEADS, sums(after), sums(before), strict=True)
    }
    return Route(name, ', '.join(sorted(statuses)), counts, _labels(before, after))


_HEADS = (*COUNTED, *AMOUNTS)


def sums(page: Page) -> list[float]:
    """Return all that is counted."""
    return [page.total(f'litellm_{family}', suffix) for family, suffix in (COUNTED | AMOUNTS).values()]


def _labels(before: Page, after: Page) -> dict[str, str]:
    """Return the labels of what was counted between two pages."""
    found = {label: _values(_counted(before, after, family), label) for label, family in LABELS.items()}
    deployments = _counted(before, after, _DEPLOYMENTS)
    called = {(one['model_id'], one['api_base']) for one in deployments}
    states = [
        one.labels for one in after.samples(_STATES) if (one.labels['model_id'], one.labels['api_base']) in called
    ]
    addresses = [{'api_base': urlsplit(one['api_base']).path} for one in deployments]
    told = (_values(addresses, 'api_base'), _values(deployments, 'api_provider'), _values(states, 'api_provider'))
    return found | dict(zip(OF_DEPLOYMENTS, told, strict=True))


def _counted(before: Page, after: Page, family: str) -> list[dict[str, str]]:
    """Return the labels of a counter's series that moved between two pages."""
    counted = {tuple(sorted(sample.labels.items())): sample.value for sample in _samples(before, family)}
    return [
        sample.labels
        for sample in _samples(after, family)
        if sample.value != counted.get(tuple(sorted(sample.labels.items())), 0)
    ]


def _values(found: list[dict[str, str]], label: str) -> str:
    values = {one.get(label, '') for one in found}
    return ', '.join(f'`{value}`' if value else 'empty' for value in sorted(values))


def _samples(page: Page, name: str) -> list[Any]:
    return [sample for sample in page.samples(name) if sample.name.endswith('_total')]


def routes_table(found: list[Route]) -> str:
    """Return a row for each call."""
    head = ['Call', 'status', *_HEADS, *LABELS, *OF_DEPLOYMENTS]
    rows = [
        [one.call, one.status, *(f'{one.counts[what]:.3g}' for what in _HEADS), *one.labels.values()] for one in found
    ]
    return render_table(head, rows)
