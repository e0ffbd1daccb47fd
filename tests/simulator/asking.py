"""Requests in process, valid unless told otherwise, and the document's texts."""

from hashlib import md5
from pathlib import Path
from typing import Any

import httpx

from ihuyi_voice.simulator import Simulator

SAMPLES = Path(__file__).parent.parent / "samples"
ROWS = [line.split(" | ") for line in (SAMPLES / "codes.txt").read_text("utf-8").splitlines()]
TEXTS = {(operation, int(code)): text for operation, code, text in ROWS}
MOBILE = "13900000000"
CONTENT = "您的订单号是：9633。"
TEMPLATE = "您的订单号是：【变量】。"
OPERATIONS = ("Submit", "GetNum", "AddTemplate", "DelTemplate")
USUAL = {"Submit": {"mobile": MOBILE, "content": CONTENT}, "AddTemplate": {"content": "新"}}


async def ask(simulator: Simulator, method: str, **fields: str) -> httpx.Response:
    """Make one request with a plain key unless told otherwise."""
    form = {"account": simulator.account, "password": simulator.api_key, **fields}
    transport = httpx.ASGITransport(app=simulator)
    async with httpx.AsyncClient(transport=transport) as client:
        url = f"http://vendor.test/webservice/voice.php?method={method}"
        return await client.post(url, data=form)


async def reply(simulator: Simulator, method: str = "Submit", **fields: str) -> dict[str, Any]:
    """Return the reply to one request, valid but for `fields`."""
    form = {**USUAL.get(method, {}), **fields, "format": "json"}
    found: dict[str, Any] = (await ask(simulator, method, **form)).json()
    return found


async def code(simulator: Simulator, method: str = "Submit", **fields: str) -> int:
    """Return the code of one request, valid but for `fields`."""
    return int((await reply(simulator, method, **fields))["code"])


def signed(text: str | bytes) -> str:
    """Return a dynamic password (section 7)."""
    return md5(text if isinstance(text, bytes) else text.encode()).hexdigest()  # noqa: S324 - section 7
