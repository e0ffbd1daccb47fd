"""A list becomes the parts of a run: again, grown, with bad rows, by two at a time."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from ihuyi_voice import InvalidRequest, LedgerUnavailable, Message, OutcomeStatus
from ihuyi_voice.ledger import RunInUse, loading, parts
from ihuyi_voice.ledger.parts import Parts
from ihuyi_voice.models import Draft
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.workers import distribute, distributing, run_part, work
from ihuyi_voice.workers.queue import Queue
from tests.workers.support import ACCOUNT, client_of, execute, own_ledger, rung

MESSAGES = [
    Message(f"139{number % 40:08d}", f"您的验证码是：{number}。", f"m{number}")
    for number in range(60)
]


async def test_a_list_is_loaded_again_without_harm(postgres: str) -> None:
    """What is in the run stays; bad rows are told by their place, and the rest is loaded."""
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        more = [*MESSAGES, Message("12345", "a"), Message("13900000001", "b", "m1"), MESSAGES[0]]
        given = await distribute(ledger, "r", more, account=ACCOUNT)
        assert (given.read, given.new, given.parts) == (63, 0, 1)
        assert sorted(given.bad) == [61, 62]
        assert given.bad[62].field == "key"


@pytest.mark.slow
async def test_a_list_that_grew_is_worked_to_its_new_end(postgres: str) -> None:
    """Parts that were done are opened again for what is new in them, and nothing rings twice."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES[:40], part_size=10, account=ACCOUNT)
        await work(client, ledger, until_done=True)
        given = await distribute(ledger, "r", MESSAGES, part_size=99, account=ACCOUNT)
        assert (given.new, given.parts) == (20, 4)
        await work(client, ledger, until_done=True)
        assert (await ledger.parts.progress("r")).counts == {OutcomeStatus.ACCEPTED: 60}
        assert len(set(rung(simulator))) == len(rung(simulator)) == 60


async def test_rows_are_told_by_their_place_however_many_are_bad(postgres: str) -> None:
    """Of thousands the first are kept, and a key of another message's has its own row."""
    bad = [Message("12345", "a") for _ in range(990)]
    other = Message("13900000009", "anderes", "m1")
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        rows = [*bad, MESSAGES[0], other, *bad[:5], other]
        given = await distribute(ledger, "r", rows, account=ACCOUNT)
        assert (given.read, given.bad_count) == (998, 997)
        assert {row for row, error in given.bad.items() if error.field == "key"} == {992, 998}
        given = await distribute(ledger, "r", [*bad, *bad], account=ACCOUNT)
        assert (given.bad_count, len(given.bad)) == (1980, 1000)


@pytest.mark.parametrize("step", [1, 7, 30, 63, 64])
async def test_a_list_of_many_steps_is_loaded_whole(
    postgres: str, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Each message once, those to one number in their order, and bad rows by their place."""
    for module in (loading, parts):
        monkeypatch.setattr(module, "STEP", step)
    wrong = Message("12345", "a")
    others = [Message("13900000001", "b", key) for key in ("m1", "m0")]
    rows = [*MESSAGES[:30], wrong, others[0], *MESSAGES[30:], others[1]]
    async with own_ledger(postgres) as (ledger, _):
        given = await distribute(ledger, "r", rows, part_size=21, account=ACCOUNT)
        assert (given.read, given.new, given.parts, sorted(given.bad)) == (63, 60, 3, [31, 32, 63])
        sent: list[Draft] = []
        for part in (1, 2, 3):
            async with ledger.parts.hold(ACCOUNT, "r", part) as held:
                found = [draft async for draft in held.to_send()]
            keys = [int(draft.key.removeprefix("m")) for draft in found]
            assert keys == sorted(keys)
            sent += found
        assert {(each.mobile, each.content, each.reference) for each in sent} == {
            (each.mobile, each.content, each.reference) for each in MESSAGES
        }
        assert len(sent) == 60


async def test_numbers_stay_in_their_part(postgres: str) -> None:
    """Also those of a list that comes later, so that messages to one number keep their order."""
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES[:40], part_size=10, account=ACCOUNT)
        more = [Message(each.mobile, each.content, f"again {each.reference}") for each in MESSAGES]
        await distribute(ledger, "r", more, part_size=5, account=ACCOUNT)
        parts_of: dict[str, set[int]] = {}
        for part in (1, 2, 3, 4):
            async with ledger.parts.hold(ACCOUNT, "r", part) as held:
                async for draft in held.to_send():
                    parts_of.setdefault(draft.mobile, set()).add(part)
        assert [len(parts) for parts in parts_of.values()] == [1] * 40
        assert {part for parts in parts_of.values() for part in parts} == {1, 2, 3, 4}


async def test_a_load_is_kept_under_the_ledgers_own_name(postgres: str) -> None:
    """So that several ledgers may share a database; and it is gone once it is whole."""
    index = "SELECT indexname FROM pg_indexes WHERE indexname LIKE $1"
    tables = "SELECT tablename FROM pg_tables WHERE tablename LIKE $1"
    async with own_ledger(postgres) as (ledger, prefix):
        load = await ledger.parts.begin(ACCOUNT, "r", 10)
        assert [each[0] for each in await execute(postgres, tables, f"{prefix}_load_%")] == [
            load.table
        ]
        await ledger.parts.end(load, 0, 0)
        assert await execute(postgres, tables, f"{prefix}_load_%") == []
        assert len(await execute(postgres, index, f"{prefix}_entries_part")) == 1


async def test_a_load_waits_for_nobody_who_writes(postgres: str) -> None:
    """Its index is made with the first one: that alone waits for all who write."""
    async with own_ledger(postgres) as (ledger, prefix):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        other = await asyncpg.connect(postgres)
        async with other.transaction(), asyncio.timeout(30):
            await other.execute(f'UPDATE "{prefix}_entries" SET attempts = 7')  # noqa: S608 - the test's own
            await ledger.parts.begin(ACCOUNT, "another", 10)
        await other.close()


async def test_a_list_that_the_server_lost_is_not_worked_on(postgres: str) -> None:
    """It is not known which of it is left; loaded again, it is whole."""
    async with own_ledger(postgres) as (ledger, _):
        load = await ledger.parts.begin(ACCOUNT, "r", 10)
        await ledger.parts.add(load, [(1, Draft("k", "13900000000", "您好", None))])
        with pytest.raises(LedgerUnavailable, match="server lost a list that was being loaded"):
            await ledger.parts.end(load, 2, 2)
        assert await ledger.parts.undone(ACCOUNT) == []
        given = await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        assert (given.new, given.parts) == (60, 1)


async def test_a_list_may_be_a_stream_and_may_break(postgres: str) -> None:
    """Its error is raised, nothing of it is worked on, and loading it again mends that."""

    async def breaking() -> AsyncGenerator[Message]:
        for message in MESSAGES[:10]:
            yield message
        raise OSError("the disk")

    async with own_ledger(postgres) as (ledger, _):
        with pytest.raises(OSError, match="the disk"):
            await distribute(ledger, "r", breaking(), account=ACCOUNT)
        assert await ledger.parts.undone(ACCOUNT) == []
        given = await distribute(ledger, "r", iter(MESSAGES), part_size=30, account=ACCOUNT)
        assert (given.new, given.parts, given.bad_count) == (60, 2, 0)


async def test_an_empty_list_is_a_run_that_is_done(postgres: str) -> None:
    """With one part, which is done when a worker has looked at it."""
    async with own_ledger(postgres) as (ledger, _), client_of(Simulator()) as client:
        given = await distribute(ledger, "r", [], account=ACCOUNT)
        assert (given.read, given.parts) == (0, 1)
        await work(client, ledger, until_done=True)
        progress = await ledger.parts.progress("r")
        assert (progress.counts, progress.done) == ({}, 1)


async def test_of_two_that_load_one_run_the_later_goes_on(postgres: str) -> None:
    """And the earlier is told; what that one had copied is dropped."""
    draft = Draft("k", "13900000000", "您好", None)
    tables = "SELECT tablename FROM pg_tables WHERE tablename LIKE $1"
    async with own_ledger(postgres) as (ledger, prefix):
        first = await ledger.parts.begin(ACCOUNT, "r", 10)
        await ledger.parts.add(first, [(1, draft)])
        second = await ledger.parts.begin(ACCOUNT, "r", 10)
        assert [each[0] for each in await execute(postgres, tables, f"{prefix}_load_%")] == [
            second.table
        ]
        with pytest.raises(RunInUse, match="began later"):
            await ledger.parts.add(first, [(2, draft)])
        with pytest.raises(RunInUse, match="began later"):
            await ledger.parts.end(first, 1, 1)
        await ledger.parts.add(second, [(1, draft)])
        assert (await ledger.parts.end(second, 1, 1)).new == 1


async def test_runs_of_one_process_and_of_many_are_told_apart(postgres: str) -> None:
    """Neither goes on as the other, and both say so."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        async with client.submit_many(MESSAGES[:1], run="local", ledger=ledger) as run:
            await run.drain()
        with pytest.raises(InvalidRequest, match="begun by one process alone") as local:
            await distribute(ledger, "local", MESSAGES, account=ACCOUNT)
        await distribute(ledger, "many", MESSAGES, account=ACCOUNT)
        with pytest.raises(InvalidRequest, match="was distributed") as many:
            async with client.submit_many(MESSAGES, run="many", ledger=ledger):
                pass
        assert (local.value.field, many.value.field) == ("run", "run")


async def test_runs_of_one_name_are_each_their_accounts(postgres: str) -> None:
    """What is done of one says nothing of the other."""
    theirs = "VM99999999"
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", [], account=ACCOUNT)
        await distribute(ledger, "r", MESSAGES, account=theirs)
        assert await ledger.parts.is_done(ACCOUNT, "r", 1)
        assert not await ledger.parts.is_done(theirs, "r", 1)
        undone = [(len(await ledger.parts.undone(each))) for each in (ACCOUNT, theirs, "nobody")]
        assert undone == [0, 1, 0]


async def test_another_accounts_run_is_not_worked_on(postgres: str) -> None:
    """By its name, it is none; and workers of other accounts leave it alone."""
    async with own_ledger(postgres) as (ledger, _), client_of(Simulator()) as client:
        await distribute(ledger, "r", MESSAGES, account="VM99999999")
        with pytest.raises(InvalidRequest, match=f"no run 'r' of {ACCOUNT}"):
            await run_part(client, ledger, "r", 1)
        await work(client, ledger, until_done=True)
        assert (await ledger.parts.progress("r")).counts == {"OPEN": 60}


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
async def test_a_part_has_messages(postgres: str, size: int) -> None:
    """A size that can't be right is refused before anything is written."""
    async with own_ledger(postgres) as (ledger, _):
        with pytest.raises(InvalidRequest, match="part_size"):
            await distribute(ledger, "r", MESSAGES, size, account=ACCOUNT)
        assert await ledger.runs() == []


# --- the list is closed, whatever happens


class CloseError(Exception):
    """What a list raises when it is closed."""


def lists() -> list[tuple[str, Callable[[list[str], bool], Any]]]:
    """Return makers of lists that note when they are closed, and may fail then."""

    def sync(noted: list[str], fails: bool) -> Iterator[Message]:  # noqa: FBT001 - of a table
        try:
            yield from MESSAGES
        finally:
            noted.append("closed")
            if fails:
                raise CloseError

    async def asynchronous(noted: list[str], fails: bool) -> AsyncGenerator[Message]:  # noqa: FBT001
        try:
            for message in MESSAGES:
                yield message
        finally:
            await asyncio.sleep(0)
            noted.append("closed")
            if fails:
                raise CloseError

    class Made:
        def __init__(self, noted: list[str], fails: bool) -> None:  # noqa: FBT001
            self.noted, self.fails = noted, fails

        def __aiter__(self) -> AsyncGenerator[Message]:
            return asynchronous(self.noted, self.fails)

    return [("sync", sync), ("async", asynchronous), ("made", Made)]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("kind", "make"), lists())
async def test_a_list_is_closed_when_the_ledger_fails_in_the_middle(
    postgres: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    make: Callable[[list[str], bool], Any],
    *,
    fails: bool,
) -> None:
    """The ledger's error is the caller's to hear; what closing raises is told beside it."""

    async def add(*_: object) -> None:
        raise LedgerUnavailable("it is away")

    monkeypatch.setattr(distributing, "_AT_ONCE", 7)
    noted = list[str]()
    async with own_ledger(postgres) as (ledger, _):
        monkeypatch.setattr(Parts, "add", add)
        given = make(noted, fails)
        with pytest.raises(LedgerUnavailable, match="it is away"):
            await distribute(ledger, "r", given, account=ACCOUNT)
        assert noted == ["closed"], kind
        assert ("could not be closed: CloseError" in caplog.text) is fails
        if kind != "made":
            with pytest.raises(TypeError, match="make a new one"):
                await distribute(ledger, "r", given, account=ACCOUNT)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("kind", "make"), lists())
async def test_a_list_is_closed_when_its_distribution_is_cancelled(
    postgres: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    make: Callable[[list[str], bool], Any],
    *,
    fails: bool,
) -> None:
    """And the cancellation stays one, whatever closing raises."""
    reached = asyncio.Event()

    async def add(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(distributing, "_AT_ONCE", 7)
    noted = list[str]()
    async with own_ledger(postgres) as (ledger, _):
        monkeypatch.setattr(Parts, "add", add)
        given = make(noted, fails)
        task = asyncio.create_task(distribute(ledger, "r", given, account=ACCOUNT))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert noted == ["closed"], kind


@pytest.mark.parametrize("begins", ["sync", "async"])
async def test_a_list_that_its_caller_began_is_closed_though_the_queue_cannot_be_opened(
    postgres: str, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    """As the messages of a run are that breaks while it is entered."""

    async def enter(_: object) -> None:
        raise LedgerUnavailable("it is away")

    noted = list[str]()
    given = dict(lists())[begins](noted, False)  # noqa: FBT003 - of a table
    if begins == "sync":
        next(given)
    else:
        await anext(given)
    async with own_ledger(postgres) as (ledger, _):
        monkeypatch.setattr(Queue, "__aenter__", enter)
        with pytest.raises(LedgerUnavailable, match="it is away"):
            await distribute(ledger, "r", given, account=ACCOUNT)
        assert noted == ["closed"]


async def test_what_closing_a_list_raises_is_told_if_nothing_else_was(postgres: str) -> None:
    """A list that can't be closed whole may not be whole."""

    class Rows:
        def __init__(self) -> None:
            self.left = list(MESSAGES)

        def __next__(self) -> Message:
            if not self.left:
                raise StopIteration
            return self.left.pop()

        def __iter__(self) -> Iterator[Message]:
            return self

        def close(self) -> None:
            raise CloseError

    class Made:
        def __iter__(self) -> Iterator[Message]:
            return Rows()

    async with own_ledger(postgres) as (ledger, _):
        with pytest.raises(CloseError):
            await distribute(ledger, "r", Made(), account=ACCOUNT)
        own = Rows()
        given = await distribute(ledger, "r", own, account=ACCOUNT)
        assert (given.read, own.left) == (60, [])
