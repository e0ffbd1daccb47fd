"""The intake of a run with a journal: messages are looked up, many at a time, before their turn.

Theory of operation. One task reads up to `AHEAD` messages. What stands on the journal's next pages
as accepted (see `earlier`) has its outcome at once; for all others the journal is asked at once,
and they are sorted out: what was settled earlier has its outcome, *replayed*, whatever slow start,
rate, guard and breaker say; what may be sent waits for `take`, in order. It asks again when half
of them have been taken. Until its turn comes, a message is no more than its draft and its number in
events: only what is about to be sent needs a job. In a journal that was new there is nothing to
look up, and no message waits here: a key that comes a second time is found by its intent.

With the same batch go the numbers that the guard doesn't remember, if the journal has recent calls:
their windows are restored. So the task has nothing to do only where there is neither.

A message that can't be submitted is written to the journal, too, before its outcome is told.

If the journal fails, the run stops (the scheduler sees to that), and what is read from then on
passes through. So it does when the task is cancelled: then the run was left, or stops. Nothing that
was not looked up is sent after that.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import Any, Final

import attrs

from ihuyi_voice.bulk.deferral import Item
from ihuyi_voice.bulk.earlier import Earlier
from ihuyi_voice.bulk.intake import Intake
from ihuyi_voice.bulk.outcomes import Outcome, accepted, ended
from ihuyi_voice.bulk.turns import Turns
from ihuyi_voice.calls import (
    Ending,
    Entry,
    Journaling,
    Submitter,
    announced,
    announced_all,
    check_key,
)
from ihuyi_voice.common.foreign import ENDING, Endings
from ihuyi_voice.common.plain import plain
from ihuyi_voice.errors import (
    CallInFlight,
    InvalidRequest,
    LedgerUnavailable,
    RunStopped,
    VoiceError,
)
from ihuyi_voice.models import Draft, Message, Submission, digest

AHEAD: Final = 500
"""How many messages are read before their turn, at the most."""

_LONGEST_NUMBER: Final = 100


@attrs.define(eq=False)
class Taken:
    """A message that was read: no more of it than a replay needs.

    Attributes:
        message: As the caller gave it.
        draft: What is looked up.
        call: Its number in events.
        asked: When it was read, as jobs have the time.
        recalled: Whether the guard knows the number's calls.
    """

    message: Message
    draft: Draft
    call: int
    asked: float
    recalled: bool = False


@attrs.frozen(eq=False)
class Invalid:
    """A message that can't be submitted, and is to be written to the journal."""

    message: Message
    error: InvalidRequest
    draft: Draft


class JournaledIntake(Intake):
    """Takes messages from a source, and looks up what became of them earlier.

    Args:
        options: As for `Intake`.
        journaling: The run's journal.
        submitter: Makes the jobs of what is open, tells the guard what the journal knows of their
            numbers, and tells what happens.
    """

    def __init__(
        self,
        *options: Any,  # noqa: ANN401 - those of Intake
        journaling: Journaling,
        submitter: Submitter,
    ) -> None:
        super().__init__(*options)
        self._journaling = journaling
        self._submitter = submitter
        self._events = submitter.events
        self._now = submitter.time()
        self._looks = not journaling.is_new
        self._earlier = Earlier(journaling if self._looks else None)
        self._stands_aside = not self._looks and not journaling.has_recent
        self._ready: deque[Taken] = deque()
        self._waiting: deque[Taken | Invalid] = deque()  # read, and not yet in a batch
        self._batch: list[Taken | Invalid] = []
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()

    @property
    def ended(self) -> bool:
        """Whether nothing more will be taken."""
        return super().ended and not (self._ready or self._waiting or self._batch)

    @property
    def ready(self) -> bool:
        """Whether `take` may have a message at once."""
        if self._ready:
            return True
        return self._passes and super().ready and len(self._waiting) < AHEAD

    @property
    def is_quiet(self) -> bool:
        """Whether only the caller's iterable can bring anything on."""
        return super().is_quiet and self._task is None and not self._ready

    @property
    def tasks(self) -> Iterable["asyncio.Task[None]"]:
        """The tasks that go on beside the attempts."""
        return (*super().tasks, *(() if self._task is None else (self._task,)))

    def fill(self) -> None:
        """Look more up, if there are few that `take` would have at once."""
        if self._task is not None or not (self._waiting or self._is_low()):
            return
        # Not by the loop's factory: an eager one would read inside the pump.
        self._task = asyncio.Task(self._work(), loop=self._loop, context=self._context.copy())
        self._task.add_done_callback(self._over)

    def take(self) -> Item | None:
        """Return the next message that may be submitted; None if there is none just now."""
        if not self._ready:
            return super().take() if self._passes else None
        item = self._first()
        item.job.deadline = self._loop.time() + self._max_wait
        self.fill()
        return item

    def refuse(self, refusal: VoiceError) -> bool:
        """Let the next message come out with an error; say whether there was one."""
        if not self._ready:
            return self._passes and super().refuse(refusal)
        item = self._first()
        try:
            self._desk.emit(ended(item.message, item.job.verdict(refusal)), item.job.call)
        finally:  # a hook may end the program
            self.fill()
        return True

    def write_off(self) -> None:
        """Wait for nothing more but what `take` has at once."""
        self._stands_aside = True
        left = [*self._batch, *self._waiting]
        self._batch.clear()
        self._waiting.clear()
        self._ready.extend(each for each in left if isinstance(each, Taken))
        self._emit_refused([each for each in left if isinstance(each, Invalid)])

    # --- the task

    @property
    def _passes(self) -> bool:
        """Whether messages pass through without being looked up."""
        return self._stands_aside or self._journaling.failure is not None

    def _is_low(self) -> bool:
        if self._passes or len(self._ready) > AHEAD // 2:
            return False
        return self._desk.has_space and super().ready

    async def _work(self) -> None:
        whole = False
        try:
            while self._waiting or self._is_low():
                if self._is_low():
                    await self._read(AHEAD)
                self._batch = list(self._waiting)
                self._waiting.clear()
                await self._sort_out(self._batch)
                self._desk.pump()
            whole = True
        except LedgerUnavailable:
            pass  # the scheduler sees it in the journal's failure
        except asyncio.CancelledError:
            self._desk.interrupted()
        except (GeneratorExit, *ENDING):  # a hook ends the program: nothing more is to begin
            self._desk.interrupted()
            raise
        except BaseException as exc:  # noqa: BLE001 - of this program, or of foreign code
            self._desk.broken(exc)
        finally:
            if not whole:
                self.write_off()

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if task.cancelled():  # before it had begun
            self._desk.interrupted()
            self.write_off()
        else:
            task.exception()  # an interruption: the event loop has raised it, so it is no news
        self._desk.pump()

    async def _read(self, most: int) -> None:
        """Read a batch of so many, as far as the source has one."""
        turns, settled = Turns(), 0
        turns.begin()
        while True:
            await self._earlier.follow()
            left = most - settled - len(self._ready) - len(self._waiting)
            if left <= 0 or self._passes or not (self._desk.has_space and super().ready):
                return
            few = self._earlier.most(min(left, turns.few))
            settled += self._read_some(few)
            await turns.after(few)

    def _read_some(self, most: int) -> int:
        """Read so many; those that stand among the earlier ones have their outcome at once."""
        given, endings = self._given_some(most), Endings()
        known = self._earlier.outcomes_of(given)
        outcomes = [outcome for outcome in known if outcome is not None]
        others = [each for each, outcome in zip(given, known, strict=True) if outcome is None]
        with endings:
            self._emit_known(outcomes)
        for each in others:
            with endings:
                self._put_by(each)
        endings.let_go()
        return len(outcomes)

    def _emit_known(self, outcomes: Sequence[Outcome]) -> None:
        calls: list[int | None] = []
        try:
            calls.extend(announced_all(self._events, [each.message for each in outcomes]))
        finally:  # a hook may end the program
            calls += [None] * (len(outcomes) - len(calls))
            self._desk.emit_all(outcomes, calls)

    def _put_by(self, given: object) -> None:
        taken = self._understood(given, self._taken)
        if taken is not None:
            self._waiting.append(taken)

    async def _sort_out(self, batch: list[Taken | Invalid]) -> None:
        taken = [each for each in batch if isinstance(each, Taken)]
        invalid = [each for each in batch if isinstance(each, Invalid)]
        ends: Sequence[Ending | None] = [None] * len(taken)
        if taken and self._looks:
            ends = await self._journaling.look_all([each.draft for each in taken])
            found = zip(taken, ends, strict=True)
            keys = [each.draft.key for each, end in found if isinstance(end, Submission)]
            self._earlier.looked_up(keys)
        rest, outcomes, calls = _parted(taken, ends)
        self._batch = [*(each for each, _ in rest), *invalid]
        self._desk.emit_all(outcomes, calls)  # known, whatever the journal does from here on
        await self._sort_in(rest, invalid)

    async def _sort_in(
        self, rest: "Sequence[tuple[Taken, Ending | None]]", invalid: Sequence[Invalid]
    ) -> None:
        """Have the guard and the journal told what they need of a batch, and place its rest."""
        new = [each for each, end in rest if end is None]
        if new:
            recall = self._submitter.recalling.before_all
            recalled = await recall([each.draft.mobile for each in new], self._journaling)
            for each in new:
                each.recalled = recalled
        if invalid:
            await self._journaling.settle_all([(each.draft, each.error) for each in invalid])
        self._batch = []
        self._ready.extend(each for each, _ in rest)
        self._emit_refused(invalid)

    def _emit_refused(self, invalid: Sequence[Invalid]) -> None:
        outcomes = [ended(each.message, each.error) for each in invalid]
        self._desk.emit_all(outcomes, [None] * len(outcomes))

    # --- one message

    def _item(self, message: Message) -> Item:
        return self._opened(self._taken(message))

    def _taken(self, message: Message) -> Taken:
        mobile, content = self._check(message)
        draft = Draft(key_of(message, mobile, content), mobile, content, message.reference)
        asked = self._now()
        return Taken(message, draft, announced(self._events, mobile), asked)

    def _first(self) -> Item:
        item = self._opened(self._ready[0])
        self._ready.popleft()  # now that it can't be lost
        return item

    def _opened(self, taken: Taken) -> Item:
        """Return what submits a message; nothing foreign is asked, so that it can't be lost."""
        draft, wait = taken.draft, self._max_wait
        called = taken.call, taken.asked, self._now
        job = self._submitter.job_of(draft.mobile, draft.content, wait, *called)
        job.entry = Entry(
            draft, self._journaling, looked=True, unsure=True, recalled=taken.recalled
        )
        return Item(taken.message, job)

    def _invalid(self, message: Message, error: InvalidRequest) -> None:
        draft = None
        try:
            draft = None if self._journaling.failure else _as_it_came(message)
        finally:  # its class may be the caller's, and end the program
            if draft is None:
                super()._invalid(message, error)
        if draft is not None:
            self._waiting.append(Invalid(message, error, draft))
            self.fill()


def _parted(
    taken: Iterable[Taken], ends: Iterable[Ending | None]
) -> tuple[list[tuple[Taken, Ending | None]], list[Outcome], list[int]]:
    """Return what may be sent, and of the others outcomes and numbers."""
    rest: list[tuple[Taken, Ending | None]] = []
    outcomes: list[Outcome] = []
    calls: list[int] = []
    for each, end in zip(taken, ends, strict=True):
        if isinstance(end, Submission):  # as nearly all are
            outcomes.append(accepted(each.message, end, replayed=True))
        elif end is None or isinstance(end, CallInFlight):
            rest.append((each, end))
            continue
        else:
            replayed = not isinstance(end, InvalidRequest | RunStopped)
            outcomes.append(ended(each.message, end, replayed=replayed))
        calls.append(each.call)
    return rest, outcomes, calls


def key_of(message: Message, mobile: str, content: str) -> str:
    """Return by what a message is known in its run.

    Args:
        message: The message.
        mobile: Its number, as it is sent.
        content: Its content, as it is sent.

    Raises:
        InvalidRequest: Its reference can't be a key.
    """
    if message.reference is None:
        return digest(mobile, content)
    return check_key("reference", message.reference)


def _as_it_came(message: Message) -> Draft | None:
    """Return the draft of a message that can't be submitted; None if it can't even be written."""
    try:
        given: list[object] = [message.mobile, message.content]
        if [each for each in given if not isinstance(each, str)] or not plain(message.mobile):
            return None
        mobile, content = _storable(message.mobile)[:_LONGEST_NUMBER], _storable(message.content)
        return Draft(key_of(message, mobile, content), mobile, content, message.reference)
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - its reference is no key, or its class is the caller's
        return None


def _storable(text: str) -> str:
    """Return a text as any database takes it."""
    return plain(text).encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
