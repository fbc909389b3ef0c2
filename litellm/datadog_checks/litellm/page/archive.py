"""Keep what counts had counted when they were forgotten, for them to go on from there should they return.

An old total that returns is not history to be counted again: a gateway may answer with an empty page for a while, or a
family be unreadable. So of each count and each time of creation that is forgotten, the hash of its text and its last
value are kept: 16 bytes. Of these there are as many as of the samples that were known at once, and never few, so that a
whole page may go and return. The oldest give way to new ones: who returns after that counts as new if it has no time of
creation, and by that time otherwise.
"""

from __future__ import annotations

from array import array
from itertools import count
from math import isnan

from .slots import ABSENT, UNLEARNED

__all__ = ['Archive']

# The least number of samples that are kept.
FEW = 10_000


class Archive:
    """Keep the last values of forgotten samples, the most recent ones."""

    def __init__(self) -> None:
        self._keys = array('q')
        self._values = array('d')
        # Only while a page is read that has new samples.
        self._places: dict[int, int] | None = None
        self._taken: list[int] = []
        self._most = FEW

    def put(self, key: int, value: float) -> None:
        """Keep the last value of a sample."""
        self._keys.append(key)
        self._values.append(value)

    def take(self, key: int) -> float:
        """Return the last value of a sample that returns, `ABSENT` if it is not known."""
        if not self._keys:
            return ABSENT
        if self._places is None:
            self._places = dict(zip(self._keys, count(), strict=False))
        place = self._places.get(key)
        if place is None:
            return ABSENT
        self._taken.append(place)
        return self._values[place]

    def settle(self) -> None:
        """Drop what was taken: it is known again."""
        self._places = None
        for place in self._taken:
            self._keys[place] = UNLEARNED
        self._taken = []

    def limit(self, samples: int) -> None:
        """Keep no more than so many samples were known at once."""
        self._places, self._taken = None, []
        self._most = max(self._most, samples)
        if len(self._keys) > self._most:
            kept = [
                place for place, key in enumerate(self._keys) if key != UNLEARNED and not isnan(self._values[place])
            ]
            kept = kept[-self._most :]
            self._keys = array('q', [self._keys[place] for place in kept])
            self._values = array('d', [self._values[place] for place in kept])
