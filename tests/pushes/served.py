"""A receiver as its users write it, to be run by any server: `tests.pushes.served:by_itself`.

Where its inbox is comes from the environment: IHUYI_TEST_INBOX, and IHUYI_TEST_ALLOW for the
networks that may push.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from ihuyi_voice.pushes import DeliveryReport, Inbox, PushReceiver, TemplateAudit
from tests.pushes.servers import TOKEN

logging.basicConfig(level=logging.INFO, force=True)


async def on_report(_: DeliveryReport) -> None:
    """Do nothing with a report."""


async def on_audit(_: TemplateAudit) -> None:
    """Do nothing with an audit."""


inbox = Inbox.open(os.environ["IHUYI_TEST_INBOX"])
by_itself = PushReceiver(
    inbox,
    token=TOKEN,
    on_report=on_report,
    on_audit=on_audit,
    allow=[os.environ["IHUYI_TEST_ALLOW"]] if "IHUYI_TEST_ALLOW" in os.environ else None,
)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncGenerator[None]:
    """Open the inbox, as a receiver that is mounted can't."""
    async with inbox:
        yield


in_starlette = Starlette(routes=[Mount("/pushes", by_itself)], lifespan=lifespan)
in_fastapi = FastAPI(lifespan=lifespan)
in_fastapi.mount("/pushes", by_itself)

_opening = asyncio.Lock()


async def at_first_push(scope: Any, receive: Any, send: Any) -> None:
    """Open the inbox when the first request comes, for servers that tell nothing of their start.

    They tell nothing of their end either: what was handled then is handled again, by whoever opens
    the inbox next.
    """
    async with _opening:
        if not inbox.is_open:
            await inbox.__aenter__()
    await by_itself(scope, receive, send)
