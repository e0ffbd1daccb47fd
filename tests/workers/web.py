"""A shop as a web application, for `uvicorn --workers 4`: each order's phone rings once.

Settings come from the environment: IHUYI_ACCOUNT, IHUYI_API_KEY and IHUYI_BASE_URL, SHOP_LEDGER
(PostgreSQL), SHOP_REDIS, and SHOP_PREFIX for its keys.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse

from ihuyi_voice import CallInFlight, NotSent, OutcomeUnknown, RateLimited, VoiceClient
from ihuyi_voice.guards import RedisGuard
from ihuyi_voice.ledger import Ledger


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Open what every worker has of its own: connections to what all of them share."""
    async with (
        RedisGuard(
            os.environ["SHOP_REDIS"],
            prefix=os.environ["SHOP_PREFIX"],
            lease=5.0,  # so long is a number locked whose worker was killed
        ) as guard,
        Ledger.open(os.environ["SHOP_LEDGER"]) as ledger,
        VoiceClient.from_env(guard=guard, ledger=ledger) as client,
    ):
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders/{order}/shipped")
async def shipped(order: str, mobile: Annotated[str, Body(embed=True)]) -> JSONResponse:
    """Tell a customer, once, however often this is asked."""
    client: VoiceClient = app.state.client
    try:
        submission = await client.submit(
            mobile, f"您的订单号是：{order}。", key=f"order-{order}-shipped", max_wait=5.0
        )
    except OutcomeUnknown:
        return _answer(202, {"status": "UNKNOWN"})
    except CallInFlight:
        return _answer(409, {"status": "IN_FLIGHT"})
    except (RateLimited, NotSent):  # both may be asked again
        return _answer(503, {"status": "NOT_SENT"})
    return _answer(200, {"status": "ACCEPTED", "voice_id": submission.voice_id})


def _answer(status: int, content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(content, status, {"x-worker": str(os.getpid())})
