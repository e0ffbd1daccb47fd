"""What a run that goes on knows to be accepted: the next of it, in the order in which it was sent.

A list is read again in the order in which it was sent, or nearly so. So what was accepted is leafed
through beside it, a page at a time, and a message that stands on one of two pages needs no look-up
of its own, which costs several times as much. What doesn't stand there is looked up like anything
else: the pages never say that a message may be sent.

The next page is asked for when an eighth of the newer one has been met. If instead many are found
by look-ups, the list is elsewhere, for many of its messages are gone: then the pages go on behind
one of those. Where that was of no use it is tried half as often, so that a list in quite another
order asks for few pages in vain.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from ihuyi_voice.bulk.outcomes import Outcome
from ihuyi_voice.calls import Journaling, Page
from ihuyi_voice.models import Message, OutcomeStatus

_ENOUGH: Final = 8  # one in so many
_MANY: Final = 64  # that were looked up
_NAME: Final = attrgetter("reference", "mobile", "content")
_PLAIN: Final = frozenset[type]([str, type(None)])
_PAIRS: Final = frozenset[type]([tuple])
_ACCEPTED: Final = OutcomeStatus.ACCEPTED


class Earlier:
    """Two pages of what was accepted.

    Args:
        journaling: Has them; None if there is nothing in it.
    """

    def __init__(self, journaling: Journaling | None) -> None:
        self._journaling = journaling
        self._older = self._newer = Page()
        self._met = 0  # of the newer one
        self._next: int | str | None = 0  # behind which the next page begins; None: not now
        self._misses, self._enough_misses = 0, 1

    async def follow(self) -> None:
        """Turn the page, if enough of the newer one has been met.

        Raises:
            LedgerUnavailable: The journal could not be asked.
        """
        if self._met and self._met * _ENOUGH >= len(self._newer.rows):
            self._next, self._enough_misses = self._newer.last, 1
        if self._next is None or self._journaling is None:
            return
        after, self._next, self._met = self._next, None, 0
        self._older, self._newer = self._newer, await self._journaling.accepted(after)

    def looked_up(self, keys: Sequence[str]) -> None:
        """Hear of the keys that look-ups have found to be accepted, in the order of the list."""
        if len(keys) < _MANY:
            return
        self._misses += 1
        if self._misses >= self._enough_misses:
            self._misses, self._enough_misses = 0, 2 * self._enough_misses
            self._next = keys[-1]

    def outcomes_of(self, given: Sequence[object]) -> list[Outcome | None]:
        """Return the outcome of each that stands on these pages; None of any other.

        Nothing foreign is asked: what is no plain message of plain texts stands nowhere.
        """
        messages: Sequence[Any] = given
        if {*map(type, given)} != {Message}:
            messages = [*map(_message, given)]
        return [
            None if row is None else Outcome(each, _ACCEPTED, row[4], None, row[5], None, True)  # noqa: FBT003 - by place, for speed
            for each, row in zip(messages, self._rows(messages), strict=True)
        ]

    def _rows(self, messages: Sequence[Any]) -> list[Any]:
        if {*map(type, messages)} <= {Message}:
            with suppress(AttributeError):  # somebody made a message without its fields
                names = [*map(_NAME, messages)]
                if {*map(type, chain.from_iterable(names))} <= _PLAIN:
                    return self._found(names)
        if len(messages) == 1:
            return [None]
        return [row for each in messages for row in self._rows([each])]

    def _found(self, names: Sequence[object]) -> list[Any]:
        rows = [*map(self._older.rows.get, names)]
        if all(rows):
            return rows
        newer = [*map(self._newer.rows.get, names)]
        self._met += len(newer) - newer.count(None)
        return [one or other for one, other in zip(rows, newer, strict=True)]


def _message(given: Any) -> object:  # noqa: ANN401 - whatever the caller gave
    """Return a plain pair as the message that it is."""
    if type(given) not in _PAIRS or len(given) != len(("mobile", "content")):
        return given
    return Message(given[0], given[1])
