"""Claims about Datadog: each has a source and a date, and is made where docs/claims.md says."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from tests.support.documents import ROOT, Row, page

CLAIMS = page('docs/claims.md').rows('Where claims about Datadog come from')
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


@pytest.mark.parametrize(
    ('name', 'phrase'),
    [
        ('docs/cost.md', 'custom metric'),
        ('docs/cost.md', '100 indexed points'),
        ('docs/cost.md', '10 million'),
        ('docs/upgrades.md', '7.69'),
        ('docs/agents.md', 'the newest is 2.6.0'),
        ('docs/data.md', 'cut at 200 characters'),
    ],
)
def test_a_page_still_makes_its_claim(name: str, phrase: str) -> None:
    assert phrase in page(name).text


def test_only_one_page_says_what_datadog_bills() -> None:
    told = re.compile(r'(?i)\b(bills?|billed)\b.*\bcustom metrics?\b|\bcustom metrics?\b.*\b(bills?|billed)\b')
    pages = [ROOT / 'README.md', ROOT / 'litellm' / 'README.md', *(ROOT / 'docs').glob('*.md')]

    assert {path.name for path in pages if told.search(path.read_text())} <= {'claims.md', 'cost.md'}
