"""Whose tables a database has, and of which version: created, migrated, or refused in words.

Versions stand in one table, `ihuyi_schema`, a row for each room that keeps something there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from ihuyi_voice.errors import StorageUnavailable
from ihuyi_voice.storage.statements import Dialect, Query, Work

_VERSIONS: Final = "ihuyi_schema"
_CREATE_VERSIONS: Final = (
    f"CREATE TABLE IF NOT EXISTS {_VERSIONS} (name TEXT PRIMARY KEY, version INTEGER NOT NULL)"
)
_READ: Final = f"SELECT version FROM {_VERSIONS} WHERE name = :name"  # noqa: S608 - a constant
_WRITE: Final = (
    f"INSERT INTO {_VERSIONS} (name, version) VALUES (:name, :version)"  # noqa: S608 - a constant
    " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
)
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('ihuyi_schema', 0))"
_COLUMNS: Final = {
    "sqlite": "SELECT name FROM pragma_table_info(:name)",
    "postgresql": (
        "SELECT CAST(attname AS text) AS name FROM pg_attribute"
        " WHERE attrelid = to_regclass(quote_ident(CAST(:name AS text)))"
        " AND attnum > 0 AND NOT attisdropped"
    ),
}


@attrs.frozen
class Schema:
    """The tables of one room.

    Attributes:
        name: Under which the version is kept; of its own for each set of tables in a database.
        version: That of this program, from 1 on.
        create: Returns the statements that make all tables in a database that has none.
        tables: The columns that each table must have; the first table tells whether there is
            anything. Tables without a version are of version 1.
        migrations: By the version they lead to, from 2 on: the work that leads there from the one
            before.
    """

    name: str
    version: int
    create: Callable[[Dialect], Sequence[str]]
    tables: Mapping[str, frozenset[str]]
    migrations: Mapping[int, Callable[[Dialect], Work[None]]] = attrs.field(
        factory=dict[int, Callable[[Dialect], Work[None]]]
    )

    def is_current(self, dialect: Dialect) -> Work[bool]:
        """Return whether nothing has to be made or changed.

        Raises:
            StorageUnavailable: It is newer than this program, or isn't what its version says.
        """
        version = yield from self._version(dialect)
        if version == self.version:
            yield from self._verify(dialect)
        return version == self.version

    def exists(self, dialect: Dialect) -> Work[None]:
        """Check that everything is there already.

        Raises:
            StorageUnavailable: It isn't, or is older or newer than this program.
        """
        if not (yield from self.is_current(dialect)):
            version = yield from self._version(dialect)
            found = f"is of version {version}, not {self.version}" if version else "is empty"
            raise StorageUnavailable(f"database {found}: open it once for writing")

    def upgrade(self, dialect: Dialect) -> Work[None]:
        """Make what is missing, and bring what is older to this version, in one transaction."""
        if dialect.name == "postgresql":
            yield Query(_ONE_AT_A_TIME, patient=True)  # another one may be at it
        version = yield from self._version(dialect)
        if not version:
            for statement in self.create(dialect):
                yield Query(statement)
            version = self.version
        for following in range(version + 1, self.version + 1):
            yield from self.migrations[following](dialect)
        yield Query(_CREATE_VERSIONS)
        yield Query(_WRITE, {"name": self.name, "version": self.version})
        yield from self._verify(dialect)

    def _version(self, dialect: Dialect) -> Work[int]:
        if (yield from _columns(dialect, _VERSIONS)):
            rows = yield Query(_READ, {"name": self.name})
            if rows:
                return self._checked(int(rows[0]["version"]))
        return 1 if (yield from _columns(dialect, next(iter(self.tables)))) else 0

    def _checked(self, version: int) -> int:
        if version > self.version:
            raise StorageUnavailable(
                f"database is of version {version}, and this program knows up to {self.version}:"
                " upgrade ihuyi-voice here, too"
            )
        return version

    def _verify(self, dialect: Dialect) -> Work[None]:
        for table, wanted in self.tables.items():
            missing = wanted - (yield from _columns(dialect, table))
            if missing:
                named = ", ".join(sorted(missing))
                raise StorageUnavailable(
                    f"database is not what its version says: table {table} lacks {named}"
                )


def _columns(dialect: Dialect, table: str) -> Work[frozenset[str]]:
    rows = yield Query(_COLUMNS[dialect.name], {"name": table})
    return frozenset(row["name"] for row in rows)
