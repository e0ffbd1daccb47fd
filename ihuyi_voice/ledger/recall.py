"""Which calls count for a number's limits, and whether there can be any."""

from collections.abc import Mapping, Sequence
from typing import Final

from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.ledger.states import State
from ihuyi_voice.storage import Query, Work

USED_EVERY: Final = 60.0
"""How often a run in use says so, in seconds."""

# Two statements: a join would leave it to the planner whether it begins with the numbers.
_RUNS: Final = "SELECT id FROM {runs} WHERE account = :account"
_CALLS: Final = (
    "SELECT run, mobile, state, at, {now} AS now FROM {entries}{by_mobile} WHERE {among_mobiles}"
    " AND state >= {INTENT} AND at >= {now} - {DAY}"
)
_RECENT: Final = "SELECT DISTINCT account FROM {runs} WHERE used_at >= {now} - {RECENTLY}"


def recall(
    owners: Owners, account: str, mobiles: Sequence[str]
) -> Work[Mapping[str, Sequence[float]]]:
    """Return the ages, in seconds, of each number's calls of the last day."""
    say = owners.say
    yield from owners.pinned()
    rows = yield Query(
        say(_CALLS),
        {"mobiles": say.dialect.values(mobiles), **owners.now()},
    )
    runs = {row["id"] for row in (yield Query(say(_RUNS), {"account": account}))}
    ages: dict[str, list[float]] = {}
    for row in rows:
        if row["run"] not in runs:
            continue
        # In flight: its window has not even begun.
        age = 0.0 if row["state"] == State.INTENT else max(0.0, row["now"] - row["at"])
        ages.setdefault(row["mobile"], []).append(age)
    return ages


def recent(owners: Owners) -> Work[set[str]]:
    """Return the accounts that may have had calls within a day."""
    rows = yield Query(owners.say(_RECENT), owners.now())
    return {row["account"] for row in rows}
