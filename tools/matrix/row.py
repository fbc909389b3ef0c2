"""One row of the matrix: a release is started, driven, scraped, asked, and held against what is expected of it."""

from __future__ import annotations

import time

from tools.real_litellm.config import Options
from tools.real_litellm.database_accounts import logged_dollars, open_accounts, settle_accounts, use_accounts
from tools.real_litellm.environment import Environment, environment
from tools.real_litellm.families import coverage
from tools.real_litellm.real_proxy import RealProxy
from tools.real_litellm.servers import servers
from tools.real_litellm.upkeep import keep_up, page_of_all_jobs
from tools.real_litellm.workload import Client, Sent, drive

from .access import asks_for_key
from .capture import Capture
from .endpoints import ask, ask_for_metrics
from .judges import judge_auth, judge_dollars, judge_families, judge_fixture, judge_redirect, judge_sums
from .result import Result
from .watcher import Watcher

__all__ = ['run']


def run(release: str, with_upkeep: bool = True) -> Result:
    """Run one release through the matrix; raises HarnessError when it does not start or answer.

    With upkeep, it runs a second time, with a database, if the harness can give it one: two to five minutes.
    """
    began = time.monotonic()
    made = environment(release)
    ready = time.monotonic()
    result = _inspect(made)
    if with_upkeep and servers().have_database:
        result.with_database = _inspect_with_database(made)
    result.made_in = ready - began
    result.seconds = time.monotonic() - began
    return result


def _inspect(made: Environment) -> Result:
    with RealProxy(made) as proxy:
        watcher = Watcher(proxy)
        watcher.scrape()
        sent = drive(proxy)
        watcher.scrape()
        answers = ask(proxy.url, proxy.key)
        setting = {'require_auth_for_metrics_endpoint': not asks_for_key(made.release)}
        proxy.reconfigure(Options(litellm_settings=setting))
        flipped = ask_for_metrics(proxy.url, proxy.key)
    found = coverage(sent.busy_page, sent.page)
    capture = Capture(made.release, sent.page.text, answers, flipped, frozenset(found.moved))
    result = Result(made.release, found, capture)
    _judge(result, watcher, sent)
    return result


def _inspect_with_database(made: Environment) -> Result:
    """Do the same with a database: its accounts are used, too, and its jobs go through what can happen to them."""
    with RealProxy(made, Options(with_database=True)) as proxy:
        client, watcher = Client(proxy), Watcher(proxy)
        watcher.scrape()
        accounts = open_accounts(proxy)
        use_accounts(client, accounts)
        settle_accounts(proxy, accounts)
        logged = logged_dollars(proxy)
        sent = drive(proxy, client=client)
        watcher.scrape()
        capture = Capture(made.release, page_of_all_jobs(proxy).text, ask(proxy.url, proxy.key), {}, with_database=True)
        result = Result(made.release, coverage(sent.busy_page, sent.page), capture)
        _judge(result, watcher, sent)
        judge_dollars(result, watcher, accounts, logged)
        result.coverage = result.coverage.with_(coverage(*keep_up(client, accounts)))
    result.capture = capture._replace(moved=frozenset(result.coverage.moved))
    return result


def _judge(result: Result, watcher: Watcher, sent: Sent) -> None:
    judge_families(result, watcher, sent)
    judge_sums(result, watcher, sent)
    judge_auth(result)
    judge_redirect(result)
    judge_fixture(result)
