"""Let samples pass on pages of a few lines: elsewhere, a thousand have to be new before others do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

from datadog_checks.litellm.page import passing

__all__ = ['passing_at_once']


@contextmanager
def passing_at_once(is_wanted: bool = True) -> Iterator[None]:
    """Let samples pass that can, however few are new."""
    with patch.multiple(passing, MANY=0, SHARE=10**9) if is_wanted else nullcontext():
        yield
