"""Leave out what the base package does by itself to make a request succeed: see `client` for the request.

A certificate that nobody knows may say where that of its authority is. The base package fetches what is there, and
trusts it like the authorities of the system: whoever stands between the Agent and a proxy could so vouch for
themselves, and would be sent the key. Here such a certificate stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from requests import Response

from datadog_checks.base.utils.http import RequestsWrapper

__all__ = ['StrictRequests']


class StrictRequests(RequestsWrapper):
    """Make requests as the base package does, and trust no certificate because of what it says itself."""

    __slots__ = ()

    def make_request_aia_chasing(
        self,
        request_method: Callable[..., Response],
        _method: str,
        url: str,
        options: Mapping[str, Any],
        _persist: bool,
    ) -> Response:
        """Make a request, and let the error about a certificate that is unknown stand."""
        return request_method(url, **options)
