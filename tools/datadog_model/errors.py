"""The errors of the model: whatever it does not know is an error, never a pass."""

from __future__ import annotations

__all__ = ['AssetError', 'QueryError']


class AssetError(Exception):
    """A dashboard or monitor has something that the model does not know, or that Datadog would refuse."""


class QueryError(AssetError):
    """A query is wrong at a position, counted in characters from 0."""

    def __init__(self, problem: str, text: str, position: int) -> None:
        self.problem = problem
        self.text = text
        self.position = position
        super().__init__(f'{problem}\n    {text}\n    {" " * position}^')
