"""Pushes in the shell: a receiver by itself, the report of a call, and dead letters."""

import secrets
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import uvicorn
from rich.table import Table

from ihuyi_voice.cli.output import console, print_json
from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.pushes import Inbox, PushReceiver

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LAST_WORDS: Final = 10  # seconds that requests in flight get when the server stops


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


class _Server(uvicorn.Server):
    """A server that says where it listens, and that SIGINT and SIGTERM just end.

    uvicorn's own raises them again when it has ended, which would cut the inbox short.
    """

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        before = {name: signal.signal(name, self.handle_exit) for name in _SIGNALS}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    async def startup(self, sockets: Any = None) -> None:  # noqa: ANN401 - uvicorn's
        await super().startup(sockets)
        for server in self.servers:
            host, port = server.sockets[0].getsockname()[:2]
            # Not the token: what is on a screen ends up in logs.
            console.print(
                f"listening at http://{host}:{port}/<token>", highlight=False, soft_wrap=True
            )


async def receive(settings: ReceiverSettings, *, as_json: bool) -> None:
    """Take pushes until interrupted; print each one once it has been stored."""
    inbox = Inbox.open(settings.inbox)
    if not settings.token:
        proposal = secrets.token_urlsafe()
        raise InvalidRequest(
            f"a receiver needs a secret: set IHUYI_PUSH_TOKEN, for example to {proposal}"
        )
    receiver = PushReceiver(
        inbox,
        token=settings.token,
        allow=settings.allow or None,
        trusted_proxies=settings.trusted_proxies,
    )
    if not settings.store_only:
        inbox.handle(
            on_report=print_report_json if as_json else print_report,
            on_audit=print_audit_json if as_json else print_audit,
        )
    config = uvicorn.Config(
        receiver,
        settings.host,
        settings.port,
        lifespan="off",  # the inbox is opened here, where an error can be told
        proxy_headers=False,  # the receiver has its own, stricter, way with them
        log_config=None,
        access_log=False,  # it would write the token
        timeout_graceful_shutdown=_LAST_WORDS,
    )
    async with inbox:
        await _Server(config).serve()


async def print_report(report: DeliveryReport) -> None:
    """Print a report for a person."""
    when = f"{report.report_time:%Y-%m-%d %H:%M:%S}" if report.report_time else "-"
    line = f"{when}  {report.voice_id}  {mask_mobile(report.mobile)}  {report.text}"
    talked = f", {report.talk_time} s" if report.talk_time else ""
    console.print(line + talked, markup=False, highlight=False, soft_wrap=True)


async def print_audit(audit: TemplateAudit) -> None:
    """Print an audit for a person."""
    verdict = "approved" if audit.approved else "turned down"
    line = f"template {audit.template_id} {verdict} {audit.msg}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


async def print_report_json(report: DeliveryReport) -> None:
    """Print a report for a program, its number in full."""
    print_json({"kind": "report"} | report_values(report))


async def print_audit_json(audit: TemplateAudit) -> None:
    """Print an audit for a program."""
    print_json({"kind": "audit"} | attrs.asdict(audit))


def report_values(report: DeliveryReport) -> dict[str, Any]:
    """Return a report as JSON has it."""
    when = report.report_time.isoformat() if report.report_time else None
    said = {"status": report.status.value, "answered": report.answered, "report_time": when}
    return attrs.asdict(report) | said


async def show_report(inbox: str, voice_id: str, wait: float, *, as_json: bool) -> bool:
    """Print how a call ended, waiting for its report; say whether there is one."""
    async with existing(inbox) as opened:
        try:
            report = await opened.report_of(voice_id, timeout=wait)
        except TimeoutError:
            return False
    if as_json:
        print_json(report_values(report))
    else:
        await print_report(report)
    return True


async def replay(inbox: str, *, as_json: bool) -> None:
    """Let dead pushes be handled again by whoever handles, and print how many they are."""
    async with existing(inbox) as opened:
        replayed = await opened.replay()
        counts = await opened.counts()
    if as_json:
        print_json({"replayed": replayed, "counts": counts})
        return
    console.print(f"{replayed:,} dead pushes will be handled again", highlight=False)
    table = Table("state", "pushes", title="Inbox")
    for state, count in counts.items():
        table.add_row(state.value, f"{count:,}")
    console.print(table)


def existing(inbox: str) -> Inbox:
    """Return an inbox that is there already: to read from a new one would always find nothing.

    Raises:
        InvalidRequest: There is no such file.
    """
    if "://" not in inbox and not Path(inbox).exists():
        raise InvalidRequest(f"there is no inbox {inbox}")
    return Inbox.open(inbox)
