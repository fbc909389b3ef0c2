"""The command line of `python -m datadog_checks.litellm`."""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from requests.exceptions import RequestException

from datadog_checks.base.errors import ConfigurationError

from ..options import unknown_options
from ..secrets import Redactor, secrets_of
from .agent_json import to_json
from .concealment import conceal
from .configuration import KEY_VARIABLE, UsageError, configuration, sends_key
from .measure import create_check, measure, read_page
from .text import HEALTH_NOTE, Style, printable, render

__all__ = ['Parser', 'main', 'positive_seconds']

OK, SCRAPE_FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

# What the configuration models call the values of a YAML file.
PLAIN_TYPES = (('an instance of mappingproxy', 'a mapping'), ('a valid tuple', 'a list'))

DESCRIPTION = """\
Scrape the metrics page of a LiteLLM proxy twice, as the Datadog Agent would, and
show what the Agent would send: each metric with its value and contexts, the
labels that multiply contexts, labels with personal data, and families that the
check does not collect. Nothing is sent to Datadog. If the file of --config sets
`litellm_health_endpoint`, /health is requested as well, for which LiteLLM calls
each of its models, unless it checks them in the background.
"""
EPILOG = f"""\
The key is never printed. Other users of this host can see --key in the process
list: prefer --key-file, or the environment variable {KEY_VARIABLE}.

exit codes: 0 success, 1 a scrape failed, 2 invalid option, URL or file
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: the report or the JSON goes to stdout, errors and warnings go to stderr, a line each.

    Returns the exit code: 0 for a report, 1 for a scrape that failed, 2 for bad usage, 130 after Ctrl-C.
    """
    redact = Redactor()
    try:
        options = _parse(arguments)
        init_config, instance = configuration(options)
        redact.learn(secrets_of(init_config, instance))
        for unknown in unknown_options(init_config, instance):
            _tell('warning', redact(unknown.sentence))
        return _report(init_config, instance, redact, options)
    except UsageError as error:
        return _fail(redact(str(error)), BAD_USAGE)
    except ConfigurationError as error:
        for fault in _faults(str(error)):
            _tell('error', redact(fault))
        return BAD_USAGE
    except RequestException as error:
        return _fail(redact(str(error)), SCRAPE_FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe. Flushing the buffer at exit must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _report(
    init_config: dict[str, Any], instance: dict[str, Any], redact: Redactor, options: argparse.Namespace
) -> int:
    check = create_check(init_config, instance)
    measurement = measure(check, partial(time.sleep, options.interval))
    if not options.json and measurement.failure is None:
        measurement = replace(measurement, page=read_page(check))
    # Tokens that it has read.
    redact.learn(check.secrets.known)
    # Of all that was measured, nothing gets any further with a secret in it.
    measurement = conceal(measurement, redact)
    failure = measurement.failure
    if options.json:
        _print(to_json(measurement) + '\n')
        if any(point.type == 'distribution' for point in measurement.points):
            _tell('note', 'distributions are omitted, because only the Agent computes their sketches')
    elif failure is None:
        _print(render(measurement, _style(options.all)))
    if measurement.asked_health and (options.json or failure is not None):
        _tell('note', HEALTH_NOTE)
    if failure is not None:
        needs_key = '401' in failure.message and not sends_key(instance)
        hint = f' For this command: --key-file, --key or {KEY_VARIABLE}.' if needs_key else ''
        return _fail(f'{measurement.endpoint}: {failure.message}{hint}', SCRAPE_FAILED)
    return OK


_QUOTED = re.compile('([\'"]).*\\1', re.DOTALL)


class Parser(argparse.ArgumentParser):
    """Report a wrong option in one line, with the exception that any other misuse raises, and repeat no argument."""

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Return the options. Raises a `UsageError` for any other."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            # One may be a key.
            names = [argument.partition('=')[0] for argument in unknown if argument.startswith('--')]
            raise UsageError(
                f'unknown options: {" ".join(names)} (see --help)' if names else 'more than one URL (see --help)'
            )
        return options

    def error(self, message: str) -> NoReturn:
        # It quotes what stands in the place of a value, which may be a key.
        raise UsageError(f'{_QUOTED.sub("…", message)} (see --help)')


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog='python -m datadog_checks.litellm',
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        'url',
        nargs='?',
        metavar='URL',
        help='URL of the metrics page, with http:// or https://; /metrics/ is added if it has no path',
    )
    key = parser.add_mutually_exclusive_group()
    key.add_argument('--key', help='LiteLLM key to send')
    key.add_argument('--key-file', type=Path, metavar='FILE', help='file that contains the LiteLLM key')
    parser.add_argument(
        '--config',
        type=Path,
        metavar='FILE',
        help='conf.yaml, or a single instance, with more options (ENC[] is not decrypted)',
    )
    parser.add_argument(
        '--interval', type=_seconds, default=2.0, metavar='SECONDS', help='time between the two scrapes (default 2)'
    )
    parser.add_argument(
        '--timeout', type=positive_seconds, metavar='SECONDS', help='timeout of each request (default 10)'
    )
    parser.add_argument('--json', action='store_true', help='print the output of `agent check --json`')
    parser.add_argument('--all', action='store_true', help='show all rows of each table')
    return parser.parse(arguments)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError('must be a number of seconds, at most 3600')
    return seconds


def positive_seconds(text: str) -> float:
    """Read a number of seconds that cannot be 0, for argparse."""
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError('must be more than 0 seconds')
    return seconds


def _faults(message: str) -> list[str]:
    """Return a sentence for each option that a configuration error is about.

    That of the models is a heading, and then two lines for each option: where it is, and what is wrong, in the types of
    Python.
    """
    heading, *lines = message.split('\n')
    if 'while loading configuration model' not in heading or not lines or len(lines) % 2:
        return [message]
    for ours, plain in PLAIN_TYPES:
        lines = [line.replace(ours, plain) for line in lines]
    return [f'`{where}`: {what.strip()}' for where, what in zip(lines[::2], lines[1::2], strict=True)]


def _style(full: bool) -> Style:
    columns = shutil.get_terminal_size((120, 24)).columns
    colour = sys.stdout.isatty() and not os.environ.get('NO_COLOR') and os.environ.get('TERM') != 'dumb'
    return Style(width=min(max(columns, 80), 120), colour=colour, full=full)


def _print(text: str) -> None:
    encoding = sys.stdout.encoding
    sys.stdout.write(text.encode(encoding, 'backslashreplace').decode(encoding))
    sys.stdout.flush()


def _fail(message: str, code: int) -> int:
    _tell('error', message)
    return code


def _tell(kind: str, message: str) -> None:
    sys.stderr.write(f'{kind}: {printable(" ".join(message.split()))}\n')
