"""The kit's parts by themselves: the marks' options, the clock, the ways into an app."""

import asyncio
import threading

import httpx
import pytest

from ihuyi_voice.testing import ServedSimulator, SharedClock
from ihuyi_voice.testing import home as homes
from ihuyi_voice.testing.apps import address_in, way_into
from ihuyi_voice.testing.options import parted


def test_options_go_to_whom_they_belong() -> None:
    """By name; the first of several marks, the nearest to the test, wins."""
    of_simulator, of_client = parted([{"balance": 2}, {"balance": 1, "timeout": 3.0}])
    assert (of_simulator, of_client) == ({"balance": 2}, {"timeout": 3.0})


@pytest.mark.parametrize(
    ("name", "hint"),
    [("tiemout", "did you mean timeout"), ("zzz", "no option 'zzz'$"), ("base_url", "no option")],
)
def test_an_option_that_is_none_is_told(name: str, hint: str) -> None:
    """The address is the kit's own."""
    with pytest.raises(TypeError, match=hint):
        parted([{name: 1}])


async def test_a_clock_that_is_moved_ends_the_waits_until_then() -> None:
    """And no later ones; the order is that of the times, whoever asked first."""
    clock = SharedClock()
    late, soon = clock.passing(2), clock.passing(1)
    clock.advance(1)
    await soon
    assert not late.done()
    clock.advance(-1)
    clock.move_to(clock() - 5)
    clock.advance(2)
    await late
    assert clock.moved() == 2


async def test_a_clock_may_be_moved_by_another_thread() -> None:
    """Who waits is woken in its own loop."""
    clock = SharedClock()
    waiting = clock.passing(60)
    await asyncio.to_thread(clock.advance, 60)
    await asyncio.wait_for(waiting, 30)


async def test_a_wait_that_was_given_up_is_left_alone() -> None:
    """Its future is cancelled, and the clock goes on."""
    clock = SharedClock()
    clock.passing(1).cancel()
    clock.advance(1)
    await asyncio.sleep(0)


def test_a_wait_of_a_loop_that_is_over_is_left_alone() -> None:
    """Nobody waits there any more."""
    clock = SharedClock()

    async def give_up() -> None:
        clock.passing(1)

    asyncio.run(give_up())
    clock.advance(1)


def test_an_address_is_put_together() -> None:
    """With one slash between its parts."""
    assert address_in("http://127.0.0.1:8000/", "/ihuyi/s3cret") == (
        "http://127.0.0.1:8000/ihuyi/s3cret"
    )
    assert way_into("http://127.0.0.1:8000") is None


async def application(scope: object, receive: object, send: object) -> None:
    """Stand for an app."""


def test_an_app_whose_loop_is_over_gets_no_push() -> None:
    """The push fails as one to a server that is gone, and is tried again."""

    async def named() -> httpx.AsyncClient | None:
        return way_into(application)

    way = asyncio.run(named())

    async def pushed() -> None:
        assert way is not None
        with pytest.raises(httpx.ConnectError, match="loop is over"):
            await way.send(httpx.Request("POST", "http://app.test/"))

    asyncio.run(pushed())


async def test_what_would_block_the_loop_is_refused(ihuyi_simulator: ServedSimulator) -> None:
    """An asynchronous test awaits instead."""
    for block in (ihuyi_simulator.deliver_now, ihuyi_simulator.wait_pushed):
        with pytest.raises(RuntimeError, match="await deliver"):
            block()
    assert await ihuyi_simulator.deliver() == 0
    assert await ihuyi_simulator.push_due() == 0


def test_a_wait_for_what_never_comes_ends(ihuyi_simulator: ServedSimulator) -> None:
    """In the time that it was given."""
    with pytest.raises(TimeoutError):
        ihuyi_simulator.wait_arrived(timeout=0.01)


@pytest.mark.ihuyi(results=-6)
async def test_a_push_that_nobody_hears_is_tried_three_times(
    ihuyi_simulator: ServedSimulator, ihuyi_clock: SharedClock
) -> None:
    """60 and 120 seconds apart; time passes until then."""

    async def deaf(scope: object, receive: object, send: object) -> None:
        raise LookupError("the app fails")

    ihuyi_simulator.pushes_to(deaf)
    began = ihuyi_clock()
    ihuyi_simulator.approve(
        ihuyi_simulator.vendor.store_template("您好。", approved=False).template_id
    )
    assert await ihuyi_simulator.deliver() == 3
    assert ihuyi_clock() - began == 180


def test_a_session_ends_though_something_hangs_in_its_simulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A function of a test's that says how calls end, for example, and waits for ever."""
    free = threading.Event()

    async def hang() -> None:
        free.wait()

    with homes.home() as made:
        monkeypatch.setattr(homes, "_PATIENCE", 0.0)
        hanging = made.begin(hang())
    assert not hanging.done()
    free.set()
    hanging.result(30)
