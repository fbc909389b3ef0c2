"""Judge a proxy's families, sums, dollars and answers, and the fixture that stands in for it, by what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from prometheus_client import Metric

from datadog_checks.litellm.metrics import NO_LIMIT, UNLICENSED_FAMILY, raw_names
from tools.real_litellm.database_accounts import Accounts
from tools.real_litellm.families import Page
from tools.real_litellm.sums import SUMS, SUMS_WITHOUT_LICENCE, Sum
from tools.real_litellm.workload import Sent

from .access import asks_for_key, can_ask_for_key, expected_status, needs_licence
from .conformance import differences, unexplained, unneeded
from .differences import DIFFERENCES
from .endpoints import CREDENTIALS, METRICS_PATHS
from .result import Result
from .watcher import Watcher

__all__ = ['judge_auth', 'judge_dollars', 'judge_families', 'judge_fixture', 'judge_redirect', 'judge_sums']

_SPEND = 'litellm.spend.metric.count'


def judge_families(result: Result, watcher: Watcher, sent: Sent) -> None:
    """Look for families that the check does not know or does not submit, and for what it warns of."""
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


def judge_sums(result: Result, watcher: Watcher, sent: Sent) -> None:
    """Compare what was submitted with the page, and with what was sent."""
    here = (result.release, result.capture.with_database)
    known = {name for difference in DIFFERENCES if difference.is_of(*here) for name in difference.sums}
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


def judge_dollars(result: Result, watcher: Watcher, accounts: Accounts, logged: Mapping[str, float]) -> None:
    """Compare the dollars of each key that were submitted with those that LiteLLM has logged in its database."""
    if needs_licence(result.release):
        return
    for alias in accounts.requests:
        result.sums += 1
        submitted = watcher.count(_SPEND, f'api_key_alias:{alias}')
        if abs(submitted - logged[alias]) > 1e-6:
            result.complain('sums', f'{alias}: {submitted:g} dollars submitted, {logged[alias]:g} in the database')


def judge_auth(result: Result) -> None:
    """Hold the answers to each kind of credential against what is documented, whichever way the setting was."""
    protected = asks_for_key(result.release)
    flipped_protected = not protected and can_ask_for_key(result.release)
    for what, found, is_protected in (
        ('', result.capture.answers, protected),
        (' with the setting flipped', result.capture.flipped, flipped_protected),
    ):
        for path, credential in product(METRICS_PATHS, CREDENTIALS) if found else ():
            expected = expected_status(result.release, path, credential, is_protected)
            status = found[f'GET {path} {credential}'].status
            if status != expected:
                result.complain('auth', f'GET {path} {credential}{what}: {status or "no answer"}, not {expected}')


def judge_redirect(result: Result) -> None:
    """Ask where `/metrics` leads."""
    answer = result.capture.answers['GET /metrics with a key']
    if (answer.status, answer.location) != (307, '/metrics/'):
        result.complain('redirect', f'GET /metrics: {answer.status} {answer.location}')


def judge_fixture(result: Result) -> None:
    """Compare the fixture proxy with the real one."""
    found = differences(result.capture)
    for difference in unexplained(result.capture, found):
        result.complain('fixture', str(difference))
    for known in unneeded(result.capture, found):
        result.complain('fixture', f'{known.fact} is the same: it does not belong into allowed.csv any more')
