"""SQLite or PostgreSQL for whoever must not forget; knows no table.

Its errors are those of a database, and whoever stands on it tells them as its own: an inbox as
InboxUnavailable, for example, by `ToldAs`.
"""

from ihuyi_voice.storage.address import Address
from ihuyi_voice.storage.database import Database, ToldAs, causes_of, reason_of, root_of
from ihuyi_voice.storage.group_commit import GroupCommit
from ihuyi_voice.storage.schema import Schema
from ihuyi_voice.storage.statements import (
    Copy,
    Dialect,
    Many,
    Query,
    Row,
    Table,
    Work,
    arrays,
    unnested,
)

__all__ = [
    "Address",
    "Copy",
    "Database",
    "Dialect",
    "GroupCommit",
    "Many",
    "Query",
    "Row",
    "Schema",
    "Table",
    "ToldAs",
    "Work",
    "arrays",
    "causes_of",
    "reason_of",
    "root_of",
    "unnested",
]
