"""An inbox whose PostgreSQL is pooled, limited, away or cut off: nothing acknowledged is lost."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, InboxUnavailable, PushReceiver
from tests.pushes.requests import TOKEN, push, status
from tests.pushes.support import Place, Recorder, report, report_form, states
from tests.support.databases import new_table
from tests.support.postgres import Server, pooler_of, server_of

pytestmark = pytest.mark.long

# What is lost with a connection is free again soon.
HANDLING = Handling(concurrency=5, timeout=0.3, lease=0.5, backoff=0.0)
CALLS = 12
STATUSES = 8


class Statuses:
    """A handler that remembers the statuses of each call, and holds that none moves backwards.

    Attributes:
        seconds: The seconds of the reports of each call, in order.
        backwards: The calls of which one did.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[int]] = defaultdict(list)
        self.backwards: list[str] = []

    async def __call__(self, value: DeliveryReport) -> None:
        """Be called as a handler is."""
        assert value.report_time is not None
        seen = self.seconds[value.voice_id]
        if seen and value.report_time.second < seen[-1]:
            self.backwards.append(value.voice_id)
        seen.append(value.report_time.second)


class Vendor:
    """Sends the statuses of calls in order, each until it is answered `success`.

    Attributes:
        refused: How many answers were no `success`.
        acknowledged: How many were.
    """

    def __init__(self, receiver: PushReceiver) -> None:
        self.refused = 0
        self.acknowledged = 0
        self._receiver = receiver
        self._heard = asyncio.Event()

    async def send_all(self) -> None:
        """Send everything."""
        await asyncio.gather(*(self._send(str(call)) for call in range(1, CALLS + 1)))

    async def _send(self, call: str) -> None:
        for second in range(STATUSES):
            while await status(self._receiver, push(report_form(call, -6, second))) != 200:
                self.refused += 1
            self.acknowledged += 1
            self._heard.set()

    async def send_all_while(self, cut: Callable[[], Awaitable[object]]) -> int:
        """Send everything while connections are cut, again if nothing met a cut; return how many.

        On a quick machine each may fall between two commits, where nobody is hurt by it.
        """
        cuts = 0
        while not self.refused:
            sending = asyncio.create_task(self.send_all())
            while not sending.done():
                await cut()
                cuts += 1
                await self._has_heard(sending)  # or nothing would ever come through
            await sending
        return cuts

    async def _has_heard(self, sending: "asyncio.Task[None]") -> None:
        """Return when one more has been acknowledged, or everything is."""
        self._heard.clear()
        hearing = asyncio.ensure_future(self._heard.wait())
        await asyncio.wait({hearing, sending}, return_when=asyncio.FIRST_COMPLETED)
        hearing.cancel()


@asynccontextmanager
async def receiving(place: Place, statuses: Statuses) -> AsyncGenerator[tuple[Inbox, PushReceiver]]:
    """Open an inbox with a receiver before it."""
    inbox = place.inbox(handling=HANDLING)
    receiver = PushReceiver(inbox, token=TOKEN, on_report=statuses)
    async with inbox:
        yield inbox, receiver


async def all_handled(inbox: Inbox, statuses: Statuses) -> None:
    """Return when everything has been; then each status was handed over, and in order."""
    await states(inbox, handled=CALLS * STATUSES)
    assert statuses.backwards == []
    for call in range(1, CALLS + 1):
        assert list(dict.fromkeys(statuses.seconds[str(call)])) == list(range(STATUSES))


def place_at(url: str) -> Place:
    """Return a place with a table of its own."""
    return Place(url, new_table(), is_postgres=True)


async def test_two_inboxes_and_a_receiver_go_on_behind_a_pooler(server: Server) -> None:
    """With fewer sessions than connections; whoever waits for a report gets it in either."""
    async with pooler_of(server, size=3) as url, AsyncExitStack() as stack:
        place, statuses = place_at(url), Statuses()
        inbox, receiver = await stack.enter_async_context(receiving(place, statuses))
        other = await stack.enter_async_context(place.inbox(handling=HANDLING))
        other.handle(on_report=statuses)
        vendor = Vendor(receiver)
        waits = [each.report_of(str(call)) for each in (inbox, other) for call in (1, CALLS)]
        *found, _ = await asyncio.gather(*waits, vendor.send_all())
        assert {each.voice_id for each in found if each is not None} == {"1", str(CALLS)}
        await all_handled(other, statuses)
        assert vendor.refused == 0


async def test_while_the_server_is_away_pushes_are_refused_and_then_taken_again(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Loudly; whoever waits goes on waiting, and what was stored is handled once it is back."""
    statuses = Statuses()
    async with receiving(place_at(server.url), statuses) as (inbox, receiver):
        assert await status(receiver, push(report_form("99", second=1))) == 200
        stream = inbox.reports()
        waiting = asyncio.create_task(inbox.report_of("1"))
        coming = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)  # both have begun to wait, and look no later than who comes now
        assert (await inbox.report_of("99")).voice_id == "99"
        for _ in range(2):
            await server.stop()
            for _ in range(3):
                assert await status(receiver, push(report_form("1"))) == 503
            with pytest.raises(InboxUnavailable, match="the inbox's database failed"):
                await inbox.report_of("99", timeout=60)
            await server.start()
        vendor = Vendor(receiver)
        await vendor.send_all()
        assert (await waiting).voice_id == "1"
        assert (await coming).voice_id in {"99", *map(str, range(1, CALLS + 1))}
        await stream.aclose()
        await states(inbox, handled=CALLS * STATUSES + 1)
    assert statuses.backwards == []
    for told in ("push refused, 503: not stored: the inbox's database failed", "can't "):
        assert told in caplog.text


@pytest.mark.timeout(240)
async def test_connections_that_are_cut_again_and_again_cost_nothing_but_time(
    server: Server,
) -> None:
    """In mid-stream: what was acknowledged is stored once, and handled in order."""
    statuses, chance = Statuses(), random.Random(4)

    async def cut() -> None:
        await server.terminate_others()
        for _ in range(chance.randrange(3)):
            await server.execute("SELECT 1")

    async with (
        receiving(place_at(server.url), statuses) as (inbox, receiver),
        receiving(place_at(server.url), Statuses()),
    ):
        vendor = Vendor(receiver)
        assert await vendor.send_all_while(cut) > 3
        await all_handled(inbox, statuses)
    assert vendor.acknowledged >= CALLS * STATUSES


async def test_behind_a_pooler_connections_may_be_cut_as_well(server: Server) -> None:
    """Those of the pooler, which hands on what happened."""
    async with pooler_of(server, size=3) as url:
        statuses = Statuses()
        async with receiving(place_at(url), statuses) as (inbox, receiver):
            await Vendor(receiver).send_all_while(server.terminate_others)
            await all_handled(inbox, statuses)


async def test_an_inbox_without_a_connection_to_be_had_says_so(
    cluster: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not opened; one that is open goes on, and the other is opened when there is room."""
    limits = ("max_connections=8", "superuser_reserved_connections=0")
    async with server_of(cluster, *limits) as server:
        place, handler = place_at(server.url), Recorder()
        inbox, late = place.inbox(), place.inbox()
        inbox.handle(on_report=handler)
        async with inbox:
            await inbox.put(report("1"))
            await handler.called(1)
            others = await take_all(server.url)
            with pytest.raises(InboxUnavailable, match="too many clients"):
                await late.__aenter__()
            receiver = PushReceiver(inbox, token=TOKEN)
            assert await status(receiver, push(report_form("2"))) == 200
            for each in others:
                await each.close()
            async with late:
                await states(late, handled=2)


async def take_all(url: str) -> list[asyncpg.Connection]:
    """Take all connections that there are."""
    taken = list[asyncpg.Connection]()
    while True:
        try:
            taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            return taken


@pytest.mark.parametrize(
    ("setting", "told"),
    [("statement_timeout", "statement timeout"), ("lock_timeout", "lock timeout")],
)
async def test_a_limit_of_the_role_is_told_and_bridged(
    server: Server, caplog: pytest.LogCaptureFixture, setting: str, told: str
) -> None:
    """A table that somebody locks for longer costs a 503, and nothing else."""
    await server.execute(f"ALTER ROLE postgres SET {setting} = 100")
    place, handler = place_at(server.url), Recorder()
    inbox = place.inbox(handling=HANDLING)
    receiver = PushReceiver(inbox, token=TOKEN, on_report=handler)
    async with inbox:
        assert await status(receiver, push(report_form("1"))) == 200
        holder = await asyncpg.connect(server.url)
        await holder.execute(f"BEGIN; LOCK TABLE {place.table} IN ACCESS EXCLUSIVE MODE")
        assert await status(receiver, push(report_form("2"))) == 503
        with pytest.raises(InboxUnavailable, match=told):
            await inbox.report_of("1")
        await holder.execute("COMMIT")
        assert await status(receiver, push(report_form("2"))) == 200
        await states(inbox, handled=2)
        await holder.close()
    assert "push refused, 503: not stored: the inbox's database failed: " in caplog.text
    assert told in caplog.text
