"""A program that is stopped in the midst of a transaction doesn't stop those that live."""

# pyright: reportPrivateUsage=false

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from ihuyi_voice.ledger import Ledger, LedgerUnavailable, RunInUse, heart
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.schema import Timing
from ihuyi_voice.ledger.sleepers import end_sleepers
from ihuyi_voice.storage import Work
from tests.ledger.killing import ROOT
from tests.ledger.sleeper import ACCOUNT, Order
from tests.support.ledgers import draft
from tests.support.looking import comes_true
from tests.support.postgres import Server, pooler_of
from tests.support.ready import ready_ledger

SOON: Final = Timing(beat=0.1, dead=0.5, look=0.1)
AT_ONCE: Final = Timing(dead=0.2, look=0.1, sleep=lambda _: asyncio.sleep(0))
USED = 'UPDATE "ihuyi_runs" SET used_at'
LOOKED = "SELECT key, mobile, content, state"

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def asleep(order: Order) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Start a sleeper, and yield it when it has fallen asleep."""
    sleeper = await asyncio.create_subprocess_exec(
        *order.command(), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        await stopped(sleeper.pid)
        yield sleeper
    finally:
        if sleeper.returncode is None:
            sleeper.kill()
            await sleeper.wait()


async def stopped(pid: int) -> None:
    """Wait until a process has stopped."""
    told = Path(f"/proc/{pid}/stat")
    await comes_true(lambda: told.read_text().rpartition(")")[2].split()[0] == "T")


async def woken(sleeper: asyncio.subprocess.Process) -> str:
    """Let it go on, and return what it writes."""
    sleeper.send_signal(signal.SIGCONT)
    out, _ = await sleeper.communicate()
    return out.decode().strip()


async def keyed_call(url: str) -> None:
    """Have a sleeper call a key, and call it meanwhile."""
    async with Ledger.open(url, timing=SOON) as ledger:
        await ledger.calls(ACCOUNT).look([draft()])
        async with asleep(Order(url, USED)) as sleeper:
            assert await ledger.calls(ACCOUNT).intend(draft()) is None
            assert await woken(sleeper) == "CallInFlight"


async def run(url: str) -> None:
    """Have a sleeper work on a run, and take it over meanwhile."""
    async with Ledger.open(url, timing=SOON) as ledger:
        async with (
            asleep(Order(url, USED, "run")) as sleeper,
            ledger.run(ACCOUNT, "run", takeover=True) as journal,
        ):
            assert await journal.intend(draft()) is None
            assert await woken(sleeper) == "RunStopped"


@pytest.mark.slow
@pytest.mark.parametrize("what", [keyed_call, run])
async def test_its_locks_are_taken_from_it(
    postgres: str, what: Callable[[str], Awaitable[None]]
) -> None:
    """Of the same key, or the same run; and when it wakes it sends nothing."""
    async with ready_ledger(postgres, alone=True) as lent:
        await what(lent.url)


@pytest.mark.long
@pytest.mark.parametrize("what", [keyed_call, run])
async def test_its_locks_are_taken_from_it_behind_a_pooler(
    server: Server, what: Callable[[str], Awaitable[None]]
) -> None:
    """Which pools by transaction."""
    async with pooler_of(server) as url:
        await what(url)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["", "run"])
@pytest.mark.parametrize("words", [LOOKED, USED])
@pytest.mark.parametrize("sent", [False, True])
async def test_a_sleeper_that_nobody_has_taken_over_goes_on(
    postgres: str,
    run: str,
    words: str,
    sent: bool,  # noqa: FBT001 - pytest's
) -> None:
    """Its connection was ended meanwhile; its call is looked up, or granted, on another one.

    Also where the end of the connection comes right behind a result that is under way.
    """
    async with (
        ready_ledger(postgres, alone=True) as lent,
        asleep(Order(lent.url, words, run, sent)) as sleeper,
    ):
        admin = await asyncpg.connect(lent.url)
        await ended(admin, "idle in transaction" if sent else "active")
        await admin.close()
        assert await woken(sleeper) == "NoneType"


async def ended(admin: asyncpg.Connection, state: str) -> None:
    """End all connections of the database, once one with its locks is in that state."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    asked = f"SELECT 1 {others} AND state = $1"
    while not await admin.fetchval(asked, state):  # noqa: ASYNC110 - only the server knows
        await asyncio.sleep(0.002)
    await admin.execute(f"SELECT pg_terminate_backend(pid) {others}")
    while await admin.fetchval(f"SELECT 1 {others}"):  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.002)


async def test_locks_of_who_is_no_ledger_are_told_in_words(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's psql, say: it isn't ended, and as soon as it lets go everything works."""
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.LOCK_TIMEOUT", 0.02)
    async with (
        ready_ledger(postgres) as lent,
        Ledger.open(lent.url, prefix=lent.prefix) as ledger,
    ):
        admin = await asyncpg.connect(lent.url)
        async with admin.transaction():
            await admin.execute(f'LOCK TABLE "{lent.prefix}_runs" IN ACCESS EXCLUSIVE MODE')
            with pytest.raises(LedgerUnavailable, match=r"another program holds locks.*psql"):
                await ledger.calls(ACCOUNT).look([draft()])
        assert await ledger.calls(ACCOUNT).look([draft()]) == [None]
        await admin.close()


async def test_a_commit_waits_for_locks_more_than_once(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds them may let go after the first wait: the call is granted then."""
    looks = list[Owners]()

    def look(owners: Owners) -> Work[None]:
        looks.append(owners)
        return end_sleepers(owners)

    monkeypatch.setattr(heart, "end_sleepers", look)
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.LOCK_TIMEOUT", 0.2)
    async with (
        ready_ledger(postgres) as lent,
        Ledger.open(lent.url, prefix=lent.prefix) as ledger,
    ):
        assert await ledger.calls(ACCOUNT).look([draft()]) == [None]
        admin = await asyncpg.connect(lent.url)
        async with admin.transaction():
            await admin.execute(f'LOCK TABLE "{lent.prefix}_entries" IN ACCESS EXCLUSIVE MODE')
            said = asyncio.ensure_future(ledger.calls(ACCOUNT).intend(draft()))
            await comes_true(lambda: looks or said.done())
        assert await said is None
        await admin.close()


AWAKE: Final = {
    "whoever has it": (
        'UPDATE "{0}_parts" SET epoch = epoch',
        "'run', begun .* is worked on by process",
    ),
    "whoever opens it": (
        (
            'INSERT INTO "{0}_parts" (run, part, epoch, state, done) SELECT id, 0, 0, 0, 0'
            " FROM \"{0}_runs\" WHERE account = 'VM1'"
        ),
        "'run' is being opened or marked",
    ),
}


@asynccontextmanager
async def locked(url: str, prefix: str, statement: str) -> AsyncGenerator[None]:
    """Hold the locks of a statement, and undo it."""
    link = await asyncpg.connect(url)
    try:
        await link.execute(f"BEGIN; {statement.format(prefix)}")
        async with asyncio.timeout(30):
            yield
    finally:
        await link.close()


@pytest.mark.parametrize("who", AWAKE)
async def test_whoever_opens_a_run_waits_for_no_lock_longer_than_a_moment(
    postgres: str, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """It would beat no more meanwhile, and be thought dead, too; and it is told who has it."""
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.LOCK_TIMEOUT", 3_600.0)
    monkeypatch.setattr("ihuyi_voice.ledger.runs._MOMENT", 0.02)
    statement, words = AWAKE[who]
    async with (
        ready_ledger(postgres) as lent,
        Ledger.open(lent.url, prefix=lent.prefix) as holder,
        Ledger.open(lent.url, prefix=lent.prefix, timing=AT_ONCE) as ledger,
        holder.run(ACCOUNT, "run"),
        holder.run("of another account", "run"),
    ):
        if who == "whoever opens it":
            link = await asyncpg.connect(lent.url)
            await link.execute(f'DELETE FROM "{lent.prefix}_parts"')  # noqa: S608 - the test's own
            await link.close()
        async with locked(lent.url, lent.prefix, statement):
            with pytest.raises(RunInUse, match=words):
                await ledger.run(ACCOUNT, "run").__aenter__()


async def test_whoever_stops_a_run_waits_for_no_lock_longer_than_a_moment(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But looks again several times, before it says why it could not."""
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.LOCK_TIMEOUT", 3_600.0)
    monkeypatch.setattr("ihuyi_voice.ledger.runs._WHILE", 0.02)
    async with (
        ready_ledger(postgres) as lent,
        Ledger.open(lent.url, prefix=lent.prefix, timing=AT_ONCE) as ledger,
        ledger.run(ACCOUNT, "run"),
        locked(lent.url, lent.prefix, 'UPDATE "{0}_runs" SET used_at = 1'),
    ):
        with pytest.raises(LedgerUnavailable, match="another program holds locks"):
            await ledger.stop("run", "enough")
