"""Where a run's messages come from: sync and async iterables, read lazily, one at a time.

A generator is closed when the run has ended, and so is any iterator that the run made from the
iterable and that can be closed: the run was to exhaust it. Other iterators stay as they are, with
what was not taken from them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from inspect import isasyncgen, isgenerator
from itertools import islice
from typing import Any, Final, Protocol, TypeAlias

from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import Message

logger = logging.getLogger("ihuyi_voice.bulk")

NOTHING: Final = object()
"""What `take` returns when there is no message to take just now."""

Messages: TypeAlias = "Iterable[object] | AsyncIterable[object]"

_AHEAD: Final = 64  # how many messages of an async iterable are read before they are wanted
# Whose length is there already. Others may work for it: a QuerySet would run a query.
_EMPTY: dict[Any, Any] = {}
_VIEWS: Final = (type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items()))
_COUNTED: Final = frozenset[type]([list, tuple, set, frozenset, deque, range, *_VIEWS])
_TABLES: Final = ("itertuples", "iterrows", "iter_rows", "__dataframe__")


class Source(Protocol):
    """What a run reads from."""

    error: BaseException | None
    """What ended it, if it didn't just come to its end."""

    in_memory: bool
    """Whether all its messages are in memory anyway."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to take."""
        ...

    @property
    def ready(self) -> bool:
        """Whether `take` may have a message at once."""
        ...

    @property
    def reader(self) -> "asyncio.Task[None] | None":
        """The task that reads ahead, if there is one."""
        ...

    def take(self) -> object:
        """Return the next message, or NOTHING."""
        ...

    def take_some(self, most: int) -> Sequence[object]:
        """Return the next messages, so many at the most; none if there is none just now."""
        ...

    def give_up(self) -> None:
        """Stop reading, and close what is to be closed; what was read ahead can still be taken."""
        ...


class SyncSource:
    """Reads an iterable as messages are wanted."""

    def __init__(self, messages: Iterable[object]) -> None:
        self._ended = False
        self._left: deque[object] = deque()  # that were read when the iterable ended the program
        self.error: BaseException | None = None
        self.in_memory = type(messages) in _COUNTED
        self._messages: Iterator[object] = iter(messages)
        self._close = close_of(self._messages, messages, "close")

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to take."""
        return self._ended and not self._left

    @property
    def ready(self) -> bool:
        """Whether `take` may have a message at once."""
        return not self.ended

    @property
    def reader(self) -> None:
        """There is none."""
        return

    def take(self) -> object:
        """Return the next message; an exception of the iterable ends it."""
        if self._left:
            return self._left.popleft()
        if self._ended:
            return NOTHING
        try:
            return next(self._messages)
        except StopIteration:
            self._ended = True
        except BaseException as exc:  # noqa: BLE001 - told, and raised if it ends the program
            self._broken(exc)
        return NOTHING

    def take_some(self, most: int) -> Sequence[object]:
        """Return the next ones; those that were read before an exception are among them."""
        taken, self._left = self._left, deque()
        if self._ended:
            return taken
        try:
            taken.extend(islice(self._messages, most))
        except BaseException as exc:  # noqa: BLE001 - as above
            if isinstance(exc, ENDING):
                self._left.extend(taken)
            self._broken(exc)
        self._ended |= len(taken) < most
        return taken

    def _broken(self, exc: BaseException) -> None:
        # The iterable is the caller's code: whatever it raises belongs to the caller.
        self.error = no_end(exc)
        self._ended = True
        if isinstance(exc, ENDING):
            raise exc

    def give_up(self) -> None:
        """Stop reading."""
        if self._ended:
            return
        self._ended = True
        try:
            if self._close is not None:
                self._close()
        except ENDING:
            raise
        except BaseException as exc:  # noqa: BLE001 - as above
            self.error = no_end(exc)


class AsyncSource:
    """Reads an async iterable a little ahead, in a task of its own.

    Args:
        messages: What to read.
        arrived: Called when `take` has something new to say.
    """

    in_memory = False

    def __init__(self, messages: AsyncIterable[object], arrived: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self._ahead: deque[object] = deque()
        self._exhausted = self._given_up = self._begun = False
        self._arrived = arrived
        self._room = asyncio.Event()
        self._room.set()
        self._messages: AsyncIterator[object] = aiter(messages)
        self._close = close_of(self._messages, messages, "aclose")
        loop = asyncio.get_running_loop()
        self._reader = asyncio.Task(self._read(), loop=loop)  # never eager: it tells of arrivals
        self._reader.add_done_callback(self._over)

    @property
    def ended(self) -> bool:
        """Whether everything that was read has been taken, and no more will be read."""
        return (self._exhausted or self._given_up) and not self._ahead

    @property
    def ready(self) -> bool:
        """Whether there is a message that has been read."""
        return bool(self._ahead)

    @property
    def reader(self) -> "asyncio.Task[None] | None":
        """The task that reads ahead."""
        return self._reader

    def take(self) -> object:
        """Return the next message that has been read."""
        self._room.set()
        return self._ahead.popleft() if self._ahead else NOTHING

    def take_some(self, most: int) -> Sequence[object]:
        """Return those that have been read, so many at the most."""
        self._room.set()
        return [self._ahead.popleft() for _ in range(min(most, len(self._ahead)))]

    def give_up(self) -> None:
        """Stop reading; a message that is being awaited is given up."""
        self._given_up = True
        if self._begun:  # or it would not close what the caller had begun to read
            self._reader.cancel()

    async def _read(self) -> None:
        self._begun = True
        try:
            if self._given_up:
                return
            async for message in self._messages:
                self._ahead.append(message)
                self._arrived()
                if self._given_up:
                    break
                await self._wait_for_room()
        except ENDING as exc:
            self._told(exc)
            raise
        # The iterable is the caller's code: whatever it raises belongs to the caller.
        except BaseException as exc:  # noqa: BLE001
            # A cancellation of ours is no news.
            if not (self._given_up and isinstance(exc, asyncio.CancelledError)):
                self._told(exc)
        finally:
            await self._end()

    async def _end(self) -> None:
        try:
            if self._close is not None:
                await self._close()
        except GeneratorExit:
            raise
        except ENDING as exc:
            self._told(exc)
            raise
        except BaseException as exc:  # noqa: BLE001 - as above
            if self._given_up and isinstance(exc, asyncio.CancelledError):
                tell(logger, logging.INFO, "closing the messages of a run was cut short")
            else:
                self._told(exc)

    def _over(self, reader: "asyncio.Task[None]") -> None:
        if not reader.cancelled():
            reader.exception()  # an interruption: the event loop has raised it, so it is no news
        elif not self._given_up:  # by somebody else, before it had begun
            self._told(asyncio.CancelledError())
        self._exhausted = True
        self._arrived()

    def _told(self, exc: BaseException) -> None:
        self.error = self.error or no_end(exc)

    async def _wait_for_room(self) -> None:
        if len(self._ahead) >= _AHEAD:
            self._room.clear()
            await self._room.wait()


def open_source(messages: Messages, arrived: Callable[[], None]) -> Source:
    """Return what reads `messages`; whatever `iter` or `aiter` raises passes through."""
    if isinstance(messages, AsyncIterable):
        return AsyncSource(messages, arrived)
    return SyncSource(messages)


def no_end(error: BaseException) -> BaseException:
    """Return an error as a loop over a run may raise it, as Python itself does in a generator.

    StopAsyncIteration would be taken for the end of a run that was whole.
    """
    if not isinstance(error, StopAsyncIteration):
        return error
    made = RuntimeError("the messages of a run, or what it asks, raised StopAsyncIteration")
    made.__cause__ = error
    return made


def close_of(iterator: object, messages: object, name: str) -> Any:  # noqa: ANN401 - foreign
    """Return the method that closes an iterator which is the run's to close, or None."""
    ours = iterator is not messages or isgenerator(iterator) or isasyncgen(iterator)
    return getattr(iterator, name, None) if ours else None


def length(messages: object) -> int | None:
    """Return how many there are, if that is known without any work."""
    return len(messages) if type(messages) in _COUNTED else None  # type: ignore[arg-type]  # sized


def check_messages(messages: object) -> None:
    """Refuse what can be iterated over, but not as messages.

    Raises:
        TypeError: It says what to pass instead.
    """
    kind = type(messages)
    if isinstance(messages, str | bytes | bytearray | memoryview):
        advice = "iterating over it gives single characters; pass a list of messages"
    elif isinstance(messages, Message):
        advice = "that is a single one; pass a list of messages, or use submit()"
    elif isinstance(messages, Mapping):
        advice = (
            "iterating over it gives only its keys; if it maps numbers to contents, pass .items()"
        )
    elif any(hasattr(kind, name) for name in _TABLES):
        advice = (
            "iterating over it gives the names of its columns; pass its rows, for example "
            "zip(table['mobile'], table['content'])"
        )
    elif _has_ended(messages):
        advice = (
            "this one was read to its end or closed, and gives nothing any more; make a new one"
        )
    elif not isinstance(messages, Iterable | AsyncIterable) and not hasattr(kind, "__getitem__"):
        advice = "it can't be iterated over"
    else:
        return
    raise TypeError(
        f"messages must be an iterable of Message or of pairs (mobile, content), "
        f"not a {kind.__name__}: {advice}"
    )


def _has_ended(messages: object) -> bool:
    """Say whether it is a generator that has ended: to go on with it would lose a list silently."""
    if isgenerator(messages):
        return messages.gi_frame is None
    return isasyncgen(messages) and messages.ag_frame is None


def as_message(given: Any) -> Message:  # noqa: ANN401 - whatever the caller's iterable gives
    """Return what the caller gave as a message.

    Raises:
        InvalidRequest: It is neither a Message nor a pair.
    """
    if isinstance(given, Message):
        return given
    match given:
        # Whatever the two are: the client checks them, and says what is wrong.
        case tuple((mobile, content)):  # pyright: ignore[reportUnknownVariableType]
            return Message(mobile, content)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            kind = type(given).__name__
            raise InvalidRequest(
                f"a message is a Message or a pair (mobile, content), not a {kind}"
            )
