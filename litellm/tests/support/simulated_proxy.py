"""LiteLLM proxies behind one URL, as a scraper sees them, with every event under the test's control.

A `SimulatedProxy` is a real HTTP server on the loopback interface in front of simulated processes. Tests let events
happen (`count`, `observe`, `set`), let processes restart, die or forget series, and choose which process answers a
scrape and how the answer goes wrong. Pages are rendered by prometheus_client itself, so they are exactly what a real
proxy sends, `_created` families and gzip included.

All is deterministic: time is a `Clock` that only moves when told to, and by a millisecond with every event. The proxy's
own clock may be ahead of or behind the Agent's (`skew`). It shows in two places, as with uvicorn: in `_created` stamps
to the microsecond, and in the `Date` header in whole seconds, of a header that is rewritten only once a second.

The proxy keeps the truth to hold a scraper against: `visible_events` tells what happened at the proxy as far as any
scraper could know it.
"""

from __future__ import annotations

import gzip
import math
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple, Self, cast
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

__all__ = [
    'BOUNDS',
    'Clock',
    'Cut',
    'Fault',
    'Labels',
    'PageServer',
    'RestartInside',
    'SeriesKey',
    'SimulatedProxy',
    'Status',
]

BOUNDS = (0.125, 1.0, 8.0, math.inf)

# LiteLLM declares its families when it starts: they are on the page before they have a sample.
FAMILIES_FROM_THE_START = {
    'litellm_proxy_total_requests_metric': 'counter',
    'litellm_request_total_latency_metric': 'histogram',
}

Labels = tuple[tuple[str, str], ...]
SeriesKey = tuple[str, Labels]


# When the Agent's host was booted, where its monotonic clock begins.
BOOTED = 1_795_000_000.0


class Clock:
    """The true time in seconds since the epoch, which moves only when told to, and what the Agent's host makes of it.

    The host's monotonic clock is always right, but begins at another time. Its time of day may be `set` wrong.
    """

    def __init__(self, now: float = 1_795_330_000.25) -> None:
        self._now = now
        self._ahead = 0.0

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def step(self, seconds: float) -> None:
        """Set the time of day of the Agent's host, forward or back."""
        self._ahead += seconds

    @contextmanager
    def is_the_time(self) -> Iterator[None]:
        """Let the standard library tell the time of the Agent's host inside the block."""
        with (
            patch('time.time', lambda: self._now + self._ahead),
            patch('time.monotonic', lambda: self._now - BOOTED),
        ):
            yield


@dataclass
class Series:
    """One instance of a series: it lives from its first event until its process dies or forgets it."""

    type: str
    created: float
    stamp: float
    """The same on the clock of its process, which may be wrong, and set right later."""
    values: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Running totals by suffix: `_total`, or `_sum`, `_count` and one `_bucket{le}` per bound, or '' of a gauge."""
    first_shown: dict[str, float] | None = None
    last_shown: dict[str, float] | None = None

    def show(self, values: dict[str, float]) -> None:
        """Remember that a whole page with these values has left for the scraper, maybe older ones than it has seen."""
        before = self.last_shown or {}
        self.last_shown = {suffix: max(value, before.get(suffix, value)) for suffix, value in values.items()}
        self.first_shown = self.first_shown or self.last_shown


@dataclass(frozen=True)
class Status:
    """Answer with this HTTP status and body instead of a page."""

    status: int
    body: str = 'Service Unavailable'


@dataclass(frozen=True)
class Cut:
    """Send the page only up to a point, then close the connection.

    `where` is a share of the page or the text before which it ends. `framing` tells whether the client can notice:
    with `content-length` and `chunked` it can, with `close` (end of file is the end of the body, as some reverse
    proxies do) it cannot.
    """

    where: float | str
    framing: str = 'content-length'

    def of(self, page: bytes) -> bytes:
        end = int(len(page) * self.where) if isinstance(self.where, float) else page.index(self.where.encode())
        return page[:end]


@dataclass(frozen=True)
class RestartInside:
    """Let the process restart while it writes the page: families from `family` on are those of the new process."""

    family: str


Fault = Status | Cut | RestartInside


class _Process:
    """The memory of one process of the proxy, or of all workers together in multiprocess mode."""

    def __init__(self, started: float, skew: float) -> None:
        self.started = started
        self.stamp = started + skew
        self.series: dict[SeriesKey, Series] = {}


class _Page:
    """A collector for prometheus_client over some processes' series."""

    def __init__(self, families: dict[str, str], single_process: bool) -> None:
        self._metrics = {name: Metric(name, 'Help.', declared) for name, declared in families.items()}
        self._single_process = single_process

    def add(self, key: SeriesKey, series: Series) -> None:
        name, labels = key
        metric = self._metrics[name]
        for suffix, value in series.values.items():
            suffix, _, bound = suffix.partition('|')
            metric.add_sample(name + suffix, {**dict(labels), **({'le': bound} if bound else {})}, value)
        if self._single_process and series.type != 'gauge':
            metric.add_sample(name + '_created', dict(labels), series.stamp)

    def add_start_time(self, stamp: float) -> None:
        metric = self._metrics['process_start_time_seconds'] = Metric('process_start_time_seconds', 'Help.', 'gauge')
        metric.add_sample(metric.name, {}, round(stamp, 2))

    def add_cpu_seconds(self, seconds: float) -> None:
        metric = self._metrics['process_cpu_seconds'] = Metric('process_cpu_seconds', 'Help.', 'counter')
        metric.add_sample(f'{metric.name}_total', {}, round(seconds, 2))

    def collect(self) -> Iterator[Metric]:
        # In multiprocess mode only families with samples are on the page.
        return (metric for metric in self._metrics.values() if self._single_process or metric.samples)


class _Shown(NamedTuple):
    """A page as it was made: for the scraper, or for a cache."""

    made_at: float
    date: float
    registry: CollectorRegistry
    series: list[tuple[Series, dict[str, float]]]


class _LoopbackServer:
    """An HTTP server on a free port of 127.0.0.1 that can stop and start to listen; subclasses say what it answers."""

    def __init__(self) -> None:
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start_listening()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_listening()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self._port}/metrics/'

    def stop_listening(self) -> None:
        """Refuse connections from now on."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def start_listening(self) -> None:
        """Accept connections, on the same port as before."""
        self._server = ThreadingHTTPServer(('127.0.0.1', self._port), _Handler)
        self._server.daemon_threads = True
        self._server.answer = self.answer  # type: ignore[attr-defined]
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.002}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self) -> None:
        if self.path.startswith('/metrics'):
            self.server.answer(self)  # type: ignore[attr-defined]
        else:
            self.send_error(404)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class PageServer(_LoopbackServer):
    """A server that answers every request with the present `page`."""

    def __init__(self, page: str = '', content_type: str = 'text/plain; version=0.0.4; charset=utf-8') -> None:
        self.page = page
        self.content_type = content_type
        self.ahead = 0.0
        """How many seconds its `Date` is ahead of this machine's clock."""
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = self.page.encode()
        request.send_response_only(200)
        request.send_header('Date', request.date_time_string(time.time() + self.ahead))
        request.send_header('Content-Type', self.content_type)
        request.send_header('Content-Length', str(len(body)))
        request.end_headers()
        request.wfile.write(body)


class SimulatedProxy(_LoopbackServer):
    """A server with `workers` processes behind it; `answering` is the one whose page is sent.

    The processes' clocks are `skew` seconds ahead of the Agent's, and each worker's by its number in `skews` more.
    With `multiprocess` it is LiteLLM in multiprocess mode: one set of series whoever answers, no `_created`, no
    `process_start_time_seconds`; label gauges with a `pid` as the real one does. `date_lag` is how old in seconds the
    server's `Date` header is when it is sent. With `selects`, `?name[]=` chooses samples as prometheus_client does it,
    which in multiprocess mode leaves nothing; URLs longer than `longest_url` are refused with `refusal`.
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        multiprocess: bool = False,
        skew: float = 0.0,
        skews: Sequence[float] = (),
        date_lag: float = 0.0,
        up: bool = True,
        selects: bool = True,
        longest_url: int = 65536,
        refusal: int = 414,
    ) -> None:
        self.clock = Clock()
        self.answering = 0
        self.faults: deque[Fault] = deque()
        self._multiprocess = multiprocess
        self._skews = [skew + more for more in skews or [0.0] * workers]
        self._date_lag = date_lag
        self._selects = selects
        self._longest_url = longest_url
        self._refusal = refusal
        self.paths: list[str] = []
        """What was asked for, in order."""
        self._families: dict[str, str] = {} if multiprocess else dict(FAMILIES_FROM_THE_START)
        self._processes = [_Process(self.clock.now(), skew) for skew in self._skews[: 1 if multiprocess else workers]]
        self._instances: dict[SeriesKey, list[Series]] = defaultdict(list)
        self._asked_at = 0.0
        self._cached: _Shown | None = None
        self._watched_since: float | None = None
        self._last_failure: float | None = None
        self.load: float | None = None
        """The CPU seconds that a process uses in a second. It is not on the page where this is None."""
        self.seconds_to_render = 0.0
        self.seconds_to_send = 0.0
        """How long an answer takes until its page is made, and from then until its headers arrive."""
        self.dates: list[str] | None = None
        """The `Date` headers, if not one with the time of the process."""
        self.gateway_ahead: float | None = None
        """How far the clock of a gateway is ahead that sets the `Date` of all answers. None without a gateway."""
        self.answers_from_cache = False
        """Whether a cache answers with the page that it was filled with last, and its `Age`."""
        super().__init__()
        if not up:
            self.stop_listening()

    # What happens at the proxy.

    def count(self, family: str, amount: float = 1, worker: int = 0, **labels: str) -> None:
        """Let a counter go up."""
        self._series('counter', family, worker, labels).values['_total'] += amount

    def observe(self, family: str, value: float, worker: int = 0, **labels: str) -> None:
        """Let a histogram observe a value."""
        values = self._series('histogram', family, worker, labels).values
        for bound in BOUNDS:
            values[f'_bucket|{floatToGoString(bound)}'] += value <= bound
        values['_count'] += 1
        values['_sum'] += value

    def set(self, family: str, value: float, worker: int = 0, **labels: str) -> None:
        """Set a gauge."""
        self._series('gauge', family, worker, labels).values[''] = value

    def forget(self, family: str, worker: int = 0, **labels: str) -> None:
        """Drop one series as LiteLLM's time to live does; its next event starts over from 0."""
        del self._process(worker).series[family, tuple(sorted(labels.items()))]

    def has(self, family: str, worker: int = 0, **labels: str) -> bool:
        """Tell whether a process has the series at present."""
        return (family, tuple(sorted(labels.items()))) in self._process(worker).series

    def restart(self, worker: int = 0) -> None:
        """Replace a process by a new one that remembers nothing; in multiprocess mode the whole proxy."""
        self.clock.advance(0.5)
        self._processes[0 if self._multiprocess else worker] = _Process(self.clock.now(), self._skews[worker])

    def step_clocks(self, seconds: float, worker: int | None = None) -> None:
        """Set the clocks of all processes or of one, forward or back: what they have stamped stays as it is."""
        self._skews = [skew + seconds * (worker in (None, n)) for n, skew in enumerate(self._skews)]

    def fill_cache(self, worker: int = 0) -> None:
        """Let a cache keep the present page of a process, which somebody else has asked for."""
        self._cached = self._page_of(worker)

    def _process(self, worker: int) -> _Process:
        return self._processes[0 if self._multiprocess else worker]

    def _series(self, kind: str, family: str, worker: int, labels: dict[str, str]) -> Series:
        self.clock.advance(0.001)
        self._families[family] = kind
        key = family, tuple(sorted(labels.items()))
        process = self._process(worker)
        if key not in process.series:
            series = process.series[key] = Series(kind, self.clock.now(), self.clock.now() + self._skews[worker])
            self._instances[key].append(series)
        return process.series[key]

    # What a scraper could know.

    def failed(self) -> None:
        """Take note that a scrape has failed at this moment."""
        self._last_failure = self.clock.now()

    def visible_events(self, later: float = 0.0) -> dict[SeriesKey, dict[str, float]]:
        """Return how far each series' totals went up since the first scrape, over all processes and restarts.

        Of an instance of a series this counts what whole pages have shown of it. If it is older than the first
        scrape, what its first page showed had happened before. The watch begins when the first page is asked for, or
        with the last failed attempt before it: what is younger has happened under the scraper's eyes. `later` is by how
        many seconds it is taken to begin later than that. A page out of a cache begins it when it was made.
        """
        events: dict[SeriesKey, dict[str, float]] = {}
        for key, instances in self._instances.items():
            totals = events[key] = defaultdict(float)
            for series in instances:
                if series.type == 'gauge' or series.last_shown is None or series.first_shown is None:
                    continue
                older = self._watched_since is None or series.created <= self._watched_since + later
                for suffix, value in series.last_shown.items():
                    totals[suffix] += value - (series.first_shown[suffix] if older else 0)
        return events

    def _has_shown(self, page: _Shown) -> None:
        if self._watched_since is None:
            begin = self._asked_at if self._last_failure is None else self._last_failure
            self._watched_since = min(begin, page.made_at)
        for series, values in page.series:
            series.show(values)

    # How a page leaves.

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, with the next fault if there is one."""
        self.paths.append(request.path)
        self._asked_at = self.clock.now()
        self.clock.advance(self.seconds_to_render)
        if len(request.path) > self._longest_url:
            self._send(request, self._refusal, 'text/plain', b'Refused')
            return
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Status):
            self._send(request, fault.status, 'text/plain', fault.body.encode())
            return
        page = self._cached if self.answers_from_cache and self._cached else self._page_of(self.answering, fault)
        names = parse_qs(urlsplit(request.path).query).get('name[]') if self._selects else None
        encode, content_type = choose_encoder(request.headers.get('Accept', ''))
        registry = page.registry
        body = encode(cast(CollectorRegistry, registry.restricted_registry(names)) if names else registry)
        if isinstance(fault, Cut):
            self._send(request, 200, content_type, body, page, cut=fault)
        else:
            self._has_shown(page)
            self._send(request, 200, content_type, body, page)

    def _page_of(self, worker: int, fault: Fault | None = None) -> _Shown:
        """Return the present page of a process."""
        process = self._process(worker)
        series, started, stamp = dict(process.series), process.started, process.stamp
        if isinstance(fault, RestartInside):
            old_families = list(self._families)[: list(self._families).index(fault.family)]
            self.restart(worker)
            series = {key: one for key, one in series.items() if key[0] in old_families}
        page = _Page(self._families, not self._multiprocess)
        for key, one in series.items():
            page.add(key, one)
        if not self._multiprocess:
            page.add_start_time(stamp)
            if self.load is not None:
                # By the true time: the clock of the process may be set.
                page.add_cpu_seconds(self.load * (self.clock.now() - started))
        registry = CollectorRegistry(auto_describe=not self._multiprocess)
        registry.register(cast(Any, page))
        shown = [(one, dict(one.values)) for one in series.values()]
        return _Shown(self.clock.now(), self._date(worker), registry, shown)

    def _date(self, worker: int) -> float:
        """Return the time by the clock that sets the `Date` of an answer."""
        ahead = self._skews[worker] if self.gateway_ahead is None else self.gateway_ahead
        return self.clock.now() + ahead - self._date_lag

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        content_type: str,
        body: bytes,
        page: _Shown | None = None,
        *,
        cut: Cut | None = None,
    ) -> None:
        made_at = self.clock.now() if page is None else page.made_at
        own = [formatdate(math.floor(self._date(self.answering) if page is None else page.date), usegmt=True)]
        self.clock.advance(self.seconds_to_send)
        request.send_response_only(status)
        for date in own if self.dates is None else self.dates:
            request.send_header('Date', date)
        if page is not None and page is self._cached:
            request.send_header('Age', str(math.floor(self.clock.now() - made_at)))
        request.send_header('Server', 'uvicorn')
        request.send_header('Content-Type', content_type)
        if cut is None and 'gzip' in request.headers.get('Accept-Encoding', ''):
            body = gzip.compress(body, compresslevel=1)
            request.send_header('Content-Encoding', 'gzip')
        sent = body if cut is None else cut.of(body)
        framing = cut.framing if cut else 'content-length'
        if framing == 'chunked':
            request.send_header('Transfer-Encoding', 'chunked')
            # The chunk is announced longer than it is.
            sent = b'%x\r\n%s' % (len(body), sent)
        elif framing == 'content-length':
            request.send_header('Content-Length', str(len(body)))
        request.send_header('Connection', 'close')
        request.end_headers()
        request.wfile.write(sent)
