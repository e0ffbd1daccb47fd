"""The machinery behind pushes: how many at once, whose connections, and how it ends."""

# A fault of ours is made from inside.
# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ihuyi_voice.simulator import PushFault, Simulator, pushing
from tests.simulator.conftest import MOBILE, TOKEN, Stage, options
from tests.simulator.crowd import Crowd, client_of
from tests.support.sockets import until


async def hear(stage: Stage, app: Callable[..., Any], count: int = 1) -> Simulator:
    """Have `count` reports due that go to another receiver."""
    stage.simulator._pusher._client = client_of(app)
    for place in range(count):
        await stage.submit(f"1390000{place:04d}")
    stage.clock.advance(1.0)
    return stage.simulator


@pytest.mark.parametrize(
    "address", ["not a url", "ftp://ear.test/x", "http://", "//ear.test/x", "http://[::1/s3cret"]
)
async def test_an_address_that_is_none_is_refused_at_once(stage: Stage, address: str) -> None:
    """Without repeating it, since it may hold a token; the one before stays."""
    with pytest.raises(ValueError, match="no http address") as caught:
        stage.simulator.push_to = address
    assert address not in str(caught.value)
    assert stage.simulator.push_to == f"http://ear.test/{TOKEN}"
    with pytest.raises(ValueError, match="no http address"):
        Simulator(push_to=address)


async def test_at_most_fifty_are_in_flight(stage: Stage) -> None:
    """However many are due; all of them go out."""
    crowd = Crowd(enough=50)
    simulator = await hear(stage, crowd, 120)
    assert await simulator.push_due() == 120
    assert (crowd.most, crowd.heard) == (50, 120)


async def test_the_times_of_tries_are_those_when_they_were_made(stage: Stage) -> None:
    """Not when a place became free for them, which is when the next 60 seconds begin."""
    crowd = Crowd(enough=1_000)
    simulator = await hear(stage, crowd, 51)
    start = stage.clock()
    pushing = asyncio.create_task(simulator.push_due())
    await until(lambda: crowd.there == 50)
    stage.clock.advance(7.0)
    crowd.free.set()
    assert await pushing == 51
    assert [each.time - start for each in simulator.pushes].count(7.0) == 1


async def test_both_of_a_duplicate_are_there_at_the_same_time(stage: Stage) -> None:
    """And it is one try, heard."""
    crowd = Crowd(enough=2)
    simulator = await hear(stage, crowd)
    simulator.add_push_fault(PushFault("duplicate"))
    assert await simulator.push_due() == 1
    assert (crowd.most, crowd.heard, len(simulator.pushes)) == (2, 2, 1)
    assert simulator.pushes[0].acknowledged


@pytest.mark.parametrize("heard", [(True, False), (False, True)])
async def test_one_success_is_enough_for_a_duplicate(
    stage: Stage, heard: tuple[bool, bool]
) -> None:
    """Whichever of the two is heard."""
    stage.ear.answers = [(200, b"success") if each else (500, b"") for each in heard]
    stage.simulator.add_push_fault(PushFault("duplicate"))
    await stage.submit()
    assert [await stage.later(step) for step in (1.0, 60.0)] == [1, 0]
    assert stage.simulator.pushes[0].acknowledged


async def test_push_faults_have_the_conditions_of_faults(stage: Stage) -> None:
    """Here by operation and nth; a rule that doesn't strike leaves the push to the next one."""
    audits = stage.simulator.add_push_fault(PushFault("lost", operation="audit"))
    seconds = stage.simulator.add_push_fault(PushFault("lost", nth=2))
    stage.simulator.approve(await stage.add())
    for place in range(4):
        await stage.submit(f"1390000{place:04d}")
    assert await stage.later(1.0) == 5
    assert [form["mobilephone"][-1] for form in stage.ear.forms] == ["0", "2"]
    assert (audits.seen, audits.hits, seconds.seen, seconds.hits) == (1, 1, 4, 2)
    with pytest.raises(ValueError, match="nonsense"):
        PushFault("nonsense")


async def test_a_late_push_is_late_once_and_heard(stage: Stage) -> None:
    """The rule moves its first try, and spoils none."""
    fault = stage.simulator.add_push_fault(PushFault("late", seconds=5.0))
    await stage.submit()
    assert stage.simulator.next_push == stage.clock() + 6.0
    assert [await stage.later(step) for step in (6.0, 1_000.0)] == [1, 0]
    assert stage.simulator.pushes[0].acknowledged
    assert fault.hits == 1


async def test_an_audit_for_nobody_is_not_queued(stage: Stage) -> None:
    """Neither one by hand nor one by rule."""
    stage.simulator.push_to = ""
    stage.simulator.approve(await stage.add())
    stage.simulator.vendor.auto_approve = True
    await stage.add("再见，【变量】。")
    assert stage.simulator.next_push is None


def test_what_is_queued_hides_the_number() -> None:
    """In a debugger's view, or in a log."""
    assert MOBILE not in repr(pushing.report("1", MOBILE, 2, 5, 0.0))


@options(keep_arrivals=2)
async def test_only_the_last_tries_are_kept_if_told_so(stage: Stage) -> None:
    """A million pushes need no memory."""
    ids = [await stage.submit(f"1390000{place:04d}") for place in range(5)]
    assert await stage.later(1.0) == 5
    assert [each.subject for each in stage.simulator.pushes] == ids[-2:]


async def test_redirects_are_not_followed(stage: Stage) -> None:
    """Even by a client that does otherwise."""
    paths: list[str] = []

    async def elsewhere(scope: Any, _: Any, send: Any) -> None:
        paths.append(scope["path"])
        headers = [(b"location", b"/other")] if len(paths) == 1 else []
        start = {"type": "http.response.start", "status": 307 if headers else 200}
        await send(start | {"headers": headers})
        await send({"type": "http.response.body", "body": b"success"})

    simulator = await hear(stage, elsewhere)
    simulator._pusher._client = client_of(elsewhere, follow_redirects=True)
    assert await simulator.push_due() == 1
    assert (paths, simulator.pushes[0].status) == ([f"/{TOKEN}"], 307)


async def test_a_template_that_is_deleted_in_flight_is_not_tried_again(stage: Stage) -> None:
    """Neither after a bad answer nor after a cancelled try."""
    for silent in (False, True):
        template_id = await stage.add()
        stage.simulator.approve(template_id)
        deleting = asyncio.Event()

        async def delete(scope: Any, receive: Any, send: Any) -> None:
            await stage.ask(method="DelTemplate", templateid=template_id)  # noqa: B023 - at once
            deleting.set()  # noqa: B023
            stage.ear.answers, stage.ear.silent = [(500, b"")], silent  # noqa: B023
            await stage.ear(scope, receive, send)

        pushing = asyncio.create_task((await hear(stage, delete, 0)).push_due())
        await deleting.wait()
        if silent:
            pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        assert stage.simulator.next_push is None


def turned_down(_: str) -> str:
    """Turn every template down."""
    return "不通过"


@options(auto_approve=True, templates=[], audit=turned_down)
async def test_the_rule_of_audits_wins_over_approval_at_once(stage: Stage) -> None:
    """What is turned down lets no submission pass."""
    await stage.add("您好，【变量】。")
    assert (await stage.ask(method="Submit", mobile=MOBILE, content="您好，a。"))["code"] == 4071
    assert await stage.later(1.0) == 1
    assert stage.ear.forms[0]["code"] == "0"


def approved(_: str) -> None:
    """Approve every template."""


@options(templates=[], audit=approved)
async def test_a_decision_by_hand_wins_over_an_earlier_one_by_rule(stage: Stage) -> None:
    """And is pushed as well."""
    template_id = await stage.add("您好，【变量】。")
    assert await stage.later(1.0) == 1
    stage.simulator.reject(template_id, "不通过")
    assert await stage.later(0.0) == 1
    assert (await stage.ask(method="Submit", mobile=MOBILE, content="您好，a。"))["code"] == 4071


async def test_pushing_twice_at_once_pushes_everything_once(stage: Stage) -> None:
    """As when one simulator is served with and without TLS."""
    async with stage.simulator.pushing(), stage.simulator.pushing():
        for place in range(20):
            await stage.submit(f"1390000{place:04d}")
        stage.clock.advance(1.0)
        await stage.simulator.pushed(20)
    assert len(set(stage.ear.heard)) == len(stage.ear.heard) == 20


async def test_a_clock_may_be_moved_when_nobody_pushes(stage: Stage) -> None:
    """Whoever has stopped pushing no longer watches it."""
    async with stage.simulator.pushing():
        pass
    await stage.submit()
    stage.clock.advance(1.0)
    assert not stage.ear.heard
    assert not stage.clock._watchers


@options(report_delay=1_000.0)
async def test_whoever_waits_for_the_clock_is_woken(stage: Stage) -> None:
    """By moving it, long after the push was queued, and long before that time has really passed."""
    async with stage.simulator.pushing():
        await stage.submit()
        await looked(stage.simulator)
        stage.clock.advance(1_000.0)
        async with asyncio.timeout(10.0):
            await stage.simulator.pushed()
    assert len(stage.ear.heard) == 1


async def test_whoever_waits_for_an_address_is_woken(stage: Stage) -> None:
    """By giving it one."""
    await stage.submit()
    stage.clock.advance(1.0)
    stage.simulator.push_to = ""
    async with stage.simulator.pushing():
        await looked(stage.simulator)
        stage.simulator.push_to = "http://ear.test/other"
        async with asyncio.timeout(10.0):
            await stage.simulator.pushed()
    assert stage.ear.paths == {"POST /other"}


async def looked(simulator: Simulator) -> None:
    """Return once whoever pushes has seen that nothing is due, and waits."""
    waiters = simulator._pusher._due._waiters
    await until(lambda: waiters and not any(each.is_set() for each in waiters))


async def test_leaving_by_an_error_stops_pushing_too(stage: Stage) -> None:
    """And the error comes through as it is."""
    before = asyncio.all_tasks()
    with pytest.raises(KeyError, match="mine"):
        async with stage.simulator.pushing():
            raise KeyError("mine")
    assert asyncio.all_tasks() == before


async def test_a_fault_of_pushing_itself_is_told(stage: Stage) -> None:
    """It doesn't just fall silent."""

    def broken() -> float:
        raise ZeroDivisionError

    await stage.submit()
    with pytest.raises(ExceptionGroup) as caught:
        async with stage.simulator.pushing():
            stage.simulator._pusher._clock = broken
            stage.clock.advance(1.0)
            await until(lambda: len(asyncio.all_tasks()) == 1)
    assert caught.group_contains(ZeroDivisionError)


class Odd(BaseException):
    """As pytest's `fail` and gevent's `Timeout` are."""


@pytest.mark.parametrize("error", [Odd, asyncio.CancelledError])
async def test_a_receiver_in_process_that_raises_anything_is_not_heard(
    stage: Stage, error: type[BaseException]
) -> None:
    """That costs one try, and ends no pushing; nor is it tried again and again without a pause."""

    async def broken(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        raise error

    simulator = await hear(stage, broken)
    async with simulator.pushing():
        await simulator.pushed(1)
        await stage.submit("13900001111")
        stage.clock.advance(1.0)
        await simulator.pushed(2)
    assert [(each.number, each.status) for each in simulator.pushes] == [(1, None)] * 2
