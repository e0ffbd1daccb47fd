"""A list becomes parts, and workers work on them."""

import asyncio

import pytest

from ihuyi_voice import InvalidRequest, Message, OutcomeStatus
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, run_part, work
from tests.workers.support import ACCOUNT, client_of, own_ledger, rung

MESSAGES = [
    Message(f"139{number % 40:08d}", f"您的验证码是：{number}。", f"m{number}")
    for number in range(60)
]


async def test_a_run_is_worked_to_its_end(postgres: str) -> None:
    """Each message rings once, by parts, and the queue is empty afterwards."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        given = await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        assert (given.read, given.new, given.parts, given.bad_count) == (60, 60, 6, 0)
        await work(client, ledger, until_done=True)
        progress = await ledger.parts.progress("r")
        assert progress.counts == {OutcomeStatus.ACCEPTED: 60}
        assert progress.done == 6
        assert len(set(rung(simulator))) == len(rung(simulator)) == 60


async def test_a_part_is_worked_by_any_engine(postgres: str) -> None:
    """A part that is done has nothing more to do; one that isn't there is refused."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        end = await run_part(client, ledger, "r", 1)
        assert (end.done, end.counts[OutcomeStatus.ACCEPTED]) == (True, 60)
        assert (await run_part(client, ledger, "r", 1)).counts[OutcomeStatus.ACCEPTED] == 0
        with pytest.raises(InvalidRequest, match="no part 2"):
            await run_part(client, ledger, "r", 2)
        assert len(rung(simulator)) == 60


async def test_the_order_of_a_number_is_kept(postgres: str) -> None:
    """Messages to one number ring in the order of the list."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        await work(client, ledger, until_done=True)
    calls = rung(simulator)
    for mobile in {message.mobile for message in MESSAGES}:
        wanted = [message.content for message in MESSAGES if message.mobile == mobile]
        assert [content for called, content in calls if called == mobile] == wanted


@pytest.mark.slow
async def test_a_stop_code_stops_the_run_with_its_cause(postgres: str) -> None:
    """Nothing more rings; the cause stands on the run, and a resumed run goes on."""
    simulator = Simulator(limits=(), balance=5)
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        await work(client, ledger, until_done=True)
        progress = await ledger.parts.progress("r")
        assert progress.stopped
        assert progress.cause is not None
        assert "4051" in progress.cause
        assert len(rung(simulator)) == 5
        simulator.vendor.balance = 1_000
        await ledger.resume("r")
        await work(client, ledger, until_done=True)
        assert (await ledger.parts.progress("r")).counts == {OutcomeStatus.ACCEPTED: 60}


@pytest.mark.slow
async def test_a_stopped_worker_gives_its_parts_back(postgres: str) -> None:
    """Cancelled, it lets what is in flight end; another one does the rest."""
    simulator = Simulator(limits=(), latency=0.05)
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, part_size=60, account=ACCOUNT)
        working = asyncio.create_task(work(client, ledger, concurrency=2, parts=1))
        await simulator.arrived(3)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert 0 < len(rung(simulator)) < 60
        await work(client, ledger, until_done=True)
        assert (await ledger.parts.progress("r")).counts == {OutcomeStatus.ACCEPTED: 60}
