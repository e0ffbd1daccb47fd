"""Waiting for what tells nobody: only a database, a log, a server or another task knows."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Final

from ihuyi_voice.common.signal import Signal

_EVERY: Final = 0.002
"""Seconds between looks: to look in each turn of the loop keeps a core from who is waited for."""


async def comes_true(look: Callable[[], object]) -> None:
    """Return once what a look gives, or what is awaited of it, is true."""
    async with asyncio.timeout(30.0):
        async for _ in Signal().rounds(every=_EVERY):
            found = look()
            if await found if inspect.isawaitable(found) else found:
                return
