"""The demo: its report shows traffic, however long the report takes to start."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.fixture_proxy import FixtureProxy

from tools import demo


def test_traffic_comes_in_until_the_report_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[float] = []
    monkeypatch.setattr(demo, 'drive', lambda *_, **__: batches.append(time.monotonic()))
    proxy = cast(FixtureProxy, SimpleNamespace(url='http://127.0.0.1:1', key='sk-1'))

    begin = time.monotonic()
    code = demo._report(proxy, ['-c', 'import sys, time; time.sleep(1.5); sys.exit(3)'])

    assert code == 3
    assert batches[-1] - begin > 1.2
    assert time.monotonic() - batches[-1] < 1


def test_the_demo_shows_requests_that_came_in_between_the_scrapes(capfd: pytest.CaptureFixture[Any]) -> None:
    assert demo.main() == 0

    out = capfd.readouterr().out
    added = re.search(r'^  litellm\.proxy\.total_requests\.metric\.count .* \+([\d,]+)$', out, re.MULTILINE)
    assert added is not None
    assert int(added[1].replace(',', '')) > 0
    assert 'No request reached' not in out
    assert 'For your own proxy' in out
