"""What may not go yet: by ready time, and in order behind a busy number."""

from typing import Any, Final

from hypothesis import example, given
from hypothesis import strategies as st

from ihuyi_voice import Message
from ihuyi_voice.bulk.deferral import Deferral, Item
from ihuyi_voice.calls import Job
from ihuyi_voice.calls.retries import RetryPolicy, Tries
from ihuyi_voice.models import Operation


def item(mobile: str = "1", **options: Any) -> Item:
    """Return an item to a number."""
    job = Job(mobile, "text", 0.0, Tries(Operation.SUBMIT, RetryPolicy()))
    return Item(Message(mobile, "text"), job, **options)


def test_items_come_out_by_their_ready_time_and_not_before() -> None:
    """Whatever the order in which they went in."""
    deferral = Deferral()
    late, early = item("1"), item("2")
    deferral.put_aside(late, 20.0)
    deferral.put_aside(early, 10.0)
    assert (deferral.next_time(room=True), deferral.last_time, len(deferral)) == (10.0, 20.0, 2)
    assert deferral.pop_ready(9.9, room=True) is None
    assert deferral.pop_ready(30.0, room=True) is early
    assert deferral.pop_ready(30.0, room=True) is late
    assert (deferral.pop_ready(30.0, room=True), len(deferral)) == (None, 0)


def test_an_item_whose_turn_comes_is_ready_at_once_and_only_once() -> None:
    """Its older entry in the heap is no longer valid."""
    deferral = Deferral()
    waiting, other = item("1"), item("2")
    deferral.put_aside(waiting, 60.0)
    deferral.put_aside(other, 70.0)
    assert deferral.hasten(waiting, 5.0)
    assert (deferral.next_time(room=True), len(deferral)) == (5.0, 2)
    assert deferral.pop_ready(5.0, room=True) is waiting
    assert (deferral.next_time(room=True), len(deferral)) == (70.0, 1)
    assert deferral.pop_ready(100.0, room=True) is other
    assert deferral.pop_ready(100.0, room=True) is None


def test_an_item_that_waits_no_longer_can_not_be_hastened() -> None:
    """Its turn comes too late to matter."""
    deferral = Deferral()
    gone = item()
    deferral.put_aside(gone, 1.0)
    assert deferral.pop_ready(1.0, room=True) is gone
    assert not deferral.hasten(gone, 2.0)
    assert len(deferral) == 0


def test_without_room_only_those_that_kept_their_place_come_out() -> None:
    """And they are not kept waiting by others that were ready before."""
    deferral = Deferral()
    held, kept = item("1"), item("2", keeps_place=True)
    deferral.put_aside(held, 1.0)
    deferral.put_aside(kept, 2.0)
    assert (deferral.places, deferral.next_time(room=False)) == (1, 2.0)
    assert deferral.pop_ready(5.0, room=False) is kept
    assert (deferral.pop_ready(5.0, room=False), deferral.next_time(room=False)) == (None, None)
    assert deferral.pop_ready(5.0, room=True) is held


def test_messages_to_a_busy_number_queue_up_behind_it() -> None:
    """Each is ready as soon as the one before has finished."""
    deferral = Deferral()
    first, second, third = item(), item(), item()
    assert [deferral.claim(each) for each in (first, second, third)] == [True, False, False]
    assert (len(deferral), deferral.next_time(room=True)) == (2, None)
    deferral.finish(first, 8.0)
    assert deferral.pop_ready(8.0, room=True) is second
    assert not deferral.claim(item())
    deferral.finish(second, 9.0)
    assert deferral.pop_ready(9.0, room=True) is third


def test_a_number_is_free_again_when_its_last_message_has_finished() -> None:
    """Then the next to it may go at once."""
    deferral = Deferral()
    only = item()
    assert deferral.claim(only)
    deferral.finish(only, 1.0)
    assert deferral.claim(item())


def test_dropping_returns_everything_that_waits_and_leaves_what_is_in_flight() -> None:
    """That one still has its number, and finishes as ever."""
    deferral = Deferral()
    flying, behind, held, kept = item("1"), item("1"), item("2"), item("3", keeps_place=True)
    for each in (flying, behind, held, kept):
        deferral.claim(each)
    deferral.put_aside(held, 5.0)
    deferral.put_aside(kept, 6.0)
    assert {deferral.drop(), deferral.drop(), deferral.drop()} == {behind, held, kept}
    assert deferral.drop() is None
    assert (len(deferral), deferral.last_time) == (0, 0.0)
    assert deferral.claim(item("2"))
    assert not deferral.claim(item("1"))
    deferral.finish(flying, 9.0)
    assert len(deferral) == 1


def test_who_waits_for_a_turn_says_nothing_of_how_long_the_run_will_take() -> None:
    """Its time is the one at which waiting would be in vain."""
    deferral = Deferral()
    deferral.put_aside(item("1"), 10.0)
    turn: Any = object()
    deferral.put_aside(item("2", turn=turn), 500.0)
    assert deferral.last_time == 10.0


_STEPS = st.tuples(
    st.sampled_from(["held", "kept", "hasten", "pop", "look"]), st.integers(0, 3), st.integers(0, 9)
)
_ONE_IN_BOTH_HEAPS: Final = [
    ("held", 0, 5), ("hasten", 0, 1), ("pop", 0, 1), ("kept", 0, 9), ("look", 0, 0), ("held", 1, 9),
    ("pop", 0, 9), ("pop", 0, 9),
]  # fmt: skip
"""One whose older entry was taken for the newer one, in the other heap: a run spun, or hung."""


@given(st.lists(_STEPS))
@example(_ONE_IN_BOTH_HEAPS)
def test_what_waits_is_known_whatever_was_put_in_hastened_and_taken_before(
    steps: list[tuple[str, int, int]],
) -> None:
    """An older entry of an item counts in neither heap, whichever it waits in now."""
    deferral, waiting = Deferral(), dict[Item, float]()
    items = [item(str(number)) for number in range(4)]
    for step, number, time in steps:
        one = items[number]
        if step in {"held", "kept"} and one not in waiting:
            one.keeps_place = step == "kept"
            deferral.put_aside(one, time)
            waiting[one] = time
        elif step == "hasten":
            assert deferral.hasten(one, time) is (one in waiting)
            waiting |= {one: time} if one in waiting else {}
        elif step == "pop":
            taken = deferral.pop_ready(time, room=True)
            due = {each for each, when in waiting.items() if when <= time}
            assert (taken in due) if due else (taken is None)
            if taken is not None:
                del waiting[taken]
        assert len(deferral) == len(waiting)
        assert deferral.places == sum(each.keeps_place for each in waiting)
        if step == "look":  # which tidies up, too
            assert deferral.next_time(room=True) == min(waiting.values(), default=None)
