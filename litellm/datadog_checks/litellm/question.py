"""What is asked beside the metrics page, so that it costs the scrape nothing however long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import Generic, TypeVar

from requests.exceptions import Timeout

__all__ = ['Question']

T = TypeVar('T')


class Question(Generic[T]):
    """Ask something in a thread of its own, one at a time, and count it as not answered after so many seconds.

    The thread ends when `ask` does, which must have a limit of its own, and does not keep the Agent from ending. An
    answer that comes late is taken as well, unless it is asked anew before.
    """

    def __init__(self, ask: Callable[[], T], seconds: float) -> None:
        self.seconds = seconds
        self._ask = ask
        self._asked_at = 0.0
        self._pending: Future[T] | None = None
        self._is_given_up = False

    def put(self) -> bool:
        """Start to ask, unless a thread is still at it or its answer waits. Return whether it was started."""
        if self._pending is not None and not (self._is_given_up and self._pending.done()):
            return False
        self._asked_at, self._is_given_up = time.monotonic(), False
        self._pending = Future()
        try:
            Thread(target=self._run, args=(self._pending,), name='litellm-question', daemon=True).start()
        except RuntimeError as error:  # The system has no more threads.
            self._pending.set_exception(error)
        return True

    def answer(self, patience: float) -> T | None:
        """Return the answer once, if it is there within so many seconds of patience, and None otherwise.

        Raises what `ask` raised, once, and a `Timeout` when the time for asking is over, once as well.
        """
        if self._pending is None:
            return None
        left = max(self._asked_at + self.seconds - time.monotonic(), 0.0)
        done, _ = wait([self._pending], min(patience, left))
        if done:
            answer, self._pending = self._pending, None
            return answer.result()
        if left <= patience and not self._is_given_up:
            self._is_given_up = True
            raise Timeout('no answer')
        return None

    def _run(self, pending: Future[T]) -> None:
        try:
            pending.set_result(self._ask())
        except Exception as error:  # noqa: BLE001, whoever waits for the answer gets it
            pending.set_exception(error)
