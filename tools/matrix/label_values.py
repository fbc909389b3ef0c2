"""In which forms a page has the values of labels that LiteLLM chooses, to be compared with pages of other traffic.

Names of models and keys differ from one page to another, but not whether a label has one, `None` or nothing, nor which
statuses belong to an exception. What callers are, such as their team, depends on the traffic alone and is left out.
"""

from __future__ import annotations

import re
from collections import defaultdict

from prometheus_client import Metric

__all__ = ['Forms', 'alike', 'label_forms', 'mean_of']

# By what is told, such as `requested_model of litellm_spend_metric`, the forms of its values.
Forms = dict[str, frozenset[str]]

# Values that are compared as they are.
_WORDS = frozenset({'exception_status', 'rate_limit_type', 'state', 'status_code'})
_NAMES = frozenset(
    {
        'api_base',
        'api_provider',
        'fallback_model',
        'hashed_api_key',
        'litellm_model_name',
        'model',
        'model_group',
        'model_id',
        'requested_model',
        'route',
    }
)
_CLASS = 'exception_class'
_OF_CLASS = ' for '


def label_forms(family: Metric) -> Forms:
    """Return the forms of each label of a family, of failures by their class."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for sample in family.samples:
        of_class = f'{_OF_CLASS}{sample.labels[_CLASS]}' if _CLASS in sample.labels else ''
        for label in sample.labels.keys() & (_WORDS | _NAMES):
            found[f'{label} of {family.name}{of_class}'].add(_form(label, sample.labels[label]))
    return {told: frozenset(forms) for told, forms in found.items()}


def _form(label: str, value: str) -> str:
    if label in _WORDS or value in ('None', 'other'):
        return value
    if label == 'hashed_api_key' and re.fullmatch('[0-9a-f]{64}|litellm_proxy_master_key', value):
        return 'hash'
    return 'name' if value else 'empty'


def alike(told: str, real: frozenset[str], fixture: frozenset[str]) -> bool:
    """Compare forms: failures of one class have the same, and of others, there are some that both have."""
    return real == fixture if _OF_CLASS in told else bool(real & fixture)


def mean_of(family: Metric) -> float | None:
    """Return the mean of what a histogram observed, None without observations."""
    count, total = (
        sum(sample.value for sample in family.samples if sample.name.endswith(suffix)) for suffix in ('_count', '_sum')
    )
    return total / count if count else None
