"""A client under a loop whose tasks begin at once, as `asyncio.eager_task_factory` has them."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest

from ihuyi_voice import GuardUnavailable, Message, OutcomeStatus, VoiceClient
from ihuyi_voice.simulator import Simulator
from tests.support.eager import eager_factory
from tests.support.guards import Manner, Method, Misbehaving
from tests.support.vendor import CONTENT, MOBILE, answering, in_process
from tests.support.virtual_time import run_virtual

ACCEPTED = OutcomeStatus.ACCEPTED
COUNT = 40


@pytest.fixture
async def eager() -> AsyncGenerator[None]:
    """Let the test's loop begin tasks at once."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(eager_factory())
    yield
    loop.set_task_factory(None)


def mobiles() -> Iterator[str]:
    """Return numbers, each another one."""
    return (f"139{number:08d}" for number in range(COUNT))


async def stream() -> AsyncGenerator[Message]:
    """Yield messages, never waiting."""
    for mobile in mobiles():
        yield Message(mobile, CONTENT)


async def test_the_factory_begins_tasks_at_once(eager: None) -> None:
    """With a task, a context and a timeout of their own; else the tests here prove nothing."""
    seen: list[object] = []

    async def step() -> str:
        seen.append(asyncio.current_task())
        async with asyncio.timeout(0.0):
            await asyncio.Event().wait()
        return "never"

    outer = asyncio.current_task()
    task = asyncio.create_task(step())
    assert seen == [task]
    assert asyncio.current_task() is outer
    await asyncio.wait({task})
    assert isinstance(task.exception(), TimeoutError)


@pytest.mark.long
async def test_calls_over_sockets_end_as_ever(eager: None) -> None:
    """Alone and side by side, signed in time, and closing leaves nothing behind."""
    simulator = Simulator()
    async with simulator.serve() as url:
        account, key = simulator.account, simulator.api_key
        async with VoiceClient(account, key, base_url=url, max_connections=5) as client:
            assert (await client.submit(MOBILE, CONTENT, timeout=30.0)).voice_id
            calls = (client.submit(mobile, CONTENT, max_wait=5.0) for mobile in mobiles())
            voice_ids = {submission.voice_id for submission in await asyncio.gather(*calls)}
            assert len(voice_ids) == COUNT
            assert (await client.balance()) == simulator.balance
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_run_over_sockets_ends_as_ever(eager: None) -> None:
    """From an async iterable that never waits."""
    simulator = Simulator()
    async with simulator.serve() as url:
        async with VoiceClient(simulator.account, simulator.api_key, base_url=url) as client:
            async with client.submit_many(stream(), concurrency=8) as run:
                assert [outcome.status async for outcome in run] == [ACCEPTED] * COUNT
    assert set(simulator.rung().values()) == {1}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("manner", ["raises", "is cancelled", "hangs", "is slow"])
@pytest.mark.parametrize("method", ["reserve", "commit"])
def test_a_guard_that_misbehaves_at_once_takes_no_answer(method: Method, manner: Manner) -> None:
    """It does so inside our call to it, before there is a task to look at."""
    guard = Misbehaving(method, manner)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(eager_factory())
        async with in_process(Simulator(), guard=guard) as client:
            if method == "reserve" and manner != "is slow":
                with pytest.raises(GuardUnavailable):
                    await client.submit(MOBILE, CONTENT)
                return
            assert (await client.submit(MOBILE, CONTENT)).voice_id

    run_virtual(main())


def test_a_caller_cancelled_while_the_guard_settles_keeps_the_answer() -> None:
    """The cancellation strikes at its next await, and counts once."""
    guard = Misbehaving("commit", "is slow")

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(eager_factory())
        answers: list[str] = []

        async def caller() -> None:
            answers.append((await client.submit(MOBILE, CONTENT)).voice_id)
            await asyncio.sleep(1.0)
            raise AssertionError

        async with in_process(Simulator(), guard=guard) as client:
            task = asyncio.create_task(caller())
            await guard.begun.wait()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert len(answers) == 1
            assert guard.settled == ["commit"]

    run_virtual(main())


async def test_a_call_that_ends_before_it_waits_is_an_answer_too(eager: None) -> None:
    """A task that is done as soon as it is made, from a transport that never suspends."""
    reply = {"code": 2, "msg": "ok", "voiceid": "7"}
    client = answering(lambda _: httpx.Response(200, json=reply))
    async with client:
        task = asyncio.create_task(client.submit(MOBILE, CONTENT))
        assert (await task).voice_id == "7"
