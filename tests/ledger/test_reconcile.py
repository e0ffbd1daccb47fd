"""Reports settle what is UNKNOWN where exactly one call fits, and tell how calls ended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest

from ihuyi_voice import Action, DeliveryReport, DeliveryStatus, OutcomeStatus, Submission
from ihuyi_voice.errors import InboxUnavailable
from ihuyi_voice.events import Event, LedgerFailed, ReportsTaken
from ihuyi_voice.ledger import Entry, Ledger, matching, reconcile
from ihuyi_voice.ledger.reconcile import Reports, name_of
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.protocol import Push
from ihuyi_voice.protocol.pushes import parse_push
from ihuyi_voice.pushes import Inbox
from ihuyi_voice.storage import Query, Work
from tests.ledger.inboxes import FakeInbox
from tests.support.ledgers import (
    A,
    B,
    Process,
    World,
    accepted,
    draft,
    refused,
    status_of,
    unknown,
)
from tests.support.looking import comes_true


async def uncertain(process: Process, *keys: str, mobile: str = A) -> None:
    """Make calls of which nobody knows."""
    for key in keys:
        assert await process.calls().intend(draft(key, mobile)) is None
        await process.calls().settle(draft(key, mobile), unknown())


async def listed(ledger: Ledger, status: OutcomeStatus | None = None) -> dict[str, Entry]:
    """Return the keyed calls by key."""
    return {entry.key: entry async for entry in ledger.entries("", status)}


async def test_a_report_settles_the_one_call_that_can_have_caused_it(world: World) -> None:
    """The number's only UNKNOWN one; it is ACCEPTED then, and its report is joined to it."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a")
    await uncertain(process, "b", mobile=B)
    inbox.tell("V9", world.now + 30.0)
    found = await process.ledger.reconcile(inbox)
    (entry,) = found.settled
    assert (entry.key, entry.status, entry.voice_id) == ("a", OutcomeStatus.ACCEPTED, "V9")
    assert found.ambiguous == ()
    entries = await listed(process.ledger)
    assert entries["b"].status is OutcomeStatus.UNKNOWN
    report = entries["a"].report
    assert report is not None
    assert (report.status, report.talk_time) == (DeliveryStatus.ANSWERED, 7)
    (end,) = await process.calls().look([draft("a")])
    assert end == Submission("V9", A, "", 0)


async def test_reports_of_accepted_calls_are_joined(world: World) -> None:
    """The latest of them as the vendor told it, in China's time; they settle nothing else."""
    process, inbox = await world.process(), FakeInbox()
    assert await process.calls().intend(draft("known")) is None
    await process.calls().settle(draft("known"), accepted("V1"))
    await uncertain(process, "a")
    inbox.tell("V1", world.now, code=-4)
    inbox.tell("V1", world.now, code=2)
    found = await process.ledger.reconcile(inbox)
    assert (found.settled, found.ambiguous) == ((), ())
    entries = await listed(process.ledger)
    report = entries["known"].report
    assert report is not None
    assert report.report_time is not None
    assert report == inbox.stored[-1]
    assert report.report_time.isoformat().endswith("+08:00")
    assert entries["a"].status is OutcomeStatus.UNKNOWN


async def test_nothing_is_guessed_between_two_calls(world: World) -> None:
    """Both stay UNKNOWN, and each shows the report that may be its own."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a", "b")
    inbox.tell("V9", world.now)
    found = await process.ledger.reconcile(inbox)
    assert found.settled == ()
    assert {entry.key for entry in found.ambiguous} == {"a", "b"}
    entries = await listed(process.ledger, OutcomeStatus.UNKNOWN)
    assert [each.voice_id for each in entries["a"].candidates] == ["V9"]


async def test_nothing_is_guessed_between_two_reports(world: World) -> None:
    """One of them is of a call that the ledger knows nothing of."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a")
    inbox.tell("V8", world.now)
    inbox.tell("V9", world.now + 1.0)
    found = await process.ledger.reconcile(inbox)
    assert found.settled == ()
    assert [each.voice_id for each in found.ambiguous[0].candidates] == ["V8", "V9"]


async def test_what_a_person_decides_may_leave_one_that_fits(world: World) -> None:
    """The next time, the report that was kept settles it."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a", "b")
    inbox.tell("V9", world.now)
    await process.ledger.reconcile(inbox)
    await process.ledger.settle("", "a", OutcomeStatus.NOT_SENT)
    found = await process.ledger.reconcile(inbox)
    assert [entry.key for entry in found.settled] == ["b"]
    assert inbox.asked == [0, 1]


@pytest.mark.parametrize("seconds", [-120.0, 4 * 3_600.0])
async def test_a_report_of_another_time_settles_nothing(world: World, seconds: float) -> None:
    """It came before the call, or hours after it."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a")
    inbox.tell("V9", world.now + seconds)
    found = await process.ledger.reconcile(inbox)
    assert (found.settled, found.ambiguous) == ((), ())


@pytest.mark.parametrize("seconds", [-60.0, 3 * 3_600.0])
async def test_a_report_settles_up_to_the_bounds_of_its_call(world: World, seconds: float) -> None:
    """A minute before it was begun, as clocks differ, and three hours after it."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a")
    inbox.tell("V9", world.now + seconds)
    assert len((await process.ledger.reconcile(inbox)).settled) == 1


@pytest.mark.parametrize("key", ["earlier", "later"])
async def test_a_report_settles_the_call_of_its_time(world: World, key: str) -> None:
    """Another one to the number, that it can't be of, doesn't keep it from that."""
    process, inbox = await world.process(), FakeInbox()
    times = dict[str, float]()
    for each in ("earlier", "later"):
        times[each] = world.now
        await uncertain(process, each)
        world.now += 4 * 3_600.0
    inbox.tell("V9", times[key])
    found = await process.ledger.reconcile(inbox)
    assert ([entry.key for entry in found.settled], found.ambiguous) == ([key], ())


async def test_a_call_in_flight_is_waited_for(world: World) -> None:
    """The report may be its own; when it has ended with another voice_id, it isn't."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a")
    assert await process.calls().intend(draft("in flight")) is None
    inbox.tell("V9", world.now)
    assert (await process.ledger.reconcile(inbox)).settled == ()
    await process.calls().settle(draft("in flight"), accepted("V1"))
    found = await process.ledger.reconcile(inbox)
    assert [entry.key for entry in found.settled] == ["a"]


async def test_an_inbox_of_the_vendors_pushes_settles(world: World, tmp_path: Path) -> None:
    """The real one; a number with the country's code before it is the same number."""
    process = await world.process()
    await uncertain(process, "a")
    form = {"code": "2", "voiceid": "V9", "mobilephone": f"+86{A}", "talktime": "?"}
    async with Inbox.open(tmp_path / "pushes.db") as inbox:
        for _ in range(2):
            await inbox.put(parse_push(urlencode(form).encode()))
        # It says no time, so that of its arrival counts, by the world's clock.
        found = await process.ledger.reconcile(inbox)
        assert [entry.voice_id for entry in found.settled] == ["V9"]
        assert (await process.ledger.reconcile(inbox)).settled == ()
    report = (await listed(process.ledger))["a"].report
    assert report is not None
    assert (report.mobile, report.talk_time) == (A, None)


async def test_what_the_dead_had_in_flight_is_settled_too(world: World) -> None:
    """Of keyed calls and of runs that nobody has opened since."""
    dead, heir, inbox = await world.process(), await world.process(), FakeInbox()
    await heir.calls().look([draft("x")])
    assert await dead.calls().intend(draft("keyed")) is None
    run = dead.ledger.run("VM1", "run")
    journal = await run.__aenter__()
    assert await journal.intend(draft("of a run", B)) is None
    inbox.tell("V8", world.now)
    inbox.tell("V9", world.now, mobile=B)
    await dead.dies()
    assert (await heir.ledger.reconcile(inbox)).settled == ()
    world.now += 11.0
    assert (await heir.ledger.summary("run"))[OutcomeStatus.UNKNOWN] == 1
    found = await heir.ledger.reconcile(inbox)
    assert {entry.key for entry in found.settled} == {"keyed", "of a run"}


@pytest.mark.parametrize(
    "end", [accepted("V1"), refused(Action.RETRY), refused(Action.FIX_REQUEST)]
)
async def test_the_vendors_answer_wins_over_a_report(world: World, end: Ending) -> None:
    """Its process was only asleep: the report was of a call that this ledger knows nothing of."""
    sleeper, heir, inbox = await world.process(), await world.process(), FakeInbox()
    assert await sleeper.calls().intend(draft("a")) is None
    inbox.tell("V9", world.now)
    world.now += 11.0
    await heir.ledger.reconcile(inbox)
    assert (await one(heir)).voice_id == "V9"
    assert (await one(heir)).settled_at is not None
    await sleeper.calls().settle(draft("a"), end)
    entry = await one(heir)
    assert (entry.status, entry.settled_at) == (status_of(end), None)
    assert entry.voice_id == getattr(end, "voice_id", None)


async def test_many_reports_are_taken_in(world: World) -> None:
    """More than two transactions take, without a number and with odd values, too."""
    process, inbox = await world.process(), FakeInbox()
    for place in range(3):
        mobile = f"1390000000{place}"
        await uncertain(process, f"k{place}", mobile=mobile)
        inbox.tell(f"V{place}", world.now, mobile=mobile, code=10**30)
        for number in range(600 if place < 2 else 0):
            inbox.tell(f"X{place}{number}", world.now, mobile="")
    found = await process.ledger.reconcile(inbox)
    assert [entry.key for entry in found.settled] == ["k0", "k1", "k2"]


async def test_what_is_no_report_is_left_out(world: World) -> None:
    """Also where an inbox of somebody's own is read once."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a")
    inbox.tell("V0", world.now, B)
    inbox.stored[0] = None  # type: ignore[call-overload]  # it is not
    inbox.tell("V9", world.now)
    found = await process.ledger.reconcile(inbox)
    assert [entry.key for entry in found.settled] == ["a"]


async def test_reports_without_a_place_in_their_inbox_are_read_again(world: World) -> None:
    """To mark one would be to leave another unread; to take it in twice does nothing."""
    process, inbox = await world.process(), FakeInbox()
    await uncertain(process, "a")
    inbox.tell("V9", world.now)
    inbox.stored[0] = attrs.evolve(inbox.stored[0], seq=None)
    found = [await process.ledger.reconcile(inbox) for _ in range(2)]
    assert inbox.asked == [0, 0]
    assert [len(each.settled) for each in found] == [1, 0]


# --- by itself


async def one(process: Process) -> Entry:
    """Return the entry that reports are about."""
    return (await listed(process.ledger))["a"]


async def settled(process: Process) -> None:
    """Wait until a report has settled it."""

    async def accepted_now() -> bool:
        return (await one(process)).status is OutcomeStatus.ACCEPTED

    await comes_true(accepted_now)


async def follower_has_seen(process: Process, seq: int) -> None:
    """Wait until reports were taken in up to this one."""
    desk = process.desk

    async def seen() -> bool:
        return await desk.heart.read(lambda: matching.marked(desk.owners, "inbox")) >= seq

    await comes_true(seen)


async def test_reports_settle_as_they_come(world: World) -> None:
    """Without being asked, those that came before, and those that came before the call ended."""
    events: list[Event] = []
    inbox = FakeInbox()
    world.beat = 0.02
    inbox.tell("V1", world.now, mobile=B)
    process = await world.process(inbox=inbox, on_event=events.append)
    assert await process.calls().intend(draft("a")) is None
    inbox.tell("V9", world.now)
    await follower_has_seen(process, 2)
    await process.calls().settle(draft("a"), unknown())
    await settled(process)

    def told() -> list[tuple[int, int, int]]:
        taken = (each for each in events if isinstance(each, ReportsTaken))
        return [(each.stored, each.settled, each.waiting) for each in taken]

    await comes_true(lambda: told()[-1] == (0, 1, 0))  # it is told after it is written
    assert sum(stored for stored, _, _ in told()) == 2


async def test_the_next_process_reads_on_where_the_last_one_ended(world: World) -> None:
    """Not from the beginning, and not from what comes from now on alone."""
    inbox = FakeInbox()
    world.beat = 0.02
    for number in range(1, 3):
        inbox.tell(f"V{number}", world.now, mobile=B)
        process = await world.process(inbox=inbox)
        await follower_has_seen(process, number)
        await process.ledger.__aexit__(None, None, None)
    assert inbox.asked == [0, 1]


async def test_reports_of_what_the_dead_had_in_flight_settle_as_they_come(world: World) -> None:
    """Also if nobody asks for the key, or opens the run, ever again."""
    dead, inbox = await world.process(), FakeInbox()
    assert await dead.calls().intend(draft("a")) is None
    inbox.tell("V9", world.now)
    await dead.dies()
    world.beat = 0.02
    heir = await world.process(inbox=inbox)
    await follower_has_seen(heir, 1)
    assert (await one(heir)).status == "OPEN"
    world.now += 11.0
    async for entry in heir.ledger.entries("", OutcomeStatus.UNKNOWN):  # if not settled already
        assert [each.voice_id for each in entry.candidates] == ["V9"]
    await settled(heir)


async def test_a_report_that_had_to_wait_settles_after_its_reader_has_died(world: World) -> None:
    """It was taken in while a call was in flight, and is not in the inbox's news any more."""
    caller, inbox = await world.process(), FakeInbox()
    await uncertain(caller, "a")
    assert await caller.calls().intend(draft("in flight")) is None
    inbox.tell("V9", world.now)
    world.beat = 0.02
    reader = await world.process(inbox=inbox)
    await follower_has_seen(reader, 1)
    assert (await one(reader)).status is OutcomeStatus.UNKNOWN
    await reader.ledger.__aexit__(None, None, None)
    await caller.calls().settle(draft("in flight"), accepted("V1"))
    await settled(await world.process(inbox=inbox))


async def test_many_that_had_to_wait_are_looked_at_in_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as a transaction takes; those that still wait don't stand in the way."""
    monkeypatch.setattr(reconcile, "_BATCH", 2)
    looked = noted(monkeypatch, "match")
    caller, inbox = await world.process(), FakeInbox()
    drafts = [draft(f"w{place}", mobile=f"1380000000{place}") for place in range(5)]
    for each in drafts:
        assert await caller.calls().intend(each) is None
        inbox.tell(f"X{each.key}", world.now, mobile=each.mobile)
    world.beat = 0.02
    first = await world.process(inbox=inbox)
    await follower_has_seen(first, 5)
    await first.ledger.__aexit__(None, None, None)
    second = await world.process(inbox=inbox)
    await caller.calls().settle(drafts[4], unknown())

    async def last_is_settled() -> bool:
        return (await listed(second.ledger))["w4"].status is OutcomeStatus.ACCEPTED

    await comes_true(last_is_settled)
    assert {len(mobiles) for _, mobiles in looked} <= {1, 2}


async def test_what_had_to_wait_is_asked_for_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it begins, and not with each report."""
    asked = noted(monkeypatch, "unsure")
    inbox = FakeInbox()
    world.beat = 0.02
    process = await world.process(inbox=inbox)
    for seq in (1, 2, 3):
        inbox.tell(f"V{seq}", world.now)
        await follower_has_seen(process, seq)
    assert len(asked) == 1


def noted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[Any, ...]]:
    """Have each call of a function of `matching` noted."""
    whole, calls = getattr(matching, name), list[tuple[Any, ...]]()

    def call(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return whole(*args, **options)

    monkeypatch.setattr(matching, name, call)
    return calls


@pytest.mark.parametrize("first", ["inbox", "ledger"])
async def test_it_does_not_matter_which_is_opened_first(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, first: str
) -> None:
    """With both at hand, reports settle by themselves; the log tells of an inbox to be opened."""
    inbox = Inbox.open(tmp_path / "pushes.db", clock=world.clock)
    world.beat = 0.02
    async with AsyncExitStack() as closing:
        if first == "inbox":
            await closing.enter_async_context(inbox)
        process = await world.process(inbox=inbox)
        await uncertain(process, "a")
        if first == "ledger":
            await closed_is_seen()
            await closing.enter_async_context(inbox)
        await inbox.put(pushed("V9"))
        await settled(process)
        assert (await one(process)).voice_id == "V9"
        await process.ledger.__aexit__(None, None, None)
    assert ("no delivery reports" in caplog.text) is (first == "ledger")


async def test_an_inbox_that_is_opened_again_is_read_on(world: World, tmp_path: Path) -> None:
    """From where it was; what came meanwhile, by another process, is in it."""
    inbox, other = (Inbox.open(tmp_path / "pushes.db", clock=world.clock) for _ in range(2))
    world.beat = 0.02
    async with inbox:
        process = await world.process(inbox=inbox)
        await uncertain(process, "a")
        await inbox.put(pushed("V9"))
        await settled(process)
    await closed_is_seen()
    await uncertain(process, "b", mobile="13900000001")
    async with other:
        await other.put(pushed("V10", "13900000001"))
    async with inbox:

        async def is_read_on() -> bool:
            return (await listed(process.ledger))["b"].voice_id == "V10"

        await comes_true(is_read_on)
        await process.ledger.__aexit__(None, None, None)


def pushed(voice_id: str, mobile: str = A) -> Push:
    """Return a report as the vendor pushes it, without its time."""
    form = {"code": "2", "voiceid": voice_id, "mobilephone": mobile, "talktime": "7"}
    return parse_push(urlencode(form).encode())


async def closed_is_seen() -> None:
    """Wait until the ledger has looked at an inbox that is closed, and once more."""
    looks = list[Reports]()

    def counted(inbox: Reports) -> str:
        looks.append(inbox)
        return name_of(inbox)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "name_of", counted)
        await comes_true(lambda: len(looks) >= 2)


@pytest.mark.parametrize("by_itself", [True, False])
async def test_an_inbox_that_was_made_anew_is_read_from_its_beginning(
    world: World,
    tmp_path: Path,
    by_itself: bool,  # noqa: FBT001 - of the test's parameters
) -> None:
    """Its numbers begin again, at the same path, and are not those that were read before."""
    caller = await world.process()
    await uncertain(caller, "a")
    world.beat = 0.02
    for name, mobile, count in (("old", B, 3), ("new", A, 1)):
        for file in tmp_path.glob("pushes.db*"):  # noqa: ASYNC240 - a few
            file.unlink()
        async with Inbox.open(tmp_path / "pushes.db", clock=world.clock) as inbox:
            for number in range(count):
                await inbox.put(pushed(f"{name}{number}", mobile))
            process = await world.process(inbox=inbox if by_itself else None)
            if not by_itself:
                await process.ledger.reconcile(inbox)
            await comes_true(partial(has_report, process, f"{name}{count - 1}"))
            await process.ledger.__aexit__(None, None, None)
    assert (await one(caller)).voice_id == "new0"


class Odd(BaseException):
    """As pytest's `fail` and gevent's `Timeout` are."""


@pytest.mark.parametrize(
    "error", [InboxUnavailable("away"), ZeroDivisionError(), Odd(), asyncio.CancelledError()]
)
async def test_an_inbox_that_fails_is_read_again(
    world: World, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """From where it was; the log says so, and when it is over, and whoever listens is told."""
    events: list[Event] = []
    inbox = FakeInbox(fails=[error])
    world.beat = 0.02
    process = await world.process(inbox=inbox, on_event=events.append)
    await uncertain(process, "a")
    inbox.tell("V9", world.now)
    await settled(process)
    assert [each for each in caplog.messages if "delivery reports" in each] == [
        f"no delivery reports for the ledger: {type(error).__name__}",
        "delivery reports come to the ledger again",
    ]
    failed = [each for each in events if isinstance(each, LedgerFailed)]
    assert [(each.work, each.error) for each in failed] == [("reports", error)]


async def test_an_inbox_that_is_opened_after_the_ledger_is_read(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And one that was closed meanwhile, when it is open again; the log says that it is not."""
    inbox = Inbox.open(tmp_path / "pushes.db", poll=0.02)
    world.beat = 0.02
    process = await world.process(inbox=inbox)
    await comes_true(lambda: "no delivery reports for the ledger: InboxClosed" in caplog.text)
    for voice_id, mobile in (("V1", B), ("V9", A)):
        async with inbox:
            form = {"code": "2", "voiceid": voice_id, "mobilephone": mobile}
            await inbox.put(parse_push(urlencode(form).encode()))
            await comes_true(partial(has_report, process, voice_id))


async def has_report(process: Process, voice_id: str) -> bool:
    """Say whether the ledger has taken a report in."""

    def work() -> Work[bool]:
        wanted = {"voice_id": voice_id}
        found = process.desk.owners.say("SELECT 1 FROM {reports} WHERE voice_id = :voice_id")
        return bool((yield Query(found, wanted)))

    return await process.desk.heart.read(work)


async def test_what_is_no_report_keeps_none_that_is_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An inbox of somebody's own may give anything."""
    inbox = FakeInbox()
    for _ in range(2):
        inbox.tell("V0", world.now, B)
    inbox.stored[0] = None  # type: ignore[call-overload]  # it is not
    inbox.stored[1] = attrs.evolve(inbox.stored[1], seq="1")  # type: ignore[arg-type]  # likewise
    world.beat = 0.02
    process = await world.process(inbox=inbox)
    await uncertain(process, "a")
    inbox.tell("V9", world.now)
    await settled(process)
    assert [each for each in caplog.messages if "no report" in each] == [
        f"the inbox gave what is no report, of type {kind}: it is left out"
        for kind in ("NoneType", "DeliveryReport")
    ]


class Stubborn:
    """An inbox that takes no cancellation for an answer.

    Attributes:
        asked: Set once it is read.
        free: Set when it may end.
    """

    def __init__(self) -> None:
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def reports(
        self, since: int | None = None, *, follow: bool = True
    ) -> AsyncGenerator[DeliveryReport]:
        """Iterate."""
        assert (since, follow) == (0, True)
        self.asked.set()
        while not self.free.is_set():
            with suppress(asyncio.CancelledError):
                await self.free.wait()
        for each in list[DeliveryReport]():
            yield each


async def test_an_inbox_that_does_not_let_go_is_left_behind(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that could not be closed would keep its program from its end."""
    monkeypatch.setattr(reconcile, "_LET_GO", 0.0)
    inbox = Stubborn()
    async with world.ledger(inbox=inbox):
        await inbox.asked.wait()
    inbox.free.set()  # before it is judged: the event loop would wait for it for ever
    await asyncio.sleep(0)
    assert "an inbox that does not let go is left behind" in caplog.messages
