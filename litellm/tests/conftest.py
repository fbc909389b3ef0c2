"""Set up what holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.probes import health, paid_answers, version
from datadog_checks.litellm.scrapers.exact import ExactScraper

SEND_HEARTBEAT = LitellmCheck.send_heartbeat


@pytest.fixture(autouse=True, scope='session')
def patience() -> Iterator[None]:
    """Let the run that asks have the answer, however slow the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, 'PATIENCE_SECONDS', 60.0)
        patch.setattr(version, 'PATIENCE_SECONDS', 60.0)
        yield


@pytest.fixture(autouse=True)
def nothing_paid() -> None:
    """Begin as a new process, which has asked no proxy for anything yet."""
    paid_answers.forget_all()


@pytest.fixture(autouse=True, scope='session')
def without_heartbeat() -> Iterator[None]:
    """Leave out the one metric that says nothing of the page: what tests compare is what becomes of pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LitellmCheck, 'send_heartbeat', lambda check: None)
        yield


@pytest.fixture
def heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the check send it after all."""
    monkeypatch.setattr(LitellmCheck, 'send_heartbeat', SEND_HEARTBEAT)


@pytest.fixture
def first_page_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what the first page has counted be sent, as of a proxy that started after the Agent with the option for it.

    For tests of what a page says, which read one.
    """
    monkeypatch.setattr(ExactScraper, '_counts_history', lambda *_: True)
