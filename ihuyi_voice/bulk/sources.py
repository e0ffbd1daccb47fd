"""Where a run's messages come from: sync and async iterables, read lazily, one at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Final, Protocol

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import Message

NOTHING: Final = object()
"""What `take` returns when there is no message to take just now."""

_AHEAD: Final = 64  # how many messages of an async iterable are read before they are wanted


class Source(Protocol):
    """What a run reads from."""

    error: Exception | None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to take."""
        ...

    def take(self) -> object:
        """Return the next message, or NOTHING."""
        ...

    async def aclose(self) -> None:
        """Stop reading."""
        ...


class SyncSource:
    """Reads an iterable as messages are wanted."""

    def __init__(self, messages: Iterable[object]) -> None:
        self._ended = False
        self.error: Exception | None = None
        self._messages = iter(messages)

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to take."""
        return self._ended

    def take(self) -> object:
        """Return the next message; an exception of the iterable ends it."""
        try:
            return next(self._messages)
        except StopIteration:
            pass
        # The iterable is the caller's code: whatever it raises belongs to the caller.
        except Exception as exc:  # noqa: BLE001
            self.error = exc
        self._ended = True
        return NOTHING

    async def aclose(self) -> None:
        """Stop reading; the iterable stays as it is."""
        self._ended = True


class AsyncSource:
    """Reads an async iterable a little ahead, in a task that `aclose` ends.

    Args:
        messages: What to read.
        arrived: Called when `take` has something new to say.
    """

    def __init__(self, messages: AsyncIterable[object], arrived: Callable[[], None]) -> None:
        self.error: Exception | None = None
        self._ahead: deque[object] = deque()
        self._exhausted = False
        self._arrived = arrived
        self._room = asyncio.Event()
        self._room.set()
        self._reader = asyncio.create_task(self._read(messages))

    @property
    def ended(self) -> bool:
        """Whether everything has been read and taken."""
        return self._exhausted and not self._ahead

    def take(self) -> object:
        """Return the next message that has been read."""
        self._room.set()
        return self._ahead.popleft() if self._ahead else NOTHING

    async def aclose(self) -> None:
        """Stop reading; a message that is being awaited is given up."""
        self._ahead.clear()
        self._reader.cancel()
        await asyncio.wait({self._reader})

    async def _read(self, messages: AsyncIterable[object]) -> None:
        try:
            async for message in messages:
                self._ahead.append(message)
                self._arrived()
                await self._wait_for_room()
        # The iterable is the caller's code: whatever it raises belongs to the caller.
        except Exception as exc:  # noqa: BLE001
            self.error = exc
        finally:
            self._exhausted = True
            self._arrived()

    async def _wait_for_room(self) -> None:
        if len(self._ahead) >= _AHEAD:
            self._room.clear()
            await self._room.wait()


def as_message(given: Any) -> Message:  # noqa: ANN401 - whatever the caller's iterable gives
    """Return what the caller gave as a message.

    Raises:
        InvalidRequest: It is neither a Message nor a pair.
    """
    match given:
        case Message():
            return given
        # Whatever the two are: the client checks them, and says what is wrong.
        case tuple((mobile, content)):  # pyright: ignore[reportUnknownVariableType]
            return Message(mobile, content)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            kind = type(given).__name__
            raise InvalidRequest(
                f"a message is a Message or a pair (mobile, content), not a {kind}"
            )
