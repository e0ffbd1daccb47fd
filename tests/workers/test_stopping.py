"""A run that is stopped, or stops itself, in whichever process; and a worker that is to end."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from ihuyi_voice import GuardUnavailable, InvalidRequest, Message, OutcomeStatus, VoiceClient
from ihuyi_voice.guards import Lease, Limits, MemoryGuard, Wait, Window
from ihuyi_voice.ledger import Ledger, RunProgress
from ihuyi_voice.simulator import Fault, FaultKind, Simulator
from ihuyi_voice.workers import PartEnd, distribute, run_part, work
from tests.support.vendor import BASE_URL
from tests.workers.support import ACCOUNT, client_of, own_ledger, rung, until

NUMBERS = [f"139{number:08d}" for number in range(20)]
MESSAGES = [Message(mobile, f"您的验证码是：{mobile[-4:]}。") for mobile in NUMBERS]
TWICE = [Message(NUMBERS[0], f"您的验证码是：{number}。") for number in range(1000, 1002)]
HOURLY = Limits(None, None, None, (Window(1, 3_600.0),))
LONG = 4_000.0


async def parts_of(ledger: Ledger) -> list[int]:
    """Return the parts that have messages."""
    progress = await ledger.parts.progress("r")
    return [part for part, counts in progress.by_part.items() if counts]


async def with_held(ledger: Ledger) -> tuple[int, int]:
    """Load a run of two parts, one with two messages to one number; return that, and the other."""
    await distribute(ledger, "r", TWICE, part_size=1, account=ACCOUNT)
    (held,) = await parts_of(ledger)
    await distribute(ledger, "r", MESSAGES[1:], account=ACCOUNT)
    return held, 3 - held


async def waits(
    simulator: Simulator, client: VoiceClient, ledger: Ledger, part: int
) -> asyncio.Task[PartEnd]:
    """Work on a part until only numbers that its guard holds back are left."""
    task = asyncio.create_task(run_part(client, ledger, "r", part, max_wait=LONG))

    def is_left(progress: RunProgress) -> bool:
        counts = progress.by_part[part]
        return counts.get("OPEN", 0) + counts.get(OutcomeStatus.HELD, 0) == 1

    await until(ledger, is_left)
    return task


@pytest.mark.slow
async def test_a_part_that_only_waits_hears_of_a_stop(postgres: str) -> None:
    """By another process; the number that is held for an hour isn't waited for."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, prefix):
        held, _ = await with_held(ledger)
        async with (
            client_of(simulator, guard=MemoryGuard(HOURLY)) as client,
            Ledger.open(postgres, prefix=prefix) as other,
        ):
            waiting = await waits(simulator, client, ledger, held)
            await other.stop("r", "the chief said so")
            end = await waiting
            assert (end.done, end.stopped) == (False, "the run was stopped: the chief said so")
            again = await run_part(client, ledger, "r", held)
            assert (again.done, again.stopped) == (False, end.stopped)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(FaultKind.CODE, code=408), "408"),
        (Fault(FaultKind.STATUS, status=500), "3 messages in a row came out UNKNOWN or NOT_SENT: "),
    ],
    ids=["a STOP code", "the breaker"],
)
async def test_what_stops_one_worker_stops_all(postgres: str, fault: Fault, words: str) -> None:
    """With the cause on the run, and in what the others tell."""
    good, bad = Simulator(limits=()), Simulator(limits=())
    bad.add_fault(fault)
    async with own_ledger(postgres) as (ledger, prefix):
        held, other_part = await with_held(ledger)
        async with (
            client_of(good, guard=MemoryGuard(HOURLY)) as client,
            client_of(bad) as unlucky,
            Ledger.open(postgres, prefix=prefix) as other,
        ):
            waiting = await waits(good, client, ledger, held)
            end = await run_part(unlucky, other, "r", other_part, max_failures=3)
            assert end.stopped is not None
            assert words in end.stopped
            assert end.stopped in str((await waiting).stopped)
            progress = await ledger.parts.progress("r")
            assert (progress.stopped, progress.cause) == (True, end.stopped)
            assert await ledger.parts.undone(ACCOUNT) == []


async def test_what_was_held_back_is_left_so_and_gets_another_chance(postgres: str) -> None:
    """The part is done when each message got its chance; resuming, or loading again, opens it."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", TWICE, account=ACCOUNT)
        async with client_of(simulator, guard=MemoryGuard(HOURLY)) as client:
            await work(client, ledger, until_done=True, max_wait=0.0)
        counts = {OutcomeStatus.ACCEPTED: 1, OutcomeStatus.HELD: 1}
        progress = await ledger.parts.progress("r")
        assert (progress.counts, progress.done) == (counts, 1)
        await ledger.resume("r")
        assert (await ledger.parts.progress("r")).done == 0
        async with client_of(simulator) as client:
            await work(client, ledger, until_done=True)
        assert (await ledger.parts.progress("r")).counts == {OutcomeStatus.ACCEPTED: 2}
        assert len(rung(simulator)) == 2


async def test_a_worker_that_ends_gives_back_what_waits(postgres: str) -> None:
    """Also what its guard holds back: the part is not done, and another goes on with it."""
    simulator = Simulator(limits=())
    stop = asyncio.Event()
    async with own_ledger(postgres) as (ledger, _):
        held, _ = await with_held(ledger)
        async with client_of(simulator, guard=MemoryGuard(HOURLY)) as client:
            task = asyncio.create_task(
                run_part(client, ledger, "r", held, max_wait=LONG, stop=stop)
            )
            await simulator.arrived(1)
            stop.set()
            end = await task
            assert (end.done, end.stopped) == (False, None)
        async with client_of(simulator) as client:
            await work(client, ledger, until_done=True)
        assert set((await ledger.parts.progress("r")).counts) == {OutcomeStatus.ACCEPTED}
        assert len(set(rung(simulator))) == len(rung(simulator)) == 21


class Moody(MemoryGuard):
    """Can't be reached, for the first calls."""

    left = 5

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Reserve, or not."""
        self.left -= 1
        if self.left >= 0:
            raise GuardUnavailable("no guard")
        return await super().reserve(account, mobile)


async def test_a_guard_that_goes_away_is_waited_for(postgres: str) -> None:
    """The job fails, nothing is sent unguarded, and the part comes again."""
    simulator = Simulator(limits=())
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        guard = Moody()
        async with client_of(simulator, guard=guard) as client:
            with pytest.raises(GuardUnavailable):
                await run_part(client, ledger, "r", 1, max_failures=3)
            guard.left = 5
            await work(client, ledger, until_done=True, max_failures=3)
        progress = await ledger.parts.progress("r")
        assert (progress.counts, progress.stopped) == ({OutcomeStatus.ACCEPTED: 20}, False)


@pytest.mark.parametrize("wrong", [{"max_wait": -1.0}, {"concurrency": 0}, {"parts": 0}])
async def test_an_option_that_cant_be_right_is_refused_at_once(
    postgres: str, wrong: dict[str, Any]
) -> None:
    """By the worker, not by its jobs, which would fail again and again."""
    async with own_ledger(postgres) as (ledger, _), client_of(Simulator()) as client:
        with pytest.raises(InvalidRequest, match=next(iter(wrong))):
            await work(client, ledger, **wrong)
        with pytest.raises(TypeError, match="max_weight"):
            await work(client, ledger, max_weight=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue] - a slip


async def test_an_error_of_the_program_stops_the_run(postgres: str) -> None:
    """It would come again and again; so it is raised, and stands on the run."""
    async with own_ledger(postgres) as (ledger, _):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        async with client_of(Simulator()) as client:
            await client.http_client.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await run_part(client, ledger, "r", 1)
        progress = await ledger.parts.progress("r")
        assert (progress.stopped, progress.cause) == (True, "a worker broke: RuntimeError")


async def test_a_worker_that_is_told_to_end_lets_what_is_in_flight_end(postgres: str) -> None:
    """And returns; nothing is UNKNOWN, and the rest is there for others."""
    simulator = Simulator(limits=(), latency=0.1)
    stop = asyncio.Event()
    async with own_ledger(postgres) as (ledger, _), client_of(simulator) as client:
        await distribute(ledger, "r", MESSAGES, part_size=5, account=ACCOUNT)
        working = asyncio.create_task(work(client, ledger, concurrency=2, stop=stop))
        await simulator.arrived(2)
        stop.set()
        await working
        counts = (await ledger.parts.progress("r")).counts
        assert set(counts) == {OutcomeStatus.ACCEPTED, "OPEN"}
        assert counts[OutcomeStatus.ACCEPTED] == len(rung(simulator))


@pytest.mark.parametrize("cancellations", [2, pytest.param(3, marks=pytest.mark.long)])
@pytest.mark.parametrize("stopped", [False, True])
async def test_a_worker_that_is_cancelled_again_lets_go(
    postgres: str, cancellations: int, *, stopped: bool
) -> None:
    """Of replies that never come: what was in flight is UNKNOWN, and rings no more."""
    simulator = Simulator(limits=())
    simulator.add_fault(Fault(FaultKind.SILENCE))
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        ledger, _ = await stack.enter_async_context(own_ledger(postgres))
        url = await stack.enter_async_context(simulator.serve())
        client = await stack.enter_async_context(
            VoiceClient(simulator.account, simulator.api_key, base_url=url, guard=None)
        )
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        working = asyncio.create_task(work(client, ledger, stop=stop, grace=LONG))
        await simulator.arrived(1)
        if stopped:
            stop.set()
        for _ in range(cancellations):
            await asyncio.sleep(0)
            working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        simulator.clear_faults()
        counts = (await ledger.parts.progress("r")).counts
        assert counts[OutcomeStatus.UNKNOWN] == len(simulator.arrivals)
        await work(client, ledger, until_done=True)
        assert max(simulator.rung().values()) == 1


async def test_a_code_stops_its_run_whatever_the_vendors_words_are(postgres: str) -> None:
    """Half a character, or a NUL: a cause that no database takes would let all workers go on."""

    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b'{"code":4051,"msg":"no\\u0000 money\\ud83d"}')

    async with (
        own_ledger(postgres) as (ledger, _),
        httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http_client,
        VoiceClient(ACCOUNT, "key", base_url=BASE_URL, http_client=http_client) as client,
    ):
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        end = await run_part(client, ledger, "r", 1)
        assert end.stopped is not None
        (run,) = await ledger.runs()
        assert run.stopped
        await ledger.stop("r", "\ud83d\0")
        assert (await ledger.runs())[0].cause == "?"


@pytest.mark.parametrize("text", [7, b"r", "a\0b", "\ud83d"])
async def test_a_name_that_no_database_takes_is_no_outage(postgres: str, text: Any) -> None:
    """Whoever tries again when a ledger is away would try for ever."""
    async with own_ledger(postgres) as (ledger, _), client_of(Simulator()) as client:
        await distribute(ledger, "r", MESSAGES, account=ACCOUNT)
        for asking in (
            ledger.summary(text),
            ledger.stop(text),
            run_part(client, ledger, text, 1),
            run_part(client, ledger, "r", text),
            distribute(ledger, text, [], account=ACCOUNT),
            distribute(ledger, "r", [], account=text),
            ledger.settle("r", text, OutcomeStatus.ACCEPTED),
        ):
            with pytest.raises(InvalidRequest):
                await asking
        assert await ledger.results("r", [text]) == {}
        with pytest.raises(InvalidRequest, match="no part"):
            await run_part(client, ledger, "r", 2**40)
        with pytest.raises(InvalidRequest, match="voice_id"):
            await ledger.settle("r", "k", OutcomeStatus.ACCEPTED, voice_id=7)  # type: ignore[arg-type]


async def test_a_rate_of_the_wrong_type_is_refused_as_a_runs_is(postgres: str) -> None:
    """Before it is divided among parts."""
    async with own_ledger(postgres) as (ledger, _), client_of(Simulator()) as client:
        for rate in ("10", 0, True, float("nan"), 1e-9, 2e-5):
            with pytest.raises(InvalidRequest, match="max_rate"):
                await work(client, ledger, max_rate=rate)  # type: ignore[arg-type]
