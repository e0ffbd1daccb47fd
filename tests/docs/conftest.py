"""A vendor that the examples find where they look for the real one."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ihuyi_voice.protocol import requests
from ihuyi_voice.simulator import Simulator


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator in another thread, to which the environment and the default address point."""
    simulator = Simulator("VM12345678", "api-key", limits=())
    ready = threading.Event()
    served: dict[str, Any] = {}

    async def serve() -> None:
        served["stop"] = asyncio.Event()
        served["loop"] = asyncio.get_running_loop()
        async with simulator.serve() as served["url"]:
            ready.set()
            await served["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM12345678")
    monkeypatch.setenv("IHUYI_API_KEY", "api-key")
    monkeypatch.setenv("IHUYI_BASE_URL", served["url"])
    monkeypatch.setattr(requests, "DEFAULT_BASE_URL", served["url"])
    yield simulator
    served["loop"].call_soon_threadsafe(served["stop"].set)
    thread.join()
