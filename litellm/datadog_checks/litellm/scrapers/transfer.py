"""Have pages compressed, and connections kept, as long as both work.

LiteLLM compresses its page itself, and so may any gateway in front of it. A gateway that damages what it compresses, or
a connection that is found closed when it is used again, costs no page, see `optimization`. The plain request asks for
no compression, and for the connection to be closed. An empty page may be the proxy's own, and is so if the plain one is
empty, too, or that of one of several proxies, if it comes once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from requests import Response
from requests.exceptions import ConnectionError, HTTPError, RequestException

from ..transport.errors import EmptyPageError, PartialPageError, TruncatedPageError, was_connected
from .optimization import Optimization

__all__ = ['ACCEPTED_ENCODINGS', 'Transfer']

# What `read_body` decompresses.
ACCEPTED_ENCODINGS = 'gzip, deflate'

NOT_ACCEPTABLE = 406


class Transfer(Optimization):
    """Choose how the next page is transferred.

    Whoever sets `Accept-Encoding` in the options has decided on compression.
    """

    def __init__(self, *, compresses: bool, keeps_connections: bool) -> None:
        self._is_wanted = compresses or keeps_connections
        super().__init__(is_used=self._is_wanted)
        self._keeps_connections = keeps_connections
        self._plain = {'Connection': 'close', **({'Accept-Encoding': 'identity'} if compresses else {})}
        self._may_be_compressed = compresses
        self._was_compressed = False
        self._is_empty = False

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that the next request has in place of those of the instance."""
        return MappingProxyType({} if self.is_used or not self._is_wanted else self._plain)

    def scrape(self, read: Callable[[], None]) -> RequestException | None:
        def read_page() -> None:
            self._was_compressed = False
            read()
            if not self.is_used:
                self.is_used = self.has_rested() and self._is_wanted and not self._is_empty

        return super().scrape(read_page)

    def answered(self, response: Response) -> None:
        """Take note of how an answer comes."""
        encoding = response.headers.get('Content-Encoding', '').strip().lower()
        self._was_compressed = self._may_be_compressed and encoding not in ('', 'identity')

    def has_families(self, any_of_them: bool) -> None:
        """Take note of whether a page has any. Raises an error if it may have none because of its transfer."""
        self._is_empty = not any_of_them
        if self._is_empty and self.is_used:
            raise EmptyPageError

    def is_explained(self, fault: RequestException) -> bool:
        return isinstance(fault, EmptyPageError) and (self._is_empty or self._failures == 1)

    def is_suspect(self, error: RequestException) -> bool:
        if isinstance(error, HTTPError):
            return self._may_be_compressed and error.response.status_code == NOT_ACCEPTABLE
        if isinstance(error, PartialPageError):
            # It was read in full, but is another part than was asked for.
            return False
        if isinstance(error, EmptyPageError):
            return True
        is_broken = isinstance(error, ConnectionError | TruncatedPageError) and was_connected(error)
        return self._was_compressed or (self._keeps_connections and is_broken)
