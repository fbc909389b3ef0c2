"""Write values with their units, as Datadog does: 0.25 second is 250 ms, 1536 byte is 1.5 KiB.

Metrics Units, https://docs.datadoghq.com/metrics/units/.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tools.datadog_model import MetricQuery, Result
from tools.datadog_model.functions import EARLIER
from tools.datadog_model.syntax import Call, Name, Node
from tools.metadata import metadata_rows

__all__ = ['Scale', 'Unit', 'scale_of', 'unit_of', 'written']

_SECONDS = {
    'nanosecond': 1e-9,
    'microsecond': 1e-6,
    'millisecond': 1e-3,
    'second': 1.0,
    'minute': 60.0,
    'hour': 3600.0,
    'day': 86400.0,
}
# From which number of seconds on a span is written in which unit.
_SPANS = ((2 * 86400, 86400.0, 'd'), (7200, 3600.0, 'h'), (120, 60.0, 'min'), (1, 1.0, 's'), (1e-3, 1e-3, 'ms'))
_THOUSANDS = ((1e12, 'T'), (1e9, 'G'), (1e6, 'M'), (1e3, 'k'))
_BYTES = ((1024.0**4, 'TiB'), (1024.0**3, 'GiB'), (1024.0**2, 'MiB'), (1024.0, 'KiB'))
_SHORT = {'error': 'err', 'operation': 'op', 'request': 'req', 'response': 'resp', 'second': 's', 'minute': 'min'}
# These keep their value; functions that give something else than what they take lose the unit.
_KEEP_THE_UNIT = frozenset({'abs', 'cutoff_min', 'default_zero', *EARLIER})


@dataclass(frozen=True)
class Unit:
    """A unit of Datadog's, per another one if that is not empty; or a label that stands after the number."""

    name: str = ''
    per: str = ''
    is_label: bool = False

    def suffix(self, plural: bool) -> str:
        """Return the unit as it stands after one thing, or after any other number of them."""
        if self.is_label:
            return self.name
        per = f'/{_SHORT.get(self.per, self.per)}' if self.per else ''
        if self.name in _SHORT:
            return _SHORT[self.name] + per
        # A number of units is a number.
        name = '' if self.name == 'unit' else self.name
        return (f'{name}s' if name and plural else name) + per


@dataclass(frozen=True)
class Scale:
    """The divisor of values, and what stands before and after them; `letter` is that of thousands in `after`."""

    factor: float
    before: str = ''
    after: str = ''
    letter: str = ''


def unit_of(result: Result) -> Unit:
    """Return the unit that a formula states, or that of its metric if the formula is no arithmetic."""
    stated = (result.formula.definition.get('number_format') or {}).get('unit') or {}
    if stated.get('type') == 'canonical_unit':
        return Unit(stated['unit_name'], stated.get('per_unit_name') or '')
    if stated.get('type') == 'custom_unit_label':
        return Unit(stated['label'], is_label=True)
    query = _only_query(result.formula.node, {name: query.node for name, query in result.request.queries.items()})
    if query is None:
        return Unit()
    row = metadata_rows().get(query.metric, {})
    return Unit(row.get('unit_name', ''), row.get('per_unit_name', '') or ('second' if query.form == 'as_rate' else ''))


def scale_of(unit: Unit, values: Iterable[float | None]) -> Scale:
    """Return the scale in which the largest of some values is easy to read."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    per = f'/{_SHORT.get(unit.per, unit.per)}' if unit.per else ''
    if unit.name in _SECONDS and not unit.is_label:
        seconds = _SECONDS[unit.name]
        span = largest * seconds
        for least, length, name in _SPANS:
            if span >= least:
                return Scale(length / seconds, '', f' {name}{per}')
        if span == 0:
            return Scale(1.0, '', f' {_SHORT.get(unit.name, unit.name)}{per}')
        return Scale(1e-6 / seconds, '', f' µs{per}')
    if unit.name == 'byte':
        factor, name = next(((size, name) for size, name in _BYTES if largest >= size), (1.0, 'B'))
        return Scale(factor, '', f' {name}{per}')
    if unit.name in ('percent', 'fraction'):
        return Scale(1.0 if unit.name == 'percent' else 0.01, '', f'%{per}')
    factor, letter = next(((size, letter) for size, letter in _THOUSANDS if largest >= size), (1.0, ''))
    if unit.name == 'dollar':
        return Scale(factor, '$', f'{letter}{per}', letter)
    suffix = unit.suffix(largest != 1)
    return Scale(factor, '', letter + (f' {suffix}' if suffix else ''), letter)


def written(value: float | None, unit: Unit, precision: int | None = None) -> str:
    """Return a value with its unit, with so many decimals, or with three digits that count.

    Less than a cent has those in any case: tokens are cheap, and $0.00 would look free.
    """
    if value is None or not math.isfinite(value):
        return '–'
    scale = scale_of(unit, [value])
    scaled = value / scale.factor
    if unit.name == 'dollar' and precision is not None and 0 < abs(scaled) < 0.5 / 10**precision:
        precision = None
    decimals = _decimals(scaled, unit) if precision is None else precision
    number = f'{abs(scaled):,.{decimals}f}'
    if precision is None and '.' in number and unit.name != 'dollar':
        number = number.rstrip('0').rstrip('.')
    return f'{"-" if scaled < 0 and float(number.replace(",", "")) else ""}{scale.before}{number}{scale.after}'


def _decimals(scaled: float, unit: Unit) -> int:
    if scaled == 0:
        return 0
    digits = max(0, 2 - math.floor(math.log10(abs(scaled))))
    if unit.name == 'dollar':
        # Cents, unless there is not even one.
        return 2 if abs(scaled) >= 0.01 else digits
    return min(digits, 4)


def _only_query(node: Node, queries: dict[str, Node]) -> MetricQuery | None:
    match node:
        case MetricQuery():
            return node
        case Name():
            return _only_query(queries[node.name], queries)
        case Call() if node.function in _KEEP_THE_UNIT:
            argument = node.arguments[0]
            return None if not isinstance(argument, Node) else _only_query(argument, queries)
        case _:
            return None
