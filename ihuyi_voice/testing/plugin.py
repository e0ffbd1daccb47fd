"""The pytest plugin: the fixtures, the marker, and the block before the vendor's real hosts.

It is loaded with pytest by its entry point, whether a project's tests use it or not. So until one
of its fixtures runs it imports nothing of ours but the block.
"""

import os
from typing import TYPE_CHECKING

import pytest

from ihuyi_voice.common import network

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ihuyi_voice.client import VoiceClient
    from ihuyi_voice.testing.clock import SharedClock
    from ihuyi_voice.testing.home import Home
    from ihuyi_voice.testing.kit import Kit
    from ihuyi_voice.testing.simulator import ServedSimulator

_MARK = (
    "ihuyi(**options): options of ihuyi_simulator (balance=0, templates=[…], results=-6, …) and of "
    "ihuyi_client (timeout=1.0, guard=None, …), by their names there"
)


def pytest_configure(config: pytest.Config) -> None:
    """Forbid the vendor's hosts to this process, and to those that it starts."""
    config.addinivalue_line("markers", _MARK)
    network.forbid()
    before = os.environ.get(network.VARIABLE)
    os.environ[network.VARIABLE] = before or "1"

    def allow() -> None:
        if before is None:
            os.environ.pop(network.VARIABLE, None)
        network.allow()

    config.add_cleanup(allow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Watch what was imported since the last test, too."""
    network.stand_guard()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """And what its fixtures imported, an event loop for one."""
    network.stand_guard()


@pytest.fixture(scope="session")
def _ihuyi_home() -> "Iterator[Home]":  # pyright: ignore[reportUnusedFunction] - pytest finds it
    from ihuyi_voice.testing.home import home  # noqa: PLC0415 - not before it is needed

    with home() as made:
        yield made


@pytest.fixture
def _ihuyi_kit(  # pyright: ignore[reportUnusedFunction] - pytest finds it
    _ihuyi_home: "Home", request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> "Iterator[Kit]":
    from ihuyi_voice.testing.kit import kit  # noqa: PLC0415 - not before it is needed

    _need_asyncio(request)
    marks = [*request.node.iter_markers("ihuyi")]
    if any(mark.args for mark in marks):
        raise TypeError("pytest.mark.ihuyi takes options by name: pytest.mark.ihuyi(balance=0)")
    with kit(_ihuyi_home, [mark.kwargs for mark in marks]) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        for defaults in made.clocks:
            monkeypatch.setitem(defaults, "clock", made.simulator.clock)
        yield made


def _need_asyncio(request: pytest.FixtureRequest) -> None:
    """Say what to do where anyio's plugin runs a test under trio."""
    if "anyio_backend" not in request.fixturenames:
        return
    backend = request.getfixturevalue("anyio_backend")
    name = backend if isinstance(backend, str) else backend[0]
    if name != "asyncio":
        pytest.fail(
            f"ihuyi-voice is made for asyncio, and this test runs under {name}: let a fixture "
            '`anyio_backend` return "asyncio"',
            pytrace=False,
        )


@pytest.fixture
def ihuyi_simulator(_ihuyi_kit: "Kit") -> "ServedSimulator":
    """Return the vendor in a box, served over a real socket; nothing leaves this machine.

    `VoiceClient.from_env()` leads to it, because IHUYI_ACCOUNT, IHUYI_API_KEY and IHUYI_BASE_URL
    are set for the test. Clients and memory guards that are made during the test go by its clock.
    """
    return _ihuyi_kit.simulator


@pytest.fixture
def ihuyi_client(
    _ihuyi_kit: "Kit",
    ihuyi_simulator: "ServedSimulator",  # noqa: ARG001 - a project's own does more to it
) -> "Generator[VoiceClient]":
    """Return a client of `ihuyi_simulator`, which is opened in the loop of its first use."""
    client = _ihuyi_kit.client()
    yield client
    client.finish()


@pytest.fixture
def ihuyi_clock(_ihuyi_kit: "Kit") -> "SharedClock":
    """Return the clock of vendor, guard and pushes, which stands still until it is moved.

    What waits for a time goes on when the clock is moved there. In a test that doesn't ask for this
    fixture, a client that has to wait moves the clock by itself.
    """
    _ihuyi_kit.clock.passes_waits = False
    return _ihuyi_kit.clock
