"""What a run that goes on knows to be accepted: the next of it, in the order in which it was sent.

A list is read again in the order in which it was sent, or nearly so. So what was accepted is leafed
through beside it, a page at a time, and a message that stands on one of two pages needs no look-up
of its own, which costs many times as much. What doesn't stand there is looked up like anything
else: the pages never say that a message may be sent.

The next page is begun when an eighth of the newer one has been met, and is made while the rest is
read. If instead many are found by look-ups, the list is elsewhere, for many of its messages are
gone: then the pages go on behind one of those. Where that was of no use it is tried half as often,
so that a list in quite another order asks for few pages in vain.

A page that is begun is an errand of the journal's: who is cancelled, or reads no more, leaves it to
itself.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from ihuyi_voice.bulk.outcomes import Outcome, accepted_earlier
from ihuyi_voice.bulk.pages import Leaf, as_text, names_of
from ihuyi_voice.calls import Journaling, Page
from ihuyi_voice.models import Message

_ENOUGH: Final = 8  # one in so many
_MANY: Final = 64  # that were looked up
_MOMENT: Final = 0.001
"""Seconds that are left to a page that is begun.

While this thread has something to do, one that makes the page may wait for the interpreter's lock
much longer than for the database.
"""

_FIELDS: Final = attrgetter("reference", "mobile", "content")
_PLAIN: Final = frozenset[type]([str, type(None)])
_PAIRS: Final = frozenset[type]([tuple])


class Earlier:
    """Two pages of what was accepted, and how far they are read.

    Args:
        journaling: Has them; None if there is nothing in it.
    """

    def __init__(self, journaling: Journaling | None) -> None:
        self._journaling = journaling
        self._older = self._newer = self._here = Leaf(Page())
        self._next: int | str | None = 0  # behind which the next page begins; None: not now
        self._coming: asyncio.Future[object] | None = None
        self._misses, self._enough_misses = 0, 1

    def most(self, wanted: int) -> int:
        """Return how many to read at once: no further than to the end of the page."""
        return min(wanted, self._here.left or wanted)

    async def follow(self) -> None:
        """Turn the page, if this one is at its end or the next one has come.

        Raises:
            LedgerUnavailable: The journal could not be asked.
        """
        if self._journaling is None:
            return
        self._go_on()
        after = self._wanted()
        if after is not None:
            self._coming, self._next = self._journaling.leaf(after), None
            await asyncio.wait({self._coming}, timeout=_MOMENT)
        coming = self._coming
        if coming is not None and (coming.done() or not self._here.left):
            self._coming = None
            self._older, self._newer = self._newer, Leaf(await self._journaling.page(coming))
            self._go_on()

    def looked_up(self, keys: Sequence[str]) -> None:
        """Hear of the keys that look-ups have found to be accepted, in the order of the list."""
        if len(keys) < _MANY:
            return
        self._misses += 1
        if self._misses >= self._enough_misses:
            self._misses, self._enough_misses = 0, 2 * self._enough_misses
            self._next, self._coming = keys[-1], None
            self._older, self._newer = self._newer, Leaf(Page())
            self._here = self._newer  # at its end, so that what comes next is waited for

    def outcomes_of(self, given: Sequence[object]) -> Sequence[Outcome | None]:
        """Return the outcome of each that stands on these pages; None of any other.

        Nothing foreign is asked: what is no plain message of plain texts stands nowhere.
        """
        messages: Sequence[Any] = given
        if {*map(type, given)} != {Message}:
            messages = [*map(_message, given)]
        fields = _fields(messages)
        if fields is not None:
            return self._met(messages, fields)
        if len(messages) == 1:
            return [None]
        return [outcome for each in messages for outcome in self.outcomes_of([each])]

    def _wanted(self) -> int | str | None:
        """Return behind what to begin the next page; None for none now."""
        if self._coming is not None:
            return None
        if self._newer.met and self._newer.met * _ENOUGH >= len(self._newer):
            self._next, self._enough_misses = self._newer.page.last, 1
        return self._next

    def _go_on(self) -> None:
        if not self._here.left:
            self._here = self._newer

    def _met(
        self, messages: Sequence[Message], fields: Sequence[str | None]
    ) -> Sequence[Outcome | None]:
        text = as_text(fields)
        row = None if text is None else self._here.follow(text, len(messages))
        if row is None:
            return self._found(messages, fields)
        return _outcomes(messages, self._here.page, range(row, row + len(messages)))

    def _found(
        self, messages: Sequence[Message], fields: Sequence[str | None]
    ) -> Sequence[Outcome | None]:
        """Look for each, and go on behind the last one that stands there."""
        names = names_of(fields)
        known: list[Outcome | None] = [None] * len(messages)
        for leaf in (self._older, self._newer):
            rows = {place: row for place, row in enumerate(leaf.find(names)) if row is not None}
            if rows:
                met = [messages[place] for place in rows]
                found = _outcomes(met, leaf.page, rows.values())
                for place, outcome in zip(rows, found, strict=True):
                    known[place] = outcome
                self._here = leaf
        return known


def _fields(messages: Sequence[Any]) -> list[str | None] | None:
    """Return what messages are known by, field by field; None if one of them is no plain one."""
    if {*map(type, messages)} <= {Message}:
        with suppress(AttributeError):  # somebody made a message without its fields
            fields = [*chain.from_iterable(map(_FIELDS, messages))]
            if {*map(type, fields)} <= _PLAIN:
                return fields
    return None


def _message(given: Any) -> object:  # noqa: ANN401 - whatever the caller gave
    """Return a plain pair as the message that it is."""
    if type(given) not in _PAIRS or len(given) != len(("mobile", "content")):
        return given
    return Message(given[0], given[1])


def _outcomes(messages: Sequence[Message], page: Page, rows: Iterable[int]) -> list[Outcome]:
    """Return those of messages that stand in these rows of a page."""
    ids, attempts = map(page.voice_ids.__getitem__, rows), map(page.attempts.__getitem__, rows)
    return accepted_earlier(messages, ids, attempts)
