"""The pages have the tables that the tool makes, and the tool reckons as they say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import pytest
from tests.support.agent_model import recorded

from datadog_checks.litellm.metrics import CHECK_INFO
from tools.bench import litellm, loads, options, scrapes, worst
from tools.bench.__main__ import PARTS, README
from tools.bench.measure import OURS, STOCK, MeasuredCheck, Memory
from tools.bench.native_agent import CannotCompileError
from tools.bench.pages import NEWEST_CAPTURE, CapturedPage, Page, SyntheticPage
from tools.bench.server import PageProcess
from tools.markdown import between_markers, cells, render_table


def rows(table: str) -> list[list[str]]:
    return [cells(line) for line in table.splitlines()[2:] if line.startswith('|')]


def written(part: str) -> str:
    return between_markers(PARTS[part].page, part)


@pytest.mark.parametrize(
    ('part', 'head'),
    [
        ('scrapes', scrapes.HEAD),
        ('loads', loads.HEAD),
        ('worst', worst.HEAD),
        ('litellm', litellm.HEAD),
        ('options', options.HEAD),
    ],
)
def test_a_table_of_measurements_is_on_its_page_with_where_it_was_measured(part: str, head: Sequence[str]) -> None:
    assert cells(written(part).splitlines()[0]) == list(head)
    assert 'datadog-checks-base' in written(part).splitlines()[-1]


def test_the_contexts_of_options_and_groups_on_the_page_are_those_that_are_counted() -> None:
    pages = options.pages()

    assert written('contexts') == options.contexts(pages)
    assert written('groups') == options.groups(pages, written('groups'))


def test_every_group_is_described() -> None:
    assert [row[0] for row in rows(written('groups')) if not row[1]] == []


def test_the_groups_make_up_the_page() -> None:
    counted = sum(int(row[2].replace(',', '')) for row in rows(written('groups')))

    # The uptime of the process and the heartbeat of the check belong to none.
    assert counted == len(options.contexts_of(options.pages()[0], {})) - 2


@pytest.mark.parametrize(
    ('option', 'expected'), [('histogram_buckets_as_distributions', 3), ('collect_histograms_as_distributions', 1)]
)
def test_a_distribution_is_counted_though_nothing_was_observed_yet(option: str, expected: int) -> None:
    buckets = ''.join(f'litellm_self_latency_bucket{{le="{bound}"}} 0.0\n' for bound in ('1.0', '2.0', '+Inf'))
    histogram = f'# TYPE litellm_self_latency histogram\n{buckets}litellm_self_latency_count 0.0\n'
    page = f'# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.7953e+09\n{histogram}'

    found = options.contexts_of(page, {option: True})

    assert len([context for context in found if context.name == 'litellm.self.latency']) == expected


def test_the_readme_states_what_the_table_of_scrapes_says() -> None:
    assert between_markers(README, 'saving').split() == scrapes.saving(written('scrapes')).split()


def test_a_scrape_is_stated_with_the_agents_side_and_without() -> None:
    first, steady = 'first', 'a fifth of the label sets active'
    table = scrapes.table(
        [
            scrapes.Cost('100 samples', first, False, 3.0, 1.5),
            scrapes.Cost('100 samples', steady, False, 2.0, 0.1),
            scrapes.Cost('100 samples', first, True, 4.0, 2.5),
            scrapes.Cost('100 samples', steady, True, 3.0, 0.5),
            scrapes.Cost('another page', steady, True, 1.0, 1.0),
        ]
    )

    assert rows(table)[3] == ['100 samples', steady, 'counted', '3,000', '500', '0.17', '6.0']
    said = scrapes.saving(table).split()
    assert [word for word in said if word.strip('(').replace('.', '', 1).isdigit()] == ['100', '6.0', '(1.6', '20.0']


def test_without_a_compiler_the_rows_with_the_agents_side_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot() -> None:
        raise CannotCompileError

    monkeypatch.setattr(scrapes, 'native_agent', cannot)
    table = scrapes.table(list(scrapes.costs(samples=146, runs=1)))

    assert {row[3] for row in rows(table) if row[2] == 'counted'} == {'no C compiler'}
    assert 'no C compiler' not in {row[3] for row in rows(table) if row[2] == 'left out'}


def test_a_load_is_compared_with_the_base_package_of_the_same_size() -> None:
    table = loads.table(
        [
            loads.Load(OURS, 1, 1000, first=2.0, later=0.3, memory=Memory(held=4.2, peak=5.6)),
            loads.Load(STOCK, 1, 1000, first=3.0, later=3.0, memory=Memory(held=1.0, peak=2.0)),
            loads.Load(OURS, 1, 9000, first=2.0, later=0.3, memory=Memory(held=4.2, peak=5.6)),
            loads.Load(STOCK, 1, 9000, first=3.0, later=1.5, memory=Memory(held=1.0, peak=2.0)),
        ]
    )

    assert [row[7] for row in rows(table)] == ['0.10', '1', '0.20', '1']
    assert rows(table)[0] == ['1', '1,000', OURS, '2.00', '0.30', '300.00', '2.0%', '0.10', '4', '6']


def test_an_option_is_compared_with_no_setting_and_with_the_base_package_under_the_same_setting() -> None:
    table = options.table([options.Saving('none', 200, 0.040, 0.400), options.Saving('some', 50, 0.020, 0.100)])

    assert rows(table)[1] == ['some', '50', '25%', '20', '0.50', '0.20']


def test_a_way_to_run_litellm_is_compared_with_one_process_that_has_as_many_keys() -> None:
    table = litellm.table(
        [
            litellm.Cost('one process', 60, 10_000, 3.5, 0.2, 0.2),
            litellm.Cost('one process', 300, 50_000, 17.0, 1.0, 1.0),
            litellm.Cost('two workers, port', 300, 50_000, 17.0, 3.0, 0.01),
        ]
    )

    assert [row[5:] for row in rows(table)] == [['1.00', '200'], ['1.00', '1000'], ['3.00', '10']]


@pytest.mark.parametrize(
    'page', [SyntheticPage(1460, 0.2), CapturedPage(NEWEST_CAPTURE, 0.2, callers=2)], ids=['synthetic', 'captured']
)
def test_the_same_fifth_of_the_label_sets_moves_each_time(page: Page) -> None:
    texts = []
    for _ in range(3):
        texts.append(page.render().decode().splitlines())
        page.advance()

    first, second = ({line.rpartition(' ')[0] for line in set(new) - set(old)} for old, new in pairwise(texts))
    assert 0.02 < len(first) / len(texts[0]) < 0.2
    assert len(first & second) > 0.6 * len(first)


def test_a_share_of_the_label_sets_is_new_each_time() -> None:
    page = SyntheticPage(2920, 0.0, new=0.05)
    before = page.render().splitlines()
    page.advance()

    assert len(set(page.render().splitlines()) - set(before)) == pytest.approx(0.05 * 2920)


def test_a_page_of_counters_has_eleven_tags_to_a_context() -> None:
    with PageProcess() as server, recorded() as submissions:
        server.serve(partial(SyntheticPage, 146, 1.0))
        check = MeasuredCheck(OURS, server.url)
        check.run()
        server.advance()
        check.run()

    of_the_page = [sample for sample in submissions.samples if sample.name != f'litellm.{CHECK_INFO}']
    assert {len(sample.tags) for sample in of_the_page if not sample.name.endswith('.bucket')} == {11}


def test_a_table_is_as_wide_as_its_cells_but_for_the_last_column() -> None:
    assert render_table(('a', 'b'), [('long', 'longer than its head')]) == (
        '| a    | b |\n| ---- | - |\n| long | longer than its head |'
    )
