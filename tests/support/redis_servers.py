"""Redis for tests: the shared one, private ones that may be hurt, and a clock that tests move."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from ihuyi_voice.guards import Lease, Limits, RedisGuard, Wait
from ihuyi_voice.guards.redis_script import SCRIPT, SERVER_TIME
from ihuyi_voice.guards.redis_server import Server

SHARED = os.environ.get("IHUYI_TEST_REDIS_URL", "redis://127.0.0.1:6379")
BLOCKING: Any = redis.Redis  # what redis-py takes is only half typed
CLIENT: Any = redis.asyncio.Redis
PROGRAM = os.environ.get("IHUYI_TEST_REDIS_SERVER", "redis-server")


def _missing(what: str) -> None:
    """Skip the test, but fail where CI is true."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Return the URL of a Redis that other tests use too."""
    try:
        with BLOCKING.from_url(SHARED, socket_timeout=5.0) as client:
            client.ping()
    except (OSError, redis.RedisError) as exc:
        _missing(f"no Redis (IHUYI_TEST_REDIS_URL): {type(exc).__name__}")
    return SHARED


@contextmanager
def own_prefix(url: str) -> Generator[str]:
    """Yield a prefix for keys, which are deleted afterwards."""
    own = f"test-{secrets.token_hex(4)}"
    try:
        yield own
    finally:
        with BLOCKING.from_url(url) as client:
            for key in client.scan_iter(match=f"*{own}*", count=1000):
                client.unlink(key)


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """Yield a prefix of the test's own."""
    with own_prefix(redis_url) as own:
        yield own


class PrivateRedis:
    """A server of the test's own."""

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        command = [
            PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--dir", str(self._folder), "--daemonize", "no", *self._options,
        ]  # fmt: skip
        self._process = subprocess.Popen(  # noqa: S603 - a server of ours
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line)
            if "eady to accept connections" in line:
                return
        raise AssertionError("".join(lines))

    def kill(self) -> None:
        """End it as a power cut does; what it had is on disk, or lost."""
        if self._process is not None:
            assert self._process.stdout is not None
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(30.0)
            self._process.stdout.close()
        self._process = None

    def send_signal(self, number: signal.Signals) -> None:
        """Stop it, or let it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    @contextmanager
    def client(self, **options: Any) -> Generator[Any]:
        """Yield a client to speak to it."""
        with BLOCKING.from_url(self.url, **options) as client:
            yield client


@pytest.fixture
def make_redis(tmp_path: Path) -> Iterator[Callable[..., PrivateRedis]]:
    """Return a way to start private servers."""
    if shutil.which(PROGRAM) is None:
        _missing("redis-server is not installed")
    started: list[PrivateRedis] = []

    def make(*options: str) -> PrivateRedis:
        folder = tmp_path / f"redis-{len(started)}"
        folder.mkdir()
        server = PrivateRedis(folder, *options)
        started.append(server)
        server.start()
        return server

    yield make
    for server in started:
        server.kill()


@pytest.fixture
def private(make_redis: Callable[..., PrivateRedis]) -> PrivateRedis:
    """A private server."""
    return make_redis()


@pytest.fixture
async def client(redis_url: str) -> AsyncGenerator[Any]:
    """A client of the shared server."""
    async with CLIENT.from_url(redis_url) as shared:
        yield shared


ON_A_CLOCK = (
    "local set = redis.call('GET', '%s')\nlocal clock = {math.floor(set / 1e6), set %% 1e6}"
)


class Clock:
    """The server's clock, which tests move."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The server's time."""
    return Clock()


class ClockedGuard:
    """A RedisGuard whose server has a clock that tests move.

    Args:
        url: The server.
        limits: The windows.
        clock: Seconds.
        prefix: Of the test's own.
        mend: Changes the script, to see that a test would notice.
        options: Of the guard.
    """

    def __init__(
        self,
        url: str,
        limits: Limits,
        clock: Callable[[], float],
        prefix: str,
        *,
        mend: Callable[[str], str] = str,
        **options: Any,
    ) -> None:
        self.inside = RedisGuard(url, limits, prefix=prefix, **options)
        self.inside._chance = lambda: 0.0  # pyright: ignore[reportPrivateUsage] - exact waits
        self._clock = clock
        self._key = f"{prefix}-clock-{secrets.token_hex(4)}"
        script = SCRIPT.replace(SERVER_TIME, ON_A_CLOCK % self._key)
        self.server = Server(url, 10.0, mend(script))
        self.inside._server = self.server  # pyright: ignore[reportPrivateUsage] - a patched script
        self._client = CLIENT.from_url(url)

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Reserve at this time."""
        await self.set_clock()
        return await self.inside.reserve(account, mobile)

    async def commit(self, lease: Lease) -> None:
        """Commit at this time."""
        await self.set_clock()
        await self.inside.commit(lease)

    async def release(self, lease: Lease) -> None:
        """Release at this time."""
        await self.set_clock()
        await self.inside.release(lease)

    async def block(self, lease: Lease, seconds: float) -> None:
        """Block at this time."""
        await self.set_clock()
        await self.inside.block(lease, seconds)

    async def aclose(self) -> None:
        """Close it."""
        await self.inside.aclose()
        await self._client.aclose()

    async def set_clock(self) -> None:
        """Have it be this time there."""
        await self._client.set(self._key, str(round(self._clock() * 1e6)))
