"""One widget as HTML, of the types, styles and options that the integration's dashboards have.

Charts become an empty box, filled by the page's script from the figures beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from markdown_it import MarkdownIt

from tools.datadog_model import (
    Result,
    Scalar,
    Store,
    Widget,
    Window,
    evaluate_check_status,
    evaluate_over_time,
    evaluate_widget,
)

from . import charts
from .units import Unit, unit_of, written

__all__ = ['Drawing', 'draw']

# Lines of the legend of one chart; what is more is counted.
MOST_LEGEND_ENTRIES = 8
MOST_ROWS = 25
# Letters of a value that fit into a tile in large type.
_LONGEST_LARGE = 12
_COMPARISONS = {'<': float.__lt__, '<=': float.__le__, '>': float.__gt__, '>=': float.__ge__}
_NO_DATA = '<div class="no-data">No data</div>'
# What these show is no metric.
_ELSEWHERE = {
    'list_stream': 'Logs, in Datadog',
    'manage_status': 'Status of the monitors, in Datadog',
    'slo_list': 'Service level objectives, in Datadog',
}
# HTML in a note would be part of the page.
_MARKDOWN = MarkdownIt('commonmark', {'html': False, 'linkify': False}).enable('table')


@dataclass
class Drawing:
    """The data that all widgets of a page are drawn from, and the figures that they leave for the script."""

    store: Store
    window: Window
    variables: Mapping[str, Sequence[str]]
    figures: dict[str, charts.Figure] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)

    def window_of(self, widget: Widget) -> Window:
        """Return the widget's own span of time, or the page's."""
        span = str((widget.definition.get('time') or {}).get('live_span', ''))
        if not span:
            return self.window
        return Window(max(self.window.start, self.window.end - 60 * int(span.removesuffix('m'))), self.window.end)

    def place(self, figure: charts.Figure) -> str:
        """Keep a figure and return the box that it goes into."""
        name = f'figure-{len(self.figures)}'
        self.figures[name] = figure
        return f'<div class="plot" id="{name}"></div>'


def draw(widget: Widget, drawing: Drawing) -> str:
    """Return a widget as HTML, in its place on the grid."""
    x, y, width, height = widget.layout
    place = f'grid-column:{x + 1}/span {width};grid-row:{y + 1}/span {height}'
    if widget.type == 'group':
        colour = escape(str(widget.definition.get('background_color') or 'gray').removeprefix('vivid_'))
        members = ''.join(draw(member, drawing) for member in widget.widgets)
        title = f'<h2>{escape(widget.title)}</h2>' if widget.definition.get('show_title', True) else ''
        return (
            f'<section class="group {colour}" style="grid-column:{x + 1}/span {width}">'
            f'{title}<div class="grid">{members}</div></section>'
        )
    if widget.type == 'note':
        return _note(widget, place)
    body = _BODIES[widget.type](widget, drawing)
    if body == _NO_DATA:
        drawing.empty.append(widget.title)
    span = (widget.definition.get('time') or {}).get('live_span')
    note = f'<span class="span">{escape(span)}</span>' if span else ''
    title = f'<h3>{escape(widget.title)}{note}</h3>' if widget.title else ''
    return f'<article class="{widget.type}" style="{place}">{title}{body}</article>'


def _note(widget: Widget, place: str) -> str:
    definition = widget.definition
    colour = escape(str(definition.get('background_color') or 'white').removeprefix('vivid_'))
    return f'<article class="note {colour}" style="{place}">{_MARKDOWN.render(definition["content"])}</article>'


def _timeseries(widget: Widget, drawing: Drawing) -> str:
    window = drawing.window_of(widget)
    results = evaluate_widget(widget, drawing.store, window, drawing.variables)
    if not any(result.has_data for result in results):
        return _NO_DATA
    figure, legend = charts.timeseries(widget, results, window)
    return drawing.place(figure) + _legend(legend)


def _heatmap(widget: Widget, drawing: Drawing) -> str:
    window = drawing.window_of(widget)
    results = [one for one in evaluate_widget(widget, drawing.store, window, drawing.variables) if one.has_data]
    return drawing.place(charts.heatmap(widget, results, window)) if results else _NO_DATA


def _treemap(widget: Widget, drawing: Drawing) -> str:
    (result,) = evaluate_widget(widget, drawing.store, drawing.window_of(widget), drawing.variables)
    if not result.has_data:
        return _NO_DATA
    return drawing.place(charts.treemap(result, lambda value: _written(value, result, widget)))


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    shown = ''.join(
        f'<li title="{escape(name)}"><i style="background:{colour}"></i>{escape(name)}</li>'
        for name, colour in entries[:MOST_LEGEND_ENTRIES]
    )
    rest = len(entries) - MOST_LEGEND_ENTRIES
    return f'<ul class="legend">{shown}{f"<li>+{rest} more</li>" if rest > 0 else ""}</ul>'


def _query_value(widget: Widget, drawing: Drawing) -> str:
    window = drawing.window_of(widget)
    (result, *_) = evaluate_widget(widget, drawing.store, window, drawing.variables)
    value = result.scalars[0].value if result.scalars else None
    if value is None or not math.isfinite(value):
        return _NO_DATA
    palette = _palette(value, result)
    background = ''
    if 'timeseries_background' in widget.definition:
        (line, *_) = evaluate_over_time(widget, drawing.store, window, drawing.variables)
        figure = charts.sparkline(line.series, line.interval, '_on_' in palette)
        background = f'<div class="background">{drawing.place(figure)}</div>'
    text = _written(value, result, widget)
    number, unit = _split(text, unit_of(result))
    size = ' long' if len(text) > _LONGEST_LARGE else ''
    return f'<div class="value{size} {palette}">{background}<b>{escape(number)}<small>{escape(unit)}</small></b></div>'


def _split(text: str, unit: Unit) -> tuple[str, str]:
    """Part a value from its unit, so that the unit can be small."""
    number, space, suffix = text.partition(' ')
    return (number, space + suffix) if space and unit.name != 'dollar' else (text, '')


def _written(value: float | None, result: Result, widget: Widget) -> str:
    stated = result.formula.definition.get('number_format') or {}
    return written(value, unit_of(result), stated.get('precision', widget.definition.get('precision')))


def _palette(value: float | None, result: Result) -> str:
    """Return the class of the first conditional format that holds for a value."""
    formats = result.formula.definition.get('conditional_formats')
    formats = formats or result.request.definition.get('conditional_formats') or ()
    for one in formats:
        if value is not None and _COMPARISONS[one['comparator']](float(value), float(one['value'])):
            return f'palette {escape(one["palette"])}'
    return ''


def _toplist(widget: Widget, drawing: Drawing) -> str:
    results = evaluate_widget(widget, drawing.store, drawing.window_of(widget), drawing.variables)
    rows = [(scalar, result) for result in results for scalar in result.scalars if _is_finite(scalar)]
    if not rows:
        return _NO_DATA
    rows = rows[:MOST_ROWS]
    largest = max(abs(scalar.value or 0.0) for scalar, _ in rows) or 1.0
    return f'<ol class="rows">{"".join(_row(*row, widget, largest, len(results) == 1) for row in rows)}</ol>'


def _row(scalar: Scalar, result: Result, widget: Widget, largest: float, alone: bool) -> str:
    share = 100 * abs(scalar.value or 0.0) / largest
    name = charts.name_of(scalar.group, result, alone)
    return (
        f'<li class="{_palette(scalar.value, result)}"><i style="width:{share:.1f}%"></i>'
        f'<span class="name" title="{escape(name)}">{escape(name)}</span>'
        f'<span>{escape(_written(scalar.value, result, widget))}</span></li>'
    )


def _table(widget: Widget, drawing: Drawing) -> str:
    results = evaluate_widget(widget, drawing.store, drawing.window_of(widget), drawing.variables)
    values = [{scalar.group: scalar.value for scalar in result.scalars if _is_finite(scalar)} for result in results]
    groups = list(dict.fromkeys(group for column in values for group in column))
    if not groups:
        return _NO_DATA
    by = _order_by(results)
    groups.sort(key=lambda group: -(values[by].get(group) or 0.0))
    keys = [tag.partition(':')[0] for tag in groups[0]]
    head = ''.join(f'<th>{escape(name).replace("_", "_<wbr>")}</th>' for name in keys)
    head += ''.join(f'<th class="number">{escape(result.label)}</th>' for result in results)
    largest = [max((abs(value) for value in column.values() if value), default=1.0) for column in values]
    body = ''
    for group in groups[:MOST_ROWS]:
        cells = ''.join(f'<td>{escape(tag.partition(":")[2] or "N/A")}</td>' for tag in group)
        for column, result, most in zip(values, results, largest, strict=True):
            value = column.get(group)
            bar = ''
            if result.formula.definition.get('cell_display_mode') == 'bar' and value:
                bar = f'<i style="width:{100 * abs(value) / most:.1f}%"></i>'
            text = escape(_written(value, result, widget))
            cells += f'<td class="number {_palette(value, result)}">{bar}<span>{text}</span></td>'
        body += f'<tr>{cells}</tr>'
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _change(widget: Widget, drawing: Drawing) -> str:
    (result,) = evaluate_widget(widget, drawing.store, drawing.window_of(widget), drawing.variables)
    before = {scalar.group: scalar.value for scalar in result.earlier if _is_finite(scalar)}
    now = {scalar.group: scalar.value for scalar in result.scalars if _is_finite(scalar)}
    changes = {group: (now.get(group) or 0.0) - (before.get(group) or 0.0) for group in {**now, **before}}
    if not changes:
        return _NO_DATA
    bad = float.__lt__ if result.request.definition.get('increase_good') else float.__gt__
    rows = ''
    for group, change in sorted(changes.items(), key=lambda item: -item[1])[:MOST_ROWS]:
        name = escape(charts.name_of(group, result, True))
        earlier = before.get(group)
        share = f'{100 * change / earlier:+.0f}%' if earlier else 'new'
        rows += (
            f'<tr><td title="{name}">{name}</td>'
            f'<td class="number">{escape(_written(now.get(group), result, widget))}</td>'
            f'<td class="number palette {"white_on_red" if bad(change, 0.0) else "white_on_green"}">'
            f'<span>{"+" if change > 0 else ""}{escape(_written(change, result, widget))}</span></td>'
            f'<td class="number">{share}</td></tr>'
        )
    return f'<div class="table"><table><tbody>{rows}</tbody></table></div>'


def _order_by(results: Sequence[Result]) -> int:
    """Return the number of the column that rows are ordered by: the one with a limit, or the first."""
    for number, result in enumerate(results):
        if 'limit' in result.formula.definition:
            return number
    return 0


def _is_finite(scalar: Scalar) -> bool:
    return scalar.value is not None and math.isfinite(scalar.value)


def _check_status(widget: Widget, drawing: Drawing) -> str:
    statuses = evaluate_check_status(widget, drawing.store, drawing.window_of(widget), drawing.variables)
    if not any(statuses):
        return _NO_DATA
    palettes = {'critical': 'white_on_red', 'warning': 'white_on_yellow', 'ok': 'white_on_green'}
    palette = palettes.get(statuses.worst, 'white_on_gray')
    number = getattr(statuses, statuses.worst)
    of = f' of {sum(statuses)}' if sum(statuses) > number else ''
    return f'<div class="value palette {palette}"><b>{number}<small>{of} {statuses.worst.upper()}</small></b></div>'


def _elsewhere(widget: Widget, drawing: Drawing) -> str:
    return f'<div class="no-data">{_ELSEWHERE[widget.type]}</div>'


_BODIES = {
    'change': _change,
    'check_status': _check_status,
    'heatmap': _heatmap,
    'list_stream': _elsewhere,
    'manage_status': _elsewhere,
    'query_table': _table,
    'query_value': _query_value,
    'slo_list': _elsewhere,
    'timeseries': _timeseries,
    'toplist': _toplist,
    'treemap': _treemap,
}
