import sys

from .__about__ import __version__

try:
    from .check import LitellmCheck
except ModuleNotFoundError as error:
    # The command line is not even found without this package. While Python looks for it, this is its first argument.
    if sys.argv[:1] != ['-m']:
        raise
    sys.stderr.write(f"error: this Python has no module {error.name}: pip install 'datadog-checks-base[deps]'\n")
    sys.exit(2)

__all__ = ['LitellmCheck', '__version__']
