"""Say what the exact scraper found to be wrong with a page that it could read, and what to do about it.

`base` has the warnings that both scrapers give. Nothing from the page is in them but names of metrics.
"""

from __future__ import annotations

from collections import Counter

__all__ = [
    'alternating_levels',
    'contexts_dropped',
    'families_failed',
    'query_in_vain',
    'repeated_samples',
    'several_processes',
    'unlimited_budgets',
]

# How many of the metrics with dropped contexts a warning names.
DROPPED_NAMED = 10


def contexts_dropped(dropped: Counter[str], endpoint: str) -> str:
    """Say which metrics have contexts beyond `max_contexts`."""
    named = ', '.join(f'{metric} ({contexts})' for metric, contexts in dropped.most_common(DROPPED_NAMED))
    return (
        f'{dropped.total()} contexts of {endpoint} exceed `max_contexts` and are not sent. They belong to '
        f'{named}{", …" if len(dropped) > DROPPED_NAMED else ""}. Raise the limit, or exclude labels or metrics that '
        'nobody uses with `exclude_personal_labels`, `exclude_metric_groups` or `collect_histogram_buckets: false`.'
    )


def families_failed(errors: list[str], endpoint: str) -> str:
    """Say that the base package could not submit some families as an option wants it."""
    return (
        f'{len(errors)} families of {endpoint} have a type by `metrics` or `extra_metrics` that does not fit what is '
        f'on the page ({", ".join(sorted(set(errors)))}), and are not submitted: check what these options say of '
        'values that are no number, and of labels.'
    )


def query_in_vain(fault: Exception, endpoint: str) -> str:
    """Say that something on the way does not pass on a query."""
    return (
        f'A request for samples by name at {endpoint} (`?name[]=`) failed, and one for the whole page did not: {fault} '
        'Whole pages are requested for some time. Find what does not pass on the query, or set '
        '`filter_at_proxy: false`.'
    )


def repeated_samples(samples: int, endpoint: str, outcome: str = 'The last value of each counts.') -> str:
    """Say that something on the way joins pages, and what comes of it."""
    return (
        f'{samples} samples are on the page of {endpoint} more than once. {outcome} Find what joins pages on the way, '
        'and scrape LiteLLM itself.'
    )


def several_processes(endpoint: str) -> str:
    """Say that one URL leads to several processes."""
    return (
        f'Several processes take turns answering at {endpoint}. Each is tracked separately, but what a process counts '
        'before its first scrape is missed, and gauges show one process at a time. Set PROMETHEUS_MULTIPROC_DIR for a '
        'proxy with several workers, and scrape each pod directly rather than through a Service.'
    )


def alternating_levels(endpoint: str) -> str:
    """Say that one URL leads to several proxies that cannot be told apart."""
    return (
        f'Pages of several proxies alternate at {endpoint}, and without `_created` samples nothing but their values '
        'tells them apart. Counts are approximate. Scrape each pod directly rather than through a Service.'
    )


def unlimited_budgets(unlimited: Counter[str], endpoint: str) -> str:
    """Say for how many budgets with a maximum LiteLLM reports that nothing limits what remains of them."""
    named = ', '.join(f'{metric} ({budgets})' for metric, budgets in sorted(unlimited.items()))
    return (
        f'{unlimited.total()} budgets at {endpoint} have a maximum, and yet LiteLLM reports what remains of them as '
        f'unlimited (+Inf): {named}. Nothing is sent for these, so no monitor of budgets sees them. Ask LiteLLM itself '
        'how much is left (`/key/info`, `/team/info`, `/user/info`), watch `litellm.spend.metric.count` instead, and '
        'try a newer release.'
    )
