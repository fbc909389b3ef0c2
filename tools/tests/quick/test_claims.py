"""Claims about Datadog: each has a source and a date, and is made where docs/claims.md says."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from tests.support.documents import ROOT, Row, page

CLAIMS = page('docs/claims.md').rows('Where claims about Datadog come from')
# What the page says, for each row of the table.
PHRASES = [
    'a name with one set of tag values, the host included',
    'more than 100 indexed points in the month, the indexed points above 10 million for each name',
    'metrics by name with their category',
    'through upgrades since 7.69',
    'but not what replaces an integration of its own',
    'integration install -w',
    'local versions such as `2.6.0+1` they cannot',
    'the newest is 2.6.0',
    'which of them later versions of the bundled check have',
    'cut at 200 characters',
    'the average over the month of how many different ones there were in each hour',
    'Every Agent since 7.68 bundles',
]
_LINK = re.compile(r'\[[^\]]+\]\(([^)]+)\)')


@pytest.mark.parametrize('claim', CLAIMS, ids=[f'claim {number}' for number, _ in enumerate(CLAIMS, 1)])
def test_a_claim_has_a_page_that_makes_it_a_source_and_a_month(claim: Row) -> None:
    _, made_in, source, month = claim.cells
    pages = _LINK.findall(made_in)

    assert [name for name in pages if not (ROOT / 'docs' / name).exists()] == []
    assert pages
    assert all(urlsplit(link).scheme == 'https' for link in _LINK.findall(source))
    assert _LINK.findall(source) or source == 'the same'
    assert re.fullmatch(r'20\d\d-(0[1-9]|1[0-2])', month)


def test_a_page_still_makes_each_claim() -> None:
    gone = []
    for claim, phrase in zip(CLAIMS, PHRASES, strict=True):
        gone += [
            name for name in _LINK.findall(claim.cells[1]) if phrase not in ' '.join(page(f'docs/{name}').text.split())
        ]

    assert gone == []


def test_only_one_page_says_what_datadog_bills() -> None:
    told = re.compile(r'(?i)\b(bills?|billed)\b.*\bcustom metrics?\b|\bcustom metrics?\b.*\b(bills?|billed)\b')
    pages = [ROOT / 'README.md', ROOT / 'litellm' / 'README.md', *(ROOT / 'docs').glob('*.md')]

    assert {path.name for path in pages if told.search(path.read_text())} <= {'claims.md', 'cost.md'}
