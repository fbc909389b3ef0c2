"""The model of Datadog's notifications: each rule with an example worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tools.datadog_model import AssetError, Evaluation, Monitor, notifications
from tools.datadog_model.monitors import Status


def monitor(by: str = '{env,host}', **options: Any) -> Monitor:
    return Monitor.from_json(
        {
            'name': 'x',
            'type': 'query alert',
            'query': f'avg(last_5m):avg:m{{*}} by {by} > 1',
            'options': {'thresholds': {'critical': 1}, **options},
        }
    )


def told(of: Monitor, *minutes: dict[str, Status]) -> list[tuple[int, str, Status]]:
    """Return minute, group and status of each notification about groups such as `prod a`, evaluated every minute."""
    evaluations = [
        Evaluation(
            60.0 * minute,
            tuple(f'{key}:{value}' for key, value in zip(('env', 'host'), name.split(), strict=True)),
            status,
        )
        for minute, statuses in enumerate(minutes)
        for name, status in statuses.items()
    ]
    return [
        (int(one.time // 60), ' '.join(tag.partition(':')[2] for tag in one.group), one.status)
        for one in notifications(of, evaluations)
    ]


def test_each_change_of_status_is_told_once() -> None:
    statuses: list[Status] = ['OK', 'Warn', 'Alert', 'Alert', 'Warn', 'OK', 'OK']

    assert told(monitor(), *({'prod a': status} for status in statuses)) == [
        (1, 'prod a', 'Warn'),
        (2, 'prod a', 'Alert'),
        (4, 'prod a', 'Warn'),
        (5, 'prod a', 'OK'),
    ]


def test_each_group_is_told_of_by_itself() -> None:
    assert told(monitor(), {'prod a': 'Alert', 'prod b': 'Alert'}, {'prod a': 'OK', 'prod b': 'Alert'}) == [
        (0, 'prod a', 'Alert'),
        (0, 'prod b', 'Alert'),
        (1, 'prod a', 'OK'),
    ]


def test_groups_are_told_of_together_by_the_tags_of_notify_by() -> None:
    minutes: list[dict[str, Status]] = [
        {'prod a': 'Alert', 'prod b': 'OK', 'test a': 'OK'},
        {'prod a': 'Alert', 'prod b': 'Alert', 'test a': 'OK'},
        {'prod a': 'OK', 'prod b': 'Alert', 'test a': 'Alert'},
        {'prod a': 'OK', 'prod b': 'OK', 'test a': 'Alert'},
    ]

    assert told(monitor(notify_by=['env']), *minutes) == [(0, 'prod', 'Alert'), (2, 'test', 'Alert'), (3, 'prod', 'OK')]


def test_the_gravest_status_of_the_groups_is_told() -> None:
    assert told(
        monitor(notify_by=['env']), {'prod a': 'Alert', 'prod b': 'Warn'}, {'prod a': 'OK', 'prod b': 'Warn'}
    ) == [
        (0, 'prod', 'Alert'),
        (1, 'prod', 'Warn'),
    ]


def test_a_star_makes_one_notification_of_all_groups() -> None:
    assert told(monitor(notify_by=['*']), {'prod a': 'Alert', 'test b': 'Alert'}) == [(0, '', 'Alert')]


def test_notify_by_names_tags_that_the_query_groups_by() -> None:
    with pytest.raises(AssetError, match='notify_by names pod'):
        told(monitor(notify_by=['env', 'pod']), {'prod a': 'OK'})


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({}, [(0, 'prod a', 'Alert')]),
        ({'on_missing_data': 'show_and_notify_no_data'}, [(0, 'prod a', 'Alert'), (1, 'prod a', 'No Data')]),
    ],
)
def test_missing_data_is_told_of_only_if_the_monitor_says_so(options: dict[str, Any], expected: list[Any]) -> None:
    assert told(monitor(**options), {'prod a': 'Alert'}, {'prod a': 'No Data'}) == expected
