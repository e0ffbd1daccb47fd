"""The receiver under the servers that our users run it with, over real sockets."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice.pushes import Inbox
from tests.pushes.servers import (
    DAPHNE,
    GRANIAN,
    HYPERCORN,
    KINDS,
    TOKEN,
    UVICORN,
    Kind,
    Run,
    process_of,
)
from tests.pushes.support import FORM, audit_form, report_form, states
from tests.support.servers import free_port

pytestmark = pytest.mark.long

HEADERS = {"CONTENT-TYPE": FORM}  # servers hand names over in lower case
WITH_LIFESPAN = [UVICORN, HYPERCORN, GRANIAN]


def of_kinds(*kinds: Kind) -> pytest.MarkDecorator:
    """Run a test with each of these servers."""
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.name)


@asynccontextmanager
async def served(
    kind: Kind, app: str, room: Path, *options: str, **client: Any
) -> AsyncGenerator[tuple[Run, httpx.AsyncClient]]:
    """Run a server with an application of `tests.pushes.served`; yield a client of it, too."""
    port = free_port()
    listen = [*kind.port.format(port).split(), *options]
    async with process_of(kind, app, listen, room) as run:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, headers=HEADERS, **client) as web:
            await listening(run, web)
            yield run, web
    assert run.process.returncode == kind.end, run.said()
    assert "Traceback" not in run.said()


async def listening(run: Run, web: httpx.AsyncClient) -> None:
    """Return once the server answers."""
    while True:
        assert run.process.returncode is None, run.said()
        try:
            await web.get("/")
        except httpx.TransportError:
            continue
        return


def inbox_in(room: Path) -> Inbox:
    """Return the inbox of a served application, for another process: this one."""
    return Inbox.open(room / "pushes.sqlite3")


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body whose length nobody says."""
    for start in range(0, len(body), 50):
        yield body[start : start + 50]


async def push_all(web: httpx.AsyncClient, prefix: str, inbox: Inbox) -> None:
    """Push a report twice and an audit, and some that are refused; return when all is handled."""
    address = f"{prefix}/{TOKEN}"
    spelled = f"{prefix}/%32{TOKEN[1:]}"
    assert (await web.post(f"{prefix}/wrong", content=report_form("9"))).status_code == 404
    assert (await web.get(address)).status_code == 405
    for path, body in (
        (address, report_form("7")),
        (spelled, in_pieces(report_form("7"))),
        (address, audit_form("8")),
    ):
        answer = await web.post(path, content=body)
        assert (answer.status_code, answer.content) == (200, b"success")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    await states(inbox, handled=2)


@pytest.mark.parametrize(
    ("app", "prefix"),
    [("by_itself", ""), ("in_fastapi", "/pushes"), ("in_starlette", "/pushes")],
)
@of_kinds(*WITH_LIFESPAN)
async def test_pushes_arrive_through_the_server(
    kind: Kind, app: str, prefix: str, tmp_path: Path
) -> None:
    """By itself or mounted: stored, answered and handled; ended, it has closed its inbox."""
    async with served(kind, app, tmp_path) as (_, web):
        async with inbox_in(tmp_path) as inbox:
            await push_all(web, prefix, inbox)
        assert (tmp_path / "pushes.sqlite3-wal").exists()
    assert not (tmp_path / "pushes.sqlite3-wal").exists()  # which the last one to close removes


async def test_a_server_that_knows_no_lifespan_is_told_of(tmp_path: Path) -> None:
    """Daphne opens no inbox: pushes are answered 503, and the log says what is missing."""
    async with served(DAPHNE, "by_itself", tmp_path) as (run, web):
        answer = await web.post(f"/{TOKEN}", content=report_form("7"))
        assert answer.status_code == 503
        assert "the inbox of this receiver is not open" in run.said()


async def test_without_a_lifespan_the_first_push_opens_the_inbox(tmp_path: Path) -> None:
    """In three lines of the user's own; what was handled in a process that ends stays handled."""
    async with served(DAPHNE, "at_first_push", tmp_path) as (_, web):
        async with inbox_in(tmp_path) as inbox:
            await push_all(web, "", inbox)
    async with inbox_in(tmp_path) as inbox:
        await states(inbox, handled=2)


@of_kinds(HYPERCORN, GRANIAN)
async def test_pushes_arrive_by_http_2(kind: Kind, tmp_path: Path) -> None:
    """Where a connection isn't ours to close by a header."""
    http2 = {"http1": False, "http2": True}
    async with served(kind, "by_itself", tmp_path, **http2) as (_, web):
        answer = await web.post(f"/{TOKEN}", content=report_form("7"))
        assert (answer.http_version, answer.content) == ("HTTP/2", b"success")
        refused = await web.get(f"/{TOKEN}")
        assert (refused.http_version, refused.status_code) == ("HTTP/2", 405)


@of_kinds(*KINDS)
async def test_a_proxy_may_have_it_under_a_path(kind: Kind, tmp_path: Path) -> None:
    """Which servers tell an application, or take away, or both: the token is what counts."""
    app = "at_first_push" if kind is DAPHNE else "in_starlette"
    below = "" if kind is DAPHNE else "/pushes"
    async with served(kind, app, tmp_path, kind.prefix, "/voice") as (_, web):
        seen = "" if kind is UVICORN else "/voice"  # it expects a proxy that takes it away
        answer = await web.post(f"{seen}{below}/{TOKEN}", content=report_form("7"))
        assert (answer.status_code, answer.content) == (200, b"success")


@of_kinds(*KINDS)
async def test_a_sender_without_an_address_is_one_like_any_other(
    kind: Kind, tmp_path: Path
) -> None:
    """On a Unix socket; where only some may push, it is none of them."""
    app = "at_first_push" if kind is DAPHNE else "by_itself"
    path = str(tmp_path / "s")
    options: dict[str, Any] = {"base_url": "http://localhost", "headers": HEADERS}
    for allow, status in ((None, 200), ("127.0.0.0/8", 403)):
        listen = kind.socket.format(path).split()
        async with process_of(kind, app, listen, tmp_path, allow=allow) as run:
            way = httpx.AsyncHTTPTransport(uds=path)
            async with httpx.AsyncClient(transport=way, **options) as web:
                await listening(run, web)
                answer = await web.post(f"/{TOKEN}", content=report_form("7"))
                assert answer.status_code == status


@of_kinds(*WITH_LIFESPAN)
async def test_a_server_does_not_start_without_its_inbox(kind: Kind, tmp_path: Path) -> None:
    """It says why, and ends."""
    listen = kind.port.format(free_port()).split()
    async with process_of(kind, "by_itself", listen, tmp_path, folder="missing") as run:
        await run.process.wait()
        assert "unable to open database file" in run.said()
