"""The desk of an open ledger: where its parts meet."""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable, RunInUse
from ihuyi_voice.ledger import entries, matching
from ihuyi_voice.ledger.entries import Entry, Status
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.progress import reopen
from ihuyi_voice.ledger.reconcile import Reconciled, Reports, take_in
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.runs import ANYBODY, Held, Opened, Runs, check_name, watched
from ihuyi_voice.ledger.schema import OPEN_RUN, STOPPED_RUN
from ihuyi_voice.ledger.sleepers import end_sleepers, is_locked_out
from ihuyi_voice.ledger.states import opens
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.storage import Row, Work

logger: Final = logging.getLogger("ihuyi_voice.ledger")


class Desk:
    """Opens journals, and answers what people ask.

    Attributes:
        heart: Who reads and writes.
        owners: Who lives.
        runs: What is asked of runs.
    """

    def __init__(self, heart: Heart, owners: Owners) -> None:
        self.heart = heart
        self.owners = owners
        self.runs = Runs(owners)
        self._open: set[tuple[str, str, int]] = set()
        self._books: dict[str, Book] = {}

    def calls(self, account: str, *, retry_rejected: bool) -> Journal:
        """Return the journal of an account's keyed calls."""
        return Journal(
            self.heart,
            account,
            partial(self._books.get, account),
            partial(self._keyed, account),
            opens(retry_rejected=retry_rejected),
            self.heart.flights(account),
            is_new=False,
            has_recent=self.heart.remembers(account),
        )

    @asynccontextmanager
    async def run(
        self, account: str, key: str, *, takeover: bool, retry_rejected: bool
    ) -> AsyncGenerator[Journal]:
        """Open a run that has one part, and leave it."""
        opening = self.part(account, key, 0, takeover=takeover, retry_rejected=retry_rejected)
        async with opening as (_, journal):
            yield journal

    @asynccontextmanager
    async def part(
        self, account: str, key: str, part: int, *, takeover: bool, retry_rejected: bool
    ) -> AsyncGenerator[tuple[Book, Journal]]:
        """Open a part of a run, and leave it."""
        check_name(key)
        place = (account, key, part)
        if place in self._open:
            raise RunInUse(f"the run {key!r} is open here already")
        self._open.add(place)
        try:
            opened = await self._taken(*place, takeover=takeover)
            try:
                yield opened.book, self._journal(account, opened, retry_rejected=retry_rejected)
            finally:
                await self._leave(opened.book)
        finally:
            self._open.discard(place)

    async def found(self, run: str, account: str | None) -> int:
        """Return the id of a run."""
        row = await self.heart.read(lambda: self.runs.named(run, account))
        return int(row["id"])

    async def mark(self, run: str, account: str | None, cause: str | None) -> None:
        """Stop a run for a cause, or let it go on."""
        if not run:
            raise InvalidRequest("keyed calls can't be stopped: nobody runs them", field="run")
        found = await self.found(run, account)
        state = OPEN_RUN if cause is None else STOPPED_RUN
        await self.impatiently(lambda: self.runs.mark(found, state, cause or None))
        await self.impatiently(lambda: self.runs.mark_parts(found))
        if cause is None:
            await self.impatiently(lambda: reopen(self.owners, found))

    async def impatiently(self, make: Callable[[], Work[None]]) -> None:
        """Write what may find locks of programs that are asleep."""
        for _ in range(self.owners.timing.looks):
            try:
                return await self.heart.write(make)
            except LedgerUnavailable as exc:
                if not is_locked_out(exc):
                    raise
            await self.heart.read(partial(end_sleepers, self.owners))
        await self.heart.write(make)
        return None

    async def entries(
        self, run: str, status: Status | None, account: str | None
    ) -> AsyncGenerator[Entry]:
        """Iterate over the entries of a run."""
        passes = entries.passes_for(self.owners, status)
        found = await self.found(run, account)
        first = await self.heart.read(lambda: entries.first_of(self.owners, found))
        for states in passes:
            after, more = first, True
            while more:
                read = partial(entries.page, self.owners, found, states, after)
                rows = await self.heart.read(read)
                for entry in await self._shown(rows, status):
                    yield entry
                more = len(rows) == entries.PAGE
                after = rows[-1]["id"] if rows else after

    async def reconcile(self, inbox: Reports) -> Reconciled:
        """Take in what an inbox has, and settle what its reports tell of."""
        settled = await take_in(self.heart, self.owners, inbox)
        await self.heart.write(self.owners.bury_all)
        ambiguous: list[Entry] = []
        for info in await self.heart.read(self.runs.all):
            more = await self._settled(info.key, info.account)
            settled += more
            async for entry in self.entries(info.key, OutcomeStatus.UNKNOWN, info.account):
                ambiguous += [entry] if entry.candidates else []
        found = [await self._entry(*place) for place in settled]
        return Reconciled(tuple(found), tuple(ambiguous))

    # ---

    async def _settled(self, run: str, account: str) -> list[tuple[int, str]]:
        """Look again at what is UNKNOWN in a run."""
        settled: list[tuple[int, str]] = []
        mobiles = {
            entry.message.mobile
            async for entry in self.entries(run, OutcomeStatus.UNKNOWN, account)
            if entry.candidates
        }
        if mobiles:
            work = partial(matching.match, self.owners, mobiles)
            settled += (await self.heart.write(work)).settled
        return settled

    async def _entry(self, run: int, key: str) -> Entry:
        row = await self.heart.read(lambda: entries.one(self.owners, run, key))
        return entries.entry_of(row)

    async def _shown(self, rows: Sequence[Row], status: Status | None) -> list[Entry]:
        rows = [row for row in rows if status in {None, entries.status_of(row)}]
        unsure = {row["mobile"] for row in rows if entries.status_of(row) is OutcomeStatus.UNKNOWN}
        found = matching.Matched()
        if unsure:
            read = partial(matching.match, self.owners, unsure, settling=False)
            found = await self.heart.read(read)
        return [
            entries.entry_of(row, found.candidates.get((row["run"], row["key"]), ()))
            for row in rows
        ]

    async def _keyed(self, account: str) -> Book:
        book = self._books.get(account)
        if book is None:
            await self.heart.born()
            book = await self.heart.write(lambda: self.runs.keyed(account))
            self._books[account] = book
        return book

    async def _taken(self, account: str, key: str, part: int, *, takeover: bool) -> Opened:
        timing = self.owners.timing

        async def attempt(insist: Held | None) -> Opened | Held:
            owner, whom = await self.heart.born(), ANYBODY if takeover else insist
            try:
                opening = partial(self.runs.open, account, key, part, owner, whom)
                return await self.heart.write(opening)
            except LedgerUnavailable as exc:
                if not is_locked_out(exc):
                    raise
            await self.heart.read(partial(end_sleepers, self.owners))
            return await self.heart.read(partial(self.runs.who_locks, account, key, part))

        return await watched(attempt, lambda: timing.sleep(timing.look), timing.looks)

    def _journal(self, account: str, opened: Opened, *, retry_rejected: bool) -> Journal:
        async def book() -> Book:
            return opened.book

        return Journal(
            self.heart,
            account,
            lambda: opened.book,
            book,
            opens(retry_rejected=retry_rejected),
            {},
            is_new=opened.is_new,
            has_recent=opened.has_recent,
        )

    async def _leave(self, book: Book) -> None:
        try:
            await self.heart.write_or_owe(lambda: self.runs.leave(book))
        except LedgerUnavailable as exc:
            tell(logger, logging.WARNING, "a run could not be left yet: %s", exc)
