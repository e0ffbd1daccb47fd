"""What a database refuses by what it is, told apart from a database that is away."""

import sqlite3
from collections.abc import Sequence
from typing import Final

import asyncpg
import attrs
import pytest

from ihuyi_voice import LedgerClosed, LedgerUnavailable
from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.ledger.refused import in_parts, is_refused


def because(cause: BaseException | None) -> LedgerUnavailable:
    """Return what a ledger raises, as deep as it is told."""
    storage = StorageUnavailable("database failed")
    storage.__cause__ = cause
    error = LedgerUnavailable("the ledger's database failed")
    error.__cause__ = storage
    return error


def stated(sqlstate: str) -> asyncpg.PostgresError:
    """Return an error of PostgreSQL's with this state."""
    return asyncpg.PostgresError.new({"C": sqlstate, "M": "…"})


WORTHLESS: Final = [
    sqlite3.IntegrityError(), sqlite3.DataError(), sqlite3.InterfaceError(),
    sqlite3.ProgrammingError(), OverflowError(), ValueError(), TypeError(),
    stated("22021"), stated("23505"), stated("54000"),
]  # fmt: skip
AWAY: Final = [
    sqlite3.OperationalError("disk full"), sqlite3.DatabaseError("malformed"), OSError(),
    TimeoutError(), ConnectionResetError(), EOFError(), MemoryError(),
    asyncpg.InterfaceError("closed"),
    stated("08006"), stated("53100"), stated("57P01"), stated("40001"), stated("55P03"),
]  # fmt: skip


@pytest.mark.parametrize("cause", WORTHLESS, ids=repr)
def test_a_value_that_no_database_takes_is_refused(cause: BaseException) -> None:
    """It would be, however often it is tried."""
    assert is_refused(because(cause))


@pytest.mark.parametrize("cause", AWAY, ids=repr)
def test_a_database_that_is_away_refuses_nothing(cause: BaseException) -> None:
    """Nor one that is full, locked or broken: all is tried again later."""
    assert not is_refused(because(cause))


def test_a_ledger_that_is_closed_refuses_nothing() -> None:
    """What it was to write is written by the next one."""
    assert not is_refused(LedgerClosed("closed"))


@attrs.define
class Database:
    """Does work with texts, but for those that it fails for.

    Attributes:
        fails: How it fails, time by time, by text.
        checks: How it fails for other work.
        asked: What it was asked to do.
        left_out: What was left out, and why.
    """

    fails: dict[str, list[LedgerUnavailable | None]]
    checks: list[LedgerUnavailable] = attrs.field(factory=list[LedgerUnavailable])
    asked: list[str] = attrs.field(factory=list[str])
    left_out: list[tuple[str, LedgerUnavailable]] = attrs.field(
        factory=list[tuple[str, LedgerUnavailable]]
    )

    async def do(self, some: Sequence[str]) -> str:
        """Do some at once."""
        self.asked.append("".join(some))
        for each in some:
            if (failures := self.fails.get(each)) and (failure := failures.pop(0)):
                raise failure
        return "".join(some)

    async def check(self) -> None:
        """Do other work."""
        self.asked.append("?")
        if self.checks:
            raise self.checks.pop(0)

    async def all(self, items: str) -> list[str]:
        """Do all of these."""
        return await in_parts(items, self.do, self.check, self._leave_out)

    def _leave_out(self, item: str, error: LedgerUnavailable) -> None:
        self.left_out.append((item, error))


def refusal() -> LedgerUnavailable:
    """Return why one is refused."""
    return because(sqlite3.IntegrityError())


def away() -> LedgerUnavailable:
    """Return what is told of a database that is away."""
    return because(OSError())


async def test_all_is_done_at_once() -> None:
    """As a rule."""
    database = Database({})
    assert (await database.all("abcde"), database.asked) == (["abcde"], ["abcde"])


async def test_what_is_refused_alone_is_left_out_alone() -> None:
    """All others are done, in halves, in their order."""
    last = refusal()
    database = Database({"b": [refusal(), refusal(), refusal(), last]})
    assert await database.all("abcde") == ["a", "cde"]
    assert database.left_out == [("b", last)]
    assert database.asked == ["abcde", "?", "ab", "?", "a", "b", "?", "b", "cde"]


async def test_what_passes_alone_is_not_left_out() -> None:
    """It was refused for what came with it, or for a moment."""
    database = Database({"b": [refusal(), refusal(), refusal()]})
    assert await database.all("abc") == ["a", "b", "c"]
    assert database.left_out == []


@pytest.mark.parametrize(
    ("fails", "checks"),
    [
        ({"b": [away()]}, []),
        ({"b": [refusal(), away()]}, []),
        ({"b": [refusal(), refusal(), away()]}, []),
        ({"b": [refusal(), refusal(), refusal(), away()]}, []),
        ({"b": [refusal() for _ in range(9)]}, [away()]),
    ],
    ids=["at once", "in halves", "alone", "alone again", "when it is looked whether it is there"],
)
async def test_nothing_is_left_out_while_the_database_is_away(
    fails: dict[str, list[LedgerUnavailable | None]], checks: list[LedgerUnavailable]
) -> None:
    """Whenever that begins: what it would have been left out of could never be told again."""
    database = Database(fails, checks)
    with pytest.raises(LedgerUnavailable):
        await database.all("abc")
    assert database.left_out == []
