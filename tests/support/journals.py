"""A ledger in memory that keeps its contract, shared by "processes", and misbehaves as asked."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, TypeAlias

import attrs

from ihuyi_voice import (
    Action,
    CallInFlight,
    InvalidRequest,
    LedgerUnavailable,
    OutcomeStatus,
    OutcomeUnknown,
    RunInUse,
    RunStopped,
    Submission,
    VendorError,
)
from ihuyi_voice.calls import Ending, Page
from ihuyi_voice.models import Draft
from tests.support.guards import NoException
from tests.support.virtual_time import loop_time

Asked: TypeAlias = Literal["look", "accepted", "intend", "settle", "recall", "enter", "leave"]
Manner: TypeAlias = Literal[
    "raises", "raises no Exception", "is cancelled", "hangs", "is slow", "raises late", "lies"
]

SLOW = 2.0
INTENT = "INTENT"
OPEN_AGAIN = frozenset({OutcomeStatus.HELD, OutcomeStatus.NOT_SENT})
Name: TypeAlias = tuple[str, str, str]


def status_of(end: Ending) -> OutcomeStatus:
    """Return which outcome an end is."""
    return OutcomeStatus.ACCEPTED if isinstance(end, Submission) else end.status


def page_of(found: Sequence[tuple[int, Draft, Submission]]) -> Sequence[Any]:
    """Return a page, as a journal gives it, of places, messages and their acceptances."""
    if not found:
        return ()
    texts = [
        text for _, each, _ in found for text in (each.reference or "", each.mobile, each.content)
    ]
    ids, attempts = [end.voice_id for *_, end in found], [str(end.attempts) for *_, end in found]
    return found[-1][0], *(
        "".join(f"{each}{Page.END}" for each in some) for some in (texts, ids, attempts)
    )


@attrs.define(eq=False)
class Row:
    """An entry: its message, and its end; while that is None, somebody has it in flight."""

    draft: Draft
    owner: "FakeLedger"
    end: Ending | None = None
    at: float = 0.0

    def is_open(self, *, retry_rejected: bool) -> bool:
        """Say whether it may be sent."""
        if self.end is None:
            return False
        if isinstance(self.end, VendorError) and self.end.status is OutcomeStatus.REJECTED:
            return retry_rejected or self.end.action is not Action.FIX_REQUEST
        return status_of(self.end) in OPEN_AGAIN


@attrs.define(eq=False)
class Store:
    """The database that several ledgers have open.

    Attributes:
        rows: The entries by account, run and key.
        owners: Who works on which run.
        granted: How often each key was granted.
    """

    rows: dict[Name, Row] = attrs.field(factory=dict[Name, Row])
    owners: dict[tuple[str, str], "FakeLedger"] = attrs.field(
        factory=dict[tuple[str, str], "FakeLedger"]
    )
    granted: dict[str, int] = attrs.field(factory=lambda: defaultdict[str, int](int))

    def states(self, run: str = "") -> dict[str, str]:
        """Return the state of each key of a run."""
        return {
            key: INTENT if row.end is None else status_of(row.end).value
            for (_, name, key), row in self.rows.items()
            if name == run
        }


@attrs.define(eq=False)
class FakeLedger:
    """One process's ledger.

    Attributes:
        store: The database.
        method: Which of its journals' methods misbehaves.
        manner: How.
        after: How often it does as it should before.
        alive: Whether the process is; a dead one's intents are UNKNOWN to others.
        told: What was asked of it, in order.
        begun: Set when it begins to misbehave.
        latency: Seconds that each method takes.
        page: How many of what was accepted it tells of at once.
    """

    store: Store = attrs.field(factory=Store)
    method: Asked | None = None
    manner: Manner = "raises"
    after: int = 0
    alive: bool = True
    latency: float = 0.0
    page: int = 100
    told: list[str] = attrs.field(factory=list[str])
    asked: list[int] = attrs.field(factory=list[int])
    begun: asyncio.Event = attrs.field(factory=asyncio.Event)

    def calls(self, account: str, *, retry_rejected: bool = False) -> "FakeJournal":
        """Return the keyed calls."""
        return FakeJournal(self, account, "", retry_rejected)

    def run(
        self, account: str, key: str, *, takeover: bool = False, retry_rejected: bool = False
    ) -> AbstractAsyncContextManager["FakeJournal"]:
        """Open a run."""
        return self._run(FakeJournal(self, account, key, retry_rejected), takeover=takeover)

    @asynccontextmanager
    async def _run(
        self, journal: "FakeJournal", *, takeover: bool
    ) -> AsyncGenerator["FakeJournal"]:
        await self.misbehave("enter")
        name = (journal.account, journal.run)
        owner = self.store.owners.get(name)
        if owner is not None and owner.alive and not takeover:
            raise RunInUse(f"the run {journal.run!r} is worked on by another process")
        self.store.owners[name] = self
        for row in journal.rows():
            if row.end is None:
                row.end = OutcomeUnknown("its process died")
        try:
            yield journal
        finally:
            await self.misbehave("leave")
            if self.store.owners.get(name) is self:
                del self.store.owners[name]

    async def misbehave(self, method: Asked) -> bool:
        """Do what is asked for, before the work; say whether to raise after it."""
        self.told.append(method)
        if self.latency:
            await asyncio.sleep(self.latency)
        if method != self.method:
            return False
        if self.after:
            self.after -= 1
            return False
        self.begun.set()
        if self.manner == "raises":
            raise ConnectionError(f"no database to {method}")
        if self.manner == "raises no Exception":
            raise NoException(method)
        if self.manner == "is cancelled":
            raise asyncio.CancelledError
        if self.manner in {"is slow", "hangs"}:
            await asyncio.sleep(SLOW if self.manner == "is slow" else 1e9)
        return self.manner == "raises late"


@attrs.define(eq=False)
class FakeJournal:
    """The entries of one run."""

    ledger: FakeLedger
    account: str
    run: str
    retry_rejected: bool
    was_new: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.was_new = not self.rows()

    @property
    def is_new(self) -> bool:
        """Whether nothing was in it."""
        return self.was_new and bool(self.run)

    @property
    def has_recent(self) -> bool:
        """Whether there was a call."""
        return bool(self.ledger.store.rows)

    def rows(self) -> list[Row]:
        """Return its entries."""
        return [
            row for name, row in self.ledger.store.rows.items() if name[:2] == self.name("")[:2]
        ]

    def name(self, key: str) -> Name:
        """Return where an entry is."""
        return self.account, self.run, key

    async def look(self, drafts: Sequence[Draft]) -> Sequence[Ending | None]:
        """Tell what became of each."""
        late = await self.ledger.misbehave("look")
        self.ledger.asked.append(len(drafts))
        if self.ledger.method == "look" and self.ledger.manner == "lies":
            return []
        ends = [self._end(draft) for draft in drafts]
        _raise_if(late)
        return ends

    async def accepted(self, after: int | str) -> Sequence[Any]:
        """Tell what was accepted."""
        late = await self.ledger.misbehave("accepted")
        if self.ledger.method == "accepted" and self.ledger.manner == "lies":
            return 1, "r1"
        if isinstance(after, str):
            after = [row.draft.key for row in self.rows()].index(after) + 1
        found = [
            (place, row.draft, row.end)
            for place, row in enumerate(self.rows(), 1)
            if isinstance(row.end, Submission) and place > after
        ]
        _raise_if(late)
        return page_of(found[: self.ledger.page])

    async def intend(self, draft: Draft) -> Ending | None:
        """Grant it, unless somebody has it or had it."""
        late = await self.ledger.misbehave("intend")
        if self.ledger.method == "intend" and self.ledger.manner == "lies":
            return "yes"  # type: ignore[return-value]  # it is foreign code
        if self.run and self.ledger.store.owners.get((self.account, self.run)) is not self.ledger:
            return RunStopped("another process has taken the run over")
        end = self._end(draft)
        if end is None:
            self.ledger.store.granted[draft.key] += 1
            self.ledger.store.rows[self.name(draft.key)] = Row(
                draft, self.ledger, None, loop_time()
            )
        _raise_if(late)
        return end

    async def settle(self, draft: Draft, end: Ending) -> None:
        """Write it, unless an earlier end says that it was sent."""
        late = await self.ledger.misbehave("settle")
        row = self.ledger.store.rows.get(self.name(draft.key))
        ours = row is not None and row.end is None and row.owner is self.ledger
        mine = ours and row is not None and row.draft == draft
        if row is None or mine or row.is_open(retry_rejected=False):
            self.ledger.store.rows[self.name(draft.key)] = Row(draft, self.ledger, end, loop_time())
        _raise_if(late)

    async def recall(self, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Tell the ages of each number's calls."""
        late = await self.ledger.misbehave("recall")
        self.ledger.asked.append(len(mobiles))
        if self.ledger.method == "recall" and self.ledger.manner == "lies":
            return {mobile: [float("nan")] for mobile in mobiles}
        ages: dict[str, list[float]] = {}
        for row in self.ledger.store.rows.values():
            if row.end is None or status_of(row.end) in {"ACCEPTED", "UNKNOWN"}:
                ages.setdefault(row.draft.mobile, []).append(loop_time() - row.at)
        _raise_if(late)
        return {mobile: ages[mobile] for mobile in mobiles if mobile in ages}

    def _end(self, draft: Draft) -> Ending | None:
        row = self.ledger.store.rows.get(self.name(draft.key))
        if row is None:
            return None
        if (row.draft.mobile, row.draft.content) != (draft.mobile, draft.content):
            return InvalidRequest("the key was used with another number or content", field="key")
        if row.end is None:
            if row.owner.alive:
                return CallInFlight("another process has it in flight")
            row.end = OutcomeUnknown("its process died")
        return None if row.is_open(retry_rejected=self.retry_rejected) else row.end


def _raise_if(late: bool) -> None:  # noqa: FBT001 - what the method before it says
    if late:
        raise LedgerUnavailable("the database went away")
