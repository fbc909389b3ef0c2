"""Requests in the background, which never delay the scrape."""

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
    """Call `ask` in a thread of its own, one at a time, and give it up after so many seconds.

    The thread ends when `ask` returns, which must have a timeout of its own. It does not keep the Agent from exiting.
    A late answer is still returned, unless the question was put again before.
    """

    def __init__(self, ask: Callable[[], T], seconds: float) -> None:
        self.seconds = seconds
        self._ask = ask
        self._asked_at = 0.0
        self._pending: Future[T] | None = None
        self._is_given_up = False

    def put(self) -> bool:
        """Start to ask, unless a thread is still running or its answer was not taken. Return whether it started."""
        if self._pending is not None and not (self._is_given_up and self._pending.done()):
            return False
        self._asked_at, self._is_given_up = time.monotonic(), False
        self._pending = Future()
        try:
            Thread(target=self._run, args=(self._pending,), name='litellm-question', daemon=True).start()
        except RuntimeError as error:  # No more threads can be started.
            self._pending.set_exception(error)
        return True

    def answer(self, patience: float) -> T | None:
        """Return the answer once, if it arrives within so many seconds of patience, and None otherwise.

        Raises once what `ask` raised, or once a `Timeout` when the time for asking is over.
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
        except Exception as error:  # noqa: BLE001, `answer` raises it
            pending.set_exception(error)
