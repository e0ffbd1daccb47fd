"""A receiver that lets many pushes wait, and clients of applications in process."""

import asyncio
from collections.abc import Callable
from typing import Any

import attrs
import httpx


@attrs.define(eq=False)
class Crowd:
    """A receiver that answers nobody before `enough` are there, or it is let go.

    Attributes:
        enough: How many it waits for.
        there: How many are there.
        most: How many were there at a time.
        heard: How many it has answered.
    """

    enough: int
    there: int = 0
    most: int = 0
    heard: int = 0
    free: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one push, in time."""
        await receive()
        self.there += 1
        self.most = max(self.most, self.there)
        if self.there >= self.enough:
            self.free.set()
        await self.free.wait()
        self.there -= 1
        self.heard += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"success"})


def client_of(app: Callable[..., Any], **settings: Any) -> httpx.AsyncClient:
    """Return a client that speaks to an app in process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), **settings)
