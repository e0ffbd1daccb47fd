"""`simulate`: the vendor as a server of its own."""

import asyncio
import errno
import os
import signal
import socket
import subprocess

import pytest

from ihuyi_voice import NotSent, RetryPolicy, VoiceClient
from ihuyi_voice.cli import simulate
from ihuyi_voice.cli.output import console
from ihuyi_voice.simulator import Simulator
from tests.support.command import KEY, PROGRAM, run


async def test_simulate_serves_until_it_is_interrupted() -> None:
    """In a process of its own: it prints its address, answers there, and Ctrl-C ends it."""
    args = ("simulate", "--port", "0", "--account", "VM1", "--api-key", KEY, "--balance", "7")
    with subprocess.Popen(  # noqa: S603, ASYNC220 - our own program, whose lines come at once
        [*PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().removeprefix("listening at ").strip()
        assert process.stdout.readline() == "account VM1\n"
        async with VoiceClient("VM1", KEY, base_url=url) as client:
            assert await client.balance() == 7
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate()
    assert process.returncode not in {0, -signal.SIGINT}
    assert (rest, "Traceback" in told) == ("", False)
    assert KEY not in url + rest + told


def test_simulate_takes_the_vendors_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every option reaches the simulator; its key doesn't show in a repr."""
    served: list[simulate.SimulatorSettings] = []

    class Recorded(Simulator):
        def __init__(self, *args: object, **options: object) -> None:
            served.append(settings_of(args, options))
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(simulate, "Simulator", Recorded)
    options = ("--balance", "3", "--template", "a", "--template", "b", "--latency", "1", "--jitter")
    result = run("simulate", "--account", "VM1", "--api-key", KEY, *options, "0.5")
    assert result.exit_code == 6
    assert served == [simulate.SimulatorSettings("VM1", KEY, 3, ("a", "b"), 1.0, 0.5)]
    assert KEY not in repr(served)


def settings_of(args: tuple[object, ...], options: dict[str, object]) -> simulate.SimulatorSettings:
    """Return what a simulator was made of."""
    names = ("balance", "templates", "latency", "jitter")
    return simulate.SimulatorSettings(*args, *(options[name] for name in names))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - compared, not used


def test_a_port_that_is_taken_is_told() -> None:
    """Exit code 6, with the system's reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("simulate", "--port", str(taken.getsockname()[1]))
    assert (result.exit_code, "in use" in result.stderr) == (6, True)


async def test_the_simulator_prints_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it does listen; cancelled, it closes."""
    lines: list[str] = []
    told = asyncio.Event()

    def note(line: str, **_: object) -> None:
        lines.append(line)
        if line == "account VM1":
            told.set()

    monkeypatch.setattr(console, "print", note)
    settings = simulate.SimulatorSettings("VM1", KEY, 7, (), 0.0, 0.0)
    serving = asyncio.create_task(simulate.simulate("127.0.0.1", 0, settings))
    await told.wait()
    url = lines[0].removeprefix("listening at ")
    async with VoiceClient("VM1", KEY, base_url=url, retry=RetryPolicy(attempts=1)) as client:
        assert await client.balance() == 7
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        with pytest.raises(NotSent):
            await client.balance()
