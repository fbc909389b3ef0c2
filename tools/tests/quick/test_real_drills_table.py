"""The drills on the real LiteLLM, without playing them: what they say is about monitors and drills that there are."""

from __future__ import annotations

from tools.drills import SCENARIOS
from tools.drills.expected import EXPECTED
from tools.drills.fault_matrix import load_monitors
from tools.markdown import between_markers
from tools.real_drills.drills import DRILLS, ONLY_HERE
from tools.real_drills.table import MARKER, PAGE, table


def test_the_table_in_the_docs_is_up_to_date() -> None:
    assert between_markers(PAGE, MARKER) == table(), 'run `python -m tools.real_drills --write`'


def test_a_drill_like_another_names_one_of_the_fixture() -> None:
    assert {drill.like for drill in DRILLS} - {''} <= SCENARIOS.keys()


def test_only_what_is_expected_of_the_fixture_can_be_silent() -> None:
    expected = {(one.scenario, one.monitor) for one in EXPECTED}

    assert [(one.name, name) for one in DRILLS for name in one.silent if (one.like, name) not in expected] == []


def test_what_is_expected_only_here_is_of_drills_and_monitors_that_there_are() -> None:
    names = {drill.name for drill in DRILLS}

    assert {one.scenario for one in ONLY_HERE} <= names
    assert {one.monitor for one in ONLY_HERE} <= load_monitors().keys()


def test_each_drill_has_a_name_of_its_own() -> None:
    assert len({drill.name for drill in DRILLS}) == len(DRILLS) >= 12
