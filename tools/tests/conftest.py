"""Set up what holds for the tests of the tools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datadog_checks.litellm.probes import health, version


@pytest.fixture(autouse=True, scope='session')
def patience() -> Iterator[None]:
    """Let the run that asks have the answer, however slow the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, 'PATIENCE_SECONDS', 60.0)
        patch.setattr(version, 'PATIENCE_SECONDS', 60.0)
        yield
