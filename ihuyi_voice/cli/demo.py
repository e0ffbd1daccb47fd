"""The demo: recipients in a file, the vendor on this machine, real HTTP, reports coming back."""

import csv
import random
import secrets
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final

from rich.table import Table

from ihuyi_voice.cli import send
from ihuyi_voice.cli.output import console, print_json
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.inputs.recipients import RecipientsFile
from ihuyi_voice.inputs.templates import Template
from ihuyi_voice.models import DELIVERY_STATUSES, DeliveryReport, DeliveryStatus, OutcomeStatus
from ihuyi_voice.pushes import Inbox, PushReceiver
from ihuyi_voice.simulator import Fault, Simulator
from ihuyi_voice.simulator.server import serving

_TEMPLATE: Final = "您的订单号是：【变量】。已由【变量】发出，请注意查收。"
_COURIERS: Final = ("顺风快递", "圆通快递", "中通快递")
_BAD_NUMBERS: Final = ("1390000", "12345678901", "not a number")
_BLACK: Final = ("13700000001", "13700000002", "13700000003")
_ENDS: Final = {2: 88, -6: 6, -4: 3, -1: 2, -12: 1}  # how calls end, in per cent


async def demo(count: int, *, as_json: bool) -> None:
    """Send a file of `count` rows to a simulator and print what came of it."""
    chance = random.Random(1)  # noqa: S311 - how made-up calls end
    simulator = Simulator(
        templates=[_TEMPLATE],
        blacklist=_BLACK,
        latency=0.005,
        jitter=0.03,
        results=lambda _: chance.choices(tuple(_ENDS), tuple(_ENDS.values()))[0],
        report_delay=0.5,
        report_jitter=0.5,
    )
    simulator.add_fault(Fault("code", operation="Submit", share=0.005, code=0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write_recipients(path, count)
        async with (
            _receiver(Path(folder) / "pushes.sqlite3") as (inbox, simulator.push_to),
            simulator.serve() as url,
            VoiceClient(simulator.account, simulator.api_key, base_url=url) as client,
        ):
            if not as_json:
                console.print(f"The vendor, simulated, listens at {url}", highlight=False)
                console.print(f"Template: {_TEMPLATE}", markup=False, highlight=False)
            await _show(client, inbox, path, as_json=as_json)


@asynccontextmanager
async def _receiver(path: Path) -> AsyncGenerator[tuple[Inbox, str]]:
    """Serve a receiver over a real socket; yield its inbox and the address to give the vendor."""
    token = secrets.token_urlsafe()
    async with Inbox.open(path) as inbox:
        receiver = PushReceiver(inbox, token=token)
        async with serving(receiver) as address:
            yield inbox, f"{address}/{token}"


async def _show(client: VoiceClient, inbox: Inbox, path: Path, *, as_json: bool) -> None:
    before = await client.balance()
    reports = inbox.reports()  # from now on
    job = send.SendJob(RecipientsFile(path, Template(_TEMPLATE)))
    sent = await send.run(client, job, as_json=as_json)
    accepted = sent.counts[OutcomeStatus.ACCEPTED]
    ends = await _count(reports, accepted, as_json=as_json)
    after = await client.balance()
    if as_json:
        statuses = {status.value: number for status, number in ends.items()}
        print_json(send.report_values(sent) | {"reports": statuses})
        return
    send.print_report(sent)
    console.print(_ends_table(ends))
    console.print(
        f"balance before {before:,}, after {after:,}: {before - after:,} used", highlight=False
    )


async def _count(
    reports: AsyncGenerator[DeliveryReport], expected: int, *, as_json: bool
) -> Counter[DeliveryStatus]:
    """Count how the calls ended, under a progress bar, until every report is back."""
    ends = Counter[DeliveryStatus]()
    with send.progress_bar(hidden=as_json) as bar:
        task = bar.add_task("reports", total=expected, note="")
        async with aclosing(reports):
            while ends.total() < expected:
                ends[(await anext(reports)).status] += 1
                bar.update(task, completed=ends.total())
    return ends


def _ends_table(ends: Counter[DeliveryStatus]) -> Table:
    table = Table("code", "calls", "the vendor's text", "how it ended", title="Delivery reports")
    for code, row in DELIVERY_STATUSES.items():
        if ends[row.status]:
            table.add_row(str(code), f"{ends[row.status]:,}", row.text, row.status.value)
    return table


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
