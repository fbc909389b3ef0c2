"""Asking the proxy for less: nothing that is submitted changes, and nothing depends on whether the proxy obeys."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from itertools import count, pairwise, repeat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.report.cli import main
from datadog_checks.litellm.scrapers import optimization, selection
from tests.support.endpoint import PROMETHEUS, Answer, answering, serving
from tests.support.histories import HISTORIES, History, case
from tests.support.simulated_proxy import SimulatedProxy, Status
from tests.support.troubles import TROUBLES, answering_on_the_way
from tests.support.watch import LATENCY, REQUESTS, TOKENS, Watch, every_label, play_step, steps, true_counts

START = 'process_start_time_seconds'


@pytest.fixture
def proxy() -> Iterator[SimulatedProxy]:
    with SimulatedProxy() as one:
        yield one


def watch(proxy: SimulatedProxy, *groups: str, **options: Any) -> Watch:
    return Watch(proxy, LitellmCheck, exclude_metric_groups=list(groups or ['tokens']), **options)


def asked(path: str) -> list[str]:
    """Return the names that a request asks for, none for the whole page."""
    return parse_qs(urlsplit(path).query).get('name[]', [])


def asked_by_name(proxy: SimulatedProxy) -> list[bool]:
    return [bool(asked(path)) for path in proxy.paths]


def families(one: Watch) -> set[str]:
    """Return the metrics that the Agent has counted anything of."""
    return {context.name for context in one.counts()}


def test_the_first_page_is_whole_and_the_next_is_asked_for_by_the_names_of_samples(proxy: SimulatedProxy) -> None:
    proxy.count(TOKENS, model='a')
    proxy.count('litellm_not_known_to_anyone', model='a')
    one = watch(proxy)
    for _ in range(2):
        one.scrape()

    assert asked(proxy.paths[0]) == []
    assert asked(proxy.paths[1]) == [
        f'{REQUESTS}_created',
        f'{REQUESTS}_total',
        *(f'{LATENCY}{suffix}' for suffix in ('_bucket', '_count', '_created', '_sum')),
        START,
    ]


def test_buckets_that_are_not_collected_are_not_asked_for(proxy: SimulatedProxy) -> None:
    one = watch(proxy, collect_histogram_buckets=False)
    for _ in range(2):
        one.scrape()

    assert f'{LATENCY}_bucket' not in asked(proxy.paths[1])
    assert f'{LATENCY}_sum' in asked(proxy.paths[1])


@pytest.mark.parametrize(
    'options', [{'exclude_metric_groups': []}, {'filter_at_proxy': False}, {'use_stock_scraper': True}], ids=str
)
def test_whole_pages_are_read_where_nothing_else_is_wanted(proxy: SimulatedProxy, options: dict[str, Any]) -> None:
    one = Watch(proxy, LitellmCheck, **{'exclude_metric_groups': ['tokens'], **options})
    for _ in range(3):
        one.scrape()

    assert not any(asked_by_name(proxy))


def test_the_query_of_the_user_is_kept(proxy: SimulatedProxy) -> None:
    one = watch(proxy, openmetrics_endpoint=f'{proxy.url}?tenant=a%2Fb&x=1')
    for _ in range(2):
        one.scrape()

    whole, selected = proxy.paths
    assert whole == '/metrics/?tenant=a%2Fb&x=1'
    assert selected.startswith(f'{whole}&')
    assert f'{REQUESTS}_total' in asked(selected)


def test_a_page_is_whole_from_time_to_time(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    for _ in range(82):
        proxy.count(REQUESTS, model='a')
        proxy.count(TOKENS, model='a')
        one.scrape()

    assert [number for number, by_name in enumerate(asked_by_name(proxy)) if not by_name] == [0, 40, 80]
    assert one.requests() == 81
    assert families(one) == {'litellm.proxy.total_requests.metric.count'}
    # What is not submitted comes and goes, which must not be taken for another process.
    assert one.warnings == []


def test_a_page_is_whole_after_a_restart(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    for _ in range(3):
        one.scrape()
    proxy.restart()
    for _ in range(3):
        one.scrape()

    assert asked_by_name(proxy) == [False, True, True, True, False, True]


def test_what_registers_later_is_counted_in_full_with_the_next_whole_page(
    proxy: SimulatedProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, 'WHOLE_PAGE_EVERY', 4)
    one = watch(proxy)
    for _ in range(2):
        one.scrape()
    proxy.count('litellm_guardrail_requests', 3, name='pii')
    for _ in range(4):
        proxy.count('litellm_guardrail_requests', 1, name='pii')
        one.scrape()

    assert one.agent.total('litellm.guardrail.requests.count', 'name:pii') == 3 + 4
    # It is older than the page before, which was not asked for it: no sign of another process.
    assert one.warnings == []


def test_a_proxy_in_multiprocess_mode_is_not_asked_by_name() -> None:
    with SimulatedProxy(multiprocess=True) as proxy:
        one = watch(proxy)
        for _ in range(3):
            proxy.count(REQUESTS, model='a')
            proxy.count(TOKENS, model='a')
            one.scrape()

        assert not any(asked_by_name(proxy))
        assert families(one) == {'litellm.proxy.total_requests.metric.count'}


def test_a_proxy_that_turns_to_multiprocess_mode_is_read_whole_from_the_second_page_on() -> None:
    with SimulatedProxy() as single, SimulatedProxy(multiprocess=True) as multiprocess:
        one = watch(single)
        for _ in range(2):
            one.scrape()
        single.answer = multiprocess.answer  # type: ignore[method-assign]
        single._server.answer = multiprocess.answer  # type: ignore[union-attr]
        multiprocess.count(REQUESTS, 5, model='a')
        for _ in range(3):
            one.scrape()

        assert asked_by_name(multiprocess) == [True, False, False, False]
        assert one.requests() == 5


def test_groups_are_left_out_here_where_the_proxy_ignores_the_names() -> None:
    with SimulatedProxy(selects=False) as proxy:
        one = watch(proxy)
        for _ in range(3):
            proxy.count(REQUESTS, model='a')
            proxy.count(TOKENS, model='a')
            one.scrape()

        assert asked_by_name(proxy) == [False, True, True]
        assert families(one) == {'litellm.proxy.total_requests.metric.count'}
        assert one.requests() == 2


def gateway(proxy: SimulatedProxy, answers: Iterator[Answer | None]) -> AbstractContextManager[None]:
    """Let something on the way answer each request by name with the next of these; None leaves it to the proxy."""
    return answering_on_the_way(proxy, lambda request: bool(asked(request.path)), answers)


@pytest.mark.parametrize('trouble', TROUBLES)
def test_trouble_with_the_query_costs_no_scrape_and_is_told_once(trouble: str, proxy: SimulatedProxy) -> None:
    one = watch(proxy, **({'timeout': 1.0} if trouble == 'time-out' else {}))
    with gateway(proxy, repeat(TROUBLES[trouble])):
        for _ in range(optimization.FIRST_REST + 10):
            proxy.count(REQUESTS, model='a')
            assert one.scrape().error == ''

    assert one.requests() == optimization.FIRST_REST + 9
    assert sum(asked_by_name(proxy)) <= 2 * (31 if trouble == 'circles' else 2)
    assert [('?name[]=' in warning, 'filter_at_proxy' in warning) for warning in one.warnings] == [(True, True)]


def test_the_query_is_tried_again_from_time_to_time_and_ever_more_rarely(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    with gateway(proxy, repeat(answering(503))):
        for _ in range(2 + 40 + 80 + 160 + 10):
            assert one.scrape().error == ''

    tried = [number for number, by_name in enumerate(asked_by_name(proxy)) if by_name]
    # A run that tries makes two requests.
    assert [later - earlier for earlier, later in pairwise(tried)] == [42, 82, 162]


def test_the_query_is_used_again_once_it_works(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    with gateway(proxy, iter([answering(503)])):
        for _ in range(100):
            proxy.count(REQUESTS, model='a')
            assert one.scrape().error == ''

    assert asked_by_name(proxy)[:3] == [False, True, False]
    assert asked_by_name(proxy)[45:70] == [True] * 25
    assert one.requests() == 99


@pytest.mark.parametrize(
    'passed_on',
    [
        lambda names: names[-1:],
        lambda names: names[:1],
        lambda names: names[::2],
        lambda names: names[len(names) // 2 :],
    ],
    ids=['the last name', 'the first name', 'every second name', 'all but three names'],
)
def test_a_query_of_which_only_a_part_is_passed_on_is_found_out(
    passed_on: Callable[[list[str]], list[str]], proxy: SimulatedProxy
) -> None:
    """Something on the way may keep one of several parameters of the same name, or cut a long URL."""
    one = watch(proxy)
    proxy.count('litellm_guardrail_requests', name='pii')
    original = proxy._server.answer  # type: ignore[union-attr]

    def answer(request: BaseHTTPRequestHandler) -> None:
        names = passed_on(asked(request.path))
        request.path = request.path.partition('?')[0] + (
            '?' + '&'.join(f'name[]={name}' for name in names) if names else ''
        )
        original(request)

    proxy._server.answer = answer  # type: ignore[union-attr]
    for _ in range(10):
        proxy.count(REQUESTS, model='a')
        proxy.count('litellm_guardrail_requests', name='pii')
        assert one.scrape().error == ''

    assert one.requests() == 9
    assert one.agent.total('litellm.guardrail.requests.count', 'name:pii') == 9
    assert ['?name[]=' in warning for warning in one.warnings] == [True]


@contextmanager
def cache(proxy: SimulatedProxy, keeps: Callable[[int], bool] = lambda _: True) -> Iterator[None]:
    """Answer each request by name with a copy of the first answer to one, if that is kept: by the number of request."""
    passed_on = proxy._server.answer  # type: ignore[union-attr]
    copies: dict[str, bytes] = {}
    numbers = count()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if not asked(request.path) or not keeps(next(numbers)):
            passed_on(request)
            return
        if request.path in copies:
            proxy.paths.append(request.path)
        else:
            client, request.wfile = request.wfile, BytesIO()
            passed_on(request)
            copies[request.path], request.wfile = request.wfile.getvalue(), client
        request.wfile.write(copies[request.path])

    proxy._server.answer = answer  # type: ignore[union-attr]
    yield
    proxy._server.answer = passed_on  # type: ignore[union-attr]


def test_a_copy_that_never_changes_is_found_out_in_minutes_and_told_once(proxy: SimulatedProxy) -> None:
    proxy.load = 0.001
    one = watch(proxy)
    behind = []
    with cache(proxy):
        for number in range(200):
            proxy.count(REQUESTS, model='a')
            assert one.scrape().error == ''
            behind.append(number - one.requests())

    # Two minutes at most, and from then on never again.
    assert max(behind) == selection.STILL_PAGES
    assert not any(behind[selection.STILL_PAGES + 2 :])
    assert one.requests() == 199
    assert ['never changes' in warning for warning in one.warnings] == [True]


def test_a_copy_from_before_the_first_page_is_found_out_at_once(proxy: SimulatedProxy) -> None:
    proxy.load = 0.01
    with cache(proxy):
        other = watch(proxy)
        for _ in range(2):
            other.scrape()
        one = watch(proxy)
        for _ in range(3):
            proxy.count(REQUESTS, model='a')
            assert one.scrape().error == ''

    assert one.requests() == 2
    assert ['never changes' in warning for warning in one.warnings] == [True]


def test_a_copy_from_before_a_restart_is_found_out(proxy: SimulatedProxy) -> None:
    proxy.load = 0.001
    one = watch(proxy)
    with cache(proxy):
        one.scrape()
        one.scrape()
        proxy.restart()
        for _ in range(2 * selection.STILL_PAGES + 4):
            proxy.count(REQUESTS, model='a')
            assert one.scrape().error == ''

    assert one.requests() == 2 * selection.STILL_PAGES + 4
    assert ['never changes' in warning for warning in one.warnings] == [True]


def test_a_process_whose_cpu_time_stands_still_is_no_copy(proxy: SimulatedProxy) -> None:
    proxy.load = 0.0
    one = watch(proxy)
    for _ in range(60):
        proxy.count(REQUESTS, model='a')
        assert one.scrape().error == ''

    assert one.requests() == 59
    assert one.warnings == []
    # Whole pages are few.
    assert asked_by_name(proxy).count(False) <= 10


def test_processes_that_are_long_gone_are_forgotten(proxy: SimulatedProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, 'MOST_PROCESSES', 3)
    one = watch(proxy)
    for _ in range(10):
        proxy.restart()
        for _ in range(3):
            proxy.count(REQUESTS, model='a')
            one.scrape()
    (scraper,) = one.check.scrapers.values()

    assert len(scraper._selection._processes) == 3
    assert asked_by_name(proxy)[-3:] == [True, False, True]


def test_the_cpu_time_is_asked_for_though_it_is_not_collected(proxy: SimulatedProxy) -> None:
    proxy.load = 0.001
    one = watch(proxy, 'process')
    for _ in range(2):
        one.scrape()

    assert 'process_cpu_seconds_total' in asked(proxy.paths[1])
    assert not any('cpu' in name for name in families(one))


@given(
    kept=st.lists(st.booleans(), min_size=1, max_size=12),
    load=st.sampled_from([0.0001, 0.001, 0.5]),
    workers=st.integers(1, 2),
)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_copies_come_every_event_is_counted_in_the_end(kept: list[bool], load: float, workers: int) -> None:
    with SimulatedProxy(workers) as proxy:
        proxy.load = load
        one = watch(proxy)
        with cache(proxy, lambda number: kept[number % len(kept)]):
            for number in range(60):
                proxy.count(REQUESTS, 1, number % workers, model='a')
                assert one.scrape(number % workers).error == ''
        for number in range(60, 60 + 2 * workers):
            one.scrape(number % workers)

        # What a worker counts before its first page is missed, and copies may be in its place until they are found out.
        missed = 1 if workers == 1 else 2 + selection.STILL_PAGES
        assert 60 - missed <= one.requests() <= 59


def test_a_family_that_loses_its_last_sample_is_not_held_against_the_query(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    proxy.count('litellm_guardrail_requests', name='pii')
    proxy.count(REQUESTS, model='a')
    for _ in range(3):
        one.scrape()
    proxy.forget('litellm_guardrail_requests', name='pii')
    for _ in range(3):
        one.scrape()

    assert asked_by_name(proxy) == [False, True, True, True, False, True, True]
    assert one.warnings == []


@given(
    answers=st.lists(st.sampled_from([None, *(name for name in TROUBLES if name != 'time-out')]), max_size=30),
    rest=st.integers(1, 4),
    every=st.integers(2, 5),
)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_comes_of_requests_by_name_a_proxy_that_serves_whole_pages_is_scraped(
    answers: list[str | None], rest: int, every: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, SimulatedProxy() as proxy:
        patch.setattr(optimization, 'FIRST_REST', rest)
        patch.setattr(selection, 'WHOLE_PAGE_EVERY', every)
        one = watch(proxy)
        with gateway(proxy, (None if name is None else TROUBLES[name] for name in answers)):
            for number in range(1, 40):
                proxy.count(REQUESTS, model='a')
                assert one.scrape().error == ''
                assert one.requests() == number - 1


def test_a_url_that_many_servers_would_refuse_is_not_sent(proxy: SimulatedProxy) -> None:
    for number in range(100):
        proxy.count(f'litellm_a_family_with_quite_a_long_name_{number}', model='a')
    one = watch(proxy, collect_unknown_metrics=True)
    for _ in range(2):
        one.scrape()

    assert not any(asked_by_name(proxy))


def test_a_failure_of_the_proxy_is_not_held_against_the_query(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    for _ in range(2):
        one.scrape()
    for _ in range(3):
        one.fail(Status(503))
    for _ in range(2):
        one.scrape()

    assert asked_by_name(proxy) == [False, True, True, False, False, False, False, True]
    assert one.warnings == []


def test_a_proxy_that_has_served_nothing_yet_is_no_failure(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    for _ in range(3):
        assert one.scrape().error == ''

    assert one.warnings == []


def test_unknown_families_are_named_every_time(proxy: SimulatedProxy) -> None:
    proxy.count('litellm_not_known_to_anyone', model='a')
    one = watch(proxy)
    for number in range(1, 4):
        one.scrape()
        assert sum('litellm_not_known_to_anyone' in warning for warning in one.warnings) == number


def test_unknown_families_are_asked_for_where_they_are_collected(proxy: SimulatedProxy) -> None:
    proxy.count('litellm_not_known_to_anyone', model='a')
    one = watch(proxy, collect_unknown_metrics=True)
    one.scrape()
    proxy.count('litellm_not_known_to_anyone', 2, model='a')
    one.scrape()

    assert one.agent.total('litellm.not_known_to_anyone.count', 'model:a') == 2


def test_two_workers_that_answer_in_turn_are_asked_by_name() -> None:
    with SimulatedProxy(2) as proxy:
        one = watch(proxy)
        for number in range(8):
            worker = number % 2
            proxy.count(REQUESTS, 1, worker, model='a')
            proxy.count(TOKENS, 1, worker, model='a')
            one.scrape(worker)

        assert asked_by_name(proxy)[-5:] == [True] * 5
        assert one.counts() == {
            context: total for context, total in true_counts(proxy, every_label).items() if 'token' not in context.name
        }


def test_another_program_at_the_same_url_is_found_out(proxy: SimulatedProxy) -> None:
    one = watch(proxy)
    for _ in range(2):
        one.scrape()
    page = '# TYPE http_requests counter\nhttp_requests_total 1\n# TYPE process_start_time_seconds gauge\n'
    other = answering(200, f'{page}process_start_time_seconds 5\n', {'Content-Type': PROMETHEUS})
    proxy._server.answer = other  # type: ignore[union-attr]
    one.scrape()

    assert 'the page has no LiteLLM metrics' in one.scrape().error


def test_the_names_survive_the_redirect_to_the_slash() -> None:
    paths: list[str] = []
    page = answering(
        200,
        f'# TYPE {REQUESTS}_total counter\n# TYPE {START} gauge\n{START} 5\n{REQUESTS}_total 1\n',
        {'Content-Type': PROMETHEUS},
    )

    def answer(request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition('?')
        paths.append(request.path)
        if path.endswith('/'):
            page(request)
        else:
            answering(307, '', {'Location': f'{path}/?{query}'})(request)

    with serving(answer) as url:
        check = LitellmCheck(
            'litellm', {}, [{'openmetrics_endpoint': url.removesuffix('/'), 'exclude_metric_groups': ['tokens']}]
        )
        for _ in range(2):
            assert check.run() == ''

    assert asked(paths[-1]) == [f'{REQUESTS}_created', f'{REQUESTS}_total', START]


def test_the_report_reads_a_whole_page(
    proxy: SimulatedProxy, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / 'instance.yaml'
    config.write_text('exclude_metric_groups: [tokens]\n')

    assert main([proxy.url, '--config', str(config), '--interval', '0']) == 0
    assert asked_by_name(proxy) == [False, True, False]


# Every history of a proxy ends alike, whatever was asked for.


def depends_on_the_order(one: History) -> bool:
    """Tell whether a history cuts pages at a family, and so needs the families of whole pages in their order."""
    return 'early' in case(one) or 'cut_off' in case(one) or 'inside' in case(one)


@pytest.mark.parametrize('one', [one for one in HISTORIES if not depends_on_the_order(one)], ids=case)
def test_every_event_reaches_datadog_exactly_once(one: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, 'WHOLE_PAGE_EVERY', 3)
    with SimulatedProxy(**one.proxy) as proxy:
        watched = Watch(proxy, LitellmCheck, exclude_metric_groups=['services'], **one.options)
        requests = one.play(proxy, watched)
        assert watched.counts() == true_counts(proxy, one.tags_of)
        assert watched.requests() == requests


@given(
    before=st.lists(steps.filter(lambda step: step[0] in ('count', 'observe')), max_size=8),
    after=st.lists(steps, max_size=40),
    every=st.integers(2, 8),
    openmetrics=st.booleans(),
)
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_event_of_a_random_history_reaches_datadog_exactly_once(
    before: list[Any], after: list[Any], every: int, openmetrics: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch, SimulatedProxy(3) as proxy:
        patch.setattr(selection, 'WHOLE_PAGE_EVERY', every)
        one = watch(proxy, 'services', use_latest_spec=openmetrics)
        for step in before:
            play_step(proxy, one, step)
        one.scrape()
        for step in after:
            play_step(proxy, one, step)
        for worker in range(3):
            one.scrape(worker)
        assert one.counts() == true_counts(proxy, every_label)


@pytest.mark.parametrize('release', ['1.80.11', '1.110.2'])
def test_what_is_left_of_a_real_page_without_services_fits_into_a_url(release: str) -> None:
    """A proxy behind nginx answers longer ones with 414, so that nothing would be filtered."""
    capture = Path(__file__).parents[1] / 'pages' / f'{release}.txt.gz'
    paths: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        paths.append(request.path)
        answering(200, gzip.decompress(capture.read_bytes()).decode(), {'Content-Type': PROMETHEUS})(request)

    with serving(answer) as url:
        options = {'exclude_metric_groups': ['deprecated', 'services'], 'collect_readiness': False}
        check = LitellmCheck('litellm', {}, [{'openmetrics_endpoint': url, **options}])
        for _ in range(2):
            assert not check.run()

    assert ['name' in path for path in paths] == [False, True]
