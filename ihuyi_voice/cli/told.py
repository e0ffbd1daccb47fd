"""What became of one row of a list, in the form in which it is written, printed and counted."""

import re
from typing import Any, Final

import attrs

from ihuyi_voice.bulk import Outcome, Reason
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.output import print_json
from ihuyi_voice.common.redaction import shown
from ihuyi_voice.errors import VendorError, VoiceError
from ihuyi_voice.inputs import BadRow, Recipient
from ihuyi_voice.models import OutcomeStatus
from ihuyi_voice.protocol.codes import SUCCESS

_LEFT: Final = str(Reason.left().error())
_WHOLE: Final = re.compile(r"(\d{1,9})(?:\.0*)?")


@attrs.frozen
class Told:
    """A row and its end.

    Attributes:
        row: The row.
        result: Its cells in a results file: status, voice_id, code, error, retry_at, attempts.
        outcome: How its message ended, if it became one in this run.
        carried: Whether an earlier run ended it, and this one left it.
    """

    row: Recipient | BadRow
    result: tuple[str, ...]
    outcome: Outcome | None = None
    carried: bool = False

    @property
    def status(self) -> OutcomeStatus:
        """Which of the five it is."""
        return OutcomeStatus(self.result[0])

    def to_dict(self) -> dict[str, Any]:
        """Return it as a line of JSON has it; the number is whole, as in the list."""
        row = self.row
        status, voice_id, code, reason, retry_at, attempts = self.result
        said = row if isinstance(row, Recipient) else None
        return {
            "line": row.line,
            "mobile": said and said.mobile,
            "content": said and said.content,
            "reference": said and said.reference,
            "status": status,
            "voice_id": voice_id or None,
            "code": _whole(code),
            "text": reason or None,
            "retry_at": retry_at or None,
            "attempts": _whole(attempts) or 0,
            "replayed": self.carried or (self.outcome is not None and self.outcome.replayed),
        }


def _whole(cell: str) -> int | None:
    """Return the number of a cell that a hand or a spreadsheet may have changed."""
    found = _WHOLE.fullmatch(cell.strip())
    return None if found is None else int(found[1])


def of_outcome(outcome: Outcome) -> Told:
    """Return what became of the row whose message has ended."""
    row, error = outcome.message, outcome.error
    assert isinstance(row, Recipient)  # noqa: S101 - runs of the command have no others
    code = error.code if isinstance(error, VendorError) else None
    if outcome.status is OutcomeStatus.ACCEPTED:
        code = SUCCESS
    cells = (
        outcome.status.value, outcome.voice_id, code, _reason(error), outcome.retry_at,
        outcome.attempts,
    )  # fmt: skip
    return Told(row, tuple("" if cell is None else str(cell) for cell in cells), outcome)


def _reason(error: VoiceError | None) -> str:
    """Return why a row was not accepted: what was read ahead of an interrupt was not begun, too."""
    if error is None:
        return ""
    return text("send.never_begun") if is_left(error) else shown(str(error))


def is_left(error: VoiceError | None) -> bool:
    """Say whether a row was read ahead of its turn, which never came as nobody wanted more."""
    return error is not None and str(error) == _LEFT


def of_bad(row: BadRow) -> Told:
    """Return what became of a row that can't be sent."""
    return Told(row, not_sent(shown(row.reason)))


def not_begun(row: Recipient | BadRow) -> Told:
    """Return what became of a row whose turn never came."""
    return Told(row, not_sent(text("send.never_begun")))


def same(row: Recipient | BadRow, line: int, result: tuple[str, ...]) -> Told:
    """Return what became of a row that says the same as an earlier one, which has a result."""
    return Told(row, as_line(line, result))


def as_line(line: int, result: tuple[str, ...]) -> tuple[str, ...]:
    """Return the result of a row that says the same as that of a line, which has a result."""
    return (*result[:3], text("send.same", line=line), *result[4:])


def not_sent(reason: str) -> tuple[str, ...]:
    """Return the result of a row of which no request was made."""
    return (OutcomeStatus.NOT_SENT.value, "", "", reason, "", "0")


def print_row(told: Told) -> None:
    """Print a row's end as a line of JSON.

    Raises:
        OutputClosed: Nobody reads it.
    """
    print_json(told.to_dict())
