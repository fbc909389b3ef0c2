"""The inputs that the fuzzer begins with, and those that once broke something: `make fuzz` searches for more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fuzz_pages import play

CORPUS = sorted((Path(__file__).parent / 'corpus').iterdir())


@pytest.mark.parametrize('path', CORPUS, ids=[path.name for path in CORPUS])
def test_what_must_hold_of_any_pages_holds(path: Path) -> None:
    play(path.read_bytes())
