"""An inbox is opened by path or URL: what can't be right, or can't be reached, is told in words."""

import importlib.util
import re
from pathlib import Path

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes import Inbox, InboxUnavailable
from ihuyi_voice.storage import Address
from tests.pushes.support import report

PASSWORD = "p4ss/w0rd"


@pytest.mark.parametrize("given", ["mysql://me@host/db", ":memory:", "sqlite://pushes.db", ""])
def test_an_address_that_can_not_be_right_is_refused(given: str) -> None:
    """When the inbox is made, not when the first push comes."""
    with pytest.raises(InvalidRequest):
        Inbox.open(given)


def test_a_missing_driver_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""

    def nothing(_: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(ImportError, match=r"ihuyi-voice\[postgres\]"):
        Inbox.open("postgresql://host/db")


@pytest.mark.parametrize("name", ["", "a b", "über", "1st", "a" * 41, "x;drop"])
def test_a_table_has_the_name_of_an_identifier(name: str) -> None:
    """It becomes part of statements."""
    with pytest.raises(InvalidRequest, match="identifier"):
        Inbox.open("a.db", table=name)


def test_looking_takes_time() -> None:
    """To look for news without a pause would take a core."""
    with pytest.raises(InvalidRequest, match="must be above 0"):
        Inbox.open("a.db", poll=0.0)


async def test_a_file_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    """With the reason and its name, on opening; and the inbox can be opened later."""
    path = tmp_path / "missing" / "pushes.sqlite3"
    inbox = Inbox.open(path)
    with pytest.raises(InboxUnavailable, match="unable to open database file") as caught:
        await inbox.__aenter__()
    assert str(caught.value).endswith(f"database file: {path}")
    with pytest.raises(InboxUnavailable, match=f"no such file: {re.escape(str(path))}"):
        await Inbox.open(path, create=False).__aenter__()
    assert not inbox.is_open
    (tmp_path / "missing").mkdir()
    async with inbox:
        await inbox.put(report())


@pytest.mark.parametrize(
    "url",
    [f"postgresql://me:{PASSWORD}@127.0.0.1:1/db", "postgresql://me:p4ssw0rd@127.0.0.1:0x/db"],
)
def test_an_address_that_is_written_wrong_is_refused_without_its_password(url: str) -> None:
    """Before anything connects, and in words that say how it is written."""
    with pytest.raises(InvalidRequest, match="no port from 1 to 65535, or can't be read") as caught:
        Inbox.open(url)
    assert "p4ss" not in f"{caught.value!r} {caught.value}"
    assert "w0rd" not in f"{caught.value!r} {caught.value}"


async def test_no_error_of_a_server_that_is_not_there_quotes_the_password() -> None:
    """Its address and the reason are all that is said."""
    url = "postgresql://me:p4ssw0rd@127.0.0.1:1/db"
    told = "failed: ConnectionRefusedError: .*127.0.0.1"
    with pytest.raises(InboxUnavailable, match=told) as caught:
        await Inbox.open(url).__aenter__()
    text = f"{caught.value!r} {caught.value} {Address.parse(url)!r}"
    assert "p4ss" not in text
    assert "w0rd" not in text
