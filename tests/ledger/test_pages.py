"""What was accepted in a run is leafed through in the order in which it was begun."""

# pyright: reportPrivateUsage=false

from collections.abc import Iterable
from typing import Any

from ihuyi_voice import Action, OutcomeStatus, Submission
from ihuyi_voice.ledger.journal import Journal
from ihuyi_voice.ledger.rows import Book
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.models import Draft, digest
from tests.support.ledgers import ACCOUNT, World, held, refused, unknown
from tests.support.ledgers import accepted as acceptance

RUN, TEXT = "nightly", "您好"
LONGEST = 8_000
MANY = 9_000  # more than a page
OTHERS: list[Ending] = [
    unknown(), held(), refused(Action.STOP), refused(Action.FIX_REQUEST),
]  # fmt: skip


def draft(place: int) -> Draft:
    """Return a message, with a reference or without one."""
    mobile = f"139{place:08d}"
    if place % 2:
        return Draft(f"r{place}", mobile, TEXT, f"r{place}")
    return Draft(digest(mobile, TEXT), mobile, TEXT)


def end(place: int) -> Ending:
    """Return how its call ended: accepted, as a rule."""
    return OTHERS[place // 10 % 4] if place % 10 == 0 else acceptance(f"v{place}")


async def call(journal: Journal, places: Iterable[int]) -> None:
    """Write how calls ended, in the order of the places."""
    waiting = [(place, journal.intend(draft(place))) for place in places]
    assert [await granted for _, granted in waiting] == [None] * len(waiting)
    for written in [journal.settle(draft(place), end(place)) for place, _ in waiting]:
        await written


async def leafed(journal: Journal, after: int | str = 0) -> tuple[list[Any], list[int]]:
    """Return all rows, and how many were on each page."""
    rows: list[Any] = []
    pages: list[int] = []
    while found := await journal.accepted(after):
        after = int(found[0])
        messages, voice_ids, attempts = (str(text).split("\x1f")[:-1] for text in found[1:])
        names = zip(messages[::3], messages[1::3], messages[2::3], strict=True)
        rows += zip(names, voice_ids, attempts, strict=True)
        pages.append(len(voice_ids))
    return rows, pages


def row(place: int) -> tuple[Any, ...]:
    """Return what is told of one."""
    given = draft(place)
    return (given.reference or "", given.mobile, TEXT), f"v{place}", "2"


async def test_all_that_was_accepted_is_told_once_and_in_its_order(world: World) -> None:
    """And nothing else: no other end, no other run's, none of the keyed calls."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, "another") as journal:
        await call(journal, range(1, 9))
    await call(process.calls(), range(1, 9))
    async with process.ledger.run(ACCOUNT, RUN) as journal:
        order = [*range(MANY, 0, -1)]
        await call(journal, order)
        assert await journal.intend(draft(MANY + 1)) is None  # in flight
        rows, pages = await leafed(journal)
        wanted = [row(place) for place in order if place % 10]
        assert rows == wanted
        assert pages == [LONGEST, len(wanted) - LONGEST]
        await journal.settle(draft(MANY + 1), unknown())


async def test_a_page_begins_behind_any_entry(world: World) -> None:
    """Whatever has become of that one; behind none it begins at the first."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, RUN) as journal:
        await call(journal, range(1, 31))
        for place in (7, 20):
            rows, _ = await leafed(journal, draft(place).key)
            assert rows == [row(each) for each in range(place + 1, 31) if each % 10]
        assert await leafed(journal, draft(30).key) == ([], [])
        assert await leafed(journal, "never seen") == await leafed(journal)


async def test_neither_parts_nor_keyed_calls_have_pages(world: World) -> None:
    """A part yields what is open, and a keyed call looks for its own end alone."""
    process = await world.process()
    await call(process.calls(), range(1, 9))
    assert await leafed(process.calls()) == ([], [])
    async with process.ledger.run(ACCOUNT, RUN) as journal:
        await call(journal, range(1, 9))
        assert (await leafed(journal))[1] == [8]
        run = journal._known()
        assert run is not None
        assert await process.desk.heart.accepted(Book(run.run, part=1), 0) == ()


async def test_an_acceptance_without_an_id_has_an_empty_one(world: World) -> None:
    """As a look-up tells it, if a person knew no more than that the phone had rung."""
    process = await world.process()
    async with process.ledger.run(ACCOUNT, RUN) as journal:
        await call(journal, [1])
        assert await journal.intend(draft(2)) is None
        await journal.settle(draft(2), unknown())
        await process.ledger.settle(RUN, draft(2).key, OutcomeStatus.ACCEPTED, account=ACCOUNT)
        ((_, named, _), (_, unnamed, _)), _ = await leafed(journal)
        assert (named, unnamed) == ("v1", "")
        (end,) = await journal.look([draft(2)])
        assert isinstance(end, Submission)
        assert end.voice_id == ""
