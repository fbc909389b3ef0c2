"""Tell whether the proxy of an instance can be scraped, and what would leave the host."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import Any, NamedTuple

from requests import Response
from requests.exceptions import RequestException

from datadog_checks.base.constants import ServiceCheck as Status

from ..check import LitellmCheck
from ..mapping.labels import is_personal
from ..report.concealment import conceal
from ..report.configuration import sends_key
from ..report.measure import Measurement, create_check, label_of, measure
from ..secrets import Redactor
from .finding import Finding, Verdict
from .other_check import labels_under_the_other_check

__all__ = ['look_at_proxy']

# Datadog drops points that are more than ten minutes ahead or an hour behind; a minute is a clock that nobody sets.
MOST_SKEW_SECONDS = 60.0

_LABEL = re.compile(rb'([a-zA-Z_]\w*)="')


class _Page(NamedTuple):
    labels: frozenset[str]
    skew: float | None
    """Seconds that the clock of the proxy is ahead, or None if it does not tell the time."""


def look_at_proxy(
    init_config: dict[str, Any], instance: dict[str, Any], redact: Redactor, interval: float
) -> Iterator[Finding]:
    """Scrape twice as the Agent would, and judge what comes of it. Raises a `ConfigurationError` as the check does."""
    check = create_check(init_config, instance)
    measurement = measure(check, lambda: time.sleep(interval))
    # Tokens that it has read.
    redact.learn(check.secrets.known)
    measurement = conceal(measurement, redact)
    if measurement.failure is not None:
        advice = (
            'Pass the key with --key-file.' if '401' in measurement.failure.message and not sends_key(instance) else ''
        )
        yield Finding(Verdict.PROBLEM, 'metrics page', measurement.failure.message, advice)
        return
    text = f'{len(measurement.contexts):,} contexts in {measurement.duration:.2f} s'
    yield Finding(
        Verdict.OK, 'metrics page', text + (f' from LiteLLM {measurement.version}' if measurement.version else '')
    )
    for warning in measurement.warnings:
        yield Finding(Verdict.NOTE, 'metrics page', warning)
    yield from _services(measurement)
    try:
        page = _read(check)
    except RequestException as error:
        yield Finding(Verdict.PROBLEM, 'metrics page', redact(str(error)))
        return
    yield _clock(page.skew)
    yield from _leaving(instance, measurement, page)


def _services(measurement: Measurement) -> Iterator[Finding]:
    for check in measurement.service_checks:
        if check.status == Status.OK and check.name != 'litellm.openmetrics.health':
            yield Finding(Verdict.OK, check.name, 'OK')
        elif check.status != Status.OK:
            verdict = Verdict.PROBLEM if check.status == Status.CRITICAL else Verdict.NOTE
            yield Finding(verdict, check.name, check.message)


def _clock(skew: float | None) -> Finding:
    if skew is None:
        return Finding(Verdict.NOTE, 'clock', 'the proxy does not tell the time')
    if abs(skew) <= MOST_SKEW_SECONDS:
        return Finding(Verdict.OK, 'clock', 'that of the proxy agrees with the one of this host')
    return Finding(
        Verdict.PROBLEM,
        'clock',
        f'that of the proxy is {abs(skew):,.0f} s {"ahead of" if skew > 0 else "behind"} the one of this host',
        'Set both by NTP. Datadog drops points of a host whose clock is ten minutes ahead, or an hour behind.',
    )


def _leaving(instance: Mapping[str, Any], measurement: Measurement, page: _Page) -> Iterator[Finding]:
    tags = {label_of(tag, measurement.labels) for context in measurement.contexts for tag in context.tags}
    now = sorted(filter(is_personal, tags))
    other = labels_under_the_other_check(instance, page.labels)
    if now:
        yield Finding(
            Verdict.NOTE,
            'leaving the host',
            f'labels that may identify a person: {", ".join(now)}',
            'Keep only the labels that you need with `include_labels`, or set `exclude_personal_labels`.',
        )
    else:
        yield Finding(Verdict.OK, 'leaving the host', 'no label that may identify a person')
    if other and other != now:
        yield Finding(
            Verdict.NOTE if now else Verdict.PROBLEM,
            'another check',
            f'would send of this page: {", ".join(other)}',
            'List them in `exclude_labels` as well.',
        )


def _read(check: LitellmCheck) -> _Page:
    """Request the page once more, for what the check does not keep of it."""
    (scraper,) = check.scrapers.values()
    labels: set[bytes] = set()
    with scraper.get_connection() as response:
        skew = _skew(response)
        for line in chain.from_iterable(scraper.lines_of(response, Counter())):
            if not line.startswith(b'#'):
                labels.update(_LABEL.findall(line))
    return _Page(frozenset(scraper.outgoing.name(label.decode()) for label in labels), skew)


def _skew(response: Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers.get('Date', '')).timestamp() - time.time()
    except ValueError:
        return None
