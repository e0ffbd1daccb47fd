"""A receiver in a process of its own, to be killed: `python -m tests.pushes.victim URL TABLE FILE`.

It prints its port once it listens. Its handler writes the voice id of each report to FILE.
"""

import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from ihuyi_voice.pushes import DeliveryReport, Handling, Inbox, PushReceiver

TOKEN = "victim"
# What a killed process had claimed is free again after a second.
HANDLING = Handling(timeout=0.5, lease=1.0)


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        """Start, then say where."""
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201 - its parent reads it

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: this process is to die of them."""
        yield


def main(url: str, table: str, handled: str) -> None:
    """Serve until killed."""
    out = os.open(handled, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def on_report(report: DeliveryReport) -> None:
        os.write(out, f"{report.voice_id}\n".encode())

    inbox = Inbox.open(url, table=table, handling=HANDLING, poll=0.1)
    receiver = PushReceiver(inbox, token=TOKEN, on_report=on_report)
    config = uvicorn.Config(receiver, port=0, log_level="error", access_log=False)
    asyncio.run(_Server(config).serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
