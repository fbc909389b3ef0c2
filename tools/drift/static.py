"""Read a release's families out of its sources, without running them.

A module is looked at when it names prometheus_client. Its *sites* are the calls that may make a family: of a class of
prometheus_client under whatever name, of a factory made from such a class, and of a function that is given one. Every
function that holds a site or leads to one is evaluated (see `evaluate`), first with LiteLLM's default settings, then,
where that left sites unread, along all branches. A site that stays unread is reported rather than passed over, and so
is a class that goes where no call of it can be seen, into a table for one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from tests.lineage.family import CLIENT_BUCKETS, COLLECTOR_TYPES, Family, family_name, upper_bounds

from .evaluate import UNKNOWN, Call, Class, Collector, Evaluator, Instance
from .wheels import Sources

__all__ = ['Reading', 'read_statically']

_CLIENT = 'prometheus_client'
_CLIENT_MODULES = frozenset({'core', 'metrics', 'metrics_core', 'registry'})

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

# Positions of a constructor's arguments.
_POSITIONS = ('name', 'documentation', 'labelnames', 'namespace', 'subsystem', 'unit')
_HANDED_ON = 'what makes families is handed on here, and what becomes of it could not be read'
# Of the callables that are given a class of prometheus_client, those that make nothing of it.
_HARMLESS = frozenset({'isinstance', 'issubclass', 'cast', 'type', 'getattr', 'hasattr'})


class Reading(NamedTuple):
    """What was read of a release: its families by name, and as `file:line: reason` what could not be read."""

    families: dict[str, Family]
    unread: list[str]


class _Home(NamedTuple):
    """A function of a module, with the class that it is a method of, if any."""

    node: _FunctionNode
    owner: str | None

    @property
    def name(self) -> str:
        """The name by which it is called."""
        return self.owner if self.owner and self.node.name == '__init__' else self.node.name


def read_statically(sources: Sources) -> Reading:
    """Return every family that the sources can register with LiteLLM's default settings, and what was not readable."""
    return _Reader(sources).read()


class _Reader:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._evaluator = Evaluator(sources, self._record)
        self._families: dict[str, Family] = {}
        self._sites: dict[ast.Call, str] = {}
        self._read: set[ast.Call] = set()
        self._nameless: dict[ast.Call, str] = {}
        self._unfollowed: list[str] = []
        self._entry = ''
        self._only_unread = False
        self._wants_caller = False
        self._helpers: set[tuple[str, str]] = set()

    def read(self) -> Reading:
        modules = self._modules_with_sites()
        for module in modules:
            self._evaluate(module)
        for module, names in self._called_from_elsewhere(modules):
            self._evaluate_callers(module, names)
        self._only_unread = True
        for module in modules:
            if any(self._sites[site] == module for site in self._unread_sites()):
                self._evaluate(module)
        unread = [self._place(module, node) for node, module in self._unread_places()]
        families = {name: self._families[name] for name in sorted(self._families)}
        return Reading(families, sorted({*self._unfollowed, *unread}))

    # Which modules, which functions

    def _modules_with_sites(self) -> list[str]:
        """Return the modules that can make families, and note their sites."""
        found = []
        for module in self._sources.modules():
            text = self._sources.text(module) or ''
            if 'prometheus_client' not in text:
                continue
            tree = self._evaluator.tree(module)
            if tree is None:
                self._unfollowed.append(f'{self._sources.path(module)}:1: not Python that this tool can parse')
                continue
            self._unfollowed += [
                f'{self._sources.path(module)}:{node.lineno}: {_HANDED_ON}' for node in _handed_on(tree)
            ]
            sites = set(_sites(tree))
            self._sites.update(dict.fromkeys(sites, module))
            if sites:
                found.append(module)
        return found

    def _evaluate(self, module: str) -> None:
        """Run what holds the sites of a module, and whatever calls it by name where it alone does not tell a name."""
        tree = self._evaluator.tree(module)
        assert tree is not None
        wanted = self._unread_sites() if self._only_unread else {s for s, home in self._sites.items() if home == module}
        homes = list(_homes(tree.body, None))
        inside = {node for home in homes for node in ast.walk(home.node)}
        self._entry = ''
        for statement in tree.body:
            if any(site not in inside for site in wanted & set(_calls(statement))):
                self._evaluator.execute(statement, module)
        instances: dict[str, Instance] = {}
        next_ = [home for home in homes if wanted & set(_calls(home.node))]
        done: set[_Home] = set()
        while next_:
            wanting = [home for home in next_ if self._run(home, module, instances)]
            done.update(next_)
            names = {home.name for home in wanting}
            self._helpers |= {(module, name) for name in names}
            self._execute_calls_of(names, module)
            next_ = [home for home in homes if home not in done and names & _callees(home.node)]

    def _called_from_elsewhere(self, modules: list[str]) -> Iterator[tuple[str, set[str]]]:
        """Yield the modules without sites that import a function which makes families under a name it is given."""
        if not self._helpers:
            return
        for module in self._sources.modules():
            text = self._sources.text(module) or ''
            names = {
                name
                for home, name in self._helpers
                if module not in modules and f'{name}(' in text and home.rsplit('.', 1)[-1] in text
            }
            if names:
                yield module, names

    def _evaluate_callers(self, module: str, names: set[str]) -> None:
        tree = self._evaluator.tree(module)
        if tree is None:
            return
        instances: dict[str, Instance] = {}
        for home in _homes(tree.body, None):
            if names & _callees(home.node):
                self._run(home, module, instances)
        self._execute_calls_of(names, module)

    def _execute_calls_of(self, names: set[str], module: str) -> None:
        """Execute the statements of a module, outside of its functions, that call one of these names."""
        tree = self._evaluator.tree(module)
        self._entry = ''
        for statement in tree.body if tree is not None else []:
            if not isinstance(statement, _FunctionNode | ast.ClassDef) and names & _callees(statement):
                self._evaluator.execute(statement, module)

    def _run(self, home: _Home, module: str, instances: dict[str, Instance]) -> bool:
        """Run a function; tell whether it made a family whose name it does not know itself."""
        if self._only_unread:
            self._evaluator.both_branches.add(home.node)
        self._wants_caller = False
        self._call(home, module, instances)
        return self._wants_caller

    def _call(self, home: _Home, module: str, instances: dict[str, Instance]) -> None:
        function = self._evaluator.function(home.node, module)
        if home.owner is None:
            self._entry = f'{module}:{home.name}'
            self._evaluator.run(function, [])
            return
        of = self._evaluator.member(module, home.owner)
        if not isinstance(of, Class):
            self._entry = ''
            self._evaluator.run(function, [])
            return
        if home.owner not in instances or home.node.name == '__init__':
            self._entry = f'{module}:{home.owner}'
            instances[home.owner] = self._evaluator.instantiate(of)
        if home.node.name == '__init__':
            return
        self._entry = f'{module}:{home.owner}.{home.name}'
        if function.decorated_with('staticmethod'):
            self._evaluator.run(function, [])
        else:
            self._evaluator.run(function, [of if function.decorated_with('classmethod') else instances[home.owner]])

    def _unread_sites(self) -> set[ast.Call]:
        return self._sites.keys() - self._read

    def _unread_places(self) -> Iterator[tuple[ast.Call, str]]:
        """Yield the sites of which nothing is known, and calls that led to a constructor without a name."""
        yield from ((site, self._sites[site]) for site in self._unread_sites())
        for node, module in self._nameless.items():
            if node not in self._read and node not in self._sites:
                yield node, module

    def _place(self, module: str, node: ast.Call) -> str:
        return f'{self._sources.path(module)}:{node.lineno}: a family is made here, but its name could not be read'

    # What a constructor was called with

    def _record(
        self, collector: Collector, arguments: list[object], keywords: dict[str, object], calls: list[Call]
    ) -> None:
        given = {**dict(zip(_POSITIONS, arguments, strict=False)), **keywords}
        name = given.get('name', UNKNOWN)
        nodes = {call.node for call in calls}
        if not isinstance(name, str):
            # Of a helper's own run this is the constructor, read once a caller has given it a name; of a caller's run
            # it is the call of the helper, so that one caller without a name is not hidden by another one.
            self._nameless.setdefault(calls[0].node, calls[0].module)
            self._wants_caller = True
            return
        if self._only_unread and not nodes & self._unread_sites():
            return
        self._read |= nodes
        type_ = COLLECTOR_TYPES[collector.name]
        prefix = tuple(str(part) for part in (given.get('namespace', ''), given.get('subsystem', '')) if part)
        unit = given.get('unit', '')
        full = family_name(name, type_, prefix, unit if isinstance(unit, str) else '')
        family = Family(
            name=full,
            type=type_,
            labels=_labels(given.get('labelnames', given.get('labels', ()))),
            buckets=_buckets(given.get('buckets', CLIENT_BUCKETS)) if type_ == 'histogram' else None,
            multiprocess_mode=_mode(given.get('multiprocess_mode', 'all')) if type_ == 'gauge' else '',
            help=_help(given.get('documentation', '')),
            evidence=self._evidence(name, calls),
            registered_by=self._entry,
            read_by='static',
        )
        known = self._families.get(full)
        if known is None or (known.labels is None and family.labels is not None):
            self._families[full] = family

    def _evidence(self, name: str, calls: list[Call]) -> str:
        """Return where the family is named: the innermost call that spells it, else the constructor's own."""
        spelled = [call for call in reversed(calls) if name in _literals(call.node)]
        call = spelled[0] if spelled else calls[-1]
        return f'{self._sources.path(call.module)}:{call.node.lineno}'


def _labels(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        return None
    return tuple(str(label) for label in value)


def _buckets(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple) or not all(isinstance(bound, int | float) for bound in value):
        return None
    return upper_bounds(value)


def _mode(value: object) -> str:
    return value if isinstance(value, str) else 'unknown'


def _help(value: object) -> str:
    return value if isinstance(value, str) else ''


def _literals(node: ast.Call) -> list[object]:
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    return [argument.value for argument in arguments if isinstance(argument, ast.Constant)]


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))


def _terminal(node: ast.expr) -> str:
    """Return the last part of a dotted name: `Counter` of `prometheus_client.Counter`, `self.Counter`, `Counter`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ''


def _sites(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield the calls of a module that may make a family."""
    classes = set(_class_names(tree))
    factories: set[str] = set()
    made: set[ast.Call] = set()
    for target, value in _assignments(tree):
        if _terminal(value) in classes:
            classes.add(_terminal(target))
        elif isinstance(value, ast.Call):
            made.add(value)
            if _is_given(value, classes):
                factories.add(_terminal(target))
    for call in _calls(tree):
        callee = _terminal(call.func)
        makes_a_factory = call in made and _is_given(call, classes) and callee not in classes | factories
        if callee in classes | factories or (_is_given(call, classes) and not makes_a_factory):
            yield call


def _assignments(tree: ast.Module) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield each target with its value, those of `a, b = c, d` one by one."""
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(annotated, _, ast.expr() as value):
                yield annotated, value
            case ast.Assign(targets, value):
                for target in targets:
                    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                        yield from zip(target.elts, value.elts, strict=False)
                    else:
                        yield target, value


def _module_names(tree: ast.Module) -> set[str]:
    """Return the names under which a module has prometheus_client or a module of it."""
    names = {_CLIENT}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname for alias in node.names if alias.asname and _is_client(alias.name)}
        elif isinstance(node, ast.ImportFrom) and node.module == _CLIENT:
            names |= {alias.asname or alias.name for alias in node.names if alias.name in _CLIENT_MODULES}
    names |= {_terminal(target) for target, value in _assignments(tree) if _imports_client(value)}
    return names


def _is_client(dotted: str) -> bool:
    return dotted.split('.')[0] == _CLIENT


def _imports_client(value: ast.expr) -> bool:
    match value:
        case ast.Call(func, [ast.Constant(str(name)), *_]):
            return _terminal(func) in ('import_module', '__import__') and _is_client(name)
    return False


def _class_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names under which a module has the classes of prometheus_client that make families."""
    modules = _module_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_client(node.module or ''):
            yield from (alias.asname or alias.name for alias in node.names if alias.name in COLLECTOR_TYPES)
        elif isinstance(node, ast.Attribute) and _root(node) in modules:
            yield from {node.attr} & COLLECTOR_TYPES.keys()


def _root(node: ast.expr) -> str:
    """Return the first part of a dotted name."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ''


def _handed_on(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield where a class that makes families, or prometheus_client itself, goes to where it cannot be followed.

    That is anywhere but into a call, into an alias, and into what makes nothing of it, such as an annotation.
    """
    modules, classes = _module_names(tree), set(_class_names(tree))
    harmless: set[ast.AST] = {value for _, value in _assignments(tree)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func):
                followed = [func, *node.args, *(keyword.value for keyword in node.keywords)]
                if _terminal(func) in ('getattr', 'vars'):
                    followed = [argument for argument in followed if _terminal(argument) not in modules]
                harmless.update(followed)
            case ast.Attribute(value):
                harmless.add(value)
            case ast.AnnAssign(_, annotation):
                harmless.update(ast.walk(annotation))
            case ast.arg(_, annotation) if annotation is not None:
                harmless.update(ast.walk(annotation))
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.returns is not None:
                harmless.update(ast.walk(node.returns))
            case ast.Subscript() | ast.Compare():
                harmless.update(ast.walk(node))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load) or node in harmless:
            continue
        if (_terminal(node) in classes and (isinstance(node, ast.Name) or _root(node) in modules)) or (
            isinstance(node, ast.Name) and node.id in modules
        ):
            yield node


def _is_given(call: ast.Call, classes: set[str]) -> bool:
    """Tell whether a call is given one of these classes and may call it."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    return _terminal(call.func) not in _HARMLESS and any(_terminal(argument) in classes for argument in arguments)


def _homes(statements: list[ast.stmt], owner: str | None) -> Iterator[_Home]:
    """Yield the functions and methods of a module, those inside other functions excepted."""
    for statement in statements:
        if isinstance(statement, _FunctionNode):
            yield _Home(statement, owner)
        elif isinstance(statement, ast.ClassDef):
            yield from _homes(statement.body, statement.name)
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _homes([node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)], owner)


def _callees(node: ast.AST) -> set[str]:
    """Return the names, without their owners, of what a function calls."""
    return {_terminal(call.func) for call in _calls(node)}
