"""A program whose handler ends it: `python -m tests.pushes.quitter URL TABLE ERROR [eager]`."""

import asyncio
import sys

from ihuyi_voice.pushes import DeliveryReport, Inbox
from tests.pushes.support import report
from tests.support.eager import eager_factory


async def main(url: str, table: str, error: str, *how: str) -> None:
    """Store three pushes, whose handlers hang, and end the program by the handler of a fourth."""
    if how:
        asyncio.get_running_loop().set_task_factory(eager_factory())
    entered: asyncio.Queue[str] = asyncio.Queue()

    async def on_report(value: DeliveryReport) -> None:
        if value.voice_id == "4":
            raise SystemExit(3) if error == "SystemExit" else KeyboardInterrupt
        entered.put_nowait(value.voice_id)
        await asyncio.Event().wait()

    inbox = Inbox.open(url, table=table)
    inbox.handle(on_report=on_report)
    async with inbox:
        for number in (1, 2, 3):
            await inbox.put(report(str(number)))
            await entered.get()
        await inbox.put(report("4"))
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
