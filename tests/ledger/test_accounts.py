"""Two accounts in one ledger that have a run of the same name."""

from ihuyi_voice import OutcomeStatus, Submission
from ihuyi_voice.events import Event, ReportsTaken
from tests.ledger.inboxes import FakeInbox
from tests.support.ledgers import A, B, Process, World, accepted, draft, unknown

ONE, TWO = "VM1", "VM2"


async def filled(process: Process) -> None:
    """Have a call of one account, and two of the other."""
    for account, keys in ((ONE, "a"), (TWO, "ab")):
        async with process.ledger.run(account, "both") as journal:
            for key in keys:
                assert await journal.intend(draft(key)) is None
                await journal.settle(draft(key), unknown())


async def test_each_account_is_told_of_its_own_run(world: World) -> None:
    """Counted, listed, reported and looked up."""
    process = await world.process()
    ledger = process.ledger
    await filled(process)
    for account, keys in ((ONE, ["a"]), (TWO, ["a", "b"])):
        assert (await ledger.summary("both", account))[OutcomeStatus.UNKNOWN] == len(keys)
        for status in (None, OutcomeStatus.UNKNOWN):
            entries = [entry async for entry in ledger.entries("both", status, account)]
            assert [entry.key for entry in entries] == keys
        report = await ledger.report("both", account)
        assert (report.account, [entry.key for entry in report.uncertain]) == (account, keys)
        assert sorted(await ledger.results("both", ["a", "b"], account)) == keys


async def test_what_is_decided_of_one_account_is_not_of_the_other(world: World) -> None:
    """A call that a person settles, and a run that is stopped, for no cause too, or goes on."""
    process = await world.process()
    ledger = process.ledger
    await filled(process)
    await ledger.settle("both", "a", OutcomeStatus.ACCEPTED, "V2", TWO)
    ends = [(await ledger.results("both", ["a"], account))["a"].end for account in (ONE, TWO)]
    assert [isinstance(end, Submission) for end in ends] == [False, True]
    await ledger.stop("both", "enough", TWO)
    assert {(run.account, run.cause) for run in await ledger.runs()} == {
        (ONE, None),
        (TWO, "enough"),
    }
    await ledger.stop("both", account=ONE)
    await ledger.resume("both", TWO)
    assert {(run.account, run.stopped, run.cause) for run in await ledger.runs()} == {
        (ONE, True, None),
        (TWO, False, None),
    }


async def test_one_key_in_flight_for_two_accounts_is_two_calls(world: World) -> None:
    """Each ends as its own."""
    ledger = (await world.process()).ledger
    for account in (ONE, TWO):
        assert await ledger.calls(account).intend(draft()) is None
    for account in (ONE, TWO):
        await ledger.calls(account).settle(draft(), accepted(f"of {account}"))
    for account in (ONE, TWO):
        assert await ledger.calls(account).look([draft()]) == [accepted(f"of {account}")]


async def test_reports_settle_the_keyed_calls_of_every_account(world: World) -> None:
    """All accounts' keyed calls are the run without a name."""
    events: list[Event] = []
    process, inbox = await world.process(on_event=events.append), FakeInbox()
    for account, mobile in ((ONE, A), (TWO, B)):
        calls = process.ledger.calls(account)
        for key in ("a", "b"):
            assert await calls.intend(draft(key, mobile)) is None
            await calls.settle(draft(key, mobile), unknown())
        inbox.tell(f"V{account}", world.now, mobile)
    found = await process.ledger.reconcile(inbox)
    both = [(key, mobile) for mobile in (A, B) for key in ("a", "b")]
    assert sorted((e.key, e.message.mobile) for e in found.ambiguous) == sorted(both)
    assert found.settled == ()
    for account in (ONE, TWO):
        await process.ledger.settle("", "a", OutcomeStatus.NOT_SENT, account=account)
    found = await process.ledger.reconcile(inbox)
    assert found.ambiguous == ()
    assert sorted((e.message.mobile, e.key, e.voice_id) for e in found.settled) == [
        (B, "b", "VVM2"), (A, "b", "VVM1"),
    ]  # fmt: skip
    told = [(e.stored, e.settled) for e in events if isinstance(e, ReportsTaken)]
    assert told == [(2, 0), (0, 1), (0, 1)]
