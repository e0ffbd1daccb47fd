"""An inbox under a loop whose tasks begin at once, as `asyncio.eager_task_factory` has them."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling
from tests.pushes.handlers import row
from tests.pushes.support import Place, Recorder, handled_by, report, states
from tests.support.eager import eager_factory


@pytest.fixture
async def eager() -> AsyncGenerator[None]:
    """Let the test's loop begin tasks at once."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(eager_factory())
    yield
    loop.set_task_factory(None)


async def test_handlers_that_never_wait_get_every_push_once(place: Place, eager: None) -> None:
    """They have returned, or failed, before the dispatcher has their task."""
    handler = Recorder(ValueError("once"))
    async with handled_by(place, handler) as inbox:
        await asyncio.gather(*(inbox.put(report(str(number))) for number in range(1, 21)))
        await states(inbox, handled=20)
    assert len(handler.seen) == 21
    assert {int(value.voice_id) for value in handler.seen} == set(range(1, 21))
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_handler_that_is_cut_off_is_not_told_to_have_failed(
    place: Place, eager: None
) -> None:
    """Closing cancels it; its push waits for the next process, and comes again there."""
    entered = asyncio.Event()

    async def hang(_: DeliveryReport) -> None:
        entered.set()
        await asyncio.Event().wait()

    async with handled_by(place, hang, handling=Handling(grace=0.0)) as inbox:
        await inbox.put(report("1"))
        await entered.wait()
    async with place.inbox() as inbox:
        assert (await row(inbox, "1")).tries == 0
    again = Recorder()
    async with handled_by(place, again) as inbox:
        await states(inbox, handled=1)
    assert [value.voice_id for value in again.seen] == ["1"]
