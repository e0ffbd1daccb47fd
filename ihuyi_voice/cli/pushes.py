"""`receive`, `report` and `replay`: a receiver by itself, how a call ended, and dead letters."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Annotated, Any, Final, TypeVar

import attrs
import typer

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.inbox import existing, print_counts
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.options import DEFAULT_INBOX, LOOPBACK, Host, InboxAddress, Json, Port
from ihuyi_voice.cli.output import complain, print_json, reporting, say
from ihuyi_voice.cli.ports import told_if_taken
from ihuyi_voice.cli.streams import room
from ihuyi_voice.common.redaction import mask_mobile, mask_numbers
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import DeliveryReport, TemplateAudit

V = TypeVar("V", DeliveryReport, TemplateAudit)

_SHORTEST_TOKEN: Final = 16  # characters: nobody guesses so many
_GRACE: Final = 0.5  # seconds: printing takes none, and what can't be printed waits in vain


@attrs.frozen
class ReceiverSettings:
    """What `ihuyi-voice receive` can be told."""

    inbox: str
    host: str
    port: int
    token: str = attrs.field(repr=False)
    allow: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    store_only: bool = False


def receive(
    inbox: InboxAddress = DEFAULT_INBOX,
    port: Port = 8080,
    host: Host = LOOPBACK,
    token: Annotated[str, typer.Option(help="receive.token.help", envvar="IHUYI_PUSH_TOKEN")] = "",
    allow: Annotated[list[str] | None, typer.Option(help="receive.allow.help")] = None,
    trusted_proxy: Annotated[list[str] | None, typer.Option(help="receive.proxy.help")] = None,
    *,
    store_only: Annotated[bool, typer.Option("--store-only", help="receive.store.help")] = False,
    as_json: Json = False,
) -> None:
    """Take the vendor's pushes until Ctrl-C: store each durably, answer, then print it."""
    settings = ReceiverSettings(
        inbox, host, port, token, tuple(allow or ()), tuple(trusted_proxy or ()), store_only
    )
    with reporting(as_json=as_json):
        asyncio.run(_receive(settings, as_json=as_json))


def report(
    voice_id: Annotated[str, typer.Argument(help="report.voice_id.help")],
    inbox: InboxAddress = DEFAULT_INBOX,
    wait: Annotated[float, typer.Option(help="report.wait.help", min=0)] = 0.0,
    *,
    as_json: Json = False,
) -> None:
    """Print how a call ended, if its report has come."""
    with reporting(as_json=as_json):
        found = asyncio.run(_show_report(inbox, voice_id, wait, as_json=as_json))
    if not found:
        complain("report.none", voice_id=voice_id)
        raise typer.Exit(Exit.NOT_ALL)


def replay(inbox: InboxAddress = DEFAULT_INBOX, *, as_json: Json = False) -> None:
    """Have pushes whose handler failed too often handled again."""
    with reporting(as_json=as_json):
        asyncio.run(_replay(inbox, as_json=as_json))


async def _receive(settings: ReceiverSettings, *, as_json: bool) -> None:
    """Take pushes until interrupted; print each one once it has been stored."""
    from ihuyi_voice.cli.serving import listen, serve  # noqa: PLC0415 - uvicorn loads slowly
    from ihuyi_voice.pushes import Handling, Inbox, PushReceiver  # noqa: PLC0415 - so do databases

    inbox = Inbox.open(settings.inbox, handling=Handling(grace=_GRACE))
    _check_token(settings.token)
    receiver = PushReceiver(
        inbox,
        token=settings.token,
        allow=settings.allow or None,
        trusted_proxies=settings.trusted_proxies,
    )
    unheard, over = asyncio.Event(), asyncio.Event()

    reports = print_report_json if as_json else print_report
    audits = print_audit_json if as_json else print_audit

    def begin() -> None:
        if not settings.store_only:
            inbox.handle(
                on_report=_while_heard(reports, unheard, over),
                on_audit=_while_heard(audits, unheard, over),
            )

    with ExitStack() as stack:
        # Before the inbox is made, so that a port that is taken leaves nothing behind.
        with told_if_taken(settings.host, settings.port):
            sockets = [stack.enter_context(x) for x in await listen(settings.host, settings.port)]
        async with inbox:
            # What was stored earlier is printed below the line that says where this listens.
            try:
                await serve(receiver, sockets, begin=begin, until=unheard)
            finally:
                over.set()
    if unheard.is_set():
        complain("receive.unheard")
        raise typer.Exit(Exit.NOT_WRITTEN)


def _check_token(token: str) -> None:
    """Check that there is a secret, and that nobody guesses it.

    Raises:
        InvalidRequest: It is missing or short; the text proposes one.
    """
    proposal = secrets.token_urlsafe()
    if not token:
        raise InvalidRequest(text("receive.no_token", proposal=proposal))
    if len(token) < _SHORTEST_TOKEN:
        least = _SHORTEST_TOKEN
        raise InvalidRequest(text("receive.short_token", least=least, proposal=proposal))


def _while_heard(
    show: Callable[[V], Awaitable[None]], unheard: asyncio.Event, over: asyncio.Event
) -> Callable[[V], Awaitable[None]]:
    """Return a handler that prints pushes until nobody reads them any more.

    What can't be printed must not count as handled, nor as a failure: its handler waits for the end
    of the receiver, which cancels it, so that the push stays as it was. Who reads slowly is waited
    for, however long a handler may take: meanwhile pushes are taken and stored.
    """

    async def has_room() -> bool:
        try:
            await room()
        except asyncio.CancelledError:  # it has taken too long, which is no failure
            if over.is_set():
                raise
            return False
        return True

    async def handle(value: V) -> None:
        while not await has_room():
            pass
        try:
            await show(value)
        except OSError:
            unheard.set()
            await asyncio.Event().wait()

    return handle


async def print_report(report: DeliveryReport) -> None:
    """Print a report for a person."""
    say(
        "push.talked" if report.talk_time else "push.report",
        when=f"{report.report_time:%Y-%m-%d %H:%M:%S}" if report.report_time else "-",
        voice_id=report.voice_id,
        mobile=mask_mobile(report.mobile),
        ending=mask_numbers(report.text),
        seconds=report.talk_time,
    )


async def print_audit(audit: TemplateAudit) -> None:
    """Print an audit for a person."""
    key = "push.approved" if audit.approved else "push.turned_down"
    say(key, template_id=audit.template_id, msg=mask_numbers(audit.msg))


async def print_report_json(report: DeliveryReport) -> None:
    """Print a report for a program, its number in full."""
    print_json({"kind": "report"} | _report_values(report))


async def print_audit_json(audit: TemplateAudit) -> None:
    """Print an audit for a program."""
    print_json({"kind": "audit"} | attrs.asdict(audit))


def _report_values(report: DeliveryReport) -> dict[str, Any]:
    """Return a report as JSON has it."""
    when = report.report_time.isoformat() if report.report_time else None
    said = {"status": report.status.value, "answered": report.answered, "report_time": when}
    return attrs.asdict(report) | said | {"raw": dict(report.raw)}


async def _show_report(inbox: str, voice_id: str, wait: float, *, as_json: bool) -> bool:
    """Print how a call ended, waiting for its report; say whether there is one."""
    async with existing(inbox) as opened:
        try:
            report = await opened.report_of(voice_id, timeout=wait)
        except TimeoutError:
            return False
    if as_json:
        print_json(_report_values(report))
    else:
        await print_report(report)
    return True


async def _replay(inbox: str, *, as_json: bool) -> None:
    """Let dead pushes be handled again by whoever handles, and print how many they are."""
    async with existing(inbox, for_writing=True) as opened:
        replayed = await opened.replay()
        counts = await opened.counts()
    if as_json:
        print_json({"replayed": replayed, "counts": counts})
        return
    say("replay.done", count=replayed)
    print_counts(counts)
