"""The dashboards and monitors keep to one style, so that a reader finds in each what the others have."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixture_proxy.releases import Profile
from tests.lineage.release_number import Release
from tests.support.documents import page

from tools.datadog_model import Monitor
from tools.datadog_model.syntax import ChangeQuery, ThresholdQuery
from tools.preview.__main__ import THEMES

ASSETS = Path(__file__).parents[3] / 'litellm' / 'assets'
DASHBOARDS = sorted((ASSETS / 'dashboards').glob('*.json'))
MONITORS = sorted((ASSETS / 'monitors').glob('*.json'))

# Groups not counted: they hold the others.
MOST_WIDGETS = 33
# What these tell of is no service: tags that are missing, and Agents.
OF_AGENTS = ('check_replaced', 'untagged')


def content(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def widgets(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the definitions of all widgets within groups."""
    for group in content(path)['widgets']:
        for widget in group['definition']['widgets']:
            yield widget['definition']


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from keys_of(item)


@pytest.mark.parametrize('path', DASHBOARDS, ids=lambda path: path.stem)
class TestDashboard:
    def test_all_widgets_are_in_groups_and_not_too_many(self, path: Path) -> None:
        assert {widget['definition']['type'] for widget in content(path)['widgets']} == {'group'}
        assert len(list(widgets(path))) <= MOST_WIDGETS

    def test_titles_are_unique(self, path: Path) -> None:
        titles = Counter(widget['title'] for widget in widgets(path) if widget['type'] != 'note')

        assert [title for title, count in titles.items() if count > 1] == []

    def test_nothing_in_it_belongs_to_an_account(self, path: Path) -> None:
        assert {'id', 'author_handle', 'author_name', 'created_at', 'url'} & set(keys_of(content(path))) == set()

    def test_each_first_screen_explains_itself(self, path: Path) -> None:
        first = content(path)['widgets'][0]['definition']['widgets']

        assert 'note' in {widget['definition']['type'] for widget in first}

    def test_what_a_note_quotes_is_the_title_of_a_group_or_a_widget(self, path: Path) -> None:
        notes = ''.join(re.sub('`[^`]*`', '', one['content']) for one in widgets(path) if one['type'] == 'note')
        boards = {content(board)['title']: board for board in DASHBOARDS}
        titles = {
            title
            for board in boards.values()
            for title in (
                *(group['definition']['title'] for group in content(board)['widgets']),
                *(widget['title'] for widget in widgets(board) if 'title' in widget),
            )
        }

        assert set(re.findall('"([^"]*)"', notes)) <= titles
        assert {part for part in notes.split('*') if part.startswith('LiteLLM ')} <= boards.keys()

    def test_lines_have_a_legend_and_start_at_zero(self, path: Path) -> None:
        lines = [widget for widget in widgets(path) if widget['type'] == 'timeseries']

        assert [one['title'] for one in lines if not (one['show_legend'] and one['yaxis']['include_zero'])] == []

    def test_lines_are_wide_enough_to_be_read(self, path: Path) -> None:
        places = [widget for group in content(path)['widgets'] for widget in group['definition']['widgets']]
        lines = [one for one in places if one['definition']['type'] == 'timeseries']

        assert [one['definition']['title'] for one in lines if one['layout']['width'] < 4] == []

    def test_it_asks_for_nothing_that_is_deprecated(self, path: Path) -> None:
        assert set(re.findall(r'\b(?:hour|day|week|month)_before\(', path.read_text())) == set()

    def test_it_can_be_narrowed_to_an_environment_a_service_and_a_cluster(self, path: Path) -> None:
        prefixes = [variable['prefix'] for variable in content(path)['template_variables']]

        assert prefixes[:5] == ['env', 'service', 'kube_cluster_name', 'endpoint', None]

    def test_arithmetic_states_its_unit(self, path: Path) -> None:
        # Datadog knows the unit of a metric, but not that of what is made of several.
        without = [
            f'{widget["title"]}: {formula["formula"]}'
            for widget in widgets(path)
            for request in widget.get('requests', ())
            for formula in request.get('formulas', ())
            if set('+-*/') & set(formula['formula']) and 'number_format' not in formula
        ]

        assert without == []

    def test_every_formula_has_a_name(self, path: Path) -> None:
        nameless = [
            widget['title']
            for widget in widgets(path)
            for request in widget.get('requests', ())
            for formula in request.get('formulas', ())
            if not formula.get('alias')
        ]

        assert nameless == []

    def test_toplists_are_limited(self, path: Path) -> None:
        unlimited = [
            widget['title']
            for widget in widgets(path)
            if widget['type'] in ('query_table', 'toplist') and 'limit' not in widget['requests'][0]['formulas'][0]
        ]

        assert unlimited == []


@pytest.mark.parametrize('path', MONITORS, ids=lambda path: path.stem)
class TestMonitor:
    def test_it_has_what_recommended_monitors_have(self, path: Path) -> None:
        monitor = content(path)

        assert monitor['version'] == 2
        assert monitor['created_at'] <= monitor['last_updated_at']
        assert monitor['tags'] == monitor['definition']['tags'] == ['integration:litellm']
        assert len(monitor['title']) <= 60
        assert len(monitor['description']) <= 300

    def test_it_says_when_it_alerts_and_recovers_and_does_not_warn(self, path: Path) -> None:
        # A warning doubles the notifications of an incident: what is no page goes to a channel instead.
        definition = content(path)['definition']
        thresholds = definition['options']['thresholds']

        if definition['type'] == 'service check':
            assert thresholds.keys() == {'critical', 'warning', 'ok'}
        elif thresholds['critical'] != 0:
            assert thresholds.keys() == {'critical', 'critical_recovery'}

    def test_it_judges_each_environment_and_service_alone(self, path: Path) -> None:
        monitor = Monitor.from_json(content(path))
        notified = monitor.options.get('notify_by', monitor.groups)

        assert path.stem in OF_AGENTS or {'env', 'service'} <= set(notified)

    def test_it_tells_once_of_all_pods_keys_and_models(self, path: Path) -> None:
        # Of few: a callback, a guardrail and the budget of a provider are worth a notification of their own.
        monitor = Monitor.from_json(content(path))
        notified = set(monitor.options.get('notify_by', monitor.groups))

        assert notified <= {'env', 'service', 'callback_name', 'guardrail_name', 'api_provider'}

    def test_an_alert_without_data_ends(self, path: Path) -> None:
        # Pods are replaced, keys deleted and aliases renamed: their alerts must not stay for days.
        monitor = Monitor.from_json(content(path))
        keeps_status = not isinstance(monitor.query, ThresholdQuery | ChangeQuery) or (
            monitor.options['on_missing_data'] == 'default' and monitor.query.aggregation != 'sum'
        )

        assert monitor.options['timeout_h'] == (1 if keeps_status else 0)

    def test_it_has_a_priority_that_says_whether_to_page(self, path: Path) -> None:
        priority = content(path)['definition']['priority']
        described = page('litellm/assets/monitors/README.md')
        rows = {row.cells[0].partition('](')[0][1:]: row.cells[1] for row in described.rows('What to page on')}

        assert rows[path.stem] == f'P{priority}'

    def test_it_chooses_what_missing_data_means_and_waits_for_late_data(self, path: Path) -> None:
        definition = content(path)['definition']

        assert ('notify_no_data' in definition['options']) != ('on_missing_data' in definition['options'])
        assert 'evaluation_delay' in definition['options'] or definition['type'] == 'service check'
        assert definition['type'] == 'service check' or definition['options']['evaluation_delay'] > 0

    def test_a_sum_of_counts_without_data_is_zero(self, path: Path) -> None:
        definition = content(path)['definition']

        # A new process of the proxy has no series of failures before the first one: alerts would outlive the fault.
        if definition['query'].startswith('sum('):
            expected = 'show_and_notify_no_data' if path.stem == 'service_gone' else 'default'
            assert definition['options']['on_missing_data'] == expected

    def test_a_ratio_is_guarded_against_little_traffic(self, path: Path) -> None:
        query = content(path)['definition']['query']

        assert '.as_count() /' not in query or 'is_greater(' in query

    def test_its_message_says_what_it_means_and_what_to_do(self, path: Path) -> None:
        message = content(path)['definition']['message']

        assert '**What it means:**' in message
        assert '**What to do**' in message
        assert '{{#is_alert}}' in message
        assert '{{#is_recovery}}' in message

    def test_it_names_dashboards_that_there_are(self, path: Path) -> None:
        message = content(path)['definition']['message']
        titles = {content(board)['title'] for board in DASHBOARDS}
        named = {part for part in message.split('*') if part.startswith('LiteLLM ')}

        assert named <= titles
        assert all(f'dashboard *{title}*, group "' in message for title in named)

    def test_what_it_quotes_is_a_group_of_a_dashboard_that_it_names_or_a_monitor(self, path: Path) -> None:
        # Groups, not widgets: those are renamed more often.
        monitor = content(path)
        # What stands in backticks or brackets is a value of LiteLLM's configuration.
        text = re.sub(r'`[^`]*`|\["[^"]*"\]', '', monitor['description'] + monitor['definition']['message'])
        groups = {
            group['definition']['title']
            for board in map(content, DASHBOARDS)
            for group in board['widgets']
            if f'dashboard *{board["title"]}*, group "' in text
        }
        of_monitors = {content(other)['title'] for other in MONITORS}

        assert set(re.findall('"([^"]*)"', text)) <= groups | of_monitors


def test_the_page_of_the_dashboards_shows_each_with_its_groups() -> None:
    described = page('litellm/assets/dashboards/README.md')

    for path in DASHBOARDS:
        board = content(path)
        groups = [group['definition']['title'] for group in board['widgets']]
        assert [row.cells[0] for row in described.rows(board['title'])] == groups
        assert {path.name, *(f'../../images/{path.stem}_{theme}.png' for theme in THEMES)} <= {*described.links()}


def test_each_panel_of_grafana_has_a_widget() -> None:
    shown = {content(path)['title']: {widget.get('title') for widget in widgets(path)} for path in DASHBOARDS}
    rows = page('litellm/assets/dashboards/README.md').rows("From LiteLLM's Grafana dashboards")

    assert rows
    assert [row.cells for row in rows if row.cells[3] not in shown[row.cells[2]]] == []


@pytest.mark.parametrize('release', ['1.83.0', '1.106.2'])
def test_bounds_that_dashboards_ask_for_are_bounds_of_every_release(release: str) -> None:
    buckets = Profile(Release.parse(release)).buckets('litellm_request_total_latency_metric') or ()
    bounds = {str(float(bound)) for bound in buckets}
    asked = {bound for path in DASHBOARDS for bound in re.findall(r'upper_bound:([\d.]+)', path.read_text())}

    assert asked
    assert asked <= bounds
