"""Have the proxy leave out of its page what is not submitted, so that these bytes are never rendered.

LiteLLM renders its page with Prometheus' Python client, which accepts `?name[]=` for each name that is wanted. Tried on
LiteLLM 1.110.2: names are those of samples, so a histogram `x` has the four names `x_bucket`, `x_count`, `x_sum` and
`x_created`, and `x` is not one of them; the redirect from `/metrics` keeps the query; in multiprocess mode, and on the
port of `--prometheus_metrics_port`, any name makes the page empty.

So the first page is requested whole, and tells which samples there are. Only if it also has the start time of the
process, which no page has in multiprocess mode, are the next pages requested by name. Families that are registered
later would be missing, so a whole page is requested after a restart of the proxy and from time to time.

If anything on the way has trouble with such a request, the whole page is requested in the same run: see
`optimization`. Something that keeps its answer and repeats it for good is found out by the CPU time of the process,
which is requested as well: no process answers for two minutes without using any. Then the next page is whole, and if
the one after that is still the old one, it is a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from math import nan
from typing import NamedTuple
from urllib.parse import quote

from requests.exceptions import RequestException

from ..metrics import CPU_SECONDS, START_TIME
from ..transport.errors import CopiedPageError, PartialPageError
from .optimization import Optimization

__all__ = ['Process', 'Selection']

# `name[]=`, percent-encoded.
NAME = 'name%5B%5D='

# One of so many pages is whole: every ten minutes at the default interval.
WHOLE_PAGE_EVERY = 40

# After so many pages of a process with the same CPU time, which has a resolution of 10 ms, a page is whole as well.
STILL_PAGES = 8

# So many processes are remembered, those that answered last: more than answer at one URL, and a restart makes another.
MOST_PROCESSES = 256

# Reverse proxies such as nginx accept request lines of 8,192 bytes by default, method and version included. LiteLLM
# itself accepts 100 kB.
LONGEST_URL = 8150


@dataclass
class Pages:
    """The pages that a process has answered with."""

    cpu_seconds: float = nan
    """The longest CPU time that one of them has shown."""
    still: int = 0
    """How many of the last have shown that as well."""
    whole: bool = False
    """Whether one of them was whole, and told what to request by name."""


class Process(NamedTuple):
    """The process that answers: when it started, and its CPU time since then, in seconds, as far as its page tells."""

    started: float | None
    cpu_seconds: float | None


class Selection(Optimization):
    """Choose what to request next: the whole page, or samples by name where that is wanted and works."""

    def __init__(self, endpoint: str, is_wanted: bool) -> None:
        super().__init__(is_used=False)
        self._longest_query = LONGEST_URL - len(endpoint)
        self.is_wanted = is_wanted
        """Whether to record pages here at all."""
        self._families: Set[str] = frozenset()
        self._present: Set[str] = frozenset()
        self._pages_left = 0
        self._query = ''
        # By the start of a process, the one that answered last at the end.
        self._processes: dict[float, Pages] = {}
        # What the pages showed that stood still, and whether a whole page has shown since that they should not have.
        self._suspect: Process | None = None
        self._is_confirmed = False

    @property
    def query(self) -> str | None:
        """The query of the next request. None for the whole page."""
        return self._query if self.is_used else None

    def is_explained(self, fault: RequestException) -> bool:
        """Tell whether the proxy has dropped the last samples of what the page lacked."""
        return isinstance(fault, PartialPageError) and bool(fault.metrics) and fault.metrics.isdisjoint(self._present)

    def families_of_proxy(self, families: Set[str]) -> Set[str]:
        """Return the families of a page, and those that the proxy was asked to leave out of it."""
        return families | self._families if self.is_used else families

    def verify(self, present: Set[str], process: Process) -> None:
        """Raise a `PartialPageError` if a page is a copy, or lacks what it was requested for by name.

        That is the start time of the process, and whatever had samples on the page before: something on the way may
        have passed on only some of the names.
        """
        started, cpu_seconds = process
        if started is None:
            raise PartialPageError('the start time of the process')
        known = self._processes.get(started)
        is_older = known is not None and cpu_seconds is not None and cpu_seconds < known.cpu_seconds
        if is_older or (self._is_confirmed and process == self._suspect):
            raise CopiedPageError
        missing = self._present - present
        if missing:
            raise PartialPageError('samples', missing)

    def read_whole(self, families: Set[str], present: Set[str], samples: Iterable[str], process: Process) -> None:
        """Record a whole page: its families, metrics with samples, samples to request, and what process it is of."""
        self._present = present
        self._is_confirmed = self._suspect is not None and process != self._suspect
        self._watch(process)
        started, cpu_seconds = process
        if not self.has_rested() or started is None:
            return
        names = {START_TIME.raw, *samples, *([] if cpu_seconds is None else [CPU_SECONDS])}
        query = '&'.join(NAME + quote(name) for name in sorted(names))
        if len(query) < self._longest_query:
            self._query = query
            self.is_used = True
            self._families = families
            self._processes[started].whole = True
            self._pages_left = WHOLE_PAGE_EVERY - 1

    def read_selected(self, present: Set[str], process: Process) -> None:
        """Record a page that was requested by name."""
        self._present = present
        self._pages_left -= 1
        stands_still = self._watch(process)
        is_known = process.started is not None and self._processes[process.started].whole
        if not is_known or not self._pages_left or stands_still:
            self.is_used = False

    def _watch(self, process: Process) -> bool:
        """Take note of the CPU time of a process, and tell whether it is time to doubt that it stands still."""
        started, cpu_seconds = process
        if started is None:
            return False
        known = self._processes[started] = self._processes.pop(started, Pages())
        if len(self._processes) > MOST_PROCESSES:
            del self._processes[next(iter(self._processes))]
        if cpu_seconds is None:
            return False
        if cpu_seconds != known.cpu_seconds:
            known.cpu_seconds, known.still = cpu_seconds, 0
            return False
        known.still += 1
        if known.still % STILL_PAGES:
            return False
        self._suspect = process
        return True
