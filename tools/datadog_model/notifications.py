"""The notifications of a monitor: people get one when the status of what it notifies about changes.

- **Grouping**: without `notify_by` there is one notification per group; with it, one per combination of the tags named
  there, however many groups have them, and `["*"]` is one for the whole monitor (Configure Monitors, Notification
  grouping, https://docs.datadoghq.com/monitors/configuration/#notification-grouping). The documentation does not say
  what a second group does that joins while the first one is triggered; here it is silent, as in a simple alert, and so
  the status told about is the gravest one of all groups.
- **Changes**: triggered, from one trigger to another, and recovered (Notifications,
  https://docs.datadoghq.com/monitors/notify/). Missing data is told of only if the options say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from .errors import AssetError
from .frames import Group
from .monitors import Evaluation, Monitor, Status

__all__ = ['Notification', 'notifications']

_GRAVITY: dict[Status, int] = {'OK': 0, 'Warn': 1, 'No Data': 2, 'Alert': 3}


class Notification(NamedTuple):
    """A monitor tells at a time that what it notifies about has a status; OK is a recovery."""

    time: float
    group: Group
    status: Status


def notifications(monitor: Monitor, evaluations: Iterable[Evaluation]) -> Iterator[Notification]:
    """Yield what a monitor tells of its evaluations, in the order of time.

    Raises AssetError if it notifies by a tag that it does not group by.
    """
    keys = _keys(monitor)
    told: dict[Group, Notification] = {}
    for time, together in groupby(evaluations, lambda one: one.time):
        statuses: dict[Group, Status] = {}
        for one in together:
            about = tuple(tag for tag in one.group if tag.partition(':')[0] in keys)
            status = one.status
            if status == 'No Data' and not monitor.notifies_of_missing_data:
                status = 'OK' if about not in told else told[about].status
            statuses[about] = max(status, statuses.get(about, 'OK'), key=lambda status: _GRAVITY[status])
        for about, status in statuses.items():
            before = told.get(about, Notification(time, about, 'OK'))
            if status != before.status:
                told[about] = Notification(time, about, status)
                yield told[about]


def _keys(monitor: Monitor) -> frozenset[str]:
    """Return the tags that notifications are grouped by."""
    chosen = monitor.options.get('notify_by')
    if chosen is None:
        return frozenset(monitor.groups)
    if chosen == ['*']:
        return frozenset()
    strange = sorted(set(chosen) - set(monitor.groups))
    if strange:
        raise AssetError(f'notify_by names {", ".join(strange)}, which the query does not group by')
    return frozenset(chosen)
