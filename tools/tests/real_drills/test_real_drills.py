"""Faults played on the real LiteLLM: its monitors do what the fixture's drills say. Run by `make real-drills`."""

from __future__ import annotations

import pytest

from tools.real_drills.drills import DRILLS, Drill
from tools.real_drills.play import Played, play, wrong
from tools.real_litellm.environment import HarnessError
from tools.real_litellm.redis_server import RedisServer
from tools.real_litellm.servers import servers


def can_be_played(drill: Drill) -> bool:
    """Tell whether this machine has the servers of a drill."""
    return (not drill.needs_redis or RedisServer.is_installed()) and (
        not drill.needs_database or servers().have_database
    )


@pytest.fixture(scope='module')
def played() -> dict[str, Played]:
    failure = ''
    try:
        return {one.name: one for one in play(drill for drill in DRILLS if can_be_played(drill))}
    except HarnessError as error:
        failure = str(error)
    pytest.fail(failure, pytrace=False)


@pytest.mark.parametrize('drill', DRILLS, ids=lambda drill: drill.name)
def test_its_monitors_alert_in_time_recover_and_no_other_does(played: dict[str, Played], drill: Drill) -> None:
    if drill.name not in played:
        pytest.skip('this machine has no Redis, or no PostgreSQL and Node')
    assert wrong(played[drill.name]) == []
