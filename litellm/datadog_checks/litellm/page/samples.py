"""Work out what the lines of a page mean, once per sample, and remember it.

A line of a metrics page is `family{labels} value`, and only the value changes from one scrape to the next. So the part
before the value is taken apart once: it gets a slot, which has what is submitted with the value. On later pages it is
`recognized`. Lines that differ in spelling only, such as the bounds `1` and `1.0`, are one sample.

What lines have in common is worked out once for all: the buckets of a series follow each other and share everything but
their bound, and the series of different families share label sets. What is known of families and series only serves to
learn: what happened to a sample is the business of the `ledger`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from itertools import chain
from math import inf, isfinite, isinf, isnan
from typing import NamedTuple

from prometheus_client import Metric as PrometheusFamily
from prometheus_client.samples import Sample

from ..mapping.labels import UNREADABLE, stored_tag
from ..mapping.rules import Rules, is_left_to_base
from ..metrics import CPU_SECONDS, MAXIMA_OF_BUDGETS, NO_LIMIT, START_TIME, gauge_reduction, is_shared_state
from ..transport.errors import NOT_AN_EXPOSITION, NotMetricsError
from .archive import Archive
from .exposition import NO_LABELS, TOO_MANY, BadLineError, parse_labels, split_bound
from .family_types import CREATED, CUMULATIVE_TYPES, OVERRIDES, SUFFIXES, UNKNOWN, parse_declaration
from .passing import Passing, PassingSample
from .recognition import Reading, Recognition
from .slots import (
    ABSENT,
    CAME,
    FEW_SAMPLES,
    LARGEST_COUNT,
    UNWANTED,
    Family,
    Flags,
    GaugeContext,
    Metric,
    SampleKind,
    Series,
    Slot,
    Slots,
    TagSet,
    places,
)

__all__ = ['SampleTable']

# Samples that tell of the process, which have no labels.
START = START_TIME.raw.encode()
CPU = CPU_SECONDS.encode()

# Beyond so many families, those that are not submitted cannot be read. LiteLLM has some two hundred, and programs that
# share a page with it have not many more.
MOST_FAMILIES = 10_000

# A page may spell a bound anew each time: no more are remembered than so many times the bounds.
MOST_SPELLINGS = 4

# Of these gauges whether they have any value tells of others.
MAXIMA = frozenset(MAXIMA_OF_BUDGETS.values())

# For how many pages of them it is remembered which samples have passed.
PASSED_PAGES = 3

# In multiprocess mode this label tells apart the gauges of the workers. It means nothing to a user.
PID = 'pid'


class SampleName:
    """The part that samples of one name have in their family. Buckets have a kind per bound."""

    __slots__ = ('can_pass', 'family', 'is_bucket', 'kind', 'kinds', 'kinds_by_text', 'metric')

    def __init__(self, family: Family, kind: SampleKind, is_bucket: bool = False) -> None:
        self.family = family
        self.kind = kind
        self.metric = kind.metric
        self.is_bucket = is_bucket
        # Whether its samples are on their own, so that they may pass.
        self.can_pass = (
            self.metric is not None
            and not is_bucket
            and family.type == ('gauge' if self.metric.is_gauge else 'counter')
            and family.whole is None
            and self.metric.name not in MAXIMA
        )
        self.kinds: dict[float, SampleKind] = {}
        self.kinds_by_text: dict[bytes, SampleKind] = {}


class LabelSet(NamedTuple):
    """The outcome for labels: their tags, None if the instance does not want them, and a hash of any spelling."""

    key: int
    tags: TagSet | None
    workers: int | None
    """The same for labels that differ in `pid` only, None without one."""


class BucketBefore(NamedTuple):
    """The bucket that was learned last, for the next one to be of the same series."""

    start: bytes
    """The text before its bound."""
    end: bytes
    """The text after it."""
    name: SampleName
    series: Series


class SampleTable:
    """Read pages into one value per slot, and learn new samples by the rules of the instance."""

    def __init__(self, rules: Rules, *, tells_unwanted: bool = False, tells_contexts: bool = False) -> None:
        """Tell of samples that are not submitted whether the instance wants their series, if that is asked for.

        So may be told of samples that pass whether their contexts are their own.
        """
        self._rules = rules
        self._tells_unwanted = tells_unwanted
        self._tells_contexts = tells_contexts
        self.slots = Slots()
        self.passing = Passing()
        self.gauges: dict[tuple[str, TagSet], GaugeContext] = {}
        self.families_on_page: set[str] = set()
        # Whether samples that are new on the page may be older, because they could not be told from others before. What
        # a page that failed has declared, the next one reveals.
        self.reveals = False
        # How many samples of the page came before their TYPE line.
        self.unlearned = 0
        # Those that earlier pages had without it: what came before it again, the next page reveals.
        self._late: list[Slot] = []

        self._recognition = Recognition(
            self.slots, self._learn_or_pass, self._learn_next_bucket, self._learn_passed, self._read_comment
        )
        self._archive = Archive()
        self._families: dict[str, Family] = {}
        self._names: dict[bytes, SampleName] = {}
        self._tag_sets: dict[int, TagSet] = {}
        # By metric name: the first series with these tags.
        self._first: dict[str | None, dict[TagSet, Series]] = {}
        # Of the current page, by the hash of their text.
        self._label_sets: dict[tuple[str, int], LabelSet] = {}
        # Of the current page: the slots of series with many samples.
        self._slots_by_kind: dict[Series, dict[SampleKind, Slot]] = {}
        # Of all series, by the hash in their family, and only if families share labels.
        self._labels: dict[int, dict[str, str]] = {}
        self._tags_by_text: dict[str, str] = {}
        self._stored_by_tag: dict[str, str] = {}
        self._bucket_before: BucketBefore | None = None
        # The families whose samples may pass on the current page, and how many samples were known before it.
        self._may_pass: Set[Family] = frozenset()
        self._known_before = 0
        # The samples that passed on the page before.
        self._passed_before = array('q')
        # Where the samples are that tell of the process.
        self._process_slots: dict[bytes, Slot] = {}
        # Whether any gauge has a `pid`.
        self._has_workers = False

    def read_page(self, batches: Iterable[list[bytes]], bad_lines: Counter[str], *, may_pass: bool = False) -> Reading:
        """Read a page, and count the lines of it that are bad. New samples may pass if that is allowed.

        Raises `NotMetricsError` when there are bad lines and no TYPE line at all: that is some other page. Truncated
        pages never get here: see `read_lines`.
        """
        self.families_on_page = set()
        self.unlearned = 0
        self.passing.begin()
        may_pass = may_pass and not self._tells_unwanted and not self._rules.shared.is_wanted
        self._may_pass = frozenset(filter(_tells_no_times, self._families.values())) if may_pass else frozenset()
        self._known_before = self.slots.samples
        try:
            reading = self._recognition.read(batches, bad_lines)
        finally:
            self._label_sets, self._slots_by_kind = {}, {}
            self._tags_by_text, self._stored_by_tag = {}, {}
            self._bucket_before = None
        if bad_lines and not self.families_on_page:
            raise NotMetricsError(NOT_AN_EXPOSITION)
        if len(self._archive) and 1 in self.slots.is_new:
            self._restore(reading)
        return reading

    def _restore(self, reading: Reading) -> None:
        """Let new samples that were known before go on from what they had counted."""
        slots = self.slots
        counts: dict[int, Slot] = {}
        # Whether the page has their time of creation or not. What went on without it has none to go on from.
        times: dict[int, Series] = {}
        for slot in slots.new():
            kind, series = slots.kinds[slot], slots.series[slot]
            if series is None or not (kind.is_count or kind.is_created):
                continue
            if series.parked is not None and series.parked.names is not None and series.slots:
                at = {name: position for position, name in enumerate(series.parked.names)}
                series.parked.keep([at.get(slots.kinds[one].key, len(at)) for one in series.slots])
                series.parked.names = None
            if kind.is_count:
                counts[_identity(kind, series.key)] = slot
            is_first = kind.is_created or slot == series.slots[0]
            if is_first and kind.family.created is not None and all(map(slots.is_new.__getitem__, series.slots)):
                times[_identity(kind.family.created, series.key)] = series
        found = []
        for key, value, seen in self._archive.take(counts.keys() | times.keys()):
            if key in times:
                times[key].created, times[key].seen = value, seen
            else:
                found.append((counts[key], value, seen))
        slots.passed = {counts[key] for key in counts.keys() & self._passed_before}
        for slot, value, seen in found:
            series = slots.series[slot]
            if series is not None and series.created == series.created and series.seen != seen:
                # Another incarnation had counted that: what this one has is not known.
                value = reading.values[slot]
            slots.last[slot], slots.warmth[slot] = value, CAME
            if reading.absent[slot]:
                reading.values[slot] = value

    def accept(self, reading: Reading) -> None:
        """Make this page the last one."""
        if self._has_workers and not all(self.slots.is_new):
            self._note_workers(reading)
        self._recognition.accept(reading)
        self.reveals, self._late = any(not reading.absent[slot] for slot in self._late), []
        self.slots.last, self.slots.absent = reading.values, reading.absent
        self.slots.settle()
        self._archive.settle()
        self._passed_before = array('q', self.passing.samples)
        if self.passing.samples:
            passed = self.passing.samples
            self._archive.put_undated(passed.keys(), (sample.value for sample in passed.values()))
            self._archive.limit(self.slots.samples + PASSED_PAGES * len(self.passing.samples), take_turns=False)

    def _note_workers(self, reading: Reading) -> None:
        """Remember which workers have changed what describes shared state, such as a budget.

        Prometheus' client leaves the gauges of a worker on the page after its end. What they tell is over as soon as
        another worker has changed the value.
        """
        slots = self.slots
        changed: dict[tuple[GaugeContext, int], list[Slot]] = {}
        for slot in reading.moved:
            metric, series = slots.kinds[slot].metric, slots.series[slot]
            if metric is None or series is None or series.workers is None or not is_shared_state(metric.reduction):
                continue
            context = self.gauges.get((metric.name, series.tags))
            if context is not None and reading.values[slot] != slots.last[slot]:
                changed.setdefault((context, series.workers), []).append(slot)
        for (context, workers), latest in changed.items():
            context.latest[workers] = latest

    def share_labels(self, reading: Reading) -> bool:
        """Tag all series anew if families of a page share other labels than before; tell whether they do.

        What has counted goes on from where it was: only the context changes that takes what happened on this page.
        """
        shared = self._rules.shared
        if not shared.may_change:
            return False
        sources = (parsed for _, parsed in self._whole_families(reading) if shared.is_source(parsed.name))
        if not shared.update(sources):
            return False
        self._tag_sets = {}
        self._tag_anew(lambda family, series: self._tags_of(family.type, self._labels[series.key]) or UNWANTED)
        return True

    def withhold_learned(self) -> bool:
        """Mask secrets that became known after they had become tags, as a token that is renewed may; tell if any had.

        What has counted goes on from where it was, as when other labels are shared.
        """
        mask = self._rules.mask_of_learned()
        if mask is None:
            return False
        for family in self._families.values():
            for sample in (family.whole or {}).values():
                sample.labels.update({name: mask(value) for name, value in sample.labels.items()})
        # Most that is learned is in no tag, and one long text is searched sooner than many short ones.
        former = {series.tags for series in self.all_series()}
        tags = set[str]().union(*(one.tags for one in former))
        text = '\n'.join(chain(tags, {one.hostname for one in former}))
        if mask(text) == text:
            return False
        masked = self._rules.masked(tags, mask)

        def tags_of(_: Family, series: Series) -> TagSet:
            before, hostname = series.tags, mask(series.tags.hostname)
            if hostname == before.hostname and masked.keys().isdisjoint(before.tags):
                return before
            return self._tag_set([masked.get(tag, tag) for tag in before.tags], hostname)

        self._tag_anew(tags_of)
        return True

    def _tag_anew(self, tags_of: Callable[[Family, Series], TagSet]) -> None:
        """Give all series other tags."""
        self._first = {}
        for family in self._families.values():
            for series in filter(None, family.series.values()):
                series.tags = tags_of(family, series)
                if family.has_counts:
                    self._follow_first(family, series)
        self._add_gauges_anew()

    def _add_gauges_anew(self) -> None:
        """Make the contexts of all gauges, after their series have got other tags."""
        slots, former = self.slots, self.gauges
        self.gauges = {}
        for slot, (kind, series) in enumerate(zip(slots.kinds, slots.series, strict=True)):
            if kind.metric is not None and kind.metric.is_gauge and series is not None:
                self._add_gauge(kind.metric, series, slot)
        for before in former.values():
            for workers, latest in before.latest.items():
                series = slots.series[latest[0]]
                context = None if series is None else self.gauges.get((before.metric.name, series.tags))
                if context is not None:
                    context.latest[workers] = latest

    def families_left_to_base(self, reading: Reading) -> list[PrometheusFamily]:
        """Return the families of a page that only the base package can submit, with labels as they leave the host."""
        found = [parsed for family, parsed in self._whole_families(reading) if family.is_left_to_base]
        for parsed in found:
            for sample in parsed.samples:
                self._rules.shared.add_to(sample.labels)
        return found

    def _whole_families(self, reading: Reading) -> Iterator[tuple[Family, PrometheusFamily]]:
        """Yield the families that are needed whole, as the base package would parse them."""
        for family in self._families.values():
            if not family.whole:
                continue
            parsed = PrometheusFamily(self._rules.trimmed(family.name), '', family.type)
            parsed.samples = [
                sample._replace(labels=dict(sample.labels), value=reading.values[slot])
                for slot, sample in family.whole.items()
                if not reading.absent[slot]
            ]
            yield family, parsed

    def started(self, reading: Reading) -> float | None:
        """Return when the process started that the page shows, None if it does not say."""
        return self._of_process(START, reading)

    def cpu_seconds(self, reading: Reading) -> float | None:
        """Return the CPU time of the process that the page shows, None if it does not say."""
        return self._of_process(CPU, reading)

    def _of_process(self, sample: bytes, reading: Reading) -> float | None:
        slot = self._process_slots.get(sample)
        return None if slot is None or reading.absent[slot] else reading.values[slot]

    def metrics_with_samples(self, reading: Reading) -> set[str]:
        """Return the names of the metrics of which a page has samples, as far as one series of each family tells."""
        kinds, names = self.slots.kinds, set[str]()
        for family in self._families.values():
            for series in family.series.values():
                present = [slot for slot in series.slots if not reading.absent[slot]] if series else []
                if present:
                    names.update(metric.name for slot in present if (metric := kinds[slot].metric) is not None)
                    break
        passed = {sample.kind for sample in self.passing.samples.values()}
        names.update(kind.metric.name for kind in passed if kind.metric is not None)
        return names

    def wanted_samples(self) -> Iterator[str]:
        """Yield the sample names that are submitted, and those of their creation times, of all known families."""
        for sample, name in self._names.items():
            family = name.family
            # As Prometheus' Python client names them, a counter's sample always ends in `_total`.
            is_alias = family.type == 'counter' and sample == family.name.encode()
            is_wanted = name.metric is not None or (family.whole is not None and not name.kind.is_created)
            if not is_alias and (is_wanted or (name.kind.is_created and family.is_submitted)):
                yield sample.decode()

    def all_series(self) -> Iterator[Series]:
        """Yield every series that is submitted."""
        for family in self._families.values():
            for series in family.series.values():
                if series is not None:
                    yield series

    def forget_new(self) -> None:
        """Forget the samples that are new on the current page."""
        self.forget(self.slots.is_new[:])
        self.passing.begin()

    def forget(self, gone: Flags, *, take_turns: bool = False) -> None:
        """Forget the samples of which this has a 1, and of which the last page had none.

        What counts had counted is archived, for them to go on from there should they return, but for what is new on
        the current page: if that was there before, it still is in the archive. Where processes take turns, the archive
        has room for the samples of several of them.
        """
        slots, gauges = self.slots, self.gauges
        all_series, contexts = set(), set()
        for slot in places(gone, 1):
            kind, series = slots.kinds[slot], slots.series[slot]
            if series is not None and not slots.is_new[slot] and (kind.is_count or kind.is_created):
                # Not all that a page says of a time of creation can be one.
                value = series.created if kind.is_created else slots.last[slot]
                if not isnan(value):
                    self._archive.put(_identity(kind, series.key), value, series.seen)
            if kind.family.whole:
                kind.family.whole.pop(slot, None)
            if series is not None:
                all_series.add(series)
                if kind.metric is not None and kind.metric.is_gauge:
                    context = gauges.get((kind.metric.name, series.tags))
                    if context is not None:
                        contexts.add(context)
        self._archive.limit(slots.samples, take_turns=take_turns)
        for series in all_series:
            if series.parked is not None and all(map(gone.__getitem__, series.slots)):
                # What other processes hold of it is known for longer.
                if series.parked.names is None:
                    series.parked.names = [slots.kinds[slot].key for slot in series.slots]
                if series.created_slot is None or gone[series.created_slot]:
                    series.created, series.seen, series.is_young = ABSENT, -inf, False
            series.forget(gone)
        for context in contexts:
            context.forget(gone)
            if not context.slots:
                del gauges[context.metric.name, context.tags]
        self._process_slots = {text: slot for text, slot in self._process_slots.items() if not gone[slot]}
        slots.forget(gone)
        self._forget_series()

    @property
    def forgotten_until(self) -> float:
        """The time when the latest incarnation of which nothing is known any more was first seen."""
        return self._archive.dropped_until

    def forget_families(self) -> None:
        """Forget families without a known sample. They are learned again when a page declares them again."""
        used = {kind.family for kind in set(self.slots.kinds)}
        used |= {sample.kind.family for sample in self.passing.samples.values()}
        used.update(family for family in self._families.values() if any(filter(None, family.series.values())))
        self._families = {declared: family for declared, family in self._families.items() if family in used}
        self._names = {text: name for text, name in self._names.items() if name.family in used}

    def _forget_series(self) -> None:
        """Forget series and kinds without samples. Dictionaries never shrink, so they are replaced."""
        self._first, self.slots.share_contexts = {}, False
        tag_sets, keys = set(), set[int]()
        for family in self._families.values():
            family.series = {
                key: series
                for key, series in family.series.items()
                if series and (series.slots or series.created_slot is not None or series.parked is not None)
            }
            keys.update(family.series if self._labels else ())
            known = [series for series in family.series.values() if series is not None]
            # The first of those that share a context has to have it.
            for series in chain((one for one in known if one.slots), (one for one in known if not one.slots)):
                tag_sets.add(series.tags)
                self._follow_first(family, series)
        self._labels = {key: labels for key, labels in self._labels.items() if key in keys}
        self._tag_sets = {key: tags for key, tags in self._tag_sets.items() if tags in tag_sets}
        used = set(self.slots.kinds)
        for name in self._names.values():
            if name.is_bucket:
                name.kinds_by_text = {}
                name.kinds = {bound: kind for bound, kind in name.kinds.items() if kind in used}

    def _follow_first(self, family: Family, series: Series) -> None:
        """Let a series know the first one that has its metrics and tags."""
        first = self._first.setdefault(family.datadog_name, {}).setdefault(series.tags, series)
        series.first, series.is_shared = (None, False) if first is series else (first, False)
        if first is not series:
            first.is_shared = self.slots.share_contexts = True

    def _read_comment(self, comment: bytes) -> None:
        declaration = parse_declaration(comment)
        if declaration is not None:
            declared, name, type_ = declaration
            known = self._families.get(declared)
            if known is None or (known.type != type_ and known.datadog_name is None):
                self._declare(declared, name, type_)
            self.families_on_page.add(name)

    def _declare(self, declared: str, name: str, type_: str) -> None:
        """Learn a family, and relearn what was taken for it before and not submitted.

        As in the base package, a family that is submitted keeps the type that it was first declared with. Raises a
        `BadLineError` if there are too many.
        """
        datadog_name, submitted_type = self._rules.submission(name, type_)
        if datadog_name is None and declared not in self._families and len(self._families) >= MOST_FAMILIES:
            raise BadLineError(TOO_MANY)
        family = Family(name, type_, datadog_name)
        family.is_left_to_base = is_left_to_base(submitted_type)
        if family.is_left_to_base or self._rules.shared.is_source(self._rules.trimmed(name)):
            family.whole = {}
        former = self._families.get(declared)
        if former is not None and datadog_name is None and family.whole is None:
            # Nothing of it is submitted, whatever its type is: a page that alternates costs no search for its samples.
            return
        if former is not None:
            self._unlearn(former, is_submitted=datadog_name is not None)
            for suffix in ('', CREATED, *SUFFIXES[former.type]):
                sample_name = f'{former.name}{suffix}'.encode()
                if sample_name in self._names and self._names[sample_name].family is former:
                    del self._names[sample_name]
        names: dict[bytes, SampleName] = {}
        for suffix in SUFFIXES[type_]:
            metric = None
            # A sample that the submitted type does not have is not submitted, as in the base package.
            metric_suffix = OVERRIDES.get(submitted_type, SUFFIXES.get(submitted_type, {}).get(suffix))
            if submitted_type == 'histogram' and metric_suffix is not None:
                metric_suffix = self._suffix_of_part(suffix, metric_suffix)
            if datadog_name is not None and metric_suffix is not None:
                metric = self._metric(family, metric_suffix, submitted_type)
            text = f'{name}{suffix}'.encode()
            # Both names of a counter's sample are of one sample.
            if not names or type_ != 'counter':
                kind = SampleKind(family, metric, hash(text), is_sum=suffix == '_sum')
            names[text] = SampleName(family, kind, is_bucket=suffix == '_bucket')
        metrics = [name.metric for name in names.values() if name.metric is not None]
        family.is_submitted = bool(metrics)
        family.has_counts = not all(metric.is_gauge for metric in metrics)
        if type_ in CUMULATIVE_TYPES:
            text = f'{name}{CREATED}'.encode()
            family.created = SampleKind(family, None, hash(text), is_created=True)
            names[text] = SampleName(family, family.created)

        self._families[declared] = family
        for text, sample_name_ in names.items():
            before = self._names.get(text)
            if before is None:
                self._names[text] = sample_name_
            elif before.family.type == 'counter' and text == before.family.name.encode() and type_ != 'counter':
                # The bare name stands for a counter's sample only as long as no other family has it.
                self._names[text] = sample_name_
            elif before.metric is None and not before.kind.is_created:
                if sample_name_.metric is not None or sample_name_.kind.is_created or family.whole is not None:
                    # Its lines came before this TYPE line, and were not submitted.
                    self._unlearn(before.family, is_submitted=sample_name_.metric is not None)
                self._names[text] = sample_name_

    def _suffix_of_part(self, suffix: str, metric_suffix: str) -> str | None:
        """Return the suffix of the metric that a part of a histogram becomes, None if it becomes none."""
        rules = self._rules
        if suffix == '_bucket':
            return None if not rules.collect_buckets else '' if rules.distributions else metric_suffix
        return None if rules.distributions and not rules.counts_of_distributions else metric_suffix

    def _metric(self, family: Family, suffix: str, submitted_type: str) -> Metric | None:
        name = self._rules.full_name(f'{family.datadog_name}{suffix}')
        if name is None:
            return None
        is_gauge = submitted_type in ('gauge', 'time_elapsed') or suffix == '.quantile'
        return Metric(
            name,
            is_gauge,
            submitted_type == 'time_elapsed',
            submitted_type == 'histogram' and not suffix,
            self._rules.bounds_are_tags,
            gauge_reduction(self._rules.trimmed(family.name)),
        )

    def _unlearn(self, family: Family, is_submitted: bool) -> None:
        """Make the lines of a family that was not submitted unknown, so that they are learned again."""
        if is_submitted:
            known = [slot for slot in family.unsubmitted if not self.slots.is_new[slot]]
            self.reveals |= bool(known)
            self._late += known
            self.unlearned += len(family.unsubmitted) - len(known)
        self._recognition.unlearn(family.unsubmitted)

    def _learn_or_pass(self, sample: bytes, value: float) -> Slot | None:
        """Return the slot of a sample whose text is not known, or None if it passes."""
        if self._may_pass:
            if not self.passing.is_on:
                self.passing.judge(self.slots.samples - self._known_before, self._known_before)
            if self.passing.is_on and self._passes(sample, value):
                return None
        return self._learn(sample)

    def _passes(self, sample: bytes, value: float) -> bool:
        """Let a sample pass if it can, and is of a series of which nothing is known."""
        text, _, labels = sample.partition(b'{')
        name = self._names.get(text.rstrip())
        if name is None or not name.can_pass or not labels:
            return False
        family, kind, is_gauge = name.family, name.kind, not name.kind.is_count
        if family not in self._may_pass:
            return False
        if not (isfinite(value) and value not in NO_LIMIT if is_gauge else 0.0 <= value <= LARGEST_COUNT):
            return False
        parsed, exact = _parsed(labels.removesuffix(b'}'))
        key = hash(frozenset(exact.items()))
        if key in family.series or (is_gauge and PID in parsed):
            return False
        tagged = self._rules.tags(family.type, parsed)
        if tagged is None:
            self.passing.lines += 1
            return True
        share = self._tags_by_text.setdefault
        tags, hostname = [share(tag, tag) for tag in tagged[0]], tagged[1]
        context = 0
        if is_gauge or self._tells_contexts:
            context = _hash_of_context(self._stored_tags(tags), hostname)
            if context in self._tag_sets:
                return False
        self.passing.put(_identity(kind, key), PassingSample(kind, key, sample, value, tags, hostname, context))
        return True

    def _learn_passed(self) -> Iterator[tuple[Slot, float]]:
        """Learn the samples that passed and cannot do so once more; yield their slots and values."""
        for sample in self.passing.take(self._archive.known(self.passing.samples)):
            yield self._learn(sample.text), sample.value

    def _learn(self, sample: bytes) -> Slot:
        """Return the slot of a sample whose text is not known: a new one, or that of another spelling."""
        text, _, labels = sample.partition(b'{')
        labels = labels.removesuffix(b'}')
        text = text.rstrip()
        name = self._name(text)
        kind = name.kind
        bound = None
        whole = None if name.family.whole is None or kind.is_created else parse_labels(_readable(labels))
        if name.is_bucket and self._has_series(kind):
            labels, bound = split_bound(labels)
            kind = self._kind_of_bucket(name, bound)
        series = self._series_of(name.family, labels) if self._has_series(kind) else None
        slot = self._slot_of(sample, kind, series)
        if sample in (START, CPU):
            self._process_slots[sample] = slot
        if whole is not None:
            self._keep_whole(name.family, slot, text, whole)
        elif bound is not None and series is not None:
            self._remember_bucket(sample, bound, name, series)
        return slot

    def _has_series(self, kind: SampleKind) -> bool:
        """Tell whether samples of a kind are worth a series."""
        if kind.is_created:
            return kind.family.is_submitted
        return kind.metric is not None or (self._tells_unwanted and kind.family.is_mapped)

    def _keep_whole(self, family: Family, slot: Slot, name: bytes, labels: dict[str, str]) -> None:
        """Keep the labels of a sample whose family is needed whole."""
        outgoing = self._rules.outgoing(labels)
        if family.whole is not None and outgoing is not None:
            family.whole[slot] = Sample(name.decode(), outgoing, ABSENT)

    def _learn_next_bucket(self, sample: bytes) -> Slot | None:
        """Return the slot of a bucket that follows another one of its series, None if it is anything else."""
        before = self._bucket_before
        if before is None or not (sample.startswith(before.start) and sample.endswith(before.end)):
            return None
        kind = before.name.kinds_by_text.get(sample[len(before.start) : len(sample) - len(before.end)])
        if kind is None:
            return None
        return self._slot_of(sample, kind, before.series if self._has_series(kind) else None)

    def _slot_of(self, sample: bytes, kind: SampleKind, series: Series | None) -> Slot:
        """Return the slot of this kind in a series, which is a new one unless it is known in another spelling."""
        slots, key, metric = self.slots, hash(sample), kind.metric
        if series is None:
            slot = self._recognition.find(key)
            if slot is None:
                slot = slots.add(key, kind, series)
                self._recognition.note(key, slot)
            return slot
        if kind.is_created:
            kind.family.is_dated = True
            if series.created_slot is None:
                series.created_slot = slots.add(key, kind, series)
            slots.keys[series.created_slot] = key
            return series.created_slot
        known = self._slot_in(series, kind)
        if known is not None:
            slots.keys[known] = key
            return known
        slot = slots.add(key, kind, series)
        series.slots.append(slot)
        if series in self._slots_by_kind:
            self._slots_by_kind[series][kind] = slot
        if metric is not None and metric.is_gauge:
            self._add_gauge(metric, series, slot)
        return slot

    def _slot_in(self, series: Series, kind: SampleKind) -> Slot | None:
        """Return the slot of a kind in a series."""
        kinds = self.slots.kinds
        if len(series.slots) <= FEW_SAMPLES:
            # Not a generator: most samples that are learned come by here.
            for slot in series.slots:
                if kinds[slot] is kind:
                    return slot
            return None
        if series not in self._slots_by_kind:
            self._slots_by_kind[series] = {kinds[slot]: slot for slot in series.slots}
        return self._slots_by_kind[series].get(kind)

    def _add_gauge(self, metric: Metric, series: Series, slot: Slot) -> None:
        if series.tags is UNWANTED:
            return
        context = self.gauges.get((metric.name, series.tags))
        if context is None:
            context = self.gauges[metric.name, series.tags] = GaugeContext(metric, series.tags)
        context.slots.append(slot)

    def _name(self, text: bytes) -> SampleName:
        name = self._names.get(text)
        if name is not None:
            return name
        declared = text.decode()
        family = self._families.get(declared)
        if family is not None:
            # Families of this type have no sample with the bare name.
            name = self._names[text] = SampleName(family, SampleKind(family, None, hash(text)))
            return name
        # There is no TYPE line for it. An option may still give it a type.
        self._declare(declared, declared, UNKNOWN)
        return self._names[text]

    def _kind_of_bucket(self, name: SampleName, text: bytes) -> SampleKind:
        """Return the kind of the buckets with a bound, without a metric when they are not submitted.

        The bucket of all observations is their count, and no bucket counts anything without its bound, unless it goes
        into a distribution.
        """
        kind = name.kinds_by_text.get(text)
        if kind is None:
            bound = float(text)
            kind = name.kinds.get(bound)
            if kind is None:
                metric = name.metric
                is_distribution = metric is not None and metric.is_distribution
                tags = self._rules.bound_tags(text.decode()) if is_distribution or not isinf(bound) else None
                if tags is None or not (tags or is_distribution):
                    metric = None
                is_alone = metric is not None and (is_distribution or self._rules.non_cumulative_buckets)
                kind = SampleKind(
                    name.family,
                    metric,
                    hash((name.kind.key, bound)),
                    bound=bound,
                    bound_tag=tags[0] if tags else None,
                    is_alone=is_alone,
                )
                name.kinds[bound] = kind
            if len(name.kinds_by_text) > MOST_SPELLINGS * len(name.kinds):
                name.kinds_by_text = {}
            name.kinds_by_text[text] = kind
        return kind

    def _remember_bucket(self, sample: bytes, bound: bytes, name: SampleName, series: Series) -> None:
        for mark in (b',le="', b'{le="'):
            # Outside of quotes, this is the label itself: within a value, a quote cannot be followed by a number.
            at = sample.find(mark + bound + b'"')
            if at >= 0:
                start = at + len(mark)
                self._bucket_before = BucketBefore(sample[:start], sample[start + len(bound) :], name, series)

    def _series_of(self, family: Family, labels: bytes) -> Series | None:
        """Return the series of a family with these labels, or None when the instance does not want it."""
        key, tags, workers = self._label_set(family.type, labels)
        if key in family.series:
            series = family.series[key]
        elif tags is None:
            series = family.series[key] = None
        else:
            series = family.series[key] = Series(tags, key, workers)
            if family.has_counts:
                self._follow_first(family, series)
        return series

    def _label_set(self, type_: str, labels: bytes) -> LabelSet:
        """Return what becomes of labels. Of the types of families, only some have labels of their own."""
        text = type_ if type_ in ('gauge', 'summary') else '', hash(labels)
        known = self._label_sets.get(text)
        if known is None:
            parsed, exact = _parsed(labels)
            key = hash(frozenset(exact.items()))
            if self._rules.shared.is_wanted:
                self._labels[key] = parsed
            workers = None
            if type_ == 'gauge' and PID in parsed:
                workers = hash(frozenset(_without_pid(exact).items()))
                self._has_workers = True
            try:
                tags = self._tags_of(type_, parsed)
            except ValueError:
                # A bound or quantile that is not a number.
                raise BadLineError(NO_LABELS) from None
            known = self._label_sets[text] = LabelSet(key, tags, workers)
        return known

    def _tags_of(self, type_: str, labels: dict[str, str]) -> TagSet | None:
        """Return the tags of a series of a family with this type, or None if the instance never wants it."""
        tagged = self._rules.tags(type_, _without_pid(labels) if type_ == 'gauge' else labels)
        if tagged is not None:
            return self._tag_set(*tagged)
        return UNWANTED if self._rules.shared.is_wanted else None

    def _tag_set(self, tags: list[str], hostname: str) -> TagSet:
        """Return the one set of these tags, or the first one of those that Datadog stores alike.

        To Datadog two of them are one series: they could overwrite each other.
        """
        stored = self._stored_tags(tags)
        key = _hash_of_context(stored, hostname)
        known = self._tag_sets.get(key)
        if known is not None and known.hostname == hostname and self._stored_tags(known.tags) == stored:
            return known
        share = self._tags_by_text.setdefault
        tag_set = TagSet([share(tag, tag) for tag in tags], hostname)
        return self._tag_sets.setdefault(key, tag_set) if known is None else tag_set

    def _stored_tags(self, tags: list[str]) -> frozenset[str]:
        known = self._stored_by_tag
        for tag in tags:
            if tag not in known:
                known[tag] = stored_tag(tag)
        return frozenset([known[tag] for tag in tags])


def _tells_no_times(family: Family) -> bool:
    """Tell whether series of a family are known, none of which tells when it was created."""
    if family.is_dated is None:
        series = next(filter(None, family.series.values()), None)
        if series is not None:
            family.is_dated = series.created_slot is not None or series.created == series.created
    return family.is_dated is False


def _hash_of_context(stored: frozenset[str], hostname: str) -> int:
    return hash((hostname, stored))


def _identity(kind: SampleKind, series: int) -> int:
    """Return a hash of a sample, the same in any spelling."""
    return hash((kind.key, series))


def _parsed(labels: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Return labels as they may become tags, and with all that tells them from others."""
    readable = _readable(labels)
    parsed = exact = parse_labels(readable)
    if UNREADABLE in readable:
        exact = parse_labels(labels.decode('utf-8', 'surrogateescape'))
    return parsed, exact


def _readable(labels: bytes) -> str:
    # The Agent ends a tag at a NUL.
    return labels.decode('utf-8', 'replace').replace('\0', UNREADABLE)


def _without_pid(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != PID}
