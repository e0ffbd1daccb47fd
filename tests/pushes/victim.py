"""A receiver in a process of its own, to be killed: `python -m tests.pushes.victim URL TABLE FILE`.

It prints its port once it listens. Its handler writes the voice id of each report to FILE.
"""

import asyncio
import os
import sys

import uvicorn

from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, PushReceiver
from ihuyi_voice.simulator.server import running

TOKEN = "victim"
# What a killed process had claimed is free again after a second.
HANDLING = Handling(timeout=0.5, lease=1.0)


async def main(url: str, table: str, handled: str) -> None:
    """Serve until killed."""
    out = os.open(handled, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def on_report(report: DeliveryReport) -> None:
        os.write(out, f"{report.voice_id}\n".encode())

    inbox = Inbox.open(url, table=table, handling=HANDLING, poll=0.1)
    receiver = PushReceiver(inbox, token=TOKEN, on_report=on_report)
    async with running(uvicorn.Config(receiver, log_level="error", access_log=False)) as address:
        print(address.rpartition(":")[2], flush=True)  # noqa: T201 - its parent reads it
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
