"""Show what the Agent would collect from a LiteLLM proxy: `python -m datadog_checks.litellm --help`."""

import sys

from .report.cli import main

if __name__ == '__main__':
    sys.exit(main())
