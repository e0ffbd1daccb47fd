"""Random histories of processes over one ledger, against what may happen to a phone."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ihuyi_voice import Action, OutcomeUnknown, RunInUse, Submission, VoiceError
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.models import OutcomeStatus
from tests.support.databases import Place
from tests.support.ledgers import (
    ACCOUNT,
    Process,
    World,
    accepted,
    draft,
    held,
    refused,
    unknown,
)
from tests.support.long import few_or_many

KEYS = ("a", "b", "c")
ENDS: dict[str, Callable[[], Ending]] = {
    "accepted": accepted,
    "unknown": unknown,
    "held": held,
    "wait": lambda: refused(Action.WAIT),
    "fix": lambda: refused(Action.FIX_REQUEST),
}
RINGS = {"accepted", "unknown"}
keys, ends, places = st.sampled_from(KEYS), st.sampled_from(sorted(ENDS)), st.integers(0, 2)


async def awaited(call: Callable[..., Awaitable[Any]], *given: object) -> Any:
    """Call inside the loop."""
    return await call(*given)


@attrs.define(eq=False)
class Worker:
    """A process, the journal of the run if it holds it, and what it has in flight."""

    process: Process
    run: Any = None
    journal: Journal | None = None
    flights: dict[tuple[str, str], None] = attrs.field(factory=dict[tuple[str, str], None])

    def of(self, run: str) -> Journal | None:
        """Return a journal of this worker's."""
        return self.process.calls() if run == "" else self.journal


class Processes(RuleBasedStateMachine):
    """Three processes that call, sleep, die and take over, on SQLite.

    The model is the phones': which keys a granted call may have rung. None may be granted again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        place = Place(str(Path(self.folder.name) / "calls.db"), "ihuyi", is_postgres=False)
        self.world = World(place)
        self.rung: set[tuple[str, str]] = set()
        self.known: dict[tuple[str, str], str] = {}
        self.workers = [Worker(self.do(self.world.process())) for _ in range(3)]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine."""
        return self.runner.run(work)

    @rule(place=places, key=keys, run=st.sampled_from(["", "run"]))
    def calls(self, place: int, key: str, run: str) -> None:
        """It looks, and intends: a key that may have rung is never granted."""
        worker = self.workers[place]
        journal = worker.of(run)
        if journal is None:
            return
        (seen,) = self.do(journal.look([draft(key)]))
        answer = self.do(awaited(journal.intend, draft(key)))
        if answer is None:
            assert seen is None
            assert (run, key) not in self.rung
            self.rung.add((run, key))
            self.known.pop((run, key), None)  # as long as nobody knows what this one comes to
            worker.flights[run, key] = None

    @rule(place=places, end=ends)
    def ends(self, place: int, end: str) -> None:
        """A call in flight comes to an end, also one of a process that was thought dead."""
        worker = self.workers[place]
        if not worker.flights:
            return
        run, key = next(iter(worker.flights))
        journal = worker.of(run)
        assert journal is not None
        del worker.flights[run, key]
        self.do(awaited(journal.settle, draft(key), ENDS[end]()))
        self.known[run, key] = end
        if end not in RINGS:
            self.rung.discard((run, key))
        if end == "fix":
            self.rung.add((run, key))

    @rule(place=places)
    def opens_or_leaves(self, place: int) -> None:
        """The run; while a living one holds it, it is refused."""
        worker = self.workers[place]
        if worker.run is not None:
            if not any(run for run, _ in worker.flights):  # calls settles them before it leaves
                self.do(worker.run.__aexit__(None, None, None))
                worker.run = worker.journal = None
            return
        run = worker.process.ledger.run(ACCOUNT, "run")
        try:
            worker.journal = self.do(run.__aenter__())
            worker.run = run
        except RunInUse:
            return

    @rule(place=places)
    def insists(self, place: int) -> None:
        """It takes the run from whoever has it."""
        worker = self.workers[place]
        if worker.run is None:
            worker.run = worker.process.ledger.run(ACCOUNT, "run", takeover=True)
            worker.journal = self.do(worker.run.__aenter__())

    @rule(place=places)
    def dies(self, place: int) -> None:
        """What it had in flight may have rung, and nobody will tell."""
        self.do(self.workers[place].process.dies())
        self.workers[place] = Worker(self.do(self.world.process()))

    @rule(place=places)
    def beats(self, place: int) -> None:
        """It is alive."""
        self.do(self.workers[place].process.beat())

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0]))
    def sleeps(self, seconds: float) -> None:
        """Everybody does, and nobody beats."""
        self.world.now += seconds

    @invariant()
    def what_was_told_is_kept(self) -> None:
        """An end that was written says what the call came to, and stays."""
        for (run, key), end in self.known.items():
            assert self.do(self._entry(run, key)) == _status(ENDS[end]())

    async def _entry(self, run: str, key: str) -> object:
        async for entry in self.workers[0].process.ledger.entries(run):
            if entry.key == key:
                return entry.status
        return None

    def teardown(self) -> None:
        """End everybody."""
        self.do(self.world.aclose())
        self.runner.close()
        self.folder.cleanup()


def _status(end: Ending) -> OutcomeStatus:
    if isinstance(end, Submission):
        return OutcomeStatus.ACCEPTED
    assert isinstance(end, VoiceError | OutcomeUnknown)
    return end.status


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(
    max_examples=few_or_many(10, 30),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
