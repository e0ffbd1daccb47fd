"""Group commit by itself: what is written together, what fails together, and how it ends."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from ihuyi_voice.errors import StorageClosed, StorageUnavailable
from ihuyi_voice.storage import Address, Database, GroupCommit, Query, Schema, Work
from tests.support.databases import Place
from tests.support.virtual_time import run_virtual


class Disk:
    """Writes rows when it is let, and returns their lengths.

    Attributes:
        groups: What was written, commit by commit.
        begun: Set when a commit begins.
        free: Set while commits may end.
        failures: What commits still have to raise, in order; None for one that succeeds.
    """

    def __init__(self, *failures: BaseException | None, free: bool = True) -> None:
        self.groups: list[list[str]] = []
        self.begun = asyncio.Event()
        self.free = asyncio.Event()
        self.failures = list(failures)
        if free:
            self.free.set()

    async def __call__(self, rows: Sequence[str]) -> Sequence[int]:
        """Write a group."""
        self.begun.set()
        await self.free.wait()
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        self.groups.append(list(rows))
        return [len(row) for row in rows]


@asynccontextmanager
async def commits(disk: Disk, most_waiting: int = 100) -> AsyncGenerator[GroupCommit[str, int]]:
    """Open a group commit, and close it."""
    group_commit = GroupCommit[str, int](disk, most_waiting=most_waiting)
    group_commit.open()
    yield group_commit
    await group_commit.close()


async def put_all(to: GroupCommit[str, int], *rows: str) -> "list[asyncio.Task[int]]":
    """Begin to put these rows, in this order."""
    tasks = [asyncio.create_task(to.put(row)) for row in rows]
    await asyncio.sleep(0)
    return tasks


async def test_rows_that_arrive_during_a_commit_share_the_next_one() -> None:
    """Each gets its own result, in whatever commit it was."""
    disk = Disk(free=False)
    async with commits(disk) as group_commit:
        first = await put_all(group_commit, "a")
        await disk.begun.wait()
        others = await put_all(group_commit, "bb", "ccc", "dddd")
        disk.free.set()
        assert await asyncio.gather(*first, *others) == [1, 2, 3, 4]
    assert disk.groups == [["a"], ["bb", "ccc", "dddd"]]


async def test_a_row_is_written_even_if_nobody_waits_for_it() -> None:
    """Whoever put it may be cancelled; the others of its group get their results."""
    disk = Disk(free=False)
    async with commits(disk) as group_commit:
        gone, stays = await put_all(group_commit, "a", "bb")
        await disk.begun.wait()
        gone.cancel()
        disk.free.set()
        assert await stays == 2
        assert gone.cancelled()
    assert disk.groups == [["a", "bb"]]


@pytest.mark.parametrize(
    "error", [StorageUnavailable("database failed"), ValueError("database failed")]
)
async def test_a_commit_that_fails_fails_for_all_of_its_rows_and_no_others(
    error: Exception,
) -> None:
    """Each is told by an exception of its own, whatever it was that went wrong."""
    async with commits(Disk(error)) as group_commit:
        failed = await asyncio.gather(
            *await put_all(group_commit, "a", "b"), return_exceptions=True
        )
        assert [(type(each), str(each)) for each in failed] == [
            (StorageUnavailable, "database failed")
        ] * 2
        assert failed[0] is not failed[1]
        assert [each.__cause__ for each in failed if isinstance(each, Exception)] == [error] * 2
        assert await group_commit.put("c") == 1


async def test_a_closed_database_is_told_as_closed() -> None:
    """It will not come back by itself."""
    async with commits(Disk(StorageClosed("database has been closed"))) as group_commit:
        with pytest.raises(StorageClosed, match="database has been closed"):
            await group_commit.put("a")


async def test_a_result_for_some_rows_only_is_none() -> None:
    """Nobody is given another row's result."""

    async def half(rows: Sequence[str]) -> Sequence[int]:
        return [len(rows[0])]

    group_commit = GroupCommit[str, int](half)
    group_commit.open()
    failed = await asyncio.gather(*await put_all(group_commit, "a", "b"), return_exceptions=True)
    assert [type(each) for each in failed] == [StorageUnavailable] * 2
    await group_commit.close()


async def test_only_so_many_rows_wait() -> None:
    """Memory is bounded: one more is refused at once; after the commit there is room again."""
    disk = Disk(free=False)
    async with commits(disk, most_waiting=2) as group_commit:
        first = await put_all(group_commit, "a")
        await disk.begun.wait()
        waiting = await put_all(group_commit, "b", "c")
        with pytest.raises(StorageUnavailable, match="too slow"):
            await group_commit.put("d")
        disk.free.set()
        await asyncio.gather(*first, *waiting)
        assert await group_commit.put("dd") == 2
    assert disk.groups == [["a"], ["b", "c"], ["dd"]]


async def test_closing_writes_what_was_put_and_takes_no_more() -> None:
    """Twice if it must."""
    disk = Disk(free=False)
    async with commits(disk) as group_commit:
        first = await put_all(group_commit, "a")
        await disk.begun.wait()
        second = await put_all(group_commit, "b")
        closings = [asyncio.create_task(group_commit.close()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(StorageClosed):
            await group_commit.put("c")
        disk.free.set()
        await asyncio.gather(*closings)
        assert [task.result() for task in (*first, *second)] == [1, 1]
    assert disk.groups == [["a"], ["b"]]


@pytest.mark.parametrize("turns", range(4))
async def test_one_whose_task_was_cancelled_takes_nothing_more(turns: int) -> None:
    """Before it began or after that: nobody waits for ever for what is never written."""
    before = asyncio.all_tasks()
    group_commit = GroupCommit[str, int](Disk())
    group_commit.open()
    putting = group_commit.begin("a")
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    assert putting.done()
    assert isinstance(putting.exception(), StorageUnavailable) or putting.result() == 1
    with pytest.raises(StorageClosed):
        await group_commit.put("b")
    await group_commit.close()


async def test_closing_that_is_cancelled_leaves_nobody_waiting() -> None:
    """Who was in the commit is told that it was cut short, who was behind it that it was closed."""
    before = asyncio.all_tasks()
    disk = Disk(free=False)
    group_commit = GroupCommit[str, int](disk)
    group_commit.open()
    (inside,) = await put_all(group_commit, "a")
    await disk.begun.wait()
    (behind,) = await put_all(group_commit, "b")
    closing = asyncio.create_task(group_commit.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(StorageUnavailable, match="cut short"):
        await inside
    with pytest.raises(StorageClosed, match="closed before"):
        await behind
    assert asyncio.all_tasks() == before


async def test_what_was_never_opened_is_closed_at_once() -> None:
    """There is nothing to wait for."""
    await GroupCommit[str, int](Disk()).close()


async def test_on_a_database_each_row_gets_what_it_became(place: Place) -> None:
    """Fewer commits than rows, and all of them there after that."""
    database = Database(Address.parse(place.url), place.table)
    groups: list[int] = []

    async def write(rows: Sequence[int]) -> Sequence[bool]:
        groups.append(len(rows))
        return await database.write(lambda: insert(place.table, rows))

    table = f"CREATE TABLE {place.table} (number INTEGER PRIMARY KEY)"
    columns = {place.table: frozenset({"number"})}
    await database.open(Schema(place.table, 1, lambda _: [table], columns))
    group_commit = GroupCommit[int, bool](write)
    group_commit.open()
    puts = (group_commit.put(number % 30) for number in range(60))
    new = await asyncio.gather(*puts)
    await group_commit.close()
    await database.close()
    assert new == [True] * 30 + [False] * 30
    assert len(groups) <= 2


def insert(table: str, rows: Sequence[int]) -> Work[list[bool]]:
    """Insert numbers that are not there yet, and return which were new."""
    adding = f"INSERT INTO {table} VALUES (:number) ON CONFLICT DO NOTHING RETURNING number"  # noqa: S608
    new = list[bool]()
    for row in rows:
        found = yield Query(adding, {"number": row})
        new.append(bool(found))
    return new


async def put_in_turns(to: GroupCommit[str, int], schedule: str) -> list[int]:
    """Put a row in each turn of the event loop, but for a space; return their results."""
    waiters: list[asyncio.Future[int]] = []
    for row in schedule:
        if row != " ":
            waiters.append(to.begin(row))
        await asyncio.sleep(0)
    return await asyncio.gather(*waiters)


@pytest.mark.parametrize(
    ("schedule", "groups"), [("a", ["a"]), ("abcd", ["abcd"]), ("ab     cd", ["ab", "cd"])]
)
async def test_a_commit_begins_when_a_burst_is_over(schedule: str, groups: list[str]) -> None:
    """Rows that come turn by turn go together, and who comes later is not waited for."""
    disk = Disk()
    async with commits(disk) as group_commit:
        await put_in_turns(group_commit, schedule)
    assert ["".join(group) for group in disk.groups] == groups


async def test_a_burst_without_an_end_is_written_in_parts() -> None:
    """Nobody waits for others for ever."""
    disk, rows = Disk(), "abcde" * 40
    async with commits(disk) as group_commit:
        assert await put_in_turns(group_commit, rows) == [1] * len(rows)
    assert "".join(row for group in disk.groups for row in group) == rows
    assert len(disk.groups) > 5
    assert max(map(len, disk.groups)) < 25


def test_a_group_that_is_closed_waits_for_nothing_more() -> None:
    """What was put is written at once."""

    async def main() -> None:
        disk, loop = Disk(), asyncio.get_running_loop()
        began = loop.time()
        async with commits(disk) as group_commit:
            (task,) = await put_all(group_commit, "a")
        assert (await task, disk.groups, loop.time()) == (1, [["a"]], began)

    run_virtual(main())


class Odd(BaseException):
    """As pytest's `fail` and gevent's `Timeout` are."""


@pytest.mark.parametrize("error", [Odd(), asyncio.CancelledError()])
async def test_whatever_a_commit_raises_those_who_wait_are_told(error: BaseException) -> None:
    """A cancellation that nobody asked for, too; what comes later is written as ever."""
    disk = Disk(error)
    async with commits(disk) as group_commit:
        with pytest.raises(StorageUnavailable) as caught:
            await group_commit.put("a")
        assert not isinstance(caught.value, StorageClosed)
        assert await group_commit.put("bb") == 2
    assert disk.groups == [["bb"]]
