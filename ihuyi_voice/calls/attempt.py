"""One attempt: build, send, read; every answer is a value, every failure an error."""

import asyncio
import logging
from collections.abc import Callable

import attrs

from ihuyi_voice.calls.errands import put_off
from ihuyi_voice.common.logs import tell
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
        answer = self.voice.read(call, raw)
        tell(logger, logging.DEBUG, "%s accepted: %s", call.operation.value, answer.value)
        return answer
