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

from ihuyi_voice.ledger import Ledger, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger.schema import Timing
from tests.ledger.killing import ROOT
from tests.ledger.sleeper import ACCOUNT, Order
from tests.support.ledgers import draft
from tests.support.postgres import Server, pooler_of
from tests.support.ready import ready_ledger

SOON: Final = Timing(beat=0.1, dead=0.5, look=0.1)
AT_ONCE: Final = Timing(dead=0.2, look=0.1, sleep=lambda _: asyncio.sleep(0))
USED = 'UPDATE "ihuyi_runs" SET used_at'

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
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110, ASYNC240 - only the system knows
        await asyncio.sleep(0.01)


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


async def test_a_sleeper_that_nobody_has_taken_over_goes_on(postgres: str) -> None:
    """Its connection was ended meanwhile; its call is granted on another one."""
    async with (
        ready_ledger(postgres, alone=True) as lent,
        asleep(Order(lent.url, USED)) as sleeper,
    ):
        admin = await asyncpg.connect(lent.url)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await admin.close()
        assert await woken(sleeper) == "NoneType"


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


@pytest.mark.parametrize("lock", ["parts", "runs"])
async def test_whoever_opens_or_stops_a_run_waits_for_no_lock_longer_than_a_moment(
    postgres: str, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    """However long others wait: who waits beats no more, and would be thought dead, too."""
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.LOCK_TIMEOUT", 3_600.0)
    monkeypatch.setattr("ihuyi_voice.ledger.runs._MOMENT", 0.02)
    monkeypatch.setattr("ihuyi_voice.ledger.runs._WHILE", 0.02)
    async with (
        ready_ledger(postgres) as lent,
        Ledger.open(lent.url, prefix=lent.prefix, timing=AT_ONCE) as ledger,
    ):
        async with ledger.run(ACCOUNT, "run"):
            pass
        admin = await asyncpg.connect(lent.url)
        async with admin.transaction(), asyncio.timeout(30):
            await admin.execute(f'SELECT 1 FROM "{lent.prefix}_{lock}" FOR UPDATE')  # noqa: S608 - the test's own
            if lock == "parts":
                with pytest.raises(RunInUse, match="'run' is being opened or marked"):
                    await ledger.run(ACCOUNT, "run").__aenter__()
            else:
                with pytest.raises(LedgerUnavailable, match="another program holds locks"):
                    await ledger.stop("run", "enough")
        await admin.close()
