"""The Agent's side of a scrape in C, to be measured with it: a floor for what a submission costs the Agent.

`agent.c` restates, for one check, what rtloader and the aggregator do with the arguments of `submit_metric` and
`submit_histogram_bucket`: each tag is encoded to UTF-8 and copied; copies, name and hostname are interned in a hash
table; a channel of a hundred submissions leads to the aggregator, which has a thread of its own; there, an order-free
hash of name, hostname and distinct tags is looked up twice, for the context and for its sampler or sketch, which takes
the value by the rules of its type. A commit makes a series of each context that has something to tell, and expires
those that two runs left out.

It is a floor. Left out are what the Agent does beyond that (the origins of tags, serialization, compression, network)
and what its language costs (calls from C to Go, garbage collection). Interned text is kept for good, and so are
monotonic counts, which the Agent forgets after 25 hours. `test_bench_agent.py` holds what it flushes against
`tests.support.agent_model`.

It is compiled when it is needed, by `cc` or what the variable `CC` names.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

__all__ = ['CannotCompileError', 'NativeAgent', 'native_agent']

_SOURCE = Path(__file__).with_name('agent.c')


class CannotCompileError(Exception):
    """There is no C compiler here, or it cannot compile an extension of this Python."""


class NativeAgent(Protocol):
    """An Agent around one check; its `submit_…` methods stand in for those of the base package's aggregator."""

    submit_metric: Callable[..., None]
    submit_histogram_bucket: Callable[..., None]
    submit_histogram_bucket_multi: Callable[..., None]
    submit_service_check: Callable[..., None]

    def commit(self, timestamp: float, /) -> int:
        """End a check run; return the number of series that it makes."""

    def flushed(self) -> list[tuple[str, str, tuple[str, ...], str, float]]:
        """Return type, name, tags, hostname and value of each series of the last commit.

        The value of a distribution is its number of observations.
        """


def native_agent() -> NativeAgent:
    """Return a new Agent. Raise `CannotCompileError` if there is no compiler."""
    agent: NativeAgent = _module().Agent()
    return agent


@cache
def _module() -> Any:
    with TemporaryDirectory() as folder:
        library = Path(folder, f'agent{sysconfig.get_config_var("EXT_SUFFIX")}')
        _compile([*os.environ.get('CC', 'cc').split(), '-O2', '-shared', '-fPIC', '-pthread'], library)
        spec = spec_from_file_location('agent', library, loader=ExtensionFileLoader('agent', str(library)))
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def _compile(compiler: Sequence[str], library: Path) -> None:
    headers = sysconfig.get_path('include')
    command = [*compiler, '-I', headers, str(_SOURCE), '-o', str(library), '-lm']
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCompileError(f'{compiler[0]}: {error}') from None
    except subprocess.CalledProcessError as error:
        first_error = next((line for line in error.stderr.splitlines() if 'error' in line), f'exit {error.returncode}')
        raise CannotCompileError(f'{compiler[0]}: {first_error}') from None
