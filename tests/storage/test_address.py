"""Where a database is: what is understood, what is refused, and what is never shown."""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.storage import Address


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("pushes.sqlite3", Address("sqlite", "pushes.sqlite3")),
        (Path("/var/lib/pushes"), Address("sqlite", "/var/lib/pushes")),
        ("sqlite:///pushes.db", Address("sqlite", "pushes.db")),
        ("sqlite:////var/pushes.db", Address("sqlite", "/var/pushes.db")),
        ("sqlite+aiosqlite:///pushes.db", Address("sqlite", "pushes.db")),
        ("postgresql://me@host/db", Address("postgresql", "postgresql://me@host/db")),
        ("postgres://me@host/db", Address("postgresql", "postgresql://me@host/db")),
        ("postgresql+asyncpg://me@host/db", Address("postgresql", "postgresql://me@host/db")),
    ],
)
def test_a_path_or_a_url_says_where(given: str | Path, address: Address) -> None:
    """In the spellings that are usual."""
    assert Address.parse(given) == address


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("mysql://me:p4ss@host/db", "mysql:// is neither"),
        ("sqlite://me:p4ss@host:port/db", "not a URL of SQLite"),
        ("sqlite://pushes.db", "not a URL of SQLite"),
        (":memory:", "in memory would lose"),
        ("sqlite://", "in memory would lose"),
        ("", "in memory would lose"),
    ],
)
def test_what_can_not_be_right_is_refused(given: str, told: str) -> None:
    """With what to write instead, and without the password."""
    with pytest.raises(InvalidRequest, match=told) as caught:
        Address.parse(given)
    assert "p4ss" not in str(caught.value)
    assert caught.value.field == "path_or_url"


@pytest.mark.parametrize("given", [None, 5, b"calls.db"])
def test_what_is_no_text_is_no_path(given: Any) -> None:
    """A variable that is not set would be a file named None."""
    with pytest.raises(InvalidRequest, match=f"not of type {type(given).__name__}") as caught:
        Address.parse(given)
    assert caught.value.field == "path_or_url"


def test_a_missing_driver_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything connects; SQLite needs none."""
    find = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == "asyncpg" else find(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert Address.parse("a.db").dialect == "sqlite"
    with pytest.raises(ImportError, match=r"ihuyi-voice\[postgres\]"):
        Address.parse("postgresql://host/db")


def test_an_address_does_not_show_its_password() -> None:
    """It may stand in a log or in a traceback."""
    assert "p4ss" not in repr(Address.parse("postgresql://me:p4ss@host/db"))


@pytest.mark.parametrize(
    "given",
    [" ", "calls.db\n", " calls.db", "calls.db ", "a\0b", "sqlite:///calls.db%0A", "\ufeffx"],
)
def test_a_name_that_was_copied_with_more_than_itself_is_refused(given: str) -> None:
    """Or it is another ledger, in which nobody has been called yet."""
    with pytest.raises(InvalidRequest, match="has a blank, a line end or an invisible character"):
        Address.parse(given)


@pytest.mark.parametrize("given", [" postgresql://me@host/db\n", "postgresql://me@host/db\r\n"])
def test_blanks_around_a_url_are_nothing_of_it(given: str) -> None:
    """As in a secret that ends in a line end; a URL can have none itself."""
    assert Address.parse(given) == Address("postgresql", "postgresql://me@host/db")


@pytest.mark.parametrize(
    "given", ["postgresql://me:p4ss@host:port/db", "postgresql://me:p4ss@[::1/db"]
)
def test_an_address_that_can_not_be_read_is_no_failure_of_the_database(given: str) -> None:
    """It is refused before anything connects, and without the password."""
    with pytest.raises(InvalidRequest, match="has no port from 1 to 65535, or") as caught:
        Address.parse(given)
    assert "p4ss" not in str(caught.value)
