"""Have LiteLLM do its own work with a database and a Redis: writing, cleaning up and asking, also when it cannot."""

from __future__ import annotations

import time

from tests.fixture_proxy.releases import Profile, Registration
from tests.lineage.release_number import Release

from . import features
from .config import Options
from .database_accounts import Accounts, postgres_of, use_accounts, use_files
from .families import Page
from .real_proxy import RealProxy
from .workload import Client

__all__ = ['keep_up', 'page_of_all_jobs']

# Its oldest way to write, which newer releases have replaced by a ledger.
_WITHOUT_LEDGER = Options(with_database=True, general_settings={'use_spend_logs_ledger': False})

_WAIT_SECONDS = 45
_FIRST_CLEANUP_SECONDS = 150
# LiteLLM compares its spend with the provider's bill for the first time two minutes after its start.
_FIRST_BILL_SECONDS = 180


def keep_up(client: Client, accounts: Accounts) -> list[Page]:
    """Let a proxy with a database go through losses of the provider's batches, of PostgreSQL and of Redis.

    Return the pages on which the families of these jobs show, those that this release moves.
    """
    proxy, pages = client.proxy, []
    if client.has(features.MANAGED_FILES):
        use_files(client, accounts)
        pages.append(_page_with(proxy, 'litellm_check_batch_cost_jobs_processed'))
        pages.append(_lose_batch(proxy, client, accounts))
    pages.append(_lose_database(proxy))
    # It begins anew, with its first writer if it has more than one.
    proxy.reconfigure(_WITHOUT_LEDGER)
    began = time.monotonic()
    use_accounts(client, accounts)
    pages.append(_page_with(proxy, *_of_writers('total_requests')))
    pages.append(_lose_redis(proxy, client, accounts))
    rest = _FIRST_BILL_SECONDS - (time.monotonic() - began)
    pages.append(_page_with(proxy, 'litellm_spend_capture_rate', seconds=rest))
    return pages


def _lose_batch(proxy: RealProxy, client: Client, accounts: Accounts) -> Page:
    proxy.upstream.loses_batches = True
    use_files(client, accounts)
    page = _page_with(proxy, 'litellm_check_batch_cost_errors')
    proxy.upstream.loses_batches = False
    return page


def _lose_database(proxy: RealProxy) -> Page:
    postgres = postgres_of(proxy)
    postgres.stop()
    # Until each job that then fails had its turn: the cleanup, the slowest of them, runs every 20 seconds.
    page = _page_with(proxy, 'litellm_reset_budget_job_failed_requests', 'litellm_spend_log_cleanup_batch_failures')
    postgres.start()
    return page


def _lose_redis(proxy: RealProxy, client: Client, accounts: Accounts) -> Page:
    if proxy.redis is None:
        return Page('')
    proxy.redis.stop()
    use_accounts(client, accounts)
    page = _page_with(proxy, *_of_writers('failed_requests'))
    proxy.redis.start()
    return page


def _of_writers(what: str) -> list[str]:
    return [f'litellm_redis_daily_{kind}_spend_update_queue_{what}' for kind in ('team', 'org', 'tag')]


def page_of_all_jobs(proxy: RealProxy) -> Page:
    """Return a page once the database's jobs have run for the first time: the slowest is the spend log's cleanup."""
    return _page_with(proxy, 'litellm_spend_log_cleanup_runs', seconds=_FIRST_CLEANUP_SECONDS)


def _page_with(proxy: RealProxy, *names: str, seconds: float = _WAIT_SECONDS) -> Page:
    """Return a page once it has samples of these families that the release has, or the last one of some time."""
    wanted = set(names) & _families_of(proxy)
    deadline = time.monotonic() + seconds
    while True:
        page = Page(proxy.scrape())
        shown = {name for name, family in page.families.items() if family.samples}
        if shown >= wanted or time.monotonic() > deadline:
            return page
        time.sleep(0.5)


def _families_of(proxy: RealProxy) -> set[str]:
    """Return the families that a release can show without an enterprise license."""
    profile = Profile(Release.parse(proxy.environment.release))
    licensed = Registration.CALLBACK if profile.needs_licence else None
    return {name for name, family in profile.families.items() if family.registration is not licensed}
