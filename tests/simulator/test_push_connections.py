"""The connections that pushes go out on: how many, kept for how long, trusting whom."""

# The limits of time are shortened from inside.
# pyright: reportPrivateUsage=false

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from ihuyi_voice.simulator import ManualClock, PushFault, Simulator, pushing
from ihuyi_voice.simulator.server import serving
from tests.simulator.conftest import TOKEN, Ear, Stage
from tests.simulator.crowd import Crowd, client_of
from tests.support.sockets import read_request, until


@asynccontextmanager
async def pushing_to(app: Any, **tls: Any) -> AsyncGenerator[Stage]:
    """Serve a receiver over a real socket, and give a simulator its address."""
    clock = ManualClock()
    simulator = Simulator(clock=clock, limits=())
    async with client_of(simulator) as web, serving(app, **tls) as address:
        simulator.push_to = f"{address}/{TOKEN}"
        yield Stage(simulator, clock, Ear(), web)


async def submit(stage: Stage, count: int) -> None:
    """Have so many reports due."""
    for place in range(count):
        await stage.submit(f"1390000{place:04d}")
    stage.clock.advance(1.0)


async def test_fifty_duplicates_over_sockets_are_there_at_the_same_time() -> None:
    """The simulator's own connections are as many as that takes."""
    crowd, clock = Crowd(enough=100), ManualClock()
    simulator = Simulator(clock=clock, limits=())
    simulator.add_push_fault(PushFault("duplicate"))
    async with client_of(simulator) as web, serving(crowd) as address:
        simulator.push_to = f"{address}/{TOKEN}"
        stage = Stage(simulator, clock, Ear(), web)
        for place in range(50):
            await stage.submit(f"1390000{place:04d}")
        assert await stage.later(1.0) == 50
    assert crowd.most == 100


async def test_a_receiver_that_answers_too_late_has_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The vendor hangs up, and tries again."""
    monkeypatch.setattr(pushing, "_TIMEOUT", 0.05)
    crowd, clock = Crowd(enough=2), ManualClock()
    simulator = Simulator(clock=clock)
    async with client_of(simulator) as web, serving(crowd) as address:
        simulator.push_to = f"{address}/{TOKEN}"
        stage = Stage(simulator, clock, Ear(), web)
        await stage.submit()
        assert await stage.later(1.0) == 1
        assert crowd.there == 1
        crowd.free.set()
    assert (simulator.pushes[0].status, simulator.pushes[0].acknowledged) == (None, False)
    assert simulator.next_push == clock() + 60.0


async def test_its_own_connections_are_closed_when_pushing_ends() -> None:
    """Kept alive until then: two pushes on one connection, then its end."""
    clock, ended, connections = ManualClock(), asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while True:
                await read_request(reader)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess")
        writer.close()
        ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        simulator = Simulator(clock=clock, limits=(), push_to=f"http://127.0.0.1:{port}/")
        async with client_of(simulator) as web, simulator.pushing():
            for count in (1, 2):
                await Stage(simulator, clock, Ear(), web).submit()
                clock.advance(1.0)
                await simulator.pushed(count)
            assert not ended.is_set()
        async with asyncio.timeout(10.0):  # idle ones are closed after 15 seconds anyway
            await ended.wait()
    assert connections == 1
    assert all(each.acknowledged for each in simulator.pushes)


async def test_a_push_that_is_cancelled_takes_no_connection_away() -> None:
    """Those that come later have as many as ever, though a cancelled one may leave a ruin."""
    crowd = Crowd(enough=1_000)
    async with pushing_to(crowd) as stage:
        await submit(stage, 50)
        cancelled = asyncio.create_task(stage.simulator.push_due())
        async with stage.simulator.pushing():  # which keeps the connections
            await until(lambda: crowd.there == 50)
            cancelled.cancel()
            await asyncio.wait({cancelled})
            await until(lambda: crowd.there == 100)  # they were queued again, and are due
            crowd.free.set()
            await stage.simulator.pushed(50)
    assert all(each.acknowledged for each in stage.simulator.pushes)


async def test_many_pushes_share_few_connections() -> None:
    """One after the other goes over the connection that was used last."""
    places: set[tuple[str, int]] = set()

    async def ear(scope: Any, receive: Any, send: Any) -> None:
        places.add(scope["client"])
        await Ear()(scope, receive, send)

    async with pushing_to(ear) as stage, stage.simulator.pushing():
        for count in range(1, 21):
            await submit(stage, 1)
            await stage.simulator.pushed(count)
    assert len(places) == 1


async def test_a_connection_that_the_receiver_closes_is_replaced() -> None:
    """Also one that ends in the middle of an answer, which then wasn't heard."""
    ends = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsucc"]
    ends += [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsuccess"] * 2

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(ends.pop(0))
        writer.close()

    clock = ManualClock()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        simulator = Simulator(clock=clock, limits=(), push_to=f"http://127.0.0.1:{port}/")
        async with client_of(simulator) as web, simulator.pushing():
            for count in (1, 2, 3, 4):
                await Stage(simulator, clock, Ear(), web).submit()
                clock.advance(1.0)
                await simulator.pushed(count)
    told = [each.acknowledged for each in simulator.pushes]
    assert told == [False, False, True, True]


async def test_pushes_pass_by_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor knows nothing of those in this machine's environment."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    ear = Ear()
    async with pushing_to(ear) as stage:
        await submit(stage, 1)
        assert await stage.simulator.push_due() == 1
    assert len(ear.heard) == 1


async def test_pushes_go_over_tls_to_whom_the_environment_trusts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By SSL_CERT_FILE, which may change from one time of pushing to the next."""
    authority, ear = trustme.CA(), Ear()
    issued = authority.issue_cert("127.0.0.1")
    pem, trusted = tmp_path / "server.pem", tmp_path / "trusted.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(trusted))
    async with pushing_to(ear, certfile=str(pem), keyfile=str(pem)) as stage:
        await submit(stage, 1)
        assert await stage.simulator.push_due() == 1
        assert not ear.heard
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert await stage.later(60.0) == 1
    assert [each.acknowledged for each in stage.simulator.pushes] == [False, True]


async def test_the_trust_store_is_only_loaded_for_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes tens of milliseconds, and the demo's pushes go over http."""

    def never(*_: object, **__: object) -> ssl.SSLContext:
        raise AssertionError

    monkeypatch.setattr(ssl, "create_default_context", never)
    ear = Ear()
    async with pushing_to(ear) as stage:
        await submit(stage, 1)
        await stage.simulator.push_due()
    assert len(ear.heard) == 1


def test_one_simulator_may_serve_several_event_loops_in_turn() -> None:
    """As a module's simulator does, under tests that have a loop each; with waits everywhere."""
    clock = ManualClock()
    simulator = Simulator(clock=clock, limits=())

    async def once(count: int) -> None:
        arriving = asyncio.create_task(simulator.arrived(count))
        pushing = asyncio.create_task(simulator.pushed(count))
        async with (
            serving(Crowd(enough=50)) as address,
            simulator.serve(),
            client_of(simulator) as web,
        ):
            simulator.push_to = f"{address}/{TOKEN}"
            stage = Stage(simulator, clock, Ear(), web)
            for place in range(60):
                await stage.submit(f"1390000{place:04d}")
            clock.advance(1.0)
            async with asyncio.timeout(30.0):
                await asyncio.gather(arriving, pushing)

    asyncio.run(once(60))
    asyncio.run(once(120))
    assert all(each.acknowledged for each in simulator.pushes)
