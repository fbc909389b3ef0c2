"""Show what the Agent would collect from a LiteLLM proxy: `python -m datadog_checks.litellm --help`.

With `doctor` as the first argument, say what is wrong with the installation instead.
"""

import sys

from .doctor import cli as doctor
from .report import cli as report

if __name__ == '__main__':
    if sys.argv[1:2] == ['doctor']:
        sys.exit(doctor.main(sys.argv[2:]))
    sys.exit(report.main())
