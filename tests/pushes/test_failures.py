"""What the log is told while handlers fail by the thousand: little, and nothing is hidden by it."""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ihuyi_voice.events import Event, PushHandled, Stream
from ihuyi_voice.protocol import PushKind
from ihuyi_voice.pushes import Handling, PushState
from ihuyi_voice.pushes.calling import Call, Caller
from ihuyi_voice.pushes.claims import Claim, Stored
from ihuyi_voice.pushes.failures import Failures
from tests.pushes.doubles import MemoryInbox, before
from tests.pushes.handlers import Clock
from tests.pushes.requests import TOKEN, push, status
from tests.pushes.support import FORM, Place, handled_by, report, report_form, states

AWAY = "OSError: the database is away"


def claim(seq: int = 1, tries: int = 1, kind: str = "report") -> Claim:
    """Return a claim."""
    return Claim(Stored(seq, kind, report_form(), FORM), "me", tries)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that is moved by hand."""
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> Failures:
    """Return what tells of failures."""
    return Failures(clock)


def fail(failures: Failures, error: str = AWAY, *, times: int = 1, **of: Any) -> None:
    """Let pushes fail."""
    for _ in range(times):
        failures.failed(claim(**of), 1.0, error, lambda: "Traceback")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines since the last look."""
    lines = [each.getMessage() for each in caplog.records if each.name == "ihuyi_voice.pushes"]
    caplog.clear()
    return lines


@pytest.mark.slow
async def test_an_outage_of_what_handlers_need_is_told_in_a_few_lines(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Each push has its tries, its end, its error and its events all the same."""
    events = list[Event]()

    async def handler(_: object) -> None:
        raise OSError("the database is away")

    options: Any = {"handling": Handling(max_tries=3, backoff=0.0), "on_event": events.append}
    async with handled_by(place, handler, **options) as inbox:
        for number in range(60):
            await inbox.put(report(str(number + 1)))
        await states(inbox, dead=60)
    lines = told(caplog)
    assert [line.count("Traceback") for line in lines] == [1, 1]
    assert AWAY in lines[0]
    assert "is dead after 3 tries: OSError: the database is away" in lines[1]
    ends = Counter(event.end for event in events if isinstance(event, PushHandled))
    assert ends == {"failed": 120, "dead": 60}


def test_it_is_told_once_a_minute_with_its_count_and_when_it_ends(
    failures: Failures, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback comes with the first line of an outage alone."""
    fail(failures, times=1_000)
    failures.dead(claim(7, 10), AWAY, lambda: "Traceback")
    clock.now += 60.0
    fail(failures, times=3)
    assert told(caplog) == [
        f"push 1: handler failed, next try in 1.0 s: {AWAY}\nTraceback",
        f"push 7 is dead after 10 tries: {AWAY}\nTraceback",
        f"push 1: handler failed, next try in 1.0 s: {AWAY}, 1000 since the last such line",
    ]
    failures.handled(claim(tries=2))
    failures.handled(claim(tries=2))
    assert told(caplog) == [
        "pushes (report) are handled again; tries that failed: 1003",
        "pushes (report) are handled again; dead meanwhile: 1",
    ]
    clock.now += 60.0
    fail(failures)
    assert told(caplog) == [f"push 1: handler failed, next try in 1.0 s: {AWAY}\nTraceback"]


def test_another_error_is_told_at_once(
    failures: Failures, caplog: pytest.LogCaptureFixture
) -> None:
    """Another type, text or kind of push; but not another number in the text."""
    for error in (AWAY, "KeyError: 'x'", "KeyError: 'y'", AWAY, "E: call 7", "E: call 8"):
        fail(failures, error)
    fail(failures, kind="audit")
    lines = told(caplog)
    shown = [line.partition(" s: ")[2].partition("\n")[0] for line in lines]
    assert shown == [AWAY, "KeyError: 'x'", "KeyError: 'y'", "E: call 7", AWAY]


def test_errors_that_are_never_the_same_are_told_in_few_lines(
    failures: Failures, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And a new one is told at once again, a minute later."""
    for number in range(1, 1_000):
        fail(failures, "x" * number)
    assert len(told(caplog)) == 21
    clock.now += 60.0
    fail(failures, AWAY)
    assert len(told(caplog)) == 1


def test_one_push_that_fails_among_others_that_do_not_is_no_handler_that_works_again(
    failures: Failures, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless nothing has failed for a minute."""
    fail(failures)
    failures.handled(claim(2))
    assert len(told(caplog)) == 1
    clock.now += 61.0
    failures.handled(claim(3))
    assert told(caplog) == ["pushes (report) are handled again; tries that failed: 1"]


@pytest.fixture
def log_that_ends() -> Iterator[None]:
    """Let the log end the program where it tells that pushes are handled again."""

    def end(record: logging.LogRecord) -> bool:
        if "handled again" in record.getMessage():
            raise SystemExit
        return True

    logger = logging.getLogger("ihuyi_voice.pushes")
    logger.addFilter(end)
    yield
    logger.removeFilter(end)


@pytest.mark.usefixtures("log_that_ends")
async def test_a_push_that_was_handled_stays_so_though_the_log_ends_the_program() -> None:
    """It is not handled twice."""
    failing = [OSError()]

    async def handler(_: object) -> None:
        if failing:
            raise failing.pop()

    events = list[Event]()
    stream = Stream(events.append)
    caller = Caller({PushKind.REPORT: handler}, Handling(), lambda: None, stream)
    await caller.run(Call(claim(), 0.0))
    call = Call(claim(tries=2), 0.0)
    with pytest.raises(SystemExit):
        await caller.run(call)
    assert call.outcome.state is PushState.HANDLED
    assert [each.end for each in events if isinstance(each, PushHandled)] == ["failed", "handled"]


async def test_what_cannot_be_read_is_told_once_a_minute_by_its_reason(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """All of it is kept."""
    inbox = MemoryInbox()
    app = before(inbox, TOKEN, clock=clock)
    bodies = [b"success", *[report_form("0", second=each) for each in range(50)]]
    for body in bodies:
        assert await status(app, push(body)) == 200
    assert len(inbox.kept) == 51
    neither, zero = told(caplog)
    assert "neither a voiceid nor a templateid" in neither
    assert "an id of 0" in zero
    clock.now += 60.0
    assert await status(app, push(report_form("0"))) == 200
    (line,) = told(caplog)
    assert line.endswith("50 since the last such line")
