"""PostgreSQL servers of a test's own, to be stopped, limited and put behind PgBouncer."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import asyncpg
import attrs
import pytest

from tests.support.servers import free_port

_DEBIANS: Final = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
_PLACES: Final = ":".join((*_DEBIANS, os.environ["PATH"]))
_ADMIN: Final = f"/usr/sbin:{os.environ['PATH']}"
# Neither program may run as root; Debian's packages make this user.
_USER: Final[dict[str, Any]] = (
    {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
)
_GONE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

# A client that is killed while a server's connection is made for it counts as a login that failed,
# after which everybody would be refused for fifteen seconds.
_POOLER: Final = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
admin_users = postgres
pool_mode = transaction
default_pool_size = {size}
server_login_retry = 0
max_client_conn = 500
server_reset_query =
logfile = {folder}/pgbouncer.log
"""


def _needed(name: str, places: str) -> str:
    """Return the path of a program; skip the test without it, but fail where CI is true."""
    found = shutil.which(name, path=places)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"no {name}")
    if found is None:
        pytest.skip(f"no {name}")
    return found


@contextmanager
def _folder() -> Generator[Path]:
    """Yield a folder in which the user of these programs may work; pytest's belong to root."""
    with tempfile.TemporaryDirectory(prefix="ihuyi-pg-", ignore_cleanup_errors=True) as name:
        if _USER:
            shutil.chown(name, _USER["user"], _USER["group"])
        yield Path(name)


@attrs.define(eq=False)
class Server:
    """A server that can be stopped and started again, with the same data.

    Attributes:
        data: Where its data is.
        port: Where it listens.
        options: Settings, `name=value`.
    """

    data: Path
    port: int
    options: Sequence[str] = ()
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The URL of its database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    async def start(self) -> None:
        """Start it, and return once it answers."""
        settings = ("fsync=off", "shared_buffers=16MB", f"port={self.port}", *self.options)
        command = [_needed("postgres", _PLACES), "-D", str(self.data), "-k", str(self.data)]
        for each in settings:
            command += ["-c", each]
        with (self.data / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, **_USER
            )
        await _answers(self.url)

    async def stop(self) -> None:
        """End it at once, whatever is connected or runs."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(
                    signal.SIGINT
                )  # fast: backends end, what is committed is kept
            await self._process.wait()
            self._process = None

    async def demote(self) -> None:
        """Have it go on as a standby, which can't be written to."""
        await self.stop()
        mark = self.data / "standby.signal"
        mark.touch()
        if _USER:
            shutil.chown(mark, _USER["user"], _USER["group"])
        await self.start()

    def signal(self, number: signal.Signals, *pids: int) -> None:
        """Send a signal to the server, and to processes of it that are given."""
        assert self._process is not None
        for pid in (self._process.pid, *pids):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    async def execute(self, statement: str, *parameters: object) -> list[Any]:
        """Execute a statement on a connection of its own, and return its rows."""
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(statement, *parameters))
        finally:
            await connection.close()

    async def terminate_others(self) -> None:
        """End all connections but this one."""
        await self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


async def _answers(url: str) -> None:
    while True:
        with suppress(*_GONE):
            await (await asyncpg.connect(url, statement_cache_size=0)).close()
            return
        await asyncio.sleep(0.02)  # only it knows when


@pytest.fixture(scope="session")
def cluster() -> Generator[Path]:
    """Yield the data of a new server, to be copied."""
    with new_cluster() as data:
        yield data


@contextmanager
def new_cluster() -> Generator[Path]:
    """Yield the data of a new server."""
    initdb = _needed("initdb", _PLACES)
    with _folder() as folder:
        data = folder / "data"
        options = ["-N", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C"]
        command = [initdb, "-D", str(data), *options]
        subprocess.run(command, check=True, capture_output=True, **_USER)  # noqa: S603 - Debian's
        yield data


@asynccontextmanager
async def server_of(cluster: Path, *options: str) -> AsyncGenerator[Server]:
    """Run a server with its own copy of the data."""
    with _folder() as folder:
        data = folder / "data"
        copied = ["cp", "-r", str(cluster), str(data)]
        subprocess.run(copied, check=True, **_USER)  # noqa: S603, ASYNC221 - a moment
        server = Server(data, free_port(), options)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@pytest.fixture
async def server(cluster: Path) -> AsyncGenerator[Server]:
    """Yield a server of the test's own."""
    async with server_of(cluster) as server:
        yield server


@asynccontextmanager
async def pooler_of(server: Server, *, size: int = 2) -> AsyncGenerator[str]:
    """Run PgBouncer before a server, pooling by transaction; yield the URL."""
    program, port = _needed("pgbouncer", _ADMIN), free_port()
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    with _folder() as folder:
        config = folder / "pgbouncer.ini"
        config.write_text(_POOLER.format(server=server.port, port=port, size=size, folder=folder))
        process = await asyncio.create_subprocess_exec(program, "-q", str(config), **_USER)
        try:
            await _answers(url)
            yield url
        finally:
            process.terminate()
            await process.wait()
