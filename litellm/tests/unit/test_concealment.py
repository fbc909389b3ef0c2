"""Secrets that the report knows are in nothing that it measured, whatever field or collection holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from datadog_checks.litellm.report.concealment import conceal
from datadog_checks.litellm.secrets import MASK, Redactor

REDACT = Redactor(['sk-secret'])


class Pair(NamedTuple):
    text: str
    number: float


@dataclass(frozen=True)
class Record:
    """A field of its own for each kind of holder."""

    text: str
    pair: Pair
    texts: list[str]
    tags: frozenset[str]
    totals: Mapping[str, float]
    nested: tuple[tuple[str, ...], None]


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('Bearer sk-secret', f'Bearer {MASK}'),
        ('url:http://ann:hunter2@host/metrics', f'url:http://{MASK}@host/metrics'),
        ('model:gpt-5', 'model:gpt-5'),
    ],
)
def test_a_text_is_shown_without_known_secrets_and_without_passwords_of_urls(text: str, shown: str) -> None:
    assert REDACT(text) == shown


def test_no_holder_of_a_text_is_left_out() -> None:
    record = Record(
        text='a sk-secret',
        pair=Pair('b sk-secret', 1.5),
        texts=['c sk-secret', 'plain'],
        tags=frozenset({'d sk-secret'}),
        totals=Counter({'e sk-secret': 2}),
        nested=(('f sk-secret',), None),
    )

    assert conceal(record, REDACT) == Record(
        text=f'a {MASK}',
        pair=Pair(f'b {MASK}', 1.5),
        texts=[f'c {MASK}', 'plain'],
        tags=frozenset({f'd {MASK}'}),
        totals={f'e {MASK}': 2},
        nested=((f'f {MASK}',), None),
    )


@pytest.mark.parametrize('value', [object(), b'sk-secret', {'sk-secret'}, [object()]])
def test_a_holder_of_another_type_is_refused_rather_than_shown(value: Any) -> None:
    with pytest.raises(TypeError, match='may hold a secret'):
        conceal(value, REDACT)
