"""One part, worked to its end: the seam between the ledger and any engine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, Literal, TypedDict, Unpack

import attrs

from ihuyi_voice.bulk import BulkRun, Outcome, Reason
from ihuyi_voice.calls import check_ledger
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.common.tasks import ended
from ihuyi_voice.errors import (
    GuardUnavailable,
    LedgerUnavailable,
    RunStopped,
    VoiceError,
)
from ihuyi_voice.events import PartWorked
from ihuyi_voice.guards import Guard
from ihuyi_voice.ledger import HeldPart, Ledger
from ihuyi_voice.models import Message, OutcomeStatus
from ihuyi_voice.workers.given import check_client, check_stop

_LOOK: Final = 0.5  # seconds: those that only wait hear of a stop so soon
_OURS: Final = (GuardUnavailable, LedgerUnavailable)
_UNTOLD: Final = "the worker ended before this part was done"


class WorkOptions(TypedDict, total=False):
    """Options of `submit_many`, as workers take them."""

    max_wait: float
    max_rate: float | None
    max_deferred: int
    grace: float
    max_failures: int | None
    max_rejections: int | None
    retry_rejected: bool
    guard: Guard | None


class PartOptions(WorkOptions, total=False):
    """Options of `submit_many`, as a part takes them."""

    concurrency: int
    takeover: bool


@attrs.frozen
class PartEnd:
    """What became of a part.

    Attributes:
        done: Whether nothing of it is open or in flight any more.
        counts: How many messages this process brought to which end.
        stopped: Why the run was stopped; None if it was not.
    """

    done: bool
    counts: dict[OutcomeStatus, int]
    stopped: str | None = None


async def run_part(
    client: VoiceClient,
    ledger: Ledger,
    run: str,
    part: int,
    *,
    stop: asyncio.Event | None = None,
    **options: Unpack[PartOptions],
) -> PartEnd:
    """Work on one part of a run until nothing of it is left to do, whatever engine says so.

    The same part may be given out as often as the engine likes, also at a time: nobody is rung
    twice. A job for it should fail if this raises, and be tried again.

    Args:
        client: Who sends; its guard should be one that all workers share.
        ledger: An open one.
        run: The run's name.
        part: The number of the part, from 1 on.
        stop: Once it is set, what is in flight ends, and the rest is given back.
        options: Those of `submit_many`: concurrency, max_wait, max_rate, grace, max_failures,
            max_rejections, max_deferred, retry_rejected, guard, takeover.

    Raises:
        RunInUse: Another living process works on the part, or has taken it over.
        GuardUnavailable, LedgerUnavailable: Some messages could not be sent for this reason, and
            are to be tried again.
        InvalidRequest: There is no such run or part, or an option can't be right.
    """
    check_client(client)
    check_ledger(ledger)
    check_stop(stop)
    if await ledger.parts.is_done(client.account, run, part):
        return PartEnd(done=True, counts=dict.fromkeys(OutcomeStatus, 0))
    journals = _OnePart(ledger, part)
    bulk = client.submit_many(journals.messages(), run=run, ledger=journals, **options)
    bulk.ending_at(GuardUnavailable)  # or later messages to its number would overtake it
    now = asyncio.get_running_loop().time
    began = now()

    def tell(end: PartEnd | None, error: BaseException | None = None) -> None:
        if client.events.wants(PartWorked):
            told = _name_of(end), now() - began, bulk.summary, error
            client.events.tell(PartWorked(run, part, *told))

    try:
        end = await _worked(client, ledger, run, bulk, journals, stop or asyncio.Event())
    except BaseException as error:
        tell(None, error)
        raise
    tell(end)
    return end


def _name_of(end: PartEnd | None) -> Literal["done", "given back", "stopped", "failed"]:
    if end is None:
        return "failed"
    if end.done:
        return "done"
    return "given back" if end.stopped is None else "stopped"


async def _worked(
    client: VoiceClient,
    ledger: Ledger,
    run: str,
    bulk: BulkRun,
    journals: "_OnePart",
    stop: asyncio.Event,
) -> PartEnd:
    """Make a pass over a part."""
    try:
        async with bulk:
            await _Pass(bulk, journals, stop).work()
    except RunStopped as error:
        return PartEnd(done=False, counts=bulk.summary, stopped=str(error))
    except VoiceError:
        raise
    except Exception as exc:
        await ledger.stop(run, f"a worker broke: {type(exc).__name__}", client.account)
        raise
    return await _verdict(client, ledger, run, bulk, journals)


async def _verdict(
    client: VoiceClient, ledger: Ledger, run: str, bulk: BulkRun, journals: "_OnePart"
) -> PartEnd:
    """Say what a pass over a part came to, to the ledger and to the engine."""
    reason = journals.stopped_by
    cause = None if reason is None else reason.cause
    if journals.trouble is not None:
        raise journals.trouble
    if isinstance(cause, _OURS):
        raise cause
    if reason is not None and cause is not None and not isinstance(cause, RunStopped):
        text = f"{reason.sign}: {cause}" if reason.sign else str(cause)
        await ledger.stop(run, text, client.account)
        return PartEnd(done=False, counts=bulk.summary, stopped=text)
    held = journals.held
    try:
        await held.check()
    except RunStopped as error:
        return PartEnd(done=False, counts=bulk.summary, stopped=str(error))
    return PartEnd(done=await held.finish(tried=journals.tried), counts=bulk.summary)


class _OnePart:
    """A ledger as a client sees it that works on one part: its run has that part alone.

    Attributes:
        trouble: A failure of our own means, for which messages are to be tried again.
        tried: Whether all that was to be sent got its chance.
        stopped_by: Why nothing more was started.
    """

    def __init__(self, ledger: Ledger, part: int) -> None:
        self._ledger = ledger
        self._part = part
        self._held: HeldPart | None = None
        self.trouble: VoiceError | None = None
        self.stopped_by: Reason | None = None
        self.tried = False

    @property
    def held(self) -> HeldPart:
        """The part, which was opened."""
        if self._held is None:
            raise RunStopped(_UNTOLD)
        return self._held

    def calls(self, account: str, *, retry_rejected: bool = False) -> Any:  # noqa: ANN401 - a journal
        """Return the journal of an account's keyed calls."""
        return self._ledger.calls(account, retry_rejected=retry_rejected)

    @asynccontextmanager
    async def run(
        self, account: str, key: str, *, takeover: bool = False, retry_rejected: bool = False
    ) -> AsyncGenerator[Any]:
        """Open the part."""
        opening = self._ledger.parts.hold(
            account, key, self._part, takeover=takeover, retry_rejected=retry_rejected
        )
        async with opening as held:
            self._held = held
            yield held.journal

    async def messages(self) -> AsyncGenerator[Message]:
        """Yield what is to be sent; the part has been opened by then."""
        async with aclosing(self.held.to_send()) as drafts:
            async for draft in drafts:
                known = draft.reference is None
                yield Message(draft.mobile, draft.content, None if known else draft.key)

    def note(self, outcome: Outcome) -> None:
        """Hear of an outcome."""
        if isinstance(outcome.error, _OURS):
            self.trouble = outcome.error


class _Pass:
    """One pass over a part: outcomes are heard, and whether to go on.

    Args:
        bulk: The run of its messages.
        journals: The part.
        stop: Says that it is to end.
    """

    def __init__(self, bulk: BulkRun, journals: _OnePart, stop: asyncio.Event) -> None:
        self._bulk = bulk
        self._journals = journals
        self._stop = stop

    async def work(self) -> None:
        """Return when all outcomes are there.

        Raises:
            RunInUse: Another process has taken the part over.
            RunStopped: The run was stopped.
        """
        hearing = asyncio.create_task(self._hear())
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({hearing, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._journals.stopped_by = self._bulk.stopped_by
            over = [task for task in (watching, hearing) if task.done()]
            self._journals.tried = hearing in over and not self._bulk.stopped_by
            for task in (watching, hearing):
                await ended(task, at_once=True)
        for task in over:
            task.result()
        for outcome in await self._bulk.drain():
            self._journals.note(outcome)

    async def _hear(self) -> None:
        async for outcome in self._bulk:
            self._journals.note(outcome)

    async def _watch(self) -> None:
        """Return once the worker is to end; raise if the part isn't ours, or the run is stopped."""
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._stop.wait()
            with suppress(LedgerUnavailable):
                await self._journals.held.check()
