"""Keep samples that are new, and may be gone with the next page, without learning them.

Where callers come and go, most samples of a page are new, and on no other page. To learn and to forget them takes
several times what it takes to read them. So once many of a page are new, those that follow only pass: their values are
submitted and archived. What is in the archive already is learned, and goes on from there: nothing passes twice, unless
so much has passed in between that the archive had no room for it. If most of what passes does not return, what is new
on the next page passes from its first line on.

Not exact: what passed is not known to a page on which counters show that all processes have started over. A sample that
returns later than that loses what it had before, at most.

Not all samples can pass: whether a count that tells of its creation counts in full is decided by its series, and of
what many samples make up, as buckets do a histogram, each would have to know the others. See `SampleTable`.
"""

from __future__ import annotations

from typing import NamedTuple

from .slots import SampleKind

__all__ = ['Passing', 'PassingSample']

# So many samples of a page, and more than this share of all that were known before, have to be new before others pass.
MANY = 1_000
SHARE = 8


class PassingSample(NamedTuple):
    """A sample that is not learned: its text, its value, and what is submitted with it."""

    kind: SampleKind
    series: int
    """The hash of its labels."""
    text: bytes
    value: float
    tags: list[str]
    hostname: str
    context: int
    """A hash of the tags as they are stored, 0 if nobody asks for it."""


class Passing:
    """The samples of a page that pass."""

    def __init__(self) -> None:
        self.samples: dict[int, PassingSample] = {}
        """By their hashes in any spelling."""
        self.lines = 0
        """The number of lines that passed, those of samples among them that the instance does not want."""
        self.repeated = 0
        """The number of lines of samples that had passed on the page before that line."""
        self.is_on = False
        """Whether what is new passes."""
        # By context: the sample that has it.
        self._contexts: dict[tuple[str, int], int] = {}
        self._shared: set[int] = set()

    def begin(self) -> None:
        """Forget the samples of the page before."""
        self.samples, self._contexts, self._shared = {}, {}, set()
        self.lines = self.repeated = 0

    def judge(self, new: int, known: int) -> None:
        """Let what follows pass if so many new samples were learned already, beside those that were known before."""
        self.is_on = new >= max(MANY, known // SHARE)

    def put(self, identity: int, sample: PassingSample) -> None:
        """Let a sample pass. Of several lines the last one holds."""
        self.lines += 1
        self.repeated += identity in self.samples
        self.samples[identity] = sample
        if sample.context and sample.kind.metric is not None:
            other = self._contexts.setdefault((sample.kind.metric.name, sample.context), identity)
            if other != identity:
                self._shared.update((identity, other))

    def take(self, known: set[int]) -> list[PassingSample]:
        """Take out the samples that have to be learned: those that are known by now, and those that share a context."""
        by_now = {identity for identity, one in self.samples.items() if one.series in one.kind.family.series}
        wanted = known | by_now | self._shared
        taken = [self.samples.pop(identity) for identity in list(self.samples) if identity in wanted]
        self.is_on = self.is_on and len(taken) < self.lines // 2 and self.lines * 2 >= MANY
        return taken
