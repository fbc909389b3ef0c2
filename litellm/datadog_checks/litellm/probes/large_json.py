"""The lists in a large JSON object, parsed one element at a time.

As objects of Python, a text takes up to 35 times its size: `[[[]]],` does. So its structure is looked at as text, and
only the elements that are asked for become objects, one after the other. All else is not even checked to be JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

__all__ = ['LargeObject', 'TooFineError']

# A string, a bracket or a comma stands for 200 bytes in memory at most. One element may have this many of them, or one
# in so many bytes of the whole text: that is about three times its size.
MOST_TOKENS = 1000
BYTES_PER_TOKEN = 64

# To look at so many takes about a second.
MAX_TOKENS = 3_000_000
MAX_ITEMS = 100_000

# A string without an end is one token: to look for the end of each string in it would take hours.
_TOKEN = re.compile(r'[\[\]{},]|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NAME = re.compile(r'[ \t\r\n]*+("(?:[^"\\]++|\\.)*+")[ \t\r\n]*+:[ \t\r\n]*+', re.DOTALL)
_BLANKS = re.compile(r'[ \t\r\n]*+')
_DECODER = json.JSONDecoder()
_CLOSING = {'{': '}', '[': ']'}


class TooFineError(ValueError):
    """The text has so many short values that they would take too much memory or time."""


class LargeObject:
    """The members with the given names of a JSON object."""

    def __init__(self, text: str, names: Collection[str]) -> None:
        """Find the members. Raises a `ValueError` if the text is no object."""
        self._text = text
        self._members: dict[str, tuple[int, int]] = {}
        self.is_empty = True
        for start, end in self._items('{', _end_of_blanks(text, 0), len(text), MAX_TOKENS):
            self.is_empty = False
            name = _NAME.match(text, start, end)
            if name is None:
                raise ValueError('a member without a name')
            if (key := json.loads(name[1])) in names:
                self._members[key] = name.end(), end

    def elements(self, name: str) -> Iterator[object]:
        """Yield the elements of a list. Raises a `ValueError`, also later, if there is none."""
        most = max(MOST_TOKENS, len(self._text) // BYTES_PER_TOKEN)
        for start, end in self._items('[', *self._members.get(name, (0, 0)), most):
            try:
                # No copy of a part of the text.
                element, after = _DECODER.raw_decode(self._text, _end_of_blanks(self._text, start))
            except RecursionError:
                raise ValueError('too deep') from None
            if _end_of_blanks(self._text, after) != end:
                raise ValueError('more than an element')
            yield element

    def _items(self, opening: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield where each item begins and ends of what has brackets. Each may have so many tokens."""
        text = self._text
        if not text.startswith(opening, start, end):
            raise ValueError('not what is expected')
        first = start + 1
        depth = before = items = 0
        for count, token in enumerate(_TOKEN.finditer(text, first, end)):
            if count - before > most or count > MAX_TOKENS or items > MAX_ITEMS:
                raise TooFineError
            position = token.start()
            sign = text[position]
            if sign in '[{':
                depth += 1
            elif sign in ']}' and depth:
                depth -= 1
            elif sign == ',' and not depth:
                yield first, position
                first, before, items = position + 1, count, items + 1
            elif sign in ']}':
                if first > start + 1 or _end_of_blanks(text, first) < position:
                    yield first, position
                if sign != _CLOSING[opening] or _end_of_blanks(text, position + 1) < end:
                    break
                return
        raise ValueError('no end, or more behind it')


def _end_of_blanks(text: str, start: int) -> int:
    return _BLANKS.match(text, start).end()  # type: ignore[union-attr]
