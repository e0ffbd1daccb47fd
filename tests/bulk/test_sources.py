"""Whatever iterable the messages come from: it is read lazily, told of, and closed."""

import asyncio
import gc
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple, Self

import pytest

from ihuyi_voice import InvalidRequest, Message, Outcome, OutcomeStatus, VoiceClient
from ihuyi_voice.bulk import BulkOptions, BulkRun
from ihuyi_voice.bulk.sources import NOTHING, AsyncSource, SyncSource, length
from tests.bulk.support import Script, others, pairs, run_of, stream
from tests.support.guards import NoException
from tests.support.virtual_time import run_virtual

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus


class Frame:
    """Looks like a DataFrame from outside."""

    columns = ("mobile", "content")

    def itertuples(self) -> Iterator[tuple[str, str]]:
        """Return its rows."""
        return iter(pairs(3))

    def __iter__(self) -> Iterator[str]:
        """Return the names of its columns, as the real one does."""
        return iter(self.columns)


class Table:
    """Looks like another library's table, by the protocol that they exchange them with."""

    def __dataframe__(self) -> object:
        """Return what the protocol says."""
        return self

    def __iter__(self) -> Iterator[str]:
        """Return the names of its columns."""
        return iter(Frame.columns)


class QuerySet:
    """Counts how often it is asked for its length, which costs a query."""

    def __init__(self) -> None:
        self.queries = 0

    def __len__(self) -> int:
        """Run the query."""
        self.queries += 1
        return 3

    __length_hint__ = __len__

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Read row by row."""
        return iter(pairs(3))


# --- what is no source


@pytest.mark.parametrize(
    ("messages", "advice"),
    [
        ("13900000000", "single characters"),
        (b"13900000000", "single characters"),
        (memoryview(b"13900000000"), "single characters"),
        ({"13900000000": "text"}, r"pass \.items\(\)"),
        (OrderedDict(pairs(1)), r"pass \.items\(\)"),
        (Table(), r"zip\(table\['mobile'\], table\['content'\]\)"),
        (Frame(), r"zip\(table\['mobile'\], table\['content'\]\)"),
        (Message("13900000000", "text"), r"use submit\(\)"),
        (7, "can't be iterated over"),
        (None, "can't be iterated over"),
    ],
)
def test_what_holds_no_messages_is_refused_before_anything_starts(
    messages: Any, advice: str
) -> None:
    """One TypeError instead of an outcome for each character, key or column."""
    with pytest.raises(TypeError, match=advice):
        VoiceClient("test", "key").submit_many(messages)


def test_a_generator_that_has_ended_is_refused() -> None:
    """Tried again with it, a list that broke in the middle would be lost without a word."""

    async def asynchronous() -> AsyncIterator[tuple[str, str]]:
        for pair in pairs(1):
            yield pair

    async def main() -> None:
        ended = iter(pair for pair in pairs(1))
        for messages in (ended, asynchronous()):
            async with run_of(messages) as run:
                assert len(await run.drain()) <= 1
            with pytest.raises(TypeError, match="make a new one"):
                run_of(messages)

    run_virtual(main())


class Row(NamedTuple):
    """As `itertuples(index=False)` gives it."""

    mobile: str
    content: str


@pytest.mark.parametrize(
    "messages",
    [
        dict(pairs(3)).items(),
        zip(*zip(*pairs(3), strict=True), strict=True),
        map(Message, ["1", "2", "3"], ["a", "b", "c"]),
        deque(pairs(3)),
        {*pairs(3)},
        [Row(*pair) for pair in pairs(3)],
    ],
    ids=lambda messages: type(messages).__name__,
)
def test_whatever_gives_messages_or_pairs_will_do(messages: Any) -> None:
    """The advice of the errors included."""

    async def main() -> None:
        async with run_of(messages) as run:
            assert [outcome.status async for outcome in run] == [ACCEPTED] * 3

    run_virtual(main())


def test_a_sequence_of_the_old_protocol_will_do() -> None:
    """One that has only `__getitem__`."""

    class Old:
        def __getitem__(self, place: int) -> tuple[str, str]:
            return pairs(3)[place]

    async def main() -> None:
        async with run_of(Old()) as run:
            assert [outcome.status async for outcome in run] == [ACCEPTED] * 3

    run_virtual(main())


# --- how many there are


@pytest.mark.parametrize(
    "messages", [pairs(3), tuple(pairs(3)), {*pairs(3)}, dict(pairs(3)).items(), deque(pairs(3))]
)
def test_the_length_of_pythons_own_containers_is_known(messages: Any) -> None:
    """It costs nothing."""
    assert length(messages) == 3


def test_nothing_else_is_asked_for_its_length() -> None:
    """A QuerySet would run a query; `total` tells instead."""

    async def main() -> None:
        rows = QuerySet()
        async with run_of(rows) as run:
            assert run.progress.total is None
            assert len([outcome async for outcome in run]) == 3
        async with run_of(rows, total=3) as run:
            assert run.progress.total == 3
        async with run_of(stream(pairs(3)), total=5) as run:
            assert run.progress.total == 5
        assert rows.queries == 0

    run_virtual(main())


# --- how it ends


def failing(error: type[BaseException], kind: str) -> Any:
    """Return an iterable of three messages that ends by an exception."""

    def sync() -> Iterator[tuple[str, str]]:
        yield from pairs(3)
        raise error("row 4")

    async def asynchronous() -> AsyncIterator[tuple[str, str]]:
        for pair in pairs(3):
            yield pair
        raise error("row 4")

    return sync() if kind == "sync" else asynchronous()


both = pytest.mark.parametrize("kind", ["sync", "async"])
either = pytest.mark.parametrize("error", [LookupError, asyncio.CancelledError])


@both
@either
def test_what_ends_an_iterable_is_raised_after_the_last_outcome(
    kind: str, error: type[BaseException]
) -> None:
    """CancelledError, too; and it is raised once."""

    async def main() -> None:
        outcomes: list[Outcome] = []
        async with run_of(failing(error, kind)) as run:
            with pytest.raises(error, match="row 4") as caught:
                async for outcome in run:
                    outcomes.append(outcome)  # noqa: PERF401 - it must survive the exception
            with pytest.raises(StopAsyncIteration):
                await anext(run)
        assert [outcome.status for outcome in outcomes] == [ACCEPTED] * 3
        assert run.error is caught.value

    run_virtual(main())


@both
@either
def test_what_ended_an_iterable_is_raised_when_the_run_is_left_or_drained(
    kind: str, error: type[BaseException]
) -> None:
    """No outcome is lost by that."""

    async def main() -> None:
        run = run_of(failing(error, kind))

        async def leave(*, drain: bool) -> int:
            async with run:
                await asyncio.sleep(10.0)
                return len(await run.drain()) if drain else 0

        with pytest.raises(error, match="row 4"):
            await leave(drain=False)
        assert len(await run.drain()) == 3
        run = run_of(failing(error, kind))
        with pytest.raises(error, match="row 4"):
            await leave(drain=True)
        assert isinstance(run.error, error)
        assert run.summary[ACCEPTED] == 3

    run_virtual(main())


@both
def test_an_exception_of_the_consumer_is_not_replaced_by_one_of_the_iterable(kind: str) -> None:
    """That one is kept in `error`."""

    async def main() -> None:
        run = run_of(failing(LookupError, kind))
        with pytest.raises(ZeroDivisionError):
            async with run:
                await asyncio.sleep(10.0)
                raise ZeroDivisionError
        assert isinstance(run.error, LookupError)

    run_virtual(main())


@pytest.mark.parametrize("raises", ["__iter__", "__aiter__"])
def test_an_iterable_that_can_not_be_begun_leaves_nothing_behind(raises: str) -> None:
    """Its exception comes out of `async with`."""

    def begin(_: object) -> Any:
        raise LookupError("no such table")

    async def main() -> None:
        messages = type("Broken", (), {raises: begin})()
        run = run_of(messages)
        with pytest.raises(LookupError, match="no such table"):
            await run.__aenter__()
        assert not others()

    run_virtual(main())


def test_a_run_that_is_interrupted_while_it_begins_leaves_nothing_behind() -> None:
    """Ctrl-C while the first message is read: what was begun by then is awaited."""

    def interrupted() -> Iterator[tuple[str, str]]:
        yield ("", "")
        raise KeyboardInterrupt

    def refuse(message: Message) -> Any:
        raise InvalidRequest("no number")

    async def main() -> None:
        script: Any = Script()
        run = BulkRun(interrupted(), refuse, script, BulkOptions())
        with pytest.raises(KeyboardInterrupt):
            await run.__aenter__()
        assert isinstance(run.error, KeyboardInterrupt)
        assert [outcome.status for outcome in await run.drain()] == [NOT_SENT]
        assert not others()

    run_virtual(main())


def interrupted() -> Iterator[tuple[str, str]]:
    """Give three messages; then somebody presses Ctrl-C."""
    yield from pairs(3)
    raise KeyboardInterrupt


async def interrupted_stream() -> AsyncIterator[tuple[str, str]]:
    """Do the same, for `async for`."""
    for pair in interrupted():
        yield pair


@pytest.mark.parametrize("messages", [interrupted, interrupted_stream])
def test_an_interruption_of_the_iterable_ends_the_loop_and_is_remembered(
    messages: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever goes on in spite of it sees why there was no more; what was read is counted."""
    run = run_of(messages(), grace=0.0)

    async def main() -> None:
        async with run:
            async for _ in run:
                pass

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main())
    assert isinstance(run.error, KeyboardInterrupt)
    assert sum(run.summary.values()) == 3
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_an_interruption_of_the_iterable_takes_no_outcome_away() -> None:
    """One that is about to be handed over when the next message is read is handed over later."""

    async def main() -> None:
        run = run_of(interrupted(), concurrency=1)
        taken: list[Outcome] = []
        async with run:
            with pytest.raises(KeyboardInterrupt):
                async for outcome in run:
                    taken.append(outcome)  # noqa: PERF401 - what came before the end counts
            taken += await run.drain()
            assert [each.message.mobile for each in taken] == [mobile for mobile, _ in pairs(3)]

    with pytest.raises(KeyboardInterrupt):  # of the iterable, when the block is left
        run_virtual(main())


class Closing:
    """An iterable whose iterators can be closed, and an iterator of its own."""

    def __init__(self) -> None:
        self.left = pairs(50)
        self.closed = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Return itself: the caller's own iterator."""
        return self

    def __next__(self) -> tuple[str, str]:
        """Give the next."""
        if not self.left:
            raise StopIteration
        return self.left.pop(0)

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class Made:
    """An iterable that makes such an iterator."""

    def __init__(self) -> None:
        self.made = Closing()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Make it."""
        return self.made


def generators() -> list[tuple[str, Callable[[list[str]], Any]]]:
    """Return makers of generators that note when they are closed."""

    def sync(noted: list[str]) -> Iterator[tuple[str, str]]:
        try:
            yield from pairs(1_000)
        finally:
            noted.append("closed")

    async def asynchronous(noted: list[str]) -> AsyncIterator[tuple[str, str]]:
        try:
            for pair in pairs(1_000):
                yield pair
        finally:
            await asyncio.sleep(0.01)
            noted.append("closed")

    class Iterable:
        def __init__(self, noted: list[str]) -> None:
            self.noted = noted

        def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
            return asynchronous(self.noted)

    return [("sync", sync), ("async", asynchronous), ("made", Iterable)]


@pytest.mark.parametrize(("kind", "make"), generators())
def test_a_generator_is_closed_when_the_run_is_left(
    kind: str, make: Callable[[list[str]], Any]
) -> None:
    """Given as it is, or made by the iterable that was given."""

    async def main() -> None:
        noted: list[str] = []
        messages = make(noted)
        async with run_of(messages) as run:
            await anext(run)
            assert not noted, kind
        assert noted == ["closed"]
        assert run.error is None
        assert not others()

    run_virtual(main())


def test_an_iterator_of_the_callers_own_can_be_read_on() -> None:
    """It is not closed; one that the run made is."""

    async def main() -> None:
        own, made = Closing(), Made()
        for messages in (own, made):
            async with run_of(messages) as run:
                await anext(run)
            await run.drain()
            taken = sum(run.summary.values())
            assert taken < 50
        assert (own.closed, len(own.left)) == (0, 50 - taken)
        assert made.made.closed == 1

    run_virtual(main())


@both
@pytest.mark.parametrize("error", [LookupError, NoException])
def test_what_closing_raises_is_told(kind: str, error: type[BaseException]) -> None:
    """It is the end of the iterable, like any other."""

    def sync() -> Iterator[tuple[str, str]]:
        try:
            yield from pairs(1_000)
        finally:
            raise error("the cursor is gone")

    async def asynchronous() -> AsyncIterator[tuple[str, str]]:
        try:
            for pair in pairs(1_000):
                yield pair
        finally:
            raise error("the cursor is gone")

    async def main() -> None:
        run = run_of(sync() if kind == "sync" else asynchronous())
        with pytest.raises(error, match="cursor"):
            async with run:
                await anext(run)
        assert len(await run.drain()) + 1 == sum(run.summary.values())

    run_virtual(main())


def test_a_cancellation_of_its_own_that_closing_makes_is_told() -> None:
    """Nobody cancelled the run: it is the iterable's own end."""

    class Closing:
        async def __anext__(self) -> tuple[str, str]:
            raise StopAsyncIteration

        def __aiter__(self) -> Self:
            return self

        async def aclose(self) -> None:
            raise asyncio.CancelledError

    class Table:
        def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
            return Closing()

    async def main() -> None:
        async with run_of(Table()) as run:
            with pytest.raises(asyncio.CancelledError):
                await anext(run)

    run_virtual(main())


@pytest.mark.parametrize("error", [LookupError, NoException])
def test_a_tuple_that_breaks_has_an_outcome_like_any_other(error: type[BaseException]) -> None:
    """Read by a run that goes on, or by one that has stopped."""

    class Hostile(tuple[str, str]):
        __slots__ = ()

        def __len__(self) -> int:
            raise error("no length")

    async def main() -> None:
        async with run_of(iter([Hostile(("1", "a")), Hostile(("2", "b"))])) as run:
            with pytest.raises(error, match="no length"):
                async for outcome in run:
                    assert outcome.status is NOT_SENT
        assert run.summary[NOT_SENT] == 2

    run_virtual(main())


# --- many at once


def giving(*given: object) -> Iterator[object]:
    """Give these; an exception among them is raised."""
    for each in given:
        if isinstance(each, BaseException):
            raise each
        yield each


def test_some_are_read_at_a_time_and_an_end_is_seen() -> None:
    """When there are fewer than were asked for."""
    source = SyncSource(iter("abcdefg"))
    assert [*source.take_some(3), source.take(), *source.take_some(2)] == [*"abcdef"]
    assert (source.ready, source.ended) == (True, False)
    assert [*source.take_some(2)] == ["g"]
    assert (source.ready, source.ended) == (False, True)
    assert [*source.take_some(2)] == []
    assert source.take() is NOTHING


@pytest.mark.parametrize("error", [ValueError("no more"), NoException("no more")])
def test_what_was_read_before_an_error_is_given(error: BaseException) -> None:
    """And the error is the caller's to hear."""
    source = SyncSource(giving("a", "b", error, "c"))
    assert [*source.take_some(5)] == ["a", "b"]
    assert (source.error, source.ended) == (error, True)
    assert source.take() is NOTHING


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_was_read_before_the_program_ends_can_still_be_taken(*, one_by_one: bool) -> None:
    """Each has an outcome, although the iterable ends the program."""
    source = SyncSource(giving("a", "b", SystemExit(), "c"))
    with pytest.raises(SystemExit):
        source.take_some(5)
    assert (source.ready, source.ended) == (True, False)
    source.give_up()
    taken = [source.take(), source.take()] if one_by_one else source.take_some(5)
    assert [*taken] == ["a", "b"]
    assert (source.ready, source.ended) == (False, True)
    assert isinstance(source.error, SystemExit)


def test_one_that_is_given_up_while_it_is_read_gives_no_more_than_that() -> None:
    """By the caller's iterable itself, whose run is drained in it."""

    class Leaving:
        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            source.give_up()
            return "a"

    source = SyncSource(Leaving())
    assert [*source.take_some(3)] == ["a"] * 3
    assert source.ended


def test_of_an_async_iterable_as_many_are_given_as_were_asked_for() -> None:
    """The rest stays; and it is read on."""

    async def main() -> None:
        arrived = asyncio.Event()
        source = AsyncSource(stream(pairs(100)), arrived.set)
        await arrived.wait()
        for _ in range(100):  # till no more is read ahead
            await asyncio.sleep(0)
        taken = [*source.take_some(3)]
        assert taken == pairs(3)
        while not source.ended:
            taken += source.take_some(50)
            await asyncio.sleep(0)
        assert taken == pairs(100)

    run_virtual(main())
