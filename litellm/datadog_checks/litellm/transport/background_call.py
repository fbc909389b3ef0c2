"""Call a function in the background, so that a slow answer delays no scrape, or no longer than it may."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import Generic, TypeVar, cast

from requests.exceptions import Timeout

__all__ = ['BackgroundCall']

# A call that was given up keeps the next from starting for so many seconds, and for twice as long each time.
FIRST_HANG = 600.0

T = TypeVar('T')


class BackgroundCall(Generic[T]):
    """Call `function` in a thread of its own, one call at a time, and give a call up after so many seconds.

    The thread ends when `function` returns, and does not keep the Agent from exiting. A late result is still returned,
    unless another call was started before. One that may never come, as nothing limits some waits of libraries, is left
    to itself: each time that this happens for twice as long, so that few threads are left however long it goes on.
    """

    def __init__(self, function: Callable[..., T], seconds: float) -> None:
        self.seconds = seconds
        self._function = function
        self._seconds_to_hang = FIRST_HANG
        self._started_at = 0.0
        self._pending: Future[T] | None = None
        self._is_given_up = False

    def __call__(self, **arguments: object) -> T:
        """Wait for a call to return. Raises a `Timeout` when its time is over, and at once while it still runs on."""
        if not self.start(**arguments):
            raise Timeout('no answer')
        return cast(T, self.result(self.seconds))

    def start(self, **arguments: object) -> bool:
        """Start a call, unless a thread is still running or its result was not taken. Return whether it started."""
        if self._pending is not None and not self._is_over(self._pending):
            return False
        self._started_at, self._is_given_up = time.monotonic(), False
        self._pending = Future()
        try:
            Thread(
                target=self._run, args=(self._pending, arguments), name='litellm-background-call', daemon=True
            ).start()
        except RuntimeError as error:  # No more threads can be started.
            self._pending.set_exception(error)
        return True

    def result(self, patience: float) -> T | None:
        """Return the result once, if it arrives within so many seconds of patience, and None otherwise.

        Raises once what `function` raised, or once a `Timeout` when the time of the call is over.
        """
        if self._pending is None:
            return None
        left = max(self._started_at + self.seconds - time.monotonic(), 0.0)
        done, _ = wait([self._pending], min(patience, left))
        if done:
            call, self._pending = self._pending, None
            self._seconds_to_hang = FIRST_HANG
            return call.result()
        if left <= patience and not self._is_given_up:
            self._is_given_up = True
            raise Timeout('no answer')
        return None

    def _is_over(self, pending: Future[T]) -> bool:
        """Tell whether a call was given up, and its thread has ended, or may never do so."""
        if not self._is_given_up or pending.done():
            return self._is_given_up
        if time.monotonic() - self._started_at < self.seconds + self._seconds_to_hang:
            return False
        self._seconds_to_hang *= 2
        return True

    def _run(self, pending: Future[T], arguments: dict[str, object]) -> None:
        try:
            pending.set_result(self._function(**arguments))
        except Exception as error:  # noqa: BLE001, `result` raises it
            pending.set_exception(error)
