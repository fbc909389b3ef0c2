"""Run the check twice, as the Agent would, and record what it submits."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from datadog_checks.base.errors import ConfigurationError
from datadog_checks.base.stubs import aggregator, datadog_agent

from ..base_package import metadata_of
from ..check import LitellmCheck
from ..metrics import is_litellm_family
from ..options import unknown_options
from ..page.exposition import BadLineError
from ..page.family_types import is_creation_time, parse_declaration
from ..scrapers.exact import ExactScraper
from .aggregation import Aggregation, Context, Point

__all__ = [
    'Failure',
    'Measurement',
    'Page',
    'ServiceCheck',
    'create_check',
    'label_of',
    'measure',
    'read_page',
]

# Seconds between the runs of a check, unless its instance says otherwise.
DEFAULT_INTERVAL = 15.0

ISOLATION = 'process_isolation'


class ServiceCheck(NamedTuple):
    name: str
    status: int
    message: str
    tags: tuple[str, ...]
    host: str


class Failure(NamedTuple):
    """The error of a run, as the check's `run` reports it."""

    message: str
    traceback: str


@dataclass(frozen=True)
class Page:
    """The content of the metrics page, collected or not."""

    samples: int
    size: int
    """In bytes, uncompressed."""
    litellm: frozenset[str]
    """LiteLLM's own families, without the `_created` ones that only date another family's series."""
    unknown: frozenset[str]
    """LiteLLM's families that the check does not know."""
    process: int
    """How many families describe the Python process: `python_*` and `process_*`."""
    other: int
    """How many other families there are."""


@dataclass(frozen=True)
class Measurement:
    """Everything that two runs of the check submitted."""

    endpoint: str
    points: list[Point]
    """What the Agent would send of the second run."""
    contexts: frozenset[Context]
    """All contexts of the second run, including those without a value yet."""
    service_checks: list[ServiceCheck]
    warnings: list[str]
    """Warnings for the Agent's status page."""
    log: list[str]
    """Warnings in the log that are not among `warnings`."""
    runs: int
    interval: float
    """Seconds between the starts of the runs."""
    duration: float
    """Seconds that the last run took."""
    time: float
    """When the last run started, in seconds since the epoch."""
    version: str
    """Of LiteLLM, as in the Agent's metadata. Empty if it was not learned in time."""
    failure: Failure | None = None
    page: Page | None = None
    asked_health: bool = False
    """Whether /health was requested, for which LiteLLM may have called its models."""
    totals: Mapping[str, float] = field(default_factory=dict)
    """What the counts of each metric amount to since the proxy started."""
    is_exact: bool = True
    """Whether the exact scraper ran, and not the base package's own."""
    every: float = DEFAULT_INTERVAL
    """Seconds between the Agent's runs of this instance."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The label behind each tag name that `rename_labels` changes."""


def create_check(init_config: dict[str, Any], instance: dict[str, Any]) -> LitellmCheck:
    """Return a check to run. Raises a `ConfigurationError` if an option is invalid at first sight.

    It submits counts whether they move or not: what is looked at is what there is. It runs in this process, whatever
    `process_isolation` says, as another one would keep what it submits. Options that nobody reads are not among its
    own: whoever makes it tells of them.
    """
    # The stub aggregator is made for tests, and refuses tags that the Agent accepts.
    os.environ['DDEV_SKIP_GENERIC_TAGS_CHECK'] = 'true'
    unknown = {(one.name, one.is_shared) for one in unknown_options(init_config, instance)}
    unknown |= {(ISOLATION, True), (ISOLATION, False)}
    shared = {name: value for name, value in init_config.items() if (str(name), True) not in unknown}
    own = {name: value for name, value in instance.items() if (str(name), False) not in unknown}
    check = LitellmCheck('litellm', shared, [{**own, 'idle_counts': 'always'}])
    check.check_id = 'litellm:report'
    return check


def measure(check: LitellmCheck, pause: Callable[[], object]) -> Measurement:
    """Run the check twice, with a pause between, and return what the Agent would send after the second run.

    Counts need two runs: the Agent sends the increase between them. A failed run is the last one. Raises a
    `ConfigurationError` if invalid options prevent a scrape.
    """
    aggregation = Aggregation()
    warnings: list[str] = []
    started = 0.0
    with _Log() as log:
        for runs in (1, 2):
            if runs == 2:
                pause()
            aggregator.reset()
            previous, started = started, time.time()
            clock = time.perf_counter()
            errors = check.run()
            duration = time.perf_counter() - clock
            warnings.extend(check.get_warnings())
            points = aggregation.flush(aggregator, started)
            if errors:
                break
    if not check.scrapers:
        raise ConfigurationError(_failure(errors, '').message)
    ((endpoint, scraper),) = check.scrapers.items()
    contexts = {point.context for point in points}
    totals = scraper.totals() if isinstance(scraper, ExactScraper) else Counter()
    for name in aggregator.metric_names:
        for stub in aggregator.metrics(name):
            contexts.add(Context(stub.name, stub.hostname or '', frozenset(stub.tags or ())))
            if stub.type == aggregator.MONOTONIC_COUNT:
                totals[name] += stub.value
    return Measurement(
        endpoint=endpoint,
        points=points,
        contexts=frozenset(contexts),
        service_checks=list(_service_checks()),
        warnings=_unique(warnings),
        log=_unique(message for message in log.messages if message not in warnings),
        runs=runs,
        interval=started - previous,
        duration=duration,
        time=started,
        version=metadata_of(datadog_agent, check.check_id, 'version.raw'),
        failure=_failure(errors, endpoint) if errors else None,
        asked_health=check.queries_models,
        totals=totals,
        is_exact=isinstance(scraper, ExactScraper),
        every=_interval(check),
        labels={tag: label for label, tag in scraper.rename_labels.items()},
    )


def read_page(check: LitellmCheck) -> Page:
    """Read the page once more, to find what is on it and not collected."""
    (scraper,) = check.scrapers.values()
    samples = size = process = other = 0
    litellm = set()
    with scraper.get_connection() as response:
        for line in chain.from_iterable(scraper.lines_of(response, Counter())):
            size += len(line) + 1
            if not line.startswith(b'#'):
                samples += bool(line.strip())
                continue
            family = _declared_family(line.decode('utf-8', 'replace'), scraper.raw_metric_prefix)
            if family is None:
                continue
            if is_litellm_family(family):
                litellm.add(family)
            elif family.startswith(('python_', 'process_')):
                process += 1
            else:
                other += 1
    litellm = {family for family in litellm if not is_creation_time(family, litellm)}
    unknown = {family for family in litellm if scraper.rules.is_unknown(family)}
    return Page(samples, size, frozenset(litellm), frozenset(unknown), process, other)


def label_of(tag: str, labels: Mapping[str, str]) -> str:
    """Return the label behind a tag. `labels` has those that the check renames."""
    name = tag.partition(':')[0]
    return labels.get(name, name)


class _Log(logging.Handler):
    """Collect warnings instead of letting them run into the report."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def __enter__(self) -> _Log:
        logging.captureWarnings(True)
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)
        logging.captureWarnings(False)


def _service_checks() -> Iterator[ServiceCheck]:
    for name in aggregator.service_check_names:
        for stub in aggregator.service_checks(name):
            yield ServiceCheck(name, int(stub.status), stub.message or '', tuple(stub.tags or ()), stub.hostname or '')


def _interval(check: LitellmCheck) -> float:
    """Return the seconds between the Agent's runs of a check."""
    configured = (config.get('min_collection_interval') for config in (check.instance, check.init_config))
    return float(next(filter(None, configured), DEFAULT_INTERVAL))


def _failure(errors: str, endpoint: str) -> Failure:
    error = json.loads(errors)[0]
    # The base package puts a sentence with the URL in front, which the report shows anyway.
    message = error['message'].removeprefix(f'There was an error scraping endpoint {endpoint}: ')
    return Failure(message, error['traceback'])


def _declared_family(line: str, prefix: str) -> str | None:
    """Return the name of the family that a comment declares, as in `metrics`, or None if it declares none."""
    try:
        declaration = parse_declaration(line.encode())
    except BadLineError:
        return None
    return None if declaration is None else declaration.family.removeprefix(prefix)


def _unique(messages: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(messages))
