"""A vendor that the examples find where they look for the real one."""

import asyncio
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest

from ihuyi_voice.protocol import requests
from ihuyi_voice.simulator import Simulator
from ihuyi_voice.simulator.server import serving

PATH = "/webservice/voice.php"


class Stage:
    """One server for all examples: whichever simulator stands on it answers."""

    def __init__(self) -> None:
        self.simulator = Simulator()
        self.address = ""
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=[self._serve()])

    def open(self) -> None:
        """Serve, in another thread."""
        self._thread.start()
        self._ready.wait()

    def close(self) -> None:
        """End that."""
        self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self.loop.close()

    async def _serve(self) -> None:
        async with serving(self) as address:
            self.address = address + PATH
            self._ready.set()
            await self._over.wait()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer, as whoever stands on it."""
        await self.simulator(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """Serve once."""
    stage = Stage()
    stage.open()
    yield stage
    stage.close()


@pytest.fixture
def vendor(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator of this test's own, to which the environment and the default address point."""
    stage.simulator = Simulator("VM12345678", "api-key", limits=())
    monkeypatch.setenv("IHUYI_ACCOUNT", "VM12345678")
    monkeypatch.setenv("IHUYI_API_KEY", "api-key")
    monkeypatch.setenv("IHUYI_BASE_URL", stage.address)
    monkeypatch.setattr(requests, "DEFAULT_BASE_URL", stage.address)
    return stage.simulator


@pytest.fixture
def vendor_url(stage: Stage, vendor: Simulator) -> str:
    """Return where it is served, as the environment says."""
    assert vendor.account
    return stage.address
