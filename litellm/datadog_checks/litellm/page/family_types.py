"""Know the types of families: the names of their samples, and the metrics that these become.

A TYPE line declares the type. Metrics are named as by the base package: a sample `x_bucket` becomes `x.bucket`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..metrics import HISTOGRAM_PARTS
from .exposition import NO_FAMILY, BadLineError, is_name

__all__ = [
    'CREATED',
    'CUMULATIVE_TYPES',
    'OVERRIDES',
    'SUFFIXES',
    'UNKNOWN',
    'Declaration',
    'is_creation_time',
    'parse_declaration',
]

# For each family `x` of these types, `x_created` tells when each of its series was created.
CUMULATIVE_TYPES = frozenset({'counter', 'histogram', 'summary'})
CREATED = '_created'

# The sample of a counter. OpenMetrics declares its family without this.
TOTAL = '_total'

# The type of families without a TYPE line, or with a type that LiteLLM does not use.
UNKNOWN = 'unknown'

# By family type: suffixes of sample names, and the suffix of the metric that each becomes.
SUFFIXES = {
    'counter': {'': '.count', TOTAL: '.count'},
    'gauge': {'': ''},
    'histogram': {f'_{part}': f'.{part}' for part in HISTOGRAM_PARTS},
    'summary': {'': '.quantile', '_count': '.count', '_sum': '.sum'},
    UNKNOWN: {'': ''},
}

# Types that an option may force on any family: all of its samples are submitted with this suffix.
OVERRIDES = {'counter': '.count', 'gauge': '', 'time_elapsed': ''}

# By the type in a TYPE line.
_TYPES = {type_.encode(): type_ for type_ in SUFFIXES} | dict.fromkeys(
    (b'gaugehistogram', b'info', b'stateset', b'untyped'), UNKNOWN
)


class Declaration(NamedTuple):
    """A TYPE line: the name in it, the name of the family, which for a counter has no `_total`, and its type."""

    declared: str
    family: str
    type: str


def parse_declaration(comment: bytes) -> Declaration | None:
    """Return what a comment declares, or None if it is no TYPE line. Raises `BadLineError` if it declares nothing."""
    match comment.split(None, 4):
        case [b'#', b'TYPE', name, type_] if is_name(name) and type_ in _TYPES:
            declared = name.decode()
            family = declared.removesuffix(TOTAL) if type_ == b'counter' else declared
            return Declaration(declared, family, _TYPES[type_])
        case [b'#', b'TYPE', *_]:
            raise BadLineError(NO_FAMILY)
    return None


def is_creation_time(family: str, families: Collection[str]) -> bool:
    """Tell whether a family only says when the series of another one were created, as pages in text format have it."""
    return family.endswith(CREATED) and family.removesuffix(CREATED) in families
