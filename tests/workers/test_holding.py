"""A part is held by one process at a time: its fence, and locks of those who fell asleep."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from ihuyi_voice import Message, RunStopped
from ihuyi_voice.ledger import Ledger, RunInUse
from ihuyi_voice.ledger.commits import Commits
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.storage import Work
from ihuyi_voice.workers import distribute, run_part
from tests.workers.support import ACCOUNT, client_of, execute, own_ledger, rung, until

MESSAGES = [
    Message(f"139{number % 5:08d}", f"您的验证码是：{number}。", f"m{number}")
    for number in range(20)
]
SOON = Timing(beat=0.05, dead=0.5, look=0.1)


async def grants_what_was_taken_over(url: str) -> bool:
    """Say whether who held a part before is still granted what nobody else has touched."""
    async with own_ledger(url) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        async with ledger.parts.hold(ACCOUNT, "r", 1) as held:
            drafts = [draft async for draft in held.to_send()]
            assert await held.journal.intend(drafts[0]) is None
            async with (
                Ledger.open(url, prefix=prefix) as other,
                other.parts.hold(ACCOUNT, "r", 1, takeover=True),
            ):
                with pytest.raises(RunInUse):
                    await held.finish(tried=True)
                refused = await held.journal.intend(drafts[1])
                assert refused is None or isinstance(refused, RunStopped)
                return refused is None


async def test_a_part_is_fenced(postgres: str) -> None:
    """Whoever held it before is granted nothing more."""
    assert not await grants_what_was_taken_over(postgres)


async def test_a_missing_fence_would_be_found(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By that very test."""

    def none(_self: Commits, _book: Book) -> Work[None]:
        yield from ()

    monkeypatch.setattr(Commits, "fence", none)
    assert await grants_what_was_taken_over(postgres)


async def test_a_part_that_was_taken_over_raises(postgres: str) -> None:
    """Whoever was fenced off is told by an error, so its job fails, and nobody is rung twice."""
    simulator = Simulator(limits=(), latency=0.05)
    async with own_ledger(postgres) as (ledger, prefix), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        working = asyncio.create_task(run_part(client, ledger, "r", 1, concurrency=2))
        await simulator.arrived(3)
        async with (
            Ledger.open(postgres, prefix=prefix) as other,
            other.parts.hold(ACCOUNT, "r", 1, takeover=True),
        ):
            with pytest.raises(RunInUse, match="taken over"):
                await working
    assert len(set(rung(simulator))) == len(rung(simulator)) < 20


@pytest.mark.slow
async def test_a_part_that_a_living_process_holds_is_refused(postgres: str) -> None:
    """At once, with who holds it; the job fails, and comes again when that one is dead."""
    async with own_ledger(postgres) as (ledger, prefix), client_of(Simulator()) as client:
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        async with (
            Ledger.open(postgres, prefix=prefix, timing=Timing(beat=0.01, look=0.1)) as other,
            other.parts.hold(ACCOUNT, "r", 1),
        ):
            with pytest.raises(RunInUse, match="is worked on by process"):
                await run_part(client, ledger, "r", 1)
            (info,) = (await ledger.parts.progress("r")).parts
            assert (info.alive, info.epoch, info.done) == (True, 1, False)


@asynccontextmanager
async def asleep(url: str, *statements: str) -> AsyncGenerator[asyncpg.Connection]:
    """Yield a connection of a program that fell asleep between the halves of a statement."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        for statement in ("BEGIN", *statements):
            await connection.execute(statement)
        await connection.prepare("SELECT 1")  # the server waits for its values, as if at work
        yield connection
    finally:
        connection.terminate()


@pytest.mark.slow
@pytest.mark.parametrize(
    "lock",
    ["SELECT 1 FROM {}_parts FOR SHARE", "UPDATE {}_entries SET attempts = 7"],
    ids=["its fence", "its messages"],
)
async def test_a_part_is_taken_from_who_fell_asleep_with_its_locks(
    postgres: str, lock: str
) -> None:
    """The server would wait for that one for ever; whoever wants the part doesn't, and beats on."""
    async with own_ledger(postgres) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        await execute(postgres, f"UPDATE {prefix}_entries SET state = 5 WHERE key = 'm0'")  # noqa: S608
        async with (
            asleep(postgres, lock.format(prefix)) as sleeper,
            Ledger.open(postgres, prefix=prefix, timing=SOON) as other,
            other.parts.hold(ACCOUNT, "r", 1) as held,
        ):
            assert len([draft async for draft in held.to_send()]) == 19
            with pytest.raises((asyncpg.PostgresError, OSError, asyncpg.InterfaceError)):
                await sleeper.execute("SELECT 1")


@pytest.mark.slow
async def test_a_run_is_stopped_beside_who_fell_asleep_with_its_locks(postgres: str) -> None:
    """Everybody hears of it at once, and the part that was locked is stopped, too."""
    async with own_ledger(postgres) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, part_size=5, account=ACCOUNT)
        locked = f"SELECT 1 FROM {prefix}_parts WHERE part = 2 FOR SHARE"  # noqa: S608
        async with (
            asleep(postgres, locked),
            Ledger.open(postgres, prefix=prefix, timing=SOON) as other,
        ):
            stopping = asyncio.create_task(other.stop("r", "enough"))
            await until(ledger, lambda progress: progress.stopped)
            await stopping
        rows = await execute(postgres, f"SELECT state FROM {prefix}_parts")  # noqa: S608
        assert [row["state"] for row in rows] == [1] * 4


async def test_a_run_says_that_it_is_used_beside_who_fell_asleep(postgres: str) -> None:
    """Commits of all workers say so; none waits for the lock of another."""
    async with own_ledger(postgres) as (ledger, prefix), client_of(Simulator()) as client:
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        async with asleep(postgres, f"UPDATE {prefix}_runs SET used_at = 1"):  # noqa: S608
            assert (await run_part(client, ledger, "r", 1, max_wait=0.0)).done


async def test_what_could_not_be_given_up_is_given_up_later(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a part would be held for ever by a process that lives and doesn't work on it."""
    async with own_ledger(postgres) as (first, prefix):
        await distribute(first, "r", MESSAGES, account=ACCOUNT)
        timing = Timing(beat=0.05)
        async with Ledger.open(postgres, prefix=prefix, timing=timing) as ledger:
            heart = ledger._open_desk().heart
            write = heart._database.write

            async def lost(*_given: object, **_options: object) -> object:
                raise ConnectionError

            hold = ledger.parts.hold(ACCOUNT, "r", 1)
            await hold.__aenter__()
            monkeypatch.setattr(heart._database._engine, "write", lost)
            await hold.__aexit__(None, None, None)
            monkeypatch.undo()
            assert heart._database.write == write
            await until(first, lambda progress: progress.parts[0].owner is None)
