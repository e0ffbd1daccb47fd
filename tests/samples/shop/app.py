"""A shop that calls people when their order is on its way.

    uvicorn --factory tests.samples.shop.app:create_app --workers 2

An order rings once, whatever dies and however often it is asked: its number is the key of the call
in the ledger, which all workers share. How the call went, the vendor pushes.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import format_datetime
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ihuyi_voice import (
    RateLimited,
    Submission,
    VoiceError,
)
from ihuyi_voice.ledger import Ledger
from ihuyi_voice.pushes import DeliveryReport, Inbox, PushReceiver

from .orders import Order, Orders
from .settings import ShopSettings, VoiceSettings

Number = Annotated[int, Path(ge=1, lt=2**63)]
Seconds = Annotated[float, Query(ge=0, le=60)]


def create_app() -> FastAPI:
    """Return the shop, as its environment describes it."""
    voice = VoiceSettings()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - it reads
    folder = ShopSettings().folder
    inbox = Inbox.open(folder / "pushes.db")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        with Orders.open(folder / "orders.db") as app.state.orders:
            async with (
                inbox,
                Ledger.open(folder / "calls.db", inbox=inbox) as ledger,
                voice.client(ledger) as app.state.voice,
            ):
                yield

    app = FastAPI(lifespan=lifespan)
    app.state.inbox = inbox
    app.mount("/ihuyi", PushReceiver(inbox, token=voice.push_token.get_secret_value()))
    app.add_exception_handler(VoiceError, tell)
    app.post("/orders", status_code=201)(add)
    app.post("/orders/{number}/shipped")(shipped)
    app.get("/orders/{number}")(look)
    return app


async def tell(_: Request, error: Exception) -> JSONResponse:
    """Answer an error of a call: 422, 503, or 202 if the phone may ring and a report will tell."""
    assert isinstance(error, VoiceError)
    headers: dict[str, str] = {}
    if isinstance(error, RateLimited) and error.retry_at is not None:
        headers["Retry-After"] = format_datetime(error.retry_at, usegmt=True)
    return JSONResponse(error.to_dict(), error.http_status, headers)


async def add(request: Request, mobile: Annotated[str, Body(embed=True)]) -> dict[str, int]:
    """Take an order."""
    return {"number": await run_in_threadpool(request.app.state.orders.add, mobile)}


async def shipped(request: Request, number: Number) -> Submission:
    """Call whose order it is. To ask again is the same call: it tells what became of it by now."""
    order, voice = await _found(request, number), request.app.state.voice
    submission: Submission = await voice.submit(
        order.mobile,
        f"您的订单号是：{number}。已由顺风快递发出，请注意查收。",
        key=f"order-{number}-shipped",
        max_wait=2.0,
        timeout=15.0,
    )
    await run_in_threadpool(request.app.state.orders.called, number, submission.voice_id)
    return submission


class View(BaseModel):
    """What is told of an order."""

    voice_id: str | None
    report: DeliveryReport | None


async def look(request: Request, number: Number, wait: Seconds = 0.0) -> View:
    """Tell of an order, and how its call ended, if that is known within `wait` seconds."""
    order = await _found(request, number)
    return View(voice_id=order.voice_id, report=await _report(request, order, wait))


async def _report(request: Request, order: Order, wait: float) -> DeliveryReport | None:
    inbox: Inbox = request.app.state.inbox
    try:
        return await inbox.report_of(order.voice_id, timeout=wait) if order.voice_id else None
    except TimeoutError:
        return None


async def _found(request: Request, number: int) -> Order:
    order: Order | None = await run_in_threadpool(request.app.state.orders.find, number)
    if order is None:
        raise HTTPException(404, "there is no such order")
    return order
