"""The normal form of routes: words of LiteLLM's own routes, and nothing that a client makes up."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from datadog_checks.litellm.mapping.outgoing import OutgoingLabels
from datadog_checks.litellm.mapping.routes import WORDS, normal_route
from datadog_checks.litellm.options import Options
from datadog_checks.litellm.secrets import Redactor

PAGES = sorted((Path(__file__).parents[1] / 'pages').rglob('*.txt.gz'))


@pytest.mark.parametrize(
    ('route', 'normal'),
    [
        ('/v1/chat/completions', '/v1/chat/completions'),
        ('/metrics/', '/metrics/'),
        ('/', '/'),
        ('/v1/files/file-a1', '/v1/files/*'),
        ('/v1/threads/thread_1/messages', '/v1/threads/*/messages'),
        ('/v1/models/jane.doe@example.com', '/v1/models/*'),
        ('/wp-login.php', 'other'),
        ('/.env', 'other'),
        ('//.git/config', '//*/config'),
        ('/../../etc/passwd', 'other'),
        ('/v1' + '/x' * 500, '/v1' + '/*' * 12),
        ('None', 'None'),
        ('other', 'other'),
        ('', ''),
    ],
)
def test_a_route_has_one_normal_form(route: str, normal: str) -> None:
    assert normal_route(route) == normal
    assert normal_route(normal) == normal


@pytest.mark.parametrize('path', PAGES, ids=lambda path: f'{path.parent.name}/{path.name.removesuffix(".txt.gz")}')
def test_the_routes_of_real_pages_are_in_normal_form(path: Path) -> None:
    routes = set(re.findall(r'\broute="([^"]*)"', gzip.decompress(path.read_bytes()).decode()))

    assert {route for route in routes if normal_route(route) != route} == set()


def test_no_word_is_one_that_a_client_could_have_made_up() -> None:
    assert [word for word in WORDS if re.search(r'[/{}*]|\d{4}', word)] == []


@pytest.mark.parametrize(
    ('options', 'route'),
    [
        ({}, '/v1/files/file-a1'),
        ({'normalize_routes': True}, '/v1/files/*'),
        ({'exclude_personal_labels': True}, '/v1/files/*'),
        ({'exclude_personal_labels': True, 'keep_labels': ['route']}, '/v1/files/file-a1'),
    ],
    ids=['default', 'asked for', 'with privacy', 'kept'],
)
def test_routes_are_normal_where_an_option_says_so(options: dict[str, object], route: str) -> None:
    labels = {'route': '/v1/files/file-a1', 'model': '/v1/files/file-a1'}

    assert OutgoingLabels(Options.of(options), {}, Redactor()).of(labels) == {**labels, 'route': route}
