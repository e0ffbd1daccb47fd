"""The way of the vendor's pushes into an app under test, wherever that runs.

An address is posted to. An ASGI application is called in the event loop in which it was named, for
that is the one its connections and inboxes belong to. A synchronous client such as Starlette's
`TestClient` knows the app's loop itself, and is called in a thread, because it blocks.
"""

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, Final, Protocol, TypeAlias, cast

import httpx

from ihuyi_voice.common.logs import tell

logger = logging.getLogger("ihuyi_voice.testing")

ORIGIN: Final = "http://app.test"

Scope: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [Scope, Callable[[], Awaitable[Scope]], Callable[[Scope], Awaitable[None]]], Awaitable[None]
]


class SyncClient(Protocol):
    """What posts to an app from wherever it is called, as `TestClient` does."""

    def post(self, url: Any, *, content: Any, headers: Any) -> Any:  # noqa: ANN401
        """Post, and return a reply with `status_code` and `content`."""
        ...


Receiver: TypeAlias = "str | SyncClient | Callable[..., Awaitable[None]]"


def address_in(receiver: Receiver, path: str) -> str:
    """Return the address to push to."""
    origin = receiver if isinstance(receiver, str) else ORIGIN
    return f"{origin.rstrip('/')}/{path.lstrip('/')}"


def way_into(receiver: Receiver) -> httpx.AsyncClient | None:
    """Return a client that leads into an app; None where an address is enough.

    Raises:
        TypeError: Nothing leads there.
        RuntimeError: It is an ASGI application, and no loop runs here.
    """
    if isinstance(receiver, str):
        return None
    if callable(getattr(receiver, "post", None)) and not _is_application(receiver):
        return _Way(_IntoClient(cast("SyncClient", receiver)))
    if not callable(receiver):
        raise TypeError(
            "push to an address, an ASGI application or a TestClient, not to "
            f"{type(receiver).__name__}"
        )
    home = asyncio._get_running_loop()  # noqa: SLF001 - asyncio's own, and documented
    if home is None:
        raise RuntimeError(
            "no event loop runs here, so it can't be known to which one the application belongs: "
            "give the TestClient instead, or name the application in an asynchronous test"
        )
    return _Way(_IntoLoop(cast("Application", receiver), home))


def _is_application(receiver: object) -> bool:
    """Say whether it is called with scope, receive and send; a FastAPI app has a `post`, too."""
    return inspect.iscoroutinefunction(getattr(receiver, "__call__", None))  # noqa: B004


class _Way(httpx.AsyncClient):
    """A client that leads straight to its transport, and logs no address with a token in it."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(transport=transport, trust_env=False)
        self._way = transport

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:  # noqa: ANN401
        """Hand a request over."""
        return await self._way.handle_async_request(request)


def _exited(request: httpx.Request) -> httpx.ReadError:
    """Return what an app's wish to end the program comes to: the simulator and the tests go on."""
    tell(logger, logging.WARNING, "the app under test raised SystemExit when it was pushed to")
    return httpx.ReadError("the app asked for the end of the program", request=request)


class _IntoLoop(httpx.AsyncBaseTransport):
    """Calls an ASGI application in the loop that it belongs to."""

    def __init__(self, app: Application, home: asyncio.AbstractEventLoop) -> None:
        self._inner = httpx.ASGITransport(app=app)
        self._home = home

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._home.is_closed():
            raise httpx.ConnectError("the application's event loop is over", request=request)
        work = asyncio.run_coroutine_threadsafe(self._read(request), self._home)
        return await asyncio.wrap_future(work)

    async def _read(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except SystemExit as exc:  # which would end this loop, at every try anew
            raise _exited(request) from exc
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


class _IntoClient(httpx.AsyncBaseTransport):
    """Has a synchronous client post, in a thread."""

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {"Content-Type": request.headers["content-type"]}
        path = request.url.raw_path.decode("ascii")
        post = partial(self._client.post, path, content=request.content, headers=headers)
        try:
            answer = await asyncio.wrap_future(_in_a_thread(post))
        except SystemExit as exc:
            raise _exited(request) from exc
        return httpx.Response(answer.status_code, content=answer.content)


def _in_a_thread(work: Callable[[], Any]) -> "Future[Any]":
    """Do some work in a thread of its own, which keeps nobody from the end if it hangs."""
    future, context = Future[Any](), copy_context()

    def do() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as exc:  # noqa: BLE001 - whoever waits is told
            future.set_exception(exc)

    future.set_running_or_notify_cancel()
    threading.Thread(target=do, daemon=True).start()
    return future
