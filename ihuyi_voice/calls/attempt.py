"""One attempt: sign, send, read and classify; every answer is a value, every failure an error."""

import logging
from collections.abc import Callable

import attrs

from ihuyi_voice.common.redaction import Redactor
from ihuyi_voice.errors import UnreadableReply, VoiceError
from ihuyi_voice.http.sending import Exchange, Transmission
from ihuyi_voice.models import RawReply
from ihuyi_voice.protocol.codes import SUCCESS, vendor_error
from ihuyi_voice.protocol.replies import Reply, ReplyUnreadable, parse_reply
from ihuyi_voice.protocol.requests import Call, RequestBuilder

logger = logging.getLogger("ihuyi_voice")


@attrs.frozen
class Answer:
    """The vendor said yes.

    Attributes:
        value: The id or the balance, empty for a deletion.
        msg: The vendor's text, redacted.
        raw: The reply as it came.
    """

    value: str
    msg: str
    raw: RawReply


@attrs.frozen
class Endpoint:
    """The vendor's address as one account sees it.

    Attributes:
        builder: Makes and signs the requests.
        exchange: Sends them.
        clock: Returns Unix time in seconds, UTC; each attempt is signed with it afresh.
        redact: Takes secrets out of what is logged or raised.
    """

    builder: RequestBuilder
    exchange: Exchange
    clock: Callable[[], float]
    redact: Redactor

    async def ask(self, call: Call, sent: Transmission) -> Answer:
        """Make one attempt at `call`; `sent` tells, also after a cancellation, how far it got.

        Raises:
            InvalidRequest: It could not be signed.
            NotSent: It surely never reached the vendor.
            OutcomeUnknown: It may have, and no usable reply came.
            VendorError: The vendor replied a code that is not success.
        """
        raw = await self.exchange.send(self.builder.build(call, self.clock()), sent)
        reply = self._read(call, raw)
        msg = self.redact(reply.msg)
        if reply.code == SUCCESS:
            logger.debug("%s accepted: %s", call.operation.value, reply.value)
            return Answer(reply.value, msg, raw)
        raise _with_evidence(vendor_error(call.operation, reply.code, msg), raw)

    def _read(self, call: Call, raw: RawReply) -> Reply:
        if not 200 <= raw.status < 300:  # noqa: PLR2004 - the vendor's own failures come with 200
            raise _unreadable(f"HTTP {raw.status}", raw)
        try:
            return parse_reply(call.operation, raw.content)
        except ReplyUnreadable as exc:
            raise _unreadable(self.redact(str(exc)), raw) from exc


def _unreadable(reason: str, raw: RawReply) -> VoiceError:
    return _with_evidence(UnreadableReply(f"unreadable reply ({reason}): {raw.excerpt!r}"), raw)


def _with_evidence(error: VoiceError, raw: RawReply) -> VoiceError:
    error.raw = raw
    return error
