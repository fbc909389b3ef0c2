"""Read the number of a LiteLLM release."""

from __future__ import annotations

from typing import NamedTuple

from packaging.version import InvalidVersion, Version

__all__ = ['Release']


class Release(NamedTuple):
    """A LiteLLM release without what comes after its three numbers, comparable in release order."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Release:
        """Read `1.106.2`, `v1.106.2` or, as its release, `1.72.6.post2`; raises ValueError for anything else."""
        try:
            major, minor, patch = Version(text).release
        except (InvalidVersion, ValueError):
            raise ValueError(f'{text!r} is not a LiteLLM release such as 1.106.2') from None
        return cls(major, minor, patch)

    def __str__(self) -> str:
        return '.'.join(map(str, self))
