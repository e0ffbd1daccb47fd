"""The database goes away in the midst of a run, and comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ihuyi_voice import InvalidRequest, Message, OutcomeStatus
from ihuyi_voice.errors import LedgerUnavailable
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, engine, work
from tests.support.moving import moving
from tests.support.postgres import Server, pooler_of, server_of
from tests.workers.support import ACCOUNT, client_of, rung

MESSAGES = [
    Message(f"139{number:08d}", f"您的验证码是：{number}。", f"m{number}") for number in range(120)
]


async def restart(server: Server) -> None:
    """Stop the server, and start it again."""
    await server.stop()
    await server.start()


@pytest.mark.parametrize(
    "strike",
    [pytest.param(restart, marks=pytest.mark.long), Server.terminate_others],
    ids=["restart", "backends"],
)
async def test_a_worker_outlasts_its_database(
    server: Server, strike: Callable[[Server], Awaitable[None]]
) -> None:
    """Each message rings once, and as nobody died, nothing is UNKNOWN in the end."""
    simulator = Simulator(limits=(), latency=0.02)
    async with Ledger.open(server.url) as ledger, client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, part_size=20, account=ACCOUNT)
        working = asyncio.create_task(work(client, ledger, concurrency=8, until_done=True))
        for share in (20, 60):
            await simulator.arrived(share)
            await strike(server)
        await working
    async with Ledger.open(server.url) as ledger:
        assert (await ledger.parts.progress("r")).counts == {OutcomeStatus.ACCEPTED: 120}
    assert len(set(rung(simulator))) == len(rung(simulator)) == 120


@pytest.mark.long
async def test_a_worker_ends_though_its_database_is_gone(server: Server) -> None:
    """What it had is told when the ledger is there again, or is UNKNOWN."""
    simulator = Simulator(limits=(), latency=0.02)
    stop = asyncio.Event()
    async with Ledger.open(server.url) as ledger, client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, part_size=20, account=ACCOUNT)
        working = asyncio.create_task(work(client, ledger, concurrency=8, stop=stop))
        await simulator.arrived(20)
        await server.stop()
        stop.set()
        await working
    await server.start()
    async with Ledger.open(server.url) as ledger, client_of(simulator) as client:
        await work(client, ledger, until_done=True)
        counts = (await ledger.parts.progress("r")).counts
    assert set(counts) <= {OutcomeStatus.ACCEPTED, OutcomeStatus.UNKNOWN}
    assert counts.get(OutcomeStatus.UNKNOWN, 0) <= 16
    assert len(set(rung(simulator))) == len(rung(simulator)) == 120


@pytest.mark.slow
async def test_a_worker_whose_database_is_gone_at_the_start_says_so(server: Server) -> None:
    """It is an error, for nobody knows whether it ever was there."""
    async with Ledger.open(server.url) as ledger, client_of(Simulator()) as client:
        await server.stop()
        with pytest.raises(LedgerUnavailable, match="queue could not be opened"):
            await work(client, ledger)


@pytest.mark.long
async def test_the_queue_leaves_a_server_that_gave_its_place_to_another(
    cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on as a standby, to which the pool would keep its connections for an hour."""
    monkeypatch.setattr(engine, "_WAIT", 0.5)
    async with server_of(cluster) as first, server_of(cluster) as second, moving(0) as address:
        await first.execute("CREATE TABLE t (n INTEGER)")
        await second.execute("CREATE TABLE t (n INTEGER)")
        address.to = first.port
        app = engine.app_of(f"postgresql://postgres@127.0.0.1:{address.port}/postgres", "public")
        await engine.opened(app)
        adding = "INSERT INTO t VALUES (1)"
        await app.connector.execute_query_async(adding)
        await first.demote()
        for _ in range(2):
            with pytest.raises(engine.Failures):
                await app.connector.execute_query_async(adding)
        address.to = second.port
        while not await second.execute("SELECT n FROM t"):
            with suppress(*engine.Failures):  # its pool tries again when it likes
                await app.connector.execute_query_async(adding)
        await app.close_async()


@pytest.mark.slow
async def test_a_transaction_pooler_is_refused_in_words(server: Server) -> None:
    """It hands sessions around; the error says so, and what to do."""
    async with (
        pooler_of(server) as url,
        Ledger.open(url) as ledger,
        client_of(Simulator()) as client,
    ):
        with pytest.raises(InvalidRequest, match=r"direct connection .*\(transaction pooling\)"):
            await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        with pytest.raises(InvalidRequest, match="the server's own address"):
            await work(client, ledger)
