"""How many attempts of a run with a ledger are at the vendor at once.

A ledger takes a few milliseconds to write that a call is about to be made, and again to write how
it ended. So that these don't cost a run its `concurrency`, more attempts are begun than may be at
the vendor; who is granted its intent passes this gate, and leaves it when the vendor has answered.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from ihuyi_voice.errors import VoiceError


class Gate:
    """Lets so many in, first come first served.

    Whoever was refused by the vendor stays inside until the run has counted that: else others
    would be let in who make the same mistake.

    What a cancellation does: whoever waits has not entered; whose turn had come gives it to the
    next one.

    Args:
        most: Returns how many may be inside now; when that grows, call `admit`.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._inside: set[object] = set()
        self._waiting: deque[tuple[object, asyncio.Future[None]]] = deque()
        self._refusal: Callable[[], VoiceError] | None = None

    async def enter(self, who: object) -> None:
        """Return when there is room; `leave` is to be called after that.

        Raises:
            VoiceError: Nobody enters any more.
        """
        if self._refusal is not None:
            raise self._refusal()
        if not self._waiting and len(self._inside) < self._most():
            self._inside.add(who)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((who, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self.leave(who)
            raise

    def leave(self, who: object) -> None:
        """Make room; to do so twice, or without having entered, does no harm."""
        if who in self._inside:
            self._inside.remove(who)
            self.admit()

    def admit(self) -> None:
        """Let in whom there is room for."""
        while self._waiting and len(self._inside) < self._most():
            who, turn = self._waiting.popleft()
            if not turn.done():
                self._inside.add(who)
                turn.set_result(None)

    def close(self, refusal: Callable[[], VoiceError]) -> None:
        """Let nobody in any more; each gets an error of its own."""
        self._refusal = refusal
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(refusal())
