"""What the lines of a page mean, worked out once per line and remembered.

A line of a metrics page is `family{labels} value`, and only the value changes from one scrape to the next. So the part
before the value is parsed once: it gets a slot, which has the metric, tags and hostname to submit the value with. On
later pages the line is recognized by the hash of that part. As lines keep their order, the line after that of slot 7 is
most likely that of slot 8, and then not even a lookup is needed.

Only the 64-bit hash is kept, not the text, which is by far the largest part of a page. The probability that any two of
500,000 lines share a hash is 7e-9, and as Python seeds its hashes per process, nobody can provoke it.

A line is remembered until the proxy has left it out for several pages: see `ledger`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from math import isinf, isnan
from typing import NamedTuple

from ..mapping.labels import UNREADABLE
from ..mapping.rules import Rules
from ..metrics import Reduction, gauge_reduction
from ..transport.errors import NOT_AN_EXPOSITION, NotMetricsError
from .exposition import NO_LABELS, BadLineError, parse_labels, parse_value, split_bound, split_sample
from .family_types import CREATED, CUMULATIVE_TYPES, OVERRIDES, SUFFIXES, UNKNOWN, parse_declaration
from .ledger import ABSENT, Ledger, Series, Slot

__all__ = ['Context', 'Metric', 'SampleTable', 'TaggedSeries']

# In multiprocess mode this label tells apart the gauges of the workers. It means nothing to a user.
PID = 'pid'


class Metric(NamedTuple):
    """What samples of one name are submitted as: the full name, and how gauges with the same tags become one."""

    name: str
    is_gauge: bool = False
    is_elapsed: bool = False
    reduction: Reduction | None = None


class Family:
    """A family as its TYPE line declares it."""

    __slots__ = ('datadog_name', 'has_counts', 'is_submitted', 'name', 'series', 'type', 'unsubmitted')

    def __init__(self, name: str, type_: str, datadog_name: str | None) -> None:
        self.name = name
        self.type = type_
        self.datadog_name = datadog_name
        self.is_submitted = False
        self.has_counts = False
        # By the hash of their label text. None for a series that the instance does not want.
        self.series: dict[int, TaggedSeries | None] = {}
        # Samples that are not submitted, creation times among them.
        self.unsubmitted: list[Slot] = []


class Role(NamedTuple):
    """What samples of one name are in their family. Without a metric they are not submitted."""

    family: Family
    metric: Metric | None
    is_bucket: bool = False
    is_created: bool = False


class TaggedSeries(Series):
    """A series with the tags and hostname of its samples, and all series that share them, if there are others."""

    __slots__ = ('hostname', 'sharers', 'tags')

    def __init__(self, tags: list[str], hostname: str) -> None:
        super().__init__()
        self.tags = tags
        self.hostname = hostname
        self.sharers: list[TaggedSeries] | None = None


# Stands in for the series of samples that are not submitted.
NOBODY = TaggedSeries([], '')


class Context:
    """A metric with its tags, where several samples may share them. Gauges always have one."""

    __slots__ = ('closed', 'hostname', 'is_held', 'metric', 'slots', 'tags', 'total')

    def __init__(self, metric: Metric, tags: list[str], hostname: str) -> None:
        self.metric = metric
        self.tags = tags
        self.hostname = hostname
        self.slots: list[Slot] = []
        # The sum of totals of forgotten samples, and the total submitted last.
        self.closed = 0.0
        self.total: float | None = None
        # Whether a `ContextLimit` holds it back. None until it has decided.
        self.is_held: bool | None = None


class SampleTable:
    """Read pages into one value per slot, and learn new lines by the rules of the instance."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.ledger = Ledger()
        # What a slot is submitted as. None if it is not submitted, or only as part of a context.
        self.metrics: list[Metric | None] = []
        self.bounds: list[str | None] = []
        self.series: list[TaggedSeries] = []
        self.contexts: dict[tuple[str, ...], Context] = {}
        # What a slot would be submitted as if a `ContextLimit` did not hold it back.
        self.held: dict[Slot, Metric] = {}
        self.families_on_page: set[str] = set()
        # How many samples of the page came before their TYPE line.
        self.unlearned = 0

        self._keys: list[int] = []
        self._slots: dict[int, Slot] = {}
        self._families: dict[str, Family] = {}
        self._roles: dict[bytes, Role] = {}
        self._first_with_tags: dict[int, TaggedSeries] = {}
        self._bound_tags: dict[bytes, str | None] = {}
        # The same tag occurs in many series: each is kept in memory once.
        self._tags_of_page: dict[str, str] = {}

    def read_page(self, batches: Iterable[list[bytes]], bad_lines: Counter[str]) -> array[float]:
        """Return the value of every slot, `ABSENT` for those that are not on the page, and count the bad lines.

        A line that cannot be read costs that line only: one odd label must not lose the counts of thousands of other
        samples. Its sample is absent, as if the proxy had left it out, so its count continues once the line can be read
        again. Raises `NotMetricsError` when there are bad lines and no TYPE line at all: that is some other page.
        Truncated pages never get here: see `read_lines`.
        """
        self.families_on_page = set()
        self.unlearned = 0
        values = array('d', [ABSENT]) * len(self._keys)
        keys, slots = self._keys, self._slots
        slot = -1
        try:
            for lines in batches:
                for line in lines:
                    key, _, value = line.rpartition(b' ')
                    slot += 1
                    try:
                        if keys[slot] != hash(key):
                            slot = slots[hash(key)]
                        values[slot] = float(value)
                    except (LookupError, ValueError):
                        try:
                            slot = self._read_unknown(line, values, slot - 1)
                        except BadLineError as error:
                            bad_lines[str(error)] += 1
        finally:
            self._tags_of_page = {}
        if bad_lines and not self.families_on_page:
            raise NotMetricsError(NOT_AN_EXPOSITION)
        return values

    def all_series(self) -> Iterator[TaggedSeries]:
        """Yield every series that is submitted."""
        for family in self._families.values():
            for series in family.series.values():
                if series is not None:
                    yield series

    def value_of(self, sample: bytes, values: array[float]) -> float | None:
        """Return a sample's value on a page, submitted or not."""
        slot = self._slots.get(hash(sample))
        return None if slot is None or isnan(values[slot]) else values[slot]

    def wanted_samples(self) -> Iterator[str]:
        """Yield the sample names that are submitted, and those of their creation times, of all known families."""
        for sample, role in self._roles.items():
            family = role.family
            # As Prometheus' Python client names them, a counter's sample always ends in `_total`.
            is_alias = family.type == 'counter' and sample == family.name.encode()
            if not is_alias and (role.metric is not None or (role.is_created and family.is_submitted)):
                yield sample.decode()

    def closed_by(self, gone: Container[Slot]) -> Iterator[tuple[Metric, list[str], str]]:
        """Yield metric, tags and hostname of each count that loses all of its samples."""
        for slot, metric in enumerate(self.metrics):
            if metric is not None and slot in gone:
                yield metric, self.tags(slot), self.series[slot].hostname
        for context in self.contexts.values():
            if not context.metric.is_gauge and not context.is_held and all(slot in gone for slot in context.slots):
                yield context.metric, context.tags, context.hostname

    def forget_new(self) -> None:
        """Forget the samples that are new on the current page."""
        settled = self.ledger.settled
        if len(self._keys) > settled:
            self.forget(range(settled, len(self._keys)))

    def tags(self, slot: Slot) -> list[str]:
        series, bound = self.series[slot], self.bounds[slot]
        return series.tags if bound is None else [*series.tags, bound]

    def forget(self, gone: Container[Slot]) -> None:
        """Forget the samples in these slots. The others are renumbered, in the same order."""
        kept = [slot for slot in range(len(self._keys)) if slot not in gone]
        moved = {slot: new for new, slot in enumerate(kept)}

        for context in self.contexts.values():
            if not context.metric.is_gauge:
                context.closed += sum(self.ledger.last_total(slot) for slot in context.slots if slot not in moved)
            context.slots = [moved[slot] for slot in context.slots if slot in moved]
        self.contexts = {key: context for key, context in self.contexts.items() if context.slots}

        self.ledger.keep(kept)
        self.metrics = [self.metrics[slot] for slot in kept]
        self.held = {moved[slot]: metric for slot, metric in self.held.items() if slot in moved}
        self.bounds = [self.bounds[slot] for slot in kept]
        self.series = [self.series[slot] for slot in kept]
        self._keys = [self._keys[slot] for slot in kept]
        self._slots = {key: slot for slot, key in enumerate(self._keys)}

        for family in self._families.values():
            family.unsubmitted = [moved[slot] for slot in family.unsubmitted if slot in moved]
        for series in self.all_series():
            series.renumber(moved)
        self._forget_series()
        self._bound_tags = {}

    def forget_families(self) -> None:
        """Forget families without a known sample. They are learned again when a page declares them again."""
        self._families = {
            declared: family for declared, family in self._families.items() if family.series or family.unsubmitted
        }
        self._roles = {
            name: role for name, role in self._roles.items() if role.family.series or role.family.unsubmitted
        }

    def _forget_series(self) -> None:
        """Forget series without samples. Dictionaries never shrink, so they are replaced."""
        for family in self._families.values():
            family.series = {key: series for key, series in family.series.items() if series and series.slots}
        first_with_tags = {}
        for key, series in self._first_with_tags.items():
            if series.sharers is not None:
                series.sharers[:] = [sharer for sharer in series.sharers if sharer.slots]
            heirs = series.sharers or [series]
            if heirs[0].slots:
                first_with_tags[key] = heirs[0]
        self._first_with_tags = first_with_tags

    def _read_unknown(self, line: bytes, values: array[float], slot_before: Slot) -> Slot:
        """Read a line that has moved, is not in its plain form, or is new, and return its slot.

        Raises `BadLineError` when it cannot be read.
        """
        line = line.strip()
        if not line:
            return slot_before
        if line.startswith(b'#'):
            self._read_comment(line.decode('utf-8', 'replace'))
            return slot_before

        sample, text = split_sample(line)
        value = parse_value(text)
        slot = self._slots.get(hash(sample))
        if slot is None:
            # Raises all errors of a line before it remembers anything of it.
            slot = self._learn(sample)
            values.append(ABSENT)
        values[slot] = value
        return slot

    def _read_comment(self, comment: str) -> None:
        declaration = parse_declaration(comment)
        if declaration is not None:
            declared, name, type_ = declaration
            self.families_on_page.add(name)
            known = self._families.get(declared)
            if known is None or (known.type != type_ and known.datadog_name is None):
                self._declare(declared, name, type_)

    def _declare(self, declared: str, name: str, type_: str) -> None:
        """Learn a family, and relearn what was taken for it before and not submitted.

        As in the base package, a family that is submitted keeps the type that it was first declared with.
        """
        datadog_name, submitted_type = self._rules.submission(name, type_)
        family = Family(name, type_, datadog_name)
        former = self._families.get(declared)
        if former is not None:
            self._unlearn(former, is_submitted=datadog_name is not None)
            for suffix in ('', CREATED, *SUFFIXES[former.type]):
                sample_name = f'{former.name}{suffix}'.encode()
                if sample_name in self._roles and self._roles[sample_name].family is former:
                    del self._roles[sample_name]
        roles = {}
        for suffix in SUFFIXES[type_]:
            metric = None
            # A sample that the submitted type does not have is not submitted, as in the base package.
            metric_suffix = OVERRIDES.get(submitted_type, SUFFIXES.get(submitted_type, {}).get(suffix))
            is_left_out = suffix == '_bucket' and not self._rules.collect_buckets
            if datadog_name is not None and metric_suffix is not None and not is_left_out:
                metric = self._metric(family, metric_suffix, submitted_type)
            roles[f'{name}{suffix}'.encode()] = Role(family, metric, is_bucket=suffix == '_bucket')
        metrics = [role.metric for role in roles.values() if role.metric is not None]
        family.is_submitted = bool(metrics)
        family.has_counts = not all(metric.is_gauge for metric in metrics)
        if type_ in CUMULATIVE_TYPES:
            roles[f'{name}{CREATED}'.encode()] = Role(family, None, is_created=True)

        self._families[declared] = family
        for sample_name, role in roles.items():
            before = self._roles.get(sample_name)
            if before is None:
                self._roles[sample_name] = role
            elif before.metric is None and not before.is_created:
                if role.metric is not None or role.is_created:
                    # Its lines came before this TYPE line, and were not submitted.
                    self._unlearn(before.family, is_submitted=role.metric is not None)
                self._roles[sample_name] = role

    def _metric(self, family: Family, suffix: str, submitted_type: str) -> Metric | None:
        name = self._rules.full_name(f'{family.datadog_name}{suffix}')
        if name is None:
            return None
        is_gauge = submitted_type in ('gauge', 'time_elapsed') or suffix == '.quantile'
        return Metric(
            name, is_gauge, submitted_type == 'time_elapsed', gauge_reduction(self._rules.trimmed(family.name))
        )

    def _unlearn(self, family: Family, is_submitted: bool) -> None:
        """Make the lines of a family that was not submitted unknown, so that they are learned again."""
        for slot in family.unsubmitted:
            if is_submitted and slot < self.ledger.settled:
                self.ledger.reveals = True
            elif is_submitted:
                self.unlearned += 1
            self._slots.pop(self._keys[slot], None)
            # hash() never returns -1.
            self._keys[slot] = -1
        family.unsubmitted = []

    def _learn(self, sample: bytes) -> Slot:
        """Give a slot to a sample that is not known."""
        name, _, labels = sample.partition(b'{')
        labels = labels.removesuffix(b'}')
        role = self._role(name.rstrip())
        metric, bound_tag = role.metric, None
        if role.is_bucket and metric is not None:
            labels, bound = split_bound(labels)
            bound_tag = self._tag_of_bound(bound)
            if bound_tag is None:
                metric = None
        series = None
        if metric is not None or (role.is_created and role.family.is_submitted):
            series = self._series_of(role.family, labels)

        slot, key = len(self._keys), hash(sample)
        self._keys.append(key)
        self._slots[key] = slot
        if metric is None or series is None:
            self._add(None, NOBODY, None)
            role.family.unsubmitted.append(slot)
            if series is not None and role.is_created:
                series.created_slot = slot
            return slot

        self._add(metric, series, bound_tag)
        series.slots.append(slot)
        if metric.is_gauge or series.sharers is not None:
            self._move_to_context(slot, metric)
        return slot

    def _add(self, metric: Metric | None, series: TaggedSeries, bound: str | None) -> None:
        self.metrics.append(metric)
        self.series.append(series)
        self.bounds.append(bound)
        self.ledger.add(series if metric is not None and not metric.is_gauge else None)

    def _role(self, sample_name: bytes) -> Role:
        role = self._roles.get(sample_name)
        if role is not None:
            return role
        name = sample_name.decode()
        family = self._families.get(name)
        if family is not None:
            # Families of this type have no sample with the bare name.
            role = self._roles[sample_name] = Role(family, None)
            return role
        # There is no TYPE line for it. An option may still give it a type.
        self._declare(name, name, UNKNOWN)
        return self._roles[sample_name]

    def _series_of(self, family: Family, labels: bytes) -> TaggedSeries | None:
        """Return the series of a family with these labels, or None when the instance does not want it."""
        key = hash(labels)
        if key in family.series:
            return family.series[key]

        # The Agent ends a tag at a NUL, and could take two series for one.
        parsed = parse_labels(labels.decode('utf-8', 'replace').replace('\0', UNREADABLE))
        if family.type == 'gauge':
            parsed.pop(PID, None)
        try:
            tagged = self._rules.tags(family.type, parsed)
        except ValueError:
            # A bound or quantile that is not a number.
            raise BadLineError(NO_LABELS) from None
        if tagged is None:
            family.series[key] = None
            return None
        tags, hostname = tagged
        shared = [self._tags_of_page.setdefault(tag, tag) for tag in tags]
        series = family.series[key] = TaggedSeries(shared, hostname)
        if family.has_counts:
            # A gauge has a context in any case.
            self._share_tags(family, series)
        return series

    def _share_tags(self, family: Family, series: TaggedSeries) -> None:
        """Link this series to other series of the same metrics with the same tags, if there are any."""
        tags = sorted(set(series.tags))
        first = self._first_with_tags.setdefault(hash((family.datadog_name, series.hostname, *tags)), series)
        if first is series or first.hostname != series.hostname or sorted(set(first.tags)) != tags:
            return
        if first.sharers is None:
            first.sharers = [first]
            for slot in first.slots:
                metric = self.metrics[slot] or self.held.get(slot)
                if metric is not None:
                    self._move_to_context(slot, metric)
        first.sharers.append(series)
        series.sharers = first.sharers

    def _move_to_context(self, slot: Slot, metric: Metric) -> None:
        """Submit a sample as part of a context instead of on its own."""
        hostname, tags = self.series[slot].hostname, self.tags(slot)
        key = (metric.name, hostname, *sorted(set(tags)))
        context = self.contexts.get(key)
        if context is None:
            context = self.contexts[key] = Context(metric, tags, hostname)
        context.slots.append(slot)
        if slot < self.ledger.settled:
            context.is_held = slot in self.held
            context.total = None if context.is_held else self.ledger.last_total(slot)
        self.metrics[slot] = None
        self.held.pop(slot, None)

    def _tag_of_bound(self, bound: bytes) -> str | None:
        """Return the tag of a bucket's bound, or None when the bucket is not submitted.

        The bucket of all observations is their count, and no bucket counts anything without its bound.
        """
        if bound not in self._bound_tags:
            tagged = None if isinf(float(bound)) else self._rules.tags('histogram', {'le': bound.decode()})
            tags = [] if tagged is None else self._rules.without_static_tags(tagged[0])
            self._bound_tags[bound] = tags[0] if tags else None
        return self._bound_tags[bound]
