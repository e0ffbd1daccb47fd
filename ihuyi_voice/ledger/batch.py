"""The rows of one commit, sorted out, with their values as the database takes them."""

from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Any, Final

import attrs

from ihuyi_voice.ledger.rows import Book, Intent, Outcome, Put
from ihuyi_voice.ledger.states import ENDED, State, columns_of, kept

FLOWN: Final = {
    "run": "BIGINT", "key": "TEXT", "owner": "BIGINT", "epoch": "BIGINT", "ticket": "BIGINT",
    **ENDED,
}  # fmt: skip
"""The columns of how an attempt ended."""

NEW: Final = {
    "key": "TEXT", "mobile": "TEXT", "content": "TEXT", "reference": "TEXT", "ticket": "BIGINT",
}  # fmt: skip
"""The columns of an intent."""

_BY_KEY: Final = attrgetter("draft.key")


@attrs.frozen(eq=False)
class Group:
    """Intents under one fence.

    Attributes:
        book: Where they stand.
        opens: The highest state that may be sent again.
        first: Those that are written, by their keys.
        others: Those whose key another one has taken before them.
    """

    book: Book
    opens: int
    first: dict[str, Intent] = attrs.field(factory=dict[str, Intent])
    others: list[Intent] = attrs.field(factory=list[Intent])

    @property
    def all(self) -> list[Intent]:
        """All of them."""
        return [*self.first.values(), *self.others]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return what is written, in the order of `NEW`."""
        intents: Sequence[Intent] = list(self.first.values())
        if self.book.keyed:  # processes that want the same keys lock them in the same order
            intents = sorted(intents, key=_BY_KEY)
        return [
            (draft.key, draft.mobile, draft.content, kept(draft.reference), intent.ticket)
            for intent in intents
            for draft in (intent.draft,)
        ]


@attrs.frozen(eq=False)
class Batch:
    """All that goes into one commit.

    Attributes:
        outcomes: As they came.
        flown: How attempts ended, in the order of `FLOWN`.
        noted: The ends of what was never intended.
        groups: The intents, in the order in which their fences are locked.
        spared: Attempts that rang nobody and may be made again, of parts that many work on.
    """

    outcomes: list[Outcome]
    flown: list[tuple[Any, ...]]
    noted: list[dict[str, Any]]
    groups: list[Group]
    spared: list[Outcome] = attrs.field(factory=list[Outcome])

    @property
    def is_plain(self) -> bool:
        """Whether it is intents under one fence, and outcomes of other keys."""
        if self.noted or self.spared or len(self.groups) != 1:
            return False
        return self.groups[0].first.keys().isdisjoint(row[1] for row in self.flown)

    def less(self, granted: Collection[Intent]) -> "Batch":
        """Return what is left of a plain one, once its outcomes and some intents are written."""
        (group,) = self.groups
        first = dict(group.first)
        for intent in granted:
            del first[intent.draft.key]
        rest = attrs.evolve(group, first=first)
        return Batch(self.outcomes, [], [], [rest] if rest.all else [])


def sorted_out(rows: Sequence[Put]) -> Batch:
    """Return a batch of rows; intents that nobody waits for any more are left out."""
    outcomes = [row for row in rows if isinstance(row, Outcome)]
    flown: list[tuple[Any, ...]] = []
    noted: list[dict[str, Any]] = []
    spared: list[Outcome] = []
    groups: dict[tuple[Book, int], Group] = {}
    for row in rows:
        if isinstance(row, Intent):
            if not row.withdrawn:
                _grouped(groups, row)
        elif row.flight is None:
            noted.append(_noted(row))
        else:
            at, end = row.flight, columns_of(row.end)
            flown.append((row.book.run, row.draft.key, at.owner, at.epoch, at.ticket, *end))
            if row.book.part and end[0] <= State.REFUSED:
                spared.append(row)
    return Batch(outcomes, flown, noted, sorted(groups.values(), key=_place), spared)


def _grouped(groups: dict[tuple[Book, int], Group], intent: Intent) -> None:
    group = groups.get((intent.book, intent.opens))
    if group is None:
        group = groups[intent.book, intent.opens] = Group(intent.book, intent.opens)
    if group.first.setdefault(intent.draft.key, intent) is not intent:
        group.others.append(intent)


def _noted(row: Outcome) -> dict[str, Any]:
    draft = row.draft
    message = {
        "run": row.book.run, "key": draft.key, "part": row.book.part, "mobile": draft.mobile,
        "content": draft.content, "reference": kept(draft.reference),
    }  # fmt: skip
    return message | dict(zip(ENDED, columns_of(row.end), strict=True))


def _place(group: Group) -> tuple[int, int, int, int]:
    book = group.book
    return book.run, book.part, book.epoch, group.opens
