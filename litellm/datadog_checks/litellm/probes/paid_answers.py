"""Remember what this process has asked proxies for at their expense, and the last answers.

An Agent makes a new check object on every reload, and may run several instances for one proxy. What they ask for is
paid once: the interval between two requests, and the answer, belong to the process. Two Agents know nothing of each
other: each pays.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

__all__ = ['PaidAnswer', 'forget_all', 'paid_answer']

# Only the oldest of more are forgotten: no process watches that many proxies.
MOST_ANSWERS = 1000

T = TypeVar('T')


class PaidAnswer(Generic[T]):
    """The last answer to one request, and when it was requested last, for all who share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked_at: float | None = None
        self.value: T | None = None
        self.connection: tuple[int, str] | None = None
        """Status and message of the last request that came to an end."""

    def ask(self, now: float, interval: float, start: Callable[[], bool]) -> bool:
        """Start to ask if nobody has asked for so many seconds. Return whether `start` did. The clock is monotonic."""
        with self._lock:
            is_due = self._asked_at is None or now - self._asked_at >= interval
            if not is_due or not start():
                return False
            self._asked_at = now
            return True


_answers: dict[Hashable, PaidAnswer[Any]] = {}
_lock = Lock()


def paid_answer(request: Hashable) -> PaidAnswer[Any]:
    """Return what is shared by all who send this request."""
    with _lock:
        # The order of the dictionary is that of the last use.
        answer = _answers.pop(request) if request in _answers else PaidAnswer()
        _answers[request] = answer
        if len(_answers) > MOST_ANSWERS:
            del _answers[next(iter(_answers))]
        return answer


def forget_all() -> None:
    """Forget all answers, as a new process would."""
    with _lock:
        _answers.clear()
