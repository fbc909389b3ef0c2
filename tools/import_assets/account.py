"""Find what an account has of ours, and make it as it should be: one request per asset that is new or has changed.

An asset is found by its mark. Of several with one mark, such as copies that somebody made, it is the one that was made
first. Nothing is deleted, and what has no mark is not touched. Whether an asset has changed is told from the fields
that the file has: where Datadog words one of them in another way, the asset is updated in each run, to the same effect.

The files link to dashboards by title, as a list that is searched. Messages of monitors get the address of the dashboard
itself, once it is there, and links that also work outside of Datadog, in a mail or a chat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from datadog_api_client import ApiClient
from datadog_api_client.model_utils import OpenApiModel
from datadog_api_client.v1.api.dashboards_api import DashboardsApi
from datadog_api_client.v1.api.logs_pipelines_api import LogsPipelinesApi
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v1.api.service_level_objectives_api import ServiceLevelObjectivesApi
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.monitor_update_request import MonitorUpdateRequest
from datadog_api_client.v1.model.service_level_objective import ServiceLevelObjective
from datadog_api_client.v1.model.service_level_objective_request import ServiceLevelObjectiveRequest

from .assets import MARK, Asset, AssetError
from .validity import as_model, problems

__all__ = ['Account', 'Change']

_LIST_OF_DASHBOARDS = re.compile(r'\(/dashboard/lists\?q=([^&)]*)(&?)')


@dataclass(frozen=True)
class _Stored:
    """An asset of ours in the account; `made` orders those of one mark."""

    identity: Any
    made: Any
    body: dict[str, Any]


@dataclass(frozen=True)
class _Kind:
    """A kind of assets: how they are listed, made and changed; `made` and `changed` are the models of the requests."""

    stored: Callable[[], Iterator[tuple[str, _Stored]]]
    made: type[OpenApiModel]
    make: Callable[[Any], Any]
    changed: type[OpenApiModel]
    change: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Change:
    """The change to an asset: `create`, `update` or `keep`; `apply` sends the request, if there is one to send."""

    asset: Asset
    action: str
    apply: Callable[[], Any]


class Account:
    """The account that an API client is for; `pages` is the address of Datadog's own pages."""

    def __init__(self, client: ApiClient, pages: str) -> None:
        self._pages = pages
        self._dashboards: dict[str, Any] = {}
        dashboards, monitors = DashboardsApi(client), MonitorsApi(client)
        slos, pipelines = ServiceLevelObjectivesApi(client), LogsPipelinesApi(client)
        self._kinds = {
            'pipelines': _Kind(
                lambda: _pipelines(pipelines),
                LogsPipeline,
                pipelines.create_logs_pipeline,
                LogsPipeline,
                pipelines.update_logs_pipeline,
            ),
            'dashboards': _Kind(
                lambda: _dashboards(dashboards),
                Dashboard,
                dashboards.create_dashboard,
                Dashboard,
                dashboards.update_dashboard,
            ),
            'monitors': _Kind(
                lambda: _monitors(monitors),
                Monitor,
                monitors.create_monitor,
                MonitorUpdateRequest,
                monitors.update_monitor,
            ),
            'slos': _Kind(
                lambda: _slos(slos),
                ServiceLevelObjectiveRequest,
                slos.create_slo,
                ServiceLevelObjective,
                slos.update_slo,
            ),
        }

    def changes(self, wanted: Iterable[Asset]) -> Iterator[Change]:
        """Yield what becomes of each asset, in their order: what links to another is told after that is there.

        Raises AssetError, before any request, for what the API would refuse.
        """
        wanted = list(wanted)
        wrong = [
            f'{asset.kind} {asset.name}: {problem}'
            for asset in wanted
            for problem in problems(asset.definition, self._kinds[asset.kind].made)
        ]
        if wrong:
            raise AssetError('\n'.join(wrong))
        there: dict[tuple[str, str], _Stored] = {}
        for kind in {asset.kind for asset in wanted}:
            for mark, stored in self._kinds[kind].stored():
                first = there.setdefault((kind, mark), stored)
                if stored.made < first.made:
                    there[kind, mark] = stored
        for asset in wanted:
            yield self._change(asset, there.get((asset.kind, asset.mark)))

    def _change(self, asset: Asset, stored: _Stored | None) -> Change:
        kind = self._kinds[asset.kind]
        definition = self._linked(asset.definition)
        body = as_model(definition, kind.made)
        if stored is None:
            return Change(asset, 'create', lambda: self._note(asset, kind.make(body).get('id')))
        self._note(asset, stored.identity)
        if _covers(stored.body, body.to_dict()):
            return Change(asset, 'keep', lambda: None)
        return Change(asset, 'update', lambda: kind.change(stored.identity, as_model(definition, kind.changed)))

    def _note(self, asset: Asset, identity: Any) -> None:
        if asset.kind == 'dashboards':
            self._dashboards[asset.definition['title']] = identity

    def _linked(self, definition: Mapping[str, Any]) -> Mapping[str, Any]:
        if 'message' not in definition:
            return definition

        def dashboard(found: re.Match[str]) -> str:
            identity = self._dashboards.get(unquote(found[1]))
            return found[0] if identity is None else f'(/dashboard/{identity}{"?" if found[2] else ""}'

        message = _LIST_OF_DASHBOARDS.sub(dashboard, definition['message'])
        return {**definition, 'message': message.replace('](/', f']({self._pages}/')}


def _dashboards(api: DashboardsApi) -> Iterator[tuple[str, _Stored]]:
    for summary in api.list_dashboards_with_pagination():
        for mark in MARK.findall(summary.get('description') or ''):
            body = api.get_dashboard(summary.id).to_dict()
            yield mark, _Stored(summary.id, summary.created_at, body)


def _monitors(api: MonitorsApi) -> Iterator[tuple[str, _Stored]]:
    for monitor in api.list_monitors_with_pagination(monitor_tags='integration:litellm'):
        for mark in _marks(monitor.tags):
            yield mark, _Stored(monitor.id, monitor.id, monitor.to_dict())


def _slos(api: ServiceLevelObjectivesApi) -> Iterator[tuple[str, _Stored]]:
    for slo in api.list_slos_with_pagination(tags_query='integration:litellm'):
        for mark in _marks(slo.tags):
            yield mark, _Stored(slo.id, slo.created_at, slo.to_dict())


def _pipelines(api: LogsPipelinesApi) -> Iterator[tuple[str, _Stored]]:
    # Those that Datadog installs for its integrations cannot be changed.
    for order, pipeline in enumerate(api.list_logs_pipelines().value):
        if not pipeline.get('is_read_only'):
            yield pipeline.name, _Stored(pipeline.id, order, pipeline.to_dict())


def _marks(tags: Iterable[str]) -> list[str]:
    return [tag for tag in tags if MARK.fullmatch(tag)]


def _covers(there: Any, wanted: Any) -> bool:
    """Tell whether what is there has everything that is wanted, however much more it has."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(
            key in there and _covers(there[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list) and isinstance(there, list):
        if all(isinstance(item, str) for item in [*wanted, *there]):
            return sorted(wanted) == sorted(there)
        return len(wanted) == len(there) and all(map(_covers, there, wanted))
    return bool(there == wanted)
