"""A ledger as the clients of one account use it: keyed calls, and runs that are opened and left."""

import asyncio
import logging
import unicodedata
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from math import inf
from typing import Final

from ihuyi_voice.calls.entry import Entry
from ihuyi_voice.calls.errands import Errands, result
from ihuyi_voice.calls.flights import flights_of
from ihuyi_voice.calls.journal import Journal, Journals
from ihuyi_voice.calls.journaling import Journaling
from ihuyi_voice.calls.waiting import ended, waited
from ihuyi_voice.common.foreign import ENDING, PASSING, words
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.plain import plain
from ihuyi_voice.errors import InvalidRequest, LedgerUnavailable, VoiceError
from ihuyi_voice.inputs import check_acts
from ihuyi_voice.models import Draft

logger = logging.getLogger("ihuyi_voice")

_LEDGER: Final = "an open Ledger (async with Ledger.open(…) as ledger)"
_LONGEST_KEY: Final = 200
_FOREIGN: Final = frozenset({"Cc", "Cs"})  # control characters, and halves of surrogate pairs


class Bookkeeping:
    """A ledger as one client uses it.

    Args:
        ledger: The client's own; None for none.
        account: Whose calls they are.
        errands: The client's.
    """

    def __init__(self, ledger: Journals | None, account: str, errands: Errands) -> None:
        if ledger is not None:
            check_ledger(ledger)
        self._ledger = ledger
        self._account = account
        self._errands = errands
        self._journalings: dict[bool, Journaling] = {}

    def calls(self, *, retry_rejected: bool = False) -> Journaling | None:
        """Return the journal of the keyed calls; None without a ledger."""
        ledger = self._ledger
        if ledger is None:
            return None
        if retry_rejected not in self._journalings:
            self._journalings[retry_rejected] = Journaling(
                lambda: ledger.calls(self._account, retry_rejected=retry_rejected), self._errands
            )
        return self._journalings[retry_rejected]

    def entry(self, draft: Draft, *, retry_rejected: bool) -> Entry:
        """Return the entry of a keyed call.

        Raises:
            InvalidRequest: There is no ledger.
        """
        journaling = self.calls(retry_rejected=retry_rejected)
        if journaling is None:
            raise InvalidRequest("key needs a ledger: VoiceClient(ledger=…)", field="key")
        return Entry(draft, journaling, flights_of(self._ledger, self._account))

    def run(
        self, name: str, ledger: Journals | None, *, takeover: bool, retry_rejected: bool
    ) -> "JournalOfRun":
        """Return a run's journal, to be opened.

        Raises:
            InvalidRequest: The name can't be one, or there is no ledger.
        """
        if ledger is not None:
            check_ledger(ledger)
        ledger = self._ledger if ledger is None else ledger
        if ledger is None:
            raise InvalidRequest(
                "run needs a ledger: VoiceClient(ledger=…), or submit_many(…, ledger=…)",
                field="run",
            )
        check_key("run", name)
        opening = partial(
            ledger.run, self._account, name, takeover=takeover, retry_rejected=retry_rejected
        )
        return JournalOfRun(opening, self._errands)


class JournalOfRun:
    """The journal of one run, from its opening to its release.

    Args:
        opening: Begins to open it.
        around: The client's errands: it is released even if nobody waits for that.
    """

    def __init__(
        self, opening: Callable[[], AbstractAsyncContextManager[Journal]], around: Errands
    ) -> None:
        self._opening = opening
        self._around = around
        self._errands = Errands()
        self._opened: AbstractAsyncContextManager[Journal] | None = None

    async def open(self) -> Journaling:
        """Open the run; who is cancelled meanwhile leaves it free.

        Raises:
            RunInUse: Another living process works on it.
            LedgerUnavailable: It could not be opened.
        """
        try:
            manager = self._opening()
            journal = await self._entered(manager)
        except (VoiceError, *PASSING):
            raise
        except BaseException as exc:
            raise LedgerUnavailable(f"the run could not be opened ({words(exc)})") from exc
        self._opened = manager
        return Journaling(lambda: journal, self._errands)

    async def close(self) -> asyncio.CancelledError | None:
        """Have what has ended written, and release the run, however often cancelled meanwhile.

        Returns:
            The last cancellation, which was not heeded.
        """
        manager, self._opened = self._opened, None
        if manager is None:
            return None
        task = self._around.begin(self._released(manager))
        cancelled = await ended(task)
        if not task.done():
            cancelled = await ended(task) or cancelled  # once for its errands, once for itself
        return cancelled

    async def _entered(self, manager: AbstractAsyncContextManager[Journal]) -> Journal:
        task = self._around.begin(manager.__aenter__())
        try:
            await waited(task, inf)
        except asyncio.CancelledError:
            task.cancel()
            task.add_done_callback(lambda _: self._left(manager, task))
            raise
        return result(task)

    def _left(
        self, manager: AbstractAsyncContextManager[Journal], task: "asyncio.Task[Journal]"
    ) -> None:
        if not task.cancelled() and task.exception() is None:
            self._around.begin(self._released(manager))

    async def _released(self, manager: AbstractAsyncContextManager[Journal]) -> None:
        await self._errands.aclose()
        try:
            await manager.__aexit__(None, None, None)
        except (GeneratorExit, *ENDING):
            raise
        except BaseException as exc:  # noqa: BLE001 - a ledger is foreign code
            tell(logger, logging.WARNING, "a run was not released (%s)", words(exc))


def check_ledger(ledger: object) -> None:
    """Refuse what is no ledger.

    Raises:
        InvalidRequest: It says what to give instead.
    """
    check_acts("ledger", ledger, ("calls", "run"), _LEDGER)


def check_key(name: str, key: object) -> str:
    """Return a key or the name of a run, if it can be one.

    Raises:
        InvalidRequest: It is no text, empty, longer than 200 characters, or has characters that
            nobody sees.
    """
    if not isinstance(key, str):
        raise InvalidRequest(f"{name} must be text, not of type {type(key).__name__}", field=name)
    key = plain(key)
    if not key.strip():
        raise InvalidRequest(f"{name} is empty", field=name)
    if len(key) > _LONGEST_KEY:
        raise InvalidRequest(
            f"{name} has {len(key)} characters; at most {_LONGEST_KEY} are allowed", field=name
        )
    if not key.isprintable() and any(unicodedata.category(each) in _FOREIGN for each in key):
        raise InvalidRequest(f"{name} has control characters: {key!r:.80}", field=name)
    return key
