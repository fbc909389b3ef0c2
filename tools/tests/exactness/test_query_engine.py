"""The stand-in for Prisma's query engine does what prisma-client-py asks, and fails in ways that LiteLLM knows."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.real_litellm.database import ENGINE, Database, database
from tools.real_litellm.environment import Environment, HarnessError, environment
from tools.real_litellm.postgres import PostgresServer
from tools.real_litellm.servers import servers

PROBE = ENGINE.with_name('engine_probe.py')
PROBE_SECONDS = 60
# What the probe puts into each text.
TEXT = 'a "quote", a \\ backslash,\n\ta line, {braces} [and] $signs: é 日本'


@pytest.fixture(scope='module')
def litellm() -> Environment:
    if not servers().have_database:
        pytest.skip('there is no PostgreSQL or no Node for this platform')
    return environment()


@pytest.fixture(scope='module')
def prepared(litellm: Environment) -> Database:
    failure = ''
    try:
        return database(litellm)
    except HarnessError as error:
        failure = str(error)
    pytest.fail(failure, pytrace=False)


@pytest.fixture(scope='module')
def postgres(prepared: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    # Not below pytest's own folder: an account without rights could not reach it.
    server = PostgresServer()
    try:
        server.create(prepared.tables)
        yield server
    finally:
        server.remove()


def probe(litellm: Environment, mode: str, variables: dict[str, str] | None = None) -> Any:
    done = subprocess.run(
        [litellm.python, PROBE, mode],
        capture_output=True,
        text=True,
        timeout=PROBE_SECONDS,
        env={**os.environ, **(variables or {})},
    )
    assert not done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize('text', ['', 'query {', 'query { result: findNothing }', 'query { result: findManyA(a: ~) }'])
def test_what_is_no_document_is_a_syntax_error(text: str, prepared: Database) -> None:
    script = f'require("./graphql.js").translate({json.dumps(text)}, {{}})'
    done = subprocess.run([str(servers().node), '-e', script], capture_output=True, text=True, cwd=ENGINE, timeout=60)
    assert 'SyntaxError' in done.stderr


@pytest.fixture(scope='module')
def called(litellm: Environment, prepared: Database, postgres: PostgresServer) -> dict[str, Any]:
    results: dict[str, Any] = probe(litellm, 'call', prepared.variables(postgres.url))
    return results


RESULTS: dict[str, object] = {
    'a big integer': True,
    'a small number': True,
    'a time, in milliseconds': True,
    'a list': True,
    'Json': True,
    'text, and a relation': True,
    'createMany': 2,
    'update': [0.5, {'k': 'v'}],
    'updateMany': 2,
    'upsert': 'w',
    'findMany': ['w', 'v'],
    'findMany by Json': ['t'],
    'findMany by list and time': [True],
    'findMany by relation': [['t']],
    'deleteMany': 0,
    'findFirst': 'u',
    'findUnique of none': None,
    'count': 4,
    'groupBy': [{'team_id': 'red', '_sum': {'spend': 2}, '_count': {'_all': 2}}],
    'after a batch': [['t', 0.5], ['u', 1.0], ['v', 2.0]],
    'after two transactions': [0.5, 3.0, 2.0],
    'queryRaw': {
        't': TEXT,
        'b': 9999999999,
        'd': 1.5,
        'j': {'a': 1},
        'l': ['x'],
        'n': None,
        'o': True,
        'at': '2026-01-02T12:00:00+00:00',
        'c': 'name',
    },
    'executeRaw': 3,
    'delete': 'v',
    'error: unique': ['UniqueViolationError', 'P2002'],
    'error: foreign key': ['ForeignKeyViolationError', 'P2003'],
    'error: no such record': ['RecordNotFoundError', 'P2025'],
    'error: no such table': ['RawQueryError', 'P2010'],
    'error: no such column': ['RawQueryError', 'P2010'],
    'error: no such field': ['FieldNotFoundError', 'P2009'],
    'error: a value is missing': ['MissingRequiredValueError', 'P2009'],
    'error: in a batch': ['UniqueViolationError', 'P2002'],
}


@pytest.mark.parametrize('what', RESULTS)
def test_a_call_returns_what_the_database_has(called: dict[str, Any], what: str) -> None:
    assert called[what] == RESULTS[what]


def test_every_call_is_compared(called: dict[str, Any]) -> None:
    assert called.keys() == RESULTS.keys()


@pytest.fixture(scope='module')
def ask(litellm: Environment, prepared: Database, postgres: PostgresServer) -> Iterator[Callable[[], list[Any]]]:
    """Return a call over a connection that stays: its error, and whether LiteLLM takes it for a lost database."""
    variables = {**os.environ, **prepared.variables(postgres.url), 'LITELLM_LOCAL_MODEL_COST_MAP': 'True'}
    command = [str(litellm.python), str(PROBE), 'unreachable']
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        answers, questions = client.stdout, client.stdin
        while (line := answers.readline()) and json_or_none(line) != 'connected':
            pass

        def one() -> list[Any]:
            questions.write('\n')
            questions.flush()
            answer: list[Any] = json.loads(answers.readline())
            return answer

        yield one
        questions.close()


def json_or_none(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ('ends', 'begins', 'error'),
    [('stop', 'start', ['DataError', 'P1001', True]), ('pause', 'resume', ['ReadTimeout', None, True])],
    ids=['stopped', 'hanging'],
)
def test_litellm_takes_a_database_that_does_not_answer_for_a_lost_one(
    ends: str, begins: str, error: list[Any], ask: Callable[[], list[Any]], postgres: PostgresServer
) -> None:
    assert ask() == ['no error']
    getattr(postgres, ends)()
    try:
        if ends == 'stop':
            ask()  # over a connection that was open
        assert ask() == error
    finally:
        getattr(postgres, begins)()
    assert ask() == ['no error']


def test_an_engine_without_a_database_does_not_start(prepared: Database, tmp_path: Path) -> None:
    schema = tmp_path / 'schema.prisma'
    schema.write_text('datasource d {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n')
    variables = {**os.environ, **prepared.variables('postgresql://a:b@127.0.0.1:1/c'), 'PRISMA_DML_PATH': str(schema)}
    done = subprocess.run(
        [ENGINE / 'query-engine', '-p', '0'], capture_output=True, text=True, env=variables, timeout=PROBE_SECONDS
    )
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])['error_code'] == 'P1001'
