from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Base packages before 37.41 have neither this module nor config discovery.
    from datadog_checks.base.utils.discovery import Service

__all__ = ['candidates']


def candidates(service: Service, default: Callable[[Service], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Reduce each generated candidate to its endpoint.

    A generated candidate spells out the default of every option, and `kerberos_auth: disabled` among them makes the
    Agent set Kerberos up. What is left out takes its default anyway.
    """
    for candidate in default(service):
        for instance in candidate['instances']:
            yield {'init_config': {}, 'instances': [{'openmetrics_endpoint': instance['openmetrics_endpoint']}]}
