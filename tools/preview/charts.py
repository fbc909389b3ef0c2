"""Widgets that are drawn by plotly: its figures as plain data. Colours of text and grid come with the page's theme."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from itertools import cycle
from typing import Any

from tools.datadog_model import Result, Timeseries, Widget, Window

from .units import Scale, scale_of, unit_of

__all__ = ['Figure', 'Legend', 'heatmap', 'name_of', 'sparkline', 'timeseries', 'treemap']

Figure = dict[str, Any]

# The name and colour of each line. Legends are the page's own.
Legend = list[tuple[str, str]]

# Readable on white and on black.
_CLASSIC = (
    '#3c8dd9',
    '#8b5fd3',
    '#e0813a',
    '#2fa88a',
    '#d9577f',
    '#c2a02c',
    '#5a6ee0',
    '#58a944',
    '#b04fb3',
    '#7d8896',
)
_PALETTES = {
    'gray': ('#7d8896', '#9aa4b0', '#5f6975', '#b4bcc6'),
    'orange': ('#e0813a', '#c2a02c', '#f0a868', '#b5622a'),
    'warm': ('#d64545', '#e0813a', '#c2a02c', '#d9577f', '#b5622a', '#f0a868'),
}
_MARKERS = {'error': '#d64545', 'warning': '#e0a030'}
_DASHES = {'dashed': 'dash', 'solid': 'solid'}
# From few lines to many, on white and on black.
_HEAT = [[0.0, '#3c8dd933'], [0.35, '#3c8dd9'], [0.7, '#8b5fd3'], [1.0, '#d9577f']]
_RANGES, _COLUMNS = 20, 60
_WIDTH = 1.6
# How the time axis is labelled, by the seconds of the window.
_TIMES = ((600, '%H:%M:%S'), (36 * 3600, '%H:%M'), (math.inf, '%-d %b'))


def name_of(group: Sequence[str], result: Result, alone: bool) -> str:
    """Return the name of a line: the values of its tags, with the formula's alias if it has one and is not alone."""
    values = ', '.join(tag.partition(':')[2] or 'N/A' for tag in group)
    if not values:
        return result.label
    return values if alone or 'alias' not in result.formula.definition else f'{result.label}: {values}'


def timeseries(widget: Widget, results: Sequence[Result], window: Window) -> tuple[Figure, Legend]:
    """Draw lines, areas or bars over time."""
    traces: list[dict[str, Any]] = []
    legend: Legend = []
    scales: dict[str, Scale] = {}
    for axis in ('y', 'y2'):
        own = [result for result in results if _axis(result) == axis]
        if own:
            values = [value for result in own for line in result.series for _, value in line.points]
            scales[axis] = _of_axis(scale_of(unit_of(own[0]), values))
    colours = {name: cycle(palette) for name, palette in _PALETTES.items()}
    classic = cycle(_CLASSIC)
    for number, result in enumerate(results):
        palette = str((result.request.definition.get('style') or {}).get('palette', ''))
        for line in result.series:
            colour = next(colours.get(palette, classic))
            name = name_of(line.group, result, len(results) == 1)
            legend.append((name, colour))
            traces.append(_trace(result, line, number, name, colour, scales[_axis(result)]))
    figure: Figure = {'data': traces, 'layout': _layout(widget, scales, window)}
    if any(result.request.display_type == 'bars' for result in results):
        figure['layout']['barmode'] = 'relative'
        figure['layout']['bargap'] = 0.15
    return figure, legend


def heatmap(widget: Widget, results: Sequence[Result], window: Window) -> Figure:
    """Draw how many lines have a value in each range of values, interval by interval."""
    lines = [line for result in results for line in result.series]
    scale = _of_axis(scale_of(unit_of(results[0]), [value for line in lines for _, value in line.points]))
    rows = [[_rounded(value, scale) for _, value in line.points] for line in lines]
    step = max(value for row in rows for value in row if value is not None) / _RANGES or 1.0
    # Narrower than some pixels, a cell could not be seen.
    together = math.ceil(len(rows[0]) / _COLUMNS)
    counts = [[0] * math.ceil(len(rows[0]) / together) for _ in range(_RANGES)]
    for row in rows:
        for column, value in enumerate(row):
            if value is not None and value >= 0:
                counts[min(int(value / step), _RANGES - 1)][column // together] += 1
    seconds = together * results[0].interval
    trace = {
        'type': 'heatmap',
        # Where nothing is, nothing is drawn. Cells are named by their middle.
        'z': [[count or None for count in row] for row in counts],
        'x0': round((lines[0].points[0][0] + seconds / 2) * 1000),
        'dx': round(seconds * 1000),
        'y0': step / 2,
        'dy': step,
        'colorscale': _HEAT,
        'zmin': 0,
        'showscale': False,
        'hovertemplate': f'%{{z}} at {scale.before}%{{y:.3~s}}{scale.after}<extra></extra>',
    }
    return {'data': [trace], 'layout': _layout(widget, {'y': scale}, window) | {'hovermode': 'closest'}}


def treemap(result: Result, write: Callable[[float], str]) -> Figure:
    """Draw areas within areas, one level for each tag, in the colour of the outermost one."""
    totals: dict[tuple[str, ...], float] = {}
    own: dict[tuple[str, ...], float] = {}
    for group, value in result.scalars:
        path = tuple(tag.partition(':')[2] or 'N/A' for tag in group)
        own[path] = value or 0.0
        for depth in range(1, len(path) + 1):
            totals[path[:depth]] = totals.get(path[:depth], 0.0) + own[path]
    colours = dict(zip(dict.fromkeys(path[:1] for path in totals), cycle(_CLASSIC), strict=False))
    # No tag has a blank in it.
    names = {path: escape(' / '.join(path), quote=False) for path in totals}
    trace = {
        'type': 'treemap',
        'ids': list(names.values()),
        'labels': [escape(path[-1], quote=False) for path in totals],
        'parents': [names.get(path[:-1], '') for path in totals],
        'values': [own.get(path, 0.0) for path in totals],
        'text': [escape(write(total), quote=False) for total in totals.values()],
        'textinfo': 'label+text',
        'branchvalues': 'remainder',
        'marker': {
            'colors': [colours[path[:1]] for path in totals],
            'pad': {'t': 17, 'l': 2, 'r': 2, 'b': 2},
            'line': {'width': 1, 'color': '#ffffff'},
        },
        'textfont': {'color': '#ffffff'},
        'pathbar': {'visible': False},
        'hovertemplate': '%{id}<br>%{text}<extra></extra>',
    }
    return {'data': [trace], 'layout': {'margin': {'l': 0, 'r': 0, 't': 0, 'b': 0}}}


def _of_axis(scale: Scale) -> Scale:
    """Leave thousands to the axis, which writes a zero without their letter."""
    return replace(scale, factor=1.0, after=scale.after.removeprefix(scale.letter)) if scale.letter else scale


def _axis(result: Result) -> str:
    return 'y2' if result.request.definition.get('on_right_yaxis') else 'y'


def _trace(result: Result, line: Timeseries, number: int, name: str, colour: str, scale: Scale) -> dict[str, Any]:
    values = [_rounded(value, scale) for _, value in line.points]
    style = result.request.definition.get('style') or {}
    kind = result.request.display_type
    trace: dict[str, Any] = {
        # Plotly takes some markup in names for markup.
        'name': escape(name, quote=False),
        'x0': round(line.points[0][0] * 1000),
        'dx': round(result.interval * 1000),
        'y': values,
        'hovertemplate': f'{scale.before}%{{y:{".4~s" if scale.letter else ",.4~g"}}}{scale.after}',
    }
    if _axis(result) == 'y2':
        trace['yaxis'] = 'y2'
    if kind == 'bars':
        return {**trace, 'type': 'bar', 'marker': {'color': colour}}
    alone = _is_alone(values)
    trace |= {
        'type': 'scatter',
        # A value between two gaps makes no line.
        'mode': 'lines+markers' if alone else 'lines',
        'marker': {
            'color': colour,
            'line': {'width': 0},
            'size': [4 if index in alone else 0 for index in range(len(values))],
        },
        'line': {
            'color': colour,
            'width': _WIDTH,
            'dash': _DASHES[style.get('line_type', 'solid')],
        },
        'connectgaps': False,
    }
    if kind == 'area':
        trace |= {'stackgroup': f'{_axis(result)}{number}', 'fillcolor': f'{colour}66'}
        trace['line']['width'] = 1.0
    return trace


def _is_alone(values: Sequence[float | None]) -> set[int]:
    padded = [None, *values, None]
    return {
        index
        for index, value in enumerate(values)
        if value is not None and padded[index] is None and padded[index + 2] is None
    }


def _rounded(value: float | None, scale: Scale) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(f'{value / scale.factor:.6g}')


def _layout(widget: Widget, scales: dict[str, Scale], window: Window) -> dict[str, Any]:
    layout: dict[str, Any] = {
        'xaxis': {
            'type': 'date',
            'range': [round(window.start * 1000), round(window.end * 1000)],
            'tickformat': next(form for seconds, form in _TIMES if window.end - window.start <= seconds),
        },
        'yaxis': _yaxis(scales.get('y', Scale(1.0))),
        'hovermode': 'x unified',
        'shapes': [],
        'annotations': [],
    }
    if 'y2' in scales:
        right = {'overlaying': 'y', 'side': 'right', 'showgrid': False, 'tickmode': 'auto'}
        layout['yaxis2'] = {**_yaxis(scales['y2']), **right}
    for marker in widget.definition.get('markers') or ():
        height = float(str(marker['value']).removeprefix('y = ')) / scales['y'].factor
        kind, dash = marker['display_type'].split()
        colour = _MARKERS[kind]
        layout['shapes'].append(
            {
                'type': 'line',
                'xref': 'paper',
                'x0': 0,
                'x1': 1,
                'y0': height,
                'y1': height,
                'line': {'color': colour, 'width': 1.2, 'dash': _DASHES[dash]},
            }
        )
        layout['annotations'].append(
            {
                'text': escape(str(marker.get('label', '')).strip(), quote=False),
                'xref': 'paper',
                'x': 1,
                'y': height,
                'xanchor': 'right',
                'yanchor': 'bottom',
                'showarrow': False,
                'font': {'size': 10, 'color': colour},
            }
        )
    return layout


def _yaxis(scale: Scale) -> dict[str, Any]:
    # Three digits and a unit are enough.
    axis: dict[str, Any] = {
        'tickprefix': scale.before,
        'ticksuffix': scale.after if scale.after.strip() in _ON_AXES or scale.before else scale.after.split(' ')[0],
        'exponentformat': 'none',
        'separatethousands': True,
        'rangemode': 'tozero',
        'nticks': 5,
    }
    if scale.letter:
        axis['tickformat'] = '~s'
    return axis


_ON_AXES = frozenset({'%', 'B', 'KiB', 'MiB', 'GiB', 'TiB', 'd', 'h', 'min', 's', 'ms', 'µs'})


def sparkline(lines: Sequence[Timeseries], interval: float, on_colour: bool) -> Figure:
    """Draw the area behind a single value, whose background may have a colour."""
    shade = '#ffffff' if on_colour else '#8a8f99'
    traces = [
        {
            'x0': 0,
            'dx': interval,
            'y': [_rounded(value, Scale(1.0)) for _, value in line.points],
            'hoverinfo': 'skip',
            'type': 'scatter',
            'mode': 'lines',
            'line': {'width': 1, 'color': f'{shade}66'},
            'fill': 'tozeroy',
            'fillcolor': f'{shade}22',
        }
        for line in lines[:1]
    ]
    hidden = {'visible': False, 'fixedrange': True}
    margin = {'l': 0, 'r': 0, 't': 0, 'b': 0}
    return {'data': traces, 'layout': {'xaxis': hidden, 'yaxis': {**hidden, 'rangemode': 'tozero'}, 'margin': margin}}
