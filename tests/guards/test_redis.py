"""The guard in Redis: batches, cancellation, leases, memory, options."""

import asyncio
import gc
import heapq
import inspect
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import GuardUnavailable, InvalidRequest
from ihuyi_voice.guards import (
    Guard,
    Lease,
    Limits,
    MemoryGuard,
    RedisGuard,
    Wait,
    Window,
    redis_batches,
)
from ihuyi_voice.guards.redis_batches import Held, Operation
from ihuyi_voice.guards.redis_script import place_of
from tests.support.redis_servers import BLOCKING, CLIENT, Clock, ClockedGuard

A, B = "13900000000", "13900000001"
ROUND = 2**32 / 100  # seconds after which packed times come round again


@pytest.fixture
async def clocked(redis_url: str, prefix: str, clock: Clock) -> AsyncGenerator[ClockedGuard]:
    """A guard on that clock."""
    guard = ClockedGuard(redis_url, Limits(), clock, prefix)
    yield guard
    await guard.aclose()


@pytest.fixture
async def guard(redis_url: str, prefix: str) -> AsyncGenerator[RedisGuard]:
    """A guard on the server's own clock."""
    async with RedisGuard(redis_url, prefix=prefix) as guard:
        yield guard


async def take(guard: Guard, mobile: str = A) -> Lease:
    """Reserve a number that must be free."""
    lease = await guard.reserve("a", mobile)
    assert isinstance(lease, Lease)
    return lease


def counting(guard: RedisGuard) -> list[int]:
    """Return a list that grows by the number of operations with each call of the script."""
    server = guard._server  # pyright: ignore[reportPrivateUsage]
    call, calls = server.call, list[int]()

    async def counted(keys: Sequence[bytes], args: Sequence[bytes]) -> bytes:
        calls.append(len(args) - 2)
        return await call(keys, args)

    server.call = counted  # type: ignore[method-assign]
    return calls


async def test_what_arrives_during_a_call_goes_into_the_next(guard: RedisGuard) -> None:
    """A hundred reservations and commits travel in a handful of calls."""
    calls = counting(guard)
    leases = await asyncio.gather(*(take(guard, f"139{n:08d}") for n in range(100)))
    assert calls == [0, 100]  # the first asks for the time
    await asyncio.gather(*(guard.commit(lease) for lease in leases))
    assert calls == [0, 100, 100]


async def test_a_call_holds_so_many_operations_at_most(guard: RedisGuard) -> None:
    """A server that is busy with one call can serve nobody else."""
    calls = counting(guard)
    await asyncio.gather(*(take(guard, f"139{n:08d}") for n in range(1_200)))
    assert calls == [0, 512, 512, 176]


async def test_of_many_who_want_one_number_one_gets_it(guard: RedisGuard) -> None:
    """Also within one call."""
    given = await asyncio.gather(*(guard.reserve("a", A) for _ in range(20)))
    assert sum(isinstance(each, Lease) for each in given) == 1


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_reservation_whose_caller_is_gone_is_released(
    guard: RedisGuard, turns: int
) -> None:
    """Cancelled at any point, and others in the same call lose nothing."""
    calls = counting(guard)
    leaving, staying = (asyncio.create_task(guard.reserve("a", each)) for each in (A, B))
    for _ in range(turns):
        await asyncio.sleep(0)
    leaving.cancel()
    assert isinstance(await staying, Lease)
    if leaving.cancelled():
        await take(guard, A)
    assert len(calls) <= 5


async def test_a_lease_that_comes_with_a_cancellation_is_released(
    guard: RedisGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller was told, and cancelled before it could hear it."""
    told = Operation.told

    def telling(operation: Operation, result: Any) -> None:
        told(operation, result)
        leaving.cancel()

    leaving = asyncio.create_task(guard.reserve("a", A))
    monkeypatch.setattr(Operation, "told", telling)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    monkeypatch.undo()
    await take(guard)


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_commit_is_made_though_its_caller_is_gone(
    clocked: ClockedGuard, clock: Clock, turns: int
) -> None:
    """Cancelled at any point, and again in its cleanup."""
    lease = await take(clocked)

    async def stubborn() -> None:
        try:
            await clocked.inside.commit(lease)
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    ending = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    for _ in range(2):
        ending.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(ending, return_exceptions=True)
    assert (await wait_of(clocked)).window == 1.0


async def wait_of(guard: Guard, mobile: str = A) -> Wait:
    """Reserve a number that must be closed."""
    wait = await guard.reserve("a", mobile)
    assert isinstance(wait, Wait)
    return wait


@pytest.mark.parametrize("turns", [0, 1, 2, *range(3, 30, 3)])
async def test_a_cancelled_batch_tells_all_who_wait(guard: RedisGuard, turns: int) -> None:
    """As when the event loop is ending; the next call works again."""
    asked = [asyncio.create_task(guard.reserve("a", each)) for each in (A, B)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task(), *asked}:
        if "Batches" in repr(task):
            task.cancel()
    for told in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(told, Lease | GuardUnavailable)
    assert isinstance(await guard.reserve("a", "13900000009"), Lease)


class Foreign:
    """A client that fails in its own way."""

    def __init__(self, how: BaseException) -> None:
        self.how = how

    async def execute_command(self, *command: Any, **options: Any) -> Any:
        """Fail."""
        raise self.how


@pytest.mark.parametrize("how", [KeyError("13900000000"), OSError("gone"), MemoryError()])
async def test_whatever_a_client_raises_reserves_nothing(how: Exception) -> None:
    """The reason is told, and no number in it."""
    client: Any = Foreign(how)
    async with RedisGuard(client) as guard:
        with pytest.raises(GuardUnavailable, match=type(how).__name__) as told:
            await guard.reserve("a", A)
    assert A not in str(told.value)


async def test_an_answer_of_something_else_reserves_nothing() -> None:
    """A proxy may say OK to anything."""

    class Yes(Foreign):
        async def execute_command(self, *command: Any, **options: Any) -> Any:
            return b"OK"

    client: Any = Yes(OSError())
    async with RedisGuard(client) as guard:
        with pytest.raises(GuardUnavailable, match="no answer of the guard's script"):
            await guard.reserve("a", A)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("options", [{}, {"decode_responses": True}])
async def test_an_injected_client_is_used_as_it_is_and_left_open(
    redis_url: str, prefix: str, protocol: int, options: dict[str, Any]
) -> None:
    """In either protocol, and if it decodes what others read."""
    client = CLIENT.from_url(redis_url, protocol=protocol, **options)
    async with client:
        async with RedisGuard(client, prefix=prefix) as guard:
            await guard.commit(await take(guard))
            assert isinstance(await guard.reserve("a", A), Wait)
        assert await client.ping()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_url_may_choose_the_protocol(redis_url: str, prefix: str, protocol: int) -> None:
    """And options of redis-py, but no repetition behind our back."""
    url = f"{redis_url}?protocol={protocol}&retry_on_timeout=True&retry_on_error=x&retry=3"
    async with RedisGuard(url, prefix=prefix) as guard:
        await guard.commit(await take(guard))
        pool = guard._server._client.connection_pool  # pyright: ignore[reportPrivateUsage]
        connection = pool.make_connection()
        assert (connection.retry._retries, connection.retry_on_error) == (0, [])
        assert pool.max_connections == 10_000  # one for each account that is busy
        assert int(connection.protocol) == protocol


async def test_a_guard_without_windows_keeps_one_call_to_a_number_at_a_time(
    redis_url: str, prefix: str
) -> None:
    """It says to look again soon; and it tells its rate to whoever runs many calls."""
    limits = Limits(None, None, None)
    async with RedisGuard(redis_url, limits, prefix=prefix, max_rate=1e6) as guard:
        assert guard.max_rate == 1e6
        lease = await take(guard)
        assert 0 < (await wait_of(guard)).seconds <= 0.1
        await guard.commit(lease)
        await guard.release(await take(guard))


def test_a_blocking_client_is_refused() -> None:
    """It would block the event loop."""
    client = BLOCKING()
    with pytest.raises(InvalidRequest, match=r"redis\.asyncio, not Redis") as told:
        RedisGuard(client)
    assert told.value.field == "client"


def test_what_is_no_client_is_refused() -> None:
    """As what it is, not by what it lacks."""
    client: Any = object()
    with pytest.raises(InvalidRequest, match=r"redis\.asyncio, not object"):
        RedisGuard(client)


WRONG = {
    "limits": "no window in Redis may be longer than 120 days",
    "prefix": "prefix must be text, not be empty, nor hold { or }",
    "lease": "lease must be a number of seconds: one at least, and 120 days at most",
    "on_unavailable": 'on_unavailable is "refuse" or "allow"',
    "max_rate": "max_rate must be a finite number above 0",
}


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("limits", {"limits": Limits(extra=(Window(1, 121 * 86_400.0),))}),
        ("prefix", {"prefix": ""}),
        ("prefix", {"prefix": "{a}"}),
        ("lease", {"lease": 0.5}),
        ("lease", {"lease": float("nan")}),
        ("on_unavailable", {"on_unavailable": "ignore"}),
        ("max_rate", {"max_rate": 0.0}),
        ("max_rate", {"max_rate": float("inf")}),
    ],
)
def test_a_wrong_option_is_refused(field: str, options: dict[str, Any]) -> None:
    """Where it is given, in words that say what to give instead."""
    with pytest.raises(InvalidRequest) as told:
        RedisGuard("redis://127.0.0.1", **options)
    assert (told.value.field, str(told.value)) == (field, WRONG[field])


def test_a_rate_at_which_nothing_would_end_is_refused() -> None:
    """Slower than one a day: its unit was mistaken."""
    with pytest.raises(InvalidRequest, match="max_rate is 1e-09, slower than one a day") as told:
        RedisGuard("redis://127.0.0.1", max_rate=1e-9)
    assert told.value.field == "max_rate"


@pytest.mark.parametrize(
    "options",
    [
        {"limits": Limits(extra=(Window(1, 120 * 86_400.0),))},
        {"prefix": "X"},
        {"lease": 1.0},
        {"lease": 120 * 86_400.0},
        {"max_rate": 0.5},
    ],
)
def test_an_option_at_its_bound_is_taken(options: dict[str, Any]) -> None:
    """A call every two seconds is a rate, too."""
    RedisGuard("redis://127.0.0.1", **options)


def test_a_guard_belongs_to_one_event_loop(redis_url: str, prefix: str) -> None:
    """Its connections do."""
    guard = RedisGuard(redis_url, prefix=prefix)

    async def use() -> None:
        async with guard:
            await take(guard, B)

    asyncio.run(use())
    with pytest.raises(
        RuntimeError, match=r"^a RedisGuard belongs to the event loop of its first use$"
    ):
        asyncio.run(use())


async def test_a_closed_guard_reserves_nothing(guard: RedisGuard) -> None:
    """Closing twice does no harm."""
    await take(guard)
    await guard.aclose()
    await guard.aclose()
    with pytest.raises(GuardUnavailable, match=r"^the guard is closed$"):
        await guard.reserve("a", B)


async def test_a_lease_ends_once(guard: RedisGuard) -> None:
    """As with every guard; nor is another's taken."""
    lease = await take(guard)
    await guard.commit(lease)
    other = await MemoryGuard().reserve("a", A)
    assert isinstance(other, Lease)
    for again in (lease, other, Lease("a", A)):
        with pytest.raises(RuntimeError, match="has ended already, or is another guard's"):
            await guard.release(again)


async def test_accounts_and_prefixes_are_apart(redis_url: str, prefix: str) -> None:
    """Whatever characters an account is made of."""
    async with (
        RedisGuard(redis_url, prefix=prefix) as one,
        RedisGuard(redis_url, prefix=f"{prefix}:x") as other,
    ):
        for account in ("a", "x:a", "{a}", "}", "账户"):
            assert isinstance(await one.reserve(account, A), Lease)
        assert isinstance(await other.reserve("a", A), Lease)
        assert isinstance(await one.reserve("账户", A), Wait)


async def test_all_keys_of_an_account_are_in_one_slot(
    guard: RedisGuard, client: Any, prefix: str
) -> None:
    """So a cluster keeps them on one node, and a call touches no other."""
    for mobile in ("13900000000", "02151000029", "+8613900000000"):
        await take(guard, mobile)
    keys = [key async for key in client.scan_iter(match=f"*{prefix}*", count=1000)]
    assert len(keys) == 4
    assert {key[: key.index(b"}") + 1] for key in keys} == {f"{{{prefix}:a}}".encode()}


MOBILES = st.from_regex(r"[+]?[0-9]{1,24}", fullmatch=True) | st.text(max_size=20)


@given(MOBILES, MOBILES)
def test_no_two_numbers_share_a_place(one: str, other: str) -> None:
    """Leading zeros, letters and lengths included."""
    assert (place_of(one) == place_of(other)) == (one == other)
    assert place_of(one)[1] != b"!"


async def test_a_lease_that_is_held_is_extended(clocked: ClockedGuard, clock: Clock) -> None:
    """A call may take longer than a lease, as long as its process lives."""
    lease = await take(clocked)
    for _ in range(5):
        clock.now += 20.0
        assert (await wait_of(clocked)).window is None  # and the guard knows what time it is
        clocked.inside._batches["a"]._extend()  # pyright: ignore[reportPrivateUsage] - its timer's time has come
    assert (await wait_of(clocked)).window is None
    await clocked.commit(lease)
    assert (await wait_of(clocked)).window == 1.0


async def test_who_holds_a_lease_is_looked_after_until_it_ends(
    clocked: ClockedGuard, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times in a lease's length, by itself, one timer at a time; then no more."""
    due: list[Callable[[], object]] = []
    loop = asyncio.get_running_loop()
    before = loop.call_later

    def call_later(delay: float, callback: Callable[..., object], *given: Any) -> Any:
        if delay != 10.0:  # a third of a lease: the others are not the guard's
            return before(delay, callback, *given)
        due.append(callback)
        return asyncio.TimerHandle(0.0, callback, given, loop)

    monkeypatch.setattr(loop, "call_later", call_later)
    lease = await take(clocked)
    for number in range(1, 5):
        assert len(due) == number
        clock.now += 20.0
        assert (await wait_of(clocked)).window is None  # and the guard knows what time it is
        due[-1]()
    await clocked.commit(lease)
    due[-1]()
    assert len(due) == 5


async def test_an_account_is_forgotten_when_the_guard_takes_it_to_be(
    redis_url: str, prefix: str, client: Any
) -> None:
    """Else it would warn of a loss that is none, or be silent of one that is."""
    for number, limits in enumerate((Limits(), Limits(per_second=None, per_day=None))):
        async with RedisGuard(redis_url, limits, prefix=f"{prefix}{number}") as guard:
            await take(guard)
            settings = guard._settings  # pyright: ignore[reportPrivateUsage] - what it knows
            (key,) = [
                each async for each in client.scan_iter(f"*{prefix}{number}*account", count=1000)
            ]
            left = await client.pttl(key) / 1000
            await client.delete(key)
        assert settings.forgotten_after - 60.0 < left <= settings.forgotten_after


async def test_a_lease_that_its_holder_forgot_lapses_and_counts(
    clocked: ClockedGuard, clock: Clock
) -> None:
    """It may have been used."""
    await take(clocked)
    gc.collect()
    clock.now += 20.0
    await wait_of(clocked)
    clocked.inside._batches["a"]._extend()  # pyright: ignore[reportPrivateUsage] - its timer's time has come
    clock.now += 10.5
    assert await clocked.reserve("a", A) == Wait(0.5)
    assert (await wait_of(clocked)).window == 1.0


@pytest.mark.parametrize("before", [0.005, 1.0, 30.0, 86_000.0])
async def test_times_may_come_round(clocked: ClockedGuard, clock: Clock, before: float) -> None:
    """Windows that begin before the packed times start again from 0, and end after that."""
    clock.now = 40 * ROUND - before
    for _ in range(3):
        await clocked.commit(await take(clocked))
        clock.now += 1.01
    wait = await wait_of(clocked)
    assert wait.window == 60.0
    assert wait.seconds == pytest.approx(60.0 - 3 * 1.01, abs=0.02)
    clock.now += wait.seconds
    await take(clocked)


@pytest.mark.parametrize("jump", [-3_600.0, -0.5, 3_600.0])
async def test_a_server_whose_clock_was_set_still_grants(
    clocked: ClockedGuard, clock: Clock, jump: float
) -> None:
    """What looks too late is sent again with the new time."""
    await clocked.release(await take(clocked))
    clock.now = max(clock.now + jump, 1.0)
    await take(clocked)


@pytest.mark.parametrize("back", [0.05, 3_600.0, 10 * 86_400.0])
async def test_a_server_whose_clock_was_set_back_closes_no_number_for_so_long(
    clocked: ClockedGuard, clock: Clock, back: float
) -> None:
    """A call that seems to come was made by now, so each window ends when it would have."""
    clock.now = 30 * 86_400.0
    for _ in range(2):
        await clocked.commit(await take(clocked))
        clock.now += 1.01
    await clocked.commit(await take(clocked))
    clock.now -= back
    assert (await wait_of(clocked)).seconds <= 60.0
    clock.now += 60.02
    await clocked.block(await take(clocked), 60.0)
    clock.now -= back
    assert (await wait_of(clocked)).seconds <= 60.0
    clock.now += 60.02
    await take(clocked)


async def test_a_dead_process_holds_no_number_until_the_clock_is_where_it_was(
    clocked: ClockedGuard, clock: Clock
) -> None:
    """Its lease lapses after no more than the longest window, and counts as a call."""
    clock.now = 30 * 86_400.0
    await take(clocked)  # and is killed
    clock.now -= 10 * 86_400.0
    await wait_of(clocked)
    clock.now += 86_400.0 + clocked.inside._lease + 1.02  # pyright: ignore[reportPrivateUsage]
    await take(clocked)


@pytest.mark.slow
async def test_ten_calls_of_each_number_fit_a_list_of_bytes(
    clocked: ClockedGuard, clock: Clock, client: Any, prefix: str
) -> None:
    """That is what keeps a number small, a lease and a block beside its calls included."""
    numbers = [str(13_900_000_000 + 16_381 * place) for place in range(50)]  # one bucket
    for _ in range(10):
        leases = await asyncio.gather(*(take(clocked, number) for number in numbers))
        await asyncio.gather(*(clocked.commit(lease) for lease in leases))
        clock.now += 60.0
    clock.now += 86_400.0
    lease = await take(clocked, numbers[0])
    await clocked.block(lease, 1.0)
    clock.now += 1.0
    await take(clocked, numbers[0])
    keys = [key async for key in client.scan_iter(match=f"{{{prefix}:a}}:*", count=1000)]
    (bucket,) = [key for key in keys if not key.endswith(b"account")]
    assert await client.object("ENCODING", bucket) in {b"listpack", b"ziplist"}
    assert 0 < await client.ttl(bucket) <= 2 * 86_400


async def test_an_answer_that_comes_after_half_a_lease_is_none(
    guard: RedisGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process stood still, and might do so until the lease has lapsed."""
    await guard.release(await take(guard, B))
    server, late = guard._server, [0.0]  # pyright: ignore[reportPrivateUsage]
    call = server.call

    async def slow(keys: Sequence[bytes], args: Sequence[bytes]) -> bytes:
        answer = await call(keys, args)
        late[0] += 16.0
        return answer

    monkeypatch.setattr(server, "call", slow)
    fake = SimpleNamespace(monotonic=lambda: time.monotonic() + late[0])
    monkeypatch.setattr(redis_batches, "time", fake)
    with pytest.raises(GuardUnavailable, match="too late"):
        await guard.reserve("a", A)
    monkeypatch.undo()
    await take(guard)


async def test_a_lease_that_redis_lost_has_lapsed(
    clocked: ClockedGuard, clock: Clock, client: Any, prefix: str
) -> None:
    """Its holder learns so when it extends it, and sends nothing on it."""
    lease = await take(clocked)
    assert isinstance(lease, Held)
    for deleted in (False, True):
        if deleted:
            await client.delete(lease.bucket)
        clock.now += 20.0
        await clocked.release(await take(clocked, B))
        clocked.inside._batches["a"]._extend()  # pyright: ignore[reportPrivateUsage] - its timer's time has come
        await clocked.release(await take(clocked, B))
        assert lease.lapsed() is deleted


async def test_the_example_for_calls_of_ones_own_does_what_it_says(guard: RedisGuard) -> None:
    """A call that was not made counts nowhere, and one that may have been made does."""
    fails: list[Exception] = [ConnectionRefusedError(), TimeoutError()]

    async def my_call(number: str) -> None:
        if fails:
            raise fails.pop(0)

    text = str(inspect.getdoc(RedisGuard))  # Python 3.13 has taken the indent away already
    names: dict[str, Any] = {"Wait": Wait, "my_call": my_call}
    exec(dedent(text[text.index("    async def ring") : text.index("Args:")]), names)  # noqa: S102 - our own
    for error in (ConnectionRefusedError, TimeoutError):
        with pytest.raises(error):
            await names["ring"](guard, A)
    assert (await names["ring"](guard, A)).startswith("not for 1.0")
    assert await names["ring"](guard, B) == "made"


async def test_of_processes_that_want_one_number_each_is_served(
    redis_url: str, prefix: str, clock: Clock
) -> None:
    """Each of them wants it all the time, and who had it last asks first."""
    chance = random.Random(4)
    limits = Limits(per_minute=None, per_day=None)
    guard = ClockedGuard(redis_url, limits, clock, prefix)
    guard.inside._chance = chance.random  # pyright: ignore[reportPrivateUsage]
    served, looks = [0] * 4, [(1_000.0, place) for place in range(4)]
    while sum(served) < 100:
        clock.now, place = heapq.heappop(looks)
        given = await guard.reserve("a", A)
        if isinstance(given, Lease):
            served[place] += 1
            clock.now += 0.05
            await guard.commit(given)
            wait = 0.0
        else:
            wait = given.seconds
        heapq.heappush(looks, (clock.now + wait, place))
    await guard.aclose()
    assert min(served) >= 10


async def test_what_has_expired_is_swept_as_the_guard_is_used(
    clocked: ClockedGuard, clock: Clock, client: Any, prefix: str
) -> None:
    """Day after day of new numbers in one bucket, and little more than one day's are kept."""
    most = 0
    for hour in range(72):
        number = str(13_900_000_000 + 16_381 * hour)
        await clocked.commit(await take(clocked, number))
        clock.now += 3_600.0
        for key in [key async for key in client.scan_iter(match=f"{{{prefix}:a}}:*", count=1000)]:
            if not key.endswith(b"account"):
                most = max(most, await client.hlen(key))
    assert 24 <= most <= 30


async def test_a_block_outlives_every_window(
    redis_url: str, prefix: str, clock: Clock, client: Any
) -> None:
    """The vendor may say more than the limits do."""
    guard = ClockedGuard(redis_url, Limits(per_minute=None, per_day=None), clock, prefix)
    await guard.block(await take(guard), 86_400.0)
    keys = [key async for key in client.scan_iter(match=f"{{{prefix}:a}}:*", count=1000)]
    assert min([await client.ttl(key) for key in keys]) >= 86_400
    for number in range(1, 30):  # that sweep the bucket
        clock.now += 60.0
        await guard.commit(await take(guard, str(13_900_000_000 + 16_381 * number)))
    assert (await wait_of(guard)).window == 86_400.0
    await guard.aclose()


async def test_guards_with_other_limits_keep_what_the_most_thorough_needs(
    redis_url: str, prefix: str, clock: Clock
) -> None:
    """As while a new setting is rolled out."""
    strict = ClockedGuard(redis_url, Limits(), clock, prefix)
    loose = ClockedGuard(redis_url, Limits(per_minute=None, per_day=None), clock, prefix)
    loose.inside._prefix = strict.inside._prefix  # pyright: ignore[reportPrivateUsage]
    loose._key, loose.server = strict._key, strict.server  # pyright: ignore[reportPrivateUsage] - one clock
    loose.inside._server = strict.server  # pyright: ignore[reportPrivateUsage]
    await strict.commit(await take(strict, B))
    for _ in range(3):
        await loose.commit(await take(loose))
        clock.now += 1.0
    assert (await wait_of(strict)).window == 60.0
    await strict.aclose()
    await loose.aclose()


async def test_waiters_of_many_processes_are_spread(guard: RedisGuard) -> None:
    """A little more than the exact time for each, so that none is always the first."""
    await guard.commit(await take(guard))
    waits = await asyncio.gather(*(wait_of(guard) for _ in range(200)))
    seconds = [wait.seconds for wait in waits]
    assert len(set(seconds)) > 150
    assert max(seconds) <= 1.01 * 1.03
    assert max(seconds) - min(seconds) > 0.01
