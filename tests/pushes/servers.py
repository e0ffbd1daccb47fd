"""Applications behind servers on real sockets: uvicorn in this process, others in their own."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import uvicorn

from ihuyi_voice.simulator.server import running

TOKEN = "2Zb0-secret"
_ROOT = Path(__file__).parents[2]


def serving(app: Any, **options: Any) -> AbstractAsyncContextManager[str]:
    """Serve while inside; yield the address, without a path."""
    return running(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", **options))


@attrs.frozen
class Kind:
    """A server that others wrote.

    Attributes:
        name: Its module.
        port: The options that have it listen on a port of 127.0.0.1.
        socket: The options that have it listen on a Unix socket.
        prefix: The option that says under which path a proxy has it; empty if it has none.
        others: What it needs to be told besides.
        end: How it exits when it is told to end.
    """

    name: str
    port: str
    socket: str
    prefix: str
    others: tuple[str, ...] = ()
    end: int = 0


UVICORN = Kind("uvicorn", "--port {}", "--uds {}", "--root-path", end=-15)
HYPERCORN = Kind("hypercorn", "--bind 127.0.0.1:{}", "--bind unix:{}", "--root-path")
GRANIAN = Kind(
    "granian", "--port {}", "--uds {}", "--url-path-prefix", others=("--interface", "asgi")
)
DAPHNE = Kind("daphne", "--bind 127.0.0.1 --port {}", "-u {}", "--root-path")
KINDS = [UVICORN, HYPERCORN, GRANIAN, DAPHNE]


@attrs.frozen
class Run:
    """A server that runs.

    Attributes:
        process: Its process.
        log: Where its output goes.
    """

    process: asyncio.subprocess.Process
    log: Path

    def said(self) -> str:
        """Return its output until now."""
        return self.log.read_text()


@asynccontextmanager
async def process_of(
    kind: Kind,
    app: str,
    listen: Sequence[str],
    room: Path,
    *,
    folder: str = ".",
    allow: str | None = None,
) -> AsyncGenerator[Run]:
    """Run a server in a process of its own, which is ended at the end; inside, it is starting.

    Args:
        kind: The server.
        app: An application of `tests.pushes.served`.
        listen: The options that say where to listen.
        room: A folder for its log and its inbox.
        folder: Where in it the inbox is.
        allow: The network that may push.
    """
    log = room / f"{kind.name}.log"
    command = [sys.executable, "-m", kind.name, *kind.others, *listen, f"tests.pushes.served:{app}"]
    environment = os.environ | {"IHUYI_TEST_INBOX": str(room / folder / "pushes.sqlite3")}
    environment |= {} if allow is None else {"IHUYI_TEST_ALLOW": allow}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=_ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        yield Run(process, log)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
