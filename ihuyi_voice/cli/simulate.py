"""The simulator as a server of its own."""

import asyncio

import attrs

from ihuyi_voice.cli.output import console
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
        console.print(f"listening at {url}", highlight=False, soft_wrap=True)
        console.print(f"account {settings.account}", highlight=False)
        await asyncio.Event().wait()
