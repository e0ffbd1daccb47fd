"""The receiver in the web frameworks that our users have, over real sockets."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from ihuyi_voice.pushes import Inbox, PushReceiver
from tests.pushes.servers import serving
from tests.pushes.support import FORM, Recorder, audit_form, report_form

TOKEN = "2Zb0-secret"


def opening(inbox: Inbox) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan, as every framework has them, that opens the inbox."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[None]:
        async with inbox:
            yield

    return lifespan


@asynccontextmanager
async def bare(inbox: Inbox, receiver: PushReceiver) -> AsyncGenerator[Any]:
    """The receiver is the application: it opens the inbox by itself."""
    assert not inbox.is_open
    yield receiver
    assert not inbox.is_open


@asynccontextmanager
async def fastapi(inbox: Inbox, receiver: PushReceiver) -> AsyncGenerator[Any]:
    """Mounted in FastAPI, which opens the inbox in its lifespan."""
    app = FastAPI(lifespan=opening(inbox))
    app.mount("/pushes", receiver)
    yield app


@asynccontextmanager
async def starlette(inbox: Inbox, receiver: PushReceiver) -> AsyncGenerator[Any]:
    """Mounted in Starlette, likewise."""
    yield Starlette(routes=[Mount("/pushes", receiver)], lifespan=opening(inbox))


@asynccontextmanager
async def litestar(inbox: Inbox, receiver: PushReceiver) -> AsyncGenerator[Any]:
    """Mounted in Litestar, likewise."""
    from litestar import Litestar, asgi  # noqa: PLC0415 - slow to load, and for this alone

    mounted = asgi("/pushes", is_mount=True, copy_scope=True)(receiver)
    yield Litestar([mounted], lifespan=[opening(inbox)], openapi_config=None)


FRAMEWORKS: list[tuple[Callable[..., Any], str]] = [
    (bare, ""),
    (fastapi, "/pushes"),
    (starlette, "/pushes"),
    (litestar, "/pushes"),
]


@pytest.mark.parametrize(
    ("framework", "prefix"), FRAMEWORKS, ids=[each.__name__ for each, _ in FRAMEWORKS]
)
async def test_pushes_arrive_through_the_framework(
    framework: Callable[..., Any], prefix: str, tmp_path: Path
) -> None:
    """Stored, answered and handled; with the wrong token they aren't even read."""
    on_report, on_audit = Recorder(), Recorder()
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    receiver = PushReceiver(inbox, token=TOKEN, on_report=on_report, on_audit=on_audit)
    async with framework(inbox, receiver) as app, serving(app) as url, httpx.AsyncClient() as web:
        address = f"{url}{prefix}/{TOKEN}"
        kind = {"Content-Type": FORM}
        for body in (report_form("7"), report_form("7"), audit_form("8")):
            answer = await web.post(address, content=body, headers=kind)
            assert (answer.status_code, answer.text) == (200, "success")
            assert answer.headers["content-type"].startswith("text/plain")
        refused = await web.post(f"{url}{prefix}/wrong", content=report_form("9"), headers=kind)
        assert refused.status_code == 404
        assert (await web.get(address)).status_code == 405
        assert (await inbox.report_of("7", timeout=0)).voice_id == "7"
        await asyncio.gather(on_report.called(1), on_audit.called(1))
    assert [report.voice_id for report in on_report.seen] == ["7"]
    assert [audit.template_id for audit in on_audit.seen] == ["8"]
