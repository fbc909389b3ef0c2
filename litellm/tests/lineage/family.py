"""Everything that is known of one Prometheus family of one release."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ['DriftError', 'Family']


class DriftError(Exception):
    """A release could not be had or read; the message says why in one line."""


class Family(NamedTuple):
    """A Prometheus family as a parser reports it: a counter without `_total`.

    `labels` are those of LiteLLM's default settings, None when they could not be read. `multiprocess_mode` is that of a
    gauge while PROMETHEUS_MULTIPROC_DIR is set, the only time it has a meaning. `evidence` is `file:line` in the
    wheel, `registered_by` the callable that makes it, as `module:qualified name`, '' when a module's import does.
    `read_by` is `run`, or `scan` for one that is known from its sources only: of it no labels and no help are known.
    """

    name: str
    type: str
    labels: tuple[str, ...] | None
    multiprocess_mode: str
    help: str
    evidence: str
    registered_by: str
    read_by: str
