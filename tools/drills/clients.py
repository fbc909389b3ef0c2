"""The traffic of clients in a drill: small mixes of requests, each with the key it comes with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tests.fixture_proxy.accounts import VIRTUAL_KEYS

__all__ = ['Mix', 'Plan', 'Planned', 'chat', 'delete', 'post']

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Planned:
    """A request; without a key it comes with the master key."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None
    method: str = 'POST'


# Makes a request that says `unique` somewhere, so that no cache knows it.
Plan = Callable[[str], Planned]
# Request n is entry n modulo the length.
Mix = tuple[Plan, ...]


def chat(key: str, model: str, text: str | None = None, headers: Mapping[str, str] = _NOTHING, **body: Any) -> Plan:
    """Plan a chat completion by one of the fixture's virtual keys, or by a key that it does not know."""

    def plan(unique: str) -> Planned:
        messages = [{'role': 'user', 'content': unique if text is None else text}]
        return Planned(
            '/v1/chat/completions',
            {'model': model, 'messages': messages, **body},
            {'User-Agent': 'drill/1', **headers},
            VIRTUAL_KEYS.get(key, key),
        )

    return plan


def post(key: str, path: str, **body: Any) -> Plan:
    """Plan another request. In its body `...` stands for something that no other request says."""

    def plan(unique: str) -> Planned:
        filled = {name: unique if value is ... else value for name, value in body.items()}
        return Planned(path, filled, {'User-Agent': 'drill/1'}, VIRTUAL_KEYS.get(key, key))

    return plan


def delete(key: str, path: str) -> Plan:
    """Plan a deletion."""
    return lambda unique: Planned(path, {}, {'User-Agent': 'drill/1'}, VIRTUAL_KEYS.get(key, key), 'DELETE')
