"""What a neighbour says at a call's end, or of a call of its own, is not said of the client's."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from ihuyi_voice import Action, MemoryGuard, NotSent, OutcomeStatus, OutcomeUnknown, VoiceError
from ihuyi_voice.errors import InvalidCredentials
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.models import Operation
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual


def refused() -> VoiceError:
    """Return how the balance was refused, for which a hook had asked."""
    return InvalidCredentials(405, "API ID 或 API KEY 不正确", Operation.BALANCE, Action.STOP)


def unknown() -> VoiceError:
    """Return how that call ended, by another failure."""
    return OutcomeUnknown("the balance timed out")


@pytest.mark.parametrize("own", [refused, unknown])
def test_a_hooks_own_call_is_not_taken_for_the_one_that_it_held_up(
    own: Callable[[], VoiceError],
) -> None:
    """Nothing of this one was sent, so it is neither refused nor uncertain; the cause is kept."""

    async def main() -> tuple[VoiceError, int]:
        simulator = vendor()
        client = in_process(simulator, retry=ONCE)

        async def ask_first(_: httpx.Request) -> None:
            raise own()

        async with client:
            client.http_client.event_hooks = {"request": [ask_first]}
            with pytest.raises(VoiceError) as raised:
                await client.submit(MOBILE, CONTENT)
        return raised.value, len(simulator.arrivals)

    error, arrivals = run_virtual(main())
    assert (type(error), arrivals) == (NotSent, 0)
    assert isinstance(error.__cause__, type(own()))


class TimedAtItsEnd(MemoryGuard):
    """Its own timeout strikes as it has ended, which cancels its task with nothing left to do."""

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock a number."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return await super().reserve(account, mobile)


def test_a_lease_that_comes_with_a_cancellation_is_a_lease() -> None:
    """A task would drop it, and the number would stay locked for ever."""

    async def main() -> tuple[str, int, int]:
        simulator, guard = vendor(), TimedAtItsEnd(clock=loop_time)
        async with in_process(simulator, guard=guard) as client:
            accepted = await client.submit(MOBILE, CONTENT)
        return accepted.voice_id, guard.statistics().in_flight, len(simulator.arrivals)

    voice_id, locked, arrivals = run_virtual(main())
    assert (bool(voice_id), locked, arrivals) == (True, 0, 1)


def test_what_a_hook_holds_up_beyond_the_end_of_a_run_is_never_sent() -> None:
    """Its message is told to be not sent, and stays so when the hook lets go at last."""

    async def main() -> tuple[OutcomeStatus, int]:
        simulator = vendor()
        client, let_go, inside = in_process(simulator), asyncio.Event(), asyncio.Event()

        async def hold(_: httpx.Request) -> None:
            inside.set()
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

        async with client:
            client.http_client.event_hooks = {"request": [hold]}
            async with client.submit_many([(MOBILE, CONTENT)], grace=1.0) as run:
                await inside.wait()
                (outcome,) = await run.drain()
            let_go.set()
        return outcome.status, len(simulator.arrivals)

    assert run_virtual(main()) == (OutcomeStatus.NOT_SENT, 0)
