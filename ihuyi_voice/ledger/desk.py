"""The desk of an open ledger: where its parts meet."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable
from ihuyi_voice.ledger import entries, matching
from ihuyi_voice.ledger.entries import Entry, Status
from ihuyi_voice.ledger.heart import Heart
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.progress import reopen
from ihuyi_voice.ledger.reconcile import Reconciled, Reports, take_in
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.runs import (
    ANYBODY,
    Held,
    Opened,
    Runs,
    check_account,
    check_name,
    watched,
)
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
        self._open: Counter[tuple[str, str, int]] = Counter()
        self._books: dict[str, Book] = {}

    def calls(self, account: str, *, retry_rejected: bool) -> Journal:
        """Return the journal of an account's keyed calls."""
        check_account(account)
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
        check_account(account)
        place = (account, key, part)
        self._open[place] += 1
        now, telling = asyncio.get_running_loop().time, self.heart.telling
        asked = now()
        try:
            opened = await self._taken(*place, takeover=takeover)
            began = now()
            telling.opened(key, part, opened, began - asked)
            try:
                yield opened.book, self._journal(account, opened, retry_rejected=retry_rejected)
            finally:
                telling.left(key, part, now() - began)
                await self._leave(opened.book)
        finally:
            self._open -= Counter([place])

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
                return await self.heart.write(make, patient=False)
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
                read = partial(self._page, found, states, after, status)
                rows, shown = await self.heart.read(read)
                for entry in shown:
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
        mobiles = {
            entry.message.mobile
            async for entry in self.entries(run, OutcomeStatus.UNKNOWN, account)
            if entry.candidates
        }
        if not mobiles:
            return []
        found = await self.heart.write(partial(matching.match, self.owners, mobiles))
        self.heart.telling.reports(0, found)
        return found.settled

    async def _entry(self, run: int, key: str) -> Entry:
        row = await self.heart.read(lambda: entries.one(self.owners, run, key))
        return entries.entry_of(row)

    def _page(
        self, run: int, states: object, after: int, status: Status | None
    ) -> Work[tuple[Sequence[Row], list[Entry]]]:
        """Return the next rows, and the entries among them with their candidates."""
        rows = yield from entries.page(self.owners, run, states, after)
        wanted = [row for row in rows if status in {None, entries.status_of(row)}]
        unsure = {each["mobile"] for each in wanted if _is_unknown(each)}
        found = matching.Matched()
        if unsure:
            found = yield from matching.match(self.owners, unsure, settling=False)
        told = found.candidates
        return rows, [entries.entry_of(e, told.get((e["run"], e["key"]), ())) for e in wanted]

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
            here = self._open[account, key, part] > 1
            try:
                opening = partial(self.runs.open, account, key, part, owner, whom, here=here)
                return await self._kept(self.heart.write(opening, patient=False))
            except LedgerUnavailable as exc:
                if not is_locked_out(exc):
                    raise
            await self.heart.read(partial(end_sleepers, self.owners))
            return await self.heart.read(partial(self.runs.who_locks, account, key, part))

        return await watched(attempt, lambda: timing.sleep(timing.look), timing.looks)

    async def _kept(self, opening: Coroutine[Any, Any, Opened | Held]) -> Opened | Held:
        """Open; what was taken when nobody waits for it any more is left again."""
        task = asyncio.create_task(opening)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.heart.afterwards(self._left_unseen(task))
            raise

    async def _left_unseen(self, task: "asyncio.Task[Opened | Held]") -> None:
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            opened = task.result()
            if isinstance(opened, Opened):
                await self._leave(opened.book)

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
            self.heart.telling.failed("leave", exc)


def _is_unknown(row: Row) -> bool:
    return entries.status_of(row) is OutcomeStatus.UNKNOWN
