"""Hold that what the real LiteLLM was sent is what reaches Datadog, beside what the base package's scraper makes of it.

Each scenario sends completions to a real proxy between scrapes by two checks, ours and the stock one with our mapping.
At its end the sums that the Agent would flush (see `agent_model`) are held against what was sent after the first
scrape. The stock check is not made to look worse than it is: where it is right, the test says so.

The simulated proxy of `test_conservation` covers the same ground with every detail under control; here it is shown
that the real one behaves like it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Literal, NamedTuple
from unittest.mock import patch

import pytest
import requests
from tests.support.agent_model import AgentModel
from tests.support.stock_check import StockCheck

from datadog_checks.base import OpenMetricsBaseCheckV2
from datadog_checks.litellm import LitellmCheck
from tools.real_litellm.callers import BOB
from tools.real_litellm.config import Options
from tools.real_litellm.environment import HarnessError, environment
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.upstream import USAGE
from tools.real_litellm.workload import Client

# Served by one deployment, so that each user's requests make one series. Refused scrapes count as requests, too, but
# ask for no model.
MODEL = 'unpriced'

SECONDS_TO_LIVE = 5
SETTLE_SECONDS = 20
# A page says when it was made in its `Date` header, in whole seconds that uvicorn renews once a second. What happened
# in these last moments before a first scrape may count as happened after it.
DATE_SECONDS = 2


class Measure(NamedTuple):
    """Something that every request moves: by how much, on the metrics page and in Datadog."""

    sample: str
    metric: str
    per_request: int


MEASURES = (
    Measure('litellm_proxy_total_requests_metric_total', 'litellm.proxy.total_requests.metric.count', 1),
    Measure('litellm_total_tokens_metric_total', 'litellm.total.tokens.count', USAGE['total_tokens']),
    Measure('litellm_request_total_latency_metric_count', 'litellm.request.total_latency.metric.count', 1),
)


# The proxies.

PROXIES = {
    'single': Options(with_redis=False),
    'expiring': Options(
        with_redis=False,
        litellm_settings={
            'prometheus_metrics_ttl_seconds': SECONDS_TO_LIVE,
            'prometheus_metrics_cleanup_interval_seconds': 0,
        },
    ),
    'multiprocess': Options(with_redis=False, workers=2),
    'workers_apart': Options(with_redis=False, workers=2, workers_share_metrics=False),
}


@pytest.fixture(scope='module')
def starting(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[RealProxy]]]:
    """Start the proxies that the chosen tests need, two at a time."""
    needed = {name for item in request.session.items for name in getattr(item, 'fixturenames', ())}
    with ExitStack() as running, ThreadPoolExecutor(2) as executor:
        yield {
            name: executor.submit(lambda options: running.enter_context(RealProxy(environment(), options)), options)
            for name, options in PROXIES.items()
            if name in needed
        }


def _started(name: str, starting: dict[str, Future[RealProxy]]) -> RealProxy:
    try:
        return starting[name].result()
    except HarnessError as error:
        failure = str(error)
    pytest.fail(failure, pytrace=False)


@pytest.fixture(scope='module')
def single(starting: dict[str, Future[RealProxy]]) -> RealProxy:
    """One process."""
    return _started('single', starting)


@pytest.fixture(scope='module')
def expiring(starting: dict[str, Future[RealProxy]]) -> RealProxy:
    """One process that drops a series which was not used for a few seconds, when it next counts in its family."""
    return _started('expiring', starting)


@pytest.fixture(scope='module')
def multiprocess(starting: dict[str, Future[RealProxy]]) -> RealProxy:
    """Two workers as LiteLLM starts them: whoever answers a scrape answers for both."""
    return _started('multiprocess', starting)


@pytest.fixture(scope='module')
def workers_apart(starting: dict[str, Future[RealProxy]]) -> RealProxy:
    """Two workers as uvicorn starts them, without multiprocess mode: each answers for itself."""
    return _started('workers_apart', starting)


# The checks.


class Watcher:
    """A check and the Agent around it."""

    def __init__(self, check_class: type[OpenMetricsBaseCheckV2], instance: dict[str, Any]) -> None:
        self.check = check_class('litellm', {}, [instance])
        self.agent = AgentModel()
        self.warnings: list[str] = []

    def scrape(self) -> str:
        """Let the Agent run the check and return the error, empty if there is none."""
        error = self.agent.run(self.check).error
        self.warnings += self.check.get_warnings()
        return error

    def with_wrong_key(self) -> AbstractContextManager[Any]:
        """Let the proxy refuse scrapes inside the block."""
        (scraper,) = self.check.scrapers.values()
        return patch.dict(scraper.http.options['headers'], Authorization='Bearer sk-nobody')

    def total(self, measure: Measure, user: str | None) -> float:
        """Return what the Agent has flushed of a measure, for one user or in all."""
        wanted = {f'requested_model:{MODEL}'} | ({f'end_user:{user}'} if user else set())
        totals = self.agent.count_totals.items()
        return sum(total for context, total in totals if context.name == measure.metric and wanted <= context.tags)


class Scene:
    """A real proxy, the two checks that watch it, and what it was sent since they first tried to scrape it."""

    def __init__(self, proxy: RealProxy, **options: Any) -> None:
        headers = {'Authorization': f'Bearer {proxy.key}'}
        endpoint = {'openmetrics_endpoint': proxy.metrics_url, 'tag_by_endpoint': False, 'headers': headers}
        instance = {**endpoint, 'timeout': 20, **options}
        self.proxy = proxy
        self.ours = Watcher(LitellmCheck, instance)
        self.stock = Watcher(StockCheck, instance)
        self.sent: Counter[str] = Counter()
        self.client = Client(proxy)
        self._is_watched = False

    def scrape(self, worker: int | None = None) -> None:
        """Let both checks scrape once, answered by this worker if one is given."""
        self._is_watched = True
        with self._answered_by(worker):
            assert [watcher.scrape() for watcher in (self.ours, self.stock)] == ['', '']

    def fail(self, how: Callable[[Watcher], AbstractContextManager[Any]] = nullcontext) -> None:
        """Let a scrape of both checks fail: in this way, or because nobody listens."""
        self._is_watched = True
        for watcher in (self.ours, self.stock):
            with how(watcher):
                assert watcher.scrape(), 'this scrape should have failed'

    def send(
        self, count: int, user: str, *, key: str = BOB.key, worker: int | None = None, is_lost: bool = False
    ) -> None:
        """Send requests of a user, to this worker if one is given, and wait until LiteLLM, which is late, counts them.

        Requests that are lost are those which no later scrape can find at the proxy: nobody is expected to count them.
        """
        with self._answered_by(worker):
            before = self.shown(user)
            for _ in range(count):
                self.client.chat(MODEL, key=key, user=user)
            expected = {measure: before[measure] + count * measure.per_request for measure in MEASURES}
            wait_until(lambda: self.shown(user) == expected, f'LiteLLM did not count {count} requests of {user}')
        if self._is_watched and not is_lost:
            self.sent[user] += count

    def shown(self, user: str) -> Counter[Measure]:
        """Return what the metrics page says of a user."""
        shown: Counter[Measure] = Counter(dict.fromkeys(MEASURES, 0))
        for line in self.proxy.scrape().splitlines():
            for measure in MEASURES:
                if line.startswith(f'{measure.sample}{{') and f'end_user="{user}"' in line:
                    shown[measure] += int(float(line.rpartition(' ')[2]))
        return shown

    def _answered_by(self, worker: int | None) -> AbstractContextManager[None]:
        return nullcontext() if worker is None else self.proxy.answered_by(worker)


def wait_until(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f'{complaint} within {SETTLE_SECONDS} seconds')
        time.sleep(0.1)


# The verdict.


Verdict = Literal['right', 'wrong']


def judge(scene: Scene, *, stock_is: Verdict, user: str | None = None) -> None:
    """Insist that ours has counted what a scene was sent, of one user or in all, and that stock is right or wrong.

    All measures have to agree with what was sent, and disagree for a stock check that is `wrong`.
    """
    count = scene.sent[user] if user else scene.sent.total()
    sent = [count * measure.per_request for measure in MEASURES]
    ours, stock = ([watcher.total(measure, user) for measure in MEASURES] for watcher in (scene.ours, scene.stock))
    assert ours == sent
    if stock_is == 'right':
        assert stock == sent
    else:
        assert [a == b for a, b in zip(stock, sent, strict=True)] == [False] * len(MEASURES)


# One process.


def test_the_first_scrape_of_a_long_lived_proxy_is_no_spike(single: RealProxy) -> None:
    scene = Scene(single)
    scene.send(20, 'ann')
    scene.scrape()
    scene.scrape()
    scene.send(3, 'ann')
    scene.scrape()
    judge(scene, stock_is='right')


def test_series_whose_labels_are_dropped_are_summed(single: RealProxy) -> None:
    scene = Scene(single, exclude_labels=['end_user', 'user', 'hashed_api_key', 'api_key_alias', 'team'])
    for count, user, key in ((4, 'bea', BOB.key), (1, 'ben', BOB.key), (7, 'bob', single.key)):
        scene.send(count, user, key=key)
    scene.scrape()
    scene.send(2, 'bea')
    scene.send(6, 'bob', key=single.key)
    scene.scrape()
    scene.send(3, 'bill')
    scene.scrape()
    scene.scrape()
    judge(scene, stock_is='wrong')


def test_a_page_without_the_groups_that_are_switched_off_counts_the_same(single: RealProxy) -> None:
    scene = Scene(single, exclude_metric_groups=['services'])
    scene.send(4, 'gus')
    scene.scrape()
    scene.send(2, 'gus')
    scene.send(3, 'gwen')
    scene.scrape()
    single.restart()
    scene.send(5, 'gus')
    for _ in range(3):
        scene.scrape()
    judge(scene, stock_is='right')


def test_a_refused_scrape_loses_nothing(single: RealProxy) -> None:
    scene = Scene(single)
    scene.send(1, 'cora')
    scene.scrape()
    scene.send(2, 'cora')
    scene.send(4, 'carl')
    scene.fail(Watcher.with_wrong_key)
    scene.send(1, 'cora')
    scene.scrape()
    scene.send(1, 'carl')
    scene.scrape()
    judge(scene, user='cora', stock_is='right')
    judge(scene, user='carl', stock_is='wrong')


def test_a_restart_between_two_scrapes_is_a_new_start(single: RealProxy) -> None:
    scene = Scene(single)
    scene.scrape()
    scene.send(5, 'dan')
    scene.send(2, 'dora')
    scene.scrape()
    single.restart()
    scene.send(2, 'dan')
    scene.send(5, 'dora')
    scene.scrape()
    judge(scene, user='dan', stock_is='right')
    judge(scene, user='dora', stock_is='wrong')


def test_a_restart_with_failed_scrapes_in_between_loses_nothing(single: RealProxy) -> None:
    scene = Scene(single)
    scene.scrape()
    scene.send(5, 'eve')
    scene.send(2, 'emil')
    scene.scrape()
    single.stop()
    scene.fail()
    late = Scene(single)
    late.fail()
    single.start()
    late.send(6, 'fay')
    late.scrape()
    late.send(1, 'fay')
    late.scrape()
    scene.send(2, 'eve')
    scene.send(5, 'emil')
    scene.scrape()
    judge(scene, user='eve', stock_is='wrong')
    judge(scene, user='emil', stock_is='wrong')
    judge(late, stock_is='wrong')


# Expiry.


def test_series_that_expire_and_come_back_lose_nothing(expiring: RealProxy) -> None:
    scene = Scene(expiring)
    scene.scrape()
    scene.send(3, 'gil')
    scene.send(2, 'gina')
    scene.scrape()
    time.sleep(SECONDS_TO_LIVE + 1)
    scene.send(1, 'passer-by')
    assert not any(scene.shown('gil').values())
    assert not any(scene.shown('gina').values())
    scene.scrape()
    scene.send(1, 'gil')
    scene.send(4, 'gina')
    scene.scrape()
    judge(scene, user='gil', stock_is='right')
    judge(scene, user='gina', stock_is='wrong')


# Two workers.


def test_two_workers_in_multiprocess_mode_are_one(multiprocess: RealProxy) -> None:
    scene = Scene(multiprocess)
    first, second = multiprocess.workers()
    scene.send(4, 'hal', worker=first)
    scene.scrape(first)
    scene.send(3, 'hal', worker=first)
    scene.send(5, 'hal', worker=second)
    scene.scrape(second)
    scene.scrape(first)
    judge(scene, stock_is='right')


def test_groups_are_switched_off_in_multiprocess_mode_as_well(multiprocess: RealProxy) -> None:
    scene = Scene(multiprocess, exclude_metric_groups=['services'])
    scene.send(2, 'hal')
    scene.scrape()
    scene.send(3, 'hal')
    for _ in range(3):
        scene.scrape()
    services = [context.name for context in scene.ours.agent.count_totals if context.name.startswith('litellm.auth.')]
    assert services == []
    judge(scene, stock_is='right')


def test_a_worker_killed_in_multiprocess_mode_keeps_its_counts(multiprocess: RealProxy) -> None:
    """LiteLLM loses the request in flight, which it never counts, and nothing that it has counted."""
    scene = Scene(multiprocess)
    killed, other = multiprocess.workers()
    scene.scrape()
    scene.send(5, 'ida', worker=killed)
    scene.scrape()
    scene.send(2, 'ida', worker=killed)
    with in_flight(scene, killed):
        multiprocess.kill(killed)
    scene.scrape(other)
    # LiteLLM keeps the gauges of the dead worker until it is replaced. The scrape itself is in flight, too.
    assert scene.ours.agent.gauge('litellm.in_flight_requests') == 1 + 1
    scene.send(1, 'ida', worker=other)
    scene.scrape(other)
    multiprocess.wait_for_workers()
    (replacement,) = set(multiprocess.workers()) - {other}
    scene.send(4, 'ida', worker=replacement)

    def nothing_else_is_in_flight() -> bool:
        scene.scrape()
        return scene.ours.agent.gauge('litellm.in_flight_requests') == 1

    wait_until(nothing_else_is_in_flight, 'The gauges of a dead worker did not go')
    judge(scene, stock_is='right')


@contextmanager
def in_flight(scene: Scene, worker: int) -> Iterator[None]:
    """Have one more request in flight at a worker inside the block, which has to end it."""
    upstream = scene.proxy.upstream
    body = {'model': 'slow', 'messages': [{'role': 'user', 'content': 'Hello'}]}
    with ThreadPoolExecutor(1) as executor:
        with scene.proxy.answered_by(worker):
            before = upstream.requests['slow']
            answer = executor.submit(scene.client.post, '/v1/chat/completions', body)
            wait_until(lambda: upstream.requests['slow'] > before, 'LiteLLM did not call upstream')
        yield
    assert isinstance(answer.exception(), requests.ConnectionError)


def test_two_workers_without_multiprocess_mode_are_followed_each(workers_apart: RealProxy) -> None:
    scene = Scene(workers_apart)
    first, second = workers_apart.workers()
    scene.send(9, 'jim', worker=first)
    scene.send(4, 'jim', worker=second)
    time.sleep(DATE_SECONDS)
    scene.scrape(first)
    scene.scrape(second)
    for _ in range(2):
        scene.send(2, 'jim', worker=first)
        scene.send(1, 'jim', worker=second)
        scene.scrape(first)
        scene.scrape(second)
    judge(scene, stock_is='wrong')
    # In every run but the first, as the Agent shows the warnings of the last run only.
    assert sum('Several processes' in warning for warning in scene.ours.warnings) == 5


def test_a_worker_killed_without_multiprocess_mode_loses_only_itself(workers_apart: RealProxy) -> None:
    scene = Scene(workers_apart)
    killed, other = workers_apart.workers()
    time.sleep(DATE_SECONDS)
    scene.scrape(killed)
    scene.scrape(other)
    scene.send(3, 'kim', worker=killed)
    scene.send(5, 'kim', worker=other)
    scene.scrape(killed)
    scene.scrape(other)
    # What a worker counts in its own memory after its last scrape dies with it.
    scene.send(2, 'kim', worker=killed, is_lost=True)
    workers_apart.kill(killed)
    scene.scrape(other)
    workers_apart.wait_for_workers()
    (replacement,) = set(workers_apart.workers()) - {other}
    scene.send(4, 'kim', worker=replacement)
    scene.send(1, 'kim', worker=other)
    scene.scrape(replacement)
    scene.scrape(other)
    scene.scrape(replacement)
    judge(scene, stock_is='wrong')
