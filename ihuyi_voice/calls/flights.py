"""The keyed calls that are in flight in this process: a key is in flight once.

Who asks with a key that is taken waits until that call has landed, and then looks into the journal
like everybody else. Other processes are seen in the journal alone.
"""

import asyncio

import attrs

from ihuyi_voice.calls.shared import Shared
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import Draft


@attrs.frozen(eq=False)
class Flight:
    """A keyed call on its way.

    Attributes:
        draft: What is called.
        landed: Done when it has ended, in whatever way.
    """

    draft: Draft
    landed: "asyncio.Future[None]"


class Flights:
    """Those of one account and one ledger, in one event loop."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def ahead(self, draft: Draft) -> "asyncio.Future[None] | None":
        """Return what is done when the call that has the key now has landed; None if none has.

        Raises:
            InvalidRequest: That call is another message.
        """
        flight = self._flights.get(draft.key)
        if flight is None:
            return None
        if (flight.draft.mobile, flight.draft.content) != (draft.mobile, draft.content):
            raise InvalidRequest("the key is used with another number or content", field="key")
        return flight.landed

    def take_off(self, draft: Draft) -> Flight:
        """Take a key that nobody has."""
        flight = Flight(draft, asyncio.get_running_loop().create_future())
        self._flights[draft.key] = flight
        return flight

    def land(self, flight: Flight) -> None:
        """Give the key up, and wake who waits for that; to do so twice does no harm."""
        if self._flights.get(flight.draft.key) is flight:
            del self._flights[flight.draft.key]
        if not flight.landed.done():
            flight.landed.set_result(None)


_shared = Shared(Flights)


def flights_of(ledger: object, account: str) -> Flights:
    """Return the flights of a ledger: the same for all its clients in the running event loop."""
    return _shared.of(ledger, account)
