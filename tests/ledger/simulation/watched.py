"""A ledger that is watched: which calls were between intent and outcome, and when."""

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import attrs

from ihuyi_voice.calls import Ending
from ihuyi_voice.models import Draft
from tests.ledger.simulation.fate import Fate
from tests.ledger.simulation.processes import Process, current


@attrs.define(eq=False)
class Bracket:
    """What is between an intent and its outcome.

    Attributes:
        process: Whose.
        content: Of the message.
        begun: When the intent was asked for.
        settled: When the outcome was written, as far as was told; None if it wasn't.
    """

    process: Process
    content: str
    begun: float
    settled: float | None = None


@attrs.define(eq=False)
class Opening:
    """Somebody opens the run.

    Attributes:
        process: Who.
        asked: When it began to.
        had: When it had the run; never, if it died or was refused.
    """

    process: Process
    asked: float
    had: float = math.inf


@attrs.define(eq=False)
class Watch:
    """What was seen of all ledgers of a world.

    Attributes:
        fate: Of the world.
        brackets: In their order.
        openings: Who asked for the run, and had it.
    """

    fate: Fate
    brackets: list[Bracket] = attrs.field(factory=list[Bracket])
    openings: list["Opening"] = attrs.field(factory=list["Opening"])

    def interrupted(self, content: str) -> bool:
        """Say whether a call may have become UNKNOWN by what happened between its two commits."""
        return any(
            bracket.settled is None or self._was_taken_over(bracket)
            for bracket in self.brackets
            if bracket.content == content
        )

    def may_send(self, content: str) -> bool:
        """Say whether somebody who lives, or may wake, has been granted a call and not ended it."""
        return any(
            bracket.settled is None and not bracket.process.dead
            for bracket in self.brackets
            if bracket.content == content
        )

    def told(self, process: Process, content: str, began: float) -> bool:
        """Say whether a process has had the outcome of a request written that it sent then."""
        return any(
            bracket.settled is not None and bracket.begun <= began <= bracket.settled
            for bracket in self.brackets
            if (bracket.process, bracket.content) == (process, content)
        )

    def _was_taken_over(self, bracket: Bracket) -> bool:
        assert bracket.settled is not None
        return (
            any(
                opening.asked <= bracket.settled
                and opening.had >= bracket.begun
                and opening.process is not bracket.process
                for opening in self.openings
            )
            or bracket.settled - bracket.begun > 8.0
        )  # the owner of a keyed call may have been dead


@attrs.define(eq=False)
class WatchedJournal:
    """A journal; mutants inherit from it."""

    journal: Any
    watch: Watch

    @property
    def is_new(self) -> bool:
        """Whether nothing was in it."""
        return bool(self.journal.is_new)

    @property
    def has_recent(self) -> bool:
        """Whether `recall` may know a call."""
        return bool(self.journal.has_recent)

    async def look(self, drafts: Sequence[Draft]) -> Sequence[Ending | None]:
        """Return what became of each."""
        return [self.read(end) for end in await self.journal.look(drafts)]

    async def accepted(self, after: int | str) -> Sequence[tuple[Any, ...]]:
        """Return the next of what was accepted."""
        found: Sequence[tuple[Any, ...]] = await self.journal.accepted(after)
        return found

    async def intend(self, draft: Draft) -> Ending | None:
        """Ask for a call."""
        process = current()
        assert process is not None
        bracket = Bracket(process, draft.content, self.watch.fate.loop.time())
        self.watch.brackets.append(bracket)
        # If it raises, it was not granted, but may have been committed all the same.
        end = await self.intending(draft)
        if end is not None:
            self.watch.brackets.remove(bracket)
        return end

    async def settle(self, draft: Draft, end: Ending) -> None:
        """Write an outcome."""
        process = current()
        mine = [
            bracket
            for bracket in self.watch.brackets
            if (bracket.process, bracket.content) == (process, draft.content)
        ]
        await self.settling(draft, end)
        for bracket in mine:
            bracket.settled = bracket.settled or self.watch.fate.loop.time()

    @classmethod
    def altered(cls) -> AbstractContextManager[object]:
        """Return a context in which the ledger itself is otherwise: a mutant's."""
        return nullcontext()

    async def recall(self, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Return the ages of calls."""
        found: Mapping[str, Sequence[float]] = await self.journal.recall(mobiles)
        return found

    # --- what mutants do otherwise

    async def intending(self, draft: Draft) -> Ending | None:
        """Ask the journal for a call."""
        return self.read(await self.journal.intend(draft))

    async def settling(self, draft: Draft, end: Ending) -> None:
        """Have the journal write an outcome."""
        await self.journal.settle(draft, end)

    def read(self, end: Ending | None) -> Ending | None:
        """Return what the journal says; a mutant may say something else."""
        return end


@attrs.define(eq=False)
class WatchedLedger:
    """A ledger as a client has it."""

    ledger: Any
    watch: Watch
    journals: type[WatchedJournal] = WatchedJournal

    def calls(self, account: str, **options: Any) -> WatchedJournal:
        """Return the journal of the keyed calls."""
        return self.journals(self.ledger.calls(account, **options), self.watch)

    @asynccontextmanager
    async def run(self, account: str, key: str, **options: Any) -> AsyncGenerator[WatchedJournal]:
        """Open a run."""
        process = current()
        assert process is not None
        opening = Opening(process, self.watch.fate.loop.time())
        self.watch.openings.append(opening)
        async with self.ledger.run(account, key, **options) as journal:
            opening.had = self.watch.fate.loop.time()
            yield self.journals(journal, self.watch)
