"""A pipe that nobody reads: it is waited for, and never keeps a signal from being heard."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from select import select
from typing import IO, Any

import httpx
import pytest

from ihuyi_voice import VoiceClient
from ihuyi_voice.bulk import BulkRun
from ihuyi_voice.cli import streams
from ihuyi_voice.cli.course import Course, Plan, follow, submissions
from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.output import print_json, reporting
from ihuyi_voice.cli.streams import OutputClosed, haste, room
from ihuyi_voice.cli.told import Told, print_row
from ihuyi_voice.inputs import RecipientsFile
from ihuyi_voice.simulator import Simulator
from tests.cli.test_once import ROWS, arrived, results, statuses, write
from tests.support.command import PROGRAM
from tests.support.sockets import until

if sys.platform == "win32":
    pytest.skip("it can't wait for pipes", allow_module_level=True)


class Unread:
    """`send --json` into a pipe that nobody reads."""

    def __init__(self, *args: object) -> None:
        self.reading, writing = os.pipe()
        self.running = subprocess.Popen(  # noqa: S603 - our own program
            [*PROGRAM, "send", *map(str, args), "--json", "--concurrency", "20"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writing)

    def end(self) -> tuple[int, str]:
        """Ask for the end until it comes, which it does at some time; return code and stderr."""
        for patience in (0.3, 9.0, 9.0, 9.0):
            self.running.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                _, complained = self.running.communicate(timeout=patience)
                os.close(self.reading)
                return self.running.returncode, complained
        self.running.kill()
        raise AssertionError(self.running.communicate())


@pytest.mark.slow
def test_signals_are_heard_while_nobody_reads(vendor: Simulator, tmp_path: Path) -> None:
    """Or SIGKILL would be all that helps, and what is in flight would be lost by that."""
    out = tmp_path / "out.csv"
    sending = Unread(write(tmp_path), "--out", out)
    arrived(vendor, 200, sending)  # type: ignore[arg-type]  # it runs, and that is enough
    code, complained = sending.end()
    assert (code, "nobody read the output" in complained) == (6, True), complained
    assert json.loads(complained.splitlines()[-1])["exit_code"] == 6
    told = [row["手机号"] for row in results(out)]
    assert len(told) == len(set(told))
    ends = statuses(out)
    assert ends["ACCEPTED"] + ends["UNKNOWN"] == len(vendor.arrivals) < ROWS


@pytest.fixture
def full() -> Iterator[tuple[int, IO[str]]]:
    """A full pipe: the end of its reader, and that of its writer."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    with open(writing, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a number
        yield reading, file
    os.close(reading)


class Looks:
    """Counts the looks at a pipe, and has signals come, or somebody read, at some of them."""

    def __init__(
        self, signals: Sequence[int], reading: int, reads_at: int = 0, *, asked: bool = False
    ) -> None:
        self.count = 0
        self.heard = list[bool]()
        self._signals, self._reading, self._reads_at = signals, reading, reads_at
        self.now = 1000.0
        self._asked = asked

    def print_json(self, file: IO[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Print something there, with a clock that goes on with each look."""
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", file)
            patch.setattr(haste, "is_counted", True)
            patch.setattr(haste, "is_asked", self._asked)
            patch.setattr(streams, "select", self.select)
            patch.setattr(streams, "monotonic", lambda: self.now)
            print_json({"a": 1})

    def select(self, *_: object) -> tuple[list[int], list[int], list[int]]:
        """Look."""
        self.count += 1
        self.now += 1.0
        self.heard += [haste.note() for at in self._signals if at == self.count]
        if self.count == self._reads_at:
            os.read(self._reading, 1 << 20)
            return [], [1], []
        return [], [], []


@pytest.mark.parametrize(
    ("signals", "looks", "heard"),
    [
        pytest.param([2], 7, [True], id="five seconds after the first"),
        pytest.param([2, 4], 4, [True, False], id="at once at the second"),
    ],
)
def test_a_reader_has_some_seconds_once_an_end_was_asked_for(
    full: tuple[int, IO[str]],
    monkeypatch: pytest.MonkeyPatch,
    signals: list[int],
    looks: int,
    heard: list[bool],
) -> None:
    """The run hears of one signal alone: it could do nothing about the first till then."""
    reading, file = full
    clock = Looks(signals, reading)
    with pytest.raises(OutputClosed, match="nobody read the output"):
        clock.print_json(file, monkeypatch)
    assert (clock.count, clock.heard) == (looks, heard)


def test_a_slow_reader_gets_everything(
    full: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes, if nobody asks for an end; also where the pipe doesn't block."""
    reading, file = full
    Looks([], reading, reads_at=1000).print_json(file, monkeypatch)
    assert os.read(reading, 100) == b'{"a": 1}\n'


def test_after_a_signal_that_the_run_heard_a_reader_has_some_seconds(
    full: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came while the run waited for room, and nobody would end what it prints after that."""
    reading, file = full
    clock = Looks([], reading, asked=True)
    with pytest.raises(OutputClosed, match="nobody read the output"):
        clock.print_json(file, monkeypatch)
    assert clock.count == 6


async def test_the_event_loop_goes_on_while_nobody_reads(
    full: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a run's beat would stop, another process would take it for dead, and pushes be lost."""
    reading, file = full
    monkeypatch.setattr(sys, "stdout", file)
    waiting = asyncio.ensure_future(room())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()
    os.read(reading, 1 << 20)
    await waiting


@asynccontextmanager
async def followed(
    plan: Plan, course: Course, total: int
) -> AsyncGenerator[tuple[BulkRun, "asyncio.Future[None]"]]:
    """Send a list as the command does, to a simulator in this process."""
    simulator = Simulator(limits=())
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as web,
        VoiceClient(simulator.account, simulator.api_key, http_client=web) as client,
        AsyncExitStack() as stack,
    ):
        run = submissions(client, plan, course, total)
        await stack.enter_async_context(run)
        with Interrupts() as interrupts:
            going = follow(run, course, total, interrupts, entered=stack, hidden=True)
            yield run, asyncio.ensure_future(going)


async def test_what_waits_for_room_is_lost_to_no_signal(
    full: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is told with what was in flight, once that has been awaited."""
    told = list[Told]()
    plan, course = Plan(RecipientsFile(write(tmp_path, 3))), Course([told.append, print_row])
    monkeypatch.setattr(sys, "stdout", full[1])
    monkeypatch.setattr(streams, "monotonic", count(step=10).__next__)
    async with followed(plan, course, 3) as (run, following):
        await until(lambda: run.progress.finished >= 3)
        assert (following.done(), told) == (False, [])
        signal.raise_signal(signal.SIGTERM)
        await following
    assert sorted(each.row.line for each in told) == [2, 3, 4]
    assert course.exit is Exit.NOT_WRITTEN


async def test_rows_that_are_not_sent_wait_for_room_as_others_do(
    full: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Bad ones stand in a list by the thousand, and what is in flight beats and ends meanwhile."""
    told, (reading, file) = list[Told](), full
    path = write(tmp_path, 1)
    path.write_text(path.read_text() + "nix,x\n" * 3, encoding="utf-8")
    plan, course = Plan(RecipientsFile(path)), Course([told.append, print_row])

    def never_waits(*args: Any) -> Any:
        ready = select([], args[1], [], 0.0)
        assert ready[1] or not args[3], "the event loop stands still"
        return ready

    monkeypatch.setattr(sys, "stdout", file)
    monkeypatch.setattr(streams, "select", never_waits)
    async with followed(plan, course, 4) as (run, following):
        await until(lambda: run.progress.finished >= 1)
        assert (following.done(), told, course.failure) == (False, [], None)
        os.read(reading, 1 << 20)
        await following
    assert sorted(each.row.line for each in told) == [2, 3, 4, 5]
    assert course.exit is Exit.NOT_ALL


def test_a_log_that_nobody_reads_holds_nothing_up(
    full: tuple[int, IO[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written where calls end and pushes come; who reads again is told that it has gaps."""
    reading, file = full
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logger = logging.getLogger("tests.unread")
    with reporting(as_json=False):
        for place in range(3):
            logger.warning("nobody reads this: %d", place)
        os.read(reading, 1 << 20)
        logger.warning("somebody reads this")
    assert os.read(reading, 1 << 20).decode().splitlines() == [
        "3 log lines are left out, for nobody read them",
        "somebody reads this",
    ]
