"""Acceptances that come too late: their key was opened again meanwhile, by a person's word.

Somebody stopped a process in the midst of a call, a person said that it had not been sent, and the
key was called again. The first process wakes and tells that its call was accepted. Nothing of the
later attempt is taken back: if it was accepted too, its id stays. But the key has rung, so it is
ACCEPTED from now on and never opens again; the id is kept in `also`, and the log warns.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.ledger.entries import also_of
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.rows import Flight, Outcome
from ihuyi_voice.ledger.states import ACCEPTED_CODE, State, storable
from ihuyi_voice.models import Submission
from ihuyi_voice.storage import Query, Row, Work

_ROW: Final = "SELECT * FROM {entries}{by_key} WHERE run = :run AND key = :key{update}"
_ALSO: Final = "UPDATE {entries}{by_key} SET also = :also WHERE run = :run AND key = :key"
_RANG: Final = (
    "UPDATE {entries}{by_key} SET state = {ACCEPTED}, voice_id = :voice_id, code = :code,"
    " kind = NULL, action = NULL, retry_at = NULL, text = :text, settled_at = {now}"
    " WHERE run = :run AND key = :key AND state <> {ACCEPTED}"
)


def kept_apart(owners: Owners, outcomes: Iterable[Outcome]) -> Work[list[str]]:
    """Keep acceptances of attempts that their entries have no more; return what to warn of."""
    warnings: list[str] = []
    for outcome in outcomes:
        end, flight = outcome.end, outcome.flight
        if isinstance(end, Submission) and flight is not None:
            warnings += yield from _kept(owners, outcome, flight, end)
    return warnings


def _kept(owners: Owners, outcome: Outcome, flight: Flight, end: Submission) -> Work[Sequence[str]]:
    voice_id = storable(end.voice_id)
    where: dict[str, Any] = {"run": outcome.book.run, "key": outcome.draft.key}
    rows = yield Query(owners.say(_ROW), where)
    if not rows or _is_of(rows[0], flight):
        return ()
    known = list(also_of(rows[0]))
    if voice_id in known:
        return ()
    yield Query(owners.say(_ALSO), where | {"also": json.dumps([*known, voice_id])})
    said = {"voice_id": voice_id, "code": ACCEPTED_CODE, "text": storable(end.msg)}
    yield Query(owners.say(_RANG), where | said | owners.now())
    return (_warning(rows[0], outcome),)


def _is_of(row: Row, flight: Flight) -> bool:
    attempt = flight.owner, flight.epoch, flight.ticket
    return attempt == (row["owner"], row["epoch"], row["ticket"])


def _warning(row: Row, outcome: Outcome) -> str:
    sent = row["state"] in {State.INTENT, State.ACCEPTED, State.UNKNOWN}
    again = "was sent again and may have rung twice" if sent else "had been opened again"
    return (
        f"a call to {mask_mobile(outcome.draft.mobile)} was accepted that a person had settled as"
        f" not sent, and its key {again}; it is ACCEPTED now"
    )
