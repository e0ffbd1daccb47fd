"""A unit of work is a generator of statements: it yields them, and is sent back their rows.

So it knows no driver and never waits: SQLite runs the whole of it on a thread, with one hop a
transaction, and PostgreSQL's event loop drives it. Parameters are written `:name` in both.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import attrs

T = TypeVar("T")

_MOST_AT_ONCE: Final = 128  # rows of a table in one statement
_PARAMETER: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


class Row(Protocol):
    """A row, whose values are had by name or by place."""

    def __getitem__(self, key: Any, /) -> Any: ...  # noqa: ANN401 - what a column holds


@attrs.define(eq=False)
class Query:
    """One statement; its rows, if it has any, are sent back.

    Attributes:
        sql: The statement, with parameters `:name`; casts are written CAST(x AS type).
        parameters: Their values.
        patient: Whether it may take hours, as what rewrites a table may; else it is given up when
            whoever waits for it would be.
        by_place: Whether its rows are had by place alone, which costs less.
    """

    sql: str
    parameters: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    patient: bool = False
    by_place: bool = False


@attrs.define(eq=False)
class Many:
    """One statement for each of many sets of parameters; it has no rows.

    Attributes:
        sql: The statement.
        rows: The values of its parameters, set by set.
    """

    sql: str
    rows: Sequence[Mapping[str, Any]] = attrs.field(repr=False)


@attrs.define(eq=False)
class Table:
    """One statement for all rows of a table of values, which it knows as `new`.

    What it returns, if it says RETURNING, is sent back; else one row, whose `changes` says how many
    rows it touched. It costs less than `Many`, most of all of
    the interpreter's lock, which SQLite takes and gives back at each statement. No row may be
    touched twice by one statement.

    Attributes:
        sql: The statement, which goes on behind `WITH new (…) AS (…)`.
        columns: The names of the table's columns, and their types.
        rows: Its rows, with their values in that order.
        parameters: The values of the statement's other parameters.
    """

    sql: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Any]] = attrs.field(repr=False)
    parameters: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    @property
    def returns(self) -> bool:
        """Whether it says RETURNING."""
        return " RETURNING " in self.sql


@attrs.define(eq=False)
class Copy:
    """Rows that are put into a table in bulk; it has no rows.

    Attributes:
        table: The table, which nobody else writes to.
        columns: The columns that the rows have.
        rows: Their values, in the order of the columns.
    """

    table: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]] = attrs.field(repr=False)

    @property
    def sql(self) -> str:
        """The statement that does it row by row."""
        places = ", ".join("?" * len(self.columns))
        return f'INSERT INTO "{self.table}" ({", ".join(self.columns)}) VALUES ({places})'  # noqa: S608 - names of ours


Statement: TypeAlias = Query | Many | Table | Copy
Work: TypeAlias = Generator[Statement, list[Row], T]


class Course(Generic[T]):
    """A unit of work, and how far it has come.

    Attributes:
        statement: What is to be carried out next; None at its end.
        result: What it came to, at its end.
    """

    result: T

    def __init__(self, work: Work[T]) -> None:
        self.statement: Statement | None = None
        self._work = work
        self._step(partial(next, work))

    def settings(self) -> str:
        """Return the settings that it begins with: PostgreSQL needs no trip of their own for them.

        They are a script that goes on behind a statement.
        """
        said = ""
        while self.statement is not None and is_setting(self.statement):
            said += f"; {self.statement.sql}"
            self.go_on([])
        return said

    def go_on(self, rows: list[Row]) -> None:
        """Hear of the rows of a statement."""
        self._step(partial(self._work.send, rows))

    def close(self) -> None:
        """End it where it is."""
        self._work.close()

    def _step(self, step: Callable[[], Statement]) -> None:
        try:
            self.statement = step()
        except StopIteration as done:
            self.statement, self.result = None, done.value


def is_setting(statement: Statement) -> bool:
    """Say whether a statement sets something, for which it has neither parameters nor rows."""
    return statement.sql.startswith("SET ") and not numbered(statement.sql)[1]


@attrs.frozen
class Dialect:
    """What the two databases spell differently.

    Attributes:
        name: `sqlite` or `postgresql`.
        clock: An expression: the database's own time, in Unix seconds. Within one transaction it
            goes on.
        serial: The type of a primary key that counts upwards and never uses a number twice.
        blob: The type of bytes.
        real: The type of a float of 8 bytes.
    """

    name: str
    clock: str
    serial: str
    blob: str
    real: str

    def among(self, column: str, name: str) -> str:
        """Return the condition that a column has one of the values of a parameter."""
        if self.name == "sqlite":
            return f"{column} IN (SELECT value FROM json_each(:{name}))"  # noqa: S608 - names of ours
        return f"{column} = ANY(:{name})"

    def values(self, given: Iterable[str | int]) -> object:
        """Return values as the parameter of `among`."""
        listed = list(given)
        return json.dumps(listed) if self.name == "sqlite" else listed


DIALECTS: Final = {
    each.name: each
    for each in (
        Dialect(
            "sqlite",
            clock="((julianday('now') - 2440587.5) * 86400.0)",
            serial="INTEGER PRIMARY KEY AUTOINCREMENT",
            blob="BLOB",
            real="REAL",
        ),
        Dialect(
            "postgresql",
            clock="CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
            serial="BIGSERIAL PRIMARY KEY",
            blob="BYTEA",
            real="DOUBLE PRECISION",
        ),
    )
}


@lru_cache(maxsize=1024)
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement whose parameters are `$1` and so on, and their names in that order."""
    names = tuple(dict.fromkeys(_PARAMETER.findall(sql)))
    places = {name: f"${place}" for place, name in enumerate(names, 1)}
    return _PARAMETER.sub(lambda match: places[match[1]], sql), names


def unnested(name: str, columns: Mapping[str, str]) -> str:
    """Return what goes behind WITH on PostgreSQL: a table of the parameters that `arrays` gives."""
    arrays = ", ".join(
        f"CAST(CAST(:{name}_{each} AS TEXT) AS {kind}[])" for each, kind in columns.items()
    )
    return f"{name} ({', '.join(columns)}) AS (SELECT * FROM unnest({arrays}))"  # noqa: S608 - ours


def arrays(name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Return an array for each column of rows, as PostgreSQL writes them.

    From a list, its driver would make one at several times the cost.
    """
    return {
        f"{name}_{each}": f"{{{','.join([_element(row[at]) for row in rows])}}}"
        for at, each in enumerate(columns)
    }


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if not isinstance(value, str):
        return str(value)
    if '"' in value or "\\" in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


def by_columns(table: Table) -> Query:
    """Return a table's statement with an array for each column, as PostgreSQL takes them."""
    given = arrays("new", table.columns, table.rows)
    return Query(f"WITH {unnested('new', table.columns)} {table.sql}", table.parameters | given)


def by_rows(table: Table) -> Iterator[tuple[str, list[Any]]]:
    """Return a table's statement for some of its rows at a time, as SQLite takes them.

    So many rows at a time as there are few different statements of, for each is kept prepared.
    """
    sql, names = placed(table.sql)
    behind = [table.parameters[name] for name in names]
    start = 0
    while start < len(table.rows):
        size = 1 << (min(_MOST_AT_ONCE, len(table.rows) - start).bit_length() - 1)
        given = list(chain.from_iterable(table.rows[start : start + size]))
        yield _of_rows(sql, tuple(table.columns), size), given + behind
        start += size


@lru_cache(maxsize=1024)
def placed(sql: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement whose parameters are all `?`, and the name of each, as often as it is."""
    return _PARAMETER.sub("?", sql), tuple(_PARAMETER.findall(sql))


@lru_cache(maxsize=256)
def _of_rows(sql: str, columns: tuple[str, ...], size: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"WITH new ({', '.join(columns)}) AS (VALUES {', '.join([row] * size)}) {sql}"
