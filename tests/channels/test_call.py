"""The waiting room as properties: nobody is lost, doubled or overtaken by an equal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channels.call import Call, WaitingRoom

RESERVED = 2


def call(*, is_urgent: bool, start_by: float) -> Call:
    return Call("http://x/", (), start_by, 1.0, lambda _index, _reply: None, is_urgent)


arrivals = st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=40)


@given(arrivals, st.lists(st.integers(0, 5), max_size=60))
def test_each_leaves_once_in_order_and_the_reserved_places_stay_for_the_urgent(
    people: list[tuple[bool, float]], free_places: list[int]
):
    room = WaitingRoom(100)
    for index, (is_urgent, start_by) in enumerate(people):
        room.add((call(is_urgent=is_urgent, start_by=start_by), b"", index))
    left: list[tuple[bool, int]] = []
    for free in free_places:
        waiting = room.next(free, RESERVED)
        if waiting is None:
            assert free == 0 or len(room) == 0 or (free <= RESERVED and not room_has_urgent(people, left))
            continue
        left.append((waiting[0].is_urgent, waiting[2]))
        assert free > (0 if waiting[0].is_urgent else RESERVED)
    for is_urgent in (True, False):
        indexes = [index for urgent, index in left if urgent is is_urgent]
        assert indexes == sorted(set(indexes))
    assert len(room) == len(people) - len(left)


def room_has_urgent(people: list[tuple[bool, float]], left: list[tuple[bool, int]]) -> bool:
    return sum(is_urgent for is_urgent, _ in people) > sum(is_urgent for is_urgent, _ in left)


@given(arrivals, st.floats(0, 10))
def test_those_whose_time_has_passed_leave_and_the_others_keep_their_order(
    people: list[tuple[bool, float]], now: float
):
    room = WaitingRoom(100)
    for index, (is_urgent, start_by) in enumerate(people):
        room.add((call(is_urgent=is_urgent, start_by=start_by), b"", index))
    gone = {waiting[2] for waiting in room.expired(now)}
    assert gone == {index for index, (_, start_by) in enumerate(people) if start_by < now}
    rest = [waiting[2] for _ in range(len(room)) if (waiting := room.next(99, 0)) is not None]
    assert rest == sorted(rest, key=lambda index: (not people[index][0], index))
    assert len(rest) == len(people) - len(gone)


def test_a_full_room_says_so():
    room = WaitingRoom(1)
    assert not room.is_full
    room.add((call(is_urgent=True, start_by=0), b"", 0))
    assert room.is_full
