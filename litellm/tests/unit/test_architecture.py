"""The rooms of the check are those of its map, and every import between them runs down."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path, PurePosixPath

import datadog_checks.litellm

PACKAGE = Path(datadog_checks.litellm.__file__).parent
NAMES = datadog_checks.litellm.__name__.split('.')

# The rooms in the order of the map, the top one first: folders and single modules.
ROOMS = re.findall(r'^    (\w+(?:/|\.py)) +\S', datadog_checks.litellm.__doc__ or '', re.MULTILINE)


def modules() -> Iterator[PurePosixPath]:
    """Yield the modules that imports are followed from. The package's own face may import anything."""
    for path in sorted(PACKAGE.rglob('*.py')):
        module = PurePosixPath(path.relative_to(PACKAGE).as_posix())
        if module != PurePosixPath('__init__.py'):
            yield module


def imports(module: PurePosixPath) -> Iterator[PurePosixPath]:
    """Yield the modules of the check that a module imports, at whatever place in it."""
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        names = (node.module or '').split('.')
        if node.level:
            origin = (PACKAGE / module).parents[node.level - 1].joinpath(*names)
        elif names[:2] == NAMES:
            origin = PACKAGE.joinpath(*names[2:])
        else:
            continue
        for alias in node.names:
            candidates = (origin / f'{alias.name}.py', origin.with_suffix('.py'), origin / '__init__.py')
            imported = next(path for path in candidates if path.is_file())
            yield PurePosixPath(imported.relative_to(PACKAGE).as_posix())


def room_of(module: PurePosixPath) -> str:
    return f'{module.parts[0]}/' if len(module.parts) > 1 else module.name


def test_the_map_has_every_room_and_no_other() -> None:
    assert len(ROOMS) == len(set(ROOMS))
    assert set(ROOMS) == {room_of(module) for module in modules()}


def test_every_import_runs_down_to_another_room_or_stays_in_its_own() -> None:
    arrows = {(room_of(module), room_of(imported)) for module in modules() for imported in imports(module)}

    up = {(here, there) for here, there in arrows if there not in ROOMS or ROOMS.index(there) < ROOMS.index(here)}

    assert len(arrows) > len(ROOMS)
    assert up == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    # `prepare` raises an error that has the circle in it.
    TopologicalSorter({module: set(imports(module)) - {module} for module in modules()}).prepare()
