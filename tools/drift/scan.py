"""Find in a release's sources, without running them, where families are made.

A *site* is a call that may make a family: of a class of prometheus_client under whatever name, of a factory made from
such a class, and of a function that is given one. A family is read where its site spells the name. Labels, and names
that are put together, are left to running the release (see `dynamic`). What neither tells is reported with its place,
and so is a class that goes where no call of it can be seen, into a table for one.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from tests.lineage.family import COLLECTOR_TYPES, Family, family_name

from .wheels import Sources

__all__ = ['Place', 'Scan', 'scan']

_CLIENT = 'prometheus_client'
# What a call of a class's constructor may say of the name besides the name.
_PARTS_OF_THE_NAME = frozenset({'namespace', 'subsystem', 'unit'})
# Of the callables that are given a class of prometheus_client, those that make nothing of it.
_HARMLESS = frozenset({'isinstance', 'issubclass', 'cast', 'type', 'getattr', 'hasattr'})

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Place(NamedTuple):
    """Where something stands in a wheel: the lines of one call."""

    file: str
    line: int
    last_line: int

    def __str__(self) -> str:
        return f'{self.file}:{self.line}'


class Scan(NamedTuple):
    """What the sources tell: families by name, sites without one, what to call to run them, and what is unclear."""

    families: Mapping[str, Family]
    nameless: Collection[Place]
    entries: list[str]
    """As `module:qualified name`, each to be called without arguments."""
    unread: list[str]


def scan(sources: Sources) -> Scan:
    """Scan every module that names prometheus_client, and those that call a function of theirs that makes families."""
    families: dict[str, Family] = {}
    nameless: list[Place] = []
    entries: list[str] = []
    unread: list[str] = []
    helpers: dict[str, str] = {}
    calls: list[tuple[str, ast.Module, list[ast.Call]]] = []
    for module in sources.modules():
        text, path = sources.text(module) or '', sources.path(module)
        if _CLIENT not in text:
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            unread.append(f'{path}:1: not Python that this tool can parse')
            continue
        names = _Names(tree)
        sites = list(names.sites())
        without_name = [site for site in sites if names.spelled(site) is None]
        for site in sites:
            if family := names.spelled(site):
                families.setdefault(family.name, family._replace(evidence=str(_place(path, site))))
        helpers |= dict.fromkeys(_helpers(tree, without_name), module)
        nameless += [_place(path, site) for site in without_name]
        calls.append((module, tree, sites))
        unread += [f'{path}:{line}: what makes families is handed on here, and not followed' for line in names.lost()]
    # A caller that was not seen may give a helper another name than one that was.
    calls += [(module, tree, []) for module, tree in _callers(sources, helpers, {module for module, *_ in calls})]
    for module, tree, sites in calls:
        of_helpers = [call for call in _calls(tree) if _last_name(call.func) in helpers]
        nameless += [_place(sources.path(module), call) for call in of_helpers]
        entries += [f'{module}:{entry}' for entry in _entries(tree, [*sites, *of_helpers])]
    return Scan(families, nameless, entries, unread)


def _place(path: str, call: ast.Call) -> Place:
    return Place(path, call.lineno, call.end_lineno or call.lineno)


def _helpers(tree: ast.Module, without_name: Collection[ast.Call]) -> Iterator[str]:
    """Yield the names of functions that make families under a name that they are given."""
    for name, node in _homes(tree.body, ''):
        if _needs_arguments(node) and any(call in without_name for call in _calls(node)):
            yield _called_as(name)


def _callers(
    sources: Sources, helpers: Mapping[str, str], scanned: Collection[str]
) -> Iterator[tuple[str, ast.Module]]:
    """Yield the other modules that import a helper's module and call what has its name."""
    for module in sources.modules():
        text = sources.text(module) or ''
        if module not in scanned and any(
            f'{helper}(' in text and home.rpartition('.')[2] in text for helper, home in helpers.items()
        ):
            with suppress(SyntaxError, ValueError):
                yield module, ast.parse(text)


class _Names:
    """The names under which a module has classes of prometheus_client, and factories of theirs."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._modules = {_CLIENT}
        self._types: dict[str, str] = {}
        self._factories: dict[str, str] = {}
        # Calls that make factories, each with the name of what it makes.
        self._factory_calls: dict[ast.Call, str] = {}
        for node in ast.walk(tree):
            self._learn_import(node)
        for target, value in _assignments(tree):
            if isinstance(value, ast.Call) and _imports_client(value):
                self._modules.add(_last_name(target))
            elif type_ := self._type_of(value):
                self._types[_last_name(target)] = type_
            elif isinstance(value, ast.Call) and (given := self._given(value)):
                self._factories[_last_name(target)] = given
                self._factory_calls[value] = _last_name(target)

    def _learn_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self._modules |= {alias.asname for alias in node.names if alias.asname and _is_client(alias.name)}
        elif isinstance(node, ast.ImportFrom) and _is_client(node.module or ''):
            for alias in node.names:
                name = alias.asname or alias.name
                if alias.name in COLLECTOR_TYPES:
                    self._types[name] = COLLECTOR_TYPES[alias.name]
                elif alias.name.islower():
                    self._modules.add(name)

    def _type_of(self, node: ast.expr) -> str:
        """Return the type of the families that a class makes, '' for anything else."""
        if isinstance(node, ast.Attribute) and _first_name(node) in self._modules:
            return COLLECTOR_TYPES.get(node.attr, '')
        return self._types.get(_last_name(node), '')

    def _given(self, call: ast.Call) -> str:
        """Return the type of the class that a call is given, '' for none."""
        if _last_name(call.func) in _HARMLESS:
            return ''
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        return next((type_ for argument in arguments if (type_ := self._type_of(argument))), '')

    def _made_by(self, call: ast.Call) -> str:
        return self._type_of(call.func) or self._factories.get(_last_name(call.func), '') or self._given(call)

    def sites(self) -> Iterator[ast.Call]:
        callees = _callees(self._tree)
        for call in _calls(self._tree):
            # `factory = make(Counter)` makes no family if the factory is called.
            if self._made_by(call) and self._factory_calls.get(call) not in callees:
                yield call

    def spelled(self, site: ast.Call) -> Family | None:
        """Return the family whose name a site spells, None if it spells none."""
        named = [keyword.value for keyword in site.keywords if keyword.arg == 'name']
        positional = [argument for argument in site.args if not self._type_of(argument)]
        match (named or positional)[:1]:
            case [ast.Constant(str(name))]:
                pass
            case _:
                return None
        if any(keyword.arg in {None, *_PARTS_OF_THE_NAME} for keyword in site.keywords):
            return None
        type_ = self._made_by(site)
        return Family(family_name(name, type_), type_, None, None, '', '', '', '', 'scan')

    def lost(self) -> Iterator[int]:
        """Yield the lines on which a class, or the client itself, goes to where it cannot be followed.

        That is anywhere but into a call, into an alias, and into what makes nothing of it, such as an annotation.
        """
        harmless: set[ast.AST] = {value for _, value in _assignments(self._tree)}
        for node in ast.walk(self._tree):
            match node:
                case ast.Call(func):
                    followed = [func, *node.args, *(keyword.value for keyword in node.keywords)]
                    if _last_name(func) in ('getattr', 'vars'):
                        followed = [argument for argument in followed if _last_name(argument) not in self._modules]
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
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and node not in harmless:
                is_class = self._type_of(node) and (isinstance(node, ast.Name) or _first_name(node) in self._modules)
                if is_class or (isinstance(node, ast.Name) and node.id in self._modules):
                    yield node.lineno


def _entries(tree: ast.Module, sites: Collection[ast.Call]) -> Iterator[str]:
    """Yield what to call, without arguments, so that the sites are run: what holds them, or what calls that."""
    homes = dict(_homes(tree.body, ''))
    wanted = [name for name, node in homes.items() if any(call in sites for call in _calls(node))]
    done: set[str] = set()
    while wanted:
        name = wanted.pop(0)
        if name in done:
            continue
        done.add(name)
        if not _needs_arguments(homes[name]):
            yield name.removesuffix('.__init__')
            continue
        wanted += [other for other, node in homes.items() if _called_as(name) in _callees(node)]


def _homes(statements: list[ast.stmt], owner: str) -> Iterator[tuple[str, _Function]]:
    """Yield the functions and methods of a module by their qualified names, those inside other functions excepted."""
    for statement in statements:
        if isinstance(statement, _Function):
            yield f'{owner}{statement.name}', statement
        elif isinstance(statement, ast.ClassDef):
            yield from _homes(statement.body, f'{owner}{statement.name}.')
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _homes([node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)], owner)


def _needs_arguments(function: _Function) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args]
    required = arguments[: len(arguments) - len(function.args.defaults)]
    return bool([one for one in required if one.arg not in ('self', 'cls')]) or None in function.args.kw_defaults


def _called_as(name: str) -> str:
    return name.removesuffix('.__init__').rpartition('.')[2]


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))


def _callees(node: ast.AST) -> set[str]:
    return {_last_name(call.func) for call in _calls(node)}


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


def _is_client(dotted: str) -> bool:
    return dotted.split('.')[0] == _CLIENT


def _imports_client(call: ast.Call) -> bool:
    match call:
        case ast.Call(func, [ast.Constant(str(name)), *_]):
            return _last_name(func) in ('import_module', '__import__') and _is_client(name)
    return False


def _last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name: `Counter` of `prometheus_client.Counter`, `self.Counter`, `Counter`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ''


def _first_name(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ''
