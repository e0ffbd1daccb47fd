"""`demo`: recipients in a file, the vendor on this machine, real HTTP, reports coming back."""

import asyncio
import csv
import random
import secrets
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.table import Table

from ihuyi_voice.cli import once, tally
from ihuyi_voice.cli.course import Course, Plan
from ihuyi_voice.cli.interrupts import all_like_ctrl_c
from ihuyi_voice.cli.language import word
from ihuyi_voice.cli.options import Json
from ihuyi_voice.cli.output import add_row, print_json, reporting, say, table
from ihuyi_voice.cli.streams import console
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.inputs import RecipientsFile, Template
from ihuyi_voice.models import DELIVERY_STATUSES, DeliveryReport, DeliveryStatus, OutcomeStatus
from ihuyi_voice.simulator import Fault, Simulator

if TYPE_CHECKING:
    from ihuyi_voice.pushes import Inbox

_TEMPLATE: Final = "您的订单号是：【变量】。已由【变量】发出，请注意查收。"
_COURIERS: Final = ("顺风快递", "圆通快递", "中通快递")
_BAD_NUMBERS: Final = ("1390000", "12345678901", "not a number")
_BLACK: Final = ("13700000001", "13700000002", "13700000003")
_ENDS: Final = {2: 88, -6: 6, -4: 3, -1: 2, -12: 1}  # how calls end, in per cent


def demo(
    count: Annotated[int, typer.Option(help="demo.count.help", min=20)] = 1000,
    *,
    as_json: Json = False,
) -> None:
    """Send 1,000 notifications to a simulator on this machine; nobody's phone rings."""
    with reporting(as_json=as_json), all_like_ctrl_c():
        course = asyncio.run(_demo(count, as_json=as_json))
        if course.failure is not None:
            raise course.failure
        if course.interrupts:
            raise KeyboardInterrupt


async def _demo(count: int, *, as_json: bool) -> Course:
    """Send a file of `count` rows to a simulator, print what came of it, and return its course."""
    simulator = _vendor()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipients.csv"
        _write_recipients(path, count)
        async with (
            _receiver(Path(folder) / "pushes.sqlite3") as (inbox, simulator.push_to),
            simulator.serve() as url,
            VoiceClient(simulator.account, simulator.api_key, base_url=url) as client,
        ):
            if not as_json:
                say("demo.vendor", url=url)
                say("demo.template", template=_TEMPLATE)
            return await _show(client, inbox, path, as_json=as_json)


def _vendor() -> Simulator:
    """Return a vendor as it is on a day with a little of everything."""
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
    return simulator


@asynccontextmanager
async def _receiver(path: Path) -> AsyncGenerator[tuple["Inbox", str]]:
    """Serve a receiver over a real socket; yield its inbox and the address to give the vendor."""
    from ihuyi_voice.pushes import Inbox, PushReceiver  # noqa: PLC0415 - databases load slowly
    from ihuyi_voice.simulator.server import serving  # noqa: PLC0415 - and so does uvicorn

    token = secrets.token_urlsafe()
    async with Inbox.open(path) as inbox:
        receiver = PushReceiver(inbox, token=token)
        async with serving(receiver) as address:
            yield inbox, f"{address}/{token}"


async def _show(client: VoiceClient, inbox: "Inbox", path: Path, *, as_json: bool) -> Course:
    before = await client.balance()
    reports = inbox.reports()  # from now on
    plan = Plan(RecipientsFile(path, Template(_TEMPLATE)))
    course = await once.go(client, plan, hidden=as_json)
    sent = course.report
    accepted = sent.counts[OutcomeStatus.ACCEPTED]
    ends = await _count(reports, accepted, as_json=as_json)
    after = await client.balance()
    if as_json:
        statuses = {status.value: number for status, number in ends.items()}
        print_json(tally.report_values(sent) | {"reports": statuses})
        return course
    tally.print_causes(sent)
    tally.print_report(sent)
    console.print(_ends_table(ends))
    say("demo.balance", before=before, after=after, used=before - after)
    return course


async def _count(
    reports: AsyncGenerator[DeliveryReport], expected: int, *, as_json: bool
) -> Counter[DeliveryStatus]:
    """Count how the calls ended, under a progress bar, until every report is back."""
    ends = Counter[DeliveryStatus]()
    with tally.progress_bar("bar.reports", expected, hidden=as_json) as bar:
        async with aclosing(reports):
            while ends.total() < expected:
                ends[(await anext(reports)).status] += 1
                bar.update(ends.total())
    return ends


def _ends_table(ends: Counter[DeliveryStatus]) -> Table:
    rows = table("ends.title", "table.code", "ends.calls", "table.vendors_text", "ends.how")
    for code, row in DELIVERY_STATUSES.items():
        if ends[row.status]:
            count = f"{ends[row.status]:,}"
            add_row(rows, (str(code), count, row.text, word("end", row.status.value)))
    return rows


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
