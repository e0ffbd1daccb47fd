"""What goes into a commit: intents and outcomes, each of one entry."""

from typing import TYPE_CHECKING, Final

import attrs

from ihuyi_voice.errors import NotSent
from ihuyi_voice.ledger.states import Ending
from ihuyi_voice.models import Draft

if TYPE_CHECKING:
    import asyncio

KEYED: Final = ""
"""The run of the keyed calls."""


@attrs.frozen
class Book:
    """Where entries stand: a part of a run as this process holds it.

    Attributes:
        run: The run's id.
        part: The part.
        epoch: Under which it is held; 0 for the keyed calls, whose fence is their owner.
        keyed: Whether it is the run of the keyed calls, which nobody holds.
    """

    run: int
    part: int = 0
    epoch: int = 0
    keyed: bool = False


@attrs.frozen
class Flight:
    """One attempt at an entry, which no other has ever been or will be.

    Attributes:
        owner: Whose it is.
        epoch: Under which epoch of its part.
        ticket: The number of this intent among its owner's.
        draft: What it says to whom.
    """

    owner: int
    epoch: int
    ticket: int
    draft: Draft


@attrs.define(eq=False)
class Intent:
    """A call is about to be made.

    Attributes:
        book: Where it stands.
        draft: The message.
        ticket: Its number among this owner's.
        opens: The highest state that may be sent again.
        flights: Where the attempt stands from its grant until it is settled, by its key.
        waiter: Who waits for the grant.
    """

    book: Book
    draft: Draft
    ticket: int
    opens: int
    flights: dict[str, Flight] = attrs.field(factory=dict[str, Flight], repr=False)
    waiter: "asyncio.Future[Ending | None] | None" = None

    @property
    def withdrawn(self) -> bool:
        """Whether nobody waits for the grant any more."""
        return self.waiter is not None and self.waiter.cancelled()

    def again(self, owner: int) -> "Outcome":
        """Return what is written later if nobody knows whether this was: it was not sent."""
        return self.given_up(owner, "the ledger failed before this was sent")

    def given_up(self, owner: int, reason: str) -> "Outcome":
        """Return the outcome of an intent that was not made use of."""
        flight = Flight(owner, self.book.epoch, self.ticket, self.draft)
        return Outcome(self.book, self.draft, NotSent(reason), flight)


@attrs.frozen(eq=False)
class Outcome:
    """How a call ended.

    Attributes:
        book: Where it stands.
        draft: The message.
        end: How it ended.
        flight: The attempt; None if it was never intended.
    """

    book: Book
    draft: Draft
    end: Ending
    flight: Flight | None

    def again(self, owner: int) -> "Outcome | None":  # noqa: ARG002 - as of an intent
        """Return what is written later if nobody knows whether this was."""
        return None if self.flight is None else self


Put = Intent | Outcome
