"""How the script is called, whatever a client of Redis says to it: without a server."""

import asyncio
import logging
from hashlib import sha1
from typing import Any

import pytest
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoScriptError, ResponseError

from ihuyi_voice import GuardUnavailable
from ihuyi_voice.guards.redis_server import Server, unavailable
from tests.support.virtual_time import loop_time, run_virtual

HANG = object()
TIMEOUT = 1.5
KEYS, ARGS = [b"key"], [b"a", b"b"]
REST = (1, b"key", b"a", b"b")
WENT_ELSEWHERE = ["READONLY You can't write", "MASTERDOWN Link is down", "LOADING it is read"]


class Scripted:
    """A client that does one step after the other.

    Attributes:
        asked: The commands.
        disconnected: How often all its connections were closed.
    """

    def __init__(self, *steps: object, memory: object = HANG) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.disconnected = 0
        self.looked = 0
        self.connection_pool = self
        self._steps = list(steps)
        self._memory = memory

    async def execute_command(self, *command: object, **_: object) -> Any:
        """Do the next step."""
        self.asked.append(command)
        return await self._done(self._steps.pop(0))

    async def info(self, *_: object) -> Any:
        """Tell of the memory."""
        self.looked += 1
        return await self._done(self._memory)

    async def disconnect(self) -> None:
        """Count."""
        self.disconnected += 1

    async def _done(self, step: object) -> object:
        if step is HANG:
            await asyncio.sleep(1e9)
        if isinstance(step, BaseException):
            raise step
        return step


def server_of(client: Scripted, *, own: bool = True) -> Server:
    """Return a server behind a client, which was made of a URL or is somebody's."""
    given: Any = "redis://127.0.0.1:9" if own else client
    server = Server(given, TIMEOUT, "return 1")
    server._client = client  # pyright: ignore[reportPrivateUsage]
    return server


def asked(client: Scripted, *, own: bool = True) -> bytes | GuardUnavailable:
    """Return what a call of the script comes to."""

    async def main() -> bytes | GuardUnavailable:
        try:
            return await server_of(client, own=own).call(KEYS, ARGS)
        except GuardUnavailable as error:
            return error

    return run_virtual(main())


def test_the_script_itself_travels_only_to_a_server_that_does_not_know_it() -> None:
    """Else its digest is enough, which is a hundredth of it."""
    digest = sha1(b"return 1", usedforsecurity=False).hexdigest()
    knows, forgot = Scripted(b"1"), Scripted(NoScriptError("x"), b"2")
    assert (asked(knows), asked(forgot)) == (b"1", b"2")
    assert knows.asked == [("EVALSHA", digest, *REST)]
    assert forgot.asked == [("EVALSHA", digest, *REST), ("EVAL", b"return 1", *REST)]


@pytest.mark.parametrize("text", WENT_ELSEWHERE)
def test_after_a_failover_the_address_is_looked_up_anew(text: str) -> None:
    """Once: the connections lead to what was the master; a client of one's own keeps them."""
    client = Scripted(ResponseError(text), b"1")
    assert asked(client) == b"1"
    assert client.disconnected == 1
    client = Scripted(ResponseError(text), ResponseError(text), b"1")
    assert text in str(asked(client))
    assert (client.disconnected, len(client.asked)) == (1, 2)
    client = Scripted(ResponseError(text), b"1")
    assert text in str(asked(client, own=False))
    assert (client.disconnected, len(client.asked)) == (0, 1)


def test_what_a_server_refuses_is_not_asked_for_again() -> None:
    """It would say so again."""
    client = Scripted(ResponseError("ERR wrong"), b"1")
    assert str(asked(client)) == "Redis could not be asked (ResponseError: ERR wrong)"
    assert (client.disconnected, len(client.asked)) == (0, 1)


def test_a_server_that_is_not_there_is_asked_again_with_growing_pauses() -> None:
    """At once for the first time, as a connection that was idle may be broken; also at first."""

    async def main() -> tuple[bytes, float]:
        server, began = server_of(Scripted(*[NoConnection("gone")] * 6, b"1")), loop_time()
        return await server.call(KEYS, ARGS), loop_time() - began

    answer, took = run_virtual(main())
    assert answer == b"1"
    assert took == pytest.approx(0.02 + 0.04 + 0.08 + 0.16 + 0.32)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([HANG], "TimeoutError: no answer within 1.5 s"),
        ([NoConnection("gone"), HANG], "ConnectionError: gone"),
        ([ResponseError("READONLY x"), HANG], "ResponseError: READONLY x"),
        ([NoConnection("one"), NoConnection("two"), HANG], "ConnectionError: two"),
        ([OSError()], "OSError"),
    ],
)
def test_what_was_wrong_is_told_without_the_frames_in_which_it_was(
    steps: list[object], why: str
) -> None:
    """Who hung up last, if anybody did; a frame's locals are numbers."""
    error = asked(Scripted(*steps))
    assert isinstance(error, GuardUnavailable)
    assert str(error) == f"Redis could not be asked ({why})"
    assert isinstance(error.__cause__, TimeoutError | OSError)
    assert error.__cause__.__traceback__ is None or HANG not in steps


def test_what_a_client_raised_is_kept_as_the_cause_without_its_frames() -> None:
    """And no number in its words."""
    cause = LookupError("13900000000")
    with pytest.raises(LookupError):
        raise cause
    error = unavailable(cause)
    assert (error.__cause__, cause.__traceback__) == (cause, None)
    assert str(error) == "Redis could not be asked (LookupError: 139****0000)"


@pytest.mark.parametrize(
    ("memory", "told"),
    [
        ({"maxmemory": 5, "maxmemory_policy": "allkeys-lru"}, ["allkeys-lru"]),
        ({"maxmemory": 5, "maxmemory_policy": "noeviction"}, []),
        ({"maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, []),
        ({"maxmemory": 5}, []),
        ({}, []),
        (ResponseError("NOPERM this user has no permissions"), []),
        (HANG, []),
    ],
)
def test_a_server_is_looked_at_once_and_may_say_nothing(
    memory: object, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """However many accounts there are, and for no longer than a call may take."""

    async def main() -> tuple[int, float]:
        client, began = Scripted(memory=memory), loop_time()
        server = server_of(client)
        for _ in range(2):
            await server.look()
        return client.looked, loop_time() - began

    looked, took = run_virtual(main())
    assert (looked, took) == (1, TIMEOUT if memory is HANG else 0.0)
    text = "maxmemory-policy of Redis is {}: it may forget calls, and limits be exceeded"
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warned == [text.format(each) for each in told]


class Clinging:
    """A client of somebody's, whose connection can't be closed."""

    async def execute_command(self, *_: object, **__: object) -> bytes:
        """Hang, and once more in the cleanup."""
        try:
            await asyncio.sleep(1e9)
        finally:
            await asyncio.sleep(1e9)
        return b""


def test_a_client_that_hangs_in_its_cleanup_as_well_is_told_to_be_away() -> None:
    """Else nobody would be asked any more: what is wanted travels in one call after another."""

    async def main() -> float:
        client: Any = Clinging()
        server = Server(client, 1.0)
        began = loop_time()
        with pytest.raises(GuardUnavailable, match="no answer within 1 s"):
            await server.call([], [])
        return loop_time() - began

    assert run_virtual(main()) == 2.0
