"""Describe the redirects that a request has followed, without a word of their URLs: those may hold anything."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ['NOT_REDIRECTED', 'Redirects']


class Redirects(NamedTuple):
    """The redirects of one request, in their order."""

    hops: tuple[str, ...] = ()
    drops_key: bool = False
    """Whether credentials were left out on the way, as a redirect led to another scheme, host or port."""

    def then(self, status: int, source: str, target: str, *, drops_key: bool) -> Redirects:
        """Return these redirects and one more."""
        return Redirects((*self.hops, _hop(status, source, target)), drops_key or self.drops_key)

    def before(self, message: str) -> str:
        """Return a message about what came of the request, which names the redirects first."""
        if not self.hops:
            return message
        kinds = ', then '.join(dict.fromkeys(self.hops))
        return f'behind {"a redirect" if len(self.hops) == 1 else f"{len(self.hops)} redirects"} ({kinds}): {message}'


NOT_REDIRECTED = Redirects()


def _hop(status: int, source: str, target: str) -> str:
    """Describe a redirect by what it changes."""
    try:
        before, after = urlsplit(source), urlsplit(target)
        if before.scheme != after.scheme:
            known = after.scheme in ('http', 'https')
            change = f'from {before.scheme} to {after.scheme if known else "another scheme"}'
        elif before.hostname != after.hostname:
            change = 'to another host'
        elif before.port != after.port:
            change = 'to another port'
        elif after.path == before.path + '/':
            change = 'to the same path with a slash'
        else:
            change = 'on the same host'
    except ValueError:
        change = 'to no URL'
    return f'{status} {change}'
