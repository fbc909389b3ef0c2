"""One row of the matrix: a release is started, driven, scraped, asked, and held against what is expected of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from prometheus_client import Metric
from tests.support.agent_model import AgentModel

from datadog_checks.litellm import LitellmCheck
from datadog_checks.litellm.metrics import NO_LIMIT, UNLICENSED_FAMILY, raw_names
from tools.real_litellm import features
from tools.real_litellm.config import Options
from tools.real_litellm.environment import Environment, environment
from tools.real_litellm.families import Coverage, Page, coverage
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.servers import servers
from tools.real_litellm.sums import SUMS, SUMS_WITHOUT_LICENCE, Sum
from tools.real_litellm.upkeep import keep_up
from tools.real_litellm.workload import Sent, drive

from .access import asks_for_key, can_ask_for_key, expected_status, needs_licence
from .capture import Capture
from .conformance import differences, unexplained, unneeded
from .differences import DIFFERENCES
from .endpoints import CREDENTIALS, METRICS_PATHS, Answers, ask, ask_for_metrics

__all__ = ['Result', 'run']

_SERVICE_CHECK_OK = 0
# The recorder of submissions is one for the process.
_one_check_at_a_time = threading.Lock()


@dataclass
class Result:
    """What became of one release; without complaints its row is right."""

    release: str
    coverage: Coverage
    capture: Capture
    with_database: Coverage | None = None
    sums: int = 0
    explained: int = 0
    complaints: dict[str, list[str]] = field(default_factory=dict)
    made_in: float = 0.0
    seconds: float = 0.0

    def complain(self, column: str, complaint: str) -> None:
        """Note in a column of the table what is not as it should be."""
        self.complaints.setdefault(column, []).append(complaint)


def run(release: str, with_upkeep: bool = True) -> Result:
    """Run one release through the matrix; raises HarnessError when it does not start or answer.

    With upkeep, it runs a second time, with a database, if the harness can give it one: three to five minutes.
    """
    began = time.monotonic()
    made = environment(release)
    ready = time.monotonic()
    result = _inspect(made)
    if with_upkeep and features.DATABASE.is_in(release) and servers().have_database:
        found = result.with_database = result.coverage.with_(coverage(*keep_up(made)))
        result.capture = result.capture._replace(moved=result.capture.moved | found.moved)
    result.made_in = ready - began
    result.seconds = time.monotonic() - began
    return result


def _inspect(made: Environment) -> Result:
    release = made.release
    with RealProxy(made) as proxy:
        watcher = _Watcher(proxy)
        watcher.scrape()
        sent = drive(proxy)
        watcher.scrape()
        answers = ask(proxy.url, proxy.key)
        setting = {'require_auth_for_metrics_endpoint': not asks_for_key(release)}
        proxy.reconfigure(Options(litellm_settings=setting))
        flipped = ask_for_metrics(proxy.url, proxy.key)
    found = coverage(sent.busy_page, sent.page)
    result = Result(release, found, Capture(release, sent.page.text, answers, flipped, frozenset(found.moved)))
    _judge_families(result, watcher, sent)
    _judge_sums(result, watcher, sent)
    _judge_auth(result, answers, flipped)
    _judge_redirect(result, answers)
    _judge_fixture(result)
    return result


class _Watcher:
    """The check and the Agent around it."""

    def __init__(self, proxy: RealProxy) -> None:
        instance = {
            'openmetrics_endpoint': proxy.metrics_url,
            'headers': {'Authorization': f'Bearer {proxy.key}'},
            'timeout': 20,
            # A count that never moves is to show that it is known.
            'idle_counts': 'always',
        }
        self._check = LitellmCheck('litellm', {}, [instance])
        self._agent = AgentModel()
        self.errors: list[str] = []
        self.warnings: set[str] = set()

    def scrape(self) -> None:
        """Let the Agent run the check once."""
        with _one_check_at_a_time:
            error = self._agent.run(self._check).error
        self.errors += [error] if error else []
        self.warnings.update(self._check.get_warnings())

    @property
    def metrics(self) -> set[str]:
        """The metrics that the Agent has flushed."""
        contexts: list[Any] = [*self._agent.count_totals, *self._agent.gauges]
        return {context.name for context in contexts}

    def total(self, wanted: Sum) -> float:
        """Return what has been flushed of a count."""
        totals = self._agent.count_totals.items()
        tags = {wanted.tag} - {''}
        return sum(total for context, total in totals if context.name == wanted.metric and tags <= context.tags)


def _judge_families(result: Result, watcher: _Watcher, sent: Sent) -> None:
    for family in sorted(result.coverage.unmapped):
        result.complain('unmapped', family)
    names = raw_names()
    for family in sorted(
        filter(names.get, (name for name, family in sent.page.families.items() if _has_value(family)))
    ):
        if not {f'litellm.{names[family]}', f'litellm.{names[family]}.count'} & watcher.metrics:
            result.complain('check', f'{family} has samples and is not submitted')
    for error in watcher.errors:
        result.complain('check', error)
    gated = needs_licence(result.release)
    if gated != (UNLICENSED_FAMILY in result.coverage.registered):
        result.complain('check', f'{UNLICENSED_FAMILY} should {"" if gated else "not "}be there')
    about_the_licence = {warning for warning in watcher.warnings if 'enterprise license' in warning}
    if gated and not about_the_licence:
        result.complain('check', 'does not warn of the missing licence')
    for warning in sorted(watcher.warnings - (about_the_licence if gated else set())):
        result.complain('check', f'warns: {warning}')


def _has_value(family: Metric) -> bool:
    """Tell whether a family has a sample that says more than "no limit"."""
    return any(family.type != 'gauge' or sample.value not in NO_LIMIT for sample in family.samples)


def _judge_sums(result: Result, watcher: _Watcher, sent: Sent) -> None:
    known = {name for difference in DIFFERENCES if result.release in difference.releases for name in difference.sums}
    wrong = set()
    for wanted in SUMS_WITHOUT_LICENCE if needs_licence(result.release) else SUMS:
        if wanted.family not in sent.page.families:
            continue
        result.sums += 1
        submitted, shown = watcher.total(wanted), _shown(sent.page, wanted)
        if abs(submitted - shown) > 1e-6:
            result.complain('sums', f'{wanted}: {submitted:g} submitted, {shown:g} on the page')
        if abs(submitted - wanted.expected(sent)) > 1e-6:
            wrong.add(str(wanted))
            if str(wanted) not in known:
                result.complain('sums', f'{wanted}: {submitted:g} submitted, {wanted.expected(sent):g} sent')
    result.explained = len(wrong & known)
    for name in sorted(known - wrong):
        result.complain('sums', f'{name} is right: it does not belong into differences.py any more')


def _shown(page: Page, wanted: Sum) -> float:
    suffix = '_count' if page.families[wanted.family].type == 'histogram' else '_total'
    label, _, value = wanted.tag.partition(':')
    return page.total(wanted.family, suffix, **({label: value} if label else {}))


def _judge_auth(result: Result, answers: Answers, flipped: Answers) -> None:
    """Hold the answers to each kind of credential against what is documented, both ways the setting can be."""
    protected = asks_for_key(result.release)
    flipped_protected = not protected and can_ask_for_key(result.release)
    for what, found, is_protected in (
        ('', answers, protected),
        (' with the setting flipped', flipped, flipped_protected),
    ):
        for path, credential in product(METRICS_PATHS, CREDENTIALS):
            expected = expected_status(result.release, path, credential, is_protected)
            status = found[f'GET {path} {credential}'].status
            if status != expected:
                result.complain('auth', f'GET {path} {credential}{what}: {status or "no answer"}, not {expected}')


def _judge_redirect(result: Result, answers: Answers) -> None:
    answer = answers['GET /metrics with a key']
    if (answer.status, answer.location) != (307, '/metrics/'):
        result.complain('redirect', f'GET /metrics: {answer.status} {answer.location}')


def _judge_fixture(result: Result) -> None:
    found = differences(result.capture)
    for difference in unexplained(result.release, found):
        result.complain('fixture', str(difference))
    for known in unneeded(result.release, found):
        result.complain('fixture', f'{known.fact} is the same: it does not belong into allowed.csv any more')
