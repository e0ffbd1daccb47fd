"""What comes into a run: the caller's messages, checked, each with the job that submits it.

A message that can't be one has its outcome at once. So have all that are taken when the run has
stopped.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from ihuyi_voice.bulk.deferral import Item
from ihuyi_voice.bulk.outcomes import Outcome, ended, no_message
from ihuyi_voice.bulk.progress import Tally
from ihuyi_voice.bulk.sources import NOTHING, Source, as_message
from ihuyi_voice.calls import Job, announce
from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.errors import InvalidRequest, VoiceError
from ihuyi_voice.models import Message

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
Check: TypeAlias = Callable[[Message], tuple[str, str]]
"""Returns a message's number and content, as they are sent; raises InvalidRequest."""

MakeJob: TypeAlias = Callable[[str, str, float], Job]


class Desk(Protocol):
    """Whom an intake tells, and asks."""

    @property
    def has_space(self) -> bool:
        """Whether there is room for the outcomes of more messages."""
        ...

    def emit(self, outcome: Outcome, call: int | None = None) -> None:
        """Take the outcome of a message that isn't submitted, and its number if it has one."""
        ...

    def emit_all(self, outcomes: Sequence[Outcome], calls: Sequence[int | None]) -> None:
        """Take many at once."""
        ...

    def broken(self, exc: BaseException) -> VoiceError:
        """Hear of an error that is no outcome's; return what the message comes to."""
        ...

    def interrupted(self) -> None:
        """Hear that somebody has cancelled a task of the run."""
        ...

    def pump(self) -> None:
        """Hear that there is something new to take."""
        ...


class Intake:
    """Takes messages from a source as they are wanted.

    Args:
        source: Where they come from.
        check: Returns what is sent of a message.
        make_job: Returns what submits that.
        max_wait: The longest a message may wait for its number's limits, in seconds.
        tally: Counts them.
        desk: Whom to tell.
    """

    def __init__(
        self,
        source: Source,
        check: Check,
        make_job: MakeJob,
        max_wait: float,
        tally: Tally,
        desk: Desk,
    ) -> None:
        self._source = source
        self._check = check
        self._make_job = make_job
        self._max_wait = max_wait
        self._tally = tally
        self._desk = desk

    @property
    def ended(self) -> bool:
        """Whether nothing more will be taken."""
        return self._source.ended

    @property
    def ready(self) -> bool:
        """Whether `take` may have a message at once."""
        return self._source.ready

    @property
    def in_memory(self) -> bool:
        """Whether all messages are in memory anyway."""
        return self._source.in_memory

    @property
    def is_quiet(self) -> bool:
        """Whether only the caller's iterable can bring anything on."""
        return not (self._source.ended or self._source.ready)

    @property
    def tasks(self) -> Iterable["asyncio.Task[None]"]:
        """The tasks that go on beside the attempts."""
        reader = self._source.reader
        return () if reader is None else (reader,)

    def fill(self) -> None:
        """Prepare more, if there are few that `take` would have at once."""

    def take(self) -> Item | None:
        """Return the next message that may be submitted; None if there is none just now."""
        given = self._given()
        return None if given is NOTHING else self._understood(given, self._item)

    def refuse(self, refusal: VoiceError) -> bool:
        """Let the next message come out with an error; say whether there was one."""
        given = self._given()
        if given is NOTHING:
            return False
        try:
            message = as_message(given)
        except InvalidRequest as error:
            message, refusal = no_message(given), error
        except ENDING:
            raise
        except BaseException:  # noqa: BLE001 - a tuple of a class of the caller's
            message = no_message(given)
        self._desk.emit(ended(message, refusal))
        return True

    def give_up(self) -> None:
        """Read nothing more; what was read can still be taken."""
        self._source.give_up()

    def write_off(self) -> None:
        """Wait for nothing more but what `take` has at once."""

    def _given(self) -> object:
        given = self._source.take()
        self._tally.read += given is not NOTHING
        return given

    def _given_some(self, most: int) -> Sequence[object]:
        given = self._source.take_some(most)
        self._tally.read += len(given)
        return given

    def _understood(self, given: object, make: Callable[[Message], T]) -> T | None:
        """Return what is made of a message; None if it has its outcome instead."""
        message = None
        try:
            message = as_message(given)
            return make(message)
        except InvalidRequest as error:
            self._invalid(no_message(given) if message is None else message, error)
        # A message of a class of the caller's; or a hook, which may end the program by it.
        except BaseException as exc:
            message = no_message(given) if message is None else message
            self._desk.emit(ended(message, self._desk.broken(exc)))
            if isinstance(exc, ENDING):
                raise
        return None

    def _item(self, message: Message) -> Item:
        job = self._make_job(*self._check(message), self._max_wait)
        announce(job)
        return Item(message, job)

    def _invalid(self, message: Message, error: InvalidRequest) -> None:
        self._desk.emit(ended(message, error))
