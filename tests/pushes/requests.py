"""Requests to a receiver, and a gate before its table."""

# The gate can only be put up inside.
# pyright: reportPrivateUsage=false

import asyncio
from typing import Any

import pytest

from ihuyi_voice.pushes import PushReceiver
from ihuyi_voice.pushes.store import Store
from tests.pushes.support import FORM, Exchange, body_events, report_form

TOKEN = "2Zb0-se.cr~et_"


def push(*chunks: bytes, path: str = f"/{TOKEN}", **changes: Any) -> Exchange:
    """Return a request with this body; a report if there is none."""
    return Exchange(path, body_events(*(chunks or (report_form(),))), **changes)


def form(*headers: tuple[bytes, bytes], kind: str = FORM) -> list[tuple[bytes, bytes]]:
    """Return the headers of a form and some more."""
    return [(b"content-type", kind.encode("latin-1")), *headers]


async def status(app: PushReceiver, exchange: Exchange) -> int:
    """Return the status of an answer, having checked that only 200 says `success`."""
    answer = await exchange.put_to(app)
    assert answer is not None
    assert (answer.body == b"success") is (answer.status == 200)
    assert answer.headers[b"content-type"] == b"text/plain; charset=utf-8"
    return answer.status


class Gate:
    """Stands before the insertion of pushes: holds it up, and fails it when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.error: Exception | None = None
        insert = Store._insert

        async def gated(store: Store, rows: Any) -> None:
            self.reached.set()
            await self.opened.wait()
            if self.error is not None:
                raise self.error
            await insert(store, rows)

        monkeypatch.setattr(Store, "_insert", gated)
