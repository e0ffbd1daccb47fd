"""Real processes, killed, stopped and woken: nobody is called twice, nobody is forgotten."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import pytest

from tests.ledger.killing import RUN, scene
from tests.support.databases import own_database
from tests.support.long import LONG, few_or_many

CONCURRENCY: Final = 20
MESSAGES: Final = few_or_many(400, 5_000)
LOCKED: Final = "failed: OperationalError: database is locked"
PATIENT: Final = pytest.mark.timeout(few_or_many(120, 900))

pytestmark = [PATIENT, pytest.mark.long]


@pytest.fixture
async def ledger(postgres_or_none: str | None, tmp_path: Path) -> AsyncGenerator[str]:
    """Yield where a ledger of the test's own is."""
    if postgres_or_none is None:
        yield str(tmp_path / "calls.db")
        return
    async with own_database(postgres_or_none) as url:
        yield url


def many(on_sqlite: int, on_postgres: int, short: int, ledger: str) -> int:
    """Return how often something is done."""
    if not LONG:
        return short
    return on_postgres if "://" in ledger else on_sqlite


async def test_a_run_that_is_killed_again_and_again_goes_on(ledger: str, tmp_path: Path) -> None:
    """SIGKILLs at random moments: none twice, none missing, unknown only what was in flight."""
    kills = many(50, 20, 3, ledger)
    async with scene("run", ledger, tmp_path, MESSAGES, seed=7, takeover=True) as play:
        for kill in range(kills):
            victim = await play.start()
            share = (kill + play.chance.random()) / (kills + 1)
            await play.moment(victim, share)
            await victim.kill()
        last = await play.start()
        assert await last.ended() == ""
        counts = await play.check(RUN, 2 * CONCURRENCY * kills)
        assert counts["UNKNOWN"] > 0


async def test_a_stopped_process_that_was_taken_over_is_fenced_off(
    ledger: str, tmp_path: Path
) -> None:
    """It wakes in the midst of what it did, and sends nothing that the other might have sent."""
    stops = many(20, 10, 1, ledger)
    async with scene("run", ledger, tmp_path, MESSAGES, seed=8, takeover=True) as play:
        asleep = await play.start()
        for stop in range(stops):
            share = (stop + play.chance.random()) / (stops + 1)
            await play.moment(asleep, share)
            asleep.send(signal.SIGSTOP)
            heir = await play.start()
            await play.moment(heir, share + 0.3 / (stops + 1))
            asleep.send(signal.SIGCONT)
            told = await heir.ended() if heir.end.done() else ""
            if LOCKED in told and "://" not in ledger:
                # SQLite's lock is the file's: who is stopped in the midst of a commit keeps it,
                # and nobody could take it away. So nobody else has begun, and it goes on alone.
                continue
            assert told == ""
            await asleep.ended()
            asleep = heir
        assert await asleep.ended() == ""
        await play.check(RUN, 2 * CONCURRENCY * stops)


async def test_keys_that_many_processes_call_at_once_ring_once(ledger: str, tmp_path: Path) -> None:
    """Each of them is told the same."""
    processes, keys = (8, 1_000) if LONG else (4, 150)
    async with scene("keys", ledger, tmp_path, keys, seed=9) as play:
        victims = [await play.start(seed=place) for place in range(processes)]
        assert [await victim.ended() for victim in victims] == [""] * processes
        counts = await play.check("", 0)
        assert counts == {"ACCEPTED": keys}
        assert len(play.told()) == processes * keys


async def test_keys_of_killed_processes_ring_once(ledger: str, tmp_path: Path) -> None:
    """What a dead one had in flight is unknown to all; everything else they are told as it was."""
    processes, keys, kills = (8, 1_000, 16) if LONG else (3, 150, 2)
    async with scene("keys", ledger, tmp_path, keys, seed=10) as play:
        victims = [await play.start(seed=place) for place in range(processes)]
        for kill in range(kills):
            place = play.chance.randrange(processes)
            await play.moment(victims[place], (kill + play.chance.random()) / (kills + 1))
            await victims[place].kill()
            victims[place] = await play.start(seed=place + 100 * kill)
        await asyncio.gather(*(victim.ended() for victim in victims))
        last = await play.start(seed=-1)
        assert await last.ended() == ""
        await play.check("", 2 * CONCURRENCY * kills)
