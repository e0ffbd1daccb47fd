"""The demo and the simulator: the vendor on this machine, over real HTTP."""

import asyncio
import csv
import tempfile
from pathlib import Path
from typing import Final

import attrs

from ihuyi_voice.cli import send
from ihuyi_voice.cli.output import console
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.recipients import RecipientsFile
from ihuyi_voice.simulator import Fault, Simulator
from ihuyi_voice.templates import Template

_TEMPLATE: Final = "您的订单号是：【变量】。已由【变量】发出，请注意查收。"
_COURIERS: Final = ("顺风快递", "圆通快递", "中通快递")
_BAD_NUMBERS: Final = ("1390000", "12345678901", "not a number")
_BLACK: Final = ("13700000001", "13700000002", "13700000003")


@attrs.frozen
class SimulatorSettings:
    """What `ihuyi-voice simulate` can be told."""

    account: str
    api_key: str = attrs.field(repr=False)
    balance: int
    templates: tuple[str, ...]
    latency: float
    jitter: float


async def demo(count: int, *, as_json: bool) -> None:
    """Send a file of `count` rows to a simulator and print what came of it."""
    simulator = Simulator(templates=[_TEMPLATE], blacklist=_BLACK, latency=0.005, jitter=0.03)
    simulator.add_fault(Fault("code", operation="Submit", share=0.005, code=0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write_recipients(path, count)
        async with simulator.serve() as url:
            client = VoiceClient(simulator.account, simulator.api_key, base_url=url)
            async with client:
                await _show(client, path, url, as_json=as_json)


async def _show(client: VoiceClient, path: Path, url: str, *, as_json: bool) -> None:
    before = await client.balance()
    if not as_json:
        console.print(f"The vendor, simulated, listens at {url}", highlight=False)
        console.print(f"Template: {_TEMPLATE}", markup=False, highlight=False)
    job = send.SendJob(RecipientsFile(path, Template(_TEMPLATE)))
    report = await send.run(client, job, as_json=as_json)
    send.print_report(report, as_json=as_json)
    after = await client.balance()
    if not as_json:
        console.print(
            f"balance before {before:,}, after {after:,}: {before - after:,} used", highlight=False
        )


def _write_recipients(path: Path, count: int) -> None:
    """Write rows of which a few are bad, black-listed, or repeat a number."""
    numbers = [f"139{place:08d}" for place in range(count)]
    numbers[10], numbers[11] = numbers[8], numbers[9]  # twice: the second waits a second
    for place, number in enumerate((*_BAD_NUMBERS, *_BLACK), 12):
        numbers[place] = number
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("mobile", "order", "courier"))
        for place, number in enumerate(numbers):
            order = "96 33" if place == 18 else str(9633 + place)  # noqa: PLR2004 - one bad value
            writer.writerow((number, order, _COURIERS[place % len(_COURIERS)]))


async def simulate(host: str, port: int, settings: SimulatorSettings) -> None:
    """Serve the simulator until it is interrupted."""
    simulator = Simulator(
        settings.account,
        settings.api_key,
        balance=settings.balance,
        templates=settings.templates or None,
        latency=settings.latency,
        jitter=settings.jitter,
        keep_arrivals=0,
    )
    async with simulator.serve(host, port) as url:
        console.print(f"listening at {url}", highlight=False, soft_wrap=True)
        console.print(f"account {settings.account}", highlight=False)
        await asyncio.Event().wait()
