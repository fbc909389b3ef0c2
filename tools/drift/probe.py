"""Register a LiteLLM's families and write what prometheus_client's registry then holds.

Runs by itself in an environment where LiteLLM is installed: `python probe.py OUTPUT ENTRY...`, each ENTRY a
`module:qualified name` that is called without arguments.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from functools import reduce
from typing import Any

# Before prometheus_client is imported: only so do gauges have a multiprocess mode that means something.
os.environ.setdefault('PROMETHEUS_MULTIPROC_DIR', tempfile.mkdtemp(prefix='drift-probe-'))
os.environ.setdefault('LITELLM_LOCAL_MODEL_COST_MAP', 'True')


def call(entry: str) -> str | None:
    """Call an entry; return why that failed, or None."""
    module, _, name = entry.partition(':')
    try:
        reduce(getattr, name.split('.'), importlib.import_module(module))()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001 - whatever a release raises is a line of the report
        # A second entry may lead to the same family.
        return None if 'Duplicated timeseries' in str(error) else f'{entry}: {type(error).__name__}: {error}'
    return None


def registered() -> list[dict[str, Any]]:
    """Return what the registry holds of LiteLLM."""
    from prometheus_client import REGISTRY

    # The registry has no public way to the labels of a family without samples.
    collectors: list[Any] = [c for c in REGISTRY._collector_to_names if hasattr(c, '_labelnames')]
    return [
        {
            'name': collector._name,
            'type': collector._type,
            'help': collector._documentation,
            'labels': list(collector._labelnames),
            # Without labels a histogram has its bounds only here, as floats with +Inf.
            'buckets': [float(bound) for bound in getattr(collector, '_upper_bounds', [])[:-1]],
            'multiprocess_mode': getattr(collector, '_multiprocess_mode', ''),
        }
        for collector in collectors
    ]


def main() -> None:
    output, *entries = sys.argv[1:]
    failures = [failure for entry in entries if (failure := call(entry)) is not None]
    with open(output, 'w', encoding='utf-8') as file:
        json.dump({'failures': failures, 'families': registered()}, file)


if __name__ == '__main__':
    main()
