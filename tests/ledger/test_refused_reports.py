"""A report that the database can't take is left out; one that it could take is never lost."""

# pyright: reportPrivateUsage=false

import re
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

import asyncpg
import attrs
import pytest

from ihuyi_voice import DeliveryReport, LedgerUnavailable, OutcomeStatus
from ihuyi_voice.errors import LedgerClosed, StorageUnavailable
from ihuyi_voice.events import Event, LedgerFailed, ReportsTaken
from ihuyi_voice.ledger import matching
from ihuyi_voice.ledger.matching import Matched
from ihuyi_voice.ledger.refused import is_refused
from ihuyi_voice.storage import Database
from tests.ledger.inboxes import FakeInbox
from tests.ledger.test_reconcile import (
    follower_has_seen,
    has_report,
    listed,
    one,
    settled,
    uncertain,
)
from tests.support.guards import NoException
from tests.support.ledgers import A, B, World, accepted, draft
from tests.support.looking import comes_true

LONG = "".join(Random(1).choices("0123456789abcdef", k=9_000))
C = "13900000077"
BEGINNING = datetime.min  # noqa: DTZ901 - without a zone it is before all times, somewhere
END = datetime.max.replace(tzinfo=UTC)


class Reluctant(DeliveryReport):
    """Of a class of somebody's own, whose place can't be asked for."""

    def __getattribute__(self, name: str) -> Any:
        """Raise, if it is asked for."""
        if name == "seq":
            raise NoException(name)
        return super().__getattribute__(name)


ODD: dict[str, dict[str, Any]] = {
    "text that is none": {"voice_id": None},
    "code that is none": {"code": "two"},
    "message that is none": {"msg": 5},
    "number that is none": {"mobile": None},
    "time that is none": {"report_time": "soon"},
    "talk that is none": {"talk_time": "7 s"},
    "long id": {"voice_id": LONG},
}
TAKEN: dict[str, dict[str, Any]] = {
    "NUL": {"voice_id": "V\0", "mobile": "1\0", "msg": "\0"},
    "halves of characters": {"voice_id": "V\ud800", "mobile": "\udfff", "msg": "\ud800"},
    "large integers": {"code": -(10**40), "talk_time": 10**40},
    "code without end": {"code": float("inf")},
    "end of all times": {"voice_id": "V7", "mobile": C, "report_time": END},
    "beginning of all times": {"voice_id": "V7", "mobile": C, "report_time": BEGINNING},
}


def told_of(inbox: FakeInbox, world: World, **given: Any) -> None:
    """Store a report that is odd in some way."""
    inbox.tell("V0", world.now, B)
    inbox.stored[-1] = attrs.evolve(inbox.stored[-1], **given)


def refused(events: list[Event]) -> int:
    """Return how many reports were left out."""
    return sum(event.refused for event in events if isinstance(event, ReportsTaken))


def stored(events: list[Event]) -> int:
    """Return how many reports were stored."""
    return sum(event.stored for event in events if isinstance(event, ReportsTaken))


LEFT_OUT = re.compile(
    r"^WARNING .* the ledger can't take in what was told of a call, and leaves it out:"
    r" <?DeliveryReport.+ \(LedgerUnavailable: the ledger's database failed: .+\)$",
    re.MULTILINE,
)


@pytest.mark.parametrize("by_itself", [True, False])
@pytest.mark.parametrize("odd", [*ODD, *TAKEN, "several"])
async def test_what_comes_with_an_odd_report_is_taken_in(
    world: World,
    caplog: pytest.LogCaptureFixture,
    odd: str,
    by_itself: bool,  # noqa: FBT001 - of the test's parameters
) -> None:
    """Before it and behind it; what is left out is counted, and told without its number."""
    events: list[Event] = []
    inbox = FakeInbox()
    process = await world.process()
    await uncertain(process, "a")
    await uncertain(process, "b", mobile=C)
    inbox.tell("V7", world.now, C)
    for given in ODD.values() if odd == "several" else [(ODD | TAKEN)[odd]]:
        told_of(inbox, world, **given)
    inbox.tell("V9", world.now)
    if by_itself:
        world.beat = 0.02
        process = await world.process(inbox=inbox, on_event=events.append)
        await settled(process)
        await follower_has_seen(process, len(inbox.stored))
    else:
        process = await world.process(on_event=events.append)
        taken = await process.ledger.reconcile(inbox)
        assert sorted(entry.key for entry in taken.settled) == ["a", "b"]
        await follower_has_seen(process, len(inbox.stored))
        assert not (await process.ledger.reconcile(inbox)).settled
    found = await listed(process.ledger)
    assert [found[key].voice_id for key in "ab"] == ["V9", "V7"]
    left_out = caplog.text.count("leaves it out")
    await comes_true(lambda: refused(events) >= left_out)  # it is told after the log
    kept = len(inbox.stored) - left_out
    await comes_true(lambda: stored(events) >= kept)
    assert (refused(events), stored(events)) == (left_out, kept)
    assert len(LEFT_OUT.findall(caplog.text)) == left_out
    if odd in TAKEN or (odd == "long id" and not world.place.is_postgres):
        assert left_out == 0
    else:
        assert left_out == (1 if odd != "several" else len(ODD) - (not world.place.is_postgres))
    assert B not in caplog.text
    if by_itself:
        await process.ledger.__aexit__(None, None, None)


async def test_what_had_to_wait_beside_an_odd_report_settles_later(world: World) -> None:
    """It is stored apart from what comes behind that one, and not forgotten for it."""
    caller, inbox = await world.process(), FakeInbox()
    await uncertain(caller, "a")
    assert await caller.calls().intend(draft("in flight")) is None
    inbox.tell("V9", world.now)
    told_of(inbox, world, **ODD["code that is none"])
    inbox.tell("V8", world.now, C)
    world.beat = 0.02
    process = await world.process(inbox=inbox)
    await follower_has_seen(process, 3)
    await caller.calls().settle(draft("in flight"), accepted("V1"))
    await settled(process)
    await process.ledger.__aexit__(None, None, None)


async def test_what_is_out_of_reach_is_no_report(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Its place can't be marked, or not even asked for."""
    inbox = FakeInbox()
    for seq in (2**70, "1", 1.5):
        told_of(inbox, world, seq=seq)
    inbox.stored.append(Reluctant("V0", 2, B, 7, None, ""))
    world.beat = 0.02
    process = await world.process(inbox=inbox)
    await uncertain(process, "a")
    inbox.tell("V9", world.now)
    await settled(process)
    assert caplog.text.count("gave what is no report") == 4
    await process.ledger.__aexit__(None, None, None)


async def test_half_of_a_character_in_an_inboxs_name_stands_in_nobodys_way(world: World) -> None:
    """It is only what its reports are marked under."""
    inbox = FakeInbox()
    cast("Any", FakeInbox).identity = "pushes\0\ud800"
    try:
        process = await world.process()
        await uncertain(process, "a")
        inbox.tell("V9", world.now)
        assert len((await process.ledger.reconcile(inbox)).settled) == 1
    finally:
        del cast("Any", FakeInbox).identity


def test_what_came_of_the_parts_is_added_up() -> None:
    """All that is told of each."""
    found = Matched([(1, "a")], {(1, "b"): []}, {A}, 1)
    found.add(Matched([(2, "c")], {(2, "d"): []}, {B}, 2))
    assert found == Matched([(1, "a"), (2, "c")], {(1, "b"): [], (2, "d"): []}, {A, B}, 3)


# --- away


def failed_by(error: BaseException) -> str:
    """Return what is told of a database that failed by an error."""
    return f"database failed: {type(error).__name__}"


@contextmanager
def failing(
    monkeypatch: pytest.MonkeyPatch, fails: Callable[[object], BaseException | None]
) -> Generator[list[object]]:
    """Have the database fail to store reports in some way; yield what was tried."""
    whole, tried = Database.write, list[object]()

    async def write(self: Database, make: Any, **options: Any) -> Any:
        tried.append(make)
        error = fails(make)
        if error is not None:
            raise StorageUnavailable(failed_by(error)) from error
        return await whole(self, make, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", write)
        yield tried


AWAY: tuple[BaseException, ...] = (
    OSError("no host"),
    ConnectionResetError(),
    TimeoutError(),
    EOFError(),
    MemoryError(),
    sqlite3.OperationalError("database is locked"),
    sqlite3.DatabaseError("database disk image is malformed"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.DiskFullError("no space"),
    asyncpg.QueryCanceledError("statement timeout"),
    asyncpg.AdminShutdownError("terminating"),
    LedgerClosed("closed"),
)
REFUSED: tuple[BaseException, ...] = (
    ValueError(),
    TypeError(),
    AttributeError(),
    OverflowError("Python int too large to convert to SQLite INTEGER"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    sqlite3.DataError("string or blob too big"),
    sqlite3.IntegrityError("NOT NULL constraint failed"),
    sqlite3.InterfaceError("Error binding parameter 1"),
    asyncpg.DataError("invalid input for query argument $1"),
    asyncpg.CharacterNotInRepertoireError("invalid byte sequence"),
    asyncpg.NotNullViolationError("null value"),
    asyncpg.ProgramLimitExceededError("index row size"),
    NoException("of a class of somebody's own"),
)
SOME = (AWAY[0], AWAY[5], AWAY[8], REFUSED[0], REFUSED[8], REFUSED[-1])


@pytest.mark.parametrize("error", SOME, ids=lambda error: type(error).__name__)
async def test_a_database_that_does_nothing_loses_no_report(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    """Whatever it says: as long as it does no other work either, all is tried again.

    The log says so, and when it is over, and whoever listens is told.
    """
    events: list[Event] = []
    inbox = FakeInbox()
    world.beat = 0.002
    process = await world.process(inbox=inbox, on_event=events.append)
    await uncertain(process, "a")
    with failing(monkeypatch, lambda _: error) as tried:
        inbox.tell("V9", world.now)
        inbox.tell("V8", world.now, B)
        await comes_true(lambda: len(tried) >= 20)
    await settled(process)
    assert await has_report(process, "V8")
    assert "leaves it out" not in caplog.text
    await comes_true(lambda: "reports wait for the ledger no more" in caplog.messages)
    waits = next(each for each in caplog.messages if each.startswith("reports wait"))
    assert waits == f"reports wait for the ledger: the ledger's {failed_by(error)}"
    failed = [each for each in events if isinstance(each, LedgerFailed)]
    told = [str(each.error) for each in failed if each.work == "reports"]
    assert set(told) == {f"the ledger's {failed_by(error)}"}
    await process.ledger.__aexit__(None, None, None)


@pytest.mark.parametrize("error", AWAY[:1] + AWAY[-5:], ids=lambda error: type(error).__name__)
async def test_a_database_that_is_away_for_one_transaction_loses_no_report(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    """Each second one: what it did before and after says nothing about that one."""
    inbox = FakeInbox()
    process = await world.process()
    await uncertain(process, "a")
    inbox.tell("V9", world.now)
    with failing(monkeypatch, lambda _: error), pytest.raises(LedgerUnavailable):
        await process.ledger.reconcile(inbox)
    first = iter([error, None, error, None])
    with failing(monkeypatch, lambda _: next(first, None)), pytest.raises(LedgerUnavailable):
        await process.ledger.reconcile(inbox)
    await process.ledger.reconcile(inbox)
    assert (await one(process)).status is OutcomeStatus.ACCEPTED
    assert "leaves it out" not in caplog.text


async def test_what_fails_once_is_not_left_out(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it says that it was refused."""
    inbox = FakeInbox()
    process = await world.process()
    await uncertain(process, "a")
    for number in range(4):
        inbox.tell(f"V{number}", world.now, B)
    inbox.tell("V9", world.now)
    first = iter([ValueError()])
    with failing(monkeypatch, lambda _: next(first, None)):
        await process.ledger.reconcile(inbox)
    assert (await one(process)).voice_id == "V9"
    await follower_has_seen(process, 5)
    assert "leaves it out" not in caplog.text


async def test_a_process_that_dies_between_two_halves_reads_both_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark stands behind what was stored, whatever order the reports came in."""
    inbox = FakeInbox()
    process = await world.process()
    await uncertain(process, "a")
    inbox.tell("V9", world.now)
    inbox.tell("V8", world.now, B)
    inbox.stored.reverse()
    died = iter([ValueError(), None, None, OSError()])
    with failing(monkeypatch, lambda _: next(died, None)), pytest.raises(LedgerUnavailable):
        await process.ledger.reconcile(inbox)
    assert await has_report(process, "V8")
    assert await process.desk.heart.read(lambda: matching.marked(process.desk.owners, "inbox")) == 0
    await process.ledger.reconcile(inbox)
    assert (await one(process)).voice_id == "V9"


async def test_a_number_that_cannot_be_looked_at_holds_up_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of those that had to wait for a call in flight, when that has ended."""
    caller, inbox = await world.process(), FakeInbox()
    for key, mobile in (("a", A), ("b", B)):
        await uncertain(caller, key, mobile=mobile)
        assert await caller.calls().intend(draft(f"{key} in flight", mobile)) is None
    inbox.tell("V8", world.now, B)
    inbox.tell("V9", world.now)
    world.beat = 0.02
    process = await world.process(inbox=inbox)
    await follower_has_seen(process, 2)
    whole = matching.match

    def match(owners: Any, mobiles: Any, *, settling: bool = True) -> Any:
        if settling and B in mobiles:
            raise OverflowError
        return whole(owners, mobiles, settling=settling)

    monkeypatch.setattr(matching, "match", match)
    await caller.calls().settle(draft("a in flight"), accepted("V1"))
    await settled(process)
    await comes_true(lambda: "leaves it out" in caplog.text)
    assert B not in caplog.text
    await process.ledger.__aexit__(None, None, None)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_who_is_away_is_known_by_its_error(error: BaseException) -> None:
    """By its class, or by the state that PostgreSQL gives."""
    assert not is_refused(_told(error))


@pytest.mark.parametrize("error", REFUSED, ids=lambda error: type(error).__name__)
def test_what_may_be_refused_is_known_by_its_error(error: BaseException) -> None:
    """Any other one: whether the database is there is looked at besides."""
    assert is_refused(_told(error))


def _told(error: BaseException) -> LedgerUnavailable:
    told, storage = LedgerUnavailable("no"), StorageUnavailable("no")
    told.__cause__, storage.__cause__ = storage, error
    return told
