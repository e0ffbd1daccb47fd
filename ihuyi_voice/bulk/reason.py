"""Why a run starts nothing more, and the error of the messages whose turn never comes."""

from typing import Final, Self

import attrs

from ihuyi_voice.errors import RunStopped, VoiceError

STOPPED: Final = "the run was stopped"


@attrs.frozen
class Reason:
    """Why a run starts nothing more.

    Attributes:
        what: What happened, in words.
        cause: The error that it goes back to; None if there is none.
        sign: What that error alone doesn't tell: "3 messages in a row came out …"; mostly empty.
    """

    what: str
    cause: VoiceError | None = None
    sign: str = ""

    @classmethod
    def left(cls) -> Self:
        """Return the reason of a run that nobody wants more of."""
        return cls("the run was left early")

    def __str__(self) -> str:
        return f"{self.what}, as {self.sign}" if self.sign else self.what

    def error(self) -> RunStopped:
        """Return the error of a message whose turn never came."""
        comma = "," if self.sign else ""
        text = f"{self}{comma} before this message's turn"
        error = RunStopped(text if self.cause is None else f"{text}: {self.cause}")
        error.__cause__ = self.cause
        return error
