"""What can't be right is refused before anything is opened, and stops no run."""

import asyncio
import threading
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest, Message
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, run_part, work
from tests.support.odd import kind_of
from tests.workers.support import ACCOUNT, client_of, own_ledger, rung

MESSAGES = [Message("13900000000", "您的验证码是：1234。")]
ODD: tuple[Any, ...] = (True, 7, "x", b"x", [1], object(), object)


class Plain:
    """Is set and waited for as an event is, but without an `await`."""

    def is_set(self) -> bool:
        """Return that it is not."""
        return False

    def wait(self) -> bool:
        """Return at once."""
        return True


@pytest.mark.parametrize("odd", [*ODD, threading.Event(), asyncio.Event, Plain()], ids=kind_of)
async def test_a_stop_that_can_not_be_awaited_is_refused(postgres: str, odd: Any) -> None:
    """By both; one of threads would hold up the event loop, with calls in flight."""
    before = asyncio.all_tasks()
    async with own_ledger(postgres) as (ledger, _), client_of(Simulator(limits=())) as client:
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        for asked in (run_part(client, ledger, "r", 1, stop=odd), work(client, ledger, stop=odd)):
            with pytest.raises(InvalidRequest, match=r"asyncio\.Event"):
                await asked
        assert not (await ledger.parts.progress("r")).stopped
    assert asyncio.all_tasks() == before


def _of_another_loop() -> asyncio.Event:
    """Return an event that was waited for in a loop that has ended."""
    event = asyncio.Event()

    async def waited() -> None:
        waiting = asyncio.ensure_future(event.wait())
        await asyncio.sleep(0)
        waiting.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(waited()))
    thread.start()
    thread.join()
    return event


async def test_a_stop_of_another_loop_stops_no_run(postgres: str) -> None:
    """As of a program that runs each job in an event loop of its own, with one event for all."""
    stop, simulator = _of_another_loop(), Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        with pytest.raises(InvalidRequest, match="another event loop"):
            await run_part(client, ledger, "r", 1, stop=stop)
        with pytest.raises(InvalidRequest, match="another event loop"):
            await work(client, ledger, stop=stop)
        assert not (await ledger.parts.progress("r")).stopped
        stop = asyncio.Event()
        assert (await run_part(client, ledger, "r", 1, stop=stop)).done
        assert len(rung(simulator)) == 1


@pytest.mark.parametrize("odd", [None, *ODD], ids=kind_of)
async def test_clients_and_ledgers_are_told_from_what_is_none(postgres: str, odd: Any) -> None:
    """Also of a list, whose longest content is a number."""
    async with own_ledger(postgres) as (ledger, _), client_of(Simulator()) as client:
        for name, asked in (
            ("client", run_part(odd, ledger, "r", 1)),
            ("client", work(odd, ledger)),
            ("ledger", run_part(client, odd, "r", 1)),
            ("ledger", work(client, odd)),
            ("ledger", distribute(odd, "r", MESSAGES, account=ACCOUNT)),
        ):
            with pytest.raises(InvalidRequest) as raised:
                await asked
            assert raised.value.field == name
        if odd not in (None, 7):
            with pytest.raises(InvalidRequest, match="max_content_length"):
                await distribute(ledger, "r", MESSAGES, account=ACCOUNT, max_content_length=odd)
