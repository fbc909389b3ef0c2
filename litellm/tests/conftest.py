"""What holds for all tests."""

from __future__ import annotations

import pytest

from datadog_checks.litellm import health, version


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run that asks have the answer, however slow the machine is."""
    monkeypatch.setattr(health, 'PATIENCE_SECONDS', 60.0)
    monkeypatch.setattr(version, 'PATIENCE_SECONDS', 60.0)
