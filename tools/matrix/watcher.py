"""The check and the Agent around it, as they collect from one proxy."""

from __future__ import annotations

import threading
from typing import Any

from tests.support.agent_model import AgentModel

from datadog_checks.litellm import LitellmCheck
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.sums import Sum

__all__ = ['Watcher']

# The recorder of submissions is one for the process.
_one_check_at_a_time = threading.Lock()


class Watcher:
    """A check of a proxy, the Agent's model that runs it, and what went wrong or was warned of."""

    def __init__(self, proxy: RealProxy) -> None:
        instance = {
            'openmetrics_endpoint': proxy.metrics_url,
            'headers': {'Authorization': f'Bearer {proxy.key}'},
            'timeout': 20,
            # A count that never moves is to show that it is known.
            'idle_counts': 'always',
        }
        self._check = LitellmCheck('litellm', {}, [instance])
        self._agent = AgentModel()
        self.errors: list[str] = []
        self.warnings: set[str] = set()

    def scrape(self) -> None:
        """Let the Agent run the check once."""
        with _one_check_at_a_time:
            error = self._agent.run(self._check).error
        self.errors += [error] if error else []
        self.warnings.update(self._check.get_warnings())

    @property
    def metrics(self) -> set[str]:
        """The metrics that the Agent has flushed."""
        contexts: list[Any] = [*self._agent.count_totals, *self._agent.gauges]
        return {context.name for context in contexts}

    def total(self, wanted: Sum) -> float:
        """Return what has been flushed of a count."""
        return self.count(wanted.metric, *filter(None, [wanted.tag]))

    def count(self, metric: str, *tags: str) -> float:
        """Return what has been flushed of a count, in the contexts with these tags."""
        totals = self._agent.count_totals.items()
        return sum(total for context, total in totals if context.name == metric and set(tags) <= context.tags)
