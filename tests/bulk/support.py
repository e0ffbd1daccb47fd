"""A submitter that makes up its answers, and runs over it: all of `bulk` without a client."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, cast

import attrs

from ihuyi_voice import Message, RetryPolicy, Submission, VendorError
from ihuyi_voice.bulk import BulkOptions, BulkRun
from ihuyi_voice.calls import Delay, Events, Job, Submitter
from ihuyi_voice.calls.retries import Tries
from ihuyi_voice.errors import OutcomeUnknown, RateLimited
from ihuyi_voice.models import Action, Operation

STOPS = {405, 4051}


class Jobs:
    """What makes jobs."""

    def job(self, mobile: str, content: str, max_wait: float) -> Job:
        """Return a job."""
        now = asyncio.get_running_loop().time()
        return Job(mobile, content, now + max_wait, Tries(Operation.SUBMIT, RetryPolicy()))


@attrs.define(eq=False)
class Script(Jobs):
    """Stands in for a submitter: attempts go as `answer` says.

    Attributes:
        answer: Is asked after `latency` seconds of every attempt what comes of it; what it raises
            or returns ends the step.
        latency: Seconds of each attempt.
        begun: The jobs whose attempts were begun, in order.
        abandoned: The jobs that it was told of.
        in_flight: Attempts being made.
        most: The most of them at a time.
        events: Is told how each ended.
    """

    answer: Callable[[Job], Submission | Delay] = attrs.field(factory=lambda: accept)
    latency: float = 1.0
    begun: list[Job] = attrs.field(factory=list[Job])
    abandoned: list[Job] = attrs.field(factory=list[Job])
    in_flight: int = 0
    most: int = 0
    events: Events = attrs.field(factory=Events)

    async def step(self, job: Job) -> Submission | Delay:
        """Make one attempt."""
        job.tries.begin(asyncio.get_running_loop().time())
        self.begun.append(job)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        except asyncio.CancelledError:
            job.tries.note(OutcomeUnknown("the call was cut off in flight"))
            raise
        finally:
            self.in_flight -= 1
        return self.answer(job)

    def answered(self, job: Job) -> Submission | None:
        """Say whether an answer was read before it was given."""
        return job.answer

    def abandon(self, job: Job) -> None:
        """Remember it."""
        self.abandoned.append(job)


def accept(job: Job) -> Submission:
    """Say yes."""
    return Submission(f"id-{job.mobile}", job.mobile, "ok", job.attempts)


def refusal(code: int) -> VendorError:
    """Return the vendor's no."""
    action = Action.STOP if code in STOPS else Action.FIX_REQUEST if code else Action.RETRY
    kind = RateLimited if 4080 <= code <= 4089 else VendorError
    return kind(code, "no", Operation.SUBMIT, action)


def check(message: Message) -> tuple[str, str]:
    """Take a message for what it is, which may be anything."""
    return message.mobile, message.content


def run_of(messages: Any, submitter: object = None, **options: Any) -> BulkRun:
    """Return a run over a script, by default one where all goes well."""
    stepped = cast("Submitter", submitter or Script())
    return BulkRun(messages, check, stepped, BulkOptions(**options))


def pairs(count: int, start: int = 0) -> list[tuple[str, str]]:
    """Return messages to so many different numbers."""
    return [(f"139{place:08d}", f"text {place}") for place in range(start, start + count)]


async def stream(items: Iterable[Any]) -> AsyncIterator[Any]:
    """Return an async iterable of the same."""
    for item in items:
        yield item


def others() -> set["asyncio.Task[Any]"]:
    """Return the tasks that run beside the current one."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
