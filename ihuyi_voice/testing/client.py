"""A client for tests: whatever event loop it is used in first, it is closed before that loop is.

A fixture that belongs to every test, synchronous or not, can't await. But an event loop that ends
in good order ends its asynchronous generators first (`asyncio.run`, pytest-asyncio, anyio and
Starlette's portal all do): so the client keeps one in the loop of its first use, whose end is to
close it.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from ihuyi_voice.client import VoiceClient
from ihuyi_voice.models import Message
from ihuyi_voice.protocol import Answer, Call


class LoopClient(VoiceClient):
    """A client that is opened at its first use, and closed with the loop of that use."""

    _keeper: AsyncGenerator[None] | None = None
    _home: asyncio.AbstractEventLoop | None = None

    def finish(self) -> None:
        """Close it from outside of its loop, if that goes on after the test."""
        keeper, home = self._keeper, self._home
        if keeper is None or home is None or home.is_closed():
            return
        if home.is_running():  # in another thread
            asyncio.run_coroutine_threadsafe(keeper.aclose(), home).result(30.0)
        else:
            home.run_until_complete(keeper.aclose())

    def _checked(self, message: Message) -> tuple[str, str]:
        self._keep()
        return super()._checked(message)

    async def _ask(self, call: Call) -> tuple[Answer, int]:
        self._keep()
        return await super()._ask(call)

    def _keep(self) -> None:
        if self._keeper is not None:
            return
        self._home = asyncio.get_running_loop()
        self._keeper = self._until_the_end()
        first: Any = self._keeper.__anext__()
        with suppress(StopIteration):  # it is at its yield now, and its loop knows of it
            first.send(None)

    async def _until_the_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.aclose()
