"""The command line of `python -m datadog_checks.litellm doctor`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from requests.exceptions import RequestException

from datadog_checks.base.errors import ConfigurationError

from ..__about__ import __version__
from ..options import ENDPOINTS, Options, unknown_options
from ..report.cli import Parser, positive_seconds
from ..report.configuration import HANDLE, UsageError, changed, configuration, instances_of, refuse_handles
from ..report.measure import create_check
from ..report.text import printable
from ..secrets import Redactor, secrets_of
from ..transport.urls import read_address
from .finding import Finding, Verdict
from .installation import look_at_installation
from .other_check import look_at_options
from .proxy import look_at_proxy

__all__ = ['main']

HEALTHY, SICK, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = """\
Look at this installation of the check, at the instances of a conf.yaml and at their
proxies: what is installed, which options the check of the same name that Agents
bundle would ignore, whether each metrics page can be scraped with its key, the
readiness of the proxy, the clocks, and which personal labels leave the host.
Nothing is sent to Datadog, /health is never requested, and no key is printed.

Where this command does not exist, another check of the name is installed.
"""
EPILOG = 'exit codes: 0 nothing to mend, 1 a problem, 2 invalid option or file'


@dataclass
class _Section:
    """The findings about one subject: the installation, or an instance."""

    title: str
    findings: list[Finding] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code: 0 if nothing is to be mended, 1 for a problem."""
    try:
        options = _parser().parse(arguments)
        sections = [_Section('installation', list(look_at_installation())), *_instances(options)]
    except UsageError as error:
        sys.stderr.write(f'error: {printable(" ".join(str(error).split()))}\n')
        return BAD_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    is_sick = any(one.verdict is Verdict.PROBLEM for section in sections for one in section.findings)
    sys.stdout.write(_as_json(sections) if options.json else _as_text(sections))
    return SICK if is_sick else HEALTHY


def _parser() -> Parser:
    parser = Parser(
        prog='python -m datadog_checks.litellm doctor',
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument('url', nargs='?', metavar='URL', help='URL of a metrics page; with --config, of one instance')
    parser.add_argument('--config', type=Path, metavar='FILE', help='conf.yaml whose instances are looked at')
    parser.add_argument('--key-file', type=Path, metavar='FILE', help='file that contains the LiteLLM key')
    parser.add_argument('--timeout', type=positive_seconds, metavar='SECONDS', help='timeout of each request')
    parser.add_argument('--offline', action='store_true', help='send no request: look at installation and options only')
    parser.add_argument('--json', action='store_true', help='print JSON')
    # What the report's reading of the configuration takes: a key among the arguments would be seen by every user.
    parser.set_defaults(key=None)
    return parser


def _instances(options: argparse.Namespace) -> Iterator[_Section]:
    if options.config is None and options.url is None:
        return
    if options.config is None or options.url is not None:
        init_config, instance = configuration(options, decrypted=False)
        instances = [instance]
    else:
        init_config, instances = instances_of(options.config)
        instances = [changed(one, options) for one in instances]
    for position, instance in enumerate(instances, 1):
        redact = Redactor(secrets_of(init_config, instance))
        title = redact(_title(instance.get('openmetrics_endpoint'), f'instance {position}'))
        yield _Section(title, list(_about(init_config, instance, redact, options)))


def _title(url: object, unreadable: str) -> str:
    """Return the URL as it is shown, or other words if nobody can tell where a password in it ends."""
    try:
        return read_address('openmetrics_endpoint', url).shown
    except ConfigurationError:
        return unreadable


def _about(
    init_config: dict[str, Any], instance: dict[str, Any], redact: Redactor, options: argparse.Namespace
) -> Iterator[Finding]:
    for unknown in unknown_options(init_config, instance):
        yield Finding(Verdict.PROBLEM, 'options', redact(unknown.sentence))
    try:
        check = create_check(init_config, instance)
        check.load_configuration_models()
        Options.of(instance, init_config)
        for option in ENDPOINTS:
            # The Agent puts a secret in the place of a handle.
            if instance.get(option) and not HANDLE.search(str(instance[option])):
                read_address(option, instance[option])
        yield from look_at_options(instance)
        if options.offline:
            with suppress(UsageError):
                refuse_handles(init_config, instance, options)
                check.configure_scrapers()
            return
        # Not /health: it may call every model, at a cost.
        refuse_handles(init_config, instance, options)
        readable = {name: value for name, value in instance.items() if name != 'litellm_health_endpoint'}
        yield from look_at_proxy(init_config, readable, redact, interval=0.5)
    except UsageError as error:
        yield Finding(Verdict.NOTE, 'metrics page', f'not requested: {redact(str(error))}')
    except RequestException as error:
        yield Finding(Verdict.PROBLEM, 'metrics page', redact(str(error)))
    except (ConfigurationError, TypeError, ValueError) as error:
        yield Finding(Verdict.PROBLEM, 'options', redact(' '.join(str(error).split())))


def _as_text(sections: list[_Section]) -> str:
    lines = []
    for section in sections:
        lines.append(section.title)
        for one in section.findings:
            lines.append(f'  {one.verdict:8} {one.subject}: {printable(" ".join(one.text.split()))}')
            if one.advice:
                lines.append(f'           {one.advice}')
    return '\n'.join(lines) + '\n'


def _as_json(sections: list[_Section]) -> str:
    findings = [
        {'about': section.title, **one._asdict(), 'verdict': one.verdict.value}
        for section in sections
        for one in section.findings
    ]
    return json.dumps({'version': __version__, 'findings': findings}, indent=2) + '\n'
