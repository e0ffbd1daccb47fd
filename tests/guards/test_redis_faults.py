"""Redis gone, slow, restarting, full, read-only, forgetful: nothing is reserved unguarded."""

import asyncio
import logging
import signal
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster

from ihuyi_voice import GuardUnavailable, InvalidRequest
from ihuyi_voice.guards import Lease, Limits, RedisGuard, Wait, Window
from tests.support.redis_servers import PrivateRedis

A, B = "13900000000", "13900000001"
PASSWORD = "correct-horse-battery"


@pytest.fixture
async def guard(private: PrivateRedis) -> AsyncGenerator[RedisGuard]:
    """A guard over a private server, with little patience."""
    async with RedisGuard(private.url, Limits()) as guard:
        guard._server.timeout = 0.3  # pyright: ignore[reportPrivateUsage]
        yield guard


async def take(guard: RedisGuard, mobile: str = A) -> Lease:
    """Reserve a number that must be free."""
    lease = await guard.reserve("a", mobile)
    assert isinstance(lease, Lease)
    return lease


async def refused(guard: RedisGuard, mobile: str = A) -> str:
    """Reserve a number in vain; return why."""
    with pytest.raises(GuardUnavailable) as told:
        await guard.reserve("a", mobile)
    return str(told.value)


async def test_no_server_means_no_lease(guard: RedisGuard, private: PrivateRedis) -> None:
    """And the guard is there again as soon as the server is, without being told."""
    private.kill()
    assert "ConnectionError" in await refused(guard)
    private.start()
    await guard.commit(await take(guard))


async def test_a_restart_without_data_is_told(
    guard: RedisGuard, private: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """The windows are lost; a call in flight counts all the same once it ends."""
    await guard.commit(await take(guard, B))
    lease = await take(guard)
    private.kill()
    private.start()
    await guard.commit(lease)
    assert "has lost what it knew" in caplog.text
    wait = await guard.reserve("a", A)
    assert isinstance(wait, Wait)
    assert wait.window == 1.0
    await take(guard, B)


async def test_a_restart_with_data_loses_nothing(
    make_redis: Callable[..., PrivateRedis], caplog: pytest.LogCaptureFixture
) -> None:
    """Windows, leases and the script's absence: nobody notices but by a pause."""
    server = make_redis("--appendonly", "yes", "--appendfsync", "always")
    async with RedisGuard(server.url, Limits(per_second=None, per_minute=1)) as guard:
        await guard.commit(await take(guard, B))
        lease = await take(guard)
        server.kill()
        server.start()
        wait = await guard.reserve("a", B)
        assert isinstance(wait, Wait)
        assert wait.window == 60.0
        assert isinstance(await guard.reserve("a", A), Wait)
        await guard.release(lease)
        await take(guard)
    assert "has lost" not in caplog.text


async def test_a_paused_server_is_not_waited_for(guard: RedisGuard, private: PrivateRedis) -> None:
    """What it does later with a reservation that was given up, locks nobody out."""
    await guard.release(await take(guard))
    with private.client() as client:
        client.client_pause(60_000, all=False)
        assert "no answer within" in await refused(guard)
        client.client_unpause()
    await take(guard)


async def test_a_stopped_server_is_not_waited_for(guard: RedisGuard, private: PrivateRedis) -> None:
    """It reads what was sent when it goes on, after the deadline, and refuses it."""
    await guard.release(await take(guard))
    private.send_signal(signal.SIGSTOP)
    asked = [asyncio.create_task(refused(guard, mobile)) for mobile in (A, B)]
    texts = await asyncio.gather(*asked)
    private.send_signal(signal.SIGCONT)
    assert all("no answer within" in text for text in texts)
    await take(guard)
    await take(guard, B)


async def test_a_settlement_that_got_no_answer_goes_along_with_the_next_call(
    guard: RedisGuard, private: PrivateRedis
) -> None:
    """So a call that was surely not sent locks its number no longer than Redis is away."""
    lease = await take(guard)
    private.send_signal(signal.SIGSTOP)
    with pytest.raises(GuardUnavailable):
        await guard.release(lease)
    private.send_signal(signal.SIGCONT)
    await take(guard, B)
    await take(guard)


async def test_closing_tells_what_was_left_over(private: PrivateRedis) -> None:
    """Even if no other call comes."""
    async with RedisGuard(private.url) as first:
        lease = await take(first)
        first._server.timeout = 0.3  # pyright: ignore[reportPrivateUsage]
        private.send_signal(signal.SIGSTOP)
        with pytest.raises(GuardUnavailable):
            await first.release(lease)
        private.send_signal(signal.SIGCONT)
    async with RedisGuard(private.url) as second:
        await take(second)


async def test_a_full_server_reserves_nothing(guard: RedisGuard, private: PrivateRedis) -> None:
    """And goes on when there is room again."""
    with private.client() as client:
        client.config_set("maxmemory", "1")
        assert "used memory > 'maxmemory'" in await refused(guard)
        client.config_set("maxmemory", "0")
    await take(guard)


async def test_a_replica_reserves_nothing(
    guard: RedisGuard, private: PrivateRedis, make_redis: Callable[..., PrivateRedis]
) -> None:
    """As after a failover; when it is the master again, it does."""
    master = make_redis()
    await guard.release(await take(guard))
    with private.client() as client:
        client.replicaof("127.0.0.1", str(master.port))
        assert "READONLY" in (await refused(guard)).upper().replace(" ", "")
        client.replicaof("NO", "ONE")
    await take(guard)


async def test_a_wrong_password_shows_neither_password(
    private: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the error, nor in its causes, nor in the log."""
    with private.client() as client:
        client.config_set("requirepass", PASSWORD)
    url = private.url.replace("//", "//:wrong-horse@")
    async with RedisGuard(url) as guard:
        with pytest.raises(GuardUnavailable, match="Auth") as told:
            await guard.reserve("a", A)
    text = "".join(traceback.format_exception(told.value)) + caplog.text + repr(guard)
    assert "horse" not in text
    async with RedisGuard(private.url.replace("//", f"//:{PASSWORD}@")) as guard:
        await take(guard)


@pytest.mark.parametrize(
    "url", ["redis://:secret/word@host:1", "http://:secret@host", "", "redis://:secret@h:x"]
)
def test_an_unreadable_url_is_not_quoted(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(InvalidRequest) as told:
        RedisGuard(url)
    assert "secret" not in "".join(traceback.format_exception(told.value)[-1:])
    assert told.value.__cause__ is None
    assert told.value.field == "url"
    assert "it looks like redis://user:password@host:6379/0" in str(told.value)


async def test_a_flushed_script_is_sent_again(guard: RedisGuard, private: PrivateRedis) -> None:
    """A restart forgets it too."""
    lease = await take(guard)
    with private.client() as client:
        client.script_flush()
    await guard.commit(lease)


async def test_a_foreign_key_harms_its_own_numbers_only(
    guard: RedisGuard, private: PrivateRedis
) -> None:
    """Others in the same call get their leases."""
    with private.client() as client:
        await guard.release(await take(guard))
        (key,) = client.keys("{ihuyi:a}:[0-9]*")
        client.delete(key)
        client.set(key, "x")
    bad, good = await asyncio.gather(refused(guard, A), take(guard, B))
    assert "something else" in bad
    await guard.release(good)


@pytest.mark.parametrize(("limit", "warned"), [("0", 0), ("1000000000", 1)])
async def test_a_server_that_evicts_is_told_of(
    private: PrivateRedis, limit: str, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Limits would be exceeded, and nobody would know why."""
    with private.client() as client:
        client.config_set("maxmemory", limit)
        client.config_set("maxmemory-policy", "allkeys-lru")
    async with RedisGuard(private.url) as guard:
        await take(guard)
    assert caplog.text.count("allkeys-lru") == warned


@pytest.mark.long
async def test_allow_lets_calls_go_out_unguarded_and_says_so_once_a_minute(
    private: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    """The explicit other choice; ending such a lease does nothing."""
    private.kill()
    async with RedisGuard(private.url, on_unavailable="allow") as guard:
        leases = [await take(guard) for _ in range(5)]
        private.start()
        await guard.commit(leases[0])
        await guard.release(leases[1])
        await guard.block(leases[2], 1.0)
        await take(guard)
        assert isinstance(await guard.reserve("a", A), Wait)
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.getMessage()[:29] for each in warnings] == ["1 calls go out unguarded: Red"]


@pytest.mark.long
async def test_a_cluster_takes_every_call(make_redis: Callable[..., PrivateRedis]) -> None:
    """It would refuse one that touches keys of two slots; other accounts may be on other nodes."""
    server = make_redis("--cluster-enabled", "yes")
    with server.client() as client:
        client.cluster("ADDSLOTS", *range(16_384))
        while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
    cluster: Any = RedisCluster
    async with cluster.from_url(server.url) as client, RedisGuard(client, max_rate=1e6) as guard:
        leases = await asyncio.gather(*(take(guard, f"139{n:08d}") for n in range(200)))
        await asyncio.gather(*(guard.commit(lease) for lease in leases))
        assert isinstance(await guard.reserve("a", A), Wait)
        assert isinstance(await guard.reserve("b", A), Lease)


class Cutting:
    """A way to a server on which replies get lost.

    Attributes:
        calls: How often the script was called over it.
        cut: How many of the next replies to the script are lost, with their connections.
    """

    def __init__(self, port: int) -> None:
        self.calls = 0
        self.cut = 0
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def pass_on(self, near: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        far, onwards = await asyncio.open_connection("127.0.0.1", self._port)
        answers = asyncio.create_task(self._answers(far, writer))
        self._tasks.add(answers)
        while data := await near.read(65_536):
            self.calls += data.count(b"EVALSHA")
            onwards.write(data)
        onwards.close()
        writer.close()

    async def _answers(self, far: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await far.read(65_536):
            if self.cut and data.startswith(b"$"):
                self.cut -= 1
                writer.transport.abort()
                return
            writer.write(data)
        writer.close()


@asynccontextmanager
async def cutting(server: PrivateRedis) -> AsyncGenerator[tuple[RedisGuard, Cutting]]:
    """Yield a guard that goes through such a way."""
    way = Cutting(server.port)
    listening = await asyncio.start_server(way.pass_on, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    limits = Limits(None, None, None, (Window(3, 60.0),))
    async with RedisGuard(f"redis://127.0.0.1:{port}", limits) as guard:
        await guard.release(await take(guard, B))
        way.calls = 0
        yield guard, way
    listening.close()
    await listening.wait_closed()


async def test_a_lost_reply_is_asked_for_again_by_its_token(private: PrivateRedis) -> None:
    """The same lease is granted once, and the same call counted once, however often it is told."""
    async with cutting(private) as (guard, way):
        for _ in range(3):
            way.cut = 1
            lease = await take(guard)
            way.cut = 1
            await guard.commit(lease)
            assert not way.cut
        assert way.calls == 12
        wait = await guard.reserve("a", A)
        assert isinstance(wait, Wait)
        assert wait.window == 60.0


async def test_a_call_is_given_up_when_its_time_is_over(private: PrivateRedis) -> None:
    """What was reserved is taken back; and as long as it is of no use, it is repeated but once."""
    async with cutting(private) as (guard, way):
        guard._server.timeout = 0.3  # pyright: ignore[reportPrivateUsage]
        way.cut = 1_000_000
        assert "ConnectionError" in await refused(guard)
        assert 3 < way.calls < 20
        way.calls = 0
        assert "ConnectionError" in await refused(guard)
        assert way.calls == 2  # neither by us nor, behind our back, by the client
        way.cut = 0
        await take(guard)


async def test_a_restart_costs_nobody_more_than_a_moment(private: PrivateRedis) -> None:
    """Who asks while the server is away is answered when it is there again."""
    async with RedisGuard(private.url) as guard:
        await guard.release(await take(guard))
        guard._server.timeout = 30.0  # pyright: ignore[reportPrivateUsage]
        private.kill()
        asked = [asyncio.create_task(take(guard, mobile)) for mobile in (A, B)]
        await asyncio.to_thread(private.start)
        for lease in await asyncio.gather(*asked):
            await guard.commit(lease)
