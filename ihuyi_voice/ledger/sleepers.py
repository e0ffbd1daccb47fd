"""Programs that fall asleep in the midst of a transaction, on PostgreSQL, and keep its locks.

A stopped process, or one on a machine that hangs, answers its server no more, and its connection
stays up. The server ends its transaction after a while if it waits for the next statement (see
`storage.postgres`); but between the two halves of one, when it has been prepared and its values
have not come, the server thinks it at work, and waits for ever. So whoever takes a part, or stops a
run, doesn't wait for locks for longer than a moment: it would beat no more meanwhile, and be
thought dead, too. It looks again later, and ends connections that have been silent too long. Every
other transaction waits for some seconds (`lock_timeout`), and then does the same.
"""

from typing import Final

from ihuyi_voice.errors import StorageUnavailable, VoiceError
from ihuyi_voice.ledger.owners import Owners
from ihuyi_voice.storage import Query, Work

_LOCK_NOT_AVAILABLE: Final = "55P03"
_LOST: Final = frozenset({"57P01", "57P02", "25P03"})  # ended by the server
_CONNECTION: Final = "08"  # what these begin with is of connections
_STUCK: Final = (
    "database failed: another program holds locks there and does not let them go; is one stopped,"
    " or in a debugger, or was a transaction left open in psql?"
)
_IMPATIENT: Final = "SET LOCAL lock_timeout TO '{milliseconds}ms'"
_END: Final = (
    "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a"
    " WHERE a.datname = current_database() AND a.usename = current_user"
    " AND a.pid <> pg_backend_pid() AND a.state = 'active' AND a.wait_event = 'ClientRead'"
    " AND a.state_change < clock_timestamp() - make_interval(secs => CAST(:dead AS FLOAT))"
    " AND EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND l.granted"
    " AND l.relation IN (CAST('{parts}' AS regclass), CAST('{entries}' AS regclass),"
    " CAST('{runs}' AS regclass), CAST('{owners}' AS regclass)))"
)


def impatient(owners: Owners, seconds: float) -> Work[None]:
    """Have the rest of the transaction fail if it waits for a lock any longer."""
    if owners.say.dialect.name == "postgresql":
        yield Query(_IMPATIENT.format(milliseconds=round(seconds * 1_000)))


def is_locked_out(error: VoiceError) -> bool:
    """Return whether a transaction failed since it would have had to wait for a lock."""
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            return True
        cause = cause.__cause__
    return False


def is_cut_off(error: StorageUnavailable) -> bool:
    """Return whether a transaction failed since its connection was lost, or ended by the server."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return isinstance(error.__cause__, ConnectionError) or (
        state in _LOST or state.startswith(_CONNECTION)
    )


def stuck() -> StorageUnavailable:
    """Return what is told of a lock that was waited for again and again."""
    return StorageUnavailable(_STUCK)


def end_sleepers(owners: Owners) -> Work[None]:
    """End the connections that hold locks of this ledger's, and have been silent for too long."""
    yield Query(owners.say(_END), {"dead": owners.timing.dead})
