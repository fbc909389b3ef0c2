"""Use what saves work while it works, and go the plain way while it does not.

Anything between the Agent and the proxy may treat an optimized request in a way of its own: refuse it, redirect it in
circles, never answer it, answer something else, or damage the answer. Whatever it is, the next request is a plain one,
in the same run if the trouble looks like that of the optimization, or has come twice. If that works, the
optimization is at fault: requests are plain for a while, and for twice as long each time that it turns out to be still
so. If it does not work either, the proxy is at fault, and nothing is held against the optimization.

A proxy that answers plain requests only is so scraped in all runs but the first, at most.
"""

from __future__ import annotations

from collections.abc import Callable

from requests.exceptions import RequestException

__all__ = ['FIRST_REST', 'Optimization']

# How many pages in a row are plain once the optimization was at fault, at first and at most: ten minutes and four
# hours at the default interval.
FIRST_REST = 40
LONGEST_REST = 960


class Optimization:
    """Tell whether to use one optimization, from what has come of requests with and without it."""

    def __init__(self, *, is_used: bool) -> None:
        self.is_used = is_used
        """Whether the next request is an optimized one."""
        self._failures = 0
        """How many optimized requests have failed since two in a row worked."""
        self._has_worked = False
        """Whether the last optimized request worked."""
        self._pages_to_rest = 0
        self._next_rest = FIRST_REST

    def scrape(self, read: Callable[[], None]) -> RequestException | None:
        """Call `read`, which requests a page and submits it, and again without the optimization if that fails by it.

        Return what is at fault with it when that is found out, and not again until it has worked. Raises what `read`
        raises for the plain request. It must not submit anything when it raises.
        """
        if not self.is_used:
            read()
            return None
        try:
            read()
        except RequestException as error:
            self.is_used = False
            self._failures += 1
            self._has_worked = False
            if self._failures == 1 and not self.is_suspect(error):
                raise
            fault = error.with_traceback(None)
        else:
            # The first may have worked as it had nothing of the request before it, such as a connection.
            if self._has_worked:
                self._failures = 0
                self._next_rest = FIRST_REST
            self._has_worked = True
            return None
        read()
        if self.is_explained(fault):
            return None
        self.is_used = False
        is_told = self._next_rest > FIRST_REST
        self._pages_to_rest = self._next_rest
        self._next_rest = min(2 * self._next_rest, LONGEST_REST)
        return None if is_told else fault

    def has_rested(self) -> bool:
        """Take note of a page that was read the plain way, and tell whether the next may be read the other way."""
        self._pages_to_rest = max(0, self._pages_to_rest - 1)
        return not self._pages_to_rest

    def is_suspect(self, _error: RequestException) -> bool:
        """Tell whether an error looks like one of the optimization, though it comes for the first time."""
        return True

    def is_explained(self, _fault: RequestException) -> bool:
        """Tell whether the plain page explains the fault, so that the optimization is not to blame."""
        return False
