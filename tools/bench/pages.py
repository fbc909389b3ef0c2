"""Pages to measure with: synthetic ones of any size, and captures of real proxies. Both advance like a living proxy."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

__all__ = ['CapturedPage', 'Page', 'SyntheticPage']

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
SAMPLES_OF_A_COMBINATION = 2 * len(COUNTERS) + (len(BOUNDS) + 3) * len(HISTOGRAMS)


class Page(Protocol):
    """A page that can be sent, and moved on to what it is at the next scrape."""

    def render(self) -> bytes: ...

    def advance(self) -> None: ...


class Labels(NamedTuple):
    """Label text in alphabetical order, in two parts: `le` belongs between them."""

    before: str
    after: str


class _Combination:
    """One label combination and its series, one per family, each with the lines that it has on the page."""

    def __init__(self, number: int, created: float) -> None:
        self.labels = _labels(number)
        self.created = created
        self.counts = dict.fromkeys((*COUNTERS, *HISTOGRAMS), number % 50)
        self.sums = dict.fromkeys(HISTOGRAMS, 0.0)
        self.buckets = {name: [number % 50] * len(BOUNDS) for name in HISTOGRAMS}
        self.lines = {name: self._render(name) for name in self.counts}
        text = ','.join(self.labels)
        self.created_lines = {name: f'{name}_created{{{text}}} {self.created!r}\n' for name in self.counts}

    def move(self, name: str, choice: random.Random) -> None:
        """Let one event happen."""
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
        f'api_key_alias="service-{number}",api_provider="openai",end_user="None",hashed_api_key="{key}"',
        f'model="gpt-5-{model}",model_group="gpt-5",model_id="deployment-{model}",org_id="None",'
        f'requested_model="gpt-5",route="/v1/chat/completions",status_code="200",team="team-{team}",'
        f'team_alias="Team {team}",user="user-{user}"',
    )


class SyntheticPage:
    """A text page of about `samples` samples over label combinations of LiteLLM's counters and histograms.

    At each `advance` one event happens in a share `moving` of the series, and a share `new` of the label combinations
    gives way to ones that were not there before.
    """

    def __init__(self, samples: int, moving: float, new: float) -> None:
        self._moving = moving
        self._new = new
        self._choice = random.Random(0)
        self._made = 0
        self._combinations: list[_Combination] = []
        self._add(max(1, samples // SAMPLES_OF_A_COMBINATION))

    def _add(self, combinations: int) -> None:
        # Stamps with all the digits that a real page has.
        self._combinations += [
            _Combination(number, 1_795_320_000.0625 + number * 1.0000219)
            for number in range(self._made, self._made + combinations)
        ]
        self._made += combinations

    def advance(self) -> None:
        replaced = round(len(self._combinations) * self._new)
        del self._combinations[:replaced]
        self._add(replaced)
        for combination in self._combinations:
            for name in combination.lines:
                if self._choice.random() < self._moving:
                    combination.move(name, self._choice)

    def render(self) -> bytes:
        return ''.join(self._parts()).encode()

    def _parts(self) -> Iterator[str]:
        for name in (*COUNTERS, *HISTOGRAMS):
            declared, type_ = (f'{name}_total', 'counter') if name in COUNTERS else (name, 'histogram')
            yield f'# HELP {declared} Help.\n# TYPE {declared} {type_}\n'
            yield from (combination.lines[name] for combination in self._combinations)
            yield f'# HELP {name}_created Help.\n# TYPE {name}_created gauge\n'
            yield from (combination.created_lines[name] for combination in self._combinations)


class CapturedPage:
    """A real proxy's page, of which a share `moving` of the series counts one more at each `advance`.

    With `copies` the series of each virtual key are there as often, under as many keys: families, label sets and
    lengths stay the real ones.
    """

    # Of a hash, the part that is the same for all copies. Whatever is no hash would be withheld.
    _KEY = re.compile('hashed_api_key="[0-9a-f]{4}([0-9a-f]{60})"')
    _BOUND = re.compile('le="[^"]*",?')

    def __init__(self, path: Path, moving: float, copies: int) -> None:
        self._moving = moving
        self._choice = random.Random(0)
        self._samples: list[str] = []
        self._values: list[float] = []
        # The positions of each series' samples.
        self._series: dict[str, list[int]] = {}
        type_ = ''
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            if line.startswith('#'):
                type_ = line.rpartition(' ')[2] if line.startswith('# TYPE') else type_
                self._add(line, None, '')
            else:
                for copy in range(copies if self._KEY.search(line) else 1):
                    sample, _, value = line.rpartition(' ')
                    self._add(self._KEY.sub(rf'hashed_api_key="{copy:04d}\1"', sample), float(value), type_)

    def _add(self, sample: str, value: float | None, type_: str) -> None:
        if type_ in ('counter', 'histogram'):
            series = re.sub('_(bucket|count|sum)(?={|$)', '', self._BOUND.sub('', sample))
            self._series.setdefault(series, []).append(len(self._samples))
        self._samples.append(sample)
        self._values.append(value)  # type: ignore[arg-type]

    def advance(self) -> None:
        for positions in self._series.values():
            if self._choice.random() < self._moving:
                for position in positions:
                    self._values[position] += 1

    def render(self) -> bytes:
        lines = zip(self._samples, self._values, strict=True)
        return ''.join(f'{sample}\n' if value is None else f'{sample} {value!r}\n' for sample, value in lines).encode()
