"""Pages to measure with: synthetic ones of any size, and captures of real proxies. Both advance like a living proxy.

At each `advance` something happens in each series of the active label sets. These stay the same: callers are busy, or
not, for longer than it takes to scrape a few times.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple, Protocol

from packaging.version import Version

from datadog_checks.litellm.mapping.labels import KEY_LABEL, PLACEHOLDERS, is_personal

__all__ = [
    'NEWEST_CAPTURE',
    'BelowZeroPage',
    'CapturedPage',
    'FleetingPage',
    'Page',
    'PagesByTurns',
    'ShuffledPage',
    'SyntheticPage',
    'busy_page',
    'captured',
]

_CAPTURES = Path(__file__).parents[2] / 'litellm' / 'tests' / 'pages'
NEWEST_CAPTURE = max(_CAPTURES.glob('*.txt.gz'), key=lambda path: Version(path.name.removesuffix('.txt.gz')))

COUNTERS = (
    'litellm_proxy_total_requests_metric',
    'litellm_proxy_failed_requests_metric',
    'litellm_requests_metric',
    'litellm_spend_metric',
    'litellm_total_tokens_metric',
    'litellm_input_tokens_metric',
    'litellm_output_tokens_metric',
    'litellm_deployment_total_requests',
    'litellm_deployment_success_responses',
    'litellm_deployment_failure_responses',
)
HISTOGRAMS = (
    'litellm_request_total_latency_metric',
    'litellm_llm_api_latency_metric',
    'litellm_llm_api_time_to_first_token_metric',
    'litellm_overhead_latency_metric',
    'litellm_request_queue_time_seconds',
    'litellm_deployment_latency_per_output_token',
)
# The 18 bounds of LiteLLM since 1.83.7.
BOUNDS = (
    *('0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1.0', '2.0'),
    *('5.0', '10.0', '30.0', '60.0', '120.0', '300.0', '420.0', '600.0', '+Inf'),
)
# A counter has its sample and `_created`; a histogram its buckets, `_count`, `_sum` and `_created`.
SAMPLES_OF_A_LABEL_SET = 2 * len(COUNTERS) + (len(BOUNDS) + 3) * len(HISTOGRAMS)


_VALUE = re.compile(r' ([\d.]+)$', re.MULTILINE)

# When the first label set came to be. A stamp with all the digits that a real page has.
_STARTED = 1_795_320_000.0625


class Page(Protocol):
    """A page that can be sent, and moved on to what it is at the next scrape."""

    def render(self) -> bytes: ...

    def advance(self) -> None: ...


class Labels(NamedTuple):
    """Label text in alphabetical order, in two parts: `le` belongs between them."""

    before: str
    after: str


class _LabelSet:
    """One label set and its series, one per family, each with the lines that it has on the page."""

    def __init__(self, number: int, created: float) -> None:
        self.number = number
        self.labels = _labels(number)
        self.created = created
        self.counts = dict.fromkeys((*COUNTERS, *HISTOGRAMS), number % 50)
        self.sums = dict.fromkeys(HISTOGRAMS, 0.0)
        self.buckets = {name: [number % 50] * len(BOUNDS) for name in HISTOGRAMS}
        self.lines = {name: self._render(name) for name in self.counts}
        text = ','.join(self.labels)
        self.created_lines = {name: f'{name}_created{{{text}}} {self.created!r}\n' for name in self.counts}

    def move(self, choice: random.Random) -> None:
        """Let one event happen in each series."""
        for name in self.counts:
            self.counts[name] += 1
            if name in self.buckets:
                first = choice.randrange(len(BOUNDS))
                self.buckets[name][first:] = [count + 1 for count in self.buckets[name][first:]]
                self.sums[name] += choice.random()
            self.lines[name] = self._render(name)

    def _render(self, name: str) -> str:
        before, after = self.labels
        if name in COUNTERS:
            return f'{name}_total{{{before},{after}}} {self.counts[name]}.0\n'
        buckets = zip(BOUNDS, self.buckets[name], strict=True)
        return (
            ''.join(f'{name}_bucket{{{before},le="{bound}",{after}}} {count}.0\n' for bound, count in buckets)
            + f'{name}_count{{{before},{after}}} {self.counts[name]}.0\n'
            + f'{name}_sum{{{before},{after}}} {self.sums[name]!r}\n'
        )


def _labels(number: int) -> Labels:
    """Return labels of the kind and length that LiteLLM gives to requests."""
    team, model, user = number % 25, number % 7, number // 7
    key = hashlib.sha256(str(number).encode()).hexdigest()
    return Labels(
        f'api_key_alias="service-{number}",end_user="None",hashed_api_key="{key}"',
        f'model="gpt-5-{model}",requested_model="gpt-5",route="/v1/chat/completions",status_code="200",'
        f'team="team-{team}",team_alias="Team {team}",user="user-{user}"',
    )


def _is_active(number: int, share: float) -> bool:
    """Tell whether a label set is one of the active ones, which are spread evenly over all."""
    return int((number + 1) * share) > int(number * share)


class SyntheticPage:
    """A text page of about `samples` samples over label sets of LiteLLM's counters and histograms.

    A share `active` of the label sets moves at each `advance`, and a share `new` of them, the oldest, gives way to ones
    that were not there before.
    """

    def __init__(self, samples: int, active: float, new: float = 0.0, started: float = _STARTED) -> None:
        self._active = active
        self._new = new
        self._choice = random.Random(0)
        self._made = 0
        self._label_sets: list[_LabelSet] = []
        self._add(max(1, samples // SAMPLES_OF_A_LABEL_SET), started)

    def _add(self, label_sets: int, created: float) -> None:
        self._label_sets += [
            _LabelSet(number, created + number / 1024) for number in range(self._made, self._made + label_sets)
        ]
        self._made += label_sets

    def advance(self) -> None:
        replaced = round(len(self._label_sets) * self._new)
        del self._label_sets[:replaced]
        self._add(replaced, time.time() - self._made / 1024 - 1)
        for label_set in self._label_sets:
            if _is_active(label_set.number, self._active):
                label_set.move(self._choice)

    def render(self) -> bytes:
        return ''.join(chain.from_iterable(self.blocks())).encode()

    def blocks(self) -> Iterator[list[str]]:
        """Yield the lines of each family, of its samples and of its times of creation, some of them in one piece."""
        for name in (*COUNTERS, *HISTOGRAMS):
            declared, type_ = (f'{name}_total', 'counter') if name in COUNTERS else (name, 'histogram')
            yield [f'# HELP {declared} Help.\n# TYPE {declared} {type_}\n']
            yield [label_set.lines[name] for label_set in self._label_sets]
            yield [f'# HELP {name}_created Help.\n# TYPE {name}_created gauge\n']
            yield [label_set.created_lines[name] for label_set in self._label_sets]


class ShuffledPage(SyntheticPage):
    """A page on which every label set moves, and the lines of each family come in another order each time."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples, 1.0)
        self._order = random.Random(0)

    def blocks(self) -> Iterator[list[str]]:
        for block in super().blocks():
            lines = block if block[0].startswith('#') else ''.join(block).splitlines(keepends=True)
            self._order.shuffle(lines)
            yield lines


class BelowZeroPage(SyntheticPage):
    """A page on which every label set moves, and no value is one that a count can have."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples, 1.0)

    def blocks(self) -> Iterator[list[str]]:
        for block in super().blocks():
            yield [_VALUE.sub(r' -1\1', line) for line in block]


class FleetingPage:
    """A page of one counter whose label sets are all new at each `advance`, and have one sample each.

    Or two, if its series tell when they were created.
    """

    def __init__(self, samples: int, *, dated: bool = False) -> None:
        self._series = samples // 2 if dated else samples
        self._dated = dated
        self._first = 0

    def advance(self) -> None:
        self._first += self._series

    def render(self) -> bytes:
        name = COUNTERS[0]
        labels = [','.join(_labels(number)) for number in range(self._first, self._first + self._series)]
        lines = [f'# TYPE {name}_total counter\n', *(f'{name}_total{{{one}}} 1.0\n' for one in labels)]
        if self._dated:
            created = time.time() - 1
            lines.append(f'# TYPE {name}_created gauge\n')
            lines += (f'{name}_created{{{one}}} {created + at / 1e6!r}\n' for at, one in enumerate(labels))
        return ''.join(lines).encode()


class PagesByTurns:
    """The pages of so many proxies with the same label sets, of which the next one answers after each `advance`."""

    def __init__(self, samples: int, proxies: int) -> None:
        self._pages = [SyntheticPage(samples, 1.0, started=_STARTED + proxy / 1024) for proxy in range(proxies)]

    def advance(self) -> None:
        self._pages.append(self._pages.pop(0))
        self._pages[0].advance()

    def render(self) -> bytes:
        return self._pages[0].render()


class CapturedPage:
    """A real proxy's page with so many callers in place of each one; a share `active` of its label sets moves."""

    _NOT_OF_THE_LABEL_SET = re.compile(r'^\w+|le="[^"]*",?')

    def __init__(self, path: Path, active: float, callers: int = 1) -> None:
        self._samples: list[str] = []
        self._values: list[float | None] = []
        positions: defaultdict[str, list[int]] = defaultdict(list)
        type_ = ''
        for line in busy_page(captured(path), callers).splitlines():
            sample, _, value = line.rpartition(' ')
            if line.startswith('# TYPE'):
                type_ = value
            elif type_ in ('counter', 'histogram') and not line.startswith('#'):
                positions[self._NOT_OF_THE_LABEL_SET.sub('', sample)].append(len(self._samples))
            self._samples.append(line if line.startswith('#') else sample)
            self._values.append(None if line.startswith('#') else float(value))
        self._moving = [
            position
            for number, label_set in enumerate(positions.values())
            if _is_active(number, active)
            for position in label_set
        ]

    def advance(self) -> None:
        for position in self._moving:
            value = self._values[position]
            assert value is not None
            self._values[position] = value + 1

    def render(self) -> bytes:
        lines = zip(self._samples, self._values, strict=True)
        return ''.join(f'{sample}\n' if value is None else f'{sample} {value!r}\n' for sample, value in lines).encode()


def captured(path: Path) -> str:
    """Return a recorded page."""
    return gzip.decompress(path.read_bytes()).decode()


_MASTER_KEY = f'{KEY_LABEL}="litellm_proxy_master_key"'
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def busy_page(page: str, callers: int) -> str:
    """Return the page of a proxy on which so many do each what one does on this page.

    Each series that names a key, user or customer is there as often, under as many names. Its samples stay together.
    """
    series = groupby(page.splitlines(), _labels_of_series)
    return ''.join(f'{line}\n' for _, lines in series for line in _lines_of_callers(list(lines), callers))


def _labels_of_series(line: str) -> object:
    return line if line.startswith('#') else [label for label in _LABEL.findall(line) if label[0] != 'le']


def _lines_of_callers(lines: list[str], callers: int) -> list[str]:
    # Of the master key there is one.
    is_of_callers = not lines[0].startswith('#') and _MASTER_KEY not in lines[0]
    if not is_of_callers or not any(_names_a_caller(*label) for label in _LABEL.findall(lines[0])):
        return lines
    return [_LABEL.sub(partial(_renamed, number), line) for number in range(callers) for line in lines]


def _renamed(number: int, label: re.Match[str]) -> str:
    """Return the label of one of several callers. A hash stays as long as it is."""
    name, value = label.groups()
    if not _names_a_caller(name, value):
        return label[0]
    return f'{name}="{number:02x}{value[2:]}"' if name == KEY_LABEL else f'{name}="{value}-{number}"'


def _names_a_caller(label: str, value: str) -> bool:
    # Teams, programs and addresses are as many as before.
    return is_personal(label) and label not in ('client_ip', 'team_alias', 'user_agent') and value not in PLACEHOLDERS
