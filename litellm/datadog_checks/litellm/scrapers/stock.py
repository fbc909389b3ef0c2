"""Use the base package's own scraper, for those who ask for it with `use_stock_scraper`.

Its counts are less exact, and a scrape costs more CPU: see `exact`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, MutableMapping
from typing import Any

from prometheus_client import Metric as PrometheusFamily
from requests.exceptions import RequestException

from ..mapping.sharing import can_match
from ..metrics import NO_LIMIT, unprefixed
from ..options import Options
from ..page.family_types import CREATED, CUMULATIVE_TYPES
from ..transport.errors import NOT_AN_EXPOSITION, NotMetricsError, as_error_of_answer
from .base import LitellmScraper
from .left_to_base import merge_equal
from .telemetry import payload_size
from .warnings import repeated_samples

__all__ = ['StockScraper']

# The type of families without a TYPE line.
UNTYPED = 'unknown'

# The label whose values are numbers, by the type of a family.
BOUNDS = {'histogram': 'le', 'summary': 'quantile'}


class StockScraper(LitellmScraper):
    """Parse and submit as the base package does, but nothing that is no metric.

    Left out are `_created` series, which are timestamps, gauge values that mean "no limit", and labels that must not
    leave the host.
    """

    def __init__(self, check: Any, config: MutableMapping[str, Any], options: Options) -> None:
        super().__init__(check, config, options)
        self.share_only(can_match)

    def read_and_submit(self) -> None:
        self.read_page(super().read_and_submit)

    def stream_connection_lines(self) -> Iterator[str]:
        """Yield the lines of the page, read as in `ExactScraper` and not by `requests`.

        `requests` would read a body of any size, and end lines at Unicode line separators as well.
        """
        bad_lines: Counter[str] = Counter()
        size = 0
        with self.get_connection() as response:
            for lines in self.lines_of(response, bad_lines):
                size += sum(map(len, lines)) + len(lines)
                yield from (line.decode('utf-8', 'replace') for line in lines)
        if bad_lines:
            raise NotMetricsError(NOT_AN_EXPOSITION)
        if self.enable_telemetry:
            self.gauge('telemetry.payload.size', payload_size(response, size), tags=self.tags)

    def parse_metrics(self) -> Iterator[PrometheusFamily]:
        try:
            families = list(super().parse_metrics())
        except RequestException:
            raise
        except ValueError:
            raise NotMetricsError(NOT_AN_EXPOSITION) from None
        except Exception as error:  # noqa: BLE001, it is raised again
            raise as_error_of_answer(error) from None
        if not all(map(_is_bounded, families)):
            raise NotMetricsError(NOT_AN_EXPOSITION)
        typed = {family.name for family in families if family.type != UNTYPED}
        self.judge_page(typed, has_samples=any(family.samples for family in families))

        if repeated := _repeated(families):
            outcome = 'The base package submits each value as the total of one counter, so that counts are wrong.'
            self.warning(repeated_samples(repeated, self.endpoint, outcome))

        cumulative = set()
        for family in families:
            if family.type in CUMULATIVE_TYPES:
                cumulative.add(family.name)
                family.samples = [sample for sample in family.samples if sample.name != family.name + CREATED]
            elif family.name.removesuffix(CREATED) in cumulative:
                continue
            elif family.type == 'gauge':
                family.samples = [sample for sample in family.samples if sample.value not in NO_LIMIT]
            self._withhold_labels(family)
            if self.rules.collect_unknown and self.rules.is_unknown(family.name):
                self.map_family(family.name, unprefixed(family.name))
            yield family

    def _withhold_labels(self, family: PrometheusFamily) -> None:
        """Remove the labels that must not leave the host, and merge samples that become equal."""
        outgoing = [self.outgoing.of(sample.labels) for sample in family.samples]
        if all(labels is sample.labels for labels, sample in zip(outgoing, family.samples, strict=True)):
            return
        family.samples = [
            sample._replace(labels=dict(labels))
            for labels, sample in zip(outgoing, family.samples, strict=True)
            if labels is not None
        ]
        merge_equal(family)


def _is_bounded(family: PrometheusFamily) -> bool:
    """Tell whether the bounds of a family are numbers: at any other the base package stops halfway, and quotes it."""
    label = BOUNDS.get(family.type)
    if label is None:
        return True
    try:
        for sample in family.samples:
            if label in sample.labels or sample.name.endswith('_bucket'):
                float(sample.labels[label])
    except (KeyError, ValueError):
        return False
    return True


def _repeated(families: list[PrometheusFamily]) -> int:
    """Return how many samples of a page are there not for the first time."""
    # Hashes take a fraction of the memory of what they are of.
    seen = {hash((sample.name, frozenset(sample.labels.items()))) for one in families for sample in one.samples}
    return sum(len(one.samples) for one in families) - len(seen)
