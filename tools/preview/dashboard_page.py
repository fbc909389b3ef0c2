"""A dashboard as one HTML page that needs nothing else: styles, scripts and data are in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import NamedTuple

from plotly.offline.offline import get_plotlyjs

from tools.datadog_model import Dashboard, Store, Window

from .widgets import Drawing, draw

__all__ = ['Page', 'page']

_FOLDER = Path(__file__).parent


class Page(NamedTuple):
    """A page, and the titles of its widgets that found no data."""

    html: str
    empty: list[str]


def page(dashboard: Dashboard, store: Store, window: Window, source: str) -> Page:
    """Draw a dashboard over a window of a store; `source` says where the data come from."""
    choices = dashboard.choices()
    drawing = Drawing(store, window, choices)
    widgets = ''.join(draw(widget, drawing) for widget in dashboard.widgets)
    variables = ''.join(
        f'<li><b>{escape(name)}</b> {escape(", ".join(tags) or "*")}</li>' for name, tags in choices.items()
    )
    # A closing tag inside a string would end the script element.
    figures = json.dumps(drawing.figures, separators=(',', ':'), allow_nan=False).replace('</', '<\\/')
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(dashboard.title)}</title><style>{_text("style.css")}</style></head><body>'
        f'<header><h1>{escape(dashboard.title)}</h1><ul class="variables">{variables}</ul>'
        f'<p>{_span(window)}</p><button type="button" id="theme" title="Light or dark">◐</button></header>'
        f'<main class="grid">{widgets}</main>'
        f'<footer>{escape(source)} Drawn by a model of Datadog, not by Datadog.</footer>'
        f'<script type="application/json" id="figures">{figures}</script>'
        f'<script>{get_plotlyjs()}</script><script>{_text("script.js")}</script></body></html>\n'
    )
    return Page(html, drawing.empty)


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding='utf-8')


def _span(window: Window) -> str:
    start, end = (datetime.fromtimestamp(time, UTC) for time in window)
    until = f'{end:%H:%M}' if start.date() == end.date() else f'{end:%-d %b %H:%M}'
    return f'{start:%-d %b %H:%M} – {until} UTC'
