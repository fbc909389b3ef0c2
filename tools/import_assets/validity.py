"""Find what Datadog's API would not accept, by the models of its official client.

They know names, types, required fields and the values of enumerations. They do not know what a query means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datadog_api_client import Configuration
from datadog_api_client.exceptions import ApiTypeError, ApiValueError
from datadog_api_client.model_utils import ModelNormal, ModelSimple, OpenApiModel, validate_and_convert_types

__all__ = ['as_model', 'problems']


def as_model(definition: Mapping[str, Any], model: type[OpenApiModel]) -> Any:
    """Return a definition as the API client holds it. Raises ApiTypeError or ApiValueError."""
    return validate_and_convert_types(definition, (model,), [model.__name__], True, True, configuration=Configuration())


def problems(definition: Mapping[str, Any], model: type[OpenApiModel]) -> list[str]:
    """Return what the API client finds wrong with a definition."""
    try:
        read = as_model(definition, model)
    except (ApiTypeError, ApiValueError) as error:
        return [str(error)]
    return list(_unknown_fields(read, model.__name__))


def _unknown_fields(value: Any, path: str) -> Iterator[str]:
    """Yield the fields that the models of the API client do not know, or could not read."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown_fields(item, f'{path}.{key}')
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _unknown_fields(item, f'{path}[{number}]')
    elif isinstance(value, ModelNormal):
        known = {value.attribute_map[name] for name in value.openapi_types}
        deeper: list[str] = []
        for key, item in value._data_store.items():
            name = value.attribute_map.get(key, key)
            if name not in known:
                yield f'{path}.{name}'
            deeper += _unknown_fields(item, f'{path}.{name}')
        yield from deeper
        if value._unparsed and not deeper:
            yield path
    elif isinstance(value, OpenApiModel) and value._unparsed:
        yield path
    elif isinstance(value, OpenApiModel) and not isinstance(value, ModelSimple):
        yield from _unknown_fields(value.get_oneof_instance(), path)
