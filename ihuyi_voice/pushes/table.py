"""The table of pushes: what a row says, and what states it can be in."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from ihuyi_voice.protocol import Push

_ID = BigInteger().with_variant(Integer(), "sqlite")


class PushState(StrEnum):
    """What has become of a stored push.

    Attributes:
        PENDING: Its handler is still to be called, or to be called again.
        HANDLED: Its handler returned.
        DEAD: Its handler failed too often; `Inbox.replay` makes it PENDING again.
        SUPERSEDED: It came when a later status of the same call had been handled already.
    """

    PENDING = "pending"
    HANDLED = "handled"
    DEAD = "dead"
    SUPERSEDED = "superseded"


def push_row(push: Push, now: float) -> dict[str, Any]:
    """Return the row of a push that arrives now (Unix seconds)."""
    return {
        "key": push.key,
        "kind": push.kind.value,
        "subject": push.subject,
        "rank": push.rank(now),
        "body": push.body,
        "charset": push.content_type,
        "received_at": now,
        "state": PushState.PENDING.value,
        "tries": 0,
        "due": now,
    }


def make_table(name: str) -> Table:
    """Return the table of this name."""
    return Table(
        name,
        MetaData(),
        Column("seq", _ID, primary_key=True, autoincrement=True),
        Column("key", String(64), nullable=False, unique=True),
        Column("kind", String(8), nullable=False),
        Column("subject", String(64), nullable=False),
        Column("rank", BigInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("charset", String(), nullable=False),
        Column("received_at", Float(53), nullable=False),
        Column("state", String(16), nullable=False),
        Column("tries", Integer, nullable=False),
        Column("due", Float(53), nullable=False),
        Column("owner", String(32)),
        Column("error", String(500)),
        Index(f"{name}_due", "state", "due", "seq"),
        Index(f"{name}_subject", "kind", "subject"),
        sqlite_autoincrement=True,  # a number is never used twice, also after deletions
    )
