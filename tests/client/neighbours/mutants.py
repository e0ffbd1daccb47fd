"""Clients that break a promise, each in one place: the worlds must find them out."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, NoReturn, TypeAlias
from unittest.mock import patch

from ihuyi_voice.bulk import attempts
from ihuyi_voice.bulk.sources import AsyncSource
from ihuyi_voice.calls import errands, events, guarding, journaling, submission
from ihuyi_voice.calls.job import Job
from ihuyi_voice.calls.retries import RetryPolicy
from ihuyi_voice.common.foreign import Endings
from ihuyi_voice.events import Settled, Stream
from ihuyi_voice.http import sending
from ihuyi_voice.http.body import OneBody
from ihuyi_voice.http.sent import Sent

Mutant: TypeAlias = Callable[[], AbstractContextManager[object]]


def an_answer_is_replaced() -> AbstractContextManager[object]:
    """What fails after the answer takes its place."""

    def raises(_: object, exc: BaseException, sent: Sent) -> NoReturn:
        sent.reply = None
        raise exc

    return patch.object(sending.Sender, "_in_spite_of", raises)


def not_sent_by_its_class() -> AbstractContextManager[object]:
    """What calls itself a trouble of connecting is believed."""
    return patch.object(Sent, "may_have_arrived", property(lambda sent: sent.reply is not None))


def a_body_is_taken_twice() -> AbstractContextManager[object]:
    """A transport may send a request again behind everybody's back."""

    def taken(body: Any, *_: object, **__: object) -> bytes:
        body._sent.taken = False
        content: bytes = body._content()
        body._sent.take(None)
        return content

    return patch.object(OneBody, "_taken", taken)


def an_unknown_is_sent_again() -> AbstractContextManager[object]:
    """An uncertain end is retried."""
    return patch.object(RetryPolicy, "allows", _yes)


def a_guard_is_not_waited_for() -> AbstractContextManager[object]:
    """Who is cancelled takes the guard's own calls with them."""

    async def with_it(task: Any) -> None:
        await task

    return patch.object(guarding, "ended", with_it)


def a_lease_is_lost_at_its_end() -> AbstractContextManager[object]:
    """What a guard gives as it is cancelled is given back by nobody."""

    def as_it_is(call: Any) -> Any:
        return call

    return patch.object(errands, "_whole", as_it_is)


def a_ledger_that_ends_locks() -> AbstractContextManager[object]:
    """A number stays locked where the ledger ends the program."""

    async def settled(_: object, job: Any, end: Any, settled_lease: Any) -> Any:
        if job.entry is None:
            return await settled_lease
        written = job.entry.settle(end if hasattr(end, "voice_id") else job.verdict(end))
        return await settled_lease or await job.entry.written(written)

    return patch.object(submission.Submitter, "_settle", settled)


def a_hook_is_believed() -> AbstractContextManager[object]:
    """What an event hook raises goes up to whoever tells it."""

    def tell(stream: Stream, event: Any) -> None:
        if stream.hook is not None:
            stream.hook(event)

    return patch.object(Stream, "tell_at_once", tell)


def an_ending_ends_all() -> AbstractContextManager[object]:
    """What ends the program ends the telling of what a run had taken."""
    return patch.object(Endings, "__exit__", _no)


def what_was_read_is_lost() -> AbstractContextManager[object]:
    """A run that is left forgets what it has read ahead."""
    give_up = AsyncSource.give_up

    def forget(source: Any) -> None:
        source._ahead.clear()
        give_up(source)

    return patch.object(AsyncSource, "give_up", forget)


def what_nobody_wants_goes_out() -> AbstractContextManager[object]:
    """What is held up beyond the time of its call is sent all the same."""

    def never(_: Job) -> type[bool]:
        return bool  # it says no

    return patch.object(Job, "unwanted", never)


@contextmanager
def a_deaf_attempt_goes_out() -> Generator[None]:
    """What was written off as not sent may still be sent."""

    def held(job: Any) -> bool:
        return job.sent is not None and not job.sent.may_have_arrived

    with patch.object(attempts, "_is_held_up", held), what_nobody_wants_goes_out():
        yield


def numbers_are_logged() -> AbstractContextManager[object]:
    """Lines hold whole numbers."""
    return patch.multiple(events, mask_mobile=str, mask_numbers=str)


def an_ended_call_has_no_event() -> AbstractContextManager[object]:
    """A log handler that ends the program keeps an outcome from the hook."""
    return patch.object(events.Events, "settled", _settled_without_finally)


def an_intent_is_not_taken_back() -> AbstractContextManager[object]:
    """A ledger that fails before anything was sent is gone past."""

    async def intend(_: object, __: object) -> None:
        return None

    return patch.object(journaling.Journaling, "intend", intend)


def _yes(*_: object) -> bool:
    return True


def _no(*_: object) -> bool:
    return False


def _settled_without_finally(
    stream: Any, call: Any, status: Any, mobile: Any, error: Any, voice_id: Any, *told: Any,
    replayed: bool = False,
) -> None:  # fmt: skip
    event = Settled(
        status, str(mobile), call, getattr(error, "code", None), voice_id, told[0], error, told[1],
        replayed,
    )  # fmt: skip
    vars(events)["_log"](10, event)
    stream.tell(event)


ALL: Final[tuple[Mutant, ...]] = (
    an_answer_is_replaced,
    not_sent_by_its_class,
    a_body_is_taken_twice,
    an_unknown_is_sent_again,
    a_guard_is_not_waited_for,
    a_lease_is_lost_at_its_end,
    a_ledger_that_ends_locks,
    a_hook_is_believed,
    an_ending_ends_all,
    what_was_read_is_lost,
    a_deaf_attempt_goes_out,
    what_nobody_wants_goes_out,
    numbers_are_logged,
    an_ended_call_has_no_event,
    an_intent_is_not_taken_back,
)
