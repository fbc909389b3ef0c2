"""The features that the harness asks of LiteLLM and that not every release has."""

from __future__ import annotations

from typing import NamedTuple

from tests.lineage.release_number import Release

__all__ = [
    'CALLERS',
    'CIRCUIT_BREAKER',
    'CONTENT_FILTER',
    'LENS',
    'MANAGED_FILES',
    'MCP',
    'ORDER',
    'PROVIDER_BUDGETS',
    'REFUSES_FOR_WANT_OF_A_DATABASE',
    'VIDEOS',
    'WORKLOAD_IDENTITY',
    'Feature',
]


class Feature(NamedTuple):
    """A feature, by the oldest release that was seen to do with it what the traffic expects.

    Older releases were not tried one by one: some may have it too. The traffic just leaves it out there, and from
    `lost_in` until `back_in`.
    """

    seen_in: str
    lost_in: str = ''
    back_in: str = ''

    def is_in(self, release: str) -> bool:
        """Tell whether the traffic uses the feature of this release."""
        number = Release.parse(release)
        is_lost = self.lost_in and Release.parse(self.lost_in) <= number < Release.parse(self.back_in)
        return number >= Release.parse(self.seen_in) and not is_lost


# A module of ours says who calls, and LiteLLM checks the keys which that does not know.
CALLERS = Feature('1.80.11')
# LiteLLM's own content filter, which answers 400.
CONTENT_FILTER = Feature('1.88.6')
CIRCUIT_BREAKER = Feature('1.106.2')
LENS = Feature('1.106.2')
# Files and batches for models of the configuration; needs a database.
MANAGED_FILES = Feature('1.88.6')
# Those in between let a tool be called by the id of its server, but not by its name.
MCP = Feature('1.80.11', lost_in='1.80.17', back_in='1.87.0')
# A deployment with a lower `order` is called first.
ORDER = Feature('1.88.6')
# Before, each request failed for a family that only licensed proxies have.
PROVIDER_BUDGETS = Feature('1.80.11')
# Before, an unknown key was refused with 401 where there is no database to find it in, not with 400.
REFUSES_FOR_WANT_OF_A_DATABASE = Feature('1.72.6')
VIDEOS = Feature('1.80.11')
WORKLOAD_IDENTITY = Feature('1.106.2')
