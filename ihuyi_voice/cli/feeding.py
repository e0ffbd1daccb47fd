"""A results file that is sent again: which of its rows, and that nobody is called twice by that.

Sent are the rows whose last status is asked for. All others are carried over as they are, so that
the new results file tells of every row; one whose status was lost is UNKNOWN. A row that was held
back is no message before its time.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.output import complain
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import BadRow, Recipient, RecipientsFile, earlier
from ihuyi_voice.inputs.earlier import OUTCOME
from ihuyi_voice.models import OutcomeStatus

_STATUS: Final = OUTCOME.index("status")
_RETRY_AT: Final = OUTCOME.index("retry_at")
RUNG: Final = frozenset({OutcomeStatus.ACCEPTED, OutcomeStatus.UNKNOWN})
"""The phone rings, or may ring: sent again, it rings twice."""


@attrs.frozen
class Carried:
    """A row that is left as an earlier run left it.

    Attributes:
        row: The row.
        result: How it ended then.
    """

    row: Recipient | BadRow
    result: tuple[str, ...]

    @property
    def may_have_rung(self) -> bool:
        """Whether a row that says the same would make a phone ring twice."""
        return self.result[_STATUS] in RUNG


def statuses(option: str | None, *, ring_again: bool) -> frozenset[OutcomeStatus] | None:
    """Return the statuses that `--only` names; None if it wasn't given.

    Raises:
        InvalidRequest: There is no such status, or phones would ring twice and nobody said so.
    """
    if option is None:
        return None
    known = {status.value: status for status in OutcomeStatus}
    names = [name.strip().upper() for name in option.split(",")]
    strange = next((name for name in names if name not in known), None)
    if strange is not None:
        raise InvalidRequest(text("send.only.wrong", text=repr(strange.lower())))
    found = frozenset(known[name] for name in names)
    if found & RUNG and not ring_again:
        raise InvalidRequest(text("send.only.rung"))
    return found


def check(file: RecipientsFile, only: frozenset[OutcomeStatus] | None) -> None:
    """See to it that a results file is never sent as if it were a list, nor the other way round.

    Raises:
        InvalidRequest: It is one, and nobody said which of its rows; or it is none.
    """
    is_results = bool(earlier(file.names()))
    if is_results and only is None:
        raise InvalidRequest(text("send.only.needed", name=file.path.name))
    if only is not None and not is_results:
        listed = ", ".join(OUTCOME)
        raise InvalidRequest(text("send.only.no_results", name=file.path.name, columns=listed))


def tell_unseen(file: RecipientsFile) -> None:
    """Tell on stderr of hidden rows, which are sent, too, and of sheets that are not.

    Raises:
        InvalidRequest, ImportError, OSError: It can't be read.
    """
    found = file.unseen()
    if found is not None and found.hidden:
        complain("send.hidden", count=found.hidden)
    if found is not None and found.others:
        others = text("list.comma").join(found.others)
        complain("send.sheets", sheet=found.sheet, others=others)


def selected(
    rows: Iterable[Recipient | BadRow],
    places: range,
    only: frozenset[OutcomeStatus],
    now: datetime,
) -> Iterator[Recipient | BadRow | Carried]:
    """Yield the rows of a results file: those that are to be sent, and the others carried.

    Args:
        rows: Its rows.
        places: Where its results stand.
        only: The statuses that are sent.
        now: The time, aware.
    """
    for row in rows:
        result = tuple(row.cells[place] for place in places if place < len(row.cells))
        result = result[: len(OUTCOME)]
        if len(result) < len(OUTCOME) or result[_STATUS] not in list(OutcomeStatus):
            reason = text("send.only.no_status")
            yield Carried(row, (OutcomeStatus.UNKNOWN.value, "", "", reason, "", "0"))
        elif result[_STATUS] in only and not _is_early(result, now):
            yield row
        else:
            yield Carried(row, result)


def _is_early(result: tuple[str, ...], now: datetime) -> bool:
    """Say whether a row was held back, and its time hasn't come."""
    if result[_STATUS] != OutcomeStatus.HELD:
        return False
    at = _moment(result[_RETRY_AT])
    return at is not None and at > now


def _moment(written: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError:  # of a spreadsheet's making; then the guard and the vendor know
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
