"""The values that everybody passes around; all of them frozen."""

from datetime import datetime

import attrs

from ihuyi_voice.errors import VoiceError
from ihuyi_voice.evidence import RawReply
from ihuyi_voice.redaction import mask_mobile, mask_numbers
from ihuyi_voice.vocabulary import OutcomeStatus


@attrs.frozen
class Message:
    """One notification to be submitted (section 2.3).

    Attributes:
        mobile: The number to call; the repr masks it.
        content: What the voice says.
        reference: The caller's own name for this message, if any; it is not sent.
    """

    mobile: str = attrs.field(repr=mask_mobile)
    content: str = attrs.field(repr=mask_numbers)
    reference: str | None = None


@attrs.frozen
class Submission:
    """The vendor accepted a notification and will call (section 2.3).

    Attributes:
        voice_id: The vendor's serial number, the key to the delivery report.
        mobile: The number as it was sent; the repr masks it.
        msg: The vendor's text.
        attempts: How many requests it took.
        raw: The reply as it came.
    """

    voice_id: str
    mobile: str = attrs.field(repr=mask_mobile)
    msg: str
    attempts: int = 1
    raw: RawReply | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class AddedTemplate:
    """The vendor took a template and will audit it (section 4.3).

    Attributes:
        template_id: The vendor's id, the key to the audit and to deletion.
        content: The template as it was sent.
        msg: The vendor's text.
        attempts: How many requests it took.
        raw: The reply as it came.
    """

    template_id: str
    content: str
    msg: str
    attempts: int = 1
    raw: RawReply | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Outcome:
    """How one message of a bulk run ended.

    Attributes:
        message: The message as the caller gave it.
        status: One of the five.
        voice_id: The vendor's serial number if it was accepted.
        error: Why it was not accepted; None if it was.
        attempts: How many requests were begun for it.
        retry_at: When the number may be called again (HELD), aware and in UTC.
    """

    message: Message
    status: OutcomeStatus
    voice_id: str | None = None
    error: VoiceError | None = None
    attempts: int = 0
    retry_at: datetime | None = None
