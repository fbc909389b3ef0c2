"""The preview: values with units, pages that stand alone and hold no key, and recordings of a proxy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.fixture_proxy import start

from datadog_checks.base import AgentCheck
from datadog_checks.litellm.secrets import Redactor
from tools.datadog_model import Dashboard, Store, Window
from tools.drills import enlarged
from tools.preview import __main__ as command
from tools.preview.dashboard_page import page
from tools.preview.live import ScrapeError, record_for
from tools.preview.pictures import PictureError, shrink, take
from tools.preview.units import Scale, Unit, scale_of, written

# Units


@pytest.mark.parametrize(
    ('value', 'unit', 'text'),
    [
        (None, Unit('second'), '–'),
        (float('inf'), Unit('dollar'), '–'),
        (0, Unit('second'), '0 s'),
        (0.25, Unit('second'), '250 ms'),
        (0.00025, Unit('second'), '250 µs'),
        (1.5, Unit('second'), '1.5 s'),
        (90, Unit('second'), '90 s'),
        (180, Unit('second'), '3 min'),
        (2, Unit('hour'), '2 h'),
        (72, Unit('hour'), '3 d'),
        (0.5, Unit('hour'), '30 min'),
        (1536, Unit('byte'), '1.5 KiB'),
        (12, Unit('byte'), '12 B'),
        (3.14159, Unit('percent'), '3.14%'),
        (0.25, Unit('fraction'), '25%'),
        (0.5, Unit('dollar'), '$0.50'),
        (0.0042, Unit('dollar'), '$0.00420'),
        (1234, Unit('dollar'), '$1.23k'),
        (-12.5, Unit('dollar'), '-$12.50'),
        (1234567, Unit('token'), '1.23M tokens'),
        (1, Unit('token'), '1 token'),
        (2, Unit('unit'), '2'),
        (999, Unit('request'), '999 req'),
        (2.5, Unit('request', 'second'), '2.5 req/s'),
        (7, Unit('ms/token', is_label=True), '7 ms/token'),
        (7, Unit(), '7'),
    ],
)
def test_a_value_is_written_with_its_unit(value: float | None, unit: Unit, text: str) -> None:
    assert written(value, unit) == text


@pytest.mark.parametrize(
    ('value', 'text'),
    [(0.00042, '$0.000420'), (-0.00042, '-$0.000420'), (0.0, '$0.00'), (0.006, '$0.01'), (2, '$2.00')],
)
def test_less_than_a_cent_is_not_free(value: float, text: str) -> None:
    assert written(value, Unit('dollar'), 2) == text


@pytest.mark.parametrize(('precision', 'text'), [(0, '1 s'), (1, '1.2 s'), (3, '1.234 s')])
def test_a_stated_precision_is_kept(precision: int, text: str) -> None:
    assert written(1.2341, Unit('second'), precision) == text


def test_an_axis_has_one_scale_for_all_its_values() -> None:
    assert scale_of(Unit('second'), [0.002, None, 0.25]) == Scale(1e-3, '', ' ms')


# Pages

PLACE = {'x': 0, 'y': 0, 'width': 4, 'height': 2}


def query(text: str, **fields: Any) -> dict[str, Any]:
    return {'data_source': 'metrics', 'name': 'q', 'query': text, **fields}


def over_time(text: str, **fields: Any) -> dict[str, Any]:
    return {'response_format': 'timeseries', 'queries': [query(text)], 'formulas': [{'formula': 'q'}], **fields}


def scalar(text: str, **formula: Any) -> dict[str, Any]:
    asked = query(text, aggregator='sum')
    return {'response_format': 'scalar', 'queries': [asked], 'formulas': [{'formula': 'q', **formula}]}


def board(*definitions: dict[str, Any], **fields: Any) -> Dashboard:
    widgets = [{'definition': definition, 'layout': PLACE} for definition in definitions]
    return Dashboard.from_json(
        {'title': 'Board', 'layout_type': 'ordered', 'reflow_type': 'fixed', 'widgets': widgets, **fields}
    )


def stored(team: str = 'search') -> Store:
    store = Store()
    for minute in range(10):
        store.add('litellm.spend.metric.count', 'count', [f'team:{team}'], 60 * minute, 0.5)
        store.add_service_check('litellm.openmetrics.health', 0, ['host:a'], 60 * minute)
    return store


SPEND = 'sum:litellm.spend.metric.count{*} by {team}.as_count()'
WINDOW = Window(0, 600)


def drawn(*definitions: dict[str, Any], team: str = 'search', **fields: Any) -> str:
    return page(board(*definitions, **fields), stored(team), WINDOW, 'A test.').html


def figures(html: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html)
    assert match is not None
    read: dict[str, Any] = json.loads(match[1].replace('<\\/', '</'))
    return read


def test_a_page_needs_nothing_from_elsewhere() -> None:
    html = drawn({'type': 'timeseries', 'title': 'Spend', 'requests': [over_time(SPEND)]})

    own = html.replace(html[html.index('id="figures"') : html.rindex('<script>')], '')
    assert re.findall(r'(?:src|href)=|@import|url\(', own) == []
    assert 'Plotly.react' in html


def test_a_time_series_is_a_figure_with_its_values_and_legend() -> None:
    html = drawn({'type': 'timeseries', 'title': 'Spend', 'requests': [over_time(SPEND, display_type='bars')]})

    (figure,) = figures(html).values()
    (trace,) = figure['data']
    assert (trace['type'], trace['name'], trace['dx'], trace['y']) == ('bar', 'search', 60_000, [0.5] * 10)
    assert '</i>search</li>' in html


def test_thousands_are_left_to_the_axis_so_that_zero_has_no_letter() -> None:
    html = drawn({'type': 'timeseries', 'title': 'Spend', 'requests': [over_time(f'10000 * {SPEND}')]})

    (figure,) = figures(html).values()
    assert figure['data'][0]['y'][0] == 5000
    assert figure['layout']['yaxis']['tickformat'] == '~s'


def test_spans_of_time_are_drawn_in_the_unit_of_their_axis() -> None:
    asked = over_time(f'14400 * {SPEND}')
    asked['formulas'][0]['number_format'] = {'unit': {'type': 'canonical_unit', 'unit_name': 'second'}}

    (figure,) = figures(drawn({'type': 'timeseries', 'title': 'x', 'requests': [asked]})).values()

    assert figure['data'][0]['y'][0] == 2
    assert figure['layout']['yaxis']['ticksuffix'] == ' h'


@pytest.mark.parametrize(
    ('definition', 'text'),
    [
        ({'type': 'query_value', 'requests': [scalar(SPEND)]}, '<b>$5.00<small>'),
        ({'type': 'toplist', 'requests': [scalar(SPEND)]}, 'title="search">search</span><span>$5.00</span>'),
        ({'type': 'query_table', 'requests': [scalar(SPEND, alias='Spend')]}, '<th class="number">Spend</th>'),
        ({'type': 'heatmap', 'requests': [over_time(SPEND)]}, '<div class="plot"'),
        ({'type': 'treemap', 'requests': [scalar(SPEND)]}, '<div class="plot"'),
        ({'type': 'change', 'requests': [{**scalar(SPEND), 'compare_to': 'hour_before'}]}, '>$5.00</td>'),
        ({'type': 'check_status', 'check': 'litellm.openmetrics.health', 'grouping': 'cluster'}, '1<small> OK'),
        ({'type': 'note', 'content': '**What** it means'}, '<strong>What</strong> it means'),
        ({'type': 'group', 'layout_type': 'ordered', 'widgets': []}, '<section class="group gray"'),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
def test_each_type_of_widget_is_drawn(definition: dict[str, Any], text: str) -> None:
    html = drawn({'title': 'A title', **definition})

    assert text in html
    assert 'No data' not in html


def test_the_dashboards_have_only_what_can_be_drawn() -> None:
    text = ''.join(path.read_text() for path in command.DASHBOARDS.glob('*.json'))
    styles = (Path(command.__file__).parent / 'style.css').read_text()

    palettes = set(re.findall(r'"palette": "(\w+_on_\w+)"', text))
    assert palettes
    assert [palette for palette in palettes if f'.value.{palette} ' not in styles] == []
    plain = {'include_zero': True, 'scale': 'linear', 'min': 'auto', 'max': 'auto'}
    axes = map(json.loads, re.findall(r'"(?:right_)?yaxis": (\{.*?\})', text, re.DOTALL))
    assert [axis for axis in axes if not axis.items() <= plain.items()] == []


def test_a_heat_map_counts_the_lines_in_each_range_of_values() -> None:
    store = Store()
    for minute in range(10):
        for team, value in (('search', 2.0), ('support', 1.0), ('ops', 1.0)):
            store.add('queue', 'gauge', [f'team:{team}'], 60 * minute, value)
    asked = over_time('avg:queue{*} by {team}.rollup(avg, 60)')

    html = page(board({'type': 'heatmap', 'title': 'x', 'requests': [asked]}), store, WINDOW, '').html

    (figure,) = figures(html).values()
    (trace,) = figure['data']
    counted = {(trace['y0'] + trace['dy'] * row): cells for row, cells in enumerate(trace['z']) if any(cells)}
    assert {round(height, 2): cells for height, cells in counted.items()} == {1.05: [2] * 10, 1.95: [1] * 10}
    assert (trace['x0'], trace['dx']) == (30_000, 60_000)


def test_a_tree_map_has_a_level_for_each_tag_and_the_sum_of_its_parts_on_it() -> None:
    store = Store()
    for team, key, spend in (('search', 'web', 3.0), ('search', 'batch', 1.0), ('ops', 'ci', 2.0)):
        store.add('litellm.spend.metric.count', 'count', [f'team:{team}', f'key:{key}'], 60, spend)
    asked = scalar('sum:litellm.spend.metric.count{*} by {team,key}.as_count()')

    html = page(board({'type': 'treemap', 'title': 'x', 'requests': [asked]}), store, WINDOW, '').html

    (figure,) = figures(html).values()
    (trace,) = figure['data']
    assert dict(zip(trace['ids'], trace['text'], strict=True)) == {
        'search': '$4.00',
        'search / web': '$3.00',
        'search / batch': '$1.00',
        'ops': '$2.00',
        'ops / ci': '$2.00',
    }
    assert trace['parents'] == ['', 'search', '', 'ops', 'search']


def test_a_change_says_by_how_much_and_what_is_new() -> None:
    store = Store()
    for time, team, spend in ((60, 'search', 4.0), (60, 'ops', 2.0), (3660, 'search', 5.0), (3660, 'new', 1.0)):
        store.add('litellm.spend.metric.count', 'count', [f'team:{team}'], time, spend)
    asked = {**scalar(SPEND), 'compare_to': 'hour_before'}

    html = page(board({'type': 'change', 'title': 'x', 'requests': [asked]}), store, Window(3600, 4200), '').html

    rows = [re.sub('<[^>]*>', ' ', row).split() for row in re.findall('<tr>.*?</tr>', html)]
    assert rows == [
        ['search', '$5.00', '+$1.00', '+25%'],
        ['new', '$1.00', '+$1.00', 'new'],
        ['ops', '–', '-$2.00', '-100%'],
    ]
    assert html.count('white_on_green"') == 1


def test_a_value_has_the_colour_of_its_first_condition_that_holds() -> None:
    formats = [
        {'comparator': '>', 'value': 100, 'palette': 'white_on_red'},
        {'comparator': '>=', 'value': 5, 'palette': 'white_on_yellow'},
        {'comparator': '<', 'value': 1000, 'palette': 'white_on_green'},
    ]

    html = drawn({'type': 'query_value', 'title': 'x', 'requests': [scalar(SPEND, conditional_formats=formats)]})

    assert 'class="value palette white_on_yellow"' in html


def test_widgets_without_data_say_so_and_are_listed() -> None:
    result = page(
        board({'type': 'toplist', 'title': 'Nothing', 'requests': [scalar('sum:other{*}')]}), stored(), WINDOW, ''
    )

    assert 'No data' in result.html
    assert result.empty == ['Nothing']


@pytest.mark.parametrize(
    ('kind', 'shown'),
    [
        ('list_stream', 'Logs'),
        ('manage_status', 'Status of the monitors'),
        ('slo_list', 'Service level objectives'),
    ],
)
def test_what_only_datadog_has_is_named_and_is_not_missing(kind: str, shown: str) -> None:
    result = page(board({'type': kind, 'title': 'x'}), stored(), WINDOW, '')

    assert f'{shown}, in Datadog' in result.html
    assert result.empty == []


def test_a_status_that_nobody_knows_is_a_gray_tile_with_its_name() -> None:
    store = Store()
    store.add_service_check('litellm.proxy.database', 3, ['host:a'], 60)
    unknown = {'type': 'check_status', 'title': 'x', 'check': 'litellm.proxy.database', 'grouping': 'cluster'}

    html = page(board(unknown), store, WINDOW, '').html

    assert '<div class="value palette white_on_gray"><b>1<small> UNKNOWN</small></b></div>' in html


def test_a_widget_may_have_a_span_of_its_own() -> None:
    html = drawn(
        {'type': 'query_value', 'title': 'x', 'requests': [scalar(SPEND)], 'time': {'live_span': '5m'}},
    )

    assert '<b>$2.50<small>' in html


def test_what_comes_from_tags_and_notes_is_text_and_no_markup() -> None:
    evil = '</script><img/onerror=1>'
    asked = over_time('sum:m{*} by {team}')
    asked['formulas'][0]['number_format'] = {'unit': {'type': 'custom_unit_label', 'label': '</script>'}}
    shown: list[dict[str, Any]] = [
        {'type': 'timeseries', 'title': 'a', 'requests': [asked]},
        {'type': 'toplist', 'title': 'b', 'requests': [scalar('sum:m{*} by {team}')]},
        {'type': 'query_table', 'title': 'c', 'requests': [scalar('sum:m{*} by {team}')]},
        {'type': 'note', 'content': evil},
    ]
    store = Store()
    series = store.series
    store.add('m', 'gauge', ['team:x'], 0, 1)
    series('m')[0].tags = frozenset({f'team:{evil}'})

    html = page(board(*shown, title=evil), store, WINDOW, evil).html

    assert '<img' not in html
    assert html.count('</script>') == 3


def test_lines_of_one_alias_per_formula_are_told_apart() -> None:
    asked = over_time(SPEND)
    asked['formulas'] = [{'formula': 'q', 'alias': 'now'}, {'formula': 'q * 2', 'alias': 'twice'}]

    html = drawn({'type': 'timeseries', 'title': 'x', 'requests': [asked]})

    (figure,) = figures(html).values()
    assert [trace['name'] for trace in figure['data']] == ['now: search', 'twice: search']


# Recordings


def test_an_enlarged_recording_counts_and_costs_more_and_measures_the_same() -> None:
    store = Store()
    store.add('requests', 'count', ['model:a'], 60, 2)
    store.add('depth', 'gauge', ['model:a'], 60, 2)
    store.add('litellm.team.max_budget.metric', 'gauge', ['model:a'], 60, 2)
    store.add_service_check('health', 0, ['host:a'], 60)

    large = enlarged(store, 10)

    names = ('requests', 'depth', 'litellm.team.max_budget.metric')
    assert [series.values for name in names for series in large.series(name)] == [[20], [2], [20]]
    assert large.service_checks('health') == store.service_checks('health')


class ToyCheck(AgentCheck):
    """Submits a gauge with a tag; fails in the runs given."""

    failing: tuple[int, ...] = ()
    tag = 'model:gpt-4o'
    runs = 0

    def check(self, _: Any) -> None:
        self.runs += 1
        if self.runs in self.failing:
            raise ValueError('no answer for sk-secret')
        self.gauge('toy.depth', 1, tags=[self.tag])


class Clock:
    """A clock that a pause moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def recorded(check: ToyCheck, tell: Callable[[str], None] = lambda _: None) -> Store:
    clock = Clock()
    return record_for(check, 60, 20, Redactor(['sk-secret']), tell, clock, clock.pause)


def toy(**attributes: Any) -> ToyCheck:
    check = ToyCheck('toy', {}, [{}])
    for name, value in attributes.items():
        setattr(check, name, value)
    return check


def test_a_recording_runs_the_check_at_its_interval_and_tells_how_far_it_is() -> None:
    told: list[str] = []

    store = recorded(toy(), told.append)

    assert store.series('toy.depth')[0].times == [1000, 1020, 1040, 1060]
    assert told[0] == 'run 1 of 4: 1 context'


def test_a_recording_whose_first_run_fails_is_an_error_without_the_key() -> None:
    with pytest.raises(ScrapeError, match='no answer for') as caught:
        recorded(toy(failing=(1,)))

    assert 'sk-secret' not in str(caught.value)


def test_a_later_run_may_fail() -> None:
    told: list[str] = []

    store = recorded(toy(failing=(2,)), told.append)

    assert store.series('toy.depth')[0].times == [1000, 1040, 1060]
    assert 'no answer' in told[1]
    assert 'sk-secret' not in told[1]


def test_a_recording_that_is_interrupted_keeps_what_it_has() -> None:
    def pause(_: float) -> None:
        raise KeyboardInterrupt

    store = record_for(toy(), 60, 20, Redactor(()), lambda _: None, pause=pause)

    assert len(store.series('toy.depth')[0].times) == 1


# The command


def test_the_dashboards_are_drawn_from_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with start() as proxy:
        monkeypatch.setenv('LITELLM_METRICS_KEY', proxy.key)
        code = command.main(
            [proxy.url, '--minutes', '0.01', '--interval', '0.2', '--output', str(tmp_path)],
        )

    assert code == 0
    pages = {path.stem: path.read_text() for path in tmp_path.glob('*.html')}
    assert pages.keys() == {path.stem for path in command.DASHBOARDS.glob('*.json')}
    assert [stem for stem, html in pages.items() if proxy.key in html] == []
    out = capsys.readouterr().out
    assert 'run 4 of 4' in out
    assert out.startswith('Scraping 127.0.0.1 every 0.2 seconds for 0.01 minutes, then drawing the dashboards into ')
    assert 'Ctrl-C draws what there is until then.' in out
    assert re.search(r'^No data in LiteLLM Overview:\n(  [^\n]+\n)*  Requests by team\n', out, re.MULTILINE)
    assert proxy.key not in out


@pytest.mark.parametrize('wrong', [('--interval', '0'), ('--minutes', '0'), ('--minutes', 'inf'), ('--timeout', '0')])
def test_a_duration_of_nothing_is_refused(capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(['http://127.0.0.1:1/', *wrong])

    assert refused.value.code == 2
    assert f'argument {wrong[0]}: must be more than 0' in capsys.readouterr().err


def test_a_proxy_that_refuses_the_key_is_one_line_without_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'key').write_text('sk-wrong-key')

    with start() as proxy:
        code = command.main([proxy.url, '--key-file', str(tmp_path / 'key'), '--output', str(tmp_path)])

    error = capsys.readouterr().err
    assert code == 1
    assert '401' in error
    assert 'sk-wrong-key' not in error
    assert error.count('\n') == 1


def test_a_wrong_url_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(['nonsense', '--output', str(tmp_path)]) == 2
    assert 'invalid URL' in capsys.readouterr().err


def test_a_small_picture_keeps_colours_that_are_rare_and_those_of_large_areas(tmp_path: Path) -> None:
    red, page_colour = (224, 82, 82), (242, 244, 248)
    shades = [(x % 128, y // 2, 90 + x // 10) for y in range(256) for x in range(640)]
    light_shades = [(230 + x % 24, 230 + y % 24, 230 + (x + y) % 24) for y in range(64) for x in range(640)]
    image = Image.new('RGB', (640, 512))
    image.putdata([*shades, *[page_colour] * (640 * 192), *light_shades])
    image.paste(red, (0, 0, 8, 8))
    image.save(tmp_path / 'x.png')

    shrink(tmp_path / 'x.png')

    with Image.open(tmp_path / 'x.png') as small:
        assert small.mode == 'P'
        assert small.convert('RGB').getpixel((5, 5)) == red
        assert small.convert('RGB').getpixel((5, 300)) == page_colour


def test_without_a_browser_there_is_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))

    with pytest.raises(PictureError, match='no Chromium'):
        take(tmp_path / 'x.html', tmp_path / 'x.png', 'light')
