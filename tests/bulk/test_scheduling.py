"""Which message starts when, and when a run gives up; attempts go as a script says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from ihuyi_voice import NotSent, Outcome, OutcomeStatus, RunStopped, Submission, VoiceError
from ihuyi_voice.calls import Delay, Job
from ihuyi_voice.errors import OutcomeUnknown
from tests.bulk.support import Script, accept, others, pairs, refusal, run_of, stream
from tests.support.long import few_or_many
from tests.support.virtual_time import loop_time, run_virtual

ACCEPTED, REJECTED, HELD, NOT_SENT, UNKNOWN = OutcomeStatus


def run_through(messages: Any, script: Any, **options: Any) -> list[Outcome]:
    """Run messages to the end and return the outcomes."""

    async def main() -> list[Outcome]:
        async with run_of(messages, script, **options) as run:
            return [outcome async for outcome in run]

    return run_virtual(main())


def raising(*errors: VoiceError | None) -> Any:
    """Return an `answer` that raises these in turn, the last for ever; None accepts."""
    left = list(errors)

    def answer(job: Job) -> Submission:
        error = left.pop(0) if len(left) > 1 else left[0]
        if error is None:
            return accept(job)
        job.tries.note(error)
        raise job.verdict(error)

    return answer


def reasons(outcomes: list[Outcome]) -> set[str]:
    """Return what those are told whose turn never came."""
    return {str(each.error) for each in outcomes if isinstance(each.error, RunStopped)}


class Held(Script):
    """Holds back some numbers by a guard, for so many seconds each time."""

    closed_until: dict[str, float]

    async def step(self, job: Job) -> Submission | Delay:
        """Look at the guard first."""
        left = self.closed_until.get(job.mobile, 0.0) - loop_time()
        return Delay(left) if left > 0 else await super().step(job)


def holding(closed_until: dict[str, float], **options: Any) -> Held:
    """Return a script with a guard."""
    script = Held(**options)
    script.closed_until = closed_until
    return script


# --- wake-ups and the rate


def test_a_run_with_a_rate_ends_although_a_number_came_free_when_the_rate_said_wait() -> None:
    """Three messages to one number, slow replies: the last one hung for ever."""
    outcomes = run_through([("139", "a"), ("139", "b"), ("139", "c")], Script(), max_rate=5.0)
    assert [outcome.status for outcome in outcomes] == [ACCEPTED] * 3
    outcomes = run_through([("139", "a")] * 3, Script(latency=1.5), max_rate=0.1)
    assert [outcome.status for outcome in outcomes] == [ACCEPTED] * 3


def test_what_a_guard_holds_back_uses_up_no_rate() -> None:
    """A hundred checks of closed numbers delay nobody."""

    async def main() -> None:
        started = loop_time()
        closed = {mobile: started + 50.0 for mobile, _ in pairs(100)}
        script = holding(closed, latency=0.0)
        async with run_of(pairs(105), script, max_rate=1.0) as run:
            free = [await anext(run) for _ in range(5)]
            assert loop_time() - started == pytest.approx(4.0, abs=0.1)
        assert [outcome.message for outcome in free] == [
            outcome.message for outcome in free if outcome.message.mobile not in closed
        ]

    run_virtual(main())


def test_a_retry_uses_up_the_rate_too() -> None:
    """It is a submission like any other."""

    async def main() -> None:
        script = Script(lambda job: Delay(0.0, refusal(0)) if job.attempts < 3 else accept(job))
        script.latency = 0.0
        started = loop_time()
        async with run_of(pairs(3), script, max_rate=1.0) as run:
            assert [(await anext(run)).status for _ in range(3)] == [ACCEPTED] * 3
            assert loop_time() - started == pytest.approx(8.0, abs=0.1)
        assert len(script.begun) == 9

    run_virtual(main())


def test_a_number_whose_turn_has_come_goes_before_its_time() -> None:
    """The earlier of the two decides, and the later one does nothing any more."""

    async def main() -> None:
        turn = asyncio.get_running_loop().create_future()
        started = loop_time()

        class InLine(Script):
            async def step(self, job: Job) -> Submission | Delay:
                return await super().step(job) if turn.done() else Delay(60.0, turn=turn)

        script = InLine(latency=0.0)
        async with run_of(pairs(1), script) as run:
            asyncio.get_running_loop().call_later(7.0, turn.set_result, None)
            assert [outcome.status async for outcome in run] == [ACCEPTED]
            assert loop_time() - started == pytest.approx(7.0)
            await asyncio.sleep(100.0)
        assert len(script.begun) == 1

    run_virtual(main())


def test_a_turn_that_never_comes_is_waited_for_no_longer_than_its_time() -> None:
    """Then the step says what that means."""

    async def main() -> None:
        turn = asyncio.get_running_loop().create_future()

        class InVain(Script):
            asked = 0

            async def step(self, job: Job) -> Submission | Delay:
                self.asked += 1
                return await super().step(job) if self.asked > 2 else Delay(9.0, turn=turn)

        async with run_of(pairs(1), InVain(latency=0.0)) as run:
            started = loop_time()
            assert (await anext(run)).status is ACCEPTED
            assert loop_time() - started == pytest.approx(18.0)

    run_virtual(main())


# --- bounds


@pytest.mark.parametrize("count", [3, 50])
def test_free_numbers_go_on_although_as_many_are_held_back_as_may_be(count: int) -> None:
    """Held back by a guard, each its own number, and more of them than `max_deferred`."""

    async def main() -> None:
        closed = {mobile: loop_time() + 600.0 for mobile, _ in pairs(count)}
        script = holding(closed, latency=0.0)
        messages = iter(pairs(count + 100))
        started = loop_time()
        async with run_of(messages, script, max_deferred=count // 2 + 1) as run:
            for _ in range(100):
                assert (await anext(run)).message.mobile not in closed
            assert loop_time() - started < 1.0

    run_virtual(main())


def test_code_0_for_everybody_costs_few_messages_their_tries() -> None:
    """Those that are to try again keep their places, so that the others don't hurry into it."""

    def fails(job: Job) -> Delay:
        if job.attempts < 4:
            return Delay(2.0**job.attempts, refusal(0))
        raise refusal(0)

    script = Script(fails, latency=0.01)
    many = few_or_many(2_000, 10_000)
    outcomes = run_through(iter(pairs(many)), script)
    assert len(script.begun) <= 4 * 200
    assert Counter(outcome.status for outcome in outcomes)[NOT_SENT] >= many - 200


def test_a_list_is_read_on_for_it_is_in_memory_already() -> None:
    """Free numbers behind any number of messages to a busy one go at once."""

    async def main() -> None:
        script = holding({"13800000000": loop_time() + 600.0}, latency=0.0)
        messages = [("13800000000", "a")] * 500 + pairs(100)
        started = loop_time()
        async with run_of(messages, script, max_deferred=10) as run:
            for _ in range(100):
                assert (await anext(run)).message.mobile != "13800000000"
            assert loop_time() - started < 1.0

    run_virtual(main())


def test_a_due_retry_goes_although_as_many_are_deferred_as_may_be() -> None:
    """And so does a number that came free."""
    script = Script(lambda job: Delay(1.0, refusal(0)) if job.attempts < 3 else accept(job))
    outcomes = run_through(iter([("1", "a"), ("1", "b"), ("2", "c")]), script, max_deferred=1)
    assert [outcome.status for outcome in outcomes] == [ACCEPTED] * 3


@pytest.mark.parametrize("kind", ["one number", "closed numbers"])
def test_reading_pauses_whatever_the_messages_are(kind: str) -> None:
    """At `max_deferred` to busy numbers, and at twice as many that a guard holds back."""

    async def main() -> int:
        read = 0

        def messages() -> Iterator[tuple[str, str]]:
            nonlocal read
            for mobile, content in pairs(10_000):
                read += 1
                yield ("138", content) if kind == "one number" else (mobile, content)

        until = loop_time() + 600.0
        script = holding(dict.fromkeys(("138", *(each for each, _ in pairs(10000))), until))
        async with run_of(messages(), script, max_deferred=50) as run:
            await asyncio.sleep(300.0)
            assert run.progress.deferred <= 101
            return read

    assert run_virtual(main()) <= (51 if kind == "one number" else 101)


def test_no_more_are_in_flight_than_answers_have_earned_and_than_may_be() -> None:
    """One at first, then twice as many a round."""
    script = Script(latency=1.0)
    run_through(pairs(71), script, concurrency=20)
    begun = Counter(job.tries.started for job in script.begun)
    assert [begun[at] for at in sorted(begun)] == [1, 2, 4, 8, 16, 20, 20]
    assert script.most == 20


# --- when a run gives up


@pytest.mark.long
def test_a_dead_address_costs_seconds_and_a_handful_of_attempts() -> None:
    """Of 100,000 messages three are tried, side by side, and the rest says why it was not."""

    async def main() -> None:
        def refused(job: Job) -> Delay:
            error = NotSent("connection refused")
            job.tries.note(error)
            if job.attempts == 4:
                raise job.verdict(error)
            return Delay(2.0**job.attempts, error)

        script = Script(refused, latency=10.0)
        started = loop_time()
        async with run_of(pairs(100_000), script, concurrency=100) as run:
            outcomes = [outcome async for outcome in run]
        assert loop_time() - started < 100.0
        assert len(script.begun) <= 12
        assert {outcome.status for outcome in outcomes} == {NOT_SENT}
        assert len(outcomes) == 100_000
        last = outcomes[-1].error
        assert isinstance(last, RunStopped)
        assert "3 messages in a row came out UNKNOWN or NOT_SENT" in str(last)
        assert "connection refused" in str(last)
        assert last.__cause__ is outcomes[2].error

    run_virtual(main())


def test_an_unknown_outcome_is_risked_three_times_at_most_before_the_first_answer() -> None:
    """So many phones may ring unknown to us, and no more."""
    script = Script(raising(OutcomeUnknown("silence")))
    outcomes = run_through(pairs(1_000), script)
    assert [outcome.status for outcome in outcomes[:4]] == [UNKNOWN, UNKNOWN, UNKNOWN, NOT_SENT]
    assert len(script.begun) == 3


def test_after_the_first_answer_twenty_failures_in_a_row_end_the_run() -> None:
    """Those in flight by then are awaited."""
    script = Script(raising(*[None] * 30, NotSent("gone")))
    outcomes = run_through(pairs(1_000), script, concurrency=10)
    assert 50 <= len(script.begun) <= 60
    assert len(outcomes) == 1_000
    (reason,) = reasons(outcomes)
    assert reason == (
        "the run was stopped, as 20 messages in a row came out UNKNOWN or NOT_SENT, before this "
        "message's turn: gone"
    )


def test_the_line_at_the_end_of_a_run_says_why_it_stopped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The common cause behind the words for it."""
    run_through(pairs(10), Script(raising(OutcomeUnknown("silence"))))
    assert caplog.messages[-1].endswith(
        "; the run was stopped, as 3 messages in a row came out UNKNOWN or NOT_SENT: silence"
    )


def test_a_wrong_template_costs_the_breakers_number() -> None:
    """200 by default, and what is in flight."""
    script = Script(raising(refusal(4072)))
    outcomes = run_through(pairs(few_or_many(2_000, 10_000)), script, concurrency=10)
    assert 200 <= len(script.begun) <= 210
    (reason,) = reasons(outcomes)
    assert reason == (
        "the run was stopped, as 200 messages in a row were rejected with code 4072, before this "
        "message's turn: Submit 4072: no [fix_request]"
    )


def test_the_breaker_can_be_set_and_turned_off() -> None:
    """By number, or by None."""
    few = Script(raising(refusal(4072)))
    run_through(pairs(100), few, max_rejections=5, concurrency=1)
    assert len(few.begun) == 5
    everything = Script(raising(refusal(4072)))
    run_through(pairs(500), everything, max_rejections=None)
    assert len(everything.begun) == 500
    failing = Script(raising(NotSent("gone")))
    run_through(pairs(500), failing, max_failures=None)
    assert len(failing.begun) == 500


def test_a_stop_code_behind_an_unknown_outcome_ends_the_run() -> None:
    """The message stays UNKNOWN; what was told is the others' cause."""

    def answer(job: Job) -> Submission:
        job.tries.note(OutcomeUnknown("no answer"))
        job.tries.note(refusal(4051))
        raise job.verdict(refusal(4051))

    script = Script(answer)
    outcomes = run_through(pairs(50), script)
    assert len(script.begun) == 1
    assert outcomes[0].status is UNKNOWN
    assert "4051" in str(outcomes[-1].error)


@pytest.mark.parametrize("code", [0, 4081])
def test_a_refusal_that_would_have_been_tried_again_stays_a_refusal(code: int) -> None:
    """Also when the run is left before that."""

    async def main() -> None:
        def answer(job: Job) -> Delay:
            error = refusal(code)
            job.tries.note(error)
            return Delay(60.0, error)

        script = Script(answer)
        async with run_of(pairs(1), script) as run:
            await asyncio.sleep(5.0)
            assert run.progress.deferred == 1
        (outcome,) = await run.drain()
        assert (outcome.status, outcome.attempts) == (REJECTED, 1)
        assert script.abandoned == script.begun

    run_virtual(main())


def test_a_stopped_run_gives_up_a_source_that_has_nothing_to_give() -> None:
    """It would keep the run open for as long as it pleases."""

    async def main() -> None:
        closed = False

        async def quiet() -> AsyncIterator[tuple[str, str]]:
            nonlocal closed
            try:
                for pair in pairs(3):
                    yield pair
                await asyncio.Event().wait()
            finally:
                closed = True

        script = Script(raising(refusal(405)))
        started = loop_time()
        async with run_of(quiet(), script) as run:
            outcomes = [outcome async for outcome in run]
            assert loop_time() - started < script.latency + 0.5
        assert [outcome.status for outcome in outcomes] == [REJECTED, NOT_SENT, NOT_SENT]
        assert closed
        assert not others()

    run_virtual(main())


def test_a_stopped_run_reads_on_what_its_source_has_ready() -> None:
    """A thousand messages of an async iterable come out with the cause."""
    outcomes = run_through(stream(pairs(1_000)), Script(raising(refusal(405))))
    assert len(outcomes) == 1_000
    assert reasons(outcomes) == {
        "the run was stopped before this message's turn: Submit 405: no [stop]"
    }


# --- foreign code


def test_a_programming_error_stops_the_run_and_is_raised_after_the_last_outcome() -> None:
    """Every message has its outcome, and none of them holds a frame of it."""

    async def main() -> None:
        def broken(job: Job) -> Submission:
            if job.mobile.endswith("2"):
                raise LookupError("in a hook")
            return accept(job)

        outcomes: list[Outcome] = []
        async with run_of(pairs(50), Script(broken), concurrency=1) as run:
            with pytest.raises(LookupError, match="in a hook") as caught:
                async for outcome in run:
                    outcomes.append(outcome)  # noqa: PERF401 - it must survive the exception
        assert [outcome.status for outcome in outcomes[:3]] == [ACCEPTED, ACCEPTED, NOT_SENT]
        assert len(outcomes) == 50
        assert all("LookupError: in a hook" in str(each.error) for each in outcomes[2:])
        assert caught.traceback[-1].name == "broken"
        assert all(each.error.__cause__ is None for each in outcomes[2:] if each.error)

    run_virtual(main())


def test_a_cancellation_of_foreign_codes_own_making_is_one_messages_end() -> None:
    """The run goes on, and the number comes free."""

    def answer(job: Job) -> Submission:
        if job.content == "text 1":
            raise asyncio.CancelledError
        return accept(job)

    outcomes = run_through([*pairs(3), ("13900000001", "again")], Script(answer))
    statuses = {outcome.message.content: outcome.status for outcome in outcomes}
    assert statuses == {
        "text 0": ACCEPTED,
        "text 1": NOT_SENT,
        "text 2": ACCEPTED,
        "again": ACCEPTED,
    }


def test_a_run_whose_tasks_are_cancelled_by_others_stops() -> None:
    """As at the end of `asyncio.run`: nothing new is started then."""

    async def main() -> None:
        script = Script()
        run = run_of(pairs(100), script, concurrency=4)
        async with run:
            await asyncio.sleep(2.5)
            begun = len(script.begun)
            for task in others():
                task.cancel()
            outcomes = [outcome async for outcome in run]
        assert len(script.begun) == begun
        assert len(outcomes) == 100
        assert sum(outcome.status is UNKNOWN for outcome in outcomes) == 4

    run_virtual(main())


def test_attempts_that_never_wait_leave_the_event_loop_its_turns() -> None:
    """Somebody else gets on while a run works through thousands."""
    many = few_or_many(3_000, 10_000)

    class AtOnce(Script):
        async def step(self, job: Job) -> Submission | Delay:
            job.tries.begin(0.0)
            return accept(job)

    async def main() -> int:
        turns = 0

        async def somebody() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(somebody())
        async with run_of(iter(pairs(many)), AtOnce(), concurrency=10) as run:
            assert len([outcome async for outcome in run]) == many
        task.cancel()
        return turns

    assert run_virtual(main()) > many / 16 / 10


def test_every_attempt_is_made_in_the_context_in_which_the_run_was_entered() -> None:
    """Not in that of whoever consumes: a trace would hang each request under another outcome."""
    span: ContextVar[str] = ContextVar("span", default="none")
    seen: list[str] = []

    def answer(job: Job) -> Submission:
        seen.append(span.get())
        span.set("left behind by an attempt")
        return accept(job)

    async def main() -> None:
        span.set("the run")
        async with run_of(pairs(20), Script(answer), concurrency=2) as run:
            async for outcome in run:
                span.set(outcome.message.mobile)
                await asyncio.sleep(5.0)

    run_virtual(main())
    assert set(seen) <= {"the run", "left behind by an attempt"}
    assert seen[0] == "the run"


def test_a_task_factory_of_the_loops_has_no_say_in_a_run() -> None:
    """One that begins tasks at once would make attempts inside the pump."""

    async def main() -> None:
        def eager(*_: Any, **__: Any) -> Any:
            raise AssertionError

        loop = asyncio.get_running_loop()
        loop.set_task_factory(eager)
        async with run_of(stream(pairs(5))) as run:
            assert [outcome.status async for outcome in run] == [ACCEPTED] * 5
        loop.set_task_factory(None)

    run_virtual(main())
