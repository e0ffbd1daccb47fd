"""What becomes of an operation, whatever the script or its server says: without a server."""

import asyncio
import struct
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ihuyi_voice import GuardUnavailable
from ihuyi_voice.guards import Limits, Wait
from ihuyi_voice.guards import redis_script as script
from ihuyi_voice.guards.redis_batches import _TRIES, Batches, Held, Operation  # pyright: ignore[reportPrivateUsage]

LEASE = 60.0


class Failing:
    """A server that says no in words of its own."""

    timeout = 1.0

    async def call(self, *_: object) -> bytes:
        """Fail."""
        raise GuardUnavailable("it is said already") from LookupError("why")

    async def look(self) -> None:
        """See nothing."""


class Hanging(Failing):
    """A server that says nothing."""

    async def call(self, *_: object) -> bytes:
        """Wait."""
        await asyncio.sleep(1e9)
        return b""


class Answering:
    """A server that grants everything.

    Attributes:
        now: Its time.
        born: What it has put down of the account.
        down: Whether it is not there.
        deadlines: Until when it was to grant what it was asked for.
        asked: The operations of each call.
    """

    timeout = 1.0
    now = 1_000.0
    born = b"12345678"
    down = False

    def __init__(self) -> None:
        self.deadlines: list[float] = []
        self.asked: list[list[tuple[bytes, bytes, float]]] = []

    async def call(self, keys: Sequence[bytes], args: Sequence[bytes]) -> bytes:
        """Grant each."""
        if self.down:
            raise GuardUnavailable("it is away")
        given = [struct.unpack_from(">c8sd", each) for each in args[2:]]
        self.asked.append([(kind, token, micro / 1e6) for kind, token, micro in given])
        (deadline,) = struct.unpack_from(">d", args[1])
        self.deadlines.append(deadline / 1e6)
        granted = struct.pack(">cdd", script.GRANTED, 0.0, 0.0) * (len(keys) - 1)
        return struct.pack(">d8s", self.now * 1e6, self.born) + granted

    async def look(self) -> None:
        """See nothing."""


def batches(server: Any = None) -> Batches:
    """Return those of an account whose server fails, if it is no other."""
    server = server or Failing()
    settings = script.Settings(Limits(), LEASE, 1.0, 0.0, 0.0)
    return Batches(server, settings, b"base:", LEASE, None)


def operation(kind: bytes) -> Operation:
    """Return one that somebody waits for."""
    lease = Held("a", "13900000000", b"token", b"bucket", b"field")
    return Operation(kind, lease, asyncio.get_running_loop().create_future())


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return this process's time, which stands still; it has run for days."""
    now = [200_000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("ihuyi_voice.guards.redis_batches.time", clock)
    return now


async def test_a_server_grants_nothing_when_nobody_waits_any_more(now: list[float]) -> None:
    """It is told until when, by its own clock, which is asked for first."""
    server = Answering()
    asking = batches(server)
    for passes in (0.0, 5.0):
        now[0] += passes
        lease = await asking.reserve(operation(script.RESERVE).lease)
        assert isinstance(lease, Held)
        assert (lease.since, lease.good_until) == (server.now, now[0] + LEASE)
        server.now += 4.0
    assert server.deadlines == [0.0, 1_001.0, 1_006.0]
    await asking.flush()


def lease(token: bytes) -> Held:
    """Return one of a number."""
    return Held("a", "13900000000", token, b"bucket", b"field")


async def test_what_a_server_was_not_told_goes_along_with_the_next_call() -> None:
    """How a call ended, and that a reservation is not wanted; but not that a lease goes on."""
    server, (held, wanted, later) = Answering(), map(lease, (b"held....", b"wanted..", b"later..."))
    asking = batches(server)
    await asking.reserve(held)
    server.down = True
    asking._add(Operation(script.EXTEND, held, None))  # pyright: ignore[reportPrivateUsage]
    for failing in (asking.put(script.BLOCK, held, 60.0), asking.put(script.RESERVE, wanted)):
        with pytest.raises(GuardUnavailable, match="it is away"):
            await failing
    server.down = False
    await asking.reserve(later)
    assert server.asked[-1] == [
        (script.BLOCK, held.token, 60.0),
        (script.RELEASE, wanted.token, 0.0),
        (script.RESERVE, later.token, 0.0),
    ]
    assert set(asking._held) == {later.token}  # pyright: ignore[reportPrivateUsage]
    await asking.flush()


@pytest.mark.parametrize(("passes", "extended"), [(14.0, False), (16.0, True)])
async def test_a_lease_is_extended_when_a_quarter_of_it_is_over(
    *, passes: float, extended: bool, now: list[float]
) -> None:
    """By the server's clock, whatever ours says; a younger one can wait for the next time."""
    server, held = Answering(), lease(b"held....")
    server.now = 2e9
    asking = batches(server)
    await asking.reserve(held)
    now[0] += passes
    server.now += passes
    asking._extend()  # pyright: ignore[reportPrivateUsage]
    await asking.flush()
    told = [each for call in server.asked[2:] for each in call]
    assert told == [(script.EXTEND, held.token, 0.0)] * extended
    assert held.good_until == now[0] + LEASE - (0.0 if extended else passes)


@pytest.mark.parametrize(
    ("passes", "born", "lost"),
    [
        (10.0, b"12345678", False),
        (10.0, b"87654321", True),
        (script.Settings(Limits(), LEASE, 1.0, 0.0, 0.0).forgotten_after, b"87654321", False),
    ],
)
async def test_a_server_that_lost_what_it_knew_is_told_of(
    *, passes: float, born: bytes, lost: bool, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Not one that nobody has asked for so long that it has forgotten by itself."""
    server = Answering()
    asking = batches(server)
    await asking.put(script.COMMIT, operation(script.COMMIT).lease)
    assert not caplog.messages
    now[0] += passes
    server.born = born
    await asking.put(script.COMMIT, operation(script.COMMIT).lease)
    text = "Redis has lost what it knew of earlier calls: limits may be exceeded for a while"
    assert caplog.messages == [text] * lost


async def test_a_servers_own_words_reach_whoever_waits_with_their_cause() -> None:
    """Each is told by an exception of its own."""
    asking = batches()
    waiters = [asking.put(script.RESERVE, operation(script.RESERVE).lease) for _ in range(2)]
    await asyncio.wait(waiters)
    told = [waiter.exception() for waiter in waiters]
    assert [str(each) for each in told] == ["it is said already"] * 2
    assert told[0] is not told[1]
    assert all(isinstance(each and each.__cause__, LookupError) for each in told)


async def test_who_waits_behind_a_call_that_is_cut_off_is_told_as_well() -> None:
    """As when the event loop ends: nobody waits for ever for what is never asked."""
    asking = batches(Hanging())
    told = [asking.put(script.RESERVE, operation(script.RESERVE).lease)]
    for _ in range(3):
        await asyncio.sleep(0)
    told += [asking.put(script.RESERVE, operation(script.RESERVE).lease) for _ in range(2)]
    task = asking._task  # pyright: ignore[reportPrivateUsage]
    assert task is not None
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert task.cancelled()
    why = "Redis could not be asked (RuntimeError: the task that calls it was cancelled)"
    assert [each.done() and str(each.exception()) for each in told] == [why] * 3


async def test_what_was_left_over_takes_room_in_the_next_calls() -> None:
    """A call is never longer than the server should be kept, and nothing is forgotten."""
    asking = batches()
    left = [operation(script.RELEASE) for _ in range(700)]
    come = [operation(script.RESERVE) for _ in range(500)]
    asking._left_over, asking._waiting = list(left), list(come)  # pyright: ignore[reportPrivateUsage]
    calls = [asking._batch() for _ in range(4)]  # pyright: ignore[reportPrivateUsage]
    assert [len(each) for each in calls] == [512, 512, 176, 0]
    assert [each for call in calls for each in call] == left + come


@pytest.mark.parametrize("comes", [GuardUnavailable("too late"), Wait(1.0)])
async def test_who_is_cancelled_as_the_answer_comes_is_cancelled(
    comes: GuardUnavailable | Wait,
) -> None:
    """Whatever the answer is: nothing is left behind, and the cancellation is not lost."""
    asking, lease = batches(), operation(script.RESERVE).lease
    waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asking.put = lambda *_: waiter  # type: ignore[method-assign]
    task = asyncio.create_task(asking.reserve(lease))
    await asyncio.sleep(0)
    if isinstance(comes, Wait):
        waiter.set_result(comes)
    else:
        waiter.set_exception(comes)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_what_comes_too_late_is_sent_again_a_few_times_only() -> None:
    """A server whose clock is set again and again is no reason to ask for ever."""
    asking, late = batches(), operation(script.RESERVE)
    answers = [asking._tell(late, (script.LATE, 0.0, 0.0), 1.0, 1.0) for _ in range(_TRIES + 1)]  # pyright: ignore[reportPrivateUsage]
    assert answers == [False] * _TRIES + [True]
    assert late.waiter is not None
    with pytest.raises(GuardUnavailable, match="it answered too late"):
        late.waiter.result()


@pytest.mark.parametrize(("status", "until"), [(script.GRANTED, 5.0 + LEASE), (b"", 0.0)])
async def test_an_extended_lease_is_good_from_when_that_was_asked_for(
    status: bytes, until: float
) -> None:
    """Not from when the answer came; one that Redis has lost is good no more."""
    asking, extension = batches(), operation(script.EXTEND)
    assert asking._tell(extension, (status, 0.0, 0.0), 9.0, 5.0)  # pyright: ignore[reportPrivateUsage]
    assert extension.lease.good_until == until
