"""Search for an input that breaks what must hold of any pages. Inputs that reach new code make further ones.

Prints an input that breaks something and where it was saved. Move it to `corpus`, where `tests/test_fuzz.py` plays it,
and mend what it breaks. What is found on the way is kept in `.cache/fuzz` and begun with next time.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import atheris

CORPUS = Path(__file__).parents[2] / 'litellm' / 'tests' / 'faults' / 'corpus'
FOUND = Path(__file__).parents[2] / '.cache' / 'fuzz'
DICTIONARY = Path(__file__).parent / 'words.txt'


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m tools.fuzz', description=__doc__)
    parser.add_argument('seconds', nargs='?', type=int, default=30, help='how long to search')
    parser.add_argument('--seed', type=int, default=0, help='the same inputs again on the same code; 0 draws others')
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=['datadog_checks.litellm']):
        from tests.support.fuzz_pages import play
    FOUND.mkdir(parents=True, exist_ok=True)
    options = {
        'artifact_prefix': f'{FOUND}/broken-',
        'dict': DICTIONARY,
        'max_len': 8192,
        'max_total_time': arguments.seconds,
        'print_final_stats': 1,
        'rss_limit_mb': 2048,
        'seed': arguments.seed,
        'timeout': 30,
        'verbosity': 0,
    }
    (FOUND / 'corpus').mkdir(exist_ok=True)
    flags = [f'-{name}={value}' for name, value in options.items()]
    atheris.Setup([sys.argv[0], *flags, str(FOUND / 'corpus'), str(CORPUS)], play)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
