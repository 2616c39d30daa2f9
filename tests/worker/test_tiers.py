"""Who leaves which memory so that another fits: sizes and names, nothing loaded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_mcp.worker.tiers import (
    Budgets,
    Entry,
    Move,
    Place,
    all_that_may_leave,
    room_for,
    used,
)

DEVICE, HOST = Place.DEVICE, Place.HOST


def on_device(**sizes: int) -> list[Entry]:
    return [Entry(key, size) for key, size in sizes.items()]


def test_where_there_is_room_nobody_leaves() -> None:
    assert room_for(on_device(a=40, b=20), 40, Budgets(100)) == []


def test_the_least_recently_used_leaves_first_and_only_as_many_as_must() -> None:
    assert room_for(on_device(a=40, b=40, c=20), 40, Budgets(100)) == [Move("a", None)]


def test_one_whose_leaving_turns_out_not_to_be_needed_stays() -> None:
    assert room_for(on_device(small=5, big=90), 90, Budgets(100)) == [Move("big", None)]


def test_with_room_in_the_hosts_memory_it_waits_there() -> None:
    assert room_for(on_device(a=40, b=40), 60, Budgets(100, host=50)) == [Move("a", HOST)]


def test_what_cannot_be_moved_or_is_too_large_for_the_host_is_dropped() -> None:
    fixed_in_place = [Entry("a", 40, movable=False)]
    assert room_for(fixed_in_place, 80, Budgets(100, host=50)) == [Move("a", None)]
    assert room_for(on_device(a=60), 80, Budgets(100, host=50)) == [Move("a", None)]


def test_who_comes_to_the_host_takes_the_place_of_the_longest_waiting() -> None:
    entries = [Entry("old", 30, HOST), Entry("older", 20, HOST), *on_device(a=40)]
    assert room_for(entries, 80, Budgets(100, host=60)) == [Move("old", None), Move("a", HOST)]


def test_of_several_that_leave_the_most_recent_ones_wait() -> None:
    moves = room_for(on_device(a=40, b=40), 100, Budgets(100, host=50))
    assert moves == [Move("a", None), Move("b", HOST)]


def test_what_is_fixed_never_leaves() -> None:
    entries = [Entry("in use", 40, fixed=True), *on_device(b=40)]
    assert room_for(entries, 50, Budgets(100)) == [Move("b", None)]
    assert room_for(entries, 70, Budgets(100)) is None


def test_all_leave_that_may() -> None:
    entries = [
        Entry("waits", 10, HOST),
        Entry("pinned", 10, fixed=True),
        *on_device(a=40, b=20),
    ]
    assert all_that_may_leave(entries, Budgets(100, host=70)) == [
        Move("a", HOST),
        Move("b", HOST),
    ]
    gone = all_that_may_leave(entries, Budgets(100, host=70), drop=True)
    assert gone == [Move(key, None) for key in ("waits", "a", "b")]


ENTRIES = st.lists(
    st.builds(
        Entry,
        key=st.uuids().map(str),
        size=st.integers(1, 60),
        place=st.sampled_from(Place),
        fixed=st.booleans(),
        movable=st.booleans(),
    ),
    max_size=8,
)


@given(ENTRIES, st.integers(0, 120), st.integers(0, 100))
def test_after_the_moves_it_fits_and_nothing_fixed_has_moved(
    entries: list[Entry], size: int, host: int
) -> None:
    entries = [e for e in entries if used(entries, HOST) <= host or e.place is DEVICE]
    moves = room_for(entries, size, Budgets(100, host))
    fixed = {entry.key for entry in entries if entry.fixed}
    if moves is None:
        stays = sum(e.size for e in entries if e.fixed and e.place is DEVICE)
        assert stays + size > 100
        return
    assert not fixed & {move.key for move in moves}
    gone = {move.key: move.to for move in moves}
    after = {e: gone.get(e.key, e.place) for e in entries}
    assert sum(e.size for e, place in after.items() if place is DEVICE) + size <= 100 or not moves
    assert sum(e.size for e, place in after.items() if place is HOST) <= host
    assert all(e.movable for e in entries if gone.get(e.key) is HOST)
