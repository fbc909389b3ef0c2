"""Find in a release's sources where families are made, and what to call so that they are.

A *site* is a call that looks like the making of a family: of something that is named after a type of prometheus_client,
or after a factory of one, with a name and a description, in a module that names the client. Where it spells the
family's name, that is read. Running the release tells the rest (see `dynamic`), and a site that neither spells a name
nor was seen running is reported with its place.

No meaning is followed, which is not needed for LiteLLM: what is made under a name that tells nothing is found by
running it only, and is missed if nothing that is called without arguments makes it. A module that imports a type and
has no site at all is reported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.lineage.family import Family

__all__ = ['Place', 'Scan', 'scan']

_CLIENT = 'prometheus_client'
# `Counter`, `PrometheusGauge`, `create_histogram`, `_counter_factory`; but not `increment_counter`, nor `logger.info`.
_MAKER = re.compile(
    r'_?(create_|make_|Prometheus)?([Cc]ounter|[Gg]auge|[Hh]istogram|[Ss]ummary|Info|Enum)(MetricFamily|_factory)?'
)
# The types that are called otherwise than their class.
_TYPES = {'enum': 'stateset'}

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Place(NamedTuple):
    """A place in a wheel: the lines of one call."""

    file: str
    line: int
    last_line: int

    def __str__(self) -> str:
        return f'{self.file}:{self.line}'


class Scan(NamedTuple):
    """The findings in sources: families by name, sites without one, what to call to run them, and what is unclear."""

    families: dict[str, Family]
    nameless: list[Place]
    entries: list[str]
    """As `module:qualified name`, each to be called without arguments."""
    unread: list[str]


def scan(packages: Path) -> Scan:
    """Scan every module of LiteLLM, in the folder where it is installed, that names prometheus_client."""
    found = Scan({}, [], [], [])
    for file in sorted(packages.glob('litellm*/**/*.py')):
        path, text = file.relative_to(packages).as_posix(), file.read_text(encoding='utf-8', errors='replace')
        if _CLIENT not in text:
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            found.unread.append(f'{path}:1: not Python that this tool can parse')
            continue
        sites = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _type_of(node)]
        for site in sites:
            place = Place(path, site.lineno, site.end_lineno or site.lineno)
            if name := _spelled(site):
                family = Family(name, _type_of(site), None, '', '', str(place), '', 'scan')
                found.families.setdefault(name, family)
            else:
                found.nameless.append(place)
        module = path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
        found.entries.extend(f'{module}:{entry}' for entry in _entries(tree.body, sites))
        if not sites:
            found.unread.extend(
                f'{path}:{line}: nothing is seen to be made of {name}' for line, name in _imported(tree)
            )
    return found


def _type_of(call: ast.Call) -> str:
    """Return the type of the family that a call seems to make, or nothing."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name) if len(call.args) + len(call.keywords) > 1:
            if maker := _MAKER.fullmatch(name):
                return _TYPES.get(maker[2].lower(), maker[2].lower())
    return ''


def _spelled(site: ast.Call) -> str:
    """Return the name of the family that a site spells, or nothing."""
    given = {keyword.arg: keyword.value for keyword in site.keywords}
    name = given.get('name', site.args[0] if site.args else None)
    # A part of the name may stand in an argument of its own.
    if (
        isinstance(name, ast.Constant)
        and isinstance(name.value, str)
        and not {'namespace', 'subsystem', 'unit'} & given.keys()
    ):
        return name.value.removesuffix('_total') if _type_of(site) == 'counter' else name.value
    return ''


def _entries(statements: list[ast.stmt], sites: Collection[ast.Call], owner: str = '') -> Iterator[str]:
    """Yield the functions and methods, by their qualified names, that hold a site and need no arguments."""
    for statement in statements:
        if isinstance(statement, _Function):
            if not _needs_arguments(statement) and any(node in sites for node in ast.walk(statement)):
                yield f'{owner}{statement.name}'.removesuffix('.__init__')
        elif isinstance(statement, ast.ClassDef):
            yield from _entries(statement.body, sites, f'{owner}{statement.name}.')
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            inner = [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.stmt)]
            yield from _entries(inner, sites, owner)


def _needs_arguments(function: _Function) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args]
    required = arguments[: len(arguments) - len(function.args.defaults)]
    return any(one.arg not in ('self', 'cls') for one in required) or None in function.args.kw_defaults


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the classes of prometheus_client that make families and are imported, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or '').partition('.')[0] == _CLIENT:
            yield from ((node.lineno, alias.name) for alias in node.names if _MAKER.fullmatch(alias.name))
