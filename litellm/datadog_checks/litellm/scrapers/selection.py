"""Have the proxy leave out of its page what is not submitted, so that these bytes are never rendered.

LiteLLM renders its page with Prometheus' Python client, which accepts `?name[]=` for each name that is wanted. Tried on
LiteLLM 1.110.2: names are those of samples, so a histogram `x` has the four names `x_bucket`, `x_count`, `x_sum` and
`x_created`, and `x` is not one of them; the redirect from `/metrics` keeps the query; in multiprocess mode, and on the
port of `--prometheus_metrics_port`, any name makes the page empty.

So the first page is requested whole, and tells which samples there are. Only if it also has the start time of the
process, which no page has in multiprocess mode, are the next pages requested by name. Families that are registered
later would be missing, so a whole page is requested after a restart of the proxy and from time to time.

Anything on the way may treat such a request in a way of its own: refuse it, redirect it in circles, never answer it,
answer something else, or nothing. Whatever it is, the whole page is requested in the same run. If that works, the query
is at fault: whole pages are requested for a while, and for twice as long each time that it turns out to be still so.
If it does not work either, the proxy is at fault, and nothing is held against the query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from urllib.parse import quote

from requests.exceptions import RequestException

from ..metrics import START_TIME
from ..transport.errors import NotMetricsError

__all__ = ['Selection']

# `name[]=`, percent-encoded.
NAME = 'name%5B%5D='

# One of so many pages is whole: every ten minutes at the default interval.
WHOLE_PAGE_EVERY = 40

# How many pages in a row are whole once the query was at fault, at first and at most: ten minutes and four hours.
FIRST_REST = 40
LONGEST_REST = 960

# Reverse proxies such as nginx accept request lines of 8,192 bytes by default, method and version included. LiteLLM
# itself accepts 100 kB.
LONGEST_URL = 8150


class MissingSamplesError(NotMetricsError):
    """A page lacks samples of these metrics, which it was requested for by name."""

    def __init__(self, metrics: Set[str]) -> None:
        super().__init__('the page lacks samples that it was requested for by name.')
        self.metrics = metrics


class Selection:
    """Choose what to request next: the whole page, or samples by name where that is wanted and works."""

    def __init__(self, endpoint: str, is_wanted: bool) -> None:
        self._longest_query = LONGEST_URL - len(endpoint)
        self._is_wanted = is_wanted
        self._starts: set[float] = set()
        self._families: Set[str] = frozenset()
        self._present: Set[str] = frozenset()
        self._pages_left = 0
        self._pages_to_rest = 0
        self._next_rest = FIRST_REST
        self.query: str | None = None
        """The query of the next request. None for the whole page."""

    def scrape(self, read: Callable[[], None]) -> RequestException | None:
        """Call `read`, which requests a page with the query and submits it, and again without if that fails.

        Return what is at fault with the query when that is found out, and not again until it has worked. Raises what
        `read` raises for the whole page. It must not submit anything when it raises.
        """
        if self.query is None:
            read()
            return None
        try:
            read()
        except RequestException as error:
            fault = error.with_traceback(None)
        else:
            return None
        self.query = None
        read()
        if isinstance(fault, MissingSamplesError) and fault.metrics.isdisjoint(self._present):
            # The proxy has dropped their last samples, and the query is not to blame.
            return None
        self.query = None
        is_told = self._next_rest > FIRST_REST
        self._pages_to_rest = self._next_rest
        self._next_rest = min(2 * self._next_rest, LONGEST_REST)
        return None if is_told else fault

    def families_of_proxy(self, families: Set[str]) -> Set[str]:
        """Return the families of a page, and those that the proxy was asked to leave out of it."""
        return families if self.query is None else families | self._families

    def verify(self, present: Set[str], started: float | None) -> None:
        """Raise a `NotMetricsError` if a page lacks what it was requested for by name.

        That is the start time of the process, and whatever had samples on the page before: something on the way may
        have passed on only some of the names.
        """
        if self.query is None:
            return
        if started is None:
            raise NotMetricsError('the page lacks the start time of the process, for which it was asked by name.')
        missing = self._present - present
        if missing:
            raise MissingSamplesError(missing)

    def read_whole(self, families: Set[str], present: Set[str], samples: Iterable[str], started: float | None) -> None:
        """Record a whole page: its families, metrics with samples, samples to request, and when the process started."""
        self._present = present
        if self._pages_to_rest:
            self._pages_to_rest -= 1
        if not self._is_wanted or self._pages_to_rest or started is None:
            return
        query = '&'.join(NAME + quote(sample) for sample in sorted({START_TIME.raw, *samples}))
        if len(query) < self._longest_query:
            self.query = query
            self._families = families
            self._starts.add(started)
            self._pages_left = WHOLE_PAGE_EVERY - 1

    def read_selected(self, present: Set[str], started: float | None) -> None:
        """Record a page that was requested by name."""
        self._present = present
        self._next_rest = FIRST_REST
        self._pages_left -= 1
        if started not in self._starts or not self._pages_left:
            self.query = None
