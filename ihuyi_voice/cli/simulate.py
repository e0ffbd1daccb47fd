"""`simulate`: the vendor as a server of its own."""

import asyncio
from typing import Annotated

import attrs
import typer

from ihuyi_voice.cli.options import LOOPBACK, Host, Port
from ihuyi_voice.cli.output import reporting, say
from ihuyi_voice.simulator import Simulator


@attrs.frozen
class SimulatorSettings:
    """What `ihuyi-voice simulate` can be told."""

    account: str
    api_key: str = attrs.field(repr=False)
    balance: int
    templates: tuple[str, ...]
    latency: float
    jitter: float
    push_to: str = attrs.field(default="", repr=False)
    report_delay: float = 1.0


def serve(
    port: Port = 8000,
    host: Host = LOOPBACK,
    account: Annotated[str, typer.Option(help="simulate.account.help")] = "VM00000000",
    api_key: Annotated[str, typer.Option(help="simulate.api_key.help")] = "simulator-key",
    balance: Annotated[int, typer.Option(help="simulate.balance.help")] = 1_000_000,
    template: Annotated[list[str] | None, typer.Option(help="simulate.template.help")] = None,
    latency: Annotated[float, typer.Option(help="simulate.latency.help", min=0)] = 0.0,
    jitter: Annotated[float, typer.Option(help="simulate.jitter.help", min=0)] = 0.0,
    push_to: Annotated[str, typer.Option(help="simulate.push_to.help")] = "",
    report_delay: Annotated[float, typer.Option(help="simulate.delay.help", min=0)] = 1.0,
) -> None:
    """Be the vendor, on this machine, until Ctrl-C."""
    with reporting(as_json=False):
        settings = SimulatorSettings(
            account,
            api_key,
            balance,
            tuple(template or ()),
            latency,
            jitter,
            push_to,
            report_delay,
        )
        asyncio.run(simulate(host, port, settings))


async def simulate(host: str, port: int, settings: SimulatorSettings) -> None:
    """Serve the simulator until it is interrupted."""
    simulator = Simulator(
        settings.account,
        settings.api_key,
        balance=settings.balance,
        templates=settings.templates or None,
        latency=settings.latency,
        jitter=settings.jitter,
        push_to=settings.push_to,
        report_delay=settings.report_delay,
        auto_approve=True,  # nobody could do it by hand
        keep_arrivals=0,
    )
    async with simulator.serve(host, port) as url:
        say("simulate.listening", url=url)
        say("simulate.account", account=settings.account)
        await asyncio.Event().wait()
