"""What workers tell by their client's hook: passes over parts, looks at the queue, troubles."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from ihuyi_voice import Limits, MemoryGuard, Message
from ihuyi_voice.errors import GuardUnavailable, LedgerUnavailable, RunInUse
from ihuyi_voice.events import (
    Event,
    LedgerCommitted,
    PartOpened,
    PartWorked,
    QueueSeen,
    Settled,
    WorkerTroubled,
)
from ihuyi_voice.ledger import PartInfo
from ihuyi_voice.simulator import Fault, Simulator
from ihuyi_voice.workers import PartEnd, distribute, run_part, work
from ihuyi_voice.workers.queue import Queue, Seen
from tests.workers.support import ACCOUNT, client_of, own_ledger

MESSAGES = [
    Message(f"139{number % 5:08d}", f"您的验证码是：{number}。", f"m{number}")
    for number in range(20)
]


@pytest.mark.slow
async def test_one_hook_hears_client_ledger_and_worker(postgres: str) -> None:
    """Of each part that it was worked on, and how the account's parts stand."""
    events: list[Event] = []
    simulator = Simulator(limits=())
    async with (
        own_ledger(postgres, on_event=events.append) as (ledger, _),
        client_of(simulator, on_event=events.append) as client,
    ):
        given = await distribute(ledger, "r", MESSAGES, part_size=10, account=ACCOUNT)
        await work(client, ledger, until_done=True)
    worked = [event for event in events if isinstance(event, PartWorked)]
    assert sorted((each.run, each.part, each.end) for each in worked) == [
        ("r", part, "done") for part in range(1, given.parts + 1)
    ]
    assert sum(sum(each.counts.values()) for each in worked) == 20
    seen = [event for event in events if isinstance(event, QueueSeen)]
    assert (seen[-1].undone, seen[-1].held, seen[-1].stalled) == (0, 0, 0)
    assert sum(isinstance(event, Settled) for event in events) == 20
    assert len([event for event in events if isinstance(event, PartOpened)]) == given.parts
    commits = [event for event in events if isinstance(event, LedgerCommitted)]
    assert sum(each.granted for each in commits) == sum(each.settled for each in commits) == 20


async def test_a_pass_that_fails_is_told_with_its_error(postgres: str) -> None:
    """Another process has the part; it was given back; the run was stopped."""
    events: list[Event] = []
    simulator = Simulator(limits=())
    async with (
        own_ledger(postgres) as (ledger, _),
        client_of(simulator, on_event=events.append) as client,
    ):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        async with ledger.parts.hold(ACCOUNT, "r", 1):
            with pytest.raises(RunInUse):
                await run_part(client, ledger, "r", 1)
        told = asyncio.Event()
        told.set()
        await run_part(client, ledger, "r", 1, stop=told)
        await ledger.stop("r", "enough")
        await run_part(client, ledger, "r", 1)
    worked = [event for event in events if isinstance(event, PartWorked)]
    assert [each.end for each in worked] == ["failed", "given back", "stopped"]
    assert isinstance(worked[0].error, RunInUse)


async def test_a_workers_log_warns_as_a_clients_does(
    postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of what was refused; what its guard held back says so, and when it may be sent."""
    simulator = Simulator(limits=())
    simulator.add_fault(Fault("code", code=4072, times=1))
    messages = [Message("13900000000", f"您的验证码是：{number}。") for number in range(3)]
    caplog.set_level(logging.INFO, "ihuyi_voice.outcomes")
    async with (
        own_ledger(postgres) as (ledger, _),
        client_of(simulator, guard=MemoryGuard(Limits(per_second=1))) as client,
    ):
        await distribute(ledger, "r", messages, account=ACCOUNT)
        await run_part(client, ledger, "r", 1, max_wait=0.0, concurrency=1)
    lines = [
        (line.levelno, vars(line)["voice_status"], line.getMessage())
        for line in caplog.records
        if "voice_status" in vars(line)
    ]
    (refused,) = [each for each in lines if each[1] == "REJECTED"]
    assert refused[0] == logging.WARNING
    held = [each for each in lines if each[1] == "HELD"]
    assert held
    assert all("held back by the guard, nothing was sent" in each[2] for each in held)
    assert all("; not before 20" in each[2] for each in held)


def part(number: int, owner: str | None, held: float | None, *, alive: bool) -> PartInfo:
    """Return a part that is not done."""
    return PartInfo(
        "r", 1, number, done=False, epoch=1, owner=owner, beat=1.0, alive=alive, held=held
    )


def test_what_is_held_and_what_is_stalled_are_told_apart() -> None:
    """By whether whoever holds it lives; the oldest is the one held longest."""
    parts = [
        part(1, "a:1", 5.0, alive=True),
        part(2, "a:1", 70.0, alive=True),
        part(3, "b:2", 900.0, alive=False),
        part(4, None, None, alive=False),
    ]
    assert Seen(parts, deferred=1).event(failed=2) == QueueSeen(4, 2, 1, 70.0, 1, 2)


async def test_a_part_that_is_held_has_an_age(postgres: str) -> None:
    """From its opening; one that nobody holds has none."""
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        (free,) = await ledger.parts.undone(ACCOUNT)
        assert free.held is None
        async with ledger.parts.hold(ACCOUNT, "r", 1):
            (held,) = await ledger.parts.undone(ACCOUNT)
            assert held.held is not None
            assert 0 <= held.held < 60


async def test_a_worker_that_can_not_look_tells_so(
    postgres: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And goes on trying; the log says so once, and once when it can again."""
    monkeypatch.setattr("ihuyi_voice.workers.crew._ROUND", 0.01)
    events: list[Event] = []
    look, away = Queue.look, [LedgerUnavailable("away")] * 3

    async def looked(queue: Queue) -> Seen:
        if away:
            raise away.pop()
        return await look(queue)

    monkeypatch.setattr(Queue, "look", looked)
    simulator = Simulator(limits=())
    async with (
        own_ledger(postgres) as (ledger, _),
        client_of(simulator, on_event=events.append) as client,
    ):
        await work(client, ledger, until_done=True)
    troubles = [event for event in events if isinstance(event, WorkerTroubled)]
    assert [each.work for each in troubles] == ["look after the queue"] * 3
    assert caplog.text.count("a worker could not look after the queue, and goes on trying") == 1
    assert caplog.text.count("a worker can look after the queue again") == 1
    assert isinstance(troubles[0].error, LedgerUnavailable)


async def passes(
    ends: Sequence[Exception | None],
    postgres: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> list[logging.LogRecord]:
    """Work on one part, whose passes end so, and return what our own log says of it."""
    monkeypatch.setattr("ihuyi_voice.workers.crew._ROUND", 0.01)
    left = list(ends)

    async def worked(*given: Any, **options: Any) -> PartEnd:
        error = left.pop(0) if left else None  # it may be given out once more
        if error is not None:
            raise error
        return await run_part(*given, **options)

    monkeypatch.setattr("ihuyi_voice.workers.crew.run_part", worked)
    async with (
        own_ledger(postgres) as (ledger, _),
        client_of(Simulator(limits=())) as client,
    ):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        with caplog.at_level(logging.INFO, "ihuyi_voice.workers"):
            await work(client, ledger, until_done=True)
    assert not left
    return [each for each in caplog.records if each.name == "ihuyi_voice.workers"]


@pytest.mark.slow
async def test_passes_that_fail_are_told_once_and_when_they_end(
    postgres: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the cause, as an outage of a guard fails the job of each part every second."""
    away = [GuardUnavailable("the guard is away")] * 3
    told = await passes([*away, None], postgres, monkeypatch, caplog)
    assert [each.getMessage() for each in told[:3]] == [
        "a worker could not work on parts, and goes on trying (part 1 of 'r': the guard is away)",
        "part 1 of 'r' is done (20 ACCEPTED)",
        "a worker can work on parts again",
    ]


@pytest.mark.slow
async def test_a_part_of_another_worker_is_no_trouble(
    postgres: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left to that one, and looked after again later."""
    told = await passes([RunInUse("process 1 has it"), None], postgres, monkeypatch, caplog)
    assert {each.levelname for each in told} == {"INFO"}
    assert told[0].getMessage() == "part 1 of 'r' is left to others: process 1 has it"


@pytest.mark.slow
async def test_an_error_of_the_program_is_told_with_its_place(
    postgres: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the worker itself, so that the lines of its engine aren't needed; no number shows."""
    broken = ZeroDivisionError("at 13912345678")
    told = await passes([broken, None], postgres, monkeypatch, caplog)
    line = told[0].getMessage()
    assert told[0].levelname == "ERROR"
    assert line.startswith("part 1 of 'r' broke, and its run stops\nTraceback")
    assert line.endswith("ZeroDivisionError: at 139****5678\n")
