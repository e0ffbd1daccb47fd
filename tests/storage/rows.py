"""A table of numbers, what adds one, and what lists them."""

from collections.abc import Callable

from ihuyi_voice.storage import Query, Schema, Work

SCHEMA = Schema("t", 1, lambda _: ["CREATE TABLE t (n INTEGER)"], {"t": frozenset({"n"})})


def adding(number: int) -> Callable[[], Work[None]]:
    """Return work that adds a row."""

    def work() -> Work[None]:
        yield Query("INSERT INTO t VALUES (:n)", {"n": number})

    return work


def listed() -> Work[list[int]]:
    """Return the rows."""
    rows = yield Query("SELECT n FROM t ORDER BY n")
    return [row["n"] for row in rows]
