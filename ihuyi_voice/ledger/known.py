"""What stands against sending a message: what is known of its key.

A run that goes on asks this of each of its messages, and nearly all of them were accepted. So that
has a short way, by rows of few columns; `stands_against` has the words for all the rest.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ihuyi_voice.errors import CallInFlight, InvalidRequest
from ihuyi_voice.ledger.states import Ending, State, ending_of
from ihuyi_voice.models import Draft, Submission
from ihuyi_voice.storage import Row

_ACCEPTED: Final = int(State.ACCEPTED)


def accepted_earlier(
    drafts: Sequence[Draft], rows: Iterable[Any]
) -> tuple[list[Ending | None], list[int]]:
    """Return the ends of those that were accepted, and the places of those with another story.

    Args:
        drafts: What is asked about.
        rows: What is known of their keys: key, mobile, content, state, attempts, voice_id, text.
    """
    found = {row[0]: row for row in rows}
    ends: list[Ending | None] = []
    others: list[int] = []
    for draft in drafts:
        end, row = None, found.get(draft.key)
        if row is not None:
            _, mobile, content, state, attempts, voice_id, text = row
            if state == _ACCEPTED and mobile == draft.mobile and content == draft.content:
                end = Submission(voice_id or "", mobile, text or "", attempts)
            else:
                others.append(len(ends))
        ends.append(end)
    return ends, others


def stands_against(row: Row | None, draft: Draft, opens: int) -> Ending | None:
    """Return what stands against sending a draft; None if nothing does."""
    if row is None:
        return None
    if row["ticket"] != 0 and (error := _other(row, draft, opens)):  # else it was never intended
        return error
    if row["state"] == State.INTENT:
        return in_flight()
    return None if row["state"] <= opens else ending_of(row)


def _other(row: Row, draft: Draft, opens: int) -> InvalidRequest | None:
    """Return why a draft is another message than its key's; a refused text may be put right."""
    same_number, same_text = row["mobile"] == draft.mobile, row["content"] == draft.content
    rejected = row["state"] == State.REJECTED
    if same_number and (same_text or (rejected and opens >= State.REJECTED)):
        return None
    text = "the key was used with another number or content"
    if same_number and rejected:
        text += ", which was refused: retry_rejected=True sends one that was put right"
    return InvalidRequest(text, field="key")


def in_flight() -> CallInFlight:
    """Return what is told of a key whose call may still end."""
    return CallInFlight("a call with this key is in flight")
