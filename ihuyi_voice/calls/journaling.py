"""A journal, called as what it is: somebody else's code.

It may raise, hang, or be cancelled. Before anything is sent that is `LedgerUnavailable`; after the
vendor's answer it is logged and kept as `failure`, and changes no answer: the entry is UNKNOWN then
until a report or a person settles it.

Each call of it is an errand. Who is cancelled while it intends has not sent anything: an intent
that is written nevertheless is settled NOT_SENT as soon as that is known. Who is cancelled while it
settles waits to the end.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from math import isfinite
from typing import Any, Final, cast

from ihuyi_voice.calls.batches import Batches
from ihuyi_voice.calls.errands import Errands, failed, when_done
from ihuyi_voice.calls.journal import Ending, Journal, Page
from ihuyi_voice.calls.waiting import PATIENCE, all_ended, ended
from ihuyi_voice.common.foreign import ENDING, shown, words
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.plain import plain
from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.errors import (
    CallInFlight,
    InvalidRequest,
    LedgerUnavailable,
    NotSent,
    RunStopped,
    VoiceError,
)
from ihuyi_voice.models import Draft, Submission

logger = logging.getLogger("ihuyi_voice")

ASKING: Final = 15.0
"""How long a ledger may take to answer before anything is sent, in seconds."""

_SLOW: Final = f"the ledger did not answer within {PATIENCE:g} s"
_REFUSALS: Final = (CallInFlight, InvalidRequest, RunStopped)


class Journaling:
    """A journal as the calls of one client, or of one run, use it.

    Attributes:
        failure: Why it is of no use any more: it failed, or the run was stopped elsewhere.

    Args:
        find: Returns the journal; called each time, for a ledger may be closed and opened again.
        errands: Where its calls run.
    """

    def __init__(self, find: Callable[[], Journal], errands: Errands) -> None:
        self.failure: NotSent | None = None
        self._find = find
        self._errands = errands
        self._looks = Batches[Draft, "Ending | None"](self.look_all, errands)
        self._recalls = Batches[str, Sequence[float]](self.recall_all, errands)

    @property
    def _journal(self) -> Journal:
        return self._find()

    @property
    def is_new(self) -> bool:
        """Whether there is nothing to look up."""
        try:
            return bool(self._journal.is_new)
        except ENDING:
            raise
        except BaseException:  # noqa: BLE001 - a ledger is foreign code; whoever asks will see
            return False

    @property
    def has_recent(self) -> bool:
        """Whether it may know calls of the last 24 hours."""
        try:
            return bool(self._journal.has_recent)
        except ENDING:
            raise
        except BaseException:  # noqa: BLE001 - as above
            return True

    async def look(self, draft: Draft) -> Ending | None:
        """Return what became of a message earlier, None if it may be sent.

        Raises:
            LedgerUnavailable: Nobody knows.
        """
        return await self._looks.ask(draft)

    async def look_all(self, drafts: Sequence[Draft]) -> Sequence[Ending | None]:
        """Return what became of each earlier, in their order.

        Raises:
            LedgerUnavailable: Nobody knows.
        """
        given: object = await self._asked("look", drafts)
        ends = _listed(given)
        if len(ends) != len(drafts):
            raise self._unavailable(f"it gave {shown(given)} for {len(drafts)} answers")
        # Nearly all of them are one of the first two, when a run goes on.
        return [
            end if isinstance(end, Submission) or end is None else self._checked(end)
            for end in ends
        ]

    def leaf(self, after: int | str) -> "asyncio.Future[object]":
        """Begin to ask for the next page of what was accepted, behind a place or a key."""
        return self._errands.begin(self._leafed(after))

    async def page(self, leaf: "asyncio.Future[object]") -> Page:
        """Return a page that was asked for; an empty one at the end.

        Raises:
            LedgerUnavailable: Nobody knows.
        """
        given = await self._answer(leaf, _let_go)
        try:
            return _page(given)
        except ENDING:
            raise
        except BaseException as exc:
            text = f"it gave {shown(given)} for what was accepted: {words(exc)}"
            raise self._unavailable(text) from exc

    async def recall(self, mobile: str) -> Sequence[float]:
        """Return the ages, in seconds, of a number's calls that count for its limits.

        Raises:
            LedgerUnavailable: Nobody knows.
        """
        return await self._recalls.ask(mobile)

    async def recall_all(self, mobiles: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return the same of many numbers, in their order.

        Raises:
            LedgerUnavailable: Nobody knows.
        """
        given = await self._asked("recall", mobiles)
        try:
            return [_ages(given, mobile) for mobile in mobiles]
        except ENDING:
            raise
        except BaseException as exc:
            text = f"it gave {shown(given)} for ages: {words(exc)}"
            raise self._unavailable(text) from exc

    async def intend(self, draft: Draft) -> Ending | None:
        """Have it written that a call is about to be made; None if it may be, by this caller only.

        Raises:
            LedgerUnavailable: It is not written.
        """
        task = self._begun("intend", draft)
        return self._checked(await self._answer(task, self._take_back, draft))

    def _take_back(self, draft: Draft, granted: object) -> None:
        if granted is None:
            reason = "the call was given up before it was sent"
            self._heard(self._errands.begin(self._settled(draft, NotSent(reason))), draft)

    def settle(self, draft: Draft, end: Ending) -> "asyncio.Future[Any]":
        """Begin to write how a call ended; to be awaited by `settled`."""
        return self._begun("settle", draft, end)

    def tell(self, draft: Draft, end: Ending) -> "asyncio.Future[Any]":
        """Have an end written, or fail to, that nobody waits for."""
        return self._heard(self.settle(draft, end), draft)

    async def settled(
        self, draft: Draft, task: "asyncio.Future[Any]"
    ) -> asyncio.CancelledError | None:
        """Wait until it is written, or has failed, or for as long as we have patience.

        Returns:
            A cancellation of whoever waited, which was not heeded.
        """
        cancelled = None
        try:
            cancelled = await ended(task)
        finally:
            self._heard(task, draft)
        if not task.done():
            self._failed(LedgerUnavailable(_SLOW))
            tell(logger, logging.WARNING, "%s; it goes on alone to write how a call ended", _SLOW)
        return cancelled

    async def settle_all(self, ends: Sequence[tuple[Draft, Ending]]) -> None:
        """Have many ends written, or fail to; a cancellation passes through, and they go on."""
        tasks = [self.tell(draft, end) for draft, end in ends]
        if not await all_ended(tasks):
            self._failed(LedgerUnavailable(_SLOW))

    async def _settled(self, draft: Draft, end: Ending) -> None:
        await self._journal.settle(draft, end)

    def _heard(self, task: "asyncio.Future[Any]", draft: Draft) -> "asyncio.Future[Any]":
        """Have it said if it fails, whoever waits for it."""
        when_done(task, partial(self._note, draft))
        return task

    def _note(self, draft: Draft, task: "asyncio.Future[Any]") -> None:
        exc = asyncio.CancelledError() if task.cancelled() else task.exception()
        if exc is None:
            return
        text = f"the ledger failed to write how a call ended ({words(exc)})"
        self._failed(LedgerUnavailable(text)).__cause__ = exc
        tell(logger, logging.WARNING, "%s, to %s", text, mask_mobile(draft.mobile))

    def _begun(self, method: str, *given: object) -> "asyncio.Future[Any]":
        """Call the journal in the caller's task, up to its first wait."""
        try:
            return self._errands.start(getattr(self._journal, method)(*given))
        except ENDING:
            raise
        except BaseException as exc:  # noqa: BLE001 - a ledger is foreign code
            return failed(exc)

    async def _asked(self, method: str, question: object) -> object:
        return await self._answer(self._errands.begin(self._called(method, question)), _let_go)

    async def _answer(
        self, task: "asyncio.Future[object]", take_back: Callable[..., None], *about: object
    ) -> object:
        """Return what the journal says, before anything is sent."""
        try:
            return await self._errands.claimed(task, take_back, ASKING, *about)
        except _REFUSALS as refusal:
            return refusal
        except LedgerUnavailable as error:
            self._failed(error)
            raise
        except Exception as exc:
            raise self._unavailable(words(exc)) from exc

    async def _called(self, method: str, question: object) -> object:
        answer: object = await getattr(self._journal, method)(question)
        return answer

    async def _leafed(self, after: int | str) -> object:
        accepted = getattr(self._journal, "accepted", None)
        return () if accepted is None else await accepted(after)

    def _checked(self, end: object) -> Ending | None:
        if end is None or isinstance(end, Submission):
            return end
        if isinstance(end, RunStopped | LedgerUnavailable):
            self._failed(end)
        if isinstance(end, LedgerUnavailable):
            raise end
        if isinstance(end, VoiceError):
            return end
        raise self._unavailable(f"it gave {shown(end)}: no end of a call")

    def _unavailable(self, reason: str) -> LedgerUnavailable:
        error = LedgerUnavailable(f"the ledger could not be asked ({reason})")
        self._failed(error)
        return error

    def _failed(self, error: NotSent) -> NotSent:
        self.failure = self.failure or error
        return error


def _let_go(_: object) -> None:
    """Have no use for what nobody waits for any more."""


def _listed(given: object) -> Sequence[object]:
    return cast("Sequence[object]", given) if isinstance(given, Sequence) else ()


def _page(given: Any) -> Page:  # noqa: ANN401 - a ledger is foreign code
    if not given:
        return Page()
    last, messages, voice_ids, attempts = given
    ids, tries = str.split(voice_ids, Page.END)[:-1], str.split(attempts, Page.END)[:-1]
    if {str.count(messages, Page.END), 3 * len(tries)} != {3 * len(ids)}:
        raise ValueError("the texts are not of equally many")
    numbers = {each: int(each) for each in {*tries}}
    return Page(int(last), plain(messages), ids, [*map(numbers.__getitem__, tries)])


def _ages(given: Any, mobile: str) -> list[float]:  # noqa: ANN401 - a ledger is foreign code
    ages = [float(age) for age in given.get(mobile, ())]
    if not all(isfinite(age) for age in ages):
        raise ValueError("an age is no number of seconds")
    return ages
