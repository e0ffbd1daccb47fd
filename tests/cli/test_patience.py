"""A worker that is started before its PostgreSQL waits for it; what is wrong ends it at once."""

import asyncio
import signal
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import attrs
import psycopg_pool
import pytest

from ihuyi_voice.cli import work
from ihuyi_voice.cli.language import Language, choose
from ihuyi_voice.cli.patience import is_away, patiently
from ihuyi_voice.cli.work import Bench, work_at
from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.simulator import Simulator
from tests.support.command import program, run
from tests.support.looking import comes_true
from tests.support.postgres import Server
from tests.support.redis_servers import PrivateRedis
from tests.support.sockets import Reader, Writer, pass_on, serving
from tests.workers.processes import running, start, written

AWAY = "the database can't be reached, and is tried again until it can"


@attrs.define
class Waits:
    """What happens while it waits, one wait after another; they take no time.

    Attributes:
        then: What happens in each, from the first on; after that, nothing more may be waited for.
        seconds: How long each was to take.
    """

    then: list[Callable[[], Awaitable[None]]]
    seconds: list[float] = attrs.field(factory=list[float])

    async def __call__(self, seconds: float) -> None:
        """Wait."""
        self.seconds.append(seconds)
        await self.then.pop(0)()


async def nothing() -> None:
    """Let nothing happen."""


def opening(url: str) -> Callable[[], Awaitable[None]]:
    """Return what opens a ledger there, and closes it."""

    async def begin() -> None:
        async with Ledger.open(url):
            pass

    return begin


@pytest.mark.slow
async def test_a_server_that_is_started_late_is_waited_for(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """That it is waited for is said once, on stderr, with the cause; not that it is there."""
    await server.stop()
    waits = Waits([nothing, nothing, server.start])
    await patiently(server.url, opening(server.url), sleep=waits)
    assert len(waits.seconds) == 3
    out, err = capsys.readouterr()
    assert (out, err.count(AWAY), err.count("\n")) == ("", 1, 1)
    assert f"Connect call failed ('127.0.0.1', {server.port})" in err


async def test_it_is_said_in_chinese(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The cause, too."""
    choose(Language.ZH)
    await server.stop()
    await patiently(server.url, opening(server.url), sleep=Waits([server.start]))
    err = capsys.readouterr().err
    assert "暂时无法连接数据库，将持续重试" in err
    assert "对方拒绝连接" in err


async def test_the_waits_grow_up_to_half_a_minute() -> None:
    """So that a hundred workers neither come at once nor all the time."""
    tried = count(1)

    async def refuse() -> None:
        if next(tried) < 200:
            refused = ConnectionRefusedError(111, "Connect call failed")
            raise LedgerUnavailable("the ledger's database failed") from refused

    waits = Waits([nothing] * 199)
    await patiently("postgresql://db/calls", refuse, sleep=waits)
    assert min(waits.seconds) >= 0.5
    assert max(waits.seconds[:3]) <= 4.0
    assert 15.0 < max(waits.seconds) <= 30.0
    assert len({round(each, 6) for each in waits.seconds[10:]}) > 150


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (ConnectionRefusedError(111, "refused"), True),
        (ConnectionResetError(104, "reset"), True),
        (TimeoutError(), True),
        (OSError("Multiple exceptions: [Errno 111] …, [Errno 111] …"), True),
        (OSError(113, "No route to host"), True),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (asyncpg.CannotConnectNowError("the database system is starting up"), True),
        (asyncpg.TooManyConnectionsError("sorry, too many clients already"), True),
        (asyncpg.ConnectionDoesNotExistError("connection was closed"), True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
        (asyncpg.InterfaceError("connection is closed"), True),
        (psycopg_pool.PoolTimeout("pool initialization incomplete after 5.0 sec"), True),
        (asyncpg.UnsupportedServerFeatureError("not here"), False),
        (asyncpg.InvalidPasswordError("password authentication failed"), False),
        (asyncpg.InvalidCatalogNameError('database "x" does not exist'), False),
        (asyncpg.exceptions.ClientConfigurationError("sslmode"), False),
        (ssl.SSLCertVerificationError("self-signed certificate"), False),
        (FileNotFoundError(2, "No such file or directory"), False),
        (ValueError("invalid literal for int()"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_pass_by_itself_is_waited_for(error: Exception, *, away: bool) -> None:
    """Not a wrong name, password, database, certificate or option."""
    assert is_away(error) is away


@pytest.mark.parametrize("url", ["sqlite:///calls.db", "calls.db"])
async def test_a_file_is_not_waited_for(url: str) -> None:
    """What is wrong with it is said, though it looks like a connection that is refused."""

    async def begin() -> None:
        raise LedgerUnavailable("the ledger's database failed") from OSError(5, "I/O error")

    with pytest.raises(LedgerUnavailable):
        await patiently(url, begin, sleep=Waits([]))


async def test_an_address_of_another_kind_is_refused() -> None:
    """At once, in words."""
    with pytest.raises(InvalidRequest, match="neither sqlite:// nor postgresql://"):
        await patiently("mysql://db/calls", nothing, sleep=Waits([]))


# --- by the command


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("postgresql://postgres@{at}/no_such_database", 6, "does not exist"),
        ("postgresql://nobody_of_this_name@{at}/postgres", 6, "does not exist"),
        ("postgresql://postgres@{at}/postgres?sslmode=nonsense", 6, "ClientConfigurationError"),
        ("postgresql://postgres@no.such.host.invalid/postgres", 6, "gaierror"),
        ("mysql://{at}/calls", 2, "neither sqlite:// nor postgresql://"),
    ],
    ids=["database", "role", "option", "host", "kind"],
)
@pytest.mark.usefixtures("vendor")
def test_a_wrong_address_ends_it_at_once(
    postgres: str, private: PrivateRedis, url: str, code: int, told: str
) -> None:
    """The error is the one that opening the ledger has had all the time."""
    given = url.format(at=urlsplit(postgres).netloc.rpartition("@")[2])
    result = run("work", "--ledger", given, "--guard", private.url)
    assert (result.exit_code, told in result.stderr) == (code, True), result.stderr
    assert AWAY not in result.stderr


async def test_a_wrong_password_ends_it_at_once(server: Server) -> None:
    """A server that asks for one is there, and says no."""
    await server.execute("ALTER ROLE postgres PASSWORD 'right'")
    (server.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    server.signal(signal.SIGHUP)
    url = server.url.replace("postgres@", "postgres:wrong@")
    assert await refused_by(url) == "InvalidPasswordError"
    with pytest.raises(LedgerUnavailable, match="password"):
        await patiently(url, opening(url), sleep=Waits([]))


async def refused_by(url: str) -> str:
    """Return what a server says once it asks for a password: it reads its file when it likes."""
    while True:
        try:
            await (await asyncpg.connect(url)).close()
        except asyncpg.PostgresError as error:
            return type(error).__name__
        await asyncio.sleep(0.01)  # another process's file can't be awaited in any other way


@pytest.mark.usefixtures("vendor")
def test_a_missing_extra_ends_it_at_once(
    private: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a database first, to hear then what could be known before."""

    def without(name: str, *_: object) -> object:
        return None if name == "procrastinate" else object()

    monkeypatch.setattr(work, "find_spec", without)
    monkeypatch.setattr(work, "patiently", None)
    result = run("work", "--ledger", "postgresql://127.0.0.1:1/x", "--guard", private.url)
    assert (result.exit_code, "ihuyi-voice[workers]" in result.stderr) == (8, True), result.stderr


WORK = ("work", "--until-done")


@asynccontextmanager
async def waiting(
    server: Server, private: PrivateRedis, path: Path
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Yield a worker that waits for its database, which is stopped, and writes to this file."""
    await server.stop()
    told = {
        "IHUYI_ACCOUNT": "VM00000000",
        "IHUYI_API_KEY": "simulator-key-of-tests",
        "IHUYI_BASE_URL": "http://127.0.0.1:1/x.php",
        "IHUYI_LEDGER": server.url,
        "IHUYI_GUARD": private.url,
        "IHUYI_LANG": "en",
    }
    with path.open("wb") as log:
        async with running([*program(), *WORK], told, log=log) as worker:
            await written(path, AWAY)
            yield worker


@pytest.mark.slow
async def test_a_worker_begins_when_its_database_is_there(
    server: Server, private: PrivateRedis, tmp_path: Path
) -> None:
    """Without being started again."""
    async with waiting(server, private, tmp_path / "log") as worker:
        await server.start()
        assert await worker.wait() == 0
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert said.count(AWAY) == 1
    assert "works for VM00000000" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_waiting_at_once(
    server: Server, private: PrivateRedis, tmp_path: Path, number: signal.Signals
) -> None:
    """In good order, as nothing is in flight."""
    async with waiting(server, private, tmp_path / "log") as worker:
        worker.send_signal(number)
        assert await worker.wait() == 0
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert said.splitlines()[-1] == "ended in good order"


@attrs.define(eq=False)
class Shaky:
    """A way to a server that breaks, with all its connections, one connection later each time.

    Attributes:
        to: The server's port.
        held: How many connections it takes before it breaks.
        left: How many more this time.
        breaks: How often it broke.
    """

    to: int
    held: int = 0
    left: int = 0
    breaks: int = 0
    _open: list[Writer] = attrs.field(factory=list[Writer])

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """Pass one connection on, or break."""
        if not self.left:
            self.breaks, self.held = self.breaks + 1, self.held + 1
            self.left = self.held
            for each in (*self._open, writer):
                each.transport.abort()
            self._open.clear()
            return
        self.left -= 1
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        self._open += [writer, back]
        with suppress(OSError):  # of either side
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        back.close()


@pytest.mark.slow
@pytest.mark.usefixtures("vendor")
async def test_a_database_that_goes_away_after_any_step_is_waited_for(
    server: Server,
    private: PrivateRedis,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """While the ledger is opened, while the queue is, and between the two."""
    monkeypatch.setattr("ihuyi_voice.cli.patience._SHORTEST", 0.0)
    monkeypatch.setattr("ihuyi_voice.cli.patience._LONGEST", 0.01)
    monkeypatch.setattr("ihuyi_voice.workers.engine._WAIT", 0.5)
    shaky = Shaky(server.port)
    async with serving(shaky.serve) as port:
        url = server.url.replace(str(server.port), str(port))
        assert await work_at(Bench(url, private.url, until_done=True), None, None) == 0
    assert shaky.breaks > 3
    out, err = capsys.readouterr()
    assert AWAY in err
    assert out.splitlines()[-1] == "ended in good order"


@pytest.mark.long
async def test_a_worker_tells_of_an_outage_in_a_few_lines(
    server: Server, private: PrivateRedis, vendor: Simulator, tmp_path: Path
) -> None:
    """Nobody is called twice, nobody is forgotten, and no traceback of its engine is shown."""
    vendor.latency = 0.02
    listed = tmp_path / "list.csv"
    rows = "".join(f"139{place:08d},您的订单号是：{place}。\n" for place in range(300))
    listed.write_text(f"mobile,content\n{rows}", encoding="utf-8")
    told = {"IHUYI_LEDGER": server.url, "IHUYI_GUARD": private.url, "IHUYI_LANG": "en"}
    path = tmp_path / "log"
    with path.open("wb") as log:
        load = [*program(), "send", str(listed), "--distribute", "--run", "r"]
        assert await (await start(load, told, log=log)).wait() == 0
        async with running([*program(), *WORK, "--concurrency", "4"], told, log=log) as worker:
            await comes_true(lambda: len(vendor.arrivals) >= 50)
            await server.stop()
            await written(path, "a worker could not look after the queue")
            await server.start()
            assert await worker.wait() == 0
    said = path.read_text(encoding="utf-8")
    assert "Traceback" not in said
    assert len(said.splitlines()) < 40
    assert len(vendor.rung()) == 300
    assert max(vendor.rung().values()) == 1
