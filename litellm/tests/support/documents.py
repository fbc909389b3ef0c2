"""The Markdown pages of the repository, taken apart: headings, links, code and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ['ROOT', 'Block', 'Page', 'Row', 'page', 'pages']

ROOT = Path(__file__).resolve().parents[3]

_ATTRIBUTE = re.compile(r'\b(?:href|src|srcset)="([^"]*)"')
_NO_ANCHOR = re.compile(r'[^\w\- ]')


class Block(NamedTuple):
    """A fenced block."""

    page: Page
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f'{self.page.name}:{self.line}'


class Row(NamedTuple):
    """A row of a table: the text of its cells, and the code spans in them."""

    cells: list[str]
    code: list[list[str]]


class Page:
    """A Markdown page."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.text = path.read_text(encoding='utf-8')
        self._references: dict[str, dict[str, dict[str, str]]] = {}
        self._tokens = MarkdownIt('commonmark').enable('table').parse(self.text, self._references)

    def __str__(self) -> str:
        return self.name

    def anchors(self) -> set[str]:
        """Return the anchors of the headings, as GitHub makes them."""
        seen: Counter[str] = Counter()
        anchors = set()
        for opening, inline in zip(self._tokens, self._tokens[1:], strict=False):
            if opening.type != 'heading_open':
                continue
            anchor = _NO_ANCHOR.sub('', _plain(inline).lower()).replace(' ', '-')
            anchors.add(f'{anchor}-{seen[anchor]}' if seen[anchor] else anchor)
            seen[anchor] += 1
        return anchors

    def links(self) -> list[str]:
        """Return the targets of links and pictures, those in HTML as well."""
        found = []
        for token in self._inline():
            if token.type in ('link_open', 'image'):
                found.append(str(token.attrGet('href') or token.attrGet('src')))
            elif token.type in ('html_block', 'html_inline'):
                found += _ATTRIBUTE.findall(token.content)
        return found

    def unused_references(self) -> list[str]:
        """Return the definitions like `[1]: URL` to which nothing refers."""
        used = set(self.links())
        return [name for name, one in self._references.get('references', {}).items() if one['href'] not in used]

    def texts(self) -> list[str]:
        """Return what is neither code nor link."""
        return [token.content for token in self._inline() if token.type == 'text']

    def code(self) -> list[str]:
        """Return the code spans, each once."""
        return list(dict.fromkeys(token.content for token in self._inline() if token.type == 'code_inline'))

    def blocks(self) -> list[Block]:
        """Return the fenced blocks."""
        return [
            Block(self, token.map[0] + 1, token.info.strip(), token.content)
            for token in self._tokens
            if token.type == 'fence' and token.map
        ]

    def rows(self, heading: str) -> list[Row]:
        """Return the rows of the tables below a heading, down to the next of its level, without the heads."""
        rows: list[Row] = []
        level = ''
        body = False
        for token, inline in zip(self._tokens, [*self._tokens[1:], None], strict=True):
            if token.type == 'heading_open' and inline is not None:
                level = token.tag if _plain(inline) == heading else level if token.tag > level else ''
            elif token.type in ('tbody_open', 'tbody_close'):
                body = token.type == 'tbody_open'
            elif level and body and token.type == 'tr_open':
                rows.append(Row([], []))
            elif level and body and token.type == 'td_open' and inline is not None:
                rows[-1].cells.append(inline.content)
                rows[-1].code.append([child.content for child in inline.children or () if child.type == 'code_inline'])
        return rows

    def _inline(self) -> Iterator[Token]:
        for token in self._tokens:
            yield token
            yield from token.children or ()


@cache
def page(name: str) -> Page:
    """Return the page of that path in the repository."""
    return Page(ROOT / name)


@cache
def pages() -> list[Page]:
    """Return every page of the repository, without what `make release` builds."""
    names = (path.relative_to(ROOT) for path in ROOT.rglob('*.md'))
    return [
        page(name.as_posix())
        for name in sorted(names)
        if name.parts[0] != 'dist' and not any(part.startswith('.') for part in name.parts)
    ]


def _plain(inline: Token) -> str:
    return ''.join(child.content for child in inline.children or () if child.type in ('text', 'code_inline'))
