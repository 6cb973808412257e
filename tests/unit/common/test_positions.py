"""Which position a read needs: what was noted before a look is covered by its answer, and nothing else is."""

import pytest

from context_common.postgres.positions import LEASE, Positions, settled

PAGE = 8192


def looked(positions: Positions, at: float, position: int, *, anew: bool = False) -> None:
    positions.begin()
    positions.look(at, position, anew=anew)


def test_before_the_first_look_and_after_the_last_only_the_primary_may_answer() -> None:
    positions = Positions()
    assert positions.needs(["web"], 0.0) is None
    looked(positions, 10.0, 500, anew=True)
    assert positions.needs(["web"], 10.0 + LEASE) == 500
    assert positions.needs(["web"], 10.0 + LEASE + 0.001) is None


def test_a_namespace_needs_what_was_there_when_its_write_was_known() -> None:
    positions = Positions()
    looked(positions, 1.0, 100, anew=True)
    positions.note("web")
    assert positions.needs(["web"], 1.0) is None
    assert positions.needs(["app"], 1.0) == 100
    looked(positions, 1.01, 300)
    looked(positions, 1.02, 900)
    assert positions.needs(["web"], 1.02) == 300
    assert positions.needs(["app"], 1.02) == 100
    assert positions.needs(["app", "web"], 1.02) == 300


def test_a_write_noted_while_the_answer_was_under_way_may_be_later_than_it() -> None:
    positions = Positions()
    looked(positions, 1.0, 100, anew=True)
    positions.begin()
    positions.note("web")
    positions.look(1.01, 200)
    assert positions.needs(["web"], 1.01) is None
    looked(positions, 1.02, 260)
    assert positions.needs(["web"], 1.02) == 260


def test_a_look_that_failed_forgets_nothing() -> None:
    positions = Positions()
    looked(positions, 1.0, 100, anew=True)
    positions.note("web")
    positions.begin()
    assert positions.needs(["web"], 1.0) is None
    looked(positions, 1.05, 300)
    assert positions.needs(["web"], 1.05) == 300


def test_a_write_that_names_nothing_concerns_all_and_so_does_what_went_unnoticed() -> None:
    positions = Positions()
    looked(positions, 1.0, 100, anew=True)
    positions.note("")
    assert positions.needs(["web"], 1.0) is None
    looked(positions, 1.01, 300)
    assert positions.needs(["web"], 1.01) == 300
    looked(positions, 1.02, 700, anew=True)
    assert positions.needs(["web"], 1.02) == 700


def test_another_primary_that_is_less_far_begins_anew() -> None:
    positions = Positions()
    looked(positions, 1.0, 900, anew=True)
    looked(positions, 1.01, 400)
    assert positions.needs(["web"], 1.01) == 400
    assert positions.current_at(399) == float("-inf")


def test_many_namespaces_are_remembered_as_one() -> None:
    positions = Positions()
    looked(positions, 1.0, 1, anew=True)
    for number in range(1, 1100):
        positions.note(f"n{number}")
        looked(positions, 1.0, number)
    assert len(positions._needed) <= 1002
    assert (positions.needs(["n5"], 1.0) or 0) >= 5


def test_a_replica_is_as_old_as_the_last_look_whose_position_it_has() -> None:
    positions = Positions()
    for at, position in ((1.0, 100), (2.0, 100), (3.0, 200)):
        looked(positions, at, position, anew=at == 1.0)
    assert positions.current_at(99) == float("-inf")
    assert positions.current_at(150) == 2.0
    assert positions.current_at(200) == 3.0


@pytest.mark.parametrize(
    ("position", "needed"),
    [(3 * PAGE + 24, 3 * PAGE), (3 * PAGE + 40, 3 * PAGE), (3 * PAGE, 3 * PAGE), (3 * PAGE + 48, 3 * PAGE + 48)],
)
def test_a_header_of_a_page_is_nothing_to_wait_for(position: int, needed: int) -> None:
    """An idle primary stands behind one after a change of files, and there is nothing that a replica could replay."""
    assert settled(position) == needed
