"""What became of messages that somebody has a list of: a results file is written of it."""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.states import Ending, State, ending_of
from ihuyi_voice.models import Draft
from ihuyi_voice.storage import Query, Row, Work

_ROWS: Final = "SELECT * FROM {entries} WHERE run = :run AND {among_keys}"


@attrs.frozen
class Kept:
    """A message as the ledger has it.

    Attributes:
        draft: What was to be said to whom, under which key.
        end: How it ended; None if it hasn't.
        flying: Whether it is in flight, or was when its process died.
    """

    draft: Draft
    end: Ending | None
    flying: bool


def kept(owners: Owners, run: int, keys: Iterable[str]) -> Work[Mapping[str, Kept]]:
    """Return those of a run's messages that have these keys."""
    say = owners.say
    rows = yield Query(say(_ROWS), {"run": run, "keys": say.dialect.values(keys)})
    return {row["key"]: _kept(row) for row in rows}


def _kept(row: Row) -> Kept:
    draft = Draft(row["key"], row["mobile"], row["content"], row["reference"])
    return Kept(draft, ending_of(row), row["state"] == State.INTENT)
