"""`inbox counts`, `purge`, `quarantine` and `reparse`: looking after what the vendor has pushed."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihuyi_voice.cli.language import text, word
from ihuyi_voice.cli.options import DEFAULT_INBOX, InboxAddress, Json
from ihuyi_voice.cli.output import add_row, announce, print_json, reporting, say, table
from ihuyi_voice.cli.streams import console
from ihuyi_voice.common.redaction import excerpt, mask_numbers
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import CHINA

if TYPE_CHECKING:
    from ihuyi_voice.pushes import Inbox, PushState, Quarantined  # databases load slowly

    Counts = dict[PushState, int]


def counts(inbox: InboxAddress = DEFAULT_INBOX, *, as_json: Json = False) -> None:
    """Print how many pushes are in each state."""
    with reporting(as_json=as_json):
        found = asyncio.run(_counts(inbox))
        if as_json:
            print_json({"counts": found})
        else:
            print_counts(found)


def purge(
    days: Annotated[int, typer.Option(help="inbox.purge.days.help", min=0)],
    inbox: InboxAddress = DEFAULT_INBOX,
    *,
    as_json: Json = False,
) -> None:
    """Delete what has been handled and is old."""
    with reporting(as_json=as_json):
        deleted = asyncio.run(_purge(inbox, days))
        announce("inbox.purged", {"purged": deleted}, as_json=as_json, count=deleted)


def quarantine(inbox: InboxAddress = DEFAULT_INBOX, *, as_json: Json = False) -> None:
    """Show the pushes that could not be read."""
    with reporting(as_json=as_json):
        found = asyncio.run(_quarantine(inbox))
        for each in found:
            if as_json:
                print_json(_values(each))
            else:
                _print(each)
        if not (found or as_json):
            say("inbox.all_read")


def reparse(inbox: InboxAddress = DEFAULT_INBOX, *, as_json: Json = False) -> None:
    """Read once more what could not be read."""
    with reporting(as_json=as_json):
        read, left = asyncio.run(_reparse(inbox))
        told = {"read": read, "unread": left}
        announce("inbox.reparsed", told, as_json=as_json, count=read, left=left)


async def _counts(inbox: str) -> "Counts":
    async with existing(inbox) as opened:
        return await opened.counts()


async def _purge(inbox: str, days: int) -> int:
    async with existing(inbox, for_writing=True) as opened:
        return await opened.purge(datetime.now(UTC) - timedelta(days=days))


async def _quarantine(inbox: str) -> "list[Quarantined]":
    async with existing(inbox) as opened:
        return await opened.quarantined()


async def _reparse(inbox: str) -> tuple[int, int]:
    async with existing(inbox, for_writing=True) as opened:
        read = await opened.parse_again()
        return read, len(await opened.quarantined())


def _print(push: "Quarantined") -> None:
    """Print what can't be read for a person: one line, its numbers masked."""
    say(
        "inbox.unread",
        seq=push.seq,
        when=f"{push.received_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}",
        reason=mask_numbers(push.reason),
        excerpt=excerpt(push.body),
    )


def _values(push: "Quarantined") -> dict[str, Any]:
    """Return what can't be read as JSON has it, byte by byte and as far as it is text."""
    return {
        "seq": push.seq,
        "received_at": push.received_at.isoformat(),
        "reason": push.reason,
        "content_type": push.content_type,
        "text": push.body.decode("utf-8", "backslashreplace"),
        "body_base64": base64.b64encode(push.body).decode(),
    }


def print_counts(found: "Counts") -> None:
    """Print how many pushes are in each state, for a person."""
    states = table("inbox.title", "inbox.state", "inbox.pushes")
    for state, count in found.items():
        add_row(states, (word("state", state.value), f"{count:,}"))
    console.print(states)


def existing(inbox: str, *, for_writing: bool = False) -> "Inbox":
    """Return an inbox that is there already: to read from a new one would always find nothing.

    Only for writing does it take part in the turns of those that write.

    Raises:
        InvalidRequest: There is no such file.
    """
    from ihuyi_voice.pushes import Inbox  # noqa: PLC0415 - databases load slowly
    from ihuyi_voice.storage import Address  # noqa: PLC0415

    address = Address.parse(inbox)
    if address.dialect == "sqlite" and not Path(address.target).exists():
        raise InvalidRequest(text("inbox.missing", inbox=inbox))
    return Inbox.open(inbox, create=for_writing)
