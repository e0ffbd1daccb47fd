"""In a run with a ledger an answer frees its place while it is being written, and no earlier."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice import Message, Outcome, OutcomeStatus
from ihuyi_voice.models import Draft
from ihuyi_voice.simulator import Fault, FaultKind, Simulator
from ihuyi_voice.storage import GroupCommit
from tests.support.vendor import in_process, vendor
from tests.support.virtual_time import loop_time, run_virtual

CONCURRENCY: Final = 100


@attrs.define(eq=False)
class Committing:
    """A ledger whose commits take a while, and take whatever has come until they begin.

    Attributes:
        takes: Seconds that a commit takes.
        intents: What is in flight by its entries.
        most: How many that were at the most.
    """

    takes: float
    intents: set[str] = attrs.field(factory=set[str])
    most: int = 0
    is_new: bool = True
    has_recent: bool = False
    _group: GroupCommit[tuple[str, bool], None] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._group = GroupCommit(self._write)

    @asynccontextmanager
    async def run(self, *_: Any, **__: Any) -> AsyncGenerator["Committing"]:
        """Open the run."""
        self._group.open()
        yield self
        await self._group.close()

    def calls(self, *_: Any, **__: Any) -> "Committing":
        """Return the keyed calls, of which there are none."""
        return self

    async def _write(self, rows: Sequence[tuple[str, bool]]) -> Sequence[None]:
        await asyncio.sleep(self.takes)  # virtual
        self.intents -= {key for key, begins in rows if not begins}
        self.intents |= {key for key, begins in rows if begins}
        self.most = max(self.most, len(self.intents))
        return [None] * len(rows)

    async def look(self, drafts: Sequence[Draft]) -> Sequence[None]:
        """Tell that nothing was sent."""
        return [None] * len(drafts)

    def intend(self, draft: Draft) -> Awaitable[None]:
        """Write that a call is about to be made."""
        return self._group.begin((draft.key, True))

    def settle(self, draft: Draft, end: object) -> Awaitable[None]:
        """Write how it ended."""
        return self._group.begin((draft.key, False))

    async def recall(self, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Tell of no calls."""
        return {}


async def sent(
    simulator: Simulator, ledger: Committing | None, many: int, concurrency: int = CONCURRENCY
) -> tuple[list[Outcome], float]:
    """Send a run; return its outcomes, and how many a second there were."""
    listed = [Message(f"139{place:08d}", "您的验证码是：1。", f"m{place}") for place in range(many)]
    options: dict[str, Any] = {} if ledger is None else {"run": "r"}
    async with in_process(simulator, ledger=ledger, guard=None) as client:
        began = loop_time()
        async with client.submit_many(
            listed, concurrency=concurrency, max_failures=None, **options
        ) as run:
            found = [outcome async for outcome in run]
        return found, many / (loop_time() - began)


@pytest.mark.slow
def test_a_ledger_costs_less_than_a_quarter_of_a_run() -> None:
    """20 ms away, with commits of 3 ms: with places that are kept to the end it was a third."""

    async def rate(ledger: Committing | None) -> float:
        return (await sent(vendor(latency=0.02, limits=()), ledger, 800))[1]

    ledger = Committing(0.003)
    assert run_virtual(rate(ledger)) > 0.75 * run_virtual(rate(None))
    assert ledger.most == CONCURRENCY


@pytest.mark.slow
@settings(deadline=None)
@given(
    takes=st.floats(0.0, 0.1),
    latency=st.floats(0.001, 0.1),
    concurrency=st.integers(1, 20),
    faults=st.lists(st.sampled_from([FaultKind.TRUNCATED, FaultKind.EMPTY]), max_size=2),
    seed=st.integers(0, 2**16),
)
def test_no_more_is_in_flight_by_the_ledger_than_by_the_run(
    takes: float, latency: float, concurrency: int, faults: list[FaultKind], seed: int
) -> None:
    """Whatever takes how long: so a run that dies leaves no more UNKNOWN than its concurrency."""
    simulator = vendor(latency=latency, limits=(), seed=seed)
    for fault in faults:
        simulator.add_fault(Fault(fault, share=0.1))
    ledger = Committing(takes)
    found, _ = run_virtual(sent(simulator, ledger, 50, concurrency))
    assert len({outcome.message.reference for outcome in found}) == 50
    assert ledger.most <= concurrency
    assert not ledger.intents


def test_a_run_waits_for_a_ledger_that_does_not_write() -> None:
    """No more than half as many begin besides as may be in flight."""

    @attrs.define(eq=False)
    class Stuck(Committing):
        def settle(self, draft: Draft, end: object) -> Awaitable[None]:
            return asyncio.sleep(1.0)

    ledger = Stuck(0.0)
    simulator = vendor(latency=0.001, limits=())

    async def main() -> int:
        task = asyncio.create_task(sent(simulator, ledger, 40, 10))
        await asyncio.sleep(0.9)
        begun = len(ledger.intents)
        found, _ = await task
        assert {outcome.status for outcome in found} == {OutcomeStatus.ACCEPTED}
        return begun

    assert run_virtual(main()) <= 15
