"""Have the proxy leave out of its page what is not submitted, so that these bytes are never made.

LiteLLM renders its page with Prometheus' Python client, which takes `?name[]=` once for each name that is wanted. Tried
on LiteLLM 1.110.2: a name is that of samples, so of a histogram `x_bucket`, `x_count`, `x_sum` and `x_created` are four
names and `x` is none; the redirect from `/metrics` keeps the query; in multiprocess mode, and on the port of
`--prometheus_metrics_port`, any name makes the page empty.

So the first page is read whole, and tells which samples there are. A single process says on it when it started, which
in multiprocess mode no page does: only then the next pages are asked for by name. What registers later would be missing
from them, so that after a restart of the proxy, and from time to time, a page is read whole again.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from urllib.parse import quote

from .names import START_TIME

__all__ = ['Selection']

# `name[]=` as it is sent.
NAME = 'name%5B%5D='

# Of so many pages in a row one is whole: every ten minutes at the usual interval.
WHOLE_PAGE_EVERY = 40

# Servers in between, such as nginx, take a URL of 8 kB by default. LiteLLM itself takes one of 100 kB.
LONGEST_URL = 8000


class Selection:
    """What to ask the proxy for next: the whole page, or samples by name where that is wanted and works."""

    def __init__(self, endpoint: str, is_wanted: bool) -> None:
        self._longest_query = LONGEST_URL - len(endpoint)
        self._is_possible = is_wanted
        self._starts: set[float] = set()
        self._families: Set[str] = frozenset()
        self._pages_left = 0
        self.query: str | None = None
        """The query to send with the next request. None for the whole page."""

    def families_of_proxy(self, families: Set[str]) -> Set[str]:
        """Return the families of a page and those that it was asked to leave out."""
        return families if self.query is None else families | self._families

    def read_whole(self, families: Set[str], samples: Iterable[str], started: float | None) -> None:
        """Take note of a whole page: its families, the samples to ask for, and when the process says it started."""
        if not self._is_possible or started is None:
            return
        query = '&'.join(NAME + quote(sample) for sample in sorted({START_TIME[0], *samples}))
        if len(query) < self._longest_query:
            self.query = query
            self._families = families
            self._starts.add(started)
            self._pages_left = WHOLE_PAGE_EVERY - 1

    def read_selected(self, started: float | None) -> None:
        """Take note of a page that was asked for by name."""
        self._pages_left -= 1
        if started not in self._starts or not self._pages_left:
            self.query = None

    def refuse(self) -> None:
        """Ask for whole pages from now on: something on the way does not take the query."""
        self._is_possible = False
        self.query = None
