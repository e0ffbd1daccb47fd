"""Attempts of which is told too late that they came to nothing: their part was taken over.

A worker fell asleep with calls in flight, so they became UNKNOWN when another one took its part,
which passed them by and may have done all the rest. The first one wakes, and tells that a call was
not sent, or refused for now. Nobody would look at that entry again; so it is open again, and its
part is not done. The message may ring after a later one to its number: that one couldn't wait for
an outcome which nobody might ever have told.

The parts are locked before any entry, as by everybody, so whoever says meanwhile that a part is
done comes either before this, or sees what is open.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.rows import Outcome
from ihuyi_voice.storage import Query, Work

_EPOCH: Final = "SELECT epoch FROM {parts} WHERE run = :run AND part = :part{update}"
_OPEN: Final = (
    "UPDATE {entries}{by_key} SET state = {OPEN}, kind = NULL, text = NULL, code = NULL,"
    " action = NULL, retry_at = NULL WHERE run = :run AND key = :key AND owner = :owner"
    " AND epoch = :epoch AND ticket = :ticket AND state <= {REFUSED} RETURNING 1"
)
_UNDONE: Final = "UPDATE {parts} SET done = 0 WHERE run = :run AND part = :part"


def passed_by(owners: Owners, outcomes: Iterable[Outcome]) -> Work[list[Outcome]]:
    """Return those outcomes whose parts others have taken over; lock all of their parts."""
    by_part: dict[tuple[int, int], list[Outcome]] = {}
    for outcome in outcomes:
        by_part.setdefault((outcome.book.run, outcome.book.part), []).append(outcome)
    found: list[Outcome] = []
    for (run, part), rows in sorted(by_part.items()):
        (held,) = yield Query(owners.say(_EPOCH), {"run": run, "part": part})
        found += [row for row in rows if row.flight and row.flight.epoch < held["epoch"]]
    return found


def opened_again(owners: Owners, outcomes: Sequence[Outcome]) -> Work[list[str]]:
    """Open the entries of these, which are written, and their parts; return what to warn of."""
    warnings: list[str] = []
    for outcome in outcomes:
        if (yield Query(owners.say(_OPEN), _attempt(outcome))):
            where = {"run": outcome.book.run, "part": outcome.book.part}
            yield Query(owners.say(_UNDONE), where)
            warnings.append(_warning(outcome))
    return warnings


def _attempt(outcome: Outcome) -> dict[str, Any]:
    flight = outcome.flight
    assert flight is not None  # noqa: S101 - those of attempts alone are passed by
    return {
        "run": outcome.book.run, "key": outcome.draft.key,
        "owner": flight.owner, "epoch": flight.epoch, "ticket": flight.ticket,
    }  # fmt: skip


def _warning(outcome: Outcome) -> str:
    return (
        f"a call to {mask_mobile(outcome.draft.mobile)} came to nothing"
        f" ({type(outcome.end).__name__}), which is told after part {outcome.book.part} of its run"
        " was taken over; it is open again, and may ring after a later one to that number"
    )
