"""Owners: one row a process and open ledger, which beats; whose beat is old is dead.

So is one whose beat is as far ahead: the clock was set back since, and who lives has beaten again.

A dead owner is buried by whoever needs it: its row is deleted, which is the fence of its keyed
calls, and what it had in flight of them becomes UNKNOWN. An owner that was only asleep (stopped, or
on a machine that hung) finds its row gone, and takes a new one before it intends anything more.
"""

import os
import socket
from collections.abc import Callable, Collection
from typing import Any, Final

import attrs

from ihuyi_voice.ledger.schema import Spelling, Timing
from ihuyi_voice.storage import Query, Work

_BORN: Final = (
    "INSERT INTO {owners} (host, pid, born_at, beat_at)"
    " VALUES (:host, CAST(:pid AS BIGINT), {now}, {now}) RETURNING id"
)
_BEAT: Final = "UPDATE {owners} SET beat_at = {now} WHERE id = :owner RETURNING id"
_STILL: Final = "SELECT id FROM {owners} WHERE id = :owner{key_share}"
_RENAME: Final = "UPDATE {parts} SET owner = :new WHERE owner = :old"
_FREE: Final = "UPDATE {parts} SET owner = NULL WHERE owner = :owner"
_GONE: Final = "DELETE FROM {owners} WHERE id = :owner"
_LIVING: Final = "SELECT id FROM {owners} WHERE {among_owners} AND {alive}"
_BURY: Final = "DELETE FROM {owners} WHERE {among_owners} AND NOT {alive}"
_BURY_ALL: Final = "DELETE FROM {owners} WHERE NOT {alive}"
_LOST: Final = (
    "UPDATE {entries}{by_key} SET state = {UNKNOWN}, kind = 'OutcomeUnknown', text = :text,"
    " at = {now} WHERE run = :run AND {among_keys} AND {owned_among}"
    " AND state = {INTENT}"
)
_SLEEPERS: Final = (
    "SELECT p.run, p.part FROM {parts} p WHERE NOT EXISTS (SELECT 1 FROM {owners} o"
    " WHERE o.id = p.owner AND o.{alive})"
    " UNION ALL SELECT r.id, 0 FROM {runs} r WHERE r.key = ''"
)
_FENCE: Final = (
    "UPDATE {parts} SET epoch = epoch + 1, owner = NULL WHERE run = :run AND part = :part"
    " AND NOT EXISTS (SELECT 1 FROM {owners} o WHERE o.id = {parts}.owner"
    " AND o.{alive})"
)
_LOST_OF: Final = (
    "UPDATE {entries}{by_state} SET state = {UNKNOWN}, kind = 'OutcomeUnknown', text = :text,"
    " at = {now} WHERE run = :run AND part = :part AND state = {INTENT}"
    " AND NOT EXISTS (SELECT 1 FROM {owners} o WHERE o.id = {entries}.owner)"
)
DIED: Final = "its process died while it was in flight"


@attrs.frozen
class Owners:
    """What is asked of the owners' table.

    Attributes:
        say: How statements are spelled.
        timing: Who is dead.
        clock: The time, if it isn't the database's.
    """

    say: Spelling
    timing: Timing
    clock: Callable[[], float]

    def now(self) -> dict[str, float]:
        """Return the parameter that statements with `{now}` need."""
        return {"now": self.clock()}

    def pinned(self) -> Work[None]:
        """Have the rest of the transaction use indexes, whatever a planner thinks of long lists."""
        if self.say.dialect.name == "postgresql":
            yield Query("SET LOCAL enable_seqscan = off")

    def in_order(self) -> Work[None]:
        """Have the rest of the transaction go by an index that has the order, and sort nothing.

        A planner who knows nothing of the tables yet would sort a whole run for each page of it.
        """
        if self.say.dialect.name == "postgresql":
            yield Query("SET LOCAL enable_sort = off")

    def born(self) -> Work[int]:
        """Return a new owner."""
        rows = yield Query(
            self.say(_BORN),
            {"host": socket.gethostname(), "pid": os.getpid(), **self.now()},
        )
        return int(rows[0]["id"])

    def still(self, owner: int) -> Work[int]:
        """Return the owner if it has not been buried, else a new one; it stays until the commit."""
        if (yield Query(self.say(_STILL), {"owner": owner})):
            return owner
        return (yield from self._reborn(owner))

    def beat(self, owner: int) -> Work[int]:
        """Beat, and return the owner; a new one if it had been buried."""
        if (yield Query(self.say(_BEAT), {"owner": owner, **self.now()})):
            return owner
        return (yield from self._reborn(owner))

    def gone(self, owner: int) -> Work[None]:
        """Take an owner's row away, for it ends."""
        yield Query(self.say(_FREE), {"owner": owner})
        yield Query(self.say(_GONE), {"owner": owner})

    def any_dead(self, owners: Collection[int]) -> Work[bool]:
        """Return whether one of these is dead."""
        living = yield from self.living(owners)
        return bool(set(owners) - living)

    def bury(self, run: int, owners: Collection[int], keys: Collection[str]) -> Work[bool]:
        """Make what the dead among these had in flight of keyed calls UNKNOWN.

        Returns:
            Whether one was dead.
        """
        if not owners:
            return False
        yield Query(self.say(_BURY), self._of(owners))
        living = yield from self.living(owners)
        dead = set(owners) - living
        if dead:
            yield from self.pinned()
            parameters = self._of(dead) | {"run": run, "text": DIED}
            parameters["keys"] = self.say.dialect.values(keys)
            yield Query(self.say(_LOST), parameters)
        return bool(dead)

    def bury_all(self) -> Work[None]:
        """Make all that the dead had in flight UNKNOWN, in whichever run."""
        everybody = {"dead": self.timing.dead, **self.now()}
        yield Query(self.say(_BURY_ALL), everybody)
        rows = yield Query(self.say(_SLEEPERS), everybody)
        for row in rows:
            where = {"run": row["run"], "part": row["part"], "text": DIED, **everybody}
            yield Query(self.say(_FENCE), where)
            yield Query(self.say(_LOST_OF), where)

    def living(self, owners: Collection[int]) -> Work[set[int]]:
        """Return those of these who live."""
        if not owners:
            return set()
        rows = yield Query(self.say(_LIVING), self._of(owners))
        return {int(row["id"]) for row in rows}

    def _reborn(self, owner: int) -> Work[int]:
        new = yield from self.born()
        yield Query(self.say(_RENAME), {"new": new, "old": owner})
        return new

    def _of(self, owners: Collection[int]) -> dict[str, Any]:
        return {
            "owners": self.say.dialect.values(owners),
            "dead": self.timing.dead,
            **self.now(),
        }
