"""What can go wrong with an inbox."""

from ihuyi_voice.errors import VoiceError


class InboxUnavailable(VoiceError):
    """The inbox's database could not do what was asked: nothing was stored, or nothing was read.

    The receiver answers 503 then, and the vendor tries again.
    """


class InboxClosed(InboxUnavailable):
    """The inbox is not open: it has not been entered yet, or it has been left."""
