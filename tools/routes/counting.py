"""What a proxy counts for one call of a route: requests and amounts, with their labels, as rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tools.markdown import render_table
from tools.real_litellm.families import Page

from .official_clients import Ask

__all__ = ['AMOUNTS', 'COUNTED', 'LABELS', 'Route', 'call', 'routes_table', 'sums']

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
LABELS = ('route', 'requested_model', 'api_provider')
_REQUESTS = 'litellm_proxy_total_requests_metric'


class Route(NamedTuple):
    """What LiteLLM answered to a call, and counted for one: requests and amounts, and their labels."""

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
    """Return the labels of the requests that were counted between two pages."""
    values: dict[str, set[str]] = {label: set() for label in LABELS}
    counted = {tuple(sorted(sample.labels.items())): sample.value for sample in _samples(before)}
    for sample in _samples(after):
        if sample.value != counted.get(tuple(sorted(sample.labels.items())), 0):
            for label, found in values.items():
                found.add(sample.labels.get(label, ''))
    return {
        label: ', '.join(f'`{value}`' if value else 'empty' for value in sorted(found))
        for label, found in values.items()
    }


def _samples(page: Page) -> list[Any]:
    family = page.families.get(_REQUESTS)
    return [sample for sample in family.samples if sample.name.endswith('_total')] if family else []


def routes_table(found: list[Route]) -> str:
    """Return a row for each call."""
    head = ['Call', 'status', *_HEADS, *LABELS]
    rows = [
        [one.call, one.status, *(f'{one.counts[what]:.3g}' for what in _HEADS), *one.labels.values()] for one in found
    ]
    return render_table(head, rows)
