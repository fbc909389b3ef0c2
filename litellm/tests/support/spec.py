"""`spec.yaml` as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

__all__ = ['own_options']

_SPEC = Path(__file__).parents[2] / 'assets' / 'configuration' / 'spec.yaml'


def own_options() -> list[dict[str, Any]]:
    """Return the options of an instance that are this integration's own, as `spec.yaml` describes them."""
    spec = yaml.safe_load(_SPEC.read_text())
    (instances,) = [option for option in spec['files'][0]['options'] if option.get('template') == 'instances']
    return list(instances['options'])
