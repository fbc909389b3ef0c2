"""Give time limits to what the base package does by itself to make a request: see `client` for the request.

An endpoint whose certificate nobody knows may name where the certificates in between are, and the base package fetches
these. Until Agent 7.78, that has no time limit; since then, its limit is for the wait for the next bytes. So it is done
in the background, and given up when the proxy itself would be.
"""

from __future__ import annotations

from typing import Any

from datadog_checks.base.utils.http import RequestsWrapper

from .background_call import BackgroundCall

__all__ = ['TimedRequests']


class TimedRequests(RequestsWrapper):
    """Make requests as the base package does, and wait for certificates no longer than for an answer."""

    __slots__ = ('_chase',)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._chase: BackgroundCall[list[Any]] = BackgroundCall(
            super().fetch_intermediate_certs, self.options['timeout'][1]
        )

    def fetch_intermediate_certs(self, hostname: str, port: int | None = None) -> list[Any]:
        """Return the certificates between that of a host and its authority, as far as they can be had in time."""
        try:
            return self._chase(hostname=hostname, port=port or 443)
        except Exception:  # noqa: BLE001, the error about the certificate is raised then
            return []
