"""What became of the messages of a list, by their keys."""

from ihuyi_voice import Action, OutcomeStatus, OutcomeUnknown, Submission, VoiceError
from ihuyi_voice.ledger import Kept
from ihuyi_voice.models import Draft
from tests.support.ledgers import ACCOUNT, A, B, World, accepted, draft, refused, unknown


def shown(kept: Kept) -> tuple[object, ...]:
    """Return what must be told of a message."""
    end = kept.end
    told = end if isinstance(end, Submission | None) else (type(end), str(end), end.status)
    return kept.draft, told, kept.flying


async def test_messages_are_found_by_their_keys_as_they_are_kept(world: World) -> None:
    """Those of this run; those that it lacks, or that no database could have, are missing."""
    process = await world.process()
    named = Draft("accepted", B, "再见", "row 7")
    async with process.ledger.run(ACCOUNT, "run") as run, process.ledger.run(ACCOUNT, "x") as other:
        ends: dict[str, Submission | VoiceError] = {
            "unknown": unknown(),
            "refused": refused(Action.STOP, 4051),
        }
        assert await run.intend(named) is None
        await run.settle(named, accepted("V1", B))
        for key, end in ends.items():
            assert await run.intend(draft(key)) is None
            await run.settle(draft(key), end)
        assert await run.intend(draft("in flight")) is None
        assert await run.intend(draft("not asked for")) is None
        assert await other.intend(draft("elsewhere")) is None
        keys = [
            "refused",
            "accepted",
            "unknown",
            "in flight",
            "elsewhere",
            "none",
            "a\0",
            "accepted",
        ]
        found = await process.ledger.results("run", keys)
    assert {key: shown(kept) for key, kept in found.items()} == {
        "accepted": (named, accepted("V1", B), False),
        "unknown": (draft("unknown"), told(unknown()), False),
        "refused": (draft("refused"), told(ends["refused"]), False),
        "in flight": (draft("in flight"), None, True),
    }


def told(end: Submission | VoiceError) -> tuple[object, ...]:
    """Return what must be told of an error."""
    assert isinstance(end, VoiceError)
    return type(end), str(end), end.status


async def test_results_are_of_the_account_that_is_named(world: World) -> None:
    """Two may have a run of one name."""
    process = await world.process()
    for account, mobile in (("VM1", A), ("VM2", B)):
        async with process.ledger.run(account, "both") as journal:
            assert await journal.intend(draft(mobile=mobile)) is None
            await journal.settle(draft(mobile=mobile), unknown())
    for account, mobile in (("VM1", A), ("VM2", B)):
        found = await process.ledger.results("both", ["k"], account)
        assert found["k"].draft == draft(mobile=mobile)
    await process.ledger.settle("both", "k", OutcomeStatus.ACCEPTED, "V2", "VM2")
    ends = [await process.ledger.results("both", ["k"], account) for account in ("VM1", "VM2")]
    assert [type(each["k"].end) for each in ends] == [OutcomeUnknown, Submission]
    assert await process.ledger.results("both", [], "VM1") == {}
