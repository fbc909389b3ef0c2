"""Evaluate as much of LiteLLM's source as it takes to know the arguments of a metric's constructor.

A small interpreter over `ast`: it follows assignments, calls, loops, comprehensions, classes, enums and imports between
the modules of the wheels, with LiteLLM's default settings, and runs no code of LiteLLM. What it cannot know becomes
UNKNOWN; a condition that is UNKNOWN sends it down both branches. Handlers of exceptions are not followed.
"""

from __future__ import annotations

import ast
import enum
import operator
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from tests.lineage.family import COLLECTOR_TYPES

from .wheels import Sources

__all__ = ['UNKNOWN', 'Call', 'Class', 'Collector', 'Evaluator', 'Function', 'Instance', 'Scope']

# Enough for the largest logger, little enough to end soon where a wheel has a loop that no default ends.
_MAX_DEPTH = 25
_MAX_STEPS = 150_000


class _Unknown:
    """A value that the source alone does not tell."""

    def __bool__(self) -> bool:
        raise TypeError('an unknown value is neither true nor false')

    def __repr__(self) -> str:
        return 'UNKNOWN'


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Collector:
    """A class of prometheus_client that makes a family when it is called."""

    name: str


@dataclass(frozen=True)
class Module:
    """A module of the wheels."""

    name: str


@dataclass(frozen=True)
class External:
    """A module outside the wheels, or something in one."""

    name: str


@dataclass
class Scope:
    """Names of one function, class body or module."""

    module: str
    names: dict[str, object] = field(default_factory=dict)
    parent: Scope | None = None


@dataclass(eq=False)
class Function:
    """A function of the source, with the scope that it was defined in and what it is bound to."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    bound: tuple[object, ...] = ()

    def decorated_with(self, name: str) -> bool:
        decorators = [] if isinstance(self.node, ast.Lambda) else self.node.decorator_list
        return any(ast.unparse(decorator).split('.')[-1] == name for decorator in decorators)


@dataclass(eq=False)
class Class:
    """A class of the source that is no enum."""

    name: str
    bases: list[object]
    attributes: dict[str, object]

    def lookup(self, name: str) -> object:
        if name in self.attributes:
            return self.attributes[name]
        for base in self.bases:
            if isinstance(base, Class) and (found := base.lookup(name)) is not UNKNOWN:
                return found
        return UNKNOWN


@dataclass(eq=False)
class Instance:
    """An object of a class of the source."""

    of: Class
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(eq=False)
class Partial:
    """What `functools.partial` makes of a callable of the source."""

    of: object
    arguments: list[object]
    keywords: dict[str, object]


@dataclass
class Call:
    """A call on the way to a constructor: where it stands."""

    node: ast.Call
    module: str


class _Flow(enum.Enum):
    NEXT = enum.auto()
    LEAVE_LOOP = enum.auto()
    LEAVE = enum.auto()


@dataclass
class _Frame:
    scope: Scope
    results: list[object] = field(default_factory=list)


_EXTERNAL: Mapping[str, object] = MappingProxyType(
    {
        # Multiprocess mode decides about gauges only there; nothing else of the environment is set.
        'os.environ': {'PROMETHEUS_MULTIPROC_DIR': 'multiproc'},
        'os.getenv': {'PROMETHEUS_MULTIPROC_DIR': 'multiproc'}.get,
        'enum.Enum': enum.Enum,
        'enum.StrEnum': enum.StrEnum,
        'enum.IntEnum': enum.IntEnum,
        'types.MappingProxyType': dict,
        'typing.TYPE_CHECKING': False,
    }
)
_BUILTINS: Mapping[str, object] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            *(all, any, bool, dict, enumerate, float, frozenset, int, iter, len, list, map, filter, max, min, next),
            *(range, reversed, set, sorted, str, sum, tuple, zip),
        )
    }
)
_DATA = (str, bytes, int, float, list, tuple, dict, set, frozenset)
_NOTHING_OR_DATA = (*_DATA, type(None))
_NATIVE_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError, StopIteration)
_BINARY: Mapping[type[ast.operator], Callable[[typing.Any, typing.Any], object]] = MappingProxyType(
    {
        ast.Add: lambda a, b: a + b,
        ast.Sub: lambda a, b: a - b,
        ast.Mod: lambda a, b: a % b,
        ast.Mult: lambda a, b: a * b if isinstance(a, int | float) and isinstance(b, int | float) else UNKNOWN,
        ast.Div: lambda a, b: a / b,
        ast.FloorDiv: lambda a, b: a // b,
        ast.BitOr: lambda a, b: a | b,
        ast.BitAnd: lambda a, b: a & b,
    }
)
_COMPARE: Mapping[type[ast.cmpop], Callable[[typing.Any, typing.Any], bool]] = MappingProxyType(
    {
        ast.Eq: lambda a, b: a == b,
        ast.NotEq: lambda a, b: a != b,
        ast.Is: lambda a, b: a is b or (isinstance(a, enum.Enum) and a == b),
        ast.IsNot: lambda a, b: not (a is b or (isinstance(a, enum.Enum) and a == b)),
        ast.In: lambda a, b: a in b,
        ast.NotIn: lambda a, b: a not in b,
        ast.Lt: lambda a, b: a < b,
        ast.LtE: lambda a, b: a <= b,
        ast.Gt: lambda a, b: a > b,
        ast.GtE: lambda a, b: a >= b,
    }
)


class Evaluator:
    """Evaluates source of one release and reports every call of a collector's class to `on_construct`.

    `both_branches` are functions in which every condition counts as unknown: those with a constructor that the default
    settings do not reach.
    """

    def __init__(
        self,
        sources: Sources,
        on_construct: Callable[[Collector, list[object], dict[str, object], list[Call]], None],
    ) -> None:
        self.both_branches: set[ast.AST] = set()
        self._sources = sources
        self._on_construct = on_construct
        self._trees: dict[str, ast.Module | None] = {}
        self._bindings: dict[str, dict[str, list[ast.stmt]]] = {}
        self._globals: dict[str, Scope] = {}
        self._pending: set[tuple[str, str]] = set()
        self._absent: set[tuple[str, str]] = set()
        self._calls: list[Call] = []
        self._depth = 0
        self._steps = 0
        self._forced = False

    # Modules

    def tree(self, module: str) -> ast.Module | None:
        """Return the syntax tree of a module, or None when no wheel has it or it cannot be parsed."""
        if module not in self._trees:
            text = self._sources.text(module)
            try:
                self._trees[module] = None if text is None else ast.parse(text)
            except SyntaxError:
                self._trees[module] = None
        return self._trees[module]

    def module_scope(self, module: str) -> Scope:
        """Return the scope of a module's own names; they are evaluated when they are looked up."""
        if module not in self._globals:
            self._globals[module] = Scope(module, {'__name__': module})
        return self._globals[module]

    def member(self, module: str, name: str) -> object:
        """Return what a module calls `name`, UNKNOWN when it has nothing of that name."""
        scope = self.module_scope(module)
        if name in scope.names:
            return scope.names[name]
        if (module, name) in self._absent or (module, name) in self._pending or len(self._pending) > _MAX_DEPTH:
            return UNKNOWN
        self._pending.add((module, name))
        try:
            value = self._evaluated_member(module, name)
        finally:
            self._pending.discard((module, name))
        if value is not UNKNOWN:
            scope.names[name] = value
        elif not self._pending and self._steps <= _MAX_STEPS:
            # Not because of a circle of imports or a lack of steps: it will not be known next time either.
            self._absent.add((module, name))
        return value

    def _evaluated_member(self, module: str, name: str) -> object:
        if self.tree(module) is None:
            return UNKNOWN
        scope = self.module_scope(module)
        for statement in self._statements_binding(module, name):
            with self._outside_of_calls():
                self._statement(statement, _Frame(scope))
            if (value := scope.names.get(name, UNKNOWN)) is not UNKNOWN:
                return value
        for statement in self._statements_binding(module, '*'):
            assert isinstance(statement, ast.ImportFrom)
            source = self._absolute(module, statement)
            if self.tree(source) is not None and (value := self.member(source, name)) is not UNKNOWN:
                return value
        return Module(f'{module}.{name}') if self.tree(f'{module}.{name}') is not None else UNKNOWN

    @contextmanager
    def _outside_of_calls(self) -> Iterator[None]:
        """Keep a module's statements out of the call that happens to look a name up."""
        calls, self._calls, forced, self._forced = self._calls, [], self._forced, False
        try:
            yield
        finally:
            self._calls, self._forced = calls, forced

    def _statements_binding(self, module: str, name: str) -> list[ast.stmt]:
        if module not in self._bindings:
            tree = self.tree(module)
            self._bindings[module] = {} if tree is None else _bindings(tree.body)
        return self._bindings[module].get(name, [])

    def _absolute(self, module: str, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ''
        parts = module.split('.')
        is_package = self._sources.text(module) is not None and self._sources.path(module).endswith('__init__.py')
        parts = parts[: len(parts) - statement.level + is_package]
        return '.'.join([*parts, *([statement.module] if statement.module else [])])

    # Entry points

    def run(self, function: Function, arguments: list[object]) -> None:
        """Call a function with these arguments; parameters without one have their default or are UNKNOWN."""
        self._steps = 0
        self._call_function(function, arguments, {})

    def instantiate(self, of: Class) -> Instance:
        """Make an object of a class without arguments."""
        self._steps = 0
        return self._instance(of, [], {})

    def execute(self, statement: ast.stmt, module: str) -> None:
        """Execute one statement of a module."""
        self._steps = 0
        self._statement(statement, _Frame(self.module_scope(module)))

    def function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, module: str, bound: tuple[object, ...] = ()
    ) -> Function:
        """Return a function of a module or class body as a value."""
        return Function(node, self.module_scope(module), bound)

    # Statements

    def _block(self, statements: list[ast.stmt], frame: _Frame) -> _Flow:
        for statement in statements:
            flow = self._statement(statement, frame)
            if flow is not _Flow.NEXT:
                return flow
        return _Flow.NEXT

    def _statement(self, node: ast.stmt, frame: _Frame) -> _Flow:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            return _Flow.LEAVE
        scope = frame.scope
        match node:
            case ast.Expr(value):
                self._value(value, scope)
            case ast.Assign(targets, value):
                result = self._value(value, scope)
                for target in targets:
                    self._assign(target, result, scope)
            case ast.AnnAssign(target, _, value) if value is not None:
                self._assign(target, self._value(value, scope), scope)
            case ast.AugAssign(target, binary, value):
                joined = self._binary(binary, self._value(target, scope), self._value(value, scope))
                self._assign(target, joined, scope)
            case ast.Return(value):
                frame.results.append(None if value is None else self._value(value, scope))
                return _Flow.LEAVE
            case ast.Raise(exception):
                if exception is not None:
                    self._value(exception, scope)
                return _Flow.LEAVE
            case ast.Break() | ast.Continue():
                return _Flow.LEAVE_LOOP
            case ast.If(test, body, orelse):
                return self._branch(self._truth(self._value(test, scope)), body, orelse, frame)
            case ast.For() | ast.AsyncFor():
                return self._for(node, frame)
            case ast.While(test, body):
                self._value(test, scope)
                return _Flow.LEAVE if self._block(body, frame) is _Flow.LEAVE else _Flow.NEXT
            case ast.With(items, body) | ast.AsyncWith(items, body):
                for item in items:
                    entered = self._value(item.context_expr, scope)
                    if item.optional_vars is not None:
                        self._assign(item.optional_vars, entered, scope)
                return self._block(body, frame)
            case ast.Try(body, handlers, orelse, final):
                flow = self._block([*body, *orelse], frame)
                if self._forced:
                    for handler in handlers:
                        self._block(handler.body, frame)
                ended = self._block(final, frame)
                return flow if ended is _Flow.NEXT else ended
            case ast.Match(subject, cases):
                self._value(subject, scope)
                for case in cases:
                    self._branch(UNKNOWN, case.body, [], frame)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                scope.names[node.name] = Function(node, scope)
            case ast.ClassDef():
                scope.names[node.name] = self._class(node, scope)
            case ast.Import(names):
                for alias in names:
                    bound = alias.name if alias.asname else alias.name.split('.')[0]
                    scope.names[alias.asname or bound] = self._imported(bound)
            case ast.ImportFrom():
                self._import_from(node, scope)
        return _Flow.NEXT

    def _branch(self, truth: object, body: list[ast.stmt], orelse: list[ast.stmt], frame: _Frame) -> _Flow:
        if truth is not UNKNOWN and not self._forced:
            return self._block(body if truth else orelse, frame)
        before = frame.scope.names
        flows, ends = [], []
        for block in (body, orelse):
            frame.scope.names = dict(before)
            flows.append(self._block(block, frame))
            if flows[-1] is _Flow.NEXT:
                ends.append(frame.scope.names)
        if ends:
            frame.scope.names = _merged(ends)
        return _Flow.NEXT if ends else flows[0]

    def _for(self, node: ast.For | ast.AsyncFor, frame: _Frame) -> _Flow:
        items = self._items(self._value(node.iter, frame.scope))
        for item in [UNKNOWN] if items is UNKNOWN else typing.cast('list[object]', items):
            self._assign(node.target, item, frame.scope)
            flow = self._block(node.body, frame)
            if flow is _Flow.LEAVE and items is not UNKNOWN:
                return flow
            if flow is not _Flow.NEXT:
                break
        return self._block(node.orelse, frame)

    def _class(self, node: ast.ClassDef, scope: Scope) -> object:
        bases = [self._value(base, scope) for base in node.bases]
        body = Scope(scope.module, {}, scope)
        self._block(node.body, _Frame(body))
        # Methods do not see the names of the class body.
        for value in body.names.values():
            if isinstance(value, Function) and value.scope is body:
                value.scope = scope
        if any(isinstance(base, type) and issubclass(base, enum.Enum) for base in bases):
            return _enum(node, bases, body.names)
        return Class(node.name, bases, body.names)

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        source = self._absolute(scope.module, node)
        for alias in node.names:
            if alias.name == '*':
                continue
            scope.names[alias.asname or alias.name] = self._from(source, alias.name)

    def _from(self, module: str, name: str) -> object:
        if self.tree(module) is not None:
            return self.member(module, name)
        if self.tree(f'{module}.{name}') is not None:
            return Module(f'{module}.{name}')
        return _external(f'{module}.{name}')

    def _imported(self, module: str) -> object:
        return Module(module) if self.tree(module) is not None else External(module)

    def _assign(self, target: ast.expr, value: object, scope: Scope) -> None:
        match target:
            case ast.Name(name):
                scope.names[name] = value
            case ast.Attribute(owner, name):
                holder = self._value(owner, scope)
                if isinstance(holder, Instance | Class):
                    holder.attributes[name] = value
            case ast.Subscript(owner, index):
                holder, key = self._value(owner, scope), self._value(index, scope)
                if isinstance(holder, dict | list) and key is not UNKNOWN:
                    self._native(holder.__setitem__, [key, value], {})
            case ast.Tuple(elements) | ast.List(elements):
                items = self._items(value)
                known = typing.cast('list[object]', items) if items is not UNKNOWN else []
                fits = len(known) == len(elements) and not any(isinstance(e, ast.Starred) for e in elements)
                for position, element in enumerate(elements):
                    self._assign(element, known[position] if fits else UNKNOWN, scope)
            case ast.Starred(inner):
                self._assign(inner, UNKNOWN, scope)

    # Expressions

    def _value(self, node: ast.expr, scope: Scope) -> object:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            return UNKNOWN
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return self._name(name, scope)
            case ast.Attribute(owner, name):
                return self._attribute(self._value(owner, scope), name)
            case ast.Call():
                return self._call(node, scope)
            case ast.JoinedStr(values):
                return self._joined([self._value(value, scope) for value in values])
            case ast.FormattedValue(value, conversion, None) if conversion == -1:
                return self._native(str, [self._value(value, scope)], {})
            case ast.List(elements):
                return self._elements(elements, scope)
            case ast.Tuple(elements):
                return tuple(self._elements(elements, scope))
            case ast.Set(elements):
                return self._native(set, [self._elements(elements, scope)], {})
            case ast.Dict(keys, values):
                return self._dict(keys, values, scope)
            case ast.BinOp(left, binary, right):
                return self._binary(binary, self._value(left, scope), self._value(right, scope))
            case ast.UnaryOp(ast.Not(), operand):
                truth = self._truth(self._value(operand, scope))
                return UNKNOWN if truth is UNKNOWN else not truth
            case ast.UnaryOp(ast.USub(), operand):
                number = self._value(operand, scope)
                return -number if isinstance(number, int | float) else UNKNOWN
            case ast.BoolOp(boolean, values):
                return self._bool_op(boolean, values, scope)
            case ast.Compare(left, operators, comparators):
                return self._compare(left, operators, comparators, scope)
            case ast.IfExp(test, body, orelse):
                truth = self._truth(self._value(test, scope))
                if truth is UNKNOWN:
                    return _combined([self._value(body, scope), self._value(orelse, scope)])
                return self._value(body if truth else orelse, scope)
            case ast.Subscript(owner, index):
                holder, key = self._value(owner, scope), self._value(index, scope)
                return self._native(operator.getitem, [holder, key], {}) if isinstance(holder, _DATA) else UNKNOWN
            case ast.Slice(lower, upper, step):
                parts = [None if part is None else self._value(part, scope) for part in (lower, upper, step)]
                return UNKNOWN if UNKNOWN in parts else slice(*parts)
            case ast.ListComp(element, generators) | ast.GeneratorExp(element, generators):
                return self._comprehension(lambda inner: self._value(element, inner), generators, scope)
            case ast.SetComp(element, generators):
                found = self._comprehension(lambda inner: self._value(element, inner), generators, scope)
                return self._native(set, [found], {})
            case ast.DictComp(key_node, value_node, generators):
                pairs = self._comprehension(
                    lambda inner: (self._value(key_node, inner), self._value(value_node, inner)), generators, scope
                )
                return self._native(dict, [pairs], {})
            case ast.Lambda():
                return Function(node, scope)
            case ast.NamedExpr(ast.Name(name), value):
                scope.names[name] = self._value(value, scope)
                return scope.names[name]
            case ast.Await(value) | ast.Starred(value) | ast.YieldFrom(value):
                return self._value(value, scope)
            case ast.Yield(value) if value is not None:
                return self._value(value, scope)
        return UNKNOWN

    def _name(self, name: str, scope: Scope) -> object:
        inner: Scope | None = scope
        while inner is not None:
            if name in inner.names:
                return inner.names[name]
            inner = inner.parent
        found = self.member(scope.module, name)
        return _BUILTINS.get(name, UNKNOWN) if found is UNKNOWN else found

    def _attribute(self, owner: object, name: str) -> object:
        match owner:
            case Module(module):
                return self.member(module, name)
            case External(dotted):
                return _external(f'{dotted}.{name}')
            case Instance():
                if name in owner.attributes:
                    return owner.attributes[name]
                return self._bound(owner.of.lookup(name), owner, owner.of)
            case Class():
                return self._bound(owner.lookup(name), None, owner)
        if isinstance(owner, type) and issubclass(owner, enum.Enum):
            return owner.__members__.get(name, UNKNOWN)
        if isinstance(owner, enum.Enum) and name in ('name', 'value'):
            return getattr(owner, name)
        if isinstance(owner, _DATA) and not name.startswith('_'):
            return getattr(owner, name, UNKNOWN)
        return UNKNOWN

    def _bound(self, found: object, instance: Instance | None, of: Class) -> object:
        if not isinstance(found, Function) or found.decorated_with('staticmethod'):
            return found
        if found.decorated_with('classmethod'):
            return Function(found.node, found.scope, (of,))
        if instance is None:
            return found
        method = Function(found.node, found.scope, (instance,))
        if found.decorated_with('property') or found.decorated_with('cached_property'):
            return self._call_function(method, [], {})
        return method

    def _elements(self, nodes: list[ast.expr], scope: Scope) -> list[object]:
        elements: list[object] = []
        for node in nodes:
            value = self._value(node, scope)
            if isinstance(node, ast.Starred):
                items = self._items(value)
                elements += [UNKNOWN] if items is UNKNOWN else typing.cast('list[object]', items)
            else:
                elements.append(value)
        return elements

    def _dict(self, keys: list[ast.expr | None], values: list[ast.expr], scope: Scope) -> object:
        result: dict[object, object] = {}
        for key, value_node in zip(keys, values, strict=True):
            value = self._value(value_node, scope)
            if key is not None:
                self._native(result.__setitem__, [self._value(key, scope), value], {}, unknown_is_data=True)
            elif isinstance(value, dict):
                result.update(value)
        return result

    def _joined(self, parts: list[object]) -> object:
        return ''.join(map(str, parts)) if UNKNOWN not in parts else UNKNOWN

    def _binary(self, binary: ast.operator, left: object, right: object) -> object:
        function = _BINARY.get(type(binary))
        return UNKNOWN if function is None else self._native(function, [left, right], {})

    def _bool_op(self, boolean: ast.boolop, nodes: list[ast.expr], scope: Scope) -> object:
        """`and` and `or`: a known operand decides even beside unknown ones, but every one may hold a call."""
        ends_on = isinstance(boolean, ast.Or)
        seen: list[object] = []
        for node in nodes:
            value = self._value(node, scope)
            truth = self._truth(value)
            if truth is not UNKNOWN and bool(truth) is ends_on:
                return value if UNKNOWN not in seen or not ends_on else UNKNOWN
            seen.append(value if truth is not UNKNOWN else UNKNOWN)
        return UNKNOWN if UNKNOWN in seen else seen[-1]

    def _compare(self, left: ast.expr, operators: list[ast.cmpop], nodes: list[ast.expr], scope: Scope) -> object:
        values = [self._value(node, scope) for node in (left, *nodes)]
        for comparison, one, other in zip(operators, values, values[1:], strict=False):
            if isinstance(comparison, ast.Is | ast.IsNot) and None in (one, other) and _is_something(one, other):
                holds: object = isinstance(comparison, ast.IsNot)
            else:
                holds = self._native(_COMPARE[type(comparison)], [one, other], {})
            if holds is UNKNOWN or not holds:
                return holds
        return True

    def _comprehension(
        self, element: Callable[[Scope], object], generators: list[ast.comprehension], scope: Scope
    ) -> object:
        results: list[object] = []
        inner = Scope(scope.module, {}, scope)

        def over(remaining: list[ast.comprehension]) -> bool:
            if not remaining:
                results.append(element(inner))
                return True
            items = self._items(self._value(remaining[0].iter, inner))
            if items is UNKNOWN:
                return False
            known = True
            for item in typing.cast('list[object]', items):
                self._assign(remaining[0].target, item, inner)
                wanted = [self._truth(self._value(test, inner)) for test in remaining[0].ifs]
                if UNKNOWN in wanted:
                    known = False
                elif all(wanted):
                    known = over(remaining[1:]) and known
            return known

        return results if over(generators) else UNKNOWN

    def _items(self, value: object) -> object:
        """Return what iterating over a value gives, as a list, or UNKNOWN."""
        if isinstance(value, type) and issubclass(value, enum.Enum):
            return list(value)
        if isinstance(value, bytes | int | float) or value is None or isinstance(value, Instance | Class | Collector):
            return UNKNOWN
        return self._native(lambda: list(value), [], {}) if value is not UNKNOWN else UNKNOWN  # type: ignore[call-overload]

    def _truth(self, value: object) -> object:
        """Return True, False or UNKNOWN."""
        if isinstance(value, Function | Class | Collector | Module | Partial):
            return True
        if isinstance(value, Instance | External) or value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, list | tuple) and value and all(item is UNKNOWN for item in value):
            # Possibly the trace of an iterable that turns out to be empty.
            return UNKNOWN
        return bool(value)

    # Calls

    def _call(self, node: ast.Call, scope: Scope) -> object:
        self._calls.append(Call(node, scope.module))
        try:
            callee = self._value(node.func, scope)
            arguments = self._elements(node.args, scope)
            keywords: dict[str, object] = {}
            for keyword in node.keywords:
                value = self._value(keyword.value, scope)
                if keyword.arg is not None:
                    keywords[keyword.arg] = value
                elif isinstance(value, dict):
                    keywords.update({str(name): item for name, item in value.items()})
            if callee is UNKNOWN and isinstance(node.func, ast.Name) and len(arguments) > 1:
                return self._reflect(node.func.id, arguments)
            return self._apply(callee, arguments, keywords)
        finally:
            self._calls.pop()

    def _reflect(self, builtin: str, arguments: list[object]) -> object:
        """Call `getattr`, `hasattr` or `isinstance` on a value of the source."""
        owner, second = arguments[:2]
        if builtin == 'isinstance' and isinstance(owner, _NOTHING_OR_DATA) and not isinstance(owner, enum.Enum):
            return self._native(isinstance, [owner, second], {})
        if builtin not in ('getattr', 'hasattr') or not isinstance(second, str):
            return UNKNOWN
        found = self._attribute(owner, second)
        if builtin == 'getattr':
            return arguments[2] if found is UNKNOWN and len(arguments) > 2 and owner is not UNKNOWN else found
        if found is not UNKNOWN:
            return True
        # Either never set, or set to something that is not known.
        return UNKNOWN if not isinstance(owner, Instance) or second in owner.attributes else False

    def _apply(self, callee: object, arguments: list[object], keywords: dict[str, object]) -> object:
        match callee:
            case Collector():
                self._on_construct(callee, arguments, keywords, list(self._calls))
                return Instance(Class(callee.name, [], {}))
            case Function():
                return self._call_function(callee, arguments, keywords)
            case Class():
                return self._instance(callee, arguments, keywords)
            case Partial():
                return self._apply(callee.of, [*callee.arguments, *arguments], {**callee.keywords, **keywords})
            case External('typing.cast') if len(arguments) > 1:
                return arguments[1]
            case External('functools.partial') if arguments:
                return Partial(arguments[0], arguments[1:], keywords)
        return self._native(callee, arguments, keywords) if callable(callee) else UNKNOWN

    def _callable(self, value: object) -> Callable[..., object]:
        """Return a value of the source as something that a builtin can call."""
        return lambda *arguments, **keywords: self._apply(value, list(arguments), keywords)

    def _native(
        self,
        function: Callable[..., object],
        arguments: list[object],
        keywords: dict[str, object],
        unknown_is_data: bool = False,
    ) -> object:
        """Call a builtin with known arguments."""
        holder = getattr(function, '__self__', None)
        name = getattr(function, '__name__', '')
        if isinstance(holder, list) and name in ('append', 'insert', 'extend') and UNKNOWN in arguments:
            # The list goes on, with one element that is not known.
            holder.append(UNKNOWN)
            return None
        if not unknown_is_data and any(value is UNKNOWN for value in (*arguments, *keywords.values())):
            return UNKNOWN
        plain = [
            self._callable(value) if isinstance(value, Function | Class | Partial) else value for value in arguments
        ]
        try:
            result = function(*plain, **keywords)
            if isinstance(result, Iterator):
                return list(result)
            return result
        except _NATIVE_ERRORS:
            return UNKNOWN

    def _instance(self, of: Class, arguments: list[object], keywords: dict[str, object]) -> Instance:
        made = Instance(of)
        initializer = of.lookup('__init__')
        if isinstance(initializer, Function):
            self._call_function(Function(initializer.node, initializer.scope, (made,)), arguments, keywords)
        else:
            # A dataclass or the like.
            made.attributes.update(keywords)
        return made

    def _call_function(self, function: Function, arguments: list[object], keywords: dict[str, object]) -> object:
        if self._depth >= _MAX_DEPTH:
            return UNKNOWN
        node = function.node
        scope = Scope(function.scope.module, {}, function.scope)
        self._bind(node.args, [*function.bound, *arguments], keywords, scope, function.scope)
        self._depth += 1
        forced, self._forced = self._forced, node in self.both_branches
        try:
            if isinstance(node, ast.Lambda):
                return self._value(node.body, scope)
            frame = _Frame(scope)
            flow = self._block(node.body, frame)
            if flow is _Flow.NEXT and not frame.results:
                return None
            return _combined(frame.results)
        finally:
            self._depth -= 1
            self._forced = forced

    def _bind(
        self,
        parameters: ast.arguments,
        arguments: list[object],
        keywords: dict[str, object],
        scope: Scope,
        defaults_scope: Scope,
    ) -> None:
        positional = [*parameters.posonlyargs, *parameters.args]
        defaults = [None] * (len(positional) - len(parameters.defaults)) + parameters.defaults
        left = dict(keywords)
        for position, (parameter, default) in enumerate(zip(positional, defaults, strict=True)):
            if position < len(arguments):
                scope.names[parameter.arg] = arguments[position]
            else:
                scope.names[parameter.arg] = self._keyword(parameter, default, left, defaults_scope)
        for parameter, default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
            scope.names[parameter.arg] = self._keyword(parameter, default, left, defaults_scope)
        if parameters.vararg is not None:
            scope.names[parameters.vararg.arg] = tuple(arguments[len(positional) :])
        if parameters.kwarg is not None:
            scope.names[parameters.kwarg.arg] = left

    def _keyword(
        self, parameter: ast.arg, default: ast.expr | None, keywords: dict[str, object], scope: Scope
    ) -> object:
        if parameter.arg in keywords:
            return keywords.pop(parameter.arg)
        return UNKNOWN if default is None else self._value(default, scope)


def _bindings(statements: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """Return the statements of a module by the names that they bind; those of exception handlers are left out."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        match statement:
            case ast.If(_, body, orelse):
                inner = _bindings([*body, *orelse])
            case ast.Try(body, _, orelse, final):
                inner = _bindings([*body, *orelse, *final])
            case ast.With(_, body):
                inner = _bindings(body)
            case _:
                inner = {name: [statement] for name in _names_bound_by(statement)}
        for name, binding in inner.items():
            found.setdefault(name, []).extend(binding)
    return found


def _names_bound_by(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            return [name]
        case ast.Assign(targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        case ast.AnnAssign(ast.Name(name)):
            return [name]
        case ast.Import(aliases):
            return [alias.asname or alias.name.split('.')[0] for alias in aliases]
        case ast.ImportFrom(_, aliases):
            return [alias.asname or alias.name for alias in aliases]
    return []


def _external(dotted: str) -> object:
    if dotted.startswith('prometheus_client.') and dotted.rsplit('.', 1)[1] in COLLECTOR_TYPES:
        return Collector(dotted.rsplit('.', 1)[1])
    return _EXTERNAL.get(dotted, External(dotted))


def _enum(node: ast.ClassDef, bases: list[object], names: dict[str, object]) -> object:
    """Make a real enum, so that its members compare, hash and iterate as LiteLLM's do."""
    members = {
        name: value
        for name, value in names.items()
        if not name.startswith('_') and not isinstance(value, Function | Class) and value is not UNKNOWN
    }
    mixin = next((base for base in bases if base in (str, int)), None)
    try:
        return enum.Enum(node.name, members, type=typing.cast('type | None', mixin))
    except _NATIVE_ERRORS:
        return UNKNOWN


def _is_something(one: object, other: object) -> bool:
    """Tell whether exactly one of two values is None and the other one is an object of the source."""
    rest = other if one is None else one
    return isinstance(rest, Instance | Class | Function | Collector | Module)


def _combined(values: list[object]) -> object:
    """Return the value that several paths agree on: the only one of them that is known, else UNKNOWN."""
    known = [value for value in values if value is not UNKNOWN]
    if any(value is not None for value in known):
        known = [value for value in known if value is not None]
    if known and all(value is known[0] or _same(value, known[0]) for value in known):
        return known[0]
    return UNKNOWN


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and isinstance(one, _DATA) and one == other


def _merged(ends: list[dict[str, object]]) -> dict[str, object]:
    """Return the names after branches that may or may not have been taken."""
    return {name: _combined([end.get(name, UNKNOWN) for end in ends]) for name in {key for end in ends for key in end}}
