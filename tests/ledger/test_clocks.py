"""Beats: who beats lives, and whose clock was set back is not thought alive for a year."""

from types import SimpleNamespace

import asyncpg
import pytest

from ihuyi_voice import CallInFlight, OutcomeStatus, OutcomeUnknown
from ihuyi_voice.ledger import Ledger
from tests.support.ledgers import ACCOUNT, World, accepted, draft
from tests.support.looking import comes_true
from tests.support.ready import ready_ledger

YEAR = 365 * 86_400.0


async def test_a_call_of_the_dead_is_not_in_flight_until_the_clock_is_there_again(
    world: World,
) -> None:
    """It is UNKNOWN, as with any other clock: not for a year a call that nobody can settle."""
    victim, other = await world.process(), await world.process()
    world.now += YEAR
    assert await victim.calls().intend(draft()) is None
    async with victim.ledger.run(ACCOUNT, "r") as journal:
        assert await journal.intend(draft("r")) is None
        await victim.dies()
    world.now -= YEAR
    (end,) = await other.calls().look([draft()])
    assert isinstance(end, OutcomeUnknown)
    assert (await other.ledger.summary(""))[OutcomeStatus.UNKNOWN] == 1
    assert (await other.ledger.summary("r"))[OutcomeStatus.UNKNOWN] == 1
    await other.ledger.settle("r", "r", OutcomeStatus.NOT_SENT)
    async with other.ledger.run(ACCOUNT, "r") as journal:
        assert await journal.intend(draft("r")) is None


async def test_a_call_of_the_living_stays_in_flight_when_the_clock_is_set_back(
    world: World,
) -> None:
    """Once it has beaten by the new time."""
    living, other = await world.process(), await world.process()
    world.now += YEAR
    assert await living.calls().intend(draft()) is None
    world.now -= YEAR
    await living.beat()
    (end,) = await other.calls().look([draft()])
    assert isinstance(end, CallInFlight)
    with pytest.raises(Exception, match="only UNKNOWN can be settled"):
        await other.ledger.settle("", "k", OutcomeStatus.NOT_SENT)


async def test_a_ledger_beats_by_itself(world: World) -> None:
    """As long as it is open: nobody takes its runs, or calls what it has in flight UNKNOWN."""
    world.beat = 0.01
    living, other = await world.process(), await world.process()

    async def in_use() -> bool:
        return (await other.ledger.runs())[0].in_use

    async with living.ledger.run(ACCOUNT, "r") as journal:
        assert await journal.intend(draft()) is None
        for _ in range(2):
            world.now += 11.0
            await comes_true(in_use)
        await journal.settle(draft(), accepted())
        assert await journal.intend(draft("next")) is None


async def test_on_a_server_beats_go_by_its_clock(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by each machine's own: one that is wrong would make its process dead to all others."""
    monkeypatch.setattr("ihuyi_voice.ledger.ledger.time", SimpleNamespace(time=lambda: 0.0))
    async with (
        ready_ledger(postgres) as lent,
        Ledger.open(lent.url, prefix=lent.prefix) as ledger,
        ledger.run(ACCOUNT, "r"),
    ):
        link = await asyncpg.connect(lent.url)
        asked = f"SELECT abs(extract(epoch FROM now()) - beat_at) FROM {lent.prefix}_owners"  # noqa: S608
        assert await link.fetchval(asked) < YEAR
        await link.close()
