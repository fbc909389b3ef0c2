"""LiteLLM's background jobs, which need a database there; here a test starts them, so that they run when it says."""

from __future__ import annotations

import time
from collections.abc import Callable

from .accounts import Accounts
from .budgets import BudgetGauges
from .catalogue import PROVIDER_BUDGETS, deployments_of
from .health_calls import Probes
from .router import Clock
from .series import Series
from .services import Services
from .settings import Settings
from .shared import Shared

__all__ = ['Jobs']

_QUEUES_OF_ONE_SIZE = (
    'in_memory_daily_spend_update_queue',
    'in_memory_spend_update_queue',
    'redis_daily_agent_spend_update_queue',
    'redis_daily_end_user_spend_update_queue',
    'redis_daily_spend_update_queue',
    'redis_spend_update_queue',
)
# LiteLLM sends their sizes to services that have no gauge, so they show up as calls that take no time.
_QUEUES_COUNTED_AS_CALLS = (
    'redis_daily_org_spend_update_queue',
    'redis_daily_tag_spend_update_queue',
    'redis_daily_team_spend_update_queue',
    'redis_window_spend_update_queue',
)
_WITHOUT_FAILURES = (
    'anthropic_wif_cache',
    'auth',
    'batch_write_to_db',
    'proxy_pre_call',
    'router',
    'self',
    *_QUEUES_COUNTED_AS_CALLS,
)
_CLEANED_TABLES = {'LiteLLM_SpendLogs': (1000, 250), 'LiteLLM_SpendLogToolIndex': (40, 0)}
_STORAGE_BYTES = {'allocated': 8_000_000, 'estimated_live': 6_000_000, 'above_target': 0}
_BATCH_SECONDS = 1800.0
# What a run of the job leaves behind; deliveries of batches and videos stay for good.
_DELIVERIES = {
    'litellm_accounting_batch_deliveries': 2,
    'litellm_accounting_delivery_table_bytes': 81_920,
}
# Read from the database, so they stay at 0 while that is down, too.
_PENDING = {
    'litellm_accounting_oldest_pending_seconds': 42.0,
    'litellm_accounting_parked': 1,
    'litellm_accounting_pending': 3,
}
_RESET_IN_PARTS = ('reset_budget_endusers', 'reset_budget_keys', 'reset_budget_users', 'reset_budget_teams')
# In a row, after which a run of the cleanup gives up.
_MOST_FAILED_BATCHES = 3


class Jobs:
    """The jobs of one worker process, by name. Those that need the database do nothing useful while it is down."""

    def __init__(
        self,
        settings: Settings,
        series: Series,
        shared: Shared,
        accounts: Accounts,
        clock: Clock,
        services: Services,
        probes: Probes,
    ) -> None:
        self._profile = settings.profile
        self._series = series
        self._shared = shared
        self._accounts = accounts
        self._clock = clock
        self._services = services
        self._budgets = BudgetGauges(series, accounts, clock)
        # Rows of the spend log that wait to be added to totals, and since when.
        self._undelivered, self._undelivered_since = 0, 0.0
        self._jobs: dict[str, Callable[[], object]] = {
            'budgets': self._write_budgets,
            'reset_budgets': self._reset_budgets,
            'spend_queues': self._flush_spend,
            'batch_cost': self._check_batch_cost,
            'spend_log_cleanup': self._clean_spend_logs,
            'spend_capture': self._compare_spend,
            'health_checks': probes.call,
            'dormant': self._wake_dormant,
        }
        self._only_by_name = {'dormant'} if settings.background_health_checks else {'dormant', 'health_checks'}

    @property
    def names(self) -> list[str]:
        """The jobs that LiteLLM runs as it is configured; `dormant`, which it never runs, is run only by name."""
        return [name for name in self._jobs if name not in self._only_by_name]

    def run(self, names: list[str]) -> None:
        """Run jobs once each; raises ValueError before any runs if one is unknown."""
        unknown = sorted(set(names) - self._jobs.keys())
        if unknown:
            raise ValueError(f'unknown job: {", ".join(unknown)}; known are {", ".join(self._jobs)}')
        for name in names:
            self._jobs[name]()

    def _fails(self, job: str) -> bool:
        return job in self._shared.controls.failing_jobs

    def _write_budgets(self) -> None:
        """Write every budget and the numbers of users, teams and their members."""
        if not self._services.call_postgres('get_data'):
            return
        self._budgets.write_all()
        for team in self._accounts.teams:
            self._series.set('litellm_team_members_metric', {'team': team.id, 'team_alias': team.alias}, team.members)
        self._series.set('litellm_total_users', {}, len(self._accounts.users))
        # One of them is deactivated, and LiteLLM bills only the others.
        self._series.set('litellm_active_users', {}, len(self._accounts.users) - 1)
        self._series.set('litellm_teams_count', {}, len(self._accounts.teams))

    def _reset_budgets(self) -> None:
        """Reset the budgets whose time is up; a job whose database hangs waits for it, and tells nothing."""
        works = self._services.call_postgres('update_data') and not self._fails('reset_budgets')
        if self._shared.controls.db == 'hangs':
            return
        for part in _RESET_IN_PARTS:
            if works:
                self._services.succeeded('reset_budget_job', 0.05)
            else:
                self._services.failed('reset_budget_job', 'ConnectError', part)
        for budget in self._accounts.budgets() if works else ():
            budget.reset_if_due(self._clock.now)

    def _flush_spend(self) -> None:
        """Move the spend that waits in memory over Redis into the database, under the lock of this pod.

        While the database is down it is lost: LiteLLM empties the queue first. A job that fails leaves it waiting.
        With a ledger, nothing waits in queues, whatever happens; what is added to totals is announced over Redis.
        """
        waiting, in_redis = (0, 1) if self._profile.has_ledger else (self._services.pending_writes,) * 2
        has_redis = self._services.call_redis('set_cache')
        for queue in _QUEUES_OF_ONE_SIZE:
            self._services.set_size(queue, waiting if queue.startswith('in_memory') else in_redis)
        for queue in _QUEUES_COUNTED_AS_CALLS:
            self._services.succeeded(queue, 0.0)
        if self._profile.release < (1, 106, 0):
            self._services.succeeded('batch_write_to_db', 0.0)
        if not self._fails('spend_queues'):
            written, self._services.pending_writes = self._services.pending_writes, 0
            if self._services.call_postgres('batch_write') and has_redis:
                self._report_deliveries(written)
        self._services.set_size('pod_lock_manager', 0, label='db_spend_update_job:fixture-pod')

    def _report_deliveries(self, written: int) -> None:
        """Tell what of the spend log is still to be added to the totals of keys, users and teams.

        It is added at once, but waits while the table of keys, which has their totals, is locked.
        """
        if self._shared.controls.db != 'locked':
            self._undelivered = 0
        else:
            self._undelivered_since = self._undelivered_since if self._undelivered else self._clock.now
            self._undelivered += written
        waiting = {
            'litellm_accounting_pending': self._undelivered,
            'litellm_accounting_oldest_pending_seconds': (
                self._clock.now - self._undelivered_since if self._undelivered else 0.0
            ),
        }
        for family, number in (_DELIVERIES | dict.fromkeys(_PENDING, 0) | waiting).items():
            self._series.set(family, {}, number)
        self._series.observe('litellm_accounting_batch_seconds', {}, 0.03)

    def _check_batch_cost(self) -> None:
        """Price the batches that clients created; those of models or providers that fail cannot be read."""
        batches = self._shared.names('batches')
        self._series.set('litellm_check_batch_cost_last_run_timestamp', {}, time.time())
        self._series.set('litellm_check_batch_cost_jobs_polled', {}, len(batches))
        for batch in sorted(batches):
            deployment = deployments_of(batch.rsplit('.', 1)[0])[0]
            if deployment.fails_with is not None or deployment.provider in self._shared.controls.failing_providers:
                self._series.inc('litellm_check_batch_cost_errors', {'error_type': 'provider_retrieval_error'})
                continue
            values = {'model': deployment.model, 'api_provider': deployment.provider}
            self._series.inc('litellm_check_batch_cost_jobs_processed', values)
            self._series.observe('litellm_managed_batch_duration_seconds', values, _BATCH_SECONDS)
            self._shared.remove('batches', batch)

    def _clean_spend_logs(self) -> None:
        """Delete old rows; while the database is down the first batches fail, while it hangs the job waits for it."""
        works = self._services.call_postgres('delete_many') and not self._fails('spend_log_cleanup')
        if self._shared.controls.db == 'hangs':
            return
        if not works:
            failing = {'table': next(iter(_CLEANED_TABLES))}
            self._series.inc('litellm_spend_log_cleanup_batch_failures', failing, _MOST_FAILED_BATCHES)
        else:
            for table, (deleted, remaining) in _CLEANED_TABLES.items():
                self._series.inc('litellm_spend_log_cleanup_rows_deleted', {'table': table}, deleted)
                self._series.observe('litellm_spend_log_cleanup_batch_duration_seconds', {'table': table}, 0.08)
                self._series.set('litellm_spend_log_cleanup_rows_remaining', {'table': table}, remaining)
            for measure, size in _STORAGE_BYTES.items():
                self._series.set('litellm_spend_log_storage_bytes', {'measure': measure}, size)
        self._series.inc('litellm_spend_log_cleanup_runs', {'outcome': 'completed' if works else 'aborted'})

    def _compare_spend(self) -> None:
        """Compare the recorded spend with each provider's bill; one provider's is not known."""
        for provider, limit in PROVIDER_BUDGETS.items():
            rate = float('nan') if limit is None else 0.97
            self._series.set('litellm_spend_capture_rate', {'api_provider': provider}, rate)

    def _wake_dormant(self) -> None:
        """Move the families that releases register but, as far as is known, never move."""
        for service in _WITHOUT_FAILURES:
            self._services.failed(service, 'RuntimeError', 'dormant')
        for family, number in _PENDING.items():
            self._series.set(family, {}, number)
        self._services.succeeded('batch_write_to_db', 0.0)
