"""One attempt: build, send, read; every answer is a value, every failure an error."""

import asyncio
import logging
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import attrs

from ihuyi_voice.calls.errands import put_off
from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.common.logs import tell
from ihuyi_voice.errors import InvalidCredentials
from ihuyi_voice.http import Sender, Sent
from ihuyi_voice.protocol import Answer, Call, VoicePhp

logger = logging.getLogger("ihuyi_voice")


@attrs.frozen
class Endpoint:
    """The vendor's address as one account sees it.

    Attributes:
        voice: Makes and signs the requests, and reads the replies.
        sender: Sends them.
        clock: Returns Unix time in seconds, UTC; each attempt is signed with it afresh.
    """

    voice: VoicePhp
    sender: Sender
    clock: Callable[[], float]

    async def ask(self, call: Call, sent: Sent) -> Answer:
        """Make one attempt at `call`; `sent` tells, also after a cancellation, how far it got.

        Raises:
            InvalidRequest: It could not be signed.
            NotSent: It surely never reached the vendor.
            OutcomeUnknown: It may have, and no usable reply came.
            VendorError: The vendor replied a code that is not success.
        """
        try:
            raw = await self.sender.send(self.voice.build(call, self.clock), sent)
        except asyncio.CancelledError as cancelled:
            if sent.reply is None:
                raise
            put_off(cancelled)  # the vendor has answered: that is what counts
            raw = sent.reply
        try:
            answer = self.voice.read(call, raw)
        except InvalidCredentials as error:
            error.clock_ahead = self._ahead_of(error)
            raise
        tell(logger, logging.DEBUG, "%s accepted: %s", call.operation, answer.value)
        return answer

    def _ahead_of(self, error: InvalidCredentials) -> float | None:
        """Return by how many seconds our clock is ahead of a reply's Date, if both can tell."""
        try:
            date = parsedate_to_datetime(error.raw.headers["date"])  # type: ignore[union-attr]
            return self.clock() - date.timestamp()
        except ENDING:
            raise
        except BaseException:  # noqa: BLE001 - the clock is the caller's, the Date is anybody's
            return None
