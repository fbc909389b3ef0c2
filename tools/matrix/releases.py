"""The releases of the matrix, and what their documentation promises."""

from __future__ import annotations

from tools.real_litellm.environment import RELEASE
from tools.real_litellm.features import numbers

__all__ = ['CI_RELEASES', 'RELEASES', 'asks_for_key', 'can_ask_for_key', 'expected_status', 'needs_licence']

# Oldest first. Each has a lock file in requirements/ that tells what it was made to run with.
RELEASES = ('1.60.8', '1.72.6.post2', '1.75.8', '1.80.11', '1.88.6', '1.95.1', '1.106.2', RELEASE)
# The oldest, the oldest without a licence, and the newest.
CI_RELEASES = ('1.60.8', '1.80.11', RELEASE)


def needs_licence(release: str) -> bool:
    """Tell whether the prometheus callback works only with an enterprise licence, which the matrix does not have."""
    return numbers(release) < (1, 80, 0)


def expected_status(release: str, path: str, credential: str, is_protected: bool) -> int:
    """Return the HTTP status that `/metrics` or `/metrics/` should answer a kind of credential with.

    Before 1.84 only `/metrics/` is protected, and only `Authorization: Bearer` is read there.
    """
    welcome = 307 if path == '/metrics' else 200
    if not is_protected or (path == '/metrics' and not asks_for_key(release)):
        return welcome
    accepted = {'with a key'}
    if asks_for_key(release):
        accepted |= {'with a key in x-litellm-api-key', 'with a key in api-key'}
    return welcome if credential in accepted else 401


def asks_for_key(release: str) -> bool:
    """Tell whether `/metrics` asks for a key unless `require_auth_for_metrics_endpoint` says otherwise."""
    return numbers(release) >= (1, 84, 0)


def can_ask_for_key(release: str) -> bool:
    """Tell whether `/metrics` asks for a key when `require_auth_for_metrics_endpoint` says so."""
    return numbers(release) >= (1, 65, 4)
