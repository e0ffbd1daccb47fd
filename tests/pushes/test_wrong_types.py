"""What can't be right is refused where it is given, by its name."""

from pathlib import Path
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes import Handling, Inbox, PushReceiver
from tests.pushes.support import Place, report
from tests.support.odd import kind_of

ODD: tuple[Any, ...] = (True, 7, 1.5, b"x", [1], {1: 1}, object(), object)
TOKEN = "t0ken-abc-123"


@pytest.mark.parametrize("odd", ODD, ids=kind_of)
@pytest.mark.parametrize("name", ["table", "keep", "handling"])
def test_an_option_of_an_inbox_is_named(tmp_path: Path, name: str, odd: Any) -> None:
    """Not when it is entered."""
    with pytest.raises(InvalidRequest) as raised:
        Inbox.open(tmp_path / "pushes.db", **{name: odd})
    assert raised.value.field == name


@pytest.mark.parametrize("odd", [True, 7, "x", object()], ids=kind_of)
def test_what_is_to_be_called_can_be_called(tmp_path: Path, odd: Any) -> None:
    """A handler among it: each push would be dead after its tries."""
    with pytest.raises(InvalidRequest, match="can't be called"):
        Inbox.open(tmp_path / "pushes.db", clock=odd)
    inbox = Inbox.open(tmp_path / "pushes.db")
    given = (
        lambda: inbox.handle(on_report=odd),
        lambda: inbox.handle(on_audit=odd),
        lambda: PushReceiver(inbox, token=TOKEN, on_report=odd),
        lambda: PushReceiver(inbox, token=TOKEN, clock=odd),
    )
    for give in given:
        with pytest.raises(InvalidRequest, match="can't be called"):
            give()


@pytest.mark.parametrize("odd", ODD[2:], ids=kind_of)
@pytest.mark.parametrize("name", ["inbox", "token", "timeout", "allow", "trusted_proxies"])
def test_an_option_of_a_receiver_is_named(tmp_path: Path, name: str, odd: Any) -> None:
    """Of whatever type it is."""
    if (name, odd) == ("timeout", 1.5):
        return
    options: dict[str, Any] = {
        "inbox": Inbox.open(tmp_path / "pushes.db"),
        "token": TOKEN,
        name: odd,
    }
    with pytest.raises(InvalidRequest) as raised:
        PushReceiver(**options)
    assert raised.value.field == name


@pytest.mark.parametrize("odd", [None, "60", [], object()], ids=kind_of)
def test_a_lease_is_a_number(odd: Any) -> None:
    """Longer than the timeout."""
    with pytest.raises(InvalidRequest) as raised:
        Handling(lease=odd)
    assert raised.value.field == "lease"


@pytest.mark.parametrize(
    "odd", [None, 7, 1.5, b"1", float("nan"), [], "a\0b", "\ud800"], ids=kind_of
)
async def test_whoever_waits_for_what_never_comes_is_told(place: Place, odd: Any) -> None:
    """Ids are texts: a number would be waited for for ever, and others get no answer meanwhile."""
    async with place.inbox() as inbox:
        with pytest.raises(InvalidRequest, match="voice_id"):
            await inbox.report_of(odd)
        with pytest.raises(InvalidRequest, match="template_id"):
            await inbox.audit_of(odd)
        await inbox.put(report("1"))
        assert (await inbox.report_of("1")).voice_id == "1"


@pytest.mark.parametrize("odd", ["1", b"1", [], float("nan"), object()], ids=kind_of)
async def test_other_arguments_are_named_too(place: Place, odd: Any) -> None:
    """Of those who wait, go on, purge or store."""
    async with place.inbox() as inbox:
        with pytest.raises(InvalidRequest, match="timeout"):
            await inbox.report_of("1", odd)
        with pytest.raises(InvalidRequest, match="since"):
            inbox.reports(odd)
        for asked in (inbox.purge(odd), inbox.put(odd), inbox.quarantine(odd)):
            with pytest.raises(InvalidRequest):
                await asked
