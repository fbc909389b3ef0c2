"""Hold the fixture proxy against the recorded table: what it counts for each route, called with the same clients.

Counts and labels must be equal; of tokens and dollars, which differ by what is said and by prices, whether there are
any.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.fixture_proxy import start
from tests.fixture_proxy.accounts import VIRTUAL_KEYS
from tests.fixture_proxy.releases import NEWEST

from tools.known_differences import Allowed, Cells, Difference, read_allowed
from tools.markdown import between_markers, cells
from tools.real_litellm.families import Page

from .counting import AMOUNTS, call, routes_table
from .official_clients import callers

__all__ = ['PAGE', 'allowed', 'differences', 'fixture_table', 'real_table']

PAGE = Path(__file__).parents[2] / 'docs' / 'routes.md'
_ALLOWED_CSV = Path(__file__).with_name('allowed.csv')
# What the fixture calls the models, each of a single deployment.
_MODELS = {
    'chat': 'o4-mini',
    'claude': 'claude-haiku',
    'unauthorized': 'always-401',
    'broken-too': 'always-500',
    'claude-broken': 'claude-always-500',
    'breaking': 'breaks-off',
    'claude-breaking': 'claude-breaks-off',
    'embeddings': 'text-embedding',
    'images': 'gpt-image',
    'transcriptions': 'whisper',
}


@cache
def allowed() -> tuple[Allowed, ...]:
    """Return the known differences."""
    return read_allowed(_ALLOWED_CSV)


def real_table() -> Cells:
    """Return what was recorded of the real proxy."""
    return _cells(between_markers(PAGE))


def fixture_table() -> Cells:
    """Make all calls to the fixture, and return what it counts, with the models named as the calls do."""
    with (
        start('--release', str(NEWEST)) as proxy,
        callers(proxy.url, VIRTUAL_KEYS['search'], _MODELS) as (names, ask),
    ):
        # The harness gives the only deployment of a group no cooldowns: its `allowed_fails` is for others.
        proxy.control('controls', disable_cooldowns=True)
        table = routes_table([call(lambda: Page(proxy.scrape()), ask, name) for name in names])
    for name, model in _MODELS.items():
        table = table.replace(f'`{model}`', f'`{name}`')
    return _cells(table)


def differences(real: Cells, fixture: Cells) -> list[Difference]:
    """Return where the fixture is not like the real proxy."""
    asked = sorted(real.keys() | fixture.keys())
    pairs = ((one, real.get(one, ''), fixture.get(one, '')) for one in asked)
    return [Difference(*one, theirs, ours) for one, theirs, ours in pairs if not _are_alike(one[1], theirs, ours)]


def _are_alike(told: str, real: str, fixture: str) -> bool:
    if told in AMOUNTS and real and fixture:
        return (float(real) > 0) == (float(fixture) > 0)
    return real == fixture


def _cells(table: str) -> Cells:
    head, _, *rows = [cells(line) for line in table.splitlines()]
    return {(name, what): cell for name, *others in rows for what, cell in zip(head[1:], others, strict=True)}
