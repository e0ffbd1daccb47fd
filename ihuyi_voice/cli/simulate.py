"""`simulate`: the vendor as a server of its own."""

import asyncio
from collections import deque
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Annotated, Final

import typer

from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.options import LOOPBACK, Host, Port
from ihuyi_voice.cli.output import reporting, say
from ihuyi_voice.cli.ports import told_if_taken
from ihuyi_voice.cli.simulating import SEEN, Shown, SimulatorSettings
from ihuyi_voice.cli.streams import room
from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.simulator import Arrival

_MOST: Final = 1000  # arrivals that wait to be printed; its page has as many


def serve(
    port: Port = 8000,
    host: Host = LOOPBACK,
    *,
    account: Annotated[str, typer.Option(help="simulate.account.help")] = "VM00000000",
    api_key: Annotated[str, typer.Option(help="simulate.api_key.help")] = "simulator-key",
    balance: Annotated[int, typer.Option(help="simulate.balance.help")] = 1_000_000,
    template: Annotated[list[str] | None, typer.Option(help="simulate.template.help")] = None,
    latency: Annotated[float, typer.Option(help="simulate.latency.help")] = 0.0,
    jitter: Annotated[float, typer.Option(help="simulate.jitter.help")] = 0.0,
    push_to: Annotated[str, typer.Option(help="simulate.push_to.help")] = "",
    report_delay: Annotated[float, typer.Option(help="simulate.delay.help")] = 1.0,
    limits: Annotated[str, typer.Option(help="simulate.limits.help")] = "vendor",
    blacklist: Annotated[list[str] | None, typer.Option(help="simulate.blacklist.help")] = None,
    sensitive: Annotated[list[str] | None, typer.Option(help="simulate.sensitive.help")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="simulate.fault.help")] = None,
    tls_cert: Annotated[str, typer.Option(help="simulate.tls_cert.help")] = "",
    tls_key: Annotated[str, typer.Option(help="simulate.tls_key.help")] = "",
    no_magic: Annotated[bool, typer.Option("--no-magic", help="simulate.magic.help")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="simulate.verbose.help")] = False,
) -> None:
    """Be the vendor, on this machine, until Ctrl-C."""
    with reporting(as_json=False):
        settings = SimulatorSettings(
            account, api_key, balance, tuple(template or ()), latency, jitter, push_to,
            report_delay, limits, tuple(blacklist or ()), tuple(sensitive or ()),
            tuple(fault or ()), not no_magic, tls_cert, tls_key,
        )  # fmt: skip
        asyncio.run(simulate(host, port, settings, verbose=verbose))


async def simulate(
    host: str, port: int, settings: SimulatorSettings, *, verbose: bool = False
) -> None:
    """Serve the simulator until it is interrupted; then say what it saw."""
    screen = _Screen()
    simulator = Shown(settings, screen.note if verbose else None)
    async with AsyncExitStack() as stack:
        with told_if_taken(host, port):
            url = await stack.enter_async_context(simulator.serve(host, port, **settings.tls()))
        interrupts = stack.enter_context(Interrupts())
        say("simulate.listening", url=url)
        say("simulate.account", account=settings.account)
        say("simulate.seen", url=url.rpartition("/webservice/")[0] + SEEN)
        async with screen:
            await interrupts.reached(1)
    say("simulate.ended", requests=sum(simulator.codes.values()), left=simulator.balance)


class _Screen:
    """Prints arrivals as they come; the vendor never waits for whoever reads them."""

    def __init__(self) -> None:
        self._left = deque[tuple[Arrival, int | None]](maxlen=_MOST)
        self._came = asyncio.Event()

    def note(self, arrival: Arrival, code: int | None) -> None:
        """Have an arrival printed, once there is room for it."""
        self._left.append((arrival, code))
        self._came.set()

    async def __aenter__(self) -> None:
        self._printing = asyncio.create_task(self._print())

    async def __aexit__(self, *_: object) -> None:
        """Print what is left.

        Raises:
            OutputClosed: Nobody reads it.
        """
        self._printing.cancel()
        await asyncio.gather(self._printing, return_exceptions=True)
        while self._left:
            show(*self._left.popleft())

    async def _print(self) -> None:
        """Print until there is nobody who reads."""
        while await self._came.wait():
            self._came.clear()
            while self._left:
                await room()
                show(*self._left.popleft())


def show(arrival: Arrival, code: int | None) -> None:
    """Print an arrival as it comes, its number masked."""
    mobile = mask_mobile(arrival.mobile) if arrival.mobile else ""
    fault = f"[{arrival.fault}]" if arrival.fault else ""
    said = (arrival.operation, str(code), mobile, arrival.content, fault)
    when = f"{datetime.fromtimestamp(arrival.time):%H:%M:%S}"  # noqa: DTZ006 - on a screen
    say("simulate.arrival", when=when, said=" ".join(filter(None, said)))
