"""Tell who may read the metrics of which release, as its documentation promises."""

from __future__ import annotations

from tests.lineage.release_number import Release

__all__ = ['asks_for_key', 'can_ask_for_key', 'expected_status', 'needs_licence']


def needs_licence(release: str) -> bool:
    """Tell whether the prometheus callback works only with an enterprise licence, which the matrix does not have."""
    return Release.parse(release) < (1, 80, 0)


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
    return Release.parse(release) >= (1, 84, 0)


def can_ask_for_key(release: str) -> bool:
    """Tell whether `/metrics` asks for a key when `require_auth_for_metrics_endpoint` says so."""
    return Release.parse(release) >= (1, 65, 4)
