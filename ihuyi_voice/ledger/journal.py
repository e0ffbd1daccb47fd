"""A journal: what calls ask of the entries of one run, or of an account's keyed calls."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import attrs

from ihuyi_voice.common.plain import is_storable
from ihuyi_voice.errors import CallInFlight, InvalidRequest
from ihuyi_voice.ledger.rows import Book, Flight, Intent, Outcome, Put
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.models import Draft

_TEXTS = ("key", "mobile", "content")


class Desk(Protocol):
    """What a journal needs of its ledger."""

    def put(self, row: Put) -> "asyncio.Future[Ending | None]":
        """Put a row into a commit; what is returned is done once it is written durably."""
        ...

    async def look(
        self, book: Book, drafts: Sequence[Draft], opens: int
    ) -> Sequence[Ending | None]:
        """Return what stands against sending each."""
        ...

    async def accepted(self, book: Book, after: int | str) -> Sequence[Any]:
        """Return the next of what was accepted."""
        ...

    async def recall(self, account: str, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Return the ages of each number's calls."""
        ...

    def ticket(self) -> int:
        """Return the number of the next intent."""
        ...

    @property
    def owner(self) -> int:
        """Who this process is now."""
        ...


@attrs.define(eq=False)
class Journal:
    """The entries of one run, or of the keyed calls of an account; see `calls.journal`.

    Attributes:
        is_new: Whether nothing was in it when it was opened.
        has_recent: Whether the account had calls in the last 24 hours when it was opened.
    """

    _desk: Desk
    _account: str
    _known: Callable[[], Book | None]
    _find: Callable[[], Awaitable[Book]]
    _opens: int
    _flights: dict[str, Flight] = attrs.field(repr=False)
    is_new: bool
    has_recent: bool

    async def look(self, drafts: Sequence[Draft]) -> Sequence[Ending | None]:
        """Return what became of each, in their order; None if it may be sent.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        wrong = _all_wrong(drafts)
        right = drafts
        if wrong:
            right = [draft for place, draft in enumerate(drafts) if place not in wrong]
        book = await self._find()
        ends = await self._desk.look(book, right, self._opens)
        if not wrong:
            return ends
        found = iter(ends)
        return [wrong.get(place) or next(found) for place in range(len(drafts))]

    async def accepted(self, after: int | str) -> Sequence[Any]:
        """Return the next of what was accepted, in the order in which it was begun; or nothing.

        The place of the last one, and three texts, with U+001F behind each value: the reference
        (empty if there is none), the number and the content of each; their ids; their attempts.

        Args:
            after: The place or the key of the one before; 0 for none.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        return await self._desk.accepted(await self._find(), after)

    def intend(self, draft: Draft) -> Awaitable[Ending | None]:
        """Write durably that this call is about to be made; None if it may be, by this caller only.

        Cancelled, it settles what is granted nevertheless as not sent.

        Raises:
            LedgerUnavailable: It is not written, or nobody knows; then it is taken back as soon as
                the database is there again.
        """
        if error := _wrong(draft):
            return _done(error)
        if draft.key in self._flights:
            return _done(CallInFlight("this process has a call with this key in flight"))
        book = self._known()
        if book is None:
            return self._found(self.intend, draft)
        intent = Intent(book, draft, self._desk.ticket(), self._opens, self._flights)
        return self._desk.put(intent)

    def settle(self, draft: Draft, end: Ending) -> Awaitable[Ending | None]:
        """Write durably how a call ended: one that was granted, or that was never intended.

        An end of what was never intended never takes the place of one that says it was sent, nor
        of an attempt in flight at another message of the same key.

        Raises:
            LedgerUnavailable: It is not written yet. That of a granted call is tried again as long
                as this process lives.
        """
        book = self._known()
        if book is None:
            return self._found(self.settle, draft, end)
        flight = self._flights.get(draft.key)
        if flight is not None and flight.draft == draft:
            del self._flights[draft.key]
        else:
            flight = None
        if flight is None and _wrong(draft):
            return _done(None)
        return self._desk.put(Outcome(book, draft, end, flight))

    async def _found(
        self, call: Callable[..., Awaitable[Ending | None]], *given: Draft | Ending
    ) -> Ending | None:
        """Find the book first, which is done once."""
        await self._find()
        return await call(*given)

    async def recall(self, mobiles: Sequence[str]) -> Mapping[str, Sequence[float]]:
        """Return the ages, in seconds, of each number's calls that count for its limits.

        Those of the last 24 hours and of this account, in any run, that were accepted, may have
        been, or are in flight.

        Raises:
            LedgerUnavailable: The ledger could not be asked.
        """
        return await self._desk.recall(self._account, mobiles)


def _done(end: Ending | None) -> "asyncio.Future[Ending | None]":
    done: asyncio.Future[Ending | None] = asyncio.get_running_loop().create_future()
    done.set_result(end)
    return done


def _all_wrong(drafts: Sequence[Draft]) -> dict[int, InvalidRequest]:
    """Return which of these can't be kept, by their places, and why."""
    texts = [text for each in drafts for text in (each.key, each.mobile, each.content)]
    try:
        if is_storable("".join(texts)):  # all at once, as a rule
            return {}
    except TypeError:
        pass
    return {place: error for place, each in enumerate(drafts) if (error := _wrong(each))}


def _wrong(draft: Draft) -> InvalidRequest | None:
    """Return why a draft can't be kept."""
    try:
        if is_storable(draft.key + draft.mobile + draft.content):
            return None
    except TypeError:
        pass
    for name in _TEXTS:
        if not is_storable(getattr(draft, name)):
            return InvalidRequest(f"the {name} can't be written into a ledger", field=name)
    return None
