"""`work`, `send --distribute`, `ledger stop` and `resume`: a run that many machines work on.

A worker is told everything by its options or by the environment, so a container needs nothing but
the command.
"""

import asyncio
import os
import socket
from array import array
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import attrs
import typer

from ihuyi_voice.cli.exits import Exit
from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.language import text, word
from ihuyi_voice.cli.ledger import OfAccount, RunName, existing
from ihuyi_voice.cli.options import (
    DEFAULT_LEDGER,
    Account,
    BaseUrl,
    LedgerAddress,
    make_client,
)
from ihuyi_voice.cli.output import announce, complain, hearing, print_json, reporting, say
from ihuyi_voice.cli.patience import patiently
from ihuyi_voice.cli.streams import room
from ihuyi_voice.common.redaction import mask_numbers
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.guards import QuietHours
from ihuyi_voice.inputs import BadRow, Recipient
from ihuyi_voice.models import OutcomeStatus

if TYPE_CHECKING:
    from ihuyi_voice.cli.course import Plan
    from ihuyi_voice.cli.listing import Keyed
    from ihuyi_voice.guards import RedisGuard
    from ihuyi_voice.workers import Distributed  # databases load slowly

_SHOWN_ROWS: Final = 20
_LOGGER: Final = "ihuyi_voice.workers"

Shared: TypeAlias = Annotated[str, typer.Option(help="work.ledger.help", envvar="IHUYI_LEDGER")]
Guard: TypeAlias = Annotated[str, typer.Option(help="work.guard.help", envvar="IHUYI_GUARD")]
Concurrency: TypeAlias = Annotated[
    int, typer.Option(help="work.concurrency.help", envvar="IHUYI_CONCURRENCY", min=1)
]
Parts: TypeAlias = Annotated[int, typer.Option(help="work.parts.help", envvar="IHUYI_PARTS", min=1)]
Rate: TypeAlias = Annotated[
    float | None, typer.Option(help="work.max_rate.help", envvar="IHUYI_MAX_RATE")
]
Wait: TypeAlias = Annotated[
    float, typer.Option(help="max_wait.help", envvar="IHUYI_MAX_WAIT", min=0)
]
Quiet: TypeAlias = Annotated[
    str | None, typer.Option(help="send.quiet.help", envvar="IHUYI_QUIET_HOURS")
]


@attrs.frozen
class Bench:
    """Where a worker works, and how much it takes on.

    Attributes:
        ledger: The ledger's URL.
        guard: The guard's.
        concurrency: The most submissions in flight.
        parts: The most parts at a time.
        max_rate: The most submissions a second, of all workers of the account; None for any.
        max_wait: The longest a message waits for its number's limits, in seconds.
        quiet_hours: When nobody is called; None for never.
        until_done: Whether to end when nothing is left.
    """

    ledger: str = attrs.field(repr=False)
    guard: str = attrs.field(repr=False)
    concurrency: int = 100
    parts: int = 4
    max_rate: float | None = None
    max_wait: float = 120.0
    quiet_hours: str | None = None
    until_done: bool = False

    def make_guard(self) -> "RedisGuard | QuietHours":
        """Return the guard that all share, with this worker's quiet hours around it.

        Raises:
            InvalidRequest: An option can't be right.
            ImportError: The extra `redis` is not installed.
        """
        from ihuyi_voice.guards import RedisGuard  # noqa: PLC0415 - an extra

        shared = RedisGuard(self.guard, max_rate=self.max_rate)
        return shared if self.quiet_hours is None else QuietHours(self.quiet_hours, guard=shared)


def work(
    ledger: Shared,
    guard: Guard,
    account: Account = None,
    base_url: BaseUrl = None,
    concurrency: Concurrency = 100,
    parts: Parts = 4,
    max_rate: Rate = None,
    max_wait: Wait = 120.0,
    quiet_hours: Quiet = None,
    *,
    until_done: Annotated[
        bool, typer.Option("--until-done", help="work.until_done.help", envvar="IHUYI_UNTIL_DONE")
    ] = False,
) -> None:
    """Work on the account's runs, beside any other workers, until told to stop."""
    bench = Bench(ledger, guard, concurrency, parts, max_rate, max_wait, quiet_hours, until_done)
    with reporting(as_json=False), hearing(_LOGGER):
        code = asyncio.run(work_at(bench, account, base_url))
    raise typer.Exit(code)


async def work_at(bench: Bench, account: str | None, base_url: str | None) -> Exit:
    """Work there until told to stop, and return the exit code.

    Args:
        bench: Where.
        account: For whom; None for whom the environment names.
        base_url: The vendor's address; None for that of the environment, or the usual one.

    Raises:
        InvalidRequest: An option can't be right.
        LedgerUnavailable: The database can't be opened, and waiting doesn't mend that.
        GuardUnavailable: The guard can't be reached.
        ImportError: An extra is not installed.
    """
    from ihuyi_voice.ledger import Ledger  # noqa: PLC0415 - databases load slowly
    from ihuyi_voice.workers.queue import ENGINE, MISSING  # noqa: PLC0415 - as above

    with Interrupts() as interrupts:
        async with AsyncExitStack() as stack:
            guard = bench.make_guard()
            await stack.enter_async_context(guard)
            client = make_client(account, base_url, guard=guard)
            if find_spec(ENGINE) is None:  # it would be told after the waiting
                raise ImportError(MISSING)
            opened = Ledger.open(bench.ledger)

            async def enter() -> None:
                await stack.enter_async_context(opened)

            if not await interrupts.ended(patiently(bench.ledger, enter), before=1):
                say("work.ended")
                return Exit.DONE
            await stack.enter_async_context(client)
            me = f"{socket.gethostname()}:{os.getpid()}"
            say("work.begun", account=client.account, worker=me)
            whole = await _until_told(interrupts, bench, client, opened)
    say("work.ended" if whole else "work.cut")
    return Exit.DONE if whole else Exit.INTERRUPTED


async def _until_told(interrupts: Interrupts, bench: Bench, client: Any, ledger: Any) -> bool:  # noqa: ANN401 - they load slowly
    """Work until the first signal, and let what is in flight end, unless a second one comes."""
    stop = asyncio.Event()

    async def told() -> None:
        await interrupts.ended(_for_ever(), before=1)
        stop.set()  # before anything is printed: nobody may read it
        await room()
        say("work.ending")

    telling = asyncio.create_task(told())
    try:
        return await interrupts.ended(_working(bench, client, ledger, stop), before=2)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def _working(bench: Bench, client: Any, ledger: Any, stop: asyncio.Event) -> None:  # noqa: ANN401 - as above
    """Work until `stop` is set; cancelled after that, it lets go of what is in flight, too.

    The database may have gone away since the ledger was opened: then it is waited for here.
    """
    from ihuyi_voice.workers import work as working  # noqa: PLC0415 - databases load slowly

    async def begin() -> None:
        await working(
            client,
            ledger,
            concurrency=bench.concurrency,
            parts=bench.parts,
            stop=stop,
            until_done=bench.until_done,
            max_wait=bench.max_wait,
        )

    async def pause(seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()

    await patiently(bench.ledger, begin, sleep=pause)


# --- send --distribute


async def distribute(
    plan: "Plan", ledger: str | None, account: str | None, *, as_json: bool
) -> Exit:
    """Load a list into a run, tell what it came to, and return the exit code.

    Args:
        plan: The list, and the run's name.
        ledger: The ledger's URL.
        account: Whose run it is.
        as_json: Whether programs read it.

    Raises:
        InvalidRequest: Ledger or account is missing, the ledger is not in PostgreSQL, or the plan
            has what only sending has.
        RunInUse, LedgerUnavailable: As the library's `distribute`.
    """
    from ihuyi_voice import workers  # noqa: PLC0415 - databases load slowly
    from ihuyi_voice.ledger import Ledger  # noqa: PLC0415

    more = plan.out or plan.only or plan.retry_rejected or plan.takeover or plan.force
    if ledger is None or plan.run is None or more:
        raise InvalidRequest(text("send.distribute.wrong"))
    if account is None:
        raise InvalidRequest(text("work.account"))
    reading = _Reading()
    async with Ledger.open(ledger) as opened:
        given = await workers.distribute(
            opened, plan.run, reading.good(plan.rows()), account=account
        )
    for place, error in given.bad.items():
        reading.refuse(reading.lines[place - 1], str(error))
    _tell(plan.run, reading, given, as_json=as_json)
    return Exit.NOT_ALL if reading.bad or given.bad_count else Exit.DONE


@attrs.define
class _Reading:
    """How a list was read.

    Attributes:
        lines: The line of each row that was given on.
        bad: How many rows can't be sent.
        same: How many say the same as an earlier one.
        shown: The first that can't be sent: line and reason.
    """

    lines: "array[int]" = attrs.field(factory=lambda: array("q"))
    bad: int = 0
    same: int = 0
    shown: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])

    def good(self, rows: "Iterator[Keyed]") -> Iterator[Recipient]:
        """Yield the rows that can be sent."""
        for each in rows:
            if isinstance(each.row, BadRow):
                self.bad += 1
                self.refuse(each.row.line, each.row.reason)
            elif each.same_as:
                self.same += 1
            elif each.message is not None:
                self.lines.append(each.row.line)
                yield each.message

    def refuse(self, line: int, reason: str) -> None:
        """Keep why a row can't be sent, if it is one of the first."""
        if len(self.shown) < _SHOWN_ROWS:
            self.shown.append((line, reason))


def _tell(run: str, reading: _Reading, given: "Distributed", *, as_json: bool) -> None:
    bad = reading.bad + given.bad_count
    rows = reading.bad + reading.same + given.read
    if as_json:
        told: dict[str, Any] = {"run": run, "rows": rows, "new": given.new, "parts": given.parts}
        reasons = {str(line): mask_numbers(reason) for line, reason in reading.shown}
        print_json(told | {"same": reading.same, "bad": bad, "reasons": reasons})
        return
    status = word("outcome", OutcomeStatus.NOT_SENT.value)
    for line, reason in reading.shown:
        complain("send.row", line=line, status=status, reason=mask_numbers(reason))
    if bad > len(reading.shown):
        complain("send.more", count=bad - len(reading.shown))
    say("distribute.done", run=run, rows=rows, new=given.new, parts=given.parts, bad=bad)


# --- over all workers


def stop(
    run: RunName,
    ledger: LedgerAddress = DEFAULT_LEDGER,
    account: OfAccount = None,
    reason: Annotated[str, typer.Option(help="ledger.stop.reason.help")] = "",
) -> None:
    """Let nothing more of a run be sent, by anybody; what is in flight ends."""

    async def ask() -> None:
        async with existing(ledger) as opened:
            await opened.stop(run, reason, account)

    with reporting(as_json=False):
        asyncio.run(ask())
        announce("ledger.stopped", {}, as_json=False, run=run)


def resume(run: RunName, ledger: LedgerAddress = DEFAULT_LEDGER, account: OfAccount = None) -> None:
    """Let a run that was stopped go on; workers take it up by themselves."""

    async def ask() -> None:
        async with existing(ledger) as opened:
            await opened.resume(run, account)

    with reporting(as_json=False):
        asyncio.run(ask())
        announce("ledger.resumed", {}, as_json=False, run=run)


OF_LEDGER: Final[dict[str, Callable[..., None]]] = {"stop": stop, "resume": resume}
"""The commands of the group `ledger` that stand here."""
