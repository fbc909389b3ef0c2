"""Register a LiteLLM's families, and write what was registered and which calls did it.

Runs by itself in an environment where LiteLLM is installed: `python probe.py OUTPUT ENTRY...`, each ENTRY a
`module:qualified name` that is called without arguments, a method on an instance that is made without.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import sys
import sysconfig
import tempfile
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

# Before prometheus_client is imported: only so do gauges have a multiprocess mode that means something.
os.environ.setdefault('PROMETHEUS_MULTIPROC_DIR', tempfile.mkdtemp(prefix='drift-probe-'))
os.environ.setdefault('LITELLM_LOCAL_MODEL_COST_MAP', 'True')

PACKAGES = Path(sysconfig.get_path('purelib'))
families: list[dict[str, Any]] = []


def watch() -> None:
    """Note from now on each family that is made."""
    from prometheus_client.metrics import MetricWrapperBase

    original = MetricWrapperBase.__init__

    @functools.wraps(original)
    def noting(self: Any, name: str, *arguments: Any, **keywords: Any) -> None:
        original(self, name, *arguments, **keywords)
        # A series of a family is made by the same constructor.
        of_litellm = calls(inspect.currentframe())
        if of_litellm and not keywords.get('_labelvalues'):
            families.append({**described(self, name), 'calls': of_litellm})

    MetricWrapperBase.__init__ = noting  # type: ignore[method-assign]


def calls(frame: FrameType | None) -> list[tuple[str, int, int, str]]:
    """Return LiteLLM's calls that led here, the innermost first: file, first and last line, and the caller's name."""
    found = []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGES) and path.relative_to(PACKAGES).parts[0].startswith('litellm'):
            first, last, *_ = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
            found.append(
                (
                    path.relative_to(PACKAGES).as_posix(),
                    first or frame.f_lineno,
                    last or frame.f_lineno,
                    frame.f_code.co_qualname,
                )
            )
        frame = frame.f_back
    return found


def described(collector: Any, name: str) -> dict[str, Any]:
    """Return what is known of a family, with the name that its constructor was given."""
    return {
        'name': collector._name,
        'given': name,
        'type': collector._type,
        'help': collector._documentation,
        'labels': list(collector._labelnames),
        'multiprocess_mode': getattr(collector, '_multiprocess_mode', ''),
    }


def call(entry: str) -> str | None:
    """Call an entry; return why that failed, or None."""
    module, _, name = entry.partition(':')
    *owners, last = name.split('.')
    try:
        owner: Any = functools.reduce(getattr, owners, importlib.import_module(module))
        if owners and inspect.isfunction(inspect.getattr_static(owner, last)):
            owner = owner()
        getattr(owner, last)()
    except Exception as error:  # noqa: BLE001 - whatever a release raises is a line of the report
        # A second entry may lead to the same family.
        return None if 'Duplicated timeseries' in str(error) else f'{entry}: {type(error).__name__}: {error}'
    return None


def main() -> None:
    output, *entries = sys.argv[1:]
    watch()
    failures = [failure for entry in entries if (failure := call(entry)) is not None]
    with open(output, 'w', encoding='utf-8') as file:
        json.dump({'failures': failures, 'families': families}, file)


if __name__ == '__main__':
    main()
