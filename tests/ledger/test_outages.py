"""Databases that fail in the midst of a run: nothing twice, nothing lost, and clear words."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from ihuyi_voice.ledger import Ledger, LedgerUnavailable
from tests.ledger.killing import RUN, Scene, scene
from tests.support.postgres import Server, pooler_of

pytestmark = pytest.mark.long

CONCURRENCY: Final = 20
MESSAGES: Final = 600


async def send_until(play: Scene, share: float, strike: Callable[[], Awaitable[None]]) -> list[str]:
    """Send the run, strike in its midst, and return the words of those that were not sent."""
    before, arrivals = len(play.told()), len(play.vendor.arrivals)
    sending = asyncio.create_task(play.send())
    arrived = asyncio.create_task(play.vendor.arrived(arrivals + round(MESSAGES * share)))
    await asyncio.wait({sending, arrived}, return_when=asyncio.FIRST_COMPLETED)
    arrived.cancel()
    await strike()
    await sending
    return [text for _, status, _, text in play.told()[before:] if status == "NOT_SENT"]


async def go_on(play: Scene, strikes: int = 1) -> None:
    """Send the rest of the run, and check everything."""
    await play.send()
    counts = await play.check(RUN, 2 * CONCURRENCY * strikes, unwritten=True)
    assert counts["ACCEPTED"] > MESSAGES // 2


async def test_a_full_disk_ends_a_run_that_goes_on_later(tmp_path: Path) -> None:
    """What was answered is told all the same; what was not sent says that the disk is full."""
    ledger = str(tmp_path / "calls.db")
    async with scene("run", ledger, tmp_path, MESSAGES, seed=1, takeover=True) as play:
        victim = await play.start(largest=400_000)
        assert await victim.ended() == ""
        texts = {text for _, status, _, text in play.told() if status == "NOT_SENT"}
        assert texts
        assert all("the ledger" in text and "disk" in text for text in texts)
        await go_on(play)


async def test_a_locked_database_ends_a_run_that_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program holds the file for longer than is waited for."""
    monkeypatch.setattr("ihuyi_voice.storage.sqlite._BUSY", 0.1)
    ledger = str(tmp_path / "calls.db")
    other = sqlite3.connect(ledger, isolation_level=None)
    async with scene("run", ledger, tmp_path, MESSAGES, seed=2, takeover=True) as play:

        async def lock() -> None:
            other.execute("BEGIN IMMEDIATE")

        texts = await send_until(play, 0.4, lock)
        assert texts
        assert all("database is locked" in text for text in texts)
        other.execute("ROLLBACK")
        await go_on(play)
    other.close()


@pytest.mark.parametrize("then", ["deleted", "replaced"])
async def test_a_file_that_goes_away_ends_a_run_that_goes_on_when_it_is_back(
    tmp_path: Path, then: str
) -> None:
    """Nobody is called whose intent would have been lost with it."""
    file, away = tmp_path / "calls.db", tmp_path / "away"
    async with scene("run", str(file), tmp_path, MESSAGES, seed=3, takeover=True) as play:

        async def take_away() -> None:
            file.rename(away)
            if then == "replaced":
                shutil.copy(away, file)

        texts = await send_until(play, 0.4, take_away)
        assert texts
        assert all("deleted or replaced while it was open" in text for text in texts)
        away.rename(file)
        await go_on(play)


async def test_a_server_that_stops_ends_a_run_that_goes_on_when_it_is_back(
    server: Server, tmp_path: Path
) -> None:
    """And whoever wants to open the ledger meanwhile is told so."""
    async with scene("run", server.url, tmp_path, MESSAGES, seed=4, takeover=True) as play:
        for _ in range(2):
            texts = await send_until(play, 0.2, server.stop)
            assert texts
            assert all("the ledger" in text for text in texts)
            await server.start()
        await go_on(play, strikes=2)


async def test_connections_that_are_ended_do_no_harm(server: Server, tmp_path: Path) -> None:
    """A run whose connections are ended again and again goes on, at the latest when resumed."""
    strikes = 8
    async with scene("run", server.url, tmp_path, MESSAGES, seed=5, takeover=True) as play:
        for _ in range(strikes):
            await send_until(play, 0.05, server.terminate_others)
        await go_on(play, strikes)


async def test_behind_a_pooler_a_killed_run_goes_on(server: Server, tmp_path: Path) -> None:
    """PgBouncer, pooling by transaction: sessions are anybody's, and every promise is kept."""
    kills = 4
    async with (
        pooler_of(server) as url,
        scene("run", url, tmp_path, MESSAGES, seed=6, takeover=True) as play,
    ):
        for kill in range(kills):
            victim = await play.start()
            await play.moment(victim, (kill + 0.5) / (kills + 1))
            await victim.kill()
        last = await play.start()
        assert await last.ended() == ""
        await play.check(RUN, 2 * CONCURRENCY * kills)


async def test_behind_a_pooler_keys_ring_once(server: Server, tmp_path: Path) -> None:
    """Four processes call the same keys at once."""
    async with (
        pooler_of(server) as url,
        scene("keys", url, tmp_path, 100, seed=7) as play,
    ):
        victims = [await play.start(seed=place) for place in range(4)]
        assert [await victim.ended() for victim in victims] == [""] * 4
        assert await play.check("", 0) == {"ACCEPTED": 100}


async def test_a_ledger_that_can_not_be_reached_says_so_at_opening(server: Server) -> None:
    """Before anything is sent."""
    await server.stop()
    with pytest.raises(LedgerUnavailable, match="the ledger's database failed: Conn"):
        async with Ledger.open(server.url):
            pass
