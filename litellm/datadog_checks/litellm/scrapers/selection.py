"""Have the proxy leave out of its page what is not submitted, so that these bytes are never rendered.

LiteLLM renders its page with Prometheus' Python client, which accepts `?name[]=` for each name that is wanted. Tried on
LiteLLM 1.110.2: names are those of samples, so a histogram `x` has the four names `x_bucket`, `x_count`, `x_sum` and
`x_created`, and `x` is not one of them; the redirect from `/metrics` keeps the query; in multiprocess mode, and on the
port of `--prometheus_metrics_port`, any name makes the page empty.

So the first page is requested whole, and tells which samples there are. Only if it also has the start time of the
process, which no page has in multiprocess mode, are the next pages requested by name. Families that are registered
later would be missing, so a whole page is requested after a restart of the proxy and from time to time.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from urllib.parse import quote

from ..metrics import START_TIME

__all__ = ['Selection']

# `name[]=`, percent-encoded.
NAME = 'name%5B%5D='

# One of so many pages is whole: every ten minutes at the default interval.
WHOLE_PAGE_EVERY = 40

# Reverse proxies such as nginx accept URLs of 8 kB by default. LiteLLM itself accepts 100 kB.
LONGEST_URL = 8000


class Selection:
    """What to request next: the whole page, or samples by name where that is wanted and works."""

    def __init__(self, endpoint: str, is_wanted: bool) -> None:
        self._longest_query = LONGEST_URL - len(endpoint)
        self._is_possible = is_wanted
        self._starts: set[float] = set()
        self._families: Set[str] = frozenset()
        self._pages_left = 0
        self.query: str | None = None
        """The query of the next request. None for the whole page."""

    def families_of_proxy(self, families: Set[str]) -> Set[str]:
        """Return the families of a page, and those that the proxy was asked to leave out of it."""
        return families if self.query is None else families | self._families

    def read_whole(self, families: Set[str], samples: Iterable[str], started: float | None) -> None:
        """Record a whole page: its families, the samples to request by name, and when the process started."""
        if not self._is_possible or started is None:
            return
        query = '&'.join(NAME + quote(sample) for sample in sorted({START_TIME.raw, *samples}))
        if len(query) < self._longest_query:
            self.query = query
            self._families = families
            self._starts.add(started)
            self._pages_left = WHOLE_PAGE_EVERY - 1

    def read_selected(self, started: float | None) -> None:
        """Record a page that was requested by name."""
        self._pages_left -= 1
        if started not in self._starts or not self._pages_left:
            self.query = None

    def refuse(self) -> None:
        """Request whole pages from now on, as something on the way refuses the query."""
        self._is_possible = False
        self.query = None
