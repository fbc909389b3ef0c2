"""Keep what counts had counted when they were forgotten, for them to go on from there should they return.

An old total that returns is not history to be counted again: a gateway may answer with an empty page for a while, or a
family be unreadable. So of each count and each time of creation that is forgotten, its hash, which is the same in any
spelling, its last value and when it was first seen are kept: 24 bytes. Of these there are as many as of the samples
that were known at once, and never few, so that a whole page may go and return, and where processes take turns several
of their pages. The oldest give way to new ones: who returns after that counts as new if it has no time of creation, and
otherwise only if it came to be after all that gave way had been seen.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from itertools import compress, count, repeat
from typing import Any

from .slots import UNLEARNED

__all__ = ['Archive']

# The least number of samples that are kept.
FEW = 10_000

# How many times as many are kept where several processes, each with samples of its own, answer by turns.
TURNS = 8


class Archive:
    """Keep the last values of forgotten samples, the most recent ones."""

    def __init__(self) -> None:
        self._keys = array('q')
        self._values = array('d')
        self._seen = array('d')
        self._taken: list[int] = []
        self._most = FEW
        self.dropped_until = -math.inf
        """The time on our monotonic clock when the latest incarnation that has given way was first seen."""

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, key: int, value: float, seen: float) -> None:
        """Keep the last value of a sample, and when its incarnation was first seen."""
        self._keys.append(key)
        self._values.append(value)
        self._seen.append(seen)

    def put_undated(self, keys: Collection[int], values: Iterable[float]) -> None:
        """Keep the last values of samples that do not tell when they were created."""
        self._keys.extend(keys)
        self._values.extend(values)
        self._seen.extend(repeat(-math.inf, len(keys)))

    def known(self, samples: Mapping[int, Any]) -> set[int]:
        """Return those of these samples that are known."""
        return samples.keys() & self._keys

    def take(self, keys: Set[int]) -> Iterator[tuple[int, float, float]]:
        """Yield what was put of those of these samples that are known, oldest first."""
        if keys.isdisjoint(self._keys):
            return
        for place in compress(count(), map(keys.__contains__, self._keys)):
            self._taken.append(place)
            yield self._keys[place], self._values[place], self._seen[place]

    def settle(self) -> None:
        """Drop what was taken: it is known again."""
        for place in self._taken:
            self._keys[place] = UNLEARNED
        self._taken = []

    def limit(self, samples: int, *, take_turns: bool) -> None:
        """Keep no more than so many samples were known at once, or more where processes take turns."""
        self._taken = []
        self._most = max(self._most, samples * TURNS if take_turns else samples)
        if len(self._keys) > self._most:
            if UNLEARNED in self._keys:
                is_kept = bytes(map(UNLEARNED.__ne__, self._keys))
                self._keys = array('q', compress(self._keys, is_kept))
                self._values = array('d', compress(self._values, is_kept))
                self._seen = array('d', compress(self._seen, is_kept))
            self.dropped_until = max(self.dropped_until, max(self._seen[: -self._most], default=-math.inf))
            self._keys = self._keys[-self._most :]
            self._values = self._values[-self._most :]
            self._seen = self._seen[-self._most :]
