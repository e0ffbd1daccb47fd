"""What can't be right is refused where it is given, by its name, and nothing is written."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest, OutcomeStatus
from ihuyi_voice.ledger import Ledger
from tests.support.ledgers import ACCOUNT, World, draft, unknown
from tests.support.odd import kind_of

ODD: tuple[Any, ...] = (True, 7, 1.5, b"x", [], {}, object(), object)
NO_INBOXES: tuple[Any, ...] = (None, *ODD)
NO_ACCOUNTS: tuple[Any, ...] = (*ODD, "a\0b", "\ud800")
NO_NAMES: tuple[Any, ...] = (None, *NO_ACCOUNTS)
NO_KEYS: tuple[Any, ...] = (None, 7, "abc", object())
NO_PARTS: tuple[Any, ...] = (None, True, 0, -1, 1.5, "1", 2**70, [], object())


@contextmanager
def refused(words: str | None, odd: object, field: str | None = None) -> Generator[None]:
    """Expect an error, with these words, of this field; what was not refused is named."""
    try:
        with pytest.raises(InvalidRequest, match=words) as raised:
            yield
        assert field in {None, raised.value.field}
    except BaseException as exc:
        exc.add_note(f"it was {odd!r}")
        raise


@pytest.mark.parametrize("odd", ODD, ids=kind_of)
@pytest.mark.parametrize("name", ["prefix", "timing", "inbox"])
def test_an_option_that_can_not_be_right_is_named(tmp_path: Path, name: str, odd: Any) -> None:
    """Not when the ledger is entered, or by a task that complains for ever."""
    with pytest.raises(InvalidRequest) as raised:
        Ledger.open(tmp_path / "calls.db", **{name: odd})
    assert raised.value.field == name


def test_a_clock_that_can_not_be_called_is_named(tmp_path: Path) -> None:
    """A time is no clock."""
    with pytest.raises(InvalidRequest, match="can't be called") as raised:
        Ledger.open(tmp_path / "calls.db", clock=7)  # type: ignore[arg-type]  # on purpose
    assert raised.value.field == "clock"


async def test_what_is_no_inbox_is_not_reconciled_with(world: World) -> None:
    """The error says what is meant."""
    process = await world.process()
    for odd in NO_INBOXES:
        with refused("must be an Inbox", odd):
            await process.ledger.reconcile(odd)


async def test_what_is_no_account_gets_no_run(world: World) -> None:
    """SQLite would keep bytes, and no run of that name be found any more."""
    process = await world.process()
    for odd in NO_NAMES:
        with refused("^an account is a text$", odd, "account"):
            process.ledger.calls(odd)
        for opening in (process.ledger.run(odd, "r"), process.ledger.parts.hold(odd, "r", 1)):
            with refused("account", odd):
                async with opening:
                    pass
        assert await process.ledger.runs() == []


async def test_what_is_no_account_is_not_looked_for(world: World) -> None:
    """The database is not away: nothing needs to be tried again."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "r"):
        pass
    ledger, parts = process.ledger, process.ledger.parts
    for odd in NO_ACCOUNTS:
        for asked in (
            ledger.summary("r", odd),
            ledger.stop("r", "", odd),
            ledger.results("r", ["k"], odd),
            parts.progress("r", odd),
            parts.is_done(odd, "r", 1),
            parts.undone(odd),
        ):
            with refused(None, odd):
                await asked


async def test_a_name_that_no_run_can_have_is_of_none(world: World) -> None:
    """A database would fail as if it were away."""
    process = await world.process()
    for odd in ("a\0b", "\ud800"):
        with refused("the ledger has no run", odd):
            await process.ledger.summary(odd)


async def test_what_is_no_status_is_refused(world: World) -> None:
    """Also what no table of statuses could be asked for."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "r") as journal:
        assert await journal.intend(draft()) is None
        await journal.settle(draft(), unknown())
    for odd in ODD:
        with refused("status", odd):
            _ = [entry async for entry in process.ledger.entries("r", odd)]
        with refused("ACCEPTED or NOT_SENT", odd, "status"):
            await process.ledger.settle("r", "k", odd)
        with refused("^a voice_id is a text$", odd, "voice_id"):
            await process.ledger.settle("r", "k", OutcomeStatus.ACCEPTED, voice_id=odd)
    assert (await process.ledger.summary("r"))[OutcomeStatus.UNKNOWN] == 1


async def test_what_is_no_list_of_keys_has_no_results(world: World) -> None:
    """A single key among it, whose characters are no keys."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "r"):
        pass
    for odd in NO_KEYS:
        with refused("keys", odd):
            await process.ledger.results("r", odd)
    with pytest.raises(InvalidRequest, match="listed"):
        await process.ledger.report("r", listed="all")  # type: ignore[arg-type]  # on purpose


async def test_what_is_no_part_is_not_held(world: World) -> None:
    """Nor made."""
    process = await world.process()
    for odd in NO_PARTS:
        with refused("part", odd):
            async with process.ledger.parts.hold(ACCOUNT, "r", odd):
                pass
        assert await process.ledger.runs() == []
