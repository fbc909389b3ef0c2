"""Hold the fixture proxy against a capture of the real one: what a scrape and a health check can see of both."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.fixture_proxy import start
from tests.fixture_proxy.traffic import exercise

from datadog_checks.litellm.page.family_types import is_creation_time

from .access import asks_for_key, needs_licence
from .capture import Capture
from .endpoints import Answers, ask, ask_for_metrics
from .label_values import Forms, alike, label_forms, mean_of

__all__ = ['Allowed', 'Difference', 'allowed', 'differences', 'unexplained', 'unneeded']

_ALLOWED_CSV = Path(__file__).with_name('allowed.csv')
# Labels that a format adds, not the family.
_FORMAT_LABELS = {'le', 'pid'}
# Durations that differ by more are not of one unit, or not of one thing.
_SAME_SCALE = 300.0

# Such as `type of litellm_spend_metric` to `counter`.
Facts = dict[str, str]


class Difference(NamedTuple):
    """A fact that is not the same of both proxies; empty where a proxy does not have it."""

    fact: str
    real: str
    fixture: str

    def __str__(self) -> str:
        return f'{self.fact}: {self.real or "nothing"} of the real proxy, {self.fixture or "nothing"} of the fixture'


class Allowed(NamedTuple):
    """A known difference: of which releases (separated by spaces, or `*`), in which facts (a pattern), and why.

    `database` tells whether it is one with a database, `without` one, or either way (`*`).
    """

    releases: str
    database: str
    fact: str
    reason: str

    def covers(self, capture: Capture, difference: Difference) -> bool:
        """Tell whether this is the known difference."""
        return self.is_of(capture) and fnmatchcase(difference.fact, self.fact)

    def is_of(self, capture: Capture) -> bool:
        """Tell whether the difference is one of this proxy."""
        circumstance = 'with' if capture.with_database else 'without'
        return self.database in ('*', circumstance) and (
            self.releases == '*' or capture.release in self.releases.split()
        )


@cache
def allowed() -> tuple[Allowed, ...]:
    """Return the known differences."""
    with _ALLOWED_CSV.open(newline='') as rows:
        return tuple(Allowed(**row) for row in csv.DictReader(rows))


def differences(capture: Capture) -> list[Difference]:
    """Return where the fixture is not like the real proxy."""
    fixture = _fixture(capture.release)
    # What was not asked of the real proxy is not asked of the fixture either.
    real, ours = _Facts(capture), _Facts(fixture if capture.flipped else fixture._replace(flipped={}))
    # The real traffic does not reach every family, so labels and bounds are compared where both have samples.
    our_samples = {fact: value for fact, value in ours.with_samples.items() if fact in real.with_samples}
    real_facts, our_facts = real.always | real.with_samples, ours.always | our_samples
    facts = sorted(real_facts.keys() | our_facts.keys())
    pairs = ((fact, real_facts.get(fact, ''), our_facts.get(fact, '')) for fact in facts)
    plain = [Difference(*pair) for pair in pairs if pair[1] != pair[2]]
    return [*plain, *_differing_forms(real.forms, ours.forms), *_differing_means(real.means, ours.means)]


def _differing_forms(real: Forms, ours: Forms) -> Iterator[Difference]:
    for told in sorted(real.keys() & ours.keys()):
        if not alike(told, real[told], ours[told]):
            yield Difference(f'values of {told}', *(' '.join(sorted(forms)) for forms in (real[told], ours[told])))


def _differing_means(real: Mapping[str, float], ours: Mapping[str, float]) -> Iterator[Difference]:
    for name in sorted(real.keys() & ours.keys()):
        low, high = sorted((real[name], ours[name]))
        if high > low * _SAME_SCALE:
            yield Difference(f'mean of {name}', f'{real[name]:.2g}', f'{ours[name]:.2g}')


def unexplained(capture: Capture, found: Iterable[Difference]) -> list[Difference]:
    """Return the differences that are not known."""
    return [difference for difference in found if not any(known.covers(capture, difference) for known in allowed())]


def unneeded(capture: Capture, found: Collection[Difference]) -> list[Allowed]:
    """Return the known differences of a proxy that are none."""
    known_here = (known for known in allowed() if known.is_of(capture))
    return [known for known in known_here if not any(known.covers(capture, difference) for difference in found)]


class _Facts:
    """The facts of a capture: those that are there always, those that only samples tell, and what is in these."""

    def __init__(self, capture: Capture) -> None:
        page = {family.name: family for family in text_string_to_metric_families(capture.page)}
        families = [family for name, family in page.items() if not is_creation_time(name, page)]
        self.always: Facts = {
            **{f'type of {family.name}': family.type for family in families},
            **dict(_answer_facts('', capture.answers)),
            **dict(_answer_facts(' with the setting flipped', capture.flipped)),
        }
        self.with_samples: Facts = {
            fact: value for family in families if family.samples for fact, value in _sample_facts(family)
        }
        self.forms: Forms = {told: forms for family in families for told, forms in label_forms(family).items()}
        means = ((family.name, mean_of(family)) for family in families if family.type == 'histogram')
        self.means = {name: mean for name, mean in means if mean}


def _sample_facts(family: Metric) -> Iterator[tuple[str, str]]:
    labels = {label for sample in family.samples for label in sample.labels} - _FORMAT_LABELS
    yield f'labels of {family.name}', ' '.join(sorted(labels)) or 'none'
    bounds = dict.fromkeys(sample.labels['le'] for sample in family.samples if 'le' in sample.labels)
    if bounds:
        yield f'bounds of {family.name}', ' '.join(bounds)


def _answer_facts(circumstances: str, answers: Answers) -> Iterator[tuple[str, str]]:
    for asked, answer in answers.items():
        # How names are escaped is said by the prometheus_client that is installed, or not: LiteLLM has no part in it.
        comparable = answer._replace(content_type=answer.content_type.partition('; escaping=')[0])
        for part, value in comparable._asdict().items():
            if value:
                yield f'{part} of {asked}{circumstances}', str(value)


@cache
def _fixture(release: str) -> Capture:
    """Return a capture of the fixture proxy as this release, after traffic that moves each of its families."""
    options = ['--release', release, *(['--unlicensed'] if needs_licence(release) else [])]
    with start(*options) as proxy:
        exercise(proxy.url, proxy.key)
        page, answers = proxy.scrape(), ask(proxy.url, proxy.key)
    with start(*options, '--no-auth' if asks_for_key(release) else '--auth') as proxy:
        flipped = ask_for_metrics(proxy.url, proxy.key)
    return Capture(release, page, answers, flipped)
