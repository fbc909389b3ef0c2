"""Datadog's query language as a tree. The grammar is `query.lark`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from .errors import QueryError
from .store import normalized

__all__ = [
    'Aggregation',
    'Call',
    'ChangeQuery',
    'Comparator',
    'Either',
    'Every',
    'Filter',
    'MetricQuery',
    'Name',
    'Node',
    'Not',
    'Number',
    'Operation',
    'Rollup',
    'Scope',
    'ServiceCheckQuery',
    'String',
    'TagIs',
    'TextOf',
    'ThresholdQuery',
    'Variable',
    'metric_queries',
    'parse',
    'parse_monitor',
    'parse_service_check_monitor',
]

Aggregation = Literal['avg', 'sum', 'min', 'max', 'count']
Comparator = Literal['>', '>=', '<', '<=']

_SECONDS = {'m': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400}


@dataclass(frozen=True)
class TextOf:
    """The text in which something stands, and its position there."""

    text: str
    position: int

    def error(self, problem: str) -> QueryError:
        return QueryError(problem, self.text, self.position)


@dataclass(frozen=True)
class TagIs:
    """The condition that a series has a tag; the value may have `*` for any characters."""

    key: str
    pattern: str

    def holds(self, tags: frozenset[str]) -> bool:
        if '*' not in self.pattern:
            return f'{self.key}:{self.pattern}' in tags
        return any(_pattern(f'{self.key}:{self.pattern}').fullmatch(tag) for tag in tags)


@dataclass(frozen=True)
class Variable:
    """A template variable, `$name`."""

    name: str


@dataclass(frozen=True)
class Not:
    condition: Filter


@dataclass(frozen=True)
class Every:
    """All conditions hold; without any, everything does."""

    conditions: tuple[Filter, ...]


@dataclass(frozen=True)
class Either:
    """At least one condition holds."""

    conditions: tuple[Filter, ...]


Filter = TagIs | Variable | Not | Every | Either


@dataclass(frozen=True)
class Rollup:
    """The way in which the points of an interval become one; `seconds` is None where Datadog chooses the interval."""

    aggregation: Aggregation
    seconds: int | None


@dataclass(frozen=True)
class Scope:
    filter: Filter
    by: tuple[str, ...]


@dataclass(frozen=True)
class MetricQuery:
    """`aggregator:metric{filter} by {keys}` with its modifiers."""

    aggregator: str
    metric: str
    scope: Scope
    form: Literal['', 'as_count', 'as_rate']
    rollup: Rollup | None
    at: TextOf


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class String:
    value: str
    at: TextOf


@dataclass(frozen=True)
class Name:
    """A query that a formula refers to."""

    name: str
    at: TextOf


@dataclass(frozen=True)
class Operation:
    operator: Literal['+', '-', '*', '/']
    left: Node
    right: Node
    at: TextOf


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Node | String, ...]
    at: TextOf


Node = Number | Name | MetricQuery | Operation | Call


@dataclass(frozen=True)
class ThresholdQuery:
    """`aggregation(last_…): expression comparator limit`."""

    aggregation: Aggregation
    seconds: int
    expression: Node
    comparator: Comparator
    limit: float


@dataclass(frozen=True)
class ChangeQuery:
    """`change(aggregation(last_…), last_…): expression comparator limit`."""

    aggregation: Aggregation
    seconds: int
    shift_seconds: int
    expression: Node
    comparator: Comparator
    limit: float


@dataclass(frozen=True)
class ServiceCheckQuery:
    """`"name".over(tags).by(keys).last(runs).count_by_status()`; the tag `*` is everything."""

    name: str
    over: tuple[str, ...]
    by: tuple[str, ...]
    runs: int


@cache
def parse(text: str) -> Node:
    """Read a query or formula. Raises QueryError with the position of what is wrong."""
    return _Builder(text).node(_tree(text, 'expression').children[0])


@cache
def parse_monitor(text: str) -> ThresholdQuery | ChangeQuery:
    """Read the query of a metric monitor. Raises QueryError with the position of what is wrong."""
    return _Builder(text).monitor(_tree(text, 'monitor'))


@cache
def parse_service_check_monitor(text: str) -> ServiceCheckQuery:
    """Read the query of a service check monitor. Raises QueryError with the position of what is wrong."""
    return _Builder(text).service_check_monitor(_tree(text, 'service_check_monitor'))


def metric_queries(node: Node | String) -> Iterator[MetricQuery]:
    """Yield the metric queries of an expression from left to right."""
    if isinstance(node, MetricQuery):
        yield node
    elif isinstance(node, Operation):
        yield from metric_queries(node.left)
        yield from metric_queries(node.right)
    elif isinstance(node, Call):
        for argument in node.arguments:
            yield from metric_queries(argument)


@cache
def _pattern(wildcard: str) -> re.Pattern[str]:
    return re.compile('.*'.join(re.escape(part) for part in wildcard.split('*')))


@cache
def _parser() -> Lark:
    grammar = (Path(__file__).parent / 'query.lark').read_text()
    return Lark(
        grammar,
        parser='lalr',
        start=['expression', 'monitor', 'service_check_monitor'],
        propagate_positions=True,
        maybe_placeholders=False,
    )


def _tree(text: str, start: str) -> Tree[Token]:
    try:
        return _parser().parse(text, start=start)
    except UnexpectedInput as error:
        position = error.pos_in_stream
        if isinstance(error, UnexpectedToken) and error.token.type == '$END':
            position = len(text)
        problem = 'not understood from here on' if position is not None and position < len(text) else 'ends too early'
        raise QueryError(problem, text, len(text) if position is None else position) from error


class _Builder:
    """Turns what the grammar yields into the tree of this module."""

    def __init__(self, text: str) -> None:
        self._text = text

    def node(self, tree: Any) -> Node:
        match tree.data:
            case 'number':
                return Number(float(tree.children[0]))
            case 'name':
                return Name(str(tree.children[0]), self._at(tree.children[0]))
            case 'negate':
                return Operation('-', Number(0.0), self.node(tree.children[0]), self._at(tree))
            case 'add' | 'subtract' | 'multiply' | 'divide' as operation:
                signs: dict[str, Literal['+', '-', '*', '/']]
                signs = {'add': '+', 'subtract': '-', 'multiply': '*', 'divide': '/'}
                left, right = tree.children
                return Operation(signs[operation], self.node(left), self.node(right), self._at(tree))
            case 'call':
                function, *arguments = tree.children
                return Call(str(function), tuple(self._argument(one) for one in arguments), self._at(function))
            case 'metric_query':
                return self._metric_query(tree)
            case _:
                raise NotImplementedError(tree.data)

    def monitor(self, tree: Any) -> ThresholdQuery | ChangeQuery:
        if tree.data == 'threshold_monitor':
            aggregation, window, expression, comparator, limit = tree.children
            return ThresholdQuery(
                cast('Aggregation', str(aggregation)),
                _seconds(window),
                self.node(expression),
                cast('Comparator', str(comparator)),
                _limit(limit),
            )
        aggregation, window, shift, expression, comparator, limit = tree.children
        return ChangeQuery(
            cast('Aggregation', str(aggregation)),
            _seconds(window),
            _seconds(shift),
            self.node(expression),
            cast('Comparator', str(comparator)),
            _limit(limit),
        )

    def service_check_monitor(self, tree: Any) -> ServiceCheckQuery:
        name, _, *rest = tree.children
        over = tuple(_unquoted(token) for token in rest if isinstance(token, Token))
        parts: dict[str, Any] = {part.data: part.children for part in rest if isinstance(part, Tree)}
        return ServiceCheckQuery(
            _unquoted(name),
            over,
            tuple(_unquoted(token) for token in parts['by_group']),
            int(parts['last_runs'][0]),
        )

    def _argument(self, tree: Any) -> Node | String:
        if tree.data == 'string':
            return String(_unquoted(tree.children[0]), self._at(tree.children[0]))
        return self.node(tree)

    def _metric_query(self, tree: Any) -> MetricQuery:
        aggregator, metric, scope, *rest = tree.children
        by: tuple[str, ...] = ()
        form: Literal['', 'as_count', 'as_rate'] = ''
        rollup: Rollup | None = None
        for part in rest:
            if part.data == 'by':
                by = tuple(str(key) for key in part.children)
                continue
            name, *parameters = part.children
            words = [str(parameter.children[0]) for parameter in parameters]
            match str(name), words:
                case ('as_count' | 'as_rate') as modifier, [] if not form:
                    form = modifier
                case 'rollup', [('avg' | 'sum' | 'min' | 'max' | 'count') as aggregation, *seconds] if (
                    rollup is None and len(seconds) < 2
                ):
                    interval = int(seconds[0]) if seconds else None
                    rollup = Rollup(aggregation, interval)
                case _:
                    raise self._at(name).error('unknown modifier, or not with these parameters, or a second time')
        return MetricQuery(
            str(aggregator)[:-1],
            str(metric),
            Scope(self._scope(scope), by),
            form,
            rollup,
            self._at(aggregator),
        )

    def _scope(self, tree: Any) -> Filter:
        styles: dict[str, Any] = {}
        result = self._filter(tree.children[0], styles)
        if len(styles) > 1:
            # https://docs.datadoghq.com/metrics/advanced-filtering/: one or the other.
            raise self._at(tree).error('`!` and `,` cannot stand beside AND, OR, NOT and IN')
        return result

    def _filter(self, tree: Any, styles: dict[str, Any]) -> Filter:
        children = tree.children
        match tree.data:
            case 'everything':
                return Every(())
            case 'tag':
                return self._tag(children[0])
            case 'variable':
                return Variable(str(children[0])[1:])
            case 'bang':
                styles['symbols'] = tree
                inner = children[0]
                return Not(self._tag(inner) if inner.type == 'TAG' else Variable(str(inner)[1:]))
            case 'commas':
                styles['symbols'] = tree
                return Every(tuple(self._filter(child, styles) for child in children))
        styles['words'] = tree
        operands = [child for child in children if isinstance(child, Tree)]
        match tree.data:
            case 'any':
                return Either(tuple(self._filter(child, styles) for child in operands))
            case 'every':
                return Every(tuple(self._filter(child, styles) for child in operands))
            case 'not_':
                return Not(self._filter(operands[0], styles))
            case 'in_' | 'not_in':
                key, *values = [child for child in children if child.type in ('KEY', 'VALUE')]
                either = Either(tuple(self._value(str(key), value) for value in values))
                return either if tree.data == 'in_' else Not(either)
            case _:
                raise NotImplementedError(tree.data)

    def _tag(self, token: Token) -> TagIs:
        key, _, pattern = str(token).partition(':')
        self._check_normalized(f'{key}:{pattern}', token)
        return TagIs(key, pattern)

    def _value(self, key: str, token: Token) -> TagIs:
        self._check_normalized(f'{key}:{token}', token)
        return TagIs(key, str(token))

    def _check_normalized(self, tag: str, token: Token) -> None:
        if '$' in tag:
            raise self._at(token).error('a template variable stands alone, as `$name`')
        stored = '*'.join(normalized(part) if part else part for part in tag.split('*'))
        if '*' not in tag and stored != tag:
            raise self._at(token).error(f'no series has this tag: Datadog stores it as {stored}')
        if tag != tag.lower():
            raise self._at(token).error('no series has this tag: Datadog stores tags in lower case')

    def _at(self, item: Any) -> TextOf:
        position = item.start_pos if isinstance(item, Token) else item.meta.start_pos
        return TextOf(self._text, position or 0)


def _unquoted(token: Token) -> str:
    return str(token)[1:-1]


def _seconds(token: Token) -> int:
    length = token.removeprefix('last_')
    return int(length[:-1]) * _SECONDS[length[-1]]


def _limit(tree: Any) -> float:
    return float(''.join(tree.children))
